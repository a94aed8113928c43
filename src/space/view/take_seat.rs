//! Choosing a seat: the chair under the mouse is marked, a click takes it and brings the view there. A drag looks
//! around and is no click. Main thread, [`crate::space::SpaceSystems::Sync`].

use bevy::input::mouse::AccumulatedMouseMotion;
use bevy::math::bounding::{BoundingSphere, RayCast3d};
use bevy::prelude::*;
use bevy::window::PrimaryWindow;
use bevy_egui::input::EguiWantsInput;

use super::flight::Station;
use super::steer::{Posture, Walker};
use super::{RoomCamera, ViewMode};
use crate::space::participant::{LocalParticipant, Seat, SeatPlan, wish_for};
use crate::space::sync::{Outbox, RoomFigures};

/// A press that moves further than this is a drag, in pixels.
const CLICK_PX: f32 = 5.0;
/// A chair is about a ball of this size, this high above its place, metres.
const CHAIR_RADIUS_M: f32 = 0.52;
const CHAIR_MIDDLE_M: f32 = 0.42;
/// Chairs further away than this cannot be aimed at.
const FARTHEST_M: f32 = 30.0;

/// The seat that a click would take.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AimedSeat(pub Option<usize>);

/// Somebody at this client wants to sit there.
#[derive(Message, Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakeSeat(
    /// The number of the seat.
    pub usize,
);

/// Whether a press is still a click.
#[derive(Default)]
pub(super) struct Press {
    moved_px: Option<f32>,
}

/// The first chair that a gaze meets and may take: nobody's, or one's own. Panels hide what is behind them.
fn chair_under(ray: Ray3d, plan: &SeatPlan, own: Option<usize>) -> Option<usize> {
    let cast = RayCast3d::from_ray(ray, FARTHEST_M);
    let chair = |seat: &Seat| {
        let ball = BoundingSphere::new(seat.place + Vec3::Y * CHAIR_MIDDLE_M, CHAIR_RADIUS_M);
        Some((cast.sphere_intersection_at(&ball)?, seat.index))
    };
    let panel = |seat: &Seat| {
        let to = seat.panel - ray.origin;
        let along = to.dot(*ray.direction);
        let off = to - *ray.direction * along;
        let covered = along > 0.0 && off.xz().length() < seat.size.x * 0.5 && off.y.abs() < seat.size.y * 0.5;
        covered.then_some(along)
    };
    let (at, index) = plan.seats.iter().filter_map(chair).min_by(|a, b| a.0.total_cmp(&b.0))?;
    let others = plan.seats.iter().filter(|seat| plan.free(seat.index).is_none() && Some(seat.index) != own);
    let hidden = others.filter_map(panel).any(|panel| panel < at);
    let allowed = own == Some(index) || plan.free(index).is_some();
    (allowed && !hidden).then_some(index)
}

/// Marks the chair under the mouse.
pub(super) fn aim_at_chair(
    mode: Res<ViewMode>,
    plan: Res<SeatPlan>,
    overlay: Option<Res<EguiWantsInput>>,
    windows: Query<&Window, With<PrimaryWindow>>,
    cameras: Query<(&Camera, &GlobalTransform), With<RoomCamera>>,
    own: Query<&Seat, With<LocalParticipant>>,
    mut aimed: ResMut<AimedSeat>,
) {
    let pointing = overlay.is_some_and(|overlay| overlay.wants_any_pointer_input());
    let ray = || {
        let cursor = windows.single().ok()?.cursor_position()?;
        let (camera, transform) = cameras.single().ok()?;
        camera.viewport_to_world(transform, cursor).ok()
    };
    let under = (*mode == ViewMode::Hall && !pointing)
        .then(ray)
        .flatten()
        .and_then(|ray| chair_under(ray, &plan, own.single().ok().map(|seat| seat.index)));
    aimed.set_if_neq(AimedSeat(under));
}

/// A click takes the chair that is aimed at.
pub(super) fn read_clicks(
    buttons: Option<Res<ButtonInput<MouseButton>>>,
    motion: Option<Res<AccumulatedMouseMotion>>,
    aimed: Res<AimedSeat>,
    mut press: Local<Press>,
    mut wishes: MessageWriter<TakeSeat>,
) {
    let (Some(buttons), Some(motion)) = (buttons, motion) else { return };
    if buttons.just_pressed(MouseButton::Left) {
        press.moved_px = Some(0.0);
    } else if let Some(moved) = &mut press.moved_px {
        *moved += motion.delta.length();
    }
    if buttons.just_released(MouseButton::Left)
        && press.moved_px.take().is_some_and(|moved| moved <= CLICK_PX)
        && let Some(seat) = aimed.0
    {
        wishes.write(TakeSeat(seat));
    }
}

/// Goes to the seat, and tells everyone. Where the token does not allow that, one stands there.
pub(super) fn take_seat(
    mut wishes: MessageReader<TakeSeat>,
    plan: Res<SeatPlan>,
    own: Query<&Seat, With<LocalParticipant>>,
    figures: Res<RoomFigures>,
    mut outbox: ResMut<Outbox>,
    mut walkers: Query<&mut Walker>,
) {
    let Some(TakeSeat(index)) = wishes.read().last() else { return };
    let own = own.single().ok();
    let mine = own.filter(|seat| seat.index == *index);
    let Some(seat) = mine.or_else(|| plan.free(*index)) else { return };
    let told = mine.is_some() || (figures.0.may_set_attributes && outbox.push(wish_for(seat.index)));
    let posture = if told { Posture::Seated } else { Posture::Standing };
    for mut walker in &mut walkers {
        walker.fly_to(Station::in_seat(seat), posture, told);
    }
}

/// Who looks from their seat goes with it when it moves.
pub(super) fn stay_in_seat(
    moved: Query<&Seat, (With<LocalParticipant>, Changed<Seat>)>,
    mut walkers: Query<&mut Walker>,
) {
    let Ok(seat) = moved.single() else { return };
    for mut walker in &mut walkers {
        if walker.in_seat && walker.ground.distance(seat.place.xz()) > 0.01 {
            walker.fly_to(Station::in_seat(seat), Posture::Seated, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::geometry::{EYE_HEIGHT, VIEWPOINT, floor_height};
    use crate::space::participant::seat_plan;

    fn gaze_at(target: Vec3) -> Ray3d {
        let eye = Vec3::new(VIEWPOINT.x, floor_height(VIEWPOINT.length()) + EYE_HEIGHT, VIEWPOINT.y);
        Ray3d::new(eye, Dir3::new(target - eye).unwrap())
    }

    #[test]
    fn free_chairs_and_the_own_one_can_be_aimed_at_from_the_first_view() {
        let mut plan = seat_plan(5);
        plan.taken[0] = true;
        plan.taken[1] = true;
        let at = |plan: &SeatPlan, index: usize, own| {
            chair_under(gaze_at(plan.seats[index].place + Vec3::Y * 0.5), plan, own)
        };
        for free in 2..plan.seats.len() {
            assert_eq!(at(&plan, free, Some(1)), Some(free));
        }
        assert_eq!(at(&plan, 1, Some(1)), Some(1), "one's own");
        assert_eq!(at(&plan, 0, Some(1)), None, "somebody's");
        assert_eq!(chair_under(gaze_at(Vec3::new(0.0, 9.0, -9.0)), &plan, None), None, "the wall is no chair");
    }

    #[test]
    fn a_panel_hides_the_chair_behind_it() {
        let plan = seat_plan(1);
        let chair = plan.seats[0];
        let gaze = gaze_at(chair.place + Vec3::Y * 0.5);
        let mut hidden = plan.clone();
        hidden.seats.push(Seat {
            index: hidden.seats.len(),
            place: Vec3::splat(80.0),
            panel: gaze.get_point(3.0),
            size: Vec2::new(1.0, 0.6),
        });
        hidden.taken.push(true);
        assert_eq!(chair_under(gaze, &plan, None), Some(0));
        assert_eq!(chair_under(gaze, &hidden, None), None);
    }

    #[test]
    fn a_click_takes_the_aimed_chair_and_a_drag_does_not() {
        let mut app = App::new();
        app.init_resource::<ButtonInput<MouseButton>>()
            .init_resource::<AccumulatedMouseMotion>()
            .insert_resource(AimedSeat(Some(3)))
            .add_message::<TakeSeat>()
            .add_systems(Update, read_clicks);
        let mut click = |drag: f32| {
            app.world_mut().resource_mut::<ButtonInput<MouseButton>>().press(MouseButton::Left);
            app.update();
            app.world_mut().resource_mut::<ButtonInput<MouseButton>>().clear();
            app.world_mut().resource_mut::<AccumulatedMouseMotion>().delta = Vec2::new(drag, 0.0);
            app.update();
            app.world_mut().resource_mut::<AccumulatedMouseMotion>().delta = Vec2::ZERO;
            app.world_mut().resource_mut::<ButtonInput<MouseButton>>().release(MouseButton::Left);
            app.update();
            app.world_mut().resource_mut::<ButtonInput<MouseButton>>().clear();
            app.world_mut().resource_mut::<Messages<TakeSeat>>().drain().collect::<Vec<_>>()
        };
        assert_eq!(click(2.0), [TakeSeat(3)]);
        assert!(click(30.0).is_empty());
        assert_eq!(click(0.0), [TakeSeat(3)]);
    }
}
