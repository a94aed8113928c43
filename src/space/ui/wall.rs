//! What can be done before a picture on the wall: a row of buttons above it, with those for hosts where one is a host.

use bevy::prelude::*;
use bevy_egui::{EguiContexts, egui};

use super::theme;
use crate::space::settings::SpaceSettings;
use crate::space::sync::RoomStatus;
use crate::space::wall::{ArrangeWall, CloseView, StepWish, WallSlots};

pub(super) fn draw(
    mut contexts: EguiContexts,
    settings: Res<SpaceSettings>,
    status: Res<RoomStatus>,
    view: Res<CloseView>,
    slots: Res<WallSlots>,
    mut steps: MessageWriter<StepWish>,
    mut arrange: MessageWriter<ArrangeWall>,
) -> Result {
    let (true, Some(slot), Some(stream)) = (settings.overlay, view.slot(), view.stream()) else { return Ok(()) };
    let ctx = contexts.ctx_mut()?;
    let place = egui::Area::new(egui::Id::new("wall")).anchor(egui::Align2::CENTER_TOP, [0.0, theme::EDGE_PT * 0.5]);
    place.show(ctx, |ui| {
        theme::pane().show(ui, |ui| {
            ui.horizontal(|ui| {
                let mut step = |ui: &mut egui::Ui, text: &str, key: &str, wish: StepWish| {
                    if ui.button(egui::RichText::new(text).font(theme::body())).on_hover_text(key).clicked() {
                        steps.write(wish);
                    }
                };
                step(ui, "Back", "E or Esc", StepWish::Back);
                step(ui, "Whole", "0", StepWish::Whole);
                step(ui, "1:1", "1: each pixel of the picture is one of the screen", StepWish::Exact(Vec2::ZERO));
                if slots.taken().count() > 1 {
                    step(ui, "Left", "The picture to the left", StepWish::Along(-1));
                    step(ui, "Right", "The picture to the right", StepWish::Along(1));
                }
                if !status.host {
                    return;
                }
                ui.separator();
                let mut change = |ui: &mut egui::Ui, text: &str, hint: &str, wish: ArrangeWall| {
                    if ui.button(egui::RichText::new(text).font(theme::body())).on_hover_text(hint).clicked() {
                        arrange.write(wish);
                    }
                };
                if slots.plan().enlarged {
                    change(ui, "As before", "Everyone sees the wall as before", ArrangeWall::Enlarge(None));
                } else {
                    let large = ArrangeWall::Enlarge(Some(stream.clone()));
                    change(ui, "Enlarge", "Give it the centre, for everyone; the others hang smaller", large);
                }
                if slot != 0 {
                    change(
                        ui,
                        "To the centre",
                        "For everyone; what hangs there comes here",
                        ArrangeWall::Swap(slot, 0),
                    );
                }
                for (text, steps) in [("Move left", -1), ("Move right", 1)] {
                    if let Some(next) = WallSlots::beside(slot, steps) {
                        change(ui, text, "For everyone", ArrangeWall::Swap(slot, next));
                    }
                }
                let pin = ArrangeWall::Pin { stream: stream.clone(), slot };
                change(ui, "Pin", "It keeps this place, whoever claims it", pin);
            });
        });
    });
    Ok(())
}
