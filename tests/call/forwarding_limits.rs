//! What the server bounds and checks, between small WebRTC clients: descriptions that would break it, data that comes
//! fast, channels without end. Whoever goes too far is told, and everyone else's call goes on.

use std::time::{Duration, Instant};

use livekit_protocol::data_packet::Value;
use livekit_protocol::leave_request::Action;
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message as Ask;
use livekit_protocol::signal_response::Message as Answer;
use livekit_protocol::{DataPacket, SessionDescription, SubscriptionPermission, UpdateParticipantMetadata, UserPacket};
use prost::Message as _;
use rotunda::server::ServerLimits;
use str0m::channel::ChannelConfig;

use crate::peer::{Peer, Setup, connect, run};
use crate::server::{BROWSER_OFFER, Client, server, token};

/// A file's chunks, as browsers cut them.
const CHUNK_BYTES: usize = 15_000;

fn chunk(sequence: u32) -> DataPacket {
    let user = UserPacket { payload: vec![sequence as u8; CHUNK_BYTES], ..Default::default() };
    DataPacket { sequence, value: Some(Value::User(user)), ..Default::default() }
}

/// Sends data if the channel takes it; `None` when the connection is gone.
fn send(peer: &mut Peer, packet: &DataPacket) -> Option<bool> {
    let channel = peer.channel.unwrap();
    let taken = peer.rtc.channel(channel)?.write(true, &packet.encode_to_vec()).unwrap();
    peer.step();
    Some(taken)
}

fn told_to_leave(client: &mut Client) -> Action {
    client.until("leave", |message| match message {
        Answer::Leave(leave) => Some(leave.action()),
        _ => None,
    })
}

#[test]
fn a_payload_type_with_two_meanings_ends_nobodys_call() {
    let server = server(|_| {});
    let mut peers = [Peer::join(&server, "ann", Setup::PUBLISHER), Peer::join(&server, "bob", Setup::VIEWER)];
    connect(&mut peers);
    let mut number = 0;
    let mut goes_on = |what: &str| {
        let before = peers[1].packets.len();
        run(&mut peers, what, |peers| {
            number += 1;
            peers[0].send(number, true);
            std::thread::sleep(Duration::from_millis(5));
            peers[1].packets.len() > before + 10
        });
    };
    goes_on("the call");
    let asked_of_us = BROWSER_OFFER.replace("a=sendonly", "a=recvonly");
    let two_codecs = asked_of_us.replace("96", "111");
    let also_resends = asked_of_us.replace(" 97", " 111").replace(":97 ", ":111 ");
    let first = BROWSER_OFFER.to_owned();
    let swapped = first.replace("111", "@").replace("96", "111").replace('@', "96");
    for (name, offers) in [("eve", vec![two_codecs]), ("mallory", vec![also_resends]), ("trudy", vec![first, swapped])]
    {
        let (mut client, _) = Client::join(&server, &token(name, |_| {}));
        for sdp in offers {
            let r#type = "offer".to_owned();
            client.ask(Ask::Offer(SessionDescription { r#type, sdp, id: 1, ..Default::default() }));
        }
        let (reason, text) = client.refusal();
        assert!(reason == Reason::InvalidRequest && text.contains("payload type"), "{name}: {text}");
        client.is_served();
        goes_on(name);
    }
    assert_eq!(server.stats().failed_links, 0);
}

#[test]
fn a_file_arrives_whole_however_fast_it_is_sent() {
    const CHUNKS: u32 = 140;
    let server = server(|config| {
        let mut limits = ServerLimits::default();
        limits.data_bytes_per_sec = 512 * 1024;
        config.limits = limits;
    });
    let mut peers = ["ann", "bob"].map(|name| Peer::join(&server, name, Setup::VIEWER));
    connect(&mut peers);
    let mut next = 1;
    run(&mut peers, "two megabytes", |peers| {
        if next <= CHUNKS && send(&mut peers[0], &chunk(next)).unwrap() {
            next += 1;
        }
        peers[1].data.len() >= CHUNKS as usize
    });
    // A client that came back sends again what may not have arrived.
    for again in [CHUNKS - 1, CHUNKS, CHUNKS + 1] {
        assert!(send(&mut peers[0], &chunk(again)).unwrap());
    }
    run(&mut peers, "one more", |peers| peers[1].data.len() > CHUNKS as usize);
    let came: Vec<u32> = peers[1].data.iter().map(|packet| packet.sequence).collect();
    assert_eq!(came, (1..=CHUNKS + 1).collect::<Vec<_>>(), "all, once, in order");
    assert_eq!(server.stats().data_dropped, 0);
}

#[test]
fn data_without_end_ends_only_its_sender() {
    let server = server(|config| {
        let mut limits = ServerLimits::default();
        limits.data_bytes_per_sec = 64 * 1024;
        config.limits = limits;
    });
    let mut peers = ["ann", "bob"].map(|name| Peer::join(&server, name, Setup::VIEWER));
    connect(&mut peers);
    let mut next = 1;
    run(&mut peers, "the end", |peers| {
        let taken = send(&mut peers[0], &chunk(next));
        next += u32::from(taken == Some(true));
        taken.is_none()
    });
    assert!(next as usize * CHUNK_BYTES > 4 * 1024 * 1024, "{next} chunks were held first");
    assert_eq!(told_to_leave(&mut peers[0].client), Action::Reconnect);
    peers[1].client.is_served();
}

#[test]
fn channels_without_end_end_only_their_opener() {
    let server = server(|_| {});
    let mut peers = ["ann", "bob"].map(|name| Peer::join(&server, name, Setup::VIEWER));
    connect(&mut peers);
    for number in 0..12 {
        let label = format!("channel {number}");
        peers[0].rtc.direct_api().create_data_channel(ChannelConfig { label, ..Default::default() });
    }
    let opened = Instant::now() + Duration::from_secs(1);
    run(&mut peers, "opening", |peers| {
        peers[0].step();
        Instant::now() > opened
    });
    assert_eq!(told_to_leave(&mut peers[0].client), Action::Reconnect);
    assert_eq!(server.stats().failed_links, 1);
    peers[1].client.is_served();
}

#[test]
fn changes_that_everyone_is_told_of_come_only_so_fast() {
    const FLOOD: u32 = 100;
    let server = server(|_| {});
    let mut peers = [Peer::join(&server, "ann", Setup::PUBLISHER), Peer::join(&server, "bob", Setup::VIEWER)];
    connect(&mut peers);
    let [ann, bob] = &mut peers;
    for request_id in 1..=FLOOD {
        let name = format!("Ann {request_id}");
        ann.client.ask(Ask::UpdateMetadata(UpdateParticipantMetadata { name, request_id, ..Default::default() }));
    }
    let mut refused = 0;
    ann.client.until("the last answer", |message| match message {
        Answer::RequestResponse(answer) => {
            refused += u32::from(answer.reason() == Reason::LimitExceeded);
            (answer.request_id == FLOOD).then_some(())
        }
        _ => None,
    });
    assert!(refused > FLOOD / 2, "only {refused} of {FLOOD} were refused");
    // Of permissions each replaces the one before: the last one counts, if a little later.
    for number in 1..=FLOOD {
        let all_participants = number < FLOOD && number % 2 == 0;
        let permission = SubscriptionPermission { all_participants, ..Default::default() };
        ann.client.ask(Ask::SubscriptionPermission(permission));
    }
    std::thread::sleep(Duration::from_secs(3));
    let mut told = Vec::new();
    bob.client.ask(Ask::PingReq(Default::default()));
    bob.client.until("a pong", |message| match message {
        Answer::SubscriptionPermissionUpdate(update) => {
            told.push(update.allowed);
            None
        }
        Answer::PongResp(_) => Some(()),
        _ => None,
    });
    assert_eq!(told.last(), Some(&false), "the last word counts");
    assert!(told.len() < FLOOD as usize / 2, "{} changes in a burst reached everyone", told.len());
}
