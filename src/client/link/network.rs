//! What happens to this machine under a call: it moves to another network, or sleeps. Looked at now and then by the
//! engine's thread; the clocks and the addresses are inputs.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

/// How often the addresses are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The clock on the wall runs ahead of the one that stops during sleep by more than this: the machine slept.
const SLEPT: Duration = Duration::from_secs(3);
/// Nobody looked for this long: the machine slept, or was stopped, and its clock went on.
const STOPPED: Duration = Duration::from_secs(10);

/// What happened to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Upset {
    /// It was asleep.
    Slept,
    /// It has other addresses.
    Moved,
}

/// Remembers what was seen last.
#[derive(Debug)]
pub(in crate::client) struct Network {
    wall: SystemTime,
    now: Instant,
    looked: Instant,
    /// The addresses the call runs over; empty when they do not matter.
    addresses: BTreeSet<IpAddr>,
    /// What was seen last, when it is something else.
    other: Option<BTreeSet<IpAddr>>,
    watched: bool,
}

impl Network {
    /// Begins to watch. Addresses do not matter to a server on this machine.
    pub(in crate::client) fn new(server_is_local: bool) -> Self {
        let now = Instant::now();
        let addresses = if server_is_local { BTreeSet::new() } else { local_addresses() };
        Self { wall: SystemTime::now(), now, looked: now, addresses, other: None, watched: !server_is_local }
    }

    /// Looks at the machine.
    pub(in crate::client) fn look(&mut self) -> Option<Upset> {
        self.check(SystemTime::now(), Instant::now(), local_addresses)
    }

    fn check(&mut self, wall: SystemTime, now: Instant, addresses: impl FnOnce() -> BTreeSet<IpAddr>) -> Option<Upset> {
        let passed = now.saturating_duration_since(self.now);
        // A clock that is set back is none of our business.
        let on_the_wall = wall.duration_since(self.wall).unwrap_or_default();
        (self.wall, self.now) = (wall, now);
        if passed > STOPPED || on_the_wall.saturating_sub(passed) > SLEPT {
            return Some(Upset::Slept);
        }
        if !self.watched || now.saturating_duration_since(self.looked) < LOOK_EVERY {
            return None;
        }
        self.looked = now;
        let present = addresses();
        if present == self.addresses {
            self.other = None;
            return None;
        }
        // Interfaces come up in steps: act once they have come to rest.
        if self.other.as_ref() != Some(&present) {
            self.other = Some(present);
            return None;
        }
        self.other = None;
        self.addresses = present;
        Some(Upset::Moved)
    }
}

/// The addresses under which others could reach this machine.
pub(super) fn local_addresses() -> BTreeSet<IpAddr> {
    let interfaces = rtc::shared::ifaces::ifaces().unwrap_or_default();
    let addresses = interfaces.into_iter().filter_map(|interface| interface.addr.map(|addr| addr.ip()));
    addresses.filter(is_usable).collect()
}

fn is_usable(ip: &IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(ip.is_loopback() || ip.is_unspecified() || link_local)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(200);

    fn set(addresses: &[&str]) -> BTreeSet<IpAddr> {
        addresses.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn watch(addresses: &[&str]) -> Network {
        Network { addresses: set(addresses), watched: true, ..Network::new(true) }
    }

    /// Runs for some ticks; everything that was noticed.
    fn run(network: &mut Network, ticks: u32, addresses: &[&str]) -> Vec<Upset> {
        (0..ticks).filter_map(|_| network.check(network.wall + TICK, network.now + TICK, || set(addresses))).collect()
    }

    #[test]
    fn sleep_is_noticed_and_a_clock_set_back_is_not() {
        let mut network = watch(&["10.0.0.2"]);
        assert!(run(&mut network, 100, &["10.0.0.2"]).is_empty());
        let (wall, now) = (network.wall, network.now);
        let hour = Duration::from_secs(3600);
        assert_eq!(network.check(wall + hour, now + TICK, BTreeSet::new), Some(Upset::Slept), "the clock stood");
        assert!(run(&mut network, 10, &["10.0.0.2"]).is_empty(), "it is told once");
        assert_eq!(network.check(network.wall - hour, network.now + TICK, || set(&["10.0.0.2"])), None);
        assert!(run(&mut network, 10, &["10.0.0.2"]).is_empty());
        let (wall, now) = (network.wall, network.now);
        assert_eq!(network.check(wall + hour, now + hour, BTreeSet::new), Some(Upset::Slept), "the clock went on");
    }

    #[test]
    fn a_busy_moment_is_no_sleep() {
        let mut network = watch(&[]);
        let busy = Duration::from_secs(4);
        assert_eq!(network.check(network.wall + busy, network.now + busy, BTreeSet::new), None);
    }

    #[test]
    fn another_network_is_noticed_once_it_is_there() {
        let mut network = watch(&["10.0.0.2"]);
        assert_eq!(run(&mut network, 20, &["192.168.1.5"]), [Upset::Moved]);
        // An interface that flickers within a second or two changes nothing.
        assert!(run(&mut network, 5, &[]).is_empty());
        assert!(run(&mut network, 50, &["192.168.1.5"]).is_empty());
        assert_eq!(run(&mut network, 20, &["192.168.1.5", "2001:db8::7"]), [Upset::Moved]);
    }

    #[test]
    fn only_addresses_that_reach_out_count() {
        let usable = |text: &str| is_usable(&text.parse().unwrap());
        assert!(usable("10.1.2.3") && usable("2001:db8::1"));
        assert!(!usable("127.0.0.1") && !usable("169.254.3.4") && !usable("fe80::1") && !usable("::1"));
    }
}
