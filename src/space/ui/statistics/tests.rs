//! The pane as it is drawn, without a window: what is laid out in a small one, and what a click does.

use std::time::Duration;

use bevy::prelude::Vec2;
use bevy_egui::egui::{self, Event, Modifiers, OutputCommand, PointerButton, Pos2, Rect, Shape};

use super::findings::{Own, Picture};
use super::*;
use crate::bridge::SessionId;
use crate::model::StreamKind;
use crate::model::quality::{AudioStats, EngineSnapshot, PlayedQuality, PublishQuality, VideoStats};
use crate::space::fetch::{FetchFigures, Fetched, Reason, Want};
use crate::space::settings::overlay_zoom;
use crate::space::words::Language;

fn id(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

/// Each has a bitrate of its own, by which its line is found.
fn rate(n: usize) -> String {
    format!("{} kbit/s", 700 + n)
}

fn played(n: usize) -> Played {
    Played {
        id: id(&format!("cam-{n}")),
        name: format!("李 {n}"),
        kind: StreamKind::Camera,
        quality: PlayedQuality { video_kbps: (700 + n) as f32, decoded_fps: 24.0, ..PlayedQuality::default() },
        picture: Some(Picture {
            codec: "video/VP8".to_owned(),
            announced: (1280, 720),
            fetched: Fetched { want: Want::Small, reason: Reason::OutOfView, kbps: 0.0 },
            stats: VideoStats { width: 320, height: 180, ..VideoStats::default() },
        }),
        sound: Some(AudioStats::default()),
    }
}

/// A room of fifty in which one sends a camera.
fn findings() -> Findings {
    let quality =
        PublishQuality { width: 1280, height: 720, layers: 3, grade: Grade::Good, ..PublishQuality::default() };
    Findings {
        state: RoomState::Connected,
        trouble: None,
        grade: Some(Grade::Excellent),
        rtt_ms: Some(21.0),
        bandwidth_kbps: None,
        fetch: FetchFigures { small: 49, ..FetchFigures::default() },
        own: vec![Own { id: id("mine"), kind: StreamKind::Camera, quality }],
        played: (0..49).map(played).collect(),
    }
}

/// Two full minutes of it, but for one second without figures.
fn history(findings: &Findings) -> History {
    let mut history = History::default();
    for second in (1..=130).filter(|second| *second != 100) {
        let figures = EngineSnapshot {
            rtt_ms: Some(second as f32),
            publishing: findings.own.iter().map(|own| (own.id.clone(), own.quality.clone())).collect(),
            playing: findings.played.iter().map(|played| (played.id.clone(), played.quality.clone())).collect(),
            ..EngineSnapshot::default()
        };
        history.take(Duration::from_secs(second), &figures, SessionId(1), true);
    }
    history
}

/// The pane in a view of this size, in points.
struct Screen {
    ctx: egui::Context,
    view: egui::Vec2,
    language: Language,
    findings: Findings,
    history: History,
    looking: Looking,
    writing: Writing,
    copied: Option<String>,
}

impl Screen {
    fn new(view: egui::Vec2) -> Self {
        let findings = findings();
        let history = history(&findings);
        let mut screen = Self {
            ctx: egui::Context::default(),
            view,
            language: Language::English,
            findings,
            history,
            looking: Looking::default(),
            writing: Writing::default(),
            copied: None,
        };
        (0..4).for_each(|_| drop(screen.frame(vec![])));
        screen
    }

    /// The texts of the next frame, and where their middles are.
    fn frame(&mut self, events: Vec<Event>) -> Vec<(String, Pos2)> {
        let screen_rect = Some(Rect::from_min_size(Pos2::ZERO, self.view));
        let input = egui::RawInput { screen_rect, events, ..egui::RawInput::default() };
        let words = &self.language.words().statistics;
        let Self { ctx, findings, history, looking, writing, .. } = self;
        writing.begin();
        let mut output = ctx.run_ui(input, |ui| {
            show(ui.ctx(), findings, history, words, looking, writing);
        });
        let shapes = std::mem::take(&mut output.shapes);
        for command in std::mem::take(&mut output.platform_output.commands) {
            if let OutputCommand::CopyText(text) = command {
                self.copied = Some(text);
            }
        }
        output.drop_without_applying_deltas();
        let mut texts = Vec::new();
        shapes.iter().for_each(|clipped| collect(&clipped.shape, &mut texts));
        texts
    }

    fn click(&mut self, pos: Pos2) -> Vec<(String, Pos2)> {
        let button = |pressed| {
            vec![Event::PointerButton { pos, button: PointerButton::Primary, pressed, modifiers: Modifiers::default() }]
        };
        self.frame(vec![Event::PointerMoved(pos)]);
        self.frame(button(true));
        self.frame(button(false));
        self.frame(vec![])
    }

    fn scroll_to_the_end(&mut self) -> Vec<(String, Pos2)> {
        let over = Pos2::new(100.0, self.view.y * 0.4);
        for _ in 0..8 {
            let wheel = Event::MouseWheel {
                unit: egui::MouseWheelUnit::Point,
                delta: egui::vec2(0.0, -1000.0),
                phase: egui::TouchPhase::Move,
                modifiers: Modifiers::default(),
            };
            self.frame(vec![Event::PointerMoved(over), wheel]);
        }
        // Scrolling is smooth.
        (0..90).for_each(|_| drop(self.frame(vec![])));
        self.frame(vec![])
    }
}

fn collect(shape: &Shape, texts: &mut Vec<(String, Pos2)>) {
    match shape {
        Shape::Vec(shapes) => shapes.iter().for_each(|shape| collect(shape, texts)),
        Shape::Text(text) => texts.push((text.galley.text().to_owned(), text.pos + text.galley.size() * 0.5)),
        _ => {}
    }
}

fn place_of(texts: &[(String, Pos2)], wanted: &str) -> Pos2 {
    let found = texts.iter().find(|(text, _)| text == wanted);
    found.unwrap_or_else(|| panic!("{wanted:?} is not among {texts:?}")).1
}

/// The lines that were laid out.
fn lines(texts: &[(String, Pos2)]) -> Vec<usize> {
    (0..49).filter(|n| texts.iter().any(|(text, _)| *text == rate(*n))).collect()
}

#[test]
fn a_small_window_with_large_text_lays_out_what_is_in_view() {
    let zoom = overlay_zoom(Vec2::new(480.0, 320.0), 200);
    let mut screen = Screen::new(egui::vec2(480.0, 320.0) / zoom);
    let top = screen.frame(vec![]);
    assert!(place_of(&top, "Connection").y < 100.0);
    assert!(lines(&top).len() < 8, "{:?}", lines(&top));
    let end = screen.scroll_to_the_end();
    let shown = lines(&end);
    assert!(shown.last() == Some(&48) && (3..8).contains(&shown.len()), "{shown:?}");
    assert!(end.iter().any(|(text, _)| text == "320×180 small, out of view"));
    assert!(!end.iter().any(|(text, _)| text == "Connection"), "what was scrolled away is not laid out");
}

#[test]
fn even_a_window_of_nothing_is_drawn_in_every_language() {
    for language in Language::ALL {
        let mut screen = Screen::new(egui::vec2(200.0, 120.0));
        screen.language = language;
        screen.looking.chosen = Some(id("cam-48"));
        screen.frame(vec![]);
        screen.scroll_to_the_end();
        screen.findings = Findings::default();
        screen.frame(vec![]);
    }
}

#[test]
fn a_click_opens_a_line_and_another_closes_it() {
    let mut screen = Screen::new(egui::vec2(1280.0, 720.0));
    let end = screen.scroll_to_the_end();
    let shown = lines(&end);
    let middle = shown[shown.len() / 2];
    let plots = |texts: &[(String, Pos2)]| texts.iter().filter(|(text, _)| text == "Delay").count();
    assert_eq!(plots(&end), 0);
    let opened = screen.click(place_of(&end, &rate(middle)));
    assert_eq!(screen.looking.chosen, Some(id(&format!("cam-{middle}"))));
    assert!(plots(&opened) > 0);
    screen.click(place_of(&opened, &rate(middle)));
    assert_eq!(screen.looking.chosen, None);
}

#[test]
fn pointing_at_a_plot_tells_the_value_of_then() {
    let mut screen = Screen::new(egui::vec2(1280.0, 720.0));
    let at_rest = screen.frame(vec![]);
    let title = place_of(&at_rest, "Round trip");
    assert!(at_rest.iter().any(|(text, _)| text == "130 ms"), "the newest");
    let below = title + egui::vec2(0.0, 30.0);
    screen.frame(vec![Event::PointerMoved(below)]);
    let pointed = screen.frame(vec![]);
    let then = pointed.iter().find_map(|(text, _)| text.strip_suffix(" s ago")?.parse::<i32>().ok()).unwrap();
    assert!((40..120).contains(&then), "{then} s");
    assert!(pointed.iter().any(|(text, _)| *text == format!("{} ms", 130 - then)));
}

#[test]
fn all_of_it_can_be_copied() {
    let mut screen = Screen::new(egui::vec2(1280.0, 720.0));
    screen.findings.trouble = Some("the server went".to_owned());
    screen.language = Language::Chinese;
    let texts = screen.frame(vec![]);
    let after = screen.click(place_of(&texts, "复制"));
    place_of(&after, "已复制");
    let report = screen.copied.unwrap();
    for line in [
        "Connection: excellent",
        "    Trouble: the server went",
        "    Round trip: 21 ms",
        "    Pictures fetched: small 49",
        "  Camera and microphone (mine): good",
        "    Size: 1280×720, 3 layers",
        "What you receive: 49",
        "  李 7 (cam-7): excellent",
        "    Fetched: 320×180 small, out of view",
        "    Bitrate in the last 2 minutes: mean 707 kbit/s, highest 707 kbit/s",
    ] {
        assert!(report.lines().any(|other| other == line), "{line:?} is missing in\n{report}");
    }
}
