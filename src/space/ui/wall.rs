//! What can be done before a picture on the wall: a row of buttons above it, with those for hosts where one is a host.

use bevy::prelude::*;
use bevy_egui::{EguiContexts, egui};

use super::{Overlay, theme};
use crate::model::{StreamId, WallChoices};
use crate::space::settings::SpaceSettings;
use crate::space::sync::RoomStatus;
use crate::space::wall::{ArrangeWall, CloseView, StepWish, WallSlots};

/// Below this width, in points, the hosts' buttons have a row of their own.
const TWO_ROWS_PT: f32 = 860.0;

#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn draw(
    mut contexts: EguiContexts,
    settings: Res<SpaceSettings>,
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
    let ctx = contexts.ctx_mut()?;
    let narrow = ctx.content_rect().width() < TWO_ROWS_PT;
    let place = egui::Area::new(egui::Id::new("wall")).anchor(egui::Align2::CENTER_TOP, [0.0, theme::EDGE_PT * 0.5]);
    let drawn = place.show(ctx, |ui| {
        let host = status.host.then(|| Hosts { status: &status, slots: &slots, slot, stream });
        theme::pane().show(ui, |ui| {
            ui.vertical_centered(|ui| {
                ui.horizontal(|ui| {
                    let several = slots.taken().count() > 1;
                    steps_row(ui, several, |wish| {
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

fn button(ui: &mut egui::Ui, text: &str, hint: &str) -> bool {
    ui.button(egui::RichText::new(text).font(theme::body())).on_hover_text(hint).clicked()
}

/// What everyone can do.
fn steps_row(ui: &mut egui::Ui, several: bool, mut wish: impl FnMut(StepWish)) {
    let mut step = |ui: &mut egui::Ui, text: &str, hint: &str, then: StepWish| {
        if button(ui, text, hint) {
            wish(then);
        }
    };
    step(ui, "Back", "E or Esc", StepWish::Back);
    step(ui, "Whole", "0", StepWish::Whole);
    step(ui, "1:1", "1: each pixel of the picture is one of the screen", StepWish::Exact(Vec2::ZERO));
    if several {
        step(ui, "Left", "The picture to the left", StepWish::Along(-1));
        step(ui, "Right", "The picture to the right", StepWish::Along(1));
    }
}

/// What hosts can do with the picture one stands before.
struct Hosts<'a> {
    status: &'a RoomStatus,
    slots: &'a WallSlots,
    slot: usize,
    stream: &'a StreamId,
}

impl Hosts<'_> {
    fn row(&self, ui: &mut egui::Ui, mut wish: impl FnMut(ArrangeWall)) {
        let (slot, stream) = (self.slot, self.stream);
        let mut change = |ui: &mut egui::Ui, text: &str, hint: &str, then: ArrangeWall| {
            if button(ui, text, hint) {
                wish(then);
            }
        };
        if self.slots.plan().enlarged {
            change(ui, "As before", "Everyone sees the wall as before", ArrangeWall::Enlarge(None));
        } else {
            let large = ArrangeWall::Enlarge(Some(stream.clone()));
            change(ui, "Enlarge", "Give it the centre, for everyone; the others hang smaller", large);
        }
        if slot != 0 {
            let hint = "For everyone; what hangs there comes here";
            change(ui, "To the centre", hint, ArrangeWall::Swap(slot, 0));
        }
        for (text, steps) in [("Move left", -1), ("Move right", 1)] {
            if let Some(next) = WallSlots::beside(slot, steps) {
                change(ui, text, "For everyone", ArrangeWall::Swap(slot, next));
            }
        }
        if WallChoices::read(&self.status.metadata).pin_of(stream).is_some() {
            let hint = "It is pinned here; unpinned it goes where its owner put it";
            change(ui, "Unpin", hint, ArrangeWall::Unpin(stream.clone()));
        } else {
            let pin = ArrangeWall::Pin { stream: stream.clone(), slot };
            change(ui, "Pin", "It keeps this place, whoever claims it", pin);
        }
    }
}
