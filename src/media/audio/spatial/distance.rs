//! How much quieter a voice is from farther away. Plain functions.
//!
//! Real sound loses 6 dB with each doubling of the distance, which leaves little of the last row. Here a doubling costs
//! under 2 dB, nothing costs more than 6 dB, and high frequencies are not dulled at all: how far somebody sits is told
//! by the room's answer, which stays while the voice itself gets quieter.

/// Up to here a voice has its full level, in metres. Nearer ones are not louder: nobody shouts into an ear.
const FULL_M: f32 = 1.5;
/// From here on it has the least, in metres: across the whole hall.
const LEAST_M: f32 = 18.0;
/// The least: -6 dB.
pub(super) const LEAST: f32 = 0.5;

/// The gain at a distance in metres, within [`LEAST`]..=1.
pub(super) fn gain(distance_m: f32) -> f32 {
    let exponent = LEAST.ln() / (LEAST_M / FULL_M).ln();
    (distance_m.clamp(FULL_M, LEAST_M) / FULL_M).powf(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_fades_gently_and_never_much() {
        assert_eq!([0.0, 1.0, FULL_M].map(gain), [1.0; 3]);
        let steps: Vec<f32> = (0..400).map(|step| gain(step as f32 * 0.1)).collect();
        assert!(steps.windows(2).all(|pair| pair[1] <= pair[0] && pair[0] - pair[1] < 0.03), "evenly quieter");
        assert!((gain(LEAST_M) - LEAST).abs() < 1e-4 && (gain(1e9) - LEAST).abs() < 1e-4);
        let doubling_db = 20.0 * (gain(4.0) / gain(8.0)).log10();
        assert!(doubling_db > 1.0 && doubling_db < 2.0, "{doubling_db} dB");
    }
}
