//! Before a room: who one is, how one looks and sounds, and where to go.

/// See the module.
#[derive(Debug)]
pub struct LobbyWords {
    /// Above everything.
    pub title: &'static str,
    /// The name others see.
    pub your_name: &'static str,
    /// In its field.
    pub name_hint: &'static str,
    /// Opens a room on this computer.
    pub open: &'static str,
    /// Goes to one that is there.
    pub join: &'static str,
    /// What opening does.
    pub open_hint: &'static str,
    /// The room's name.
    pub room: &'static str,
    /// A link or a server's address.
    pub link: &'static str,
    /// In its field.
    pub link_hint: &'static str,
    /// How a server is entered: with a token.
    pub token: &'static str,
    /// With a pair of keys.
    pub keys: &'static str,
    /// Their first half.
    pub api_key: &'static str,
    /// Their second half.
    pub api_secret: &'static str,
    /// Goes into a new room.
    pub enter_new: &'static str,
    /// Goes into the other one.
    pub enter: &'static str,
    /// On the way.
    pub entering: &'static str,
    /// Comes back from the way.
    pub cancel: &'static str,
    /// Rooms one was in.
    pub recent: &'static str,
    /// Takes one from the list.
    pub forget: &'static str,
    /// The own picture is sent.
    pub camera_on: &'static str,
    /// It is not.
    pub camera_off: &'static str,
    /// The own voice is sent.
    pub microphone_on: &'static str,
    /// It is not.
    pub microphone_off: &'static str,
    /// The camera has not given a picture yet.
    pub camera_starts: &'static str,
    /// The name is missing.
    pub name_missing: &'static str,
    /// It is longer than it may be.
    pub name_too_long: &'static str,
    /// The room's name cannot be one.
    pub room_wrong: &'static str,
    /// The link is missing.
    pub link_missing: &'static str,
    /// It is none.
    pub link_wrong: &'static str,
    /// The token is missing.
    pub token_missing: &'static str,
    /// A key is missing.
    pub keys_missing: &'static str,
    /// No room can be opened, for this reason.
    pub cannot_open: fn(&str) -> String,
}

pub(super) const ENGLISH: LobbyWords = LobbyWords {
    title: "Rotunda",
    your_name: "Your name",
    name_hint: "What others call you",
    open: "Open a room",
    join: "Join a room",
    open_hint: "On this computer: it is there as long as you are. You get a link for the others.",
    room: "Room",
    link: "Link or server",
    link_hint: "http://… or wss://…",
    token: "Token",
    keys: "API keys",
    api_key: "Key",
    api_secret: "Secret",
    enter_new: "Open and go in",
    enter: "Go in",
    entering: "Entering …",
    cancel: "Cancel",
    recent: "Recent rooms",
    forget: "Forget",
    camera_on: "Camera is on",
    camera_off: "Camera is off",
    microphone_on: "Mic is on",
    microphone_off: "Mic is off",
    camera_starts: "Looking for a camera …",
    name_missing: "Write a name the others know you by",
    name_too_long: "It is too long: shorten it",
    room_wrong: "Use letters and digits without spaces, such as team-monday",
    link_missing: "Paste the link you were given, or a server's address",
    link_wrong: "This is neither a link nor an address: it begins with http://, https://, ws:// or wss://",
    token_missing: "Paste the token for this room",
    keys_missing: "Both halves are needed",
    cannot_open: |why| format!("No room can be opened here: {why}"),
};

pub(super) const CHINESE: LobbyWords = LobbyWords {
    title: "Rotunda",
    your_name: "你的名字",
    name_hint: "别人怎么称呼你",
    open: "新建房间",
    join: "加入房间",
    open_hint: "房间开在这台电脑上，你在它就在。你会得到一个给其他人的链接。",
    room: "房间",
    link: "链接或服务器",
    link_hint: "http://… 或 wss://…",
    token: "令牌",
    keys: "API 密钥",
    api_key: "密钥",
    api_secret: "密码",
    enter_new: "新建并进入",
    enter: "进入",
    entering: "正在进入……",
    cancel: "取消",
    recent: "最近的房间",
    forget: "移除",
    camera_on: "摄像头已开",
    camera_off: "摄像头已关",
    microphone_on: "麦克风已开",
    microphone_off: "麦克风已关",
    camera_starts: "正在查找摄像头……",
    name_missing: "请写一个大家认识的名字",
    name_too_long: "太长了：请缩短",
    room_wrong: "请用不含空格的字母和数字，例如 team-monday",
    link_missing: "请粘贴收到的链接或服务器地址",
    link_wrong: "这不是链接或地址：应以 http://、https://、ws:// 或 wss:// 开头",
    token_missing: "请粘贴这个房间的令牌",
    keys_missing: "两项都要填写",
    cannot_open: |why| format!("这里无法新建房间：{why}"),
};
