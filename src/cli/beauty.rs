//! `rotunda beauty`: what the beauty filters make of a picture, or of drawn faces.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use rotunda::media::capture::PortraitSource;
use rotunda::media::{VideoFormat, VideoSource as _, to_rgba};
use rotunda::model::BeautyParams;
use rotunda::space::PictureTaken;
use rotunda::space::beauty::{PictureFilter, Retouch};

use super::say;

/// Pictures are decoded into memory whole: 8K and some air.
const MOST_PIXELS: u64 = 48_000_000;

#[derive(Debug, Args)]
pub struct BeautyArgs {
    /// A PNG file.
    #[arg(required_unless_present = "portraits")]
    input: Option<PathBuf>,
    /// Where to write the filtered one, as PNG.
    #[arg(required_unless_present = "portraits")]
    output: Option<PathBuf>,
    /// The filters, each 0 to 100, as in smooth=60,whiten=30,rosy=20,sharpen=40; what is not named is off. Or natural, clear
    /// or warm.
    #[arg(default_value_t = BeautyParams::default())]
    filters: BeautyParams,
    /// Brighten it, 0 to 100, as dark cameras' pictures are.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    low_light: u8,
    /// Leave the left half as it was.
    #[arg(long)]
    compare: bool,
    /// Write drawn faces of many kinds into this folder instead: each as it is, and with all filters at 25, 50 and 100.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["input", "compare"])]
    portraits: Option<PathBuf>,
}

/// Which faces are drawn: skin from very light to very dark, with and without glasses, beards and freckles.
const FACES: [u64; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
const STRENGTHS: [u32; 3] = [25, 50, 100];
/// Of each picture in a row.
const FACE: VideoFormat = VideoFormat { width: 640, height: 480, fps: 30.0 };

pub fn run(args: &BeautyArgs) -> anyhow::Result<()> {
    if let Some(folder) = &args.portraits {
        return portraits(folder);
    }
    let (Some(input), Some(output)) = (&args.input, &args.output) else {
        bail!("name a PNG file, and where to write to")
    };
    let (before, size) = read(input)?;
    let mut filter = PictureFilter::open()?;
    let retouch = Retouch { params: args.filters, lift: f32::from(args.low_light) / 100.0 };
    let mut after = filter.filter(&before, size, retouch)?;
    if args.compare {
        let row = size.0 as usize * 4;
        let kept = (size.0 as usize / 2) * 4;
        for (after, before) in after.chunks_exact_mut(row).zip(before.chunks_exact(row)) {
            after[..kept].copy_from_slice(&before[..kept]);
        }
    }
    write(output, size, after)?;
    say(format_args!("{}: {}", output.display(), args.filters));
    Ok(())
}

/// Rows of faces, each before and with more and more of everything.
fn portraits(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut filter = PictureFilter::open()?;
    let size = (FACE.width, FACE.height);
    for (index, seed) in FACES.into_iter().enumerate() {
        let frame = PortraitSource::new("", seed, FACE).next_frame()?.context("no face was drawn")?;
        let before = to_rgba(&frame)?;
        let mut row = vec![before.clone()];
        for all in STRENGTHS {
            row.push(filter.filter(&before, size, BeautyParams::new(all, all, all, all)?)?);
        }
        let line = FACE.width as usize * 4;
        let lines = (0..FACE.height as usize).flat_map(|y| row.iter().map(move |picture| &picture[y * line..][..line]));
        let whole: Vec<u8> = lines.flatten().copied().collect();
        let path = folder.join(format!("portrait-{}.png", index + 1));
        write(&path, (FACE.width * row.len() as u32, FACE.height), whole)?;
        say(format_args!("{}: as it is, and all at 25, 50 and 100", path.display()));
    }
    Ok(())
}

fn write(path: &Path, (width, height): (u32, u32), rgba: Vec<u8>) -> anyhow::Result<()> {
    let told = || format!("cannot write {}", path.display());
    let picture = PictureTaken { tag: 0, width, height, rgba };
    std::fs::write(path, picture.to_png().with_context(told)?).with_context(told)
}

/// A PNG as RGBA, 8 bits each.
fn read(path: &Path) -> anyhow::Result<(Vec<u8>, (u32, u32))> {
    let told = || format!("cannot read {} as a PNG", path.display());
    let mut decoder = png::Decoder::new(BufReader::new(File::open(path).with_context(told)?));
    decoder.set_transformations(png::Transformations::ALPHA | png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().with_context(told)?;
    let (width, height) = reader.info().size();
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        bail!("{} has {width}x{height} pixels: at most {MOST_PIXELS} in all are filtered", path.display());
    }
    let mut pixels = vec![0; reader.output_buffer_size().with_context(told)?];
    let info = reader.next_frame(&mut pixels).with_context(told)?;
    pixels.truncate(info.buffer_size());
    let rgba = match info.color_type {
        png::ColorType::Rgba => pixels,
        png::ColorType::GrayscaleAlpha => pixels.chunks_exact(2).flat_map(|p| [p[0], p[0], p[0], p[1]]).collect(),
        other => bail!("{} has colours that are not understood ({other:?}): save it as RGB", path.display()),
    };
    Ok((rgba, (width, height)))
}
