//! A call in words: a line for each event, and a block of lines with all figures. Every line begins with its topic and
//! what it is about, in columns, and goes on with `name=value`, so that it can be searched. Plain data, prints nothing.

use crate::bridge::RoomEvent;
use crate::client::report::words;
use crate::model::quality::{
    AudioStats, EngineSnapshot, Grade, PlayedQuality, PublishQuality, TrackStats, VideoStats, level_percent,
};
use crate::model::{
    CallError, DeviceState, DeviceUse, RoomOrder, StreamId, StreamInfo, StreamKind, TrackInfo, UserId, UserInfo,
};

/// Widths of the columns, in characters; what is longer moves the rest.
const TOPIC: usize = 9;
const SUBJECT: usize = 24;
const FIELD: usize = 16;

/// Puts a call into words. What others wrote is quoted, and control characters in it are spelled out: a message cannot
/// steer the terminal it is shown on.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    me: Option<UserId>,
}

impl Watch {
    /// One event, in a line.
    pub fn event(&mut self, event: &RoomEvent) -> String {
        match event {
            RoomEvent::StateChanged { state, reason, error, me } => {
                if let Some(me) = me {
                    self.me = Some(me.id.clone());
                }
                let who = me.as_ref().map(|me| format!("me={} name={:?}", me.id, me.name));
                let fields = [Some(words::room_reason(*reason).to_owned()), who, fault(error.as_ref())];
                line("state", words::room_state(*state), fields.into_iter().flatten())
            }
            RoomEvent::RoomChanged { metadata, may_change } => {
                let rights = if *may_change { "host" } else { "guest" };
                // Whoever has the link can come in: it is not printed.
                let metadata = match RoomOrder::read(metadata).link {
                    Some(link) => metadata.replace(&link.to_string(), "..."),
                    None => metadata.clone(),
                };
                line("room", "changed", [format!("as={rights}"), format!("metadata={metadata:?}")])
            }
            RoomEvent::UserJoined(info) => user("joined", info),
            RoomEvent::UserUpdated(info) => user("updated", info),
            RoomEvent::UserLeft { user, reason } => {
                line("user", user.as_str(), ["left".to_owned(), format!("reason={}", words::end_reason(*reason))])
            }
            RoomEvent::StreamAdded(info) => stream("added", info),
            RoomEvent::StreamUpdated(info) => stream("updated", info),
            RoomEvent::StreamRemoved { stream, owner, reason } => {
                let fields = [format!("of={owner}"), format!("reason={}", words::end_reason(*reason))];
                line("stream", stream.as_str(), ["removed".to_owned()].into_iter().chain(fields))
            }
            RoomEvent::PublishStateChanged { stream, state, error } => {
                progress("publish", stream, words::publish_state(*state), error.as_ref())
            }
            RoomEvent::PlayStateChanged { stream, state, error } => {
                progress("play", stream, words::play_state(*state), error.as_ref())
            }
            RoomEvent::VideoFeedOpened { stream, .. } => line("feed", stream.as_str(), ["opened".to_owned()]),
            RoomEvent::DeviceChanged { stream, kind, device } => {
                let subject = format!("{stream} {}", words::media(*kind));
                line("device", &subject, device_fields(device))
            }
            RoomEvent::SpeakerChanged(device) => line("device", "speaker", device_fields(device)),
            RoomEvent::CommandFailed(error) => line("refused", "", fault(Some(error))),
            message => said(message),
        }
    }

    /// All figures as they are now, in lines.
    pub fn figures(&self, now: &EngineSnapshot) -> Vec<String> {
        let mut lines = vec![self.connection(now)];
        let speakers = now.active_speakers.iter().map(ToString::to_string);
        lines.push(line("speaking", "", speakers));
        let level = |(user, level): (&UserId, &f32)| line("level", user.as_str(), [level_percent(*level).to_string()]);
        lines.extend(now.levels.iter().map(level));
        let network = |(user, grade): (&UserId, &Grade)| line("network", user.as_str(), [graded(*grade)]);
        lines.extend(now.network.iter().map(network));
        lines.extend(now.publishing.iter().map(|(stream, quality)| published(stream, quality)));
        lines.extend(now.playing.iter().map(|(stream, quality)| played(stream, quality)));
        lines.extend(now.tracks.values().map(|(stream, stats)| match stats {
            TrackStats::Video(video) => picture(stream, video),
            TrackStats::Audio(audio) => sound(stream, audio),
        }));
        lines
    }

    /// The room as a whole, and this client's way to it.
    fn connection(&self, now: &EngineSnapshot) -> String {
        let own = self.me.as_ref().and_then(|me| now.network.get(me));
        let bandwidth = now.send_bandwidth_kbps.map_or_else(|| "-".to_owned(), |kbps| format!("{kbps:.0}kbps"));
        let fields = [
            format!("online={}", now.online),
            format!("network={}", own.map_or_else(|| "-".to_owned(), |own| graded(*own))),
            format!("rtt={}", ms(now.rtt_ms)),
            format!("sent={:.0}kbps", now.sent_kbps),
            format!("bandwidth={bandwidth}"),
        ];
        line("room", "", fields)
    }
}

/// What others say, and what is said of the token.
fn said(event: &RoomEvent) -> String {
    match event {
        RoomEvent::ChatReceived { from, text, sent_at_ms } => {
            line("chat", from.as_str(), [format!("{text:?}"), format!("sent_at_ms={sent_at_ms}")])
        }
        RoomEvent::ChatSent { text, .. } => line("chat", "sent", [format!("{text:?}")]),
        RoomEvent::ChatRefused { text, error } => line("chat", "refused", [format!("{text:?}"), error.to_string()]),
        RoomEvent::BarrageReceived { from, text } => line("barrage", from.as_str(), [format!("{text:?}")]),
        RoomEvent::CustomReceived { from, content } => line("custom", from.as_str(), [format!("{content:?}")]),
        RoomEvent::DataReceived { from, topic, payload, reliable } => {
            let from = from.as_ref().map_or("server", UserId::as_str);
            let fields =
                [format!("topic={topic:?}"), format!("bytes={}", payload.len()), format!("reliable={reliable}")];
            line("data", from, fields)
        }
        RoomEvent::TokenExpiring { in_secs } => line("token", "expiring", [format!("in={in_secs}s")]),
        other => line("event", "", [format!("{other:?}")]),
    }
}

/// A line in columns.
fn line(topic: &str, subject: &str, fields: impl IntoIterator<Item = String>) -> String {
    let mut line = format!("{topic:<TOPIC$} {subject:<SUBJECT$}");
    for field in fields {
        line += &format!(" {field:<FIELD$}");
    }
    line.truncate(line.trim_end().len());
    line
}

fn user(what: &str, info: &UserInfo) -> String {
    line("user", info.id.as_str(), [what.to_owned(), format!("name={:?}", info.name)])
}

fn stream(what: &str, info: &StreamInfo) -> String {
    let kind = match info.kind {
        StreamKind::Camera => "camera",
        StreamKind::Screen => "screen",
    };
    let fields = [
        Some(what.to_owned()),
        Some(format!("of={}", info.owner)),
        Some(format!("kind={kind}")),
        info.video.as_ref().map(|video| {
            let size = format!("size={}x{}", video.width, video.height);
            format!("{} {size}", track("video", video, info.video_state))
        }),
        info.audio.as_ref().map(|audio| track("audio", audio, info.audio_state)),
        Some(format!("extra_info={:?}", info.extra_info)),
    ];
    line("stream", info.id.as_str(), fields.into_iter().flatten())
}

fn track(kind: &str, info: &TrackInfo, device: DeviceState) -> String {
    // The publisher chose the text: one word, whatever it is.
    let mime_type: String = info.mime_type.chars().filter(|c| c.is_ascii_graphic()).collect();
    format!("{kind}={mime_type} {kind}_state={} {kind}_muted={}", device.word(), info.muted)
}

/// How far publishing or playing has come.
fn progress(topic: &str, stream: &StreamId, state: &str, error: Option<&CallError>) -> String {
    line(topic, stream.as_str(), [Some(state.to_owned()), fault(error)].into_iter().flatten())
}

fn device_fields(device: &DeviceUse) -> impl Iterator<Item = String> {
    let name = device.name.as_ref().map_or_else(|| "name=-".to_owned(), |name| format!("name={name:?}"));
    let why = device.why.as_ref().map(|why| format!("why={why:?}"));
    [Some(name), Some(format!("state={}", device.state.word())), why].into_iter().flatten()
}

fn fault(error: Option<&CallError>) -> Option<String> {
    error.map(|error| format!("error={} {:?}", error.code.number(), error.message))
}

fn published(stream: &StreamId, quality: &PublishQuality) -> String {
    let fields = [
        format!("captured={:.1}fps", quality.captured_fps),
        format!("encoded={:.1}fps", quality.encoded_fps),
        format!("sent={:.1}fps", quality.sent_fps),
        format!("size={}x{}", quality.width, quality.height),
        format!("layers={}", quality.layers),
        format!("video={:.0}kbps", quality.video_kbps),
        format!("audio={:.0}kbps", quality.audio_kbps),
        format!("rtt={}", ms(quality.rtt_ms)),
        format!("loss={}", percent(quality.loss)),
        format!("grade={}", graded(quality.grade)),
    ];
    line("published", stream.as_str(), fields)
}

fn played(stream: &StreamId, quality: &PlayedQuality) -> String {
    let fields = [
        format!("received={:.1}fps", quality.received_fps),
        format!("decoded={:.1}fps", quality.decoded_fps),
        format!("shown={:.1}fps", quality.shown_fps),
        format!("video={:.0}kbps", quality.video_kbps),
        format!("audio={:.0}kbps", quality.audio_kbps),
        format!("rtt={}", ms(quality.rtt_ms)),
        format!("loss={}", percent(quality.loss)),
        format!("delay={}", ms(quality.delay_ms)),
        format!("av_offset={}", ms(quality.av_offset_ms)),
        format!("freezes={}", quality.freezes),
        format!("grade={}", graded(quality.grade)),
    ];
    line("played", stream.as_str(), fields)
}

fn picture(stream: &StreamId, stats: &VideoStats) -> String {
    let fields = [
        format!("packets={}", stats.packets),
        format!("lost={}", stats.lost),
        format!("bytes={}", stats.bytes),
        format!("received={}", stats.frames_received),
        format!("decoded={}", stats.frames_decoded),
        format!("dropped={}", stats.frames_dropped),
        format!("keyframes={}", stats.keyframe_requests),
        format!("freezes={}", stats.freezes),
        format!("size={}x{}", stats.width, stats.height),
        format!("fps={:.1}", stats.fps),
        format!("rate={:.0}kbps", stats.kbps),
        format!("decoding={:.1}ms", stats.decode_ms),
        format!("held={:.0}ms", stats.held_ms),
    ];
    line("picture", stream.as_str(), fields)
}

fn sound(stream: &StreamId, stats: &AudioStats) -> String {
    let fields = [
        format!("packets={}", stats.packets),
        format!("lost={}", stats.lost),
        format!("bytes={}", stats.bytes),
        format!("level={:.3}", stats.level),
        format!("peak={:.3}", stats.peak_level),
        format!("concealed={}", percent(stats.concealed)),
        format!("jitter={:.0}ms", stats.jitter_buffer_ms),
        format!("rate={:.0}kbps", stats.kbps),
    ];
    line("sound", stream.as_str(), fields)
}

/// A grade in a word and on the scale from 0 to 4.
fn graded(grade: Grade) -> String {
    format!("{}({})", words::grade(grade), grade.number())
}

fn ms(value: Option<f32>) -> String {
    value.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0}ms"))
}

fn percent(share: f32) -> String {
    format!("{:.1}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{EndReason, ErrorCode, MediaKind, RoomState, RoomStateReason};

    fn id(text: &str) -> UserId {
        UserId::new(text).unwrap()
    }

    fn connected(watch: &mut Watch) -> String {
        let me = UserInfo {
            id: id("ann"),
            name: "Ann".into(),
            sid: "PA_1".into(),
            joined_at_ms: 0,
            attributes: BTreeMap::new(),
            metadata: String::new(),
        };
        let (state, reason) = (RoomState::Connected, RoomStateReason::LoggedIn);
        watch.event(&RoomEvent::StateChanged { state, reason, error: None, me: Some(me) })
    }

    #[test]
    fn events_are_lines_in_columns_with_reasons_and_codes() {
        let mut watch = Watch::default();
        let expected = "state     connected                logged_in        me=ann name=\"Ann\"";
        assert_eq!(connected(&mut watch), expected);
        let kicked = watch.event(&RoomEvent::StateChanged {
            state: RoomState::Disconnected,
            reason: RoomStateReason::KickedOut,
            error: Some(CallError::new(ErrorCode::KickedByHost, "a host removed you")),
            me: None,
        });
        assert!(kicked.ends_with("kicked_out       error=1002055 \"a host removed you\""), "{kicked}");
        let left = watch.event(&RoomEvent::UserLeft { user: id("ben"), reason: EndReason::TimedOut });
        assert_eq!(left, "user      ben                      left             reason=timed_out");
        let device = DeviceUse { name: None, state: DeviceState::Unplugged, why: Some("plug it in".into()) };
        let stream = StreamId::new("ann-camera").unwrap();
        let changed = watch.event(&RoomEvent::DeviceChanged { stream, kind: MediaKind::Video, device });
        assert!(changed.contains("ann-camera video") && changed.contains("state=unplugged"), "{changed}");
        assert!(changed.ends_with("why=\"plug it in\""), "{changed}");
    }

    #[test]
    fn what_others_write_stays_in_its_line() {
        let text = "hi\n\u{1b}[2Jstate".to_owned();
        let told = Watch::default().event(&RoomEvent::ChatReceived { from: id("ben"), text, sent_at_ms: 7 });
        assert!(!told.contains('\n') && !told.contains('\u{1b}'), "{told}");
        assert!(told.starts_with("chat      ben ") && told.contains("\"hi\\n"), "{told}");
    }

    #[test]
    fn figures_name_the_room_the_grades_and_every_stream() {
        let mut watch = Watch::default();
        connected(&mut watch);
        let stream = |text: &str| StreamId::new(text).unwrap();
        let sent = PublishQuality { sent_fps: 14.96, loss: 0.031, grade: Grade::Good, ..PublishQuality::default() };
        let seen = PlayedQuality { av_offset_ms: Some(-12.4), freezes: 3, ..PlayedQuality::default() };
        let now = EngineSnapshot {
            online: 2,
            levels: BTreeMap::from([(id("ben"), 0.42)]),
            active_speakers: vec![id("ben")],
            network: BTreeMap::from([(id("ann"), Grade::Medium)]),
            publishing: BTreeMap::from([(stream("ann-camera"), sent)]),
            playing: BTreeMap::from([(stream("ben-camera"), seen)]),
            ..EngineSnapshot::default()
        };
        let lines = watch.figures(&now);
        let find = |topic: &str| lines.iter().find(|line| line.starts_with(topic)).unwrap();
        assert!(find("room").contains("online=2") && find("room").contains("network=medium(2)"), "{lines:#?}");
        assert!(find("room").contains("rtt=-"), "{lines:#?}");
        assert!(find("speaking").ends_with("ben") && find("level").ends_with("42"), "{lines:#?}");
        assert!(find("published ann-camera").contains("sent=15.0fps"), "{lines:#?}");
        assert!(find("published ann-camera").contains("loss=3.1%"), "{lines:#?}");
        assert!(find("published ann-camera").ends_with("grade=good(1)"), "{lines:#?}");
        assert!(find("played    ben-camera").contains("av_offset=-12ms"), "{lines:#?}");
        assert!(find("played    ben-camera").contains("freezes=3"), "{lines:#?}");
    }
}
