//! A call between people at two windows and one at a browser, from the lobby to the end of the room, by keyboard and
//! mouse. What everybody sees is told by a guest without a window.

mod app;
mod reading;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use rotunda::bridge::{InvitationRequest, RoomCommand, RoomEvent};
use rotunda::model::{ATTRIBUTE_HAND, ErrorCode, Reaction, RoomState, RoomStateReason, UserId};
use serde_json::{Value, json};

use self::app::{AppWindow, PATIENCE, key};
use self::reading::{Part, Picture};
use crate::browser::one_at_a_time;
use crate::browser_driver::Browser;
use crate::engine::kit::{Bot, room, user};
use crate::engine_official::kit::TestServer;
use crate::screen::display::have;

/// The page of the browser.
const CARA: &str = "cara";
/// What closes a pane at the right, in pixels.
const CROSS: (i16, i16) = (919, 36);

/// The buttons of the question before leaving, from its title: white on colours is not read reliably. In pixels.
const LEAVE: (i16, i16) = (0, 73);
const STAY: (i16, i16) = (118, 73);

/// Everybody in the call.
struct Call {
    ann: AppWindow,
    ben: AppWindow,
    browser: Browser,
    guest: Bot,
    /// What one comes in by, where the server gives links.
    link: Option<String>,
    /// Who they are in the room.
    ids: Ids,
}

struct Ids {
    ann: UserId,
    ben: UserId,
    cara: UserId,
}

#[test]
#[ignore = "two minutes that need both cores: make test runs it after the others"]
fn people_at_two_windows_and_a_browser_hold_a_call() {
    hold(Call::begin, |call, step| {
        call.shut_the_door();
        step("the host shut the door and opened it");
        call.put_cara_out();
        call.hand_on_the_role();
        step("the host kept order");
        call.leave();
        call.ben.wait_reads("Your name", Part::WHOLE);
        assert!(call.ben.runs(), "leaving a room ends no program that has a lobby");
        call.ben.ask_to_close();
        assert!(call.ben.wait_end().success());
        step("one left");
        call.end();
        step("the room ended");
    });
}

#[test]
#[ignore = "two minutes that need both cores: make test runs it after the others"]
fn they_hold_it_on_the_official_server_as_well() {
    hold(Call::begin_on_the_official_server, |call, step| {
        call.put_cara_out();
        step("the host kept order");
        call.leave();
        assert!(call.ben.wait_end().success());
        call.ann.ask_to_close();
        wait_left(&mut call.guest, &call.ids.ann);
        assert!(call.ann.wait_end().success(), "nobody depends on Ann: she is not asked");
        step("they left");
    });
}

/// What is the same wherever a call is held, and what is not.
fn hold(begin: impl FnOnce(Browser) -> Option<Call>, end: impl FnOnce(&mut Call, &dyn Fn(&str))) {
    let _turn = one_at_a_time();
    if !have(&["Xvfb", "tesseract"]) {
        return;
    }
    let Some(browser) = Browser::start() else { return };
    let begun = Instant::now();
    let step = |what: &str| println!("{:5.1} s  {what}", begun.elapsed().as_secs_f32());
    let Some(mut call) = begin(browser) else { return };
    step("everybody is in");
    call.see_each_other();
    step("they see each other");
    call.write();
    step("they have written");
    call.give_signs();
    step("they gave signs");
    call.mute();
    call.mute_ben();
    step("they were muted and heard");
    end(&mut call, &step);
}

impl Call {
    /// Ann opens a room in her lobby and copies its link; the others come in by it.
    fn begin(mut browser: Browser) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let mut ann = AppWindow::open("ann", &["start", "--generated", "--name", "Ann", "--port", &port])?;
        ann.wait_shown();
        ann.wait_reads("Your name", Part::WHOLE);
        ann.press(key::ENTER);
        ann.wait_reads("Leave", Part::BAR);
        let copy = ann.open_by('l', "Copy link", Part::RIGHT);
        ann.click(copy);
        let link = ann.wait_clipboard("a link", |text| text.contains("/join/rotunda?code="));
        assert!(link.starts_with("http://"), "{link:?} is in the clipboard");

        let mut ben = AppWindow::open("ben", &["start", &link, "--generated", "--name", "Ben"])?;
        let mut guest = Bot::new("guest");
        come(&guest, &link, "Guest");
        guest.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
        let ann_is = joined(&mut guest, "Ann");
        browser.ask(CARA, "accept", json!({ "link": link, "name": "Cara" }));
        browser.ask(CARA, "publish", small_picture());
        let cara_is = joined(&mut guest, "Cara");

        ben.wait_shown();
        ben.wait_reads("Link or server", Part::WHOLE);
        ben.press(key::ENTER);
        let ben_is = joined(&mut guest, "Ben");
        ben.wait_reads("Leave", Part::BAR);
        let ids = Ids { ann: ann_is, ben: ben_is, cara: cara_is };
        Some(Self { ann, ben, browser, guest, link: Some(link), ids })
    }

    /// Everybody comes in with a token; Ann's makes her the host.
    fn begin_on_the_official_server(mut browser: Browser) -> Option<Self> {
        let server = TestServer::start();
        let (url, hall) = (server.url.as_str(), room("windows"));
        let window = |name, token: String| {
            let place = ["join", url, "--room", hall.as_str(), "--name", name, "--token", &token];
            AppWindow::open(name, &[&place[..], &["--video", "test", "--audio", "test"]].concat())
        };
        let mut guest = Bot::new("guest");
        guest.login(&[url], &hall, server.token(&hall, "guest"));
        guest.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
        let mut ann = window("ann", server.host_token(&hall, "ann"))?;
        let mut ben = window("ben", server.token(&hall, "ben"))?;
        browser.ask(CARA, "join", json!({ "url": url, "token": server.token(&hall, "cara") }));
        browser.ask(CARA, "publish", small_picture());
        for (window, id) in [(&mut ann, "ann"), (&mut ben, "ben")] {
            window.wait_shown();
            guest.wait_user(id);
            window.wait_reads("Leave", Part::BAR);
        }
        guest.wait_user("cara");
        ann.open_by('l', "In the room: 4", Part::RIGHT);
        let ids = Ids { ann: user("ann"), ben: user("ben"), cara: user("cara") };
        Some(Self { ann, ben, browser, guest, link: None, ids })
    }

    /// The browser shows both faces, live; both windows show the browser's picture.
    fn see_each_other(&mut self) {
        for id in [&self.ids.ann, &self.ids.ben] {
            let frame = |browser: &mut Browser, after: u64| {
                browser.wait_for(CARA, "read_stamp", json!({ "identity": id.as_str() }), PATIENCE, |answer| {
                    answer["stamp"]["frame"].as_u64().filter(|frame| *frame > after)
                })
            };
            let first = frame(&mut self.browser, 0);
            frame(&mut self.browser, first + 5);
        }
        for window in [&self.ann, &self.ben] {
            window.wait_shows("the browser's picture", |picture| green(picture) > 0.003);
        }
        assert_eq!(self.ann.reads("In the room: 4", Part::RIGHT).map(|_| ()), Some(()), "the list of people");
    }

    /// Everybody reads what each of them writes.
    fn write(&mut self) {
        for window in [&self.ann, &self.ben] {
            window.open_by('c', "Messages", Part::RIGHT);
        }
        for (window, other, id, text) in [
            (&self.ann, &self.ben, &self.ids.ann, "Welcome, everyone!"),
            (&self.ben, &self.ann, &self.ids.ben, "Thank you, dear neighbour."),
        ] {
            window.write(text);
            window.press(key::ENTER);
            wait_chat(&mut self.guest, id, text);
            self.browser.wait_for(CARA, "received_chat", json!({}), PATIENCE, |answer| {
                let fits = |m: &&Value| m["from"] == id.as_str() && m["text"] == text;
                answer["messages"].as_array()?.iter().find(fits).map(|_| ())
            });
            other.wait_reads(text, Part::RIGHT);
        }
        self.browser.ask(CARA, "chat", json!({ "text": "Greetings from elsewhere" }));
        wait_chat(&mut self.guest, &self.ids.cara, "Greetings from elsewhere");
        for window in [&self.ann, &self.ben] {
            window.wait_reads("Greetings from elsewhere", Part::RIGHT);
            window.click(CROSS);
            window.wait_reads_no_more("Greetings from elsewhere", Part::RIGHT);
        }
    }

    /// Ben shows a thumb and raises a hand.
    fn give_signs(&mut self) {
        let hand = self.ben.open_by('r', "Raise hand", Part::ABOVE_BAR);
        // The thumb is the last of the signs, left of the words.
        let thumb = (0..12).find_map(|step| {
            self.ben.click((hand.0 - 50 - 6 * step, hand.1));
            sign_of(&mut self.guest, &self.ids.ben)
        });
        assert_eq!(thumb, Some(Reaction::ThumbUp));
        self.browser.wait_for(CARA, "received_data", json!({}), PATIENCE, |answer| {
            let fits = |p: &&Value| p["topic"] == "rotunda.reaction" && p["text"] == Reaction::ThumbUp.word();
            answer["packets"].as_array()?.iter().find(fits).map(|_| ())
        });
        // The same button lowers it.
        for up in [true, false] {
            forget(&mut self.guest);
            self.ben.click(hand);
            wait_hand(&mut self.guest, &self.ids.ben, up);
        }
        self.ben.press(u32::from('r'));
        self.ben.wait_reads_no_more("Raise hand", Part::ABOVE_BAR);
    }

    /// Ben mutes himself by a key, is heard while he holds the space bar, and unmutes himself.
    fn mute(&mut self) {
        let ben = &self.ids.ben;
        forget(&mut self.guest);
        self.ben.press(u32::from('m'));
        wait_muted(&mut self.guest, ben, true);
        self.browser.wait_for(CARA, "events", json!({}), PATIENCE, |answer| {
            let fits = |e: &&Value| e["event"] == "track_muted" && e["identity"] == ben.as_str();
            answer["events"].as_array()?.iter().find(fits).map(|_| ())
        });
        self.ben.wait_reads("You are muted", Part::ABOVE_BAR);
        forget(&mut self.guest);
        self.ben.hold(key::SPACE);
        wait_muted(&mut self.guest, ben, false);
        self.ben.wait_reads_no_more("You are muted", Part::ABOVE_BAR);
        forget(&mut self.guest);
        self.ben.release(key::SPACE);
        wait_muted(&mut self.guest, ben, true);
        forget(&mut self.guest);
        self.ben.press(u32::from('m'));
        wait_muted(&mut self.guest, ben, false);
    }

    /// Ann mutes Ben.
    fn mute_ben(&mut self) {
        self.ann.open_by('l', "In the room: 4", Part::RIGHT);
        self.ann.click_on("Ben", Part::RIGHT);
        self.ann.wait_reads("Volume", Part::RIGHT);
        forget(&mut self.guest);
        self.ann.click_on("Mute", Part::RIGHT);
        wait_muted(&mut self.guest, &self.ids.ben, true);
        self.ben.wait_reads("You are muted", Part::ABOVE_BAR);
        self.ann.click_on("Ben", Part::RIGHT);
        self.ann.wait_reads_no_more("Volume", Part::RIGHT);
    }

    /// Ann lets nobody in, and everybody again.
    fn shut_the_door(&mut self) {
        let link = self.link.clone().unwrap();
        self.ann.click_on("Lock the room", Part::RIGHT);
        self.ann.wait_reads("Unlock the room", Part::RIGHT);
        let mut late = Bot::new("late");
        come(&late, &link, "Late");
        let error = late.wait_state(RoomState::Disconnected, RoomStateReason::LoginFailed).expect("a reason");
        assert_eq!(error.code, ErrorCode::RoomLocked, "{error}");
        self.ann.click_on("Unlock the room", Part::RIGHT);
        self.ann.wait_reads("Lock the room", Part::RIGHT);
        come(&late, &link, "Late");
        late.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
        late.send(RoomCommand::Logout);
        late.wait_state(RoomState::Disconnected, RoomStateReason::LoggedOut);
    }

    /// Ann puts the browser out.
    fn put_cara_out(&mut self) {
        self.ann.click_on("Cara", Part::RIGHT);
        // The button asks "Really?" and is pressed once more.
        let remove = self.ann.wait_reads("Remove", Part::RIGHT);
        self.ann.click(remove);
        self.ann.click(remove);
        wait_left(&mut self.guest, &self.ids.cara);
        self.browser.wait_for(CARA, "events", json!({}), PATIENCE, |answer| {
            // PARTICIPANT_REMOVED of livekit_models.proto.
            let fits = |e: &&Value| e["event"] == "disconnected" && e["detail"] == "4";
            answer["events"].as_array()?.iter().find(fits).map(|_| ())
        });
    }

    /// Ann makes Ben a host, and then no longer.
    fn hand_on_the_role(&mut self) {
        for (button, told) in [("Make host", "You are a host now"), ("Remove as host", "You are no longer a host")] {
            self.ann.click_on("Ben", Part::RIGHT);
            self.ann.click_on(button, Part::RIGHT);
            self.ben.wait_reads(told, Part::TOP);
            self.ann.click_on("Ben", Part::RIGHT);
            self.ann.wait_reads_no_more("Volume", Part::RIGHT);
        }
    }

    /// Ben leaves by the bar's button.
    fn leave(&mut self) {
        self.ben.click_on("Leave", Part::BAR);
        wait_left(&mut self.guest, &self.ids.ben);
    }

    /// Ann's room ends with her window: she is asked, stays, is asked again, and goes.
    fn end(&mut self) {
        self.ann.ask_to_close();
        let title = self.ann.wait_reads("Leave the room", Part::MIDDLE);
        self.ann.click((title.0 + STAY.0, title.1 + STAY.1));
        self.ann.wait_reads_no_more("Leave the room", Part::MIDDLE);
        assert!(self.ann.runs(), "whoever stays stays");
        self.guest.listen();
        let gone = |event: &RoomEvent| matches!(event, RoomEvent::UserLeft { user, .. } if *user == self.ids.ann);
        assert!(!self.guest.heard.iter().any(gone), "Ann stays in the room");

        self.ann.ask_to_close();
        let title = self.ann.wait_reads("Leave the room", Part::MIDDLE);
        forget(&mut self.guest);
        self.ann.click((title.0 + LEAVE.0, title.1 + LEAVE.1));
        let status = self.ann.wait_end();
        assert!(status.success(), "Ann's program: {status}");
        self.guest.wait("being told that the room is over", PATIENCE, |event| match event {
            RoomEvent::StateChanged { state, .. } if *state != RoomState::Connected => Some(()),
            _ => None,
        });
    }
}

/// What the browser sends.
fn small_picture() -> Value {
    json!({ "camera": true, "microphone": true, "width": 320, "height": 180, "fps": 10 })
}

/// Goes in by a link.
fn come(bot: &Bot, link: &str, name: &str) {
    let (link, name) = (link.to_owned(), name.to_owned());
    bot.send(RoomCommand::AcceptInvitation(InvitationRequest { link, name, auto_play: true, first_quality: None }));
}

/// What was heard so far says nothing about what is done next.
fn forget(guest: &mut Bot) {
    guest.listen();
    guest.heard.clear();
}

/// Waits until somebody of this name is there; answers who.
fn joined(guest: &mut Bot, name: &str) -> UserId {
    guest.wait(&format!("{name} comes"), PATIENCE, |event| match event {
        RoomEvent::UserJoined(info) if info.name == name => Some(info.id.clone()),
        _ => None,
    })
}

fn wait_left(guest: &mut Bot, who: &UserId) {
    guest.wait(&format!("{who} leaves"), PATIENCE, |event| match event {
        RoomEvent::UserLeft { user, .. } if user == who => Some(()),
        _ => None,
    });
}

fn wait_chat(guest: &mut Bot, who: &UserId, what: &str) {
    guest.wait(&format!("{what:?} from {who}"), PATIENCE, |event| match event {
        RoomEvent::ChatReceived { from, text, .. } if from == who && text == what => Some(()),
        _ => None,
    });
}

/// The sign somebody gives within a moment.
fn sign_of(guest: &mut Bot, who: &UserId) -> Option<Reaction> {
    let deadline = Instant::now() + Duration::from_millis(600);
    while Instant::now() < deadline {
        guest.listen();
        let sign = guest.heard.iter().find_map(|event| match event {
            RoomEvent::DataReceived { from: Some(from), topic, payload, .. }
                if from == who && topic == "rotunda.reaction" =>
            {
                Reaction::read(payload)
            }
            _ => None,
        });
        if sign.is_some() {
            return sign;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

/// Waits until somebody's hand is up, or down.
fn wait_hand(guest: &mut Bot, who: &UserId, up: bool) {
    guest.wait(&format!("the hand of {who}, up: {up}"), PATIENCE, |event| match event {
        RoomEvent::UserUpdated(info) if info.id == *who => {
            let raised = info.attributes.get(ATTRIBUTE_HAND).is_some_and(|since| !since.is_empty());
            (raised == up).then_some(())
        }
        _ => None,
    });
}

/// Waits until somebody's voice is muted, or heard.
fn wait_muted(guest: &mut Bot, who: &UserId, muted: bool) {
    guest.wait(&format!("the voice of {who}, muted: {muted}"), PATIENCE, |event| match event {
        RoomEvent::StreamUpdated(info) if info.owner == *who => {
            info.audio.as_ref().filter(|audio| audio.muted == muted).map(|_| ())
        }
        _ => None,
    });
}

/// The share of a picture that has the hue of Chromium's fake camera.
fn green(picture: &Picture) -> f32 {
    picture.share(|[r, g, b]| g > 80 && u32::from(r) * 10 < u32::from(g) * 6 && b < g / 2)
}
