//! A long call with churn: people come, go, mute, share and lose their network by a seeded script, and nothing leaks,
//! sticks or drifts. `ROTUNDA_SOAK_SECS` (7200) says how long, `ROTUNDA_SOAK_SEED` (1) which script. Run it with
//! `MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=131072`, which is what the program sets for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rotunda::bridge::{AudioOptions, PublishRequest, RoomCommand, RoomEvent, StartsMuted, VideoOptions};
use rotunda::media::AudioSource;
use rotunda::model::quality::TrackStats;
use rotunda::model::{MediaKind, RoomId, RoomState, RoomStateReason, StreamKind, TrackSid};
use serde_json::{Value, json};

use crate::common::browser_driver::Browser;
use crate::common::relay::line::Chance;
use crate::common::relay::{Cut, Network, Relay};
use crate::engine::kit::{Bot, Picture, SOON, TestServer, Tone, room, stream, video_of};

/// Those through the relay have a letter's even place; the last two come and go.
const PEOPLE: [&str; 4] = ["ann", "bob", "cid", "dee"];
const STAY: usize = 2;
/// Changes until everyone is as in the beginning and figures are taken.
const STEPS: usize = 8;
/// Every stream that is sent shows up at everyone within this after a change.
const FLOW_LIMIT: Duration = Duration::from_secs(40);
/// New pictures that show that a stream flows.
const FLOWING: u64 = 5;
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// What memory in use may grow by after the warm-up.
const GROWTH: f64 = 0.1;
const GROWTH_BYTES: f64 = 16.0 * 1024.0 * 1024.0;
/// What the process may hold beyond what is in use, for each byte in use: allocators cannot give back what lies between.
const SCATTERED: f64 = 0.5;
/// What the WebRTC stack (webrtc 0.21.1) keeps of each track that a connection ever received, until that connection ends:
/// the queue for its packets (27 KB), its statistics, its interceptors' state. Heaptrack finds nothing else that grows.
/// It is not held against us.
const KEPT_BY_STACK_BYTES: f64 = 47.0 * 1024.0;
/// Threads and files that come and go on their own: workers of runtimes, timers.
const SPARE: f64 = 6.0;
/// The jitter buffers may hold this much more at the end, in ms.
const DRIFT_MS: f64 = 60.0;

struct Person {
    bot: Bot,
    /// Own streams, and whether their pictures are muted.
    streams: BTreeMap<String, bool>,
    silent: bool,
    /// Tracks of others that it was told of.
    tracks: BTreeSet<TrackSid>,
}

struct Soak {
    server: TestServer,
    relay: Relay,
    room: RoomId,
    chance: Chance,
    people: BTreeMap<&'static str, Person>,
    browser: Option<Browser>,
}

/// Taken when everyone is as in the beginning.
#[derive(Clone, Copy, Debug)]
struct Figures {
    rss_bytes: f64,
    /// Of it what is in use.
    heap_bytes: f64,
    /// Of that what the WebRTC stack keeps.
    kept_bytes: f64,
    threads: f64,
    /// Open files, without the relay's sockets: those outlive their connections.
    files: f64,
    jitter_ms: f64,
}

#[test]
#[ignore = "takes two hours"]
fn a_call_with_churn_does_not_leak_stick_or_drift() {
    let number = |name: &str, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (limit, seed) = (Duration::from_secs(number("ROTUNDA_SOAK_SECS", 7200)), number("ROTUNDA_SOAK_SEED", 1));
    let mut soak = Soak::start(seed);
    let started = Instant::now();
    let (mut taken, mut steps, mut told) = (Vec::new(), 0, Instant::now());
    while started.elapsed() < limit {
        for _ in 0..STEPS {
            let what = soak.step();
            steps += 1;
            soak.check(&what);
        }
        soak.calm();
        soak.check("everyone is back");
        let figures = soak.figures();
        taken.push(figures);
        if told.elapsed() >= REPORT_EVERY {
            told = Instant::now();
            let minutes = started.elapsed().as_secs() / 60;
            println!("{minutes} min, {steps} steps: {}", figures.line());
        }
    }
    println!("first {}; last {}", taken[0].line(), taken[taken.len() - 1].line());
    judge(&taken);
}

/// Compares the second quarter, when all is warm, with the last.
fn judge(taken: &[Figures]) {
    assert!(taken.len() >= 4, "{} rounds are too few to judge by", taken.len());
    let quarter = taken.len() / 4;
    let middle = |part: &[Figures], pick: fn(&Figures) -> f64| {
        let mut figures: Vec<f64> = part.iter().map(pick).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let both = |pick| (middle(&taken[quarter..2 * quarter], pick), middle(&taken[taken.len() - quarter..], pick));
    let (before, after) = both(|figures| figures.heap_bytes - figures.kept_bytes);
    assert!(after <= before * (1.0 + GROWTH) + GROWTH_BYTES, "memory in use grew from {before} to {after} bytes");
    let (before, after) = both(|figures| figures.rss_bytes - figures.heap_bytes * (1.0 + SCATTERED));
    assert!(after <= before + GROWTH_BYTES, "memory lies ever more scattered: {before}, then {after} bytes of slack");
    let (before, after) = both(|figures| figures.threads);
    assert!(after <= before + SPARE, "threads grew from {before} to {after}");
    let (before, after) = both(|figures| figures.files);
    assert!(after <= before + SPARE, "open files grew from {before} to {after}");
    let (before, after) = both(|figures| figures.jitter_ms);
    assert!(after <= before + DRIFT_MS, "sound is {after} ms late, it was {before}");
}

impl Figures {
    fn line(&self) -> String {
        format!(
            "{:.0} MiB, {:.1} in use, {:.1} of them kept by the WebRTC stack; {} threads, {} files, jitter buffers {:.0} ms",
            self.rss_bytes / (1024.0 * 1024.0),
            self.heap_bytes / (1024.0 * 1024.0),
            self.kept_bytes / (1024.0 * 1024.0),
            self.threads,
            self.files,
            self.jitter_ms
        )
    }
}

impl Soak {
    fn start(seed: u64) -> Self {
        let server = TestServer::start();
        let relay = Relay::start(&server.url, seed);
        let (room, chance) = (room("soak"), Chance(seed));
        let mut soak = Self { server, relay, room, chance, people: BTreeMap::new(), browser: Browser::start() };
        soak.calm();
        let Soak { browser, server, room, .. } = &mut soak;
        if let Some(browser) = browser {
            let token = server.token(room, "eve");
            browser.ask("eve", "join", json!({ "url": server.url, "token": token }));
        }
        soak.check("everyone is there");
        soak
    }

    fn come(&mut self, name: &'static str) {
        let through = if name.as_bytes()[0].is_multiple_of(2) { self.relay.url() } else { self.server.url.as_str() };
        let mut bot = Bot::new(name);
        bot.login(&[through], &self.room, self.server.token(&self.room, name));
        bot.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
        let mut person = Person { bot, streams: BTreeMap::new(), silent: false, tracks: BTreeSet::new() };
        person.share(&format!("{name}-cam"), StreamKind::Camera);
        self.people.insert(name, person);
    }

    /// One change; gives what it was.
    fn step(&mut self) -> String {
        let name = PEOPLE[self.chance.below(PEOPLE.len())];
        let millis = |chance: &mut Chance, below| Duration::from_millis(chance.below(below) as u64);
        match self.chance.below(9) {
            0 | 1 => {
                let name = PEOPLE[STAY + self.chance.below(PEOPLE.len() - STAY)];
                if self.people.remove(name).is_none() {
                    self.come(name);
                    return format!("{name} comes");
                }
                format!("{name} leaves")
            }
            2 | 3 => {
                let Some(person) = self.people.get_mut(name) else { return "nothing".into() };
                person.toggle_picture()
            }
            4 => {
                let Some(person) = self.people.get_mut(name) else { return "nothing".into() };
                let page = format!("{name}-page");
                if person.streams.remove(&page).is_some() {
                    person.bot.send(RoomCommand::StopPublishing(stream(&page)));
                    return format!("{page} ends");
                }
                person.share(&page, StreamKind::Screen);
                format!("{page} begins")
            }
            5 | 6 => {
                let network = Network {
                    loss: self.chance.unit() * 0.08,
                    delay: millis(&mut self.chance, 60),
                    jitter: millis(&mut self.chance, 30),
                    reorder: 0.01,
                    duplicate: 0.01,
                    ..Network::default()
                };
                self.relay.both(network);
                format!("{network:?}")
            }
            7 => {
                let gone = Duration::from_millis(500) + millis(&mut self.chance, 4000);
                self.relay.cut(Cut::Both);
                std::thread::sleep(gone);
                self.relay.cut(Cut::Nothing);
                format!("the network is gone for {gone:?}")
            }
            _ => {
                self.relay.change_address();
                self.relay.break_signalling();
                "another address".into()
            }
        }
    }

    /// Everyone is there with one unmuted stream, and the network is perfect.
    fn calm(&mut self) {
        self.relay.both(Network::default());
        for name in PEOPLE {
            let Some(person) = self.people.get_mut(name) else {
                self.come(name);
                continue;
            };
            let page = format!("{name}-page");
            if person.streams.remove(&page).is_some() {
                person.bot.send(RoomCommand::StopPublishing(stream(&page)));
            }
            if person.streams.values().any(|muted| *muted) {
                person.toggle_picture();
            }
        }
    }

    /// Every stream that is sent flows to everyone.
    fn check(&mut self, after: &str) {
        let sent: Vec<String> = self.people.values().flat_map(Person::sent).collect();
        let mut wanted: BTreeMap<(&str, &String), u64> = BTreeMap::new();
        for (name, person) in &self.people {
            let others = sent.iter().filter(|id| !person.streams.contains_key(*id));
            wanted.extend(others.map(|id| ((*name, id), frames(&person.bot, id))));
        }
        let deadline = Instant::now() + FLOW_LIMIT;
        while !wanted.is_empty() {
            wanted.retain(|(name, id), before| {
                let now = frames(&self.people[name].bot, id);
                // Counted anew after a full reconnection.
                *before = (*before).min(now);
                now < *before + FLOWING
            });
            if Instant::now() > deadline {
                let figures: Vec<_> = self.people.iter().map(|(name, one)| (name, one.bot.engine.snapshot())).collect();
                panic!("stuck after \"{after}\": {:?}\n{figures:#?}", wanted.keys());
            }
            for person in self.people.values_mut() {
                person.listen();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        // Those who stay are also seen by the official client.
        if let Some(browser) = &mut self.browser {
            let owner = PEOPLE[0];
            if !self.people[owner].sent().any(|id| id.ends_with("-cam")) {
                return;
            }
            let ask = json!({ "identity": owner, "source": "camera" });
            let decoded = |stats: &Value| stats["frames_decoded"].as_u64();
            let before = browser.wait_for("eve", "video_stats", ask.clone(), SOON, decoded);
            let more = |stats: &Value| decoded(stats).filter(|now| *now > before || *now < before / 2);
            browser.wait_for("eve", "video_stats", ask, FLOW_LIMIT, more);
            browser.ask("eve", "events", json!({}));
        }
    }

    fn figures(&self) -> Figures {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let figure = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
            line.and_then(|figure| figure.parse::<f64>().ok()).unwrap_or_default()
        };
        let mut jitter: Vec<f64> = Vec::new();
        for person in self.people.values() {
            for (_, stats) in person.bot.engine.snapshot().tracks.values() {
                if let TrackStats::Audio(audio) = stats {
                    jitter.push(f64::from(audio.jitter_buffer_ms));
                }
            }
        }
        Figures {
            rss_bytes: figure("VmRSS:") * 1024.0,
            heap_bytes: heap_bytes(),
            kept_bytes: self.people.values().map(|person| person.tracks.len()).sum::<usize>() as f64
                * KEPT_BY_STACK_BYTES,
            threads: figure("Threads:"),
            files: std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count) as f64 - self.relay.sockets() as f64,
            jitter_ms: jitter.iter().copied().fold(0.0, f64::max),
        }
    }
}

/// What all of this process, C libraries too, has allocated and not freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "the C library's own count has no safe wrapper")]
fn heap_bytes() -> f64 {
    // SAFETY: takes nothing and gives figures by value; it locks each arena while it counts.
    let heap = unsafe { libc::mallinfo2() };
    (heap.uordblks + heap.hblkhd) as f64
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn heap_bytes() -> f64 {
    0.0
}

impl Person {
    /// The streams whose pictures are not muted.
    fn sent(&self) -> impl Iterator<Item = String> {
        self.streams.iter().filter(|(_, muted)| !**muted).map(|(id, _)| id.clone())
    }

    /// Takes in what was told, and the tracks of it.
    fn listen(&mut self) {
        self.bot.listen();
        for event in self.bot.heard.drain(..) {
            let (RoomEvent::StreamAdded(info) | RoomEvent::StreamUpdated(info)) = event else { continue };
            if !self.streams.contains_key(info.id.as_str()) {
                self.tracks.extend(info.tracks().map(|track| track.sid.clone()));
            }
        }
    }

    fn share(&mut self, id: &str, kind: StreamKind) {
        let tone: Box<dyn AudioSource> = Box::new(Tone::new(0.2));
        let sound = (kind == StreamKind::Camera).then_some((tone, AudioOptions::PLAIN));
        self.bot.send(RoomCommand::PublishStream(PublishRequest {
            stream: stream(id),
            kind,
            video: Some((Box::new(Picture::new(120)), VideoOptions::single(200_000))),
            audio: sound,
            extra_info: String::new(),
            muted: StartsMuted::default(),
        }));
        self.streams.insert(id.to_owned(), false);
    }

    /// Mutes or unmutes the camera's picture, and now and then its sound with it.
    fn toggle_picture(&mut self) -> String {
        let Some((id, muted)) = self.streams.iter_mut().next() else { return "nothing".into() };
        *muted = !*muted;
        self.bot.send(RoomCommand::SetMuted { stream: stream(id), kind: MediaKind::Video, muted: *muted });
        self.silent = *muted && !self.silent;
        self.bot.send(RoomCommand::SetMuted { stream: stream(id), kind: MediaKind::Audio, muted: self.silent });
        format!("{id} is muted: {muted}")
    }
}

fn frames(bot: &Bot, of: &str) -> u64 {
    video_of(&bot.engine.snapshot(), of).map_or(0, |video| video.frames_decoded)
}
