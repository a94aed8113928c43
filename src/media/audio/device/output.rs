//! An open loudspeaker: a stream whose callback copies out of a lock-free ring. The writing end stays on the playout
//! thread; the callback runs on a thread of the sound system and neither locks nor allocates.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{BufferSize, FromSample, OutputCallbackInfo, SampleFormat, SizedSample, StreamConfig};
use rtrb::{Consumer, Producer, RingBuffer};

use super::bounded::{Errand, within};
use super::host::{Direction, Line, find_on_line};
use super::keeper::{Demand, Kept};
use super::{DeviceName, Stream, Trouble, is_harmless};
use crate::media::audio::mixer::StereoBlock;
use crate::media::audio::resample::Resampler;
use crate::media::frame::{SAMPLE_RATE_HZ, SAMPLES_10MS};
use crate::model::DeviceState;

/// How long a sound system may take to open a stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);
/// Buffer asked for, in ms.
const BUFFER_MS: u32 = 10;
/// Twice this long a device is watched that has to show that it takes sound: one that stands still asks for some when
/// it is opened, and then no more; PulseAudio's null sinks ask every two seconds.
const TRIAL: Duration = Duration::from_millis(1_250);
/// Room in the ring, in ms: more than is ever aimed for.
const RING_MS: u32 = 250;
/// What is left of a step in the sound, sample by sample, after the ring ran dry or filled again: 1 ms to fade.
const STEP_DECAY: f32 = 0.96;
/// Channels in the ring, interleaved.
const EARS: usize = 2;

/// See the module.
pub(in crate::media::audio) struct OutputDevice {
    name: DeviceName,
    /// Dropped first: the callback ends before the ring goes.
    _stream: Stream,
    ring: Producer<f32>,
    resampler: Option<Resampler>,
    rate_hz: u32,
    channels: usize,
    /// A block as it goes into the ring.
    interleaved: [f32; EARS * SAMPLES_10MS],
    signals: Arc<Signals>,
}

/// What the callbacks report.
#[derive(Default)]
struct Signals {
    /// Times the ring ran dry.
    underruns: AtomicU32,
    /// Times the device asked for sound.
    pulses: AtomicU32,
    /// From the callback to the ear, in microseconds, as the sound system says.
    latency_us: AtomicU32,
    /// The device is gone, and why.
    failed: OnceLock<Trouble>,
}

impl OutputDevice {
    /// Opens a loudspeaker by id or name, or the default one. Blocks for some seconds at most, two seconds and a half longer where
    /// [`Demand::Delivers`] is asked for.
    pub(in crate::media::audio) fn open(wanted: Option<&str>, demand: Demand) -> Result<Self, Trouble> {
        let line = Line::take();
        let number = line.as_ref().map_or(0, Line::number);
        let device = find_on_line(number, Direction::Output, wanted)?;
        let name = DeviceName::of(&device);
        let errand = Errand::Open { direction: Direction::Output, id: name.id.clone(), buffer_ms: BUFFER_MS };
        let opened = within(errand, OPEN_TIMEOUT, move || Self::set_up(&device, name, line))?;
        if demand == Demand::Delivers {
            opened.try_out()?;
        }
        Ok(opened)
    }

    fn set_up(device: &cpal::Device, name: DeviceName, line: Option<Line>) -> Result<Self, Trouble> {
        let default = device.default_output_config()?;
        // Sound servers convert anything; bare hardware may not know our rate.
        let our_rate = device.supported_output_configs()?.find(|range| {
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
            buffer_size: BufferSize::Fixed(rate_hz * BUFFER_MS / 1000),
        };
        let resampler = match rate_hz {
            SAMPLE_RATE_HZ => None,
            _ => Some(
                Resampler::new(SAMPLE_RATE_HZ, rate_hz, EARS)
                    .map_err(|error| Trouble::new(DeviceState::Failed, error.to_string()))?,
            ),
        };
        let (ring, consumer) = RingBuffer::new((rate_hz * RING_MS / 1000) as usize * EARS);
        let signals = Arc::new(Signals::default());
        let channels = usize::from(default.channels().max(1));
        let feeder = Feeder::new(consumer, channels, Arc::clone(&signals));
        let stream = match format {
            SampleFormat::F32 => build::<f32>(device, config, feeder),
            SampleFormat::I16 => build::<i16>(device, config, feeder),
            SampleFormat::I32 => build::<i32>(device, config, feeder),
            SampleFormat::U8 => build::<u8>(device, config, feeder),
            other => {
                let why = format!("its sample format {other} is not supported: choose another loudspeaker");
                return Err(Trouble::new(DeviceState::Failed, why));
            }
        }?;
        stream.play()?;
        let interleaved = [0.0; EARS * SAMPLES_10MS];
        Ok(Self {
            name,
            _stream: Stream(Some((stream, line))),
            ring,
            resampler,
            rate_hz,
            channels,
            interleaved,
            signals,
        })
    }

    fn try_out(&self) -> Result<(), Trouble> {
        std::thread::sleep(TRIAL);
        let before = self.pulses();
        std::thread::sleep(TRIAL);
        match self.failure() {
            Some(trouble) => Err(trouble.clone()),
            None if self.pulses() == before => Err(Self::standstill()),
            None => Ok(()),
        }
    }

    /// What is wrong with a device that asks for nothing.
    pub(in crate::media::audio) fn standstill() -> Trouble {
        Trouble::new(DeviceState::Stalled, "the loudspeaker takes no sound: choose another one")
    }

    /// How many channels it has.
    pub(in crate::media::audio) fn channels(&self) -> usize {
        self.channels
    }

    /// Sound waiting in the ring, in ms.
    pub(in crate::media::audio) fn queued_ms(&self) -> f32 {
        let queued = (self.ring.buffer().capacity() - self.ring.slots()) / EARS;
        queued as f32 * 1e3 / self.rate_hz as f32
    }

    /// How often the ring ran dry so far.
    pub(in crate::media::audio) fn underruns(&self) -> u32 {
        self.signals.underruns.load(Ordering::Relaxed)
    }

    /// How often the device asked for sound so far: it stands still while this does.
    pub(in crate::media::audio) fn pulses(&self) -> u32 {
        self.signals.pulses.load(Ordering::Relaxed)
    }

    /// From the moment sound is written to the moment it is heard, in ms.
    pub(in crate::media::audio) fn delay_ms(&self) -> f32 {
        self.queued_ms() + self.signals.latency_us.load(Ordering::Relaxed) as f32 / 1e3
    }

    /// Queues 10 ms; what does not fit is dropped, which the caller avoids by looking at [`Self::queued_ms`].
    pub(in crate::media::audio) fn write(&mut self, block: &StereoBlock) {
        let [left, right] = block;
        for (frame, (left, right)) in self.interleaved.chunks_exact_mut(EARS).zip(left.iter().zip(right)) {
            frame.copy_from_slice(&[*left, *right]);
        }
        let samples = match &mut self.resampler {
            None => self.interleaved.as_slice(),
            Some(resampler) => resampler.process(&self.interleaved),
        };
        // Whole frames only: half of one would swap the ears from there on.
        let fits = samples.len().min(self.ring.slots() / EARS * EARS);
        let (_, left) = self.ring.push_partial_slice(&samples[..fits]);
        debug_assert!(left.is_empty(), "there was room");
        if fits < samples.len() {
            tracing::debug!(samples = samples.len() - fits, "the ring to the audio device is full");
        }
    }
}

impl Kept for OutputDevice {
    fn name(&self) -> &DeviceName {
        &self.name
    }

    fn failure(&self) -> Option<&Trouble> {
        self.signals.failed.get()
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
        move |data: &mut [T], info: &OutputCallbackInfo| {
            let times = info.timestamp();
            let latency = times.playback.saturating_duration_since(times.callback);
            feeder.render(data, u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
        },
        move |error| {
            if is_harmless(&error) {
                tracing::debug!(%error, "the loudspeaker goes on");
            } else {
                signals.failed.get_or_init(|| Trouble::from(error));
            }
        },
        // The library's own limit would leave a thread behind that nobody remembers.
        None,
    )
}

/// The device's side of the ring.
struct Feeder {
    ring: Consumer<f32>,
    channels: usize,
    signals: Arc<Signals>,
    /// The ring was empty at the last frame.
    dry: bool,
    last: [f32; EARS],
    /// What is left of the jump between sound and its absence.
    step: [f32; EARS],
}

impl Feeder {
    fn new(ring: Consumer<f32>, channels: usize, signals: Arc<Signals>) -> Self {
        Self { ring, channels, signals, dry: true, last: [0.0; EARS], step: [0.0; EARS] }
    }

    /// Fills a buffer of the device: left and right, and what both have together into every further channel, or into
    /// the only one. No allocation, no lock.
    fn render<T: SizedSample + FromSample<f32>>(&mut self, data: &mut [T], latency_us: u32) {
        self.signals.pulses.fetch_add(1, Ordering::Relaxed);
        self.signals.latency_us.store(latency_us, Ordering::Relaxed);
        for frame in data.chunks_mut(self.channels) {
            let [left, right] = self.next();
            frame.fill(T::from_sample((left + right) * 0.5));
            if let [first, second, ..] = frame {
                (*first, *second) = (T::from_sample(left), T::from_sample(right));
            }
        }
    }

    fn next(&mut self) -> [f32; EARS] {
        // Whole frames are written and read, so that where there is a left there is a right.
        let popped = self.ring.pop().ok().map(|left| [left, self.ring.pop().unwrap_or(left)]);
        let wanted = popped.unwrap_or_default();
        if popped.is_none() != self.dry {
            self.dry = !self.dry;
            self.step = std::array::from_fn(|ear| self.last[ear] - wanted[ear]);
            if self.dry {
                self.signals.underruns.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.last = std::array::from_fn(|ear| wanted[ear] + self.step[ear]);
        self.step = self.step.map(|step| step * STEP_DECAY);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::audio::allocations::allocations_in;

    #[test]
    fn an_empty_ring_fades_instead_of_clicking() {
        let (mut ring, consumer) = RingBuffer::new(2000);
        let signals = Arc::new(Signals::default());
        let mut feeder = Feeder::new(consumer, 2, Arc::clone(&signals));
        let mut out = Vec::new();
        let mut render = |samples: usize| {
            let mut data = vec![9.0f32; samples * 2];
            feeder.render(&mut data, 0);
            assert!(data.chunks(2).all(|frame| frame[0] == frame[1]), "both ears were alike");
            out.extend(data.chunks(2).map(|frame| frame[0]));
        };
        render(100);
        assert_eq!(signals.underruns.load(Ordering::Relaxed), 0, "nothing was playing yet");
        ring.push_entire_slice(&[0.5; 1000]).unwrap();
        render(800);
        ring.push_entire_slice(&[0.5; 1000]).unwrap();
        render(400);
        assert_eq!(signals.underruns.load(Ordering::Relaxed), 1);
        assert!((out[500] - 0.5).abs() < 1e-3 && out[899].abs() < 1e-3 && (out[1299] - 0.5).abs() < 1e-3);
        let roughest = out.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(roughest < 0.03, "a click of {roughest}");
    }

    #[test]
    fn callbacks_of_any_size_allocate_nothing() {
        let (mut ring, consumer) = RingBuffer::new(10_000);
        let signals = Arc::new(Signals::default());
        let mut feeder = Feeder::new(consumer, 2, Arc::clone(&signals));
        ring.push_entire_slice(&[0.5; 10_000]).unwrap();
        let mut buffers = [vec![0i16; 2], vec![], vec![0; 1], vec![0; 3_840], vec![0; 20_000]];
        let counted = allocations_in(|| buffers.iter_mut().for_each(|buffer| feeder.render(buffer, 7_000)));
        assert_eq!(counted, 0);
        assert_eq!(signals.pulses.load(Ordering::Relaxed), 5);
        assert!(buffers[3][400..].iter().all(|sample| *sample > 10_000) && buffers[4][19_999] == 0);
    }

    #[test]
    fn each_ear_gets_its_own_and_one_loudspeaker_what_both_have() {
        for (channels, expected) in [(1, vec![0.5]), (2, vec![0.75, 0.25]), (4, vec![0.75, 0.25, 0.5, 0.5])] {
            let (mut ring, consumer) = RingBuffer::new(1000);
            let mut feeder = Feeder::new(consumer, channels, Arc::default());
            ring.push_entire_slice(&[0.75, 0.25].repeat(500)).unwrap();
            let mut data = vec![9.0f32; 400 * channels];
            feeder.render(&mut data, 0);
            let last = &data[399 * channels..];
            assert!(last.iter().zip(&expected).all(|(got, wanted)| (got - wanted).abs() < 1e-4), "{last:?}");
        }
    }
}
