//! Invitations: a link is enough to be in the room, whoever may not is told so, and neither a hostile server nor a
//! hostile guest does any harm.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use livekit_protocol::signal_response::Message as Answer;
use rotunda::bridge::{InvitationRequest, LoginRequest, RoomCommand, RoomEvent};
use rotunda::model::{CallError, ErrorCode, RoomId, RoomOrder, RoomState, RoomStateReason, UserInfo};
use rotunda::protocol::{invitation, token};
use rotunda::server::ServerHandle;
use serde_json::{Value, json};

use crate::admin::request;
use crate::engine::kit::{Bot, SOON};
use crate::server::{Client, now, server, token as token_of};

fn hall() -> RoomId {
    RoomId::new("hall").unwrap()
}

fn inviting() -> ServerHandle {
    server(|config| config.invitations = true)
}

fn accept(bot: &Bot, link: &str, name: &str) {
    let (link, name) = (link.to_owned(), name.to_owned());
    bot.send(RoomCommand::AcceptInvitation(InvitationRequest { link, name, auto_play: true, first_quality: None }));
}

/// Waits to be in the room; answers as whom.
fn wait_in(bot: &mut Bot) -> UserInfo {
    bot.wait("being in the room", SOON, |event| match event {
        RoomEvent::StateChanged { state: RoomState::Connected, me: Some(me), .. } => Some(me.clone()),
        _ => None,
    })
}

/// An invitation that must fail; answers why, and after how long.
fn fails(bot: &mut Bot, link: &str, name: &str) -> (CallError, Duration) {
    let asked = Instant::now();
    accept(bot, link, name);
    bot.wait_state(RoomState::Connecting, RoomStateReason::LoggingIn);
    let error = bot.wait_state(RoomState::Disconnected, RoomStateReason::LoginFailed).expect("a reason");
    let secret = link.split_once("code=").map_or("no code", |(_, code)| code);
    assert!(secret.len() < 10 || !error.message.contains(secret), "the link is a secret: {error}");
    (error, asked.elapsed())
}

fn code_of(bot: &mut Bot, link: &str) -> u32 {
    fails(bot, link, "Ann").0.code.number()
}

/// A server of our own making: each connection's request is read whole, then `answer` has the stream.
fn answering(answer: impl Fn(&mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            stream.set_read_timeout(Some(SOON)).unwrap();
            if read_request(&mut stream) {
                answer(&mut stream);
            }
        }
    };
    std::thread::Builder::new().name("strange-server".into()).spawn(serve).unwrap();
    format!("http://{address}/join/hall?code=0123456789abcdef")
}

/// Whether a whole request came.
fn read_request(stream: &mut TcpStream) -> bool {
    let (mut came, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let Ok(len @ 1..) = stream.read(&mut buffer) else { return false };
        came.extend_from_slice(&buffer[..len]);
        let text = String::from_utf8_lossy(&came).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        if body.len() >= length.and_then(|length| length.parse().ok()).unwrap_or(0) {
            return true;
        }
    }
}

fn say(stream: &mut TcpStream, status: &str, headers: &str, body: &str) {
    let length = body.len();
    let text = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}");
    stream.write_all(text.as_bytes()).ok();
}

/// A server that always answers the same.
fn saying(status: &'static str, headers: String, body: String) -> String {
    answering(move |stream| say(stream, status, &headers, &body))
}

#[test]
fn a_link_is_enough_and_two_people_with_one_are_two() {
    let server = inviting();
    let link = server.invitation(&hall()).unwrap();
    let mut ann = Bot::new("ann");
    accept(&ann, &link, " Ann Smith ");
    ann.wait_state(RoomState::Connecting, RoomStateReason::LoggingIn);
    let first = wait_in(&mut ann);
    assert_eq!(first.name, "Ann Smith");
    assert!(first.id.as_str().starts_with("ann-smith-"), "{}", first.id);
    let host = ann.wait("the room", SOON, |event| match event {
        RoomEvent::RoomChanged { may_change, .. } => Some(*may_change),
        _ => None,
    });
    assert!(!host, "whoever is invited is no host");

    let mut other = Bot::new("other");
    accept(&other, &link, "Ann Smith");
    let second = wait_in(&mut other);
    assert_ne!(second.id, first.id);
    other.wait_user(first.id.as_str());
    ann.wait_user(second.id.as_str());
    assert_eq!(server.stats().participants, 2);
    assert!(!ann.heard.iter().any(|e| matches!(e, RoomEvent::StateChanged { state: RoomState::Disconnected, .. })));

    // And on from one room to the next.
    accept(&ann, &server.invitation(&RoomId::new("the/attic").unwrap()).unwrap(), "Ann");
    ann.wait_state(RoomState::Disconnected, RoomStateReason::LoggedOut);
    assert_eq!(wait_in(&mut ann).name, "Ann");
    other.wait_left(first.id.as_str());
}

#[test]
fn who_may_not_come_in_is_told_why() {
    let server = inviting();
    let link = server.invitation(&hall()).unwrap();
    let mut bot = Bot::new("stranger");
    let (error, _) = fails(&mut bot, &link.replace("code=", "code=0"), "Ann");
    assert_eq!(error.code.number(), 1_002_033);
    assert!(error.message.contains("ask for a new link"), "{error}");
    assert_eq!(code_of(&mut bot, link.split_once('?').unwrap().0), 1_002_033, "no code");
    assert_eq!(code_of(&mut bot, &link.replace("/hall?", "/attic?")), 1_002_033, "another room's");
    assert_eq!(server.stats().refused, 3);
    assert_eq!(code_of(&mut bot, &link.replace("/hall?", "/two%20words?")), 1_002_030, "no room");
    assert_eq!(code_of(&mut bot, &link.replace("/join/", "/")), 1_002_030, "no page");
    for wrong in ["", "hall", "ws://127.0.0.1:7880", "http://", &format!("http://h/{}", "x".repeat(2048))] {
        assert_eq!(code_of(&mut bot, wrong), 1_002_030, "{wrong:.40}");
    }
    assert_eq!(fails(&mut bot, &link, "  ").0.code.number(), 1_002_005);
    assert_eq!(fails(&mut bot, &link, &"x".repeat(256)).0.code.number(), 1_002_010);
    let (error, took) = fails(&mut bot, "http://127.0.0.1:9/join/hall?code=0123456789abcdef", "Ann");
    assert!(error.code.number() == 1_002_030 && took < SOON, "{error} after {took:?}");
    assert_eq!(server.stats().participants, 0);

    let off = crate::server::server(|_| {});
    assert_eq!(off.invitation(&hall()), None);
    let (error, _) = fails(&mut bot, &invitation::link(&off.url(), "secret", &hall()).unwrap(), "Ann");
    assert!(error.code.number() == 1_002_030 && error.message.contains("takes no invitations"), "{error}");

    accept(&bot, &link, "Ann");
    wait_in(&mut bot);
}

#[test]
fn strange_servers_are_told_from_good_ones_in_time() {
    let mut bot = Bot::new("explorer");
    let none = String::new;
    let soon = Duration::from_secs(6);
    let mut code = |link: &str| {
        let (error, took) = fails(&mut bot, link, "Ann");
        assert!(took < soon, "{error} after {took:?}");
        error.code.number()
    };
    let token = token_of("ann", |_| {});
    let answer = |server: &str, token: &str| json!({ "server_url": server, "participant_token": token }).to_string();
    for body in ["hello", "", "{}", "[]", "<html>", "{\"server_url\":3}", &"[".repeat(60_000)] {
        assert_eq!(code(&saying("200 OK", none(), body.to_owned())), 1_002_030, "{body:.40}");
    }
    for server in ["", "ftp://h", "file:///etc/passwd", "ws://"] {
        assert_eq!(code(&saying("201 Created", none(), answer(server, &token))), 1_002_030, "{server:?}");
    }
    assert_eq!(code(&saying("201 Created", none(), answer("ws://127.0.0.1:9", "no token"))), 1_002_074);
    let nowhere = token_of("ann", |request| request.room = "two words".into());
    assert_eq!(code(&saying("201 Created", none(), answer("ws://127.0.0.1:9", &nowhere))), 1_002_013);
    assert_eq!(code(&saying("201 Created", none(), answer("ws://127.0.0.1:9", &token))), 1_002_030, "nobody there");
    assert_eq!(code(&saying("500 Oh", none(), none())), 1_002_030);
    assert_eq!(code(&answering(|stream| drop(stream.write_all(b"\0\xff\r\n\r\n")))), 1_002_030, "no HTTP");
    assert_eq!(code(&answering(|_| ())), 1_002_030, "it hangs up");

    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let circle = answering(move |stream| {
        counted.fetch_add(1, Ordering::Relaxed);
        say(stream, "307 Elsewhere", "Location: /join/hall?code=0123456789abcdef\r\n", "");
    });
    assert_eq!(code(&circle), 1_002_030);
    assert_eq!(asked.load(Ordering::Relaxed), 4, "three redirections are enough");
    assert_eq!(code(&saying("302 Elsewhere", "Location: file:///etc/passwd\r\n".into(), none())), 1_002_030);
    assert_eq!(code(&saying("302 Elsewhere", none(), none())), 1_002_030);

    // As much as it likes to send; no more than a little is taken.
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let flood = answering(move |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n").ok();
        let piece = [b' '; 64 * 1024];
        while counted.load(Ordering::Relaxed) < 100_000_000 && stream.write_all(&piece).is_ok() {
            counted.fetch_add(piece.len(), Ordering::Relaxed);
        }
    });
    assert_eq!(code(&flood), 1_002_030);
    assert!(sent.load(Ordering::Relaxed) < 50_000_000, "{sent:?} bytes were taken");
}

#[test]
fn a_server_that_never_answers_is_given_up_or_left() {
    let silent = || answering(|_| std::thread::sleep(Duration::from_secs(30)));
    let mut bot = Bot::new("patient");
    let (error, took) = fails(&mut bot, &silent(), "Ann");
    assert_eq!(error.code.number(), 1_002_031, "{error}");
    assert!(took < Duration::from_secs(12), "{took:?}");

    // What else is wanted meanwhile comes first.
    let at_once = Duration::from_secs(3);
    let asked = Instant::now();
    accept(&bot, &silent(), "Ann");
    bot.wait_state(RoomState::Connecting, RoomStateReason::LoggingIn);
    bot.send(RoomCommand::Logout);
    bot.wait_state(RoomState::Disconnected, RoomStateReason::LoggedOut);
    assert!(asked.elapsed() < at_once, "{:?}", asked.elapsed());

    let server = inviting();
    accept(&bot, &silent(), "Ann");
    bot.wait_state(RoomState::Connecting, RoomStateReason::LoggingIn);
    bot.send(RoomCommand::Login(LoginRequest {
        servers: vec![server.url()],
        room: hall(),
        token: token_of("ann", |_| {}),
        auto_play: true,
        first_quality: None,
    }));
    bot.wait_state(RoomState::Disconnected, RoomStateReason::LoggedOut);
    assert_eq!(wait_in(&mut bot).id.as_str(), "ann");
}

#[test]
fn a_redirection_leads_on() {
    let server = inviting();
    let link = server.invitation(&hall()).unwrap();
    for status in ["301 Moved", "302 Elsewhere", "308 Moved"] {
        let moved = saying(status, format!("Location: {link}\r\n"), String::new());
        let mut bot = Bot::new("follower");
        accept(&bot, &moved, "Ann");
        assert_eq!(wait_in(&mut bot).name, "Ann", "{status}");
    }
}

/// Asks for a token as any LiveKit client would.
fn ask(server: &ServerHandle, room: &str, code: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String, String) {
    let path = format!("/join/{room}?code={code}");
    let (status, head, body) = request(server.http_addr(), "POST", &path, headers, body);
    (status, head.to_lowercase(), String::from_utf8(body).unwrap())
}

#[test]
fn who_is_banned_does_not_come_back_by_the_link_they_know() {
    let server = inviting();
    let link = server.invitation(&hall()).unwrap();
    let token_by_link = |name: &str| {
        let body = json!({ "participant_name": name }).to_string();
        let (status, _, said) = ask(&server, "hall", link.split_once("code=").unwrap().1, &[], body.as_bytes());
        assert_eq!(status, 201, "{said}");
        invitation::Answer::read(said.as_bytes()).unwrap().participant_token
    };
    let mut host = Bot::new("host");
    host.login(&[&server.url()], &hall(), token_of("host", |request| request.admin = true));
    wait_in(&mut host);
    let zoes = token_by_link("Zoe");
    let (mut zoe, _) = Client::join(&server, &zoes);
    let mut eve = Bot::new("eve");
    accept(&eve, &link, "Eve");
    let eve_is = wait_in(&mut eve).id;
    host.wait_user(eve_is.as_str());
    // She may have as many tokens as she likes, ahead of time.
    let ahead = token_by_link("Mallory");

    let mut order = RoomOrder::default();
    assert!(order.ban(eve_is));
    host.send(RoomCommand::SetRoomMetadata(order.write("").unwrap()));
    let error = eve.wait_state(RoomState::Disconnected, RoomStateReason::KickedOut).unwrap();
    assert_eq!(error.code, ErrorCode::KickedByHost, "{error}");
    let told = |event: &RoomEvent| match event {
        RoomEvent::RoomChanged { metadata, .. } => RoomOrder::read(metadata).link,
        _ => None,
    };
    let fresh = host.wait("the new link", SOON, told);
    assert!(fresh.made_secs.abs_diff(now() as u32) < 60, "{fresh:?}");
    assert_eq!(fresh, invitation::code("secret", &hall(), fresh.made_secs));
    assert!(eve.heard.iter().all(|event| told(event).is_none()), "who is put out is not told: {:?}", eve.heard);

    let (error, _) = fails(&mut eve, &link, "Somebody else");
    assert!(error.code == ErrorCode::AuthenticationFailed && error.message.contains("new link"), "{error}");
    eve.login(&[&server.url()], &hall(), ahead);
    let error = eve.wait_state(RoomState::Disconnected, RoomStateReason::LoginFailed).unwrap();
    assert!(error.code == ErrorCode::AuthenticationFailed && error.message.starts_with("this invitation"), "{error}");
    // Whoever is here comes back by a token of the new link, or by the old one if that did not come; others by the link.
    let fresh_token = zoe.until("a token by the new link", |message| match message {
        Answer::RefreshToken(token) => {
            Some(token).filter(|t| token::peek(t).unwrap().link_made_secs == Some(fresh.made_secs))
        }
        _ => None,
    });
    let (again, _) = Client::join(&server, &zoes);
    drop(zoe);
    drop(Client::join(&server, &fresh_token));
    drop(again);
    let by_it = invitation::with_code(&link, &fresh).unwrap();
    let mut fay = Bot::new("fay");
    accept(&fay, &by_it, "Fay");
    wait_in(&mut fay);
    // Made anew once more, that one is dead, too.
    order.renewals = 2;
    host.send(RoomCommand::SetRoomMetadata(order.write("").unwrap()));
    let newest = fay.wait("the newest link", SOON, |event| told(event).filter(|link| *link != fresh));
    fails(&mut eve, &by_it, "Eve");

    // A link lives longer than the room: those that were dead while it was open are not for ever.
    drop((host, fay));
    let deadline = Instant::now() + SOON;
    while server.stats().participants > 0 {
        assert!(Instant::now() < deadline, "the room does not close");
        std::thread::sleep(Duration::from_millis(50));
    }
    for link in [&invitation::with_code(&link, &newest).unwrap(), &link] {
        accept(&eve, link, "Eve");
        wait_in(&mut eve);
        eve.send(RoomCommand::Logout);
        eve.wait_state(RoomState::Disconnected, RoomStateReason::LoggedOut);
    }
}

#[test]
fn tokens_are_members_and_their_identity_is_the_servers() {
    let server = inviting();
    let code = invitation::code("secret", &hall(), 0).to_string();
    let body = json!({ "participant_name": "Ann", "participant_identity": "host", "room_name": "hall",
        "participant_attributes": { "a": "b" }, "participant_metadata": "m", "room_config": {} });
    let json = [("Content-Type", "application/json")];
    let (status, head, said) = ask(&server, "hall", &code, &json, body.to_string().as_bytes());
    assert_eq!(status, 201, "{said}");
    assert!(head.contains("content-type: application/json") && head.contains("cache-control: no-store"), "{head}");
    let answer = invitation::Answer::read(said.as_bytes()).unwrap();
    assert_eq!(answer.server_url, "ws://here", "where it was asked");
    let claims = token::verify(&answer.participant_token, |_| Some("secret".into()), now()).unwrap();
    assert!(claims.check_join("hall").is_ok() && claims.identity().starts_with("ann-") && claims.name == "Ann");
    let video = &claims.video;
    assert!(!video.room_admin && !video.room_create && !video.room_list && !video.hidden, "{video:?}");
    assert!(video.may_publish() && video.may_subscribe() && video.may_update_own_metadata());
    assert!(claims.metadata.is_empty() && claims.attributes.is_empty(), "nothing is taken over unseen");

    let headers = [("X-Forwarded-Proto", "https")];
    let (_, _, said) = ask(&server, "hall", &code, &headers, br#"{"participant_name":"Ann"}"#);
    assert_eq!(invitation::Answer::read(said.as_bytes()).unwrap().server_url, "wss://here");
}

#[test]
fn hostile_requests_are_refused_one_by_one() {
    let server = inviting();
    let code = invitation::code("secret", &hall(), 0).to_string();
    let status = |room: &str, code: &str, body: &[u8]| {
        let (status, _, said) = ask(&server, room, code, &[], body);
        assert!(status == 201 || (!said.is_empty() && said.len() < 400), "a sentence: {said}");
        status
    };
    let name = |name: &str| json!({ "participant_name": name }).to_string().into_bytes();
    assert_eq!(status("hall", "", &name("Ann")), 403);
    assert_eq!(status("hall", "0000000000000000", &name("Ann")), 403);
    assert_eq!(status("hall", &"x".repeat(3000), &name("Ann")), 403);
    assert_eq!(status("attic", &code, &name("Ann")), 403);
    assert_eq!(server.stats().refused, 4);
    assert_eq!(status("a%20b", &code, &name("Ann")), 400);
    assert_eq!(status(&"x".repeat(200), &code, &name("Ann")), 400);
    assert_eq!(status("%ff%fe", &code, &name("Ann")), 400);
    for body in ["", "null", "[]", "{", "{\"participant_name\":7}", "{}", "\0", &"[".repeat(4000)] {
        assert_eq!(status("hall", &code, body.as_bytes()), 400, "{body:.40}");
    }
    for bad in ["", "   ", "a\nb", &"x".repeat(256)] {
        assert_eq!(status("hall", &code, &name(bad)), 400, "{bad:.40}");
    }
    let elsewhere = json!({ "participant_name": "Ann", "room_name": "attic" }).to_string();
    assert_eq!(status("hall", &code, elsewhere.as_bytes()), 400);
    assert_eq!(status("hall", &code, &name(&"x".repeat(5000))), 413);
    assert_eq!(status("hall", &code, &name("Ann")), 201, "nobody else is harmed");
    let other = request(server.http_addr(), "PUT", &format!("/join/hall?code={code}"), &[], b"").0;
    assert_eq!(other, 405);
}

#[test]
fn a_browser_shows_what_it_is() {
    let server = inviting();
    let room = RoomId::new("<b>'&").unwrap();
    let link = server.invitation(&room).unwrap();
    let path = link.split_once("://").unwrap().1.split_once('/').unwrap().1;
    let get = |path: &str| {
        let (status, head, body) = request(server.http_addr(), "GET", &format!("/{path}"), &[], b"");
        (status, head.to_lowercase(), String::from_utf8(body).unwrap())
    };
    let (status, head, page) = get(path);
    assert_eq!(status, 200);
    assert!(page.contains("<strong>&lt;b&gt;&#39;&amp;</strong>") && page.contains("paste"), "{page}");
    assert!(!page.contains("<script") && !page.contains("src="), "{page}");
    for header in ["text/html", "referrer-policy: no-referrer", "default-src 'none'", "cache-control: no-store"] {
        assert!(head.contains(header), "{header} is missing: {head}");
    }
    let (status, _, page) = get(&path.replace("code=", "code=x"));
    assert!(status == 403 && page.contains("ask for a new link"), "{page}");
    let off = crate::server::server(|_| {});
    let (status, _, said) = request(off.http_addr(), "GET", &format!("/{path}"), &[], b"");
    assert!(status == 404 && String::from_utf8(said).unwrap().contains("takes no invitations"));
    let value: Value = json!({ "participant_name": "Ann" });
    let said = request(off.http_addr(), "POST", &format!("/{path}"), &[], value.to_string().as_bytes());
    assert_eq!(said.0, 404);
}
