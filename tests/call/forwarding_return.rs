//! What clients find when they come back after their WebSocket broke, and when rights come back that they had lost.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use livekit_protocol::data_packet::Value;
use livekit_protocol::participant_info::State;
use livekit_protocol::signal_request::Message as Ask;
use livekit_protocol::signal_response::Message as Answer;
use livekit_protocol::{
    DataPacket, DisconnectReason, Ping, SubscribedQualityUpdate, SubscriptionPermission, SyncState, TrackInfo,
    TrackPublishedResponse, UpdateSubscription, UpdateTrackSettings, UserPacket,
};
use prost::Message as _;
use rotunda::protocol::token::{self, Claims, VideoGrant};
use rotunda::server::ServerHandle;
use serde_json::{Value as Json, json};

use crate::peer::{Peer, Setup, connect, run};
use crate::server::{Client, now, server, token};

/// One call of the RoomService API by the hall's administrator.
fn administer(server: &ServerHandle, method: &str, body: &Json) {
    let video = VideoGrant { room_admin: true, room: "hall".into(), ..VideoGrant::default() };
    let claims = Claims { iss: "devkey".into(), nbf: now(), exp: now() + 60, video, ..Claims::default() };
    let token = token::sign(&claims, "secret").unwrap();
    let body = body.to_string();
    let mut stream = TcpStream::connect(server.http_addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head = format!(
        "POST /twirp/livekit.RoomService/{method} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{method}: {answer}");
}

/// Ann publishes, Bob receives, and the server knows that both are connected.
fn call(server: &ServerHandle) -> [Peer; 2] {
    let mut peers = [Peer::join(server, "ann", Setup::PUBLISHER), Peer::join(server, "bob", Setup::VIEWER)];
    connect(&mut peers);
    for (peer, name) in peers.iter_mut().zip(["ann", "bob"]) {
        peer.client.until("its own connection", |message| match message {
            Answer::Update(update) => {
                update.participants.iter().any(|p| p.identity == name && p.state() == State::Active).then_some(())
            }
            _ => None,
        });
    }
    peers
}

fn pass(peers: &mut [Peer], time: Duration) {
    let until = Instant::now() + time;
    run(peers, "time passes", |_| Instant::now() > until);
}

/// The session id of Ann's track.
fn track_of(peers: &[Peer; 2]) -> String {
    peers[1].join.other_participants[0].tracks[0].sid.clone()
}

fn come_back(server: &ServerHandle, peer: &mut Peer, name: &str) -> Client {
    peer.client.hang_up();
    Client::come_back(server, &token(name, |_| {}), &peer.join.participant.as_ref().unwrap().sid)
}

fn enabled(update: &SubscribedQualityUpdate) -> Vec<bool> {
    update.subscribed_codecs[0].qualities.iter().map(|quality| quality.enabled).collect()
}

#[test]
fn what_a_publisher_missed_is_told_when_it_is_back() {
    let server = server(|_| {});
    let mut peers = call(&server);
    let track = track_of(&peers);
    peers[0].client.hang_up();
    let settings = UpdateTrackSettings { track_sids: vec![track.clone()], disabled: true, ..Default::default() };
    peers[1].client.ask(Ask::TrackSetting(settings));
    // People turn back, so that fewer encodings are said after a while only: into the void.
    pass(&mut peers, Duration::from_secs(7));
    let mute = json!({ "room": "hall", "identity": "ann", "track_sid": track, "muted": true });
    administer(&server, "MutePublishedTrack", &mute);

    let mut back = come_back(&server, &mut peers[0], "ann");
    match back.next() {
        Some(Answer::Mute(mute)) => assert!(mute.sid == track && mute.muted),
        other => panic!("that it is muted, before it reads so and denies it: {other:?}"),
    }
    let watched = |client: &mut Client| {
        client.until("what is watched", |message| match message {
            Answer::SubscribedQualityUpdate(update) => Some(enabled(&update)),
            _ => None,
        })
    };
    assert_eq!(watched(&mut back), [false; 3]);
    let state = |muted: bool| {
        let info = TrackInfo { sid: track.clone(), muted, ..Default::default() };
        let published = TrackPublishedResponse { cid: "cam".into(), track: Some(info) };
        Ask::SyncState(SyncState { publish_tracks: vec![published], ..Default::default() })
    };
    back.ask(state(false));
    back.until("the mute again", |message| match message {
        Answer::Mute(mute) => mute.muted.then_some(()),
        _ => None,
    });
    back.ask(state(true));
    back.is_served();
    back.hang_up();
    let mut again = come_back(&server, &mut peers[0], "ann");
    assert!(matches!(again.next(), Some(Answer::Update(_))), "it has said that it knows");
}

#[test]
fn what_a_receiver_missed_is_told_and_what_it_switched_off_stays_off() {
    let server = server(|_| {});
    let mut peers = call(&server);
    let track = track_of(&peers);
    peers[1].client.hang_up();
    let permit = |ann: &mut Peer, all_participants: bool| {
        let permission = SubscriptionPermission { all_participants, ..Default::default() };
        ann.client.ask(Ask::SubscriptionPermission(permission));
        ann.client.is_served();
    };
    permit(&mut peers[0], false);
    let mut back = come_back(&server, &mut peers[1], "bob");
    let may = |client: &mut Client| {
        client.until("what it may receive", |message| match message {
            Answer::SubscriptionPermissionUpdate(update) => Some((update.track_sid, update.allowed)),
            _ => None,
        })
    };
    assert_eq!(may(&mut back), (track.clone(), false));
    permit(&mut peers[0], true);
    assert_eq!(may(&mut back), (track.clone(), true));
    back.ask(Ask::SyncState(SyncState { track_sids_disabled: vec![track.clone()], ..Default::default() }));
    let said = peers[0].client.until("what is watched", |message| match message {
        Answer::SubscribedQualityUpdate(update) => Some(enabled(&update)),
        _ => None,
    });
    assert_eq!(said, [false; 3]);
}

#[test]
fn what_was_turned_down_stays_so_when_rights_come_back() {
    let server = server(|_| {});
    let mut peers = call(&server);
    let track_sids = vec![track_of(&peers)];
    let wish = |subscribe| {
        Ask::Subscription(UpdateSubscription { track_sids: track_sids.clone(), subscribe, ..Default::default() })
    };
    let off_and_on = |peers: &mut [Peer]| {
        for can_subscribe in [false, true] {
            let permission = json!({ "canSubscribe": can_subscribe, "canPublish": true, "canPublishData": true });
            let change = json!({ "room": "hall", "identity": "bob", "permission": permission });
            administer(&server, "UpdateParticipant", &change);
        }
        pass(peers, Duration::from_millis(300));
    };
    // In v1 whatever changes for a receiver is followed by the request for an offer.
    let offer_is_due = |bob: &mut Peer| {
        bob.client.until("the request for an offer", |message| match message {
            Answer::MediaSectionsRequirement(_) => Some(()),
            _ => None,
        });
    };
    peers[1].client.ask(wish(false));
    offer_is_due(&mut peers[1]);
    off_and_on(&mut peers);
    peers[1].client.ask(Ask::PingReq(Ping::default()));
    peers[1].client.until("a pong", |message| match message {
        Answer::PongResp(_) => Some(()),
        Answer::MediaSectionsRequirement(_) => panic!("it is given what it turned down"),
        _ => None,
    });
    peers[1].client.ask(wish(true));
    offer_is_due(&mut peers[1]);
    off_and_on(&mut peers);
    offer_is_due(&mut peers[1]);
}

#[test]
fn who_is_hidden_is_reached_and_not_named() {
    let server = server(|_| {});
    let mut peers = call(&server);
    let permission = json!({ "canSubscribe": true, "canPublish": true, "canPublishData": true, "hidden": true });
    let change = json!({ "room": "hall", "identity": "bob", "permission": permission });
    administer(&server, "UpdateParticipant", &change);
    pass(&mut peers, Duration::from_millis(300));
    let packet = |to: &[&str]| DataPacket {
        destination_identities: to.iter().map(|&name| name.to_owned()).collect(),
        value: Some(Value::User(UserPacket { payload: b"boo".to_vec(), ..Default::default() })),
        ..Default::default()
    };
    for (from, packet) in [(0, packet(&["bob"])), (1, packet(&[]))] {
        let channel = peers[from].channel.unwrap();
        assert!(peers[from].rtc.channel(channel).unwrap().write(true, &packet.encode_to_vec()).unwrap());
        peers[from].step();
    }
    run(&mut peers, "data", |peers| peers.iter().all(|peer| !peer.data.is_empty()));
    assert_eq!(peers[1].data[0].participant_identity, "ann");
    let ghostly = &peers[0].data[0];
    assert!(ghostly.participant_identity.is_empty() && ghostly.participant_sid.is_empty(), "{ghostly:?}");
}

#[test]
fn who_closes_its_connection_has_left_and_did_not_time_out() {
    let server = server(|_| {});
    let mut peers = call(&server);
    peers[0].rtc.close().unwrap();
    peers[0].step();
    let gone = peers[1].client.until("ann's end", |message| match message {
        Answer::Update(update) => {
            update.participants.into_iter().find(|p| p.identity == "ann" && p.state() == State::Disconnected)
        }
        _ => None,
    });
    assert_eq!(gone.disconnect_reason(), DisconnectReason::ClientInitiated);
}
