//! How the connection does, at the left: round trip, what is sent and received, each own stream, and each played one from
//! the worst on, with plots of the last two minutes. What is fetched of a picture, and why, stands there, too. All of it
//! can be copied as text.

mod facts;
mod findings;
mod grade;
mod history;
mod plot;
mod report;

use bevy::prelude::*;
use bevy_egui::{EguiContexts, egui};
use egui::text::{LayoutJob, TextWrapping};
use egui::{Align2, Color32, CornerRadius, RichText, Sense, pos2, vec2};

pub(super) use history::{History, remember};

use super::writing::Writing;
use super::{Keys, LeftPane, OpenPanes, theme};
use crate::model::quality::Grade;
use crate::model::{RoomState, StreamId};
use crate::space::settings::{Comfort, SpaceSettings};
use crate::space::words::StatisticsWords;
use facts::Fact;
use findings::{Findings, Played, Sources};
use plot::Plot;

/// Width of the pane's contents, in points.
const WIDTH_PT: f32 = 310.0;
/// Height of a played stream's line, and of a figure.
const LINE_PT: f32 = 40.0;
const FACT_PT: f32 = 17.0;
/// "Copied" is said so long.
const COPIED_SECS: f64 = 2.0;

/// What one looks at.
#[derive(Default)]
pub(super) struct Looking {
    /// The played stream whose figures are open.
    chosen: Option<StreamId>,
    /// When all was copied, on egui's clock.
    copied_at: Option<f64>,
}

/// `I`, unless something is being typed.
pub(super) fn read_keys(keys: Keys, mut panes: ResMut<OpenPanes>) {
    if keys.just(KeyCode::KeyI) {
        panes.toggle_left(LeftPane::Statistics);
    }
}

#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn draw(
    mut contexts: EguiContexts,
    settings: Res<SpaceSettings>,
    comfort: Res<Comfort>,
    history: Res<History>,
    sources: Sources,
    mut panes: ResMut<OpenPanes>,
    mut writing: Local<Writing>,
    mut looking: Local<Looking>,
) -> Result {
    if !settings.overlay || panes.left != Some(LeftPane::Statistics) {
        return Ok(());
    }
    let ctx = contexts.ctx_mut()?;
    writing.begin();
    let words = &comfort.language.words().statistics;
    if show(ctx, &sources.gather(), &history, words, &mut looking, &mut writing) {
        panes.left = None;
    }
    Ok(())
}

/// `true` when it was closed.
fn show(
    ctx: &egui::Context,
    findings: &Findings,
    history: &History,
    words: &'static StatisticsWords,
    looking: &mut Looking,
    writing: &mut Writing,
) -> bool {
    theme::side_pane(ctx, theme::Side::Left, ("statistics", words.title), WIDTH_PT, |ui| {
        let mut pane = Pane { history, words, writing };
        pane.connection(ui, findings, looking);
        pane.own(ui, findings);
        pane.played(ui, findings, looking);
    })
}

/// What every part of the pane is drawn with.
struct Pane<'a> {
    history: &'a History,
    words: &'static StatisticsWords,
    writing: &'a mut Writing,
}

impl Pane<'_> {
    fn connection(&self, ui: &mut egui::Ui, findings: &Findings, looking: &mut Looking) {
        let words = self.words;
        ui.horizontal(|ui| {
            let grade = findings.grade.filter(|_| findings.state == RoomState::Connected);
            self.heading(ui, words.connection, grade, grade_word(findings.state, findings.grade, words));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let now = ui.input(|input| input.time);
                let fresh = looking.copied_at.is_some_and(|at| (0.0..COPIED_SECS).contains(&(now - at)));
                let text = RichText::new(if fresh { words.copied } else { words.copy }).font(theme::body());
                if ui.button(text).on_hover_text(words.copy_hint).clicked() {
                    ui.ctx().copy_text(report::written(findings, self.history));
                    looking.copied_at = Some(now);
                }
            });
        });
        plot::rows(ui, &connection_plots(self.history, words), self.history.now(), words.ago);
        self.facts(ui, &facts::connection(findings, words));
    }

    fn own(&self, ui: &mut egui::Ui, findings: &Findings) {
        let words = self.words;
        ui.separator();
        ui.label(RichText::new(words.own_streams).font(theme::body()).strong());
        if findings.own.is_empty() {
            theme::hint(ui, words.nothing_sent);
        }
        for own in &findings.own {
            let grade = own.quality.grade;
            ui.horizontal(|ui| {
                let said = words.grades[usize::from(grade.number())];
                self.heading(ui, facts::own_name(own, words), Some(grade), said);
            });
            plot::rows(ui, &own_plots(self.history, &own.id, words), self.history.now(), words.ago);
            self.facts(ui, &facts::own(own, words));
        }
    }

    fn played(&mut self, ui: &mut egui::Ui, findings: &Findings, looking: &mut Looking) {
        let words = self.words;
        ui.separator();
        ui.label(RichText::new((words.played_streams)(findings.played.len())).font(theme::body()).strong());
        if findings.played.is_empty() {
            theme::hint(ui, words.nothing_played);
        }
        ui.spacing_mut().item_spacing.y = 3.0;
        for played in &findings.played {
            let open = looking.chosen.as_ref() == Some(&played.id);
            if self.line(ui, played, open) {
                looking.chosen = if open { None } else { Some(played.id.clone()) };
            }
            if open {
                plot::rows(ui, &played_plots(self.history, &played.id, words), self.history.now(), words.ago);
                self.facts(ui, &facts::played(played, words));
                ui.add_space(6.0);
            }
        }
    }

    /// A part's name and how good it is.
    fn heading(&self, ui: &mut egui::Ui, name: &str, grade: Option<Grade>, said: &str) {
        ui.label(RichText::new(name).font(theme::body()).strong());
        if let Some(grade) = grade {
            let (rect, _) = ui.allocate_exact_size(vec2(grade::SIGN_PT, grade::SIGN_PT), Sense::hover());
            grade::draw(ui.painter(), rect.center(), grade);
        }
        ui.label(RichText::new(said).font(theme::body()).color(grade.map_or(theme::FADED, grade::colour)));
    }

    /// Names at the left, values at the right; only those in view are laid out.
    fn facts(&self, ui: &mut egui::Ui, facts: &[Fact]) {
        ui.scope(|ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            for (name, value) in facts {
                let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), FACT_PT), Sense::hover());
                if !ui.is_rect_visible(rect) {
                    continue;
                }
                let painter = ui.painter_at(rect);
                let value = fitted(&painter, value, rect.width() * 0.75, theme::PAPER);
                let room = rect.width() - value.size().x - 8.0;
                let name = fitted(&painter, name, room, theme::FADED);
                let top = |text: &egui::Galley| rect.center().y - text.size().y * 0.5;
                let value_at = pos2(rect.right() - value.size().x, top(&value));
                let name_at = pos2(rect.left(), top(&name));
                painter.galley(value_at, value, theme::PAPER);
                painter.galley(name_at, name, theme::FADED);
            }
        });
    }

    /// The line of a played stream. Whether it was clicked.
    fn line(&mut self, ui: &mut egui::Ui, played: &Played, open: bool) -> bool {
        let words = self.words;
        let (_, rect) = ui.allocate_space(vec2(ui.available_width(), LINE_PT));
        // The keyboard stays with the stream when the order changes.
        let response = ui.interact(rect, ui.id().with(&played.id), Sense::click());
        if !ui.is_rect_visible(rect) {
            return response.clicked();
        }
        if open || response.hovered() {
            ui.painter().rect_filled(rect, CornerRadius::same(7), theme::BUTTON);
        }
        theme::focus_ring(ui, &response);
        let painter = ui.painter_at(rect);
        let quality = &played.quality;
        let (upper, lower) = (rect.top() + 12.0, rect.top() + 28.0);
        grade::draw(&painter, pos2(rect.left() + 14.0, rect.center().y), quality.grade);
        let (left, right) = (rect.left() + 30.0, rect.right() - 8.0);
        let say = |at: f32, text: String| {
            painter.text(pos2(right, at), Align2::RIGHT_CENTER, text, theme::caption(), theme::FADED).left()
        };
        let name_end = say(upper, facts::kbps(quality.video_kbps + quality.audio_kbps));
        let shows = played.picture.is_some();
        let why_end = if shows { say(lower, facts::fps(quality.decoded_fps)) } else { right };
        let why = fitted(&painter, &facts::fetched(played, words), why_end - left - 8.0, theme::FADED);
        painter.galley(pos2(left, lower - why.size().y * 0.5), why, theme::FADED);
        let (name, size) = (facts::played_name(played, words), (theme::body().size, name_end - left - 8.0));
        self.writing.paint(&painter, pos2(left, upper), &name, size, theme::PAPER);
        response.on_hover_text(words.open_hint).clicked()
    }
}

/// A small text in one row; what is too long ends in an ellipsis.
fn fitted(painter: &egui::Painter, text: &str, room: f32, colour: Color32) -> std::sync::Arc<egui::Galley> {
    let mut job = LayoutJob::simple_singleline(text.to_owned(), theme::caption(), colour);
    job.wrap = TextWrapping::truncate_at_width(room.max(1.0));
    painter.layout_job(job)
}

/// How good the connection is, or why that cannot be said.
fn grade_word(state: RoomState, grade: Option<Grade>, words: &StatisticsWords) -> &'static str {
    match (state, grade) {
        (RoomState::Disconnected, _) => words.not_connected,
        (RoomState::Connecting, _) => words.connecting,
        (RoomState::Connected, None) => words.not_known,
        (RoomState::Connected, Some(grade)) => words.grades[usize::from(grade.number())],
    }
}

fn connection_plots<'a>(history: &'a History, words: &StatisticsWords) -> [Plot<'a>; 3] {
    let bitrate = |title, series| Plot { title, series, least: 100.0, say: facts::kbps };
    [
        Plot { title: words.round_trip, series: &history.round_trip, least: 20.0, say: facts::ms },
        bitrate(words.sent, &history.sent),
        bitrate(words.received, &history.received),
    ]
}

/// Nothing before a stream's first second.
fn own_plots<'a>(history: &'a History, id: &StreamId, words: &StatisticsWords) -> Vec<Plot<'a>> {
    stream_plots(history, id, words, words.round_trip)
}

/// See [`own_plots`].
fn played_plots<'a>(history: &'a History, id: &StreamId, words: &StatisticsWords) -> Vec<Plot<'a>> {
    stream_plots(history, id, words, words.delay)
}

fn stream_plots<'a>(
    history: &'a History,
    id: &StreamId,
    words: &StatisticsWords,
    delay: &'static str,
) -> Vec<Plot<'a>> {
    let Some(stream) = history.stream(id) else { return Vec::new() };
    vec![
        Plot { title: words.bitrate, series: &stream.kbps, least: 50.0, say: facts::kbps },
        Plot { title: words.loss, series: &stream.loss, least: 1.0, say: facts::percent },
        Plot { title: delay, series: &stream.delay, least: 20.0, say: facts::ms },
        Plot { title: words.frames, series: &stream.fps, least: 10.0, say: facts::fps },
    ]
}

#[cfg(test)]
mod tests;
