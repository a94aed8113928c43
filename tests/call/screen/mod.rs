//! Screens and windows of a real X11 server without a screen (Xvfb): as sources, and shared through a call.

mod calls;
pub mod display;
pub mod page;
mod sound;
mod sources;

/// Whether there is a reader of pictures; with `CI` set there has to be.
pub fn have_tesseract() -> bool {
    display::have(&["tesseract"])
}
