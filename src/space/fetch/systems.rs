//! The frame's way from faces to wishes: see, decide, tell. Main thread, after [`crate::space::SpaceSystems::Present`];
//! allocates nothing once as many streams were there as are now.

use std::sync::Arc;
use std::time::Duration;

use bevy::camera::visibility::RenderLayers;
use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use bevy::window::WindowOccluded;

use super::budget::{Claim, Estimate, Rank, share, wanted_kbps};
use super::geometry::{Eye, Sight};
use super::hold::{Hold, Need};
use super::pace::Pace;
use super::places::{self, Standing};
use super::{FetchFigures, FetchSettings, Fetched, Reason, Want};
use crate::bridge::{PlayQuality, RoomCommand};
use crate::model::limits::MAX_PLAYED_STREAMS;
use crate::model::quality::EngineSnapshot;
use crate::model::{ErrorCode, PlayState, RoomState, StreamInfo, StreamKind};
use crate::space::participant::{LocalParticipant, Speaking};
use crate::space::stream::{PublishedBy, VideoFace, VideoStream};
use crate::space::sync::{EngineBridge, PlayStateChanged, RoomFigures, RoomStatus, Roster};
use crate::space::view::{RoomCamera, ViewMode};

/// What arrives of a picture tells what it takes once it was fetched in one size for this long: figures cover three
/// seconds, which may have begun up to three seconds ago.
const KNOWN_AFTER: Duration = Duration::from_secs(6);

/// What is remembered of one stream's picture.
#[derive(Component, Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    need: Need,
    hold: Hold,
    given: Want,
    given_since: Duration,
    /// What the engine was told last.
    told: Option<PlayQuality>,
    /// The engine does not play it, and knows nothing of its size.
    unplayed: bool,
    /// It is not played for want of a place.
    turned_away: bool,
    /// It gave its place to another, or is about to.
    gave_way: bool,
    /// A place was asked for, and nothing was answered yet.
    asked: bool,
    /// The server lets it wait for want of bandwidth.
    waits: bool,
    rank: Rank,
    /// When its owner spoke last.
    heard: Duration,
}

/// Whether something hides the whole window.
#[derive(Resource, Debug, Default)]
pub(super) struct Curtain(bool);

/// The claims of this frame, what matters most first.
#[derive(Resource, Debug, Default)]
pub(super) struct Claims(Vec<Claim<Entity>>);

/// How streams stand when there are more than places.
#[derive(Resource, Debug, Default)]
pub(super) struct Standings {
    of: Vec<Standing<Entity>>,
    changed: Duration,
}

/// What is known of the way to this client.
#[derive(Resource, Debug, Default)]
pub(super) struct Way {
    estimate: Estimate,
    /// The figures that were read last.
    read: Arc<EngineSnapshot>,
}

type Fresh = (Entity, &'static VideoStream, &'static PublishedBy, Has<Memory>);

/// Streams of the others are looked after from the frame on in which they are announced.
pub(super) fn begin(
    mut commands: Commands,
    fresh: Query<Fresh, Without<Fetched>>,
    locals: Query<(), With<LocalParticipant>>,
) {
    for (entity, stream, by, known) in &fresh {
        if locals.contains(by.0) {
            continue;
        }
        if !known {
            commands.entity(entity).try_insert(Memory::default());
        }
        if stream.info.video.is_some() {
            commands.entity(entity).try_insert(Fetched::default());
        }
    }
}

/// What the engine tells of playing: one that it does not play forgets its size, one that waits shows how narrow the
/// way is.
pub(super) fn hear(mut changes: MessageReader<PlayStateChanged>, roster: Res<Roster>, mut streams: Query<&mut Memory>) {
    for change in changes.read() {
        let Some(mut memory) = roster.stream(&change.stream).and_then(|stream| streams.get_mut(stream).ok()) else {
            continue;
        };
        memory.unplayed = change.state == PlayState::NoPlay;
        let failed = |code| change.error.as_ref().is_some_and(|error| error.code == code);
        memory.waits = failed(ErrorCode::PlayInterrupted);
        memory.gave_way &= memory.unplayed;
        memory.asked = false;
        memory.turned_away = memory.unplayed && (memory.gave_way || failed(ErrorCode::TooManyPlays));
        if memory.unplayed {
            memory.told = None;
        }
    }
}

/// A window behind others, or on another desktop, where the system tells.
pub(super) fn watch_window(mut told: MessageReader<WindowOccluded>, mut curtain: ResMut<Curtain>) {
    if let Some(last) = told.read().last() {
        curtain.0 = last.occluded;
    }
}

type Face = (
    &'static VideoFace,
    &'static GlobalTransform,
    Option<&'static InheritedVisibility>,
    Option<&'static ViewVisibility>,
    Option<&'static RenderLayers>,
);

/// Looks at every face that shows a stream.
pub(super) fn see(
    eyes: Query<(&Camera, &GlobalTransform, Option<&RenderLayers>), With<RoomCamera>>,
    faces: Query<Face>,
    mut streams: Query<(&VideoStream, &mut Memory)>,
    curtain: Res<Curtain>,
) {
    let camera = eyes.iter().find(|(camera, ..)| camera.is_active);
    let eye = camera.and_then(|(camera, at, _)| {
        Eye::new(at.to_matrix(), camera.clip_from_view(), camera.physical_viewport_size()?)
    });
    let layers = camera.and_then(|(.., layers)| layers).unwrap_or_default();
    let hidden = curtain.0 || eye.is_none();
    for (stream, mut memory) in &mut streams {
        memory.need = Need { announced: announced(&stream.info), hidden, ..Need::default() };
    }
    let Some(eye) = eye else { return };
    for (face, at, inherited, drawn, on) in &faces {
        // The flat views leave the hall and what hangs in it out.
        let shown = inherited.is_none_or(|inherited| inherited.get()) && layers.intersects(on.unwrap_or_default());
        let Some(stream) = face.stream.filter(|_| shown) else { continue };
        let Ok((_, mut memory)) = streams.get_mut(stream) else { continue };
        let mut view = eye.look(at.to_matrix());
        if view.sight == Sight::Away && drawn.is_some_and(|drawn| drawn.get()) {
            // Another camera draws it.
            view.sight = Sight::Near;
        }
        memory.need.also(view);
    }
}

type Picture = (Entity, &'static VideoStream, &'static PublishedBy, &'static mut Memory, &'static mut Fetched);

/// Who is who among those that publish.
#[derive(SystemParam)]
pub(super) struct Owners<'w, 's> {
    speaking: Query<'w, 's, (), With<Speaking>>,
    local: Query<'w, 's, (), With<LocalParticipant>>,
}

/// What decides besides the faces.
#[derive(SystemParam)]
pub(super) struct Circumstances<'w> {
    time: Res<'w, Time<Real>>,
    mode: Res<'w, ViewMode>,
    settings: Res<'w, FetchSettings>,
    figures: Res<'w, RoomFigures>,
}

/// Decides what is fetched of every picture.
pub(super) fn decide(
    around: Circumstances,
    owners: Owners,
    mut streams: Query<Picture>,
    mut way: ResMut<Way>,
    mut claims: ResMut<Claims>,
    mut figures: ResMut<FetchFigures>,
) {
    let now = around.time.elapsed();
    let news = !Arc::ptr_eq(&way.read, &around.figures.0);
    let claims = &mut claims.0;
    claims.clear();
    let mut closest: Option<usize> = None;
    let mut waits = false;
    for (entity, stream, by, mut memory, mut fetched) in &mut streams {
        if owners.local.contains(by.0) {
            continue;
        }
        if news {
            let kbps = around.figures.0.playing.get(&stream.info.id).map_or(0.0, |quality| quality.video_kbps);
            if fetched.kbps != kbps {
                fetched.kbps = kbps;
            }
        }
        let need = memory.need;
        memory.hold.settle(&need, now);
        waits |= memory.waits && memory.given != Want::Paused;
        let screen = stream.info.kind == StreamKind::Screen;
        let rank = match need.view.sight {
            _ if need.hidden => Rank::Unseen,
            Sight::InView if screen => Rank::Share,
            Sight::InView if owners.speaking.contains(by.0) => Rank::Speaking,
            Sight::InView => Rank::InView,
            _ => Rank::Unseen,
        };
        memory.rank = rank;
        let area_px = need.area_px();
        if rank == Rank::Share && closest.is_none_or(|index| claims[index].area_px < area_px) {
            closest = Some(claims.len());
        }
        let known = now.saturating_sub(memory.given_since) >= KNOWN_AFTER;
        claims.push(Claim {
            key: entity,
            rank,
            area_px,
            want: memory.hold.now().0,
            had: memory.given,
            announced: need.announced,
            kbps: if known { fetched.kbps } else { 0.0 },
            given: Want::Paused,
        });
    }
    // Whoever steps up to the wall stands before one share.
    if let (ViewMode::Wall(_), Some(index)) = (*around.mode, closest) {
        claims[index].rank = Rank::SteppedUp;
    }
    if news {
        way.read = Arc::clone(&around.figures.0);
    }
    let received_kbps = figures.kbps;
    way.estimate.note(waits, received_kbps, wanted_kbps(claims), now);
    let allowed = around.settings.most_kbps.map(|most| most as f32);
    let budget_kbps = match (allowed, way.estimate.kbps()) {
        (Some(allowed), Some(carried)) => Some(allowed.min(carried)),
        (allowed, carried) => allowed.or(carried),
    };
    share(claims, budget_kbps);
    let mut sums = FetchFigures { budget_kbps, ..FetchFigures::default() };
    for claim in claims.iter() {
        let Ok((.., mut memory, mut fetched)) = streams.get_mut(claim.key) else { continue };
        if memory.given != claim.given {
            (memory.given, memory.given_since) = (claim.given, now);
        }
        let next = Fetched { want: claim.given, reason: reason(claim, memory.hold.now().1), kbps: fetched.kbps };
        if *fetched != next {
            *fetched = next;
        }
        count(&mut sums, claim, fetched.kbps);
    }
    if *figures != sums {
        *figures = sums;
    }
}

/// Where there are more streams than places, gives them to those who are seen and heard.
pub(super) fn choose_played(
    bridge: Res<EngineBridge>,
    status: Res<RoomStatus>,
    time: Res<Time<Real>>,
    owners: Owners,
    mut streams: Query<(Entity, &VideoStream, &PublishedBy, &mut Memory)>,
    mut standings: ResMut<Standings>,
) {
    let now = time.elapsed();
    let mut crowded = false;
    for (_, _, by, mut memory) in &mut streams {
        crowded |= memory.turned_away;
        if owners.speaking.contains(by.0) {
            memory.heard = now;
        }
    }
    let rests = now.saturating_sub(standings.changed) < places::EVERY;
    if !crowded || rests || status.state != RoomState::Connected {
        return;
    }
    standings.changed = now;
    let all = &mut standings.of;
    all.clear();
    for (key, _, _, memory) in &streams {
        let leaves = memory.gave_way && !memory.unplayed;
        if leaves || memory.unplayed && !memory.turned_away {
            continue;
        }
        let quiet = if memory.asked { Duration::ZERO } else { now.saturating_sub(memory.heard) };
        let (played, rank) = (!memory.unplayed || memory.asked, memory.rank);
        all.push(Standing { key, played, rank, area_px: memory.need.area_px(), quiet });
    }
    for (comes, goes) in places::changes(all, MAX_PLAYED_STREAMS) {
        // First in line, then there is a place.
        let Ok((_, stream, _, mut memory)) = streams.get_mut(comes) else { continue };
        if bridge.0.send(RoomCommand::StartPlaying(stream.info.id.clone())).is_err() {
            return;
        }
        memory.asked = true;
        let Some(Ok((_, stream, _, mut memory))) = goes.map(|goes| streams.get_mut(goes)) else { continue };
        if bridge.0.send(RoomCommand::StopPlaying(stream.info.id.clone())).is_err() {
            return;
        }
        memory.gave_way = true;
    }
}

/// Tells the engine what changed, what matters most first; what finds no room now is told in a later frame.
pub(super) fn tell(
    bridge: Res<EngineBridge>,
    status: Res<RoomStatus>,
    time: Res<Time<Real>>,
    claims: Res<Claims>,
    mut streams: Query<(&VideoStream, &mut Memory)>,
    mut pace: ResMut<Pace>,
) {
    pace.begin_frame(time.elapsed());
    if status.state != RoomState::Connected {
        // The engine remembers, and says it again once it is back.
        return;
    }
    for claim in &claims.0 {
        let Ok((stream, mut memory)) = streams.get_mut(claim.key) else { continue };
        let quality = claim.given.quality(claim.announced);
        if memory.unplayed || memory.told == Some(quality) {
            continue;
        }
        if !pace.take() {
            return;
        }
        let stream = stream.info.id.clone();
        debug!(%stream, ?quality, "fetching changes");
        if bridge.0.send(RoomCommand::SetPlayQuality { stream, quality }).is_err() {
            return;
        }
        memory.told = Some(quality);
    }
}

fn announced(info: &StreamInfo) -> (u32, u32) {
    info.video.as_ref().map_or((0, 0), |video| (video.width, video.height))
}

fn reason(claim: &Claim<Entity>, held: Reason) -> Reason {
    match claim.rank {
        _ if claim.given < claim.want => Reason::HeldBack,
        Rank::SteppedUp => Reason::SteppedUp,
        Rank::Speaking => Reason::Speaking,
        _ => held,
    }
}

fn count(sums: &mut FetchFigures, claim: &Claim<Entity>, kbps: f32) {
    match claim.given {
        Want::Full => sums.full += 1,
        Want::Medium => sums.medium += 1,
        Want::Small => sums.small += 1,
        Want::Paused => sums.paused += 1,
    }
    sums.held_back += u32::from(claim.given < claim.want);
    sums.wanted_px += claim.given.pixels(claim.announced);
    sums.kbps += kbps;
}
