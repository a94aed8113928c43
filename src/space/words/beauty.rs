//! How one looks to the others.

/// See the module.
#[derive(Debug)]
pub struct BeautyWords {
    /// Above the pane.
    pub title: &'static str,
    /// Switches the filters on.
    pub enabled: &'static str,
    /// Where there is no camera.
    pub no_camera: &'static str,
    /// Left of the line that divides the picture.
    pub before: &'static str,
    /// Right of it.
    pub after: &'static str,
    /// The presets: natural, clear, warm.
    pub presets: [&'static str; 3],
    /// See [`BeautyWords::presets`].
    pub preset_hint: &'static str,
    /// Sends the picture as it is.
    pub off: &'static str,
    /// See [`BeautyWords::off`].
    pub off_hint: &'static str,
    /// Puts every slider into the middle.
    pub reset: &'static str,
    /// See [`BeautyWords::reset`].
    pub reset_hint: &'static str,
    /// The filters with what they do: smooth, whiten, rosy, sharpen.
    pub filters: [(&'static str, &'static str); 4],
    /// Opens up dark pictures.
    pub low_light: &'static str,
    /// See [`BeautyWords::low_light`].
    pub low_light_hint: &'static str,
    /// Before the two choices.
    pub if_it_fails: &'static str,
    /// The picture goes on unfiltered.
    pub go_on: &'static str,
    /// The picture ends.
    pub stop: &'static str,
    /// It failed, for this reason.
    pub failed: fn(&str) -> String,
    /// No reason is known.
    pub no_pictures: &'static str,
    /// On the way.
    pub starting: &'static str,
    /// Nothing is filtered.
    pub is_off: &'static str,
    /// What a picture costs, and its size.
    pub cost: fn(f32, &str) -> String,
    /// The same where a smaller picture than the camera's is filtered.
    pub cost_smaller: fn(f32, &str, &str) -> String,
}

pub(super) const ENGLISH: BeautyWords = BeautyWords {
    title: "How you look",
    enabled: "Beauty",
    no_camera: "No camera is being sent. What you choose here is for when there is one.",
    before: "before",
    after: "after",
    presets: ["Natural", "Clear", "Warm"],
    preset_hint: "Set the four to this",
    off: "Off",
    off_hint: "Sends your picture as the camera gives it",
    reset: "Reset",
    reset_hint: "Everything in the middle",
    filters: [
        ("Smooth", "Evens out skin; moles, lashes and edges stay"),
        ("Lighten", "Lightens skin, dark and light alike"),
        ("Warmth", "A little more blood in the cheeks"),
        ("Sharpen", "Brings out eyes, hair and edges"),
    ],
    low_light: "Brighten in low light",
    low_light_hint: "Opens up dark pictures without their noise; does nothing in good light",
    if_it_fails: "If it fails",
    go_on: "go on without",
    stop: "stop my video",
    failed: |why| format!("It does not work now: {why}"),
    no_pictures: "the graphics device gives no pictures",
    starting: "Starting …",
    is_off: "Your picture is sent as the camera gives it.",
    cost: |ms, size| format!("{ms:.1} ms a picture, at {size}"),
    cost_smaller: |ms, small, camera| {
        format!("{ms:.1} ms a picture. This computer is too slow for {camera}: what is filtered and sent is {small}.")
    },
};

pub(super) const CHINESE: BeautyWords = BeautyWords {
    title: "你的样子",
    enabled: "美颜",
    no_camera: "目前没有发送摄像头画面。这里的设置会在开启摄像头后生效。",
    before: "原图",
    after: "效果",
    presets: ["自然", "清透", "暖色"],
    preset_hint: "把四项设为这组数值",
    off: "关闭",
    off_hint: "直接发送摄像头的画面",
    reset: "重置",
    reset_hint: "全部回到中间值",
    filters: [
        ("磨皮", "让皮肤均匀；保留痣、睫毛和轮廓"),
        ("美白", "提亮肤色，深浅肤色一视同仁"),
        ("红润", "给脸颊添一点血色"),
        ("锐化", "突出眼睛、头发和轮廓"),
    ],
    low_light: "暗光增强",
    low_light_hint: "提亮昏暗的画面而不放大噪点；光线好时不起作用",
    if_it_fails: "出错时",
    go_on: "继续发送原图",
    stop: "停止我的视频",
    failed: |_| "目前无法使用：显卡没有返回画面。请关掉再打开，或重新启动应用".to_owned(),
    no_pictures: "显卡没有返回画面",
    starting: "正在启动……",
    is_off: "画面按摄像头原样发送。",
    cost: |ms, size| format!("每帧 {ms:.1} 毫秒，尺寸 {size}"),
    cost_smaller: |ms, small, camera| {
        format!("每帧 {ms:.1} 毫秒。这台电脑处理 {camera} 太慢：改为处理并发送 {small}。")
    },
};
