//! What changed of the camera in use, for whoever shows it: each change is told once. Plain data of the thread that
//! pulls the source.

use super::driver::CameraFault;
use crate::model::DeviceUse;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The camera whose picture came last; `None` when the next one has to be described anew.
    giving: Option<String>,
    told: Option<DeviceUse>,
    fresh: Option<DeviceUse>,
}

impl News {
    /// A picture of a camera came. It is described only when it is another one than before.
    pub fn gives(&mut self, id: &str, describe: impl FnOnce() -> DeviceUse) {
        if self.giving.as_deref() != Some(id) {
            self.giving = Some(id.to_owned());
            self.tell(describe());
        }
    }

    /// No camera gives anything, for this reason.
    pub fn lost(&mut self, fault: &CameraFault) {
        self.giving = None;
        self.tell(DeviceUse { name: None, state: fault.state, why: Some(fault.why.clone()) });
    }

    /// What was told of the camera in use may no longer be so.
    pub fn look_again(&mut self) {
        self.giving = None;
    }

    /// What changed since this was last asked.
    pub fn take(&mut self) -> Option<DeviceUse> {
        self.fresh.take()
    }

    fn tell(&mut self, now: DeviceUse) {
        if self.told.as_ref() != Some(&now) {
            self.told = Some(now.clone());
            self.fresh = Some(now);
        }
    }
}
