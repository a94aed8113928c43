//! How one looks to the others: the own picture before and after, divided where one drags it, and what is done to it.

use bevy::prelude::*;
use bevy_egui::{EguiContexts, EguiTextureHandle, egui};
use egui::{Align2, Color32, CornerRadius, RichText, Sense, Stroke, TextureId, pos2, vec2};

use super::{Keys, LeftPane, OpenPanes, theme};
use crate::model::beauty::BEAUTY_MAX;
use crate::model::{Beauty, BeautyParams, BeautyState, OnBeautyFailure, StreamId};
use crate::space::beauty::{BeautyChoice, BeautyLinks, BeautyStatus, SetBeauty, preview_image};
use crate::space::settings::SpaceSettings;

/// Width of the pane's contents, in points.
const WIDTH_PT: f32 = 300.0;
/// Of a slider's name.
const LABEL_PT: f32 = 66.0;
/// Size of the picture in the pane, in pixels: sharp on screens of twice the points.
const PREVIEW_PX: (u32, u32) = (640, 360);
/// Tall pictures do not push the sliders out.
const TALLEST_PT: f32 = 190.0;
const FILTERS: [(&str, &str); 4] = [
    ("Smooth", "Evens out skin; moles, lashes and edges stay"),
    ("Lighten", "Lightens skin, dark and light alike"),
    ("Warmth", "A little more blood in the cheeks"),
    ("Sharpen", "Brings out eyes, hair and edges"),
];

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
    settings: Res<SpaceSettings>,
    panes: Res<OpenPanes>,
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
    let tallest = (ctx.content_rect().height() - 2.0 * theme::EDGE_PT - 24.0).max(120.0);
    let place = egui::Area::new(egui::Id::new("beauty"));
    place.anchor(Align2::LEFT_TOP, [theme::EDGE_PT, theme::EDGE_PT]).show(ctx, |ui| {
        theme::pane().show(ui, |ui| {
            ui.set_width(WIDTH_PT);
            let all = egui::ScrollArea::vertical().max_height(tallest).min_scrolled_height(tallest);
            all.show(ui, |ui| pane(ui, &mut beauty, texture, status.as_ref(), &mut preview.split));
        });
    });
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
    beauty: &mut Beauty,
    texture: Option<TextureId>,
    status: Option<&BeautyStatus>,
    split: &mut f32,
) {
    ui.spacing_mut().item_spacing.y = 7.0;
    ui.horizontal(|ui| {
        ui.label(RichText::new("How you look").font(theme::body()).strong());
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            ui.checkbox(&mut beauty.enabled, RichText::new("Beauty").font(theme::body()));
        });
    });
    match (texture, status) {
        (Some(texture), Some(status)) => compare(ui, texture, status, split),
        _ => {
            let hint = "No camera is being sent. What you choose here is for when there is one.";
            ui.label(RichText::new(hint).font(theme::body()).color(theme::FADED));
        }
    }
    presets(ui, beauty);
    sliders(ui, beauty);
    let hint = "Opens up dark pictures without their noise; does nothing in good light";
    ui.checkbox(&mut beauty.low_light, RichText::new("Brighten in low light").font(theme::body())).on_hover_text(hint);
    ui.horizontal(|ui| {
        ui.label(RichText::new("If it fails").font(theme::body()).color(theme::FADED));
        for (text, then) in [("go on without", OnBeautyFailure::Continue), ("stop my video", OnBeautyFailure::Stop)] {
            ui.radio_value(&mut beauty.on_failure, then, RichText::new(text).font(theme::body()));
        }
    });
    if let Some(status) = status {
        let (text, colour) = words(status);
        ui.label(RichText::new(text).font(theme::caption()).color(colour));
    }
}

/// The picture, as it was at the left of a line and as it is sent at the right.
fn compare(ui: &mut egui::Ui, texture: TextureId, status: &BeautyStatus, split: &mut f32) {
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
        for (text, align, edge) in [("before", Align2::RIGHT_TOP, x - 6.0), ("after", Align2::LEFT_TOP, x + 6.0)] {
            let at = pos2(edge, rect.top() + 5.0);
            // Readable on any picture.
            painter.text(at + vec2(0.7, 0.7), align, text, theme::caption(), Color32::from_black_alpha(200));
            painter.text(at, align, text, theme::caption(), theme::PAPER);
        }
        response.on_hover_cursor(egui::CursorIcon::ResizeHorizontal);
    });
}

fn presets(ui: &mut egui::Ui, beauty: &mut Beauty) {
    ui.horizontal(|ui| {
        let button = |ui: &mut egui::Ui, text: &str, on: bool, hint: &str| {
            let text = RichText::new(text).font(theme::body()).color(if on { theme::INK } else { theme::PAPER });
            ui.add(egui::Button::new(text).selected(on)).on_hover_text(hint).clicked()
        };
        for (name, params) in BeautyParams::PRESETS {
            let mut title = name.to_owned();
            title[..1].make_ascii_uppercase();
            let on = beauty.enabled && beauty.params == params;
            if button(ui, &title, on, "Set the four to this") {
                (beauty.enabled, beauty.params) = (true, params);
            }
        }
        if button(ui, "Off", !beauty.enabled, "Sends your picture as the camera gives it") {
            beauty.enabled = false;
        }
        if button(ui, "Reset", false, "Everything in the middle") {
            (beauty.enabled, beauty.params) = (true, BeautyParams::default());
        }
    });
}

fn sliders(ui: &mut egui::Ui, beauty: &mut Beauty) {
    let mut values = beauty.params.values();
    for (value, (name, hint)) in values.iter_mut().zip(FILTERS) {
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
fn words(status: &BeautyStatus) -> (String, Color32) {
    let figures = status.figures;
    let size = |(width, height): (u32, u32)| format!("{width}×{height}");
    match (status.state, &status.error) {
        (BeautyState::Failed, error) => {
            let why = error.as_deref().unwrap_or("the graphics device gives no pictures");
            (format!("It does not work now: {why}"), theme::CORAL_HOVER)
        }
        (BeautyState::Starting, _) => ("Starting …".to_owned(), theme::BRASS),
        (BeautyState::Off, _) => ("Your picture is sent as the camera gives it.".to_owned(), theme::FADED),
        (BeautyState::On, _) if figures.size == figures.source => {
            (format!("{:.1} ms a picture, at {}", figures.cost_ms, size(figures.size)), theme::FADED)
        }
        (BeautyState::On, _) => {
            let (small, camera) = (size(figures.size), size(figures.source));
            let text = format!(
                "{:.1} ms a picture. This computer is too slow for {camera}: what is filtered and sent is {small}.",
                figures.cost_ms
            );
            (text, theme::BRASS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::beauty::Figures;

    #[test]
    fn the_pane_says_what_is_done_and_in_which_size() {
        let figures = Figures { cost_ms: 1.24, source: (1280, 720), size: (1280, 720), filtered: 9 };
        let say = |state, error: Option<&str>, figures| {
            words(&BeautyStatus { state, error: error.map(str::to_owned), figures }).0
        };
        assert_eq!(say(BeautyState::On, None, figures), "1.2 ms a picture, at 1280×720");
        let small = Figures { size: (640, 360), ..figures };
        assert!(say(BeautyState::On, None, small).ends_with("what is filtered and sent is 640×360."));
        assert!(say(BeautyState::Failed, Some("no device"), figures).contains("no device"));
        assert!(say(BeautyState::Off, None, figures).contains("as the camera gives it"));
    }
}
