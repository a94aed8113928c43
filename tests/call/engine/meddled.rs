//! What a server may say that no honest one says often, and what it may leave unsaid: the engine tells it with its code,
//! and the call goes on or ends clearly. A meddler stands between the engine and a real server.

use livekit_protocol as proto;
use rotunda::bridge::{RoomCommand, RoomEvent};
use rotunda::model::limits::MAX_PLAYED_STREAMS;
use rotunda::model::quality::Grade;
use rotunda::model::{CallError, EndReason, ErrorCode, PlayState, PublishState, RoomId, RoomState, RoomStateReason};
use rotunda::server::{Server, ServerConfig};

use super::kit::*;
use crate::common::meddler::{Ask, Meddler, Say};

fn enter(meddler: &Meddler, server: &TestServer, room: &RoomId, identity: &str) -> Bot {
    let mut bot = Bot::new(identity);
    bot.login(&[&meddler.url], room, server.token(room, identity));
    bot.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
    bot
}

fn guest(identity: &str, mime_type: &str) -> proto::ParticipantInfo {
    proto::ParticipantInfo {
        sid: format!("PA_{identity}"),
        identity: identity.into(),
        state: proto::participant_info::State::Active.into(),
        version: 1,
        tracks: vec![proto::TrackInfo {
            sid: format!("TR_{identity}"),
            r#type: proto::TrackType::Video.into(),
            source: proto::TrackSource::Camera.into(),
            mime_type: mime_type.into(),
            width: 640,
            height: 360,
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn update(participants: Vec<proto::ParticipantInfo>) -> Say {
    Say::Update(proto::ParticipantUpdate { participants })
}

fn leave(reason: proto::DisconnectReason) -> Say {
    Say::Leave(proto::LeaveRequest {
        reason: reason.into(),
        action: proto::leave_request::Action::Disconnect.into(),
        ..Default::default()
    })
}

fn play_error(bot: &mut Bot, code: ErrorCode) -> (rotunda::model::StreamId, PlayState) {
    bot.wait("a stream that is not played", SOON, |event| match event {
        RoomEvent::PlayStateChanged { stream, state, error: Some(error) } if error.code == code => {
            Some((stream.clone(), *state))
        }
        _ => None,
    })
}

#[test]
fn whoever_is_put_out_learns_why() {
    let server = TestServer::start();
    let room = room("out");
    for (reason, code) in [
        (proto::DisconnectReason::ParticipantRemoved, 1_002_055),
        (proto::DisconnectReason::DuplicateIdentity, 1_002_050),
        (proto::DisconnectReason::RoomDeleted, 1_002_055),
    ] {
        let meddler = Meddler::before(&server.url);
        let mut ann = enter(&meddler, &server, &room, "ann");
        ann.publish("ann-cam", 80);
        ann.wait_publishing("ann-cam");
        meddler.say(leave(reason));
        let error = ann.wait_state(RoomState::Disconnected, RoomStateReason::KickedOut).unwrap();
        assert_eq!(error.code.number(), code, "{error}");
        let told = if code == 1_002_050 { EndReason::ReplacedBySecondLogin } else { EndReason::Kicked };
        ann.wait_removed("ann-cam", told);
    }
}

#[test]
fn streams_of_others_end_with_their_reason() {
    use proto::DisconnectReason as Reason;
    let server = TestServer::start();
    let meddler = Meddler::before(&server.url);
    let mut ann = enter(&meddler, &server, &room("ends"), "ann");
    for (n, (reason, told)) in [
        (Reason::ClientInitiated, EndReason::Stopped),
        (Reason::ConnectionTimeout, EndReason::TimedOut),
        (Reason::DuplicateIdentity, EndReason::ReplacedBySecondLogin),
        (Reason::ParticipantRemoved, EndReason::Kicked),
        (Reason::RoomClosed, EndReason::RemovedByServer),
    ]
    .into_iter()
    .enumerate()
    {
        let identity = format!("guest{n}");
        let mut info = guest(&identity, "video/VP8");
        meddler.say(update(vec![info.clone()]));
        ann.wait_user(&identity);
        info.version = 2;
        info.state = proto::participant_info::State::Disconnected.into();
        info.disconnect_reason = reason.into();
        meddler.say(update(vec![info]));
        ann.wait_removed(&format!("{identity}-camera"), told);
        ann.wait_left(&identity);
    }
}

#[test]
fn two_hundred_streams_at_once_are_told_and_as_many_played_as_allowed() {
    let server = TestServer::start();
    let meddler = Meddler::before(&server.url);
    let mut ann = enter(&meddler, &server, &room("crowd"), "ann");
    meddler.say(update((0..200).map(|n| guest(&format!("guest{n}"), "video/VP8")).collect()));
    let (mut added, mut requested, mut refused) = (0, 0, 0);
    ann.wait("200 streams", SOON, |event| {
        match event {
            RoomEvent::StreamAdded(_) => added += 1,
            RoomEvent::PlayStateChanged { state: PlayState::Requesting, error: None, .. } => requested += 1,
            RoomEvent::PlayStateChanged { state: PlayState::NoPlay, error: Some(error), .. } => {
                assert_eq!(error.code.number(), 1_004_010, "{error}");
                refused += 1;
            }
            _ => {}
        }
        (added == 200 && requested + refused == 200).then_some(())
    });
    assert_eq!((requested, refused), (MAX_PLAYED_STREAMS, 200 - MAX_PLAYED_STREAMS));
    ann.wait_figures("everyone is counted", |now| (now.online == 201).then_some(()));
    ann.send(RoomCommand::StartPlaying(stream("guest199-camera")));
    play_error(&mut ann, ErrorCode::TooManyPlays);
    ann.send(RoomCommand::StopPlaying(stream("guest0-camera")));
    ann.wait_play_state("guest0-camera", PlayState::NoPlay);
    // The call is as good as before.
    ann.publish("ann-cam", 80);
    ann.wait_publishing("ann-cam");
}

#[test]
fn a_stream_in_a_codec_we_lack_is_shown_as_such() {
    let server = TestServer::start();
    let meddler = Meddler::before(&server.url);
    let mut ann = enter(&meddler, &server, &room("codec"), "ann");
    let mut bob = guest("bob", "video/AV1");
    meddler.say(update(vec![bob.clone()]));
    let (id, state) = play_error(&mut ann, ErrorCode::CodecUnsupported);
    assert_eq!((id.as_str(), state), ("bob-camera", PlayState::NoPlay));
    // The server may find out first.
    meddler.say(Say::SubscriptionResponse(proto::SubscriptionResponse {
        track_sid: "TR_bob".into(),
        err: proto::SubscriptionError::SeCodecUnsupported.into(),
    }));
    play_error(&mut ann, ErrorCode::CodecUnsupported);
    // Told once, not with every update.
    bob.version = 2;
    bob.name = "Bob".into();
    meddler.say(update(vec![bob]));
    meddler.say(update(vec![guest("cid", "video/VP8")]));
    ann.wait_user("cid");
    let again = ann.heard.iter().any(|event| matches!(event, RoomEvent::PlayStateChanged { error: Some(_), .. }));
    assert!(!again, "{:?}", ann.heard);
}

#[test]
fn grades_of_connections_are_told() {
    let server = TestServer::start();
    let meddler = Meddler::before(&server.url);
    let ann = enter(&meddler, &server, &room("grades"), "ann");
    meddler.say(update(vec![guest("bob", "video/VP8")]));
    for (quality, grade) in
        [(proto::ConnectionQuality::Poor, Grade::Poor), (proto::ConnectionQuality::Excellent, Grade::Excellent)]
    {
        let info = proto::ConnectionQualityInfo {
            participant_sid: "PA_bob".into(),
            quality: quality.into(),
            ..Default::default()
        };
        let stranger = proto::ConnectionQualityInfo { participant_sid: "PA_nobody".into(), ..info.clone() };
        meddler.say(Say::ConnectionQuality(proto::ConnectionQualityUpdate { updates: vec![stranger, info] }));
        ann.wait_figures("a grade", |now| (now.network.get(&user("bob")) == Some(&grade)).then_some(()));
        let known = ann.engine.snapshot().network.keys().all(|who| *who == user("bob") || *who == user("ann"));
        assert!(known, "strangers have no grade");
    }
}

#[test]
fn tracks_that_are_refused_or_taken_back_end_with_a_reason() {
    let server = TestServer::start();
    let refusal = |said| match said {
        Say::TrackPublished(published) if published.track.as_ref().is_some_and(|track| track.name == "refused") => {
            vec![Say::RequestResponse(proto::RequestResponse {
                reason: proto::request_response::Reason::NotAllowed.into(),
                request: Some(proto::request_response::Request::AddTrack(proto::AddTrackRequest {
                    cid: published.cid,
                    ..Default::default()
                })),
                ..Default::default()
            })]
        }
        other => vec![other],
    };
    let swallow = |asked: &Ask| matches!(asked, Ask::AddTrack(request) if request.name == "unheard");
    let meddler = Meddler::with(&server.url, refusal, swallow);
    let mut ann = enter(&meddler, &server, &room("refused"), "ann");
    let ended = |ann: &mut Bot, id: &str| -> CallError {
        ann.wait("the stream's end", SOON, |event| match event {
            RoomEvent::PublishStateChanged { stream, state: PublishState::NoPublish, error: Some(error) }
                if stream.as_str() == id =>
            {
                Some(error.clone())
            }
            _ => None,
        })
    };
    ann.publish("unheard", 80);
    ann.publish("refused", 80);
    assert_eq!(ended(&mut ann, "refused").code, ErrorCode::NotPermitted);
    assert_eq!(ended(&mut ann, "unheard").code.number(), 1_003_020, "the server never answered");
    ann.publish("ann-cam", 80);
    ann.wait_publishing("ann-cam");
    let sid = ann.wait("the track's id", SOON, |event| match event {
        RoomEvent::StreamUpdated(info) if info.id == stream("ann-cam") => {
            info.video.as_ref().map(|video| video.sid.to_string())
        }
        _ => None,
    });
    meddler.say(Say::TrackUnpublished(proto::TrackUnpublishedResponse { track_sid: sid }));
    assert_eq!(ended(&mut ann, "ann-cam").code, ErrorCode::NotPermitted);
    ann.wait_removed("ann-cam", EndReason::RemovedByServer);
}

#[test]
fn nonsense_changes_nothing() {
    let server = TestServer::start();
    let meddler = Meddler::before(&server.url);
    let room = room("nonsense");
    let mut ann = enter(&meddler, &server, &room, "ann");
    ann.publish("ann-cam", 80);
    ann.wait_publishing("ann-cam");
    let answer = |sdp: &str, id| {
        Say::Answer(proto::SessionDescription { r#type: "answer".into(), sdp: sdp.into(), id, ..Default::default() })
    };
    for say in [
        answer("v=7", 4711),
        answer("", 0),
        Say::Trickle(proto::TrickleRequest { candidate_init: "{".into(), ..Default::default() }),
        Say::TrackPublished(proto::TrackPublishedResponse { cid: "nobody's".into(), track: None }),
        Say::TrackUnpublished(proto::TrackUnpublishedResponse { track_sid: String::new() }),
        Say::Mute(proto::MuteTrackRequest { sid: "\u{0}".into(), muted: true }),
        Say::SpeakersChanged(proto::SpeakersChanged {
            speakers: vec![proto::SpeakerInfo { sid: String::new(), level: f32::NAN, active: true }],
        }),
        Say::RefreshToken("nonsense".into()),
        Say::RequestResponse(proto::RequestResponse { request_id: 99, reason: 99, ..Default::default() }),
        Say::MediaSectionsRequirement(proto::MediaSectionsRequirement { num_audios: 0, num_videos: 0 }),
        update(vec![proto::ParticipantInfo::default(), guest("a\u{0}b", ""), guest(&"x".repeat(64), "")]),
    ] {
        meddler.say(say);
    }
    // A track of a type there is not, and an attribute that is no note.
    let mut odd = guest("odd", "video/VP8");
    odd.tracks[0].r#type = 77;
    odd.attributes.insert("rotunda.stream.odd-camera".into(), "[[[[".into());
    meddler.say(update(vec![odd]));
    ann.wait_user("odd");
    // Still whole: someone else sees the picture, and words arrive.
    let mut bob = server.enter(&room, "bob");
    picture(&bob.wait_feed("ann-cam"));
    let none = ann.heard.iter().any(|event| matches!(event, RoomEvent::StateChanged { .. }));
    assert!(!none, "the call went on: {:?}", ann.heard);
}

#[test]
fn bytes_that_are_no_message_are_survived() {
    let server = TestServer::start();
    let meddler = Meddler::before(&server.url);
    let room = room("bytes");
    let mut ann = enter(&meddler, &server, &room, "ann");
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for length in [0_usize, 1, 7, 100, 5000] {
        let bytes = (0..length).map(|_| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed as u8
        });
        meddler.say_bytes(bytes.collect());
    }
    // In the room still, or again: a client may begin anew where it cannot read on.
    let mut bob = server.enter(&room, "bob");
    ann.wait_user("bob");
    ann.publish("ann-cam", 80);
    picture(&bob.wait_feed("ann-cam"));
}

#[test]
fn full_rooms_and_servers_say_so() {
    let room = room("full");
    let mut limits = ServerConfig::dev().limits;
    limits.participants_per_room = 1;
    limits.rooms = 1;
    let small = Server::start(ServerConfig { port: 0, rtc_port: 0, limits, ..ServerConfig::dev() }).unwrap();
    let tokens = TestServer::embedded_at(0, 0);
    let mut ann = Bot::new("ann");
    ann.login(&[&small.url()], &room, tokens.token(&room, "ann"));
    ann.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
    let refused = |room: &RoomId| {
        let mut bob = Bot::new("bob");
        bob.login(&[&small.url()], room, tokens.token(room, "bob"));
        bob.wait_state(RoomState::Disconnected, RoomStateReason::LoginFailed).unwrap()
    };
    assert_eq!(refused(&room).code.number(), 1_002_034);
    assert_eq!(refused(&RoomId::new("another").unwrap()).code.number(), 1_002_001);
    // Another server of the list has room.
    let mut bob = Bot::new("bob");
    bob.login(&[&small.url(), &tokens.url], &room, tokens.token(&room, "bob"));
    bob.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
}
