//! What the loudspeaker plays, on its way to the echo cancellers of the microphones: a lock-free ring each, written by
//! the playout thread and read by a capture thread.
//!
//! It is the mean of both channels, as loud as they are. In mono that is what is played. In space a microphone before
//! two loudspeakers hears a little else, which the canceller follows as it follows the room; headphones give no echo.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rtrb::{Consumer, Producer, RingBuffer};

use crate::media::frame::SAMPLES_10MS;

/// Blocks of 10 ms that may wait: half a second. More is written only while no microphone reads, and dropped.
const ROOM_BLOCKS: usize = 50;
/// Blocks that may wait for a reader that comes every 10 ms: threads are held up, and the playout writes in bursts.
const LATEST_BLOCKS: usize = 20;
/// Blocks left when the reader was held up for too long.
const KEPT_BLOCKS: usize = 2;

/// The writing end, kept by the playout.
pub(super) struct ReferenceTap {
    ring: Producer<f32>,
    delay_ms: Arc<AtomicU32>,
}

/// The reading end: the sound that is about to be heard from the loudspeaker.
pub struct EchoReference {
    ring: Consumer<f32>,
    delay_ms: Arc<AtomicU32>,
}

/// Both ends of a ring.
pub(super) fn echo_reference() -> (ReferenceTap, EchoReference) {
    let (producer, consumer) = RingBuffer::new(ROOM_BLOCKS * SAMPLES_10MS);
    let delay_ms = Arc::new(AtomicU32::new(0));
    (ReferenceTap { ring: producer, delay_ms: Arc::clone(&delay_ms) }, EchoReference { ring: consumer, delay_ms })
}

impl ReferenceTap {
    /// Writes 10 ms that will be heard in `delay_ms`; `false` when nobody reads any more. No allocation, no lock.
    pub(super) fn write(&mut self, block: &[f32; SAMPLES_10MS], delay_ms: f32) -> bool {
        self.delay_ms.store(delay_ms.to_bits(), Ordering::Relaxed);
        // A whole block or none: the reader counts in blocks.
        if self.ring.slots() >= SAMPLES_10MS {
            let (_, left) = self.ring.push_partial_slice(block);
            debug_assert!(left.is_empty(), "there was room");
        }
        self.is_heard()
    }

    /// Whether its reader is still there.
    pub(super) fn is_heard(&self) -> bool {
        !self.ring.is_abandoned()
    }
}

impl EchoReference {
    /// The next 10 ms, if they are there. No allocation, no lock.
    pub(super) fn read(&mut self) -> Option<[f32; SAMPLES_10MS]> {
        let waiting = self.ring.slots() / SAMPLES_10MS;
        if waiting > LATEST_BLOCKS
            && let Ok(old) = self.ring.read_chunk((waiting - KEPT_BLOCKS) * SAMPLES_10MS)
        {
            old.commit_all();
        }
        let chunk = self.ring.read_chunk(SAMPLES_10MS).ok()?;
        let mut block = [0.0; SAMPLES_10MS];
        let (first, second) = chunk.as_slices();
        block[..first.len()].copy_from_slice(first);
        block[first.len()..].copy_from_slice(second);
        chunk.commit_all();
        Some(block)
    }

    /// From the moment the newest block was written to the moment it is heard, in ms.
    pub(super) fn delay_ms(&self) -> f32 {
        f32::from_bits(self.delay_ms.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::audio::allocations::allocations_in;

    #[test]
    fn blocks_come_out_in_order_and_a_late_reader_begins_afresh() {
        let (mut tap, mut reference) = echo_reference();
        assert!(reference.read().is_none());
        for block in 0..3 {
            assert!(tap.write(&[block as f32; SAMPLES_10MS], 35.0));
        }
        assert_eq!(reference.read().unwrap()[479], 0.0);
        assert_eq!(reference.read().unwrap()[0], 1.0);
        assert_eq!(reference.delay_ms(), 35.0);
        for block in 0..200 {
            tap.write(&[block as f32; SAMPLES_10MS], 35.0);
        }
        let next = reference.read().unwrap()[0];
        assert!(next > 40.0, "the old is skipped, not played late: {next}");
        assert!(reference.read().is_some() && reference.read().is_none());
        drop(reference);
        assert!(!tap.write(&[0.0; SAMPLES_10MS], 0.0), "nobody reads");
    }

    #[test]
    fn neither_end_allocates() {
        let (mut tap, mut reference) = echo_reference();
        let counted = allocations_in(|| {
            for _ in 0..100 {
                tap.write(&[0.1; SAMPLES_10MS], 10.0);
                assert!(reference.read().is_some());
            }
        });
        assert_eq!(counted, 0);
    }
}
