//! The RoomService API as a host's tools use it: over HTTP, as JSON and protobuf, with tokens.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use livekit_protocol::signal_request::Message as Ask;
use livekit_protocol::signal_response::Message as Answer;
use livekit_protocol::{
    DisconnectReason, ListRoomsRequest, ListRoomsResponse, ParticipantInfo, UpdateParticipantMetadata, participant_info,
};
use prost::Message as _;
use rotunda::model::sound::{VOICE_ATTRIBUTE, VOICE_TO_ALL};
use rotunda::protocol::token::{self, Claims, VideoGrant};
use rotunda::server::ServerHandle;
use serde_json::{Value, json};

use super::peer::{Peer, Setup, connect, run};
use super::server::{Client, camera, now, server, token};

/// A token with a grant of its own.
pub(crate) fn grant(change: impl FnOnce(&mut VideoGrant)) -> String {
    let mut video = VideoGrant::default();
    change(&mut video);
    let claims = Claims { iss: "devkey".into(), nbf: now(), exp: now() + 60, video, ..Claims::default() };
    token::sign(&claims, "secret").unwrap()
}

fn admin() -> String {
    grant(|g| {
        g.room_admin = true;
        g.room_create = true;
        g.room_list = true;
        g.room = "hall".into();
    })
}

/// One request; answers status, head and body.
pub(crate) fn request(
    address: impl ToSocketAddrs,
    verb: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let length = body.len();
    let mut text = format!("{verb} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{text}\r\n").as_bytes()).unwrap();
    // A server that refuses early may not read the rest.
    stream.write_all(body).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    let at = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..at]).into_owned();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head, answer[at + 4..].to_vec())
}

/// One call as JSON.
fn call(server: &ServerHandle, token: &str, method: &str, body: Value) -> (u16, Value) {
    call_at(server.http_addr(), token, method, body)
}

/// The same to any server, by its address.
pub(crate) fn call_at(address: impl ToSocketAddrs, token: &str, method: &str, body: Value) -> (u16, Value) {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let path = format!("/twirp/livekit.RoomService/{method}");
    let (status, _, body) = request(address, "POST", &path, &headers, body.to_string().as_bytes());
    let text = String::from_utf8(body).unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn leave_reason(client: &mut Client) -> DisconnectReason {
    let reason = client.until("leave", |message| match message {
        Answer::Leave(leave) => Some(leave.reason()),
        _ => None,
    });
    while client.next().is_some() {}
    reason
}

#[test]
fn rooms_are_created_listed_and_deleted() {
    let server = server(|_| {});
    let admin = admin();
    let (status, room) =
        call(&server, &admin, "CreateRoom", json!({ "name": "hall", "metadata": "m", "max_participants": 1 }));
    assert_eq!((status, &room["name"], &room["metadata"]), (200, &json!("hall"), &json!("m")), "{room}");
    assert!(room["sid"].as_str().unwrap().starts_with("RM_"));
    let (_, again) = call(&server, &admin, "CreateRoom", json!({ "name": "hall" }));
    assert_eq!(again["sid"], room["sid"], "it is there already");

    let (mut ann, join) = Client::join(&server, &token("ann", |_| {}));
    assert_eq!(join.room.unwrap().sid, room["sid"].as_str().unwrap());
    assert!(Client::dial(&server, &format!("/rtc?access_token={}", token("bob", |_| {}))).is_err(), "made for one");
    let (_, list) = call(&server, &admin, "ListRooms", json!({}));
    assert_eq!((list["rooms"][0]["num_participants"].as_u64(), list["rooms"].as_array().unwrap().len()), (Some(1), 1));
    let bearer = format!("Bearer {admin}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/protobuf")];
    let ask = ListRoomsRequest { names: vec!["attic".into()] }.encode_to_vec();
    let (status, _, body) = request(server.http_addr(), "POST", "/twirp/livekit.RoomService/ListRooms", &headers, &ask);
    assert_eq!((status, ListRoomsResponse::decode(body.as_slice()).unwrap().rooms.len()), (200, 0));

    assert_eq!(call(&server, &admin, "DeleteRoom", json!({ "room": "hall" })), (200, json!({})));
    assert_eq!(leave_reason(&mut ann), DisconnectReason::RoomDeleted);
    let (status, error) = call(&server, &admin, "DeleteRoom", json!({ "room": "hall" }));
    assert_eq!((status, &error["code"]), (404, &json!("not_found")));
}

#[test]
fn a_removed_participant_learns_why_and_its_token_is_worth_nothing() {
    let server = server(|_| {});
    let admin = admin();
    let (_ann, _) = Client::join(&server, &token("ann", |_| {}));
    let first = token("bob", |_| {});
    let (mut bob, _) = Client::join(&server, &first);
    let (_, list) = call(&server, &admin, "ListParticipants", json!({ "room": "hall" }));
    assert_eq!(list["participants"].as_array().unwrap().len(), 2);
    let who = json!({ "room": "hall", "identity": "bob" });
    assert_eq!(call(&server, &admin, "GetParticipant", who.clone()).1["identity"], "bob");
    assert_eq!(call(&server, &admin, "RemoveParticipant", who.clone()).0, 200);
    assert_eq!(leave_reason(&mut bob), DisconnectReason::ParticipantRemoved);
    assert_eq!(call(&server, &admin, "RemoveParticipant", who).1["code"], "not_found");
    match Client::dial(&server, &format!("/rtc?access_token={first}")).err().unwrap() {
        tungstenite::Error::Http(response) => assert_eq!(response.status(), 401),
        other => panic!("{other}"),
    }
    let mut later = token::peek(&first).unwrap();
    later.nbf = now() + 2;
    let later = token::sign(&later, "secret").unwrap();
    assert!(Client::dial(&server, &format!("/rtc?access_token={later}")).is_ok(), "a new token lets in");
}

#[test]
fn whom_a_host_made_one_administers_their_own_room_while_they_are_in_it() {
    let server = server(|_| {});
    let (_ann, _) = Client::join(&server, &token("ann", |_| {}));
    let bobs = token("bob", |_| {});
    let (bob, _) = Client::join(&server, &bobs);
    let list = |server: &ServerHandle| call(server, &bobs, "ListParticipants", json!({ "room": "hall" })).0;
    let choose = |order: Value| {
        let metadata = json!({ "rotunda": { "order": order } }).to_string();
        let ask = json!({ "room": "hall", "metadata": metadata });
        assert_eq!(call(&server, &admin(), "UpdateRoomMetadata", ask).0, 200);
    };
    assert_eq!(list(&server), 401, "nobody made them one");
    choose(json!({ "hosts": ["bob"] }));
    assert_eq!(list(&server), 200);
    let elsewhere = json!({ "room": "attic" });
    assert_eq!(call(&server, &bobs, "ListParticipants", elsewhere).0, 401, "another room is not theirs");
    assert_eq!(
        call(&server, &bobs, "DeleteRoom", json!({ "room": "hall" })).0,
        401,
        "that is no room's administration"
    );
    let who = json!({ "room": "hall", "identity": "bob" });
    assert_eq!(call(&server, &admin(), "RemoveParticipant", who).0, 200);
    assert_eq!(list(&server), 401, "who is out keeps no order");
    drop(bob);
    let mut later = token::peek(&bobs).unwrap();
    later.nbf = now() + 2;
    let later = token::sign(&later, "secret").unwrap();
    let (_bob, join) = Client::join(&server, &later);
    assert!(!join.room.unwrap().metadata.contains("bob"), "nor when they come back with another token");
    let list = || call(&server, &later, "ListParticipants", json!({ "room": "hall" })).0;
    assert_eq!(list(), 401);
    choose(json!({ "hosts": ["bob"] }));
    assert_eq!(list(), 200);
    choose(json!({ "hosts": ["bob"], "banned": ["bob"] }));
    assert_eq!(list(), 401, "who is not let in is no host");
}

#[test]
fn a_right_that_a_host_gave_is_in_no_token() {
    let server = server(|_| {});
    let (_ann, _) = Client::join(&server, &token("ann", |_| {}));
    let (mut bob, _) = Client::join(&server, &token("bob", |_| {}));
    let choose = |order: Value| {
        let metadata = json!({ "rotunda": { "order": order } }).to_string();
        assert_eq!(
            call(&server, &admin(), "UpdateRoomMetadata", json!({ "room": "hall", "metadata": metadata })).0,
            200
        );
    };
    choose(json!({ "hosts": ["bob"] }));
    let attributes = [(VOICE_ATTRIBUTE.to_owned(), VOICE_TO_ALL.to_owned())].into();
    bob.ask(Ask::UpdateMetadata(UpdateParticipantMetadata { attributes, ..Default::default() }));
    let speaks = |info: &ParticipantInfo| info.attributes.contains_key(VOICE_ATTRIBUTE);
    bob.until("the voice to all", |message| match message {
        Answer::Update(update) => update.participants.iter().any(speaks).then_some(()),
        _ => None,
    });
    let fresh = bob.until("the fresh token", |message| match message {
        Answer::RefreshToken(token) => Some(token),
        _ => None,
    });
    choose(json!({}));
    let (_bob, join) = Client::join(&server, &fresh);
    assert!(!speaks(&join.participant.unwrap()), "it was taken back");
}

#[test]
fn rights_names_and_mutes_change_at_once() {
    let server = server(|_| {});
    let admin = admin();
    let mut ann = Peer::join(&server, "ann", Setup::PUBLISHER);
    let mut bob = Peer::join(&server, "bob", Setup::VIEWER);
    let track = bob.join.other_participants[0].tracks[0].sid.clone();
    let mute = |muted: bool| json!({ "room": "hall", "identity": "ann", "track_sid": track, "muted": muted });
    let (_, muted) = call(&server, &admin, "MutePublishedTrack", mute(true));
    assert_eq!(muted["track"]["muted"], true, "{muted}");
    ann.client.until("the mute", |message| match message {
        Answer::Mute(mute) => (mute.sid == track && mute.muted).then_some(()),
        _ => None,
    });
    let (status, error) = call(&server, &admin, "MutePublishedTrack", mute(false));
    assert_eq!((status, &error["code"]), (412, &json!("failed_precondition")));

    let permission = json!({ "canSubscribe": true, "canPublish": false, "canPublishData": true });
    let change = json!({ "room": "hall", "identity": "ann", "name": "Ann", "attributes": { "aKey": "v" }, "permission": permission });
    let (status, info) = call(&server, &admin, "UpdateParticipant", change);
    assert_eq!((status, &info["name"], &info["attributes"]["aKey"]), (200, &json!("Ann"), &json!("v")), "{info}");
    ann.client.until("the end of the track", |message| match message {
        Answer::TrackUnpublished(gone) => (gone.track_sid == track).then_some(()),
        _ => None,
    });
    let fresh = ann.client.until("a fresh token", |message| match message {
        Answer::RefreshToken(token) => token::peek(&token).ok().filter(|claims| !claims.video.may_publish()),
        _ => None,
    });
    assert_eq!((fresh.name.as_str(), fresh.attributes["aKey"].as_str()), ("Ann", "v"));
    bob.client.until("the change", |message| match message {
        Answer::Update(update) => {
            update.participants.iter().find(|p| p.name == "Ann" && p.tracks.is_empty()).map(|_| ())
        }
        _ => None,
    });
    ann.client.ask(Ask::AddTrack(camera("again")));
    assert_eq!(ann.client.refusal().0, livekit_protocol::request_response::Reason::NotAllowed);

    let (_, room) = call(&server, &admin, "UpdateRoomMetadata", json!({ "room": "hall", "metadata": "now" }));
    assert_eq!(room["metadata"], "now");
    bob.client.until("the room's metadata", |message| match message {
        Answer::RoomUpdate(update) => (update.room.unwrap().metadata == "now").then_some(()),
        _ => None,
    });
}

#[test]
fn data_of_the_servers_own_reaches_those_named() {
    let server = server(|_| {});
    let mut peers = ["ann", "bob"].map(|name| Peer::join(&server, name, Setup::VIEWER));
    connect(&mut peers);
    let send = |text: &str, to: &[&str]| {
        use base64::Engine;
        let data = base64::engine::general_purpose::STANDARD.encode(text);
        let body =
            json!({ "room": "hall", "data": data, "kind": "RELIABLE", "destination_identities": to, "topic": "t" });
        assert_eq!(call(&server, &admin(), "SendData", body).0, 200);
    };
    send("to bob", &["bob"]);
    send("to all", &[]);
    run(&mut peers, "data", |peers| !peers[0].data.is_empty() && peers[1].data.len() >= 2);
    let texts = |peer: &Peer| -> Vec<(String, String)> {
        let text = |packet: &livekit_protocol::DataPacket| match &packet.value {
            Some(livekit_protocol::data_packet::Value::User(user)) => {
                (String::from_utf8(user.payload.clone()).unwrap(), user.topic.clone().unwrap())
            }
            other => panic!("{other:?}"),
        };
        assert!(peer.data.iter().all(|packet| packet.participant_identity.is_empty()), "in nobody's name");
        peer.data.iter().map(text).collect()
    };
    assert_eq!(texts(&peers[0]), [("to all".to_owned(), "t".to_owned())]);
    assert_eq!(texts(&peers[1])[0].0, "to bob");
}

#[test]
fn refusals_are_twirps() {
    let server = server(|_| {});
    let (_ann, _) = Client::join(&server, &token("ann", |_| {}));
    let code = |token: &str, method: &str, body: Value| {
        let (status, error) = call(&server, token, method, body);
        (status, error["code"].as_str().unwrap_or("plain").to_owned())
    };
    let of = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(code("garbage", "ListRooms", json!({})), of(401, "plain"));
    assert_eq!(code(&token("ann", |_| {}), "ListRooms", json!({})), of(401, "unauthenticated"));
    let other = grant(|g| {
        g.room_admin = true;
        g.room = "attic".into();
    });
    let who = json!({ "room": "hall", "identity": "ann" });
    assert_eq!(code(&other, "RemoveParticipant", who.clone()), of(401, "unauthenticated"));
    let admin = admin();
    assert_eq!(code(&admin, "Sing", json!({})), of(404, "bad_route"));
    assert_eq!(code(&admin, "MoveParticipant", json!({})), of(501, "unimplemented"));
    assert_eq!(code(&admin, "GetParticipant", json!({ "room": "hall", "identity": "nobody" })), of(404, "not_found"));
    assert_eq!(code(&admin, "CreateRoom", json!({ "name": "" })), of(400, "invalid_argument"));
    assert_eq!(code(&admin, "CreateRoom", json!({ "name": 7 })), of(400, "malformed"));
    assert_eq!(code(&admin, "CreateRoom", json!({ "name": "x".repeat(600_000) })), of(400, "malformed"));
    let long = json!({ "room": "hall", "identity": "ann", "metadata": "m".repeat(70_000) });
    assert_eq!(code(&admin, "UpdateParticipant", long), of(400, "invalid_argument"));
    let (_, info) = call(&server, &admin, "GetParticipant", who);
    assert_eq!(
        info["state"],
        json!(participant_info::State::Joined.as_str_name()),
        "nothing of this harmed anyone: {info}"
    );
}

#[test]
fn metrics_count_what_happens() {
    let server = server(|_| {});
    let (_ann, _) = Client::join(&server, &token("ann", |_| {}));
    let (_bob, _) = Client::join(&server, &token("bob", |_| {}));
    let (status, head, body) = request(server.http_addr(), "GET", "/metrics", &[], b"");
    let text = String::from_utf8(body).unwrap();
    assert!(status == 200 && head.to_lowercase().contains("text/plain; version=0.0.4"), "{head}");
    let value = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(&format!("rotunda_{name} "))).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!((value("rooms"), value("participants"), value("joins_refused_total")), (1.0, 2.0, 0.0));
    assert!(!text.contains("ann") && !text.contains("hall"), "nobody's name");
}
