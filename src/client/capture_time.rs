//! When something was captured, said with its packets: the abs-capture-time header extension
//! (<http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time>). Receivers keep sound and picture in step by it;
//! sender reports tell only when packets were sent, and get lost on the way through some servers. Plain data; any thread.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rtc::rtp;

/// The extension's name.
pub(super) const CAPTURE_TIME_URI: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";
/// NTP counts from 1900, Unix from 1970.
const NTP_TO_UNIX_SECS: i64 = 2_208_988_800;
/// How often it is said; its authors ask for once a second at least, and a packet may be lost.
const INTERVAL: Duration = Duration::from_millis(500);

/// Says now and then when what a stream carries was captured.
#[derive(Debug, Default)]
pub(super) struct CaptureStamp {
    said: Option<Instant>,
}

impl CaptureStamp {
    /// Marks the first packet of something that was captured at `captured_us` (Unix time), when it is time again.
    pub(super) fn mark(&mut self, packet: &mut rtp::Packet, extension: Option<u8>, captured_us: i64, now: Instant) {
        let rested = self.said.is_none_or(|said| now.saturating_duration_since(said) >= INTERVAL);
        let Some(id) = extension.filter(|_| rested) else { return };
        self.said = Some(now);
        let value = Bytes::copy_from_slice(&ntp(captured_us).to_be_bytes());
        if let Err(error) = packet.header.set_extension(id, value) {
            tracing::debug!(%error, "a packet cannot carry its capture time");
        }
    }
}

/// The capture time a packet carries, as NTP; `None` where there is none.
pub(super) fn capture_time(packet: &rtp::Packet, extension: Option<u8>) -> Option<u64> {
    let value = packet.header.get_extension(extension?)?;
    // Eight more bytes may follow: what the sender knows of its capturer's clock.
    Some(u64::from_be_bytes(value.get(..8)?.try_into().ok()?))
}

/// Unix time in microseconds.
pub(super) fn unix_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

/// Unix time in microseconds as NTP (RFC 3550 section 4).
fn ntp(unix_us: i64) -> u64 {
    let secs = (unix_us.div_euclid(1_000_000) + NTP_TO_UNIX_SECS) as u64;
    let fraction = ((unix_us.rem_euclid(1_000_000) as u64) << 32) / 1_000_000;
    secs << 32 | fraction
}

/// NTP as Unix time in microseconds; `None` for a clock that was never set.
pub(super) fn unix_us_of(ntp: u64) -> Option<i64> {
    let secs = (ntp >> 32) as i64;
    let fraction_us = (((ntp & 0xffff_ffff) * 1_000_000) >> 32) as i64;
    (secs != 0).then(|| (secs - NTP_TO_UNIX_SECS) * 1_000_000 + fraction_us)
}

/// The number under which an offer carries the extension.
pub(super) fn extension_id(offer: &str) -> Option<u8> {
    offer.lines().find_map(|line| {
        let (id, uri) = line.trim_end().strip_prefix("a=extmap:")?.split_once(' ')?;
        // A direction may follow the number.
        (uri == CAPTURE_TIME_URI).then(|| id.split('/').next()?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_US: i64 = 1_800_000_000_123_456;

    #[test]
    fn what_is_marked_is_read_and_not_more_often_than_needed() {
        let (mut stamp, start) = (CaptureStamp::default(), Instant::now());
        let mut marked = Vec::new();
        for ms in (0..2_000).step_by(100) {
            let mut packet = rtp::Packet::default();
            let at_us = NOW_US + ms * 1000;
            stamp.mark(&mut packet, Some(7), at_us, start + Duration::from_millis(ms as u64));
            if let Some(ntp) = capture_time(&packet, Some(7)) {
                assert!((unix_us_of(ntp).unwrap() - at_us).abs() <= 1);
                assert_eq!(capture_time(&packet, Some(8)), None);
                marked.push(ms);
            }
        }
        assert_eq!(marked, [0, 500, 1000, 1500]);
        let mut packet = rtp::Packet::default();
        CaptureStamp::default().mark(&mut packet, None, NOW_US, start);
        assert_eq!(packet.header.extensions.len(), 0, "it was not negotiated");
    }

    #[test]
    fn hostile_values_are_no_time() {
        for value in [&[][..], &[1, 2, 3], &[0; 7]] {
            let mut packet = rtp::Packet::default();
            packet.header.set_extension(7, Bytes::copy_from_slice(value)).unwrap();
            assert_eq!(capture_time(&packet, Some(7)), None);
        }
        assert_eq!(unix_us_of(0), None);
        assert!(unix_us_of(u64::MAX).is_some());
    }

    #[test]
    fn its_number_is_found_in_an_offer() {
        let offer = format!("v=0\r\na=extmap:3 urn:other\r\na=extmap:9/sendonly {CAPTURE_TIME_URI}\r\n");
        assert_eq!(extension_id(&offer), Some(9));
        assert_eq!(extension_id("a=extmap:9 urn:other\r\na=extmap:x y\r\n"), None);
    }
}
