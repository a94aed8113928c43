//! What the server counts. Written by any thread with relaxed atomics, read as a snapshot.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A snapshot of the counters since the server started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Rooms now.
    pub rooms: u64,
    /// Participants now.
    pub participants: u64,
    /// Published tracks now.
    pub tracks: u64,
    /// Tracks on their way to a receiver now.
    pub subscriptions: u64,
    /// Mean loss of the participants' connections, in millionths.
    pub loss_ppm: u64,
    /// Mean round trip of the participants' connections, in microseconds.
    pub rtt_us: u64,
    /// Time the media thread worked, in microseconds.
    pub media_busy_us: u64,
    /// Logins that were refused.
    pub refused: u64,
    /// Signalling messages that could not be read, or came too fast.
    pub bad_signals: u64,
    /// Session descriptions that made no sense.
    pub bad_descriptions: u64,
    /// Datagrams that came in.
    pub datagrams_in: u64,
    /// Bytes that came in.
    pub bytes_in: u64,
    /// Datagrams that went out.
    pub datagrams_out: u64,
    /// Bytes that went out.
    pub bytes_out: u64,
    /// Datagrams the operating system did not take.
    pub send_failures: u64,
    /// Datagrams of nobody we know.
    pub strangers: u64,
    /// Media packets that came in.
    pub packets_in: u64,
    /// Media packets sent on: one per packet and receiver.
    pub packets_forwarded: u64,
    /// Keyframes asked of publishers.
    pub keyframe_requests: u64,
    /// Data packets sent on: one per packet and receiver.
    pub data_forwarded: u64,
    /// Data packets that were not sent on: over a limit, unreadable, or not allowed.
    pub data_dropped: u64,
    /// WebRTC connections closed because a step of theirs failed.
    pub failed_links: u64,
}

macro_rules! counters {
    ($($name:ident),+) => {
        /// The live counters.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: Count),+ }

        impl Counters {
            /// All of them, each at its own moment.
            pub(crate) fn snapshot(&self) -> ServerStats {
                ServerStats { $($name: self.$name.get()),+ }
            }
        }
    };
}

counters!(
    rooms,
    participants,
    tracks,
    subscriptions,
    loss_ppm,
    rtt_us,
    media_busy_us,
    refused,
    bad_signals,
    bad_descriptions,
    datagrams_in,
    bytes_in,
    datagrams_out,
    bytes_out,
    send_failures,
    strangers,
    packets_in,
    packets_forwarded,
    keyframe_requests,
    data_forwarded,
    data_dropped,
    failed_links
);

/// One counter or gauge.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
