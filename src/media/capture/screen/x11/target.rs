//! A monitor or window on an X11 server: where its pixels are now, or why there are none.

use x11rb::connection::Connection as _;
use x11rb::protocol::composite::{ConnectionExt as _, Redirect};
use x11rb::protocol::randr::{ConnectionExt as _, NotifyMask};
use x11rb::protocol::xproto::{ChangeWindowAttributesAux, ConnectionExt as _, EventMask, MapState};

use super::grab::Area;
use super::pixels::Layout;
use super::server::{Fault, Server};

/// A monitor as RandR tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Monitor {
    pub name: String,
    pub is_primary: bool,
    pub area: Area,
}

/// All monitors; the whole screen as one where the server does not tell them apart.
pub(super) fn monitors(server: &Server) -> Result<Vec<Monitor>, Fault> {
    let mut monitors = Vec::new();
    if server.has_randr {
        for monitor in server.conn.randr_get_monitors(server.root, true)?.reply()?.monitors {
            let name = server.conn.get_atom_name(monitor.name)?.reply()?.name;
            monitors.push(Monitor {
                name: String::from_utf8_lossy(&name).into_owned(),
                is_primary: monitor.primary,
                area: Area { x: monitor.x, y: monitor.y, width: monitor.width, height: monitor.height },
            });
        }
    }
    if monitors.is_empty() {
        let root = server.conn.get_geometry(server.root)?.reply()?;
        let area = Area { x: 0, y: 0, width: root.width, height: root.height };
        monitors.push(Monitor { name: "whole".into(), is_primary: true, area });
    }
    Ok(monitors)
}

/// Where pixels are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// The pixmap, window or root they are in.
    pub drawable: u32,
    /// The part of it.
    pub area: Area,
    /// How they lie there.
    pub layout: Layout,
}

/// What a look at a target found.
#[derive(Debug)]
pub(super) enum Found {
    /// Its pixels are there.
    Here(View),
    /// It shows nothing for now.
    Hidden,
    /// It does not exist (any more).
    Missing,
    /// Its pixels cannot be read, and why.
    Unusable(String),
}

/// What is shared.
#[derive(Debug)]
pub(super) enum Target {
    /// A monitor, by its name.
    Monitor(String),
    /// A window.
    Window(WindowTarget),
}

/// A window, with the pixmap that holds its pixels even where others cover it.
#[derive(Debug)]
pub(super) struct WindowTarget {
    window: u32,
    pixmap: Option<(u32, (u16, u16))>,
    /// The frame the window manager put around it, or itself.
    top_level: u32,
}

impl Target {
    /// A monitor.
    pub fn monitor(name: String) -> Self {
        Self::Monitor(name)
    }

    /// A window.
    pub fn window(window: u32) -> Self {
        Self::Window(WindowTarget { window, pixmap: None, top_level: window })
    }

    /// The window or root whose changes count.
    pub fn watched(&self, server: &Server) -> u32 {
        match self {
            Self::Monitor(_) => server.root,
            Self::Window(target) => target.window,
        }
    }

    /// Asks to be told of what happens to it, and keeps its pixels while it is covered.
    pub fn subscribe(&mut self, server: &Server) -> Result<(), Fault> {
        let events = ChangeWindowAttributesAux::new().event_mask(EventMask::STRUCTURE_NOTIFY);
        server.conn.change_window_attributes(self.watched(server), &events)?.check()?;
        match self {
            Self::Monitor(_) if server.has_randr => {
                server.conn.randr_select_input(server.root, NotifyMask::SCREEN_CHANGE)?.check()?;
            }
            Self::Window(target) => target.keep_pixels(server)?,
            Self::Monitor(_) => {}
        }
        Ok(())
    }

    /// Where its pixels are now.
    ///
    /// # Errors
    /// When the server is lost, or the target changed while it was looked at.
    pub fn look(&mut self, server: &Server) -> Result<Found, Fault> {
        match self {
            Self::Monitor(name) => {
                let Some(monitor) = monitors(server)?.into_iter().find(|monitor| monitor.name == *name) else {
                    return Ok(Found::Missing);
                };
                let setup = server.conn.setup();
                let Some(root) = setup.roots.iter().find(|root| root.root == server.root) else {
                    return Ok(Found::Missing);
                };
                Ok(match server.layout(root.root_depth, root.root_visual) {
                    Ok(layout) => Found::Here(View { drawable: server.root, area: monitor.area, layout }),
                    Err(why) => Found::Unusable(why),
                })
            }
            Self::Window(target) => target.look(server),
        }
    }

    /// Where its upper left corner is on the screen, and the top-level window it belongs to.
    pub fn place(&self, server: &Server, view: &View) -> Result<((i32, i32), Option<u32>), Fault> {
        match self {
            Self::Monitor(_) => Ok(((view.area.x.into(), view.area.y.into()), None)),
            Self::Window(target) => {
                let at = server.conn.translate_coordinates(target.window, server.root, 0, 0)?.reply()?;
                Ok(((at.dst_x.into(), at.dst_y.into()), Some(target.top_level)))
            }
        }
    }
}

impl WindowTarget {
    fn keep_pixels(&mut self, server: &Server) -> Result<(), Fault> {
        if server.has_composite {
            server.conn.composite_redirect_window(self.window, Redirect::AUTOMATIC)?.check()?;
        }
        Ok(())
    }

    fn look(&mut self, server: &Server) -> Result<Found, Fault> {
        let attributes = match server.conn.get_window_attributes(self.window)?.reply().map_err(Fault::from) {
            Ok(attributes) => attributes,
            Err(Fault::Gone) => return Ok(Found::Missing),
            Err(lost) => return Err(lost),
        };
        if attributes.map_state != MapState::VIEWABLE {
            self.drop_pixmap(server)?;
            return Ok(Found::Hidden);
        }
        let geometry = server.conn.get_geometry(self.window)?.reply()?;
        let layout = match server.layout(geometry.depth, attributes.visual) {
            Ok(layout) => layout,
            Err(why) => return Ok(Found::Unusable(why)),
        };
        self.top_level = top_level(server, self.window)?;
        let size = (geometry.width, geometry.height);
        let mut area = Area { x: 0, y: 0, width: size.0, height: size.1 };
        if !server.has_composite {
            return Ok(Found::Here(View { drawable: self.window, area, layout }));
        }
        if self.pixmap.is_none_or(|(_, of)| of != size) {
            self.drop_pixmap(server)?;
            let pixmap = server.conn.generate_id()?;
            server.conn.composite_name_window_pixmap(self.window, pixmap)?.check()?;
            self.pixmap = Some((pixmap, size));
        }
        let drawable = self.pixmap.map_or(self.window, |(pixmap, _)| pixmap);
        // The pixmap holds the border as well.
        (area.x, area.y) = (geometry.border_width as i16, geometry.border_width as i16);
        Ok(Found::Here(View { drawable, area, layout }))
    }

    fn drop_pixmap(&mut self, server: &Server) -> Result<(), Fault> {
        if let Some((pixmap, _)) = self.pixmap.take() {
            server.conn.free_pixmap(pixmap)?;
        }
        Ok(())
    }
}

/// The child of the root that a window is in.
fn top_level(server: &Server, window: u32) -> Result<u32, Fault> {
    let mut at = window;
    // Deeper nests than this are no desktop's.
    for _ in 0..32 {
        let parent = server.conn.query_tree(at)?.reply()?.parent;
        if parent == server.root || parent == x11rb::NONE {
            break;
        }
        at = parent;
    }
    Ok(at)
}
