//! How much each own picture may send, and which of its layers: what the way carries, and what the server says is
//! watched.

use livekit_protocol as proto;

use super::Call;
use super::own_track::OwnTrack;
use crate::client::link::Link;
use crate::client::publish::{Claim, MAX_LAYERS, share_out};
use crate::model::{MediaKind, StreamKind};

/// What data and control need of the way, in bit/s, before pictures share the rest.
const CONTROL_BPS: f64 = 20_000.0;
/// Packets leave this much faster than the way is thought to carry, so that a large frame does not wait for long
/// (WebRTC's pacer has the same).
const PACE_FACTOR: f64 = 2.5;

impl Call<'_> {
    /// Shares what the way carries among own pictures and their layers.
    pub(super) fn adapt_rates(&self, link: &Link) {
        let Some(estimate) = link.bandwidth.bps() else { return };
        let pictures: Vec<(StreamKind, &OwnTrack)> = self
            .own
            .values()
            .flat_map(|publication| publication.tracks.iter().map(|track| (publication.kind(), track)))
            .filter(|(_, track)| track.picture.is_some() && !track.muted)
            .collect();
        let claims: Vec<Claim> = pictures.iter().filter_map(|(kind, track)| claim(*kind, track)).collect();
        let sounds = self.own.values().flat_map(|publication| &publication.tracks);
        let sounds = sounds.filter(|track| track.media == MediaKind::Audio && !track.muted);
        let left = left_by_sounds(estimate, sounds.map(|track| track.gate.sound.planned()));
        let shares = share_out(left, &claims);
        for ((_, track), rates) in pictures.into_iter().zip(shares) {
            track.gate.set_layer_rates(rates);
            track.gate.set_pace((estimate * PACE_FACTOR).min(f64::from(u32::MAX)) as u32);
        }
    }

    /// The server tells which qualities of an own picture are watched (dynacast): what nobody watches is not encoded.
    pub(super) fn watched_changed(&self, update: &proto::SubscribedQualityUpdate) {
        let named = |track: &&OwnTrack| track.sid().is_some_and(|sid| sid.as_str() == update.track_sid);
        let Some(track) = self.own.values().flat_map(|publication| &publication.tracks).find(named) else { return };
        if let Some(ranks) = track.codec_name().and_then(|codec| watched(update, codec)) {
            tracing::debug!(track = update.track_sid, ?ranks, "other qualities are watched");
            track.gate.set_watched(ranks);
        }
    }
}

/// What is left of the way, in bit/s, for pictures when own sounds send so much each.
fn left_by_sounds(estimate_bps: f64, sounds_bps: impl Iterator<Item = u32>) -> f64 {
    estimate_bps - CONTROL_BPS - sounds_bps.map(f64::from).sum::<f64>()
}

fn claim(kind: StreamKind, track: &OwnTrack) -> Option<Claim> {
    let picture = track.picture?;
    let watched = track.gate.watched();
    let caps_bps = std::array::from_fn(|layer| {
        let wanted = layer < picture.layers.count() && picture.layers.is_wanted(layer, watched);
        if wanted { picture.layers.cap_bps(layer, picture.options.max_bitrate_bps) } else { 0 }
    });
    Some(Claim { caps_bps, sending: track.gate.active(), first: kind == StreamKind::Screen })
}

/// The ranks of this codec that are watched; `None` when the update does not speak of it.
fn watched(update: &proto::SubscribedQualityUpdate, codec: &str) -> Option<[bool; MAX_LAYERS]> {
    let of_codec = update.subscribed_codecs.iter().find(|of| {
        let name = of.codec.rsplit('/').next().unwrap_or_default();
        name.eq_ignore_ascii_case(codec)
    });
    #[expect(deprecated, reason = "older servers have nothing else")]
    let qualities = match of_codec {
        Some(of_codec) => &of_codec.qualities,
        None if update.subscribed_codecs.is_empty() => &update.subscribed_qualities,
        None => return None,
    };
    let mut ranks = [false; MAX_LAYERS];
    for quality in qualities.iter().filter(|quality| quality.enabled) {
        match quality.quality() {
            proto::VideoQuality::Low => ranks[0] = true,
            proto::VideoQuality::Medium => ranks[1] = true,
            proto::VideoQuality::High => ranks[2] = true,
            proto::VideoQuality::Off => {}
        }
    }
    Some(ranks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::VideoQuality as Quality;

    fn qualities(list: &[(Quality, bool)]) -> Vec<proto::SubscribedQuality> {
        list.iter()
            .map(|(quality, enabled)| proto::SubscribedQuality { quality: (*quality).into(), enabled: *enabled })
            .collect()
    }

    #[test]
    fn pictures_get_what_sounds_leave() {
        assert_eq!(left_by_sounds(500_000.0, [].into_iter()), 480_000.0);
        // A microphone with two copies, and the sound of a screen in stereo with one.
        let left = left_by_sounds(500_000.0, [175_200, 221_600].into_iter());
        assert_eq!(left, 83_200.0);
        let camera = Claim { caps_bps: [130_000, 360_000, 1_010_000], sending: [true; 3], first: false };
        assert_eq!(share_out(left, &[camera]), [[100_000, 0, 0]]);
    }

    #[test]
    fn both_forms_of_the_update_are_read() {
        let list = qualities(&[(Quality::Low, true), (Quality::Medium, true), (Quality::High, false)]);
        #[expect(deprecated, reason = "older servers have nothing else")]
        let old = proto::SubscribedQualityUpdate { subscribed_qualities: list.clone(), ..Default::default() };
        assert_eq!(watched(&old, "vp8"), Some([true, true, false]));
        let codecs = vec![
            proto::SubscribedCodec { codec: "h264".into(), qualities: qualities(&[(Quality::High, false)]) },
            proto::SubscribedCodec { codec: "video/VP8".into(), qualities: list },
        ];
        let new = proto::SubscribedQualityUpdate { subscribed_codecs: codecs, ..Default::default() };
        assert_eq!(watched(&new, "vp8"), Some([true, true, false]));
        assert_eq!(watched(&new, "h264"), Some([false; 3]), "nothing is watched");
        assert_eq!(watched(&new, "av1"), None);
    }
}
