//! Short signs that people give without words. They travel as data packets under
//! [`TOPIC_REACTION`](crate::model::topic::TOPIC_REACTION).

/// A sign that is given once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reaction {
    /// Clapping hands.
    Applause,
    /// A heart.
    Heart,
    /// Laughter.
    Laugh,
    /// Astonishment.
    Wow,
    /// A thumb up.
    ThumbUp,
    /// Look at the wall.
    LookHere,
}

impl Reaction {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Applause, Self::Heart, Self::Laugh, Self::Wow, Self::ThumbUp, Self::LookHere];

    /// The word it travels as.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Applause => "applause",
            Self::Heart => "heart",
            Self::Laugh => "laugh",
            Self::Wow => "wow",
            Self::ThumbUp => "thumb_up",
            Self::LookHere => "look_here",
        }
    }

    /// What a packet says; `None` for a sign that is not known.
    pub fn read(payload: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|reaction| reaction.word().as_bytes() == payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_understood_and_nothing_else() {
        for reaction in Reaction::ALL {
            assert_eq!(Reaction::read(reaction.word().as_bytes()), Some(reaction));
        }
        assert_eq!(Reaction::read(b""), None);
        assert_eq!(Reaction::read(&[255; 10_000]), None);
    }
}
