//! The loudspeaker: finding devices, and a stream whose callback copies out of a lock-free ring. The stream object
//! stays on the playout thread; its callback runs on a thread of the sound system and neither locks nor allocates.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{BufferSize, FromSample, SampleFormat, SizedSample, StreamConfig};
use rtrb::{Consumer, Producer, RingBuffer};

use super::AudioError;
use super::resample::Resampler;
use crate::media::frame::{SAMPLE_RATE_HZ, SAMPLES_10MS};

/// How long a sound system may take to open a stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);
/// Room in the ring, in ms: more than is ever aimed for.
const RING_MS: u32 = 250;
/// What is left of a step in the sound, sample by sample, after the ring ran dry or filled again: 1 ms to fade.
const STEP_DECAY: f32 = 0.96;

/// A microphone or loudspeaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioDeviceInfo {
    /// What the sound system calls it.
    pub name: String,
    /// It is used when none is chosen.
    pub is_default: bool,
}

/// All microphones and loudspeakers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AudioDevices {
    /// Microphones.
    pub inputs: Vec<AudioDeviceInfo>,
    /// Loudspeakers.
    pub outputs: Vec<AudioDeviceInfo>,
}

/// Asks the preferred sound system for its devices; none when there is no sound system. May block for two seconds when
/// the sound server hangs.
pub fn list_devices() -> AudioDevices {
    let Some(host) = hosts().next() else { return AudioDevices::default() };
    let describe = |devices: Result<Vec<cpal::Device>, cpal::Error>, default: Option<cpal::Device>| {
        let default = default.and_then(|device| device.id().ok());
        let devices = devices.unwrap_or_else(|error| {
            tracing::warn!(%error, "the sound system does not list its devices");
            Vec::new()
        });
        devices
            .iter()
            .map(|device| AudioDeviceInfo {
                name: device.to_string(),
                is_default: default.is_some() && device.id().ok() == default,
            })
            .collect()
    };
    AudioDevices {
        inputs: describe(host.input_devices().map(Iterator::collect), host.default_input_device()),
        outputs: describe(host.output_devices().map(Iterator::collect), host.default_output_device()),
    }
}

/// The sound systems that answer, the preferred one first (on Linux PulseAudio, then ALSA).
fn hosts() -> impl Iterator<Item = cpal::Host> {
    cpal::available_hosts().into_iter().filter(has_hardware).filter_map(|id| match cpal::host_from_id(id) {
        Ok(host) => Some(host),
        Err(error) => {
            tracing::debug!(?id, %error, "a sound system does not answer");
            None
        }
    })
}

/// Whether to ask a sound system at all: ALSA writes pages of complaints to standard error on a machine without a
/// sound card.
fn has_hardware(id: &cpal::HostId) -> bool {
    !(cfg!(target_os = "linux") && id.name().eq_ignore_ascii_case("alsa")) || Path::new("/proc/asound/cards").exists()
}

/// An open loudspeaker.
pub(super) struct OutputDevice {
    name: String,
    /// Dropped first: the callback ends before the ring goes.
    _stream: cpal::Stream,
    ring: Producer<f32>,
    resampler: Option<Resampler>,
    rate_hz: u32,
    signals: Arc<Signals>,
}

/// What the callbacks report.
#[derive(Default)]
struct Signals {
    /// Times the ring ran dry.
    underruns: AtomicU32,
    /// The device is gone, and why.
    failed: OnceLock<String>,
}

impl OutputDevice {
    /// Opens the default loudspeaker of the first sound system that has one.
    ///
    /// # Errors
    /// [`AudioError::Device`] with what the sound systems said.
    pub(super) fn open_default() -> Result<Self, AudioError> {
        let mut reasons = Vec::new();
        for host in hosts() {
            let Some(device) = host.default_output_device() else {
                reasons.push(format!("{}: no output device", host.id()));
                continue;
            };
            match Self::open(&device) {
                Ok(output) => return Ok(output),
                Err(AudioError::Device(reason)) => reasons.push(format!("{}: {reason}", host.id())),
                Err(other) => return Err(other),
            }
        }
        if reasons.is_empty() {
            reasons.push("no sound system answers".to_owned());
        }
        Err(AudioError::Device(reasons.join("; ")))
    }

    fn open(device: &cpal::Device) -> Result<Self, AudioError> {
        let device_error = |error: cpal::Error| AudioError::Device(error.to_string());
        let default = device.default_output_config().map_err(device_error)?;
        // Sound servers convert anything; bare hardware may not know our rate.
        let our_rate = device.supported_output_configs().map_err(device_error)?.find(|range| {
            range.channels() == default.channels()
                && range.sample_format() == SampleFormat::F32
                && (range.min_sample_rate()..=range.max_sample_rate()).contains(&SAMPLE_RATE_HZ)
        });
        let (format, rate_hz) = match our_rate {
            Some(range) => (range.sample_format(), SAMPLE_RATE_HZ),
            None => (default.sample_format(), default.sample_rate()),
        };
        let config = StreamConfig {
            channels: default.channels(),
            sample_rate: rate_hz,
            // Never the default, which can be seconds long.
            buffer_size: BufferSize::Fixed(rate_hz / 100),
        };
        let resampler = if rate_hz == SAMPLE_RATE_HZ { None } else { Some(Resampler::new(rate_hz)?) };
        let (ring, consumer) = RingBuffer::new((rate_hz * RING_MS / 1000) as usize);
        let signals = Arc::new(Signals::default());
        let feeder = Feeder {
            ring: consumer,
            channels: usize::from(default.channels().max(1)),
            signals: Arc::clone(&signals),
            dry: true,
            last: 0.0,
            step: 0.0,
        };
        let stream = match format {
            SampleFormat::F32 => build::<f32>(device, config, feeder),
            SampleFormat::I16 => build::<i16>(device, config, feeder),
            SampleFormat::I32 => build::<i32>(device, config, feeder),
            SampleFormat::U8 => build::<u8>(device, config, feeder),
            other => return Err(AudioError::Device(format!("its sample format {other} is not supported"))),
        }
        .map_err(device_error)?;
        stream.play().map_err(device_error)?;
        Ok(Self { name: device.to_string(), _stream: stream, ring, resampler, rate_hz, signals })
    }

    /// What the sound system calls it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Sound waiting in the ring, in ms.
    pub(super) fn queued_ms(&self) -> f32 {
        let queued = self.ring.buffer().capacity() - self.ring.slots();
        queued as f32 * 1e3 / self.rate_hz as f32
    }

    /// How often the ring ran dry so far.
    pub(super) fn underruns(&self) -> u32 {
        self.signals.underruns.load(Ordering::Relaxed)
    }

    /// Why the device is gone; `None` while it plays.
    pub(super) fn failure(&self) -> Option<&str> {
        self.signals.failed.get().map(String::as_str)
    }

    /// Queues 10 ms; what does not fit is dropped, which the caller avoids by looking at [`Self::queued_ms`].
    pub(super) fn write(&mut self, block: &[f32; SAMPLES_10MS]) {
        let samples = match &mut self.resampler {
            None => block.as_slice(),
            Some(resampler) => resampler.process(block),
        };
        let (_, dropped) = self.ring.push_partial_slice(samples);
        if !dropped.is_empty() {
            tracing::debug!(samples = dropped.len(), "the ring to the audio device is full");
        }
    }
}

fn build<T: SizedSample + FromSample<f32>>(
    device: &cpal::Device,
    config: StreamConfig,
    mut feeder: Feeder,
) -> Result<cpal::Stream, cpal::Error> {
    let signals = Arc::clone(&feeder.signals);
    device.build_output_stream(
        config,
        move |data: &mut [T], _| feeder.render(data),
        move |error| {
            use cpal::ErrorKind::{DeviceChanged, RealtimeDenied, Xrun};
            if matches!(error.kind(), Xrun | RealtimeDenied | DeviceChanged) {
                tracing::debug!(%error, "the audio device goes on");
            } else {
                tracing::warn!(%error, "the audio device is lost");
                signals.failed.get_or_init(|| format!("the audio device was lost: {error}"));
            }
        },
        Some(OPEN_TIMEOUT),
    )
}

/// The device's side of the ring.
struct Feeder {
    ring: Consumer<f32>,
    channels: usize,
    signals: Arc<Signals>,
    /// The ring was empty at the last sample.
    dry: bool,
    last: f32,
    /// What is left of the jump between sound and its absence.
    step: f32,
}

impl Feeder {
    /// Fills a buffer of the device, every channel alike. No allocation, no lock.
    fn render<T: SizedSample + FromSample<f32>>(&mut self, data: &mut [T]) {
        for frame in data.chunks_mut(self.channels) {
            frame.fill(T::from_sample(self.next()));
        }
    }

    fn next(&mut self) -> f32 {
        let popped = self.ring.pop().ok();
        let wanted = popped.unwrap_or(0.0);
        if popped.is_none() != self.dry {
            self.dry = !self.dry;
            self.step = self.last - wanted;
            if self.dry {
                self.signals.underruns.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.last = wanted + self.step;
        self.step *= STEP_DECAY;
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_ring_fades_instead_of_clicking() {
        let (mut ring, consumer) = RingBuffer::new(1000);
        let signals = Arc::new(Signals::default());
        let mut feeder =
            Feeder { ring: consumer, channels: 2, signals: Arc::clone(&signals), dry: true, last: 0.0, step: 0.0 };
        let mut out = Vec::new();
        let mut render = |samples: usize| {
            let mut data = vec![9.0f32; samples * 2];
            feeder.render(&mut data);
            assert!(data.chunks(2).all(|frame| frame[0] == frame[1]), "both channels alike");
            out.extend(data.chunks(2).map(|frame| frame[0]));
        };
        render(100);
        assert_eq!(signals.underruns.load(Ordering::Relaxed), 0, "nothing was playing yet");
        ring.push_entire_slice(&[0.5; 500]).unwrap();
        render(800);
        ring.push_entire_slice(&[0.5; 500]).unwrap();
        render(400);
        assert_eq!(signals.underruns.load(Ordering::Relaxed), 1);
        assert!((out[500] - 0.5).abs() < 1e-3 && out[899].abs() < 1e-3 && (out[1299] - 0.5).abs() < 1e-3);
        let roughest = out.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(roughest < 0.03, "a click of {roughest}");
    }
}
