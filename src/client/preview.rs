//! The own picture before it is published: a thread pulls the source and shows its frames, until whoever publishes it
//! asks for the first one and so takes the source over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::bridge::VideoFeed;
use crate::media::{CaptureError, VideoFormat, VideoFrame, VideoSource};
use crate::model::DeviceUse;

/// A source that is looked at, and not sent yet.
pub(super) struct Preview {
    format: VideoFormat,
    stop: Arc<AtomicBool>,
    looking: Option<JoinHandle<Looked>>,
    /// Taken over.
    source: Option<Box<dyn VideoSource>>,
}

/// What looking came to.
struct Looked {
    source: Box<dyn VideoSource>,
    /// The source ended or broke meanwhile; said again to whoever takes it over.
    end: Option<Result<(), CaptureError>>,
}

impl Preview {
    /// Begins to show a source.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn start(source: Box<dyn VideoSource>) -> std::io::Result<(Self, VideoFeed)> {
        let (feed, stop) = (VideoFeed::default(), Arc::new(AtomicBool::new(false)));
        let format = source.format();
        let (shown, told) = (feed.clone(), Arc::clone(&stop));
        let looking =
            std::thread::Builder::new().name("preview".to_owned()).spawn(move || look(source, &shown, &told))?;
        Ok((Self { format, stop, looking: Some(looking), source: None }, feed))
    }
}

/// Runs until told to stop or the source is at its end.
fn look(mut source: Box<dyn VideoSource>, feed: &VideoFeed, stop: &AtomicBool) -> Looked {
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
    };
    feed.close();
    Looked { source, end }
}

impl VideoSource for Preview {
    fn format(&self) -> VideoFormat {
        self.source.as_ref().map_or(self.format, |source| source.format())
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        if let Some(looking) = self.looking.take() {
            self.stop.store(true, Ordering::Relaxed);
            let looked = looking.join().map_err(|_| CaptureError::Open {
                what: "the previewed picture".to_owned(),
                why: "its source broke (it panicked): choose another one".to_owned(),
            })?;
            match looked.end {
                None => self.source = Some(looked.source),
                Some(end) => return end.map(|()| None),
            }
        }
        self.source.as_mut().map_or(Ok(None), |source| source.next_frame())
    }

    fn device_news(&mut self) -> Option<DeviceUse> {
        self.source.as_mut()?.device_news()
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
        assert!(preview.next_frame().is_err());
        assert!(matches!(preview.next_frame(), Ok(None)), "and then there is no more");
    }
}
