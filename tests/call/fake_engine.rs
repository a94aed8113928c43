//! A scripted stand-in for the engine: people and streams by hand, painted pictures, no network. For tests and for
//! the example that shows the room.

#![allow(dead_code, reason = "each user of this file needs another part of it")]
#![allow(clippy::unwrap_used, reason = "a script that cannot be told is a mistake in the test")]

use std::sync::Arc;
use std::time::Instant;

use rotunda::bridge::{
    EngineHandle, EnginePort, EventEnvelope, Mailbox, RoomEvent, SessionId, ToldPose, VideoFeed, engine_channels,
};
use rotunda::media::{ColourSpace, VideoFrame};
use rotunda::model::quality::EngineSnapshot;
use rotunda::model::{
    DeviceState, EndReason, MediaKind, Pose, RoomState, RoomStateReason, Stand, StreamId, StreamInfo, StreamKind,
    TrackInfo, TrackSid, TrackSource, UserId, UserInfo,
};

/// The engine's end of the bridge, played by hand.
pub struct FakeEngine {
    port: EnginePort,
    session: SessionId,
}

/// First names for guests, enough for a full hall.
pub const NAMES: [&str; 30] = [
    "Ada", "Bruno", "Chiara", "Daniel", "Elena", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Keiko", "Liam", "Mina",
    "Noor", "Oskar", "Priya", "Quentin", "Rosa", "Samir", "Tess", "Uma", "Viktor", "Wanda", "Ximena", "Yusuf", "Zoe",
    "Amara", "Boris", "Celine", "Dario",
];

pub fn user(id: &str, name: &str, joined_at_ms: i64) -> UserInfo {
    UserInfo {
        id: UserId::new(id).unwrap(),
        name: name.into(),
        sid: format!("PA_{id}"),
        joined_at_ms,
        attributes: Default::default(),
        metadata: String::new(),
    }
}

pub fn stream(id: &str, owner: &str, kind: StreamKind, muted: bool) -> StreamInfo {
    let track = |suffix: &str, kind, source| TrackInfo {
        sid: TrackSid::new(format!("TR_{id}_{suffix}")).unwrap(),
        kind,
        source,
        mime_type: if kind == MediaKind::Video { "video/VP8".into() } else { "audio/opus".into() },
        width: 640,
        height: 360,
        muted: muted && kind == MediaKind::Audio,
    };
    let screen = kind == StreamKind::Screen;
    let source = if screen { TrackSource::ScreenShare } else { TrackSource::Camera };
    StreamInfo {
        id: StreamId::new(id).unwrap(),
        owner: UserId::new(owner).unwrap(),
        kind,
        video: Some(track("v", MediaKind::Video, source)),
        audio: (!screen).then(|| track("a", MediaKind::Audio, TrackSource::Microphone)),
        video_state: DeviceState::On,
        audio_state: DeviceState::On,
        extra_info: String::new(),
        wall_slot: None,
    }
}

impl FakeEngine {
    /// A fresh bridge; the handle goes into the room.
    pub fn new() -> (EngineHandle, Self) {
        let (handle, port) = engine_channels();
        (handle, Self { port, session: SessionId(1) })
    }

    /// Tells an event of the current login. Panics when the room does not read.
    pub fn tell(&self, event: RoomEvent) {
        self.tell_as(self.session, event);
    }

    /// Tells an event of any login.
    pub fn tell_as(&self, session: SessionId, event: RoomEvent) {
        self.port.events.try_send(EventEnvelope { session, event }).unwrap();
    }

    /// Starts the next login: what follows belongs to it.
    pub fn next_session(&mut self) {
        self.session.0 += 1;
    }

    pub fn session(&self) -> SessionId {
        self.session
    }

    pub fn connect_as(&self, me: UserInfo) {
        self.tell(RoomEvent::StateChanged {
            state: RoomState::Connected,
            reason: RoomStateReason::LoggedIn,
            error: None,
            me: Some(me),
        });
    }

    /// Someone joins and publishes a camera; the feed is where their pictures go.
    pub fn join_with_camera(&self, id: &str, name: &str, joined_at_ms: i64, muted: bool) -> VideoFeed {
        self.tell(RoomEvent::UserJoined(user(id, name, joined_at_ms)));
        let info = stream(&format!("{id}-cam"), id, StreamKind::Camera, muted);
        self.publish(info)
    }

    /// A stream is added and its pictures start.
    pub fn publish(&self, info: StreamInfo) -> VideoFeed {
        let stream = info.id.clone();
        self.tell(RoomEvent::StreamAdded(info));
        let feed: VideoFeed = Mailbox::default();
        self.tell(RoomEvent::VideoFeedOpened { stream, feed: feed.clone() });
        feed
    }

    pub fn leave(&self, id: &str) {
        self.tell(RoomEvent::UserLeft { user: UserId::new(id).unwrap(), reason: EndReason::Stopped });
    }

    /// Commands the room sent so far.
    pub fn commands(&mut self) -> Vec<rotunda::bridge::RoomCommand> {
        std::iter::from_fn(|| self.port.commands.try_recv().ok()).collect()
    }

    pub fn set_figures(&self, figures: rotunda::model::quality::EngineSnapshot) {
        self.port.snapshot.store(figures);
    }

    /// Figures: so many kbit/s arrive of these pictures.
    pub fn set_received<'a>(&self, streams: impl IntoIterator<Item = (&'a str, f32)>) {
        let received = |(id, video_kbps)| {
            let quality = rotunda::model::quality::PlayedQuality { video_kbps, ..Default::default() };
            (StreamId::new(id).unwrap(), quality)
        };
        let playing = streams.into_iter().map(received).collect();
        self.port.snapshot.store(rotunda::model::quality::EngineSnapshot { playing, ..Default::default() });
    }

    /// Somebody told where they stand, by a clock of theirs in ms.
    pub fn stand(&self, id: &str, sent_ms: u32, stand: Stand) {
        self.pose(id, sent_ms, Pose::Standing(stand));
    }

    /// Somebody told that they stand, or sit.
    pub fn pose(&self, id: &str, sent_ms: u32, pose: Pose) {
        let told = ToldPose { pose, sent_ms, heard: Instant::now() };
        self.port.poses.put(UserId::new(id).unwrap(), told);
    }

    /// Where this client says it is.
    pub fn own_pose(&self) -> Pose {
        *self.port.poses.own().borrow()
    }

    /// Whether this client's attributes may be set.
    pub fn allow_attributes(&self) {
        let figures = EngineSnapshot { may_set_attributes: true, ..EngineSnapshot::default() };
        self.port.snapshot.store(figures);
    }

    pub fn set_levels(&self, levels: impl IntoIterator<Item = (String, f32)>) {
        let levels = levels.into_iter().map(|(id, level)| (UserId::new(id).unwrap(), level)).collect();
        self.port.snapshot.store(rotunda::model::quality::EngineSnapshot { levels, ..Default::default() });
    }
}

/// BT.601 limited, as cameras send.
fn to_yuv(rgb: [f32; 3]) -> [u8; 3] {
    let [r, g, b] = rgb.map(|c| c.clamp(0.0, 1.0));
    let y = 0.299 * r + 0.587 * g + 0.114 * b;
    let code = |v: f32| v.round().clamp(0.0, 255.0) as u8;
    [code(16.0 + 219.0 * y), code(128.0 + 224.0 * (b - y) / 1.772), code(128.0 + 224.0 * (r - y) / 1.402)]
}

/// Paints a picture pixel by pixel from RGB.
pub fn paint(width: u32, height: u32, at_us: u64, colour: impl Fn(f32, f32) -> [f32; 3]) -> Arc<VideoFrame> {
    let (cw, ch) = (width.div_ceil(2), height.div_ceil(2));
    let mut data = vec![128u8; VideoFrame::byte_len(width, height)];
    let luma = (width * height) as usize;
    for y in 0..height {
        for x in 0..width {
            let yuv = to_yuv(colour((x as f32 + 0.5) / width as f32, (y as f32 + 0.5) / height as f32));
            data[(y * width + x) as usize] = yuv[0];
            if x % 2 == 0 && y % 2 == 0 {
                let c = (y / 2 * cw + x / 2) as usize;
                data[luma + c] = yuv[1];
                data[luma + (cw * ch) as usize + c] = yuv[2];
            }
        }
    }
    Arc::new(VideoFrame::new(width, height, ColourSpace::default(), at_us, data).unwrap())
}

/// A simple person before a soft backdrop; `seed` chooses the colours, `phase` lets them sway.
pub fn portrait(width: u32, height: u32, seed: u32, phase: f32) -> Arc<VideoFrame> {
    let pick = |n: u32| {
        (seed.wrapping_mul(2_654_435_761).wrapping_add(n.wrapping_mul(0x9e37_79b9)) >> 8) as f32 / 16_777_216.0
    };
    let hue = |h: f32, s: f32, v: f32| {
        let f = |n: f32| {
            let k = (n + h * 6.0) % 6.0;
            v - v * s * k.min(4.0 - k).clamp(0.0, 1.0)
        };
        [f(5.0), f(3.0), f(1.0)]
    };
    let (back, cloth) = (hue(pick(1), 0.30, 0.72), hue(pick(2), 0.55, 0.45 + 0.3 * pick(5)));
    let tone = 0.35 + 0.6 * pick(3);
    let skin = [0.95 * tone + 0.05, 0.74 * tone + 0.03, 0.58 * tone + 0.02];
    let hair = hue(0.07, 0.5, 0.10 + 0.45 * pick(4) * pick(6));
    let aspect = width as f32 / height as f32;
    let sway = 0.012 * phase.sin();
    paint(width, height, 0, |u, v| {
        let (x, y) = ((u - 0.5) * aspect + sway, v);
        let mix = |a: [f32; 3], b: [f32; 3], t: f32| std::array::from_fn(|i| a[i] + (b[i] - a[i]) * t.clamp(0.0, 1.0));
        let soft = |d: f32| (0.5 - d * 90.0).clamp(0.0, 1.0);
        let light = 0.75 + 0.45 * (1.0 - v) + 0.12 * (u * 9.0 + pick(7) * 6.0).sin() * (v * 5.0).cos();
        let mut c = back.map(|b| b * light);
        let shoulders = ((x / 0.46).powi(2) + ((y - 1.08) / 0.36).powi(2)).sqrt() - 1.0;
        c = mix(c, cloth.map(|k| k * (1.15 - 0.4 * v)), soft(shoulders * 0.4));
        let hair_shape = ((x / 0.19).powi(2) + ((y - 0.38) / 0.25).powi(2)).sqrt() - 1.0;
        c = mix(c, hair, soft(hair_shape * 0.2));
        let neck = (x.abs() - 0.065).max((y - 0.70).abs() - 0.12);
        c = mix(c, skin.map(|k| k * 0.82), soft(neck));
        let face = ((x / 0.145).powi(2) + ((y - 0.45) / 0.205).powi(2)).sqrt() - 1.0;
        c = mix(c, skin.map(|k| k * (1.08 - 0.5 * x)), soft(face * 0.2));
        for side in [-1.0f32, 1.0] {
            let eye = (((x - side * 0.055) / 0.018).powi(2) + ((y - 0.43) / 0.016).powi(2)).sqrt() - 1.0;
            c = mix(c, [0.07, 0.05, 0.05], soft(eye * 0.02));
        }
        let open = 0.008 + 0.012 * (phase * 3.0).sin().abs();
        let mouth = ((x / 0.05).powi(2) + ((y - 0.56) / open).powi(2)).sqrt() - 1.0;
        mix(c, [0.45, 0.12, 0.12], soft(mouth * 0.02))
    })
}

/// A page with a title bar, lines of "text" and a chart.
pub fn page(width: u32, height: u32, phase: f32) -> Arc<VideoFrame> {
    paint(width, height, 0, |u, v| {
        if v < 0.09 {
            return [0.10, 0.23, 0.34];
        }
        let lines = u > 0.06 && u < 0.48 && v > 0.16 && v < 0.9;
        let line =
            ((v - 0.16) * 22.0).fract() < 0.38 && u < 0.30 + 0.18 * (((v - 0.16) * 22.0).floor() * 2.3).sin().abs();
        if lines && line {
            return [0.22, 0.24, 0.28];
        }
        if u > 0.56 && u < 0.94 && v > 0.22 && v < 0.86 {
            let bar = ((u - 0.56) / 0.38 * 7.0).floor();
            let inside = ((u - 0.56) / 0.38 * 7.0).fract() < 0.68;
            let top = 0.84 - 0.52 * (0.35 + 0.6 * (bar * 1.7 + phase).sin().abs());
            if inside && v > top {
                return [0.12 + bar * 0.03, 0.48, 0.50];
            }
            return [0.93, 0.94, 0.93];
        }
        [0.97, 0.96, 0.94]
    })
}
