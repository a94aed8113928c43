//! A room as data: where one enters, where the chairs stand and the shared screens hang, which lamps burn, day or
//! night. Read from TOML (`assets/rooms/rotunda.toml` is the built-in one and documents the format) before the room
//! opens, checked as a whole, constant afterwards; only the mood may change.
//!
//! Invariant: whoever holds a [`RoomLayout`] holds one that was checked, so nothing that builds on it checks again.

mod check;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use bevy::prelude::*;
use serde::Deserialize;

use super::geometry::{FIRST_LOOK, GREAT_WALL_CENTRE, GREAT_WALL_WIDTH, VIEWPOINT};
use crate::model::WALL_SLOTS;

pub use check::{CHAIR_GAP_M, LayoutProblem};

/// Largest layout file that is read.
const MAX_BYTES: u64 = 256 * 1024;
const BUILT_IN: &str = include_str!("../../../assets/rooms/rotunda.toml");

/// The light of the room.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mood {
    /// Sun and sky through the oculus.
    #[default]
    Day,
    /// Moonlight and lamps.
    Night,
}

/// See the module.
#[derive(Resource, Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomLayout {
    /// What the room is called.
    pub name: String,
    /// The light it opens with.
    #[serde(default)]
    pub mood: Mood,
    /// Where everyone enters.
    pub entrance: Entrance,
    /// Where people sit.
    pub seats: SeatLayout,
    /// Places of the wall, the great one first.
    pub slots: Vec<SlotLayout>,
    /// Lamps besides the hall's own.
    #[serde(default)]
    pub lamps: Vec<LampLayout>,
}

/// Where one stands and looks at first.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entrance {
    /// On the floor, X and Z.
    pub at: Vec2,
    /// The point in the middle of the first view.
    pub look: Vec3,
}

/// Chairs in arcs, or one by one.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatLayout {
    /// Distance of the first arc from the hall's middle.
    pub first_m: f32,
    /// From one arc to the next.
    pub depth_m: f32,
    /// Distance of the last arc.
    pub last_m: f32,
    /// Angle an arc may take, seen from the entrance.
    pub span_deg: f32,
    /// Every chair by name, X and Z, in the order in which they are taken; `None` for arcs alone.
    pub places: Option<Vec<Vec2>>,
}

impl SeatLayout {
    /// Those of the built-in room.
    pub const BUILT_IN: Self = Self { first_m: 4.9, depth_m: 1.75, last_m: 8.8, span_deg: 67.0, places: None };
}

/// A place of the wall.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotLayout {
    /// Centre of the picture.
    pub centre: Vec3,
    /// Its width; its height is 9/16 of that.
    pub width_m: f32,
    /// Where it faces, in degrees from +Z towards +X.
    pub facing_deg: f32,
}

/// A lamp.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LampLayout {
    /// Where it burns.
    pub at: Vec3,
    /// Shares of red, green and blue, linear.
    pub colour: Vec3,
    /// 1 lights a white surface one metre away well.
    pub power: f32,
    /// Beyond this it lights nothing.
    pub reach_m: f32,
}

/// Why a layout cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The file cannot be read.
    #[error("the room layout {} cannot be read: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// The file is larger than any layout.
    #[error("the room layout {} has {bytes} bytes: at most {MAX_BYTES} are read", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// It is no TOML, or not of this shape.
    #[error("the room layout does not read: {0}see assets/rooms/rotunda.toml for the format")]
    Syntax(toml::de::Error),
    /// It reads, but such a room cannot be.
    #[error("the room layout cannot be: {0}")]
    Problem(LayoutProblem),
}

impl RoomLayout {
    /// The built-in room.
    pub fn built_in() -> Self {
        // A test reads it; should it ever not read, an empty hall is better than none.
        BUILT_IN.parse().unwrap_or_else(|error| {
            error!(%error, "the built-in room layout");
            Self {
                name: String::new(),
                mood: Mood::Day,
                entrance: Entrance { at: VIEWPOINT, look: FIRST_LOOK },
                seats: SeatLayout::BUILT_IN,
                slots: vec![
                    SlotLayout { centre: GREAT_WALL_CENTRE, width_m: GREAT_WALL_WIDTH, facing_deg: 0.0 };
                    WALL_SLOTS
                ],
                lamps: Vec::new(),
            }
        })
    }

    /// Reads a file. Waits for the disk: call it before the room opens.
    ///
    /// # Errors
    /// [`LayoutError`] when the file is missing, too large, no layout, or a room that cannot be.
    pub fn load(path: &Path) -> Result<Self, LayoutError> {
        let told = |why| LayoutError::File { path: path.to_owned(), why };
        let bytes = std::fs::metadata(path).map_err(told)?.len();
        if bytes > MAX_BYTES {
            return Err(LayoutError::TooLarge { path: path.to_owned(), bytes });
        }
        std::fs::read_to_string(path).map_err(told)?.parse()
    }
}

impl FromStr for RoomLayout {
    type Err = LayoutError;

    fn from_str(text: &str) -> Result<Self, LayoutError> {
        let layout: Self = toml::from_str(text).map_err(LayoutError::Syntax)?;
        check::check(&layout).map_err(LayoutError::Problem)?;
        Ok(layout)
    }
}

impl Default for RoomLayout {
    fn default() -> Self {
        Self::built_in()
    }
}

impl SlotLayout {
    /// Half of the picture's width, to its right, and half of its height.
    fn half(&self) -> (Vec3, f32) {
        let (sin, cos) = self.facing_deg.to_radians().sin_cos();
        (Vec3::new(cos, 0.0, -sin) * (self.width_m * 0.5), self.width_m * 9.0 / 32.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(from: &str, to: &str) -> Result<RoomLayout, LayoutError> {
        assert!(BUILT_IN.contains(from), "{from}");
        BUILT_IN.replacen(from, to, 1).parse()
    }

    fn problem(from: &str, to: &str) -> LayoutProblem {
        match changed(from, to) {
            Err(LayoutError::Problem(problem)) => problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_built_in_room_reads_and_is_the_one_the_hall_is_built_for() {
        let layout: RoomLayout = BUILT_IN.parse().unwrap();
        assert_eq!(layout, RoomLayout::built_in());
        assert_eq!((layout.slots.len(), layout.mood), (WALL_SLOTS, Mood::Day));
        assert_eq!(layout.seats, SeatLayout::BUILT_IN);
        assert_eq!((layout.entrance.at, layout.entrance.look), (VIEWPOINT, FIRST_LOOK));
        assert_eq!((layout.slots[0].centre, layout.slots[0].width_m), (GREAT_WALL_CENTRE, GREAT_WALL_WIDTH));
        let sides = [1, 3].map(|n| layout.slots[n].centre * Vec3::new(-1.0, 1.0, 1.0) - layout.slots[n + 1].centre);
        assert!(sides.iter().all(|off| off.length() < 1e-3), "both sides are alike");
    }

    #[test]
    fn the_other_room_that_comes_along_can_be() {
        let salon = RoomLayout::load(Path::new("assets/rooms/salon.toml")).unwrap();
        assert_eq!((salon.mood, salon.seats.places.map(|places| places.len())), (Mood::Night, Some(9)));
    }

    #[test]
    fn a_room_of_ones_own() {
        let own = changed("mood = \"day\"", "mood = \"night\"").unwrap();
        assert_eq!(own.mood, Mood::Night);
        let chairs = changed("span_deg = 67.0", "span_deg = 67.0\nplaces = [[0.0, 1.0], [2.0, 1.0]]").unwrap();
        assert_eq!(chairs.seats.places.unwrap().len(), 2);
        let lamp = "\n[[lamps]]\nat = [0.0, 3.0, 0.0]\ncolour = [1.0, 0.6, 0.3]\npower = 1.0\nreach_m = 6.0\n";
        assert_eq!(format!("{BUILT_IN}{lamp}").parse::<RoomLayout>().unwrap().lamps.len(), 1);
    }

    #[test]
    fn rooms_that_cannot_be_say_why() {
        use LayoutProblem as P;
        assert_eq!(problem("span_deg = 67.0", "span_deg = 67.0\nplaces = []"), P::NoSeats);
        assert_eq!(
            problem("span_deg = 67.0", "span_deg = 67.0\nplaces = [[0.0, 1.0], [0.3, 1.0]]"),
            P::SeatsTooClose { first: 0, second: 1 }
        );
        assert_eq!(
            problem("centre = [6.505, 6.95,", "centre = [6.505, nan,"),
            P::NotFinite { what: "slots", index: 2 }
        );
        assert_eq!(
            problem("centre = [-6.505, 6.95, -6.505]", "centre = [-3.0, 6.95, -9.3]"),
            P::SlotsOverlap { first: 0, second: 1 }
        );
        let last = BUILT_IN.rfind("[[slots]]").unwrap();
        let end = last + BUILT_IN[last..].find("\n\n").unwrap();
        assert_eq!(problem(&BUILT_IN[last..end], ""), P::Slots { count: 4 });
        assert_eq!(problem("at = [0.0, 8.7]", "at = [0.0, 80.0]"), P::OutsideHall { what: "entrance", index: 0 });
        assert_eq!(
            problem("width_m = 7.9", "width_m = 0.0"),
            P::OutOfRange { what: "slots.width_m", min: 0.5, max: 12.0 }
        );
        assert_eq!(
            problem("depth_m = 1.75", "depth_m = -1.0"),
            P::OutOfRange { what: "seats.depth_m", min: 0.5, max: 5.0 }
        );
        assert!(problem("at = [0.0, 8.7]", "at = [0.0, 80.0]").to_string().contains("9.3"));
    }

    #[test]
    fn files_that_are_no_layouts_say_so() {
        assert!(matches!("".parse::<RoomLayout>(), Err(LayoutError::Syntax(_))));
        assert!(
            matches!(changed("depth_m", "depht_m"), Err(LayoutError::Syntax(_))),
            "a slip of the pen is not ignored"
        );
        let missing = RoomLayout::load(Path::new("/nowhere/room.toml")).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/room.toml"), "{missing}");
        let path = std::env::temp_dir().join(format!("rotunda-layout-{}.toml", std::process::id()));
        std::fs::write(&path, vec![b'#'; MAX_BYTES as usize + 1]).unwrap();
        let too_large = RoomLayout::load(&path);
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(too_large, Err(LayoutError::TooLarge { .. })));
    }
}
