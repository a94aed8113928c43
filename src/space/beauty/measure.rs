//! What the passes cost on this machine's graphics device, for benches. Blocks its thread.

use std::time::{Duration, Instant};

use wgpu::{BufferDescriptor, BufferUsages, MapMode, PollType};

use super::clock::{MARK_BYTES, PassClock};
use super::passes::{BeautyPasses, Retouch};
use super::picture::{Opened, PictureFilterError, open_device};
use super::planes::{Packing, PlanePasses, PlaneTextures};
use super::stage::{TO_PLANES, TO_RGB};
use crate::media::VideoFrame;

/// One picture's times.
#[derive(Clone, Debug)]
pub struct PassTimes {
    /// Each pass by the device's own clock; empty where it has none.
    pub passes: Vec<(&'static str, Duration)>,
    /// From the planes in memory to the filtered planes in memory.
    pub whole: Duration,
}

/// Filters a picture so many times after one that warms up; gives the device's name and the times.
///
/// # Errors
/// [`PictureFilterError`] when there is no device, or it is lost.
pub fn measure(
    frame: &VideoFrame,
    retouch: Retouch,
    times: usize,
) -> Result<(String, Vec<PassTimes>), PictureFilterError> {
    let Opened { device, queue, name, .. } = open_device()?;
    let (planes, mut passes, mut clock) =
        (PlanePasses::new(&device), BeautyPasses::new(&device), PassClock::new(&device, &queue));
    let size = (frame.width(), frame.height());
    let (textures, packing) = (PlaneTextures::new(&device, size), Packing::of(size));
    let buffer = device.create_buffer(&BufferDescriptor {
        label: Some("beauty readback"),
        size: packing.bytes() + MARK_BYTES,
        usage: BufferUsages::COPY_DST | BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let mut all = Vec::with_capacity(times);
    let mut data = Vec::with_capacity(VideoFrame::byte_len(size.0, size.1));
    for _ in 0..=times {
        let started = Instant::now();
        let mut encoder = device.create_command_encoder(&Default::default());
        clock.begin(&mut encoder);
        planes.take_in(&device, &queue, &mut encoder, &textures, frame);
        clock.mark(&mut encoder, TO_RGB);
        let views = (&textures.before, &textures.after);
        passes.filter(&device, &queue, &mut encoder, views, size, retouch, &mut clock);
        planes.give_out(&device, &mut encoder, &textures, &buffer);
        clock.mark(&mut encoder, TO_PLANES);
        let face = clock.end(&mut encoder, &buffer, packing.bytes());
        queue.submit([encoder.finish()]);
        buffer.slice(..).map_async(MapMode::Read, |_| ());
        let lost = |error: wgpu::PollError| PictureFilterError::Lost(error.to_string());
        device.poll(PollType::wait_indefinitely()).map_err(lost)?;
        let spans = {
            let mapped = buffer.slice(..).get_mapped_range();
            data.clear();
            packing.unpack(&mapped, &mut data);
            face.spans(&mapped[packing.bytes() as usize..])
        };
        buffer.unmap();
        all.push(PassTimes { passes: spans, whole: started.elapsed() });
    }
    all.remove(0);
    Ok((name, all))
}

/// Bytes that the passes must read and write at least, for each pixel of a picture: every texture once, the smaller ones in
/// proportion.
pub const LEAST_BYTES_PER_PIXEL: f64 = {
    // Planes, a picture, Oklab, two exact pictures and two soft ones at a quarter of the pixels.
    let (planes, picture, lab, exact, soft) = (1.5, 4.0, 8.0 / 4.0, 2.0 * 16.0 / 4.0, 2.0 * 8.0 / 4.0);
    let skin = picture + lab;
    let boxes = (lab + exact) + (exact + exact) + (exact + exact) + (exact + soft);
    let finish = picture + soft + picture;
    (planes + picture) + skin + boxes + finish + (planes + 2.0 * picture + planes)
};

/// Bytes this machine's graphics device reads and writes in a second when it does nothing but copy: the best of a few
/// times, as a floor is to be.
///
/// # Errors
/// As [`measure`].
pub fn measure_copying() -> Result<f64, PictureFilterError> {
    // Far more than any cache holds.
    const BYTES: u64 = 256 * 1024 * 1024;
    const COPIES: u64 = 8;
    const TIMES: u32 = 10;
    let Opened { device, queue, .. } = open_device()?;
    let buffer = || {
        device.create_buffer(&BufferDescriptor {
            label: Some("copying"),
            size: BYTES,
            usage: BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    };
    let (from, to) = (buffer(), buffer());
    let mut fastest = Duration::MAX;
    for _ in 0..TIMES {
        let started = Instant::now();
        let mut encoder = device.create_command_encoder(&Default::default());
        (0..COPIES).for_each(|_| encoder.copy_buffer_to_buffer(&from, 0, &to, 0, BYTES));
        queue.submit([encoder.finish()]);
        device.poll(PollType::wait_indefinitely()).map_err(|error| PictureFilterError::Lost(error.to_string()))?;
        fastest = fastest.min(started.elapsed());
    }
    Ok((2 * BYTES * COPIES) as f64 / fastest.as_secs_f64())
}
