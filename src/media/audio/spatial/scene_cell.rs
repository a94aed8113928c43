//! How the room's scene reaches the playout thread: the newest one wins, and neither waits for the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use crate::model::sound::SoundScene;

/// The newest [`SoundScene`]; clones share it.
#[derive(Clone, Debug, Default)]
pub struct SoundSceneCell(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    scene: Mutex<SoundScene>,
    /// Counts what was published.
    version: AtomicU64,
}

impl SoundSceneCell {
    /// Replaces the scene, made harmless. From any thread but the playout's: it frees the one before.
    pub fn publish(&self, scene: SoundScene) {
        let scene = scene.made_harmless();
        let mut held = self.0.scene.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *held, scene);
        self.0.version.fetch_add(1, Ordering::Release);
        drop(held);
        drop(before);
    }

    /// A copy of the scene.
    pub fn load(&self) -> SoundScene {
        self.0.scene.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Grows with every scene; 0 before the first.
    pub(in crate::media::audio) fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    /// Looks at the scene where it lies, with its version; `None` while it is being replaced. Allocates and waits for
    /// nothing.
    pub(in crate::media::audio) fn try_read<T>(&self, read: impl FnOnce(&SoundScene, u64) -> T) -> Option<T> {
        let held = match self.0.scene.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(held)) => held.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(read(&held, self.version()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::audio::allocations::allocations_in;
    use crate::model::sound::Hearing;

    #[test]
    fn the_newest_scene_is_read_without_waiting_or_allocating() {
        let cell = SoundSceneCell::default();
        assert_eq!(cell.version(), 0);
        for _ in 0..3 {
            cell.publish(SoundScene { hearing: Hearing::Spatial, ..SoundScene::default() });
        }
        let mut read = None;
        assert_eq!(allocations_in(|| read = cell.try_read(|scene, version| (scene.hearing, version))), 0);
        assert_eq!(read, Some((Hearing::Spatial, 3)));
        let other = cell.clone();
        let during = cell.try_read(|_, _| other.try_read(|_, _| ()));
        assert_eq!(during, Some(None), "whoever is in the way is not waited for");
    }
}
