//! Where what is shared comes from. Asked on threads of our own: an answer may take some seconds.

use std::sync::Arc;

use bevy::prelude::*;

use crate::media::audio::system_sound;
use crate::media::capture::{ScreenInfo, Screens};
use crate::media::{AudioSource, CaptureError, VideoFormat, VideoSource};

/// What can be shared, and how it is opened. Every call may block for three seconds.
pub trait ShareSources: Send + Sync + 'static {
    /// Screens and windows, with small pictures.
    ///
    /// # Errors
    /// When there are none to be had, with what to do.
    fn list(&self) -> Result<Vec<ScreenInfo>, CaptureError>;

    /// Opens one of them, in at most this size and at this rate.
    ///
    /// # Errors
    /// When it cannot be opened, with what to do.
    fn open(&self, id: &str, limit: VideoFormat) -> Result<Box<dyn VideoSource>, CaptureError>;

    /// What the loudspeaker plays.
    ///
    /// # Errors
    /// When it cannot be heard, with what to do.
    fn sound(&self) -> Result<Box<dyn AudioSource>, CaptureError>;
}

/// Those in use: this computer's, unless a test says otherwise.
#[derive(Resource, Clone)]
pub struct ShareFrom(pub Arc<dyn ShareSources>);

impl Default for ShareFrom {
    fn default() -> Self {
        Self(Arc::new(ThisComputer))
    }
}

/// The display of this session, and its sound system.
struct ThisComputer;

impl ShareSources for ThisComputer {
    fn list(&self) -> Result<Vec<ScreenInfo>, CaptureError> {
        Screens::of_this_session().list(true)
    }

    fn open(&self, id: &str, limit: VideoFormat) -> Result<Box<dyn VideoSource>, CaptureError> {
        Screens::of_this_session().open(id, limit)
    }

    fn sound(&self) -> Result<Box<dyn AudioSource>, CaptureError> {
        Ok(Box::new(system_sound()?))
    }
}
