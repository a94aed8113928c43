//! The list of people, and what hosts do there.

/// See the module.
#[derive(Debug)]
pub struct PeopleWords {
    /// How many are here.
    pub title: fn(usize) -> String,
    /// In the field to search in.
    pub search: &'static str,
    /// After one's own name.
    pub you: fn(&str) -> String,
    /// On the own line, opened.
    pub this_is_you: &'static str,
    /// What a line does.
    pub more: &'static str,
    /// How loud somebody is for oneself.
    pub volume: &'static str,
    /// See [`PeopleWords::volume`].
    pub volume_hint: &'static str,
    /// Mutes everybody else.
    pub mute_all: &'static str,
    /// See [`PeopleWords::mute_all`].
    pub mute_all_hint: &'static str,
    /// Lets nobody in.
    pub lock: &'static str,
    /// See [`PeopleWords::lock`].
    pub lock_hint: &'static str,
    /// Opens the room again.
    pub unlock: &'static str,
    /// See [`PeopleWords::unlock`].
    pub unlock_hint: &'static str,
    /// The server does not hold to it.
    pub cannot_lock: &'static str,
    /// Mutes one.
    pub mute: &'static str,
    /// See [`PeopleWords::mute`].
    pub mute_hint: &'static str,
    /// Takes a screen from the wall.
    pub stop_share: &'static str,
    /// See [`PeopleWords::stop_share`].
    pub stop_share_hint: &'static str,
    /// Shows somebody large to everyone.
    pub spotlight: &'static str,
    /// Ends that.
    pub out_of_light: &'static str,
    /// See [`PeopleWords::spotlight`].
    pub spotlight_hint: &'static str,
    /// Makes somebody a host.
    pub make_host: &'static str,
    /// See [`PeopleWords::make_host`].
    pub make_host_hint: &'static str,
    /// Ends that.
    pub unmake_host: &'static str,
    /// See [`PeopleWords::unmake_host`].
    pub unmake_host_hint: &'static str,
    /// The server does not hold to it.
    pub cannot_make_host: &'static str,
    /// Who is one by their token stays one.
    pub host_by_token: &'static str,
    /// On the line of one.
    pub is_host: &'static str,
    /// Puts somebody out.
    pub remove: &'static str,
    /// See [`PeopleWords::remove`].
    pub remove_hint: &'static str,
    /// Puts somebody out for good.
    pub ban: &'static str,
    /// See [`PeopleWords::ban`].
    pub ban_hint: &'static str,
    /// Asks once more.
    pub really: &'static str,
    /// Copies what others come in by.
    pub copy_link: &'static str,
    /// See [`PeopleWords::copy_link`].
    pub copy_link_hint: &'static str,
    /// It was.
    pub link_copied: &'static str,
    /// Makes it anew.
    pub new_link: &'static str,
    /// See [`PeopleWords::new_link`].
    pub new_link_hint: &'static str,
    /// It was.
    pub link_renewed: &'static str,
}

pub(super) const ENGLISH: PeopleWords = PeopleWords {
    title: |count| format!("In the room: {count}"),
    search: "Search",
    you: |name| format!("{name} (you)"),
    this_is_you: "This is you",
    more: "Volume and more",
    volume: "Volume",
    volume_hint: "For you alone",
    mute_all: "Mute all",
    mute_all_hint: "Everybody's microphone but yours; they may unmute themselves",
    lock: "Lock the room",
    lock_hint: "Nobody else comes in; who is here may come back",
    unlock: "Unlock the room",
    unlock_hint: "Whoever has a token may come in again",
    cannot_lock: "This server lets in whoever has a token; Rotunda's own holds to it",
    mute: "Mute",
    mute_hint: "They may unmute themselves",
    stop_share: "Stop share",
    stop_share_hint: "Takes their screen off the wall",
    spotlight: "Spotlight",
    out_of_light: "Out of the light",
    spotlight_hint: "Large for everyone who looks at whoever speaks (F)",
    make_host: "Make host",
    make_host_hint: "They may do all you may: mute, remove, lock, and make others hosts",
    unmake_host: "Remove as host",
    unmake_host_hint: "They keep order no longer",
    cannot_make_host: "On this server hosts are those whose token says so; Rotunda's own lets hosts choose",
    host_by_token: "Their token makes them a host: that cannot be taken back here",
    is_host: "Host",
    remove: "Remove",
    remove_hint: "Their token does not let them in again; another one does",
    ban: "Ban",
    ban_hint: "They do not come in again, whatever token they have; a link they know is made anew",
    really: "Really?",
    copy_link: "Copy link",
    copy_link_hint: "Whoever has it may come in: send it to those you want here",
    link_copied: "The link is copied: send it to those you want here",
    new_link: "New link",
    new_link_hint: "The link so far lets nobody in while the room is open; who is here stays",
    link_renewed: "There is a new link, and the old one is dead: copy it for those you still expect",
};

pub(super) const CHINESE: PeopleWords = PeopleWords {
    title: |count| format!("房间里：{count} 人"),
    search: "搜索",
    you: |name| format!("{name}（你）"),
    this_is_you: "这是你",
    more: "音量和更多",
    volume: "音量",
    volume_hint: "只影响你自己",
    mute_all: "全体静音",
    mute_all_hint: "除你以外所有人的麦克风；他们可以自己取消静音",
    lock: "锁定房间",
    lock_hint: "不再有人能进来；已在房间里的人可以重新进入",
    unlock: "解锁房间",
    unlock_hint: "有令牌的人又可以进来",
    cannot_lock: "这台服务器让所有持有令牌的人进入；Rotunda 自带的服务器会遵守锁定",
    mute: "静音",
    mute_hint: "对方可以自己取消静音",
    stop_share: "停止共享",
    stop_share_hint: "把对方的屏幕从墙上撤下",
    spotlight: "聚焦",
    out_of_light: "取消聚焦",
    spotlight_hint: "在发言者视图（F）里对所有人放大显示",
    make_host: "设为主持人",
    make_host_hint: "对方可以做你能做的一切：静音、移出、锁定，也能设其他人为主持人",
    unmake_host: "取消主持人",
    unmake_host_hint: "对方不再管理秩序",
    cannot_make_host: "这台服务器上，主持人由令牌决定；Rotunda 自带的服务器可由主持人指定",
    host_by_token: "对方的令牌就是主持人令牌：无法在这里取消",
    is_host: "主持人",
    remove: "移出",
    remove_hint: "对方现在的令牌失效；换一个令牌还能进来",
    ban: "禁止进入",
    ban_hint: "无论用什么令牌，对方都不能再进来；对方知道的链接会换成新的",
    really: "确定吗？",
    copy_link: "复制链接",
    copy_link_hint: "有链接的人就能进来：发给你想邀请的人",
    link_copied: "链接已复制：发给你想邀请的人",
    new_link: "换新链接",
    new_link_hint: "房间关闭之前，旧链接不再有效；已在房间里的人不受影响",
    link_renewed: "链接已更换，旧链接失效：请复制新链接，发给还没到的人",
};
