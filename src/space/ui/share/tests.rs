//! The pane in an egui without a window.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bevy::prelude::*;
use bevy_egui::egui::{self, Event, Key, Modifiers, RawInput};

use super::*;
use crate::space::settings::overlay_zoom;
use crate::space::sharing::ShareSources;
use crate::space::sharing::tests::Script;
use crate::space::words::Language;

/// A pane over what a script offers.
struct Pane {
    ctx: egui::Context,
    app: App,
    picker: Picker,
    view: egui::Vec2,
}

impl Pane {
    fn new(sources: impl ShareSources, view: egui::Vec2, text_percent: u16) -> Self {
        let mut app = App::new();
        app.init_resource::<ShareOffer>().init_resource::<Sharing>().insert_resource(ShareFrom(Arc::new(sources)));
        let from = app.world().resource::<ShareFrom>().clone();
        app.world_mut().resource_mut::<ShareOffer>().open(&from);
        app.add_systems(Update, crate::space::sharing::take_offers);
        let ctx = egui::Context::default();
        let zoom = overlay_zoom(Vec2::new(view.x, view.y), text_percent);
        Self { ctx, app, picker: Picker::default(), view: view / zoom }
    }

    /// Draws one frame while this key is pressed.
    fn frame(&mut self, language: Language, key: Option<Key>) -> Option<Wish> {
        self.app.update();
        let from = self.app.world().resource::<ShareFrom>().clone();
        self.app.world_mut().resource_mut::<ShareOffer>().look_at(self.picker.choice.source.as_deref(), &from);
        let (offer, sharing) = (self.app.world().resource::<ShareOffer>(), self.app.world().resource::<Sharing>());
        self.picker.choice.settle(offer, None);
        let events = key.map(|key| Event::Key {
            key,
            physical_key: None,
            pressed: true,
            repeat: false,
            modifiers: Modifiers::NONE,
        });
        let screen_rect = Some(egui::Rect::from_min_size(egui::Pos2::ZERO, self.view));
        let input = RawInput { screen_rect, events: events.into_iter().collect(), ..RawInput::default() };
        let (picker, words) = (&mut self.picker, &language.words().share);
        let mut wish = None;
        picker.writing.begin();
        let output = self.ctx.run_ui(input, |ui| {
            let ctx = ui.ctx().clone();
            picker.pictures.follow(&ctx, offer, picker.choice.source.as_deref());
            theme::side_pane(&ctx, theme::Side::Left, ("share", words.title), WIDTH_PT, |ui| {
                wish = pane(ui, words, offer, sharing, picker);
            });
        });
        output.drop_without_applying_deltas();
        wish
    }

    fn until(&mut self, what: &str, reached: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !reached(self) {
            assert!(Instant::now() < deadline, "{what} does not come");
            self.frame(Language::English, None);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn seen(pane: &Pane) -> bool {
    let all = ["screen:A", "window:0x1", "window:0x2"];
    let (pictures, offer) = (&pane.picker.pictures, pane.app.world().resource::<ShareOffer>());
    all.iter().all(|id| pictures.thumbnail(id).is_some()) && pictures.preview().is_there() && offer.sound().is_some()
}

#[test]
fn the_keyboard_alone_chooses_and_shares() {
    let mut pane = Pane::new(Script::new(), egui::vec2(1280.0, 720.0), 100);
    pane.until("the preview of the default screen", seen);
    assert_eq!(pane.picker.choice.source.as_deref(), Some("screen:A"));
    // Every part in turn, twice: the second time the windows are listed and everything else was set.
    let (mut started, mut presets) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        pane.frame(Language::English, Some(Key::Tab));
        let wish = pane.frame(Language::English, Some(Key::Space));
        presets.push(pane.picker.choice.preset);
        if let Some(Wish::Start(wish)) = wish {
            started.push(wish);
        }
    }
    assert!((0..PRESETS.len()).all(|preset| presets.contains(&preset)), "{presets:?}");
    let first = StartSharing { source: "screen:A".to_owned(), preset: VideoPreset::SCREEN_BALANCED, with_sound: false };
    assert_eq!(started.first(), Some(&first));
    let sharp = VideoPreset::SCREEN_SHARP;
    let window = StartSharing { source: "window:0x2".to_owned(), preset: sharp, with_sound: true };
    assert!(started.contains(&window), "{started:?}");
}

#[test]
fn the_pane_stays_in_a_small_view_with_large_text_in_both_languages() {
    let mut pane = Pane::new(Script::new(), egui::vec2(480.0, 320.0), 200);
    pane.until("all pictures", seen);
    pane.picker.choice.windows = true;
    for language in Language::ALL {
        for _ in 0..5 {
            pane.frame(language, None);
        }
        let rect = pane.ctx.memory(|memory| memory.area_rect("share")).unwrap();
        assert!(pane.ctx.content_rect().contains_rect(rect), "{rect:?} in {:?}", pane.ctx.content_rect());
    }
}

#[test]
fn a_window_that_goes_is_not_replaced_by_something_nobody_chose() {
    let script = Script::new();
    let mut pane = Pane::new(script, egui::vec2(1280.0, 720.0), 100);
    pane.until("all pictures", seen);
    pane.picker.choice.source = Some("window:0x7".to_owned());
    pane.frame(Language::English, None);
    assert_eq!(pane.picker.choice.source, None);
    let offer = pane.app.world().resource::<ShareOffer>();
    assert_eq!(pane.picker.choice.wish(offer), None);
    // What is shared may be hidden, and is there all the same.
    pane.picker.choice.source = Some("window:0x7".to_owned());
    pane.picker.choice.settle(offer, Some("window:0x7"));
    assert_eq!(pane.picker.choice.source.as_deref(), Some("window:0x7"));
}

#[test]
fn sound_that_cannot_be_shared_is_not_wished_for() {
    let mut pane = Pane::new(Script { sound: false, ..Script::new() }, egui::vec2(1280.0, 720.0), 100);
    pane.until("all pictures", seen);
    pane.picker.choice.with_sound = true;
    let wish = pane.picker.choice.wish(pane.app.world().resource::<ShareOffer>()).unwrap();
    assert!(!wish.with_sound);
}
