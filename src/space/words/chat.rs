//! The messages and the signs.

/// See the module.
#[derive(Debug)]
pub struct ChatWords {
    /// Above the messages.
    pub title: &'static str,
    /// Where there are none.
    pub empty: &'static str,
    /// This client's user, above what they wrote.
    pub you: &'static str,
    /// These came in, and so many more.
    pub came: fn(&[String], usize) -> String,
    /// These left, and so many more.
    pub left: fn(&[String], usize) -> String,
    /// Somebody asks everyone to look at the wall.
    pub asks_to_look: fn(&str) -> String,
    /// Puts a message on the clipboard.
    pub copy: &'static str,
    /// In the field to write in.
    pub write_here: &'static str,
    /// Below it.
    pub new_line: &'static str,
    /// So many bytes of so many.
    pub bytes: fn(usize, usize) -> String,
    /// Sends.
    pub send: &'static str,
    /// Sends it as a remark.
    pub float: &'static str,
    /// See [`ChatWords::float`].
    pub float_hint: &'static str,
    /// It was not, for this reason.
    pub not_sent: fn(&str) -> String,
    /// The signs: applause, heart, laughter, astonishment, thumb up.
    pub signs: [&'static str; 5],
    /// Asks to speak.
    pub raise_hand: &'static str,
    /// No longer.
    pub lower_hand: &'static str,
    /// See [`ChatWords::raise_hand`].
    pub hand_hint: &'static str,
    /// The token does not allow it.
    pub not_allowed: &'static str,
    /// Asks everyone to look at the wall.
    pub look_here: &'static str,
    /// See [`ChatWords::look_here`].
    pub look_here_hint: &'static str,
}

/// `Ann, Bob`, and what follows.
fn english(names: &[String], more: usize, what: &str) -> String {
    let names = names.join(", ");
    if more == 0 { format!("{names} {what}") } else { format!("{names} and {more} more {what}") }
}

fn chinese(names: &[String], more: usize, what: &str) -> String {
    let (named, all) = (names.join("、"), names.len() + more);
    if more == 0 { format!("{named} {what}") } else { format!("{named} 等 {all} 人{what}") }
}

pub(super) const ENGLISH: ChatWords = ChatWords {
    title: "Messages",
    empty: "What is written here, everyone in the room reads.",
    you: "You",
    came: |names, more| english(names, more, "came in"),
    left: |names, more| english(names, more, "left"),
    asks_to_look: |name| format!("{name} asks everyone to look at the wall"),
    copy: "Copy",
    write_here: "Write to everyone",
    new_line: "Shift+Enter: new line",
    bytes: |bytes, most| {
        if bytes > most { format!("Too long: {bytes} of {most} bytes") } else { format!("{bytes} of {most} bytes") }
    },
    send: "Send",
    float: "Float",
    float_hint: "Lets it float across everyone's view, once",
    not_sent: |why| format!("Not sent: {why}"),
    signs: ["Applause", "Heart", "Laughter", "Astonishment", "Thumb up"],
    raise_hand: "Raise hand",
    lower_hand: "Lower hand",
    hand_hint: "Who raised theirs first stands first in the list",
    not_allowed: "Your token does not allow it",
    look_here: "Look here",
    look_here_hint: "Asks everyone to look at the wall",
};

pub(super) const CHINESE: ChatWords = ChatWords {
    title: "消息",
    empty: "在这里写的内容，房间里所有人都能看到。",
    you: "你",
    came: |names, more| chinese(names, more, "进来了"),
    left: |names, more| chinese(names, more, "离开了"),
    asks_to_look: |name| format!("{name} 请大家看墙上的内容"),
    copy: "复制",
    write_here: "写给所有人",
    new_line: "Shift+Enter 换行",
    bytes: |bytes, most| {
        if bytes > most { format!("太长：{bytes} / {most} 字节") } else { format!("{bytes} / {most} 字节") }
    },
    send: "发送",
    float: "弹幕",
    float_hint: "从所有人的画面上飘过一次",
    not_sent: |why| format!("未发送：{why}"),
    signs: ["鼓掌", "爱心", "大笑", "惊讶", "点赞"],
    raise_hand: "举手",
    lower_hand: "放下手",
    hand_hint: "先举手的人排在列表前面",
    not_allowed: "你的令牌不允许这样做",
    look_here: "请看这里",
    look_here_hint: "请大家看墙上的内容",
};
