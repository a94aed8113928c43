//! The overlay: a bar, a list of people, notices. Drawn with egui over the room, in the window and off-screen alike.
//! It may use every feature; nothing uses it.

mod bar;
mod notices;
mod own_media;
mod people;
mod signs;
mod theme;
mod wall;
mod writing;

use bevy::prelude::*;
use bevy_egui::{EguiContexts, EguiGlobalSettings, EguiPlugin, EguiPrimaryContextPass, egui};

pub use notices::Notices;
pub use own_media::{OwnMedia, Sending, ToggleMuted};

use super::participant::{CameraOff, LocalParticipant, Muted, Participant, Seat, Speaking};
use super::schedule::SpaceSystems;
use super::settings::{SpaceSettings, overlay_zoom};
use super::sync::{Outbox, RoomStatus};
use super::view::ViewMode;
use super::wall::WallSlots;
use crate::bridge::RoomCommand;
use crate::model::MediaKind;
use writing::Writing;

/// The user pressed "leave". The logout is on its way; whether the program ends is the application's choice.
#[derive(Message, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaveRequested;

/// Which parts are open.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenPanes {
    /// The list of people.
    pub people: bool,
}

/// How the overlay stands in this frame.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq)]
struct Overlay {
    /// Nobody has touched anything for so long.
    still_secs: f32,
    /// Height in points that is taken at the top.
    top_pt: f32,
    /// Whether the bar and the buttons give way to what is looked at.
    rests: bool,
}

/// At the wall nothing lies over the page when mouse and keys have been still for so long.
const RESTS_AFTER_SECS: f32 = 3.0;

/// The overlay.
pub struct UiPlugin;

impl Plugin for UiPlugin {
    fn build(&self, app: &mut App) {
        if !app.is_plugin_added::<EguiPlugin>() {
            // Few textures are drawn: binding arrays gain nothing, and software renderers lack them.
            app.add_plugins(EguiPlugin { bindless_mode_array_size: None });
        }
        app.insert_resource(EguiGlobalSettings { auto_create_primary_context: false, ..default() })
            .init_resource::<OwnMedia>()
            .init_resource::<Notices>()
            .init_resource::<OpenPanes>()
            .init_resource::<Overlay>()
            .init_resource::<ViewMode>()
            .init_resource::<WallSlots>()
            .add_message::<ToggleMuted>()
            .add_message::<LeaveRequested>()
            .add_systems(
                Update,
                (own_media::read_keys, own_media::follow_own_streams, notices::collect)
                    .chain()
                    .in_set(SpaceSystems::Sync),
            )
            .add_systems(EguiPrimaryContextPass, (prepare, wall::draw, draw_overlay).chain());
    }
}

type Person<'a> = (&'a Participant, &'a Seat, Has<LocalParticipant>, Has<Speaking>, Has<Muted>, Has<CameraOff>);

/// Style, size, and whether the overlay rests.
fn prepare(
    mut contexts: EguiContexts,
    settings: Res<SpaceSettings>,
    mode: Res<ViewMode>,
    panes: Res<OpenPanes>,
    time: Res<Time>,
    mut overlay: ResMut<Overlay>,
    mut themed: Local<bool>,
) -> Result {
    if !settings.overlay {
        return Ok(());
    }
    let ctx = contexts.ctx_mut()?;
    if !*themed {
        theme::apply(ctx);
        *themed = true;
    }
    let view = ctx.content_rect().size() * ctx.zoom_factor();
    let zoom = overlay_zoom(Vec2::new(view.x, view.y));
    if (ctx.zoom_factor() - zoom).abs() > 0.02 {
        ctx.set_zoom_factor(zoom);
    }
    let touched = ctx.input(|input| {
        let moved = input.pointer.delta() != egui::Vec2::ZERO || input.smooth_scroll_delta() != egui::Vec2::ZERO;
        moved || input.pointer.any_down() || !input.keys_down.is_empty()
    });
    let closely = matches!(*mode, ViewMode::Wall(_)) && !panes.people && !ctx.egui_wants_pointer_input();
    let still_secs = if touched || !closely { 0.0 } else { overlay.still_secs + time.delta_secs() };
    *overlay = Overlay { still_secs, top_pt: 0.0, rests: still_secs > RESTS_AFTER_SECS };
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
fn draw_overlay(
    mut contexts: EguiContexts,
    settings: Res<SpaceSettings>,
    overlay: Res<Overlay>,
    (mode, slots): (Res<ViewMode>, Res<WallSlots>),
    status: Res<RoomStatus>,
    own: Res<OwnMedia>,
    notices: Res<Notices>,
    people: Query<Person>,
    mut panes: ResMut<OpenPanes>,
    mut toggle: MessageWriter<ToggleMuted>,
    mut leave: MessageWriter<LeaveRequested>,
    mut outbox: ResMut<Outbox>,
    mut writing: Local<Writing>,
) -> Result {
    if !settings.overlay {
        return Ok(());
    }
    let ctx = contexts.ctx_mut()?;
    writing.begin();
    let count = people.iter().count();
    if mode.is_flat() && count < 2 && slots.taken().next().is_none() {
        bar::nobody_here(ctx);
    }
    notices::show(ctx, &notices, &status, overlay.top_pt, &mut writing);
    if own.microphone == Sending::Muted {
        bar::muted_banner(ctx);
    }
    let pressed = if overlay.rests { bar::Pressed::default() } else { bar::show(ctx, &own, count, panes.people) };
    if pressed.microphone {
        toggle.write(ToggleMuted(MediaKind::Audio));
    }
    if pressed.camera {
        toggle.write(ToggleMuted(MediaKind::Video));
    }
    if pressed.people {
        panes.people = !panes.people;
    }
    if pressed.leave {
        outbox.push(RoomCommand::Logout);
        leave.write(LeaveRequested);
    }
    if panes.people {
        let mut rows: Vec<_> = people.iter().collect();
        rows.sort_by_key(|(_, seat, ..)| seat.index);
        let rows: Vec<_> = rows.into_iter().map(row).collect();
        people::show(ctx, &rows, &mut writing);
    }
    Ok(())
}

fn row(
    (participant, _, local, speaking, muted, camera_off): (&Participant, &Seat, bool, bool, bool, bool),
) -> people::Row {
    let colour = participant.colour();
    let [r, g, b, _] = Srgba::from(colour).to_u8_array();
    people::Row {
        name: participant.name.clone(),
        colour: egui::Color32::from_rgb(r, g, b),
        local,
        speaking,
        muted,
        camera_off,
    }
}
