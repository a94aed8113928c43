//! Whether a loudspeaker can be heard, before it is used in a call: the thread `audio-chime` opens it, plays a short
//! chime once and lets it go. No other loudspeaker stands in: what is tried is the one that was chosen.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::chime::chime;
use super::device::{Demand, Kept, OutputDevice};
use super::mixer::StereoBlock;
use super::playout_state::AudioOutput;
use crate::media::frame::{SAMPLES_10MS, rms};

const TICK: Duration = Duration::from_millis(10);
/// Sound kept ready for the device, in ms.
const READY_MS: f32 = 50.0;
/// A device that took none of the chime for so long stands still.
const STALLED: Duration = Duration::from_secs(2);
/// A device that takes so long for the chime takes no sound worth the name.
const LONGEST: Duration = Duration::from_secs(6);
/// The device is given so long at most to play what it took.
const LONGEST_REST_MS: f32 = 500.0;

/// How far a check is.
#[derive(Clone, Debug, PartialEq)]
pub enum SpeakerCheckStatus {
    /// The device is being opened, or the chime is heard.
    Playing {
        /// Of what is played now: root mean square of the louder side, 0..=1.
        level: f32,
    },
    /// All of it was played.
    Done,
    /// It cannot be used: why, and what to do.
    Failed(String),
}

/// A chime on its way to a loudspeaker. It ends by itself within a dozen seconds, whatever the device does; dropping it
/// returns at once and cuts it short.
#[derive(Debug)]
pub struct SpeakerCheck {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    status: Mutex<SpeakerCheckStatus>,
}

impl SpeakerCheck {
    /// Begins to play; [`AudioOutput::Null`] takes as long and is not heard.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(output: AudioOutput) -> io::Result<Self> {
        let status = Mutex::new(SpeakerCheckStatus::Playing { level: 0.0 });
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), status });
        let player = Arc::clone(&shared);
        std::thread::Builder::new().name("audio-chime".to_owned()).spawn(move || {
            let end = match player.play(&output) {
                Ok(()) => SpeakerCheckStatus::Done,
                Err(why) => SpeakerCheckStatus::Failed(why),
            };
            player.tell(end);
        })?;
        Ok(Self { shared })
    }

    /// How far it is.
    pub fn status(&self) -> SpeakerCheckStatus {
        self.shared.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for SpeakerCheck {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

impl Shared {
    fn tell(&self, status: SpeakerCheckStatus) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Plays all of it, or says in the device's own words why not.
    fn play(&self, output: &AudioOutput) -> Result<(), String> {
        let blocks = chime();
        if *output == AudioOutput::Null {
            self.play_nowhere(&blocks);
            return Ok(());
        }
        let device = OutputDevice::open(output.wanted(), Demand::Opens).map_err(|trouble| trouble.why)?;
        self.play_on(device, &blocks)
    }

    fn play_on(&self, mut device: OutputDevice, blocks: &[StereoBlock]) -> Result<(), String> {
        let began = Instant::now();
        // Silence behind it brings the end of it out of the resampler.
        let silence = [[0.0; SAMPLES_10MS]; 2];
        let mut rest = blocks.iter().chain(std::iter::repeat_n(&silence, 3)).peekable();
        let (mut pulses, mut pulsed) = (device.pulses(), began);
        while rest.peek().is_some() || device.queued_ms() > 0.0 {
            if self.is_stopped() {
                return Ok(());
            }
            if let Some(trouble) = device.failure() {
                return Err(trouble.why.clone());
            }
            let now = Instant::now();
            if device.pulses() != pulses {
                (pulses, pulsed) = (device.pulses(), now);
            }
            if now.duration_since(pulsed) > STALLED || now.duration_since(began) > LONGEST {
                return Err(OutputDevice::standstill().why);
            }
            while device.queued_ms() < READY_MS
                && let Some(block) = rest.next()
            {
                device.write(block);
                self.tell(SpeakerCheckStatus::Playing { level: level(block) });
            }
            std::thread::sleep(TICK);
        }
        // The device still has what it took last.
        std::thread::sleep(Duration::from_secs_f32(device.delay_ms().clamp(0.0, LONGEST_REST_MS) / 1e3));
        Ok(())
    }

    /// Takes the time that playing takes.
    fn play_nowhere(&self, blocks: &[StereoBlock]) {
        let began = Instant::now();
        for (block, due) in blocks.iter().zip(1u32..) {
            if self.is_stopped() {
                return;
            }
            self.tell(SpeakerCheckStatus::Playing { level: level(block) });
            std::thread::sleep((TICK * due).saturating_sub(began.elapsed()));
        }
    }
}

/// Of the louder side.
fn level(block: &StereoBlock) -> f32 {
    block.iter().map(|ear| rms(ear)).fold(0.0, f32::max).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for the end; gives the highest level on the way.
    fn follow(check: &SpeakerCheck, limit: Duration) -> (SpeakerCheckStatus, f32) {
        let (began, mut highest) = (Instant::now(), 0.0f32);
        loop {
            match check.status() {
                SpeakerCheckStatus::Playing { level } => highest = highest.max(level),
                end => return (end, highest),
            }
            assert!(began.elapsed() < limit, "it plays on");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn a_chime_to_nowhere_takes_its_time_and_is_done() {
        let began = Instant::now();
        let check = SpeakerCheck::start(AudioOutput::Null).unwrap();
        assert!(matches!(check.status(), SpeakerCheckStatus::Playing { .. }));
        let (end, highest) = follow(&check, Duration::from_secs(20));
        assert_eq!(end, SpeakerCheckStatus::Done);
        assert!(began.elapsed() >= Duration::from_millis(1_190), "{:?}", began.elapsed());
        assert!((0.05..0.3).contains(&highest), "its level is shown: {highest}");
    }

    /// Needs no sound system: without one the reason is another sentence.
    #[test]
    fn a_loudspeaker_that_is_not_there_fails_with_what_to_do() {
        let began = Instant::now();
        let check = SpeakerCheck::start(AudioOutput::Named("no such loudspeaker".to_owned())).unwrap();
        assert!(began.elapsed() < Duration::from_millis(500), "nobody waits for it: {:?}", began.elapsed());
        let (end, _) = follow(&check, Duration::from_secs(20));
        assert!(matches!(&end, SpeakerCheckStatus::Failed(why) if why.contains(':')), "{end:?}");
    }

    #[test]
    fn it_is_cut_short_without_waiting() {
        let check = SpeakerCheck::start(AudioOutput::Null).unwrap();
        let shared = Arc::downgrade(&check.shared);
        let began = Instant::now();
        drop(check);
        assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
        while shared.strong_count() > 0 {
            assert!(began.elapsed() < Duration::from_millis(1_100), "it plays on");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
