//! An X11 server of a test's own, and windows on it.

#![allow(clippy::print_stderr, reason = "a skipped test says why")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rotunda::media::{CaptureError, VideoFrame, VideoSource};
use x11rb::COPY_DEPTH_FROM_PARENT;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    AtomEnum, ChangeWindowAttributesAux, ConfigureWindowAux, ConnectionExt as _, CreateGCAux, CreateWindowAux,
    ImageFormat, PropMode, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

/// Everything on a display happens within this, even on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

/// True when every program is there. Where one is missing the test is skipped with the reason; with `CI` set that is a
/// failure.
pub fn have(programs: &[&str]) -> bool {
    for program in programs {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .any(|folder| folder.join(program).is_file());
        if !found {
            assert!(std::env::var_os("CI").is_none(), "{program} is not installed (make test installs it on Debian)");
            eprintln!("SKIPPED: {program} is not installed (make test installs it on Debian)");
            return false;
        }
    }
    true
}

/// An Xvfb that ends with the value.
pub struct XServer {
    child: Child,
    /// What clients call it, such as `:7`.
    pub name: String,
}

impl XServer {
    /// Starts one with a screen such as `1280x720x24` and further arguments; `None` where there is no Xvfb.
    pub fn start(screen: &str, more: &[&str]) -> Option<Self> {
        if !have(&["Xvfb"]) {
            return None;
        }
        let mut child = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", screen, "-noreset", "-nolisten", "tcp"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut number = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut number).unwrap();
        assert!(!number.trim().is_empty(), "Xvfb did not start");
        Some(Self { child, name: format!(":{}", number.trim()) })
    }

    /// Stops the server where it is: it takes connections and answers nothing.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status().unwrap();
        assert!(sent.success(), "SIG{name} is not sent");
    }

    /// Ends the server at once.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for XServer {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("Xvfb does not end: {error}");
        }
    }
}

/// A program with one window.
pub struct Window {
    pub conn: RustConnection,
    pub root: u32,
    pub id: u32,
}

impl Window {
    /// Opens a window of one pixel value.
    pub fn open(server: &XServer, title: &str, at: (i16, i16), size: (u16, u16), pixel: u32) -> Self {
        let (conn, screen) = RustConnection::connect(Some(&server.name)).unwrap();
        let root = conn.setup().roots[screen].root;
        let id = conn.generate_id().unwrap();
        let look = CreateWindowAux::new().background_pixel(pixel);
        let class = WindowClass::INPUT_OUTPUT;
        conn.create_window(COPY_DEPTH_FROM_PARENT, id, root, at.0, at.1, size.0, size.1, 0, class, 0, &look).unwrap();
        conn.change_property8(PropMode::REPLACE, id, AtomEnum::WM_NAME, AtomEnum::STRING, title.as_bytes()).unwrap();
        let class = b"test-window\0Test\0";
        conn.change_property8(PropMode::REPLACE, id, AtomEnum::WM_CLASS, AtomEnum::STRING, class).unwrap();
        conn.map_window(id).unwrap();
        let window = Self { conn, root, id };
        window.sync();
        window
    }

    /// What it is shared by.
    pub fn share_id(&self) -> String {
        format!("window:{:#x}", self.id)
    }

    /// Waits until the server has done all that was asked.
    pub fn sync(&self) {
        self.conn.get_input_focus().unwrap().reply().unwrap();
    }

    pub fn fill(&self, pixel: u32) {
        self.conn.change_window_attributes(self.id, &ChangeWindowAttributesAux::new().background_pixel(pixel)).unwrap();
        self.conn.clear_area(false, self.id, 0, 0, 0, 0).unwrap();
        self.sync();
    }

    /// Shows a picture of bytes B G R X that has the window's size.
    pub fn show(&self, width: u16, height: u16, pixels: &[u8]) {
        let (pixmap, gc) = (self.conn.generate_id().unwrap(), self.conn.generate_id().unwrap());
        self.conn.create_pixmap(24, pixmap, self.id, width, height).unwrap();
        self.conn.create_gc(gc, pixmap, &CreateGCAux::new()).unwrap();
        let row = usize::from(width) * 4;
        for (band, pixels) in pixels.chunks(row * 16).enumerate() {
            let (rows, top) = ((pixels.len() / row) as u16, (band * 16) as i16);
            self.conn.put_image(ImageFormat::Z_PIXMAP, pixmap, gc, width, rows, 0, top, 0, 24, pixels).unwrap();
        }
        self.conn
            .change_window_attributes(self.id, &ChangeWindowAttributesAux::new().background_pixmap(pixmap))
            .unwrap();
        self.conn.clear_area(false, self.id, 0, 0, 0, 0).unwrap();
        self.conn.free_gc(gc).unwrap();
        self.sync();
    }

    pub fn resize(&self, width: u32, height: u32) {
        self.conn.configure_window(self.id, &ConfigureWindowAux::new().width(width).height(height)).unwrap();
        self.sync();
    }

    pub fn hide(&self) {
        self.conn.unmap_window(self.id).unwrap();
        self.sync();
    }

    pub fn unhide(&self) {
        self.conn.map_window(self.id).unwrap();
        self.sync();
    }

    pub fn close(&self) {
        self.conn.destroy_window(self.id).unwrap();
        self.sync();
    }

    /// Puts the pointer on a place of the screen.
    pub fn point(&self, x: i16, y: i16) {
        self.conn.warp_pointer(x11rb::NONE, self.root, 0, 0, 0, 0, x, y).unwrap();
        self.sync();
    }
}

/// Pulls a source until a picture fits.
pub fn pull(source: &mut dyn VideoSource, what: &str, mut fits: impl FnMut(&VideoFrame) -> bool) -> VideoFrame {
    let deadline = Instant::now() + SOON;
    loop {
        match source.next_frame() {
            Ok(Some(frame)) if fits(&frame) => return frame,
            Ok(Some(_)) | Err(CaptureError::Interrupted { .. }) => {}
            Ok(None) => panic!("the source ended before {what}"),
            Err(error) => panic!("the source broke before {what}: {error}"),
        }
        assert!(Instant::now() < deadline, "no picture with {what}");
    }
}

/// The luma at a place.
pub fn luma(frame: &VideoFrame, x: u32, y: u32) -> u8 {
    frame.y()[(y * frame.width() + x) as usize]
}
