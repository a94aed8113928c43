//! The overlay's letters: egui's own, and behind them the system's for the scripts those lack.

use std::sync::Arc;

use bevy::tasks::{AsyncComputeTaskPool, Task, block_on, poll_once};
use bevy_egui::egui::{self, FontData, FontDefinitions, FontFamily};

use crate::space::stream::further_fonts;

/// Finds fonts beside the frames.
#[derive(Default)]
pub(super) enum Fonts {
    #[default]
    Unasked,
    Sought(Task<Vec<(Vec<u8>, u32)>>),
    There,
}

impl Fonts {
    /// Called once a frame; `true` when there are more letters from now on.
    pub(super) fn look(&mut self, ctx: &egui::Context) -> bool {
        match self {
            Self::Unasked => *self = Self::Sought(AsyncComputeTaskPool::get().spawn(async { further_fonts() })),
            Self::Sought(task) => {
                let Some(found) = block_on(poll_once(task)) else { return false };
                *self = Self::There;
                let more = !found.is_empty();
                if more {
                    ctx.set_fonts(with_fallbacks(found));
                }
                return more;
            }
            Self::There => {}
        }
        false
    }
}

/// egui's fonts, and these where they have no letter.
fn with_fallbacks(found: Vec<(Vec<u8>, u32)>) -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    for (number, (bytes, index)) in found.into_iter().enumerate() {
        let name = format!("system {number}");
        let mut data = FontData::from_owned(bytes);
        data.index = index;
        fonts.font_data.insert(name.clone(), Arc::new(data));
        for family in [FontFamily::Proportional, FontFamily::Monospace] {
            fonts.families.entry(family).or_default().push(name.clone());
        }
    }
    fonts
}
