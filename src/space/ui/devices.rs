//! Choosing a camera, a microphone, a loudspeaker, and trying them: parts that the lobby, the settings and the lists at the
//! bar's buttons are made of.

use bevy::prelude::*;
use bevy_egui::egui;
use egui::{CornerRadius, Response, RichText, Sense, vec2};

use super::bar::Pressed;
use super::{LeftPane, OpenPanes, theme};
use crate::media::audio::{AudioOutput, MicrophoneCheck, SpeakerCheck, SpeakerCheckStatus};
use crate::media::capture::Devices;
use crate::model::DeviceState;
use crate::space::devices::{ChooseDevice, DeviceChoice, DeviceKind, DeviceLists, OwnSources};
use crate::space::words::SettingsWords;

/// Louder than this somebody is speaking, in decibels below full scale.
const SPEECH_DB: f32 = -42.0;
/// The quietest that the meter shows.
const LEAST_DB: f32 = -60.0;
/// Width of a kind's name, in points.
pub(super) const LABEL_PT: f32 = 88.0;
/// Characters of a device's name that are shown.
const NAME_CHARS: usize = 40;

/// What is being tried.
#[derive(Default)]
pub(super) struct Checks {
    microphone: Option<(Option<String>, MicrophoneCheck)>,
    speaker: Option<SpeakerCheck>,
    /// The answer to the question after the chime.
    heard: Option<bool>,
    /// The microphone heard somebody.
    heard_me: bool,
}

impl Checks {
    /// Listens to the microphone of this id (`Some(None)` is the default one), or to none: what one sees is that very
    /// device.
    pub(super) fn listen(&mut self, wanted: Option<Option<&str>>, sources: &OwnSources) {
        if self.microphone.as_ref().map(|(listened, _)| listened.as_deref()) == wanted {
            return;
        }
        (self.microphone, self.heard_me) = (None, false);
        let Some(id) = wanted else { return };
        match sources.listen(id) {
            Ok(check) => self.microphone = Some((id.map(str::to_owned), check)),
            Err(error) => warn!(%error, "no thread to listen on"),
        }
    }

    /// The level, 0..=1, and why there is none.
    fn level(&self, words: &SettingsWords) -> (f32, Option<String>) {
        let Some((_, check)) = &self.microphone else { return (0.0, None) };
        let state = check.state();
        (check.level(), state.fallback_reason.map(|why| (words.device)(state.state, &why)))
    }
}

/// The devices of a kind, as they are offered: id and name.
fn offered(devices: &Devices, kind: DeviceKind) -> Vec<(&str, &str)> {
    match kind {
        DeviceKind::Camera => devices.cameras.iter().map(|camera| (camera.id.as_str(), camera.name.as_str())).collect(),
        DeviceKind::Microphone => {
            let microphones = devices.microphones.iter().filter(|input| !input.is_monitor);
            microphones.map(|input| (input.id.as_str(), input.name.as_str())).collect()
        }
        DeviceKind::Speaker => {
            devices.speakers.iter().map(|speaker| (speaker.id.as_str(), speaker.name.as_str())).collect()
        }
    }
}

fn shortened(name: &str) -> String {
    crate::model::text::one_line(name, NAME_CHARS)
}

/// What is used where none was chosen, when that is no device: what is heard is played on one all the same.
fn generated(words: &SettingsWords, from_devices: bool, kind: DeviceKind) -> Option<&'static str> {
    (!from_devices && kind != DeviceKind::Speaker).then_some(words.generated)
}

/// A list of the devices of a kind, each to be chosen; `Some` when one was. `from_devices` is whether picture and voice come
/// from one where none was chosen.
fn list(
    ui: &mut egui::Ui,
    words: &SettingsWords,
    lists: &DeviceLists,
    (choice, from_devices): (&DeviceChoice, bool),
    kind: DeviceKind,
) -> Option<ChooseDevice> {
    let mut chosen = None;
    let now = choice.of(kind);
    let found = offered(&lists.devices, kind);
    let mut line = |ui: &mut egui::Ui, id: Option<&str>, name: String| {
        if ui.radio(now == id, RichText::new(name).font(theme::body())).clicked() {
            chosen = Some(ChooseDevice { kind, id: id.map(str::to_owned) });
        }
    };
    match generated(words, from_devices, kind) {
        Some(generated) => line(ui, None, generated.to_owned()),
        None if found.is_empty() => theme::hint(ui, if lists.is_known() { words.none_found } else { words.looking }),
        None => line(ui, None, words.system_default.to_owned()),
    }
    for (id, name) in &found {
        line(ui, Some(*id), shortened(name));
    }
    if let Some(id) = now.filter(|id| lists.is_known() && found.iter().all(|(known, _)| known != id)) {
        line(ui, Some(id), (words.missing)(&shortened(id)));
    }
    chosen
}

/// The same, folded into a line of this width with the kind before it.
pub(super) fn chooser(
    ui: &mut egui::Ui,
    words: &SettingsWords,
    lists: &DeviceLists,
    (choice, from_devices): (&DeviceChoice, bool),
    (kind, width_pt): (DeviceKind, f32),
) -> Option<ChooseDevice> {
    let (title, now) = (kind_word(words, kind), choice.of(kind));
    let found = offered(&lists.devices, kind);
    let shown = match now {
        None if let Some(generated) = generated(words, from_devices, kind) => generated.to_owned(),
        None if found.is_empty() && lists.is_known() => words.none_found.to_owned(),
        None if found.is_empty() => words.looking.to_owned(),
        None => words.system_default.to_owned(),
        Some(id) => match found.iter().find(|(known, _)| *known == id) {
            Some((_, name)) => shortened(name),
            None => (words.missing)(&shortened(id)),
        },
    };
    let mut chosen = None;
    ui.horizontal(|ui| {
        let place = egui::Layout::left_to_right(egui::Align::Center);
        ui.allocate_ui_with_layout(vec2(LABEL_PT, 20.0), place, |ui| {
            ui.set_min_width(LABEL_PT);
            ui.label(RichText::new(title).font(theme::body()).color(theme::FADED));
        });
        let folded = egui::ComboBox::from_id_salt(("device", title)).width(width_pt - LABEL_PT - 16.0).truncate();
        folded.selected_text(RichText::new(shown).font(theme::body())).show_ui(ui, |ui| {
            chosen = list(ui, words, lists, (choice, from_devices), kind);
        });
    });
    chosen
}

fn kind_word(words: &SettingsWords, kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Camera => words.camera,
        DeviceKind::Microphone => words.microphone,
        DeviceKind::Speaker => words.speaker,
    }
}

/// The meter of the microphone that is listened to, and what it says.
pub(super) fn microphone_meter(ui: &mut egui::Ui, words: &SettingsWords, checks: &mut Checks, width_pt: f32) {
    let (level, trouble) = checks.level(words);
    checks.heard_me |= decibels(level) > SPEECH_DB;
    meter(ui, level, width_pt);
    match trouble {
        Some(why) => {
            ui.label(RichText::new(why).font(theme::caption()).color(theme::CORAL_TEXT));
        }
        None => {
            let text = if checks.heard_me { words.heard_you } else { words.say_something };
            ui.label(RichText::new(text).font(theme::caption()).color(theme::FADED));
        }
    }
}

fn decibels(level: f32) -> f32 {
    20.0 * level.max(1e-6).log10()
}

/// A level, 0..=1, on a logarithmic scale in steps that need no colours to be told apart.
pub(super) fn meter(ui: &mut egui::Ui, level: f32, width_pt: f32) -> Response {
    const STEPS: usize = 24;
    let share = ((decibels(level) - LEAST_DB) / -LEAST_DB).clamp(0.0, 1.0);
    let (rect, response) = ui.allocate_exact_size(vec2(width_pt, 12.0), Sense::hover());
    let step = rect.width() / STEPS as f32;
    for number in 0..STEPS {
        let on = (number as f32 + 0.5) / STEPS as f32 <= share;
        let left = rect.left() + step * number as f32;
        let tall = if on { rect.height() } else { rect.height() * 0.45 };
        let place = egui::Rect::from_center_size(
            egui::pos2(left + step * 0.5, rect.center().y),
            vec2((step - 2.0).max(1.0), tall),
        );
        let colour = if on { theme::BRASS } else { theme::WIDGET };
        ui.painter().rect_filled(place, CornerRadius::same(2), colour);
    }
    response
}

/// Plays a sound on the chosen loudspeaker and asks whether it was heard.
pub(super) fn speaker_test(ui: &mut egui::Ui, words: &SettingsWords, output: AudioOutput, checks: &mut Checks) {
    let status = checks.speaker.as_ref().map(SpeakerCheck::status);
    let playing = matches!(status, Some(SpeakerCheckStatus::Playing { .. }));
    ui.horizontal_wrapped(|ui| {
        let text = if playing { words.playing } else { words.test_speaker };
        let button = egui::Button::new(RichText::new(text).font(theme::body()));
        if ui.add_enabled(!playing, button).clicked() {
            checks.heard = None;
            match SpeakerCheck::start(output) {
                Ok(check) => checks.speaker = Some(check),
                Err(error) => warn!(%error, "no thread to play on"),
            }
        }
        if matches!(status, Some(SpeakerCheckStatus::Done)) && checks.heard.is_none() {
            ui.label(RichText::new(words.can_you_hear).font(theme::body()));
            for (answer, heard) in [(words.yes, true), (words.no, false)] {
                if ui.button(RichText::new(answer).font(theme::body())).clicked() {
                    checks.heard = Some(heard);
                }
            }
        }
    });
    let failed;
    let (text, colour) = match (&status, checks.heard) {
        (Some(SpeakerCheckStatus::Failed(why)), _) => {
            failed = (words.device)(DeviceState::Failed, why);
            (failed.as_str(), theme::CORAL_TEXT)
        }
        (Some(_), Some(true)) => (words.sound_works, theme::FADED),
        (Some(_), Some(false)) => (words.sound_advice, theme::BRASS),
        _ => return,
    };
    ui.label(RichText::new(text).font(theme::caption()).color(colour));
}

/// The lists at the bar's buttons.
pub(super) fn menus(
    pressed: &Pressed,
    words: &SettingsWords,
    lists: &mut DeviceLists,
    (choice, from_devices): (&DeviceChoice, bool),
    panes: &mut OpenPanes,
    choose: &mut MessageWriter<ChooseDevice>,
) {
    let lists_of = [
        (&pressed.sound_list, &[DeviceKind::Microphone, DeviceKind::Speaker][..]),
        (&pressed.camera_list, &[DeviceKind::Camera][..]),
    ];
    for (button, kinds) in lists_of {
        let Some(button) = button else { continue };
        let list_of_devices = egui::Popup::menu(button).frame(theme::pane()).gap(10.0);
        list_of_devices.close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside).show(|ui| {
            lists.want();
            ui.set_max_width(300.0);
            for kind in kinds {
                ui.label(RichText::new(kind_word(words, *kind)).font(theme::body()).strong());
                if let Some(chosen) = list(ui, words, lists, (choice, from_devices), *kind) {
                    choose.write(chosen);
                }
                ui.add_space(4.0);
            }
            if ui.button(RichText::new(words.more).font(theme::body())).clicked() {
                panes.left = Some(LeftPane::Settings);
                ui.close();
            }
        });
    }
}
