//! The overlay: a bar, a list of people, notices. Drawn with egui over the room, in the window and off-screen alike.
//! It may use every feature; nothing uses it.

mod bar;
mod notices;
mod own_media;
mod people;
mod signs;
mod theme;
mod wall;

use bevy::prelude::*;
use bevy_egui::{EguiContexts, EguiGlobalSettings, EguiPlugin, EguiPrimaryContextPass, egui};

pub use notices::Notices;
pub use own_media::{OwnMedia, Sending, ToggleMuted};

use super::participant::{CameraOff, LocalParticipant, Muted, Participant, Seat, Speaking};
use super::schedule::SpaceSystems;
use super::settings::SpaceSettings;
use super::sync::{Outbox, RoomStatus};
use crate::bridge::RoomCommand;
use crate::model::MediaKind;

/// The user pressed "leave". The logout is on its way; whether the program ends is the application's choice.
#[derive(Message, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaveRequested;

/// Which parts are open.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenPanes {
    /// The list of people.
    pub people: bool,
}

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
            .add_message::<ToggleMuted>()
            .add_message::<LeaveRequested>()
            .add_systems(
                Update,
                (own_media::read_keys, own_media::follow_own_streams, notices::collect)
                    .chain()
                    .in_set(SpaceSystems::Sync),
            )
            .add_systems(EguiPrimaryContextPass, (draw_overlay, wall::draw).chain());
    }
}

type Person<'a> = (&'a Participant, &'a Seat, Has<LocalParticipant>, Has<Speaking>, Has<Muted>, Has<CameraOff>);

#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
fn draw_overlay(
    mut contexts: EguiContexts,
    settings: Res<SpaceSettings>,
    status: Res<RoomStatus>,
    own: Res<OwnMedia>,
    notices: Res<Notices>,
    people: Query<Person>,
    mut panes: ResMut<OpenPanes>,
    mut toggle: MessageWriter<ToggleMuted>,
    mut leave: MessageWriter<LeaveRequested>,
    mut outbox: ResMut<Outbox>,
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
    // Small pictures get a small overlay: it must not cover the room.
    let height_px = ctx.content_rect().height() * ctx.zoom_factor();
    let zoom = (height_px / 640.0).clamp(0.5, 1.0);
    if (ctx.zoom_factor() - zoom).abs() > 0.02 {
        ctx.set_zoom_factor(zoom);
    }
    notices::show(ctx, &notices, &status);
    let pressed = bar::show(ctx, &own, people.iter().count(), panes.people);
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
        people::show(ctx, &rows);
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
