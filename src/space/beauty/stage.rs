//! Pictures of own cameras through the passes: uploaded, filtered, and on their way back, at most three of a stream at a
//! time. Called once a frame of the room, in the render schedule; nothing waits for the device.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use wgpu::{Buffer, BufferDescriptor, BufferUsages, Device, MapMode, Queue, TextureView};

use super::clock::{MARK_BYTES, PassClock};
use super::link::BeautyLink;
use super::passes::BeautyPasses;
use super::planes::{Packing, PlanePasses, PlaneTextures};
use super::readback::{self, Flight};
use crate::media::FramePool;

/// Pictures of one stream that may be on their way back; the next one waits, and a newer takes its place.
pub(super) const IN_FLIGHT: usize = 3;
/// Names for the clock.
pub(super) const TO_RGB: &str = "planes to RGB";
pub(super) const TO_PLANES: &str = "RGB to planes";

/// Everything on one graphics device.
pub(super) struct Stage {
    device: Device,
    queue: Queue,
    software: bool,
    planes: PlanePasses,
    passes: BeautyPasses,
    clock: PassClock,
    streams: Vec<Stream>,
    flights: SyncSender<Flight>,
}

/// What one stream's pictures are worked out in.
struct Stream {
    link: BeautyLink,
    textures: Option<PlaneTextures>,
    staging: Vec<Arc<Staging>>,
    pool: FramePool,
}

/// Where a picture is copied to, to be read by the CPU.
#[derive(Debug)]
pub(super) struct Staging {
    pub buffer: Buffer,
    pub packing: Packing,
    /// It is being filled or read.
    pub busy: AtomicBool,
    /// What was to come never did: nobody knows what the device still does with it.
    pub lost: AtomicBool,
}

/// Where a preview is drawn: a view, its size, and at which share of the width it is divided.
pub(super) struct PreviewTarget<'a> {
    pub view: &'a TextureView,
    pub size: (u32, u32),
    pub split: f32,
}

impl Stage {
    /// Compiles the passes and starts the thread that reads back.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn new(device: &Device, queue: &Queue, software: bool) -> std::io::Result<Self> {
        let mut passes = BeautyPasses::new(device);
        passes.warm_up(device);
        Ok(Self {
            device: device.clone(),
            queue: queue.clone(),
            software,
            planes: PlanePasses::new(device),
            passes,
            clock: PassClock::new(device, queue),
            streams: Vec::new(),
            flights: readback::start(device.clone())?,
        })
    }

    /// Takes the newest picture of a link, if one waits and there is room.
    pub(super) fn filter(&mut self, link: &BeautyLink, preview: Option<PreviewTarget<'_>>) {
        let at = self.streams.iter().position(|stream| stream.link.is(link)).unwrap_or_else(|| {
            if self.software {
                link.be_modest();
            }
            let (textures, staging, pool) = (None, Vec::new(), FramePool::default());
            self.streams.push(Stream { link: link.clone(), textures, staging, pool });
            self.streams.len() - 1
        });
        let stream = &mut self.streams[at];
        stream.staging.retain(|staging| !staging.lost.load(Ordering::Acquire));
        if stream.staging.iter().filter(|staging| staging.is_busy()).count() >= IN_FLIGHT {
            return;
        }
        let Some(job) = link.take_job() else { return };
        let size = (job.frame.width(), job.frame.height());
        let most = self.device.limits().max_texture_dimension_2d;
        if size.0.max(size.1) > most {
            let (width, height) = size;
            job.failed(format!("{width}x{height} pixels: this graphics device takes sides of at most {most}"));
            return;
        }
        let started = Instant::now();
        if stream.textures.as_ref().is_none_or(|textures| textures.size() != size) {
            stream.textures = Some(PlaneTextures::new(&self.device, size));
            stream.staging.retain(|staging| staging.is_busy());
        }
        let Some(textures) = &stream.textures else { return };
        let (device, queue) = (&self.device, &self.queue);
        let mut encoder = device.create_command_encoder(&Default::default());
        self.clock.begin(&mut encoder);
        self.planes.take_in(device, queue, &mut encoder, textures, &job.frame);
        self.clock.mark(&mut encoder, TO_RGB);
        let views = (&textures.before, &textures.after);
        let changed = self.passes.filter(device, queue, &mut encoder, views, size, job.retouch, &mut self.clock);
        if let Some(PreviewTarget { view, size, split }) = preview {
            self.planes.show(device, queue, &mut encoder, textures, (view, size), split, changed);
        }
        if job.preview_only || !changed {
            queue.submit([encoder.finish()]);
            return;
        }
        let staging = free_staging(&mut stream.staging, device, Packing::of(size));
        self.planes.give_out(device, &mut encoder, textures, &staging.buffer);
        self.clock.mark(&mut encoder, TO_PLANES);
        let face = self.clock.end(&mut encoder, &staging.buffer, staging.packing.bytes());
        queue.submit([encoder.finish()]);
        let mapped = Arc::new(AtomicU8::new(readback::WAITING));
        let told = Arc::clone(&mapped);
        staging.buffer.slice(..).map_async(MapMode::Read, move |result| {
            told.store(if result.is_ok() { readback::MAPPED } else { readback::LOST }, Ordering::Release);
        });
        let flight = Flight { job, staging, face, started, mapped, pool: stream.pool.clone() };
        if let Err(error) = self.flights.try_send(flight) {
            let flight = match error {
                std::sync::mpsc::TrySendError::Full(flight) | std::sync::mpsc::TrySendError::Disconnected(flight) => {
                    flight
                }
            };
            flight.job.failed("the thread that reads filtered pictures has ended: start the app again".to_owned());
        }
    }

    /// Buffers for reading back, of all streams.
    #[cfg(test)]
    pub(super) fn buffers(&self) -> usize {
        self.streams.iter().map(|stream| stream.staging.len()).sum()
    }

    /// Forgets the streams that are no more.
    pub(super) fn keep(&mut self, links: &[BeautyLink]) {
        self.streams.retain(|stream| links.iter().any(|link| link.is(&stream.link)));
    }
}

impl Staging {
    fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }
}

/// A buffer for a picture of this size that nobody uses, made if need be.
fn free_staging(all: &mut Vec<Arc<Staging>>, device: &Device, packing: Packing) -> Arc<Staging> {
    let free = all.iter().find(|staging| staging.packing == packing && !staging.is_busy());
    let staging = free.cloned().unwrap_or_else(|| {
        let buffer = device.create_buffer(&BufferDescriptor {
            label: Some("beauty readback"),
            size: packing.bytes() + MARK_BYTES,
            usage: BufferUsages::COPY_DST | BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        let staging = Arc::new(Staging { buffer, packing, busy: AtomicBool::new(false), lost: AtomicBool::new(false) });
        all.push(Arc::clone(&staging));
        staging
    });
    staging.busy.store(true, Ordering::Release);
    staging
}
