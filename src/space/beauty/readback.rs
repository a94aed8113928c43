//! Filtered pictures on their way back from the graphics device: a named thread asks the device once a millisecond while
//! there are any, so that they need not wait for the room's next frame, and copies them out.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use wgpu::{Device, PollType};

use super::clock::ClockFace;
use super::link::Job;
use super::stage::{IN_FLIGHT, Staging};
use crate::media::{FramePool, VideoFrame};
use crate::model::limits::MAX_PUBLISHED_STREAMS;

/// [`Flight::mapped`]: not there yet.
pub(super) const WAITING: u8 = 0;
/// It can be read.
pub(super) const MAPPED: u8 = 1;
/// It never will.
pub(super) const LOST: u8 = 2;

/// Between two looks at the device.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// A picture that is not back by then never comes.
const GIVE_UP: Duration = Duration::from_secs(10);

/// A picture on its way.
pub(super) struct Flight {
    pub job: Job,
    pub staging: Arc<Staging>,
    pub face: ClockFace,
    pub started: Instant,
    pub mapped: Arc<AtomicU8>,
    /// Where the buffers of such pictures come from.
    pub pool: FramePool,
}

/// Starts the thread; it ends when the sender is dropped.
///
/// # Errors
/// When there can be no thread.
pub(super) fn start(device: Device) -> std::io::Result<SyncSender<Flight>> {
    let (send, flights) = sync_channel(IN_FLIGHT * MAX_PUBLISHED_STREAMS);
    std::thread::Builder::new().name("beauty".to_owned()).spawn(move || run(&device, &flights))?;
    Ok(send)
}

fn run(device: &Device, flights: &Receiver<Flight>) {
    let mut flying = VecDeque::new();
    loop {
        if flying.is_empty() {
            match flights.recv() {
                Ok(flight) => flying.push_back(flight),
                Err(_) => return,
            }
        }
        flying.extend(flights.try_iter());
        // A device that was lost makes the library panic.
        let lost = catch_unwind(AssertUnwindSafe(|| device.poll(PollType::Poll))).is_err();
        flying.retain(|flight| !has_landed(flight, lost));
        if !flying.is_empty() {
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Whether a picture is back, or never will be; hands it on.
fn has_landed(flight: &Flight, lost: bool) -> bool {
    match flight.mapped.load(Ordering::Acquire) {
        MAPPED => flight.land(),
        WAITING if !lost && flight.started.elapsed() < GIVE_UP => return false,
        _ => {
            flight.staging.lost.store(true, Ordering::Release);
            flight.job.failed("the graphics device was lost, or gives no pictures back".to_owned());
        }
    }
    true
}

impl Flight {
    /// Copies the picture out and hands it on.
    fn land(&self) {
        let Flight { job, staging, face, .. } = self;
        let (width, height) = (job.frame.width(), job.frame.height());
        let mut data = self.pool.take(VideoFrame::byte_len(width, height));
        let cost: Duration = {
            let mapped = staging.buffer.slice(..).get_mapped_range();
            staging.packing.unpack(&mapped, &mut data);
            face.spans(&mapped[staging.packing.bytes() as usize..]).into_iter().map(|(_, span)| span).sum()
        };
        staging.buffer.unmap();
        staging.busy.store(false, Ordering::Release);
        let cost = if cost.is_zero() { self.started.elapsed() } else { cost };
        match VideoFrame::new(width, height, job.frame.colour(), job.frame.timestamp_us(), data) {
            Ok(frame) => job.done(frame.with_home(&self.pool), cost),
            Err(error) => job.failed(error.to_string()),
        }
    }
}
