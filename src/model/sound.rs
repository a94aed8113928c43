//! Where everyone is heard from: plain data that the room writes and the playout thread reads.

use std::collections::BTreeMap;

use super::ids::StreamId;

/// Attribute of a participant who speaks to the whole room, wherever they are, while its value is [`VOICE_TO_ALL`].
///
/// It is the host's: our server takes it from those only whose token lets them administer the room, whom they made a
/// host, or from whoever made the token. Another server takes it from everyone who may change their own attributes.
pub const VOICE_ATTRIBUTE: &str = "rotunda.voice";
/// See [`VOICE_ATTRIBUTE`].
pub const VOICE_TO_ALL: &str = "all";

/// Loudest a single person may be set: +6 dB.
pub const MAX_VOLUME: f32 = 2.0;

/// Nothing is farther away than this from the origin on any axis, in metres.
const FARTHEST_M: f32 = 1_000.0;
/// Voices that have a place; more than are ever played.
const MAX_VOICES: usize = 1_024;

/// How voices are brought to the ears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hearing {
    /// All alike in both ears.
    #[default]
    Plain,
    /// From where they are.
    Spatial,
}

/// Where the listener's head is. Metres, Y up, right-handed, as in the room.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Listener {
    /// Between the ears.
    pub position: [f32; 3],
    /// Where the nose points; any length but zero.
    pub forward: [f32; 3],
    /// Where the crown points; any length but zero, not along `forward`.
    pub up: [f32; 3],
}

impl Default for Listener {
    fn default() -> Self {
        Self { position: [0.0; 3], forward: [0.0, 0.0, -1.0], up: [0.0, 1.0, 0.0] }
    }
}

/// Where one voice comes from and how loud it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VoicePlace {
    /// Metres, as [`Listener::position`]; `None` is everywhere: in the middle of the head, at full level.
    pub from: Option<[f32; 3]>,
    /// 1 is as sent, 0 silent, at most [`MAX_VOLUME`].
    pub volume: f32,
}

impl VoicePlace {
    /// Everywhere, as loud as it was sent: what is played without being told otherwise.
    pub const EVERYWHERE: Self = Self { from: None, volume: 1.0 };
}

impl Default for VoicePlace {
    fn default() -> Self {
        Self::EVERYWHERE
    }
}

/// All that is to be known to play voices from where they are. What is not in it is heard everywhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SoundScene {
    /// How.
    pub hearing: Hearing,
    /// By whom.
    pub listener: Listener,
    /// The sound of played streams.
    pub voices: BTreeMap<StreamId, VoicePlace>,
}

impl SoundScene {
    /// The same with everything finite and within bounds: a listener that is nowhere stands at the origin and looks to
    /// -Z, a voice that is nowhere is heard everywhere, and what is too far comes nearer.
    #[must_use]
    pub fn made_harmless(mut self) -> Self {
        let default = Listener::default();
        self.listener = Listener {
            position: place(self.listener.position).unwrap_or(default.position),
            forward: direction(self.listener.forward).unwrap_or(default.forward),
            up: direction(self.listener.up).unwrap_or(default.up),
        };
        while self.voices.len() > MAX_VOICES {
            self.voices.pop_last();
        }
        for voice in self.voices.values_mut() {
            voice.from = voice.from.and_then(place);
            voice.volume = if voice.volume.is_finite() { voice.volume.clamp(0.0, MAX_VOLUME) } else { 1.0 };
        }
        self
    }
}

fn place(at: [f32; 3]) -> Option<[f32; 3]> {
    let finite = at.iter().all(|coordinate| coordinate.is_finite());
    finite.then(|| at.map(|coordinate| coordinate.clamp(-FARTHEST_M, FARTHEST_M)))
}

/// A vector of length 1 that way.
fn direction(way: [f32; 3]) -> Option<[f32; 3]> {
    let largest = way.iter().fold(0.0f32, |largest, part| largest.max(part.abs()));
    if !way.iter().all(|part| part.is_finite()) || largest < 1e-6 {
        return None;
    }
    // Scaled first: squares of what is very long overflow.
    let way = way.map(|part| part / largest);
    let length = way.iter().map(|part| part * part).sum::<f32>().sqrt();
    Some(way.map(|part| part / length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_scenes_are_made_harmless() {
        let id = |name: &str| StreamId::new(name).unwrap();
        let voice = |from, volume| VoicePlace { from, volume };
        let scene = SoundScene {
            hearing: Hearing::Spatial,
            listener: Listener {
                position: [f32::NAN, 0.0, 0.0],
                forward: [f32::MAX, f32::MAX, 0.0],
                up: [0.0, f32::INFINITY, 0.0],
            },
            voices: BTreeMap::from([
                (id("nowhere"), voice(Some([0.0, f32::NEG_INFINITY, 0.0]), f32::NAN)),
                (id("far"), voice(Some([1e30, -1e30, 3.0]), -5.0)),
                (id("loud"), voice(Some([1.0, 2.0, 3.0]), 1e9)),
            ]),
        }
        .made_harmless();
        assert_eq!(scene.listener.position, [0.0; 3]);
        assert!((scene.listener.forward[0] - 0.5f32.sqrt()).abs() < 1e-6, "{:?}", scene.listener);
        assert_eq!(scene.listener.up, [0.0, 1.0, 0.0]);
        assert_eq!(scene.voices[&id("nowhere")], VoicePlace::EVERYWHERE);
        assert_eq!(scene.voices[&id("far")], voice(Some([FARTHEST_M, -FARTHEST_M, 3.0]), 0.0));
        assert_eq!(scene.voices[&id("loud")], voice(Some([1.0, 2.0, 3.0]), MAX_VOLUME));
    }

    #[test]
    fn more_voices_than_there_can_be_are_cut_off() {
        let many = (0..3_000).map(|n| (StreamId::new(format!("s{n}")).unwrap(), VoicePlace::EVERYWHERE)).collect();
        let scene = SoundScene { voices: many, ..SoundScene::default() }.made_harmless();
        assert_eq!(scene.voices.len(), MAX_VOICES);
    }
}
