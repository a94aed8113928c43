//! The picker of what is shared.

use crate::media::CaptureError;
use crate::model::DeviceState;

/// See the module.
#[derive(Debug)]
pub struct ShareWords {
    /// Above it all.
    pub title: &'static str,
    /// Before what is shared now.
    pub sharing: &'static str,
    /// Ends it.
    pub stop: &'static str,
    /// Shares what is chosen.
    pub share: &'static str,
    /// Shares it in place of what is shared.
    pub switch: &'static str,
    /// While it is being opened.
    pub starting: &'static str,
    /// In the place of a preview.
    pub nothing_chosen: &'static str,
    /// Before the presets.
    pub quality: &'static str,
    /// Each preset, and what it is good for: smooth, balanced, sharp.
    pub presets: [(&'static str, &'static str); 3],
    /// Shares what the loudspeaker plays along.
    pub sound: &'static str,
    /// See [`ShareWords::sound`].
    pub sound_hint: &'static str,
    /// One list.
    pub screens: &'static str,
    /// The other one.
    pub windows: &'static str,
    /// Before either is known.
    pub looking: &'static str,
    /// In the place of an empty list.
    pub no_screen: &'static str,
    /// See [`ShareWords::no_screen`].
    pub no_window: &'static str,
    /// In the place of a picture of something that shows nothing.
    pub no_picture: &'static str,
    /// What is wrong and what to do, without naming the thing: that stands beside it.
    pub failed: fn(&CaptureError) -> String,
}

pub(super) const ENGLISH: ShareWords = ShareWords {
    title: "Share",
    sharing: "You are sharing",
    stop: "Stop sharing",
    share: "Share this",
    switch: "Switch to this",
    starting: "Starting…",
    nothing_chosen: "Choose a screen or a window below",
    quality: "Good for",
    presets: [
        ("Films", "Smooth: 20 pictures a second, fine text may blur"),
        ("Slides", "Balanced: 15 pictures a second, for most programs"),
        ("Text", "Sharp: the finest letters, 5 pictures a second"),
    ],
    sound: "Share the sound, too",
    sound_hint: "What your loudspeaker plays comes from the wall",
    screens: "Screens",
    windows: "Windows",
    looking: "Looking for screens and windows…",
    no_screen: "No screen can be shared here. Windows may.",
    no_window: "No window is open. A minimised one must be brought back first.",
    no_picture: "No picture",
    failed: |error| {
        let (CaptureError::Open { why, .. } | CaptureError::Format { why, .. } | CaptureError::Interrupted { why, .. }) =
            error;
        why.clone()
    },
};

pub(super) const CHINESE: ShareWords = ShareWords {
    title: "共享",
    sharing: "正在共享",
    stop: "停止共享",
    share: "共享此内容",
    switch: "切换到此内容",
    starting: "正在启动…",
    nothing_chosen: "请在下方选择屏幕或窗口",
    quality: "适合",
    presets: [
        ("影片", "流畅：每秒 20 帧，细小文字可能模糊"),
        ("幻灯片", "均衡：每秒 15 帧，适合大多数程序"),
        ("文字", "清晰：文字最锐利，每秒 5 帧"),
    ],
    sound: "同时共享声音",
    sound_hint: "扬声器播放的声音会从墙上传出",
    screens: "屏幕",
    windows: "窗口",
    looking: "正在查找屏幕和窗口…",
    no_screen: "此处无法共享屏幕，可以共享窗口。",
    no_window: "没有打开的窗口。最小化的窗口请先还原。",
    no_picture: "无画面",
    failed: |error| chinese(error).to_owned(),
};

/// What is wrong, and what to do.
fn chinese(error: &CaptureError) -> &'static str {
    match error {
        CaptureError::Open { .. } => "打不开：请检查系统的权限，或换一个",
        CaptureError::Format { .. } => "无法使用：请换一个",
        CaptureError::Interrupted { state: DeviceState::NoPermission, .. } => {
            "系统不允许录屏：请在系统的隐私设置里允许"
        }
        CaptureError::Interrupted { .. } => "目前没有画面：窗口可能已最小化或关闭",
    }
}
