//! What the server does about loss: packets are asked for again and sent again, and keyframes are not stormed.

use std::time::{Duration, Instant};

use livekit_protocol::UpdateTrackSettings;
use livekit_protocol::signal_request::Message as Ask;
use str0m::media::{Direction, KeyframeRequestKind};

use super::peer::{Peer, Setup, connect, number_of, run};
use super::server::server;

/// A picture of some 100 packets a second where the tests' loop turns as fast as it can.
const TURNS_PER_PACKET: u32 = 30;

/// Sends a picture at some 330 packets a second; answers the share of them that came, each once.
fn share_that_comes(publisher: Setup, viewer: Setup) -> f64 {
    const PACKETS: u32 = 1500;
    let server = server(|_| {});
    let mut peers = vec![Peer::join(&server, "ann", publisher), Peer::join(&server, "bob", viewer)];
    connect(&mut peers);
    let mut first = 0;
    run(&mut peers, "the picture starts", |peers| {
        // Again and again, since the keyframe itself may be lost.
        first += 1;
        peers[0].send(first, true);
        std::thread::sleep(Duration::from_millis(5));
        !peers[1].packets.is_empty()
    });
    if !viewer.rtx {
        // The stack of this test asks only for what it can unwrap, unless told.
        let ssrc = peers[1].packets[0].0.header.ssrc;
        peers[1].rtc.direct_api().stream_rx(&ssrc).unwrap().suppress_nack(false);
    }
    let last = first + PACKETS;
    for number in first + 1..=last {
        peers[0].send(number, false);
        let next = Instant::now() + Duration::from_millis(3);
        while Instant::now() < next {
            peers.iter_mut().for_each(Peer::turn);
        }
    }
    let settled = Instant::now() + Duration::from_secs(2);
    run(&mut peers, "the rest", |_| Instant::now() > settled);
    let mut came: Vec<u32> = peers[1].packets.iter().map(|(packet, _)| number_of(packet)).collect();
    let count = came.len();
    came.sort_unstable();
    came.dedup();
    assert_eq!(came.len(), count, "nothing comes twice");
    let came = came.iter().filter(|number| **number > first).count();
    println!("{came} of {PACKETS} frames came; {:?}", server.stats());
    assert_eq!(server.stats().failed_links, 0);
    came as f64 / f64::from(PACKETS)
}

#[test]
fn a_picture_survives_ten_percent_loss_both_ways() {
    let lossy = |setup: Setup| Setup { loss_percent: 10, ..setup };
    assert!(share_that_comes(lossy(Setup::PUBLISHER), lossy(Setup::VIEWER)) > 0.99);
}

#[test]
fn a_viewer_without_a_stream_for_it_still_gets_lost_packets_again() {
    assert!(share_that_comes(Setup::PUBLISHER, Setup { rtx: false, loss_percent: 10, ..Setup::VIEWER }) > 0.99);
}

#[test]
fn many_wishes_for_a_keyframe_are_few_requests() {
    let server = server(|_| {});
    let mut peers = vec![Peer::join(&server, "ann", Setup::PUBLISHER)];
    peers.extend(["bob", "cleo"].map(|name| Peer::join(&server, name, Setup::VIEWER)));
    assert_eq!(Setup::VIEWER.direction, Direction::RecvOnly);
    connect(&mut peers);
    peers[0].send(0, true);
    run(&mut peers, "the picture", |peers| peers[1..].iter().all(|peer| !peer.packets.is_empty()));
    let (before, began) = (peers[0].keyframe_requests, Instant::now());
    let mut asked = 0;
    let (mut turn, mut sent) = (0, 0);
    run(&mut peers, "asking", |peers| {
        turn += 1;
        if turn % TURNS_PER_PACKET == 0 {
            sent += 1;
            peers[0].send(sent, false);
        }
        for peer in &mut peers[1..] {
            let ssrc = peer.packets[0].0.header.ssrc;
            if let Some(stream) = peer.rtc.direct_api().stream_rx(&ssrc) {
                stream.request_keyframe(KeyframeRequestKind::Pli);
                asked += 1;
            }
            peer.step();
        }
        began.elapsed() > Duration::from_secs(2)
    });
    let requests = peers[0].keyframe_requests - before;
    // One at once and one every 350 ms, however long the machine took.
    let most = began.elapsed().as_millis() as usize / 350 + 2;
    assert!(asked > 20 * most, "{asked} wishes");
    assert!((2..=most).contains(&requests), "{asked} wishes became {requests} requests, at most {most} were due");
}

/// Lets the receiver ask for a keyframe again and again; answers how many requests reached the publisher, which sends
/// on after packet `sent`, where there is one.
fn requests_in(peers: &mut [Peer], time: Duration, mut sent: Option<&mut u32>) -> usize {
    let (before, until) = (peers[0].keyframe_requests, Instant::now() + time);
    let mut turn = 0;
    run(peers, "asking", |peers| {
        turn += 1;
        if let Some(sent) = sent.as_mut().filter(|_| turn % TURNS_PER_PACKET == 0) {
            **sent += 1;
            peers[0].send(**sent, false);
        }
        let ssrc = peers[1].packets[0].0.header.ssrc;
        if let Some(stream) = peers[1].rtc.direct_api().stream_rx(&ssrc) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
        peers[1].step();
        Instant::now() > until
    });
    peers[0].keyframe_requests - before
}

#[test]
fn keyframes_are_asked_for_only_while_they_are_of_use() {
    let server = server(|_| {});
    let mut peers = [Peer::join(&server, "ann", Setup::PUBLISHER), Peer::join(&server, "bob", Setup::VIEWER)];
    connect(&mut peers);
    peers[0].send(0, true);
    run(&mut peers, "the picture", |peers| !peers[1].packets.is_empty());
    let stopped = requests_in(&mut peers, Duration::from_secs(4), None);
    assert!(stopped <= 3, "a camera that is off was asked {stopped} times");

    let mut sent = 0;
    let flowing = requests_in(&mut peers, Duration::from_secs(2), Some(&mut sent));
    assert!(flowing >= 3, "a broken picture was asked for {flowing} times");
    let track_sids = vec![peers[1].join.other_participants[0].tracks[0].sid.clone()];
    peers[1].client.ask(Ask::TrackSetting(UpdateTrackSettings { track_sids, disabled: true, ..Default::default() }));
    peers[1].client.is_served();
    requests_in(&mut peers, Duration::from_millis(500), Some(&mut sent));
    let switched_off = requests_in(&mut peers, Duration::from_secs(2), Some(&mut sent));
    assert_eq!(switched_off, 0, "for one who does not look");
}
