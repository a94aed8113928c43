//! How the room is drawn and heard, for every command that draws it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rotunda::app::{BeautyChange, RoomLook};
use rotunda::model::{BeautyError, BeautyParams, OnBeautyFailure};
use rotunda::space::{Language, Mood, QualityTier, RoomLayout, SoundMode, ViewMode};

use super::args::Size;

/// How the room is drawn and heard.
#[derive(Debug, Args)]
pub struct LookArgs {
    /// How richly the room is drawn; auto looks at the graphics hardware.
    #[arg(long, value_enum, default_value_t = QualityArg::Auto)]
    quality: QualityArg,
    /// Size of the window or picture, in pixels.
    #[arg(long, default_value = "1280x720")]
    size: Size,
    /// How the room is looked at first; the keys G and F change that.
    #[arg(long, value_enum, default_value_t = ViewArg::Hall)]
    view: ViewArg,
    /// The time of day [default: as the room's layout says].
    #[arg(long, value_enum)]
    mood: Option<MoodArg>,
    /// How voices are heard: from where people are (best with headphones), or alike in both ears [default: as you left it].
    #[arg(long, value_enum)]
    sound: Option<SoundArg>,
    /// The language of what is written over the room [default: as you left it; at first the system's].
    #[arg(long, value_enum)]
    language: Option<LanguageArg>,
    /// Size of what is written over the room, in percent, 75 to 200 [default: as you left it].
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u16).range(75..=200))]
    text_size: Option<u16>,
    /// How you look to the others: natural, clear or warm; or each filter, 0 to 100, as in
    /// smooth=60,whiten=30,rosy=20,sharpen=40; or off [default: as you left it].
    #[arg(long, value_name = "FILTERS", value_parser = beauty)]
    beauty: Option<BeautyArg>,
    /// Brighten your picture in low light.
    #[arg(long)]
    low_light: bool,
    /// End your video when beauty fails, instead of going on without.
    #[arg(long, requires = "beauty")]
    beauty_or_nothing: bool,
    /// A room of your own: a TOML file as assets/rooms/rotunda.toml.
    #[arg(long, value_name = "FILE")]
    room_layout: Option<PathBuf>,
}

/// Filters, or none.
#[derive(Clone, Copy, Debug)]
struct BeautyArg(Option<BeautyParams>);

fn beauty(text: &str) -> Result<BeautyArg, BeautyError> {
    if text == "off" { Ok(BeautyArg(None)) } else { text.parse().map(|params| BeautyArg(Some(params))) }
}

/// How richly the room is drawn.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum QualityArg {
    /// For software renderers.
    Low,
    /// For integrated graphics.
    Medium,
    /// For graphics cards.
    High,
    /// By what the hardware is.
    Auto,
}

/// How the room is looked at.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ViewArg {
    /// From where one stands.
    Hall,
    /// Everyone in a flat grid.
    Grid,
    /// Whoever speaks large.
    Speaker,
}

/// The time of day.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum MoodArg {
    /// Sun through the dome.
    Day,
    /// Moon and lamps.
    Night,
}

/// How voices are heard.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum SoundArg {
    /// From where people are.
    Spatial,
    /// Alike in both ears.
    Mono,
}

/// The language of what is written over the room.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LanguageArg {
    /// English.
    En,
    /// Chinese.
    Zh,
}

impl LookArgs {
    /// What was asked for the own picture: the room's renderer does it.
    pub fn beauty(&self) -> BeautyChange {
        let filters = self.beauty.map(|beauty| beauty.0);
        let on_failure = self.beauty_or_nothing.then_some(OnBeautyFailure::Stop);
        BeautyChange { filters, low_light: self.low_light.then_some(true), on_failure }
    }

    /// Reads the layout's file, if one was named.
    pub fn read(&self) -> anyhow::Result<RoomLook> {
        let mut layout = self.room_layout.as_deref().map_or_else(|| Ok(RoomLayout::built_in()), RoomLayout::load)?;
        match self.mood {
            Some(MoodArg::Day) => layout.mood = Mood::Day,
            Some(MoodArg::Night) => layout.mood = Mood::Night,
            None => {}
        }
        Ok(RoomLook {
            size: (self.size.width, self.size.height),
            quality: match self.quality {
                QualityArg::Low => QualityTier::Low,
                QualityArg::Medium => QualityTier::Medium,
                QualityArg::High => QualityTier::High,
                QualityArg::Auto => QualityTier::Auto,
            },
            layout,
            mode: match self.view {
                ViewArg::Hall => ViewMode::Hall,
                ViewArg::Grid => ViewMode::Grid,
                ViewArg::Speaker => ViewMode::Speaker,
            },
            sound: self.sound.map(|sound| match sound {
                SoundArg::Spatial => SoundMode::Spatial,
                SoundArg::Mono => SoundMode::Mono,
            }),
            beauty: self.beauty(),
            language: self.language.map(|language| match language {
                LanguageArg::En => Language::English,
                LanguageArg::Zh => Language::Chinese,
            }),
            text_percent: self.text_size,
        })
    }
}
