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
    // Before it is opened: a pipe would wait for whoever writes to it.
    let about = path.metadata().map_err(failed)?;
    if !about.is_file() {
        let found = if about.is_dir() { "a folder" } else { "a pipe or device" };
        return Err(CaptureError::Open { what, why: format!("it is {found}; name {wanted}") });
    }
    let file = File::open(path).map_err(failed)?;
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
    use std::path::PathBuf;

    use ogg::{PacketWriteEndInfo, PacketWriter};

    use super::*;
    use crate::media::codec::opus::{FRAME_SAMPLES, OpusEncoder};
    use crate::media::codec::tests::moving_picture;
    use crate::media::codec::vp8::{Vp8Encoder, Vp8EncoderConfig};

    /// A folder that goes with the value.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("rotunda-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        /// A file whose name says nothing of what it is.
        fn file(&self, bytes: &[u8]) -> PathBuf {
            let path = self.0.join("film");
            std::fs::write(&path, bytes).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).ok();
        }
    }

    /// One frame of 4x2 pixels.
    fn y4m() -> Vec<u8> {
        [&b"YUV4MPEG2 W4 H2 F200:1\nFRAME\n"[..], &[77; 12]].concat()
    }

    /// One frame of 64x48 pixels.
    fn ivf() -> Vec<u8> {
        let config =
            Vp8EncoderConfig { width: 64, height: 48, fps: 30.0, bitrate_bps: 900_000, screen: false, threads: 1 };
        let frame = Vp8Encoder::new(config).unwrap().encode(&moving_picture(64, 48, 0), true).unwrap().unwrap().data;
        let mut bytes = b"DKIF\0\0\x20\0VP80\x40\0\x30\0".to_vec();
        bytes.extend([1000u32, 1, 1, 0].map(u32::to_le_bytes).concat());
        bytes.extend((frame.len() as u32).to_le_bytes());
        bytes.extend(0u64.to_le_bytes());
        bytes.extend(frame);
        bytes
    }

    /// 20 ms of one value, in stereo.
    fn wav() -> Vec<u8> {
        let data: Vec<u8> = [16_384i16; 2 * 960].into_iter().flat_map(i16::to_le_bytes).collect();
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0".to_vec();
        bytes.extend(48_000u32.to_le_bytes());
        bytes.extend((48_000u32 * 4).to_le_bytes());
        bytes.extend(b"\x04\0\x10\0data");
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
        bytes
    }

    /// 100 ms of a tone.
    fn opus() -> Vec<u8> {
        let mut writer = PacketWriter::new(Vec::new());
        let head = b"OpusHead\x01\x01\0\0\x80\xBB\0\0\0\0\0".to_vec();
        writer.write_packet(head, 1, PacketWriteEndInfo::EndPage, 0).unwrap();
        writer.write_packet(b"OpusTags\0\0\0\0\0\0\0\0".to_vec(), 1, PacketWriteEndInfo::EndPage, 0).unwrap();
        let (mut encoder, packets) = (OpusEncoder::new(1, 64_000).unwrap(), 4_800 / FRAME_SAMPLES);
        let tone: Vec<f32> = (0..packets * FRAME_SAMPLES).map(|n| (n as f32 * 0.06).sin() * 0.5).collect();
        for (index, block) in tone.chunks_exact(FRAME_SAMPLES).enumerate() {
            let mut packet = Vec::new();
            encoder.encode(block, &mut packet).unwrap();
            let end =
                if index + 1 == packets { PacketWriteEndInfo::EndStream } else { PacketWriteEndInfo::NormalPacket };
            writer.write_packet(packet, 1, end, ((index + 1) * FRAME_SAMPLES) as u64).unwrap();
        }
        writer.into_inner()
    }

    #[test]
    fn each_kind_of_picture_is_known_by_how_it_begins() {
        let folder = Folder::new("pictures");
        for (bytes, size) in [(y4m(), (4, 2)), (ivf(), (64, 48))] {
            let mut source = open_video_file(&folder.file(&bytes)).unwrap();
            assert_eq!((source.format().width, source.format().height), size);
            let frame = source.next_frame().unwrap().unwrap();
            assert_eq!((frame.width(), frame.height()), size);
        }
        let sound = open_video_file(&folder.file(&wav())).unwrap_err();
        assert!(sound.to_string().contains("no Y4M"), "{sound}");
    }

    #[test]
    fn each_kind_of_sound_is_known_by_how_it_begins() {
        let folder = Folder::new("sounds");
        for (bytes, channels) in [(wav(), 2), (opus(), 1)] {
            let mut source = open_audio_file(&folder.file(&bytes)).unwrap();
            let heard: Vec<_> = (0..5).map(|_| source.next_block().unwrap().unwrap()).collect();
            assert!(heard.iter().all(|block| block.channels == channels), "{channels} channels");
            let level = crate::media::frame::rms(&heard[4].samples);
            assert!((0.2..0.6).contains(&level), "{channels} channels at {level}");
        }
        let picture = open_audio_file(&folder.file(&y4m())).unwrap_err();
        assert!(picture.to_string().contains("no WAV"), "{picture}");
    }

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

    #[cfg(unix)]
    #[test]
    fn a_pipe_and_a_device_are_refused_at_once() {
        let folder = Folder::new("pipes");
        let pipe = folder.0.join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [Path::new("/dev/zero"), pipe.as_path()] {
            for error in [open_video_file(path).err(), open_audio_file(path).err()] {
                assert!(error.as_ref().is_some_and(|error| error.to_string().contains("pipe or device")), "{error:?}");
            }
        }
    }
}
