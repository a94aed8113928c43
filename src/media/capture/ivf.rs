//! Pictures from an IVF file of VP8, over and over in the file's own time. Read and decoded frame by frame on the thread
//! that pulls the source. Format: the container of libvpx's tools (multimedia wiki, "Duck IVF"), little-endian.

use std::io::{Read, Seek, SeekFrom};
use std::thread;
use std::time::{Duration, Instant};

use crate::media::codec::vp8::Vp8Decoder;
use crate::media::frame::VideoFrame;
use crate::media::source::{CaptureError, VideoFormat, VideoSource};
use crate::model::limits::{MAX_ENCODED_FRAME_BYTES, MAX_PICTURE_SIDE_PX};

/// Bytes before each frame: its size and its time.
const FRAME_HEADER_BYTES: usize = 12;
/// Longest wait for one frame; a longer gap in the file is cut to it.
const MAX_GAP: Duration = Duration::from_millis(900);
/// Frames that may give no picture in a row; more are no film.
const MAX_HIDDEN: usize = 100;

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Header {
    width: u32,
    height: u32,
    /// Seconds of one step of the time stamps.
    tick_secs: f64,
    first_frame_at: u64,
}

/// See [`super::open_video_file`].
pub(super) struct IvfSource<R> {
    reader: R,
    what: String,
    header: Header,
    fps: f32,
    decoder: Vp8Decoder,
    started: Option<Instant>,
    /// When the latest frame was due, since the start.
    due: Duration,
    /// The latest frame's time stamp in the file.
    newest: Option<u64>,
    in_pass: u64,
}

impl<R: Read + Seek> IvfSource<R> {
    /// Reads the header and tries the first frame.
    pub fn new(mut reader: R, what: String) -> Result<Self, CaptureError> {
        let failed = |why: String| CaptureError::Format { what: what.clone(), why };
        let header = read_header(&mut reader).map_err(&failed)?;
        let decoder = Vp8Decoder::new().map_err(|error| failed(error.to_string()))?;
        let mut source = Self {
            reader,
            what: what.clone(),
            header,
            fps: 0.0,
            decoder,
            started: None,
            due: Duration::ZERO,
            newest: None,
            in_pass: 0,
        };
        source.go_to_start().map_err(&failed)?;
        let (data, first) = source.read_frame().map_err(&failed)?.ok_or_else(|| failed("it holds no frame".into()))?;
        source.decoder.decode(&data, 0).map_err(|error| failed(format!("its first frame: {error}")))?;
        let second = source.read_frame().ok().flatten().map(|(_, time)| time);
        source.fps = source.rate(first, second);
        source.go_to_start().map_err(&failed)?;
        Ok(source)
    }

    /// The rate that two neighbouring time stamps give.
    fn rate(&self, first: u64, second: Option<u64>) -> f32 {
        let steps = second.and_then(|second| second.checked_sub(first)).filter(|steps| *steps > 0).unwrap_or(1);
        (1.0 / (steps as f64 * self.header.tick_secs)).clamp(1.0, 240.0) as f32
    }

    fn go_to_start(&mut self) -> Result<(), String> {
        self.in_pass = 0;
        self.newest = None;
        let place = SeekFrom::Start(self.header.first_frame_at);
        self.reader.seek(place).map(|_| ()).map_err(|error| format!("cannot go back to its start: {error}"))
    }

    /// A frame's bytes and its time stamp; `None` at the end.
    fn read_frame(&mut self) -> Result<Option<(Vec<u8>, u64)>, String> {
        let number = self.in_pass + 1;
        let head = take(&mut self.reader, FRAME_HEADER_BYTES)?;
        if head.is_empty() {
            return Ok(None);
        }
        let &[s0, s1, s2, s3, t0, t1, t2, t3, t4, t5, t6, t7] = head.as_slice() else {
            return Err(format!("frame {number} is cut short before it begins"));
        };
        let size = u32::from_le_bytes([s0, s1, s2, s3]) as usize;
        if size > MAX_ENCODED_FRAME_BYTES {
            return Err(format!("frame {number} says it has {size} bytes; {MAX_ENCODED_FRAME_BYTES} work"));
        }
        let data = take(&mut self.reader, size)?;
        if data.len() < size {
            return Err(format!("frame {number} is cut short: {} of {size} bytes", data.len()));
        }
        self.in_pass += 1;
        Ok(Some((data, u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]))))
    }

    /// Takes note of a frame's time: when it is due. Times that run backwards, and the jump back to the start, count as
    /// one frame's.
    fn advance(&mut self, time: u64) {
        let usual = Duration::from_secs_f32(1.0 / self.fps);
        let steps = self.newest.map(|newest| time.checked_sub(newest).filter(|steps| *steps > 0));
        self.due += match steps {
            Some(Some(steps)) => {
                Duration::from_secs_f64((steps as f64 * self.header.tick_secs).min(MAX_GAP.as_secs_f64()))
            }
            Some(None) => usual,
            None if self.started.is_some() => usual,
            None => Duration::ZERO,
        };
        self.newest = Some(time);
    }

    fn next_picture(&mut self) -> Result<VideoFrame, String> {
        for _ in 0..MAX_HIDDEN {
            let Some((data, time)) = self.read_frame()? else {
                if self.in_pass == 0 {
                    return Err("it holds no frame".into());
                }
                self.go_to_start()?;
                continue;
            };
            self.advance(time);
            self.started.get_or_insert_with(Instant::now);
            let number = self.in_pass;
            match self.decoder.decode(&data, self.due.as_micros() as u64) {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(error) => return Err(format!("frame {number}: {error}")),
            }
        }
        Err(format!("{MAX_HIDDEN} frames in a row show no picture"))
    }
}

impl<R: Read + Seek + Send> VideoSource for IvfSource<R> {
    fn format(&self) -> VideoFormat {
        VideoFormat { width: self.header.width, height: self.header.height, fps: self.fps }
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        let frame = self.next_picture().map_err(|why| CaptureError::Format { what: self.what.clone(), why })?;
        if let Some(started) = &mut self.started {
            match self.due.checked_sub(started.elapsed()) {
                Some(rest) => thread::sleep(rest.min(MAX_GAP)),
                // Whoever pulls was away: the film goes on from here instead of running after its time.
                None => *started = Instant::now().checked_sub(self.due).unwrap_or(*started),
            }
        }
        Ok(Some(frame))
    }
}

/// Up to so many bytes; fewer at the end. Grows as it reads, so that a file that lies costs no memory.
fn take(reader: &mut impl Read, len: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    reader.take(len as u64).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn read_header(reader: &mut impl Read) -> Result<Header, String> {
    let bytes = take(reader, 32)?;
    if bytes.len() < 32 || !bytes.starts_with(b"DKIF") {
        return Err("it is no IVF file, or its header is cut short".into());
    }
    let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let long = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let codec = &bytes[8..12];
    if codec != b"VP80" {
        let codec: String = codec.iter().map(|b| char::from(*b)).filter(char::is_ascii_graphic).collect();
        return Err(format!("it is coded as {codec:?}; VP8 works (`ffmpeg -i IN -c:v libvpx OUT.ivf`)"));
    }
    let (width, height) = (u32::from(short(12)), u32::from(short(14)));
    let sides = 1..=MAX_PICTURE_SIDE_PX;
    if !sides.contains(&width) || !sides.contains(&height) {
        return Err(format!("it says it is {width}x{height}; sides of 1 to {MAX_PICTURE_SIDE_PX} work"));
    }
    let (over, under) = (f64::from(long(20)), f64::from(long(16)));
    let tick_secs = over / under;
    if !(1e-6..=10.0).contains(&tick_secs) {
        return Err(format!("its time stamps count {over}/{under} s; a microsecond to ten seconds work"));
    }
    let header_bytes = short(6);
    if header_bytes < 32 {
        return Err(format!("it says its header has {header_bytes} bytes; it has 32"));
    }
    Ok(Header { width, height, tick_secs, first_frame_at: header_bytes.into() })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::media::codec::tests::{Random, moving_picture, psnr_db};
    use crate::media::codec::vp8::{Vp8Encoder, Vp8EncoderConfig};

    fn header(codec: &[u8; 4], size: (u16, u16), under: u32, over: u32) -> Vec<u8> {
        let mut bytes = b"DKIF\0\0\x20\0".to_vec();
        bytes.extend(codec);
        bytes.extend([size.0.to_le_bytes(), size.1.to_le_bytes()].concat());
        bytes.extend([under.to_le_bytes(), over.to_le_bytes(), 3u32.to_le_bytes(), [0; 4]].concat());
        bytes
    }

    fn frame(data: &[u8], time: u64) -> Vec<u8> {
        [&(data.len() as u32).to_le_bytes()[..], &time.to_le_bytes(), data].concat()
    }

    /// Three frames, 5 ms apart.
    fn film() -> Vec<u8> {
        let config =
            Vp8EncoderConfig { width: 64, height: 48, fps: 30.0, bitrate_bps: 900_000, screen: false, threads: 1 };
        let mut encoder = Vp8Encoder::new(config).unwrap();
        let mut bytes = header(b"VP80", (64, 48), 1000, 1);
        for index in 0..3 {
            let encoded = encoder.encode(&moving_picture(64, 48, index), index == 0).unwrap().unwrap();
            bytes.extend(frame(&encoded.data, index * 5));
        }
        bytes
    }

    fn open(bytes: Vec<u8>) -> Result<IvfSource<Cursor<Vec<u8>>>, CaptureError> {
        IvfSource::new(Cursor::new(bytes), "test.ivf".into())
    }

    #[test]
    fn a_film_is_shown_in_its_own_time_and_loops() {
        let mut source = open(film()).unwrap();
        assert_eq!(source.format(), VideoFormat { width: 64, height: 48, fps: 200.0 });
        let frames: Vec<VideoFrame> = (0..7).map(|_| source.next_frame().unwrap().unwrap()).collect();
        let times: Vec<u64> = frames.iter().map(VideoFrame::timestamp_us).collect();
        assert_eq!(times, [0, 5_000, 10_000, 15_000, 20_000, 25_000, 30_000]);
        for (index, frame) in frames.iter().enumerate() {
            let psnr = psnr_db(frame, &moving_picture(64, 48, index as u64 % 3));
            assert!(psnr > 25.0, "frame {index}: {psnr} dB");
        }
        assert_eq!(frames[0].y(), frames[3].y());
    }

    #[test]
    fn hostile_files_get_a_clear_error() {
        let film = film();
        let second = 32 + 12 + u32::from_le_bytes([film[32], film[33], film[34], film[35]]) as usize;
        for (bytes, part) in [
            (Vec::new(), "no IVF"),
            (film[..20].to_vec(), "no IVF"),
            (header(b"VP80", (64, 48), 1000, 1), "no frame"),
            (header(b"AV01", (64, 48), 1000, 1), "AV01"),
            (header(b"VP80", (0, 48), 1000, 1), "0x48"),
            (header(b"VP80", (64, u16::MAX), 1000, 1), "64x65535"),
            (header(b"VP80", (64, 48), 0, 1), "time stamps"),
            (header(b"VP80", (64, 48), 0, 0), "time stamps"),
            (header(b"VP80", (64, 48), u32::MAX, 0), "time stamps"),
            (film[..40].to_vec(), "cut short before"),
            (film[..second - 9].to_vec(), "frame 1 is cut short"),
            ([&film[..32], &[0xFF; 40]].concat(), "4294967295 bytes"),
            ([&film[..32], &frame(&[0; 0], 0)].concat(), "first frame"),
            ([&film[..32], &frame(&[1; 40], 0)].concat(), "first frame"),
        ] {
            let error = open(bytes).err().unwrap().to_string();
            assert!(error.contains(part), "{part}: {error}");
        }
        let mut cut = film[..film.len() - 3].to_vec();
        let mut source = open(cut.clone()).unwrap();
        assert!(source.next_frame().is_ok() && source.next_frame().is_ok());
        let error = source.next_frame().unwrap_err().to_string();
        assert!(error.contains("frame 3 is cut short"), "{error}");
        // Noise in the middle never crashes, and times that make no sense never hang.
        let mut random = Random(5);
        for _ in 0..200 {
            let at = 32 + random.below(cut.len() - 32);
            cut[at] = random.below(256) as u8;
            if let Ok(mut source) = open(cut.clone()) {
                source.started = Instant::now().checked_sub(Duration::from_secs(3600));
                (0..4).for_each(|_| drop(source.next_picture()));
            }
        }
    }
}
