//! Reading what a window says, as a person does: Tesseract, which is shown a part of the picture three times enlarged.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Enlarged so much, letters of 11 points are read well.
const ENLARGED: usize = 3;
/// A word is taken for what was looked for where so many of its letters are others at most: one in this many.
const LETTERS_A_SLIP: usize = 6;

/// What a window shows: rows of bytes B G R X.
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<u8>,
}

/// A part of a window, in shares of its width and height.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    x: (f32, f32),
    y: (f32, f32),
}

impl Part {
    pub const WHOLE: Self = Self { x: (0.0, 1.0), y: (0.0, 1.0) };
    /// What is told for a moment.
    pub const TOP: Self = Self { x: (0.25, 0.75), y: (0.0, 0.14) };
    /// People or messages.
    pub const RIGHT: Self = Self { x: (0.655, 0.98), y: (0.03, 0.68) };
    /// The bar at the bottom.
    pub const BAR: Self = Self { x: (0.15, 0.85), y: (0.92, 0.98) };
    /// What stands above the bar.
    pub const ABOVE_BAR: Self = Self { x: (0.33, 0.67), y: (0.75, 0.84) };
    /// A question.
    pub const MIDDLE: Self = Self { x: (0.25, 0.75), y: (0.3, 0.7) };
}

/// A word and its middle, in pixels of the window.
#[derive(Clone, Debug)]
pub struct Word {
    pub text: String,
    pub at: (i16, i16),
    /// Words of one line have the same.
    line: [u32; 3],
}

impl Picture {
    /// The words in a part, most of which are light on dark.
    pub fn words(&self, part: Part) -> Vec<Word> {
        let range = |(from, to): (f32, f32), whole: usize| {
            ((from * whole as f32) as usize, ((to * whole as f32) as usize).min(whole))
        };
        let ((left, right), (top, bottom)) = (range(part.x, self.width), range(part.y, self.height));
        let (width, height) = (right - left, bottom - top);
        let luma: Vec<u8> = (top..bottom)
            .flat_map(|y| (left..right).map(move |x| (x, y)))
            .map(|(x, y)| {
                let [b, g, r] = [0, 1, 2].map(|channel| u32::from(self.pixels[(y * self.width + x) * 4 + channel]));
                255 - ((2 * r + 5 * g + b) / 8) as u8
            })
            .collect();
        let place = |x: u32, y: u32| {
            let enlarged = ENLARGED as u32;
            ((x / enlarged) as i16 + left as i16, (y / enlarged) as i16 + top as i16)
        };
        tesseract(&enlarge(&luma, width, height)).lines().filter_map(|line| word(line, place)).collect()
    }

    /// The share of its pixels for whose red, green and blue this holds.
    pub fn share(&self, holds: impl Fn([u8; 3]) -> bool) -> f32 {
        let fit = self.pixels.chunks_exact(4).filter(|p| holds([p[2], p[1], p[0]])).count();
        fit as f32 / (self.width * self.height) as f32
    }

    pub fn save(&self, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let rgb: Vec<u8> = self.pixels.chunks_exact(4).flat_map(|p| [p[2], p[1], p[0]]).collect();
        let mut encoder = png::Encoder::new(std::fs::File::create(path)?, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header()?.write_image_data(&rgb)?;
        Ok(())
    }
}

/// Where a phrase stands: the middle of each place.
pub fn find(words: &[Word], phrase: &str) -> Vec<(i16, i16)> {
    let wanted = letters(phrase);
    // Two words may be read as one, and one as two.
    let most = phrase.split_whitespace().count() + 1;
    let says = |row: &&[Word]| {
        let read: String = row.iter().map(|word| letters(&word.text)).collect();
        row.iter().all(|word| word.line == row[0].line) && alike(&read, &wanted)
    };
    let middle = |row: &[Word]| ((row[0].at.0 + row[row.len() - 1].at.0) / 2, row[0].at.1);
    let found = |first: usize| {
        let mut rows = (1..=most).filter_map(|count| words.get(first..first + count));
        rows.find(says).map(middle)
    };
    // What is no word, such as a picture beside it, does not belong to it.
    (0..words.len()).filter(|first| !letters(&words[*first].text).is_empty()).filter_map(found).collect()
}

fn letters(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn alike(read: &str, wanted: &str) -> bool {
    let slips = read.chars().zip(wanted.chars()).filter(|(a, b)| a != b).count();
    read.chars().count() == wanted.chars().count() && slips <= wanted.len() / LETTERS_A_SLIP
}

/// One of Tesseract's lines: level, page, block, paragraph, line, word, left, top, width, height, confidence, text.
fn word(line: &str, place: impl Fn(u32, u32) -> (i16, i16)) -> Option<Word> {
    let fields: Vec<&str> = line.split('\t').collect();
    let number = |field: usize| fields.get(field)?.parse::<u32>().ok();
    let text = fields.get(11).filter(|text| number(0) == Some(5) && !text.trim().is_empty())?;
    let at = place(number(6)? + number(8)? / 2, number(7)? + number(9)? / 2);
    Some(Word { text: (*text).to_owned(), at, line: [number(2)?, number(3)?, number(4)?] })
}

fn tesseract(image: &[u8]) -> String {
    let mut child = Command::new("tesseract")
        .args(["stdin", "stdout", "--psm", "11", "-l", "eng", "tsv"])
        .env("OMP_THREAD_LIMIT", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(image).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "tesseract failed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// As a PGM file, bilinearly.
fn enlarge(luma: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut file = format!("P5\n{} {}\n255\n", width * ENLARGED, height * ENLARGED).into_bytes();
    let at = |x: usize, y: usize| luma[y.min(height - 1) * width + x.min(width - 1)] as usize;
    let whole = ENLARGED * ENLARGED;
    for y in 0..height * ENLARGED {
        for x in 0..width * ENLARGED {
            let (x0, y0, sx, sy) = (x / ENLARGED, y / ENLARGED, x % ENLARGED, y % ENLARGED);
            let upper = at(x0, y0) * (ENLARGED - sx) + at(x0 + 1, y0) * sx;
            let lower = at(x0, y0 + 1) * (ENLARGED - sx) + at(x0 + 1, y0 + 1) * sx;
            file.push(((upper * (ENLARGED - sy) + lower * sy) / whole) as u8);
        }
    }
    file
}

#[test]
fn a_phrase_is_found_in_its_line() {
    let word = |text: &str, x, line| Word { text: text.to_owned(), at: (x, line as i16 * 20), line: [1, 1, line] };
    let words = [word("Lock", 10, 1), word("the", 30, 1), word("raom,", 50, 1), word("Lock", 10, 2), word("it", 20, 2)];
    assert_eq!(find(&words, "open the door"), []);
    assert_eq!(find(&words, "Lock the"), [(20, 20)]);
    assert_eq!(find(&words, "Lock"), [(10, 20), (10, 40)]);
    assert_eq!(find(&[word("Messaqes", 7, 3)], "messages"), [(7, 60)]);
    assert_eq!(find(&[word("|", 0, 4), word("Raise", 20, 4), word("hand", 40, 4)], "Raise hand"), [(30, 80)]);
}
