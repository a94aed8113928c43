//! What the lobby takes for a way into a room, what it says of the rest, and its page without a window.

use bevy_egui::egui::{self, Event, Key, Modifiers, PointerButton, Pos2, Rect, Shape};

use super::page::{self, Wish, sentence};
use super::state::{Field, Lobby, LobbyTrouble, Pass, RecentRoom, Secret, Target, Way, WayIn};
use crate::media::capture::Devices;
use crate::model::{Beauty, CallError, ErrorCode, RoomId};
use crate::space::devices::{DeviceChoice, DeviceLists};
use crate::space::settings::Comfort;
use crate::space::ui::devices::Checks;
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

#[test]
fn a_room_is_remembered_once_whatever_led_there_before() {
    let room = |room: &str, link: &str| RecentRoom { room: room.into(), link: link.into() };
    let mut lobby = named();
    let dead = room("team", "http://192.0.2.7:7880/join/team?code=dead");
    let others = [
        room("team", ""),
        room("team", "http://192.0.2.7:7881/join/team?code=x"),
        room("team", "http://192.0.2.8:7880/join/team?code=x"),
        room("hall", "http://192.0.2.7:7880/join/hall?code=x"),
        room("", "http://192.0.2.7:7880/a"),
    ];
    lobby.remember(dead);
    others.iter().cloned().for_each(|other| lobby.remember(other));
    let fresh = room("team", "http://192.0.2.7:7880/join/team?code=fresh");
    lobby.remember(fresh.clone());
    let mut expected: Vec<RecentRoom> = others.into_iter().rev().collect();
    expected.insert(0, fresh);
    assert_eq!(lobby.recent, expected);
    lobby.remember(room("team", "ws://192.0.2.7:7880"));
    assert_eq!(lobby.recent[1..], expected[1..], "another way to the same room");
    lobby.remember(room("", "http://192.0.2.7:7880/b"));
    assert_eq!(lobby.recent.iter().filter(|room| room.room.is_empty()).count(), 2, "nobody knows what these are");
}

#[test]
fn a_token_does_not_lead_into_another_room_than_the_one_that_was_clicked() {
    let [hall, team] = ["hall", "team"].map(|room| RecentRoom { room: room.into(), link: "wss://host".into() });
    let mut lobby = Lobby { token: Secret("a.b.c".into()), ..joining("wss://host") };
    lobby.recent = vec![hall.clone(), team.clone()];
    lobby.recall(&hall);
    assert!(lobby.wish().is_ok(), "the one it was entered by");
    lobby.recall(&team);
    assert_eq!(lobby.wish(), Err(LobbyTrouble::TokenMissing));
}

#[test]
fn what_was_said_goes_with_what_it_was_about() {
    let before = Lobby { token: Secret("t".into()), room: "r".into(), ..joining("wss://host") };
    let name = Lobby { name: "Ben".into(), ..before.clone() };
    let room = Lobby { room: "s".into(), ..before.clone() };
    let link = Lobby { link: "wss://other".into(), ..before.clone() };
    let token = Lobby { token: Secret("u".into()), ..before.clone() };
    let secret = Lobby { api_secret: Secret("u".into()), ..before.clone() };
    let keys = Lobby { with_keys: true, ..before.clone() };
    let way = Lobby { way: Way::Open, ..before.clone() };
    let nothing = Lobby { camera_on: false, ..before.clone() };
    let all = [&name, &room, &link, &token, &secret, &keys, &way, &nothing];
    let call = LobbyTrouble::Call(CallError::new(ErrorCode::ConnectFailed, "x"));
    // One mark for each of the changes above: whether the complaint goes.
    for (trouble, goes) in [
        (LobbyTrouble::NameMissing, [true, false, false, false, false, false, true, false]),
        (LobbyTrouble::NameTooLong, [true, false, false, false, false, false, true, false]),
        (LobbyTrouble::RoomWrong, [false, true, true, false, false, true, true, false]),
        (LobbyTrouble::LinkMissing, [false, false, true, false, false, false, true, false]),
        (LobbyTrouble::LinkWrong, [false, false, true, false, false, false, true, false]),
        (LobbyTrouble::TokenMissing, [false, false, true, true, true, true, true, false]),
        (LobbyTrouble::KeysMissing, [false, false, true, true, true, true, true, false]),
        (LobbyTrouble::CannotOpen("x".into()), [true, true, true, true, true, true, true, false]),
        (call, [true, true, true, true, true, true, true, false]),
    ] {
        let gone = all.map(|after| {
            let mut after = Lobby { trouble: Some(trouble.clone()), ..after.clone() };
            after.take_back(&before);
            after.trouble.is_none()
        });
        assert_eq!(gone, goes, "{trouble:?}");
    }
}

/// The page, in English.
struct Page {
    ctx: egui::Context,
    lobby: Lobby,
    from_devices: bool,
    pane_open: bool,
    footing: page::Footing,
}

impl Page {
    fn new(lobby: Lobby) -> Self {
        let (ctx, footing) = (egui::Context::default(), page::Footing::default());
        let mut page = Self { ctx, lobby, from_devices: true, pane_open: false, footing };
        page.settle();
        page
    }

    /// Until everything has its place.
    fn settle(&mut self) {
        (0..4).for_each(|_| drop(self.frame(vec![])));
    }

    /// What was pressed in the next frame, and its texts with their middles.
    fn frame(&mut self, events: Vec<Event>) -> (Option<Wish>, Vec<(String, Pos2)>) {
        let screen_rect = Some(Rect::from_min_size(Pos2::ZERO, egui::vec2(1280.0, 800.0)));
        let input = egui::RawInput { screen_rect, events, ..egui::RawInput::default() };
        let (lists, choice) = (DeviceLists::scripted(Devices::default()), DeviceChoice::default());
        let (mut checks, mut beauty, mut wish) = (Checks::default(), Beauty::default(), None);
        let Self { ctx, lobby, from_devices, pane_open, footing } = self;
        let mut output = ctx.run_ui(input, |ui| {
            let mut parts = page::Parts {
                words: Language::English.words(),
                lists: &lists,
                choice: &choice,
                mirror: None,
                checks: &mut checks,
                beauty: &mut beauty,
                comfort: Comfort::default(),
                from_devices: *from_devices,
                pane_open: *pane_open,
                greets: false,
                footing,
            };
            let wished = page::show(ui.ctx(), lobby, &mut parts);
            wish = wish.take().or(wished);
        });
        let shapes = std::mem::take(&mut output.shapes);
        output.drop_without_applying_deltas();
        let mut texts = Vec::new();
        shapes.iter().for_each(|clipped| collect(&clipped.shape, &mut texts));
        (wish, texts)
    }

    /// Clicks on what is written so, and answers what that was.
    fn click(&mut self, text: &str) -> Option<Wish> {
        self.settle();
        let (_, texts) = self.frame(vec![]);
        let found = texts.iter().find(|(written, _)| written == text);
        let pos = found.unwrap_or_else(|| panic!("{text:?} is not among {texts:?}")).1;
        let button = |pressed| {
            vec![Event::PointerButton { pos, button: PointerButton::Primary, pressed, modifiers: Modifiers::default() }]
        };
        self.frame(vec![Event::PointerMoved(pos)]);
        self.frame(button(true));
        self.frame(button(false)).0
    }

    fn escape(&mut self) -> Option<Wish> {
        let (key, modifiers) = (Key::Escape, Modifiers::NONE);
        self.frame(vec![Event::Key { key, physical_key: None, pressed: true, repeat: false, modifiers }]).0
    }

    /// How often this is written.
    fn count(&mut self, text: &str) -> usize {
        self.frame(vec![]).1.iter().filter(|(written, _)| written == text).count()
    }
}

fn collect(shape: &Shape, texts: &mut Vec<(String, Pos2)>) {
    match shape {
        Shape::Vec(shapes) => shapes.iter().for_each(|shape| collect(shape, texts)),
        Shape::Text(text) => texts.push((text.galley.text().to_owned(), text.pos + text.galley.size() * 0.5)),
        _ => {}
    }
}

#[test]
fn a_click_on_a_room_one_was_in_goes_in() {
    let link = "http://192.0.2.7:7880/join/team?code=x";
    let recent = vec![
        RecentRoom { room: "team".into(), link: link.into() },
        RecentRoom { room: "mine".into(), link: String::new() },
    ];
    let mut page = Page::new(Lobby { recent, ..named() });
    assert_eq!(page.click("team · 192.0.2.7:7880"), Some(Wish::Enter));
    assert_eq!(page.lobby.wish().unwrap().way, WayIn::Link(link.into()));
    assert_eq!(page.click("mine"), Some(Wish::Enter));
    assert_eq!(page.lobby.wish().unwrap().way, WayIn::Open(RoomId::new("mine").unwrap()));
    page.lobby.name.clear();
    assert_eq!(page.click("team · 192.0.2.7:7880"), Some(Wish::Enter));
    assert_eq!(page.lobby.wish(), Err(LobbyTrouble::NameMissing));
    // On the way elsewhere.
    page.lobby.entering = true;
    let before = page.lobby.clone();
    assert_eq!((page.click("mine"), page.lobby), (None, before));
}

#[test]
fn a_room_one_was_in_is_called_by_its_name_and_place() {
    let title = |room: &str, link: &str| RecentRoom { room: room.into(), link: link.into() }.title();
    assert_eq!(title("team", "http://192.0.2.7:7880/join/team?code=x"), "team · 192.0.2.7:7880");
    assert_eq!(title("", "wss://ann:secret@rooms.example.org/"), "rooms.example.org");
    assert_eq!(title("team", "wss://räume.example.org"), "team · xn--rume-loa.example.org");
    assert_eq!(title("mine", ""), "mine");
    assert_eq!(title("mine", "no address"), "mine");
}

#[test]
fn what_is_said_on_the_page_moves_nothing_above_it() {
    let mut page = Page::new(Lobby { way: Way::Join, link: "rooms.example.org".into(), ..named() });
    let places = |page: &mut Page| {
        page.settle();
        let (_, texts) = page.frame(vec![]);
        ["Rotunda", "Your name", "Join a room"].map(|title| {
            let found = texts.iter().find(|(text, _)| text == title);
            found.unwrap_or_else(|| panic!("{title:?} is not among {texts:?}")).1
        })
    };
    let before = places(&mut page);
    page.lobby.trouble = Some(LobbyTrouble::LinkWrong);
    assert_eq!(places(&mut page), before, "a complaint");
    page.lobby.trouble = None;
    page.lobby.entering = true;
    assert_eq!(places(&mut page), before, "on the way in");
    page.lobby.entering = false;
    assert_eq!(places(&mut page), before);
    // A page on which more is asked has a middle of its own.
    page.lobby.link = "wss://rooms.example.org".into();
    page.lobby.with_keys = true;
    assert_ne!(places(&mut page), before);
}

#[test]
fn escape_closes_the_pane_and_an_open_list_first() {
    let mut page = Page::new(named());
    assert_eq!(page.escape(), None, "nothing is open");
    page.pane_open = true;
    page.settle();
    assert_eq!(page.escape(), Some(Wish::ClosePane));
    assert_eq!(page.click("None found"), None);
    page.frame(vec![]);
    assert_eq!(page.escape(), None, "the list alone");
    page.frame(vec![]);
    assert_eq!(page.escape(), Some(Wish::ClosePane));
}

#[test]
fn what_is_generated_is_chosen_from_no_list() {
    let mut page = Page::new(named());
    assert_eq!((page.count("Generated"), page.count("None found")), (0, 3));
    page.from_devices = false;
    page.settle();
    assert_eq!((page.count("Generated"), page.count("None found")), (2, 1), "the loudspeaker is a device");
}
