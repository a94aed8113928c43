//! What is done to a microphone's sound before it is encoded: echo cancellation, noise suppression, gain control, voice
//! activity. Blocks of 10 ms at 48 000 Hz; owned and run by the capture thread of the track, never by a device's
//! callback.
//!
//! The order is that of WebRTC's audio processing: high-pass filter, echo canceller, noise suppression, and gain last,
//! so that neither echo nor noise is brought up to the level of a voice.

mod gain;
mod voice_activity;

use nnnoiseless::DenoiseState;
use sonora::config::{
    EchoCanceller, HighPassFilter, MaxProcessingRate, NoiseSuppression as Suppressor, NoiseSuppressionLevel, Pipeline,
};
use sonora::{AudioProcessing, Config, StreamConfig};

use self::gain::GainControl;
pub use self::voice_activity::VoiceActivity;
use super::reference::EchoReference;
use crate::media::frame::{AudioBlock, SAMPLE_RATE_HZ, SAMPLES_10MS};
use crate::model::{NoiseSuppression, SoundProcessing};

/// Blocks of the reference taken in before one block of the microphone: the playout writes in bursts.
const REFERENCE_BURST: usize = 10;
/// Blocks without a reference after which silence stands in: the loudspeaker is gone, not late.
const REFERENCE_GONE: u32 = 20;
/// Longest delay that the echo canceller is told, in ms.
const MAX_DELAY_MS: f32 = 500.0;
/// How `nnnoiseless` scales samples: as 16-bit numbers.
const FULL_SCALE: f32 = 32_768.0;

/// The processing of one microphone track.
pub struct SoundProcessor {
    reference: Option<EchoReference>,
    without_reference: u32,
    cleaner: Option<AudioProcessing>,
    denoiser: Option<Box<DenoiseState<'static>>>,
    gain: Option<GainControl>,
    voice: VoiceActivity,
}

impl SoundProcessor {
    /// Sets up what is wished for. Without a reference there is no echo cancellation: nothing is played.
    pub fn new(wished: SoundProcessing, reference: Option<EchoReference>) -> Self {
        let reference = reference.filter(|_| wished.echo_cancellation);
        // Ahead of the strong one, too: that knows voices well and steady noise less.
        let steady = match wished.noise_suppression {
            NoiseSuppression::Off => None,
            NoiseSuppression::Normal => Some(NoiseSuppressionLevel::Moderate),
            NoiseSuppression::Strong => Some(NoiseSuppressionLevel::High),
        };
        let cleaner = (wished != SoundProcessing::NONE).then(|| cleaner(reference.is_some(), steady));
        let denoiser = (wished.noise_suppression == NoiseSuppression::Strong).then(DenoiseState::new);
        let gain = wished.gain_control.then(GainControl::new);
        Self { reference, without_reference: 0, cleaner, denoiser, gain, voice: VoiceActivity::default() }
    }

    /// Processes 10 ms, mono or stereo. What is processed at all comes out as mono; with all processing off the block
    /// stays as it is. Says whether somebody speaks.
    pub fn process(&mut self, block: &mut AudioBlock) -> bool {
        if let Some(mut sound) = self.mono(block) {
            self.feed_reference();
            self.clean(&mut sound);
            self.denoise(&mut sound);
            let speaks = self.voice.hear(&sound);
            if let Some(gain) = &mut self.gain {
                gain.process(&mut sound, &self.voice);
            }
            block.samples.clear();
            block.samples.extend_from_slice(&sound);
            block.channels = 1;
            return speaks;
        }
        self.voice.hear(&block.samples)
    }

    /// The level of the newest 10 ms before gain, in dBFS; `None` when it was not loud enough for a voice: silence, steady
    /// noise, pauses between words.
    pub fn loud_dbfs(&self) -> Option<f32> {
        self.voice.is_loud().then(|| self.voice.level_dbfs())
    }

    /// The block in mono when there is anything to do and its length is right.
    fn mono(&self, block: &AudioBlock) -> Option<[f32; SAMPLES_10MS]> {
        self.cleaner.as_ref()?;
        let channels = usize::from(block.channels.max(1));
        if block.samples.len() != SAMPLES_10MS * channels {
            return None;
        }
        let mut frames = block.samples.chunks_exact(channels);
        let mean = |frame: &[f32]| frame.iter().sum::<f32>() / channels as f32;
        Some(std::array::from_fn(|_| frames.next().map(mean).filter(|mean| mean.is_finite()).unwrap_or(0.0)))
    }

    /// Tells the echo canceller what the loudspeaker plays.
    fn feed_reference(&mut self) {
        let (Some(reference), Some(cleaner)) = (&mut self.reference, &mut self.cleaner) else { return };
        let mut fed = 0;
        while fed < REFERENCE_BURST
            && let Some(block) = reference.read()
        {
            play_to(cleaner, &block);
            fed += 1;
        }
        self.without_reference = if fed > 0 { 0 } else { self.without_reference.saturating_add(1) };
        if self.without_reference > REFERENCE_GONE {
            play_to(cleaner, &[0.0; SAMPLES_10MS]);
        }
        let delay_ms = reference.delay_ms().clamp(0.0, MAX_DELAY_MS) as i32;
        if let Err(error) = cleaner.set_stream_delay_ms(delay_ms) {
            tracing::debug!(%error, delay_ms, "the echo canceller takes no such delay");
        }
    }

    fn clean(&mut self, sound: &mut [f32; SAMPLES_10MS]) {
        let Some(cleaner) = &mut self.cleaner else { return };
        let input = *sound;
        if let Err(error) = cleaner.process_capture_f32(&[&input], &mut [&mut sound[..]]) {
            tracing::debug!(%error, "10 ms of the microphone go unprocessed");
            *sound = input;
        }
    }

    fn denoise(&mut self, sound: &mut [f32; SAMPLES_10MS]) {
        let Some(denoiser) = &mut self.denoiser else { return };
        let input = sound.map(|sample| sample * FULL_SCALE);
        denoiser.process_frame(sound, &input);
        sound.iter_mut().for_each(|sample| *sample /= FULL_SCALE);
    }
}

fn cleaner(echo: bool, steady_noise: Option<NoiseSuppressionLevel>) -> AudioProcessing {
    let stream = StreamConfig::new(SAMPLE_RATE_HZ, 1);
    let config = Config {
        pipeline: pipeline(),
        high_pass_filter: Some(HighPassFilter::default()),
        echo_canceller: echo.then(EchoCanceller::default),
        noise_suppression: steady_noise.map(|level| Suppressor { level, ..Default::default() }),
        ..Default::default()
    };
    AudioProcessing::builder().config(config).capture_config(stream).render_config(stream).build()
}

/// Everything at our rate: the library's own default takes the highest third of the spectrum away.
fn pipeline() -> Pipeline {
    Pipeline { maximum_internal_processing_rate: MaxProcessingRate::Rate48kHz, ..Default::default() }
}

fn play_to(cleaner: &mut AudioProcessing, block: &[f32; SAMPLES_10MS]) {
    let mut out = [0.0; SAMPLES_10MS];
    if let Err(error) = cleaner.process_render_f32(&[block], &mut [&mut out[..]]) {
        tracing::debug!(%error, "10 ms of the loudspeaker are unknown to the echo canceller");
    }
}

#[cfg(test)]
#[path = "processing_tests.rs"]
mod tests;
