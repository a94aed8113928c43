//! Where the own picture and the own voice come from: devices, unless the application says otherwise. Opening never waits.

use std::sync::Arc;

use bevy::prelude::*;

use crate::media::audio::{AudioInput, Microphone, MicrophoneCheck};
use crate::media::capture::Camera;
use crate::media::{AudioSource, VideoFormat, VideoSource};

/// Opens a camera by its id.
type OpenCamera = dyn Fn(Option<&str>, VideoFormat) -> Box<dyn VideoSource> + Send + Sync;
/// Opens a microphone by its id.
type OpenMicrophone = dyn Fn(Option<&str>) -> Box<dyn AudioSource> + Send + Sync;

/// Where the own picture and the own voice come from: the devices, unless the application says otherwise. Opening must not
/// wait; what is not there is waited for by the source.
#[derive(Resource, Clone)]
pub struct OwnSources {
    camera: Arc<OpenCamera>,
    microphone: Arc<OpenMicrophone>,
    /// Microphones are listened to as devices, which say what is wrong with them.
    devices: bool,
}

impl Default for OwnSources {
    fn default() -> Self {
        Self {
            camera: Arc::new(|id, format| Box::new(Camera::waiting(id, format))),
            microphone: Arc::new(|id| Box::new(Microphone::of_id(id))),
            devices: true,
        }
    }
}

impl OwnSources {
    /// Others than the devices: generated ones, files.
    pub fn other(
        camera: impl Fn(Option<&str>, VideoFormat) -> Box<dyn VideoSource> + Send + Sync + 'static,
        microphone: impl Fn(Option<&str>) -> Box<dyn AudioSource> + Send + Sync + 'static,
    ) -> Self {
        Self { camera: Arc::new(camera), microphone: Arc::new(microphone), devices: false }
    }

    /// Whether they are the devices of this machine.
    pub fn are_devices(&self) -> bool {
        self.devices
    }

    /// The own picture.
    pub fn camera(&self, id: Option<&str>, format: VideoFormat) -> Box<dyn VideoSource> {
        (self.camera)(id, format)
    }

    /// The own voice.
    pub fn microphone(&self, id: Option<&str>) -> Box<dyn AudioSource> {
        (self.microphone)(id)
    }

    /// Listens to the microphone, to see whether it hears anything.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn listen(&self, id: Option<&str>) -> std::io::Result<MicrophoneCheck> {
        if self.devices {
            MicrophoneCheck::start(id.map_or(AudioInput::Default, |id| AudioInput::Named(id.to_owned())))
        } else {
            MicrophoneCheck::of_source(self.microphone(id))
        }
    }
}
