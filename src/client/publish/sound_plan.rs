//! How a sound is sent now: its bitrate, its in-band error correction and its copies, from what the way carries and
//! loses. Plain functions.

use super::pump::OVERHEAD_BYTES;
use crate::bridge::AudioOptions;

/// What a channel of speech needs to stay understandable, in bit/s.
const LEAST_CHANNEL_BPS: u32 = 16_000;
/// The bitrate moves in such steps, so that the encoder is left in peace, in bit/s.
const STEP_BPS: u32 = 4_000;
/// Loss from which on two copies are sent rather than one: losses then come in bursts.
const HEAVY_LOSS: f32 = 0.1;
/// Loss the encoder prepares for, at least and at most, in percent: under 5 it would leave the correction data out, and
/// the first loss would be heard.
const FEC_PERCENT: std::ops::RangeInclusive<i32> = 5..=30;
/// Packets of 20 ms.
const PACKETS_PER_SEC: u32 = 50;
/// What stands before a copy in its packet (RFC 2198 section 3).
const COPY_HEADER_BYTES: u32 = 4;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Of the encoder, all channels.
    pub(super) bitrate_bps: i32,
    /// Loss that the in-band error correction prepares for, in percent; 0 leaves it out.
    pub(super) fec_percent: i32,
    /// Earlier packets sent along with each.
    pub(super) copies: usize,
}

impl Plan {
    /// What it puts on the way, with all headers, in bit/s.
    pub(super) fn sends_bps(&self) -> u32 {
        let copies = self.copies as u32;
        let headers = OVERHEAD_BYTES as u32 + COPY_HEADER_BYTES * copies;
        self.bitrate_bps.unsigned_abs() * (copies + 1) + headers * 8 * PACKETS_PER_SEC
    }
}

/// Plans for a share of the way in bit/s (0 while nothing is known), a share of lost packets, and a server that takes
/// redundant packets or not.
pub(super) fn plan(options: AudioOptions, channels: u8, share_bps: u32, loss: f32, red: bool) -> Plan {
    let channels = u32::from(channels.max(1));
    let most = options.max_bitrate_bps.clamp(6_000, 255_000) * channels;
    let least = (LEAST_CHANNEL_BPS * channels).min(most);
    let share = if share_bps == 0 { most * 2 } else { share_bps };
    let copies = match () {
        () if !red || !options.red || share < most * 2 => 0,
        () if loss > HEAVY_LOSS && share >= most * 3 => 2,
        () => 1,
    };
    let bitrate = (share / (copies + 1) / STEP_BPS * STEP_BPS).clamp(least, most);
    let percent = ((loss * 125.0).ceil() as i32).clamp(*FEC_PERCENT.start(), *FEC_PERCENT.end());
    Plan {
        bitrate_bps: i32::try_from(bitrate).unwrap_or(i32::MAX),
        // A copy mends what the correction data would, and better.
        fec_percent: if copies > 0 { 0 } else { percent },
        copies: copies as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICROPHONE: AudioOptions = AudioOptions::MICROPHONE;

    #[test]
    fn a_wide_way_carries_everything_and_a_narrow_one_the_voice() {
        let wide = plan(MICROPHONE, 1, 500_000, 0.0, false);
        assert_eq!(wide, Plan { bitrate_bps: 48_000, fec_percent: 5, copies: 0 });
        assert_eq!(plan(MICROPHONE, 1, 30_000, 0.0, false).bitrate_bps, 28_000);
        assert_eq!(plan(MICROPHONE, 1, 1, 0.0, false).bitrate_bps, 16_000);
        assert_eq!(plan(MICROPHONE, 2, 1, 0.0, false).bitrate_bps, 32_000);
        assert_eq!(plan(MICROPHONE, 1, 0, 0.0, false).bitrate_bps, 48_000, "nothing is known yet");
        let modest = AudioOptions { max_bitrate_bps: 9_000, ..MICROPHONE };
        assert_eq!(plan(modest, 1, 500_000, 0.0, false).bitrate_bps, 9_000);
    }

    #[test]
    fn the_error_correction_follows_the_loss() {
        let percent = |loss| plan(MICROPHONE, 1, 100_000, loss, false).fec_percent;
        assert_eq!([percent(0.0), percent(0.1), percent(0.2), percent(0.9)], [5, 13, 25, 30]);
    }

    #[test]
    fn copies_are_sent_where_server_and_way_allow_them() {
        let copies = |share, loss, red| plan(MICROPHONE, 1, share, loss, red).copies;
        assert_eq!(copies(0, 0.0, true), 1);
        assert_eq!(copies(500_000, 0.0, false), 0, "the server does not take them");
        assert_eq!(copies(90_000, 0.0, true), 0, "the way is too narrow");
        assert_eq!(copies(500_000, 0.25, true), 2);
        assert_eq!(copies(100_000, 0.25, true), 1);
        assert_eq!(plan(AudioOptions { red: false, ..MICROPHONE }, 1, 500_000, 0.2, true).copies, 0);
        assert_eq!(plan(MICROPHONE, 1, 500_000, 0.2, true).fec_percent, 0, "not both");
    }

    #[test]
    fn copies_and_headers_count() {
        let sends = |channels, loss, red| plan(MICROPHONE, channels, 500_000, loss, red).sends_bps();
        assert_eq!(sends(1, 0.0, false), 48_000 + 28_000);
        assert_eq!(sends(1, 0.0, true), 2 * 48_000 + 28_000 + 1_600);
        assert_eq!(sends(1, 0.2, true), 3 * 48_000 + 28_000 + 3_200);
        assert_eq!(sends(2, 0.0, true), 2 * 96_000 + 28_000 + 1_600);
    }
}
