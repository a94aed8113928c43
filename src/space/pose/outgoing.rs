//! Where this client stands, for the engine to tell. Runs in [`crate::space::SpaceSystems::Send`].

use bevy::prelude::*;

use crate::model::{Pose, Stand};
use crate::space::sync::EngineBridge;
use crate::space::view::{Posture, Walker};

/// What the others shall know of a walker; `None` when what is told already is as good.
fn pose_of(walker: &Walker, told: Pose) -> Option<Pose> {
    let pose = match walker.posture {
        Posture::Seated => Pose::Seated,
        Posture::Standing => Pose::Standing(Stand::new(walker.ground.x, walker.ground.y, walker.yaw)?),
    };
    let as_good = match (pose, told) {
        (Pose::Standing(stand), Pose::Standing(told)) => stand.is_like(told),
        (pose, told) => pose == told,
    };
    (!as_good).then_some(pose)
}

/// Puts the own pose onto the board when it changed. How often it is sent is the engine's business.
pub(super) fn tell_own_pose(
    bridge: Res<EngineBridge>,
    walkers: Query<&Walker, Changed<Walker>>,
    mut told: Local<Pose>,
) {
    let Some(pose) = walkers.iter().next().and_then(|walker| pose_of(walker, *told)) else { return };
    *told = pose;
    bridge.0.poses().move_to(pose);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standing_still_and_sitting_have_nothing_to_tell() {
        let mut walker = Walker::looking_at(Vec3::new(1.0, 1.7, 2.0), Vec3::ZERO);
        assert_eq!(pose_of(&walker, Pose::Seated), None, "whoever looks around from the first view sits");
        walker.posture = Posture::Standing;
        let here = pose_of(&walker, Pose::Seated).unwrap();
        assert_eq!(pose_of(&walker, here), None);
        walker.ground.x += 0.005;
        walker.yaw += 0.002;
        assert_eq!(pose_of(&walker, here), None, "half a centimetre is nothing");
        walker.ground.x += 0.1;
        let Some(Pose::Standing(there)) = pose_of(&walker, here) else { panic!("ten are something") };
        assert!((there.x_m() - 1.105).abs() < 0.006 && (there.z_m() - 2.0).abs() < 0.006);
        walker.ground.x = f32::NAN;
        assert_eq!(pose_of(&walker, here), None, "nowhere is not told");
        walker.posture = Posture::Seated;
        assert_eq!(pose_of(&walker, here), Some(Pose::Seated));
    }
}
