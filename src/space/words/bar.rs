//! The bar and what stands beside it.

/// See the module.
#[derive(Debug)]
pub struct BarWords {
    /// Caption of a microphone that is heard.
    pub mute: &'static str,
    /// Caption of one that is muted.
    pub unmute: &'static str,
    /// Caption where there is none.
    pub no_microphone: &'static str,
    /// Caption of a camera that is seen.
    pub stop_video: &'static str,
    /// Caption of one that is off.
    pub start_video: &'static str,
    /// Caption where there is none.
    pub no_camera: &'static str,
    /// What the button of something that is not sent says.
    pub nothing_sent: &'static str,
    /// Chooses the microphone or the loudspeaker.
    pub choose_sound: &'static str,
    /// Chooses the camera.
    pub choose_camera: &'static str,
    /// Opens the share picker.
    pub share: &'static str,
    /// Caption while something is shared.
    pub sharing: &'static str,
    /// See [`BarWords::share`].
    pub share_hint: &'static str,
    /// Opens the filters.
    pub beauty: &'static str,
    /// See [`BarWords::beauty`].
    pub beauty_hint: &'static str,
    /// Opens the row of signs.
    pub react: &'static str,
    /// See [`BarWords::react`].
    pub react_hint: &'static str,
    /// Opens the messages.
    pub messages: &'static str,
    /// See [`BarWords::messages`].
    pub messages_hint: &'static str,
    /// Instead of [`BarWords::react`] while the own hand is up.
    pub hand_is_up: &'static str,
    /// Opens the list of people; so many are here.
    pub people: fn(usize) -> String,
    /// See [`BarWords::people`].
    pub people_hint: &'static str,
    /// Opens the settings.
    pub settings: &'static str,
    /// See [`BarWords::settings`].
    pub settings_hint: &'static str,
    /// Leaves.
    pub leave: &'static str,
    /// See [`BarWords::leave`].
    pub leave_hint: &'static str,
    /// In a flat view without anybody.
    pub nobody_here: &'static str,
    /// Above the bar while the microphone is muted.
    pub you_are_muted: &'static str,
    /// The same while one speaks.
    pub speaking_while_muted: &'static str,
    /// While the key of push-to-talk is held.
    pub talking: &'static str,
    /// While it is not.
    pub hold_to_talk: &'static str,
    /// Asks before leaving.
    pub leave_title: &'static str,
    /// Why it is asked: the room is on this computer, and so many others are in it.
    pub leave_ends_room: fn(usize) -> String,
    /// Why it is asked: one's screen is on the wall.
    pub leave_ends_share: &'static str,
    /// Leaves all the same.
    pub leave_anyway: &'static str,
    /// Does not.
    pub stay: &'static str,
}

pub(super) const ENGLISH: BarWords = BarWords {
    mute: "Mute",
    unmute: "Unmute",
    no_microphone: "No mic",
    stop_video: "Stop video",
    start_video: "Start video",
    no_camera: "No camera",
    nothing_sent: "Nothing of this kind is being sent",
    choose_sound: "Microphone and speaker",
    choose_camera: "Camera",
    share: "Share",
    sharing: "Sharing",
    share_hint: "Show a screen or a window on the wall (X)",
    beauty: "Beauty",
    beauty_hint: "How you look to the others (B)",
    react: "React",
    react_hint: "Applause, hearts, a raised hand (R)",
    messages: "Messages",
    messages_hint: "What is written in the room (C)",
    hand_is_up: "Hand is up",
    people: |count| format!("People · {count}"),
    people_hint: "Who is here (L)",
    settings: "Settings",
    settings_hint: "Devices, language, size of the text (O)",
    leave: "Leave",
    leave_hint: "Leave the room",
    nobody_here: "Nobody else is here yet",
    you_are_muted: "You are muted",
    speaking_while_muted: "You are speaking, but you are muted: press M",
    talking: "Everyone hears you",
    hold_to_talk: "Hold the space bar to talk",
    leave_title: "Leave the room?",
    leave_ends_room: |others| match others {
        1 => "The room is on this computer: it ends for the other person, too.".to_owned(),
        others => format!("The room is on this computer: it ends for the {others} others, too."),
    },
    leave_ends_share: "What you share goes from the wall.",
    leave_anyway: "Leave",
    stay: "Stay",
};

pub(super) const CHINESE: BarWords = BarWords {
    mute: "静音",
    unmute: "取消静音",
    no_microphone: "无麦克风",
    stop_video: "关闭视频",
    start_video: "开启视频",
    no_camera: "无摄像头",
    nothing_sent: "目前没有发送这类内容",
    choose_sound: "麦克风和扬声器",
    choose_camera: "摄像头",
    share: "共享",
    sharing: "正在共享",
    share_hint: "把屏幕或窗口放到墙上（X）",
    beauty: "美颜",
    beauty_hint: "别人看到的你（B）",
    react: "互动",
    react_hint: "鼓掌、爱心、举手（R）",
    messages: "消息",
    messages_hint: "房间里的消息（C）",
    hand_is_up: "已举手",
    people: |count| format!("成员 · {count}"),
    people_hint: "房间里的人（L）",
    settings: "设置",
    settings_hint: "设备、语言、文字大小（O）",
    leave: "离开",
    leave_hint: "离开房间",
    nobody_here: "还没有其他人",
    you_are_muted: "你已静音",
    speaking_while_muted: "你正在说话，但已静音：请按 M",
    talking: "大家能听到你",
    hold_to_talk: "按住空格键说话",
    leave_title: "要离开房间吗？",
    leave_ends_room: |others| format!("房间在这台电脑上：你离开后，其他 {others} 人的通话也会结束。"),
    leave_ends_share: "你共享的内容会从墙上消失。",
    leave_anyway: "离开",
    stay: "留下",
};
