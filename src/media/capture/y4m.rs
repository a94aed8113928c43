//! Pictures from a YUV4MPEG2 file, over and over at the file's own rate. The file is read frame by frame on the thread
//! that pulls the source. Format: mjpegtools, yuv4mpeg(5).

use std::io::{BufRead, Read, Seek, SeekFrom};

use super::convert::retimed;
use super::pace::Pace;
use crate::media::frame::{ColourMatrix, ColourRange, ColourSpace, VideoFrame};
use crate::media::source::{CaptureError, VideoFormat, VideoSource};
use crate::model::limits::MAX_PICTURE_SIDE_PX;

/// Longest header line that is read, in bytes.
const LINE_MAX_BYTES: u64 = 1024;

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Header {
    width: u32,
    height: u32,
    fps: f32,
    colour: ColourSpace,
}

/// See [`super::open_video_file`].
#[derive(Debug)]
pub(super) struct Y4mSource<R> {
    reader: R,
    what: String,
    header: Header,
    pace: Pace,
    first_frame_at: u64,
    in_pass: u64,
    /// How often each frame is given: more than once where the file has less than one a second.
    times: u64,
    /// The frame that is given again, and which it is.
    shown: Option<(u64, VideoFrame)>,
}

impl<R: BufRead + Seek> Y4mSource<R> {
    /// Reads the header and tries the first frame.
    pub fn new(mut reader: R, what: String) -> Result<Self, CaptureError> {
        let failed = |why: String| CaptureError::Format { what: what.clone(), why };
        let line = read_line(&mut reader).map_err(&failed)?.ok_or_else(|| failed("it is empty".into()))?;
        let header = parse_header(&line).map_err(&failed)?;
        let first_frame_at = reader.stream_position().map_err(|error| failed(error.to_string()))?;
        let times = (1.0 / f64::from(header.fps)).ceil().max(1.0);
        let pace = Pace::new(f64::from(header.fps) * times, 0);
        let times = times as u64;
        let mut source = Self { reader, what, header, pace, first_frame_at, in_pass: 0, times, shown: None };
        source.read_frame(0).map_err(|why| source.failed(why))?;
        source.rewind().map_err(|why| source.failed(why))?;
        Ok(source)
    }

    fn failed(&self, why: String) -> CaptureError {
        CaptureError::Format { what: self.what.clone(), why }
    }

    fn rewind(&mut self) -> Result<(), String> {
        self.in_pass = 0;
        let whence = SeekFrom::Start(self.first_frame_at);
        self.reader.seek(whence).map(|_| ()).map_err(|error| format!("cannot go back to its start: {error}"))
    }

    fn read_frame(&mut self, timestamp_us: u64) -> Result<VideoFrame, String> {
        let mut line = read_line(&mut self.reader)?;
        if line.is_none() && self.in_pass > 0 {
            self.rewind()?;
            line = read_line(&mut self.reader)?;
        }
        let number = self.in_pass + 1;
        let line = line.ok_or("it holds no frame")?;
        if line != "FRAME" && !line.starts_with("FRAME ") {
            return Err(format!("frame {number} does not begin with FRAME"));
        }
        let Header { width, height, colour, .. } = self.header;
        let needed = VideoFrame::byte_len(width, height);
        let mut data = Vec::with_capacity(needed);
        let got = (&mut self.reader).take(needed as u64).read_to_end(&mut data).map_err(|error| error.to_string())?;
        if got < needed {
            return Err(format!("frame {number} is cut short: {got} of {needed} bytes"));
        }
        self.in_pass += 1;
        VideoFrame::new(width, height, colour, timestamp_us, data).map_err(|error| error.to_string())
    }

    /// The frame of a tick: the next one of the file, or the last one again.
    fn frame_at(&mut self, tick: u64, timestamp_us: u64) -> Result<VideoFrame, String> {
        if self.times == 1 {
            return self.read_frame(timestamp_us);
        }
        let number = tick / self.times;
        if let Some((shown, frame)) = &self.shown
            && *shown == number
        {
            return retimed(frame.clone(), timestamp_us);
        }
        let frame = self.read_frame(timestamp_us)?;
        self.shown = Some((number, frame.clone()));
        Ok(frame)
    }
}

impl<R: BufRead + Seek + Send> VideoSource for Y4mSource<R> {
    fn format(&self) -> VideoFormat {
        VideoFormat { width: self.header.width, height: self.header.height, fps: self.header.fps }
    }

    fn next_frame(&mut self) -> Result<Option<VideoFrame>, CaptureError> {
        let (tick, timestamp_us) = self.pace.wait();
        self.frame_at(tick, timestamp_us).map(Some).map_err(|why| self.failed(why))
    }
}

/// A line without its end, `None` at the end of the file.
fn read_line(reader: &mut impl BufRead) -> Result<Option<String>, String> {
    let mut line = Vec::new();
    reader.take(LINE_MAX_BYTES).read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err("a header line does not end: it is no Y4M file, or it is cut short".into());
    }
    String::from_utf8(line).map(Some).map_err(|_| "a header line is not text: it is no Y4M file".into())
}

fn parse_header(line: &str) -> Result<Header, String> {
    let mut fields = line.split(' ');
    if fields.next() != Some("YUV4MPEG2") {
        return Err("it does not begin with YUV4MPEG2; convert with `ffmpeg -i IN -pix_fmt yuv420p OUT.y4m`".into());
    }
    let (mut width, mut height, mut fps, mut range) = (None, None, None, ColourRange::Limited);
    for field in fields.filter(|field| !field.is_empty()) {
        let mut letters = field.chars();
        let (tag, value) = (letters.next(), letters.as_str());
        match tag {
            Some('W') => width = Some(side("width", value)?),
            Some('H') => height = Some(side("height", value)?),
            Some('F') => fps = Some(rate(value)?),
            Some('I') if !matches!(value, "p" | "?") => return Err("it is interlaced; only progressive works".into()),
            Some('C') if !matches!(value, "420" | "420jpeg" | "420mpeg2" | "420paldv") => {
                return Err(format!("its pixels are C{value}; only 8-bit 4:2:0 works (`-pix_fmt yuv420p`)"));
            }
            Some('X') if value == "COLORRANGE=FULL" => range = ColourRange::Full,
            _ => {}
        }
    }
    let missing = |what: &str| format!("its header has no {what}");
    Ok(Header {
        width: width.ok_or_else(|| missing("width"))?,
        height: height.ok_or_else(|| missing("height"))?,
        fps: fps.ok_or_else(|| missing("frame rate"))?,
        colour: ColourSpace { matrix: ColourMatrix::Bt601, range },
    })
}

fn side(what: &str, value: &str) -> Result<u32, String> {
    let side = value.parse().ok().filter(|side| (1..=MAX_PICTURE_SIDE_PX).contains(side));
    side.ok_or_else(|| format!("its {what} is {value:?}; 1 to {MAX_PICTURE_SIDE_PX} work"))
}

fn rate(value: &str) -> Result<f32, String> {
    let parsed = value.split_once(':').and_then(|(over, under)| {
        let (over, under) = (over.parse::<u32>().ok()?, under.parse::<u32>().ok()?);
        Some(over as f32 / under as f32)
    });
    let fps = parsed.filter(|fps| (0.5..=240.0).contains(fps));
    fps.ok_or_else(|| format!("its frame rate is {value:?}; 1:2 to 240:1 work"))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn open(bytes: &[u8]) -> Result<Y4mSource<Cursor<Vec<u8>>>, CaptureError> {
        Y4mSource::new(Cursor::new(bytes.to_vec()), "test.y4m".into())
    }

    fn file(header: &str, frames: &[u8], size: usize) -> Vec<u8> {
        let mut bytes = format!("{header}\n").into_bytes();
        for luma in frames {
            bytes.extend(b"FRAME\n");
            bytes.extend(vec![*luma; size]);
        }
        bytes
    }

    #[test]
    fn frames_are_read_and_loop() {
        let mut source = open(&file("YUV4MPEG2 W4 H2 F200:1 Ip C420jpeg XCOLORRANGE=FULL", &[10, 20, 30], 12)).unwrap();
        let shown: Vec<u8> = (0..7).map(|_| source.next_frame().unwrap().unwrap().y()[0]).collect();
        assert_eq!(shown, [10, 20, 30, 10, 20, 30, 10]);
        let frame = source.next_frame().unwrap().unwrap();
        assert_eq!((frame.width(), frame.height(), frame.colour().range), (4, 2, ColourRange::Full));
    }

    #[test]
    fn a_slow_film_gives_its_frames_again_within_a_second() {
        let mut source = open(&file("YUV4MPEG2 W4 H2 F1:2", &[10, 20], 12)).unwrap();
        assert!((source.format().fps - 0.5).abs() < 1e-6);
        let shown: Vec<(u8, u64)> = (0..6)
            .map(|tick| source.frame_at(tick, tick * 1_000_000).unwrap())
            .map(|frame| (frame.y()[0], frame.timestamp_us() / 1_000_000))
            .collect();
        assert_eq!(shown, [(10, 0), (10, 1), (20, 2), (20, 3), (10, 4), (10, 5)]);
        let started = std::time::Instant::now();
        source.next_frame().unwrap();
        source.next_frame().unwrap();
        assert!(started.elapsed() < std::time::Duration::from_millis(1900), "{:?}", started.elapsed());
    }

    #[test]
    fn hostile_files_get_a_clear_error() {
        for (header, part) in [
            ("RIFF", "YUV4MPEG2"),
            ("YUV4MPEG2 H2 F25:1", "no width"),
            ("YUV4MPEG2 W4 F25:1", "no height"),
            ("YUV4MPEG2 W4 H2", "no frame rate"),
            ("YUV4MPEG2 W4294967295 H4294967295 F25:1", "width"),
            ("YUV4MPEG2 W-4 H2 F25:1", "width"),
            ("YUV4MPEG2 W4 H0 F25:1", "height"),
            ("YUV4MPEG2 W4 H2 F25:0", "frame rate"),
            ("YUV4MPEG2 W4 H2 F0:0", "frame rate"),
            ("YUV4MPEG2 W4 H2 F25:1 It", "interlaced"),
            ("YUV4MPEG2 W4 H2 F25:1 C444p10", "C444p10"),
            ("YUV4MPEG2 W7680 H7680 F25:1", "cut short"),
        ] {
            let error = open(&file(header, &[1], 12)).unwrap_err().to_string();
            assert!(error.contains(part), "{header}: {error}");
        }
        assert!(open(b"").unwrap_err().to_string().contains("empty"));
        assert!(open(&[0; 100_000]).unwrap_err().to_string().contains("no Y4M"));
        assert!(open(b"YUV4MPEG2 W4 H2 F25:1\n").unwrap_err().to_string().contains("no frame"));
        assert!(open(b"YUV4MPEG2 W4 H2 F25:1\nNOPE\n").unwrap_err().to_string().contains("FRAME"));
    }

    #[test]
    fn a_later_cut_is_told_when_it_is_reached() {
        let mut bytes = file("YUV4MPEG2 W4 H2 F200:1", &[1, 2], 12);
        bytes.truncate(bytes.len() - 5);
        let mut source = open(&bytes).unwrap();
        assert!(source.next_frame().unwrap().is_some());
        let error = source.next_frame().unwrap_err().to_string();
        assert!(error.contains("frame 2 is cut short: 7 of 12 bytes"), "{error}");
    }
}
