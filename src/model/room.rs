//! Where a client stands with its room.

/// Connected to a room, or on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RoomState {
    /// In no room.
    #[default]
    Disconnected,
    /// On the way in, or on the way back.
    Connecting,
    /// In the room.
    Connected,
}

/// Why the state is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RoomStateReason {
    /// A login is under way.
    LoggingIn,
    /// The login succeeded.
    LoggedIn,
    /// The login failed.
    LoginFailed,
    /// The connection broke and is being mended.
    Reconnecting,
    /// The connection is back.
    Reconnected,
    /// The connection could not be mended.
    ReconnectFailed,
    /// The server or a host put this user out.
    KickedOut,
    /// The user left.
    LoggedOut,
    /// Leaving did not end cleanly.
    LogoutFailed,
}
