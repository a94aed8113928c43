//! An open microphone: a callback that folds what the device gives into a lock-free ring, and a reader that takes 10 ms
//! blocks out of it. The callback neither locks nor allocates.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{BufferSize, FromSample, SampleFormat, SizedSample, StreamConfig};
use rtrb::{Consumer, Producer, RingBuffer};

use super::bounded::{Errand, within};
use super::host::{Direction, find};
use super::keeper::{Demand, Kept};
use super::{DeviceName, Stream, Trouble, is_harmless};
use crate::media::audio::resample::Resampler;
use crate::media::frame::{SAMPLE_RATE_HZ, SAMPLES_10MS};
use crate::model::DeviceState;

/// Buffers asked for, in ms, and how long the first sound may take. PulseAudio drops everything from a device whose
/// pieces are longer than the buffer, as some have 25 ms: what stays silent with the short one is tried with the long.
const BUFFERS: [(u32, Duration); 2] = [(20, Duration::from_millis(1_500)), (100, Duration::from_secs(2))];
/// How long a device that opened may take to give its first sound, where it has to show some.
const FIRST_SOUND: Duration = Duration::from_secs(1);
/// Room in the ring, in ms. A reader that is held up for longer loses sound.
const RING_MS: u32 = 500;
/// What may wait in the ring before the oldest is thrown away, in ms: sound that old has no place in a call.
const LATEST_MS: u32 = 200;

/// See the module.
pub(in crate::media::audio) struct InputDevice {
    name: DeviceName,
    /// Dropped first: the callback ends before the ring goes.
    _stream: Stream,
    ring: Consumer<f32>,
    channels: usize,
    /// From the device's rate, when that is not ours.
    resampler: Option<Resampler>,
    /// Samples at the device's rate that wait to be resampled; at ours that wait for a whole block.
    raw: Vec<f32>,
    ready: Vec<f32>,
    rate_hz: u32,
    signals: Arc<Signals>,
}

/// What the callbacks report.
#[derive(Default)]
struct Signals {
    /// Samples that found no room.
    lost: AtomicU32,
    failed: OnceLock<Trouble>,
}

impl InputDevice {
    /// Opens a microphone by id or name, or the default one, for the thread that will read it, which is woken when
    /// sound comes. Gives 1 or 2 channels. Blocks for some seconds at most, until the first sound is there where the
    /// sound system waits for it or [`Demand::Delivers`] asks for it.
    pub(in crate::media::audio) fn open(
        wanted: Option<&str>,
        channels: usize,
        reader: &Thread,
        demand: Demand,
    ) -> Result<Self, Trouble> {
        let device = find(Direction::Input, wanted)?;
        let [short, long] = BUFFERS;
        let opened = match Self::open_with(&device, channels, reader, short) {
            Err(trouble) if trouble.state == DeviceState::Stalled => Self::open_with(&device, channels, reader, long),
            other => other,
        }?;
        if demand == Demand::Delivers {
            opened.wait_for_sound()?;
        }
        Ok(opened)
    }

    fn open_with(
        device: &cpal::Device,
        channels: usize,
        reader: &Thread,
        (buffer_ms, limit): (u32, Duration),
    ) -> Result<Self, Trouble> {
        let (device, name, reader) = (device.clone(), DeviceName::of(device), reader.clone());
        let errand = Errand::Open { direction: Direction::Input, id: name.id.clone(), buffer_ms };
        within(errand, limit, move || Self::set_up(&device, name, channels, reader, buffer_ms))
    }

    fn set_up(
        device: &cpal::Device,
        name: DeviceName,
        channels: usize,
        reader: Thread,
        buffer_ms: u32,
    ) -> Result<Self, Trouble> {
        let default = device.default_input_config()?;
        // Sound servers convert anything; bare hardware may not know our rate.
        let ours = device.supported_input_configs()?.find(|range| {
            range.channels() == default.channels()
                && range.sample_format() == SampleFormat::F32
                && (range.min_sample_rate()..=range.max_sample_rate()).contains(&SAMPLE_RATE_HZ)
        });
        let (format, rate_hz) = match ours {
            Some(range) => (range.sample_format(), SAMPLE_RATE_HZ),
            None => (default.sample_format(), default.sample_rate()),
        };
        let resampler = match rate_hz {
            SAMPLE_RATE_HZ => None,
            _ => Some(
                Resampler::new(rate_hz, SAMPLE_RATE_HZ, channels)
                    .map_err(|error| Trouble::new(DeviceState::Failed, error.to_string()))?,
            ),
        };
        let config = StreamConfig {
            channels: default.channels(),
            sample_rate: rate_hz,
            // Never the default, which can be seconds long.
            buffer_size: BufferSize::Fixed(rate_hz / 1000 * buffer_ms),
        };
        let (ring, consumer) = RingBuffer::new((rate_hz * RING_MS / 1000) as usize * channels);
        let signals = Arc::new(Signals::default());
        let collector = Collector {
            ring,
            from: usize::from(default.channels().max(1)),
            to: channels,
            signals: Arc::clone(&signals),
            reader,
        };
        let stream = match format {
            SampleFormat::F32 => build::<f32>(device, config, collector),
            SampleFormat::I16 => build::<i16>(device, config, collector),
            SampleFormat::I32 => build::<i32>(device, config, collector),
            SampleFormat::U8 => build::<u8>(device, config, collector),
            other => {
                let why = format!("its sample format {other} is not supported: choose another microphone");
                return Err(Trouble::new(DeviceState::Failed, why));
            }
        }?;
        // PulseAudio comes back when the first sound does.
        stream.play()?;
        Ok(Self {
            name,
            _stream: Stream(Some((stream, None))),
            ring: consumer,
            channels,
            resampler,
            raw: Vec::new(),
            ready: Vec::new(),
            rate_hz,
            signals,
        })
    }

    fn wait_for_sound(&self) -> Result<(), Trouble> {
        let opened = Instant::now();
        while self.is_empty() {
            if let Some(trouble) = self.failure() {
                return Err(trouble.clone());
            }
            if opened.elapsed() > FIRST_SOUND {
                return Err(Self::silence());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// What is wrong with a device that gives nothing.
    pub(in crate::media::audio) fn silence() -> Trouble {
        Trouble::new(DeviceState::Stalled, "the microphone gives no sound: plug it in again or choose another one")
    }

    /// Whether nothing waits to be read.
    pub(in crate::media::audio) fn is_empty(&self) -> bool {
        self.ring.slots() == 0
    }

    /// Samples lost because nobody read, since the last call.
    pub(in crate::media::audio) fn take_lost(&self) -> u32 {
        self.signals.lost.swap(0, Ordering::Relaxed)
    }

    /// The next 10 ms, interleaved, if they are there.
    pub(in crate::media::audio) fn read(&mut self) -> Option<Vec<f32>> {
        self.skip_old();
        let block = SAMPLES_10MS * self.channels;
        while self.ready.len() < block {
            self.take_in()?;
        }
        let rest = self.ready.split_off(block);
        Some(std::mem::replace(&mut self.ready, rest))
    }

    /// Moves what one step of the resampler needs, or what is there, from the ring to `ready`.
    fn take_in(&mut self) -> Option<()> {
        let whole = self.ring.slots() / self.channels * self.channels;
        let wanted = match &self.resampler {
            None => whole,
            Some(resampler) => (resampler.input_len() - self.raw.len()).min(whole),
        };
        if wanted == 0 {
            return None;
        }
        let chunk = self.ring.read_chunk(wanted).ok()?;
        let (first, second) = chunk.as_slices();
        match &mut self.resampler {
            None => {
                self.ready.extend_from_slice(first);
                self.ready.extend_from_slice(second);
            }
            Some(resampler) => {
                self.raw.extend_from_slice(first);
                self.raw.extend_from_slice(second);
                if self.raw.len() == resampler.input_len() {
                    self.ready.extend_from_slice(resampler.process(&self.raw));
                    self.raw.clear();
                }
            }
        }
        chunk.commit_all();
        Some(())
    }

    /// After a reader was held up, begins afresh with what was heard last.
    fn skip_old(&mut self) {
        let per_ms = self.rate_hz as usize * self.channels / 1000;
        let waiting = self.ring.slots();
        if waiting > per_ms * LATEST_MS as usize {
            let old = (waiting - per_ms * 20) / self.channels * self.channels;
            if let Ok(chunk) = self.ring.read_chunk(old) {
                chunk.commit_all();
                tracing::debug!(ms = old / per_ms.max(1), "the microphone was read too late");
            }
        }
    }
}

impl Kept for InputDevice {
    fn name(&self) -> &DeviceName {
        &self.name
    }

    fn failure(&self) -> Option<&Trouble> {
        self.signals.failed.get()
    }
}

fn build<T: SizedSample>(
    device: &cpal::Device,
    config: StreamConfig,
    mut collector: Collector,
) -> Result<cpal::Stream, cpal::Error>
where
    f32: FromSample<T>,
{
    let signals = Arc::clone(&collector.signals);
    device.build_input_stream(
        config,
        move |data: &[T], _| collector.take(data),
        move |error| {
            if is_harmless(&error) {
                tracing::debug!(%error, "the microphone goes on");
            } else {
                signals.failed.get_or_init(|| Trouble::from(error));
            }
        },
        None,
    )
}

/// The device's side of the ring.
struct Collector {
    ring: Producer<f32>,
    /// Channels the device gives.
    from: usize,
    /// Channels wanted: 1 or 2.
    to: usize,
    signals: Arc<Signals>,
    reader: Thread,
}

impl Collector {
    /// Takes a buffer of the device in. No allocation, no lock.
    fn take<T: SizedSample>(&mut self, data: &[T])
    where
        f32: FromSample<T>,
    {
        for frame in data.chunks_exact(self.from) {
            if self.ring.slots() < self.to {
                self.signals.lost.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            match self.to {
                1 => self.push(frame.iter().map(|sample| sound(*sample)).sum::<f32>() / self.from as f32),
                _ => {
                    self.push(sound(frame[0]));
                    self.push(sound(frame[1.min(self.from - 1)]));
                }
            }
        }
        self.reader.unpark();
    }

    fn push(&mut self, sample: f32) {
        if self.ring.push(sample).is_err() {
            self.signals.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A sample within -1..=1: drivers have been seen to give NaN and more than full scale.
fn sound<T: SizedSample>(sample: T) -> f32
where
    f32: FromSample<T>,
{
    let sample = f32::from_sample_(sample);
    if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::audio::allocations::allocations_in;

    fn collector(from: usize, to: usize, room: usize) -> (Collector, Consumer<f32>) {
        let (ring, consumer) = RingBuffer::new(room);
        let collector =
            Collector { ring, from, to, signals: Arc::new(Signals::default()), reader: std::thread::current() };
        (collector, consumer)
    }

    fn drained(ring: &mut Consumer<f32>) -> Vec<f32> {
        std::iter::from_fn(|| ring.pop().ok()).collect()
    }

    #[test]
    fn channels_are_folded_and_odd_samples_made_harmless() {
        let (mut mono, mut ring) = collector(2, 1, 64);
        mono.take(&[0.2f32, 0.4, f32::NAN, 1.0, 9.0, 9.0, 0.7]);
        assert_eq!(drained(&mut ring), [0.3, 0.5, 1.0], "half a frame at the end is left out");
        let (mut stereo, mut ring) = collector(1, 2, 64);
        stereo.take(&[i16::MAX, 0]);
        let both = drained(&mut ring);
        assert!(both.len() == 4 && both[0] == both[1] && both[0] > 0.99, "{both:?}");
        let (mut six, mut ring) = collector(6, 2, 64);
        six.take(&[0.1f32, 0.2, 0.3, 0.4, 0.5, 0.6]);
        assert_eq!(drained(&mut ring), [0.1, 0.2]);
    }

    #[test]
    fn a_full_ring_counts_what_it_loses() {
        let (mut collector, mut ring) = collector(1, 2, 7);
        collector.take(&[0.5f32; 10]);
        assert_eq!(drained(&mut ring).len(), 6, "never half a frame");
        assert_eq!(collector.signals.lost.load(Ordering::Relaxed), 7);
    }

    #[test]
    fn callbacks_of_any_size_allocate_nothing() {
        let (mut collector, _ring) = collector(2, 1, 48_000);
        let buffers = [vec![0.1f32; 2], vec![0.1; 0], vec![0.1; 3], vec![0.1; 3840]];
        let counted = allocations_in(|| buffers.iter().for_each(|buffer| collector.take(buffer)));
        assert_eq!(counted, 0);
    }
}
