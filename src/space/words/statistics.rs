//! How the connection does.

/// See the module. Units (kbit/s, ms, fps, %) are the same in every language.
#[derive(Debug)]
pub struct StatisticsWords {
    /// Above all of it.
    pub title: &'static str,
    /// Puts all of it on the clipboard.
    pub copy: &'static str,
    /// The button's text right after.
    pub copied: &'static str,
    /// See [`StatisticsWords::copy`].
    pub copy_hint: &'static str,
    /// So many seconds ago.
    pub ago: fn(usize) -> String,
    /// One after the other, in one line.
    pub listed: fn(&str, &str) -> String,

    /// From excellent to lost: by [`Grade::number`](crate::model::quality::Grade::number).
    pub grades: [&'static str; 5],
    /// In place of a grade that is not told yet.
    pub not_known: &'static str,

    /// This client's connection.
    pub connection: &'static str,
    /// In place of its grade.
    pub not_connected: &'static str,
    /// In place of its grade.
    pub connecting: &'static str,
    /// To the server and back.
    pub round_trip: &'static str,
    /// All own streams together.
    pub sent: &'static str,
    /// All played streams together.
    pub received: &'static str,
    /// What the way to the server is estimated to carry.
    pub bandwidth: &'static str,
    /// How many pictures are fetched in which size.
    pub pictures: &'static str,
    /// Pictures that would be larger if the bandwidth carried it.
    pub held_back_count: &'static str,
    /// What all pictures share.
    pub picture_budget: &'static str,
    /// In place of it.
    pub no_limit: &'static str,

    /// What this client sends.
    pub own_streams: &'static str,
    /// Where it sends nothing.
    pub nothing_sent: &'static str,
    /// An own camera with its microphone.
    pub camera: &'static str,
    /// An own screen.
    pub screen: &'static str,
    /// Frames at each stage of an own picture.
    pub sent_stages: &'static str,
    /// Size of what is sent.
    pub size: &'static str,
    /// In so many layers.
    pub layers: fn(u32) -> String,
    /// Of a picture.
    pub picture_bitrate: &'static str,
    /// Of a sound.
    pub sound_bitrate: &'static str,
    /// Of picture and sound.
    pub bitrate: &'static str,
    /// Packets that never came.
    pub loss: &'static str,
    /// Pictures a second.
    pub frames: &'static str,

    /// What this client plays: so many.
    pub played_streams: fn(usize) -> String,
    /// Where it plays nothing.
    pub nothing_played: &'static str,
    /// Somebody's screen.
    pub screen_of: fn(&str) -> String,
    /// A stream without a picture.
    pub sound_only: &'static str,
    /// Opens a line.
    pub open_hint: &'static str,
    /// What is fetched of a picture, and why.
    pub fetched: &'static str,
    /// Frames at each stage of a played picture.
    pub played_stages: &'static str,
    /// From capture to play.
    pub delay: &'static str,
    /// Times a picture stood still.
    pub freezes: &'static str,
    /// Sound and picture beside each other.
    pub offset: &'static str,
    /// Sound comes so many ms after its picture.
    pub sound_after: fn(u32) -> String,
    /// Sound comes so many ms before its picture.
    pub sound_before: fn(u32) -> String,
    /// Both together.
    pub in_step: &'static str,
    /// How it is encoded.
    pub codec: &'static str,
    /// Time for one picture.
    pub decoding: &'static str,
    /// Pictures that wait for their time.
    pub held: &'static str,
    /// Pictures that could not be decoded.
    pub dropped: &'static str,
    /// Whole pictures that were asked for anew.
    pub keyframes: &'static str,
    /// What the jitter buffer holds.
    pub buffer: &'static str,
    /// Share of the sound that was made up.
    pub concealed: &'static str,

    /// From nothing to all of a picture.
    pub wants: WantWords,
    /// Why.
    pub reasons: ReasonWords,
}

/// How much of a picture is fetched.
#[derive(Debug)]
pub struct WantWords {
    /// Nothing.
    pub paused: &'static str,
    /// A quarter of its width and height.
    pub small: &'static str,
    /// Half of them.
    pub medium: &'static str,
    /// All of it.
    pub full: &'static str,
}

/// Why it is fetched so.
#[derive(Debug)]
pub struct ReasonWords {
    /// Not looked at yet.
    pub new: &'static str,
    /// In view.
    pub in_view: &'static str,
    /// Its owner speaks.
    pub speaking: &'static str,
    /// One stands before it.
    pub stepped_up: &'static str,
    /// A quick turn of the head away.
    pub near: &'static str,
    /// It was larger a moment ago.
    pub lingering: &'static str,
    /// Out of view.
    pub out_of_view: &'static str,
    /// It hangs nowhere.
    pub not_shown: &'static str,
    /// The window cannot be seen.
    pub window_hidden: &'static str,
    /// The bandwidth does not carry more.
    pub held_back: &'static str,
}

pub(super) const ENGLISH: StatisticsWords = StatisticsWords {
    title: "Connection and statistics",
    copy: "Copy",
    copied: "Copied",
    copy_hint: "All figures as text, for a report of what is wrong",
    ago: |secs| format!("{secs} s ago"),
    listed: |first, second| format!("{first}, {second}"),
    grades: ["excellent", "good", "medium", "poor", "lost"],
    not_known: "not known yet",
    connection: "Connection",
    not_connected: "in no room",
    connecting: "connecting",
    round_trip: "Round trip",
    sent: "Sent",
    received: "Received",
    bandwidth: "Estimated bandwidth",
    pictures: "Pictures fetched",
    held_back_count: "Smaller for bandwidth",
    picture_budget: "Bandwidth for pictures",
    no_limit: "no limit",
    own_streams: "What you send",
    nothing_sent: "Nothing is being sent.",
    camera: "Camera and microphone",
    screen: "Your screen",
    sent_stages: "Captured / encoded / sent",
    size: "Size",
    layers: |layers| match layers {
        1 => "1 layer".to_owned(),
        layers => format!("{layers} layers"),
    },
    picture_bitrate: "Picture",
    sound_bitrate: "Sound",
    bitrate: "Bitrate",
    loss: "Loss",
    frames: "Frames",
    played_streams: |streams| format!("What you receive: {streams}"),
    nothing_played: "Nothing is being received.",
    screen_of: |name| format!("{name}: screen"),
    sound_only: "sound only",
    open_hint: "Plots and all figures",
    fetched: "Fetched",
    played_stages: "Received / decoded / shown",
    delay: "Delay",
    freezes: "Freezes",
    offset: "Sound and picture",
    sound_after: |ms| format!("sound {ms} ms after"),
    sound_before: |ms| format!("sound {ms} ms before"),
    in_step: "in step",
    codec: "Codec",
    decoding: "Decoding a picture",
    held: "Pictures wait",
    dropped: "Pictures dropped",
    keyframes: "Keyframes asked for",
    buffer: "Sound buffer",
    concealed: "Sound concealed",
    wants: WantWords { paused: "paused", small: "small", medium: "medium", full: "full" },
    reasons: ReasonWords {
        new: "new",
        in_view: "in view",
        speaking: "speaking",
        stepped_up: "stepped up to",
        near: "just out of view",
        lingering: "needed a moment ago",
        out_of_view: "out of view",
        not_shown: "shown nowhere",
        window_hidden: "window hidden",
        held_back: "held back for bandwidth",
    },
};

pub(super) const CHINESE: StatisticsWords = StatisticsWords {
    title: "连接与统计",
    copy: "复制",
    copied: "已复制",
    copy_hint: "以文本复制所有数据，用于反馈问题",
    ago: |secs| format!("{secs} 秒前"),
    listed: |first, second| format!("{first}，{second}"),
    grades: ["极好", "良好", "一般", "较差", "中断"],
    not_known: "暂无数据",
    connection: "连接",
    not_connected: "不在房间中",
    connecting: "正在连接",
    round_trip: "往返时延",
    sent: "发送",
    received: "接收",
    bandwidth: "估计带宽",
    pictures: "接收的画面",
    held_back_count: "因带宽缩小",
    picture_budget: "画面可用带宽",
    no_limit: "不限",
    own_streams: "你发送的",
    nothing_sent: "目前没有发送任何内容。",
    camera: "摄像头和麦克风",
    screen: "你的屏幕",
    sent_stages: "采集 / 编码 / 发送",
    size: "尺寸",
    layers: |layers| format!("{layers} 层"),
    picture_bitrate: "画面",
    sound_bitrate: "声音",
    bitrate: "码率",
    loss: "丢包",
    frames: "帧率",
    played_streams: |streams| format!("你接收的：{streams}"),
    nothing_played: "目前没有接收任何内容。",
    screen_of: |name| format!("{name}：屏幕"),
    sound_only: "仅声音",
    open_hint: "图表和全部数据",
    fetched: "获取",
    played_stages: "接收 / 解码 / 显示",
    delay: "延迟",
    freezes: "卡顿",
    offset: "音画同步",
    sound_after: |ms| format!("声音晚 {ms} ms"),
    sound_before: |ms| format!("声音早 {ms} ms"),
    in_step: "同步",
    codec: "编码格式",
    decoding: "每帧解码",
    held: "画面等待",
    dropped: "丢弃的画面",
    keyframes: "请求关键帧",
    buffer: "声音缓冲",
    concealed: "补偿的声音",
    wants: WantWords { paused: "暂停", small: "小", medium: "中", full: "完整" },
    reasons: ReasonWords {
        new: "新加入",
        in_view: "在视野内",
        speaking: "正在发言",
        stepped_up: "近看中",
        near: "在视野边缘",
        lingering: "刚才需要",
        out_of_view: "在视野外",
        not_shown: "未显示",
        window_hidden: "窗口被遮挡",
        held_back: "带宽不足",
    },
};
