//! Screens and windows of a real X11 server without a screen (Xvfb): as sources, and shared through a call.

mod calls;
mod display;
mod page;
mod sources;
