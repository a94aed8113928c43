//! What can be done before a picture on the wall: a row of buttons above it, with those for hosts where one is a host.

use bevy::prelude::*;
use bevy_egui::{EguiContexts, egui};

use super::{Overlay, theme};
use crate::model::{StreamId, WallChoices};
use crate::space::settings::{Comfort, SpaceSettings};
use crate::space::sync::RoomStatus;
use crate::space::wall::{ArrangeWall, CloseView, StepWish, WallSlots};
use crate::space::words::WallWords;

/// Below this width, in points, the hosts' buttons have a row of their own.
const TWO_ROWS_PT: f32 = 860.0;

#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn draw(
    mut contexts: EguiContexts,
    (settings, comfort): (Res<SpaceSettings>, Res<Comfort>),
    status: Res<RoomStatus>,
    view: Res<CloseView>,
    slots: Res<WallSlots>,
    mut overlay: ResMut<Overlay>,
    mut steps: MessageWriter<StepWish>,
    mut arrange: MessageWriter<ArrangeWall>,
) -> Result {
    let (true, Some(slot), Some(stream)) = (settings.overlay, view.slot(), view.stream()) else { return Ok(()) };
    if overlay.rests {
        return Ok(());
    }
    let words = &comfort.language.words().wall;
    let ctx = contexts.ctx_mut()?;
    let narrow = ctx.content_rect().width() < TWO_ROWS_PT;
    let place = egui::Area::new(egui::Id::new("wall")).anchor(egui::Align2::CENTER_TOP, [0.0, theme::EDGE_PT * 0.5]);
    let drawn = place.show(ctx, |ui| {
        let host = status.host.then(|| Hosts { status: &status, slots: &slots, words, slot, stream });
        theme::pane().show(ui, |ui| {
            ui.vertical_centered(|ui| {
                ui.horizontal(|ui| {
                    let several = slots.taken().count() > 1;
                    steps_row(ui, words, several, |wish| {
                        steps.write(wish);
                    });
                    if let Some(host) = host.as_ref().filter(|_| !narrow) {
                        ui.separator();
                        host.row(ui, |wish| {
                            arrange.write(wish);
                        });
                    }
                });
                if let Some(host) = host.as_ref().filter(|_| narrow) {
                    ui.horizontal(|ui| {
                        host.row(ui, |wish| {
                            arrange.write(wish);
                        })
                    });
                }
            });
        });
    });
    overlay.top_pt = drawn.response.rect.bottom();
    Ok(())
}

fn button(ui: &mut egui::Ui, (text, hint): (&str, &str)) -> bool {
    ui.button(egui::RichText::new(text).font(theme::body())).on_hover_text(hint).clicked()
}

/// What everyone can do.
fn steps_row(ui: &mut egui::Ui, words: &WallWords, several: bool, mut wish: impl FnMut(StepWish)) {
    let mut step = |ui: &mut egui::Ui, text, then: StepWish| {
        if button(ui, text) {
            wish(then);
        }
    };
    step(ui, words.back, StepWish::Back);
    step(ui, words.whole, StepWish::Whole);
    step(ui, words.exact, StepWish::Exact(Vec2::ZERO));
    if several {
        step(ui, words.left, StepWish::Along(-1));
        step(ui, words.right, StepWish::Along(1));
    }
}

/// What hosts can do with the picture one stands before.
struct Hosts<'a> {
    status: &'a RoomStatus,
    slots: &'a WallSlots,
    words: &'a WallWords,
    slot: usize,
    stream: &'a StreamId,
}

impl Hosts<'_> {
    fn row(&self, ui: &mut egui::Ui, mut wish: impl FnMut(ArrangeWall)) {
        let (slot, stream) = (self.slot, self.stream);
        let words = self.words;
        let mut change = |ui: &mut egui::Ui, text, then: ArrangeWall| {
            if button(ui, text) {
                wish(then);
            }
        };
        if self.slots.plan().enlarged {
            change(ui, words.as_before, ArrangeWall::Enlarge(None));
        } else {
            let large = ArrangeWall::Enlarge(Some(stream.clone()));
            change(ui, words.enlarge, large);
        }
        if slot != 0 {
            change(ui, words.to_centre, ArrangeWall::Swap(slot, 0));
        }
        for (text, steps) in [(words.move_left, -1), (words.move_right, 1)] {
            if let Some(next) = WallSlots::beside(slot, steps) {
                change(ui, text, ArrangeWall::Swap(slot, next));
            }
        }
        if WallChoices::read(&self.status.metadata).pin_of(stream).is_some() {
            change(ui, words.unpin, ArrangeWall::Unpin(stream.clone()));
        } else {
            let pin = ArrangeWall::Pin { stream: stream.clone(), slot };
            change(ui, words.pin, pin);
        }
    }
}
