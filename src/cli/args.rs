//! Values that several commands take, read from text with errors that say what would do.

#[cfg(feature = "client")]
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A width and a height in pixels, written `1280x720`.
#[cfg(feature = "app")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

#[cfg(feature = "app")]
impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sides = text.split_once(['x', 'X']).and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
        match sides {
            Some((width, height)) if (160..=7680).contains(&width) && (90..=4320).contains(&height) => {
                Ok(Self { width, height })
            }
            _ => Err("write WIDTHxHEIGHT in pixels, from 160x90 to 7680x4320, such as 1280x720".into()),
        }
    }
}

/// A span of time, written `90`, `90s`, `15m`, `6h` or `2d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let advice = || "write a number of seconds, or a number with s, m, h or d, such as 6h".to_owned();
        let (digits, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
            Some(at) => text.split_at(at),
            None => (text, "s"),
        };
        let number: u64 = digits.parse().map_err(|_| advice())?;
        let unit_secs = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(advice()),
        };
        number.checked_mul(unit_secs).map(|secs| Self(Duration::from_secs(secs))).ok_or_else(advice)
    }
}

/// Where a published picture or sound comes from.
#[cfg(feature = "client")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceArg {
    /// Generated.
    Test,
    /// A device, by its id; the default one without.
    Device(Option<String>),
    /// A file.
    File(PathBuf),
    /// Nothing.
    None,
}

#[cfg(feature = "client")]
impl SourceArg {
    /// Reads `test`, `none`, `file:PATH`, `DEVICE` and `DEVICE:ID`.
    fn read(text: &str, device: &'static str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "test" => Ok(Self::Test),
            None if text == "none" => Ok(Self::None),
            None if text == device => Ok(Self::Device(None)),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some((kind, id)) if kind == device && !id.is_empty() => Ok(Self::Device(Some(id.to_owned()))),
            _ => Err(format!("write test, {device}, {device}:ID (see `rotunda devices`), file:PATH or none")),
        }
    }

    /// A camera's value.
    pub fn video(text: &str) -> Result<Self, String> {
        Self::read(text, "camera")
    }

    /// A microphone's value.
    pub fn audio(text: &str) -> Result<Self, String> {
        Self::read(text, "microphone")
    }

    /// A screen's value; a device's id is whole, such as `screen:NAME` or `window:0x2a`.
    pub fn screen(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "test" => Ok(Self::Test),
            None if text == "none" => Ok(Self::None),
            None if text == "screen" => Ok(Self::Device(None)),
            Some(("screen" | "window", id)) if !id.is_empty() => Ok(Self::Device(Some(text.to_owned()))),
            _ => Err("write test, screen, screen:NAME, window:ID (see `rotunda devices`) or none".into()),
        }
    }
}

/// A loudspeaker by its id or name; `rotunda devices` writes `speaker:` before the id.
#[cfg(feature = "client")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeakerArg(pub String);

#[cfg(feature = "client")]
impl FromStr for SpeakerArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("speaker:").unwrap_or(text) {
            "" => Err("write an id or a name (see `rotunda devices`)".into()),
            id => Ok(Self(id.to_owned())),
        }
    }
}

/// A server's address as a WebSocket URL.
#[cfg(feature = "client")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl(pub String);

#[cfg(feature = "client")]
impl FromStr for ServerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let advice = "write ws://HOST:PORT or wss://HOST, such as ws://127.0.0.1:7880";
        let mut url = url::Url::parse(text).map_err(|error| format!("{error}: {advice}"))?;
        let scheme = match url.scheme() {
            "ws" | "http" => "ws",
            "wss" | "https" => "wss",
            other => return Err(format!("{other}:// is no WebSocket address: {advice}")),
        };
        if url.host_str().is_none_or(str::is_empty) || url.set_scheme(scheme).is_err() {
            return Err(format!("the host is missing: {advice}"));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

/// Where to join: a server, or an invitation's link, which is a web address with a path.
#[cfg(feature = "client")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A server, which takes a token.
    Server(ServerUrl),
    /// A link, which gives one.
    Invitation(String),
}

#[cfg(feature = "client")]
impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_link = |url: &url::Url| matches!(url.scheme(), "http" | "https") && url.path().len() > 1;
        if url::Url::parse(text).is_ok_and(|url| is_link(&url)) {
            return Ok(Self::Invitation(text.to_owned()));
        }
        text.parse().map(Self::Server)
    }
}

#[cfg(all(test, feature = "app"))]
mod tests {
    use super::*;

    #[test]
    fn a_web_address_with_a_path_is_an_invitation() {
        let server = |url: &str| Ok(Place::Server(ServerUrl(url.to_owned())));
        for link in ["http://10.0.0.1:7880/join/hall?code=x", "https://call.example/token"] {
            assert_eq!(link.parse(), Ok(Place::Invitation(link.to_owned())));
        }
        assert_eq!("http://127.0.0.1:7880/".parse(), server("ws://127.0.0.1:7880"));
        assert_eq!("wss://call.example/sub".parse(), server("wss://call.example/sub"));
        assert!("nonsense".parse::<Place>().is_err() && "ftp://host/join/hall".parse::<Place>().is_err());
    }

    #[test]
    fn sources_name_devices_by_their_ids() {
        assert_eq!(SourceArg::video("camera"), Ok(SourceArg::Device(None)));
        assert_eq!(SourceArg::video("camera:usb-A:B"), Ok(SourceArg::Device(Some("usb-A:B".into()))));
        assert_eq!(SourceArg::audio("file:a:b.wav"), Ok(SourceArg::File("a:b.wav".into())));
        assert_eq!(SourceArg::screen("window:0x2a"), Ok(SourceArg::Device(Some("window:0x2a".into()))));
        assert_eq!(SourceArg::screen("screen"), Ok(SourceArg::Device(None)));
        for bad in ["", "camera:", "microphone", "file:", "cameras", "none:1"] {
            assert!(SourceArg::video(bad).is_err(), "{bad}");
        }
        assert!(SourceArg::screen("file:a").is_err() && SourceArg::screen("window").is_err());
    }

    #[test]
    fn speakers_are_named_as_they_are_listed() {
        for text in ["speaker:pulseaudio:usb", "pulseaudio:usb"] {
            assert_eq!(text.parse::<SpeakerArg>(), Ok(SpeakerArg("pulseaudio:usb".into())));
        }
        assert!("".parse::<SpeakerArg>().is_err() && "speaker:".parse::<SpeakerArg>().is_err());
    }

    #[test]
    fn spans_have_units() {
        assert_eq!("6h".parse::<Span>().unwrap().0, Duration::from_secs(21_600));
        assert_eq!("90".parse::<Span>().unwrap().0, Duration::from_secs(90));
        assert!("6 hours".parse::<Span>().is_err() && "h".parse::<Span>().is_err());
        assert!("99999999999999999999d".parse::<Span>().is_err());
    }
}
