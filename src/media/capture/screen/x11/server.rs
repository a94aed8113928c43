//! The connection to an X11 server: extensions, atoms, and how its errors are told.

use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::errors::{ConnectionError, ReplyError, ReplyOrIdError};
use x11rb::protocol::xproto::{ImageOrder, Visualid};
use x11rb::protocol::{composite, damage, randr, shm, xfixes};
use x11rb::rust_connection::RustConnection;

use super::pixels::Layout;
use crate::media::source::CaptureError;

x11rb::atom_manager! {
    /// The names that window managers and programs use (EWMH).
    pub(super) Atoms:
    AtomsCookie {
        _NET_CLIENT_LIST_STACKING,
        _NET_CLIENT_LIST,
        _NET_WM_NAME,
        UTF8_STRING,
        WM_STATE,
    }
}

/// Why a request did not work.
#[derive(Debug)]
pub(super) enum Fault {
    /// The window or monitor is not there, or not as it was.
    Gone,
    /// The connection is of no more use.
    Lost(String),
}

impl From<ConnectionError> for Fault {
    fn from(error: ConnectionError) -> Self {
        Self::Lost(error.to_string())
    }
}

impl From<ReplyError> for Fault {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::ConnectionError(error) => error.into(),
            ReplyError::X11Error(_) => Self::Gone,
        }
    }
}

impl From<ReplyOrIdError> for Fault {
    fn from(error: ReplyOrIdError) -> Self {
        match error {
            ReplyOrIdError::ConnectionError(error) => error.into(),
            ReplyOrIdError::X11Error(_) => Self::Gone,
            ReplyOrIdError::IdsExhausted => Self::Lost(error.to_string()),
        }
    }
}

/// What people call a display.
pub(super) fn name_of(display: Option<&str>) -> String {
    let name = display.map_or_else(|| std::env::var("DISPLAY").unwrap_or_default(), str::to_owned);
    format!("the display {name}")
}

/// A connected server. Its replies may never come: it is asked on threads that may hang (see `remote`).
pub(super) struct Server {
    pub conn: RustConnection,
    pub root: u32,
    pub atoms: Atoms,
    /// Pictures come through shared memory.
    pub has_shm: bool,
    /// Covered windows keep their pixels.
    pub has_composite: bool,
    /// Changes are told.
    pub has_damage: bool,
    /// The pointer's picture can be asked for.
    pub has_xfixes: bool,
    /// Monitors are known one by one.
    pub has_randr: bool,
    /// The server runs inside a Wayland session: its screen shows nothing of the other programs.
    pub is_xwayland: bool,
}

impl Server {
    /// Connects to the named display, or to the one of the environment.
    ///
    /// # Errors
    /// [`CaptureError::Open`] when nothing answers there.
    pub fn connect(display: Option<&str>) -> Result<Self, CaptureError> {
        let failed = |why: String| CaptureError::Open { what: name_of(display), why };
        let (conn, screen) = RustConnection::connect(display)
            .map_err(|error| failed(format!("{error}: check that an X11 server runs there and lets you in")))?;
        Self::ask(conn, screen).map_err(|fault| match fault {
            Fault::Gone => failed("it refuses plain requests".into()),
            Fault::Lost(why) => failed(why),
        })
    }

    fn ask(conn: RustConnection, screen: usize) -> Result<Self, Fault> {
        let root = conn.setup().roots.get(screen).ok_or(Fault::Gone)?.root;
        let has = |name| conn.extension_information(name).map(|found| found.is_some());
        let (has_composite, has_damage) = (has(composite::X11_EXTENSION_NAME)?, has(damage::X11_EXTENSION_NAME)?);
        let (has_xfixes, has_randr) = (has(xfixes::X11_EXTENSION_NAME)?, has(randr::X11_EXTENSION_NAME)?);
        let (has_shm, is_xwayland) = (has(shm::X11_EXTENSION_NAME)?, has("XWAYLAND")?);
        // Each extension wants to hear a version before it serves.
        let has_xfixes = has_xfixes && xfixes::query_version(&conn, 5, 0)?.reply().is_ok();
        let has_composite = has_composite && composite::query_version(&conn, 0, 4)?.reply().is_ok();
        let has_damage = has_damage && damage::query_version(&conn, 1, 1)?.reply().is_ok();
        let has_randr = has_randr
            && randr::query_version(&conn, 1, 5)?.reply().is_ok_and(|v| (v.major_version, v.minor_version) >= (1, 5));
        // Memory is handed over as a file descriptor since 1.2; remote servers cannot.
        let has_shm =
            has_shm && shm::query_version(&conn)?.reply().is_ok_and(|v| (v.major_version, v.minor_version) >= (1, 2));
        let atoms = Atoms::new(&conn)?.reply()?;
        Ok(Self { conn, root, atoms, has_shm, has_composite, has_damage, has_xfixes, has_randr, is_xwayland })
    }

    /// How pixels of this depth and visual lie in memory.
    ///
    /// # Errors
    /// What is not supported.
    pub fn layout(&self, depth: u8, visual: Visualid) -> Result<Layout, String> {
        let setup = self.conn.setup();
        if setup.image_byte_order != ImageOrder::LSB_FIRST {
            return Err("its pixels are in big-endian order, which is not supported".into());
        }
        let format = setup.pixmap_formats.iter().find(|format| format.depth == depth);
        let visual = setup
            .roots
            .iter()
            .flat_map(|root| &root.allowed_depths)
            .flat_map(|depth| &depth.visuals)
            .find(|known| known.visual_id == visual);
        let (Some(format), Some(visual)) = (format, visual) else {
            return Err(format!("its depth of {depth} bits is unknown"));
        };
        Layout::new(
            depth,
            format.bits_per_pixel,
            format.scanline_pad,
            (visual.red_mask, visual.green_mask, visual.blue_mask),
        )
    }
}
