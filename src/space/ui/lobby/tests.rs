//! What the lobby takes for a way into a room, and what it says of the rest.

use super::page::sentence;
use super::state::{Field, Lobby, LobbyTrouble, Pass, RecentRoom, Secret, Target, Way, WayIn};
use crate::model::{CallError, ErrorCode, RoomId};
use crate::space::words::Language;

fn named() -> Lobby {
    Lobby { name: " Ann ".into(), camera_on: true, ..Lobby::default() }
}

fn joining(link: &str) -> Lobby {
    Lobby { way: Way::Join, link: link.into(), ..named() }
}

#[test]
fn what_is_missing_is_said_at_its_field() {
    assert_eq!(Lobby::default().wish(), Err(LobbyTrouble::NameMissing));
    assert_eq!(Lobby { name: "n".repeat(256), ..named() }.wish(), Err(LobbyTrouble::NameTooLong));
    for room in ["", "two words", "100%", "\u{202e}x", &"r".repeat(129)] {
        assert_eq!(Lobby { room: room.into(), ..named() }.wish(), Err(LobbyTrouble::RoomWrong), "{room:?}");
    }
    assert_eq!(joining("  ").wish(), Err(LobbyTrouble::LinkMissing));
    let long = format!("http://x/join/r?code={}", "c".repeat(4000));
    for link in ["hello", "ftp://host/x", "javascript:alert(1)", "http://", "\0", &long] {
        assert_eq!(joining(link).wish(), Err(LobbyTrouble::LinkWrong), "{link:.30}");
    }
    assert_eq!(joining("wss://host").wish(), Err(LobbyTrouble::TokenMissing));
    let half = Lobby { with_keys: true, api_key: "key".into(), room: "r".into(), ..joining("wss://host") };
    assert_eq!(half.wish(), Err(LobbyTrouble::KeysMissing));
    let fields = [
        (LobbyTrouble::NameMissing, Field::Name),
        (LobbyTrouble::RoomWrong, Field::Room),
        (LobbyTrouble::LinkWrong, Field::Link),
        (LobbyTrouble::KeysMissing, Field::Pass),
        (LobbyTrouble::CannotOpen("x".into()), Field::Whole),
        (LobbyTrouble::Call(CallError::new(ErrorCode::ConnectFailed, "x")), Field::Link),
        (LobbyTrouble::Call(CallError::new(ErrorCode::TokenExpired, "x")), Field::Pass),
        (LobbyTrouble::Call(CallError::new(ErrorCode::RoomLocked, "x")), Field::Whole),
    ];
    for (trouble, field) in fields {
        assert_eq!(trouble.field(Way::Join), field, "{trouble:?}");
        for language in Language::ALL {
            assert!(!sentence(language.words(), &trouble).is_empty());
        }
    }
}

#[test]
fn what_is_wrong_is_said_where_it_can_be_seen() {
    let keys = Lobby { with_keys: true, ..joining("wss://host") };
    assert_eq!(keys.place_of(&LobbyTrouble::RoomWrong), Field::Room);
    assert_eq!(joining("wss://host").place_of(&LobbyTrouble::RoomWrong), Field::Whole, "the token names it");
    let expired = LobbyTrouble::Call(CallError::new(ErrorCode::TokenExpired, "x"));
    assert_eq!(joining("wss://host").place_of(&expired), Field::Pass);
    assert_eq!(joining("http://host/join/r?code=c").place_of(&expired), Field::Whole, "a link has no such field");
}

#[test]
fn addresses_lead_to_links_and_servers() {
    let link = "http://192.168.1.5:7880/join/team?code=abc";
    assert_eq!(Target::of(&format!(" {link}\n")), Some(Target::Link(link.into())));
    for (address, server) in [
        ("wss://rooms.example.org", "wss://rooms.example.org"),
        ("ws://127.0.0.1:7880/", "ws://127.0.0.1:7880"),
        ("https://rooms.example.org", "wss://rooms.example.org"),
        ("http://localhost:7880/", "ws://localhost:7880"),
    ] {
        assert_eq!(Target::of(address), Some(Target::Server(server.into())));
    }
}

#[test]
fn what_is_written_leads_there() {
    let open = Lobby { room: "team".into(), ..named() }.wish().unwrap();
    assert_eq!((open.name.as_str(), open.camera_on, open.microphone_on), ("Ann", true, false));
    assert_eq!(open.way, WayIn::Open(RoomId::new("team").unwrap()));
    let lobby = Lobby { token: Secret(" a.b.c ".into()), ..joining("wss://host") };
    let pass = Pass::Token(Secret("a.b.c".into()));
    assert_eq!(lobby.wish().unwrap().way, WayIn::Server { url: "wss://host".into(), room: None, pass });
    assert!(!format!("{lobby:?} {:?}", lobby.wish()).contains("a.b.c"), "secrets are not printed");
}

#[test]
fn rooms_are_remembered_newest_first_and_come_back() {
    let mut lobby = named();
    let room = |n: usize| RecentRoom { room: format!("r{n}"), link: String::new() };
    (0..9).for_each(|n| lobby.remember(room(n)));
    lobby.remember(room(5));
    let rooms: Vec<&str> = lobby.recent.iter().map(|room| room.room.as_str()).collect();
    assert_eq!(rooms, ["r5", "r8", "r7", "r6", "r4", "r3"]);
    lobby.recall(&RecentRoom { room: "team".into(), link: "http://h/join/team?code=x".into() });
    assert_eq!((lobby.way, lobby.room.as_str()), (Way::Join, "team"));
    assert!(matches!(lobby.wish().unwrap().way, WayIn::Link(_)));
    lobby.recall(&room(1));
    assert_eq!(lobby.wish().unwrap().way, WayIn::Open(RoomId::new("r1").unwrap()));
}
