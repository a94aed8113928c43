//! The whole contract between the engine's tokio world and the ECS: commands one way, events the other, mailboxes for
//! pictures, a snapshot for figures, a board for poses, and a scene of where sound comes from, the other way. Anything
//! that speaks it can stand in for the engine: see [`EnginePort`]. A [`Preview`] shows a source before it is published.
//!
//! Invariant: nothing here blocks a caller on the ECS side.

mod command;
mod entry;
mod event;
mod handle;
mod mailbox;
mod poses;
mod preview;

pub use command::{
    AudioOptions, DataMessage, HostCommand, LoginRequest, PlayQuality, PublishRequest, RoomCommand, StartsMuted,
    VideoOptions,
};
pub use entry::{Entry, InvitationRequest};
pub use event::{EventEnvelope, RoomEvent, SessionId};
pub use handle::{
    COMMAND_CAPACITY, CommandError, EVENT_CAPACITY, EngineHandle, EnginePort, SnapshotCell, engine_channels,
};
pub use mailbox::{Mailbox, MailboxCounts, VideoFeed};
pub use poses::{PoseBoard, ToldPose};
pub use preview::Preview;
