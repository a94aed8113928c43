//! Capture cost of a shared 1080p screen: CPU of the capturing thread for a frame in which everything changed, through
//! shared memory and over the connection, and per second while nothing changes.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rotunda::media::capture::Screens;
use rotunda::media::{VideoFormat, VideoSource};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{ChangeWindowAttributesAux, ConnectionExt as _};
use x11rb::rust_connection::RustConnection;

use crate::cpu;
use crate::table::{Row, Table, median};

const FORMAT: VideoFormat = VideoFormat { width: 1920, height: 1080, fps: 60.0 };
const FRAMES: u32 = 60;
const RUNS: usize = 3;

pub fn measure(table: &mut Table) -> anyhow::Result<()> {
    if Command::new("Xvfb").arg("-help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        eprintln!("capture: skipped, Xvfb is not installed");
        return Ok(());
    }
    let (shared, plain) = (Display::start(&[])?, Display::start(&["-extension", "MIT-SHM"])?);
    let full = changing(&shared)?;
    table.add(Row {
        measure: "capture: CPU per 1080p screen frame, all changed, grab and convert".into(),
        value: full,
        unit: "ms",
        beside: Some(("over the connection".into(), changing(&plain)?)),
        goal: "a small share of a 15 fps frame",
    });
    table.add(Row {
        measure: "capture: CPU per second of a still 1080p screen at 15 fps".into(),
        value: still(&shared)?,
        unit: "ms/s",
        beside: Some(("15 changed frames".into(), full * 15.0)),
        goal: "next to nothing",
    });
    Ok(())
}

/// CPU of this thread per frame, in ms.
fn changing(display: &Display) -> anyhow::Result<f64> {
    let mut source = display.open(FORMAT.fps)?;
    let mut figures = Vec::new();
    for _ in 0..RUNS {
        let mut used = Duration::ZERO;
        for number in 0..FRAMES {
            display.fill(if number % 2 == 0 { 0xC0_80_40 } else { 0x30_60_90 })?;
            let before = cpu::this_thread()?;
            source.next_frame()?.context("the screen ended")?;
            used += cpu::this_thread()?.saturating_sub(before);
        }
        figures.push(used.as_secs_f64() * 1000.0 / f64::from(FRAMES));
    }
    Ok(median(&mut figures))
}

/// CPU of this thread per second while nothing changes, in ms.
fn still(display: &Display) -> anyhow::Result<f64> {
    let mut source = display.open(15.0)?;
    source.next_frame()?.context("the screen ended")?;
    let (started, before) = (Instant::now(), cpu::this_thread()?);
    while started.elapsed() < Duration::from_secs(3) {
        source.next_frame()?.context("the screen ended")?;
    }
    let used = cpu::this_thread()?.saturating_sub(before);
    Ok(used.as_secs_f64() * 1000.0 / started.elapsed().as_secs_f64())
}

/// An Xvfb that ends with the value.
struct Display {
    child: Child,
    name: String,
    conn: RustConnection,
    root: u32,
}

impl Display {
    fn start(more: &[&str]) -> anyhow::Result<Self> {
        let screen = format!("{}x{}x24", FORMAT.width, FORMAT.height);
        let mut child = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", &screen, "-noreset", "-nolisten", "tcp"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut number = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut number)?;
        let name = format!(":{}", number.trim());
        let (conn, screen) = RustConnection::connect(Some(&name))?;
        let root = conn.setup().roots.get(screen).context("no screen")?.root;
        Ok(Self { child, name, conn, root })
    }

    fn open(&self, fps: f32) -> anyhow::Result<Box<dyn VideoSource>> {
        Ok(Screens::of_display(&self.name).open("screen", VideoFormat { fps, ..FORMAT })?)
    }

    fn fill(&self, pixel: u32) -> anyhow::Result<()> {
        let look = ChangeWindowAttributesAux::new().background_pixel(pixel);
        self.conn.change_window_attributes(self.root, &look)?;
        self.conn.clear_area(false, self.root, 0, 0, 0, 0)?;
        self.conn.get_input_focus()?.reply()?;
        Ok(())
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("Xvfb does not end: {error}");
        }
    }
}
