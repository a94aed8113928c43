//! Proof of the geometry: areas that can be worked out by hand, and everything a face can be to an eye.

use bevy::camera::{CameraProjection, OrthographicProjection, PerspectiveProjection};
use bevy::math::{Affine3A, Quat};

use super::*;

const RIGHT_ANGLE: f32 = std::f32::consts::FRAC_PI_2;

/// An eye at the origin that looks along -Z.
fn eye(fov: f32, (width, height): (u32, u32)) -> Eye {
    let aspect_ratio = width as f32 / height as f32;
    let lens = PerspectiveProjection { fov, aspect_ratio, near: 0.1, far: 80.0, ..Default::default() };
    Eye::new(Mat4::IDENTITY, lens.get_clip_from_view(), UVec2::new(width, height)).unwrap()
}

fn face(width: f32, height: f32, turned: f32, at: Vec3) -> Mat4 {
    let turned = Quat::from_rotation_y(turned);
    Mat4::from(Affine3A::from_scale_rotation_translation(Vec3::new(width, height, 1.0), turned, at))
}

/// A face of 2 x 1 m, turned to the eye, so far to the side in radians, 5 m away.
fn aside(radians: f32) -> Mat4 {
    face(2.0, 1.0, -radians, Vec3::new(5.0 * radians.sin(), 0.0, -5.0 * radians.cos()))
}

#[test]
fn in_front_it_covers_what_its_size_and_distance_give() {
    // At 90 degrees, 500 pixels are as wide as the distance: at 5 m a metre is 100 pixels.
    let seen = eye(RIGHT_ANGLE, (1000, 1000)).look(face(2.0, 1.0, 0.0, Vec3::NEG_Z * 5.0));
    assert_eq!(seen.sight, Sight::InView);
    assert!((seen.area_px - 200.0 * 100.0).abs() < 1.0, "{seen:?}");
    assert!((seen.aspect - 2.0).abs() < 1e-5);
    let far = eye(RIGHT_ANGLE, (1000, 1000)).look(face(2.0, 1.0, 0.0, Vec3::NEG_Z * 50.0));
    assert!((far.area_px - 200.0).abs() < 0.1, "a tenth of each side: {far:?}");
}

#[test]
fn zooming_and_larger_windows_enlarge_it() {
    let at = face(2.0, 1.0, 0.0, Vec3::NEG_Z * 5.0);
    let area = |fov, window| eye(fov, window).look(at).area_px;
    let plain = area(RIGHT_ANGLE, (1000, 1000));
    let zoomed = area(2.0 * 0.5f32.atan(), (1000, 1000));
    assert!((zoomed / plain - 4.0).abs() < 1e-3, "half the field of view, in tangents: {zoomed} and {plain}");
    let four_k = area(RIGHT_ANGLE, (3840, 2160));
    assert!((four_k / plain - 2.16 * 2.16).abs() < 1e-3, "the height counts: {four_k}");
    assert!(area(RIGHT_ANGLE, (8, 8)) < 1.5, "a tiny window wants next to nothing");
}

#[test]
fn half_in_view_it_counts_whole() {
    let whole = eye(RIGHT_ANGLE, (1000, 1000)).look(face(2.0, 1.0, 0.0, Vec3::NEG_Z * 5.0));
    let half = eye(RIGHT_ANGLE, (1000, 1000)).look(face(2.0, 1.0, 0.0, Vec3::new(5.0, 0.0, -5.0)));
    assert_eq!(half.sight, Sight::InView);
    assert!((half.area_px - whole.area_px).abs() < 1.0, "its layer does not change at the edge: {half:?}");
}

#[test]
fn out_of_view_it_is_near_for_a_turn_of_the_head_and_away_beyond() {
    let eye = eye(RIGHT_ANGLE, (1000, 1000));
    let sight = |radians: f32| [aside(radians), aside(-radians)].map(|face| eye.look(face).sight);
    assert_eq!(sight(0.5), [Sight::InView; 2]);
    assert_eq!(sight(RIGHT_ANGLE / 2.0 + 0.4), [Sight::Near; 2]);
    assert_eq!(sight(RIGHT_ANGLE / 2.0 + RING_RAD + 0.4), [Sight::Away; 2]);
    assert_eq!(sight(2.0 * RIGHT_ANGLE), [Sight::Away; 2], "behind");
    assert_eq!(eye.look(aside(1.2)).area_px, 0.0);
    let above = face(2.0, 1.0, 0.0, Vec3::new(0.0, 40.0, -5.0));
    assert_eq!(eye.look(above).sight, Sight::Away);
}

#[test]
fn the_eye_turns_and_walks_with_its_camera() {
    let lens = PerspectiveProjection { fov: RIGHT_ANGLE, aspect_ratio: 1.0, ..Default::default() };
    let from = |turned: f32, at: Vec3| {
        let camera = Mat4::from_rotation_translation(Quat::from_rotation_y(turned), at);
        Eye::new(camera, lens.get_clip_from_view(), UVec2::splat(1000)).unwrap()
    };
    let target = face(2.0, 1.0, 0.0, Vec3::NEG_Z * 5.0);
    assert_eq!(from(2.0 * RIGHT_ANGLE, Vec3::ZERO).look(target).sight, Sight::Away, "looking back");
    assert_eq!(from(2.0 * RIGHT_ANGLE, Vec3::NEG_Z * 9.0).look(target).sight, Sight::InView, "from beyond");
    let near = from(0.0, Vec3::NEG_Z * 4.0).look(target);
    assert!(near.area_px > 400_000.0, "a step closer raises it: {near:?}");
}

#[test]
fn edge_on_there_is_nothing_to_see_yet() {
    let edge = eye(RIGHT_ANGLE, (1000, 1000)).look(face(2.0, 1.0, RIGHT_ANGLE, Vec3::NEG_Z * 5.0));
    assert_eq!((edge.sight, edge.area_px), (Sight::Near, 0.0), "but soon");
    let slanted = eye(RIGHT_ANGLE, (1000, 1000)).look(face(2.0, 1.0, 1.2, Vec3::NEG_Z * 5.0));
    assert!((3_000.0..12_000.0).contains(&slanted.area_px), "{slanted:?}");
}

#[test]
fn walking_past_one_that_reaches_behind_the_eye() {
    let wall = face(20.0, 4.0, RIGHT_ANGLE, Vec3::new(1.0, 0.0, 0.0));
    let seen = eye(RIGHT_ANGLE, (1000, 1000)).look(wall);
    assert_eq!(seen.sight, Sight::InView);
    assert!(seen.area_px.is_finite() && seen.area_px > 100_000.0, "{seen:?}");
    let inside = eye(RIGHT_ANGLE, (1000, 1000)).look(face(2.0, 1.0, 0.0, Vec3::new(0.0, 0.0, 0.01)));
    assert_eq!(inside.sight, Sight::Near, "standing in it");
}

#[test]
fn a_flat_view_gives_every_distance_the_same_size() {
    let mut lens = OrthographicProjection::default_3d();
    lens.update(10.0, 10.0);
    let eye = Eye::new(Mat4::IDENTITY, lens.get_clip_from_view(), UVec2::splat(1000)).unwrap();
    for distance in [1.0, 9.0, 90.0] {
        let seen = eye.look(face(2.0, 1.0, 0.0, Vec3::new(3.0, 0.0, -distance)));
        assert_eq!(seen.sight, Sight::InView, "{distance} m");
        assert!((seen.area_px - 200.0 * 100.0).abs() < 2.0, "{seen:?}");
    }
    let sight = |x: f32| eye.look(face(2.0, 1.0, 0.0, Vec3::new(x, 0.0, -5.0))).sight;
    assert_eq!([sight(5.5), sight(7.0), sight(12.0)], [Sight::InView, Sight::Near, Sight::Away]);
}

#[test]
fn ones_own_picture_in_the_corner_is_seen() {
    // As it hangs: half a metre before the eye, an eighth of the view wide.
    let width = 0.13;
    let own = eye(RIGHT_ANGLE, (1600, 900)).look(face(width, width * 0.5625, 0.0, Vec3::new(0.6, -0.4, -0.5)));
    assert_eq!(own.sight, Sight::InView);
    let side = own.area_px.sqrt();
    assert!((50.0..300.0).contains(&side), "{own:?}");
}

#[test]
fn what_makes_no_sense_is_not_shown_and_breaks_nothing() {
    let eye = eye(RIGHT_ANGLE, (1000, 1000));
    let at = Vec3::NEG_Z * 5.0;
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(eye.look(face(2.0, 1.0, 0.0, Vec3::new(bad, 0.0, -5.0))), View::default());
        assert_eq!(eye.look(face(bad, 1.0, 0.0, at)), View::default());
    }
    assert_eq!(eye.look(face(0.0, 0.0, 0.0, at)).sight, Sight::NotShown);
    assert_eq!(eye.look(face(2.0, 0.0, 0.0, at)).sight, Sight::NotShown);
    let huge = eye.look(face(1e30, 1e30, 0.0, at));
    assert!(huge.area_px.is_finite(), "{huge:?}");
    let lens = PerspectiveProjection::default().get_clip_from_view();
    assert!(Eye::new(Mat4::IDENTITY, lens, UVec2::new(0, 900)).is_none(), "a window that is minimised");
    assert!(Eye::new(Mat4::from_translation(Vec3::NAN), lens, UVec2::splat(9)).is_none());
    assert!(Eye::new(Mat4::ZERO, lens, UVec2::splat(9)).is_none());
    assert!(Eye::new(Mat4::IDENTITY, Mat4::ZERO, UVec2::splat(9)).is_none());
}
