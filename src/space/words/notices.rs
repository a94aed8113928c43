//! What is told for a few seconds, and what stands at the top while the connection is not there.

use crate::model::{CallError, ErrorCode};

/// See the module.
#[derive(Debug)]
pub struct NoticeWords {
    /// The connection came back.
    pub back: &'static str,
    /// Somebody wrote this.
    pub wrote: fn(&str, &str) -> String,
    /// Somebody asks to speak.
    pub raised_hand: fn(&str) -> String,
    /// Oneself was muted by somebody else.
    pub muted_by_host: &'static str,
    /// Somebody asks to look at the wall.
    pub asks_to_look: fn(&str) -> String,
    /// Somebody is shown large.
    pub in_light: fn(&str) -> String,
    /// Oneself is.
    pub you_in_light: &'static str,
    /// Oneself was made a host.
    pub you_are_host: &'static str,
    /// Oneself is no host any more.
    pub you_are_no_host: &'static str,
    /// Somebody stands before the locked door, and this is a host.
    pub knocks: fn(&str) -> String,
    /// Nobody comes in any more.
    pub locked: &'static str,
    /// They do again.
    pub unlocked: &'static str,
    /// The connection is lost for now.
    pub coming_back: &'static str,
    /// On the way in.
    pub entering: &'static str,
    /// Out.
    pub not_in_room: &'static str,
    /// What went wrong, in a sentence that says what to do.
    pub trouble: fn(&CallError) -> String,
}

pub(super) const ENGLISH: NoticeWords = NoticeWords {
    back: "Back in the room",
    wrote: |name, text| format!("{name}: {text}"),
    raised_hand: |name| format!("{name} raised a hand"),
    muted_by_host: "A host muted you: press M to speak again",
    asks_to_look: |name| format!("{name} asks you to look at the wall"),
    in_light: |name| format!("{name} is in the spotlight: F shows them large"),
    you_in_light: "You are in the spotlight",
    you_are_host: "You are a host now: see the list of people (L)",
    you_are_no_host: "You are no longer a host",
    knocks: |name| format!("{name} is at the locked door: unlock it in the list of people (L)"),
    locked: "The room is locked",
    unlocked: "The room is open again",
    coming_back: "Connection lost: coming back…",
    entering: "Entering the room…",
    not_in_room: "Not in the room",
    trouble: |error| sentence(&error.to_string()),
};

pub(super) const CHINESE: NoticeWords = NoticeWords {
    back: "已回到房间",
    wrote: |name, text| format!("{name}：{text}"),
    raised_hand: |name| format!("{name} 举手了"),
    muted_by_host: "主持人让你静音了：按 M 重新发言",
    asks_to_look: |name| format!("{name} 请你看墙上的内容"),
    in_light: |name| format!("{name} 被聚焦：按 F 放大显示"),
    you_in_light: "你被聚焦了",
    you_are_host: "你现在是主持人：请看人员列表（L）",
    you_are_no_host: "你不再是主持人",
    knocks: |name| format!("{name} 在门外：可在人员列表（L）中解锁房间"),
    locked: "房间已锁定",
    unlocked: "房间已重新开放",
    coming_back: "连接中断：正在恢复……",
    entering: "正在进入房间……",
    not_in_room: "不在房间里",
    trouble: |error| format!("{}（代码 {}）", chinese(error.code), error.code.number()),
};

/// With a capital, unless it begins with a name or an address.
fn sentence(text: &str) -> String {
    let word = text.split_whitespace().next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if word.chars().all(|c| c.is_ascii_lowercase() || c == ',') => {
            first.to_ascii_uppercase().to_string() + letters.as_str()
        }
        _ => text.to_owned(),
    }
}

/// What happened, and what to do.
fn chinese(code: ErrorCode) -> &'static str {
    use ErrorCode as E;
    match code {
        E::NotStarted => "通话引擎没有启动：请重新打开应用",
        E::WrongState => "现在不能这样做：请稍后再试",
        E::TooManyRooms => "房间太多：请先离开一个房间，或稍后再试",
        E::UserIdEmpty => "用户 ID 为空：请填写",
        E::UserIdInvalid => "用户 ID 含有不允许的字符：请修改",
        E::UserIdTooLong => "用户 ID 太长：请缩短到 63 字节以内",
        E::UserNameTooLong => "名字太长：请缩短",
        E::RoomIdEmpty => "房间名为空：请填写",
        E::RoomIdTooLong => "房间名太长：请缩短到 128 字节以内",
        E::RoomIdInvalid => "房间名含有不允许的字符：请使用字母、数字和常见符号",
        E::ConnectFailed => "连不上服务器：请检查地址和网络",
        E::ConnectTimeout => "服务器没有及时回应：请检查网络后再试",
        E::AuthenticationFailed => "服务器不接受这个令牌或邀请：请索取新的链接",
        E::RoomFull => "房间已满：请稍后再试",
        E::RoomLocked => "房间已被主持人锁定：请联系主持人",
        E::KickedBySecondLogin => "你在另一处登录了，这里已退出",
        E::RetriesExhausted => "多次重连失败：请检查网络后重新进入",
        E::KickedByHost => "主持人关闭了房间，或把你移出了房间",
        E::TokenExpired => "令牌已过期或即将过期：请向主持人索取新的令牌",
        E::TokenMissing => "没有令牌：请填写令牌或链接",
        E::TokenMalformed => "这不是有效的令牌：请完整复制后再粘贴",
        E::TokenOfOtherApp => "令牌属于另一个应用：请索取这台服务器的令牌",
        E::TokenOfOtherUser => "令牌属于另一个用户：请索取自己的令牌",
        E::TokenOfOtherRoom => "令牌属于另一个房间：请索取这个房间的令牌",
        E::TokenGrantsNothing => "令牌不允许进入房间：请索取新的令牌",
        E::TokenNotYetValid => "令牌尚未生效：请检查电脑的时钟",
        E::PublishInterrupted => "发送中断：会自动恢复",
        E::AlreadyPublishing => "已经在发送了",
        E::StreamIdTaken => "这个流名已被占用：请换一个",
        E::StreamIdInvalid => "流名含有不允许的字符：请修改",
        E::ExtraInfoTooLong => "附加信息太长：请缩短到 1023 字节以内",
        E::NotPermitted => "你的令牌不允许这样做：请联系主持人",
        E::StreamNotFound => "找不到这个流",
        E::TooManyPlays => "同时播放的流太多：请先停止一个",
        E::PlayInterrupted => "网络太窄：画面会在恢复后继续",
        E::CodecUnsupported => "这里不支持对方的编码格式",
        E::SendFailed => "消息没有发出：请再试一次",
        E::MessageTooLong => "消息太长：请缩短到 1024 字节以内",
        E::MessageTooFast => "发送太快：请稍等片刻",
        E::CaptureFailed => "设备或来源无法使用：请检查连接和权限，或换一个",
        E::SourceEnded => "共享结束：窗口已关闭",
        E::BeautyFailed => "美颜目前无法使用：请在美颜面板查看原因",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_are_sentences_and_addresses_stay_as_they_are() {
        assert_eq!(sentence("the room is locked: ask its host"), "The room is locked: ask its host");
        for same in ["ws://x refused", "192.0.2.2 cannot be reached", "Ada left", ""] {
            assert_eq!(sentence(same), same);
        }
    }
}
