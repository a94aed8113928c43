//! The loudspeaker: another one when the application wishes, and what became of it. Runs on the engine's thread; the
//! playout thread opens the device.

use super::Call;
use crate::bridge::RoomEvent;
use crate::media::audio::AudioOutput;
use crate::model::DeviceUse;

impl Call<'_> {
    /// Plays on another loudspeaker.
    pub(super) async fn switch_speaker(&mut self, output: AudioOutput) {
        if let Err(error) = self.hub.switch_speaker(output) {
            self.refuse(error).await;
        }
    }

    /// Tells when another loudspeaker plays than was told last, or when the one wished for does not.
    pub(super) async fn watch_speaker(&mut self) {
        let Some(playout) = &self.hub.playout else { return };
        let state = playout.state();
        let now = DeviceUse { name: state.name, state: state.state, why: state.fallback_reason };
        if now != self.speaker {
            self.speaker = now.clone();
            self.tell(RoomEvent::SpeakerChanged(now)).await;
        }
    }
}
