//! The capture and encode thread of one published picture: pulls the source, shows each frame in the preview, and while
//! somebody watches, encodes it in every size that is watched and cuts it into RTP packets. While it is muted, the source
//! rests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rtc::rtp;

use super::gate::{Gate, PictureSink, SEND_QUEUE, Sink};
use super::governor::{FrameLimit, Governor, Plan, Situation};
use super::layer::{Layer, Order, unusable};
use super::layers::MAX_LAYERS;
use super::rest::Waking;
use super::stall::{Skip, Stall};
use super::timeline::Timeline;
use super::{SourceReport, SourceSlot, SourceWord};
use crate::bridge::{VideoFeed, VideoOptions};
use crate::client::capture_time::unix_us;
use crate::media::codec::h264_encoder::MIN_SIDE_PX;
use crate::media::scale::Scaler;
use crate::media::{CaptureError, VideoFrame, VideoSource};
use crate::model::limits::{MAX_PICTURE_PIXELS, MAX_PICTURE_SIDE_PX};
use crate::model::{CallError, DeviceState, ErrorCode, StreamKind, VideoCodec};

/// Frames per second that are encoded; a source that is faster is held to this, one that says nonsense to the second.
const MAX_FPS: f32 = 60.0;
const USUAL_FPS: f32 = 30.0;
/// A shared page that stands still is sent anew until it is this sharp (of 63; WebRTC stops refining there, too), and
/// once a second after that. An encoder that does not say is taken to be that far after so many times; no page is
/// refined more often than the last.
const SHARP_QUANTIZER: u32 = 15;
const BLIND_REFINEMENTS: u32 = 10;
const MAX_REFINEMENTS: u32 = 60;
const STILL_INTERVAL: Duration = Duration::from_secs(1);

/// What a capture thread works with.
pub(super) struct VideoThread {
    pub(super) source: Box<dyn VideoSource>,
    pub(super) options: VideoOptions,
    pub(super) kind: StreamKind,
    pub(super) gate: Arc<Gate>,
    pub(super) preview: VideoFeed,
    pub(super) slot: SourceSlot<dyn VideoSource>,
    pub(super) report: SourceReport,
}

impl VideoThread {
    /// Runs until the source ends or the gate stops it.
    pub(super) fn run(mut self) {
        let mut sending = Sending::new(self.options, self.kind, Arc::clone(&self.gate));
        let (mut state, mut waking) = (DeviceState::On, Waking::default());
        let end = loop {
            if self.gate.is_stopped() {
                break None;
            }
            if self.gate.is_muted() {
                sending.rest();
                self.rest(&mut state);
                waking = Waking::begin(Instant::now());
                continue;
            }
            if let Some(source) = self.slot.take() {
                self.source = source;
            }
            match self.source.next_frame() {
                Ok(Some(frame)) => {
                    self.report.say_state(&mut state, DeviceState::On);
                    if waking.owes(frame.timestamp_us(), Instant::now()) {
                        continue;
                    }
                    self.gate.pictures.captured();
                    let frame = Arc::new(frame);
                    self.preview.put(Arc::clone(&frame));
                    if let Err(error) = sending.take(&frame, self.source.format().fps) {
                        break Some(SourceWord::Failed(error));
                    }
                }
                // Another one may have been chosen just as this one ended.
                Ok(None) => match self.slot.take() {
                    Some(source) => self.source = source,
                    None => break Some(SourceWord::Finished),
                },
                Err(CaptureError::Interrupted { what, state: now, why }) => {
                    if !(now == DeviceState::Stalled && waking.is_opening(Instant::now())) {
                        if state != now {
                            tracing::warn!(what, state = now.word(), why, "a device delivers nothing");
                        }
                        self.report.say_state(&mut state, now);
                    }
                    if let Err(error) = sending.repeat() {
                        break Some(SourceWord::Failed(error));
                    }
                }
                Err(error) => {
                    break Some(SourceWord::Failed(CallError::new(ErrorCode::CaptureFailed, error.to_string())));
                }
            }
            self.tell_device();
        };
        if let Some(end) = end {
            self.report.say(end);
        }
    }

    /// Lets the source rest, and each that takes its place, until the picture is unmuted or the end.
    fn rest(&mut self, state: &mut DeviceState) {
        // Whatever it was doing, nobody wants it now: it is muted, and no more.
        self.report.say_state(state, DeviceState::On);
        self.source.rest();
        self.tell_device();
        while self.gate.rests() {
            if let Some(source) = self.slot.take() {
                self.source = source;
                self.source.rest();
                self.tell_device();
            }
        }
    }

    fn tell_device(&mut self) {
        if let Some(device) = self.source.device_news() {
            self.report.say(SourceWord::Device(device));
        }
    }
}

/// From frames to packets.
struct Sending {
    options: VideoOptions,
    screen: bool,
    gate: Arc<Gate>,
    layers: [Layer; MAX_LAYERS],
    scalers: [Scaler; MAX_LAYERS],
    governor: Governor,
    limit: FrameLimit,
    /// Of the highest layer alone.
    top_limit: FrameLimit,
    timeline: Timeline,
    timestamp_base: u32,
    began: Instant,
    source_fps: f32,
    still: Still,
    stall: Stall,
}

/// How one frame is sent.
struct Shot<'a> {
    sink: &'a Sink,
    picture: &'a PictureSink,
    /// Of each layer up to the highest that is sent, in bit/s.
    rates: &'a [u32],
    plan: Plan,
    /// The highest layer leaves this frame out.
    top_rests: bool,
    /// On the publication's clock, in microseconds.
    at_us: u64,
    /// When it was captured, as Unix time in microseconds.
    captured_us: i64,
}

impl Shot<'_> {
    fn is_top(&self, layer: usize) -> bool {
        layer + 1 == self.rates.len()
    }

    fn order(&self, layer: usize, screen: bool) -> Order {
        let limited = self.is_top(layer) && !self.plan.spare_top;
        let fps = if limited { self.plan.top_fps } else { self.plan.fps };
        let (at_us, captured_us) = (self.at_us, self.captured_us);
        Order { layer, bitrate_bps: self.rates[layer], fps: fps.max(1.0), screen, at_us, captured_us }
    }
}

/// A layer's frame that may be sent.
struct Ready {
    packets: Vec<rtp::Packet>,
    size: (u32, u32),
    quantizer: Option<u32>,
}

/// How a shared page that does not change is doing.
#[derive(Default)]
struct Still {
    /// The newest picture there is.
    newest: Option<Arc<VideoFrame>>,
    /// The newest that was encoded.
    last: Option<Arc<VideoFrame>>,
    /// How often that was sent.
    times: u32,
    sent: Option<Instant>,
    sharp: bool,
}

impl Still {
    fn sent_once(&mut self, quantizer: Option<u32>) {
        self.sent = Some(Instant::now());
        self.times += 1;
        self.sharp = match quantizer {
            Some(quantizer) => quantizer <= SHARP_QUANTIZER || self.times > MAX_REFINEMENTS,
            None => self.times > BLIND_REFINEMENTS,
        };
    }
}

impl Sending {
    fn new(options: VideoOptions, kind: StreamKind, gate: Arc<Gate>) -> Self {
        let screen = kind == StreamKind::Screen;
        Self {
            options,
            screen,
            gate,
            layers: std::array::from_fn(|_| Layer::new()),
            scalers: std::array::from_fn(|_| Scaler::default()),
            governor: Governor::new(screen),
            limit: FrameLimit::default(),
            top_limit: FrameLimit::default(),
            timeline: Timeline::default(),
            timestamp_base: rand::random(),
            began: Instant::now(),
            source_fps: USUAL_FPS,
            still: Still::default(),
            stall: Stall::default(),
        }
    }

    /// Takes a frame of the source.
    fn take(&mut self, frame: &Arc<VideoFrame>, source_fps: f32) -> Result<(), CallError> {
        check_size(frame)?;
        let says = source_fps.is_finite() && source_fps >= 1.0;
        self.source_fps = if says { source_fps.min(MAX_FPS) } else { USUAL_FPS };
        let at_us = self.timeline.place(frame.timestamp_us(), self.began.elapsed());
        if self.screen {
            self.still.newest = Some(Arc::clone(frame));
        }
        self.send(frame, at_us)
    }

    /// The source has nothing new: who comes to a shared page late is shown what there is.
    fn repeat(&mut self) -> Result<(), CallError> {
        let Some(frame) = self.still.newest.clone() else { return Ok(()) };
        let at_us = self.timeline.again(self.began.elapsed());
        self.send(&frame, at_us)
    }

    fn send(&mut self, frame: &Arc<VideoFrame>, at_us: u64) -> Result<(), CallError> {
        let Some(sink) = self.gate.sink() else {
            self.pause();
            return Ok(());
        };
        let Some(picture) = sink.picture.clone() else { return Ok(()) };
        let rates = self.rates(&picture);
        let Some(top) = rates.iter().rposition(|bps| *bps > 0) else {
            self.pause();
            return Ok(());
        };
        let plan = self.plan(frame, &picture, &rates, top);
        let due = (0..=top).any(|layer| rates[layer] > 0 && self.layers[layer].keyframe_due(layer, &self.gate));
        let taken = self.limit.takes(at_us, plan.fps, self.source_fps);
        if !taken && (!due || !self.screen) {
            self.skip(Skip::Limit);
            return Ok(());
        }
        let top = if plan.spare_top && top > 0 { top - 1 } else { top };
        let rates = &rates[..=top];
        if !has_room(&sink, rates.iter().filter(|bps| **bps > 0).count()) {
            self.skip(Skip::Full);
            return Ok(());
        }
        if self.screen && self.is_settled(frame, due) {
            self.stall.clear();
            return Ok(());
        }
        for layer in top + 1..MAX_LAYERS {
            self.layers[layer].pause(layer, &self.gate);
        }
        let top_rests =
            !plan.spare_top && plan.top_fps < plan.fps && !self.top_limit.takes(at_us, plan.top_fps, plan.fps);
        let started = Instant::now();
        let captured_us = unix_us() - self.began.elapsed().as_micros() as i64 + at_us as i64;
        self.encode(frame, &Shot { sink: &sink, picture: &picture, rates, plan, top_rests, at_us, captured_us })?;
        self.governor.spent(self.began.elapsed(), started.elapsed());
        Ok(())
    }

    /// What each layer may take, in bit/s; 0 for those that are not wanted.
    fn rates(&self, picture: &PictureSink) -> [u32; MAX_LAYERS] {
        let watched = self.gate.watched();
        std::array::from_fn(|layer| {
            if layer >= picture.layers.count() || !picture.layers.is_wanted(layer, watched) {
                return 0;
            }
            let cap = picture.layers.cap_bps(layer, self.options.max_bitrate_bps).max(1);
            self.gate.layer_rate(layer).unwrap_or(cap).min(cap)
        })
    }

    fn plan(&mut self, frame: &VideoFrame, picture: &PictureSink, rates: &[u32; MAX_LAYERS], top: usize) -> Plan {
        let pixels = |layer: usize| {
            let (width, height) = picture.layers.size(layer, frame.width(), frame.height());
            u64::from(width) * u64::from(height)
        };
        let sent = rates[..=top].iter().enumerate().filter(|(_, bps)| **bps > 0);
        let situation = Situation {
            source_fps: self.source_fps,
            pixels: pixels(top),
            all_pixels: sent.clone().map(|(layer, _)| pixels(layer)).sum(),
            bps: rates[top],
            layers: sent.count(),
        };
        self.governor.plan(self.began.elapsed(), situation)
    }

    /// Whether a page that stands still is sharp already, so that sending it again would be for nothing.
    fn is_settled(&mut self, frame: &Arc<VideoFrame>, keyframe_due: bool) -> bool {
        let same = self.still.last.as_ref().is_some_and(|last| Arc::ptr_eq(last, frame) || same_picture(last, frame));
        if !same || keyframe_due {
            let newest = self.still.newest.take();
            self.still = Still { newest, last: Some(Arc::clone(frame)), ..Still::default() };
            return false;
        }
        let recent = self.still.sent.is_some_and(|at| at.elapsed() < STILL_INTERVAL);
        recent && self.still.sharp
    }

    /// Encodes the layers from the highest down, each scaled from the one above it, and sends them from the lowest up:
    /// a small frame does not wait behind a large one.
    fn encode(&mut self, frame: &VideoFrame, shot: &Shot<'_>) -> Result<(), CallError> {
        let (width, height) = scaled(frame, shot.plan.scale);
        // With the layer it was made for, which keeps its buffer.
        let mut smaller: Option<(usize, VideoFrame)> = None;
        let mut ready: [Option<Ready>; MAX_LAYERS] = Default::default();
        for (layer, bps) in shot.rates.iter().enumerate().rev() {
            if *bps == 0 {
                self.layers[layer].pause(layer, &self.gate);
                continue;
            }
            if shot.top_rests && shot.is_top(layer) {
                continue;
            }
            let size = encoded_size(shot.picture.codec, shot.picture.layers.size(layer, width, height));
            let from = smaller.as_ref().map_or(frame, |(_, picture)| picture);
            if (from.width(), from.height()) != size {
                let next = self.scalers[layer].scale(from, size.0, size.1).map_err(|error| unusable(&error))?;
                if let Some((of, used)) = smaller.replace((layer, next)) {
                    self.scalers[of].recycle(used);
                }
            }
            let picture_now = smaller.as_ref().map_or(frame, |(_, picture)| picture);
            ready[layer] = self.encode_layer(picture_now, layer, shot)?;
        }
        if let Some((of, used)) = smaller {
            self.scalers[of].recycle(used);
        }
        self.send_layers(ready, shot);
        Ok(())
    }

    fn encode_layer(&mut self, frame: &VideoFrame, layer: usize, shot: &Shot<'_>) -> Result<Option<Ready>, CallError> {
        let order = shot.order(layer, self.screen);
        let coder = &mut self.layers[layer];
        let Some(encoded) = coder.encode(frame, shot.picture.codec, order, &self.gate)? else { return Ok(None) };
        let packets = coder.packets(&encoded, order, self.timestamp_base, shot.sink, shot.picture);
        let quantizer = if self.screen { coder.quantizer() } else { None };
        Ok(Some(Ready { packets, size: (frame.width(), frame.height()), quantizer }))
    }

    /// Sends the layers of one frame from the lowest up. Only frames that the highest layer takes part in are counted.
    fn send_layers(&mut self, ready: [Option<Ready>; MAX_LAYERS], shot: &Shot<'_>) {
        if !shot.top_rests && ready.iter().any(Option::is_some) {
            self.gate.pictures.encoded();
        }
        if !shot.top_rests && ready.iter().all(Option::is_none) {
            self.skip(Skip::Encoder);
        }
        let mut sent = 0;
        let mut largest = None;
        for Ready { packets, size, quantizer } in ready.into_iter().flatten() {
            let bytes: usize = packets.iter().map(|packet| packet.payload.len()).sum();
            match shot.sink.packets.try_send(packets) {
                Ok(()) => {
                    largest = Some((size, quantizer));
                    sent += 1;
                    self.gate.count_sent(bytes);
                }
                // The link went away while encoding: the next one begins with a keyframe.
                Err(_) => self.gate.ask_keyframe(),
            }
        }
        if let Some(((width, height), quantizer)) = largest.filter(|_| !shot.top_rests) {
            self.stall.clear();
            self.still.sent_once(quantizer);
            self.gate.pictures.sent(width, height, sent);
        }
    }

    /// A frame that is wanted was not sent.
    fn skip(&mut self, why: Skip) {
        if self.stall.skipped(why, Instant::now()) {
            self.layers.iter_mut().for_each(Layer::reopen);
        }
    }

    /// The source rests: what it gave before is not shown again.
    fn rest(&mut self) {
        self.pause();
        self.still = Still::default();
        self.timeline.rest();
    }

    /// Nobody watches, or nothing may be sent.
    fn pause(&mut self) {
        self.stall.clear();
        for (index, layer) in self.layers.iter_mut().enumerate() {
            layer.pause(index, &self.gate);
        }
        self.still = Still { newest: self.still.newest.take(), ..Still::default() };
        self.gate.pictures.show(0, 0, 0);
    }
}

/// Whether a frame of each of so many layers may be queued: no layer has more than its share waiting, whatever the
/// others do. One producer: room that is there now is there after encoding.
fn has_room(sink: &Sink, layers: usize) -> bool {
    let room = sink.packets.capacity();
    let waiting = sink.packets.max_capacity() - room;
    room >= layers && waiting + layers <= SEND_QUEUE * layers
}

fn check_size(frame: &VideoFrame) -> Result<(), CallError> {
    let (width, height) = (frame.width(), frame.height());
    if width * height <= MAX_PICTURE_PIXELS {
        return Ok(());
    }
    Err(unusable(&format!(
        "{width}x{height} pixels are too many; sides of 1 to {MAX_PICTURE_SIDE_PX} and {MAX_PICTURE_PIXELS} in all would do"
    )))
}

fn same_picture(a: &VideoFrame, b: &VideoFrame) -> bool {
    (a.width(), a.height()) == (b.width(), b.height()) && a.y() == b.y() && a.u() == b.u() && a.v() == b.v()
}

/// A frame's size with this much left of each side.
fn scaled(frame: &VideoFrame, scale: f32) -> (u32, u32) {
    if scale >= 1.0 {
        return (frame.width(), frame.height());
    }
    let side = |side: u32| ((side as f32 * scale) as u32 & !1).max(2).min(side);
    (side(frame.width()), side(frame.height()))
}

/// The size that is encoded: H.264 has a smallest one.
fn encoded_size(codec: VideoCodec, (width, height): (u32, u32)) -> (u32, u32) {
    match codec {
        VideoCodec::Vp8 => (width, height),
        VideoCodec::H264 => (width.max(MIN_SIDE_PX), height.max(MIN_SIDE_PX)),
    }
}

#[cfg(test)]
#[path = "video_tests.rs"]
mod tests;
