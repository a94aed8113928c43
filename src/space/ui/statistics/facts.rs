//! The figures as pairs of a name and a value: the pane shows them in rows, the copied text in lines.

use super::findings::{Findings, Own, Picture, Played};
use crate::model::StreamKind;
use crate::space::fetch::{Reason, Want};
use crate::space::words::StatisticsWords;

/// A figure's name and its value.
pub(super) type Fact = (&'static str, String);

/// A sound this near to its picture is in step with it, in ms.
const IN_STEP_MS: u32 = 10;

pub(super) fn kbps(value: f32) -> String {
    match value {
        value if value >= 9999.5 => format!("{:.1} Mbit/s", value / 1000.0),
        value => format!("{value:.0} kbit/s"),
    }
}

pub(super) fn ms(value: f32) -> String {
    if value < 9.95 { format!("{value:.1} ms") } else { format!("{value:.0} ms") }
}

pub(super) fn percent(value: f32) -> String {
    format!("{value:.1} %")
}

pub(super) fn fps(value: f32) -> String {
    format!("{value:.0} fps")
}

fn or_unknown(value: Option<f32>, say: fn(f32) -> String, words: &StatisticsWords) -> String {
    value.map_or_else(|| words.not_known.to_owned(), say)
}

fn size((width, height): (u32, u32)) -> String {
    format!("{width}×{height}")
}

fn stages(frames: [f32; 3]) -> String {
    let [first, second, third] = frames;
    format!("{first:.0} / {second:.0} / {third:.0} fps")
}

/// Of the whole connection.
pub(super) fn connection(findings: &Findings, words: &StatisticsWords) -> Vec<Fact> {
    let fetch = findings.fetch;
    let counts = [
        (words.wants.full, fetch.full),
        (words.wants.medium, fetch.medium),
        (words.wants.small, fetch.small),
        (words.wants.paused, fetch.paused),
    ];
    let counts: Vec<String> =
        counts.iter().filter(|(_, count)| *count > 0).map(|(word, count)| format!("{word} {count}")).collect();
    let mut facts = vec![
        (words.round_trip, or_unknown(findings.rtt_ms, ms, words)),
        (words.bandwidth, or_unknown(findings.bandwidth_kbps, kbps, words)),
    ];
    if !counts.is_empty() {
        facts.push((words.pictures, counts.join(" · ")));
        facts.push((words.picture_budget, fetch.budget_kbps.map_or_else(|| words.no_limit.to_owned(), kbps)));
    }
    if fetch.held_back > 0 {
        facts.push((words.held_back_count, fetch.held_back.to_string()));
    }
    facts
}

/// What an own stream is called.
pub(super) fn own_name(own: &Own, words: &StatisticsWords) -> &'static str {
    match own.kind {
        StreamKind::Camera => words.camera,
        StreamKind::Screen => words.screen,
    }
}

/// Of an own stream.
pub(super) fn own(own: &Own, words: &StatisticsWords) -> Vec<Fact> {
    let quality = &own.quality;
    let mut facts = Vec::new();
    if quality.width > 0 {
        let layers = (words.layers)(quality.layers);
        facts.push((words.size, (words.listed)(&size((quality.width, quality.height)), &layers)));
        facts.push((words.sent_stages, stages([quality.captured_fps, quality.encoded_fps, quality.sent_fps])));
    }
    facts.push((words.picture_bitrate, kbps(quality.video_kbps)));
    facts.push((words.sound_bitrate, kbps(quality.audio_kbps)));
    facts.push((words.loss, percent(quality.loss * 100.0)));
    facts.push((words.round_trip, or_unknown(quality.rtt_ms, ms, words)));
    facts
}

/// What a played stream is called.
pub(super) fn played_name(played: &Played, words: &StatisticsWords) -> String {
    match played.kind {
        StreamKind::Camera => played.name.clone(),
        StreamKind::Screen => (words.screen_of)(&played.name),
    }
}

/// What is fetched of a stream, in which size, and why.
pub(super) fn fetched(played: &Played, words: &StatisticsWords) -> String {
    let Some(picture) = &played.picture else { return words.sound_only.to_owned() };
    let why = reason(picture.fetched.reason, words);
    let what = match picture.fetched.want {
        Want::Paused => words.wants.paused.to_owned(),
        want => format!("{} {}", size(shown_size(picture)), self::want(want, words)),
    };
    (words.listed)(&what, why)
}

/// The size that comes; before the first picture the one that is asked for.
fn shown_size(picture: &Picture) -> (u32, u32) {
    let stats = &picture.stats;
    if stats.width > 0 { (stats.width, stats.height) } else { picture.fetched.want.size_px(picture.announced) }
}

fn want(want: Want, words: &StatisticsWords) -> &'static str {
    match want {
        Want::Paused => words.wants.paused,
        Want::Small => words.wants.small,
        Want::Medium => words.wants.medium,
        Want::Full => words.wants.full,
    }
}

fn reason(reason: Reason, words: &StatisticsWords) -> &'static str {
    let words = &words.reasons;
    match reason {
        Reason::New => words.new,
        Reason::InView => words.in_view,
        Reason::Speaking => words.speaking,
        Reason::SteppedUp => words.stepped_up,
        Reason::Near => words.near,
        Reason::Lingering => words.lingering,
        Reason::OutOfView => words.out_of_view,
        Reason::NotShown => words.not_shown,
        Reason::WindowHidden => words.window_hidden,
        Reason::HeldBack => words.held_back,
    }
}

fn offset(value: f32, words: &StatisticsWords) -> String {
    match value.abs().round() as u32 {
        0..IN_STEP_MS => words.in_step.to_owned(),
        late if value > 0.0 => (words.sound_after)(late),
        early => (words.sound_before)(early),
    }
}

/// Of a played stream: all that its line does not say.
pub(super) fn played(played: &Played, words: &StatisticsWords) -> Vec<Fact> {
    let quality = &played.quality;
    let mut facts = Vec::new();
    if let Some(picture) = &played.picture {
        let stats = &picture.stats;
        facts.push((words.played_stages, stages([quality.received_fps, quality.decoded_fps, quality.shown_fps])));
        facts.push((words.picture_bitrate, kbps(quality.video_kbps)));
        facts.push((words.codec, picture.codec.trim_start_matches("video/").to_owned()));
        facts.push((words.decoding, ms(stats.decode_ms)));
        facts.push((words.held, ms(stats.held_ms)));
        facts.push((words.freezes, quality.freezes.to_string()));
        facts.push((words.dropped, stats.frames_dropped.to_string()));
        facts.push((words.keyframes, stats.keyframe_requests.to_string()));
    }
    if let Some(sound) = &played.sound {
        facts.push((words.sound_bitrate, kbps(quality.audio_kbps)));
        facts.push((words.buffer, ms(sound.jitter_buffer_ms)));
        facts.push((words.concealed, percent(sound.concealed * 100.0)));
    }
    facts.push((words.loss, percent(quality.loss * 100.0)));
    facts.push((words.delay, or_unknown(quality.delay_ms, ms, words)));
    if let Some(value) = quality.av_offset_ms {
        facts.push((words.offset, offset(value, words)));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::StreamId;
    use crate::model::quality::{AudioStats, PlayedQuality, VideoStats};
    use crate::space::fetch::Fetched;
    use crate::space::words::Language;

    fn camera(want: Want, reason: Reason, (width, height): (u32, u32)) -> Played {
        let fetched = Fetched { want, reason, kbps: 0.0 };
        let stats = VideoStats { width, height, ..VideoStats::default() };
        Played {
            id: StreamId::new("cam").unwrap(),
            name: "Ann".to_owned(),
            kind: StreamKind::Camera,
            quality: PlayedQuality::default(),
            picture: Some(Picture { codec: "video/VP8".to_owned(), announced: (1280, 720), fetched, stats }),
            sound: None,
        }
    }

    #[test]
    fn a_picture_says_its_size_and_why() {
        let words = &Language::English.words().statistics;
        let say = |want, reason, size| fetched(&camera(want, reason, size), words);
        assert_eq!(say(Want::Paused, Reason::OutOfView, (320, 180)), "paused, out of view");
        assert_eq!(say(Want::Small, Reason::HeldBack, (320, 180)), "320×180 small, held back for bandwidth");
        assert_eq!(say(Want::Medium, Reason::New, (0, 0)), "640×360 medium, new", "before the first picture");
        let sound = Played { picture: None, ..camera(Want::Full, Reason::InView, (0, 0)) };
        assert_eq!(fetched(&sound, words), "sound only");
        let zh = &Language::Chinese.words().statistics;
        assert_eq!(fetched(&camera(Want::Paused, Reason::OutOfView, (0, 0)), zh), "暂停，在视野外");
    }

    #[test]
    fn a_stream_tells_of_its_parts_only() {
        let words = &Language::English.words().statistics;
        let names = |stream: &Played| played(stream, words).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let mut stream = camera(Want::Full, Reason::InView, (1280, 720));
        assert!(names(&stream).contains(&"Codec") && !names(&stream).contains(&"Sound buffer"));
        stream.sound = Some(AudioStats { concealed: 0.012, ..AudioStats::default() });
        stream.quality.av_offset_ms = Some(-42.4);
        let facts = played(&stream, words);
        assert!(facts.contains(&("Sound concealed", "1.2 %".to_owned())));
        assert!(facts.contains(&("Sound and picture", "sound 42 ms before".to_owned())));
        assert!(facts.contains(&("Codec", "VP8".to_owned())));
        assert!(facts.contains(&("Delay", "not known yet".to_owned())));
        stream.picture = None;
        assert!(!names(&stream).contains(&"Codec") && names(&stream).contains(&"Sound buffer"));
    }

    #[test]
    fn values_have_as_many_digits_as_one_reads() {
        assert_eq!([0.0, 512.4, 9999.0, 12_345.0].map(kbps), ["0 kbit/s", "512 kbit/s", "9999 kbit/s", "12.3 Mbit/s"]);
        assert_eq!([0.44, 9.94, 9.96, 231.7].map(ms), ["0.4 ms", "9.9 ms", "10 ms", "232 ms"]);
        let words = &Language::English.words().statistics;
        let said = [3.0, -9.4, 10.0, 80.2, -80.2].map(|value| offset(value, words));
        assert_eq!(said, ["in step", "in step", "sound 10 ms after", "sound 80 ms after", "sound 80 ms before"]);
    }
}
