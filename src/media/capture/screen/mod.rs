//! Screens and windows: what can be shared, with thumbnails, and sources of their pictures. The display is asked on
//! threads of its own, so that one that hangs holds nobody for long; a source works while it is pulled. X11 for now.

mod shadow;
#[cfg(unix)]
mod x11;

use std::fmt;

use crate::media::source::{CaptureError, VideoFormat, VideoSource};

/// Widest thumbnail, in pixels.
pub const THUMBNAIL_WIDTH_PX: u32 = 320;

/// A whole screen or one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScreenKind {
    /// A monitor, with everything on it.
    Monitor,
    /// A window, even while others cover it.
    Window,
}

/// Something that can be shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScreenInfo {
    /// What it is opened by: `screen:NAME` or `window:0xNUMBER`.
    pub id: String,
    /// A monitor or a window.
    pub kind: ScreenKind,
    /// The window's title, or the monitor's name.
    pub title: String,
    /// The program a window belongs to; empty for monitors.
    pub app: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Shared when none is chosen.
    pub is_default: bool,
    /// A small picture of it, when asked for and when it shows anything.
    pub thumbnail: Option<Thumbnail>,
}

/// A small picture, at most [`THUMBNAIL_WIDTH_PX`] wide: rows of bytes R G B A, tightly packed, opaque.
#[derive(Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width` x `height` x 4 bytes.
    pub rgba: Vec<u8>,
}

impl fmt::Debug for Thumbnail {
    /// Its size, not its pixels.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbnail({}x{})", self.width, self.height)
    }
}

/// The display whose screens and windows are shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screens {
    display: Option<String>,
}

impl Screens {
    /// Those of the display that the environment names (`DISPLAY`).
    pub fn of_this_session() -> Self {
        Self::default()
    }

    /// Those of a display named as X11 does, such as `:1`.
    pub fn of_display(display: &str) -> Self {
        Self { display: Some(display.to_owned()) }
    }

    /// Monitors first, then windows, the topmost first. Thumbnails take some milliseconds each. Waits for two seconds
    /// at most.
    ///
    /// # Errors
    /// [`CaptureError::Open`] when there is no display to ask, or it does not answer, with what to do.
    pub fn list(&self, thumbnails: bool) -> Result<Vec<ScreenInfo>, CaptureError> {
        let display = self.display()?;
        #[cfg(unix)]
        return x11::list(display.as_deref(), thumbnails);
        #[cfg(not(unix))]
        return Err(unsupported((display, thumbnails)));
    }

    /// Opens what an id of [`Self::list`] names (`screen` alone is the default monitor). `limit` holds the largest size
    /// and the highest rate; larger pictures are made smaller, in their own shape. The source ends (`None`) when its
    /// window closes, says [`CaptureError::Interrupted`] while a window is minimised, a monitor is gone or the display
    /// does not answer, and breaks when the display goes away. Waits for two seconds at most.
    ///
    /// # Errors
    /// [`CaptureError::Open`] when there is no display, no answer or no such thing, [`CaptureError::Format`] when its
    /// pixels are laid out in a way that is not supported, or are too few or too many.
    pub fn open(&self, id: &str, limit: VideoFormat) -> Result<Box<dyn VideoSource>, CaptureError> {
        let display = self.display()?;
        #[cfg(unix)]
        return x11::open(display.as_deref(), id, limit);
        #[cfg(not(unix))]
        return Err(unsupported((display, id, limit)));
    }

    /// The display to connect to.
    fn display(&self) -> Result<Option<String>, CaptureError> {
        if self.display.is_some() {
            return Ok(self.display.clone());
        }
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        // An X11 server on another desktop (XQuartz) shows nothing of its screens.
        if set("DISPLAY") && foreign(SYSTEM).is_none() {
            return Ok(None);
        }
        Err(no_display(SYSTEM, set("WAYLAND_DISPLAY")))
    }
}

/// The system this runs on.
const SYSTEM: &str = std::env::consts::OS;

/// A system whose desktop is not X11, as people call it.
fn foreign(system: &str) -> Option<&'static str> {
    match system {
        "macos" => Some("macOS"),
        "windows" => Some("Windows"),
        _ => None,
    }
}

/// What works instead, where no screen can be shared.
fn no_display(system: &str, wayland: bool) -> CaptureError {
    let why = match foreign(system) {
        Some(name) => format!(
            "sharing screens and windows works in X11 sessions (Linux and its kin) for now, not on {name}: watching \
             what others share works here"
        ),
        None if wayland => "only Wayland is running, whose screens cannot be shared yet: log in to an X11 session, or \
            start XWayland and share windows that run in it"
            .to_owned(),
        None => "there is no display (DISPLAY is not set): run this in a graphical X11 session".to_owned(),
    };
    CaptureError::Open { what: "the screen".into(), why }
}

#[cfg(not(unix))]
fn unsupported<T>(_asked: T) -> CaptureError {
    no_display(SYSTEM, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_display_is_told_apart_from_wayland() {
        let wayland = no_display("linux", true).to_string();
        assert!(wayland.contains("log in to an X11 session") && wayland.contains("XWayland"), "{wayland}");
        assert!(no_display("linux", false).to_string().contains("DISPLAY"));
    }

    #[test]
    fn other_systems_are_told_what_is_supported() {
        for (system, name) in [("macos", "macOS"), ("windows", "Windows")] {
            let said = no_display(system, false).to_string();
            assert!(said.contains("X11 sessions (Linux") && said.contains(name) && !said.contains("DISPLAY"), "{said}");
        }
    }

    #[test]
    fn a_display_that_is_not_there_is_an_error_that_names_it() {
        for error in [
            Screens::of_display(":9999").list(false).err(),
            Screens::of_display("nonsense").open("screen", VideoFormat { width: 640, height: 480, fps: 5.0 }).err(),
        ] {
            let error = error.expect("no such display");
            assert!(matches!(error, CaptureError::Open { .. }), "{error}");
            assert!(error.to_string().contains(":9999") || error.to_string().contains("nonsense"), "{error}");
        }
    }
}
