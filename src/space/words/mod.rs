//! What the room says to people, in each language. A struct of texts for each part of the screen and a value of it for
//! each language: a text that is missing in one of them does not compile. Plain data.

mod bar;
mod beauty;
mod chat;
mod lobby;
mod notices;
mod people;
mod settings;
mod share;
mod statistics;
mod wall;

use bevy::prelude::*;

pub use bar::BarWords;
pub use beauty::BeautyWords;
pub use chat::ChatWords;
pub use lobby::LobbyWords;
pub use notices::NoticeWords;
pub use people::PeopleWords;
pub use settings::SettingsWords;
pub use share::ShareWords;
pub use statistics::{ReasonWords, StatisticsWords, WantWords};
pub use wall::WallWords;

/// The language of the overlay; it may change at any time.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Chinese, in simplified characters.
    Chinese,
}

/// All texts of one language.
#[derive(Debug)]
pub struct Words {
    /// The bar and what stands beside it.
    pub bar: BarWords,
    /// How one looks to the others.
    pub beauty: BeautyWords,
    /// The messages and the signs.
    pub chat: ChatWords,
    /// Before a room.
    pub lobby: LobbyWords,
    /// What is told for a few seconds.
    pub notices: NoticeWords,
    /// The list of people.
    pub people: PeopleWords,
    /// Devices, language and comfort.
    pub settings: SettingsWords,
    /// What can be shared.
    pub share: ShareWords,
    /// How the connection does.
    pub statistics: StatisticsWords,
    /// Before a picture on the wall.
    pub wall: WallWords,
}

static ENGLISH: Words = Words {
    bar: bar::ENGLISH,
    beauty: beauty::ENGLISH,
    chat: chat::ENGLISH,
    lobby: lobby::ENGLISH,
    notices: notices::ENGLISH,
    people: people::ENGLISH,
    settings: settings::ENGLISH,
    share: share::ENGLISH,
    statistics: statistics::ENGLISH,
    wall: wall::ENGLISH,
};
static CHINESE: Words = Words {
    bar: bar::CHINESE,
    beauty: beauty::CHINESE,
    chat: chat::CHINESE,
    lobby: lobby::CHINESE,
    notices: notices::CHINESE,
    people: people::CHINESE,
    settings: settings::CHINESE,
    share: share::CHINESE,
    statistics: statistics::CHINESE,
    wall: wall::CHINESE,
};

impl Language {
    /// Every one, as it is offered.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// What it says.
    pub fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Chinese => &CHINESE,
        }
    }

    /// What it calls itself.
    pub const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Chinese => "中文",
        }
    }

    /// Its tag (RFC 5646), as it stands in settings.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }

    /// The language of a tag or of a locale's name, such as `zh-Hans` or `zh_CN.UTF-8`.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let first = tag.split(['-', '_', '.']).next()?;
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(first))
    }

    /// What this system's user reads, as far as it is known here.
    pub fn of_this_user() -> Self {
        // In the order in which POSIX programs look.
        let named = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().filter_map(|name| std::env::var(name).ok());
        named.filter(|value| !value.is_empty()).find_map(|value| Self::of_tag(&value)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locales_name_their_language() {
        assert_eq!(Language::of_tag("zh_CN.UTF-8"), Some(Language::Chinese));
        assert_eq!(Language::of_tag("ZH-Hant"), Some(Language::Chinese));
        assert_eq!(Language::of_tag("en"), Some(Language::English));
        assert!(["C", "", "de_DE", "zhongwen"].iter().all(|tag| Language::of_tag(tag).is_none()));
        for language in Language::ALL {
            assert_eq!(Language::of_tag(language.tag()), Some(language));
        }
    }
}
