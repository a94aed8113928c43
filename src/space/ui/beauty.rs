//! How one looks to the others: the own picture before and after, divided where one drags it, and what is done to it.

use bevy::prelude::*;
use bevy_egui::{EguiContexts, EguiTextureHandle, egui};
use egui::{Align2, Color32, CornerRadius, RichText, Sense, Stroke, TextureId, pos2, vec2};

use super::theme::Side;
use super::{Keys, LeftPane, OpenPanes, theme};
use crate::model::beauty::BEAUTY_MAX;
use crate::model::{Beauty, BeautyParams, BeautyState, OnBeautyFailure, StreamId};
use crate::space::beauty::{BeautyChoice, BeautyLinks, BeautyStatus, SetBeauty, preview_image};
use crate::space::settings::{Comfort, SpaceSettings};
use crate::space::words::BeautyWords;

/// Width of the pane's contents, in points.
const WIDTH_PT: f32 = 300.0;
/// Of a slider's name.
const LABEL_PT: f32 = 66.0;
/// Size of the picture in the pane, in pixels: sharp on screens of twice the points.
const PREVIEW_PX: (u32, u32) = (640, 360);
/// Tall pictures do not push the sliders out.
const TALLEST_PT: f32 = 190.0;

/// The picture in the pane, and where it is divided.
pub(super) struct Preview {
    image: Option<(Handle<Image>, TextureId)>,
    split: f32,
}

impl Default for Preview {
    fn default() -> Self {
        Self { image: None, split: 0.5 }
    }
}

/// `B`, unless something is being typed.
pub(super) fn read_keys(keys: Keys, mut panes: ResMut<OpenPanes>) {
    if keys.just(KeyCode::KeyB) {
        panes.toggle_left(LeftPane::Beauty);
    }
}

#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn draw(
    mut contexts: EguiContexts,
    (settings, comfort): (Res<SpaceSettings>, Res<Comfort>),
    mut panes: ResMut<OpenPanes>,
    links: Res<BeautyLinks>,
    mut images: ResMut<Assets<Image>>,
    mut choice: ResMut<BeautyChoice>,
    mut wishes: MessageWriter<SetBeauty>,
    mut preview: Local<Preview>,
) -> Result {
    if !settings.overlay || panes.left != Some(LeftPane::Beauty) {
        if let Some((image, _)) = preview.image.take() {
            links.show(None);
            contexts.remove_image(&image);
        }
        return Ok(());
    }
    let streams = links.streams();
    let stream = streams.first();
    let texture = stream.map(|stream| show(stream, &links, &mut images, &mut contexts, &mut preview));
    let status = stream.and_then(|stream| links.get(stream)).map(|link| link.status());
    let mut beauty = choice.0;
    let ctx = contexts.ctx_mut()?;
    let words = &comfort.language.words().beauty;
    let closed = theme::side_pane(ctx, Side::Left, ("beauty", words.title), WIDTH_PT, |ui| {
        pane(ui, words, &mut beauty, texture, status.as_ref(), &mut preview.split);
    });
    if closed {
        panes.left = None;
    }
    if beauty != choice.0 {
        choice.0 = beauty;
        wishes.write_batch(streams.into_iter().map(|stream| SetBeauty { stream, beauty }));
    }
    Ok(())
}

/// Lets the stream's picture be drawn.
fn show(
    stream: &StreamId,
    links: &BeautyLinks,
    images: &mut Assets<Image>,
    contexts: &mut EguiContexts,
    preview: &mut Preview,
) -> TextureId {
    let (image, texture) = preview.image.get_or_insert_with(|| {
        let image = images.add(preview_image(PREVIEW_PX));
        let texture = contexts.add_image(EguiTextureHandle::Strong(image.clone()));
        (image, texture)
    });
    links.show(Some((stream, image, preview.split)));
    *texture
}

fn pane(
    ui: &mut egui::Ui,
    words: &BeautyWords,
    beauty: &mut Beauty,
    texture: Option<TextureId>,
    status: Option<&BeautyStatus>,
    split: &mut f32,
) {
    ui.checkbox(&mut beauty.enabled, RichText::new(words.enabled).font(theme::body()));
    match (texture, status) {
        (Some(texture), Some(status)) => compare(ui, words, texture, status, split),
        _ => theme::hint(ui, words.no_camera),
    }
    presets(ui, words, beauty);
    sliders(ui, words, beauty);
    let low_light = RichText::new(words.low_light).font(theme::body());
    ui.checkbox(&mut beauty.low_light, low_light).on_hover_text(words.low_light_hint);
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(words.if_it_fails).font(theme::body()).color(theme::FADED));
        for (text, then) in [(words.go_on, OnBeautyFailure::Continue), (words.stop, OnBeautyFailure::Stop)] {
            ui.radio_value(&mut beauty.on_failure, then, RichText::new(text).font(theme::body()));
        }
    });
    if let Some(status) = status {
        let (text, colour) = standing(words, status);
        ui.label(RichText::new(text).font(theme::caption()).color(colour));
    }
}

/// The picture, as it was at the left of a line and as it is sent at the right.
fn compare(ui: &mut egui::Ui, words: &BeautyWords, texture: TextureId, status: &BeautyStatus, split: &mut f32) {
    let (width, height) = status.figures.source;
    let aspect = if height == 0 { 16.0 / 9.0 } else { width as f32 / height as f32 };
    let size = vec2(WIDTH_PT, WIDTH_PT / aspect);
    let size = if size.y > TALLEST_PT { vec2(TALLEST_PT * aspect, TALLEST_PT) } else { size };
    ui.vertical_centered(|ui| {
        let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
        if let Some(at) = response.interact_pointer_pos() {
            *split = ((at.x - rect.left()) / rect.width()).clamp(0.0, 1.0);
        }
        let painter = ui.painter_at(rect);
        let whole = egui::Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        let picture = egui::epaint::RectShape::filled(rect, CornerRadius::same(10), Color32::WHITE);
        painter.add(picture.with_texture(texture, whole));
        let x = rect.left() + rect.width() * *split;
        painter.vline(x, rect.y_range(), Stroke::new(2.0, theme::PAPER));
        painter.circle(pos2(x, rect.bottom() - 16.0), 8.0, theme::BRASS, Stroke::new(2.0, theme::PAPER));
        for (text, align, edge) in
            [(words.before, Align2::RIGHT_TOP, x - 6.0), (words.after, Align2::LEFT_TOP, x + 6.0)]
        {
            let at = pos2(edge, rect.top() + 5.0);
            // Readable on any picture.
            painter.text(at + vec2(0.7, 0.7), align, text, theme::caption(), Color32::from_black_alpha(200));
            painter.text(at, align, text, theme::caption(), theme::PAPER);
        }
        response.on_hover_cursor(egui::CursorIcon::ResizeHorizontal);
    });
}

fn presets(ui: &mut egui::Ui, words: &BeautyWords, beauty: &mut Beauty) {
    ui.horizontal(|ui| {
        let button = |ui: &mut egui::Ui, text: &str, on: bool, hint: &str| {
            let text = RichText::new(text).font(theme::body()).color(if on { theme::INK } else { theme::PAPER });
            ui.add(egui::Button::new(text).selected(on)).on_hover_text(hint).clicked()
        };
        for ((_, params), title) in BeautyParams::PRESETS.into_iter().zip(words.presets) {
            let on = beauty.enabled && beauty.params == params;
            if button(ui, title, on, words.preset_hint) {
                (beauty.enabled, beauty.params) = (true, params);
            }
        }
        if button(ui, words.off, !beauty.enabled, words.off_hint) {
            beauty.enabled = false;
        }
        if button(ui, words.reset, false, words.reset_hint) {
            (beauty.enabled, beauty.params) = (true, BeautyParams::default());
        }
    });
}

fn sliders(ui: &mut egui::Ui, words: &BeautyWords, beauty: &mut Beauty) {
    let mut values = beauty.params.values();
    for (value, (name, hint)) in values.iter_mut().zip(words.filters) {
        ui.horizontal(|ui| {
            let label = RichText::new(name).font(theme::body());
            let label = if beauty.enabled { label } else { label.color(theme::FADED) };
            let place = egui::Layout::left_to_right(egui::Align::Center);
            ui.allocate_ui_with_layout(vec2(LABEL_PT, 18.0), place, |ui| {
                ui.set_min_width(LABEL_PT);
                ui.label(label).on_hover_text(hint);
            });
            ui.spacing_mut().slider_width = WIDTH_PT - LABEL_PT - 70.0;
            ui.add(egui::Slider::new(value, 0..=BEAUTY_MAX)).on_hover_text(hint);
        });
    }
    // Moving one of them is wanting to see it.
    if values != beauty.params.values()
        && let Ok(params) = BeautyParams::of_values(values)
    {
        (beauty.enabled, beauty.params) = (true, params);
    }
}

/// How it stands, in words.
fn standing(words: &BeautyWords, status: &BeautyStatus) -> (String, Color32) {
    let figures = status.figures;
    let size = |(width, height): (u32, u32)| format!("{width}×{height}");
    match (status.state, &status.error) {
        (BeautyState::Failed, error) => {
            ((words.failed)(error.as_deref().unwrap_or(words.no_pictures)), theme::CORAL_TEXT)
        }
        (BeautyState::Starting, _) => (words.starting.to_owned(), theme::BRASS),
        (BeautyState::Off, _) => (words.is_off.to_owned(), theme::FADED),
        (BeautyState::On, _) if figures.size == figures.source => {
            ((words.cost)(figures.cost_ms, &size(figures.size)), theme::FADED)
        }
        (BeautyState::On, _) => {
            ((words.cost_smaller)(figures.cost_ms, &size(figures.size), &size(figures.source)), theme::BRASS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::beauty::Figures;
    use crate::space::words::Language;

    #[test]
    fn the_pane_says_what_is_done_and_in_which_size() {
        let figures = Figures { cost_ms: 1.24, source: (1280, 720), size: (1280, 720), filtered: 9 };
        let say = |state, error: Option<&str>, figures| {
            let status = BeautyStatus { state, error: error.map(str::to_owned), figures };
            standing(&Language::English.words().beauty, &status).0
        };
        assert_eq!(say(BeautyState::On, None, figures), "1.2 ms a picture, at 1280×720");
        let small = Figures { size: (640, 360), ..figures };
        assert!(say(BeautyState::On, None, small).ends_with("what is filtered and sent is 640×360."));
        assert!(say(BeautyState::Failed, Some("no device"), figures).contains("no device"));
        assert!(say(BeautyState::Off, None, figures).contains("as the camera gives it"));
    }
}
