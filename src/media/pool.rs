//! Where the buffers of decoded pictures go when a picture is dropped, so that the next one need not ask the system for
//! a megabyte. Shared between the thread that decodes and whoever drops the picture last; a short lock each time.

use std::sync::{Arc, Mutex, PoisonError};

/// Buffers kept at most: one being shown, one waiting in a mailbox, and one being filled come back at different times.
const SPARE: usize = 3;
/// A spare buffer this many times as large as what is asked for is let go: the stream has become smaller.
const OVERSIZE: usize = 4;

/// Spare picture buffers of one stream; clones share them.
#[derive(Clone, Debug, Default)]
pub struct FramePool {
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl FramePool {
    /// An empty buffer with room for `bytes`.
    pub fn take(&self, bytes: usize) -> Vec<u8> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match spare {
            Some(mut buffer) if (bytes..=bytes.saturating_mul(OVERSIZE)).contains(&buffer.capacity()) => {
                buffer.clear();
                buffer
            }
            _ => Vec::with_capacity(bytes),
        }
    }

    /// Takes a buffer back; more than a few are let go.
    pub(super) fn give_back(&self, buffer: Vec<u8>) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE {
            spare.push(buffer);
        }
    }

    /// Buffers that lie ready.
    #[cfg(test)]
    pub(crate) fn spare(&self) -> usize {
        self.spare.lock().unwrap().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::VideoFrame;

    #[test]
    fn the_buffer_of_a_dropped_picture_serves_the_next() {
        let pool = FramePool::default();
        let picture = |pool: &FramePool, side: u32| {
            let mut data = pool.take(VideoFrame::byte_len(side, side));
            data.resize(VideoFrame::byte_len(side, side), 7);
            VideoFrame::new(side, side, Default::default(), 0, data).unwrap().with_home(pool)
        };
        let first = picture(&pool, 64);
        let address = first.y().as_ptr();
        let copy = first.clone();
        drop(first);
        assert_eq!(pool.spare(), 1);
        let second = picture(&pool, 64);
        assert_eq!((second.y().as_ptr(), pool.spare()), (address, 0));
        assert_eq!(copy, second, "where a picture came from makes no difference");
        drop(copy);
        assert_eq!(pool.spare(), 0, "a copy has no home");
        drop(second.into_data());
        assert_eq!(pool.spare(), 0, "who takes the buffer keeps it");
    }

    #[test]
    fn few_buffers_are_kept_and_none_far_too_large() {
        let pool = FramePool::default();
        for _ in 0..10 {
            pool.give_back(vec![0; 1000]);
        }
        assert_eq!(pool.spare(), SPARE);
        assert!(pool.take(10).capacity() < 1000);
        assert!(pool.take(2000).capacity() >= 2000);
        assert!(pool.take(900).capacity() >= 1000);
    }
}
