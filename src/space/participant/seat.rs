//! Where everyone sits: the same on every client, from the order of joining alone. Pure geometry.
//!
//! Seats form rows, arcs around the hall's centre between the viewpoint at the back and the great wall. Within a row
//! they are spread evenly *as seen from the viewpoint*, and each row stands above the one before it, so that from
//! there nobody hides anybody, and nobody hides the wall.

use std::cmp::Ordering;

use bevy::math::{Vec2, Vec3};
use bevy::prelude::*;

use super::Participant;
use crate::space::geometry::{EYE_HEIGHT, VIEWPOINT, floor_height};

/// Widest panel, in metres.
const WIDEST_M: f32 = 2.7;
/// Angle, as seen from the viewpoint, that a row may take.
const ROW_SPAN_DEG: f32 = 66.0;
/// Room between two panels, as a share of their width.
const GAP: f32 = 0.09;
/// What the name plate adds to a panel's height, as a share of it.
const PLATE: f32 = 0.24;
/// Height, at the front row, that all rows together may take.
const STACK_M: f32 = 2.9;
/// Radius of the front row and of the last one.
const FRONT_RADIUS: f32 = 4.9;
const BACK_RADIUS: f32 = 8.4;
/// Lowest centre of a panel above its floor.
const LOWEST_CENTRE_M: f32 = 1.66;

/// A participant's place.
#[derive(Component, Clone, Copy, Debug, PartialEq)]
pub struct Seat {
    /// Rank in the order of joining, from 0.
    pub index: usize,
    /// Where the chair stands.
    pub place: Vec3,
    /// Centre of the panel above it.
    pub panel: Vec3,
    /// Size of the panel's picture, in metres.
    pub size: Vec2,
}

/// All places for a number of people.
#[derive(Clone, Debug, PartialEq)]
pub struct SeatPlan {
    /// In the order in which they are taken.
    pub seats: Vec<Seat>,
}

/// The places for `count` people.
pub fn seat_plan(count: usize) -> SeatPlan {
    let rows = (1..=8).max_by(|a, b| by_width(count, *a, *b)).unwrap_or(1);
    let width = panel_width(count, rows);
    let height = width * 9.0 / 16.0;
    let eye = floor_height(VIEWPOINT.length()) + EYE_HEIGHT;
    let mut seats = Vec::with_capacity(count);
    let mut clear_above = f32::NEG_INFINITY;
    for row in 0..rows {
        let in_row = row_share(count, rows, row);
        if in_row == 0 {
            continue;
        }
        let radius = row_radius(rows, row);
        let depth = VIEWPOINT.length() + radius;
        let floor = floor_height(radius);
        let centre = (floor + LOWEST_CENTRE_M.max(height * 0.5 + 0.95))
            .max(eye + clear_above * depth + height * (0.5 + PLATE) + 0.02);
        clear_above = (centre + height * 0.5 - eye) / depth;
        for column in 0..in_row {
            let azimuth = azimuth_of(column, in_row, width, depth);
            let ground = on_circle(azimuth, radius);
            seats.push(Seat {
                index: seats.len(),
                place: Vec3::new(ground.x, floor, ground.y),
                panel: Vec3::new(ground.x, centre, ground.y),
                size: Vec2::new(width, height),
            });
        }
    }
    SeatPlan { seats }
}

fn by_width(count: usize, a: usize, b: usize) -> Ordering {
    // Of two layouts alike, fewer rows are calmer.
    panel_width(count, a).total_cmp(&panel_width(count, b)).then(b.cmp(&a))
}

fn panel_width(count: usize, rows: usize) -> f32 {
    let in_row = count.div_ceil(rows).max(1) as f32;
    let depth = VIEWPOINT.length() + row_radius(rows, 0);
    let by_span = ROW_SPAN_DEG.to_radians() / in_row / (1.0 + GAP) * depth;
    let by_stack = (STACK_M / rows as f32) / (1.0 + PLATE) * 16.0 / 9.0;
    by_span.min(by_stack).min(WIDEST_M)
}

/// People in a row: as even as can be, the further rows first.
fn row_share(count: usize, rows: usize, row: usize) -> usize {
    let base = count / rows;
    base + usize::from(rows - 1 - row < count % rows)
}

fn row_radius(rows: usize, row: usize) -> f32 {
    if rows == 1 { FRONT_RADIUS } else { FRONT_RADIUS + (BACK_RADIUS - FRONT_RADIUS) * row as f32 / (rows - 1) as f32 }
}

/// Angle from the middle, to the right, as seen from the viewpoint; taken from the middle outwards.
fn azimuth_of(column: usize, in_row: usize, width: f32, depth: f32) -> f32 {
    let natural = width * (1.0 + GAP) / depth * 1.16;
    let step = natural.min(ROW_SPAN_DEG.to_radians() / in_row as f32);
    (column as f32 - (in_row - 1) as f32 * 0.5) * step
}

/// The far point of the circle around the hall's centre on the viewpoint's ray.
fn on_circle(azimuth: f32, radius: f32) -> Vec2 {
    let back = VIEWPOINT.length();
    let (sin, cos) = azimuth.sin_cos();
    let half = (radius * radius - (back * sin).powi(2)).max(0.0).sqrt();
    let along = back * cos + half;
    VIEWPOINT + Vec2::new(sin, -cos) * along
}

/// Who sits before whom.
fn before(a: &Participant, b: &Participant) -> Ordering {
    a.joined_at_ms.cmp(&b.joined_at_ms).then_with(|| a.user.cmp(&b.user))
}

/// Gives everyone the seat of their rank whenever someone came, changed or went.
pub fn assign_seats(
    mut commands: Commands,
    people: Query<(Entity, &Participant, Option<&Seat>)>,
    changed: Query<(), Changed<Participant>>,
    mut gone: RemovedComponents<Participant>,
) {
    if changed.is_empty() && gone.read().count() == 0 {
        return;
    }
    let mut order: Vec<_> = people.iter().collect();
    order.sort_by(|a, b| before(a.1, b.1));
    let plan = seat_plan(order.len());
    for ((entity, _, old), seat) in order.into_iter().zip(plan.seats) {
        if old != Some(&seat) {
            commands.entity(entity).insert(seat);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::geometry::{GREAT_WALL_CENTRE, GREAT_WALL_WIDTH, STEPS};

    fn eye() -> Vec3 {
        Vec3::new(VIEWPOINT.x, floor_height(VIEWPOINT.length()) + EYE_HEIGHT, VIEWPOINT.y)
    }

    /// A panel as the viewpoint sees it: left, right, bottom, top as tangents.
    fn seen(seat: &Seat) -> [f32; 4] {
        let to = seat.panel - eye();
        let depth = Vec2::new(to.x, to.z).length();
        let azimuth = to.x.atan2(-to.z);
        let half = seat.size * 0.5 / depth;
        [azimuth - half.x, azimuth + half.x, to.y / depth - half.y, to.y / depth + half.y]
    }

    #[test]
    fn nobody_hides_anybody_from_the_viewpoint() {
        for count in 1..=30 {
            let plan = seat_plan(count);
            assert_eq!(plan.seats.len(), count);
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
    fn up_to_25_people_fit_the_first_view_and_leave_the_wall_free() {
        let wall_bottom = GREAT_WALL_CENTRE.y - GREAT_WALL_WIDTH * 9.0 / 32.0;
        let wall = (wall_bottom - eye().y) / (eye().z - GREAT_WALL_CENTRE.z);
        for count in 1..=25 {
            for seat in seat_plan(count).seats {
                let [left, right, bottom, top] = seen(&seat);
                assert!(left > -0.66 && right < 0.66, "{count} people: {left} {right} leave a 16:9 view");
                assert!(bottom > -0.35, "{count} people: {bottom} falls out below");
                assert!(top < wall + 0.002, "{count} people: {top} hides the wall at {wall}");
                assert!(seat.place.xz().length() < STEPS[1].0 + 1.5);
            }
        }
    }

    #[test]
    fn the_order_is_by_time_and_then_identity() {
        let person = |id: &str, at| Participant {
            user: crate::model::UserId::new(id).unwrap(),
            name: id.into(),
            joined_at_ms: at,
        };
        assert_eq!(before(&person("b", 1), &person("a", 2)), Ordering::Less);
        assert_eq!(before(&person("b", 1), &person("a", 1)), Ordering::Greater);
    }
}
