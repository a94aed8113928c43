//! The own picture before it is published: the thread `preview` pulls the source and shows its frames, until whoever
//! publishes it asks for the first one and so takes the source over. It is part of the bridge since both sides need it: a
//! room without an engine shows a camera that is being chosen, and an engine publishes it as it is, without opening it
//! again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::VideoFeed;
use crate::media::{CaptureError, VideoFormat, VideoFrame, VideoSource};
use crate::model::{DeviceState, DeviceUse};

/// A source that is looked at, and not sent yet. It is a source itself: published, it goes on where it was, and its feed
/// is closed. Dropping it returns at once; the source is let go with the frame its thread waits for.
pub struct Preview {
    format: VideoFormat,
    stop: Arc<AtomicBool>,
    device: Arc<Mutex<DeviceUse>>,
    looking: Option<JoinHandle<Looked>>,
    /// Taken over.
    source: Option<Box<dyn VideoSource>>,
    /// It ended or broke before it was taken over.
    end: Option<Result<(), CaptureError>>,
    /// What was told of the device before.
    news: Option<DeviceUse>,
}

/// What looking came to.
struct Looked {
    source: Box<dyn VideoSource>,
    /// The source ended or broke meanwhile; said again to whoever takes it over.
    end: Option<Result<(), CaptureError>>,
    /// So is what it last told of its device.
    news: Option<DeviceUse>,
}

impl std::fmt::Debug for Preview {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preview").field("format", &self.format).field("device", &self.device()).finish_non_exhaustive()
    }
}

impl Preview {
    /// Begins to show a source. Never waits for it.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(source: Box<dyn VideoSource>) -> std::io::Result<(Self, VideoFeed)> {
        let (feed, stop, device) = (VideoFeed::default(), Arc::new(AtomicBool::new(false)), Arc::default());
        let format = source.format();
        let (shown, told, seen) = (feed.clone(), Arc::clone(&stop), Arc::clone(&device));
        let looking =
            std::thread::Builder::new().name("preview".to_owned()).spawn(move || look(source, &shown, &told, &seen))?;
        Ok((Self { format, stop, device, looking: Some(looking), source: None, end: None, news: None }, feed))
    }

    /// Ends the looking, if it goes on: waits for the frame its thread waits for.
    fn take_over(&mut self) {
        let Some(looking) = self.looking.take() else { return };
        self.stop.store(true, Ordering::Relaxed);
        match looking.join() {
            Ok(Looked { source, end, news }) => {
                self.source = end.is_none().then_some(source);
                (self.end, self.news) = (end, news);
            }
            Err(_) => {
                self.end = Some(Err(CaptureError::Open {
                    what: "the previewed picture".to_owned(),
                    why: "its source broke (it panicked): choose another one".to_owned(),
                }));
            }
        }
    }

    /// The device in use while it is looked at, and why it is not the one wished for, or none; nothing before its first
    /// word.
    pub fn device(&self) -> DeviceUse {
        self.device.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs until told to stop or the source is at its end.
fn look(mut source: Box<dyn VideoSource>, feed: &VideoFeed, stop: &AtomicBool, device: &Mutex<DeviceUse>) -> Looked {
    let mut news = None;
    let end = loop {
        if stop.load(Ordering::Relaxed) {
            break None;
        }
        match source.next_frame() {
            Ok(Some(frame)) => drop(feed.put(Arc::new(frame))),
            // It goes on trying: the picture stands still meanwhile.
            Err(CaptureError::Interrupted { .. }) => {}
            Ok(None) => break Some(Ok(())),
            Err(error) => break Some(Err(error)),
        }
        if let Some(told) = source.device_news() {
            device.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&told);
            news = Some(told);
        }
    };
    if let Some(Err(error)) = &end {
        let broken = DeviceUse { name: None, state: DeviceState::Failed, why: Some(error.to_string()) };
        *device.lock().unwrap_or_else(PoisonError::into_inner) = broken;
    }
    feed.close();
    Looked { source, end, news }
}

impl VideoSource for Preview {
    fn format(&self) -> VideoFormat {
        self.source.as_ref().map_or(self.format, |source| source.format())
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        self.take_over();
        if let Some(end) = self.end.take() {
            return end.map(|()| None);
        }
        self.source.as_mut().map_or(Ok(None), |source| source.next_frame())
    }

    /// Nothing is shown any more, either.
    fn rest(&mut self) {
        self.take_over();
        if let Some(source) = &mut self.source {
            source.rest();
        }
    }

    fn device_news(&mut self) -> Option<DeviceUse> {
        // What changed since it was taken over counts more than what was told before.
        let now = self.source.as_mut().and_then(|source| source.device_news());
        let before = self.news.take();
        now.or(before)
    }
}

impl Drop for Preview {
    /// The thread ends with the frame it waits for.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::media::capture::PortraitSource;

    const FORMAT: VideoFormat = VideoFormat { width: 64, height: 48, fps: 60.0 };

    #[test]
    fn what_is_shown_before_is_what_is_taken_over() {
        let (mut preview, feed) = Preview::start(Box::new(PortraitSource::new("Ann", 1, FORMAT))).unwrap();
        let shown = feed.wait_take(Duration::from_secs(10)).unwrap();
        assert_eq!((shown.width(), shown.height()), (64, 48));
        assert_eq!(preview.format(), FORMAT);
        let taken = preview.next_frame().unwrap().unwrap();
        assert!(taken.timestamp_us() > shown.timestamp_us(), "it goes on where it was");
        assert!(feed.is_closed(), "nothing is shown twice");
        assert!(preview.next_frame().unwrap().is_some());
    }

    #[test]
    fn a_source_that_broke_while_it_was_shown_says_so() {
        struct Broken;
        impl VideoSource for Broken {
            fn format(&self) -> VideoFormat {
                FORMAT
            }

            fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
                Err(CaptureError::Format { what: "it".to_owned(), why: "no reason".to_owned() })
            }
        }
        let (mut preview, feed) = Preview::start(Box::new(Broken)).unwrap();
        assert!(feed.wait_take(Duration::from_secs(10)).is_none());
        assert!(preview.device().why.is_some_and(|why| why.contains("no reason")), "it is told while it is looked at");
        preview.rest();
        assert!(preview.next_frame().is_err());
        assert!(matches!(preview.next_frame(), Ok(None)), "and then there is no more");
    }

    #[test]
    fn a_source_that_is_to_rest_is_looked_at_no_longer() {
        struct Resting(PortraitSource, Arc<AtomicBool>);
        impl VideoSource for Resting {
            fn format(&self) -> VideoFormat {
                FORMAT
            }

            fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
                self.1.store(false, Ordering::Relaxed);
                self.0.next_frame()
            }

            fn rest(&mut self) {
                self.1.store(true, Ordering::Relaxed);
            }
        }
        let rests = Arc::new(AtomicBool::new(false));
        let source = Resting(PortraitSource::new("Ann", 1, FORMAT), Arc::clone(&rests));
        let (mut preview, feed) = Preview::start(Box::new(source)).unwrap();
        assert!(feed.wait_take(Duration::from_secs(10)).is_some());
        preview.rest();
        assert!(feed.is_closed());
        std::thread::sleep(Duration::from_millis(100));
        assert!(rests.load(Ordering::Relaxed), "nobody pulls it");
        assert!(preview.next_frame().unwrap().is_some());
        assert!(!rests.load(Ordering::Relaxed), "it goes on when it is asked");
    }

    #[test]
    fn the_device_is_told_while_it_is_looked_at_and_to_whoever_takes_it_over() {
        struct Camera {
            portrait: PortraitSource,
            news: Option<DeviceUse>,
        }
        impl VideoSource for Camera {
            fn format(&self) -> VideoFormat {
                FORMAT
            }

            fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
                self.portrait.next_frame()
            }

            fn device_news(&mut self) -> Option<DeviceUse> {
                self.news.take()
            }
        }
        let device = DeviceUse { name: Some("Front".to_owned()), ..DeviceUse::default() };
        let camera = Camera { portrait: PortraitSource::new("Ann", 1, FORMAT), news: Some(device.clone()) };
        let (mut preview, feed) = Preview::start(Box::new(camera)).unwrap();
        for _ in 0..2 {
            feed.wait_take(Duration::from_secs(10)).unwrap();
        }
        assert_eq!(preview.device(), device);
        assert!(preview.next_frame().unwrap().is_some());
        assert_eq!((preview.device_news(), preview.device_news()), (Some(device), None), "once");
    }
}
