//! Two people in a call, of whom the second notes every picture it shows: two of our engines, or two pages of the
//! official client in one Chromium. Both show the same kind of picture (a stamped, moving portrait, 640x360 at 30 fps),
//! encoded as VP8 with the same limit.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use rotunda::bridge::{
    AudioOptions, EngineHandle, PublishRequest, RoomCommand, RoomEvent, StartsMuted, VideoFeed, VideoOptions,
};
use rotunda::client::{self, EngineConfig};
use rotunda::media::VideoFormat;
use rotunda::media::audio::AudioOutput;
use rotunda::media::capture::SpeechSource;
use rotunda::media::capture::stamp;
use rotunda::model::quality::{AudioStats, TrackStats, VideoStats};
use rotunda::model::{StreamId, StreamKind};
use serde_json::json;

use crate::common::browser_driver::Browser;
use crate::scene::{self, Replay};

pub const PICTURE: VideoFormat = VideoFormat { width: 640, height: 360, fps: 30.0 };
pub const PICTURE_BPS: u32 = 600_000;
/// A call that does not come about within this never will.
const START_LIMIT: Duration = Duration::from_secs(30);

/// One picture that was shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// When, as Unix time in ms.
    pub at_ms: f64,
    /// How long after it was taken, in ms, where its stamp can be read.
    pub age_ms: Option<f64>,
}

/// Two people, the first of whom is seen and heard by the second.
pub trait Pair {
    /// Lets time pass; gives what was shown meanwhile.
    fn watch(&mut self, time: Duration) -> anyhow::Result<Vec<Shown>>;

    /// Sound so far: samples that were made up, and all, in any one unit.
    fn concealment(&mut self) -> anyhow::Result<(f64, f64)>;

    /// Watches until a picture is shown after `since_ms`; gives how long after. `None` if none comes within `limit`.
    fn first_after(&mut self, since_ms: f64, limit: Duration) -> anyhow::Result<Option<f64>> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            let shown = self.watch(Duration::from_millis(200))?;
            if let Some(first) = shown.iter().find(|shown| shown.at_ms > since_ms) {
                return Ok(Some(first.at_ms - since_ms));
            }
        }
        Ok(None)
    }
}

/// Unix time in ms.
pub fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64() * 1000.0)
}

/// How long the picture stood still in a window, in ms: gaps between shown pictures longer than max(3 x mean interval,
/// mean + 150 ms), counted whole, as WebRTC's `totalFreezesDuration` does.
pub fn frozen_ms(shown: &[Shown], from_ms: f64, to_ms: f64) -> f64 {
    let mean = 1000.0 / f64::from(PICTURE.fps);
    let limit = (3.0 * mean).max(mean + 150.0);
    let times = shown.iter().map(|shown| shown.at_ms).filter(|at| (from_ms..to_ms).contains(at));
    let mut frozen = 0.0;
    let mut last = from_ms;
    for at in times.chain([to_ms]) {
        if at - last > limit {
            frozen += at - last;
        }
        last = at;
    }
    frozen
}

/// Two of our engines.
pub struct Ours {
    sender: EngineHandle,
    viewer: EngineHandle,
    feed: Option<VideoFeed>,
    sound_began: Option<Instant>,
}

impl Ours {
    /// Lets both in, each over its own address, and waits for the first picture.
    pub fn start(sender_url: &str, viewer_url: &str, room: &str, replay: &Replay) -> anyhow::Result<Self> {
        let sender = scene::enter(sender_url, room, "sender", false, false)?;
        sender.send(RoomCommand::PublishStream(PublishRequest {
            stream: StreamId::new("pair")?,
            kind: StreamKind::Camera,
            video: Some((Box::new(replay.clone().stamped()), VideoOptions::single(PICTURE_BPS))),
            audio: Some((Box::new(SpeechSource::new(5)), AudioOptions::PLAIN)),
            extra_info: String::new(),
            muted: StartsMuted::default(),
        }))?;
        let config =
            EngineConfig { audio_output: AudioOutput::Null, name: "viewer".into(), decode: true, play_audio: true };
        let viewer = client::start(config)?;
        viewer.send(RoomCommand::Login(scene::login(viewer_url, room, "viewer", true)?))?;
        let mut pair = Self { sender, viewer, feed: None, sound_began: None };
        pair.first_after(0.0, START_LIMIT)?.context("no picture came")?;
        Ok(pair)
    }

    /// Figures of the played picture.
    pub fn video(&self) -> Option<VideoStats> {
        self.viewer.snapshot().tracks.values().find_map(|(_, stats)| match stats {
            TrackStats::Video(video) => Some(video.clone()),
            TrackStats::Audio(_) => None,
        })
    }

    fn audio(&self) -> Option<AudioStats> {
        self.viewer.snapshot().tracks.values().find_map(|(_, stats)| match stats {
            TrackStats::Audio(audio) => Some(audio.clone()),
            TrackStats::Video(_) => None,
        })
    }
}

impl Pair for Ours {
    fn watch(&mut self, time: Duration) -> anyhow::Result<Vec<Shown>> {
        let deadline = Instant::now() + time;
        let mut all = Vec::new();
        while Instant::now() < deadline {
            while self.sender.try_event().is_some() {}
            while let Some(envelope) = self.viewer.try_event() {
                if let RoomEvent::VideoFeedOpened { feed, .. } = envelope.event {
                    self.feed = Some(feed);
                }
            }
            if self.sound_began.is_none() && self.audio().is_some_and(|audio| audio.packets > 0) {
                self.sound_began = Some(Instant::now());
            }
            let Some(feed) = &self.feed else {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            };
            if let Some(frame) = feed.wait_take(Duration::from_millis(20)) {
                let at_ms = now_ms();
                let stamp = stamp::read(&frame, at_ms as u64);
                all.push(Shown { at_ms, age_ms: stamp.map(|stamp| at_ms - stamp.unix_ms as f64) });
            }
        }
        Ok(all)
    }

    /// In seconds: the share is told since the sound began.
    fn concealment(&mut self) -> anyhow::Result<(f64, f64)> {
        let audio = self.audio().context("no sound came")?;
        let all = self.sound_began.map_or(0.0, |began| began.elapsed().as_secs_f64());
        Ok((f64::from(audio.concealed) * all, all))
    }
}

/// Two pages of the official client.
pub struct Browsers {
    browser: Browser,
}

impl Browsers {
    /// Lets both in, each over its own address, and waits for the first picture. `None` where there is no browser.
    pub fn start(sender_url: &str, viewer_url: &str, room: &str) -> anyhow::Result<Option<Self>> {
        let Some(mut browser) = Browser::start() else { return Ok(None) };
        for (who, url) in [("sender", sender_url), ("viewer", viewer_url)] {
            browser.ask(who, "join", json!({ "url": url, "token": scene::token(room, who)? }));
        }
        browser.ask("viewer", "watch_pictures", json!({}));
        let (width, height, fps) = (PICTURE.width, PICTURE.height, PICTURE.fps);
        let picture = json!({ "width": width, "height": height, "fps": fps, "bitrate": PICTURE_BPS });
        browser.ask("sender", "publish_stamped", picture);
        browser.ask("sender", "publish", json!({ "microphone": true }));
        let mut pair = Self { browser };
        pair.first_after(0.0, START_LIMIT)?.context("the browser shows no picture")?;
        Ok(Some(pair))
    }

    fn take(&mut self) -> anyhow::Result<Vec<Shown>> {
        let answer = self.browser.try_ask("viewer", "pictures", json!({})).map_err(anyhow::Error::msg)?;
        let shown = answer["shown"].as_array().context("no list of pictures")?.iter();
        Ok(shown.filter_map(|one| Some(Shown { at_ms: one[0].as_f64()?, age_ms: one[1].as_f64() })).collect())
    }
}

impl Pair for Browsers {
    fn watch(&mut self, time: Duration) -> anyhow::Result<Vec<Shown>> {
        std::thread::sleep(time);
        self.take()
    }

    fn concealment(&mut self) -> anyhow::Result<(f64, f64)> {
        let answer = self.browser.try_ask("viewer", "concealment", json!({ "identity": "sender" }));
        let answer = answer.map_err(anyhow::Error::msg)?;
        let figure = |name: &str| answer[name].as_f64().with_context(|| format!("no {name}"));
        Ok((figure("concealed")?, figure("samples")?))
    }
}

/// How long a picture or a sound is watched.
pub fn window() -> Duration {
    let secs = std::env::var("ROTUNDA_BENCH_SECS").ok().and_then(|secs| secs.parse().ok()).unwrap_or(10.0);
    Duration::from_secs_f64(secs)
}
