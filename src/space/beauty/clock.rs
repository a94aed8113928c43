//! What each pass takes on the graphics device, by its own clock. Devices without one give nothing.

use std::time::Duration;

use wgpu::{
    Buffer, BufferDescriptor, BufferUsages, CommandEncoder, Device, Features, QUERY_RESOLVE_BUFFER_ALIGNMENT, QuerySet,
    QuerySetDescriptor, QueryType, Queue,
};

/// Marks in one recording at most: before the first pass and after each.
pub(super) const MOST_MARKS: u32 = 16;
/// Bytes of the marks of one recording, where they are copied to.
pub(super) const MARK_BYTES: u64 = MOST_MARKS as u64 * 8;

/// Times for one recording.
pub struct PassClock {
    parts: Option<Parts>,
    /// What was recorded before each mark but the first.
    passes: Vec<&'static str>,
    marks: u32,
    /// Nanoseconds of one tick.
    period_ns: f32,
}

struct Parts {
    set: QuerySet,
    resolved: Buffer,
}

impl PassClock {
    /// What a device must be able to.
    pub const FEATURES: Features = Features::TIMESTAMP_QUERY.union(Features::TIMESTAMP_QUERY_INSIDE_ENCODERS);

    /// Counts nothing.
    pub fn none() -> Self {
        Self { parts: None, passes: Vec::new(), marks: 0, period_ns: 0.0 }
    }

    /// The device's clock, where it has one.
    pub fn new(device: &Device, queue: &Queue) -> Self {
        if !device.features().contains(Self::FEATURES) {
            return Self::none();
        }
        let set = device.create_query_set(&QuerySetDescriptor {
            label: Some("beauty"),
            ty: QueryType::Timestamp,
            count: MOST_MARKS,
        });
        let resolved = device.create_buffer(&BufferDescriptor {
            label: Some("beauty times"),
            size: MARK_BYTES.max(QUERY_RESOLVE_BUFFER_ALIGNMENT),
            usage: BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        Self {
            parts: Some(Parts { set, resolved }),
            passes: Vec::new(),
            marks: 0,
            period_ns: queue.get_timestamp_period(),
        }
    }

    /// Begins a recording.
    pub(super) fn begin(&mut self, encoder: &mut CommandEncoder) {
        self.marks = 0;
        self.passes.clear();
        self.write(encoder);
    }

    /// A pass was recorded.
    pub(super) fn mark(&mut self, encoder: &mut CommandEncoder, pass: &'static str) {
        if self.write(encoder) {
            self.passes.push(pass);
        }
    }

    fn write(&mut self, encoder: &mut CommandEncoder) -> bool {
        if let Some(parts) = self.parts.as_ref().filter(|_| self.marks < MOST_MARKS) {
            encoder.write_timestamp(&parts.set, self.marks);
            self.marks += 1;
            return true;
        }
        false
    }

    /// Ends a recording: its marks go to `target` from `offset` on. Gives how to read them.
    pub(super) fn end(&self, encoder: &mut CommandEncoder, target: &Buffer, offset: u64) -> ClockFace {
        if let Some(parts) = self.parts.as_ref().filter(|_| self.marks > 1) {
            encoder.resolve_query_set(&parts.set, 0..self.marks, &parts.resolved, 0);
            encoder.copy_buffer_to_buffer(&parts.resolved, 0, target, offset, u64::from(self.marks) * 8);
        }
        ClockFace { passes: self.passes.clone(), period_ns: self.period_ns }
    }
}

/// How to read marks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ClockFace {
    passes: Vec<&'static str>,
    period_ns: f32,
}

impl ClockFace {
    /// What each pass took; empty without a clock.
    pub(super) fn spans(&self, bytes: &[u8]) -> Vec<(&'static str, Duration)> {
        let tick = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let ticks: Vec<u64> = bytes.chunks_exact(8).map(tick).collect();
        let spans = ticks.windows(2).map(|pair| {
            let ns = pair[1].saturating_sub(pair[0]) as f64 * f64::from(self.period_ns);
            Duration::from_nanos(ns as u64)
        });
        self.passes.iter().copied().zip(spans).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_times() {
        let bytes: Vec<u8> = [1000_u64, 3000, 3500, 9].into_iter().flat_map(u64::to_le_bytes).collect();
        let spans = |passes: &[&'static str]| ClockFace { passes: passes.to_vec(), period_ns: 2.0 }.spans(&bytes);
        assert_eq!(spans(&["a", "b"]), [("a", Duration::from_nanos(4000)), ("b", Duration::from_nanos(1000))]);
        assert!(spans(&[]).is_empty());
        assert_eq!(spans(&["a", "b", "c"])[2], ("c", Duration::ZERO), "it went backwards");
    }
}
