//! Plain data the whole house agrees on: ids and their rules, users, poses, streams, tracks, room states, quality figures,
//! limits and error codes. No clock, no I/O, no runtime.

pub mod beauty;
pub mod error;
pub mod ids;
pub mod limits;
pub mod link_code;
pub mod media;
pub mod order;
pub mod pose;
pub mod quality;
pub mod reaction;
pub mod room;
pub mod room_text;
pub mod sound;
pub mod stream;
pub mod text;
pub mod topic;
pub mod user;
pub mod wall;

pub use beauty::{Beauty, BeautyError, BeautyParams, BeautyState, OnBeautyFailure};
pub use error::{CallError, ErrorCode};
pub use ids::{IdError, RoomId, StreamId, TrackSid, UserId};
pub use link_code::LinkCode;
pub use media::{DeviceState, DeviceUse, NoiseSuppression, SoundProcessing, VideoCodec, VideoPreset};
pub use order::RoomOrder;
pub use pose::{Pose, PoseCounts, Stand};
pub use reaction::Reaction;
pub use room::{RoomState, RoomStateReason};
pub use stream::{EndReason, MediaKind, PlayState, PublishState, StreamInfo, StreamKind, TrackInfo, TrackSource};
pub use user::{ATTRIBUTE_HAND, ATTRIBUTE_HOST, ATTRIBUTE_SEAT, ATTRIBUTE_SINCE, UserInfo};
pub use wall::{WALL_SLOTS, WallChoices, WallPlan, WallShare};
