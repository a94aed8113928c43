//! How a room is entered: with a token, or by an invitation.

use std::fmt;

use super::command::{LoginRequest, PlayQuality, RoomCommand};

/// All that an invitation needs.
#[derive(Clone)]
pub struct InvitationRequest {
    /// An `http://` or `https://` address that gives a token: the link that was sent.
    pub link: String,
    /// What the others shall call this user.
    pub name: String,
    /// As in [`LoginRequest`].
    pub auto_play: bool,
    /// As in [`LoginRequest`].
    pub first_quality: Option<PlayQuality>,
}

impl fmt::Debug for InvitationRequest {
    /// Whoever has the link can come in: it is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvitationRequest")
            .field("name", &self.name)
            .field("auto_play", &self.auto_play)
            .field("first_quality", &self.first_quality)
            .finish_non_exhaustive()
    }
}

/// One of the ways into a room.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Entry {
    /// With a token that is at hand.
    Login(LoginRequest),
    /// With a link, which gives one.
    Invitation(InvitationRequest),
}

impl Entry {
    /// The command that enters.
    pub fn into_command(self) -> RoomCommand {
        match self {
            Self::Login(request) => RoomCommand::Login(request),
            Self::Invitation(request) => RoomCommand::AcceptInvitation(request),
        }
    }

    /// The same with what pictures are played in at first.
    #[must_use]
    pub fn with_first_quality(mut self, quality: PlayQuality) -> Self {
        match &mut self {
            Self::Login(request) => request.first_quality = Some(quality),
            Self::Invitation(request) => request.first_quality = Some(quality),
        }
        self
    }
}

impl From<LoginRequest> for Entry {
    fn from(request: LoginRequest) -> Self {
        Self::Login(request)
    }
}

impl From<InvitationRequest> for Entry {
    fn from(request: InvitationRequest) -> Self {
        Self::Invitation(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_out_of_logs() {
        let link = "http://10.0.0.1:7880/join/hall?code=0123456789abcdef".to_owned();
        let request = InvitationRequest { link, name: "Ann".into(), auto_play: true, first_quality: None };
        let text = format!("{:?}", Entry::from(request).into_command());
        assert!(text.contains("Ann") && !text.contains("0123456789abcdef"), "{text}");
    }
}
