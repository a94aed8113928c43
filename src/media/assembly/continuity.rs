//! Whether the next whole frame can be decoded after what was given out before: sequence numbers, picture ids and
//! temporal layers decide.

use super::descriptor::{Descriptor, Layer, PictureId};

/// Above every temporal layer: all may follow.
const ALL_LAYERS: u8 = 3;

/// What is known about the frames given out so far.
#[derive(Clone, Debug)]
pub(super) struct Continuity {
    /// A keyframe was given out, and everything since could be decoded.
    decodable: bool,
    /// Packets were given up on since the last frame that was accounted for.
    gap: bool,
    picture: Option<PictureId>,
    base_index: Option<u8>,
    /// Temporal layers up to this one are complete.
    complete_layers: u8,
}

/// What to do with a whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Decode it.
    Give,
    /// It refers to frames that are missing, but others to come will not.
    Skip,
    /// Nothing can be decoded until a keyframe.
    Lost,
}

impl Continuity {
    pub(super) fn new() -> Self {
        Self { decodable: false, gap: true, picture: None, base_index: None, complete_layers: 0 }
    }

    /// False when only a keyframe helps.
    pub(super) fn decodable(&self) -> bool {
        self.decodable
    }

    /// Packets were given up on.
    pub(super) fn note_gap(&mut self) {
        self.gap = true;
    }

    /// Only a keyframe helps from here on.
    pub(super) fn lose(&mut self) {
        self.decodable = false;
    }

    /// True when the frame comes right after the last one by its picture id, so that whatever packets are missing in
    /// between were not part of a frame.
    pub(super) fn follows_picture(&self, descriptor: &Descriptor) -> bool {
        self.decodable && matches!((self.picture, descriptor.picture), (Some(before), Some(now)) if now.follows(before))
    }

    /// A frame was dropped that nothing refers to: the next one follows as if it had been there.
    pub(super) fn pass_over_unreferenced(&mut self, descriptor: &Descriptor) {
        if self.follows_picture(descriptor) {
            self.picture = descriptor.picture;
        }
    }

    /// Judges the next whole frame, and remembers it.
    pub(super) fn judge(&mut self, descriptor: &Descriptor, keyframe: bool) -> Verdict {
        let verdict = self.verdict(descriptor, keyframe);
        if verdict == Verdict::Lost {
            self.decodable = false;
            return verdict;
        }
        self.gap = false;
        self.picture = descriptor.picture;
        if let Some(layer) = descriptor.layer {
            self.base_index = Some(layer.base_index);
        }
        verdict
    }

    fn verdict(&mut self, descriptor: &Descriptor, keyframe: bool) -> Verdict {
        if keyframe {
            self.decodable = true;
            self.complete_layers = ALL_LAYERS;
            return Verdict::Give;
        }
        if !self.decodable {
            return Verdict::Lost;
        }
        if self.gap && !self.follows_picture(descriptor) {
            // Frames are missing. If the base layer is whole, it and frames that need only it can go on.
            let base_whole = match (descriptor.layer, self.base_index) {
                (Some(Layer { id: 0, base_index, .. }), Some(before)) => base_index == before.wrapping_add(1),
                (Some(Layer { base_index, .. }), Some(before)) => base_index == before,
                _ => false,
            };
            if !base_whole {
                return Verdict::Lost;
            }
            self.complete_layers = 0;
        }
        match descriptor.layer {
            Some(layer) if layer.id > self.complete_layers => {
                if !layer.sync {
                    return Verdict::Skip;
                }
                self.complete_layers = layer.id;
                Verdict::Give
            }
            _ => Verdict::Give,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(picture: u16, base_index: u8, id: u8, sync: bool) -> Descriptor {
        Descriptor {
            starts_frame: true,
            unreferenced: false,
            picture: Some(PictureId { value: picture, bits: 15 }),
            layer: Some(Layer { base_index, id, sync }),
        }
    }

    #[test]
    fn losing_an_upper_layer_needs_no_keyframe() {
        let mut continuity = Continuity::new();
        assert_eq!(continuity.judge(&frame(0, 0, 0, true), true), Verdict::Give);
        assert_eq!(continuity.judge(&frame(1, 0, 2, false), false), Verdict::Give);
        continuity.note_gap(); // picture 2, layer 1
        assert_eq!(continuity.judge(&frame(3, 0, 2, false), false), Verdict::Skip);
        assert_eq!(continuity.judge(&frame(4, 1, 0, true), false), Verdict::Give);
        assert_eq!(continuity.judge(&frame(5, 1, 2, false), false), Verdict::Skip);
        assert_eq!(continuity.judge(&frame(6, 1, 1, true), false), Verdict::Give);
        assert_eq!(continuity.judge(&frame(7, 1, 2, true), false), Verdict::Give);
        assert_eq!(continuity.judge(&frame(8, 2, 0, true), false), Verdict::Give);
    }

    #[test]
    fn losing_a_base_frame_needs_one() {
        let mut continuity = Continuity::new();
        assert_eq!(continuity.judge(&frame(0, 0, 0, true), true), Verdict::Give);
        continuity.note_gap();
        assert_eq!(continuity.judge(&frame(2, 2, 0, true), false), Verdict::Lost);
        assert_eq!(continuity.judge(&frame(3, 3, 0, true), false), Verdict::Lost);
        assert!(!continuity.decodable());
        assert_eq!(continuity.judge(&frame(4, 4, 0, true), true), Verdict::Give);
        assert!(continuity.decodable());
    }

    #[test]
    fn picture_ids_show_that_only_padding_was_lost() {
        let plain = |value| Descriptor { layer: None, ..frame(value, 0, 0, false) };
        let mut continuity = Continuity::new();
        assert_eq!(continuity.judge(&plain(10), true), Verdict::Give);
        continuity.note_gap();
        assert_eq!(continuity.judge(&plain(11), false), Verdict::Give);
        continuity.note_gap();
        assert_eq!(continuity.judge(&plain(13), false), Verdict::Lost);
    }

    #[test]
    fn without_picture_ids_any_gap_is_a_loss() {
        let bare = Descriptor { starts_frame: true, unreferenced: false, picture: None, layer: None };
        let mut continuity = Continuity::new();
        assert_eq!(continuity.judge(&bare, true), Verdict::Give);
        assert_eq!(continuity.judge(&bare, false), Verdict::Give);
        continuity.note_gap();
        assert_eq!(continuity.judge(&bare, false), Verdict::Lost);
    }
}
