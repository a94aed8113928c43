//! The sound systems of this machine and their devices. The connections to them are kept for the life of the process:
//! each costs a thread and a socket that the library never gives back. Everything that asks them runs on the thread
//! `audio-ask`: a sound system may hang.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, HostTrait};

use super::bounded::{ask, forget_gone};
use super::{DeviceName, Trouble};
use crate::model::DeviceState;

/// Between two attempts to reach a sound system that did not answer.
const RECONNECT: Duration = Duration::from_secs(1);
/// The library waits so long for a sound system's greeting, and leaves a thread behind when none comes.
const GREETING_LIMIT: Duration = Duration::from_secs(2);
/// The pause doubles after each attempt that left a thread behind, up to this.
const LONGEST_RECONNECT: Duration = Duration::from_secs(300);
/// How PulseAudio and PipeWire name the source that carries what a loudspeaker plays.
const MONITOR_SUFFIX: &str = ".monitor";

/// A microphone or loudspeaker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AudioDeviceInfo {
    /// Names the device across program runs, as `SYSTEM:DEVICE`.
    pub id: String,
    /// What the sound system calls it.
    pub name: String,
    /// It is used when none is chosen.
    pub is_default: bool,
    /// It is no microphone, but hears what a loudspeaker plays: the sound of the system.
    pub is_monitor: bool,
}

/// All microphones and loudspeakers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AudioDevices {
    /// Microphones, and the monitors of loudspeakers.
    pub inputs: Vec<AudioDeviceInfo>,
    /// Loudspeakers.
    pub outputs: Vec<AudioDeviceInfo>,
}

/// Which way the sound goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media::audio) enum Direction {
    /// A microphone.
    Input,
    /// A loudspeaker.
    Output,
}

/// Asks the preferred sound system for its devices; none when there is no sound system. May block for three seconds
/// when the sound server hangs.
pub fn list_devices() -> AudioDevices {
    try_list().unwrap_or_else(|trouble| {
        tracing::debug!(why = trouble.why, "no audio devices can be listed");
        AudioDevices::default()
    })
}

/// As [`list_devices`], but says why there are none: [`DeviceState::Stalled`] when the sound system hangs.
pub(super) fn try_list() -> Result<AudioDevices, Trouble> {
    let devices = ask(list)?;
    forget_gone(Direction::Input, &devices.inputs);
    forget_gone(Direction::Output, &devices.outputs);
    Ok(devices)
}

fn list() -> Result<AudioDevices, Trouble> {
    let hosts = hosts(FIRST_LINE);
    let Some(host) = hosts.first() else { return Err(no_system()) };
    let list = |direction| -> Result<Vec<AudioDeviceInfo>, Trouble> {
        let default = default_device(host, direction).and_then(|device| device.id().ok());
        let devices = devices(host, direction)?;
        Ok(devices.iter().map(|device| describe(device, default.as_ref())).collect())
    };
    Ok(AudioDevices { inputs: list(Direction::Input)?, outputs: list(Direction::Output)? })
}

/// Whether an id is that of a source which hears a loudspeaker.
pub(in crate::media::audio) fn is_monitor(id: &str) -> bool {
    id.ends_with(MONITOR_SUFFIX)
}

fn describe(device: &cpal::Device, default: Option<&cpal::DeviceId>) -> AudioDeviceInfo {
    let DeviceName { id, name } = DeviceName::of(device);
    let is_default = default.is_some() && device.id().ok().as_ref() == default;
    AudioDeviceInfo { is_monitor: is_monitor(&id), id, name, is_default }
}

/// The device of this id or name, or the default one. A monitor is no default microphone: nobody wants to be heard
/// with the voices of everyone else. Blocks for three seconds at most.
pub(in crate::media::audio) fn find(direction: Direction, wanted: Option<&str>) -> Result<cpal::Device, Trouble> {
    find_on_line(FIRST_LINE, direction, wanted)
}

/// As [`find`], for a loudspeaker that is to be opened on this line.
pub(super) fn find_on_line(line: usize, direction: Direction, wanted: Option<&str>) -> Result<cpal::Device, Trouble> {
    let wanted = wanted.map(str::to_owned);
    ask(move || look_for(line, direction, wanted.as_deref()))
}

fn look_for(line: usize, direction: Direction, wanted: Option<&str>) -> Result<cpal::Device, Trouble> {
    let hosts = hosts(line);
    let mut trouble = None;
    for host in hosts.iter() {
        match find_on(host, direction, wanted) {
            Ok(device) => return Ok(device),
            Err(new) => trouble = trouble.or(Some(new)),
        }
    }
    Err(trouble.unwrap_or_else(no_system))
}

fn find_on(host: &cpal::Host, direction: Direction, wanted: Option<&str>) -> Result<cpal::Device, Trouble> {
    let kind = if direction == Direction::Input { "microphone" } else { "loudspeaker" };
    let Some(wanted) = wanted else {
        let device = default_device(host, direction);
        return device
            .filter(|device| direction == Direction::Output || !is_monitor(&DeviceName::of(device).id))
            .ok_or_else(|| Trouble::new(DeviceState::Unplugged, format!("there is no {kind}: plug one in")));
    };
    let devices = devices(host, direction)?;
    let fits = |device: &&cpal::Device| {
        let DeviceName { id, name } = DeviceName::of(device);
        id == wanted || name == wanted || id.split_once(':').is_some_and(|(_, bare)| bare == wanted)
    };
    devices.iter().find(fits).cloned().ok_or_else(|| {
        Trouble::new(DeviceState::Unplugged, format!("there is no {kind} {wanted}: `rotunda devices` lists them"))
    })
}

fn devices(host: &cpal::Host, direction: Direction) -> Result<Vec<cpal::Device>, Trouble> {
    let listed = match direction {
        Direction::Input => host.input_devices().map(Iterator::collect),
        Direction::Output => host.output_devices().map(Iterator::collect),
    };
    listed.map_err(|error| {
        forget_hosts();
        Trouble::from(error)
    })
}

fn default_device(host: &cpal::Host, direction: Direction) -> Option<cpal::Device> {
    match direction {
        Direction::Input => host.default_input_device(),
        Direction::Output => host.default_output_device(),
    }
}

fn no_system() -> Trouble {
    Trouble::new(
        DeviceState::Unplugged,
        "no sound system answers: start PulseAudio or PipeWire, or plug a sound card in",
    )
}

/// The line for everything but playing beside another loudspeaker.
const FIRST_LINE: usize = 0;
/// Loudspeakers that can play at the same time: one, another that is tried beside it, and one of a second engine.
const LINES: usize = 3;

/// A place for one loudspeaker at the sound systems. PulseAudio takes one playing stream of a connection only: `cpal`
/// binds all of them together, which is allowed before they play and to the same loudspeaker. So each has a connection
/// of its own, kept for the life of the process as every other.
#[derive(Debug)]
pub(super) struct Line(usize);

static TAKEN: Mutex<[bool; LINES]> = Mutex::new([false; LINES]);

impl Line {
    /// A free one; `None` when all are taken.
    pub(super) fn take() -> Option<Self> {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let free = taken.iter().position(|taken| !taken)?;
        taken[free] = true;
        Some(Self(free))
    }

    /// Which one.
    pub(super) fn number(&self) -> usize {
        self.0
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner)[self.0] = false;
    }
}

struct Hosts {
    connected: Option<Arc<Vec<cpal::Host>>>,
    tried: Option<Instant>,
    /// Between the last attempt and the next.
    pause: Duration,
}

impl Hosts {
    const fn new() -> Self {
        Self { connected: None, tried: None, pause: RECONNECT }
    }
}

/// By line.
static HOSTS: [Mutex<Hosts>; LINES] = [const { Mutex::new(Hosts::new()) }; LINES];

/// The sound systems that answer, the preferred one first (on Linux PulseAudio, then ALSA). Does not try again right
/// after an attempt that failed.
fn hosts(line: usize) -> Arc<Vec<cpal::Host>> {
    let mut hosts = HOSTS[line].lock().unwrap_or_else(PoisonError::into_inner);
    let preferred = cpal::available_hosts().into_iter().find(has_hardware);
    let complete = |list: &Arc<Vec<cpal::Host>>| list.first().map(cpal::Host::id) == preferred;
    let fresh = hosts.tried.is_some_and(|tried| tried.elapsed() < hosts.pause);
    if let Some(list) = hosts.connected.as_ref().filter(|list| complete(list) || fresh) {
        return Arc::clone(list);
    }
    if fresh {
        return Arc::default();
    }
    let began = Instant::now();
    let list = Arc::new(connect());
    hosts.pause = pause_after(hosts.pause, began.elapsed());
    hosts.tried = Some(Instant::now());
    hosts.connected = Some(Arc::clone(&list));
    list
}

/// How long to wait after an attempt to connect that took so long.
fn pause_after(pause: Duration, took: Duration) -> Duration {
    if took < GREETING_LIMIT { RECONNECT } else { (pause * 2).min(LONGEST_RECONNECT) }
}

/// One of the sound systems is gone: asks all of them anew next time.
fn forget_hosts() {
    for hosts in &HOSTS {
        hosts.lock().unwrap_or_else(PoisonError::into_inner).connected = None;
    }
}

fn connect() -> Vec<cpal::Host> {
    let connect = |id| match cpal::host_from_id(id) {
        Ok(host) => Some(host),
        Err(error) => {
            tracing::debug!(?id, %error, "a sound system does not answer");
            None
        }
    };
    cpal::available_hosts().into_iter().filter(has_hardware).filter_map(connect).collect()
}

/// Whether to ask a sound system at all: ALSA writes pages of complaints to standard error on a machine without a
/// sound card.
fn has_hardware(id: &cpal::HostId) -> bool {
    !(cfg!(target_os = "linux") && id.name().eq_ignore_ascii_case("alsa")) || Path::new("/proc/asound/cards").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_given_back() {
        // Others may take and give back at the same time.
        let lines: Vec<Line> = std::iter::from_fn(Line::take).collect();
        assert!(lines.len() <= LINES && lines.windows(2).all(|pair| pair[0].number() < pair[1].number()));
        drop(lines);
        assert!(Line::take().is_some());
    }

    #[test]
    fn a_sound_system_that_hangs_is_greeted_less_and_less_often() {
        let mut pauses = vec![RECONNECT];
        for _ in 0..10 {
            pauses.push(pause_after(pauses[pauses.len() - 1], GREETING_LIMIT));
        }
        assert_eq!((pauses[1], pauses[3]), (Duration::from_secs(2), Duration::from_secs(8)));
        assert_eq!(pauses[10], LONGEST_RECONNECT);
        assert_eq!(
            pause_after(LONGEST_RECONNECT, Duration::from_millis(20)),
            RECONNECT,
            "it says that it is not there"
        );
    }
}
