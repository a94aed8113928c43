//! Beauty: the whole way of a camera's picture through the passes, from planes in memory to planes in memory, and each pass
//! by the device's own clock; beside OpenCV doing the same on the CPU, and the floor that copying sets.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use rotunda::media::capture::PortraitSource;
use rotunda::media::{VideoFormat, VideoFrame, VideoSource as _, to_rgba};
use rotunda::model::BeautyParams;
use rotunda::space::beauty::{LEAST_BYTES_PER_PIXEL, PassTimes, Retouch, measure as time, measure_copying};
use rotunda::space::host::check_gpu;

use crate::table::{Row, Table, median};

const SIZES: [(u32, u32); 2] = [(1280, 720), (1920, 1080)];
/// Pictures of which the median is taken. A GPU takes a while until it runs at its full clock.
const TIMES: usize = 15;
const TIMES_ON_GPU: usize = 600;
const GOAL: &str = "<= 0.1 x OpenCV on a GPU; <= 16.7 ms at 1080p";

pub fn measure(table: &mut Table) -> anyhow::Result<()> {
    let bytes_per_sec = measure_copying()?;
    let times_each = if check_gpu()?.software { TIMES } else { TIMES_ON_GPU };
    for (width, height) in SIZES {
        let frame = face(width, height)?;
        let opencv = opencv(&frame);
        let retouch = Retouch::from(BeautyParams::default());
        let (device, times) = time(&frame, retouch, times_each)?;
        let whole = whole_ms(&times);
        let on = format!("{width}x{height} on {device}");
        table.add(Row {
            measure: format!("beauty: all four at 50, {on}"),
            value: whole,
            unit: "ms",
            beside: opencv.as_ref().ok().map(|ms| ("OpenCV: bilateral filter, tone, unsharp".into(), *ms)),
            goal: GOAL,
        });
        if let Err(error) = opencv {
            eprintln!("beauty stands alone: {error:#}");
        }
        let passes = pass_ms(&times);
        for (pass, ms) in &passes {
            table.add(Row {
                measure: format!("beauty: pass {pass}, {width}x{height}"),
                value: *ms,
                unit: "ms",
                beside: None,
                goal: "-",
            });
        }
        let on_device: f64 = passes.iter().map(|(_, ms)| ms).sum();
        let floor = f64::from(width) * f64::from(height) * LEAST_BYTES_PER_PIXEL / bytes_per_sec * 1e3;
        if on_device > 0.0 {
            table.add(Row {
                measure: format!("beauty: all passes on the device, {width}x{height}"),
                value: on_device,
                unit: "ms",
                beside: Some((format!("copying the same bytes ({:.0} GB/s)", bytes_per_sec / 1e9), floor)),
                goal: "-",
            });
        }
    }
    let (width, height) = SIZES[0];
    let frame = face(width, height)?;
    for (what, params, lift) in [
        ("sharpen alone", BeautyParams::new(0, 0, 0, 50)?, 0.0),
        ("smooth alone", BeautyParams::new(50, 0, 0, 0)?, 0.0),
        ("all four, in low light", BeautyParams::default(), 1.0),
    ] {
        let (_, times) = time(&frame, Retouch { params, lift }, times_each)?;
        table.add(Row {
            measure: format!("beauty: {what}, {width}x{height}"),
            value: whole_ms(&times),
            unit: "ms",
            beside: None,
            goal: "-",
        });
    }
    Ok(())
}

fn face(width: u32, height: u32) -> anyhow::Result<VideoFrame> {
    PortraitSource::new("", 3, VideoFormat { width, height, fps: 30.0 }).next_frame()?.context("no face was drawn")
}

fn whole_ms(times: &[PassTimes]) -> f64 {
    median(&mut times.iter().map(|time| time.whole.as_secs_f64() * 1e3).collect::<Vec<_>>())
}

/// The median of each pass.
fn pass_ms(times: &[PassTimes]) -> Vec<(&'static str, f64)> {
    let first = times.first().map_or(&[][..], |time| &time.passes);
    let of = |at: usize| -> Vec<f64> {
        times.iter().filter_map(|time| Some(time.passes.get(at)?.1.as_secs_f64() * 1e3)).collect()
    };
    first.iter().enumerate().map(|(at, (pass, _))| (*pass, median(&mut of(at)))).collect()
}

/// What OpenCV takes for the same picture, in ms; `tests/bench/beauty.py` says how.
fn opencv(frame: &VideoFrame) -> anyhow::Result<f64> {
    let folder = std::env::temp_dir().join(format!("rotunda-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let picture = folder.join("face.rgba");
    std::fs::write(&picture, to_rgba(frame)?)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/beauty.py");
    let python = std::env::var("ROTUNDA_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let ran = Command::new(&python)
        .arg(script)
        .arg(&picture)
        .args([frame.width(), frame.height(), TIMES as u32].map(|n| n.to_string()))
        .output();
    std::fs::remove_dir_all(&folder)?;
    let ran = ran.with_context(|| format!("{python} cannot be run"))?;
    anyhow::ensure!(
        ran.status.success(),
        "OpenCV cannot be run ({}): `make bench` installs it, or name a Python that has it in ROTUNDA_BENCH_PYTHON",
        String::from_utf8_lossy(&ran.stderr).lines().last().unwrap_or_default()
    );
    Ok(String::from_utf8_lossy(&ran.stdout).trim().parse()?)
}
