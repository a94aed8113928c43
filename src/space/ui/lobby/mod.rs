//! Before a room: name, camera and microphone as they will be, a sound to try the loudspeaker, and where to go. What is
//! wished is told as [`EnterRoom`]; carrying it out, and opening and closing the lobby, is the application's.

mod page;
mod preview;
mod state;
#[cfg(test)]
mod tests;

use bevy::prelude::*;
use bevy_egui::EguiContexts;

pub use state::{EnterRoom, Lobby, LobbyTrouble, Pass, RecentRoom, Secret, Way, WayIn};

use super::devices::Checks;
use super::{LeftPane, OpenPanes};
use crate::space::beauty::{BeautyChoice, BeautyLinks, SetBeauty};
use crate::space::devices::{CameraQuality, ChooseDevice, DeviceChoice, DeviceLists, OwnSources};
use crate::space::settings::{Comfort, SpaceSettings};
use preview::Mirror;

/// Somebody does not want to wait any longer for the room they are entering.
#[derive(Message, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CancelEntering;

/// What runs only while the lobby is open.
#[derive(Default)]
pub(super) struct Trying {
    mirror: Option<Mirror>,
    checks: Checks,
    /// The page was drawn before: its first field has the keyboard.
    greeted: bool,
    footing: page::Footing,
}

#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn draw(
    mut contexts: EguiContexts,
    settings: Res<SpaceSettings>,
    (sources, quality): (Res<OwnSources>, Res<CameraQuality>),
    (links, mut beauty): (Res<BeautyLinks>, ResMut<BeautyChoice>),
    choice: Res<DeviceChoice>,
    mut lobby: ResMut<Lobby>,
    mut panes: ResMut<OpenPanes>,
    mut comfort: ResMut<Comfort>,
    mut lists: ResMut<DeviceLists>,
    (mut choose, mut set_beauty): (MessageWriter<ChooseDevice>, MessageWriter<SetBeauty>),
    (mut enter, mut cancel): (MessageWriter<EnterRoom>, MessageWriter<CancelEntering>),
    mut trying: Local<Trying>,
) -> Result {
    if !lobby.open || !settings.overlay {
        // The devices are let go: the call takes them.
        if trying.mirror.is_some() || trying.greeted {
            *trying = Trying::default();
        }
        return Ok(());
    }
    if !trying.greeted {
        // Nothing of the room's stays open, nor goes on looking at a screen.
        panes.set_if_neq(OpenPanes::default());
    }
    let ctx = contexts.ctx_mut()?;
    lists.bypass_change_detection().want();
    let trying = &mut *trying;
    // What is being entered takes the camera when it publishes.
    let wanted = (lobby.camera_on && !lobby.entering).then(|| (choice.camera.clone(), *quality));
    Mirror::follow(&mut trying.mirror, wanted, &sources, &links, beauty.0);
    if let Some(mirror) = &mut trying.mirror {
        mirror.take(ctx);
    }
    let listens = lobby.microphone_on && !lobby.entering;
    trying.checks.listen(listens.then_some(choice.microphone.as_deref()), &sources);

    let mut parts = page::Parts {
        words: comfort.language.words(),
        lists: &lists,
        choice: &choice,
        mirror: trying.mirror.as_ref(),
        checks: &mut trying.checks,
        beauty: &mut beauty.bypass_change_detection().0,
        comfort: *comfort,
        from_devices: sources.are_devices(),
        pane_open: panes.left.is_some(),
        greets: !std::mem::replace(&mut trying.greeted, true),
        footing: &mut trying.footing,
    };
    let before = *parts.beauty;
    let mut next = lobby.clone();
    let wish = page::show(ctx, &mut next, &mut parts);
    next.take_back(&lobby);
    let (after, reading) = (*parts.beauty, parts.comfort);
    if after != before {
        beauty.set_changed();
        set_beauty.write_batch(links.streams().into_iter().map(|stream| SetBeauty { stream, beauty: after }));
    }
    comfort.set_if_neq(reading);
    match wish {
        Some(page::Wish::Choose(device)) => {
            choose.write(device);
        }
        Some(page::Wish::Beauty) => panes.toggle_left(LeftPane::Beauty),
        Some(page::Wish::ClosePane) => *panes = OpenPanes::default(),
        Some(page::Wish::Cancel) => {
            cancel.write(CancelEntering);
        }
        Some(page::Wish::Enter) => match next.wish() {
            Ok(wish) => {
                (next.trouble, next.entering) = (None, true);
                *panes = OpenPanes::default();
                enter.write(wish);
            }
            Err(trouble) => next.trouble = Some(trouble),
        },
        None => {}
    }
    lobby.set_if_neq(next);
    Ok(())
}
