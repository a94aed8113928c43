//! What of a client's datagrams the WebRTC stack may see: it keeps something for every address and every stream, before
//! it knows whether a packet is authentic, and that must stay bounded. Reads no clock.
//!
//! Whoever forges a client's source address can use up the streams that may be tried. Those that flow go on then, and
//! so does what a description names; others of the client's wait until one more may be tried.

use std::collections::HashSet;
use std::hash::Hash;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::socket::{is_stun, rtp_ssrc};

/// Addresses that may be tried for one link over its whole time, in STUN requests.
const SOURCES_PER_LINK: usize = 256;
/// Streams of a client's own over a link's whole time, enough for some 300 cameras one after the other.
const STREAMS_PER_LINK: usize = 1024;
/// Streams that are not known to be the client's. Those for packets sent again count here for good: the stack does not
/// tell that one of them was authentic.
const TRIED_PER_LINK: usize = 512;
/// One more may be tried each time this has passed.
const TRIED_REFILL: Duration = Duration::from_secs(30);

/// What one link has let through.
#[derive(Debug)]
pub(super) struct Intake {
    began: Instant,
    sources: HashSet<SocketAddr>,
    /// Streams that a description named, or of which a packet was authentic.
    own: HashSet<u32>,
    tried: HashSet<u32>,
}

impl Intake {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, sources: HashSet::new(), own: HashSet::new(), tried: HashSet::new() }
    }

    /// Whether the stack may see a datagram.
    pub(super) fn admits(&mut self, datagram: &[u8], source: SocketAddr, now: Instant) -> bool {
        if is_stun(datagram) {
            return admit(&mut self.sources, source, SOURCES_PER_LINK);
        }
        let Some(ssrc) = rtp_ssrc(datagram).filter(|ssrc| !self.own.contains(ssrc)) else { return true };
        let refilled = now.saturating_duration_since(self.began).as_secs() / TRIED_REFILL.as_secs();
        admit(&mut self.tried, ssrc, TRIED_PER_LINK + refilled as usize)
    }

    /// The same for the streams a description names.
    pub(super) fn admits_streams(&mut self, description: &str) -> bool {
        let named = description.lines().filter_map(|line| line.strip_prefix("a=ssrc:"));
        let mut ssrcs = named.filter_map(|rest| rest.split(' ').next()?.parse().ok());
        ssrcs.all(|ssrc| admit(&mut self.own, ssrc, STREAMS_PER_LINK))
    }

    /// A packet of this stream was authentic.
    pub(super) fn prove(&mut self, ssrc: u32) {
        if self.own.len() < STREAMS_PER_LINK && self.tried.remove(&ssrc) {
            self.own.insert(ssrc);
        }
    }

    /// ICE began anew: the stack has forgotten the addresses.
    pub(super) fn forget_sources(&mut self) {
        self.sources.clear();
    }
}

/// Whether `key` is known, or is still taken in.
fn admit<K: Eq + Hash>(known: &mut HashSet<K>, key: K, limit: usize) -> bool {
    if known.len() < limit {
        known.insert(key);
        return true;
    }
    known.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtp(ssrc: u32) -> Vec<u8> {
        [&[0x80, 111, 0, 1, 0, 0, 0, 0][..], &ssrc.to_be_bytes(), &[0; 4]].concat()
    }

    fn from(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn what_a_client_makes_the_stack_remember_is_bounded() {
        let now = Instant::now();
        let mut intake = Intake::new(now);
        // A client that sends what is its own, under ever new SSRCs.
        let admitted = (1..5000).filter(|ssrc| {
            let admitted = intake.admits(&rtp(*ssrc), from(1), now);
            intake.prove(*ssrc);
            admitted
        });
        assert_eq!(admitted.count(), STREAMS_PER_LINK + TRIED_PER_LINK);
        assert!(intake.admits(&rtp(1), from(1), now), "what flows goes on");
        let stun = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        assert_eq!((1..5000).filter(|port| intake.admits(&stun, from(*port), now)).count(), SOURCES_PER_LINK);
        assert!(intake.admits(&stun, from(1), now));
        let report = [0x80, 200, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        assert!(intake.admits(&report, from(1), now), "reports are no stream");
        assert!(
            intake.admits_streams("v=0\r\na=ssrc:1 cname:x\r\n") && !intake.admits_streams("a=ssrc:9999 cname:x\n")
        );
    }

    #[test]
    fn forged_packets_do_not_shut_a_client_out_for_good() {
        let now = Instant::now();
        let mut intake = Intake::new(now);
        assert!(intake.admits(&rtp(1), from(1), now));
        intake.prove(1);
        let forged = (1000..9000).filter(|ssrc| intake.admits(&rtp(*ssrc), from(1), now)).count();
        assert_eq!(forged, TRIED_PER_LINK);
        assert!(intake.admits(&rtp(1), from(1), now), "what flows goes on");
        assert!(intake.admits_streams("a=ssrc:2 cname:x\r\n") && intake.admits(&rtp(2), from(1), now), "what is named");
        assert!(!intake.admits(&rtp(3), from(1), now));
        assert!(intake.admits(&rtp(3), from(1), now + TRIED_REFILL), "after a while");
    }
}
