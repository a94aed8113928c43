//! A small whole participant for tests of the server's media: signalling, and one WebRTC connection (v1) without
//! decoders, over UDP or TCP, with seeded loss where a test wants it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use livekit_protocol::signal_response::Message as Answer;
use livekit_protocol::{
    AddTrackRequest, DataPacket, JoinRequest, JoinResponse, SessionDescription, SimulcastCodec, SubscriptionResponse,
    TrackSource, TrackType,
};
use prost::Message as _;
use rotunda::server::ServerHandle;
use str0m::change::SdpAnswer;
use str0m::channel::ChannelId;
use str0m::format::Codec;
use str0m::media::{Direction, Frequency, KeyframeRequestKind, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive, TcpType};
use str0m::rtp::{Extension, ExtensionSerializer, ExtensionValues, RtpPacket, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc};

use super::server::{Client, token};
use crate::common::relay::line::Chance;

/// Under this id and name the server knows a header extension; one that fills it with nonsense takes its place.
const VICTIM_ID: u8 = 13;
const VICTIM_URI: &str = "urn:3gpp:video-orientation";
const HOSTILE_URI: &str = "urn:rotunda:hostile";

/// What a participant is like.
#[derive(Clone, Copy)]
pub struct Setup {
    /// Publishes (`SendOnly`) or receives (`RecvOnly`).
    pub direction: Direction,
    /// What it publishes, and for H.264 all that it takes.
    pub codec: Codec,
    /// Has a stream for packets that are sent again (VP8 only).
    pub rtx: bool,
    /// Takes redundant sound.
    pub red: bool,
    /// Media goes over TCP.
    pub tcp: bool,
    /// Media packets lost on the way out and in, in percent.
    pub loss_percent: u64,
    /// Its pictures' packets carry header extensions that lie.
    pub hostile: bool,
}

impl Setup {
    pub const PUBLISHER: Self = Self {
        direction: Direction::SendOnly,
        codec: Codec::Vp8,
        rtx: true,
        red: false,
        tcp: false,
        loss_percent: 0,
        hostile: false,
    };
    pub const VIEWER: Self = Self { direction: Direction::RecvOnly, ..Self::PUBLISHER };
}

/// Writes header extensions as no honest client does: too long, of other kinds, with lengths that lie.
#[derive(Debug, Default)]
struct Hostile {
    packets: AtomicU64,
}

impl ExtensionSerializer for Hostile {
    fn write_to(&self, buf: &mut [u8], _: &ExtensionValues) -> usize {
        let packet = self.packets.fetch_add(1, Ordering::Relaxed);
        let mut chance = Chance(packet);
        let length = match packet % 4 {
            // Its length is written in one byte: all but the first few bytes are read as further elements.
            0 => 256 + chance.below(32),
            1 => 255,
            2 => 1 + chance.below(16),
            _ => 0,
        };
        buf[..length].fill_with(|| chance.bits() as u8);
        length
    }

    fn parse_value(&self, _: &[u8], _: &mut ExtensionValues) -> bool {
        true
    }

    fn is_video(&self) -> bool {
        true
    }

    fn is_audio(&self) -> bool {
        false
    }

    fn requires_two_byte_form(&self, _: &ExtensionValues) -> bool {
        true
    }
}

enum Wire {
    Udp(UdpSocket),
    Tcp { stream: TcpStream, incoming: Vec<u8> },
}

pub struct Peer {
    pub client: Client,
    pub join: JoinResponse,
    /// The server's answer to the first offer.
    pub answer: String,
    /// Subscriptions that failed before it.
    pub unserved: Vec<SubscriptionResponse>,
    pub rtc: Rtc,
    setup: Setup,
    wire: Wire,
    local: SocketAddr,
    pub connected: bool,
    pub channel: Option<ChannelId>,
    pub mid: Mid,
    pub packets: Vec<(RtpPacket, Instant)>,
    pub data: Vec<DataPacket>,
    pub keyframe_requests: usize,
    timeout: Instant,
    random: u64,
}

impl Peer {
    /// Joins with one media section, whose offer rides in the join request.
    pub fn join(server: &ServerHandle, identity: &str, setup: Setup) -> Self {
        let sends = setup.direction == Direction::SendOnly;
        let sound = setup.codec == Codec::Opus;
        let (wire, local, candidate) = if setup.tcp {
            let stream = TcpStream::connect(server.rtc_addr()).unwrap();
            stream.set_nodelay(true).unwrap();
            let local = stream.local_addr().unwrap();
            stream.set_nonblocking(true).unwrap();
            let candidate = Candidate::builder().tcp().host(local).tcptype(TcpType::Active).build();
            (Wire::Tcp { stream, incoming: Vec::new() }, local, candidate)
        } else {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            socket.set_nonblocking(true).unwrap();
            let local = socket.local_addr().unwrap();
            (Wire::Udp(socket), local, Candidate::host(local, "udp"))
        };
        let h264 = setup.codec == Codec::H264;
        let mut config = Rtc::builder().set_rtp_mode(true).clear_codecs().enable_opus(true, setup.red);
        config = config.enable_vp8(!h264 && setup.rtx).set_stats_interval(None);
        if !setup.rtx {
            config.codec_config().add_config(
                96.into(),
                None,
                Codec::Vp8,
                Frequency::NINETY_KHZ,
                None,
                Default::default(),
            );
        }
        if h264 {
            config.codec_config().add_h264(102.into(), Some(103.into()), true, 0x42_e01f);
        }
        if setup.hostile {
            let hostile = Extension::with_serializer(HOSTILE_URI, Hostile::default());
            config = config.set_extension(VICTIM_ID, hostile);
        }
        let mut rtc = config.build(Instant::now());
        rtc.add_local_candidate(candidate.unwrap());
        let mut api = rtc.sdp_api();
        let kind = if sound { MediaKind::Audio } else { MediaKind::Video };
        let mid = api.add_media(kind, setup.direction, Some("-".into()), Some("cam".into()), None);
        api.add_channel("_reliable".to_owned());
        let (offer, pending) = api.apply().unwrap();
        let codec = if h264 { "h264" } else { "vp8" }.to_owned();
        let track = AddTrackRequest {
            cid: "cam".into(),
            r#type: if sound { TrackType::Audio } else { TrackType::Video }.into(),
            source: if sound { TrackSource::Microphone } else { TrackSource::Camera }.into(),
            width: 640,
            height: 360,
            simulcast_codecs: vec![SimulcastCodec { codec, cid: "cam".into(), ..Default::default() }],
            ..Default::default()
        };
        let request = JoinRequest {
            add_track_requests: if sends { vec![track] } else { vec![] },
            publisher_offer: Some(SessionDescription {
                r#type: "offer".into(),
                sdp: offer.to_sdp_string().replace(HOSTILE_URI, VICTIM_URI),
                id: 1,
                ..Default::default()
            }),
            ..Default::default()
        };
        let (mut client, join) = Client::join_with(server, &token(identity, |_| {}), request);
        let mut unserved = Vec::new();
        let answer = client.until("an answer", |message| match message {
            Answer::Answer(answer) => Some(answer),
            Answer::SubscriptionResponse(response) => {
                unserved.push(response);
                None
            }
            _ => None,
        });
        let text = if setup.hostile { answer.sdp.replace(VICTIM_URI, HOSTILE_URI) } else { answer.sdp.clone() };
        let parsed = SdpAnswer::from_sdp_string(&text).unwrap();
        rtc.sdp_api().accept_answer(pending, parsed).unwrap();
        Self {
            client,
            join,
            answer: answer.sdp,
            unserved,
            rtc,
            setup,
            wire,
            local,
            connected: false,
            channel: None,
            mid,
            packets: Vec::new(),
            data: Vec::new(),
            keyframe_requests: 0,
            timeout: Instant::now(),
            random: 0x9e37_79b9_7f4a_7c15 ^ u64::from(identity.bytes().fold(0_u32, |sum, b| sum * 31 + u32::from(b))),
        }
    }

    /// Takes in what came and sends what is due.
    pub fn turn(&mut self) {
        let mut buffer = [0; 2000];
        while let Some(len) = self.receive(&mut buffer) {
            let Ok(contents) = buffer[..len.0].try_into() else { continue };
            if self.is_lost(&buffer[..len.0]) {
                continue;
            }
            let receive = Receive { proto: self.protocol(), source: len.1, destination: self.local, contents };
            self.rtc.handle_input(Input::Receive(Instant::now(), receive)).unwrap();
            self.drain();
        }
        if self.timeout <= Instant::now() {
            self.step();
        }
    }

    fn protocol(&self) -> Protocol {
        if self.setup.tcp { Protocol::Tcp } else { Protocol::Udp }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        match &mut self.wire {
            Wire::Udp(socket) => socket.recv_from(buffer).ok(),
            Wire::Tcp { stream, incoming } => {
                let mut chunk = [0; 4096];
                loop {
                    match stream.read(&mut chunk) {
                        Ok(0) => break,
                        Ok(len) => incoming.extend_from_slice(&chunk[..len]),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) => panic!("{error}"),
                    }
                }
                let len = usize::from(u16::from_be_bytes([*incoming.first()?, *incoming.get(1)?]));
                let packet = incoming.get(2..2 + len)?;
                buffer[..len].copy_from_slice(packet);
                incoming.drain(..2 + len);
                Some((len, stream.peer_addr().unwrap()))
            }
        }
    }

    /// Whether the seeded dice lose a packet of media or its reports; what makes the connection always arrives.
    fn is_lost(&mut self, packet: &[u8]) -> bool {
        if self.setup.loss_percent == 0 || !packet.first().is_some_and(|first| (128..=191).contains(first)) {
            return false;
        }
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % 100 < self.setup.loss_percent
    }

    pub fn step(&mut self) {
        self.rtc.handle_input(Input::Timeout(Instant::now())).unwrap();
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(at) => {
                    self.timeout = at;
                    return;
                }
                Output::Transmit(packet) if self.is_lost(&packet.contents) => {}
                Output::Transmit(packet) => match &mut self.wire {
                    Wire::Udp(socket) => drop(socket.send_to(&packet.contents, packet.destination).unwrap()),
                    Wire::Tcp { stream, .. } => {
                        let len = u16::try_from(packet.contents.len()).unwrap();
                        let framed = [&len.to_be_bytes()[..], &packet.contents].concat();
                        stream.write_all(&framed).unwrap();
                    }
                },
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::ChannelOpen(id, _)) => self.channel = Some(id),
                Output::Event(Event::ChannelData(data)) => {
                    self.data.push(DataPacket::decode(data.data.as_slice()).unwrap());
                }
                Output::Event(Event::RtpPacket(packet)) => self.packets.push((packet, Instant::now())),
                Output::Event(Event::KeyframeRequest(request)) => {
                    assert_eq!(request.kind, KeyframeRequestKind::Pli);
                    self.keyframe_requests += 1;
                }
                Output::Event(_) => {}
            }
        }
    }

    /// Sends one picture packet: its own frame, carrying `number`.
    pub fn send(&mut self, number: u32, keyframe: bool) {
        let mut payload = match (self.setup.codec, keyframe) {
            (Codec::H264, true) => vec![0x67, 0x42, 0xe0, 0x1f],
            (Codec::H264, false) => vec![0x41, 0, 0, 0],
            _ => vec![0x10, u8::from(!keyframe), 0, 0],
        };
        payload.extend(number.to_be_bytes());
        payload.resize(900, 0xab);
        self.send_payload(number, number * 3000, payload);
    }

    /// Sends the packet of this number: whatever it carries is a frame.
    pub fn send_payload(&mut self, number: u32, timestamp: u32, payload: Vec<u8>) {
        let codec = self.setup.codec;
        let pt = self.rtc.codec_config().find(|p| p.spec().codec == codec).unwrap().pt();
        self.write(pt, u64::from(number + 7), timestamp, payload, true);
    }

    /// Sends one packet as it is.
    pub fn write(&mut self, pt: Pt, seq: u64, timestamp: u32, payload: Vec<u8>, nackable: bool) {
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(self.mid, None).unwrap();
        let write = RtpWrite::new(pt, seq.into(), timestamp, Instant::now(), payload);
        stream.write_rtp(write.marker(true).nackable(nackable));
        self.step();
    }
}

/// The number a picture packet carries.
pub fn number_of(packet: &RtpPacket) -> u32 {
    u32::from_be_bytes(packet.payload[4..8].try_into().unwrap())
}

/// Lets everyone act until `done`.
pub fn run(peers: &mut [Peer], what: &str, mut done: impl FnMut(&mut [Peer]) -> bool) {
    let patience = Instant::now() + Duration::from_secs(20);
    while !done(peers) {
        assert!(Instant::now() < patience, "{what}: {:?}", peers.iter().map(|p| p.packets.len()).collect::<Vec<_>>());
        peers.iter_mut().for_each(Peer::turn);
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Everyone is connected.
pub fn connect(peers: &mut [Peer]) {
    run(peers, "connecting", |peers| peers.iter().all(|p| p.connected && p.channel.is_some()));
}
