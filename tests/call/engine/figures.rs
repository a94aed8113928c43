//! What the figures say of a call that goes well and of one that does not, and how often.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rotunda::bridge::{AudioOptions, PublishRequest, RoomCommand, StartsMuted, VideoOptions};
use rotunda::model::quality::{Grade, PlayedQuality, PublishQuality};
use rotunda::model::{RoomState, RoomStateReason, StreamKind};

use super::kit::*;
use crate::common::relay::{Network, Relay};

/// How often in a second the figures are replaced by others in which somebody is heard.
fn told_in_a_second(bot: &Bot, who: &str) -> usize {
    let until = Instant::now() + Duration::from_secs(1);
    let (mut last, mut count) = (bot.engine.snapshot(), 0);
    while Instant::now() < until {
        let now = bot.engine.snapshot();
        if !Arc::ptr_eq(&now, &last) {
            count += usize::from(now.level_of(&user(who)) > 10);
            last = now;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    count
}

#[test]
fn sound_levels_are_told_ten_times_a_second() {
    let server = TestServer::start();
    let room = room("levels");
    let (ann, bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    ann.publish("ann-cam", 90);
    for bot in [&ann, &bob] {
        bot.wait_figures("ann is heard", |now| (now.level_of(&user("ann")) > 10).then_some(()));
        // A busy machine may hold a second up, but not one after the other.
        let told: Vec<usize> = (0..3).map(|_| told_in_a_second(bot, "ann")).take_while(|told| *told < 7).collect();
        assert!(told.len() < 3, "levels were told {told:?} times a second");
    }
}

/// Whether every figure of an own stream is what it should be where nothing is amiss.
fn is_well_sent(quality: &PublishQuality) -> bool {
    let flows =
        [quality.captured_fps, quality.encoded_fps, quality.sent_fps].iter().all(|fps| (10.0..20.0).contains(fps));
    let size = (quality.width, quality.height, quality.layers) == (WIDTH, HEIGHT, 1);
    let rates = (1.0..450.0).contains(&quality.video_kbps) && (10.0..200.0).contains(&quality.audio_kbps);
    let way = quality.loss == 0.0 && quality.rtt_ms.is_some_and(|rtt_ms| (0.0..100.0).contains(&rtt_ms));
    flows && size && rates && way && quality.grade == Grade::Excellent
}

/// The same of a played stream.
fn is_well_played(quality: &PlayedQuality) -> bool {
    let flows =
        [quality.received_fps, quality.decoded_fps, quality.shown_fps].iter().all(|fps| (10.0..20.0).contains(fps));
    let rates = (1.0..450.0).contains(&quality.video_kbps) && (10.0..200.0).contains(&quality.audio_kbps);
    let way = quality.loss == 0.0 && quality.rtt_ms.is_some_and(|rtt_ms| (0.0..100.0).contains(&rtt_ms));
    // Of an official server no clock is known: see `receiving`.
    let delay = quality.delay_ms.map_or(kind() != Kind::Embedded, |delay_ms| (0.0..1000.0).contains(&delay_ms));
    let in_step = quality.av_offset_ms.is_some_and(|offset_ms| offset_ms.abs() < 150.0);
    flows && rates && way && delay && in_step && quality.freezes == 0 && quality.grade == Grade::Excellent
}

#[test]
fn a_call_that_goes_well_is_told_as_such() {
    let server = TestServer::start();
    let room = room("well");
    let (ann, mut bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    // A server need not tell how those do whom one does not play: both publish.
    ann.publish("ann-cam", 90);
    bob.publish("bob-cam", 150);
    let feed = bob.wait_feed("ann-cam");
    picture(&feed);
    bob.wait_figures("what is played", |now| {
        while feed.take().is_some() {}
        now.playing.get(&stream("ann-cam")).filter(|quality| is_well_played(quality)).cloned()
    });
    ann.wait_figures("what is sent", |now| {
        now.publishing.get(&stream("ann-cam")).filter(|quality| is_well_sent(quality)).cloned()
    });
    for bot in [&ann, &bob] {
        bot.wait_figures("both connections", |now| {
            let grades = [now.network.get(&user("ann"))?, now.network.get(&user("bob"))?];
            grades.iter().all(|grade| **grade < Grade::Lost).then_some(())
        });
    }
}

#[test]
fn a_tenth_of_all_packets_lost_is_told_and_graded() {
    // What a node of a cluster reports, one alone reports as well.
    if kind() == Kind::Cluster {
        return;
    }
    let server = TestServer::start();
    let relay = Relay::start(&server.url, 21);
    let room = room("graded");
    let [ann, mut bob] = ["ann", "bob"].map(|name| {
        let mut bot = Bot::new(name);
        bot.login(&[relay.url()], &room, server.token(&room, name));
        bot.wait_state(RoomState::Connected, RoomStateReason::LoggedIn);
        bot
    });
    ann.send(RoomCommand::PublishStream(PublishRequest {
        stream: stream("ann-cam"),
        kind: StreamKind::Camera,
        video: Some((Box::new(Picture::new(90)), VideoOptions::single(400_000))),
        // Copies of the sound would mend most of the loss.
        audio: Some((Box::new(Tone::new(0.3)), AudioOptions { red: false, ..AudioOptions::PLAIN })),
        extra_info: String::new(),
        muted: StartsMuted::default(),
    }));
    picture(&bob.wait_feed("ann-cam"));
    relay.both(Network::loss(0.1));
    let sent = ann.wait_figures("loss of what is sent", |now| {
        now.publishing.get(&stream("ann-cam")).filter(|quality| quality.loss > 0.03).cloned()
    });
    let played = bob.wait_figures("loss of what is played", |now| {
        now.playing.get(&stream("ann-cam")).filter(|quality| quality.loss > 0.03).cloned()
    });
    assert!(sent.loss < 0.5 && sent.grade > Grade::Excellent, "{sent:?}");
    assert!(played.loss < 0.5 && played.grade > Grade::Excellent, "{played:?}");
}
