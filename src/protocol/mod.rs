//! The LiveKit protocol without I/O or clocks.
