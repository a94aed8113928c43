//! Who presents: marks the owners of shares on the wall, in the order of their slots, in meetings small enough that there
//! is room for them beside it.

use bevy::prelude::*;

use super::slots::WallSlots;
use crate::model::WALL_SLOTS;
use crate::space::participant::{Presenting, Seat, SeatPlan};
use crate::space::stream::PublishedBy;

/// Keeps [`Presenting`] in step with the wall and the seats.
pub(super) fn mark_presenters(
    mut commands: Commands,
    slots: Res<WallSlots>,
    owners: Query<&PublishedBy>,
    plan: Res<SeatPlan>,
    seats: Query<&Seat>,
    presenters: Query<(Entity, &Presenting)>,
) {
    let mut order: Vec<Entity> = Vec::with_capacity(WALL_SLOTS);
    for slot in 0..WALL_SLOTS {
        if let Some(owner) = slots.entity(slot).and_then(|stream| owners.get(stream).ok())
            && !order.contains(&owner.0)
        {
            order.push(owner.0);
        }
    }
    let places = order.iter().enumerate().filter_map(|(rank, owner)| Some(seats.get(*owner).ok()?.beside_wall(rank)));
    if hides(&places.collect::<Vec<_>>(), &plan.seats) {
        order.clear();
    }
    for (entity, _) in &presenters {
        if !order.contains(&entity) {
            commands.entity(entity).try_remove::<Presenting>();
        }
    }
    for (rank, owner) in order.into_iter().enumerate() {
        if presenters.get(owner).is_ok_and(|(_, presenting)| presenting.0 == rank) {
            continue;
        }
        commands.entity(owner).try_insert(Presenting(rank));
    }
}

/// Whether panels at these places would hide any seat's, as seen from the viewpoint. All seats count, taken or not: so
/// presenters go to and fro only when the seats are laid anew, and all of them together.
fn hides(places: &[Seat], seats: &[Seat]) -> bool {
    let places: Vec<Rect> = places.iter().map(Seat::seen).collect();
    let hidden = |seat: Rect| places.iter().any(|place| !place.intersect(seat).is_empty());
    !places.is_empty() && seats.iter().map(Seat::seen).any(hidden)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::participant::seat_plan;

    /// Whether the first so many would hide somebody when they present in a meeting of this size.
    fn presenters_hide(people: usize, presenters: usize) -> bool {
        let seats = seat_plan(people).seats;
        let places: Vec<Seat> = (0..presenters).map(|rank| seats[rank].beside_wall(rank)).collect();
        hides(&places, &seats)
    }

    #[test]
    fn presenters_stand_beside_the_wall_until_a_crowd_sits_there() {
        for presenters in 1..=2 {
            let hidden: Vec<bool> = (2..=80).map(|people| presenters_hide(people, presenters)).collect();
            assert!(hidden[..14].iter().all(|hides| !hides), "{hidden:?}");
            assert!(hidden.is_sorted(), "once seated, they keep their seats while the meeting grows: {hidden:?}");
            assert!(hidden[25], "the boxes beside the wall are full");
        }
    }

    #[test]
    fn who_presents_is_marked_while_there_is_room() {
        let mut app = App::new();
        app.init_resource::<WallSlots>().insert_resource(seat_plan(4)).add_systems(Update, mark_presenters);
        let ada = app.world_mut().spawn(seat_plan(4).seats[1]).id();
        let page = app.world_mut().spawn(PublishedBy(ada)).id();
        app.world_mut().resource_mut::<WallSlots>().entities[0] = Some(page);
        let mut present = |people: usize| {
            app.insert_resource(seat_plan(people));
            app.update();
            app.world().get::<Presenting>(ada).copied()
        };
        assert_eq!(present(4), Some(Presenting(0)));
        assert_eq!(present(40), None);
        assert_eq!(present(4), Some(Presenting(0)));
        app.world_mut().resource_mut::<WallSlots>().entities[0] = None;
        app.update();
        assert!(app.world().get::<Presenting>(ada).is_none());
    }
}
