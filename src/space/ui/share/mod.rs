//! What to show on the wall: screens and windows with small pictures, a preview of the chosen one, how it is sent.

mod list;
mod pictures;
#[cfg(test)]
mod tests;

use bevy::prelude::*;
use bevy_egui::{EguiContexts, egui};
use egui::{Align, Color32, CornerRadius, Layout, RichText, Sense, vec2};

use super::writing::Writing;
use super::{Keys, LeftPane, OpenPanes, theme};
use crate::media::CaptureError;
use crate::media::capture::ScreenKind;
use crate::model::VideoPreset;
use crate::space::settings::{Comfort, SpaceSettings};
use crate::space::sharing::{ShareFrom, ShareOffer, Sharing, StartSharing, StopSharing};
use crate::space::words::ShareWords;
use pictures::Pictures;

/// Width of the pane's contents, in points.
const WIDTH_PT: f32 = 316.0;
/// Highest preview, in points.
const PREVIEW_PT: f32 = 164.0;
/// In the order of the words for them.
const PRESETS: [VideoPreset; 3] = [VideoPreset::SCREEN_SMOOTH, VideoPreset::SCREEN_BALANCED, VideoPreset::SCREEN_SHARP];

/// What is chosen in the pane.
struct Choice {
    /// An id of what can be shared.
    source: Option<String>,
    /// Nothing was chosen since the pane was opened.
    fresh: bool,
    /// The list of windows is open, not that of screens.
    windows: bool,
    /// Of [`PRESETS`].
    preset: usize,
    with_sound: bool,
}

impl Default for Choice {
    fn default() -> Self {
        Self { source: None, fresh: true, windows: false, preset: 1, with_sound: false }
    }
}

impl Choice {
    /// Begins with what is shared or the default screen, and lets go of what is no longer there: nothing else is to be
    /// shared in its place by mistake.
    fn settle(&mut self, offer: &ShareOffer, shared: Option<&str>) {
        let Some(Ok(screens)) = offer.screens() else { return };
        if std::mem::take(&mut self.fresh) {
            let first = screens.iter().find(|info| info.is_default).map(|info| info.id.as_str());
            self.source = shared.or(first).map(str::to_owned);
            let chosen = self.source.as_deref().and_then(|id| offer.find(id)).map(|info| info.kind);
            let screen = |kind| kind == ScreenKind::Monitor;
            self.windows = !chosen.map_or(screens.iter().any(|info| screen(info.kind)), screen);
        } else if let Some(id) = &self.source
            && offer.find(id).is_none()
            && shared != Some(id)
        {
            self.source = None;
        }
    }

    /// What pressing "share" comes to.
    fn wish(&self, offer: &ShareOffer) -> Option<StartSharing> {
        let with_sound = self.with_sound && matches!(offer.sound(), Some(Ok(())));
        Some(StartSharing { source: self.source.clone()?, preset: PRESETS[self.preset], with_sound })
    }
}

/// What was pressed.
#[derive(Clone, Debug, PartialEq)]
enum Wish {
    Start(StartSharing),
    Stop,
}

/// The pane's memory.
#[derive(Default)]
pub(super) struct Picker {
    choice: Choice,
    pictures: Pictures,
    writing: Writing,
}

/// `X`, unless something is being typed.
pub(super) fn read_keys(keys: Keys, mut panes: ResMut<OpenPanes>) {
    if keys.just(KeyCode::KeyX) {
        panes.toggle_left(LeftPane::Share);
    }
}

#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn draw(
    mut contexts: EguiContexts,
    settings: Res<SpaceSettings>,
    comfort: Res<Comfort>,
    from: Res<ShareFrom>,
    sharing: Res<Sharing>,
    mut panes: ResMut<OpenPanes>,
    mut offer: ResMut<ShareOffer>,
    mut start: MessageWriter<StartSharing>,
    mut stop: MessageWriter<StopSharing>,
    mut picker: Local<Picker>,
) -> Result {
    if !settings.overlay || panes.left != Some(LeftPane::Share) {
        if offer.is_open() {
            offer.close();
            picker.pictures = Pictures::default();
            picker.choice.fresh = true;
        }
        return Ok(());
    }
    let ctx = contexts.ctx_mut()?;
    let picker = &mut *picker;
    picker.writing.begin();
    offer.open(&from);
    picker.choice.settle(&offer, sharing.shared().map(|shared| shared.wish.source.as_str()));
    offer.look_at(picker.choice.source.as_deref(), &from);
    picker.pictures.follow(ctx, &offer, picker.choice.source.as_deref());
    let words = &comfort.language.words().share;
    let mut wish = None;
    let closed = theme::side_pane(ctx, theme::Side::Left, ("share", words.title), WIDTH_PT, |ui| {
        wish = pane(ui, words, &offer, &sharing, picker);
    });
    match wish {
        Some(Wish::Start(wish)) => {
            start.write(wish);
        }
        Some(Wish::Stop) => {
            stop.write(StopSharing);
        }
        None => {}
    }
    if closed {
        panes.left = None;
    }
    Ok(())
}

/// What was pressed, if anything.
fn pane(
    ui: &mut egui::Ui,
    words: &ShareWords,
    offer: &ShareOffer,
    sharing: &Sharing,
    picker: &mut Picker,
) -> Option<Wish> {
    let mut wish = None;
    if sharing.is_sharing() && now_shared(ui, words, sharing, &mut picker.writing) {
        wish = Some(Wish::Stop);
    }
    preview(ui, words, &picker.choice, &picker.pictures);
    if let Some(pressed) = share_button(ui, words, offer, sharing, &picker.choice) {
        wish = Some(Wish::Start(pressed));
    }
    quality(ui, words, &mut picker.choice.preset);
    sound(ui, words, offer.sound(), &mut picker.choice.with_sound);
    list::show(ui, words, offer, picker);
    wish
}

/// What is shared, and whether that is to end.
fn now_shared(ui: &mut egui::Ui, words: &ShareWords, sharing: &Sharing, writing: &mut Writing) -> bool {
    let mut stop = false;
    ui.horizontal(|ui| {
        ui.label(RichText::new(words.sharing).font(theme::body()).color(theme::BRASS));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let text = RichText::new(words.stop).font(theme::body()).color(Color32::WHITE);
            let button = ui.add(egui::Button::new(text).fill(theme::CORAL));
            theme::focus_ring(ui, &button);
            stop = button.clicked();
        });
    });
    if let Some(shared) = sharing.shared() {
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::hover());
        writing.paint(
            ui.painter(),
            rect.left_center(),
            &shared.title,
            (theme::body().size, rect.width()),
            theme::PAPER,
        );
    }
    stop
}

/// The chosen one as it is now, or why it cannot be seen.
fn preview(ui: &mut egui::Ui, words: &ShareWords, choice: &Choice, pictures: &Pictures) {
    let width = ui.available_width();
    // What is pressed next to it is to be seen without scrolling.
    let highest = PREVIEW_PT.min(ui.ctx().content_rect().height() * 0.26);
    let (rect, _) = ui.allocate_exact_size(vec2(width, (width * 9.0 / 16.0).min(highest)), Sense::hover());
    let painter = ui.painter_at(rect);
    painter.rect_filled(rect, CornerRadius::same(10), theme::BUTTON);
    pictures.preview().draw(&painter, rect, false);
    let text = match (&choice.source, pictures.trouble()) {
        (None, _) => words.nothing_chosen.to_owned(),
        (Some(_), Some(trouble)) => (words.failed)(trouble),
        (Some(_), None) => return,
    };
    painter.rect_filled(rect, CornerRadius::same(10), theme::GROUND);
    let galley = painter.layout(text, theme::body(), theme::PAPER, rect.width() - 24.0);
    painter.galley(rect.center() - galley.size() * 0.5, galley, theme::PAPER);
}

/// Shares what is chosen; nothing to press where that is shared already.
fn share_button(
    ui: &mut egui::Ui,
    words: &ShareWords,
    offer: &ShareOffer,
    sharing: &Sharing,
    choice: &Choice,
) -> Option<StartSharing> {
    let wish = choice.wish(offer);
    let new = wish.is_some() && sharing.shared().map(|shared| &shared.wish) != wish.as_ref();
    let text = match (sharing.is_opening(), sharing.is_sharing()) {
        (true, _) => words.starting,
        (false, true) => words.switch,
        (false, false) => words.share,
    };
    let text = RichText::new(text).font(theme::body()).strong().color(theme::INK);
    let button = egui::Button::new(text).fill(theme::BRASS);
    let size = vec2(ui.available_width(), 36.0);
    let enabled = new && !sharing.is_opening();
    let button = ui.add_enabled_ui(enabled, |ui| ui.add_sized(size, button)).inner;
    theme::focus_ring(ui, &button);
    wish.filter(|_| button.clicked())
}

fn quality(ui: &mut egui::Ui, words: &ShareWords, preset: &mut usize) {
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(words.quality).font(theme::body()));
        for (index, (name, _)) in words.presets.iter().enumerate() {
            let button = segment(ui, name, *preset == index);
            if button.clicked() {
                *preset = index;
            }
        }
    });
    theme::hint(ui, words.presets[*preset].1);
}

/// One of several of which one is on.
fn segment(ui: &mut egui::Ui, text: &str, on: bool) -> egui::Response {
    let text = RichText::new(text).font(theme::body()).color(if on { theme::INK } else { theme::PAPER });
    let button = ui.add(egui::Button::new(text).selected(on));
    theme::focus_ring(ui, &button);
    button
}

fn sound(ui: &mut egui::Ui, words: &ShareWords, known: Option<&Result<(), CaptureError>>, with_sound: &mut bool) {
    let possible = matches!(known, Some(Ok(())));
    let mut shown = *with_sound && possible;
    let text = RichText::new(words.sound).font(theme::body());
    let tick = ui.add_enabled(possible, egui::Checkbox::new(&mut shown, text)).on_hover_text(words.sound_hint);
    theme::focus_ring(ui, &tick);
    if tick.changed() {
        *with_sound = shown;
    }
    if let Some(Err(error)) = known {
        theme::hint(ui, &(words.failed)(error));
    }
}
