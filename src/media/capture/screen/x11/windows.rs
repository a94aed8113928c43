//! The windows of a display that a person would know: named, on the screen, not menus or hints.

use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _, MapState, WindowClass};

use super::server::{Fault, Server};

/// Windows looked at; more are not listed.
const MAX_WINDOWS: usize = 256;
/// Smaller windows are helpers.
const MIN_SIDE_PX: u16 = 16;
/// Longest title that is read, in units of four bytes.
const TITLE_UNITS: u32 = 128;

/// A window as its program describes it.
pub(super) struct WindowInfo {
    pub id: u32,
    pub title: String,
    pub app: String,
    pub width: u32,
    pub height: u32,
}

/// All windows on the screen, the topmost first.
pub(super) fn list(server: &Server) -> Result<Vec<WindowInfo>, Fault> {
    let mut ids = Vec::new();
    for atom in [server.atoms._NET_CLIENT_LIST_STACKING, server.atoms._NET_CLIENT_LIST] {
        let reply =
            server.conn.get_property(false, server.root, atom, AtomEnum::WINDOW, 0, MAX_WINDOWS as u32)?.reply()?;
        ids = reply.value32().into_iter().flatten().collect();
        if !ids.is_empty() {
            break;
        }
    }
    if ids.is_empty() {
        // Without a window manager the root's children are the programs' windows.
        ids = server.conn.query_tree(server.root)?.reply()?.children;
    }
    let mut windows = Vec::new();
    for id in ids.into_iter().rev().take(MAX_WINDOWS) {
        match describe(server, id) {
            Ok(Some(window)) => windows.push(window),
            // Windows come and go while they are listed.
            Ok(None) | Err(Fault::Gone) => {}
            Err(lost) => return Err(lost),
        }
    }
    Ok(windows)
}

fn describe(server: &Server, id: u32) -> Result<Option<WindowInfo>, Fault> {
    let (attributes, geometry) = (server.conn.get_window_attributes(id)?, server.conn.get_geometry(id)?);
    let (attributes, geometry) = (attributes.reply()?, geometry.reply()?);
    let shown = attributes.map_state == MapState::VIEWABLE && attributes.class == WindowClass::INPUT_OUTPUT;
    if !shown || attributes.override_redirect || geometry.width.min(geometry.height) < MIN_SIDE_PX {
        return Ok(None);
    }
    let mut title = text(server, id, server.atoms._NET_WM_NAME)?;
    if title.is_empty() {
        title = text(server, id, AtomEnum::WM_NAME.into())?;
    }
    // Two words, each ended by a zero: the instance and the class.
    let class = text(server, id, AtomEnum::WM_CLASS.into())?;
    let app = class.split('\0').filter(|word| !word.is_empty()).next_back().unwrap_or_default().to_owned();
    if title.is_empty() && app.is_empty() {
        return Ok(None);
    }
    let title = if title.is_empty() { app.clone() } else { clean(&title) };
    let (width, height) = (geometry.width.into(), geometry.height.into());
    Ok(Some(WindowInfo { id, title, app: clean(&app), width, height }))
}

fn text(server: &Server, window: u32, property: u32) -> Result<String, Fault> {
    let reply = server.conn.get_property(false, window, property, AtomEnum::ANY, 0, TITLE_UNITS)?.reply()?;
    let bytes = if reply.format == 8 { reply.value } else { Vec::new() };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Titles are anybody's: control characters would break lists and terminals.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_lose_what_would_break_a_terminal() {
        assert_eq!(clean(" a\u{1b}[31m\nb\0 "), "a [31m b");
    }
}
