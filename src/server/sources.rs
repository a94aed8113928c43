//! How many connections each source address has, so that one address cannot take all places.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The bits of an IPv6 address that one customer is given (RFC 6177): the rest is for it to choose.
const V6_PREFIX: u128 = !0 << 64;

/// What counts as one address.
pub(crate) fn source_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & V6_PREFIX)),
        v4 => v4,
    }
}

/// Counts the places taken.
#[derive(Debug)]
pub(crate) struct Sources {
    /// Places for one address.
    limit: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// A place taken; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    sources: Arc<Sources>,
    source: IpAddr,
}

impl Sources {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit: limit.max(1), taken: Mutex::default() })
    }

    /// Takes a place; `None` when this address has too many.
    pub(crate) fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let source = source_of(ip);
        let mut taken = self.taken();
        let count = taken.entry(source).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        drop(taken);
        Some(Place { sources: self.clone(), source })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Numbers stay right whatever panics.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.sources.taken();
        if let Some(count) = taken.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_places_and_gives_them_back() {
        let sources = Sources::new(2);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let places: Vec<Place> = (0..2).filter_map(|_| sources.enter(ip("192.0.2.1"))).collect();
        assert!(places.len() == 2 && sources.enter(ip("192.0.2.1")).is_none());
        assert!(sources.enter(ip("::ffff:192.0.2.1")).is_none(), "the same in another spelling");
        let other = sources.enter(ip("2001:db8::1"));
        assert!(other.is_some());
        let third = (sources.enter(ip("2001:db8::ffff")), sources.enter(ip("2001:db8::2")));
        assert!(third.0.is_some() && third.1.is_none(), "one network is one address");
        drop((places, other, third));
        assert!(sources.taken().is_empty(), "nothing is remembered of those that left");
    }
}
