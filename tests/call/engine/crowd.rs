//! As many pictures as a viewer may have on the walls, all at once.

use std::collections::BTreeSet;

use rotunda::bridge::{LoginRequest, PublishRequest, RoomCommand, RoomEvent, StartsMuted, VideoOptions};
use rotunda::model::quality::TrackStats;
use rotunda::model::{PlayState, RoomId, StreamKind};

use super::kit::*;

const PEOPLE: usize = 7;
const STREAMS_EACH: usize = 4;

/// Someone who publishes as much as anyone may, and plays nothing.
fn publisher(server: &TestServer, room: &RoomId, name: &str) -> Bot {
    let bot = Bot::new(name);
    bot.send(RoomCommand::Login(LoginRequest {
        servers: vec![server.url_for(name).to_owned()],
        room: room.clone(),
        token: server.token(room, name),
        auto_play: false,
        first_quality: None,
    }));
    for n in 0..STREAMS_EACH {
        bot.send(RoomCommand::PublishStream(PublishRequest {
            stream: stream(&format!("{name}-{n}")),
            kind: StreamKind::Camera,
            video: Some((Box::new(Picture::small(60 + 40 * n as u8)), VideoOptions::single(60_000))),
            audio: None,
            extra_info: String::new(),
            muted: StartsMuted::default(),
        }));
    }
    bot
}

#[test]
fn twenty_eight_streams_play_at_once() {
    // Which node a viewer is on makes no difference to their number.
    if kind() == Kind::Cluster {
        return;
    }
    let server = TestServer::start();
    let room = room("many");
    let _people: Vec<Bot> = (0..PEOPLE).map(|n| publisher(&server, &room, &format!("p{n}"))).collect();
    let mut viewer = server.enter(&room, "viewer");
    let mut playing = BTreeSet::new();
    viewer.wait("every stream plays", SOON, |event| {
        if let RoomEvent::PlayStateChanged { stream, state: PlayState::Playing, .. } = event {
            playing.insert(stream.clone());
        }
        (playing.len() == PEOPLE * STREAMS_EACH).then_some(())
    });
    viewer.wait_figures("every picture moves", |now| {
        let moves = |stats: &TrackStats| matches!(stats, TrackStats::Video(video) if video.frames_decoded > 5);
        let moving = now.tracks.values().filter(|(_, stats)| moves(stats)).count();
        (moving == PEOPLE * STREAMS_EACH).then_some(())
    });
}
