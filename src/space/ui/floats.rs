//! Remarks across the view, and signs above those who gave them.

use bevy::prelude::*;
use bevy_egui::{EguiContexts, egui};
use egui::{Align2, Color32, FontId, pos2};

use super::writing::Writing;
use super::{chat, theme};
use crate::space::chat::{FloatKind, Floats};
use crate::space::panel::PanelOf;
use crate::space::settings::{Comfort, SpaceSettings};
use crate::space::view::RoomCamera;

/// Size of remarks and of signs, in points.
const REMARK_PT: f32 = 22.0;
const SIGN_PT: f32 = 38.0;
/// Remarks float in the upper part of the view, row by row, in points.
const ROW_PT: f32 = 34.0;
const TOP_PT: f32 = 60.0;
/// The longest line that is lettered, in pixels.
const LONGEST_PX: f32 = 4096.0;
/// How far a sign rises, in points, and how far it drifts.
const RISE_PT: f32 = 130.0;
const DRIFT_PT: f32 = 30.0;

pub(super) fn draw(
    mut contexts: EguiContexts,
    (settings, comfort): (Res<SpaceSettings>, Res<Comfort>),
    floats: Res<Floats>,
    panels: Query<(&PanelOf, &GlobalTransform)>,
    camera: Query<(&Camera, &GlobalTransform), With<RoomCamera>>,
    mut writing: Local<Writing>,
) -> Result {
    if !settings.overlay || floats.iter().next().is_none() {
        return Ok(());
    }
    let ctx = contexts.ctx_mut()?.clone();
    writing.begin();
    let view = ctx.content_rect();
    let painter = ctx.layer_painter(egui::LayerId::new(egui::Order::Background, egui::Id::new("floats")));
    // Nobody reads what shines through a pane.
    let free = theme::between_panes(&ctx);
    let between = painter.with_clip_rect(free);
    for float in floats.iter() {
        let progress = float.progress();
        match &float.kind {
            FloatKind::Remark { text, row } => {
                // As long as lettering lets it be; what stands still is to be read where it stands.
                let longest = if comfort.reduced_motion { free.width() - 24.0 } else { f32::INFINITY };
                let room = longest.min(LONGEST_PX / ctx.pixels_per_point());
                let Some(size) = writing.measure(&ctx, text, REMARK_PT, room) else { continue };
                // Without motion it stands where it would be halfway.
                let way = if comfort.reduced_motion { 0.5 } else { progress };
                let x = free.right() - (free.width() + size.x) * way;
                let at = pos2(x, view.top() + TOP_PT + ROW_PT * *row as f32);
                // Readable on light and dark.
                let ground = egui::Rect::from_min_size(at - egui::vec2(0.0, size.y * 0.5), size);
                let dark = Color32::from_black_alpha(170);
                between.rect_filled(ground.expand2(egui::vec2(12.0, 2.0)), egui::CornerRadius::same(12), dark);
                writing.paint(&between, at, text, (REMARK_PT, room), theme::PAPER);
            }
            FloatKind::Sign { reaction, of, drift } => {
                let from = match of {
                    Some(who) => above_panel(*who, &panels, &camera).map(|at| {
                        // The camera counts in logical pixels, the overlay in its own points.
                        pos2(at.x / ctx.zoom_factor(), at.y / ctx.zoom_factor())
                    }),
                    None => Some(pos2(view.center().x, view.bottom() - 120.0)),
                };
                let Some(from) = from else { continue };
                let still = comfort.reduced_motion;
                let rise = if still { 0.4 } else { 1.0 - (1.0 - progress).powi(2) };
                let sway = if still { 0.0 } else { (progress * 7.0 + drift * 3.0).sin() * 6.0 };
                let at = from + egui::vec2(drift * DRIFT_PT + sway, -RISE_PT * rise);
                let strength = ((1.0 - progress) * 3.0).min(1.0);
                let font = FontId::proportional(SIGN_PT * (0.7 + 0.3 * (progress * 8.0).min(1.0)));
                let letter = chat::letter(*reaction);
                let shade = Color32::from_black_alpha((150.0 * strength) as u8);
                painter.text(at + egui::vec2(1.5, 1.5), Align2::CENTER_CENTER, letter, font.clone(), shade);
                painter.text(at, Align2::CENTER_CENTER, letter, font, theme::BRASS.gamma_multiply(strength));
            }
        }
    }
    Ok(())
}

/// Where the upper edge of somebody's panel is in the view, in logical pixels; `None` while it is out of it.
fn above_panel(
    who: Entity,
    panels: &Query<(&PanelOf, &GlobalTransform)>,
    camera: &Query<(&Camera, &GlobalTransform), With<RoomCamera>>,
) -> Option<Vec2> {
    let (_, panel) = panels.iter().find(|(of, _)| of.0 == who)?;
    let (camera, eye) = camera.iter().next()?;
    let at = camera.world_to_viewport(eye, panel.transform_point(Vec3::Y * 0.4)).ok()?;
    let view = camera.logical_viewport_size()?;
    (at.cmpge(Vec2::ZERO).all() && at.cmple(view).all()).then_some(at)
}
