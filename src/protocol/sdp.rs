//! Session descriptions as text: what the sections of an offer say, and the few lines of an answer that the WebRTC
//! stack cannot be told to write (RFC 8866, RFC 8829; LIVEKIT.md section 12).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::model::media::VideoCodec;

/// Longest session description that is looked at, in bytes.
pub const SDP_MAX_BYTES: usize = 1024 * 1024;
/// Most sections a description may have.
pub const SDP_MAX_SECTIONS: usize = 1024;
/// Longest name of a codec with its clock, in bytes.
const CODEC_MAX_BYTES: usize = 64;

/// What a section carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// Sound.
    Audio,
    /// Picture.
    Video,
    /// Data channels.
    Application,
    /// Something we do not know.
    Other,
}

/// Who sends, from the describing side's view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both.
    SendRecv,
    /// The describing side.
    SendOnly,
    /// The reading side.
    RecvOnly,
    /// Nobody.
    Inactive,
}

impl Direction {
    /// The describing side sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    fn of_line(line: &str) -> Option<Self> {
        match line {
            "a=sendrecv" => Some(Self::SendRecv),
            "a=sendonly" => Some(Self::SendOnly),
            "a=recvonly" => Some(Self::RecvOnly),
            "a=inactive" => Some(Self::Inactive),
            _ => None,
        }
    }
}

/// One media section of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// What it carries.
    pub kind: SectionKind,
    /// Its `a=mid`; empty when it has none.
    pub mid: &'a str,
    /// Who sends.
    pub direction: Direction,
    /// Its `a=msid`: stream and track, where present; the stream may be `-`.
    pub msid: Option<(&'a str, &'a str)>,
    /// Offers several encodings (`a=simulcast`).
    pub simulcast: bool,
}

/// The media sections of a description, in order. Reads what it understands and skips the rest: whether the whole makes
/// sense is for the WebRTC stack to say. At most [`SDP_MAX_SECTIONS`].
pub fn sections(sdp: &str) -> Vec<Section<'_>> {
    let mut found: Vec<Section<'_>> = Vec::new();
    for line in sdp.lines().map(str::trim_end) {
        if let Some(media) = line.strip_prefix("m=") {
            if found.len() == SDP_MAX_SECTIONS {
                break;
            }
            found.push(Section {
                kind: kind_of(media),
                mid: "",
                direction: Direction::SendRecv,
                msid: None,
                simulcast: false,
            });
        } else if let Some(section) = found.last_mut() {
            if let Some(direction) = Direction::of_line(line) {
                section.direction = direction;
            } else if let Some(mid) = line.strip_prefix("a=mid:") {
                section.mid = mid.trim();
            } else if let Some(msid) = line.strip_prefix("a=msid:") {
                section.msid = msid.trim().split_once(' ');
            } else if line.starts_with("a=simulcast:") {
                section.simulcast = true;
            }
        }
    }
    found
}

/// What the payload types of one connection stand for. A number means the same in all sections of a bundle (RFC 8843
/// section 9.1.1) and as long as the connection lasts (RFC 3264 section 8.3.2); the WebRTC stack relies on it.
#[derive(Clone, Debug, Default)]
pub struct PayloadTypes(BTreeMap<u8, PayloadType>);

/// What one payload type stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct PayloadType {
    /// The codec with its clock and channels, in lower case; empty until a line says it.
    codec: String,
    /// The payload type that it sends again (RFC 4588).
    resends: Option<u8>,
}

impl PayloadTypes {
    /// Takes over what a description says of payload types.
    ///
    /// # Errors
    /// Says which payload type would stand for two things; then nothing is taken over.
    pub fn learn(&mut self, sdp: &str) -> Result<(), String> {
        let mut known = self.0.clone();
        for line in sdp.lines().map(str::trim_end) {
            if let Some((number, codec)) = numbered(line, "a=rtpmap:") {
                let codec = codec.trim().to_ascii_lowercase();
                if codec.len() > CODEC_MAX_BYTES {
                    return Err(format!("payload type {number} has a codec of {} bytes", codec.len()));
                }
                let entry = known.entry(number).or_default();
                if !entry.codec.is_empty() && entry.codec != codec {
                    return Err(format!("payload type {number} stands for {} and for {codec}", entry.codec));
                }
                entry.codec = codec;
            } else if let Some((number, format)) = numbered(line, "a=fmtp:")
                && let Some(resends) = resent(format)
            {
                let entry = known.entry(number).or_default();
                if entry.resends.is_some_and(|other| other != resends) {
                    return Err(format!("payload type {number} sends two others again"));
                }
                entry.resends = Some(resends);
            }
        }
        self.0 = known;
        Ok(())
    }
}

/// The payload type of an attribute line and what follows it.
fn numbered<'a>(line: &'a str, attribute: &str) -> Option<(u8, &'a str)> {
    let (number, rest) = line.strip_prefix(attribute)?.split_once(' ')?;
    Some((number.parse().ok()?, rest))
}

/// The payload type that a format sends again: its `apt`.
fn resent(format: &str) -> Option<u8> {
    format.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("apt") { value.trim().parse().ok() } else { None }
    })
}

/// Whether a description has more sections than [`SDP_MAX_SECTIONS`].
pub fn has_too_many_sections(sdp: &str) -> bool {
    sdp.lines().filter(|line| line.starts_with("m=")).nth(SDP_MAX_SECTIONS).is_some()
}

fn kind_of(media: &str) -> SectionKind {
    match media.split(' ').next() {
        Some("audio") => SectionKind::Audio,
        Some("video") => SectionKind::Video,
        Some("application") => SectionKind::Application,
        _ => SectionKind::Other,
    }
}

/// What one section of our description shall say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// As it is.
    Keep,
    /// We could send here but have nothing to: inactive, without stream ids.
    Idle,
    /// We send this stream and track.
    Send {
        /// The stream id: `PA_x|name`.
        stream: String,
        /// The track id: `TR_y`.
        track: String,
    },
    /// We receive sound: tell the sender how to encode it.
    Receive {
        /// Send almost nothing while silent.
        dtx: bool,
        /// Two channels at music quality.
        stereo: bool,
        /// May come redundantly (RFC 2198).
        red: bool,
    },
    /// We receive a picture: the sender uses the codec that stands first.
    ReceiveVideo {
        /// The codec that was announced.
        codec: VideoCodec,
    },
}

/// Rewrites our own description: each media section as `edit` says for its mid, and the candidates, which the stack
/// writes into the first section only, repeated in the application section for clients that skip inactive ones.
pub fn rewrite(sdp: &str, edit: impl Fn(&str) -> Edit) -> String {
    let mut out = String::with_capacity(sdp.len() + 1024);
    let mut candidates: Vec<&str> = Vec::new();
    let mut blocks = Blocks { rest: sdp };
    if let Some(session) = blocks.next() {
        out.push_str(session);
    }
    for (index, block) in blocks.enumerate() {
        let lines = || block.lines().map(str::trim_end);
        let mid = lines().find_map(|line| line.strip_prefix("a=mid:")).unwrap_or_default();
        let is_application = block.starts_with("m=application");
        let edit = if is_application { Edit::Keep } else { edit(mid) };
        let formats = Formats::of(block, &edit);
        for line in lines() {
            if index == 0 && line.starts_with("a=candidate:") {
                candidates.push(line);
            }
            if let Some(first) = line.strip_prefix("m=").filter(|_| formats.matter()) {
                formats.write_media_line(&mut out, first);
            } else if !formats.drops(line) {
                write_line(&mut out, line, &edit);
            }
        }
        if is_application && index > 0 {
            for line in &candidates {
                push_line(&mut out, line);
            }
        }
    }
    out
}

/// A stream name as one token of an `a=msid` line: nothing that would end the token or add a second `|`.
pub fn msid_token(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_graphic() && c != '|' { c } else { '_' }).collect()
}

fn write_line(out: &mut String, line: &str, edit: &Edit) {
    let is_stream_line = line.starts_with("a=msid:") || line.starts_with("a=ssrc");
    match edit {
        Edit::Keep => push_line(out, line),
        Edit::Idle if is_stream_line => {}
        Edit::Idle if Direction::of_line(line).is_some() => push_line(out, "a=inactive"),
        Edit::Idle => push_line(out, line),
        Edit::Send { stream, track } => write_sending(out, line, stream, track),
        Edit::Receive { .. } if is_stream_line => {}
        Edit::ReceiveVideo { .. } if is_stream_line => {}
        Edit::ReceiveVideo { .. } => push_line(out, line),
        Edit::Receive { dtx, stereo, .. } => {
            out.push_str(line);
            // Opus is the only sound we accept: every format line is its own, but for RED's, which lists payload types.
            if line.strip_prefix("a=fmtp:").is_some_and(|rest| rest.contains('=')) {
                if *dtx {
                    out.push_str(";usedtx=1");
                }
                if *stereo {
                    out.push_str(";stereo=1;maxaveragebitrate=510000");
                }
            }
            out.push_str("\r\n");
        }
    }
}

fn write_sending(out: &mut String, line: &str, stream: &str, track: &str) {
    // Writing to a String cannot fail.
    let written = if line.starts_with("a=msid:") {
        write!(out, "a=msid:{stream} {track}\r\n")
    } else if let Some((ssrc, _)) = line.strip_prefix("a=ssrc:").and_then(|rest| rest.split_once(" msid:")) {
        write!(out, "a=ssrc:{ssrc} msid:{stream} {track}\r\n")
    } else if let Some((ssrc, _)) = line.strip_prefix("a=ssrc:").and_then(|rest| rest.split_once(" cname:")) {
        write!(out, "a=ssrc:{ssrc} cname:{stream}\r\n")
    } else {
        write!(out, "{line}\r\n")
    };
    debug_assert!(written.is_ok());
}

/// The payload types of a section whose order or number we change.
#[derive(Default)]
struct Formats<'a> {
    /// These stand first.
    first: Vec<&'a str>,
    /// These are left out.
    dropped: Vec<&'a str>,
}

impl<'a> Formats<'a> {
    fn of(block: &'a str, edit: &Edit) -> Self {
        let codec = match edit {
            Edit::Receive { red: false, .. } => "red",
            Edit::ReceiveVideo { codec } => codec.mime_type().trim_start_matches("video/"),
            _ => return Self::default(),
        };
        let attributes = |name: &'static str| {
            block.lines().filter_map(move |line| line.trim_end().strip_prefix(name)?.split_once(' '))
        };
        let named = |map: &str| map.split('/').next().is_some_and(|name| name.eq_ignore_ascii_case(codec));
        let types: Vec<&str> = attributes("a=rtpmap:").filter(|(_, map)| named(map)).map(|(pt, _)| pt).collect();
        if matches!(edit, Edit::Receive { .. }) {
            return Self { first: Vec::new(), dropped: types };
        }
        // Each with the payload type of its retransmissions (RFC 4588 section 8.1).
        let resent = |pt: &str| {
            let apt = attributes("a=fmtp:").find(|(_, format)| format.strip_prefix("apt=") == Some(pt));
            apt.map(|(resent, _)| resent)
        };
        Self { first: types.iter().flat_map(|pt| [Some(*pt), resent(pt)]).flatten().collect(), dropped: Vec::new() }
    }

    fn matter(&self) -> bool {
        !self.first.is_empty() || !self.dropped.is_empty()
    }

    /// Whether an attribute line speaks of a payload type that is left out.
    fn drops(&self, line: &str) -> bool {
        let about = ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"].iter().find_map(|name| line.strip_prefix(name));
        about.and_then(|rest| rest.split(' ').next()).is_some_and(|pt| self.dropped.contains(&pt))
    }

    /// Writes the section's first line, without its `m=`: kind, port and protocol, then the payload types.
    fn write_media_line(&self, out: &mut String, line: &str) {
        out.push_str("m=");
        let (head, types): (Vec<_>, Vec<_>) = line.split(' ').enumerate().partition(|(index, _)| *index < 3);
        let rest = types.iter().map(|(_, pt)| *pt).filter(|pt| !self.first.contains(pt) && !self.dropped.contains(pt));
        let words: Vec<&str> =
            head.iter().map(|(_, word)| *word).chain(self.first.iter().copied()).chain(rest).collect();
        push_line(out, &words.join(" "));
    }
}

fn push_line(out: &mut String, line: &str) {
    out.push_str(line);
    out.push_str("\r\n");
}

/// The session part, then one block per `m=` line, each with its line ends.
struct Blocks<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Blocks<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.match_indices("\nm=").map(|(at, _)| at + 1).next().unwrap_or(self.rest.len());
        let (block, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=recvonly\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=sendonly\r\na=msid:- 4f2c\r\na=simulcast:send q;h;f\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n";

    const ANSWER: &str = "v=0\r\ns=-\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=candidate:1 1 udp 1 127.0.0.1 7882 typ host\r\na=mid:0\r\na=sendonly\r\n\
        a=msid:x y\r\na=ssrc:5 cname:y\r\na=ssrc:5 msid:x y\r\na=ssrc-group:FID 5 6\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na=recvonly\r\na=msid:x y\r\na=fmtp:111 minptime=10\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n";

    #[test]
    fn an_offer_is_read() {
        let found = sections(OFFER);
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].mid, found[0].direction), ("0", Direction::RecvOnly));
        assert_eq!((found[1].kind, found[1].msid, found[1].simulcast), (SectionKind::Video, Some(("-", "4f2c")), true));
        assert_eq!(found[2].kind, SectionKind::Application);
    }

    #[test]
    fn nonsense_has_no_sections() {
        assert!(sections("hello\nworld\0").is_empty());
        assert_eq!(sections("m=").len(), 1);
        assert_eq!(sections(&"m=audio\n".repeat(5000)).len(), SDP_MAX_SECTIONS);
        assert!(has_too_many_sections(&"m=audio\n".repeat(SDP_MAX_SECTIONS + 1)));
        assert!(!has_too_many_sections(&"m=audio\n".repeat(SDP_MAX_SECTIONS)));
    }

    #[test]
    fn a_payload_type_means_one_thing_on_a_connection() {
        let learned = |offers: &[&str]| {
            let mut types = PayloadTypes::default();
            offers.iter().try_for_each(|offer| types.learn(offer))
        };
        let vp8 = "m=video 9 x 96 97\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n";
        let opus = "m=audio 9 x 111\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n";
        let munged = "m=audio 9 x 111\r\na=rtpmap:111 OPUS/48000/2\r\na=fmtp:111 minptime=10;stereo=1\r\n";
        assert_eq!(learned(&[&[vp8, opus, munged, vp8].concat(), &[opus, vp8].concat()]), Ok(()));
        let twice = [opus, &vp8.replace("96", "111")].concat();
        assert_eq!(
            learned(&[&twice]),
            Err("payload type 111 stands for opus/48000/2 and for vp8/90000".to_owned()),
            "two codecs"
        );
        assert!(learned(&[opus, &vp8.replace("97", "111")]).is_err(), "a codec, and resending, one offer later");
        let h264 = "a=rtpmap:108 H264/90000\r\na=fmtp:97 apt=108;rtx-time=9\r\n";
        assert!(learned(&[&[vp8, h264].concat()]).is_err(), "resends two");
        assert!(learned(&[&format!("a=rtpmap:96 {}\r\n", "x".repeat(9000))]).is_err());
        let mut types = PayloadTypes::default();
        assert!(types.learn(&twice).is_err() && types.learn(vp8).is_ok(), "what is refused leaves nothing behind");
    }

    #[test]
    fn a_bound_section_names_its_track_and_an_idle_one_nothing() {
        let text = rewrite(ANSWER, |mid| match mid {
            "0" => Edit::Send { stream: "PA_a|camera".into(), track: "TR_b".into() },
            _ => Edit::Receive { dtx: true, stereo: false, red: true },
        });
        assert!(text.contains("a=msid:PA_a|camera TR_b\r\n") && text.contains("a=ssrc:5 msid:PA_a|camera TR_b\r\n"));
        assert!(text.contains("a=ssrc-group:FID 5 6\r\n"));
        assert!(text.contains("a=fmtp:111 minptime=10;usedtx=1\r\n"));
        assert!(!text.contains("msid:x"), "{text}");
        assert!(text.ends_with("a=mid:2\r\na=candidate:1 1 udp 1 127.0.0.1 7882 typ host\r\n"), "{text}");

        let idle = rewrite(ANSWER, |_| Edit::Idle);
        assert_eq!(idle.matches("a=inactive\r\n").count(), 2);
        assert!(!idle.contains("msid") && !idle.contains("a=ssrc") && !idle.contains("a=sendonly"), "{idle}");
    }

    #[test]
    fn keeping_changes_nothing_but_the_repeated_candidate() {
        let text = rewrite(ANSWER, |_| Edit::Keep);
        assert_eq!(text.replacen("a=candidate:1 1 udp 1 127.0.0.1 7882 typ host\r\n", "", 1).len(), ANSWER.len());
    }

    #[test]
    fn the_announced_codec_stands_first_and_redundancy_can_be_left_out() {
        let video = "m=video 9 UDP/TLS/RTP/SAVPF 96 97 108 109\r\na=mid:0\r\na=rtpmap:96 VP8/90000\r\n\
            a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:108 H264/90000\r\na=rtpmap:109 rtx/90000\r\n\
            a=fmtp:109 apt=108\r\n";
        let first = |codec| rewrite(&format!("v=0\r\n{video}"), |_| Edit::ReceiveVideo { codec });
        assert!(first(VideoCodec::H264).contains("SAVPF 108 109 96 97\r\n"));
        assert!(first(VideoCodec::Vp8).contains("SAVPF 96 97 108 109\r\n"));
        let sound = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 63 111\r\na=mid:0\r\na=rtpmap:63 red/48000/2\r\n\
            a=fmtp:63 111/111\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10\r\n";
        let with = |red| rewrite(sound, |_| Edit::Receive { dtx: true, stereo: false, red });
        assert!(with(true).contains("SAVPF 63 111\r\n") && with(true).contains("a=fmtp:63 111/111\r\n"));
        assert!(with(false).contains("SAVPF 111\r\n") && !with(false).contains(":63 "), "{}", with(false));
        assert!(with(false).contains("minptime=10;usedtx=1\r\n"));
    }

    #[test]
    fn a_stream_name_becomes_one_token() {
        assert_eq!(msid_token("my cam|1\r\n"), "my_cam_1__");
    }
}
