//! The code in an invitation's link: 80 bits, which nobody guesses, as 16 digits and letters that can be read out aloud. In
//! a link that a host had made anew, when that was follows behind a dash.

use std::fmt;

/// Bytes that nobody guesses.
pub const LINK_CODE_BYTES: usize = 10;
/// Five bits each.
const CHARS: usize = LINK_CODE_BYTES * 8 / 5;
/// Crockford's base32: no letters that look like digits.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// What lets its bearer into a room. It prints nothing of itself but where it is asked for as a text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LinkCode {
    /// When a host had the room's links made anew, in unix seconds; 0 for its first one.
    pub made_secs: u32,
    /// What only the server can make.
    pub mark: [u8; LINK_CODE_BYTES],
}

impl LinkCode {
    /// Reads a text, in capitals or not.
    pub fn read(text: &str) -> Option<Self> {
        let (mark, made_secs) = match text.split_once('-') {
            Some((mark, made)) => (mark, made.parse().ok().filter(|made| *made > 0)?),
            None => (text, 0),
        };
        if mark.len() != CHARS {
            return None;
        }
        let mut bits = 0_u128;
        for byte in mark.bytes() {
            let value = DIGITS.iter().position(|digit| *digit == byte.to_ascii_lowercase())?;
            bits = bits << 5 | value as u128;
        }
        let mark = bits.to_be_bytes()[size_of::<u128>() - LINK_CODE_BYTES..].try_into().ok()?;
        Some(Self { made_secs, mark })
    }
}

impl fmt::Display for LinkCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.mark.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        let digit = |place| char::from(DIGITS[(bits >> (5 * place)) as usize & 31]);
        f.write_str(&(0..CHARS).rev().map(digit).collect::<String>())?;
        if self.made_secs > 0 { write!(f, "-{}", self.made_secs) } else { Ok(()) }
    }
}

impl fmt::Debug for LinkCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkCode").field("made_secs", &self.made_secs).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_they_are_written() {
        for n in 0..64_u8 {
            let mark = std::array::from_fn(|at| n.wrapping_mul(37).wrapping_add((at * 91) as u8));
            let code = LinkCode { made_secs: u32::from(n / 8), mark };
            let text = code.to_string();
            assert_eq!((LinkCode::read(&text), text.contains('-')), (Some(code), n >= 8));
            assert_eq!(LinkCode::read(&text.to_uppercase()), Some(code), "read out aloud");
            assert!(!format!("{code:?}").contains(&text[..CHARS]), "a secret");
            // Every bit counts.
            for at in 0..CHARS {
                let mut other = text.clone().into_bytes();
                other[at] = if other[at] == b'0' { b'1' } else { b'0' };
                assert_ne!(LinkCode::read(std::str::from_utf8(&other).unwrap()), Some(code), "{at}");
            }
        }
        let text = LinkCode { made_secs: 0, mark: [7; LINK_CODE_BYTES] }.to_string();
        let odd = ["-", "-0", "-x", "-1-1", "--1", "-99999999999"].map(|end| format!("{text}{end}"));
        for wrong in ["", "0", "é", "-1", &text[1..], "uuuuuuuuuuuuuuuu", "ééééé012345"] {
            assert_eq!(LinkCode::read(wrong), None, "{wrong:?}");
        }
        assert!(odd.iter().all(|wrong| LinkCode::read(wrong).is_none()), "{odd:?}");
    }
}
