//! The media thread's loop: datagrams in, packets out, timers, commands, events. Time is read once per turn.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use str0m::config::DtlsCert;
use str0m::net::{Protocol, Receive};
use str0m::{Event, IceConnectionState, Input, Output};
use tokio::sync::mpsc;

use super::forward::Track;
use super::layers::Want;
use super::levels::WINDOW;
use super::link::{Link, LinkId, Peer, Role, Subscription};
use super::socket::{Socket, is_stun, stun_user};
use super::{LinkFigures, MediaCommand, MediaEvent, NewPeer, PeerId, RoomKey, TrackId};
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
/// How often keyframe wishes are looked at.
const WISH_INTERVAL: Duration = Duration::from_millis(50);
/// How often encodings are chosen anew.
const PLAN_INTERVAL: Duration = Duration::from_millis(500);
/// How often signalling is told how the connections do, as in the official server.
const QUALITY_INTERVAL: Duration = Duration::from_secs(5);
/// A connection from which nothing came for this long is told as lost: clients send something every 2.5 s.
const QUIET: Duration = Duration::from_secs(6);
/// A connection that wants attention this often in one turn has gone wrong.
const STEPS_MAX: u32 = 10_000;
/// Events that may wait while signalling is busy.
const EVENTS_WAITING: usize = 65_536;

/// Everything the media thread owns.
pub(super) struct Shard {
    socket: Socket,
    candidates: Vec<SocketAddr>,
    cert: Option<DtlsCert>,
    pub(super) limits: ServerLimits,
    pub(super) counters: Arc<Counters>,
    events: mpsc::Sender<MediaEvent>,
    waiting: VecDeque<MediaEvent>,
    pub(super) links: HashMap<LinkId, Link>,
    pub(super) peers: HashMap<PeerId, Peer>,
    pub(super) rooms: HashMap<RoomKey, Vec<PeerId>>,
    pub(super) tracks: HashMap<TrackId, Track>,
    routes: HashMap<SocketAddr, LinkId>,
    ufrags: HashMap<String, LinkId>,
    pub(super) dirty: Vec<LinkId>,
    /// Receivers whose sections need negotiating, once the commands that wait are carried out.
    changed: Vec<PeerId>,
    /// Receivers whose encodings shall be chosen anew in this turn.
    pub(super) replan: HashSet<LinkId>,
    /// When each link wants to be looked at again, the soonest first; as `Link::timeout` says.
    timers: BTreeSet<(Instant, LinkId)>,
    next_wishes: Instant,
    next_plan: Instant,
    last_plan: Instant,
    next_levels: Instant,
    next_silence: Instant,
    next_quality: Instant,
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
        candidates: Vec<SocketAddr>,
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
            changed: Vec::new(),
            replan: HashSet::new(),
            timers: BTreeSet::new(),
            next_wishes: now,
            next_plan: now,
            last_plan: now,
            next_levels: now,
            next_silence: now,
            next_quality: now + QUALITY_INTERVAL,
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
    fn on_datagram(&mut self, datagram: &[u8], source: SocketAddr, now: Instant) -> Option<()> {
        let destination = *self.candidates.iter().find(|c| c.is_ipv4() == source.is_ipv4())?;
        let stun = is_stun(datagram);
        let id = if stun { *self.ufrags.get(stun_user(datagram)?)? } else { *self.routes.get(&source)? };
        let contents = datagram.try_into().ok()?;
        let input = Input::Receive(now, Receive { proto: Protocol::Udp, source, destination, contents });
        let link = self.links.get_mut(&id)?;
        if !link.rtc.accepts(&input) || !link.admits(datagram, source) {
            return None;
        }
        link.heard = now;
        if stun && self.routes.get(&source) != Some(&id) {
            let forgotten = link.add_address(source);
            self.routes.insert(source, id);
            if let Some(addr) = forgotten {
                self.routes.remove(&addr);
            }
        }
        if let Err(error) = link.rtc.handle_input(input) {
            self.fail(id, &error.to_string());
            return Some(());
        }
        self.drain(id, now);
        Some(())
    }

    /// Lets a connection act on the time, and sends what it has.
    pub(super) fn step(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.dirty = false;
        if let Err(error) = link.rtc.handle_input(Input::Timeout(now)) {
            self.fail(id, &error.to_string());
            return;
        }
        self.drain(id, now);
    }

    /// Takes everything a connection has to give. Must follow every input, or packets vanish.
    fn drain(&mut self, id: LinkId, now: Instant) {
        let mut steps = 0;
        loop {
            let Some(link) = self.links.get_mut(&id) else { return };
            match link.rtc.poll_output() {
                Ok(Output::Transmit(packet)) => self.socket.send(&packet.contents, packet.destination),
                Ok(Output::Event(event)) => self.on_event(id, event, now),
                Ok(Output::Timeout(at)) if at > now => return self.set_timer(id, at),
                // One packet leaves per step when bandwidth is estimated.
                Ok(Output::Timeout(_)) => {
                    steps += 1;
                    if steps > STEPS_MAX {
                        return self.fail(id, "it never comes to rest");
                    }
                    if let Err(error) = link.rtc.handle_input(Input::Timeout(now)) {
                        return self.fail(id, &error.to_string());
                    }
                }
                Err(error) => return self.fail(id, &error.to_string()),
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
            Event::ChannelData(data) => self.on_data(id, &data, now),
            Event::Connected => self.on_connected(id),
            Event::ChannelOpen(channel, label) => self.on_channel_open(id, channel, &label),
            Event::ChannelClose(channel) => self.on_channel_close(id, channel),
            Event::ChannelBufferedAmountLow(_) => self.flush_backlog(id),
            Event::KeyframeRequest(request) => {
                let link = self.links.get(&id);
                let section = link.and_then(|link| link.sections.iter().find(|s| s.mid == request.mid));
                if let Some(track) = section.and_then(|s| s.track).and_then(|t| self.tracks.get_mut(&t)) {
                    track.want_keyframe(id);
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
                    link.loss = share(stats.egress_loss_fraction).max(share(stats.ingress_loss_fraction));
                    link.rtt = stats.rtt.or(link.rtt);
                }
            }
            // After an ICE restart: whatever the client missed, a keyframe mends it.
            Event::IceConnectionStateChange(IceConnectionState::Connected | IceConnectionState::Completed) => {
                if self.links.get(&id).is_some_and(|link| link.connected) {
                    self.want_keyframes(id);
                }
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                tracing::debug!(peer = id.peer.0, role = ?id.role, "nothing comes from this connection");
            }
            Event::Closed => self.lose(id.peer, "it closed its connection"),
            _ => {}
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

    /// Everything a connection receives shall begin with a keyframe.
    fn want_keyframes(&mut self, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        for track in link.sections.iter().filter_map(|section| section.track) {
            if let Some(track) = self.tracks.get_mut(&track).filter(|track| track.video) {
                track.want_keyframe(id);
            }
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
            MediaCommand::PermitData { peer, permitted } => {
                if let Some(known) = self.peers.get_mut(&peer) {
                    known.new.may_publish_data = permitted;
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
        if link.connected && link.rtc.close().is_ok() {
            while let Some(link) = self.links.get_mut(&id) {
                match link.rtc.poll_output() {
                    Ok(Output::Transmit(packet)) => self.socket.send(&packet.contents, packet.destination),
                    Ok(Output::Event(_)) => {}
                    Ok(Output::Timeout(_)) | Err(_) => break,
                }
            }
        }
        let Some(link) = self.links.remove(&id) else { return };
        self.timers.remove(&(link.timeout, id));
        self.ufrags.retain(|_, owner| *owner != id);
        for addr in &link.addresses {
            if self.routes.get(addr) == Some(&id) {
                self.routes.remove(addr);
            }
        }
        tracing::trace!(peer = id.peer.0, role = ?id.role, age = ?now.saturating_duration_since(link.heard), "closed");
    }

    /// A step of one connection failed: only that participant is affected.
    fn fail(&mut self, id: LinkId, reason: &str) {
        tracing::debug!(peer = id.peer.0, role = ?id.role, reason, "a connection failed");
        self.counters.failed_links.add(1);
        if let Some(link) = self.links.get_mut(&id) {
            link.rtc.disconnect();
            link.connected = false;
        }
        self.set_timer(id, Instant::now() + Duration::from_secs(3600));
        self.lose(id.peer, "its connection failed");
    }

    /// Tells signalling, once, that a participant is gone; signalling then removes it.
    pub(super) fn lose(&mut self, peer: PeerId, reason: &'static str) {
        if let Some(known) = self.peers.get_mut(&peer)
            && !std::mem::replace(&mut known.reported_lost, true)
        {
            self.tell(MediaEvent::Lost { peer, reason });
        }
    }

    /// The ICE credentials of a connection may have changed: STUN requests must still find it.
    pub(super) fn learn_ufrag(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let ufrag = link.rtc.direct_api().local_ice_credentials().ufrag;
        if ufrag != link.ufrag {
            self.ufrags.remove(&link.ufrag);
            self.ufrags.insert(ufrag.clone(), id);
            link.ufrag = ufrag;
            link.forget_sources();
        }
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

    fn tick(&mut self, now: Instant) {
        let replan = std::mem::take(&mut self.replan);
        if now >= self.next_plan {
            let elapsed = now.saturating_duration_since(self.last_plan);
            self.tracks.values_mut().for_each(|track| track.read_rates(elapsed));
            self.last_plan = now;
            self.next_plan = now + PLAN_INTERVAL;
            self.plan_layers(now);
            self.next_wishes = now;
        } else if !replan.is_empty() {
            for receiver in replan {
                self.plan_receiver(receiver, now);
            }
            self.next_wishes = now;
        }
        if now >= self.next_wishes {
            self.next_wishes = now + WISH_INTERVAL;
            let mut asked = 0;
            for track in self.tracks.values_mut() {
                let count = track.ask_keyframes(&mut self.links, now);
                if count > 0 {
                    self.dirty.push(track.link);
                    asked += count;
                }
            }
            self.counters.keyframe_requests.add(asked);
        }
        if now >= self.next_levels {
            self.next_levels = now + WINDOW;
            self.read_levels();
        }
        if now >= self.next_quality {
            self.next_quality = now + QUALITY_INTERVAL;
            self.read_quality(now);
        }
        if now >= self.next_silence {
            self.next_silence = now + Duration::from_secs(1);
            self.counters.tracks.set(self.tracks.len() as u64);
            self.counters.subscriptions.set(self.tracks.values().map(|track| track.legs.len() as u64).sum());
            self.notice_silence(now);
        }
    }

    /// Tells of whom nothing is heard any more, and who is heard again.
    fn notice_silence(&mut self, now: Instant) {
        let limit = Duration::from_secs(self.limits.silence_timeout_secs);
        let is_silent = |link: &Link| link.connected && now.saturating_duration_since(link.heard) > limit;
        let silent: HashSet<PeerId> = self.links.iter().filter(|(_, l)| is_silent(l)).map(|(id, _)| id.peer).collect();
        let mut news = Vec::new();
        for (&peer, known) in &mut self.peers {
            let is_silent = silent.contains(&peer);
            if std::mem::replace(&mut known.silent, is_silent) != is_silent {
                news.push(if is_silent { MediaEvent::Silent { peer } } else { MediaEvent::Heard { peer } });
            }
        }
        news.into_iter().for_each(|event| self.tell(event));
    }

    fn read_quality(&mut self, now: Instant) {
        let mut figures: HashMap<PeerId, LinkFigures> = HashMap::new();
        for (id, link) in self.links.iter().filter(|(_, link)| link.connected) {
            let entry = figures.entry(id.peer).or_default();
            entry.loss = entry.loss.max(link.loss);
            entry.rtt_ms = entry.rtt_ms.max(link.rtt.map_or(0.0, |rtt| rtt.as_secs_f32() * 1000.0));
            entry.shortage = entry.shortage.max(link.shortage);
            entry.silent |= now.saturating_duration_since(link.heard) > QUIET;
        }
        let connected = figures.len().max(1) as f32;
        let mean = |of: fn(&LinkFigures) -> f32| figures.values().map(of).sum::<f32>() / connected;
        self.counters.loss_ppm.set((mean(|f| f.loss) * 1e6) as u64);
        self.counters.rtt_us.set((mean(|f| f.rtt_ms) * 1e3) as u64);
        for (peer, figures) in figures {
            self.tell(MediaEvent::Quality { peer, figures });
        }
    }

    fn read_levels(&mut self) {
        let mut levels = Vec::new();
        for (id, track) in self.tracks.iter_mut().filter(|(_, track)| !track.video) {
            let level = track.level.read();
            if level > 0.0 || track.reported > 0.0 {
                levels.push((*id, level));
            }
            track.reported = level;
        }
        if !levels.is_empty() {
            self.tell(MediaEvent::Levels(levels));
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
