//! What can be shared, looked through again and again while a picker is open, and a preview of one of them. Two threads do
//! the looking and leave what they see in mailboxes.

use std::time::Duration;

use bevy::prelude::*;

use super::sources::{ShareFrom, ShareSources};
use super::start_thread;
use crate::bridge::Mailbox;
use crate::media::capture::ScreenInfo;
use crate::media::{CaptureError, VideoFormat, VideoFrame};

/// Between two looks at what there is.
const PAUSE: Duration = Duration::from_secs(2);
/// Enough for a pane, and cheap beside the call.
const PREVIEW: VideoFormat = VideoFormat { width: 640, height: 360, fps: 5.0 };

/// What can be shared, as far as it is known. Empty while nobody asks.
#[derive(Resource, Debug, Default)]
pub struct ShareOffer {
    screens: Option<Result<Vec<ScreenInfo>, CaptureError>>,
    sound: Option<Result<(), CaptureError>>,
    number: u32,
    list: Option<Closing<Found>>,
    preview: Option<(String, Closing<Result<VideoFrame, CaptureError>>)>,
}

/// One look at all there is.
#[derive(Debug)]
struct Found {
    screens: Result<Vec<ScreenInfo>, CaptureError>,
    sound: Option<Result<(), CaptureError>>,
}

/// A mailbox whose other end is told when nobody looks any more.
#[derive(Debug)]
struct Closing<T>(Mailbox<T>);

impl<T> Drop for Closing<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl ShareOffer {
    /// Begins to look what there is, unless it is being done.
    pub fn open(&mut self, from: &ShareFrom) {
        if self.list.is_some() {
            return;
        }
        let (list, sources) = (Closing(Mailbox::default()), from.0.clone());
        let found = list.0.clone();
        self.list = Some(list);
        if let Err(error) = start_thread("share-list", move || look(&*sources, &found)) {
            self.screens = Some(Err(error));
        }
    }

    /// Whether it is being looked.
    pub fn is_open(&self) -> bool {
        self.list.is_some()
    }

    /// Ends the looking and forgets what was seen.
    pub fn close(&mut self) {
        *self = Self { number: self.number, ..Self::default() };
    }

    /// Screens first, then windows, the topmost first, or why there are none; `None` before that is known.
    pub fn screens(&self) -> Option<&Result<Vec<ScreenInfo>, CaptureError>> {
        self.screens.as_ref()
    }

    /// One of them.
    pub fn find(&self, id: &str) -> Option<&ScreenInfo> {
        self.screens.as_ref()?.as_ref().ok()?.iter().find(|info| info.id == id)
    }

    /// Whether the sound of the system can be shared, or why not; `None` before that is known.
    pub fn sound(&self) -> Option<&Result<(), CaptureError>> {
        self.sound.as_ref()
    }

    /// Changes with each look at what there is.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Looks at one of them from now on, or at none.
    pub fn look_at(&mut self, id: Option<&str>, from: &ShareFrom) {
        if self.preview.as_ref().map(|(id, _)| id.as_str()) == id {
            return;
        }
        self.preview = id.map(|id| {
            let (preview, sources, wanted) = (Closing(Mailbox::default()), from.0.clone(), id.to_owned());
            let pictures = preview.0.clone();
            if let Err(error) = start_thread("share-preview", move || watch(&*sources, &wanted, &pictures)) {
                preview.0.put(Err(error));
            }
            (id.to_owned(), preview)
        });
    }

    /// What is looked at, newly seen, or why nothing is.
    pub fn take_preview(&self) -> Option<Result<VideoFrame, CaptureError>> {
        self.preview.as_ref().and_then(|(_, preview)| preview.0.take())
    }
}

/// Looks again and again, until nobody wants to know.
fn look(sources: &dyn ShareSources, found: &Mailbox<Found>) {
    let mut sound = None;
    while !found.is_closed() {
        found.put(Found { screens: sources.list(), sound: sound.clone() });
        if sound.is_none() {
            // Afterwards, and once: it takes longer, and seldom changes.
            sound = Some(sources.sound().map(drop));
        } else {
            std::thread::sleep(PAUSE);
        }
    }
}

/// Shows one of them until nobody looks or it ends.
fn watch(sources: &dyn ShareSources, id: &str, pictures: &Mailbox<Result<VideoFrame, CaptureError>>) {
    let mut source = match sources.open(id, PREVIEW) {
        Ok(source) => source,
        Err(error) => {
            pictures.put(Err(error));
            return;
        }
    };
    while !pictures.is_closed() {
        match source.next_frame() {
            Ok(Some(frame)) => {
                pictures.put(Ok(frame));
            }
            Ok(None) => return,
            Err(error) => {
                let goes_on = matches!(error, CaptureError::Interrupted { .. });
                pictures.put(Err(error));
                if !goes_on {
                    return;
                }
            }
        }
    }
}

/// Takes what was found.
pub(in crate::space) fn take_offers(mut offer: ResMut<ShareOffer>) {
    if let Some(found) = offer.list.as_ref().and_then(|list| list.0.take()) {
        offer.screens = Some(found.screens);
        offer.sound = found.sound;
        offer.number = offer.number.wrapping_add(1);
    }
}
