//! What is fetched of a picture, and why: plain data and the words for people.

use bevy::prelude::*;

use crate::bridge::PlayQuality;
use crate::model::limits::MAX_PICTURE_SIDE_PX;

/// A picture whose size was not announced is taken for this, in pixels.
const USUAL_PX: (u32, u32) = (1280, 720);
/// A layer serves up to so much more pixels than it has: 1.3 times each side. The frame around a picture takes some of
/// its face, and that little enlargement is not seen.
const STRETCH: f32 = 1.3 * 1.3;

/// How much of a picture is fetched. Sizes are halves of one another, as LiveKit's layers are; the server gives the
/// smallest layer that is enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Want {
    /// Nothing. Its sound goes on.
    Paused,
    /// A quarter of its width and height.
    #[default]
    Small,
    /// Half of its width and height.
    Medium,
    /// All of it.
    Full,
}

impl Want {
    /// Sizes from the smallest.
    pub const SIZES: [Self; 3] = [Self::Small, Self::Medium, Self::Full];

    /// The size of what is fetched of a picture of `announced` size, in pixels; of [`Want::Paused`] that of the smallest.
    pub fn size_px(self, announced: (u32, u32)) -> (u32, u32) {
        let shift = match self {
            Self::Paused | Self::Small => 2,
            Self::Medium => 1,
            Self::Full => 0,
        };
        let (width, height) = announced_px(announced);
        let side = |side: u32| side.div_ceil(1 << shift);
        (side(width), side(height))
    }

    /// Pixels of a picture of `announced` size that are fetched.
    pub fn pixels(self, announced: (u32, u32)) -> u64 {
        if self == Self::Paused {
            return 0;
        }
        let (width, height) = self.size_px(announced);
        u64::from(width) * u64::from(height)
    }

    /// The smallest size that is enough for so many square pixels of the window.
    pub fn for_area(area_px: f32, announced: (u32, u32)) -> Self {
        let enough = |want: &Self| want.pixels(announced) as f32 * STRETCH >= area_px;
        Self::SIZES.into_iter().find(enough).unwrap_or(Self::Full)
    }

    /// The next size up; `None` above the largest.
    pub fn larger(self) -> Option<Self> {
        match self {
            Self::Paused => Some(Self::Small),
            Self::Small => Some(Self::Medium),
            Self::Medium => Some(Self::Full),
            Self::Full => None,
        }
    }

    /// The wish for the engine.
    pub fn quality(self, announced: (u32, u32)) -> PlayQuality {
        let (width, height) = self.size_px(announced);
        PlayQuality { enabled: self != Self::Paused, width, height }
    }

    /// A word for people and reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Full => "full",
        }
    }
}

/// What was announced, as far as it makes sense.
fn announced_px((width, height): (u32, u32)) -> (u32, u32) {
    if width == 0 || height == 0 {
        return USUAL_PX;
    }
    (width.min(MAX_PICTURE_SIDE_PX), height.min(MAX_PICTURE_SIDE_PX))
}

/// Why a picture is fetched as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It is new, and nothing is known of where it hangs.
    #[default]
    New,
    /// It is in view; its size follows from the pixels it covers.
    InView,
    /// Its owner speaks, and it is in view.
    Speaking,
    /// It is the share that was stepped up to.
    SteppedUp,
    /// It is just out of view: a quick turn of the head away.
    Near,
    /// It was larger or in view until a moment ago, and may be so again.
    Lingering,
    /// It is out of view.
    OutOfView,
    /// Nothing shows it.
    NotShown,
    /// The window is minimised or covered.
    WindowHidden,
    /// The bandwidth does not carry more beside what matters more.
    HeldBack,
}

impl Reason {
    /// A word for people and reports.
    pub const fn words(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::InView => "in view",
            Self::Speaking => "speaking",
            Self::SteppedUp => "stepped up to",
            Self::Near => "just out of view",
            Self::Lingering => "needed a moment ago",
            Self::OutOfView => "out of view",
            Self::NotShown => "shown nowhere",
            Self::WindowHidden => "window hidden",
            Self::HeldBack => "held back for bandwidth",
        }
    }
}

/// What is fetched of a stream's picture, on every stream of the others that has one: for whoever shows it.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq)]
pub struct Fetched {
    /// How much.
    pub want: Want,
    /// Why.
    pub reason: Reason,
    /// Payload of its picture that arrives, in kbit/s over the last three seconds.
    pub kbps: f32,
}

/// All pictures together: for the statistics and the report.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq)]
pub struct FetchFigures {
    /// Pictures fetched whole.
    pub full: u32,
    /// Pictures fetched in half their width and height.
    pub medium: u32,
    /// Pictures fetched in a quarter of their width and height.
    pub small: u32,
    /// Pictures not fetched.
    pub paused: u32,
    /// Those among all of them that would be larger if the bandwidth carried it.
    pub held_back: u32,
    /// Pixels of a frame of everything that is fetched.
    pub wanted_px: u64,
    /// Payload of pictures that arrives, in kbit/s over the last three seconds.
    pub kbps: f32,
    /// What pictures share, in kbit/s; `None` while that is not limited.
    pub budget_kbps: Option<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_halves_and_never_nothing() {
        let sizes = |announced| Want::SIZES.map(|want| want.size_px(announced));
        assert_eq!(sizes((1280, 720)), [(320, 180), (640, 360), (1280, 720)]);
        assert_eq!(sizes((720, 1280)), [(180, 320), (360, 640), (720, 1280)], "an upright phone");
        assert_eq!(sizes((1, 1)), [(1, 1); 3]);
        assert_eq!(sizes((7680, 4320))[2], (7680, 4320));
        assert_eq!(sizes((u32::MAX, u32::MAX))[2], (7680, 7680), "nonsense is bounded");
        assert_eq!(sizes((0, 0))[2], USUAL_PX, "not announced");
        let paused = Want::Paused.quality((1280, 720));
        assert_eq!((paused.enabled, paused.width, Want::Paused.pixels((1280, 720))), (false, 320, 0));
    }

    #[test]
    fn the_smallest_that_is_enough_is_wanted() {
        let want = |width: f32, height: f32| Want::for_area(width * height, (1280, 720));
        assert_eq!([want(320.0, 180.0), want(400.0, 225.0)], [Want::Small; 2], "a little enlarged");
        assert_eq!([want(450.0, 253.0), want(800.0, 450.0)], [Want::Medium; 2]);
        assert_eq!([want(1000.0, 562.0), want(9000.0, 9000.0)], [Want::Full; 2]);
        assert_eq!(Want::for_area(f32::NAN, (1280, 720)), Want::Full, "no number costs no picture");
        assert_eq!(Want::for_area(0.0, (1280, 720)), Want::Small);
        assert_eq!(Want::for_area(100.0, (1, 1)), Want::Full);
    }
}
