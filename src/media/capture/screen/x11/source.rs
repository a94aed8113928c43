//! Pictures of a monitor or window, driven by the thread that pulls them, which hangs while the display does: only what
//! changed is fetched, a still screen is repeated a few times a second so that receivers get it ever sharper.

use std::ops::Range;
use std::time::{Duration, Instant};

use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::damage::{ConnectionExt as _, ReportLevel};

use super::super::shadow::{self, Shadow, union};
use super::cursor::{self, Pointer};
use super::grab::{Area, Grabber};
use super::server::{Fault, Server};
use super::target::{Found, Target, View};
use crate::media::capture::convert::retimed;
use crate::media::capture::pace::Pace;
use crate::media::frame::VideoFrame;
use crate::media::source::{CaptureError, VideoFormat, VideoSource};
use crate::model::DeviceState;

/// A still picture comes again after this long: the encoder makes it sharper each time, and a late viewer is served.
const REPEAT_AFTER: Duration = Duration::from_millis(200);
/// A source without pixels says so after this long.
const PATIENCE: Duration = Duration::from_millis(500);
/// Frames a second that can be asked for.
const RATES_FPS: (f32, f32) = (1.0, 60.0);

/// See [`super::open`].
pub(super) struct ScreenSource {
    server: Server,
    target: Target,
    what: String,
    limit: VideoFormat,
    pace: Pace,
    grabber: Grabber,
    pointer: Pointer,
    damage: Option<u32>,
    shown: Option<(View, Shadow)>,
    changed: Range<u32>,
    look_again: bool,
    last: Option<(Instant, VideoFrame)>,
}

/// What one tick came to.
enum Step {
    Frame(VideoFrame),
    Still,
    Interrupted(DeviceState, String),
    Ended,
}

impl ScreenSource {
    /// Starts to watch a target.
    pub fn new(server: Server, target: Target, what: String, limit: VideoFormat) -> Result<Self, CaptureError> {
        let fps = if limit.fps.is_finite() { limit.fps.clamp(RATES_FPS.0, RATES_FPS.1) } else { 15.0 };
        let limit = VideoFormat { fps, ..limit };
        let mut source = Self {
            server,
            target,
            what,
            limit,
            pace: Pace::new(f64::from(fps), 0),
            grabber: Grabber::default(),
            pointer: Pointer::default(),
            damage: None,
            shown: None,
            changed: 0..0,
            look_again: true,
            last: None,
        };
        let what = source.what.clone();
        let open = |why: String| CaptureError::Open { what: what.clone(), why };
        let missing = || open("it is not there (any more): list what is with `rotunda devices`".into());
        source.subscribe().map_err(|fault| match fault {
            Fault::Gone => missing(),
            Fault::Lost(why) => open(why),
        })?;
        match source.target.look(&source.server) {
            Ok(Found::Missing) => Err(missing()),
            Ok(Found::Unusable(why)) => Err(CaptureError::Format { what, why }),
            Err(Fault::Lost(why)) => Err(open(why)),
            Ok(Found::Here(view)) => match shadow::check_size(view.area.width.into(), view.area.height.into()) {
                Ok(()) => Ok(source),
                Err(why) => Err(CaptureError::Format { what, why }),
            },
            Ok(Found::Hidden) | Err(Fault::Gone) => Ok(source),
        }
    }

    fn subscribe(&mut self) -> Result<(), Fault> {
        self.target.subscribe(&self.server)?;
        if self.server.has_damage {
            let (conn, watched) = (&self.server.conn, self.target.watched(&self.server));
            let damage = conn.generate_id()?;
            conn.damage_create(damage, watched, ReportLevel::BOUNDING_BOX)?.check()?;
            self.damage = Some(damage);
        }
        Ok(())
    }

    fn step(&mut self, now_us: u64) -> Result<Step, Fault> {
        if self.hear()? {
            return Ok(Step::Ended);
        }
        if self.look_again
            && let Some(end) = self.look()?
        {
            return Ok(end);
        }
        let Some((view, shadow)) = &mut self.shown else { return Ok(Step::Still) };
        if self.damage.is_none() {
            self.changed = 0..shadow.size().1;
        }
        let (origin, top_level) = self.target.place(&self.server, view)?;
        let sprite = cursor::look(&self.server, origin, top_level)?;
        if self.changed.is_empty() && !self.pointer.differs(sprite.as_ref()) {
            return match &self.last {
                Some((at, frame)) if at.elapsed() >= REPEAT_AFTER => {
                    let again = retimed(frame.clone(), now_us).map_err(Fault::Lost)?;
                    self.last = Some((Instant::now(), again.clone()));
                    Ok(Step::Frame(again))
                }
                _ => Ok(Step::Still),
            };
        }
        self.pointer.lift(shadow);
        let rows = self.changed.start..self.changed.end.min(shadow.size().1);
        if !rows.is_empty() {
            if let Some(damage) = self.damage {
                // Before the pixels are fetched: what changes from here on is told again.
                self.server.conn.damage_subtract(damage, x11rb::NONE, x11rb::NONE)?;
            }
            let area = Area { y: view.area.y + rows.start as i16, height: (rows.end - rows.start) as u16, ..view.area };
            self.grabber.grab(&self.server, view.drawable, area, view.layout, shadow.rows_mut(rows))?;
        }
        self.changed = 0..0;
        self.pointer.draw(shadow, sprite);
        let frame = shadow.frame((self.limit.width, self.limit.height), now_us).map_err(Fault::Lost)?;
        self.last = Some((Instant::now(), frame.clone()));
        Ok(Step::Frame(frame))
    }

    /// Takes in what the server told; true when the target is gone for good.
    fn hear(&mut self) -> Result<bool, Fault> {
        let watched = self.target.watched(&self.server);
        while let Some(event) = self.server.conn.poll_for_event()? {
            match event {
                Event::DamageNotify(told) => {
                    if let Some((view, shadow)) = &self.shown {
                        let rows = damaged_rows(&self.target, view, &told.area, shadow.size().1);
                        self.changed = union(&self.changed, &rows);
                    }
                }
                Event::DestroyNotify(told) if told.window == watched => return Ok(true),
                Event::ConfigureNotify(_)
                | Event::MapNotify(_)
                | Event::UnmapNotify(_)
                | Event::ReparentNotify(_)
                | Event::RandrScreenChangeNotify(_) => self.look_again = true,
                Event::Error(error) => tracing::debug!(?error, "the display refused a request"),
                _ => {}
            }
        }
        Ok(false)
    }

    /// Looks where the pixels are; a step when there are none.
    fn look(&mut self) -> Result<Option<Step>, Fault> {
        let hidden = match self.target.look(&self.server)? {
            Found::Here(view) => {
                let size = (u32::from(view.area.width), u32::from(view.area.height));
                let kept = self.shown.take().map(|(_, shadow)| shadow).filter(|shadow| shadow.size() == size);
                let shadow = match kept {
                    Some(shadow) => shadow,
                    None => match Shadow::new(size.0, size.1) {
                        Ok(shadow) => {
                            self.pointer.forget();
                            shadow
                        }
                        // It was resized; it may be once more.
                        Err(why) => return Ok(Some(Step::Interrupted(DeviceState::Failed, why))),
                    },
                };
                self.changed = 0..size.1;
                self.shown = Some((view, shadow));
                self.look_again = false;
                return Ok(None);
            }
            Found::Missing if matches!(self.target, Target::Window(_)) => Step::Ended,
            Found::Missing => Step::Interrupted(DeviceState::Unplugged, "the monitor is gone: plug it in again".into()),
            Found::Hidden => Step::Interrupted(DeviceState::Stalled, "the window is minimised: bring it back".into()),
            Found::Unusable(why) => Step::Interrupted(DeviceState::Failed, why),
        };
        self.shown = None;
        self.pointer.forget();
        Ok(Some(hidden))
    }
}

/// The rows of a view that a reported area touches.
fn damaged_rows(target: &Target, view: &View, area: &x11rb::protocol::xproto::Rectangle, height: u32) -> Range<u32> {
    // Areas of a monitor are told on the whole screen, those of a window inside it.
    let (left, top) = match target {
        Target::Monitor(_) => (i32::from(view.area.x), i32::from(view.area.y)),
        Target::Window(_) => (0, 0),
    };
    let x = i32::from(area.x) - left;
    if x >= i32::from(view.area.width) || x + i32::from(area.width) <= 0 {
        return 0..0;
    }
    let y = i32::from(area.y) - top;
    let row = |y: i32| y.clamp(0, height as i32) as u32;
    row(y)..row(y + i32::from(area.height))
}

impl VideoSource for ScreenSource {
    fn format(&self) -> VideoFormat {
        let (width, height) = match &self.last {
            Some((_, frame)) => (frame.width(), frame.height()),
            None => (self.limit.width, self.limit.height),
        };
        VideoFormat { width, height, fps: self.limit.fps }
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        let asked = Instant::now();
        let mut interruption = None;
        loop {
            let (_, now_us) = self.pace.wait();
            match self.step(now_us) {
                Ok(Step::Frame(frame)) => return Ok(Some(frame)),
                Ok(Step::Ended) => return Ok(None),
                Ok(Step::Interrupted(state, why)) => interruption = Some((state, why)),
                Ok(Step::Still) => {}
                // The window changed while it was looked at.
                Err(Fault::Gone) => self.look_again = true,
                Err(Fault::Lost(why)) => {
                    let why = format!("the display went away ({why}): share again when it is back");
                    return Err(CaptureError::Format { what: self.what.clone(), why });
                }
            }
            if asked.elapsed() >= PATIENCE {
                let (state, why) = interruption
                    .unwrap_or_else(|| (DeviceState::Stalled, "it changes faster than it can be read".to_owned()));
                return Err(CaptureError::Interrupted { what: self.what.clone(), state, why });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use x11rb::protocol::xproto::Rectangle;

    use super::super::pixels::Layout;
    use super::*;

    #[test]
    fn damage_is_cut_to_the_rows_of_the_view() {
        let layout = Layout::new(24, 32, 32, (0xFF_0000, 0xFF00, 0xFF)).unwrap();
        let area = Area { x: 100, y: 50, width: 200, height: 100 };
        let view = View { drawable: 1, area, layout };
        let monitor = Target::monitor("A".into());
        let rows = |x, y, width, height| damaged_rows(&monitor, &view, &Rectangle { x, y, width, height }, 100);
        assert_eq!(rows(120, 60, 10, 10), 10..20);
        assert_eq!(rows(0, 0, 2000, 2000), 0..100);
        assert_eq!(rows(-5, 140, 200, 900), 90..100);
        assert!(rows(0, 60, 100, 10).is_empty() && rows(300, 60, 10, 10).is_empty() && rows(120, 0, 9, 50).is_empty());
        let window = Target::window(7);
        assert_eq!(damaged_rows(&window, &view, &Rectangle { x: 0, y: 5, width: 4, height: 4 }, 100), 5..9);
    }
}
