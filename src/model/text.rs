//! Text that people wrote, made harmless to show beside other text.

/// Marks in a row that may stand on one letter: more are a prank.
const MAX_MARKS: usize = 3;
/// Of a name so much is told.
const NAME_MAX_CHARS: usize = 64;
/// Lines that may be left empty in a row.
const MAX_EMPTY_LINES: usize = 1;

/// One line of at most so many characters: nothing that changes the direction of what stands beside it, no towers of marks,
/// no end without end.
pub fn one_line(text: &str, most: usize) -> String {
    let mut clean = Clean::default();
    let spaced = text.chars().map(|character| if character.is_whitespace() { ' ' } else { character });
    let shown: String = spaced.filter(|character| clean.keeps(*character)).take(most).collect();
    shown.trim().to_owned()
}

/// The same, and an ellipsis where more was written.
pub fn excerpt(text: &str, most: usize) -> String {
    let whole = one_line(text, usize::MAX);
    if whole.chars().count() <= most {
        return whole;
    }
    let kept: String = whole.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// The same for a text of several lines.
pub fn several_lines(text: &str, most: usize) -> String {
    let mut clean = Clean::default();
    let mut empty = 0;
    let text = text.replace("\r\n", "\n").replace('\t', "    ");
    let lines = text.split('\n').filter_map(|line| {
        let shown: String = line.chars().filter(|character| clean.keeps(*character)).collect();
        let shown = shown.trim_end().to_owned();
        empty = if shown.is_empty() { empty + 1 } else { 0 };
        (empty <= MAX_EMPTY_LINES).then_some(shown)
    });
    let whole = lines.collect::<Vec<_>>().join("\n");
    whole.chars().take(most).collect::<String>().trim_matches('\n').to_owned()
}

/// Goes through a text, one character after the other.
#[derive(Default)]
struct Clean {
    marks: usize,
}

impl Clean {
    fn keeps(&mut self, character: char) -> bool {
        // The left-to-right mark turns nothing here: ours stand around names (`in_sentence`).
        let directs = matches!(character, '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        self.marks = if is_mark(character) { self.marks + 1 } else { 0 };
        // Emoji in one colour: no font we bring has skin tones, and a box in their place says less than nothing.
        let tints = matches!(character, '\u{1f3fb}'..='\u{1f3ff}' | '\u{fe0f}');
        !character.is_control() && !directs && !tints && self.marks <= MAX_MARKS
    }
}

/// The blocks of combining marks (Unicode 16, "Combining Diacritical Marks" and its four extensions).
fn is_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Whether letters of a text depend on their neighbours, or run from right to left: it is to be shaped, not only set.
pub fn needs_shaping(text: &str) -> bool {
    text.chars().any(|character| {
        matches!(character, '\u{590}'..='\u{8ff}' | '\u{900}'..='\u{dff}' | '\u{e00}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
            | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
    })
}

/// A name as it stands in a sentence that runs from left to right: in one line, not without end, and where it runs from right
/// to left it does not turn the sentence around (left-to-right marks, Unicode Standard Annex 9 section 2.6).
pub fn in_sentence(name: &str) -> String {
    let name = one_line(name, NAME_MAX_CHARS);
    if needs_shaping(&name) { format!("\u{200e}{name}\u{200e}") } else { name }
}

/// Whether a text calls somebody by name: `@Ada`, at a word's end, whatever the case.
pub fn mentions(text: &str, name: &str) -> bool {
    let name = name.trim().to_lowercase();
    if name.is_empty() {
        return false;
    }
    let text = text.to_lowercase();
    text.match_indices('@').any(|(at, sign)| {
        let rest = &text[at + sign.len()..];
        let after = rest.strip_prefix(name.as_str());
        after.is_some_and(|after| !after.chars().next().is_some_and(char::is_alphanumeric))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_disturb_is_left_out() {
        assert_eq!(one_line("  Ada\u{202e}\0 the\n1st ", 64), "Ada the 1st");
        assert_eq!(one_line(&format!("Z{}", "\u{301}".repeat(50)), 64).chars().count(), 1 + MAX_MARKS);
        assert_eq!(one_line(&"x".repeat(1_000_000), 64).len(), 64);
        assert_eq!(one_line("日本語 مرحبا", 64), "日本語 مرحبا");
        assert_eq!(one_line("\u{1f44d}\u{1f3fd} \u{2764}\u{fe0f}", 64), "\u{1f44d} \u{2764}");
        assert_eq!((excerpt("日本語 مرحبا", 9).as_str(), excerpt("four four", 5).as_str()), ("日本語 مرحبا", "four…"));
        assert_eq!((excerpt("one\n two ", 5).as_str(), excerpt("123456", 5).as_str()), ("one…", "1234…"));
        assert_eq!(several_lines("one\r\n\ttwo  \n\n\n\n\nthree\n\n\u{2066}", 100), "one\n    two\n\nthree");
        assert_eq!(several_lines(&"a\n".repeat(10_000), 50).len(), 49);
        assert_eq!(several_lines("\u{7}\u{1b}[31mred", 50), "[31mred");
    }

    #[test]
    fn people_are_called_by_name() {
        for (text, name, called) in [
            ("hello @Ada!", "Ada", true),
            ("@ADA lovelace", "Ada Lovelace", true),
            ("@adam", "Ada", false),
            ("ada", "Ada", false),
            ("mail@example.org @王", "王", true),
            ("@", "", false),
        ] {
            assert_eq!(mentions(text, name), called, "{text} {name}");
        }
        assert!(needs_shaping("שלום") && needs_shaping("a नमस्ते") && !needs_shaping("grüße 你好 👏"));
    }
}
