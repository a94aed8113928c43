//! The presenter's pointer: a dot of light on a shared picture that its owner moves and everyone sees. It travels as
//! lossy data, at most 20 times a second, and says nothing while nobody points. Only the owner of a stream points at it:
//! what anybody else sends is dropped, like everything that makes no sense.
//!
//! One packet under [`POINTER_TOPIC`]: a byte that is 1 while pointing and 0 when the pointer is lifted, X and Y from
//! the picture's upper left corner as 16 bits each (little-endian, 0 and 65535 are its edges), the stream id in UTF-8.

use std::collections::HashMap;

use bevy::prelude::*;

use super::slots::WallSlots;
use super::surface::is_inside;
use super::{WallSlot, picture_in};
use crate::bridge::{DataMessage, RoomCommand};
use crate::model::{RoomState, StreamId, WALL_SLOTS};
use crate::space::participant::{LocalParticipant, Participant};
use crate::space::stream::{FaceAssets, FaceLook, FaceStyle, PublishedBy, VideoFace, VideoMaterial, VideoStream};
use crate::space::sync::{DataReceived, Outbox, RoomStatus, Roster};
use crate::space::view::RoomCamera;

/// Where pointers travel.
pub(super) const POINTER_TOPIC: &str = "rotunda.pointer";
/// Seconds between two packets while the pointer moves, and while it rests.
const MOVING_SECS: f32 = 0.05;
const RESTING_SECS: f32 = 1.0;
/// A pointer of which nothing is heard for this long is gone.
const SILENCE_SECS: f32 = 3.0;
/// Size of the dot, as a share of the picture's width, and at most of the view's height.
const SIZE_SHARE: f32 = 0.035;
const VIEW_SHARE: f32 = 0.05;
/// How far before the picture it floats.
const LIFT_M: f32 = 0.006;
/// How fast it follows, per second: packets come 20 times a second, frames more often.
const FOLLOW_PER_SEC: f32 = 25.0;

/// What this client points at: a stream of its own and a place on its picture, 0..=1 from the upper left corner. Written
/// by the key that points; an application may write it, too.
#[derive(Resource, Clone, Debug, Default, PartialEq)]
pub struct Pointing(pub Option<(StreamId, Vec2)>);

/// Somebody else's pointer moved, or was lifted.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct WallPointer {
    /// On which stream.
    pub stream: StreamId,
    /// Where on its picture, 0..=1 from the upper left corner; `None` when it was lifted.
    pub at: Option<Vec2>,
}

/// Writes a packet.
fn encode(stream: &StreamId, at: Option<Vec2>) -> Vec<u8> {
    let mut packet = vec![u8::from(at.is_some())];
    for part in at.unwrap_or_default().to_array() {
        packet.extend(((part.clamp(0.0, 1.0) * f32::from(u16::MAX)).round() as u16).to_le_bytes());
    }
    packet.extend(stream.as_str().as_bytes());
    packet
}

/// Reads a packet; `None` for one that is none.
fn decode(packet: &[u8]) -> Option<(StreamId, Option<Vec2>)> {
    let (kind, rest) = packet.split_first()?;
    let (x, rest) = rest.split_first_chunk::<2>()?;
    let (y, id) = rest.split_first_chunk::<2>()?;
    let part = |bytes: &[u8; 2]| f32::from(u16::from_le_bytes(*bytes)) / f32::from(u16::MAX);
    let at = match kind {
        0 => None,
        1 => Some(Vec2::new(part(x), part(y))),
        _ => return None,
    };
    Some((StreamId::new(std::str::from_utf8(id).ok()?).ok()?, at))
}

/// What was sent last.
#[derive(Default)]
pub(super) struct Sent {
    packet: Option<Vec<u8>>,
    stream: Option<StreamId>,
    ago_secs: f32,
}

/// Tells the others where this client points, on its own streams only.
#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn send(
    time: Res<Time>,
    status: Res<RoomStatus>,
    pointing: Res<Pointing>,
    roster: Res<Roster>,
    owners: Query<&PublishedBy>,
    me: Query<(), With<LocalParticipant>>,
    mut sent: Local<Sent>,
    mut outbox: ResMut<Outbox>,
) {
    sent.ago_secs += time.delta_secs();
    if status.state != RoomState::Connected {
        *sent = Sent::default();
        return;
    }
    let own = |stream: &StreamId| {
        roster.stream(stream).and_then(|entity| owners.get(entity).ok()).is_some_and(|owner| me.contains(owner.0))
    };
    let now = pointing.0.as_ref().filter(|(stream, at)| is_inside(*at) && own(stream));
    let due = match now {
        Some((stream, at)) => {
            let packet = encode(stream, Some(*at));
            let pause = if sent.packet.as_ref() == Some(&packet) { RESTING_SECS } else { MOVING_SECS };
            (sent.packet.is_none() || sent.ago_secs >= pause).then_some((packet, Some(stream.clone())))
        }
        None => sent.stream.take().map(|stream| (encode(&stream, None), None)),
    };
    if let Some((packet, stream)) = due {
        let payload = packet.clone();
        outbox.push(RoomCommand::SendData(DataMessage {
            topic: POINTER_TOPIC.to_owned(),
            payload,
            reliable: false,
            to: Vec::new(),
        }));
        *sent = Sent { packet: stream.is_some().then_some(packet), stream, ago_secs: 0.0 };
    }
}

/// Takes in what the owners of streams tell.
pub(super) fn receive(
    mut data: MessageReader<DataReceived>,
    roster: Res<Roster>,
    owners: Query<&PublishedBy>,
    mut told: MessageWriter<WallPointer>,
) {
    for packet in data.read().filter(|data| data.topic == POINTER_TOPIC) {
        let Some((stream, at)) = decode(&packet.payload) else { continue };
        let owner = roster.stream(&stream).and_then(|entity| owners.get(entity).ok()).map(|owner| owner.0);
        let sender = packet.from.as_ref().and_then(|from| roster.user(from));
        if owner.is_some() && owner == sender {
            told.write(WallPointer { stream, at });
        }
    }
}

/// The dot that marks what is pointed at in one slot.
#[derive(Component, Clone, Debug)]
pub(super) struct Dot {
    slot: usize,
    stream: Option<StreamId>,
}

/// A pointer as it is known here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    at: Vec2,
    ago_secs: f32,
}

type Eye<'w, 's> = Query<'w, 's, (&'static Transform, &'static Projection), (With<RoomCamera>, Without<Dot>)>;

type Dots<'w, 's> = Query<
    'w,
    's,
    (
        &'static mut Dot,
        &'static mut Transform,
        &'static mut Visibility,
        &'static mut FaceLook,
        &'static MeshMaterial3d<VideoMaterial>,
    ),
    Without<WallSlot>,
>;

/// Hangs a dot, unseen, before every slot.
pub(super) fn hang_dots(mut commands: Commands, assets: Res<FaceAssets>, mut materials: ResMut<Assets<VideoMaterial>>) {
    for slot in 0..WALL_SLOTS {
        let style = FaceStyle { accent: Vec4::ONE, frame: Vec4::ZERO, text: Vec4::new(0.0, 0.0, 0.0, FaceStyle::DOT) };
        let material = materials.add(VideoMaterial::empty(&assets, style));
        commands.spawn((
            Name::new(format!("pointer on slot {slot}")),
            Dot { slot, stream: None },
            VideoFace::default(),
            Mesh3d(assets.quad.clone()),
            MeshMaterial3d(material),
            Transform::default(),
            Visibility::Hidden,
        ));
    }
}

/// Shows the pointers of others, and one's own at once.
#[expect(clippy::too_many_arguments, reason = "a system names all it touches")]
pub(super) fn show(
    time: Res<Time>,
    slots: Res<WallSlots>,
    pointing: Res<Pointing>,
    mut told: MessageReader<WallPointer>,
    mut seen: Local<HashMap<StreamId, Seen>>,
    faces: Query<(&WallSlot, &VideoFace, &FaceLook)>,
    streams: Query<(&VideoStream, &PublishedBy)>,
    people: Query<(&Participant, Has<LocalParticipant>)>,
    camera: Eye,
    mut dots: Dots,
    mut materials: ResMut<Assets<VideoMaterial>>,
) {
    seen.values_mut().for_each(|pointer| pointer.ago_secs += time.delta_secs());
    for pointer in told.read() {
        match pointer.at {
            Some(at) => drop(seen.insert(pointer.stream.clone(), Seen { at, ago_secs: 0.0 })),
            None => drop(seen.remove(&pointer.stream)),
        }
    }
    // What is off the wall is forgotten: a hundred streams that come and go leave nothing behind.
    seen.retain(|stream, pointer| pointer.ago_secs < SILENCE_SECS && slots.slot_of(stream).is_some());
    let blend = 1.0 - (-FOLLOW_PER_SEC * time.delta_secs().min(0.25)).exp();
    for (mut dot, mut transform, mut visibility, mut look, material) in &mut dots {
        let stream = slots.stream(dot.slot);
        let owner = slots.entity(dot.slot).and_then(|entity| streams.get(entity).ok());
        let owner = owner.and_then(|(_, by)| people.get(by.0).ok());
        let mine = owner.is_some_and(|(_, local)| local);
        let own = pointing.0.as_ref().filter(|(own, at)| mine && Some(own) == stream && is_inside(*at));
        let at =
            own.map(|(_, at)| *at).or_else(|| stream.and_then(|stream| seen.get(stream)).map(|pointer| pointer.at));
        let Some((stream, at)) = stream.zip(at) else {
            if *visibility != Visibility::Hidden {
                *visibility = Visibility::Hidden;
                dot.stream = None;
                look.appeared = 0.0;
            }
            continue;
        };
        let place = picture_in(dot.slot, &slots, &faces);
        let goal = place.point(at) + place.normal() * LIFT_M;
        let fresh = dot.stream.as_ref() != Some(stream);
        if fresh {
            dot.stream = Some(stream.clone());
            *visibility = Visibility::Inherited;
            if let (Some(mut material), Some((owner, _))) = (materials.get_mut(material.id()), owner) {
                material.style.accent = owner.colour().to_vec4();
            }
        }
        let mut size = place.size.x * SIZE_SHARE;
        if let Some((eye, Projection::Perspective(lens))) = camera.iter().next() {
            let seen = 2.0 * eye.translation.distance(goal) * (lens.fov * 0.5).tan();
            size = size.min(seen * VIEW_SHARE);
        }
        let translation = if fresh { goal } else { transform.translation.lerp(goal, blend) };
        let next = Transform { translation, rotation: place.rotation, scale: Vec3::new(size, size, 1.0) };
        transform.set_if_neq(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_small_and_survives_its_way() {
        let stream = StreamId::new("ada-screen").unwrap();
        for at in [Vec2::ZERO, Vec2::ONE, Vec2::new(0.123_4, 0.987_6)] {
            let packet = encode(&stream, Some(at));
            assert!(packet.len() < 24, "{}", packet.len());
            let (id, told) = decode(&packet).unwrap();
            assert_eq!(id, stream);
            // A ten-thousandth of a 4K page is less than half a pixel.
            assert!(told.unwrap().distance(at) < 1e-4);
        }
        assert_eq!(decode(&encode(&stream, None)), Some((stream, None)));
    }

    #[test]
    fn nonsense_is_no_packet() {
        for packet in [&b""[..], &[1], &[1, 0, 0, 0], &[1, 0, 0, 0, 0], &[7, 0, 0, 0, 0, b'a'], &[1, 0, 0, 0, 0, 0xff]]
        {
            assert_eq!(decode(packet), None, "{packet:?}");
        }
        let long = [&[1, 0, 0, 0, 0][..], &[b'x'; 300]].concat();
        assert_eq!(decode(&long), None, "no stream has such an id");
        let everywhere = [1, 0xff, 0xff, 0xff, 0xff, b'a'];
        assert!(is_inside(decode(&everywhere).unwrap().1.unwrap()), "no packet points beside the picture");
        let wild = encode(&StreamId::new("a").unwrap(), Some(Vec2::new(f32::NAN, -3.0)));
        assert_eq!(decode(&wild).unwrap().1, Some(Vec2::ZERO));
    }
}
