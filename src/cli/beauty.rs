//! `rotunda beauty`: what the beauty filters make of a picture.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use rotunda::model::BeautyParams;
use rotunda::space::PictureTaken;
use rotunda::space::beauty::PictureFilter;

use super::say;

/// Pictures are decoded into memory whole: 8K and some air.
const MOST_PIXELS: u64 = 48_000_000;

#[derive(Debug, Args)]
pub struct BeautyArgs {
    /// A PNG file.
    input: PathBuf,
    /// Where to write the filtered one, as PNG.
    output: PathBuf,
    /// The filters, each 0 to 100, as in smooth=60,whiten=30,rosy=20,sharpen=40; what is not named is off.
    #[arg(default_value_t = BeautyParams::default())]
    filters: BeautyParams,
    /// Leave the left half as it was.
    #[arg(long)]
    compare: bool,
}

pub fn run(args: &BeautyArgs) -> anyhow::Result<()> {
    let (before, size) = read(&args.input)?;
    let mut filter = PictureFilter::open()?;
    let mut after = filter.filter(&before, size, args.filters)?;
    if args.compare {
        let row = size.0 as usize * 4;
        let kept = (size.0 as usize / 2) * 4;
        for (after, before) in after.chunks_exact_mut(row).zip(before.chunks_exact(row)) {
            after[..kept].copy_from_slice(&before[..kept]);
        }
    }
    let picture = PictureTaken { tag: 0, width: size.0, height: size.1, rgba: after };
    let told = || format!("cannot write {}", args.output.display());
    std::fs::write(&args.output, picture.to_png().with_context(told)?).with_context(told)?;
    say(format_args!("{}: {}", args.output.display(), args.filters));
    Ok(())
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
