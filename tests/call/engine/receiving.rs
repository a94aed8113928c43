//! How what is received is shown: from its first keyframe on, in step with its sound, as late as it must be.

use std::time::Duration;

use super::kit::*;

#[test]
fn the_first_keyframe_that_comes_is_shown() {
    let server = TestServer::start();
    let room = room("first");
    let mut ann = server.enter(&room, "ann");
    ann.publish("ann-cam", 90);
    ann.wait_publishing("ann-cam");
    // Keyframes are rationed; whoever joins later than the last one went out is served at once.
    std::thread::sleep(Duration::from_secs(2));
    let mut bob = server.enter(&room, "bob");
    picture(&bob.wait_feed("ann-cam"));
    let video = bob.wait_figures("a picture", |now| video_of(now, "ann-cam").filter(|video| video.frames_decoded > 0));
    // The official server's first keyframe may go out before the viewer's keys are there to read it.
    if kind() == Kind::Embedded {
        assert_eq!(video.frames_dropped, 0, "{video:?}");
        assert_eq!(video.keyframe_requests, 0, "the server asked for it already: {video:?}");
    }
}

#[test]
fn sound_and_picture_stay_together_and_their_delay_is_known() {
    let server = TestServer::start();
    let room = room("step");
    let (mut ann, bob) = (server.enter(&room, "ann"), server.enter(&room, "bob"));
    ann.publish("ann-cam", 90);
    ann.wait_publishing("ann-cam");
    let playing = bob.wait_figures("sound and picture are compared", |now| {
        let playing = now.playing.get(&stream("ann-cam"))?;
        let offset_ms = playing.av_offset_ms.filter(|offset_ms| offset_ms.abs() < 150.0)?;
        // The official server names each stream's section in the SDES that goes with its reports (RFC 8843 section 15.2),
        // and `rtcp` 0.21.1 takes that for the end of the list and refuses the whole packet: what clocks differ by is
        // not known from there.
        let delay_ms = playing.delay_ms.or((kind() != Kind::Embedded).then_some(0.0))?;
        Some((offset_ms, delay_ms))
    });
    let (offset_ms, delay_ms) = playing;
    eprintln!("sound {offset_ms:.0} ms after its picture, {delay_ms:.0} ms behind the sender");
    assert!((0.0..1500.0).contains(&delay_ms), "{playing:?}");
}
