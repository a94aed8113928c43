//! Opening files as cameras and microphones: what a file is, is told by how it begins, not by its name.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::ivf::IvfSource;
use super::ogg_opus::OggOpusSource;
use super::wav::WavSource;
use super::y4m::Y4mSource;
use crate::media::source::{AudioSource, CaptureError, VideoSource};

/// Largest sound file that is opened, in bytes: some 23 minutes of WAV, half a day of Opus.
const SOUND_MAX_BYTES: u64 = 256 << 20;

/// Opens a Y4M file (4:2:0, 8 bits a sample) or an IVF file (VP8) as a source that loops.
///
/// # Errors
/// [`CaptureError`] when the file cannot be read, is no such file, or its first frame is incomplete.
pub fn open_video_file(path: &Path) -> Result<Box<dyn VideoSource>, CaptureError> {
    let (mut file, what) = open(path, "a .y4m or .ivf file")?;
    let begin = beginning(&mut file, &what)?;
    let reader = BufReader::new(file);
    Ok(if begin == *b"DKIF" {
        Box::new(IvfSource::new(reader, what)?)
    } else {
        Box::new(Y4mSource::new(reader, what)?)
    })
}

/// Opens a WAV file (mono or stereo, 4 to 384 kHz) or an Ogg Opus file (mono or stereo) as a source that loops.
///
/// # Errors
/// [`CaptureError`] when the file cannot be read, is too large, or is no such file.
pub fn open_audio_file(path: &Path) -> Result<Box<dyn AudioSource>, CaptureError> {
    let (file, what) = open(path, "a .wav or .opus file")?;
    let mut bytes = Vec::new();
    let read = file.take(SOUND_MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| CaptureError::Open { what: what.clone(), why: error.to_string() })?;
    if bytes.len() as u64 > SOUND_MAX_BYTES {
        let why = format!("it is larger than {} MiB; use a shorter one", SOUND_MAX_BYTES >> 20);
        return Err(CaptureError::Format { what, why });
    }
    Ok(if bytes.starts_with(b"OggS") {
        Box::new(OggOpusSource::new(bytes, what)?)
    } else {
        Box::new(WavSource::new(bytes, what)?)
    })
}

fn open(path: &Path, wanted: &str) -> Result<(File, String), CaptureError> {
    let what = path.display().to_string();
    let failed = |error: std::io::Error| CaptureError::Open { what: what.clone(), why: error.to_string() };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(CaptureError::Open { what, why: format!("it is a folder; name {wanted}") });
    }
    Ok((file, what))
}

/// The first four bytes; zeros where the file is shorter.
fn beginning(file: &mut File, what: &str) -> Result<[u8; 4], CaptureError> {
    let failed = |error: std::io::Error| CaptureError::Open { what: what.to_owned(), why: error.to_string() };
    let mut begin = Vec::new();
    file.by_ref().take(4).read_to_end(&mut begin).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    Ok(begin.try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_files_and_folders_are_told_apart() {
        for missing in [
            open_video_file(Path::new("/nowhere/at/all.y4m")).err(),
            open_audio_file(Path::new("/nowhere/at/all.wav")).err(),
        ] {
            assert!(matches!(missing, Some(CaptureError::Open { .. })), "{missing:?}");
        }
        let folder = std::env::temp_dir();
        for error in [open_video_file(&folder).err(), open_audio_file(&folder).err()] {
            assert!(error.as_ref().is_some_and(|error| error.to_string().contains("folder")), "{error:?}");
        }
    }
}
