//! Tells own sounds what the way to the server carries and loses. Sound goes first: half of the way is its own, which it
//! hardly ever needs.

use super::Call;
use crate::client::link::Link;
use crate::model::MediaKind;

/// Share of the way that sounds may take before pictures.
const SOUND_SHARE: f64 = 0.5;

impl Call<'_> {
    /// Shares half of the way among own sounds.
    pub(super) fn adapt_sounds(&self, link: &Link) {
        let Some(estimate) = link.bandwidth.bps() else { return };
        let sounds = || {
            let tracks = self.own.values().flat_map(|publication| &publication.tracks);
            tracks.filter(|track| track.media == MediaKind::Audio)
        };
        let speaking = sounds().filter(|track| !track.muted).count().max(1);
        let share = (estimate * SOUND_SHARE / speaking as f64).min(f64::from(u32::MAX)) as u32;
        for track in sounds() {
            track.gate.sound.set_bitrate(share);
            track.gate.sound.set_loss(link.bandwidth.loss());
        }
    }
}
