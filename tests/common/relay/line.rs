//! What a bad network does to a packet, decided without a clock or a socket: the time is an input, chance comes from a
//! seed. The same seed, packets and conditions give the same fates.

use std::time::Duration;

/// How one direction of a network behaves. The default lets everything through at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Network {
    /// Share of packets lost, each on its own, `0.0..=1.0`.
    pub loss: f64,
    /// Losses that come in a row, besides `loss`.
    pub burst: Option<Burst>,
    /// Every packet takes this long.
    pub delay: Duration,
    /// And up to this much more, evenly spread. It does not turn the order round, as a queue does not.
    pub jitter: Duration,
    /// Share of packets that are held back by `REORDER_HOLD`, so that later ones overtake them.
    pub reorder: f64,
    /// Share of packets that come twice.
    pub duplicate: f64,
    /// What the line carries; packets wait in a queue before it.
    pub rate: Option<Rate>,
}

impl Network {
    /// Random loss alone.
    pub fn loss(share: f64) -> Self {
        Self { loss: share, ..Self::default() }
    }

    /// Delay alone.
    pub fn delay(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }

    /// A cap alone.
    pub fn rate(bits_per_sec: u64) -> Self {
        Self { rate: Some(Rate::new(bits_per_sec)), ..Self::default() }
    }
}

/// Losses in bursts: two states, good and bad, which a packet may change (Gilbert 1960; Elliott 1963).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// Chance per packet to get from good to bad.
    pub enter: f64,
    /// Chance per packet to get back.
    pub leave: f64,
    /// Share lost while bad.
    pub loss: f64,
}

impl Burst {
    /// Loses `share` of all packets, in runs of `length` on average.
    pub fn new(share: f64, length: f64) -> Self {
        let leave = 1.0 / length.max(1.0);
        Self { enter: leave * share / (1.0 - share), leave, loss: 1.0 }
    }
}

/// A cap with a bounded queue before it, which drops what no longer fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// What gets through.
    pub bits_per_sec: u64,
    /// What may wait.
    pub queue_bytes: u64,
}

impl Rate {
    /// A queue of 200 ms, a common one, and of at least four packets.
    pub fn new(bits_per_sec: u64) -> Self {
        Self { bits_per_sec, queue_bytes: (bits_per_sec / 8 / 5).max(6000) }
    }

    fn time(self, bytes: u64) -> Duration {
        Duration::from_secs_f64(bytes as f64 * 8.0 / self.bits_per_sec.max(1) as f64)
    }
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Lost by chance.
    Lost,
    /// Lost because the queue was full.
    Overflow,
    /// Arrives at a time, and a second time where a copy was made.
    Arrives(Duration, Option<Duration>),
}

const REORDER_HOLD: Duration = Duration::from_millis(20);

/// One direction of one connection, and what it remembers.
#[derive(Clone, Debug)]
pub struct Line {
    chance: Chance,
    bad: bool,
    /// When the cap has sent all that waits.
    free_at: Duration,
    /// When the last packet in order arrives.
    last_at: Duration,
}

impl Line {
    pub fn new(seed: u64) -> Self {
        Self { chance: Chance(seed), bad: false, free_at: Duration::ZERO, last_at: Duration::ZERO }
    }

    /// The fate of a packet of `bytes` sent at `now`, which never goes back.
    pub fn decide(&mut self, network: &Network, now: Duration, bytes: usize) -> Fate {
        // Every packet takes the same number of draws, so that one condition does not change another's outcome.
        let [lost, turned, lost_in_burst, jitter, held, doubled] = std::array::from_fn(|_| self.chance.unit());
        if let Some(burst) = network.burst {
            self.bad = if self.bad { turned >= burst.leave } else { turned < burst.enter };
            if self.bad && lost_in_burst < burst.loss {
                return Fate::Lost;
            }
        } else {
            self.bad = false;
        }
        if lost < network.loss {
            return Fate::Lost;
        }
        let sent = match network.rate {
            None => now,
            Some(rate) => {
                let begins = self.free_at.max(now);
                if begins - now > rate.time(rate.queue_bytes) {
                    return Fate::Overflow;
                }
                self.free_at = begins + rate.time(bytes as u64);
                self.free_at
            }
        };
        let at = (sent + network.delay + network.jitter.mul_f64(jitter)).max(self.last_at);
        if held < network.reorder {
            return Fate::Arrives(at + REORDER_HOLD, None);
        }
        self.last_at = at;
        Fate::Arrives(at, (doubled < network.duplicate).then_some(at))
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same on every machine and for ever.
#[derive(Clone, Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Evenly in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Evenly in `0..below`, which is not 0.
    pub fn below(&mut self, below: usize) -> usize {
        ((self.unit() * below as f64) as usize).min(below - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKETS: usize = 20_000;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A packet of 1000 bytes each millisecond.
    fn fates(network: &Network, seed: u64) -> Vec<Fate> {
        let mut line = Line::new(seed);
        (0..PACKETS).map(|n| line.decide(network, ms(n as u64), 1000)).collect()
    }

    fn share(fates: &[Fate], is: impl Fn(&Fate) -> bool) -> f64 {
        fates.iter().filter(|fate| is(fate)).count() as f64 / fates.len() as f64
    }

    fn lost(fate: &Fate) -> bool {
        matches!(fate, Fate::Lost)
    }

    #[test]
    fn the_same_seed_gives_the_same_fates_and_another_seed_others() {
        let network = Network { loss: 0.1, jitter: ms(30), reorder: 0.05, duplicate: 0.02, ..Network::rate(9_000_000) };
        assert_eq!(fates(&network, 7), fates(&network, 7));
        assert_ne!(fates(&network, 7), fates(&network, 8));
        // What else goes wrong does not change which packets are lost.
        let (plain, mixed) = (fates(&Network::loss(0.1), 7), fates(&network, 7));
        assert!(plain.iter().zip(&mixed).all(|(plain, mixed)| lost(plain) == lost(mixed)));
    }

    #[test]
    fn a_perfect_network_delivers_at_once_and_in_order() {
        let fates = fates(&Network::default(), 1);
        assert!(fates.iter().enumerate().all(|(n, fate)| *fate == Fate::Arrives(ms(n as u64), None)));
    }

    #[test]
    fn losses_have_their_share_and_bursts_their_length() {
        let random = share(&fates(&Network::loss(0.1), 3), lost);
        assert!((0.09..0.11).contains(&random), "{random}");
        let network = Network { burst: Some(Burst::new(0.1, 8.0)), ..Network::default() };
        let fates = fates(&network, 3);
        let bursts = share(&fates, lost);
        assert!((0.07..0.13).contains(&bursts), "{bursts}");
        let runs = fates.windows(2).filter(|pair| !lost(&pair[0]) && lost(&pair[1])).count();
        let length = fates.iter().filter(|fate| lost(fate)).count() as f64 / runs as f64;
        assert!((6.0..10.0).contains(&length), "bursts of {length}");
    }

    #[test]
    fn delay_and_jitter_keep_the_order_and_reordering_does_not() {
        let arrivals = |network: &Network| -> Vec<Duration> {
            let arrival = |fate| match fate {
                Fate::Arrives(at, _) => at,
                other => panic!("{other:?}"),
            };
            fates(network, 5).into_iter().map(arrival).collect()
        };
        let jittery = Network { delay: ms(100), jitter: ms(40), ..Network::default() };
        let times = arrivals(&jittery);
        assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
        for (n, at) in times.iter().enumerate() {
            let took = *at - ms(n as u64);
            assert!((ms(100)..=ms(140)).contains(&took), "{took:?}");
        }
        let times = arrivals(&Network { reorder: 0.1, ..Network::default() });
        let turned = times.windows(2).filter(|pair| pair[0] > pair[1]).count() as f64 / PACKETS as f64;
        assert!((0.08..0.11).contains(&turned), "{turned}");
    }

    #[test]
    fn copies_have_their_share() {
        let fates = fates(&Network { duplicate: 0.05, ..Network::default() }, 5);
        let doubled = share(&fates, |fate| matches!(fate, Fate::Arrives(_, Some(_))));
        assert!((0.04..0.06).contains(&doubled), "{doubled}");
    }

    #[test]
    fn a_cap_lets_its_rate_through_and_its_queue_is_bounded() {
        // 8 Mbit/s are offered.
        let fates = fates(&Network::rate(2_000_000), 1);
        let through = share(&fates, |fate| matches!(fate, Fate::Arrives(..)));
        assert!((0.24..0.27).contains(&through), "{through}");
        for (n, fate) in fates.iter().enumerate() {
            if let Fate::Arrives(at, _) = fate {
                let waited = *at - ms(n as u64);
                assert!(waited <= ms(210), "{waited:?} in a queue of 200 ms");
            }
        }
        assert!(share(&fates, lost) == 0.0, "what the queue drops is told apart");
    }
}
