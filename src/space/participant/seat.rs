//! The seats of the hall: as many as a meeting of this size needs and a few more, the same on every client, from the
//! number of people alone. Pure geometry; who takes which is in [`super::rule`].
//!
//! A meeting that grows or shrinks keeps its seats until they no longer suffice, so nobody moves because somebody came.
//! Seats form rows, arcs around the hall's centre between the viewpoint at the back and the great wall. They are laid
//! out as seen from the viewpoint: everyone is equally large, spread evenly, each row above the one before it, so that
//! from there nobody hides anybody, and nobody hides the wall. A large meeting also takes boxes on both sides of it.
//! A room's layout may place the rows elsewhere, or name its chairs one by one; then the rows take who finds none free.

use bevy::math::{Rect, Vec2, Vec3};
use bevy::prelude::*;

use crate::space::geometry::{
    EYE_HEIGHT, GREAT_WALL_CENTRE, GREAT_WALL_WIDTH, PICTURE_ASPECT as ASPECT, VIEWPOINT, floor_height,
};
use crate::space::layout::{CHAIR_GAP_M, SeatLayout};

/// Largest and smallest width of a panel as seen from the viewpoint: metres per metre of distance.
const WIDEST: f32 = 0.188;
const NARROWEST: f32 = 0.02;
/// Below this width the boxes beside the wall are opened.
const CROWDED: f32 = 0.115;
/// Room between two panels, as a share of their width.
const GAP: f32 = 0.09;
/// What name plate and gap add to a panel's height, as a share of it.
const PLATE: f32 = 0.27;
/// Height above the floor that chairs take.
const CHAIR_M: f32 = 0.92;
/// Seats that are free in the fullest room of its plan, at least: somebody may want another one.
const SPARE: usize = 1;
/// Rows of boxes beside the wall.
const BOX_ROWS: usize = 2;
/// Half the angle that the great wall's frame takes, and a little air.
const WALL_HALF_ANGLE: f32 = 0.255;
/// Width of the picture above a chair that the layout names, and the height of its lower edge above the floor, in metres.
const PLACED_WIDTH_M: f32 = 1.25;
const PLACED_BOTTOM_M: f32 = 1.35;
/// Distance from the hall's centre of those who stand beside the wall: before the columns.
const BESIDE_RADIUS: f32 = 9.25;
/// How far from the middle the nearest to the wall begins, along the round wall: beside the great picture's frame.
const BESIDE_FROM_M: f32 = GREAT_WALL_WIDTH * 0.5 + 0.6;
/// Between two who stand on the same side.
const BESIDE_GAP_M: f32 = 0.5;

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

impl Seat {
    /// What its panel and plate take of what is seen from the viewpoint: the angle to the right, in radians, and the slope
    /// upwards.
    pub(crate) fn seen(&self) -> Rect {
        let to = self.panel - Vec3::new(VIEWPOINT.x, eye_height(), VIEWPOINT.y);
        let distance = to.x.hypot(to.z);
        let (azimuth, slope) = (to.x.atan2(-to.z), to.y / distance);
        let half = self.size * 0.5 / distance;
        let plate = half.y * PLATE;
        Rect::from_corners(
            Vec2::new(azimuth - half.x, slope - half.y - plate),
            Vec2::new(azimuth + half.x, slope + half.y),
        )
    }

    /// The place beside the wall of whoever sits here and presents: their panel keeps its size, stands as low as the great
    /// picture, to its left or right by rank.
    pub(crate) fn beside_wall(&self, rank: usize) -> Self {
        let side = if rank.is_multiple_of(2) { -1.0 } else { 1.0 };
        let across = BESIDE_FROM_M + (rank / 2) as f32 * (self.size.x + BESIDE_GAP_M) + self.size.x * 0.5;
        // Along the round wall: what is further from the middle is nearer to the audience.
        let angle = (across / BESIDE_RADIUS).min(1.5);
        let bottom = GREAT_WALL_CENTRE.y - GREAT_WALL_WIDTH * ASPECT * 0.5;
        let panel = Vec3::new(
            side * BESIDE_RADIUS * angle.sin(),
            // The name plate hangs below the picture.
            bottom + self.size.y * (0.5 + PLATE),
            -BESIDE_RADIUS * angle.cos(),
        );
        Self { panel, ..*self }
    }
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
struct Rows {
    width: f32,
    span: f32,
    rows: usize,
    in_row: usize,
    in_box: usize,
}

impl Rows {
    fn at(width: f32, boxes: bool, layout: &SeatLayout) -> Self {
        let step = width * (1.0 + GAP);
        let span = layout.span_deg.to_radians();
        let rows = ((wall_bottom() - first_bottom(layout)) / row_height(width)) as usize;
        let box_span = span * 0.5 - WALL_HALF_ANGLE;
        Self {
            width,
            span,
            rows,
            in_row: (span / step) as usize,
            in_box: if boxes { (box_span / step) as usize } else { 0 },
        }
    }

    fn capacity(&self) -> usize {
        self.rows * self.in_row + BOX_ROWS * 2 * self.in_box
    }

    /// The largest panels that seat everyone.
    fn choose(count: usize, layout: &SeatLayout) -> Self {
        let fits = |widest: f32, boxes: bool| {
            let mut width = widest;
            while width > NARROWEST && Self::at(width, boxes, layout).capacity() < count {
                width *= 0.985;
            }
            Self::at(width, boxes, layout)
        };
        let plain = fits(WIDEST, false);
        if plain.width < CROWDED { fits(CROWDED, true) } else { plain }
    }
}

/// The seats of the built-in room for `count` people.
pub fn seat_plan(count: usize) -> SeatPlan {
    plan_seats(count, &SeatLayout::BUILT_IN)
}

/// The seats for `count` people; beyond a few hundred the last ones share the last place.
pub fn plan_seats(count: usize, layout: &SeatLayout) -> SeatPlan {
    let placed: Vec<Seat> =
        layout.places.iter().flatten().enumerate().map(|(index, at)| placed_seat(index, *at)).collect();
    if count <= placed.len() {
        let taken = vec![false; placed.len()];
        return SeatPlan { seats: placed, taken };
    }
    let mut seats = placed;
    // Behind chairs that stand where rows would, those rows have gaps; they are then asked for more.
    let mut wanted = count - seats.len();
    let named = seats.len();
    loop {
        let rows = rows_for(wanted, layout);
        seats.truncate(named);
        let clear = |seat: &Seat, seats: &[Seat]| {
            seats[..named].iter().all(|chair| chair.place.distance(seat.place) >= CHAIR_GAP_M)
        };
        for seat in &rows {
            if clear(seat, &seats) {
                seats.push(Seat { index: seats.len(), ..*seat });
            }
        }
        if seats.len() >= count || wanted > 4 * count {
            break;
        }
        wanted += count - seats.len();
    }
    while let Some(last) = seats.last().copied().filter(|_| seats.len() < count) {
        seats.push(Seat { index: seats.len(), ..last });
    }
    let taken = vec![false; seats.len()];
    SeatPlan { seats, taken }
}

/// The seats of the rows for so many people, in the order in which they are taken.
fn rows_for(count: usize, layout: &SeatLayout) -> Vec<Seat> {
    let rows = Rows::choose(count + SPARE, layout);
    let step = (rows.width * (1.0 + GAP) * 1.12).min(rows.span / rows.in_row.max(1) as f32);
    let mut seats = Vec::with_capacity(rows.capacity());
    for row in 0..rows.rows {
        for beside in middle_out(rows.in_row) {
            seats.push(row_seat(seats.len(), beside * step, [row, row], rows.width, layout));
        }
    }
    for box_row in 0..BOX_ROWS {
        let level = rows.rows + box_row;
        for column in 0..rows.in_box {
            for side in [-1.0, 1.0] {
                let step = rows.width * (1.0 + GAP);
                let azimuth = side * (WALL_HALF_ANGLE + (column as f32 + 0.5) * step);
                seats.push(row_seat(seats.len(), azimuth, [level, level], rows.width, layout));
            }
        }
    }
    seats
}

/// A chair that the layout names, with the panel at the height of a head.
fn placed_seat(index: usize, at: Vec2) -> Seat {
    let size = Vec2::new(PLACED_WIDTH_M, PLACED_WIDTH_M * ASPECT);
    let place = Vec3::new(at.x, floor_height(at.length()), at.y);
    Seat { index, place, panel: place + Vec3::Y * (PLACED_BOTTOM_M + size.y * 0.5), size }
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
fn row_seat(index: usize, azimuth: f32, [level, depth]: [usize; 2], width: f32, layout: &SeatLayout) -> Seat {
    let radius = (layout.first_m + layout.depth_m * depth as f32).min(layout.last_m);
    let (ground, distance) = on_circle(azimuth, radius);
    let size = Vec2::new(width, width * ASPECT) * distance;
    let centre = first_bottom(layout) + row_height(width) * (level as f32 + 1.0) - width * ASPECT * 0.5;
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
fn first_bottom(layout: &SeatLayout) -> f32 {
    (CHAIR_M - eye_height()) / (VIEWPOINT.length() + layout.first_m)
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
    use crate::space::geometry::CORNICE_HEIGHT;

    #[test]
    fn nobody_hides_anybody_from_the_viewpoint() {
        for count in 1..=40 {
            let plan = seat_plan(count);
            assert!(plan.seats.len() >= count);
            for (i, a) in plan.seats.iter().enumerate() {
                for b in &plan.seats[i + 1..] {
                    let (a, b) = (a.seen(), b.seen());
                    assert!(a.intersect(b).is_empty(), "{count} people: {a:?} and {b:?} overlap");
                }
            }
        }
    }

    #[test]
    fn everyone_fits_the_first_view_and_leaves_the_wall_free() {
        for count in 1..=30 {
            for seat in seat_plan(count).seats {
                let Rect { min: Vec2 { x: left, y: bottom }, max: Vec2 { x: right, y: top } } = seat.seen();
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
        let width = |count| Rows::choose(count, &SeatLayout::BUILT_IN).width;
        assert!(width(5) > 0.17 && width(9) > 0.12 && width(25) > 0.10, "{} {} {}", width(5), width(9), width(25));
        assert!((1..100).all(|count| width(count + 1) <= width(count) + 1e-6));
        assert_eq!(seat_plan(1000).seats.len(), 1000);
    }

    #[test]
    fn named_chairs_are_taken_first_and_rows_take_the_rest() {
        let places = vec![Vec2::new(0.0, 2.0), Vec2::new(2.0, 0.0), Vec2::new(0.0, -4.9)];
        let layout = SeatLayout { places: Some(places.clone()), ..SeatLayout::BUILT_IN };
        let few = plan_seats(2, &layout).seats;
        assert_eq!(few.iter().map(|seat| Vec2::new(seat.place.x, seat.place.z)).collect::<Vec<_>>(), places);
        assert!(few.iter().all(|seat| seat.panel.y > seat.place.y + 1.5));
        for count in [4, 9, 40, 200] {
            let seats = plan_seats(count, &layout).seats;
            assert!(seats.len() >= count, "{} seats for {count}", seats.len());
            assert_eq!(seats[..3], few[..], "nobody moves because others came");
            assert!(seats.iter().enumerate().all(|(n, seat)| seat.index == n));
            let near = seats[3..].iter().map(|seat| seat.place.distance(few[2].place)).fold(f32::MAX, f32::min);
            assert!(near >= CHAIR_GAP_M || count > 100, "{count} people: a chair {near} m from a named one");
        }
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

    #[test]
    fn presenters_stand_on_both_sides_of_the_wall_and_do_not_hide_the_picture() {
        for people in [1, 5, 30] {
            let seats = seat_plan(people).seats;
            let places: Vec<Seat> = (0..5).map(|rank| seats[0].beside_wall(rank)).collect();
            assert!(places[0].panel.x < 0.0 && places[1].panel.x > 0.0, "the first left, the second right");
            for place in &places {
                let inner = place.panel.x.abs() - place.size.x * 0.5;
                let eye = Vec3::new(VIEWPOINT.x, 2.4, VIEWPOINT.y);
                // Seen from the viewpoint, in the plane of the great picture.
                let there =
                    eye + (place.panel.with_x(inner) - eye) * (eye.z - GREAT_WALL_CENTRE.z) / (eye.z - place.panel.z);
                assert!(there.x > GREAT_WALL_WIDTH * 0.5, "{people} people: {place:?} hides the picture");
                assert!(place.panel.y + place.size.y * 0.5 < CORNICE_HEIGHT);
                assert_eq!(place.size, seats[0].size);
            }
            for pair in [(0, 2), (1, 3), (2, 4)] {
                let apart = places[pair.0].panel.distance(places[pair.1].panel);
                assert!(apart > seats[0].size.x * 0.9, "{people} people: {pair:?} are {apart} m apart");
            }
        }
    }
}
