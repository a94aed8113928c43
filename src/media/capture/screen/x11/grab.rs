//! Fetches pixels from an X11 server: through shared memory where it can, over the connection where not. The memory is
//! read like a file, so that nothing another process writes to is ever mapped here.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use x11rb::connection::Connection as _;
use x11rb::protocol::shm::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{ConnectionExt as _, ImageFormat};

use super::pixels::Layout;
use super::server::{Fault, Server};

/// Memory that the server writes to.
struct Segment {
    id: shm::Seg,
    file: File,
    len: usize,
}

/// Fetches pixels; keeps the shared memory between calls.
#[derive(Default)]
pub(super) struct Grabber {
    segment: Option<Segment>,
    refused: bool,
    scratch: Vec<u8>,
}

/// A part of a window, pixmap or screen, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub x: i16,
    pub y: i16,
    pub width: u16,
    pub height: u16,
}

impl Grabber {
    /// Fetches an area as rows B G R X into `to`, which holds exactly so many.
    ///
    /// # Errors
    /// [`Fault::Gone`] when the area is not there as a whole (any more).
    pub fn grab(
        &mut self,
        server: &Server,
        drawable: u32,
        area: Area,
        layout: Layout,
        to: &mut [u8],
    ) -> Result<(), Fault> {
        let width = u32::from(area.width);
        let len = layout.row_bytes(width) * usize::from(area.height);
        let Area { x, y, width: w, height: h } = area;
        self.share_memory(server, len)?;
        if let Some(segment) = &self.segment {
            let format = ImageFormat::Z_PIXMAP.into();
            server.conn.shm_get_image(drawable, x, y, w, h, !0, format, segment.id, 0)?.reply()?;
            let read = |bytes: &mut [u8]| {
                let lost = |error| Fault::Lost(format!("the memory shared with the display cannot be read: {error}"));
                segment.file.read_exact_at(bytes, 0).map_err(lost)
            };
            if layout.is_plain(width) && to.len() == len {
                return read(to);
            }
            self.scratch.resize(len, 0);
            read(&mut self.scratch)?;
            layout.unpack(&self.scratch, width, to);
            return Ok(());
        }
        let image = server.conn.get_image(ImageFormat::Z_PIXMAP, drawable, x, y, w, h, !0)?.reply()?;
        if image.data.len() < len {
            return Err(Fault::Gone);
        }
        layout.unpack(&image.data[..len], width, to);
        Ok(())
    }

    /// Has memory of at least this size where the server shares any.
    fn share_memory(&mut self, server: &Server, len: usize) -> Result<(), Fault> {
        if !server.has_shm || self.refused || self.segment.as_ref().is_some_and(|segment| segment.len >= len) {
            return Ok(());
        }
        if let Some(old) = self.segment.take() {
            server.conn.shm_detach(old.id)?;
        }
        let id = server.conn.generate_id()?;
        let size = u32::try_from(len).map_err(|_| Fault::Gone)?;
        match server.conn.shm_create_segment(id, size, false)?.reply() {
            Ok(reply) => self.segment = Some(Segment { id, file: File::from(reply.shm_fd), len }),
            Err(error) => {
                tracing::debug!(%error, "the display shares no memory: pixels come over its connection");
                self.refused = true;
            }
        }
        Ok(())
    }
}
