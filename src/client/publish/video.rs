//! The capture and encode thread of one published picture: pulls the source, shows each frame in the preview, and while
//! somebody watches, encodes it in every size that is watched and cuts it into RTP packets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gate::{Gate, PictureSink, Sink};
use super::governor::{FrameLimit, Governor, Plan, Situation};
use super::layer::{Layer, Order, unusable};
use super::layers::MAX_LAYERS;
use super::timeline::Timeline;
use super::{SourceReport, SourceSlot, SourceWord};
use crate::bridge::{VideoFeed, VideoOptions};
use crate::media::codec::h264_encoder::MIN_SIDE_PX;
use crate::media::scale::Scaler;
use crate::media::{CaptureError, VideoFrame, VideoSource};
use crate::model::limits::{MAX_PICTURE_PIXELS, MAX_PICTURE_SIDE_PX};
use crate::model::{CallError, DeviceState, ErrorCode, StreamKind, VideoCodec};

/// Frames per second that are encoded; a source that is faster is held to this, one that says nonsense to the second.
const MAX_FPS: f32 = 60.0;
const USUAL_FPS: f32 = 30.0;
/// A shared page that stands still is sent anew until it is this sharp (of 63; WebRTC stops refining there, too), or
/// this often where the encoder does not say, and once a second after that.
const SHARP_QUANTIZER: u32 = 15;
const REFINEMENTS: u32 = 10;
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
        let mut state = DeviceState::On;
        let end = loop {
            if self.gate.is_stopped() {
                break None;
            }
            if let Some(source) = self.slot.take() {
                self.source = source;
            }
            match self.source.next_frame() {
                Ok(Some(frame)) => {
                    if state != DeviceState::On {
                        state = DeviceState::On;
                        self.report.say(SourceWord::State(state));
                    }
                    self.gate.pictures.captured();
                    let frame = Arc::new(frame);
                    self.preview.put(Arc::clone(&frame));
                    if let Err(error) = sending.take(&frame, self.source.format().fps) {
                        break Some(SourceWord::Failed(error));
                    }
                }
                Ok(None) => break Some(SourceWord::Finished),
                Err(CaptureError::Interrupted { what, state: now, why }) => {
                    if state != now {
                        tracing::warn!(what, state = now.word(), why, "a device delivers nothing");
                        state = now;
                        self.report.say(SourceWord::State(now));
                    }
                    if let Err(error) = sending.repeat() {
                        break Some(SourceWord::Failed(error));
                    }
                }
                Err(error) => {
                    break Some(SourceWord::Failed(CallError::new(ErrorCode::CaptureFailed, error.to_string())));
                }
            }
        };
        self.preview.close();
        if let Some(end) = end {
            self.report.say(end);
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
    timeline: Timeline,
    timestamp_base: u32,
    began: Instant,
    source_fps: f32,
    still: Still,
}

/// How a shared page that does not change is doing.
#[derive(Default)]
struct Still {
    last: Option<Arc<VideoFrame>>,
    repeats: u32,
    sent: Option<Instant>,
    sharp: bool,
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
            timeline: Timeline::default(),
            timestamp_base: rand::random(),
            began: Instant::now(),
            source_fps: USUAL_FPS,
            still: Still::default(),
        }
    }

    /// Takes a frame of the source.
    fn take(&mut self, frame: &Arc<VideoFrame>, source_fps: f32) -> Result<(), CallError> {
        check_size(frame)?;
        let says = source_fps.is_finite() && source_fps >= 1.0;
        self.source_fps = if says { source_fps.min(MAX_FPS) } else { USUAL_FPS };
        let at_us = self.timeline.place(frame.timestamp_us(), self.began.elapsed());
        self.send(frame, at_us)
    }

    /// The source has nothing new: who comes to a shared page late is shown what there is.
    fn repeat(&mut self) -> Result<(), CallError> {
        let Some(frame) = self.still.last.clone() else { return Ok(()) };
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
        if !self.limit.takes(at_us, plan.fps, self.source_fps) && !(due && self.screen) {
            return Ok(());
        }
        // One producer: room that is there now is there after encoding.
        if sink.packets.capacity() < picture.layers.count() {
            return Ok(());
        }
        if self.screen && self.is_settled(frame, due) {
            return Ok(());
        }
        let top = if plan.spare_top && top > 0 { top - 1 } else { top };
        for layer in top + 1..MAX_LAYERS {
            self.layers[layer].pause(layer, &self.gate);
        }
        let started = Instant::now();
        self.encode(frame, &sink, &picture, &rates[..=top], plan, at_us)?;
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
        let (width, height) = picture.layers.size(top, frame.width(), frame.height());
        let situation = Situation {
            source_fps: self.source_fps,
            pixels: u64::from(width) * u64::from(height),
            bps: rates[top],
            layers: rates.iter().filter(|bps| **bps > 0).count(),
        };
        self.governor.plan(self.began.elapsed(), situation)
    }

    /// Whether a page that stands still is sharp already, so that sending it again would be for nothing.
    fn is_settled(&mut self, frame: &Arc<VideoFrame>, keyframe_due: bool) -> bool {
        let same = self.still.last.as_ref().is_some_and(|last| Arc::ptr_eq(last, frame) || same_picture(last, frame));
        self.still.last = Some(Arc::clone(frame));
        if !same {
            self.still = Still { last: self.still.last.take(), ..Still::default() };
            return false;
        }
        let recent = self.still.sent.is_some_and(|at| at.elapsed() < STILL_INTERVAL);
        if keyframe_due {
            (self.still.repeats, self.still.sharp) = (0, false);
            return false;
        }
        self.still.repeats += 1;
        recent && (self.still.sharp || self.still.repeats > REFINEMENTS)
    }

    /// Encodes and sends the layers from the highest down, each scaled from the one above it.
    fn encode(
        &mut self,
        frame: &VideoFrame,
        sink: &Sink,
        picture: &PictureSink,
        rates: &[u32],
        plan: Plan,
        at_us: u64,
    ) -> Result<(), CallError> {
        let (width, height) = scaled(frame, plan.scale);
        // With the layer it was made for, which keeps its buffer.
        let mut smaller: Option<(usize, VideoFrame)> = None;
        let mut largest = None;
        let mut sent = 0;
        for (layer, bps) in rates.iter().enumerate().rev() {
            let size = encoded_size(picture.codec, picture.layers.size(layer, width, height));
            if *bps == 0 {
                self.layers[layer].pause(layer, &self.gate);
                continue;
            }
            let from = smaller.as_ref().map_or(frame, |(_, picture)| picture);
            if (from.width(), from.height()) != size {
                let next = self.scalers[layer].scale(from, size.0, size.1).map_err(|error| unusable(&error))?;
                if let Some((of, used)) = smaller.replace((layer, next)) {
                    self.scalers[of].recycle(used);
                }
            }
            let picture_now = smaller.as_ref().map_or(frame, |(_, picture)| picture);
            let order = Order { layer, bitrate_bps: *bps, fps: plan.fps.max(1.0), screen: self.screen, at_us };
            let coder = &mut self.layers[layer];
            let Some(encoded) = coder.encode(picture_now, picture.codec, order, &self.gate)? else { continue };
            let packets = coder.packets(&encoded, order, self.timestamp_base, sink, picture);
            let bytes: usize = packets.iter().map(|packet| packet.payload.len()).sum();
            let sharp = self.screen && coder.quantizer().is_some_and(|quantizer| quantizer <= SHARP_QUANTIZER);
            let is_largest = largest.is_none();
            if is_largest {
                self.gate.pictures.encoded();
            }
            match sink.packets.try_send(packets) {
                Ok(()) => {
                    largest.get_or_insert(size);
                    sent += 1;
                    self.gate.count_sent(bytes);
                    (self.still.sent, self.still.sharp) = (Some(Instant::now()), sharp);
                }
                // The link went away while encoding: the next one begins with a keyframe.
                Err(_) => self.gate.ask_keyframe(),
            }
        }
        if let Some((of, used)) = smaller {
            self.scalers[of].recycle(used);
        }
        if let Some((width, height)) = largest {
            self.gate.pictures.sent(width, height, sent);
        }
        Ok(())
    }

    /// Nobody watches, or nothing may be sent.
    fn pause(&mut self) {
        for (index, layer) in self.layers.iter_mut().enumerate() {
            layer.pause(index, &self.gate);
        }
        self.still = Still::default();
        self.gate.pictures.show(0, 0, 0);
    }
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
