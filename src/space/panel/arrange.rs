//! The flat views: which panel gets which tile, page by page or around the speaker, and a face of its own for a shared
//! screen. Panels are the same ones that hang in the hall: only where they hang differs, so nothing is fetched or
//! decoded anew. Main thread, [`crate::space::SpaceSystems::Sync`].

use bevy::prelude::*;
use bevy_egui::input::EguiWantsInput;

use super::flat::{self, Flat, PAGE_TILES, STRIP_TILES, Tile};
use super::spotlight::Spotlight;
use super::{PanelOf, share_style, view_size};
use crate::model::StreamKind;
use crate::space::geometry::PICTURE_ASPECT;
use crate::space::participant::{Participant, Seat, Speaking, Spotlit, VoiceLevel};
use crate::space::settings::Comfort;
use crate::space::stream::{FaceAssets, VideoFace, VideoMaterial, VideoStream};
use crate::space::view::{RoomCamera, ViewMode, in_flat_views};

/// Which page of the grid is shown, from 0.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GridPage {
    /// The page.
    pub shown: usize,
    /// How many there are, at least 1.
    pub pages: usize,
}

/// The tile of a panel in the present flat view.
#[derive(Component, Clone, Copy, Debug, PartialEq)]
pub(super) struct FlatTile(pub(super) Tile);

/// When a participant last spoke, by the app's clock in seconds: keeps the strip to those who take part.
#[derive(Component, Clone, Copy, Debug, Default)]
pub(super) struct SpokeAt(f32);

/// The face of a shared screen in the speaker view.
#[derive(Component, Clone, Copy, Debug)]
pub(super) struct FlatShare;

/// What a camera's tiles are laid out in; `None` without one in perspective.
fn flat_view(view: Option<(&Camera, &Projection)>, comfort: &Comfort) -> Option<Flat> {
    let (camera, Projection::Perspective(lens)) = view? else { return None };
    let half = (lens.fov * 0.5).tan();
    let half_view = Vec2::new(half * lens.aspect_ratio, half);
    let sound = half_view.is_finite() && half_view.min_element() > 0.0;
    sound.then(|| Flat::new(half_view, view_size(camera), comfort.text_percent))
}

/// Page keys turn the pages of the grid; the page stays within what there is.
pub(super) fn turn_pages(
    keys: Option<Res<ButtonInput<KeyCode>>>,
    overlay: Option<Res<EguiWantsInput>>,
    mode: Res<ViewMode>,
    panels: Query<(), With<PanelOf>>,
    mut page: ResMut<GridPage>,
) {
    let pages = panels.iter().count().div_ceil(PAGE_TILES).max(1);
    let mut shown = page.shown;
    let typing = overlay.is_some_and(|overlay| overlay.wants_any_keyboard_input());
    if let Some(keys) = keys.filter(|_| *mode == ViewMode::Grid && !typing) {
        if keys.just_pressed(KeyCode::PageDown) {
            shown += 1;
        }
        if keys.just_pressed(KeyCode::PageUp) {
            shown = shown.saturating_sub(1);
        }
    }
    page.set_if_neq(GridPage { shown: shown.min(pages - 1), pages });
}

/// Remembers who spoke when.
pub(super) fn note_speakers(mut commands: Commands, time: Res<Time>, speakers: Query<Entity, With<Speaking>>) {
    for speaker in &speakers {
        commands.entity(speaker).insert(SpokeAt(time.elapsed_secs()));
    }
}

type Person = (&'static Seat, &'static VoiceLevel, Has<Speaking>, Option<&'static SpokeAt>, Has<Spotlit>);

/// Gives every panel its tile, or hides it while it has none; in the hall there are no tiles.
#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn arrange_panels(
    mut commands: Commands,
    time: Res<Time>,
    mode: Res<ViewMode>,
    (page, comfort): (Res<GridPage>, Res<Comfort>),
    camera: Query<(&Camera, &Projection), With<RoomCamera>>,
    people: Query<Person, With<Participant>>,
    shares: Query<&VideoFace, With<FlatShare>>,
    mut panels: Query<(Entity, &PanelOf, Option<&FlatTile>, &mut Visibility)>,
    mut spotlight: Local<Spotlight>,
    mut tiles: Local<Vec<(Entity, Tile)>>,
) {
    tiles.clear();
    if let Some(flat) = flat_view(camera.iter().next(), &comfort).filter(|_| mode.is_flat()) {
        let mut lights = Vec::new();
        let mut order: Vec<_> = panels
            .iter()
            .filter_map(|(panel, of, ..)| Some((panel, of.0, people.get(of.0).ok()?)))
            .map(|(panel, person, (seat, level, speaking, spoke, lit))| {
                lights.extend(lit.then_some(person));
                (panel, person, seat.index, level.0, speaking, spoke.map_or(f32::NEG_INFINITY, |at| at.0))
            })
            .collect();
        order.sort_by_key(|(_, _, index, ..)| *index);
        if *mode == ViewMode::Grid {
            let on_page = order.iter().skip(page.shown * PAGE_TILES).take(PAGE_TILES);
            let places = flat::grid(on_page.len(), flat);
            tiles.extend(on_page.map(|(panel, ..)| *panel).zip(places));
        } else {
            let voices: Vec<_> =
                order.iter().map(|(_, person, _, level, speaking, _)| (*person, *speaking, *level)).collect();
            let speaker = spotlight.follow(&voices, time.delta_secs());
            // Whom a host put into the light goes before whoever speaks.
            let large = lights.first().copied().or(speaker);
            let shared = shares.iter().any(|face| face.stream.is_some());
            let large =
                if shared { None } else { order.iter().find(|(_, person, ..)| Some(*person) == large).copied() };
            let mut strip: Vec<_> =
                order.iter().filter(|(panel, ..)| large.is_none_or(|(shown, ..)| shown != *panel)).collect();
            // Those who spoke last, in the order of their seats.
            strip.sort_by(|a, b| b.5.total_cmp(&a.5).then(a.2.cmp(&b.2)));
            strip.truncate(STRIP_TILES);
            strip.sort_by_key(|(_, _, index, ..)| *index);
            let places = flat::spotlight(strip.len(), flat, !shared);
            let rest = strip.into_iter().map(|(panel, ..)| *panel);
            match large {
                Some((panel, ..)) => tiles.extend(std::iter::once(panel).chain(rest).zip(places)),
                None => tiles.extend(rest.zip(places.into_iter().skip(1))),
            }
        }
    }
    for (panel, _, old, mut visibility) in &mut panels {
        let tile = tiles.iter().find(|(with_tile, _)| *with_tile == panel).map(|(_, tile)| FlatTile(*tile));
        match (tile, old) {
            (Some(tile), old) if old != Some(&tile) => {
                commands.entity(panel).insert(tile);
            }
            (None, Some(_)) => {
                commands.entity(panel).remove::<FlatTile>();
            }
            _ => {}
        }
        let shown = tile.is_some() || !mode.is_flat();
        visibility.set_if_neq(if shown { Visibility::Inherited } else { Visibility::Hidden });
    }
}

type EyeData = (&'static Camera, &'static Projection, &'static Transform);
type Eye<'w, 's> = Query<'w, 's, EyeData, (With<RoomCamera>, Without<FlatShare>)>;

/// In the speaker view a shared screen takes the large place: the one that was there first, until it ends.
#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn show_share(
    mut commands: Commands,
    (mode, comfort): (Res<ViewMode>, Res<Comfort>),
    camera: Eye,
    streams: Query<(Entity, &VideoStream)>,
    panels: Query<(), With<FlatTile>>,
    mut faces: Query<(Entity, &mut VideoFace, &mut Transform), With<FlatShare>>,
    assets: Res<FaceAssets>,
    mut materials: ResMut<Assets<VideoMaterial>>,
) {
    let face = faces.iter_mut().next();
    let shared = |stream: &VideoStream| stream.info.kind == StreamKind::Screen && stream.info.video.is_some();
    let kept = face
        .as_ref()
        .and_then(|(_, face, _)| face.stream)
        .filter(|kept| streams.get(*kept).is_ok_and(|(_, s)| shared(s)));
    let share = kept.or_else(|| {
        let shares = streams.iter().filter(|(_, stream)| shared(stream));
        shares.min_by(|a, b| a.1.info.id.cmp(&b.1.info.id)).map(|(entity, _)| entity)
    });
    let view = camera.iter().next();
    let view = view.and_then(|(camera, lens, eye)| Some((flat_view(Some((camera, lens)), &comfort)?, *eye)));
    let (Some(share), Some((flat, eye)), true) = (share, view, *mode == ViewMode::Speaker) else {
        if let Some((face, ..)) = face {
            commands.entity(face).despawn();
        }
        return;
    };
    let Some(tile) = flat::spotlight(panels.iter().count(), flat, false).first().copied() else { return };
    let goal = share_place(&eye, tile);
    match face {
        Some((_, mut face, mut transform)) => {
            if face.stream != Some(share) {
                face.stream = Some(share);
            }
            transform.set_if_neq(goal);
        }
        None => {
            let material = materials.add(VideoMaterial::empty(&assets, share_style()));
            commands.spawn((
                Name::new("shared screen in the speaker view"),
                FlatShare,
                in_flat_views(),
                VideoFace { stream: Some(share) },
                Mesh3d(assets.quad.clone()),
                MeshMaterial3d(material),
                goal,
            ));
        }
    }
}

/// Where a face with a picture of this size, in metres, and this much air around it goes to fill its tile: nearer or
/// farther, with the tile's name plate.
pub(super) fn flat_place(eye: &Transform, tile: Tile, picture: Vec2, margin: f32) -> Transform {
    let distance = picture.x / tile.width;
    let at = eye.transform_point((tile.centre * distance).extend(-distance));
    let size = picture + Vec2::Y * (tile.plate * distance) + 2.0 * margin;
    Transform { translation: at, rotation: eye.rotation, scale: size.extend(1.0) }
}

/// The shared screen is two metres wide wherever it hangs.
const SHARE_WIDTH: f32 = 2.0;

fn share_place(eye: &Transform, tile: Tile) -> Transform {
    flat_place(eye, tile, Vec2::new(SHARE_WIDTH, SHARE_WIDTH * PICTURE_ASPECT), share_style().frame.x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_of_any_size_fills_its_tile() {
        let eye = Transform::from_xyz(3.0, 1.7, -2.0).looking_at(Vec3::new(-5.0, 4.0, 9.0), Vec3::Y);
        let tile = Tile { centre: Vec2::new(0.2, -0.1), width: 0.3, plate: 0.02 };
        for width in [0.2, 1.0, 7.0] {
            let place = flat_place(&eye, tile, Vec2::new(width, width * PICTURE_ASPECT), 0.0);
            let seen = eye.to_matrix().inverse().transform_point3(place.translation);
            assert!((Vec2::new(seen.x, seen.y) / -seen.z - tile.centre).length() < 1e-4);
            assert!((width / -seen.z - tile.width).abs() < 1e-4, "{width} m look {} wide", width / -seen.z);
            assert!(place.rotation.angle_between(eye.rotation) < 1e-2, "parallel to the view");
            let plate = (place.scale.y - width * PICTURE_ASPECT) / -seen.z;
            assert!((plate - tile.plate).abs() < 1e-4, "{width} m: the plate looks {plate} high");
        }
    }
}
