//! The settings: devices and how they do, language, size of text, motion, how voices are heard. What is chosen holds at
//! once; the application keeps it.

use bevy::prelude::*;
use bevy_egui::{EguiContexts, egui};
use egui::RichText;

use super::devices::{self, Checks};
use super::own_media::{OwnMedia, Sending};
use super::theme::Side;
use super::{LeftPane, OpenPanes, theme};
use crate::space::devices::{ChooseDevice, DeviceChoice, DeviceKind, DeviceLists, OwnSources};
use crate::space::settings::{Comfort, SpaceSettings};
use crate::space::spatial_audio::SoundMode;
use crate::space::sync::{RoomFigures, RoomStatus};
use crate::space::words::{Language, SettingsWords};

/// Width of the pane's contents, in points.
const WIDTH_PT: f32 = 300.0;
/// Text grows in steps of this.
const TEXT_STEP: f64 = 5.0;

#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn draw(
    mut contexts: EguiContexts,
    settings: Res<SpaceSettings>,
    (status, figures, own): (Res<RoomStatus>, Res<RoomFigures>, Res<OwnMedia>),
    (choice, sources): (Res<DeviceChoice>, Res<OwnSources>),
    mut panes: ResMut<OpenPanes>,
    mut comfort: ResMut<Comfort>,
    mut sound: ResMut<SoundMode>,
    mut lists: ResMut<DeviceLists>,
    mut choose: MessageWriter<ChooseDevice>,
    mut checks: Local<Checks>,
) -> Result {
    if !settings.overlay || panes.left != Some(LeftPane::Settings) {
        *checks = Checks::default();
        return Ok(());
    }
    lists.bypass_change_detection().want();
    let ctx = contexts.ctx_mut()?;
    let words = &comfort.language.words().settings;
    let (mut reading, mut hearing, mut statistics) = (*comfort, *sound, false);
    // What is sent is what the meter shows: the device is open already.
    let level = status.me.as_ref().and_then(|me| figures.0.levels.get(&me.id)).copied().unwrap_or(0.0);
    let closed = theme::side_pane(ctx, Side::Left, ("settings", words.title), WIDTH_PT, |ui| {
        heading(ui, words.devices);
        for kind in [DeviceKind::Camera, DeviceKind::Microphone, DeviceKind::Speaker] {
            if let Some(chosen) =
                devices::chooser(ui, words, &lists, (&choice, sources.are_devices()), (kind, WIDTH_PT))
            {
                choose.write(chosen);
            }
            if kind == DeviceKind::Microphone {
                devices::meter(ui, level, WIDTH_PT);
                if own.microphone == Sending::Muted {
                    ui.label(RichText::new(words.muted).font(theme::caption()).color(theme::CORAL_TEXT));
                }
            }
        }
        devices::speaker_test(ui, words, choice.output(), &mut checks);
        heading(ui, words.reading);
        read(ui, words, &mut reading);
        heading(ui, words.sound);
        for (mode, text, hint) in
            [(SoundMode::Spatial, words.spatial, words.spatial_hint), (SoundMode::Mono, words.mono, words.mono_hint)]
        {
            ui.radio_value(&mut hearing, mode, RichText::new(text).font(theme::body())).on_hover_text(hint);
        }
        ui.add_space(2.0);
        statistics = ui.button(RichText::new(words.statistics).font(theme::body())).clicked();
    });
    comfort.set_if_neq(reading);
    sound.set_if_neq(hearing);
    if statistics {
        panes.left = Some(LeftPane::Statistics);
    } else if closed {
        panes.left = None;
    }
    Ok(())
}

fn heading(ui: &mut egui::Ui, text: &str) {
    ui.add_space(3.0);
    ui.label(RichText::new(text).font(theme::caption()).color(theme::BRASS));
}

/// Language, size of text, motion.
pub(super) fn read(ui: &mut egui::Ui, words: &SettingsWords, comfort: &mut Comfort) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(words.language).font(theme::body()).color(theme::FADED));
        for language in Language::ALL {
            ui.radio_value(&mut comfort.language, language, RichText::new(language.name()).font(theme::body()));
        }
    });
    ui.horizontal(|ui| {
        ui.label(RichText::new(words.text_size).font(theme::body()).color(theme::FADED));
        ui.spacing_mut().slider_width = 110.0;
        // While it is dragged everything would move away from under the pointer: the size is taken when it is let go.
        let id = ui.id().with("text size");
        let mut shown = ui.data(|data| data.get_temp::<u16>(id)).unwrap_or(comfort.text_percent);
        let slider = egui::Slider::new(&mut shown, Comfort::TEXT_PERCENT).step_by(TEXT_STEP).suffix(" %");
        let response = ui.add(slider);
        if response.dragged() {
            ui.data_mut(|data| data.insert_temp(id, shown));
        } else {
            ui.data_mut(|data| data.remove::<u16>(id));
            comfort.text_percent = shown;
        }
    });
    let motion = RichText::new(words.reduced_motion).font(theme::body());
    ui.checkbox(&mut comfort.reduced_motion, motion).on_hover_text(words.reduced_motion_hint);
}
