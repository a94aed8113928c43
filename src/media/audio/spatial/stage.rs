//! The mix of a block: each voice plain, or through the ears from where it is, and the room's answer. Used by the
//! playout thread and by whoever renders sound without one; no allocation and no lock while voices are added.
//!
//! Voices are multiplied with their ears' filters as spectra of two blocks (overlap-save) and added up as such, so that
//! the way back to sound costs the same for one voice as for fifty. A voice that moved is heard through its old and its
//! new filter for one block, the one fading into the other.

use std::sync::Arc;

use super::bearing::{Bearing, Head};
use super::ears::{BINS, EarFilter, Ears, TRANSFORM};
use super::fourier::{Bin, Fourier, ZERO};
use super::reverb::Reverb;
use super::stage_voice::StageVoice;
use crate::media::audio::mixer::{Mixer, StereoBlock};
use crate::media::frame::SAMPLES_10MS;
use crate::model::sound::{Hearing, Listener};

/// See the module.
pub struct Stage {
    mixer: Mixer,
    ears: Option<Arc<Ears>>,
    head: Head,
    hearing: Hearing,
    fourier: Fourier,
    /// Through filters that stay.
    steady: Sum,
    /// Through filters that are left at the end of this block, and those that come instead.
    leaving: Sum,
    arriving: Sum,
    /// What the room hears.
    room: [f32; SAMPLES_10MS],
    reverb: Reverb,
}

/// Spectra that are added up for both ears.
struct Sum {
    ears: Box<EarFilter>,
    used: bool,
}

impl Sum {
    fn new() -> Self {
        Self { ears: Box::default(), used: false }
    }

    fn add(&mut self, voice: &[Bin], filter: &EarFilter) {
        self.used = true;
        for (sum, filter) in self.ears.0.iter_mut().zip(&filter.0) {
            for ((sum, voice), filter) in sum.iter_mut().zip(voice).zip(filter) {
                *sum += voice * filter;
            }
        }
    }

    /// Adds what it comes to, sample by sample as loud as `weight` says, and empties it.
    fn finish(&mut self, fourier: &mut Fourier, out: &mut StereoBlock, weight: impl Fn(usize) -> f32) {
        if !std::mem::take(&mut self.used) {
            return;
        }
        for (spectrum, out) in self.ears.0.iter_mut().zip(out) {
            fourier.spectrum.copy_from_slice(spectrum);
            *spectrum = [ZERO; BINS];
            fourier.backward();
            for (at, (out, sample)) in out.iter_mut().zip(&fourier.sound[SAMPLES_10MS..]).enumerate() {
                *out += sample * weight(at);
            }
        }
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

impl Stage {
    /// A plain one, until it is told to listen spatially and has ears.
    pub fn new() -> Self {
        Self {
            mixer: Mixer::new(),
            ears: None,
            head: Head::default(),
            hearing: Hearing::Plain,
            fourier: Fourier::new(TRANSFORM),
            steady: Sum::new(),
            leaving: Sum::new(),
            arriving: Sum::new(),
            room: [0.0; SAMPLES_10MS],
            reverb: Reverb::new(),
        }
    }

    /// One that hears with these ears.
    pub fn with_ears(ears: Arc<Ears>) -> Self {
        Self { ears: Some(ears), hearing: Hearing::Spatial, ..Self::new() }
    }

    /// How voices are heard from the next block on, and by a head where. The listener must be harmless, as
    /// [`SoundScene::made_harmless`](crate::model::sound::SoundScene::made_harmless) leaves it.
    pub fn listen(&mut self, hearing: Hearing, listener: &Listener) {
        self.hearing = hearing;
        self.head = Head::of(listener);
    }

    /// Whether voices are to be heard from where they are and there are no ears for that yet.
    pub(in crate::media::audio) fn wants_ears(&self) -> bool {
        self.hearing == Hearing::Spatial && self.ears.is_none()
    }

    /// Hears with these from the next block on.
    pub(in crate::media::audio) fn put_on(&mut self, ears: Arc<Ears>) {
        self.ears = Some(ears);
    }

    /// Adds 10 ms of a voice, 48 000 Hz, with its gain moving evenly from the first to the second value.
    pub fn add(&mut self, voice: &mut StageVoice, block: &[f32; SAMPLES_10MS], gain: (f32, f32)) {
        let wanted = self.bearing(voice);
        let before = voice.bearing;
        let (was, will) = (f32::from(before.is_some()), f32::from(wanted.is_some()));
        if was + will < 2.0 {
            self.mixer.add(block, (gain.0 * (1.0 - was), gain.1 * (1.0 - will)));
        }
        let past = std::mem::replace(&mut voice.past, ramp(block, gain));
        let moved = match (before, wanted) {
            (Some(before), Some(wanted)) => wanted.is_far_from(&before),
            (before, wanted) => before.is_some() || wanted.is_some(),
        };
        if moved {
            self.turn(voice, wanted);
        }
        let sounds = past.iter().chain(&voice.past).any(|sample| *sample != 0.0);
        if was + will == 0.0 || !sounds {
            return;
        }
        self.fourier.sound[..SAMPLES_10MS].copy_from_slice(&past);
        self.fourier.sound[SAMPLES_10MS..].copy_from_slice(&voice.past);
        self.fourier.forward();
        let spectrum = &self.fourier.spectrum;
        if !moved {
            self.steady.add(spectrum, &voice.filter);
        } else {
            // The two filters have changed places.
            if before.is_some() {
                self.leaving.add(spectrum, &voice.spare);
            }
            if wanted.is_some() {
                self.arriving.add(spectrum, &voice.filter);
            }
        }
        let step = (will - was) / SAMPLES_10MS as f32;
        let mut share = was;
        for (room, sample) in self.room.iter_mut().zip(&voice.past) {
            share += step;
            *room += sample * share;
        }
    }

    /// The limited mix of all that was added since the last call, left and right, within -1..=1.
    pub fn finish(&mut self) -> StereoBlock {
        let mut out = [[0.0; SAMPLES_10MS]; 2];
        let arrived = |at: usize| (at + 1) as f32 / SAMPLES_10MS as f32;
        self.steady.finish(&mut self.fourier, &mut out, |_| 1.0);
        self.leaving.finish(&mut self.fourier, &mut out, |at| 1.0 - arrived(at));
        self.arriving.finish(&mut self.fourier, &mut out, arrived);
        self.reverb.add(&self.room, &mut out);
        self.room = [0.0; SAMPLES_10MS];
        self.mixer.add_stereo(&out);
        self.mixer.finish()
    }

    /// Where a voice is to be heard from; `None` for everywhere.
    fn bearing(&self, voice: &StageVoice) -> Option<Bearing> {
        let from = voice.place.from.filter(|_| self.hearing == Hearing::Spatial && self.ears.is_some())?;
        Some(self.head.bearing(from))
    }

    /// Makes the filter for another bearing; the one before it stays beside it for this block.
    fn turn(&mut self, voice: &mut StageVoice, wanted: Option<Bearing>) {
        if let (Some(ears), Some(bearing)) = (&self.ears, &wanted) {
            ears.filter(bearing, &mut self.fourier, &mut voice.spare);
        }
        std::mem::swap(&mut voice.filter, &mut voice.spare);
        voice.bearing = wanted;
    }
}

/// A block with its gain moving evenly; silence where it is no sound, which would stay in the room for good.
fn ramp(block: &[f32; SAMPLES_10MS], (from, to): (f32, f32)) -> [f32; SAMPLES_10MS] {
    let step = (to - from) / SAMPLES_10MS as f32;
    let mut gain = from;
    let mut out = *block;
    for sample in &mut out {
        gain += step;
        *sample *= gain;
    }
    if out.iter().all(|sample| sample.is_finite()) { out } else { [0.0; SAMPLES_10MS] }
}

#[cfg(test)]
#[path = "stage_tests.rs"]
mod tests;
