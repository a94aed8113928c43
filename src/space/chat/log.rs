//! The messages of a call, in the order they came, and what is being written. Plain data.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use bevy::prelude::*;

use crate::model::{CallError, UserId, text};

/// Lines kept; the oldest go first.
const KEPT: usize = 2000;
/// People who come or go within this are told in one line.
const FOLDED: Duration = Duration::from_secs(15);
/// Of those so many are named.
const NAMED: usize = 3;
/// Characters of a message that are shown: more than the longest has.
const MOST_CHARS: usize = 2048;

/// Whose words a line has.
#[derive(Clone, Debug, PartialEq)]
pub enum Voice {
    /// This client's.
    Me,
    /// Somebody else's.
    Other {
        /// Who.
        user: UserId,
        /// Their name then.
        name: String,
        /// Their colour.
        colour: LinearRgba,
    },
    /// Nobody's: something happened.
    Room(Happened),
}

/// What is told among the messages, in the reader's language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// These came in, and so many more.
    Came(Vec<String>, usize),
    /// These left, and so many more.
    Left(Vec<String>, usize),
    /// This one asks everyone to look at the wall.
    AsksToLook(String),
}

/// A message, or what happened.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatLine {
    /// Whose.
    pub voice: Voice,
    /// What, harmless to show; empty where something happened.
    pub text: String,
    /// When it came, counted from the start of the program.
    pub at: Duration,
    /// And by this computer's clock.
    pub came: SystemTime,
    /// It calls this client's user by name.
    pub mentions_me: bool,
}

/// What was written since this client joined, and what is being written.
#[derive(Resource, Debug, Default)]
pub struct ChatLog {
    lines: VecDeque<ChatLine>,
    /// How many lines were let go: keys of lines stay the same.
    gone: u64,
    unread: usize,
    mentioned: bool,
    /// When the last line began, where it tells who came or went and may tell of more.
    moving_since: Option<Duration>,
    /// What is being written. What could not be sent comes back here.
    pub draft: String,
    /// Why the last message was not sent.
    pub trouble: Option<CallError>,
    /// What came back and stands at the beginning of the draft.
    returned: String,
}

impl ChatLog {
    /// The lines with their numbers, the oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = (u64, &ChatLine)> + ExactSizeIterator {
        let gone = self.gone;
        self.lines.iter().enumerate().map(move |(at, line)| (gone + at as u64, line))
    }

    /// Messages of others that nobody has looked at.
    pub fn unread(&self) -> usize {
        self.unread
    }

    /// One of the unread ones calls this client's user by name.
    pub fn is_mentioned(&self) -> bool {
        self.mentioned
    }

    /// They are looked at.
    pub fn mark_read(&mut self) {
        (self.unread, self.mentioned) = (0, false);
    }

    /// Somebody else wrote.
    pub(super) fn hear(&mut self, voice: Voice, text: &str, at: Duration, my_name: &str) {
        let mentions_me = text::mentions(text, my_name);
        self.unread += 1;
        self.mentioned |= mentions_me;
        self.put(voice, text::several_lines(text, MOST_CHARS), at, mentions_me);
    }

    /// An own message went out.
    pub(super) fn sent(&mut self, text: &str, at: Duration) {
        self.trouble = None;
        let text = text::several_lines(text, MOST_CHARS);
        self.put(Voice::Me, text, at, false);
    }

    /// An own message did not: it is to be written again, after those that came back before it, and before what is being
    /// written now.
    pub(super) fn refused(&mut self, text: &str, why: CallError) {
        self.trouble = Some(why);
        let written = match self.draft.strip_prefix(self.returned.as_str()) {
            Some(written) => written.trim_start_matches('\n').to_owned(),
            None => {
                self.returned.clear();
                self.draft.clone()
            }
        };
        let joined =
            |a: &str, b: &str| if a.is_empty() || b.is_empty() { format!("{a}{b}") } else { format!("{a}\n{b}") };
        self.returned = joined(&self.returned, text);
        self.draft = joined(&self.returned, &written);
    }

    /// Takes what was written, to be sent.
    pub fn take_draft(&mut self) -> String {
        self.returned.clear();
        std::mem::take(&mut self.draft).trim().to_owned()
    }

    /// Somebody came or went; many within a short time share a line.
    pub(super) fn moved(&mut self, came: bool, name: &str, at: Duration) {
        let name = text::in_sentence(name);
        let since = self.moving_since.filter(|since| at.saturating_sub(*since) < FOLDED);
        let last = self.lines.back_mut().filter(|_| since.is_some()).map(|line| &mut line.voice);
        if let (Some(Voice::Room(Happened::Came(names, more))), true)
        | (Some(Voice::Room(Happened::Left(names, more))), false) = (last, came)
        {
            if names.len() < NAMED {
                names.push(name)
            } else {
                *more += 1
            }
            return;
        }
        let happened = if came { Happened::Came(vec![name], 0) } else { Happened::Left(vec![name], 0) };
        self.put(Voice::Room(happened), String::new(), at, false);
        self.moving_since = Some(at);
    }

    /// Something happened that concerns everyone; the same again is said once in a while only. Whether it was.
    pub(super) fn note(&mut self, happened: Happened, at: Duration) -> bool {
        let voice = Voice::Room(happened);
        let said = |line: &ChatLine| line.voice == voice && at.saturating_sub(line.at) < FOLDED;
        if self.lines.iter().rev().take(8).any(said) {
            return false;
        }
        self.put(voice, String::new(), at, false);
        true
    }

    /// Another room: nothing of the last one is shown there. What was being written stays.
    pub(super) fn begin(&mut self) {
        let (draft, trouble) = (std::mem::take(&mut self.draft), self.trouble.take());
        let gone = self.gone + self.lines.len() as u64;
        *self = Self { draft, trouble, gone, ..Self::default() };
    }

    fn put(&mut self, voice: Voice, text: String, at: Duration, mentions_me: bool) {
        self.moving_since = None;
        if self.lines.len() == KEPT {
            self.lines.pop_front();
            self.gone += 1;
        }
        self.lines.push_back(ChatLine { voice, text, at, came: SystemTime::now(), mentions_me });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ErrorCode;

    fn other() -> Voice {
        Voice::Other { user: UserId::new("ben").unwrap(), name: "Ben".into(), colour: LinearRgba::WHITE }
    }

    fn texts(log: &ChatLog) -> Vec<&str> {
        log.lines().map(|(_, line)| line.text.as_str()).collect()
    }

    fn too_fast() -> CallError {
        CallError::new(ErrorCode::MessageTooFast, "too fast")
    }

    #[test]
    fn messages_are_counted_until_they_are_read() {
        let mut log = ChatLog::default();
        log.hear(other(), "hello", Duration::ZERO, "Ada");
        assert_eq!((log.unread(), log.is_mentioned()), (1, false));
        log.hear(other(), "and you, @ada?\u{202e}", Duration::ZERO, "Ada");
        assert_eq!((log.unread(), log.is_mentioned()), (2, true));
        log.sent("yes", Duration::ZERO);
        assert_eq!(log.unread(), 2, "own ones are read");
        log.mark_read();
        assert_eq!((log.unread(), log.is_mentioned()), (0, false));
        assert_eq!(texts(&log), ["hello", "and you, @ada?", "yes"]);
    }

    #[test]
    fn what_is_not_sent_comes_back_and_is_not_lost_whatever_was_written_since() {
        let mut log = ChatLog::default();
        log.refused("first", too_fast());
        assert_eq!((log.draft.as_str(), log.trouble.clone()), ("first", Some(too_fast())));
        log.draft += "\nbeing written";
        log.refused("second", too_fast());
        log.refused("third", too_fast());
        assert_eq!(log.draft, "first\nsecond\nthird\nbeing written");
        assert_eq!(log.take_draft(), "first\nsecond\nthird\nbeing written");
        log.draft = "new".into();
        log.refused("old", too_fast());
        assert_eq!(log.draft, "old\nnew");
        log.sent("first", Duration::ZERO);
        assert!(log.trouble.is_none());
    }

    #[test]
    fn many_who_come_share_a_line() {
        let mut log = ChatLog::default();
        let secs = Duration::from_secs;
        for n in 0..30 {
            log.moved(true, &format!("P{n}"), secs(n / 10));
        }
        let one = |name: &str| vec![name.to_owned()];
        let happened = |log: &ChatLog| -> Vec<Voice> { log.lines().map(|(_, line)| line.voice.clone()).collect() };
        let names = ["P0", "P1", "P2"].map(str::to_owned).to_vec();
        assert_eq!(happened(&log), [Voice::Room(Happened::Came(names, 27))]);
        log.moved(false, "P3", secs(4));
        log.hear(other(), "bye", secs(5), "");
        log.moved(false, "P4", secs(6));
        log.moved(false, "P5", secs(40));
        let left = |name| Voice::Room(Happened::Left(one(name), 0));
        assert_eq!(happened(&log)[1..], [left("P3"), other(), left("P4"), left("P5")]);
    }

    #[test]
    fn ten_thousand_messages_leave_the_newest() {
        let mut log = ChatLog::default();
        for n in 0..10_000 {
            log.hear(other(), &n.to_string(), Duration::ZERO, "");
        }
        assert_eq!(log.lines().len(), KEPT);
        assert_eq!(log.lines().next().map(|(key, line)| (key, line.text.as_str())), Some((8000, "8000")));
        log.draft = "half a".into();
        log.begin();
        assert_eq!((log.lines().len(), log.unread(), log.draft.as_str()), (0, 0, "half a"));
    }
}
