//! The server through real sockets: who gets in, what bad input does, and that the others stay served.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message as Ask;
use livekit_protocol::signal_response::Message as Answer;
use livekit_protocol::{
    AddTrackRequest, ConnectionSettings, DisconnectReason, JoinRequest, JoinResponse, LeaveRequest, Ping,
    SessionDescription, SignalRequest, SignalResponse, SimulateScenario, TrackSource, TrackType,
    UpdateParticipantMetadata, UpdateSubscription, VideoLayer, WrappedJoinRequest, participant_info,
};
use prost::Message as _;
use rotunda::model::sound::{VOICE_ATTRIBUTE, VOICE_TO_ALL};
use rotunda::protocol::token::{self, TokenRequest};
use rotunda::server::{Server, ServerConfig, ServerError, ServerHandle, ServerLimits};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

/// Longer than anything here should take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn server(change: impl FnOnce(&mut ServerConfig)) -> ServerHandle {
    let mut config = ServerConfig { port: 0, rtc_port: 0, ..ServerConfig::dev() };
    change(&mut config);
    Server::start(config).unwrap()
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn token(identity: &str, change: impl FnOnce(&mut TokenRequest)) -> String {
    let mut request = TokenRequest::member("devkey", "secret", "hall", identity);
    change(&mut request);
    token::issue(&request, now()).unwrap()
}

/// A plain HTTP request; answers status and body.
fn get(server: &ServerHandle, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(server.http_addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\nOrigin: http://there\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.to_lowercase().contains("access-control-allow-origin: *"), "browsers need CORS: {head}");
    (status, body.to_owned())
}

/// A client that only speaks signalling.
pub(crate) struct Client {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
}

impl Client {
    pub(crate) fn dial(server: &ServerHandle, path: &str) -> Result<Self, tungstenite::Error> {
        let (mut socket, _) = tungstenite::connect(format!("{}{path}", server.url()))?;
        if let MaybeTlsStream::Plain(stream) = socket.get_mut() {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        Ok(Self { socket })
    }

    pub(crate) fn join(server: &ServerHandle, token: &str) -> (Self, JoinResponse) {
        Self::join_with(server, token, JoinRequest::default())
    }

    pub(crate) fn join_with(server: &ServerHandle, token: &str, mut request: JoinRequest) -> (Self, JoinResponse) {
        request.connection_settings = Some(ConnectionSettings { auto_subscribe: true, ..Default::default() });
        let wrapped = WrappedJoinRequest { join_request: request.encode_to_vec(), ..Default::default() };
        let packed = URL_SAFE.encode(wrapped.encode_to_vec());
        let mut client = Self::dial(server, &format!("/rtc/v1?access_token={token}&join_request={packed}")).unwrap();
        match client.next() {
            Some(Answer::Join(join)) => (client, join),
            other => panic!("the first message must be join: {other:?}"),
        }
    }

    pub(crate) fn ask(&mut self, message: Ask) {
        let bytes = SignalRequest { message: Some(message) }.encode_to_vec();
        self.socket.send(Message::Binary(bytes.into())).unwrap();
    }

    /// The next message; `None` when the server closed.
    pub(crate) fn next(&mut self) -> Option<Answer> {
        loop {
            match self.socket.read() {
                Ok(Message::Binary(bytes)) => return SignalResponse::decode(bytes).unwrap().message,
                Ok(Message::Close(_)) | Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::Protocol(_)) => {
                    return None;
                }
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() != std::io::ErrorKind::WouldBlock => return None,
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    /// Skips messages until one fits.
    pub(crate) fn until<T>(&mut self, what: &str, mut fits: impl FnMut(Answer) -> Option<T>) -> T {
        loop {
            match self.next() {
                Some(message) => {
                    if let Some(found) = fits(message) {
                        return found;
                    }
                }
                None => panic!("the server closed before {what}"),
            }
        }
    }

    pub(crate) fn refusal(&mut self) -> (Reason, String) {
        self.until("an answer", |message| match message {
            Answer::RequestResponse(r) => Some((r.reason(), r.message)),
            _ => None,
        })
    }

    /// Its WebSocket breaks.
    pub(crate) fn hang_up(&mut self) {
        if let MaybeTlsStream::Plain(stream) = self.socket.get_mut() {
            // It may be broken already.
            stream.shutdown(std::net::Shutdown::Both).ok();
        }
    }

    /// Takes a session up again; the first message says that it may.
    pub(crate) fn come_back(server: &ServerHandle, token: &str, sid: &str) -> Self {
        let request = JoinRequest { reconnect: true, participant_sid: sid.to_owned(), ..Default::default() };
        let wrapped = WrappedJoinRequest { join_request: request.encode_to_vec(), ..Default::default() };
        let packed = URL_SAFE.encode(wrapped.encode_to_vec());
        let mut back = Self::dial(server, &format!("/rtc/v1?access_token={token}&join_request={packed}")).unwrap();
        match back.next() {
            Some(Answer::Reconnect(answer)) => assert!(answer.server_info.is_some()),
            other => panic!("the first message must be reconnect: {other:?}"),
        }
        back
    }

    /// The server still answers this client.
    pub(crate) fn is_served(&mut self) {
        self.ask(Ask::PingReq(Ping { timestamp: 77, rtt: 0 }));
        let echoed = self.until("a pong", |message| match message {
            Answer::PongResp(pong) => Some(pong.last_ping_timestamp),
            _ => None,
        });
        assert_eq!(echoed, 77);
    }
}

pub(crate) fn camera(cid: &str) -> AddTrackRequest {
    AddTrackRequest {
        cid: cid.to_owned(),
        r#type: TrackType::Video.into(),
        source: TrackSource::Camera.into(),
        width: 640,
        height: 360,
        ..Default::default()
    }
}

#[test]
fn health_and_validation_answer() {
    let server = server(|_| {});
    assert_eq!(get(&server, "/"), (200, "OK".to_owned()));
    let good = token("ann", |_| {});
    assert_eq!(get(&server, &format!("/rtc/validate?access_token={good}")), (200, "success".to_owned()));
    assert_eq!(get(&server, &format!("/rtc?access_token={good}")).0, 404, "a plain GET is no upgrade");
    assert_eq!(get(&server, "/rtc/v1").0, 404);
}

#[test]
fn bad_tokens_get_401_and_the_reason() {
    let server = server(|_| {});
    let why = |token: &str| get(&server, &format!("/rtc/validate?access_token={token}"));
    let claims = |change: &dyn Fn(&mut token::Claims)| {
        let mut claims = token::peek(&token("ann", |_| {})).unwrap();
        change(&mut claims);
        token::sign(&claims, "secret").unwrap()
    };
    for (token, reason) in [
        (String::new(), "no access token"),
        ("garbage".to_owned(), "not an access token"),
        (token("ann", |t| t.api_secret = "wrong".into()), "signature"),
        (token("ann", |t| t.api_key = "stranger".into()), "unknown API key"),
        (claims(&|c| c.exp = now() - 100), "expired"),
        (claims(&|c| c.nbf = now() + 1000), "becomes valid"),
        (claims(&|c| c.sub.clear()), "no identity"),
        (claims(&|c| c.video.room_join = false), "roomJoin"),
    ] {
        let (status, body) = why(&token);
        assert_eq!(status, 401, "{reason}: {body}");
        assert!(body.contains(reason), "{reason}: {body}");
    }
    let other = token("ann", |_| {});
    let (status, body) = get(&server, &format!("/rtc/validate?access_token={other}&room=attic"));
    assert!(status == 401 && body.contains("attic"), "{body}");
    assert_eq!(why(&token("x".repeat(64).as_str(), |_| {})).0, 400, "a long identity");
    assert_eq!(server.stats().refused, 10);
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Server::start(ServerConfig { port, rtc_port: 0, ..ServerConfig::dev() }).unwrap_err();
    assert!(matches!(error, ServerError::PortInUse { .. }));
    assert!(error.to_string().contains(&port.to_string()) && error.to_string().contains("--port"), "{error}");

    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let rtc_port = taken.local_addr().unwrap().port();
    let error = Server::start(ServerConfig { port: 0, rtc_port, ..ServerConfig::dev() }).unwrap_err();
    assert!(error.to_string().contains("--rtc-port"), "{error}");
}

#[test]
fn people_see_each_other_come_and_go() {
    let server = server(|_| {});
    let (mut ann, join) = Client::join(&server, &token("ann", |t| t.name = "Ann".into()));
    assert!(join.participant.unwrap().sid.starts_with("PA_") && join.room.unwrap().sid.starts_with("RM_"));
    assert!(join.ping_interval > 0 && join.ping_timeout > 0 && !join.subscriber_primary);
    let (mut bob, join) = Client::join(&server, &token("bob", |_| {}));
    assert_eq!(join.other_participants[0].name, "Ann");
    let came = |message| match message {
        Answer::Update(update) => update.participants.into_iter().find(|p| p.identity == "bob"),
        _ => None,
    };
    assert_eq!(ann.until("bob", came).state(), participant_info::State::Joined);
    bob.ask(Ask::Leave(LeaveRequest::default()));
    let gone = ann.until("bob's leave", came);
    assert_eq!(gone.state(), participant_info::State::Disconnected);
    assert_eq!(gone.disconnect_reason(), DisconnectReason::ClientInitiated);
    drop(ann);
    let patience = Instant::now() + PATIENCE;
    while server.stats().rooms > 0 {
        assert!(Instant::now() < patience, "an empty room vanishes");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_second_login_replaces_the_first() {
    let server = server(|_| {});
    let (mut first, _) = Client::join(&server, &token("ann", |_| {}));
    let (mut second, join) = Client::join(&server, &token("ann", |_| {}));
    assert!(join.other_participants.is_empty());
    let reason = first.until("leave", |message| match message {
        Answer::Leave(leave) => Some(leave.reason()),
        _ => None,
    });
    assert_eq!(reason, DisconnectReason::DuplicateIdentity);
    assert!(first.next().is_none(), "and a close frame");
    second.is_served();
}

#[test]
fn garbage_is_dropped_and_counted() {
    let server = server(|_| {});
    let (mut ann, _) = Client::join(&server, &token("ann", |_| {}));
    let whole = SignalRequest { message: Some(Ask::AddTrack(camera("cam"))) }.encode_to_vec();
    for bytes in [vec![0xff; 64], whole[..whole.len() - 3].to_vec(), vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]] {
        ann.socket.send(Message::Binary(bytes.into())).unwrap();
    }
    ann.socket.send(Message::Text("{\"not\": ".into())).unwrap();
    // From here on this client has spoken JSON; the next one has not.
    let (mut bob, _) = Client::join(&server, &token("bob", |_| {}));
    bob.is_served();
    assert_eq!(server.stats().bad_signals, 4);
    assert_eq!(server.stats().participants, 2, "one bad message is not the end of a call");
}

#[test]
fn an_oversized_message_ends_only_its_sender() {
    let server = server(|_| {});
    let (mut bob, _) = Client::join(&server, &token("bob", |_| {}));
    let (mut ann, _) = Client::join(&server, &token("ann", |_| {}));
    let sent = ann.socket.send(Message::Binary(vec![0; 2 * 1024 * 1024].into()));
    let closed = sent.is_err() || std::iter::from_fn(|| ann.next()).count() < 100;
    assert!(closed);
    bob.is_served();
}

#[test]
fn a_flood_of_messages_ends_only_its_sender() {
    let server = server(|config| {
        let mut limits = ServerLimits::default();
        limits.signal_messages_per_sec = 10;
        config.limits = limits;
    });
    let (mut bob, _) = Client::join(&server, &token("bob", |_| {}));
    let (mut ann, _) = Client::join(&server, &token("ann", |_| {}));
    let ping = SignalRequest { message: Some(Ask::Ping(1)) }.encode_to_vec();
    for _ in 0..200 {
        if ann.socket.send(Message::Binary(ping.clone().into())).is_err() {
            break;
        }
    }
    let answered = std::iter::from_fn(|| ann.next()).filter(|m| matches!(m, Answer::Pong(_))).count();
    assert!(answered <= 130, "{answered} of 200 were answered");
    assert_eq!(server.stats().bad_signals, 1);
    bob.is_served();
}

#[test]
fn nonsense_descriptions_are_answered_and_harm_nobody() {
    let server = server(|_| {});
    let (mut bob, _) = Client::join(&server, &token("bob", |_| {}));
    let (mut ann, _) = Client::join(&server, &token("ann", |_| {}));
    let twice = BROWSER_OFFER.replace("96", "111").replace("a=sendonly", "a=recvonly");
    let long = format!("v=0\r\n{}", "a=x\r\n".repeat(60_000));
    let many = format!("v=0\r\n{}", "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n".repeat(2000));
    for (id, sdp) in ["", "hello", "v=0\r\nm=audio\r\n", &twice, &long, &many].into_iter().enumerate() {
        let r#type = "offer".to_owned();
        ann.ask(Ask::Offer(SessionDescription { r#type, sdp: sdp.to_owned(), id: id as u32, ..Default::default() }));
        let (reason, text) = ann.refusal();
        assert_eq!(reason, Reason::InvalidRequest);
        assert!(text.contains("makes no sense"), "{text}");
    }
    ann.ask(Ask::Answer(SessionDescription { sdp: "nobody asked".into(), ..Default::default() }));
    ann.is_served();
    bob.is_served();
}

#[test]
fn mutated_descriptions_never_stop_the_server() {
    let server = server(|config| {
        let mut limits = ServerLimits::default();
        limits.signal_messages_per_sec = 100_000;
        config.limits = limits;
    });
    let (mut bob, _) = Client::join(&server, &token("bob", |_| {}));
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let rounds = std::env::var("ROTUNDA_FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    for round in 0..rounds {
        let (mut ann, _) = Client::join(&server, &token(&format!("ann{round}"), |_| {}));
        for id in 0..10 {
            let mut lines: Vec<String> = BROWSER_OFFER.lines().map(str::to_owned).collect();
            for _ in 0..=random(12) {
                let at = random(lines.len());
                match random(6) {
                    0 => drop(lines.remove(at)),
                    1 => lines.insert(random(lines.len()), lines[at].clone()),
                    2 => lines[at] = lines[at].chars().take(random(lines[at].len().max(1))).collect(),
                    3 => lines[at] = lines[at].replace(char::is_numeric, "99999999999"),
                    // A payload type that stands for two things, where the client says so and not we.
                    4 => {
                        let number = ["63", "96", "97"][random(3)];
                        for line in &mut lines {
                            *line = line.replace(number, "111").replace("a=sendonly", "a=recvonly");
                        }
                    }
                    _ => lines[at].push_str(" \u{1F600}:;=/ -1"),
                }
            }
            let sdp = lines.join("\r\n") + "\r\n";
            ann.ask(Ask::Offer(SessionDescription { r#type: "offer".into(), sdp, id, ..Default::default() }));
        }
        ann.is_served();
    }
    assert!(server.stats().bad_descriptions > 10, "some made no sense: {:?}", server.stats());
    let sdp = BROWSER_OFFER.to_owned();
    bob.ask(Ask::Offer(SessionDescription { r#type: "offer".into(), sdp, id: 4, ..Default::default() }));
    let answer = bob.until("an answer", |message| match message {
        Answer::Answer(answer) => Some(answer),
        _ => None,
    });
    assert_eq!(answer.id, 4);
    assert!(answer.sdp.contains("a=setup:passive") && answer.sdp.contains("a=candidate:"), "{}", answer.sdp);
}

#[test]
fn offers_that_come_too_fast_are_answered_later_and_the_newest_is_never_lost() {
    const OFFERS: u32 = 30;
    let server = server(|_| {});
    let (mut ann, _) = Client::join(&server, &token("ann", |_| {}));
    for id in 1..=OFFERS {
        let sdp = BROWSER_OFFER.to_owned();
        ann.ask(Ask::Offer(SessionDescription { r#type: "offer".into(), sdp, id, ..Default::default() }));
    }
    let mut answered = 0;
    ann.until("the answer to the newest offer", |message| match message {
        Answer::Answer(answer) => {
            answered += 1;
            (answer.id == OFFERS).then_some(())
        }
        _ => None,
    });
    assert!(answered < OFFERS, "{answered} offers in a burst kept the media thread busy");
}

#[test]
fn strangers_packets_are_counted() {
    let server = server(|_| {});
    let (mut ann, _) = Client::join(&server, &token("ann", |_| {}));
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to: SocketAddr = server.rtc_addr();
    let mut stun = vec![0, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42];
    stun.extend([1; 12]);
    stun.extend([0, 6, 0, 8]);
    stun.extend(b"nobody:x");
    for packet in [&[][..], &[0x80; 200], &[22, 254, 253, 0, 0], &stun, &stun[..21], &vec![0x90; 5000]] {
        stranger.send_to(packet, to).unwrap();
    }
    let patience = Instant::now() + PATIENCE;
    while server.stats().strangers < 6 {
        assert!(Instant::now() < patience, "{:?}", server.stats());
        std::thread::sleep(Duration::from_millis(10));
    }
    ann.is_served();
}

#[test]
fn grants_are_kept() {
    let server = server(|_| {});
    let (mut mute, _) = Client::join(&server, &token("mute", |t| t.can_publish = false));
    mute.ask(Ask::AddTrack(camera("cam")));
    assert_eq!(mute.refusal().0, Reason::NotAllowed);

    let (mut fixed, _) = Client::join(&server, &token("fixed", |t| t.can_update_own_metadata = false));
    let request = || UpdateParticipantMetadata { name: "King".into(), request_id: 5, ..Default::default() };
    fixed.ask(Ask::UpdateMetadata(request()));
    assert_eq!(fixed.refusal().0, Reason::NotAllowed);

    let to_all = || {
        let attributes = [(VOICE_ATTRIBUTE.to_owned(), VOICE_TO_ALL.to_owned())].into();
        Ask::UpdateMetadata(UpdateParticipantMetadata { attributes, request_id: 6, ..Default::default() })
    };
    let (mut guest, _) = Client::join(&server, &token("guest", |_| {}));
    guest.ask(to_all());
    assert_eq!(guest.refusal().0, Reason::NotAllowed, "who is no host speaks from where they are");
    let (mut host, _) = Client::join(&server, &token("host", |t| t.admin = true));
    host.ask(to_all());
    assert_eq!(host.refusal().0, Reason::Ok);

    let (mut ghost, _) = Client::join(&server, &token("ghost", |t| t.hidden = true));
    let (_, join) = Client::join(&server, &token("late", |_| {}));
    assert!(join.other_participants.iter().all(|p| p.identity != "ghost"), "hidden is hidden");

    ghost.ask(Ask::UpdateMetadata(request()));
    assert_eq!(ghost.refusal().0, Reason::Ok);
}

#[test]
fn limits_are_kept_and_said() {
    let server = server(|config| {
        let mut limits = ServerLimits::default();
        limits.participants_per_room = 2;
        limits.pending_tracks = 2;
        limits.attributes_bytes = 32;
        config.limits = limits;
    });
    let (mut ann, _) = Client::join(&server, &token("ann", |_| {}));
    let (mut bob, _) = Client::join(&server, &token("bob", |_| {}));
    let third = Client::dial(&server, &format!("/rtc?access_token={}", token("cleo", |_| {})));
    match third.err().unwrap() {
        tungstenite::Error::Http(response) => {
            assert_eq!(response.status(), 403);
            assert!(String::from_utf8_lossy(response.body().as_ref().unwrap()).contains("full"));
        }
        other => panic!("{other}"),
    }
    for cid in ["a", "b", "c"] {
        ann.ask(Ask::AddTrack(camera(cid)));
    }
    assert_eq!(ann.refusal().0, Reason::LimitExceeded);
    let long = VideoLayer { rid: "r".repeat(1000), ..Default::default() };
    ann.ask(Ask::AddTrack(AddTrackRequest { layers: vec![long], ..camera("d") }));
    assert_eq!(ann.refusal().0, Reason::InvalidRequest, "a field that everyone would get");
    let before = server.stats().bad_signals;
    ann.ask(Ask::AddTrack(AddTrackRequest { name: "n".repeat(70_000), ..camera("e") }));
    ann.is_served();
    assert_eq!(server.stats().bad_signals, before + 1, "only descriptions may be this long");
    let attributes = [("k".to_owned(), "v".repeat(40))].into();
    ann.ask(Ask::UpdateMetadata(UpdateParticipantMetadata { attributes, request_id: 9, ..Default::default() }));
    assert_eq!(ann.refusal().0, Reason::LimitExceeded);
    bob.is_served();
}

#[test]
fn what_is_not_supported_is_said() {
    let server = server(|_| {});
    let (mut ann, _) = Client::join(&server, &token("ann", |_| {}));
    ann.ask(Ask::Simulate(SimulateScenario::default()));
    let (reason, text) = ann.refusal();
    assert!(reason == Reason::UnsupportedType && text.contains("scenario"), "{text}");
    ann.ask(Ask::Subscription(UpdateSubscription {
        track_sids: vec!["TR_nowhere".into()],
        subscribe: true,
        ..Default::default()
    }));
    let sid = ann.until("a subscription response", |message| match message {
        Answer::SubscriptionResponse(response) => Some(response.track_sid),
        _ => None,
    });
    assert_eq!(sid, "TR_nowhere");
    let track_sids = vec!["TR_nowhere".to_owned(); 129];
    ann.ask(Ask::Subscription(UpdateSubscription { track_sids, subscribe: true, ..Default::default() }));
    assert_eq!(ann.refusal().0, Reason::LimitExceeded);
}

#[test]
fn a_returning_client_is_told_to_begin_anew() {
    let server = server(|_| {});
    let request = format!("/rtc?access_token={}&reconnect=1&sid=PA_old", token("ann", |_| {}));
    let mut ann = Client::dial(&server, &request).unwrap();
    match ann.next() {
        Some(Answer::Leave(leave)) => {
            assert_eq!(leave.reason(), DisconnectReason::StateMismatch);
            assert_eq!(leave.action(), livekit_protocol::leave_request::Action::Reconnect);
        }
        other => panic!("{other:?}"),
    }
    assert!(ann.next().is_none());
    assert_eq!(server.stats().participants, 0);
}

#[test]
fn a_returning_client_gets_its_session_back_and_nobody_notices() {
    let server = server(|_| {});
    let token = |identity: &str| token(identity, |_| {});
    let (mut ann, join) = Client::join(&server, &token("ann"));
    let sid = join.participant.unwrap().sid;
    let (mut bob, _) = Client::join(&server, &token("bob"));
    let mut back = Client::come_back(&server, &token("ann"), &sid);
    match back.next() {
        Some(Answer::Update(update)) => {
            let sids: Vec<&str> = update.participants.iter().map(|info| info.sid.as_str()).collect();
            assert!(sids.len() == 2 && sids.contains(&sid.as_str()), "{sids:?}");
        }
        other => panic!("everyone who is here: {other:?}"),
    }
    back.until("the room", |message| matches!(message, Answer::RoomUpdate(_)).then_some(()));
    let refreshed = back.until("a fresh token", |message| match message {
        Answer::RefreshToken(token) => Some(token),
        _ => None,
    });
    assert_eq!(token::peek(&refreshed).unwrap().identity(), "ann");
    // The earlier WebSocket ends, and its end is not the participant's.
    while ann.next().is_some() {}
    back.is_served();
    bob.ask(Ask::PingReq(Ping { timestamp: 5, rtt: 0 }));
    bob.until("a pong", |message| match message {
        Answer::PongResp(_) => Some(()),
        Answer::Update(update) => {
            let news = update.participants.iter().find(|info| info.identity == "ann");
            assert!(news.is_none(), "bob was told {news:?}");
            None
        }
        _ => None,
    });
    assert_eq!(server.stats().participants, 2);
    // A client that publishes what the server does not know cannot go on.
    let track = livekit_protocol::TrackInfo { sid: "TR_unknown".into(), ..Default::default() };
    let published = livekit_protocol::TrackPublishedResponse { cid: "x".into(), track: Some(track) };
    back.ask(Ask::SyncState(livekit_protocol::SyncState { publish_tracks: vec![published], ..Default::default() }));
    let leave = back.until("the end", |message| match message {
        Answer::Leave(leave) => Some(leave),
        _ => None,
    });
    assert_eq!(leave.reason(), DisconnectReason::StateMismatch);
    assert_eq!(leave.action(), livekit_protocol::leave_request::Action::Reconnect);
    bob.until("ann goes", |message| match message {
        Answer::Update(update) => {
            update.participants.iter().any(|info| info.state() == participant_info::State::Disconnected).then_some(())
        }
        _ => None,
    });
}

#[test]
fn a_stopping_server_says_goodbye_in_time() {
    let server = server(|_| {});
    let (mut ann, _) = Client::join(&server, &token("ann", |_| {}));
    let before = Instant::now();
    server.shutdown();
    assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
    let reason = ann.until("goodbye", |message| match message {
        Answer::Leave(leave) => Some(leave.reason()),
        _ => None,
    });
    assert_eq!(reason, DisconnectReason::ServerShutdown);
}

#[test]
fn a_fresh_token_comes_at_once_and_says_the_same() {
    let server = server(|_| {});
    let first = token("ann", |t| t.name = "Ann".into());
    let (mut ann, _) = Client::join(&server, &first);
    let fresh = ann.until("a fresh token", |message| match message {
        Answer::RefreshToken(token) => Some(token),
        _ => None,
    });
    let (old, new) = (token::peek(&first).unwrap(), token::peek(&fresh).unwrap());
    assert_eq!((&new.video, new.identity(), &new.name), (&old.video, "ann", &old.name));
    assert!(new.exp >= old.exp && new.exp >= now() + 590);
    drop(ann);
    assert!(Client::join(&server, &fresh).1.participant.is_some(), "it lets in");
}

#[test]
fn a_track_announced_again_before_it_came_replaces_the_first() {
    let server = server(|config| {
        let mut limits = ServerLimits::default();
        limits.pending_tracks = 2;
        config.limits = limits;
    });
    let (mut ann, _) = Client::join(&server, &token("ann", |_| {}));
    for _ in 0..5 {
        ann.ask(Ask::AddTrack(camera("cam")));
        let cid = ann.until("the track", |message| match message {
            Answer::TrackPublished(published) => Some(published.cid),
            Answer::RequestResponse(refusal) => panic!("{refusal:?}"),
            _ => None,
        });
        assert_eq!(cid, "cam");
    }
    ann.is_served();
}

/// What a browser offers first: one section of each kind, shortened.
pub(crate) const BROWSER_OFFER: &str = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
a=group:BUNDLE 0 1 2\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n\
m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:EsAw\r\n\
a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\na=ice-options:trickle\r\n\
a=fingerprint:sha-256 49:66:12:17:0D:1C:91:AE:57:4C:C6:36:DD:D5:97:D2:7D:62:C9:9A:7F:B9:A3:F4:70:03:E7:43:91:73:23:5E\r\n\
a=setup:actpass\r\na=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n\
a=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n\
m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:EsAw\r\n\
a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\na=ice-options:trickle\r\n\
a=fingerprint:sha-256 49:66:12:17:0D:1C:91:AE:57:4C:C6:36:DD:D5:97:D2:7D:62:C9:9A:7F:B9:A3:F4:70:03:E7:43:91:73:23:5E\r\n\
a=setup:actpass\r\na=mid:1\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\na=sendonly\r\na=msid:- cam\r\na=rtcp-mux\r\na=rtcp-rsize\r\n\
a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 transport-cc\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n\
a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rid:q send\r\na=rid:h send\r\na=simulcast:send q;h\r\n\
a=ssrc-group:FID 1001 1002\r\na=ssrc:1001 cname:x\r\na=ssrc:1002 cname:x\r\n\
m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:EsAw\r\n\
a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\na=ice-options:trickle\r\n\
a=fingerprint:sha-256 49:66:12:17:0D:1C:91:AE:57:4C:C6:36:DD:D5:97:D2:7D:62:C9:9A:7F:B9:A3:F4:70:03:E7:43:91:73:23:5E\r\n\
a=setup:actpass\r\na=mid:2\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n";
