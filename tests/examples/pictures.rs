//! Writes what the generated sources show into PNG files, to be looked at: `cargo run --example pictures -- DIR`.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::time::Instant;

use rotunda::media::capture::{PageSource, PortraitSource};
use rotunda::media::{VideoFormat, VideoFrame, VideoSource};

const NAMES: [&str; 9] = ["Mira", "Jonas", "Amara", "Kenji", "Lucia", "Tomas", "Priya", "Yasmin", "Oskar"];

/// An RGB picture that frames are pasted into.
struct Sheet {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Sheet {
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, rgb: vec![24; width * height * 3] }
    }

    /// BT.601 limited range to RGB, chroma repeated.
    fn paste(&mut self, frame: &VideoFrame, left: usize, top: usize) {
        let (width, chroma_width) = (frame.width() as usize, frame.chroma_size().0 as usize);
        for y in 0..frame.height() as usize {
            for x in 0..width {
                let luma = 1.164 * (f32::from(frame.y()[y * width + x]) - 16.0);
                let chroma = y / 2 * chroma_width + x / 2;
                let (u, v) = (f32::from(frame.u()[chroma]) - 128.0, f32::from(frame.v()[chroma]) - 128.0);
                let rgb = [luma + 1.596 * v, luma - 0.392 * u - 0.813 * v, luma + 2.017 * u];
                let at = ((top + y) * self.width + left + x) * 3;
                self.rgb[at..at + 3].copy_from_slice(&rgb.map(|c| c.round().clamp(0.0, 255.0) as u8));
            }
        }
    }

    fn save(&self, path: PathBuf) -> Result<(), Box<dyn std::error::Error>> {
        let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header()?.write_image_data(&self.rgb)?;
        Ok(())
    }
}

fn next(source: &mut dyn VideoSource) -> Result<VideoFrame, Box<dyn std::error::Error>> {
    Ok(source.next_frame()?.ok_or("a generated source ended")?)
}

#[expect(clippy::print_stdout, reason = "an example talks to its user")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".into()));
    let first: u64 = std::env::args().nth(2).map_or(Ok(1), |seed| seed.parse())?;
    let format = VideoFormat { width: 640, height: 360, fps: 120.0 };
    let mut sheet = Sheet::new(3 * 640, 3 * 360);
    for (i, name) in NAMES.into_iter().enumerate() {
        let mut source = PortraitSource::new(name, first + i as u64, format);
        let start = Instant::now();
        let mut frame = next(&mut source)?;
        let cost = start.elapsed();
        for _ in 0..i * 4 {
            frame = next(&mut source)?;
        }
        println!("{name}: {:.2} ms a frame", cost.as_secs_f64() * 1000.0);
        sheet.paste(&frame, i % 3 * 640, i / 3 * 360);
    }
    sheet.save(folder.join("portraits.png"))?;

    let mut page = PageSource::new("The week in one page", VideoFormat { width: 1280, height: 720, fps: 30.0 });
    let start = Instant::now();
    let mut frame = next(&mut page)?;
    println!("page: {:.2} ms a frame", start.elapsed().as_secs_f64() * 1000.0);
    for _ in 0..20 {
        frame = next(&mut page)?;
    }
    let mut sheet = Sheet::new(1280, 720);
    sheet.paste(&frame, 0, 0);
    sheet.save(folder.join("page.png"))
}
