//! RTP payloads to frames and back.
