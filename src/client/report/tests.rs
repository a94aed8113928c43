//! Proof of the report: whose figures it keeps, what it counts, and how it words an end.

use super::*;
use crate::model::quality::VideoStats;
use crate::model::{DeviceState, StreamKind};

fn user(id: &str) -> UserInfo {
    UserInfo {
        id: UserId::new(id).unwrap(),
        name: id.to_uppercase(),
        sid: "PA_1".into(),
        joined_at_ms: 0,
        attributes: BTreeMap::new(),
        metadata: String::new(),
    }
}

fn camera(owner: &str) -> StreamInfo {
    StreamInfo {
        id: StreamId::new(format!("{owner}-camera")).unwrap(),
        owner: UserId::new(owner).unwrap(),
        kind: StreamKind::Camera,
        video: Some(TrackInfo {
            sid: TrackSid::new(format!("TR_{owner}")).unwrap(),
            kind: MediaKind::Video,
            source: TrackSource::Camera,
            mime_type: "video/VP8".into(),
            width: 640,
            height: 480,
            muted: false,
        }),
        audio: None,
        video_state: DeviceState::On,
        audio_state: DeviceState::Off,
        extra_info: String::new(),
        wall_slot: None,
    }
}

fn connected(recorder: &mut Recorder) {
    recorder.on_event(&RoomEvent::StateChanged {
        state: RoomState::Connected,
        reason: RoomStateReason::LoggedIn,
        error: None,
        me: Some(user("me")),
    });
}

#[test]
fn a_call_that_never_began_is_not_ok() {
    let report = Recorder::new("r").report(Expectations::default());
    assert!(!report.ok);
    assert!(report.problems[0].contains("never got into room"));
}

#[test]
fn a_picture_that_was_expected_but_never_decoded_is_a_problem() {
    let mut recorder = Recorder::new("r");
    connected(&mut recorder);
    recorder.on_event(&RoomEvent::UserJoined(user("ann")));
    recorder.on_event(&RoomEvent::StreamAdded(camera("ann")));
    let expected = Expectations { remote_videos: 1, ..Expectations::default() };
    assert!(!recorder.report(expected).ok);
    let mut snapshot = EngineSnapshot::default();
    let stats = VideoStats { packets: 9, frames_decoded: 3, ..VideoStats::default() };
    let sid = TrackSid::new("TR_ann").unwrap();
    snapshot.tracks.insert(sid, (StreamId::new("ann-camera").unwrap(), TrackStats::Video(stats)));
    recorder.on_snapshot(&snapshot);
    let report = recorder.report(expected);
    assert!(report.ok, "{:?}", report.problems);
    assert_eq!((report.streams[0].name.as_str(), report.streams[0].frames_decoded), ("ANN", 3));
}

#[test]
fn a_stream_published_anew_is_counted_anew() {
    let mut recorder = Recorder::new("r");
    connected(&mut recorder);
    let first = camera("ann");
    let mut second = first.clone();
    second.video.as_mut().unwrap().sid = TrackSid::new("TR_second").unwrap();
    let frame = VideoFrame::new(2, 2, Default::default(), 0, vec![0; 6]).unwrap();
    recorder.on_event(&RoomEvent::StreamAdded(first.clone()));
    recorder.on_frame_presented(&first.id, &frame, 0);
    recorder.on_frame_presented(&first.id, &frame, 0);
    recorder.on_event(&RoomEvent::StreamUpdated(second));
    recorder.on_frame_presented(&first.id, &frame, 0);
    let report = recorder.report(Expectations::default());
    let figures: Vec<_> = report.streams.iter().map(|s| (s.ended, s.frames_presented)).collect();
    assert_eq!(figures, [(true, 2), (false, 1)]);
}

#[test]
fn own_streams_are_not_reported_as_remote() {
    let mut recorder = Recorder::new("r");
    connected(&mut recorder);
    recorder.on_event(&RoomEvent::StreamUpdated(camera("me")));
    assert!(recorder.report(Expectations::default()).streams.is_empty());
}

fn ended(recorder: &mut Recorder, reason: RoomStateReason, error: Option<CallError>) {
    recorder.on_event(&RoomEvent::StateChanged { state: RoomState::Disconnected, reason, error, me: None });
}

fn own(recorder: &mut Recorder, state: PublishState, code: Option<ErrorCode>) {
    let error = code.map(|code| CallError::new(code, "because"));
    let stream = StreamId::new("me-camera").unwrap();
    recorder.on_event(&RoomEvent::PublishStateChanged { stream, state, error });
}

#[test]
fn a_call_that_was_ended_by_others_is_not_ok_and_says_why() {
    for (reason, code) in [
        (RoomStateReason::KickedOut, ErrorCode::KickedByHost),
        (RoomStateReason::KickedOut, ErrorCode::KickedBySecondLogin),
        (RoomStateReason::ReconnectFailed, ErrorCode::RetriesExhausted),
    ] {
        let mut recorder = Recorder::new("r");
        connected(&mut recorder);
        ended(&mut recorder, reason, Some(CallError::new(code, "because")));
        let report = recorder.report(Expectations::default());
        assert!(!report.ok);
        let problem = &report.problems[0];
        assert!(problem.contains(words::room_reason(reason)), "{problem}");
        assert!(problem.contains(&code.number().to_string()), "{problem}");
        let end = report.end.unwrap();
        assert_eq!((end.reason, end.code), (words::room_reason(reason), Some(code.number())));
        assert_eq!(end.message.as_deref(), Some("because"));
    }
}

#[test]
fn leaving_is_ok_and_so_is_a_break_that_was_mended() {
    let mut recorder = Recorder::new("r");
    connected(&mut recorder);
    assert!(recorder.report(Expectations::default()).end.is_none(), "the time is up while it goes on");
    ended(&mut recorder, RoomStateReason::LoggedOut, None);
    let report = recorder.report(Expectations::default());
    assert!(report.ok && report.end.unwrap().reason == "logged_out", "{:?}", report.problems);
    ended(&mut recorder, RoomStateReason::KickedOut, Some(CallError::new(ErrorCode::KickedByHost, "because")));
    connected(&mut recorder);
    let report = recorder.report(Expectations::default());
    assert!(report.ok && report.end.is_none(), "{:?}", report.problems);
    assert_eq!(report.errors, ["because (code 1002055)"], "told all the same");
}

#[test]
fn an_own_stream_whose_id_is_taken_is_a_problem_with_its_code() {
    let expected = Expectations { own_streams: 1, ..Expectations::default() };
    let mut recorder = Recorder::new("r");
    connected(&mut recorder);
    own(&mut recorder, PublishState::NoPublish, Some(ErrorCode::StreamIdTaken));
    let report = recorder.report(expected);
    assert_eq!(report.problems, ["the own stream me-camera was not published: because (code 1003028)"]);
    own(&mut recorder, PublishState::Publishing, None);
    assert!(recorder.report(expected).ok, "it went well in the end");
    own(&mut recorder, PublishState::NoPublish, Some(ErrorCode::StreamIdTaken));
    assert!(recorder.report(expected).problems[0].contains("ended"), "taken while the connection was broken");
}

#[test]
fn a_source_that_came_to_its_end_is_no_problem() {
    let expected = Expectations { own_streams: 1, ..Expectations::default() };
    let mut recorder = Recorder::new("r");
    connected(&mut recorder);
    assert!(!recorder.report(expected).ok, "nothing was published yet");
    own(&mut recorder, PublishState::Publishing, None);
    own(&mut recorder, PublishState::NoPublish, Some(ErrorCode::SourceEnded));
    assert!(recorder.report(expected).ok);
}

#[test]
fn qualities_outlive_the_call_they_are_about() {
    let mut recorder = Recorder::new("r");
    connected(&mut recorder);
    let me = UserId::new("me").unwrap();
    let snapshot = EngineSnapshot {
        rtt_ms: Some(12.0),
        network: BTreeMap::from([(me, Grade::Good)]),
        publishing: BTreeMap::from([(
            StreamId::new("me-camera").unwrap(),
            PublishQuality { sent_fps: 15.0, grade: Grade::Medium, ..PublishQuality::default() },
        )]),
        playing: BTreeMap::from([(
            StreamId::new("ann-camera").unwrap(),
            PlayedQuality { freezes: 2, grade: Grade::Poor, ..PlayedQuality::default() },
        )]),
        ..EngineSnapshot::default()
    };
    recorder.on_snapshot(&snapshot);
    recorder.on_snapshot(&EngineSnapshot::default());
    let written = serde_json::to_value(recorder.report(Expectations::default())).unwrap();
    let quality = &written["quality"];
    assert_eq!(quality["rtt_ms"], 12.0);
    assert_eq!(quality["network"]["me"], "good");
    assert_eq!(quality["publishing"]["me-camera"]["sent_fps"], 15.0);
    assert_eq!(quality["publishing"]["me-camera"]["grade"], "medium");
    assert_eq!(quality["playing"]["ann-camera"]["freezes"], 2);
    assert_eq!(quality["playing"]["ann-camera"]["grade"], "poor");
    assert!(written["end"].is_null());
}

#[test]
fn a_stream_that_ended_says_why() {
    let mut recorder = Recorder::new("r");
    connected(&mut recorder);
    let stream = camera("ann");
    recorder.on_event(&RoomEvent::StreamAdded(stream.clone()));
    let (id, owner) = (stream.id.clone(), stream.owner.clone());
    recorder.on_event(&RoomEvent::StreamRemoved { stream: id, owner, reason: EndReason::TimedOut });
    let report = recorder.report(Expectations::default());
    assert_eq!((report.streams[0].ended, report.streams[0].end_reason), (true, Some("timed_out")));
}

#[test]
fn what_the_room_did_not_look_at_is_told_and_is_no_problem() {
    let mut recorder = Recorder::new("r");
    connected(&mut recorder);
    for name in ["ann", "bob"] {
        recorder.on_event(&RoomEvent::UserJoined(user(name)));
        recorder.on_event(&RoomEvent::StreamAdded(camera(name)));
    }
    let expected = Expectations { remote_videos: 2, ..Expectations::default() };
    let id = |name: &str| StreamId::new(format!("{name}-camera")).unwrap();
    recorder.on_fetch(&id("ann"), FetchReport { size: "paused", why: "out of view", wanted: false });
    recorder.on_fetch(&id("bob"), FetchReport { size: "full", why: "in view", wanted: true });
    assert!(!recorder.report(expected).ok, "bob was looked at");
    recorder.on_fetch(&id("bob"), FetchReport { size: "paused", why: "out of view", wanted: false });
    recorder.on_fetch(&id("bob"), FetchReport { size: "full", why: "in view", wanted: true });
    let report = recorder.report(expected);
    assert!(report.ok, "{:?}", report.problems);
    assert_eq!(report.fetched, BTreeMap::from([("full", 1), ("paused", 1)]));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["streams"][0]["fetched"]["why"], "out of view");
}
