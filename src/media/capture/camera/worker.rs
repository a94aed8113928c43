//! The thread that opens one camera and reads it. It may hang in the driver: whoever started it only ever waits for its
//! messages, and leaves it behind when none come.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::driver::{CameraDriver, CameraFault, CameraInfo};
use crate::media::capture::convert::to_i420;
use crate::media::capture::scale::{Scaler, fit};
use crate::media::frame::VideoFrame;
use crate::media::source::VideoFormat;

/// Pictures that wait for whoever sends them; the newest replaces the oldest.
const CAPACITY: usize = 2;
/// Unreadable pictures in a row after which the camera counts as broken: about a second.
const MAX_UNREADABLE: u32 = 12;

/// What a worker says.
#[derive(Debug)]
pub(super) enum Word {
    /// A picture.
    Frame(VideoFrame),
    /// It ended, for this reason.
    Fault(CameraFault),
}

/// A running worker, as its supervisor holds it.
#[derive(Debug)]
pub(super) struct Worker {
    /// Which camera it reads.
    pub id: String,
    /// What its maker calls it.
    pub name: String,
    /// When it was started.
    pub started: Instant,
    /// What it says.
    pub words: Receiver<Word>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts a thread that opens and reads a camera. Time stamps count from `epoch`.
    pub fn start(
        driver: Arc<dyn CameraDriver>,
        camera: &CameraInfo,
        wish: VideoFormat,
        epoch: Instant,
    ) -> io::Result<Self> {
        let (sender, words) = bounded(CAPACITY);
        let stop = Arc::new(AtomicBool::new(false));
        let CameraInfo { id, name } = camera.clone();
        let (stopped, oldest, read_id) = (Arc::clone(&stop), words.clone(), id.clone());
        let thread = std::thread::Builder::new().name("camera".into()).spawn(move || {
            let mailbox = Outlet { sender, oldest };
            if let Err(fault) = read(&*driver, &read_id, wish, epoch, &stopped, &mailbox) {
                mailbox.put(Word::Fault(fault));
            }
        })?;
        Ok(Self { id, name, started: Instant::now(), words, stop, thread })
    }

    /// Asks it to end after the picture it waits for.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether its thread is gone, and with it its hold on the camera.
    pub fn is_gone(&self) -> bool {
        self.thread.is_finished()
    }
}

/// The worker's end of the queue.
struct Outlet {
    sender: Sender<Word>,
    oldest: Receiver<Word>,
}

impl Outlet {
    /// Leaves a word; the oldest makes way.
    fn put(&self, mut word: Word) {
        while let Err(TrySendError::Full(back)) = self.sender.try_send(word) {
            word = back;
            drop(self.oldest.try_recv());
        }
    }
}

fn read(
    driver: &dyn CameraDriver,
    id: &str,
    wish: VideoFormat,
    epoch: Instant,
    stop: &AtomicBool,
    outlet: &Outlet,
) -> Result<(), CameraFault> {
    let mut stream = driver.open(id, wish)?;
    let (mut scaler, mut thinner, mut unreadable) = (Scaler::default(), Thinner::new(wish.fps), 0);
    while !stop.load(Ordering::Acquire) {
        let mut picture = None;
        stream.next(&mut |raw| {
            let since = epoch.elapsed();
            if thinner.takes(since) {
                picture = Some(to_i420(raw, since.as_micros() as u64, Vec::new()));
            }
        })?;
        match picture {
            None => {}
            Some(Ok(frame)) => {
                unreadable = 0;
                let size = (frame.width(), frame.height());
                let fitting = fit(size, (wish.width, wish.height));
                let frame = if fitting == size {
                    frame
                } else {
                    scaler.scale(&frame, fitting).map_err(|why| CameraFault::failed(&why))?
                };
                outlet.put(Word::Frame(frame));
            }
            Some(Err(why)) => {
                unreadable += 1;
                tracing::debug!(id, why, "a picture of the camera cannot be read");
                if unreadable >= MAX_UNREADABLE {
                    return Err(CameraFault::failed(&format!("its pictures cannot be read ({why})")));
                }
            }
        }
    }
    Ok(())
}

/// Leaves pictures out where a camera is faster than asked.
struct Thinner {
    interval: Duration,
    next: Duration,
}

impl Thinner {
    fn new(fps: f32) -> Self {
        Self { interval: Duration::from_secs_f32(1.0 / fps.clamp(1.0, 240.0)), next: Duration::ZERO }
    }

    /// Whether a picture of this time is wanted; half an interval early is not too early for a jittery camera.
    fn takes(&mut self, at: Duration) -> bool {
        if at + self.interval / 4 < self.next {
            return false;
        }
        self.next = (self.next + self.interval).max(at);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_camera_is_thinned_out_and_a_slow_one_is_not() {
        let count = |camera_fps: u64, fps: f32| {
            let mut thinner = Thinner::new(fps);
            // Every other picture comes 3 ms late.
            let at = |n| Duration::from_micros(n * 1_000_000 / camera_fps + n % 2 * 3_000);
            (0..camera_fps * 10).filter(|&n| thinner.takes(at(n))).count()
        };
        assert!((148..=152).contains(&count(30, 15.0)), "{}", count(30, 15.0));
        assert!((190..=205).contains(&count(30, 20.0)), "{}", count(30, 20.0));
        assert_eq!(count(15, 15.0), 150);
        assert_eq!(count(10, 30.0), 100);
    }
}
