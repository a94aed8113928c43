//! Every limit on what comes from outside, in one place.

/// Longest room id, in bytes.
pub const ROOM_ID_MAX_BYTES: usize = 128;
/// Longest user id (participant identity), in bytes.
pub const USER_ID_MAX_BYTES: usize = 63;
/// Longest user name, in bytes.
pub const USER_NAME_MAX_BYTES: usize = 255;
/// Longest stream id, in bytes.
pub const STREAM_ID_MAX_BYTES: usize = 256;
/// Longest `extra_info` of a stream, in bytes.
pub const EXTRA_INFO_MAX_BYTES: usize = 1023;
/// Streams one user may publish at a time.
pub const MAX_PUBLISHED_STREAMS: usize = 4;
/// Streams one client may play at a time.
pub const MAX_PLAYED_STREAMS: usize = 64;
/// Longest metadata of a room that is asked for, in bytes: the official server takes no more.
pub const ROOM_METADATA_MAX_BYTES: usize = 64_000;
/// Longest chat message, in bytes.
pub const CHAT_MAX_BYTES: usize = 1024;
/// Largest data packet, in bytes: clients cap theirs at the same (LIVEKIT.md section 6).
pub const DATA_PACKET_MAX_BYTES: usize = 64_000;
/// Widest or highest picture that is decoded or drawn, in pixels.
pub const MAX_PICTURE_SIDE_PX: u32 = 7680;
/// Most pixels of a picture that is decoded: a little over 4K UHD, which bounds what one hostile keyframe can allocate.
pub const MAX_PICTURE_PIXELS: u32 = 4096 * 2304;
/// Longest audio payload that is looked at, in bytes: one RTP packet.
pub const MAX_AUDIO_PAYLOAD_BYTES: usize = 1500;
/// Largest encoded video frame that is put together, in bytes.
pub const MAX_ENCODED_FRAME_BYTES: usize = 4 * 1024 * 1024;
/// Own attributes one client sets beside its streams' notes.
pub const MAX_OWN_ATTRIBUTES: usize = 32;
/// Longest name of an own attribute, in bytes.
pub const ATTRIBUTE_NAME_MAX_BYTES: usize = 128;
/// Longest value of an own attribute, in bytes.
pub const ATTRIBUTE_VALUE_MAX_BYTES: usize = 1024;
