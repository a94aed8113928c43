//! The seats of the hall: as many as a meeting of this size needs and a few more, the same on every client, from the
//! number of people alone. Pure geometry; who takes which is in [`super::rule`].
//!
//! A meeting that grows or shrinks keeps its seats until they no longer suffice, so nobody moves because somebody came.
//! Seats form rows, arcs around the hall's centre between the viewpoint at the back and the great wall. They are laid
//! out as seen from the viewpoint: everyone is equally large, spread evenly, each row above the one before it, so that
//! from there nobody hides anybody, and nobody hides the wall. A large meeting also takes boxes on both sides of it.

use bevy::math::{Vec2, Vec3};
use bevy::prelude::*;

use crate::space::geometry::{EYE_HEIGHT, GREAT_WALL_CENTRE, GREAT_WALL_WIDTH, VIEWPOINT, floor_height};

/// Largest and smallest width of a panel as seen from the viewpoint: metres per metre of distance.
const WIDEST: f32 = 0.188;
const NARROWEST: f32 = 0.02;
/// Below this width the boxes beside the wall are opened.
const CROWDED: f32 = 0.115;
/// Angle that a row may take.
const ROW_SPAN: f32 = 1.17;
/// Room between two panels, as a share of their width.
const GAP: f32 = 0.09;
/// What name plate and gap add to a panel's height, as a share of it.
const PLATE: f32 = 0.27;
/// A panel's height, as a share of its width.
const ASPECT: f32 = 9.0 / 16.0;
/// Height above the floor that chairs take.
const CHAIR_M: f32 = 0.92;
/// Seats that are free in the fullest room of its plan, at least: somebody may want another one.
const SPARE: usize = 1;
/// Rows of boxes beside the wall.
const BOX_ROWS: usize = 2;
/// Half the angle that the great wall's frame takes, and a little air.
const WALL_HALF_ANGLE: f32 = 0.255;
const FRONT_RADIUS: f32 = 4.9;
const ROW_DEPTH: f32 = 1.75;
const BACK_RADIUS: f32 = 8.8;

/// A participant's place.
#[derive(Component, Clone, Copy, Debug, PartialEq)]
pub struct Seat {
    /// Its number in the plan, from 0.
    pub index: usize,
    /// Where the chair stands.
    pub place: Vec3,
    /// Centre of the panel above it.
    pub panel: Vec3,
    /// Size of the panel's picture, in metres.
    pub size: Vec2,
}

/// All seats there are now, in the order in which those take them who do not choose.
#[derive(Resource, Clone, Debug, Default, PartialEq)]
pub struct SeatPlan {
    /// At least one for each person.
    pub seats: Vec<Seat>,
    /// Which of them are taken, by their numbers.
    pub taken: Vec<bool>,
}

impl SeatPlan {
    /// A seat that nobody has.
    pub fn free(&self, index: usize) -> Option<&Seat> {
        self.seats.get(index).filter(|_| !self.taken.get(index).copied().unwrap_or(false))
    }
}

/// How many rows of how many seats, at a width.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Layout {
    width: f32,
    rows: usize,
    in_row: usize,
    in_box: usize,
}

impl Layout {
    fn at(width: f32, boxes: bool) -> Self {
        let step = width * (1.0 + GAP);
        let rows = ((wall_bottom() - first_bottom()) / row_height(width)) as usize;
        let box_span = ROW_SPAN * 0.5 - WALL_HALF_ANGLE;
        Self {
            width,
            rows,
            in_row: (ROW_SPAN / step) as usize,
            in_box: if boxes { (box_span / step) as usize } else { 0 },
        }
    }

    fn capacity(&self) -> usize {
        self.rows * self.in_row + BOX_ROWS * 2 * self.in_box
    }

    /// The largest panels that seat everyone.
    fn choose(count: usize) -> Self {
        let fits = |widest: f32, boxes: bool| {
            let mut width = widest;
            while width > NARROWEST && Self::at(width, boxes).capacity() < count {
                width *= 0.985;
            }
            Self::at(width, boxes)
        };
        let plain = fits(WIDEST, false);
        if plain.width < CROWDED { fits(CROWDED, true) } else { plain }
    }
}

/// The seats for `count` people; beyond a few hundred the last ones share the last place.
pub fn seat_plan(count: usize) -> SeatPlan {
    let layout = Layout::choose(count + SPARE);
    let step = (layout.width * (1.0 + GAP) * 1.12).min(ROW_SPAN / layout.in_row.max(1) as f32);
    let mut seats = Vec::with_capacity(layout.capacity().max(count));
    for row in 0..layout.rows {
        for beside in middle_out(layout.in_row) {
            seats.push(seat(seats.len(), beside * step, row, row, layout.width));
        }
    }
    for box_row in 0..BOX_ROWS {
        let level = layout.rows + box_row;
        for column in 0..layout.in_box {
            for side in [-1.0, 1.0] {
                let step = layout.width * (1.0 + GAP);
                let azimuth = side * (WALL_HALF_ANGLE + (column as f32 + 0.5) * step);
                seats.push(seat(seats.len(), azimuth, level, level, layout.width));
            }
        }
    }
    while let Some(last) = seats.last().copied().filter(|_| seats.len() < count) {
        seats.push(Seat { index: seats.len(), ..last });
    }
    let taken = vec![false; seats.len()];
    SeatPlan { seats, taken }
}

/// How many seats to the right of the middle each seat of a row is, the middle first.
fn middle_out(in_row: usize) -> impl Iterator<Item = f32> {
    let middle = in_row.saturating_sub(1) as f32 * 0.5;
    let first = middle.floor() as usize;
    // From the left one of the middle: right, left, right, each a seat further.
    (0..in_row).map(move |n| {
        let away = n.div_ceil(2);
        let column = if n % 2 == 1 { first + away } else { first - away };
        column as f32 - middle
    })
}

/// The place at an angle to the right of the middle: `level` counts rows upwards, `depth` counts them backwards.
fn seat(index: usize, azimuth: f32, level: usize, depth: usize, width: f32) -> Seat {
    let radius = (FRONT_RADIUS + ROW_DEPTH * depth as f32).min(BACK_RADIUS);
    let (ground, distance) = on_circle(azimuth, radius);
    let size = Vec2::new(width, width * ASPECT) * distance;
    let centre = first_bottom() + row_height(width) * (level as f32 + 1.0) - width * ASPECT * 0.5;
    let floor = floor_height(ground.length());
    let place = Vec3::new(ground.x, floor, ground.y);
    Seat { index, place, panel: place.with_y(eye_height() + centre * distance), size }
}

fn eye_height() -> f32 {
    floor_height(VIEWPOINT.length()) + EYE_HEIGHT
}

/// What one row of panels with their plates takes upwards, per metre of distance.
fn row_height(width: f32) -> f32 {
    width * ASPECT * (1.0 + PLATE)
}

/// Where the lowest plate may begin: just above the chair in the middle of the front row, the furthest of that row.
fn first_bottom() -> f32 {
    (CHAIR_M - eye_height()) / (VIEWPOINT.length() + FRONT_RADIUS)
}

/// Where the great wall's picture begins.
fn wall_bottom() -> f32 {
    let bottom = GREAT_WALL_CENTRE.y - GREAT_WALL_WIDTH * ASPECT * 0.5;
    (bottom - eye_height()) / (VIEWPOINT.y - GREAT_WALL_CENTRE.z)
}

/// The far point of the circle around the hall's centre on the viewpoint's ray, and its distance.
fn on_circle(azimuth: f32, radius: f32) -> (Vec2, f32) {
    let back = VIEWPOINT.length();
    let (sin, cos) = azimuth.sin_cos();
    let half = (radius * radius - (back * sin).powi(2)).max(0.0).sqrt();
    let along = back * cos + half;
    (VIEWPOINT + Vec2::new(sin, -cos) * along, along)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A panel as the viewpoint sees it: left, right, bottom (of the plate), top.
    fn seen(seat: &Seat) -> [f32; 4] {
        let to = seat.panel - Vec3::new(VIEWPOINT.x, eye_height(), VIEWPOINT.y);
        let distance = to.x.hypot(to.z);
        let azimuth = to.x.atan2(-to.z);
        let half = seat.size * 0.5 / distance;
        [azimuth - half.x, azimuth + half.x, to.y / distance - half.y * (1.0 + PLATE), to.y / distance + half.y]
    }

    #[test]
    fn nobody_hides_anybody_from_the_viewpoint() {
        for count in 1..=40 {
            let plan = seat_plan(count);
            assert!(plan.seats.len() >= count);
            for (i, a) in plan.seats.iter().enumerate() {
                for b in &plan.seats[i + 1..] {
                    let (a, b) = (seen(a), seen(b));
                    let apart = a[1] <= b[0] || b[1] <= a[0] || a[3] <= b[2] || b[3] <= a[2];
                    assert!(apart, "{count} people: {a:?} and {b:?} overlap");
                }
            }
        }
    }

    #[test]
    fn everyone_fits_the_first_view_and_leaves_the_wall_free() {
        for count in 1..=30 {
            for seat in seat_plan(count).seats {
                let [left, right, bottom, top] = seen(&seat);
                assert!(left > -0.65 && right < 0.65, "{count} people: {left} {right} leave a 16:9 view");
                assert!(bottom > -0.2, "{count} people: {bottom} falls out below");
                let beside = left.abs().min(right.abs()) > 0.24;
                assert!(beside || top < wall_bottom() + 0.002, "{count} people: {top} hides the wall");
                assert!(top < 0.4, "{count} people: {top} leaves the view above");
            }
        }
    }

    #[test]
    fn few_people_are_large_and_more_never_larger() {
        let width = |count| Layout::choose(count).width;
        assert!(width(5) > 0.17 && width(9) > 0.12 && width(25) > 0.10, "{} {} {}", width(5), width(9), width(25));
        assert!((1..100).all(|count| width(count + 1) <= width(count) + 1e-6));
        assert_eq!(seat_plan(1000).seats.len(), 1000);
    }

    #[test]
    fn a_row_fills_from_its_middle_and_a_meeting_keeps_its_seats_while_they_suffice() {
        assert_eq!(middle_out(5).collect::<Vec<_>>(), [0.0, 1.0, -1.0, 2.0, -2.0]);
        assert_eq!(middle_out(4).collect::<Vec<_>>(), [-0.5, 0.5, -1.5, 1.5]);
        assert_eq!(middle_out(0).count(), 0);
        let small = seat_plan(1);
        assert_eq!(small.seats[0].place.x, 0.0, "one person sits in the middle");
        assert_eq!(small, seat_plan(small.seats.len() - 1));
        let larger = seat_plan(small.seats.len());
        assert!(larger.seats.len() > small.seats.len(), "with a seat to spare again");
        assert!(larger.seats.iter().enumerate().all(|(n, seat)| seat.index == n));
        assert!(larger.free(0).is_some() && larger.free(larger.seats.len()).is_none());
    }
}
