//! How the room is looked at: from where one stands, flat, or close to the wall. Whoever changes it leaves everything
//! else as it is, so that the way back loses nothing. Main thread, [`crate::space::SpaceSystems::Sync`].

use bevy::camera::visibility::RenderLayers;
use bevy::prelude::*;
use bevy_egui::input::EguiWantsInput;

use super::RoomCamera;

/// The layer of the hall and all that stands in it: everything is there unless it says otherwise.
const HALL_LAYER: usize = 0;
/// The layer that the flat views show.
const FLAT_LAYER: usize = 1;
/// The layer of the floor and what lies flat on it: seen by the viewer, not by the floor's own mirror image.
const FLOOR_LAYER: usize = 2;

/// What is behind the room: where two surfaces meet, single pixels may show it. Stone, not black.
pub const BEHIND_HALL: Color = Color::srgb(0.40, 0.35, 0.29);
const BEHIND_FLAT: Color = Color::srgb(0.085, 0.075, 0.068);

/// The present way of looking.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ViewMode {
    /// From where one stands in the hall.
    #[default]
    Hall,
    /// Everyone in a flat grid.
    Grid,
    /// Whoever speaks large, the others small.
    Speaker,
    /// Close to a slot of the wall, by its number.
    Wall(usize),
}

impl ViewMode {
    /// Whether only faces are shown, without the hall.
    pub fn is_flat(self) -> bool {
        matches!(self, Self::Grid | Self::Speaker)
    }
}

/// For what is seen in the hall and in the flat views alike.
pub fn in_every_view() -> RenderLayers {
    RenderLayers::from_layers(&[HALL_LAYER, FLAT_LAYER])
}

/// For what is seen in the flat views only.
pub fn in_flat_views() -> RenderLayers {
    RenderLayers::layer(FLAT_LAYER)
}

/// For the floor and what lies flat on it.
pub fn on_the_floor() -> RenderLayers {
    RenderLayers::layer(FLOOR_LAYER)
}

/// Something is open above the view that `Esc` closes first. Set by the overlay.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EscapeTaken(pub bool);

/// `G` for the grid, `F` for the speaker, the same key or `Esc` back to the hall; unless something is being typed.
pub(super) fn read_mode_keys(
    keys: Option<Res<ButtonInput<KeyCode>>>,
    overlay: Option<Res<EguiWantsInput>>,
    escape: Res<EscapeTaken>,
    mut mode: ResMut<ViewMode>,
) {
    let Some(keys) = keys else { return };
    if overlay.is_some_and(|overlay| overlay.wants_any_keyboard_input()) {
        return;
    }
    for (key, wanted) in [(KeyCode::KeyG, ViewMode::Grid), (KeyCode::KeyF, ViewMode::Speaker)] {
        if keys.just_pressed(key) {
            *mode = if *mode == wanted { ViewMode::Hall } else { wanted };
        }
    }
    if keys.just_pressed(KeyCode::Escape) && mode.is_flat() && !escape.0 {
        *mode = ViewMode::Hall;
    }
}

/// Shows the hall, or nothing but faces before a plain ground: what is not seen is not drawn either.
pub(super) fn show_layers(
    mut commands: Commands,
    mode: Res<ViewMode>,
    mut cameras: Query<(Entity, &mut Camera), With<RoomCamera>>,
) {
    if !mode.is_changed() {
        return;
    }
    for (entity, mut camera) in &mut cameras {
        let (layers, behind) = if mode.is_flat() {
            (RenderLayers::layer(FLAT_LAYER), BEHIND_FLAT)
        } else {
            (RenderLayers::from_layers(&[HALL_LAYER, FLOOR_LAYER]), BEHIND_HALL)
        };
        camera.clear_color = ClearColorConfig::Custom(behind);
        commands.entity(entity).insert(layers);
    }
}

/// Whether one stands in the hall: nobody walks otherwise.
pub(super) fn in_hall(mode: Res<ViewMode>) -> bool {
    *mode == ViewMode::Hall
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_leads_back_to_the_hall() {
        let mut app = App::new();
        app.init_resource::<ViewMode>()
            .init_resource::<EscapeTaken>()
            .init_resource::<ButtonInput<KeyCode>>()
            .add_systems(Update, read_mode_keys);
        let press = |app: &mut App, key| {
            app.world_mut().resource_mut::<ButtonInput<KeyCode>>().press(key);
            app.update();
            let mut keys = app.world_mut().resource_mut::<ButtonInput<KeyCode>>();
            keys.release(key);
            keys.clear();
            *app.world().resource::<ViewMode>()
        };
        assert_eq!(press(&mut app, KeyCode::KeyG), ViewMode::Grid);
        assert_eq!(press(&mut app, KeyCode::KeyF), ViewMode::Speaker);
        assert_eq!(press(&mut app, KeyCode::KeyF), ViewMode::Hall);
        assert_eq!(press(&mut app, KeyCode::KeyG), ViewMode::Grid);
        app.insert_resource(EscapeTaken(true));
        assert_eq!(press(&mut app, KeyCode::Escape), ViewMode::Grid, "what is open goes first");
        app.insert_resource(EscapeTaken(false));
        assert_eq!(press(&mut app, KeyCode::Escape), ViewMode::Hall);
    }
}
