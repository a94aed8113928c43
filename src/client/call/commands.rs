//! What the application asks for.

use super::reconnect::reconnecting;
use super::{Call, CallEnd, Flow, LinkEnd};
use crate::bridge::{Entry, RoomCommand, RoomEvent};
use crate::client::link::Link;

impl Call<'_> {
    /// Carries a command out, or says why not; `None` means that the application is gone.
    pub(super) async fn command(&mut self, link: &mut Link, command: Option<RoomCommand>) -> Flow {
        let Some(command) = command else { return Err(LinkEnd::Leave(CallEnd::Stopped)) };
        let ends = matches!(command, RoomCommand::Login(_) | RoomCommand::AcceptInvitation(_) | RoomCommand::Logout);
        if link.is_full() && !ends {
            self.tell(RoomEvent::refused(command, reconnecting())).await;
            return Ok(());
        }
        match command {
            RoomCommand::Login(request) => return Err(LinkEnd::Leave(CallEnd::Enter(Entry::Login(request)))),
            RoomCommand::AcceptInvitation(request) => {
                return Err(LinkEnd::Leave(CallEnd::Enter(Entry::Invitation(request))));
            }
            RoomCommand::Logout => return Err(LinkEnd::Leave(CallEnd::Left)),
            RoomCommand::PublishStream(request) => return self.publish(link, request).await,
            RoomCommand::StopPublishing(stream) => return self.stop_publishing(link, &stream).await,
            RoomCommand::SetMuted { stream, kind, muted } => self.set_muted(link, &stream, kind, muted).await,
            RoomCommand::StartPlaying(stream) => self.start_playing(link, stream).await,
            RoomCommand::StopPlaying(stream) => self.stop_playing(link, &stream).await,
            RoomCommand::SetPlayQuality { stream, quality } => self.set_play_quality(link, &stream, quality).await,
            RoomCommand::SendData(message) => self.send_data(link, message).await,
            RoomCommand::SendChat(text) => self.send_chat(link, text).await,
            RoomCommand::SwitchVideo { stream, source } => self.switch_video(&stream, source).await,
            RoomCommand::SwitchAudio { stream, source } => self.switch_audio(&stream, source).await,
            RoomCommand::SwitchSpeaker(output) => self.switch_speaker(output).await,
            RoomCommand::SendBarrage(text) => self.send_barrage(link, text).await,
            RoomCommand::SendCustom { to, content } => self.send_custom(link, &to, content).await,
            RoomCommand::SetExtraInfo { stream, extra_info } => {
                self.set_extra_info(&stream, extra_info).await;
                self.sync_notes(link).await;
            }
            RoomCommand::SetRoomMetadata(metadata) => self.set_room_metadata(link, metadata).await,
            RoomCommand::Host(command) => self.keep_order(link, command).await,
            RoomCommand::SetAttributes(changes) => {
                self.set_attributes(changes).await;
                self.sync_attributes(link).await;
            }
            RoomCommand::RenewToken(token) => self.renew_token(token).await,
        }
        Ok(())
    }
}
