//! Lip sync: which of a stream's sound and picture waits for the other, and how far behind the sender both are. Plain
//! data; the figures are inputs.
//!
//! Both tracks' sender reports tell one clock of the sender's, so the time from capture to play of each can be compared
//! although nobody knows the difference to our own clock. As in WebRTC's stream synchronisation, whichever is early
//! waits, in small steps, so that neither jumps.

use std::time::{Duration, Instant};

/// Neither is held longer than this for the other's sake.
const MOST_MS: f32 = 300.0;
/// What is left alone when the sound is early, in ms: a viewer begins to notice 45 (ITU-R BT.1359-1).
const EARLY_SOUND: Bounds = Bounds { begin_ms: 20.0, let_go_ms: 10.0, left_ms: 0.0 };
/// And when it is late, as sound in a room always is: 125 are noticed, so a picture need not wait for all of it.
const LATE_SOUND: Bounds = Bounds { begin_ms: 35.0, let_go_ms: 25.0, left_ms: 25.0 };
/// How often a step is made, and how large it may be.
const STEP_INTERVAL: Duration = Duration::from_millis(500);
const STEP_MS: f32 = 40.0;
/// Weight of a new difference in the smoothed one.
const SMOOTHING: f32 = 0.4;

/// How far behind the sender's clock a track plays, and what of that is its own affair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lag {
    /// From capture to play, the difference of the clocks included, in ms.
    pub whole_ms: f64,
    /// The delay the track would hold by itself, in ms.
    pub own_hold_ms: f32,
    /// The delay it holds now, in ms.
    pub hold_ms: f32,
}

/// How long each track is to be held at least, in ms after the fastest way: 0 is as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Holds {
    pub audio_ms: f32,
    pub video_ms: f32,
}

/// Which differences one track waits out for the other.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// A hold begins above this, and is let go below that: a difference near the bound changes nothing.
    begin_ms: f32,
    let_go_ms: f32,
    /// What a hold leaves of the difference.
    left_ms: f32,
}

/// Keeps one stream's two tracks together.
#[derive(Debug, Default)]
pub(super) struct LipSync {
    smoothed_ms: Option<f32>,
    stepped: Option<Instant>,
    holds: Holds,
}

impl LipSync {
    /// Takes where both tracks are; answers how long each is to be held.
    pub(super) fn update(&mut self, audio: Lag, video: Lag, now: Instant) -> Holds {
        // Without any hold for the other's sake the sound would be this much later than its picture.
        let natural = |lag: Lag| lag.whole_ms - f64::from(lag.hold_ms) + f64::from(lag.own_hold_ms);
        let difference_ms = (natural(audio) - natural(video)) as f32;
        if !difference_ms.is_finite() {
            return self.holds;
        }
        let smoothed = self.smoothed_ms.map_or(difference_ms, |before| before + (difference_ms - before) * SMOOTHING);
        self.smoothed_ms = Some(smoothed);
        if self.stepped.is_some_and(|at| now.saturating_duration_since(at) < STEP_INTERVAL) {
            return self.holds;
        }
        self.stepped = Some(now);
        self.holds.audio_ms = step(self.holds.audio_ms, -smoothed, audio.own_hold_ms, EARLY_SOUND);
        self.holds.video_ms = step(self.holds.video_ms, smoothed, video.own_hold_ms, LATE_SOUND);
        self.holds
    }
}

/// One step from the present hold towards the one that is wanted when the other track is this much later. A hold below
/// what the track holds by itself is none.
fn step(present_ms: f32, later_ms: f32, own_ms: f32, bounds: Bounds) -> f32 {
    let tolerated_ms = if present_ms > 0.0 { bounds.let_go_ms } else { bounds.begin_ms };
    let wanted = if later_ms > tolerated_ms { own_ms + (later_ms - bounds.left_ms).min(MOST_MS) } else { own_ms };
    let present = present_ms.max(own_ms);
    let next = present + (wanted - present).clamp(-STEP_MS, STEP_MS);
    if next <= own_ms { 0.0 } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays for some seconds with these natural lags; answers the sound's lag behind the picture at the end, and the
    /// largest step it made.
    fn play(audio_ms: f64, video_ms: f64, secs: u64, wobble_ms: f64) -> (f64, Holds, f32) {
        let mut sync = LipSync::default();
        let start = Instant::now();
        let (mut holds, mut largest) = (Holds::default(), 0.0f32);
        let (audio_own, video_own) = (30.0, 0.0);
        for tick in 0..secs * 10 {
            let hold = |hold: f32, own: f32| hold.max(own);
            let lag = |natural: f64, held: f32, own: f32| Lag {
                whole_ms: natural + f64::from(hold(held, own) - own),
                own_hold_ms: own,
                hold_ms: hold(held, own),
            };
            let wobble = if tick % 2 == 0 { wobble_ms } else { -wobble_ms };
            let (audio, video) =
                (lag(audio_ms + wobble, holds.audio_ms, audio_own), lag(video_ms, holds.video_ms, video_own));
            let next = sync.update(audio, video, start + Duration::from_millis(tick * 100));
            largest = largest.max((next.video_ms - holds.video_ms).abs());
            holds = next;
        }
        let audio = audio_ms + f64::from(holds.audio_ms.max(audio_own) - audio_own);
        (audio - video_ms - f64::from(holds.video_ms), holds, largest)
    }

    #[test]
    fn whichever_is_early_waits() {
        let (offset, holds, largest) = play(5_180.0, 5_020.0, 10, 3.0);
        assert!((20.0..=40.0).contains(&offset), "{offset} ms");
        assert!(holds.audio_ms == 0.0 && largest <= STEP_MS + 0.1, "the picture waited, in steps of {largest} ms");
        let (offset, holds, _) = play(-40.0, 90.0, 10, 3.0);
        assert!(offset.abs() <= 25.0, "{offset} ms");
        assert!(holds.video_ms == 0.0 && holds.audio_ms > 100.0, "the sound waited");
    }

    #[test]
    fn a_small_difference_moves_nothing_and_a_large_one_is_bounded() {
        assert_eq!(play(30.0, 0.0, 10, 4.0).1, Holds::default());
        assert_eq!(play(0.0, 15.0, 10, 4.0).1, Holds::default());
        let (offset, holds, _) = play(2_000.0, 0.0, 60, 0.0);
        assert_eq!((holds.audio_ms, holds.video_ms), (0.0, MOST_MS));
        assert!(offset > 1_600.0, "beyond the bound it stays apart rather than far behind");
        assert_eq!(play(f64::NAN, 0.0, 2, 0.0).1, Holds::default());
    }

    #[test]
    fn a_difference_near_the_bound_does_not_come_and_go() {
        let mut sync = LipSync::default();
        let start = Instant::now();
        let (mut holds, mut changes) = (Holds::default(), 0);
        for tick in 0..600u64 {
            // Three seconds a little above it, three a little below.
            let natural = if tick / 30 % 2 == 0 { 39.0 } else { 31.0 };
            let audio = Lag { whole_ms: natural, own_hold_ms: 0.0, hold_ms: 0.0 };
            let video = Lag { whole_ms: f64::from(holds.video_ms), own_hold_ms: 0.0, hold_ms: holds.video_ms };
            let next = sync.update(audio, video, start + Duration::from_millis(tick * 100));
            changes += u32::from((next.video_ms > 0.0) != (holds.video_ms > 0.0));
            holds = next;
        }
        assert_eq!(changes, 1, "held once and for all");
    }

    #[test]
    fn sound_120_ms_before_its_picture_ends_within_what_a_viewer_notices() {
        let mut sync = LipSync::default();
        let start = Instant::now();
        // The sound holds 30 ms by itself. Its buffer follows what is wanted by 3 ms in 100 and rests up to 20 below.
        let (own_ms, mut held_ms, mut holds) = (30.0f32, 30.0f32, Holds::default());
        let mut worst_ms = 0.0f64;
        for tick in 0..300u64 {
            let wobble = if tick % 2 == 0 { 8.0 } else { -8.0 };
            let audio = Lag { whole_ms: f64::from(held_ms) + wobble, own_hold_ms: own_ms, hold_ms: held_ms };
            let video = Lag { whole_ms: 150.0 + f64::from(holds.video_ms), own_hold_ms: 0.0, hold_ms: holds.video_ms };
            if tick >= 100 {
                worst_ms = worst_ms.max((audio.whole_ms - wobble - video.whole_ms).abs());
            }
            holds = sync.update(audio, video, start + Duration::from_millis(tick * 100));
            let target_ms = holds.audio_ms.max(own_ms);
            held_ms += (target_ms - 20.0 - held_ms).clamp(0.0, 3.0) - (held_ms - target_ms).clamp(0.0, 3.0);
        }
        assert!(worst_ms <= 45.0, "{worst_ms} ms after ten seconds");
        assert_eq!(holds.video_ms, 0.0, "the picture does not wait");
    }

    #[test]
    fn a_hold_that_is_not_needed_any_more_is_let_go() {
        let mut sync = LipSync::default();
        let start = Instant::now();
        let mut holds = Holds::default();
        for tick in 0..400u64 {
            let natural = if tick < 100 { 200.0 } else { 0.0 };
            let audio = Lag { whole_ms: natural, own_hold_ms: 0.0, hold_ms: 0.0 };
            let video = Lag { whole_ms: f64::from(holds.video_ms), own_hold_ms: 0.0, hold_ms: holds.video_ms };
            holds = sync.update(audio, video, start + Duration::from_millis(tick * 100));
            assert!(tick != 99 || holds.video_ms > 150.0);
        }
        assert_eq!(holds, Holds::default());
    }
}
