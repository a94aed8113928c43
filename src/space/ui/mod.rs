//! The overlay: the lobby before a room; in it a bar, a list of people, messages, how one looks, what one shares, how the connection does, notices, what
//! floats. Drawn with egui over the room, in the window and off-screen alike. It may use every feature; nothing uses it.

mod bar;
mod beauty;
mod chat;
mod devices;
mod floats;
mod fonts;
mod leaving;
mod lobby;
mod notices;
mod own_media;
mod people;
mod picture;
mod settings;
mod share;
mod signs;
mod statistics;
mod theme;
mod wall;
mod writing;

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use bevy::render::render_resource::SpecializedRenderPipelines;
use bevy::render::{RenderApp, RenderStartup};
use bevy::window::WindowCloseRequested;
use bevy_egui::input::EguiWantsInput;
use bevy_egui::render::EguiPipeline;
use bevy_egui::render::systems::{EguiRenderData, EguiTransforms};
use bevy_egui::{EguiContexts, EguiGlobalSettings, EguiPlugin, EguiPrimaryContextPass, egui};

pub use leaving::{LeaveRequested, RoomIsHere, WantsToLeave};
pub use lobby::{CancelEntering, EnterRoom, Lobby, LobbyTrouble, Pass, RecentRoom, Secret, Way, WayIn};
pub use notices::Notices;
pub use own_media::{OwnMedia, Sending, ToggleMuted};

use super::chat::ChatLog;
use super::devices::{ChooseDevice, DeviceChoice, DeviceLists, OwnSources};
use super::fetch::FetchFigures;
use super::participant::{HandRaised, LocalParticipant, Participant};
use super::schedule::SpaceSystems;
use super::settings::{Comfort, SpaceSettings, overlay_zoom};
use super::sharing::Sharing;
use super::sync::{RoomFigures, RoomStatus};
use super::view::{EscapeTaken, ViewMode};
use super::wall::WallSlots;
use crate::model::MediaKind;
use writing::Writing;

/// Which parts are open. Each side has one place.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenPanes {
    /// At the left.
    pub left: Option<LeftPane>,
    /// At the right.
    pub right: Option<RightPane>,
    /// The signs one can give.
    pub signs: bool,
}

/// What lets others come in, for whoever wants to ask them; nothing where there is no such link.
#[derive(Resource, Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomLink(pub Option<String>);

/// What stands at the left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeftPane {
    /// How one looks to the others.
    Beauty,
    /// What to show on the wall.
    Share,
    /// How the connection does.
    Statistics,
    /// Devices, language, comfort.
    Settings,
}

/// What stands at the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RightPane {
    /// The list of people.
    People,
    /// The messages.
    Chat,
}

impl OpenPanes {
    /// Opens it in place of what stands there, or closes it.
    pub fn toggle_left(&mut self, pane: LeftPane) {
        self.left = if self.left == Some(pane) { None } else { Some(pane) };
    }

    /// See [`OpenPanes::toggle_left`].
    pub fn toggle_right(&mut self, pane: RightPane) {
        self.right = if self.right == Some(pane) { None } else { Some(pane) };
    }
}

/// Keys that were just pressed, to the overlay's ears: none while something is typed or in the lobby, nor with Ctrl, Alt
/// or the system's key, which belong to other things.
#[derive(SystemParam)]
struct Keys<'w> {
    lobby: Option<Res<'w, Lobby>>,
    keys: Option<Res<'w, ButtonInput<KeyCode>>>,
    overlay: Option<Res<'w, EguiWantsInput>>,
}

impl Keys<'_> {
    fn just(&self, key: KeyCode) -> bool {
        use KeyCode::{AltLeft, AltRight, ControlLeft, ControlRight, SuperLeft, SuperRight};
        let typing = self.overlay.as_ref().is_some_and(|overlay| overlay.wants_any_keyboard_input());
        let typing = typing || self.lobby.as_ref().is_some_and(|lobby| lobby.open);
        let held = [ControlLeft, ControlRight, AltLeft, AltRight, SuperLeft, SuperRight];
        !typing && self.keys.as_ref().is_some_and(|keys| keys.just_pressed(key) && !keys.any_pressed(held))
    }

    /// Whatever else is going on.
    fn held(&self, key: KeyCode) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.pressed(key))
    }
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
    /// A question or a list stands above the panes: it closes first.
    above: bool,
}

/// A narrower view has room for a pane at one side, in points.
const TWO_PANES_PT: f32 = 700.0;
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
        if let Some(render_app) = app.get_sub_app_mut(RenderApp) {
            render_app.add_systems(RenderStartup, renew_overlay);
        }
        app.insert_resource(EguiGlobalSettings { auto_create_primary_context: false, ..default() })
            .init_resource::<OwnMedia>()
            .init_resource::<Notices>()
            .init_resource::<OpenPanes>()
            .init_resource::<Overlay>()
            .init_resource::<statistics::History>()
            .init_resource::<FetchFigures>()
            .init_resource::<ViewMode>()
            .init_resource::<WallSlots>()
            .add_message::<ToggleMuted>()
            .add_message::<own_media::Hush>()
            .add_message::<own_media::MutedByHost>()
            .init_resource::<Lobby>()
            .init_resource::<Comfort>()
            .init_resource::<RoomLink>()
            .init_resource::<leaving::Leaving>()
            .add_message::<EnterRoom>()
            .add_message::<CancelEntering>()
            .add_message::<WantsToLeave>()
            .add_message::<LeaveRequested>()
            .add_message::<WindowCloseRequested>()
            .add_systems(
                Update,
                (
                    (read_keys, own_media::read_keys, own_media::push_to_talk),
                    own_media::follow_own_streams,
                    beauty::read_keys,
                    share::read_keys,
                    chat::read_keys,
                    statistics::read_keys,
                    statistics::remember,
                    notices::collect,
                    leaving::consider,
                )
                    .chain()
                    .in_set(SpaceSystems::Sync),
            )
            .add_systems(
                EguiPrimaryContextPass,
                (
                    prepare,
                    floats::draw,
                    wall::draw,
                    draw_overlay,
                    lobby::draw,
                    people::draw,
                    beauty::draw,
                    share::draw,
                    statistics::draw,
                    chat::draw,
                    chat::draw_signs,
                    settings::draw,
                    leaving::draw,
                )
                    .chain(),
            );
    }
}

/// The graphics device may be another one, and egui's renderer keeps what belonged to the old one.
fn renew_overlay(world: &mut World) {
    let pipeline = EguiPipeline::from_world(world);
    world.insert_resource(pipeline);
    world.insert_resource(SpecializedRenderPipelines::<EguiPipeline>::default());
    world.insert_resource(EguiTransforms::default());
    world.insert_resource(EguiRenderData::default());
}

/// Style, size, and whether the overlay rests.
#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
fn prepare(
    mut contexts: EguiContexts,
    settings: Res<SpaceSettings>,
    comfort: Res<Comfort>,
    mode: Res<ViewMode>,
    mut panes: ResMut<OpenPanes>,
    time: Res<Time>,
    mut before: Local<OpenPanes>,
    (mut overlay, mut escape, leaving): (ResMut<Overlay>, ResMut<EscapeTaken>, Res<leaving::Leaving>),
    mut themed: Local<bool>,
    mut letters: Local<fonts::Fonts>,
) -> Result {
    if !settings.overlay {
        return Ok(());
    }
    let ctx = contexts.ctx_mut()?;
    if letters.look(ctx) || !*themed {
        theme::apply(ctx);
        *themed = true;
    }
    let view = ctx.content_rect().size() * ctx.zoom_factor();
    let zoom = overlay_zoom(Vec2::new(view.x, view.y), comfort.text_percent);
    if (ctx.zoom_factor() - zoom).abs() > 0.02 {
        ctx.set_zoom_factor(zoom);
    }
    let (both, narrow) = (panes.left.is_some() && panes.right.is_some(), ctx.content_rect().width() < TWO_PANES_PT);
    if both && narrow {
        // The one that was opened last stays.
        let mut one = *panes;
        if panes.left == before.left {
            one.left = None
        } else {
            one.right = None
        }
        *panes = one;
    }
    *before = *panes;
    let above = leaving.is_asked() || egui::Popup::is_any_open(ctx);
    escape.set_if_neq(EscapeTaken(above || *panes != OpenPanes::default()));
    let touched = ctx.input(|input| {
        let moved = input.pointer.delta() != egui::Vec2::ZERO || input.smooth_scroll_delta() != egui::Vec2::ZERO;
        moved || input.pointer.any_down() || !input.keys_down.is_empty()
    });
    let closely =
        matches!(*mode, ViewMode::Wall(_)) && *panes == OpenPanes::default() && !ctx.egui_wants_pointer_input();
    let still_secs = if touched || !closely { 0.0 } else { overlay.still_secs + time.delta_secs() };
    *overlay = Overlay { still_secs, top_pt: 0.0, rests: still_secs > RESTS_AFTER_SECS, above };
    Ok(())
}

/// `L` and `O` open the list of people and the settings; Escape closes what is open, unless it leads away from the wall.
fn read_keys(keys: Keys, mode: Res<ViewMode>, overlay: Res<Overlay>, mut panes: ResMut<OpenPanes>) {
    if keys.just(KeyCode::KeyL) {
        panes.toggle_right(RightPane::People);
    }
    if keys.just(KeyCode::KeyO) {
        panes.toggle_left(LeftPane::Settings);
    }
    let closes = keys.just(KeyCode::Escape) && !overlay.above && !matches!(*mode, ViewMode::Wall(_));
    if closes && *panes != OpenPanes::default() {
        *panes = OpenPanes::default();
    }
}

type OwnHand<'w, 's> = Query<'w, 's, (), (With<LocalParticipant>, With<HandRaised>)>;

#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
fn draw_overlay(
    mut contexts: EguiContexts,
    (settings, comfort, overlay): (Res<SpaceSettings>, Res<Comfort>, Res<Overlay>),
    (mode, slots, log, link): (Res<ViewMode>, Res<WallSlots>, Res<ChatLog>, Res<RoomLink>),
    (status, figures, lobby): (Res<RoomStatus>, Res<RoomFigures>, Res<Lobby>),
    (own, mut notices, sharing): (Res<OwnMedia>, ResMut<Notices>, Res<Sharing>),
    (people, hand): (Query<(), With<Participant>>, OwnHand),
    (choice, sources): (Res<DeviceChoice>, Res<OwnSources>),
    mut lists: ResMut<DeviceLists>,
    mut panes: ResMut<OpenPanes>,
    (mut toggle, mut choose): (MessageWriter<ToggleMuted>, MessageWriter<ChooseDevice>),
    mut leave: MessageWriter<WantsToLeave>,
    mut writing: Local<Writing>,
) -> Result {
    if !settings.overlay {
        return Ok(());
    }
    let words = comfort.language.words();
    let ctx = contexts.ctx_mut()?;
    writing.begin();
    let told = if lobby.open { None } else { notices::standing(&words.notices, &status) };
    notices::show(ctx, told, &notices, overlay.top_pt, &mut writing);
    if lobby.open {
        return Ok(());
    }
    let count = people.iter().count();
    let banner = match own.microphone {
        Sending::Live if own.talking => Some(bar::Banner::Talking),
        Sending::Muted if figures.0.speaking_muted => Some(bar::Banner::SpeakingWhileMuted),
        Sending::Muted => Some(bar::Banner::Muted),
        _ => None,
    };
    let alone = count < 2 && notices.settled() && *panes == OpenPanes::default() && !overlay.rests;
    let link = link.0.as_ref().filter(|_| alone);
    if mode.is_flat() && count < 2 && link.is_none() && slots.taken().next().is_none() {
        bar::nobody_here(ctx, &words.bar);
    }
    if let Some(banner) = banner {
        bar::banner(ctx, &words.bar, banner, panes.signs || link.is_some());
    }
    if overlay.rests {
        return Ok(());
    }
    if let Some(link) = link
        && bar::invite(ctx, words)
    {
        ctx.copy_text(link.clone());
        notices.tell(words.people.link_copied, false);
    }
    let unread = bar::Unread { count: log.unread(), mentioned: log.is_mentioned() };
    let hand = !hand.is_empty();
    let shown = bar::Shown { own: &own, people: count, unread, sharing: sharing.is_sharing(), hand };
    let mut next = *panes;
    let pressed = bar::show(ctx, words, &shown, &mut next);
    let lists = lists.bypass_change_detection();
    let choice = (&*choice, sources.are_devices());
    devices::menus(&pressed, &words.settings, lists, choice, &mut next, &mut choose);
    panes.set_if_neq(next);
    if pressed.microphone {
        toggle.write(ToggleMuted(MediaKind::Audio));
    }
    if pressed.camera {
        toggle.write(ToggleMuted(MediaKind::Video));
    }
    if pressed.leave {
        leave.write(WantsToLeave::default());
    }
    Ok(())
}
