//! Keeps a display that does not answer from holding whoever asks it: what talks to the display runs on a thread of its
//! own (`display`), which is only ever waited for a while. A thread that hangs is left behind until the display answers
//! or goes away.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::media::frame::VideoFrame;
use crate::media::source::{CaptureError, VideoFormat, VideoSource};
use crate::model::DeviceState;

/// What a display is asked once (what it shows, to open something) is answered within this.
const ANSWER_LIMIT: Duration = Duration::from_millis(1900);
/// A picture comes this long after it is due, or the display counts as stalled.
const LATE_LIMIT: Duration = Duration::from_millis(400);
/// How long a source waits for its picture, at least and at most: it answers about once a second.
const FRAME_LIMITS: (Duration, Duration) = (Duration::from_millis(900), Duration::from_millis(1400));
/// Threads left behind in displays that do not answer; no more are started until one of them comes back.
const MAX_STUCK: usize = 4;

const SILENT: &str = "the display does not answer: wait until it does, or start its X server anew";

static STUCK: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// The threads that still hang.
fn stuck() -> MutexGuard<'static, Vec<JoinHandle<()>>> {
    let mut stuck = STUCK.lock().unwrap_or_else(PoisonError::into_inner);
    stuck.retain(|thread| !thread.is_finished());
    stuck
}

/// Starts a thread that asks a display.
fn start(what: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, CaptureError> {
    let failed = |why: String| CaptureError::Open { what: what.to_owned(), why };
    if stuck().len() >= MAX_STUCK {
        return Err(failed(SILENT.into()));
    }
    let spawned = std::thread::Builder::new().name("display".into()).spawn(work);
    spawned.map_err(|error| failed(format!("no thread can be started ({error}): close other programs")))
}

/// Waits for the first word of a thread; leaves it behind when there is none.
fn first_word<T>(
    what: &str,
    words: &Receiver<Result<T, CaptureError>>,
    thread: JoinHandle<()>,
) -> Result<(T, JoinHandle<()>), CaptureError> {
    let failed = |why: &str| CaptureError::Open { what: what.to_owned(), why: why.to_owned() };
    match words.recv_timeout(ANSWER_LIMIT) {
        Ok(word) => word.map(|word| (word, thread)),
        Err(RecvTimeoutError::Timeout) => {
            stuck().push(thread);
            Err(failed(SILENT))
        }
        Err(RecvTimeoutError::Disconnected) => Err(failed("the part that asks the display crashed: try again")),
    }
}

/// Says something to whoever started the thread; false when nobody listens any more.
fn say<T>(to: &Sender<T>, word: T) -> bool {
    let heard = to.send(word).is_ok();
    if !heard {
        tracing::debug!("the display answered too late");
    }
    heard
}

/// Asks a display something.
///
/// # Errors
/// What `ask` says, or [`CaptureError::Open`] when the display does not answer in time.
pub(super) fn ask<T: Send + 'static>(
    what: &str,
    ask: impl FnOnce() -> Result<T, CaptureError> + Send + 'static,
) -> Result<T, CaptureError> {
    let (answer, answers) = bounded(1);
    let thread = start(what, move || {
        say(&answer, ask());
    })?;
    first_word(what, &answers, thread).map(|(answer, _)| answer)
}

/// A picture, or why there is none, and the format the source has by then.
struct Answer {
    format: VideoFormat,
    picture: Result<Option<VideoFrame>, CaptureError>,
}

/// A source that lives on a thread of its own, where it works only while a picture is asked for. Pictures are moved
/// here, not copied.
pub(super) struct RemoteSource {
    what: String,
    asks: Sender<()>,
    answers: Receiver<Answer>,
    format: VideoFormat,
    limit: Duration,
    /// A picture was asked for and has not come.
    awaited: bool,
    /// It did not come in time.
    overdue: bool,
    thread: Option<JoinHandle<()>>,
}

impl RemoteSource {
    /// Opens a source on its thread.
    ///
    /// # Errors
    /// What `open` says, or [`CaptureError::Open`] when the display does not answer in time.
    pub fn open<S: VideoSource + 'static>(
        what: &str,
        open: impl FnOnce() -> Result<S, CaptureError> + Send + 'static,
    ) -> Result<Self, CaptureError> {
        let ((asks, asked), (opened, opening)) = (bounded(1), bounded(1));
        let (answer, answers) = bounded(1);
        let thread = start(what, move || match open() {
            Ok(source) => {
                if say(&opened, Ok(source.format())) {
                    serve(source, &asked, &answer);
                }
            }
            Err(error) => {
                say(&opened, Err(error));
            }
        })?;
        let (format, thread) = first_word(what, &opening, thread)?;
        let interval = Duration::from_secs_f32(1.0 / format.fps.max(1.0));
        let limit = (interval + LATE_LIMIT).clamp(FRAME_LIMITS.0, FRAME_LIMITS.1);
        let what = what.to_owned();
        Ok(Self { what, asks, answers, format, limit, awaited: false, overdue: false, thread: Some(thread) })
    }

    fn crashed(&self) -> CaptureError {
        CaptureError::Format { what: self.what.clone(), why: "its capture crashed: share it again".into() }
    }
}

/// Pulls the source whenever a picture is asked for, until nobody asks any more.
fn serve(mut source: impl VideoSource, asked: &Receiver<()>, answer: &Sender<Answer>) {
    while asked.recv().is_ok() {
        let picture = source.next_frame();
        if !say(answer, Answer { format: source.format(), picture }) {
            return;
        }
    }
}

impl VideoSource for RemoteSource {
    fn format(&self) -> VideoFormat {
        self.format
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        if !self.awaited {
            self.asks.send(()).map_err(|_| self.crashed())?;
            self.awaited = true;
        }
        let answer = self.answers.recv_timeout(self.limit);
        self.overdue = matches!(answer, Err(RecvTimeoutError::Timeout));
        match answer {
            Ok(Answer { format, picture }) => {
                self.awaited = false;
                self.format = format;
                picture
            }
            Err(RecvTimeoutError::Timeout) => {
                let (what, state) = (self.what.clone(), DeviceState::Stalled);
                Err(CaptureError::Interrupted { what, state, why: SILENT.into() })
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.crashed()),
        }
    }
}

impl Drop for RemoteSource {
    fn drop(&mut self) {
        // The thread ends by itself when nobody asks any more; one that hangs is counted until then.
        if let Some(thread) = self.thread.take().filter(|_| self.overdue) {
            stuck().push(thread);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::media::capture::convert::blank;

    /// Gives pictures until it is told to hang, and again when it is let go.
    struct Moody {
        hangs: Receiver<()>,
    }

    impl VideoSource for Moody {
        fn format(&self) -> VideoFormat {
            VideoFormat { width: 4, height: 2, fps: 50.0 }
        }

        fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
            std::thread::sleep(Duration::from_millis(5));
            if self.hangs.try_recv().is_ok() {
                self.hangs.recv().unwrap();
            }
            Ok(Some(blank(4, 2, 0, Vec::new()).unwrap()))
        }
    }

    #[test]
    fn a_source_that_hangs_is_told_about_once_a_second_and_goes_on_afterwards() {
        let (hang, hangs) = bounded(2);
        let mut source = RemoteSource::open("screen", move || Ok(Moody { hangs })).unwrap();
        assert_eq!(source.format().width, 4);
        assert!(source.next_frame().unwrap().is_some());
        hang.send(()).unwrap();
        for _ in 0..2 {
            let asked = Instant::now();
            let said = loop {
                match source.next_frame() {
                    Err(error) => break error,
                    Ok(_) => assert!(asked.elapsed() < Duration::from_secs(20), "it does not hang"),
                }
            };
            assert!(matches!(said, CaptureError::Interrupted { state: DeviceState::Stalled, .. }), "{said}");
            assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        }
        hang.send(()).unwrap();
        let asked = Instant::now();
        while source.next_frame().is_err() {
            assert!(asked.elapsed() < Duration::from_secs(20), "it does not come back");
        }
    }

    #[test]
    fn a_question_without_an_answer_is_given_up_and_crashes_are_told() {
        let (never, hangs) = bounded::<()>(1);
        let asked = Instant::now();
        let said = ask("the display", move || Ok(hangs.recv().is_ok())).unwrap_err();
        assert!(said.to_string().contains("does not answer"), "{said}");
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        drop(never);
        assert_eq!(ask("the display", || Ok(7)), Ok(7));
        let said = ask::<()>("the display", || panic!("as the test wants it")).unwrap_err();
        assert!(said.to_string().contains("crashed"), "{said}");
        let said = RemoteSource::open::<Moody>("the display", || panic!("as the test wants it")).err().unwrap();
        assert!(said.to_string().contains("crashed"), "{said}");
    }
}
