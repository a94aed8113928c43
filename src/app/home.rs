//! The application as people start it: the lobby, a room, the lobby again. Carries out what is wished in the lobby, and
//! publishes camera and microphone once inside. Main thread; servers are started and stopped on others.

use std::path::PathBuf;
use std::time::Duration;

use bevy::platform::cell::SyncCell;
use bevy::prelude::*;
use bevy::tasks::{IoTaskPool, Task, block_on, poll_once};

use super::link::LinkAddress;
use super::opening::{self, OpenError, Opened, open_room};
use super::{AppError, RoomLook, SettingsFile, View};
use crate::bridge::{
    AudioOptions, EngineHandle, InvitationRequest, PublishRequest, RoomCommand, RoomEvent, StartsMuted, VideoOptions,
};
use crate::model::{
    CallError, ErrorCode, RoomId, RoomState, RoomStateReason, StreamId, StreamKind, UserId, UserInfo, VideoCodec,
};
use crate::protocol::invitation;
use crate::protocol::token::{self, TokenError, TokenRequest};
use crate::server::ServerHandle;
use crate::space::devices::{CameraQuality, DeviceChoice, OwnSources};
use crate::space::fetch::FIRST_QUALITY;
use crate::space::layout::RoomLayout;
use crate::space::picture::{PictureRequest, PictureTaken};
use crate::space::ui::{
    CancelEntering, EnterRoom, LeaveRequested, Lobby, LobbyTrouble, OwnMedia, Pass, RecentRoom, RoomIsHere, RoomLink,
    Sending, Way, WayIn,
};
use crate::space::view::Walker;
use crate::space::{EngineEvent, Outbox, host};

/// How long the last picture may take before the app ends without it.
const PICTURE_WITHIN_SECS: f32 = 10.0;

/// The application with its lobby.
pub struct Home {
    /// Window or picture.
    pub view: View,
    /// What it looks like.
    pub look: RoomLook,
    /// The engine, started.
    pub engine: EngineHandle,
    /// What is sent, other than what the devices give.
    pub sources: Option<OwnSources>,
    /// The name others see, other than as it was left.
    pub name: Option<String>,
    /// A link to go in by.
    pub link: Option<String>,
    /// The port of rooms that are opened here.
    pub port: Option<u16>,
    /// Ends after this long.
    pub limit: Option<Duration>,
    /// Where the last picture goes: a folder that exists.
    pub out: Option<PathBuf>,
    /// Where what is chosen is kept; nowhere when `None`.
    pub settings: Option<SettingsFile>,
}

/// A new room is called so until somebody says otherwise.
const ROOM: &str = "rotunda";

impl Home {
    /// Runs until the window is closed or the time is up.
    ///
    /// # Errors
    /// [`AppError`] when there is nothing to draw with.
    pub fn run(self) -> Result<(), AppError> {
        host::check_gpu()?;
        let mut app = self.look.build(self.view, "Rotunda", self.engine, (self.settings, self.name));
        app.insert_resource(House { port: self.port, ..House::default() })
            .insert_resource(Ending { limit: self.limit, out: self.out, ..Ending::default() })
            .add_systems(Startup, choose_speaker)
            .add_systems(Update, (remember_muted, enter, finish_opening, cancel, follow, end).chain());
        if let Some(sources) = self.sources {
            app.insert_resource(sources);
        }
        let mut lobby = app.world_mut().resource_mut::<Lobby>();
        lobby.open = true;
        lobby.room = lobby.recent.iter().find(|room| room.link.is_empty()).map_or(ROOM, |room| &room.room).to_owned();
        if let Some(link) = self.link {
            (lobby.way, lobby.link) = (Way::Join, link);
        }
        match app.run() {
            AppExit::Success => Ok(()),
            exit => Err(AppError::Ended(exit)),
        }
    }
}

/// The room one is in, or on the way to.
#[derive(Resource, Default)]
struct House {
    port: Option<u16>,
    opening: Option<Task<Result<Opened, OpenError>>>,
    /// The room is on this computer.
    server: Option<SyncCell<ServerHandle>>,
    /// What was wished, until one is inside.
    way: Option<EnterRoom>,
    /// What leads others in.
    link: Option<String>,
    /// What was turned off in the room.
    off: StartsMuted,
}

impl House {
    /// Ends the server of the room one was in. That takes a moment: it happens beside the frames.
    fn close(&mut self) {
        (self.opening, self.way, self.link) = (None, None, None);
        if let Some(server) = self.server.take() {
            let server = SyncCell::to_inner(server);
            IoTaskPool::get().spawn(async move { server.shutdown() }).detach();
        }
    }
}

/// The loudspeaker that was chosen plays from the start.
fn choose_speaker(choice: Res<DeviceChoice>, mut outbox: ResMut<Outbox>) {
    if choice.speaker.is_some() {
        outbox.push(RoomCommand::SwitchSpeaker(choice.output()));
    }
}

/// Goes where the lobby says.
fn enter(
    mut wishes: MessageReader<EnterRoom>,
    mut house: ResMut<House>,
    mut lobby: ResMut<Lobby>,
    mut outbox: ResMut<Outbox>,
) {
    let Some(wish) = wishes.read().last().cloned() else { return };
    house.close();
    let command = match &wish.way {
        WayIn::Open(room) => {
            let (room, name, port) = (room.clone(), wish.name.clone(), house.port);
            house.opening = Some(IoTaskPool::get().spawn(async move { open_room(&room, &name, port) }));
            house.way = Some(wish);
            return;
        }
        WayIn::Link(link) => Ok(RoomCommand::AcceptInvitation(InvitationRequest {
            link: link.clone(),
            name: wish.name.clone(),
            auto_play: true,
            first_quality: Some(FIRST_QUALITY),
        })),
        WayIn::Server { url, room, pass } => login(url, room.as_ref(), pass, &wish.name),
    };
    match command {
        Ok(command) => {
            outbox.push(command);
            house.way = Some(wish);
        }
        Err(error) => (lobby.entering, lobby.trouble) = (false, Some(LobbyTrouble::Call(error))),
    }
}

/// What enters a server's room. Whoever has its keys is a host there.
fn login(url: &str, room: Option<&RoomId>, pass: &Pass, name: &str) -> Result<RoomCommand, CallError> {
    let malformed = |error: TokenError| CallError::new(ErrorCode::TokenMalformed, error.to_string());
    let (room, token) = match (pass, room) {
        (Pass::Token(token), _) => {
            let named = token::peek(&token.0).map_err(malformed)?.video.room;
            let wrong = |_| CallError::new(ErrorCode::TokenMalformed, "the token names no room: get another one");
            (RoomId::new(named).map_err(wrong)?, token.0.clone())
        }
        (Pass::Keys { key, secret }, Some(room)) => {
            let identity = UserId::of_name(name, rand::random());
            let member = TokenRequest::member(key, &secret.0, room.as_str(), identity.as_str());
            let request = TokenRequest { name: name.to_owned(), admin: true, ..member };
            (room.clone(), token::issue(&request, opening::now_secs()).map_err(malformed)?)
        }
        (Pass::Keys { .. }, None) => {
            return Err(CallError::new(ErrorCode::RoomIdEmpty, "the room's name is missing: write it"));
        }
    };
    Ok(RoomCommand::Login(opening::login(url.to_owned(), room, token)))
}

/// The room that was opened is entered.
fn finish_opening(mut house: ResMut<House>, mut lobby: ResMut<Lobby>, mut outbox: ResMut<Outbox>) {
    let Some(task) = &mut house.bypass_change_detection().opening else { return };
    let Some(opened) = block_on(poll_once(task)) else { return };
    house.opening = None;
    match opened {
        Ok(Opened { server, link, login }) => {
            (house.server, house.link) = (Some(SyncCell::new(server)), link);
            outbox.push(RoomCommand::Login(login));
        }
        Err(error) => {
            warn!(%error, "no room was opened");
            house.close();
            (lobby.entering, lobby.trouble) = (false, Some(LobbyTrouble::CannotOpen(error.to_string())));
        }
    }
}

/// Stays in the lobby after all.
fn cancel(
    mut wishes: MessageReader<CancelEntering>,
    mut house: ResMut<House>,
    mut lobby: ResMut<Lobby>,
    mut outbox: ResMut<Outbox>,
) {
    if wishes.read().count() > 0 && lobby.entering {
        if house.opening.is_none() {
            outbox.push(RoomCommand::Logout);
        }
        house.close();
        lobby.entering = false;
    }
}

/// Follows what is turned off in the room.
fn remember_muted(media: Res<OwnMedia>, mut house: ResMut<House>) {
    let house = house.bypass_change_detection();
    for (state, off) in [(media.camera, &mut house.off.video), (media.microphone, &mut house.off.audio)] {
        if state != Sending::Absent {
            *off = state == Sending::Muted;
        }
    }
    // What a host wished holds in that room.
    house.off.audio &= !media.hushed;
}

/// Everything that sends what is one's own.
type Own<'w> = (Res<'w, OwnSources>, Res<'w, DeviceChoice>, Res<'w, CameraQuality>);

/// In once the engine says so, and out again.
fn follow(
    mut commands: Commands,
    mut events: MessageReader<EngineEvent>,
    own: Own,
    mut house: ResMut<House>,
    (mut lobby, mut link, mut address): (ResMut<Lobby>, ResMut<RoomLink>, ResMut<LinkAddress>),
    mut outbox: ResMut<Outbox>,
    (layout, mut walkers): (Res<RoomLayout>, Query<&mut Walker>),
) {
    for EngineEvent(event) in events.read() {
        let RoomEvent::StateChanged { state, reason, error, me } = event else { continue };
        if let (RoomState::Connected, Some(me)) = (state, me) {
            let Some(wish) = house.way.take() else { continue };
            // As it stands now: it may have been changed on the way.
            let muted = StartsMuted { video: !lobby.camera_on, audio: !lobby.microphone_on };
            outbox.push(RoomCommand::PublishStream(publication(&own, me, muted)));
            (lobby.open, lobby.entering, lobby.trouble) = (false, false, None);
            // Nobody stands in a room where they stood in the one before.
            walkers.iter_mut().for_each(|mut walker| *walker = Walker::at_entrance(&layout));
            let (room, way) = (room_of(&wish), &wish.way);
            link.0 = house.link.take();
            address.0 = None;
            if house.server.is_some() {
                commands.init_resource::<RoomIsHere>();
            }
            match way {
                WayIn::Link(text) => {
                    link.0 = Some(text.clone());
                    lobby.remember(RecentRoom { room, link: text.clone() });
                }
                WayIn::Server { url, .. } => {
                    address.0 = RoomId::new(room.as_str()).ok().and_then(|room| invitation::address(url, &room));
                    lobby.remember(RecentRoom { room, link: url.clone() });
                }
                WayIn::Open(_) => lobby.remember(RecentRoom { room, link: String::new() }),
            }
        }
        // Being replaced by the next login is no way out.
        let leaves = *state == RoomState::Disconnected && !(lobby.entering && *reason == RoomStateReason::LoggedOut);
        if leaves {
            house.close();
            commands.remove_resource::<RoomIsHere>();
            (link.0, address.0) = (None, None);
            (lobby.open, lobby.entering) = (true, false);
            // Whoever turned it off in the room does not find it on.
            let off = std::mem::take(&mut house.off);
            lobby.camera_on &= !off.video;
            lobby.microphone_on &= !off.audio;
            lobby.trouble = error.clone().map(LobbyTrouble::Call);
        }
    }
}

/// What the room is called, as far as one was told.
fn room_of(wish: &EnterRoom) -> String {
    match &wish.way {
        WayIn::Open(room) => room.to_string(),
        WayIn::Link(link) => invitation::room_of(link).map_or_else(String::new, String::from),
        WayIn::Server { room, pass, .. } => match (room, pass) {
            (Some(room), _) => room.to_string(),
            (None, Pass::Token(token)) => {
                token::peek(&token.0).map_or_else(|_| String::new(), |claims| claims.video.room)
            }
            (None, Pass::Keys { .. }) => String::new(),
        },
    }
}

/// The own camera and microphone, muted as was wished.
fn publication((sources, choice, quality): &Own, me: &UserInfo, muted: StartsMuted) -> PublishRequest {
    let options =
        VideoOptions { codec: VideoCodec::default(), max_bitrate_bps: quality.0.max_bitrate_bps, simulcast: true };
    let sound = if sources.are_devices() { AudioOptions::MICROPHONE } else { AudioOptions::PLAIN };
    PublishRequest {
        stream: StreamId::derived(&me.id, "camera"),
        kind: StreamKind::Camera,
        video: Some((sources.camera(choice.camera.as_deref(), quality.format()), options)),
        audio: Some((sources.microphone(choice.microphone.as_deref()), sound)),
        extra_info: String::new(),
        muted,
    }
}

/// How the program ends.
#[derive(Resource, Default)]
struct Ending {
    limit: Option<Duration>,
    out: Option<PathBuf>,
    /// The last picture is on its way, for so long.
    waiting_secs: Option<f32>,
}

/// Ends when the window was closed or the time is up, after the last picture.
fn end(
    time: Res<Time<Real>>,
    mut leave: MessageReader<LeaveRequested>,
    mut ending: ResMut<Ending>,
    mut requests: MessageWriter<PictureRequest>,
    mut pictures: MessageReader<PictureTaken>,
    mut exit: MessageWriter<AppExit>,
) {
    let closes = leave.read().any(|leave| leave.closes);
    let over = ending.limit.is_some_and(|limit| time.elapsed() >= limit);
    let picture = pictures.read().last();
    let Some(waiting_secs) = &mut ending.waiting_secs else {
        if closes || over && ending.out.is_none() {
            exit.write(AppExit::Success);
        } else if over {
            requests.write(PictureRequest::default());
            ending.waiting_secs = Some(0.0);
        }
        return;
    };
    *waiting_secs += time.delta_secs();
    let late = *waiting_secs > PICTURE_WITHIN_SECS;
    if let (Some(picture), Some(out)) = (picture, &ending.out) {
        let path = out.join("room.png");
        if let Err(error) = super::recording::save(picture, &path) {
            error!(%error, path = %path.display(), "the picture was not written");
        }
    }
    if picture.is_some() || late || closes {
        exit.write(AppExit::Success);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::{EnginePort, engine_channels};
    use crate::space::EngineBridge;
    use crate::space::schedule::SchedulePlugin;
    use crate::space::sync::SyncPlugin;
    use crate::space::view::Posture;

    /// The house with a scripted engine, in the lobby.
    fn house() -> (App, EnginePort) {
        let (handle, port) = engine_channels();
        let mut app = App::new();
        app.add_plugins((MinimalPlugins, SchedulePlugin, SyncPlugin))
            .insert_resource(EngineBridge(handle))
            .insert_resource(Lobby { open: true, ..Lobby::default() })
            .init_resource::<House>()
            .init_resource::<OwnSources>()
            .init_resource::<DeviceChoice>()
            .init_resource::<CameraQuality>()
            .init_resource::<RoomLink>()
            .init_resource::<LinkAddress>()
            .init_resource::<RoomLayout>()
            .add_message::<EnterRoom>()
            .add_message::<CancelEntering>()
            .init_resource::<OwnMedia>()
            .add_systems(Update, (remember_muted, enter, finish_opening, cancel, follow).chain());
        (app, port)
    }

    fn wish(way: WayIn) -> EnterRoom {
        EnterRoom { name: "Ann".into(), way, camera_on: false, microphone_on: true }
    }

    fn tell(app: &mut App, state: RoomState, reason: RoomStateReason, error: Option<CallError>) {
        let me = (state == RoomState::Connected).then(|| UserInfo {
            id: UserId::new("ann").unwrap(),
            name: "Ann".into(),
            sid: String::new(),
            joined_at_ms: 0,
            attributes: default(),
            metadata: String::new(),
        });
        app.world_mut().write_message(EngineEvent(RoomEvent::StateChanged { state, reason, error, me }));
        app.update();
    }

    fn go(app: &mut App, way: WayIn) {
        app.world_mut().resource_mut::<Lobby>().entering = true;
        app.world_mut().write_message(wish(way));
        app.update();
    }

    #[test]
    fn a_link_leads_in_and_leaving_leads_back() {
        let (mut app, mut port) = house();
        let link = "http://192.0.2.7:7880/join/team?code=0123456789abcdef".to_owned();
        go(&mut app, WayIn::Link(link.clone()));
        assert!(matches!(port.commands.try_recv(), Ok(RoomCommand::AcceptInvitation(asked)) if asked.link == link));
        // On the way in the microphone is turned on after all.
        app.world_mut().resource_mut::<Lobby>().microphone_on = true;
        let mut away = Walker::looking_at(Vec3::ZERO, Vec3::X);
        away.posture = Posture::Standing;
        let walker = app.world_mut().spawn(away).id();
        tell(&mut app, RoomState::Connected, RoomStateReason::LoggedIn, None);
        let walker = app.world().get::<Walker>(walker).unwrap();
        let entrance = RoomLayout::built_in().entrance.at;
        assert!(walker.posture == Posture::Seated && walker.ground == entrance, "wherever one walked before");
        let lobby = app.world().resource::<Lobby>();
        assert!(!lobby.open && !lobby.entering);
        assert_eq!(lobby.recent, [RecentRoom { room: "team".into(), link: link.clone() }]);
        assert_eq!(app.world().resource::<RoomLink>().0, Some(link));
        assert!(app.world().get_resource::<RoomIsHere>().is_none());
        let Ok(RoomCommand::PublishStream(sent)) = port.commands.try_recv() else { panic!("nothing is sent") };
        assert_eq!(sent.muted, StartsMuted { video: true, audio: false }, "as it stands in the lobby");
        // A connection that comes back publishes nothing again.
        tell(&mut app, RoomState::Connected, RoomStateReason::Reconnected, None);
        assert!(port.commands.try_recv().is_err());
        app.world_mut().resource_mut::<OwnMedia>().microphone = Sending::Muted;
        let kicked = CallError::new(ErrorCode::KickedByHost, "a host removed you");
        tell(&mut app, RoomState::Disconnected, RoomStateReason::KickedOut, Some(kicked.clone()));
        let lobby = app.world().resource::<Lobby>();
        assert!(lobby.open && lobby.trouble == Some(LobbyTrouble::Call(kicked)));
        assert!(!lobby.microphone_on, "it was muted in the room");
        assert_eq!(app.world().resource::<RoomLink>().0, None);
    }

    #[test]
    fn what_does_not_work_out_is_said_in_the_lobby() {
        let (mut app, mut port) = house();
        let url = "wss://rooms.example.org".to_owned();
        let pass = Pass::Token(crate::space::ui::Secret("no token".into()));
        go(&mut app, WayIn::Server { url: url.clone(), room: None, pass });
        let lobby = app.world().resource::<Lobby>();
        assert!(
            !lobby.entering
                && matches!(&lobby.trouble, Some(LobbyTrouble::Call(e)) if e.code == ErrorCode::TokenMalformed)
        );
        let pass = Pass::Keys { key: "key".into(), secret: crate::space::ui::Secret("secret".into()) };
        go(&mut app, WayIn::Server { url, room: Some(RoomId::new("hall").unwrap()), pass });
        let Ok(RoomCommand::Login(login)) = port.commands.try_recv() else { panic!("no login") };
        let claims = token::peek(&login.token).unwrap();
        assert!(claims.video.room_admin && claims.video.room == "hall" && claims.name == "Ann");
        let error = CallError::new(ErrorCode::ConnectFailed, "nobody answers");
        tell(&mut app, RoomState::Disconnected, RoomStateReason::LoginFailed, Some(error.clone()));
        let lobby = app.world().resource::<Lobby>();
        assert!(lobby.open && !lobby.entering && lobby.trouble == Some(LobbyTrouble::Call(error)));
    }

    #[test]
    fn a_room_of_ones_own_is_opened_entered_and_ended() {
        let (mut app, mut port) = house();
        go(&mut app, WayIn::Open(RoomId::new("team").unwrap()));
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        let login = loop {
            match port.commands.try_recv() {
                Ok(RoomCommand::Login(login)) => break login,
                _ => assert!(std::time::Instant::now() < deadline, "no room is opened"),
            }
            app.update();
            std::thread::sleep(Duration::from_millis(5));
        };
        let listens = || {
            let address = login.servers[0].trim_start_matches("ws://").to_owned();
            std::net::TcpStream::connect(address).is_ok()
        };
        assert!(listens());
        tell(&mut app, RoomState::Connected, RoomStateReason::LoggedIn, None);
        let link = app.world().resource::<RoomLink>().0.clone().unwrap();
        assert!(link.contains("/join/team?code="), "{link}");
        assert!(app.world().get_resource::<RoomIsHere>().is_some());
        tell(&mut app, RoomState::Disconnected, RoomStateReason::LoggedOut, None);
        assert!(app.world().get_resource::<RoomIsHere>().is_none());
        while listens() {
            assert!(std::time::Instant::now() < deadline, "the server goes on");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn whoever_does_not_want_to_wait_stays_in_the_lobby() {
        let (mut app, mut port) = house();
        go(&mut app, WayIn::Link("http://192.0.2.7/join/team?code=0123456789abcdef".into()));
        assert!(matches!(port.commands.try_recv(), Ok(RoomCommand::AcceptInvitation(_))));
        app.world_mut().write_message(CancelEntering);
        app.update();
        assert!(matches!(port.commands.try_recv(), Ok(RoomCommand::Logout)));
        tell(&mut app, RoomState::Disconnected, RoomStateReason::LoggedOut, None);
        let lobby = app.world().resource::<Lobby>();
        assert!(lobby.open && !lobby.entering && lobby.trouble.is_none());
    }
}
