//! The media thread's loop: datagrams in, packets out, timers, commands, events. Time is read once per turn.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use str0m::config::DtlsCert;
use str0m::net::Receive;
use str0m::rtp::RawPacket;
use str0m::rtp::rtcp::{Nack, Rtcp};
use str0m::{Event, IceConnectionState, Output};
use tokio::sync::mpsc;

use super::forward::Track;
use super::guard::guarded;
use super::held::Held;
use super::layers::Want;
use super::link::{Link, LinkId, Peer, Role, Subscription};
use super::socket::{Remote, Socket, is_stun, stun_user};
use super::way::Way;
use super::{MediaCommand, MediaEvent, NewPeer, PeerId, RoomKey, TrackId};
use crate::server::config::ServerLimits;
use crate::server::counters::Counters;
use crate::server::rate::Rate;

/// Datagrams taken in before what they caused is sent: small enough to add no delay, large enough to share the work.
const BATCH: usize = 32;
/// Commands carried out per turn, and of those only one session description, which takes long: media comes between.
const COMMANDS_PER_TURN: usize = 64;
/// Larger datagrams are nobody's: WebRTC stays below 1500 bytes.
const DATAGRAM_MAX_BYTES: usize = 1600;
/// The longest sleep.
const IDLE: Duration = Duration::from_millis(100);
/// A connection that wants attention this often in one turn has gone wrong.
const STEPS_MAX: u32 = 10_000;
/// What a connection wants to do within this is done at once. After each packet the WebRTC stack asks to be called
/// again 1 us later; a burst leaves in one turn so, and longer waits, those that pace by bandwidth, are kept.
const AHEAD: Duration = Duration::from_micros(200);
/// Events that may wait while signalling is busy.
const EVENTS_WAITING: usize = 65_536;

/// Everything the media thread owns.
pub(super) struct Shard {
    pub(super) socket: Socket,
    /// The addresses told to clients.
    candidates: Vec<Remote>,
    cert: Option<DtlsCert>,
    pub(super) limits: ServerLimits,
    pub(super) counters: Arc<Counters>,
    events: mpsc::Sender<MediaEvent>,
    waiting: VecDeque<MediaEvent>,
    pub(super) links: HashMap<LinkId, Link>,
    pub(super) peers: HashMap<PeerId, Peer>,
    pub(super) rooms: HashMap<RoomKey, Vec<PeerId>>,
    pub(super) tracks: HashMap<TrackId, Track>,
    routes: HashMap<Remote, LinkId>,
    pub(super) ufrags: HashMap<String, LinkId>,
    pub(super) dirty: Vec<LinkId>,
    /// Participants whose reliable data waits for their rates.
    pub(super) holding: Vec<PeerId>,
    /// Receivers whose sections need negotiating, once the commands that wait are carried out.
    changed: Vec<PeerId>,
    /// Receivers whose encodings shall be chosen anew in this turn.
    pub(super) replan: HashSet<LinkId>,
    /// When each link wants to be looked at again, the soonest first; as `Link::timeout` says.
    timers: BTreeSet<(Instant, LinkId)>,
    pub(super) next_wishes: Instant,
    pub(super) next_plan: Instant,
    pub(super) last_plan: Instant,
    pub(super) next_levels: Instant,
    pub(super) next_silence: Instant,
    pub(super) next_quality: Instant,
}

/// What came of looking at the commands.
enum Commands {
    /// All are carried out.
    Done,
    /// There may be more.
    Waiting,
    /// The server stops.
    Stop,
}

impl Shard {
    pub(super) fn new(
        socket: Socket,
        candidates: Vec<Remote>,
        limits: ServerLimits,
        counters: Arc<Counters>,
        events: mpsc::Sender<MediaEvent>,
    ) -> Self {
        let now = Instant::now();
        // One certificate for all connections, as browsers expect of a server; made once, since that takes a while.
        let cert = str0m::crypto::from_feature_flags().dtls_provider.generate_certificate();
        Self {
            socket,
            candidates,
            cert,
            limits,
            counters,
            events,
            waiting: VecDeque::new(),
            links: HashMap::new(),
            peers: HashMap::new(),
            rooms: HashMap::new(),
            tracks: HashMap::new(),
            routes: HashMap::new(),
            ufrags: HashMap::new(),
            dirty: Vec::new(),
            holding: Vec::new(),
            changed: Vec::new(),
            replan: HashSet::new(),
            timers: BTreeSet::new(),
            next_wishes: now,
            next_plan: now,
            last_plan: now,
            next_levels: now,
            next_silence: now,
            next_quality: now,
        }
    }

    /// Runs until told to stop.
    pub(super) fn run(mut self, inbox: &Receiver<MediaCommand>) {
        let mut buffer = [0; DATAGRAM_MAX_BYTES];
        let mut busy = false;
        let mut woken = Instant::now();
        loop {
            if !busy {
                let now = Instant::now();
                let next = self.timers.first().map_or(now + IDLE, |(at, _)| *at);
                let next = next.min(self.next_wishes).min(now + IDLE);
                self.counters.media_busy_us.add(now.saturating_duration_since(woken).as_micros() as u64);
                self.socket.wait(next.saturating_duration_since(now));
                woken = Instant::now();
            }
            busy = self.take_in(&mut buffer);
            match self.take_commands(inbox) {
                Commands::Waiting => busy = true,
                Commands::Done => {}
                Commands::Stop => break,
            }
            let now = Instant::now();
            self.tick(now);
            self.settle(now);
            self.flush_events();
        }
        let now = Instant::now();
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            self.close(id, now);
        }
    }

    /// Takes datagrams in; answers whether there are more.
    fn take_in(&mut self, buffer: &mut [u8]) -> bool {
        for _ in 0..BATCH {
            let Some((len, source)) = self.socket.receive(buffer) else { return false };
            let now = Instant::now();
            if self.on_datagram(&buffer[..len], source, now).is_none() {
                self.counters.strangers.add(1);
            }
        }
        true
    }

    /// `None`: from nobody we know.
    fn on_datagram(&mut self, datagram: &[u8], remote: Remote, now: Instant) -> Option<()> {
        let (proto, source) = remote;
        let fits = |(own, addr): &&Remote| *own == proto && addr.is_ipv4() == source.is_ipv4();
        let destination = self.candidates.iter().find(fits)?.1;
        let stun = is_stun(datagram);
        let id = if stun { *self.ufrags.get(stun_user(datagram)?)? } else { *self.routes.get(&remote)? };
        let contents = datagram.try_into().ok()?;
        let link = self.links.get_mut(&id)?;
        let taken = link.take(Receive { proto, source, destination, contents }, datagram, now)?;
        if stun && self.routes.get(&remote) != Some(&id) {
            let forgotten = link.add_address(remote);
            self.routes.insert(remote, id);
            self.socket.know(remote);
            if let Some(remote) = forgotten {
                self.routes.remove(&remote);
                self.socket.forget(remote);
            }
        }
        match taken {
            Ok(()) => self.drain(id, now),
            Err(fault) => self.fail(id, &fault.reason),
        }
        Some(())
    }

    /// Lets a connection act on the time, and sends what it has.
    pub(super) fn step(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.dirty = false;
        match link.act(now) {
            Ok(()) => self.drain(id, now),
            Err(fault) => self.fail(id, &fault.reason),
        }
    }

    /// Takes everything a connection has to give. Must follow every input, or packets vanish.
    fn drain(&mut self, id: LinkId, now: Instant) {
        let mut steps = 0;
        loop {
            let Some(link) = self.links.get_mut(&id) else { return };
            match guarded(|| link.rtc.poll_output()) {
                Ok(Output::Transmit(packet)) => self.socket.send(&packet.contents, (packet.proto, packet.destination)),
                Ok(Output::Event(event)) => self.on_event(id, event, now),
                Ok(Output::Timeout(at)) if at > now + AHEAD => return self.set_timer(id, at),
                Ok(Output::Timeout(at)) => {
                    steps += 1;
                    if steps > STEPS_MAX {
                        return self.fail(id, "it never comes to rest");
                    }
                    if let Err(fault) = link.act(at.max(now)) {
                        return self.fail(id, &fault.reason);
                    }
                }
                Err(fault) => return self.fail(id, &fault.reason),
            }
        }
    }

    /// A link wants to be looked at again.
    fn set_timer(&mut self, id: LinkId, at: Instant) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.timeout != at {
            self.timers.remove(&(link.timeout, id));
            self.timers.insert((at, id));
            link.timeout = at;
        }
    }

    fn on_event(&mut self, id: LinkId, event: Event, now: Instant) {
        match event {
            Event::RtpPacket(packet) => self.forward(id, packet, now),
            Event::RawPacket(raw) => {
                if let RawPacket::RtcpRx(Rtcp::Nack(nack)) = *raw {
                    self.on_nack(id, &nack, now);
                }
            }
            Event::ChannelData(data) => self.on_data(id, &data, now),
            Event::Connected => self.on_connected(id),
            Event::ChannelOpen(channel, label) => self.on_channel_open(id, channel, &label),
            Event::ChannelClose(channel) => self.on_channel_close(id, channel),
            Event::ChannelBufferedAmountLow(_) => self.flush_backlog(id),
            Event::KeyframeRequest(request) => {
                let link = self.links.get(&id);
                let section = link.and_then(|link| link.sections.iter().find(|s| s.mid == request.mid));
                let track = section.and_then(|s| s.track).and_then(|track| self.tracks.get_mut(&track));
                if track.is_some_and(|track| track.want_keyframe(id)) {
                    self.next_wishes = now;
                }
            }
            Event::EgressBitrateEstimate(kind) => {
                if let Some(link) = self.links.get_mut(&id) {
                    link.note_estimate(&kind);
                }
            }
            Event::PeerStats(stats) => {
                if let Some(link) = self.links.get_mut(&id) {
                    let share = |loss: Option<f32>| loss.unwrap_or(0.0);
                    let loss = (share(stats.egress_loss_fraction), share(stats.ingress_loss_fraction));
                    link.way.note(stats.rtt, loss, now);
                }
            }
            // After an ICE restart: whatever the client missed, a keyframe mends it.
            Event::IceConnectionStateChange(IceConnectionState::Connected | IceConnectionState::Completed)
                if self.links.get(&id).is_some_and(|link| link.connected) =>
            {
                if let Some(link) = self.links.get_mut(&id) {
                    link.way = Way::default();
                }
                self.want_keyframes(id);
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                tracing::debug!(peer = id.peer.0, role = ?id.role, "nothing comes from this connection");
            }
            Event::Closed => self.closed(id.peer),
            _ => {}
        }
    }

    /// A client without RTX misses packets.
    fn on_nack(&mut self, id: LinkId, nack: &Nack, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let found = self.tracks.values_mut().map(|track| track.resend(link, id, nack, now)).find(|count| *count > 0);
        if found.is_some() {
            self.mark_dirty(id);
        }
    }

    /// A client that takes its first connection turns out to have no RTX: it gets one made for that.
    pub(super) fn renew_without_rtx(&mut self, id: LinkId, now: Instant) {
        let fresh = Link::without_rtx(&self.candidates, self.cert.as_ref(), now);
        self.ufrags.insert(fresh.ufrag.clone(), id);
        self.timers.insert((fresh.timeout, id));
        if let Some(old) = self.links.insert(id, fresh) {
            self.ufrags.remove(&old.ufrag);
            self.timers.remove(&(old.timeout, id));
            self.timers.insert((now, id));
        }
    }

    fn on_connected(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.connected = true;
        self.want_keyframes(id);
        self.replan.insert(id);
        if self.peers.get(&id.peer).is_some_and(|peer| peer.primary() == id) {
            self.tell(MediaEvent::Connected { peer: id.peer });
        }
    }

    /// Carries out what signalling asks.
    fn take_commands(&mut self, inbox: &Receiver<MediaCommand>) -> Commands {
        let mut changed = std::mem::take(&mut self.changed);
        let mut outcome = Commands::Waiting;
        for _ in 0..COMMANDS_PER_TURN {
            match inbox.try_recv() {
                Ok(MediaCommand::Stop) | Err(TryRecvError::Disconnected) => return Commands::Stop,
                Ok(command) => {
                    let long = matches!(command, MediaCommand::Offer { .. } | MediaCommand::Answer { .. });
                    self.on_command(command, &mut changed);
                    if long {
                        break;
                    }
                }
                Err(TryRecvError::Empty) => {
                    outcome = Commands::Done;
                    break;
                }
            }
        }
        changed.sort_unstable();
        changed.dedup();
        if matches!(outcome, Commands::Waiting) {
            self.changed = changed;
            return outcome;
        }
        let now = Instant::now();
        for peer in changed {
            self.renegotiate(peer, now);
        }
        outcome
    }

    /// `changed` collects the receivers whose sections need negotiating.
    fn on_command(&mut self, command: MediaCommand, changed: &mut Vec<PeerId>) {
        let now = Instant::now();
        match command {
            MediaCommand::AddPeer(new) => self.add_peer(new, changed, now),
            MediaCommand::RemovePeer(peer) => self.remove_peer(peer, changed, now),
            MediaCommand::Offer { peer, id, sdp, published } => self.on_offer(peer, id, &sdp, published, now),
            MediaCommand::Answer { peer, id, sdp } => self.on_answer(peer, id, &sdp, now),
            MediaCommand::Resume(peer) => self.resume(peer, now),
            MediaCommand::RemoveTrack(track) => self.remove_track(track, changed),
            MediaCommand::Subscribe { peer, track, stream, sid } => {
                if let Some(known) = self.peers.get_mut(&peer) {
                    let wanted = Subscription { stream, sid, disabled: false, want: Want::Rank(usize::MAX) };
                    known.subscriptions.insert(track, wanted);
                    changed.push(peer);
                }
            }
            MediaCommand::Unsubscribe { peer, track } => {
                let known = self.peers.get_mut(&peer);
                if let Some(receiving) = known.and_then(|p| p.subscriptions.remove(&track).map(|_| p.receiving())) {
                    self.unbind(receiving, track);
                    changed.push(peer);
                }
            }
            MediaCommand::Settings { peer, track, disabled, want } => self.set(peer, track, disabled, want),
            MediaCommand::PermitData { peer, permitted, hidden } => {
                if let Some(known) = self.peers.get_mut(&peer) {
                    known.new.may_publish_data = permitted;
                    known.new.hidden = hidden;
                }
            }
            MediaCommand::SendData { room, packet } => self.send_own_data(room, *packet, now),
            MediaCommand::Stop => {}
        }
    }

    fn add_peer(&mut self, new: NewPeer, changed: &mut Vec<PeerId>, now: Instant) {
        let id = new.id;
        let limits = &self.limits;
        let peer = Peer {
            subscriptions: std::collections::BTreeMap::new(),
            data_bytes: Rate::new(limits.data_bytes_per_sec, 2, now),
            data_packets: Rate::new(limits.data_packets_per_sec, 2, now),
            held: Held::default(),
            reported_lost: false,
            silent: false,
            new,
        };
        let roles: &[Role] = if peer.new.single { &[Role::Publisher] } else { &[Role::Publisher, Role::Subscriber] };
        for role in roles {
            let link_id = LinkId { peer: id, role: *role };
            let link = Link::new(&self.candidates, self.cert.as_ref(), peer.receiving() == link_id, now);
            self.ufrags.insert(link.ufrag.clone(), link_id);
            self.timers.insert((link.timeout, link_id));
            self.links.insert(link_id, link);
        }
        self.rooms.entry(peer.new.room).or_default().push(id);
        let single = peer.new.single;
        self.peers.insert(id, peer);
        for role in roles {
            self.step(LinkId { peer: id, role: *role }, now);
        }
        if !single {
            // The first offer is ours.
            changed.push(id);
        }
    }

    fn remove_peer(&mut self, id: PeerId, changed: &mut Vec<PeerId>, now: Instant) {
        let Some(peer) = self.peers.remove(&id) else { return };
        let owned: Vec<TrackId> = self.tracks.iter().filter(|(_, t)| t.link.peer == id).map(|(id, _)| *id).collect();
        for track in owned {
            self.remove_track(track, changed);
        }
        for track in peer.subscriptions.keys() {
            if let Some(track) = self.tracks.get_mut(track) {
                track.legs.retain(|leg| leg.link.peer != id);
            }
        }
        for role in [Role::Publisher, Role::Subscriber] {
            self.close(LinkId { peer: id, role }, now);
        }
        if let Some(members) = self.rooms.get_mut(&peer.new.room) {
            members.retain(|member| *member != id);
            if members.is_empty() {
                self.rooms.remove(&peer.new.room);
            }
        }
    }

    fn remove_track(&mut self, id: TrackId, changed: &mut Vec<PeerId>) {
        let Some(track) = self.tracks.get(&id) else { return };
        if let Some(link) = self.links.get_mut(&track.link) {
            link.published.retain(|_, published| *published != id);
            link.incoming.retain(|_, (published, _)| *published != id);
        }
        let receivers: Vec<(PeerId, LinkId)> =
            self.peers.values().filter(|peer| peer.wants(id)).map(|peer| (peer.new.id, peer.receiving())).collect();
        for (peer, link) in receivers {
            self.unbind(link, id);
            if let Some(peer) = self.peers.get_mut(&peer) {
                peer.subscriptions.remove(&id);
            }
            changed.push(peer);
        }
        self.tracks.remove(&id);
    }

    fn set(&mut self, peer: PeerId, track_id: TrackId, disabled: bool, want: Want) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let receiving = known.receiving();
        let Some(wanted) = known.subscriptions.get_mut(&track_id) else { return };
        wanted.want = want;
        wanted.disabled = disabled;
        if let Some(track) = self.tracks.get_mut(&track_id) {
            track.set_disabled(receiving, disabled);
        }
        self.replan.insert(receiving);
    }

    /// Says goodbye to a client and forgets the connection.
    fn close(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.connected && guarded(|| link.rtc.close()).is_ok() {
            while let Some(link) = self.links.get_mut(&id) {
                match guarded(|| link.rtc.poll_output()) {
                    Ok(Output::Transmit(packet)) => {
                        self.socket.send(&packet.contents, (packet.proto, packet.destination))
                    }
                    Ok(Output::Event(_)) => {}
                    Ok(Output::Timeout(_)) | Err(_) => break,
                }
            }
        }
        let Some(link) = self.links.remove(&id) else { return };
        self.timers.remove(&(link.timeout, id));
        self.ufrags.retain(|_, owner| *owner != id);
        for remote in &link.addresses {
            if self.routes.get(remote) == Some(&id) {
                self.routes.remove(remote);
                self.socket.forget(*remote);
            }
        }
        tracing::trace!(peer = id.peer.0, role = ?id.role, age = ?now.saturating_duration_since(link.heard), "closed");
    }

    /// A step of one connection failed: only that participant is affected.
    pub(super) fn fail(&mut self, id: LinkId, reason: &str) {
        tracing::debug!(peer = id.peer.0, role = ?id.role, reason, "a connection failed");
        self.counters.failed_links.add(1);
        if let Some(link) = self.links.get_mut(&id) {
            link.rtc.disconnect();
            link.connected = false;
        }
        self.set_timer(id, Instant::now() + Duration::from_secs(3600));
        self.lose(id.peer, "its connection failed");
    }

    pub(super) fn mark_dirty(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(&id)
            && !link.dirty
        {
            link.dirty = true;
            self.dirty.push(id);
        }
    }

    /// Sends what the turn caused, then serves the timers that are due.
    fn settle(&mut self, now: Instant) {
        // Stepping a link may dirty others, never endlessly: only datagrams and commands cause new packets.
        while let Some(id) = self.dirty.pop() {
            self.step(id, now);
        }
        let due: Vec<LinkId> = self.timers.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        for id in due {
            self.step(id, now);
        }
        while let Some(id) = self.dirty.pop() {
            self.step(id, now);
        }
    }

    /// Hands an event to signalling as soon as there is room.
    pub(super) fn tell(&mut self, event: MediaEvent) {
        if self.waiting.len() >= EVENTS_WAITING {
            tracing::error!("signalling does not keep up: an event of the media thread was dropped");
            return;
        }
        self.waiting.push_back(event);
    }

    fn flush_events(&mut self) {
        while let Some(event) = self.waiting.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
                self.waiting.push_front(event);
                return;
            }
        }
    }
}
