//! Devices, language and comfort: in the settings, and where a device is chosen elsewhere.

use crate::model::DeviceState;

/// See the module.
#[derive(Debug)]
pub struct SettingsWords {
    /// Above the pane.
    pub title: &'static str,
    /// Above the devices.
    pub devices: &'static str,
    /// What takes the own picture.
    pub camera: &'static str,
    /// What takes the own voice.
    pub microphone: &'static str,
    /// What plays everyone else.
    pub speaker: &'static str,
    /// Whichever the system takes.
    pub system_default: &'static str,
    /// There is none.
    pub none_found: &'static str,
    /// In place of a device: picture or voice come from none.
    pub generated: &'static str,
    /// Nobody has looked yet.
    pub looking: &'static str,
    /// One that was chosen and is not there.
    pub missing: fn(&str) -> String,
    /// What keeps one from being used, given what the system says of it.
    pub device: fn(DeviceState, &str) -> String,
    /// Below the meter, until something was heard.
    pub say_something: &'static str,
    /// The microphone hears one.
    pub heard_you: &'static str,
    /// The meter of a microphone that is muted in the call.
    pub muted: &'static str,
    /// Plays a sound.
    pub test_speaker: &'static str,
    /// It is heard now.
    pub playing: &'static str,
    /// Asked after it.
    pub can_you_hear: &'static str,
    /// It was.
    pub yes: &'static str,
    /// It was not.
    pub no: &'static str,
    /// After "yes".
    pub sound_works: &'static str,
    /// After "no".
    pub sound_advice: &'static str,
    /// Above what concerns the eyes.
    pub reading: &'static str,
    /// The language of the overlay.
    pub language: &'static str,
    /// The size of text.
    pub text_size: &'static str,
    /// Nothing moves by itself.
    pub reduced_motion: &'static str,
    /// See [`SettingsWords::reduced_motion`].
    pub reduced_motion_hint: &'static str,
    /// Above how voices are heard.
    pub sound: &'static str,
    /// From where people are.
    pub spatial: &'static str,
    /// See [`SettingsWords::spatial`].
    pub spatial_hint: &'static str,
    /// Alike in both ears.
    pub mono: &'static str,
    /// See [`SettingsWords::mono`].
    pub mono_hint: &'static str,
    /// Opens the statistics.
    pub statistics: &'static str,
    /// Opens the settings from a list of devices.
    pub more: &'static str,
}

pub(super) const ENGLISH: SettingsWords = SettingsWords {
    title: "Settings",
    devices: "Devices",
    camera: "Camera",
    microphone: "Microphone",
    speaker: "Speaker",
    system_default: "System default",
    none_found: "None found",
    generated: "Generated",
    looking: "Looking …",
    missing: |name| format!("{name} (not there)"),
    device: |_, why| why.to_owned(),
    say_something: "Say something: the bar follows your voice",
    heard_you: "Your microphone hears you",
    muted: "You are muted in the room",
    test_speaker: "Test the speaker",
    playing: "Playing …",
    can_you_hear: "Can you hear this?",
    yes: "Yes",
    no: "No",
    sound_works: "Good: this is where you will hear the others",
    sound_advice: "Choose another speaker or turn up the volume, and test again",
    reading: "Reading",
    language: "Language",
    text_size: "Size of text",
    reduced_motion: "Reduce motion",
    reduced_motion_hint: "Nothing flies or floats by itself",
    sound: "Voices",
    spatial: "From where people are",
    spatial_hint: "Best with headphones",
    mono: "Alike in both ears",
    mono_hint: "For speakers, or one ear",
    statistics: "Connection and statistics (I)",
    more: "More settings …",
};

pub(super) const CHINESE: SettingsWords = SettingsWords {
    title: "设置",
    devices: "设备",
    camera: "摄像头",
    microphone: "麦克风",
    speaker: "扬声器",
    system_default: "系统默认",
    none_found: "没有找到",
    generated: "自动生成",
    looking: "正在查找……",
    missing: |name| format!("{name}（未连接）"),
    device: |state, _| chinese(state).to_owned(),
    say_something: "请说话：指示条会随声音变化",
    heard_you: "麦克风能听到你",
    muted: "你在房间里已静音",
    test_speaker: "测试扬声器",
    playing: "正在播放……",
    can_you_hear: "能听到吗？",
    yes: "能",
    no: "不能",
    sound_works: "很好：你会从这里听到大家",
    sound_advice: "请换一个扬声器或调大音量后再试",
    reading: "阅读",
    language: "语言",
    text_size: "文字大小",
    reduced_motion: "减少动态效果",
    reduced_motion_hint: "没有东西会自行飞动或飘过",
    sound: "声音",
    spatial: "来自各人的位置",
    spatial_hint: "戴耳机效果最好",
    mono: "双耳相同",
    mono_hint: "适合扬声器或单耳",
    statistics: "连接与统计（I）",
    more: "更多设置……",
};

/// What is wrong, and what to do.
fn chinese(state: DeviceState) -> &'static str {
    match state {
        DeviceState::On | DeviceState::Off | DeviceState::Muted => "设备已就绪",
        DeviceState::Unplugged => "设备未连接：请插好，或换一个",
        DeviceState::NoPermission => "系统不允许使用：请在系统的隐私设置里允许",
        DeviceState::InUse => "设备正被其他程序使用：请关闭那个程序，或换一个",
        DeviceState::Stalled => "设备没有输出：请重新插拔，或换一个",
        DeviceState::Failed => "设备无法使用：请重新插拔，或换一个",
    }
}
