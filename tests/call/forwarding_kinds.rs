//! The kinds of media the server passes on, and over what: H.264, redundant sound, TCP; and what it tells publishers of
//! what is watched.

use std::time::{Duration, Instant};

use livekit_protocol::signal_request::Message as Ask;
use livekit_protocol::signal_response::Message as Answer;
use livekit_protocol::{
    SubscribedQualityUpdate, SubscriptionError, UpdateSubscription, UpdateTrackSettings, VideoQuality,
};
use str0m::format::Codec;
use str0m::rtp::{RedDecoder, RedEncoder, RedundantBlock};

use super::peer::{Peer, Setup, connect, number_of, run};
use super::server::server;

const H264: Setup = Setup { codec: Codec::H264, ..Setup::PUBLISHER };

/// The session id of the one track a newcomer found.
fn track_of(peer: &Peer) -> String {
    peer.join.other_participants[0].tracks[0].sid.clone()
}

fn plays(peers: &mut [Peer]) {
    connect(peers);
    peers[0].send(0, false);
    run(peers, "a keyframe request", |peers| peers[0].keyframe_requests > 0);
    assert!(peers[1..].iter().all(|peer| peer.packets.is_empty()), "nobody can begin in the middle");
    for number in 1..=50 {
        peers[0].send(number, number == 1);
        peers.iter_mut().for_each(Peer::turn);
    }
    run(peers, "fifty frames", |peers| peers[1..].iter().all(|peer| peer.packets.len() >= 50));
    for peer in &peers[1..] {
        let numbers: Vec<u32> = peer.packets.iter().map(|(packet, _)| number_of(packet)).collect();
        assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
    }
}

#[test]
fn h264_is_announced_negotiated_and_starts_with_its_parameters() {
    let server = server(|_| {});
    let ann = Peer::join(&server, "ann", H264);
    let offered: Vec<String> = ann.join.enabled_publish_codecs.iter().map(|codec| codec.mime.clone()).collect();
    assert!(
        ["video/H264", "video/VP8", "audio/red"].iter().all(|mime| offered.iter().any(|m| m == mime)),
        "{offered:?}"
    );
    let bob = Peer::join(&server, "bob", Setup { codec: Codec::H264, ..Setup::VIEWER });
    assert_eq!(bob.join.other_participants[0].tracks[0].mime_type, "video/H264");
    plays(&mut [ann, bob]);
}

#[test]
fn who_lacks_the_codec_is_told() {
    let server = server(|_| {});
    let mut peers = [Peer::join(&server, "ann", H264), Peer::join(&server, "bob", Setup::VIEWER)];
    let told: Vec<_> = peers[1].unserved.iter().map(|r| (r.track_sid.clone(), r.err())).collect();
    assert_eq!(told, [(track_of(&peers[1]), SubscriptionError::SeCodecUnsupported)]);
    connect(&mut peers);
}

#[test]
fn media_passes_over_tcp_beside_udp() {
    let server = server(|_| {});
    let mut peers = [
        Peer::join(&server, "ann", Setup { tcp: true, ..Setup::PUBLISHER }),
        Peer::join(&server, "bob", Setup { tcp: true, ..Setup::VIEWER }),
        Peer::join(&server, "cleo", Setup::VIEWER),
    ];
    assert!(peers[0].answer.contains("tcptype passive"), "{}", peers[0].answer);
    plays(&mut peers);
    assert_eq!(server.stats().failed_links, 0);
}

#[test]
fn what_nobody_watches_is_told_to_its_publisher() {
    let server = server(|_| {});
    let mut ann = Peer::join(&server, "ann", Setup::PUBLISHER);
    let mut bob = Peer::join(&server, "bob", Setup::VIEWER);
    let track = track_of(&bob);
    let enabled = |update: &SubscribedQualityUpdate| -> Vec<bool> {
        update.subscribed_codecs[0].qualities.iter().map(|quality| quality.enabled).collect()
    };
    let next = |ann: &mut Peer| {
        ann.client.until("what is watched", |message| match message {
            Answer::SubscribedQualityUpdate(update) => {
                assert_eq!(
                    (update.track_sid.as_str(), update.subscribed_codecs[0].codec.as_str()),
                    (track.as_str(), "vp8")
                );
                Some(enabled(&update))
            }
            _ => None,
        })
    };
    let track_sids = vec![track.clone()];
    let settings = |disabled, quality: VideoQuality| {
        let quality = quality.into();
        Ask::TrackSetting(UpdateTrackSettings {
            track_sids: track_sids.clone(),
            disabled,
            quality,
            ..Default::default()
        })
    };
    let asked = Instant::now();
    bob.client.ask(settings(false, VideoQuality::Low));
    assert_eq!(next(&mut ann), [true, false, false]);
    assert!(asked.elapsed() > Duration::from_secs(4), "people turn back: fewer only after a while");
    bob.client.ask(settings(false, VideoQuality::High));
    assert_eq!(next(&mut ann), [true, true, true]);
    bob.client.ask(settings(true, VideoQuality::High));
    assert_eq!(next(&mut ann), [false, false, false]);
    bob.client.ask(settings(false, VideoQuality::Medium));
    assert_eq!(next(&mut ann), [true, true, false]);
    let leave = UpdateSubscription { track_sids: vec![track.clone()], subscribe: false, ..Default::default() };
    bob.client.ask(Ask::Subscription(leave));
    assert_eq!(next(&mut ann), [false, false, false]);
}

#[test]
fn redundant_sound_is_passed_on_or_unpacked_and_mends_losses() {
    const SOUND: Setup = Setup { codec: Codec::Opus, red: true, ..Setup::PUBLISHER };
    const EAR: Setup = Setup { codec: Codec::Opus, ..Setup::VIEWER };
    let server = server(|_| {});
    let mut peers = [
        Peer::join(&server, "ann", SOUND),
        Peer::join(&server, "bob", Setup { red: true, ..EAR }),
        Peer::join(&server, "cleo", EAR),
    ];
    connect(&mut peers);
    let params = *peers[0].rtc.codec_config().find(|p| p.spec().codec == Codec::Opus).unwrap();
    let (opus, red) = (params.pt(), params.red().unwrap());
    // Every fifth packet is lost before the server.
    let frame = |number: u32| number.to_be_bytes().to_vec();
    for number in 1..=50_u32 {
        if number % 5 != 0 {
            let earlier = RedundantBlock { pt: *opus, timestamp_offset: 960, payload: frame(number - 1) };
            let payload = RedEncoder::encode(*opus, &frame(number), &[earlier]);
            peers[0].write(red, u64::from(number) + 7, number * 960, payload, false);
        }
        let next = Instant::now() + Duration::from_millis(5);
        while Instant::now() < next {
            peers.iter_mut().for_each(Peer::turn);
        }
    }
    run(&mut peers, "all sound", |peers| peers[1].packets.len() >= 40 && peers[2].packets.len() >= 49);
    for (packet, _) in &peers[1].packets {
        assert_eq!(RedDecoder::decode(&packet.payload).unwrap().len(), 2, "whoever takes it gets it whole");
    }
    let heard: Vec<u32> = peers[2]
        .packets
        .iter()
        .map(|(packet, _)| u32::from_be_bytes(packet.payload[..4].try_into().unwrap()))
        .collect();
    let expected: Vec<u32> = (1..50).collect();
    assert_eq!(heard, expected, "each once, in order, the lost ones mended");
    let clock: Vec<u32> = peers[2].packets.iter().map(|(packet, _)| packet.header.timestamp).collect();
    assert!(clock.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == 960), "at their times");
}
