//! Screens and windows of an X11 server. Whoever asks waits a bounded time: the server is asked on threads of its own.

mod cursor;
mod grab;
mod pixels;
mod remote;
mod server;
mod source;
mod target;
mod windows;

use std::time::{Duration, Instant};

use grab::Grabber;
use remote::RemoteSource;
use server::{Fault, Server, name_of};
use source::ScreenSource;
use target::{Found, Target, monitors};

use super::shadow::Shadow;
use super::{ScreenInfo, ScreenKind, Thumbnail};
use crate::media::source::{CaptureError, VideoFormat, VideoSource};

/// Thumbnails are taken for so long; where there are very many, the last ones are left out.
const THUMBNAILS_LIMIT: Duration = Duration::from_millis(1200);

/// See [`super::Screens::list`].
pub(super) fn list(display: Option<&str>, thumbnails: bool) -> Result<Vec<ScreenInfo>, CaptureError> {
    let named = display.map(str::to_owned);
    remote::ask(&name_of(display), move || {
        let server = Server::connect(named.as_deref())?;
        list_on(&server, thumbnails).map_err(|fault| lost(&fault))
    })
}

fn list_on(server: &Server, thumbnails: bool) -> Result<Vec<ScreenInfo>, Fault> {
    let started = Instant::now();
    let small = |target: Target| {
        let wanted = thumbnails && started.elapsed() < THUMBNAILS_LIMIT;
        if wanted { thumbnail(server, target) } else { None }
    };
    let mut all = Vec::new();
    // Inside a Wayland session this server's own screen is empty.
    let monitors = if server.is_xwayland { Vec::new() } else { monitors(server)? };
    let primary = monitors.iter().position(|monitor| monitor.is_primary).unwrap_or(0);
    for (index, monitor) in monitors.into_iter().enumerate() {
        all.push(ScreenInfo {
            id: format!("screen:{}", monitor.name),
            kind: ScreenKind::Monitor,
            title: monitor.name.clone(),
            app: String::new(),
            width: monitor.area.width.into(),
            height: monitor.area.height.into(),
            is_default: index == primary,
            thumbnail: small(Target::monitor(monitor.name)),
        });
    }
    for window in windows::list(server)? {
        all.push(ScreenInfo {
            id: format!("window:{:#x}", window.id),
            kind: ScreenKind::Window,
            title: window.title,
            app: window.app,
            width: window.width,
            height: window.height,
            is_default: false,
            thumbnail: small(Target::window(window.id)),
        });
    }
    Ok(all)
}

/// A small picture of a target; `None` when it shows nothing just now.
fn thumbnail(server: &Server, mut target: Target) -> Option<Thumbnail> {
    let mut picture = || {
        target.subscribe(server)?;
        let Found::Here(view) = target.look(server)? else { return Err(Fault::Gone) };
        let mut shadow = Shadow::new(view.area.width.into(), view.area.height.into()).map_err(|_| Fault::Gone)?;
        let rows = 0..shadow.size().1;
        Grabber::default().grab(server, view.drawable, view.area, view.layout, shadow.rows_mut(rows))?;
        Ok::<_, Fault>(shadow.thumbnail())
    };
    picture().ok().flatten()
}

/// See [`super::Screens::open`].
pub(super) fn open(display: Option<&str>, id: &str, limit: VideoFormat) -> Result<Box<dyn VideoSource>, CaptureError> {
    let wanted = Wanted::parse(id)?;
    let (display, what) = (display.map(str::to_owned), id.to_owned());
    let source = RemoteSource::open(id, move || open_here(display.as_deref(), wanted, what, limit))?;
    Ok(Box::new(source))
}

/// Opens a source that runs on this thread.
fn open_here(
    display: Option<&str>,
    wanted: Wanted,
    what: String,
    limit: VideoFormat,
) -> Result<ScreenSource, CaptureError> {
    let server = Server::connect(display)?;
    let target = match wanted {
        Wanted::Window(window) => Target::window(window),
        Wanted::Monitor(_) if server.is_xwayland => {
            let why = "the screen belongs to Wayland and cannot be shared yet: share a window that runs in XWayland \
                (`rotunda devices` lists them), or log in to an X11 session";
            return Err(CaptureError::Open { what, why: why.into() });
        }
        Wanted::Monitor(Some(name)) => Target::monitor(name),
        Wanted::Monitor(None) => {
            let mut monitors = monitors(&server).map_err(|fault| lost(&fault))?;
            let primary = monitors.iter().position(|monitor| monitor.is_primary).unwrap_or(0);
            Target::monitor(monitors.swap_remove(primary).name)
        }
    };
    ScreenSource::new(server, target, what, limit)
}

fn lost(fault: &Fault) -> CaptureError {
    let why = match fault {
        Fault::Gone => "it refuses to list what it shows".to_owned(),
        Fault::Lost(why) => why.clone(),
    };
    CaptureError::Open { what: "the display".into(), why }
}

/// What an id names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// A monitor; the primary one without a name.
    Monitor(Option<String>),
    Window(u32),
}

impl Wanted {
    fn parse(id: &str) -> Result<Self, CaptureError> {
        let parsed = match id.split_once(':') {
            None if id == "screen" => Some(Self::Monitor(None)),
            Some(("screen", name)) if !name.is_empty() => Some(Self::Monitor(Some(name.to_owned()))),
            Some(("window", number)) => match number.strip_prefix("0x") {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            }
            .ok()
            .map(Self::Window),
            _ => None,
        };
        let why = "it is no id of a screen or window: use screen, screen:NAME or window:0xNUMBER".to_owned();
        parsed.ok_or_else(|| CaptureError::Open { what: id.into(), why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_and_others_refused() {
        assert_eq!(Wanted::parse("screen").unwrap(), Wanted::Monitor(None));
        assert_eq!(Wanted::parse("screen:HDMI-1").unwrap(), Wanted::Monitor(Some("HDMI-1".into())));
        assert_eq!(Wanted::parse("window:0x2a").unwrap(), Wanted::Window(42));
        assert_eq!(Wanted::parse("window:42").unwrap(), Wanted::Window(42));
        for bad in ["", "screen:", "window", "window:", "window:0xg", "window:-1", "window:0x1ffffffff", "door:1"] {
            assert!(Wanted::parse(bad).unwrap_err().to_string().contains("window:0xNUMBER"), "{bad}");
        }
    }
}
