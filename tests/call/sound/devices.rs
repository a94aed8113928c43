//! Microphones and loudspeakers that are chosen, unplugged, plugged in again, and stand still.

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use rotunda::media::audio::{AudioInput, AudioOutput, Microphone, Playout, list_devices};
use rotunda::media::{AudioSource, CaptureError};
use rotunda::model::{DeviceState, DeviceUse};

use super::{SOON, pactl, signal, wait_for};

/// Whoever asks a sound system that hangs has an answer within this.
const ANSWERED: Duration = Duration::from_secs(5);

/// Something that whistles.
fn whistle(name: &str, hz: u32) {
    pactl(&["load-module", "module-null-sink", &format!("sink_name={name}-whistle"), "rate=48000"]);
    pactl(&["load-module", "module-sine", &format!("sink={name}-whistle"), &format!("frequency={hz}")]);
}

/// A microphone that hears the whistle.
fn plug_in(name: &str) -> String {
    let master = format!("master={name}-whistle.monitor");
    pactl(&["load-module", "module-remap-source", &format!("source_name={name}"), &master])
}

fn plug_out(module: &str) {
    pactl(&["unload-module", module]);
}

/// The pitch of 100 ms of sound, or why there was none.
fn pitch(microphone: &mut Microphone) -> Result<f32, DeviceState> {
    let mut sound = Vec::new();
    while sound.len() < 4_800 {
        match microphone.next_block() {
            Ok(Some(block)) => {
                assert_eq!((block.samples.len(), block.channels), (480, 1));
                sound.extend(block.samples);
            }
            Ok(None) => panic!("a microphone never ends"),
            Err(CaptureError::Interrupted { state, .. }) => return Err(state),
            Err(other) => panic!("{other}"),
        }
    }
    let crossings = sound.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
    Ok(crossings as f32 * 10.0)
}

#[track_caller]
fn wait_pitch(what: &str, microphone: &mut Microphone, hz: f32) {
    let deadline = Instant::now() + SOON;
    let mut heard = Vec::new();
    loop {
        let now = pitch(microphone);
        if now.is_ok_and(|pitch| (pitch - hz).abs() <= 30.0) {
            return;
        }
        heard.push(now);
        assert!(Instant::now() < deadline, "{what}: {hz} Hz expected; {:?}; {heard:?}", microphone.state().get());
    }
}

/// Records until the microphone tells this of its device.
#[track_caller]
fn wait_news(what: &str, microphone: &mut Microphone, fits: impl Fn(&DeviceUse) -> bool) {
    let (deadline, mut told) = (Instant::now() + SOON, Vec::new());
    while !told.last().is_some_and(&fits) {
        assert!(Instant::now() < deadline, "{what}: {told:?}");
        microphone.next_block().ok();
        told.extend(microphone.device_news());
    }
}

#[track_caller]
fn wait_trouble(what: &str, microphone: &mut Microphone, wanted: DeviceState) {
    let deadline = Instant::now() + SOON;
    loop {
        let now = pitch(microphone);
        if now == Err(wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {wanted:?} expected, {now:?} heard");
    }
}

/// Does something that must not be held up by a sound system, and gives what comes of it.
#[track_caller]
fn answered<T: Send + 'static>(what: &str, call: impl FnOnce() -> T + Send + 'static) -> T {
    let (answer, wait) = sync_channel(1);
    let thread = std::thread::Builder::new().name("answered".to_owned());
    thread.spawn(move || answer.send(call()).ok()).unwrap();
    wait.recv_timeout(ANSWERED).unwrap_or_else(|error| panic!("{what} within {ANSWERED:?}: {error}"))
}

fn plays_on(playout: &Playout, name: &str) -> bool {
    playout.state().id.is_some_and(|id| id.ends_with(&format!(":{name}")))
}

#[test]
#[ignore = "run by its parent, with a sound system of its own"]
fn child() {
    microphones();
    loudspeakers();
}

#[test]
#[ignore = "run by its parent, with a sound system of its own"]
fn child_stands_still() {
    whistle("low", 440);
    whistle("high", 880);
    plug_in("low");
    plug_in("high");
    pactl(&["set-default-source", "high"]);
    pactl(&["load-module", "module-null-sink", "sink_name=first"]);
    pactl(&["set-default-sink", "speaker"]);
    let mut microphone = Microphone::new(AudioInput::Named("low".to_owned()));
    wait_pitch("the chosen one", &mut microphone, 440.0);
    let probed = Playout::probe(&AudioOutput::Named("first".to_owned()));
    assert_eq!(probed.state, DeviceState::On, "{probed:?}");
    let playout = Playout::start(AudioOutput::Named("first".to_owned())).unwrap();
    wait_for("the chosen loudspeaker", || plays_on(&playout, "first").then_some(()));

    pactl(&["suspend-source", "low", "1"]);
    pactl(&["suspend-sink", "first", "1"]);
    wait_pitch("another stands in", &mut microphone, 880.0);
    let used = microphone.state().get();
    assert_eq!(used.state, DeviceState::Stalled, "{used:?}");
    assert!(used.fallback_reason.is_some_and(|why| why.contains("gives no sound")));
    wait_for("the default loudspeaker", || plays_on(&playout, "speaker").then_some(()));
    // Long enough for one attempt to get the suspended one back.
    let until = Instant::now() + Duration::from_secs(13);
    while Instant::now() < until {
        assert!(pitch(&mut microphone).is_ok(), "the stand-in is not interrupted");
        let state = playout.state();
        assert!(plays_on(&playout, "speaker") && state.state == DeviceState::Stalled, "{state:?}");
        assert!(state.fallback_reason.is_some_and(|why| why.contains("takes no sound")));
    }
    assert_eq!(Playout::probe(&AudioOutput::Named("first".to_owned())).state, DeviceState::Stalled);

    pactl(&["suspend-source", "low", "0"]);
    pactl(&["suspend-sink", "first", "0"]);
    wait_pitch("the chosen one again", &mut microphone, 440.0);
    wait_for("the chosen loudspeaker again", || plays_on(&playout, "first").then_some(()));
    assert_eq!((playout.state().state, playout.fallback_reason()), (DeviceState::On, None));
    assert_eq!(microphone.state().get().state, DeviceState::On);
}

#[test]
#[ignore = "run by its parent, with a sound system of its own"]
fn child_hangs() {
    whistle("low", 440);
    plug_in("low");
    pactl(&["set-default-source", "low"]);
    pactl(&["set-default-sink", "speaker"]);
    let mut microphone = Microphone::new(AudioInput::Default);
    wait_pitch("the microphone", &mut microphone, 440.0);
    let playout = Playout::start(AudioOutput::Device).unwrap();
    wait_for("the loudspeaker", || (plays_on(&playout, "speaker") && playout.delay_ms() > 1.0).then_some(()));
    let another = Playout::start(AudioOutput::Device).unwrap();

    signal("STOP");
    for _ in 0..3 {
        answered("a list", list_devices);
    }
    let state = wait_for("silence", || Some(playout.state()).filter(|state| state.state == DeviceState::Stalled));
    assert_eq!(state.id, None, "{state:?}");
    answered("the end of a playout", move || drop(another));
    let late = answered("a playout", || Playout::start(AudioOutput::Device).unwrap());
    assert_eq!(late.state().state, DeviceState::Stalled, "{:?}", late.state());
    answered("the end of it", move || drop(late));
    wait_trouble("no answer", &mut microphone, DeviceState::Stalled);
    let asked = Instant::now();
    assert!(microphone.next_block().is_err());
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());

    signal("CONT");
    wait_for("the loudspeaker again", || {
        (plays_on(&playout, "speaker") && playout.state().state == DeviceState::On).then_some(())
    });
    wait_for("a delay again", || (playout.delay_ms() > 1.0).then_some(()));
    wait_pitch("the microphone again", &mut microphone, 440.0);
    assert!(!answered("a list", list_devices).outputs.is_empty());
    answered("the end of the playout", move || drop(playout));
}

fn microphones() {
    whistle("low", 440);
    whistle("high", 880);
    let low = plug_in("low");
    let high = plug_in("high");
    pactl(&["set-default-source", "low"]);
    let listed = list_devices();
    assert!(listed.inputs.iter().any(|input| input.id.ends_with(":low") && input.is_default && !input.is_monitor));
    assert!(listed.inputs.iter().any(|input| input.is_monitor), "{listed:?}");

    // The default one is followed.
    let mut default = Microphone::new(AudioInput::Default);
    wait_pitch("the default", &mut default, 440.0);
    pactl(&["set-default-source", "high"]);
    wait_pitch("another default", &mut default, 880.0);

    // A chosen one that is unplugged is replaced by the default one, and taken again when it is back.
    let mut chosen = Microphone::new(AudioInput::Named("low".to_owned()));
    let state = chosen.state();
    wait_pitch("the chosen one", &mut chosen, 440.0);
    assert_eq!((state.get().state, state.get().fallback_reason), (DeviceState::On, None));
    let news = chosen.device_news();
    assert!(news.as_ref().is_some_and(|news| news.state == DeviceState::On && news.name.is_some()), "{news:?}");
    assert_eq!(chosen.device_news(), None, "told once");
    plug_out(&low);
    wait_pitch("unplugged", &mut chosen, 880.0);
    // PulseAudio itself may have moved the recording there, before the loss is noticed.
    wait_news("its loss", &mut chosen, |news| news.state == DeviceState::Unplugged && news.name.is_some());
    assert_eq!(state.get().state, DeviceState::Unplugged);
    assert!(state.get().fallback_reason.is_some_and(|why| why.contains("low")), "{:?}", state.get());
    let low = plug_in("low");
    wait_pitch("plugged in again", &mut chosen, 440.0);
    assert_eq!(state.get().state, DeviceState::On);

    // A microphone that stands still says so, and goes on by itself.
    pactl(&["suspend-source", "low", "1"]);
    wait_trouble("suspended", &mut chosen, DeviceState::Stalled);
    pactl(&["suspend-source", "low", "0"]);
    wait_pitch("resumed", &mut chosen, 440.0);

    // Without any microphone a loudspeaker's monitor is not taken for one, unless it is asked for.
    plug_out(&low);
    plug_out(&high);
    wait_trouble("the default unplugged", &mut default, DeviceState::Unplugged);
    wait_trouble("the chosen one unplugged", &mut chosen, DeviceState::Unplugged);
    let mut system = Microphone::stereo(AudioInput::Named("speaker.monitor".to_owned()));
    wait_for("the sound of the system", || {
        system.next_block().ok().flatten().filter(|block| block.channels == 2 && block.samples.len() == 960)
    });
    plug_in("low");
    wait_pitch("a microphone again", &mut default, 440.0);
}

fn loudspeakers() {
    let plug_in = |name: &str| pactl(&["load-module", "module-null-sink", &format!("sink_name={name}")]);
    let first = plug_in("first");
    plug_in("second");
    pactl(&["set-default-sink", "speaker"]);
    let playout = Playout::start(AudioOutput::Named("first".to_owned())).unwrap();
    let playing_on = |name: &str| plays_on(&playout, name);
    wait_for("the chosen loudspeaker", || playing_on("first").then_some(()));
    assert_eq!(playout.state().fallback_reason, None);
    wait_for("a delay", || (playout.delay_ms() > 1.0).then_some(()));

    plug_out(&first);
    wait_for("the default one", || playing_on("speaker").then_some(()));
    assert_eq!(playout.state().state, DeviceState::Unplugged, "{:?}", playout.state());
    assert!(playout.fallback_reason().is_some_and(|why| why.contains("first")));
    plug_in("first");
    wait_for("the chosen one again", || playing_on("first").then_some(()));
    assert_eq!(playout.state().state, DeviceState::On);

    playout.switch(AudioOutput::Named("second".to_owned()));
    wait_for("another one", || playing_on("second").then_some(()));
    playout.switch(AudioOutput::Device);
    wait_for("the default one", || playing_on("speaker").then_some(()));
    pactl(&["set-default-sink", "second"]);
    wait_for("another default", || playing_on("second").then_some(()));
    playout.switch(AudioOutput::Null);
    wait_for("none", || (playout.state().id.is_none() && playout.fallback_reason().is_none()).then_some(()));
}
