//! The layers of a picture: how many sizes one is sent in, how they are named, how large they are and what each may
//! take. Plain functions.

/// Most layers of one picture.
pub(in crate::client) const MAX_LAYERS: usize = 3;

/// RTP stream ids as every LiveKit client names them, lowest first.
const RIDS: [&str; MAX_LAYERS] = ["q", "h", "f"];
/// A longer side of this many pixels is worth two layers, and three (livekit-client, `computeVideoEncodings`).
const TWO_LAYERS_FROM_PX: u32 = 480;
const THREE_LAYERS_FROM_PX: u32 = 960;
/// Bitrate goes with the number of pixels to this power: larger pictures have less detail a pixel.
const RATE_EXPONENT: f64 = 0.75;

/// The layers of one publication: their number stays for as long as it is published, their sizes follow the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) struct Layers(usize);

impl Layers {
    /// The layers a picture of this size in pixels deserves.
    pub(in crate::client) fn of(width: u32, height: u32, simulcast: bool) -> Self {
        match width.max(height) {
            side if simulcast && side >= THREE_LAYERS_FROM_PX => Self(3),
            side if simulcast && side >= TWO_LAYERS_FROM_PX => Self(2),
            _ => Self(1),
        }
    }

    /// How many there are.
    pub(in crate::client) fn count(self) -> usize {
        self.0
    }

    /// The name of a layer, 0 the smallest; a lone layer has none.
    pub(in crate::client) fn rid(self, layer: usize) -> Option<&'static str> {
        if self.0 == 1 { None } else { RIDS.get(layer).copied() }
    }

    /// Its rank in LiveKit's qualities: 0 low, 1 medium, 2 high. A lone layer is high.
    pub(in crate::client) fn rank(self, layer: usize) -> usize {
        if self.0 == 1 { MAX_LAYERS - 1 } else { layer }
    }

    /// Whether a layer is sent when these ranks are watched: the best there is serves whoever wants better.
    pub(in crate::client) fn is_wanted(self, layer: usize, ranks: [bool; MAX_LAYERS]) -> bool {
        if self.0 == 1 {
            return ranks.contains(&true);
        }
        let last = layer + 1 == self.0;
        ranks[layer] || last && ranks[layer..].contains(&true)
    }

    /// Its size for a source of this size, in pixels: half the next one's, even where that is possible.
    pub(in crate::client) fn size(self, layer: usize, width: u32, height: u32) -> (u32, u32) {
        let steps = self.0.saturating_sub(layer + 1) as u32;
        let side = |side: u32| if steps == 0 { side } else { ((side >> steps) & !1).max(2).min(side.max(1)) };
        (side(width), side(height))
    }

    /// The most it takes when all together take this much, in bit/s.
    pub(in crate::client) fn cap_bps(self, layer: usize, all_bps: u32) -> u32 {
        let weight = |layer: usize| 0.25f64.powi(self.0.saturating_sub(layer + 1) as i32).powf(RATE_EXPONENT);
        let sum: f64 = (0..self.0).map(weight).sum();
        (f64::from(all_bps) * weight(layer) / sum) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pictures_have_fewer_layers() {
        let count = |w, h, simulcast| Layers::of(w, h, simulcast).count();
        assert_eq!([count(320, 240, true), count(640, 480, true), count(1280, 720, true)], [1, 2, 3]);
        assert_eq!(count(720, 1280, true), 3, "upright");
        assert_eq!(count(1920, 1080, false), 1);
        assert_eq!(count(0, 0, true), 1);
    }

    #[test]
    fn sizes_halve_and_names_go_from_below() {
        let three = Layers::of(1280, 720, true);
        assert_eq!((0..3).map(|n| three.size(n, 1280, 720)).collect::<Vec<_>>(), [(320, 180), (640, 360), (1280, 720)]);
        assert_eq!((0..3).map(|n| three.rid(n).unwrap()).collect::<String>(), "qhf");
        assert_eq!(three.size(0, 1279, 719), (318, 178), "even");
        assert_eq!(three.size(2, 1279, 719), (1279, 719), "the largest is the picture itself");
        assert_eq!((0..3).map(|n| three.size(n, 1, 1)).collect::<Vec<_>>(), [(1, 1); 3]);
        assert_eq!(three.size(0, 5, 3), (2, 2));
        let one = Layers::of(320, 240, true);
        assert_eq!((one.rid(0), one.rank(0), one.size(0, 320, 240)), (None, 2, (320, 240)));
    }

    #[test]
    fn caps_add_up_to_the_whole() {
        let three = Layers::of(1280, 720, true);
        let caps: Vec<u32> = (0..3).map(|n| three.cap_bps(n, 1_500_000)).collect();
        assert!((1_499_990..=1_500_000).contains(&caps.iter().sum::<u32>()), "{caps:?}");
        assert!(caps[0] > 100_000 && caps[1] > 300_000 && caps[2] > 900_000, "{caps:?}");
        assert_eq!(Layers::of(320, 240, true).cap_bps(0, 300_000), 300_000);
    }

    #[test]
    fn the_best_there_is_serves_who_wants_better() {
        let wanted =
            |layers: Layers, ranks| (0..layers.count()).map(|n| layers.is_wanted(n, ranks)).collect::<Vec<_>>();
        assert_eq!(wanted(Layers(3), [true, false, false]), [true, false, false]);
        assert_eq!(wanted(Layers(3), [false, false, true]), [false, false, true]);
        assert_eq!(wanted(Layers(2), [true, false, true]), [true, true]);
        assert_eq!(wanted(Layers(1), [true, false, false]), [true]);
        assert_eq!(wanted(Layers(1), [false; 3]), [false]);
    }
}
