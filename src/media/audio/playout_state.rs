//! Where the sound goes: what was wished, what plays now, and why that differs. Plain data.

use super::device::{DeviceName, Trouble};
use crate::model::DeviceState;

/// Where the sound is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioOutput {
    /// The default loudspeaker, whichever that is at the time; the silent clock while there is none.
    Device,
    /// The loudspeaker of this id or name; the default one while it is not there.
    Named(String),
    /// Nowhere, at the pace of the system's clock.
    Null,
}

impl AudioOutput {
    /// The device that is wished for; `None` for the default one.
    pub(super) fn wanted(&self) -> Option<&str> {
        match self {
            Self::Named(device) => Some(device),
            Self::Device | Self::Null => None,
        }
    }
}

/// What became of the wish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputState {
    /// The id of the device that plays; `None` while the sound goes nowhere.
    pub id: Option<String>,
    /// What the sound system calls it.
    pub name: Option<String>,
    /// How the device that was wished for is doing.
    pub state: DeviceState,
    /// Why another device plays than the one wished for, or none, and what to do.
    pub fallback_reason: Option<String>,
}

impl OutputState {
    /// Of the device that plays, if one does, and of what is wrong with the wished one, if something is.
    pub(super) fn of(device: Option<&DeviceName>, trouble: Option<&Trouble>) -> Self {
        Self {
            id: device.map(|device| device.id.clone()),
            name: device.map(|device| device.name.clone()),
            state: trouble.map_or(DeviceState::On, |trouble| trouble.state),
            fallback_reason: trouble.map(|trouble| trouble.why.clone()),
        }
    }
}
