//! The application as somebody uses it: a window on a display of its own, its keyboard and mouse, what it says, and the
//! clipboard.

use std::cell::Cell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ClientMessageEvent, ConnectionExt as _, CreateWindowAux, EventMask,
    ImageFormat, InputFocus, KEY_PRESS_EVENT, KEY_RELEASE_EVENT, MOTION_NOTIFY_EVENT, MapState, WindowClass,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use x11rb::{COPY_DEPTH_FROM_PARENT, COPY_FROM_PARENT, CURRENT_TIME, NONE};

use super::reading::{Part, Picture, find};
use crate::screen::display::XServer;

/// Size of each window, which fills its display.
pub const SIZE: (u16, u16) = (960, 640);
/// What is done shows within this, though two cores draw two windows, a browser and read pictures of them.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long somebody holds a key or a button.
const TOUCH: Duration = Duration::from_millis(60);
/// How long the mouse rests on something before it is pressed: frames can take a quarter of a second here.
const REST: Duration = Duration::from_millis(400);
/// Between two letters.
const BETWEEN: Duration = Duration::from_millis(25);
/// What is read twice within so many pixels did not move.
const STILL: u16 = 3;

/// Keys without a letter, as X11 calls them.
pub mod key {
    pub const ENTER: u32 = 0xff0d;
    pub const SHIFT: u32 = 0xffe1;
    pub const SPACE: u32 = 0x20;
}

/// A window of the application.
pub struct AppWindow {
    /// Whose it is.
    name: &'static str,
    child: Child,
    conn: RustConnection,
    root: u32,
    id: Cell<u32>,
    /// Keysyms of each key, from the lowest code on, and how many a key has.
    keys: (u8, Vec<u32>, usize),
    /// Settings, and nothing else of this user's.
    home: PathBuf,
    /// Ends last.
    _server: XServer,
}

impl AppWindow {
    /// Starts the program on a display of its own. `None` where there is no Xvfb.
    pub fn open(name: &'static str, args: &[&str]) -> Option<Self> {
        let server = XServer::start(&format!("{}x{}x24", SIZE.0, SIZE.1), &[])?;
        let (conn, screen) = RustConnection::connect(Some(&server.name)).unwrap();
        let root = conn.setup().roots[screen].root;
        let (first, last) = (conn.setup().min_keycode, conn.setup().max_keycode);
        let map = conn.get_keyboard_mapping(first, last - first + 1).unwrap().reply().unwrap();
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("window-of-{name}"));
        if home.exists() {
            std::fs::remove_dir_all(&home).unwrap();
        }
        std::fs::create_dir_all(&home).unwrap();
        std::fs::create_dir_all(kept()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_rotunda"));
        let size = format!("{}x{}", SIZE.0, SIZE.1);
        command.args(args).args(["--size", &size, "--quality", "low", "--language", "en"]);
        command.env("DISPLAY", &server.name).env("ROTUNDA_CONFIG_DIR", &home).env_remove("WAYLAND_DISPLAY");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(File::create(kept().join(format!("{name}.log"))).unwrap()).spawn().unwrap();
        let keys = (first, map.keysyms, usize::from(map.keysyms_per_keycode));
        let window = Self { name, child, conn, root, id: Cell::new(NONE), keys, home, _server: server };
        Some(window)
    }

    /// Waits until the window is there, and gives it the keyboard.
    pub fn wait_shown(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let tree = self.conn.query_tree(self.root).unwrap().reply().unwrap();
            let shown = |id: &u32| {
                let about = self.conn.get_window_attributes(*id).unwrap().reply();
                let size = self.conn.get_geometry(*id).unwrap().reply();
                about.is_ok_and(|about| about.map_state == MapState::VIEWABLE)
                    && size.is_ok_and(|size| (size.width, size.height) == SIZE)
            };
            if let Some(id) = tree.children.into_iter().find(shown) {
                self.id.set(id);
                self.conn.set_input_focus(InputFocus::POINTER_ROOT, id, CURRENT_TIME).unwrap();
                self.conn.flush().unwrap();
                return;
            }
            assert!(self.runs(), "{} ended before there was a window", self.name);
            assert!(Instant::now() < deadline, "{} has no window", self.name);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Whether the program has not ended.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it has.
    pub fn wait_end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "{}'s program does not end", self.name);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn fake(&self, kind: u8, detail: u8, (x, y): (i16, i16)) {
        self.conn.xtest_fake_input(kind, detail, CURRENT_TIME, self.root, x, y, 0).unwrap();
        self.conn.flush().unwrap();
    }

    /// The key's code, and whether it takes Shift.
    fn key(&self, keysym: u32) -> (u8, bool) {
        let (first, all, each) = &self.keys;
        let found = all.iter().position(|held| *held == keysym).expect("a key with this sign");
        (first + (found / each) as u8, found % each == 1)
    }

    pub fn hold(&self, keysym: u32) {
        self.fake(KEY_PRESS_EVENT, self.key(keysym).0, (0, 0));
    }

    pub fn release(&self, keysym: u32) {
        self.fake(KEY_RELEASE_EVENT, self.key(keysym).0, (0, 0));
    }

    /// Presses a key and lets it go.
    pub fn press(&self, keysym: u32) {
        self.hold(keysym);
        std::thread::sleep(TOUCH);
        self.release(keysym);
        std::thread::sleep(BETWEEN);
    }

    /// Types a text of the keyboard's letters.
    pub fn write(&self, text: &str) {
        for letter in text.chars() {
            let (code, shifted) = self.key(u32::from(letter));
            if shifted {
                self.hold(key::SHIFT);
            }
            self.fake(KEY_PRESS_EVENT, code, (0, 0));
            std::thread::sleep(BETWEEN);
            self.fake(KEY_RELEASE_EVENT, code, (0, 0));
            if shifted {
                self.release(key::SHIFT);
            }
        }
    }

    /// Moves the mouse there and presses its first button.
    pub fn click(&self, at: (i16, i16)) {
        self.fake(MOTION_NOTIFY_EVENT, 0, at);
        std::thread::sleep(REST);
        self.fake(BUTTON_PRESS_EVENT, 1, at);
        std::thread::sleep(TOUCH);
        self.fake(BUTTON_RELEASE_EVENT, 1, at);
        std::thread::sleep(BETWEEN);
    }

    /// Clicks what says this; the lowest where several do.
    pub fn click_on(&self, phrase: &str, part: Part) {
        self.click(self.wait_reads(phrase, part));
    }

    /// What it shows.
    pub fn picture(&self) -> Picture {
        self.try_picture().unwrap()
    }

    fn try_picture(&self) -> Result<Picture, Box<dyn std::error::Error>> {
        let image = self.conn.get_image(ImageFormat::Z_PIXMAP, self.root, 0, 0, SIZE.0, SIZE.1, !0)?;
        Ok(Picture { width: SIZE.0.into(), height: SIZE.1.into(), pixels: image.reply()?.data })
    }

    /// Keeps a picture to be looked at.
    pub fn keep(&self, name: &str) {
        let path = kept().join(format!("{name}.png"));
        match self.try_picture().and_then(|picture| picture.save(&path)) {
            Ok(()) => println!("{}'s window is in {}", self.name, path.display()),
            Err(error) => println!("{}'s window could not be kept: {error}", self.name),
        }
    }

    /// Where it says this now: the lowest place.
    pub fn reads(&self, phrase: &str, part: Part) -> Option<(i16, i16)> {
        find(&self.picture().words(part), phrase).into_iter().max_by_key(|at| at.1)
    }

    /// Waits until it says this and that stands still, as it does some frames after it opened; answers where.
    pub fn wait_reads(&self, phrase: &str, part: Part) -> (i16, i16) {
        let deadline = Instant::now() + PATIENCE;
        let mut before: Option<(i16, i16)> = None;
        loop {
            let now = self.reads(phrase, part);
            if let (Some(before), Some(now)) = (before, now)
                && before.0.abs_diff(now.0) + before.1.abs_diff(now.1) <= STILL
            {
                return now;
            }
            before = now;
            let words = || self.picture().words(part).into_iter().map(|word| word.text).collect::<Vec<_>>();
            assert!(Instant::now() < deadline, "{}'s window never says {phrase:?}, but {:?}", self.name, words());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until it says this no longer; looks twice, for what is there can be misread.
    pub fn wait_reads_no_more(&self, phrase: &str, part: Part) {
        let deadline = Instant::now() + PATIENCE;
        while self.reads(phrase, part).is_some() || self.reads(phrase, part).is_some() {
            assert!(Instant::now() < deadline, "{}'s window still says {phrase:?}", self.name);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Presses a key that opens something, and waits until it says this.
    pub fn open_by(&self, letter: char, phrase: &str, part: Part) -> (i16, i16) {
        self.press(u32::from(letter));
        self.wait_reads(phrase, part)
    }

    /// Waits until the picture is so.
    pub fn wait_shows(&self, what: &str, holds: impl Fn(&Picture) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(&self.picture()) {
            assert!(Instant::now() < deadline, "{}'s window never shows {what}", self.name);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits until that is in the clipboard; answers what it is.
    pub fn wait_clipboard(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.clipboard();
            if holds(&text) {
                return text;
            }
            assert!(Instant::now() < deadline, "not {what} but {text:?} is in the clipboard");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// What is in the clipboard, as another program is given it; empty when there is nothing.
    pub fn clipboard(&self) -> String {
        let atom = |name: &str| self.conn.intern_atom(false, name.as_bytes()).unwrap().reply().unwrap().atom;
        let (clipboard, text, place) = (atom("CLIPBOARD"), atom("UTF8_STRING"), atom("ROTUNDA_TEST"));
        let me = self.conn.generate_id().unwrap();
        let (depth, class) = (COPY_DEPTH_FROM_PARENT, WindowClass::INPUT_OUTPUT);
        let plain = CreateWindowAux::new();
        self.conn.create_window(depth, me, self.root, 0, 0, 1, 1, 0, class, COPY_FROM_PARENT, &plain).unwrap();
        self.conn.convert_selection(me, clipboard, text, place, CURRENT_TIME).unwrap();
        self.conn.flush().unwrap();
        let deadline = Instant::now() + PATIENCE;
        let property = loop {
            match self.conn.poll_for_event().unwrap() {
                Some(Event::SelectionNotify(answer)) if answer.requestor == me => break answer.property,
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
            assert!(Instant::now() < deadline, "{}'s clipboard gives no answer", self.name);
        };
        if property == NONE {
            return String::new();
        }
        let held = self.conn.get_property(true, me, property, text, 0, 4096).unwrap().reply().unwrap();
        self.conn.destroy_window(me).unwrap();
        String::from_utf8(held.value).unwrap()
    }

    /// Asks the window to close, as a window manager does.
    pub fn ask_to_close(&self) {
        let atom = |name: &str| self.conn.intern_atom(false, name.as_bytes()).unwrap().reply().unwrap().atom;
        let data = [atom("WM_DELETE_WINDOW"), CURRENT_TIME, 0, 0, 0];
        let message = ClientMessageEvent::new(32, self.id.get(), atom("WM_PROTOCOLS"), data);
        self.conn.send_event(false, self.id.get(), EventMask::NO_EVENT, message).unwrap();
        self.conn.flush().unwrap();
    }
}

/// Where pictures of windows are kept when a test fails, and what their programs said.
fn kept() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("../windows")
}

impl Drop for AppWindow {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep(self.name);
        }
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            println!("{}'s program does not end: {error}", self.name);
        }
        if let Err(error) = std::fs::remove_dir_all(&self.home) {
            println!("{} stays: {error}", self.home.display());
        }
    }
}
