//! The call flow for developers: a thin, checked layer over [`EngineHandle`], in the words of the documented flow. Runs
//! on the caller's thread and never waits; what comes of a wish is told by events.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::requirements::{Requirement, check_system_requirements};
use super::stream::{PublishOptions, Stream};
use super::{EngineConfig, invitation, login};
use crate::bridge::{
    DataMessage, EngineHandle, EventEnvelope, HostCommand, InvitationRequest, LoginRequest, PlayQuality, PoseBoard,
    PublishRequest, RoomCommand, RoomEvent,
};
use crate::media::audio::AudioOutput;
use crate::media::{AudioSource, VideoSource};
use crate::model::quality::EngineSnapshot;
use crate::model::sound::SoundScene;
use crate::model::{CallError, ErrorCode, MediaKind, RoomId, RoomState, StreamId, UserId};
use crate::protocol::token;

/// Who logs in: as the token says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user id: the identity in the token, under 64 bytes.
    pub id: String,
    /// The name others see, under 256 bytes: the name in the token; empty takes that.
    pub name: String,
}

impl User {
    /// A user who is called as the token says.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), name: String::new() }
    }
}

/// How a room is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomConfig {
    /// Play every stream as it is announced.
    pub auto_play: bool,
}

impl Default for RoomConfig {
    fn default() -> Self {
        Self { auto_play: true }
    }
}

/// The call engine. Dropping it leaves the room and ends it, within a bounded time.
///
/// ```no_run
/// use rotunda::bridge::RoomEvent;
/// use rotunda::client::{Engine, EngineConfig, PublishOptions, RoomConfig, Stream, User};
/// use rotunda::media::capture::SpeechSource;
/// use rotunda::model::RoomState;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let token = String::new();
/// let mut engine = Engine::new("devkey", ["ws://127.0.0.1:7880"], EngineConfig::named("bot"))?;
/// for requirement in engine.check_system_requirements() {
///     println!("{requirement}");
/// }
/// engine.login_room("hall", &token, &User::new("bot-1"), RoomConfig::default())?;
/// loop {
///     let Some(told) = engine.try_event() else {
///         std::thread::sleep(std::time::Duration::from_millis(20));
///         continue;
///     };
///     match told.event {
///         RoomEvent::StateChanged { state: RoomState::Connected, .. } => {
///             let voice = Stream::sound(SpeechSource::new(7));
///             engine.start_publishing("bot-voice", voice, PublishOptions::default())?;
///         }
///         RoomEvent::StateChanged { state: RoomState::Disconnected, .. } => break,
///         RoomEvent::ChatReceived { from, text, .. } => println!("{from}: {text}"),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Engine {
    app_id: String,
    servers: Vec<String>,
    handle: EngineHandle,
    /// The room that was asked for last, as people call it, until its end was told.
    room: Option<String>,
}

impl Engine {
    /// Starts an engine for an app, which is an API key of its servers. The servers are `ws://` or `wss://` URLs and
    /// are tried in this order at every login.
    ///
    /// # Errors
    /// [`CallError`] when the app id is empty, an address is none, or the system lets no engine start.
    pub fn new(
        app_id: impl Into<String>,
        servers: impl IntoIterator<Item = impl Into<String>>,
        config: EngineConfig,
    ) -> Result<Self, CallError> {
        let (app_id, servers) = (app_id.into(), servers.into_iter().map(Into::into).collect::<Vec<_>>());
        if app_id.is_empty() {
            return Err(CallError::new(ErrorCode::NotStarted, "the app id is empty: give an API key of the server"));
        }
        login::check_servers(&servers)?;
        let handle = super::start(config).map_err(|error| CallError::new(ErrorCode::NotStarted, error.to_string()))?;
        Ok(Self { app_id, servers, handle, room: None })
    }

    /// What works on this machine, each with a reason. May take some seconds: it opens a camera and asks the sound system.
    pub fn check_system_requirements(&self) -> Vec<Requirement> {
        check_system_requirements()
    }

    /// Enters a room.
    ///
    /// # Errors
    /// [`CallError`] when an id breaks its rules, the token is not this app's, user's and room's, or has expired, or
    /// when the engine is in a room already.
    pub fn login_room(&mut self, room: &str, token: &str, user: &User, config: RoomConfig) -> Result<(), CallError> {
        let room = RoomId::new(room)?;
        UserId::new(user.id.as_str())?;
        login::check_name(&user.name)?;
        self.check_free()?;
        let claims = token::peek(token).map_err(login::token_error)?;
        claims.check_app(&self.app_id).map_err(login::token_error)?;
        claims.check_identity(&user.id).map_err(login::token_error)?;
        if !user.name.is_empty() && user.name != claims.name {
            let message = format!("the token names {:?}, not {:?}: ask for one with this name", claims.name, user.name);
            return Err(CallError::new(ErrorCode::TokenOfOtherUser, message));
        }
        let request = LoginRequest {
            servers: self.servers.clone(),
            room: room.clone(),
            token: token.to_owned(),
            auto_play: config.auto_play,
            first_quality: None,
        };
        login::check(&request)?;
        self.ask(RoomCommand::Login(request))?;
        self.room = Some(room.into());
        Ok(())
    }

    /// Enters the room that a link leads to, as a user who is called so; app and servers are the link's.
    ///
    /// # Errors
    /// [`CallError`] when this is no link or no name, or when the engine is in a room already.
    pub fn accept_invitation(&mut self, link: &str, name: &str, config: RoomConfig) -> Result<(), CallError> {
        let (link, name) = (link.to_owned(), name.to_owned());
        let request = InvitationRequest { link, name, auto_play: config.auto_play, first_quality: None };
        invitation::check(&request)?;
        self.check_free()?;
        self.ask(RoomCommand::AcceptInvitation(request))?;
        self.room = Some("the room of an invitation".to_owned());
        Ok(())
    }

    /// Leaves the room and ends everything in it. Leaving no room is no fault.
    ///
    /// # Errors
    /// [`CallError`] when the engine is busy or gone, as with every wish below.
    pub fn logout_room(&mut self) -> Result<(), CallError> {
        self.ask(RoomCommand::Logout)
    }

    /// Renews the token of the present login.
    ///
    /// # Errors
    /// [`CallError`] when the token was made for another app, or cannot be read.
    pub fn renew_token(&self, token: &str) -> Result<(), CallError> {
        let claims = token::peek(token).map_err(login::token_error)?;
        claims.check_app(&self.app_id).map_err(login::token_error)?;
        self.ask(RoomCommand::RenewToken(token.to_owned()))
    }

    /// Publishes a stream under an id that is unique in the room.
    ///
    /// # Errors
    /// [`CallError`] when the id breaks its rules or the extra info is too long.
    pub fn start_publishing(&self, stream_id: &str, stream: Stream, options: PublishOptions) -> Result<(), CallError> {
        let request: PublishRequest = stream.into_request(StreamId::new(stream_id)?, options)?;
        self.ask(RoomCommand::PublishStream(request))
    }

    /// Stops publishing a stream and lets its sources go, which ends them: the documented flow's stop and destroy.
    ///
    /// # Errors
    /// [`CallError`] when the id breaks its rules.
    pub fn stop_publishing(&self, stream_id: &str) -> Result<(), CallError> {
        self.ask(RoomCommand::StopPublishing(StreamId::new(stream_id)?))
    }

    /// Mutes or unmutes the picture or the sound of an own stream. The source of a muted picture rests: a camera is let
    /// go, and opened again when it is unmuted.
    ///
    /// # Errors
    /// [`CallError`] when the id breaks its rules.
    pub fn set_muted(&self, stream_id: &str, kind: MediaKind, muted: bool) -> Result<(), CallError> {
        self.ask(RoomCommand::SetMuted { stream: StreamId::new(stream_id)?, kind, muted })
    }

    /// Changes what stands beside an own stream, at most 1023 bytes, for everyone and for those who come later.
    ///
    /// # Errors
    /// [`CallError`] when the id breaks its rules or the extra info is too long.
    pub fn set_extra_info(&self, stream_id: &str, extra_info: &str) -> Result<(), CallError> {
        super::call::check_extra_info(extra_info)?;
        let (stream, extra_info) = (StreamId::new(stream_id)?, extra_info.to_owned());
        self.ask(RoomCommand::SetExtraInfo { stream, extra_info })
    }

    /// Changes the room's metadata for everyone and for those who come later, at most 64 000 bytes; hosts may.
    /// [`RoomEvent::RoomChanged`] tells the result.
    ///
    /// # Errors
    /// [`CallError`] when the engine is too busy to take it.
    pub fn set_room_metadata(&self, metadata: &str) -> Result<(), CallError> {
        self.ask(RoomCommand::SetRoomMetadata(metadata.to_owned()))
    }

    /// Keeps order in the room: mutes, ends shares, puts people out; for hosts. What comes of it is told to everyone by
    /// events; what is refused, by [`RoomEvent::CommandFailed`].
    ///
    /// # Errors
    /// [`CallError`] when the engine is busy or gone.
    pub fn keep_order(&self, command: HostCommand) -> Result<(), CallError> {
        self.ask(RoomCommand::Host(command))
    }

    /// Sets own participant attributes, for everyone and for those who come later; an empty value deletes one.
    ///
    /// # Errors
    /// [`CallError`] when the engine is busy or gone; what is too long or not allowed is told by an event.
    pub fn set_attributes(&self, changes: BTreeMap<String, String>) -> Result<(), CallError> {
        self.ask(RoomCommand::SetAttributes(changes))
    }

    /// Where everyone is in the hall, this client included.
    pub fn poses(&self) -> &PoseBoard {
        self.handle.poses()
    }

    /// Lets another source feed the picture of an own stream.
    ///
    /// # Errors
    /// [`CallError`] when the id breaks its rules.
    pub fn switch_video(&self, stream_id: &str, source: impl VideoSource + 'static) -> Result<(), CallError> {
        self.ask(RoomCommand::SwitchVideo { stream: StreamId::new(stream_id)?, source: Box::new(source) })
    }

    /// Lets another source feed the sound of an own stream.
    ///
    /// # Errors
    /// [`CallError`] when the id breaks its rules.
    pub fn switch_audio(&self, stream_id: &str, source: impl AudioSource + 'static) -> Result<(), CallError> {
        self.ask(RoomCommand::SwitchAudio { stream: StreamId::new(stream_id)?, source: Box::new(source) })
    }

    /// Plays what is received on another loudspeaker, in a room or not. [`RoomEvent::SpeakerChanged`] tells what came of it.
    ///
    /// # Errors
    /// [`CallError`] when the engine is too busy to take it.
    pub fn switch_speaker(&self, output: AudioOutput) -> Result<(), CallError> {
        self.ask(RoomCommand::SwitchSpeaker(output))
    }

    /// Plays a stream of the room.
    ///
    /// # Errors
    /// [`CallError`] when the id breaks its rules.
    pub fn start_playing(&self, stream_id: &str) -> Result<(), CallError> {
        self.ask(RoomCommand::StartPlaying(StreamId::new(stream_id)?))
    }

    /// Stops playing a stream.
    ///
    /// # Errors
    /// [`CallError`] when the id breaks its rules.
    pub fn stop_playing(&self, stream_id: &str) -> Result<(), CallError> {
        self.ask(RoomCommand::StopPlaying(StreamId::new(stream_id)?))
    }

    /// Says which size of a played picture is wanted.
    ///
    /// # Errors
    /// [`CallError`] when the id breaks its rules.
    pub fn set_play_quality(&self, stream_id: &str, quality: PlayQuality) -> Result<(), CallError> {
        self.ask(RoomCommand::SetPlayQuality { stream: StreamId::new(stream_id)?, quality })
    }

    /// Writes to everyone, reliably: 1 to 1024 bytes.
    ///
    /// # Errors
    /// [`CallError`] when the engine is busy or gone; a message that is too long or too fast is told by an event.
    pub fn send_broadcast_message(&self, text: &str) -> Result<(), CallError> {
        self.ask(RoomCommand::SendChat(text.to_owned()))
    }

    /// Writes a remark that floats by and may be lost: 1 to 1024 bytes.
    ///
    /// # Errors
    /// See [`Engine::send_broadcast_message`].
    pub fn send_barrage_message(&self, text: &str) -> Result<(), CallError> {
        self.ask(RoomCommand::SendBarrage(text.to_owned()))
    }

    /// Sends a command of the application's own to these users, or to everyone when there are none: 1 to 1024 bytes.
    ///
    /// # Errors
    /// [`CallError`] when a user id breaks its rules; see [`Engine::send_broadcast_message`].
    pub fn send_custom_command(&self, content: &str, to: &[&str]) -> Result<(), CallError> {
        let to = to.iter().map(|user| UserId::new(*user)).collect::<Result<Vec<_>, _>>()?;
        self.ask(RoomCommand::SendCustom { to, content: content.to_owned() })
    }

    /// Sends a data packet.
    ///
    /// # Errors
    /// See [`Engine::send_broadcast_message`].
    pub fn send_data(&self, message: DataMessage) -> Result<(), CallError> {
        self.ask(RoomCommand::SendData(message))
    }

    /// The next event, without waiting; `None` when there is none now.
    pub fn try_event(&mut self) -> Option<EventEnvelope> {
        let told = self.handle.try_event()?;
        Some(self.noted(told))
    }

    /// The next event, waiting for it; `None` when the engine has ended.
    pub async fn event(&mut self) -> Option<EventEnvelope> {
        let told = self.handle.event().await?;
        Some(self.noted(told))
    }

    /// The newest figures.
    pub fn snapshot(&self) -> Arc<EngineSnapshot> {
        self.handle.snapshot()
    }

    /// Says where voices are to be heard from, and by whom: [`EngineHandle::publish_sound`].
    pub fn publish_sound(&self, scene: SoundScene) {
        self.handle.publish_sound(scene);
    }

    /// The bridge itself, for the room's plugins.
    pub fn into_handle(self) -> EngineHandle {
        self.handle
    }

    fn noted(&mut self, told: EventEnvelope) -> EventEnvelope {
        if let RoomEvent::StateChanged { state: RoomState::Disconnected, .. } = &told.event {
            self.room = None;
        }
        told
    }

    fn check_free(&self) -> Result<(), CallError> {
        let Some(present) = &self.room else { return Ok(()) };
        let message = format!("this engine is in {present}: leave it first (logout_room)");
        Err(CallError::new(ErrorCode::TooManyRooms, message))
    }

    fn ask(&self, command: RoomCommand) -> Result<(), CallError> {
        Ok(self.handle.send(command)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::engine::unix_now;
    use crate::media::capture::SpeechSource;
    use crate::protocol::token::{TokenRequest, issue};

    fn engine() -> Engine {
        Engine::new("devkey", ["ws://127.0.0.1:9"], EngineConfig::named("facade")).unwrap()
    }

    fn token(change: impl FnOnce(&mut TokenRequest)) -> String {
        let mut request =
            TokenRequest { name: "Ann".into(), ..TokenRequest::member("devkey", "secret", "hall", "ann") };
        change(&mut request);
        issue(&request, unix_now().as_secs()).unwrap()
    }

    #[test]
    fn an_engine_needs_an_app_and_servers() {
        let code = |app: &str, servers: &[&str]| {
            Engine::new(app, servers.to_vec(), EngineConfig::named("facade")).unwrap_err().code.number()
        };
        assert_eq!(code("", &["ws://127.0.0.1:9"]), 1_000_001);
        assert_eq!(code("devkey", &[]), 1_002_030);
        assert_eq!(code("devkey", &["http://127.0.0.1"]), 1_002_030);
    }

    #[test]
    fn logins_are_checked_before_anything_is_sent() {
        let mut engine = engine();
        let mut code = |room: &str, token: String, user: &str, name: &str| {
            let user = User { id: user.into(), name: name.into() };
            engine.login_room(room, &token, &user, RoomConfig::default()).unwrap_err().code.number()
        };
        assert_eq!(code("", token(|_| {}), "ann", ""), 1_002_011);
        assert_eq!(code("a b", token(|_| {}), "ann", ""), 1_002_013);
        assert_eq!(code("hall", token(|_| {}), "", ""), 1_002_005);
        assert_eq!(code("hall", token(|_| {}), &"x".repeat(64), ""), 1_002_007);
        assert_eq!(code("hall", token(|_| {}), "ann", &"x".repeat(256)), 1_002_010);
        assert_eq!(code("hall", String::new(), "ann", ""), 1_002_067);
        assert_eq!(code("hall", "x".into(), "ann", ""), 1_002_074);
        assert_eq!(code("hall", token(|request| request.api_key = "other".into()), "ann", ""), 1_002_075);
        assert_eq!(code("hall", token(|_| {}), "bob", ""), 1_002_076);
        assert_eq!(code("hall", token(|_| {}), "ann", "Bob"), 1_002_076);
        assert_eq!(code("attic", token(|_| {}), "ann", ""), 1_002_077);
        let user = User { id: "ann".into(), name: "Ann".into() };
        engine.login_room("hall", &token(|_| {}), &user, RoomConfig::default()).unwrap();
        let second = engine.login_room("hall", &token(|_| {}), &user, RoomConfig::default()).unwrap_err();
        assert_eq!(second.code.number(), 1_002_001, "one room at a time");
    }

    #[test]
    fn invitations_are_checked_before_anything_is_sent() {
        let mut engine = engine();
        let mut code = |link: &str, name: &str| {
            engine.accept_invitation(link, name, RoomConfig::default()).unwrap_err().code.number()
        };
        assert_eq!(code("ws://127.0.0.1:9", "Ann"), 1_002_030);
        assert_eq!(code("http://127.0.0.1:9/join/hall?code=x", ""), 1_002_005);
        assert_eq!(code("http://127.0.0.1:9/join/hall?code=x", &"x".repeat(256)), 1_002_010);
        let mut again =
            || engine.accept_invitation("http://127.0.0.1:9/join/hall?code=x", "Ann", RoomConfig::default());
        again().unwrap();
        assert_eq!(again().unwrap_err().code.number(), 1_002_001, "one room at a time");
    }

    #[test]
    fn ids_and_extra_info_are_checked_at_once() {
        let engine = engine();
        let voice = || Stream::sound(SpeechSource::new(1));
        let code = |id: &str, options| engine.start_publishing(id, voice(), options).unwrap_err().code.number();
        assert_eq!(code("", PublishOptions::default()), 1_003_029);
        assert_eq!(code("a b", PublishOptions::default()), 1_003_029);
        let long = PublishOptions { extra_info: "x".repeat(1024), ..PublishOptions::default() };
        assert_eq!(code("voice", long), 1_003_051);
        assert_eq!(engine.set_extra_info("voice", &"x".repeat(1024)).unwrap_err().code.number(), 1_003_051);
        assert_eq!(engine.start_playing(&"x".repeat(257)).unwrap_err().code.number(), 1_003_029);
        assert_eq!(engine.send_custom_command("x", &[""]).unwrap_err().code.number(), 1_002_005);
        assert_eq!(engine.renew_token("").unwrap_err().code.number(), 1_002_067);
    }
}
