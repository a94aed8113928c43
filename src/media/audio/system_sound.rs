//! The sound of the system: what the default loudspeaker plays, recorded by its monitor. On the thread that asks.

use super::{AudioDeviceInfo, AudioDevices, AudioInput, Microphone, list_devices};
use crate::media::CaptureError;

/// A source of what the default loudspeaker plays, in stereo; to be sent as it is. May block for three seconds when the
/// sound server hangs; the monitor is opened when it is first asked for sound.
///
/// # Errors
/// [`CaptureError::Open`] when the sound system has no monitors.
pub fn system_sound() -> Result<Microphone, CaptureError> {
    match monitor(&list_devices()) {
        Some(monitor) => Ok(Microphone::stereo(AudioInput::Named(monitor.id.clone()))),
        None => Err(CaptureError::Open {
            what: "the system's sound".to_owned(),
            why: "sharing it needs a PulseAudio or PipeWire server: start one".to_owned(),
        }),
    }
}

/// The monitor of the default loudspeaker, or any other.
fn monitor(devices: &AudioDevices) -> Option<&AudioDeviceInfo> {
    let monitors = || devices.inputs.iter().filter(|input| input.is_monitor);
    let speaker = devices.outputs.iter().find(|speaker| speaker.is_default);
    let of_default = speaker.and_then(|speaker| monitors().find(|monitor| hears(monitor, speaker)));
    of_default.or_else(|| monitors().next())
}

/// Whether a monitor is that of a loudspeaker: PulseAudio and PipeWire name it so.
fn hears(monitor: &AudioDeviceInfo, speaker: &AudioDeviceInfo) -> bool {
    monitor.id.strip_suffix(".monitor") == Some(speaker.id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(id: &str, is_default: bool) -> AudioDeviceInfo {
        AudioDeviceInfo { id: id.to_owned(), name: id.to_owned(), is_default, is_monitor: id.ends_with(".monitor") }
    }

    #[test]
    fn the_default_loudspeaker_is_the_one_that_is_heard() {
        let mut devices = AudioDevices {
            inputs: vec![device("mic", true), device("hdmi-2.monitor", false), device("hdmi.monitor", false)],
            outputs: vec![device("hdmi-2", false), device("hdmi", true)],
        };
        assert_eq!(monitor(&devices).unwrap().id, "hdmi.monitor");
        devices.outputs.clear();
        assert_eq!(monitor(&devices).unwrap().id, "hdmi-2.monitor", "any is better than none");
        devices.inputs.truncate(1);
        assert!(monitor(&devices).is_none(), "a microphone is no monitor");
    }
}
