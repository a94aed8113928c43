//! What is kept of a voice between two blocks so that it can be heard from somewhere. Plain data.

use super::bearing::Bearing;
use super::ears::EarFilter;
use crate::media::frame::SAMPLES_10MS;
use crate::model::sound::VoicePlace;

/// A voice on a [`Stage`](super::Stage): where it is, and what it needs to go on from there without a click.
pub struct StageVoice {
    /// Where it is to be heard from.
    pub(super) place: VoicePlace,
    /// What the filter in use was made for; `None` while the voice is heard everywhere.
    pub(super) bearing: Option<Bearing>,
    /// The block before, as loud as it was mixed.
    pub(super) past: [f32; SAMPLES_10MS],
    /// The filter in use.
    pub(super) filter: Box<EarFilter>,
    /// Room for the next one.
    pub(super) spare: Box<EarFilter>,
}

impl Default for StageVoice {
    fn default() -> Self {
        Self {
            place: VoicePlace::EVERYWHERE,
            bearing: None,
            past: [0.0; SAMPLES_10MS],
            filter: Box::default(),
            spare: Box::default(),
        }
    }
}

impl StageVoice {
    /// Heard from there from the next block on. The place must be harmless, as
    /// [`SoundScene::made_harmless`](crate::model::sound::SoundScene::made_harmless) leaves it.
    pub fn put(&mut self, place: VoicePlace) {
        self.place = place;
    }

    /// Where it is to be heard from.
    pub fn place(&self) -> VoicePlace {
        self.place
    }
}
