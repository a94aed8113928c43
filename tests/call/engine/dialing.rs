//! Servers that answer nonsense, slowly or never: a login ends in time with a clear error, or works after all.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use livekit_protocol::JoinResponse;
use rotunda::model::{ErrorCode, RoomState, RoomStateReason};
use tungstenite::Message;

use super::kit::*;
use crate::common::meddler::{Ask, Meddler, Say};
use crate::common::relay::{Network, Relay};

/// One server may take 12 s; the machine is busy.
const GIVEN_UP: Duration = Duration::from_secs(14);

/// A server that does this with everyone who connects; it ends with the process. Gives its address.
fn server_that(answers: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let serve = move || {
        for stream in listener.incoming().flatten() {
            std::thread::Builder::new().name("nonsense".into()).spawn(move || answers(stream)).unwrap();
        }
    };
    std::thread::Builder::new().name("nonsense-server".into()).spawn(serve).unwrap();
    url
}

/// Reads a request to its empty line.
fn take_head(stream: &mut TcpStream) {
    let (mut head, mut chunk) = (Vec::<u8>::new(), [0_u8; 4096]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut chunk) {
            Ok(len) if len > 0 => head.extend_from_slice(&chunk[..len]),
            _ => return,
        }
    }
}

fn a_web_page(mut stream: TcpStream) {
    take_head(&mut stream);
    let page = "<html><body>Log in to this router</body></html>";
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", page.len());
    stream.write_all(format!("{head}{page}").as_bytes()).ok();
}

fn no_message(stream: TcpStream) {
    let Ok(mut socket) = tungstenite::accept(stream) else { return };
    socket.send(Message::Binary(vec![0xff; 64].into())).ok();
    while socket.read().is_ok() {}
}

fn byte_by_byte(mut stream: TcpStream) {
    take_head(&mut stream);
    for byte in b"HTTP/1.1 101 Switching Protocols\r\nX-Patience: as much as there is\r\n".iter().cycle() {
        if stream.write_all(&[*byte]).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_server_that_answers_nonsense_is_given_up_in_time() {
    // None of these is a server of this kind or that: once is enough.
    if kind() != Kind::Embedded {
        return;
    }
    let server = TestServer::start();
    let room = room("no-server");
    let says_nothing = |said| match said {
        Say::Join(_) => vec![Say::Join(JoinResponse::default())],
        other => vec![other],
    };
    let keeps_answers = |said| if matches!(said, Say::Answer(_)) { Vec::new() } else { vec![said] };
    let empty = Meddler::with(&server.url, says_nothing, |_| false);
    let answerless = Meddler::with(&server.url, keeps_answers, |_| false);
    let cases = [
        ("a web page", server_that(a_web_page), ErrorCode::ConnectFailed),
        ("bytes that are no message", server_that(no_message), ErrorCode::ConnectTimeout),
        ("an answer byte by byte", server_that(byte_by_byte), ErrorCode::ConnectTimeout),
        ("a join response that says nothing", empty.url.clone(), ErrorCode::ConnectTimeout),
        ("an offer without an answer", answerless.url.clone(), ErrorCode::ConnectTimeout),
    ];
    let begun = Instant::now();
    // All at once: most of them only have to be waited for.
    let enter = |(n, (_, url, _)): (usize, &(&str, String, ErrorCode))| {
        let bot = Bot::new("lost");
        bot.login(&[url.as_str()], &room, server.token(&room, &format!("lost{n}")));
        bot
    };
    let mut bots: Vec<Bot> = cases.iter().enumerate().map(enter).collect();
    for (bot, (what, _, code)) in bots.iter_mut().zip(&cases) {
        let error = bot.wait_state(RoomState::Disconnected, RoomStateReason::LoginFailed).unwrap();
        assert_eq!(error.code, *code, "{what}: {error}");
        assert!(begun.elapsed() < GIVEN_UP, "{what} took {:?}", begun.elapsed());
    }
}

#[test]
fn a_server_that_takes_three_seconds_is_waited_for() {
    if kind() != Kind::Embedded {
        return;
    }
    let server = TestServer::start();
    let slow = |said| {
        if matches!(said, Say::Join(_)) {
            std::thread::sleep(Duration::from_secs(3));
        }
        vec![said]
    };
    let meddler = Meddler::with(&server.url, slow, |_| false);
    let room = room("slow");
    let (mut ann, asked) = (Bot::new("ann"), Instant::now());
    ann.login(&[&meddler.url], &room, server.token(&room, "ann"));
    ann.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
    assert!(asked.elapsed() >= Duration::from_secs(3), "it was held up for {:?} only", asked.elapsed());
    ann.publish("ann-cam", 80);
    ann.wait_publishing("ann-cam");
}

#[test]
fn an_offer_that_stays_without_an_answer_is_made_again_on_a_fresh_connection() {
    if kind() != Kind::Embedded {
        return;
    }
    let server = TestServer::start();
    let swallowed = AtomicBool::new(false);
    let first_offer = move |asked: &Ask| matches!(asked, Ask::Offer(_)) && !swallowed.swap(true, Ordering::Relaxed);
    let meddler = Meddler::with(&server.url, |said| vec![said], first_offer);
    let room = room("unanswered");
    let mut bob = server.enter(&room, "bob");
    let mut ann = Bot::new("ann");
    ann.login(&[&meddler.url], &room, server.token(&room, "ann"));
    ann.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
    ann.publish("ann-cam", 80);
    ann.wait_state(RoomState::Connecting, RoomStateReason::Reconnecting);
    ann.wait_state(RoomState::Connected, RoomStateReason::Reconnected);
    ann.wait_publishing("ann-cam");
    picture(&bob.wait_feed("ann-cam"));
}

/// Handshakes lose packets too: whoever comes through a bad network comes in, again and again.
#[test]
fn a_bad_network_does_not_keep_anyone_out() {
    // What gets lost on the way does so whichever server stands at its end.
    if kind() != Kind::Embedded {
        return;
    }
    const LOGINS: u64 = 24;
    let server = TestServer::start();
    let room = room("lossy");
    let bad = Network {
        loss: 0.08,
        delay: Duration::from_millis(60),
        jitter: Duration::from_millis(30),
        reorder: 0.01,
        duplicate: 0.01,
        ..Network::default()
    };
    let mut took: Vec<Duration> = Vec::new();
    for seed in 0..LOGINS {
        let relay = Relay::start(&server.url, seed);
        relay.both(bad);
        let mut ann = Bot::new("ann");
        let started = Instant::now();
        ann.login(&[relay.url()], &room, server.token(&room, &format!("ann-{seed}")));
        ann.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
        took.push(started.elapsed());
    }
    took.sort_unstable();
    println!("logins took {:?} at the median, {:?} at most", took[took.len() / 2], took[took.len() - 1]);
}
