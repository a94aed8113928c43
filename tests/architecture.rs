//! Holds the walls of the house: which module may import which, and which crates a module may not know. Reads the
//! sources as text; links nothing of ours.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A top-level module: whom it may import, which crates it may not name, and whether it may read a clock.
struct Wall {
    module: &'static str,
    imports: Imports,
    banned_crates: Vec<&'static str>,
    reads_clock: bool,
}

#[derive(Clone, Copy)]
enum Imports {
    All,
    Only(&'static [&'static str]),
}

const BEVY: &str = "bevy*";
const WEBRTC: &str = "webrtc*";
const RTC: &str = "rtc*";
const MEDIA_CRATES: [&str; 19] = [
    "opus",
    "libvpx_native_sys",
    "openh264",
    "cpal",
    "rubato",
    "rtrb",
    "sofar",
    "realfft",
    "sonora*",
    "nnnoiseless",
    "nokhwa",
    "x11rb",
    "yuv",
    "fast_image_resize",
    "zune_jpeg",
    "ogg",
    "png",
    "ab_glyph*",
    "epaint_default_fonts",
];

/// The table of DESIGN.md. A trailing `*` bans every crate whose name begins so, at a word's end.
fn walls() -> Vec<Wall> {
    let wall = |module, imports, banned_crates, reads_clock| Wall { module, imports, banned_crates, reads_clock };
    let no_media = || [BEVY, WEBRTC, RTC].into_iter().chain(MEDIA_CRATES).collect();
    vec![
        wall("model", Imports::Only(&[]), vec!["tokio", BEVY, WEBRTC, RTC, "str0m"], false),
        wall("protocol", Imports::Only(&["model"]), vec!["tokio", BEVY, WEBRTC, RTC, "str0m"], false),
        wall("media", Imports::Only(&["model"]), vec!["tokio", BEVY, WEBRTC, RTC, "str0m"], true),
        wall("bridge", Imports::Only(&["model", "media"]), vec![BEVY, WEBRTC, RTC, "str0m"], true),
        wall("client", Imports::Only(&["model", "protocol", "media", "bridge"]), vec![BEVY, "str0m"], true),
        wall("server", Imports::Only(&["model", "protocol"]), no_media(), true),
        wall("space", Imports::Only(&["model", "media", "bridge"]), vec!["tokio", WEBRTC, RTC, "str0m"], true),
        wall("app", Imports::All, vec![], true),
        wall("cli", Imports::All, vec![], true),
        wall("main", Imports::All, vec![], true),
        wall("lib", Imports::All, vec![], true),
    ]
}

/// Files and folders of `space` that are no features: everybody inside may import them.
const SPACE_GROUND: [&str; 6] = ["schedule", "settings", "geometry", "layout", "pace", "words"];
/// What features build on.
const SPACE_CORE: [&str; 3] = ["participant", "stream", "sync"];
/// The camera: features may ask where it is.
const SPACE_VIEW: &str = "view";
/// Features, which do not know each other.
const SPACE_FEATURES: [&str; 14] = [
    "beauty",
    "chat",
    "devices",
    "order",
    "view",
    "panel",
    "wall",
    "environment",
    "fetch",
    "host",
    "picture",
    "pose",
    "sharing",
    "spatial_audio",
];

/// Whether one module inside `space` may import another; `None` where a module is not in the rule.
fn space_allows(from: &str, to: &str) -> Option<bool> {
    let known = |name: &str| {
        name == "ui" || SPACE_GROUND.contains(&name) || SPACE_CORE.contains(&name) || SPACE_FEATURES.contains(&name)
    };
    if !known(from) || !known(to) {
        return None;
    }
    let ground = SPACE_GROUND.contains(&to);
    Some(match from {
        _ if from == to || ground => true,
        _ if SPACE_GROUND.contains(&from) => false,
        "ui" => true,
        _ if to == "ui" => false,
        // A relationship points from the stream to its participant, never back.
        "participant" => to == "sync",
        "stream" => to == "participant" || to == "sync",
        "sync" => SPACE_CORE.contains(&to),
        _ => SPACE_CORE.contains(&to) || to == SPACE_VIEW,
    })
}

/// One word or sign of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Colons,
    Sign(char),
}

/// Splits source into words and signs; comments, strings, characters and lifetimes vanish.
fn tokens(source: &str) -> Vec<Token> {
    let text: Vec<char> = source.chars().collect();
    let at = |i: usize| text.get(i).copied().unwrap_or('\0');
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = Vec::new();
    let mut i = 0;
    while i < text.len() {
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < text.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                while i < text.len() {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
            '"' => i = end_of_string(&text, i),
            '\'' => {
                // A character ends with a quote; a lifetime does not.
                if at(i + 1) == '\\' {
                    i += 3;
                    while i < text.len() && at(i) != '\'' {
                        i += 1;
                    }
                    i += 1;
                } else if at(i + 2) == '\'' {
                    i += 3;
                } else {
                    i += 1;
                    while word(at(i)) {
                        i += 1;
                    }
                }
            }
            c if c.is_alphabetic() || c == '_' => {
                let start = i;
                while word(at(i)) {
                    i += 1;
                }
                let text: String = text[start..i].iter().collect();
                match (text.as_str(), at(i)) {
                    ("r" | "br" | "cr", '"' | '#') if raw_hashes(&at, i).is_some() => i = end_of_raw(&at, i),
                    ("r", '#') => i += 1,
                    ("b" | "c", '"') => {}
                    _ => out.push(Token::Word(text)),
                }
            }
            ':' if at(i + 1) == ':' => {
                out.push(Token::Colons);
                i += 2;
            }
            c => {
                if !c.is_whitespace() {
                    out.push(Token::Sign(c));
                }
                i += 1;
            }
        }
    }
    out
}

fn end_of_string(text: &[char], mut i: usize) -> usize {
    i += 1;
    while i < text.len() && text[i] != '"' {
        i += if text[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

fn raw_hashes(at: &impl Fn(usize) -> char, i: usize) -> Option<usize> {
    let hashes = (i..).take_while(|&j| at(j) == '#').count();
    (at(i + hashes) == '"').then_some(hashes)
}

fn end_of_raw(at: &impl Fn(usize) -> char, i: usize) -> usize {
    let hashes = raw_hashes(at, i).unwrap_or(0);
    let mut j = i + hashes + 1;
    while at(j) != '\0' && !(at(j) == '"' && (1..=hashes).all(|k| at(j + k) == '#')) {
        j += 1;
    }
    j + 1 + hashes
}

/// Every path a file names, as full word lists: `use` trees are spread out, `crate`, `self` and `super` are resolved
/// against `module` (the file's own path, such as `["space", "ui"]`) and the `mod` blocks inside it.
fn paths(tokens: &[Token], module: &[String]) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    // The `mod` blocks we are in, each with the depth at which its brace opened.
    let mut inside: Vec<(String, usize)> = Vec::new();
    let (mut depth, mut i) = (0, 0);
    while i < tokens.len() {
        match &tokens[i] {
            Token::Sign('{') => {
                if let [Token::Word(keyword), Token::Word(name)] = &tokens[i.saturating_sub(2)..i]
                    && keyword == "mod"
                {
                    inside.push((name.clone(), depth));
                }
                depth += 1;
            }
            Token::Sign('}') => {
                depth = depth.saturating_sub(1);
                if inside.last().is_some_and(|(_, opened)| *opened == depth) {
                    inside.pop();
                }
            }
            Token::Word(keyword) if keyword == "use" => {
                let here = [module, &inside.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()].concat();
                let mut leaves = Vec::new();
                i = use_tree(tokens, i + 1, &mut Vec::new(), &mut leaves);
                found.extend(leaves.into_iter().map(|leaf| resolve(&leaf, &here)));
                continue;
            }
            Token::Word(first) if tokens.get(i + 1) == Some(&Token::Colons) => {
                let here = [module, &inside.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()].concat();
                let mut path = vec![first.clone()];
                while let (Some(Token::Colons), Some(Token::Word(next))) = (tokens.get(i + 1), tokens.get(i + 2)) {
                    path.push(next.clone());
                    i += 2;
                }
                found.insert(resolve(&path, &here));
            }
            Token::Word(keyword) if keyword == "extern" => {
                if let (Some(Token::Word(kind)), Some(Token::Word(name))) = (tokens.get(i + 1), tokens.get(i + 2))
                    && kind == "crate"
                {
                    found.insert(vec![name.clone()]);
                }
            }
            _ => {}
        }
        i += 1;
    }
    found
}

/// Reads one tree of a `use`, pushes its leaves, returns the index after it.
fn use_tree(tokens: &[Token], mut i: usize, prefix: &mut Vec<String>, leaves: &mut Vec<Vec<String>>) -> usize {
    let base = prefix.len();
    loop {
        match tokens.get(i) {
            Some(Token::Word(word)) if word == "as" => i += 2,
            Some(Token::Word(word)) => {
                prefix.push(word.clone());
                i += 1;
            }
            Some(Token::Colons) => i += 1,
            Some(Token::Sign('*')) => {
                prefix.push("*".into());
                i += 1;
            }
            Some(Token::Sign('{')) => {
                i += 1;
                while !matches!(tokens.get(i), None | Some(Token::Sign('}'))) {
                    i = use_tree(tokens, i, prefix, leaves);
                    if tokens.get(i) == Some(&Token::Sign(',')) {
                        i += 1;
                    }
                }
                prefix.truncate(base);
                return i + 1;
            }
            _ => {
                if prefix.len() > base {
                    leaves.push(prefix.clone());
                }
                prefix.truncate(base);
                return i;
            }
        }
    }
}

fn resolve(path: &[String], here: &[String]) -> Vec<String> {
    let mut base: Option<Vec<String>> = None;
    let mut rest = path;
    while let Some((first, tail)) = rest.split_first() {
        match first.as_str() {
            "crate" | "rotunda" => base = Some(Vec::new()),
            "self" => base = Some(base.unwrap_or_else(|| here.to_vec())),
            "super" => {
                let mut up = base.unwrap_or_else(|| here.to_vec());
                up.pop();
                base = Some(up);
            }
            _ => break,
        }
        rest = tail;
    }
    match base {
        // Ours begin with `crate`, others with the name of the crate (or of something local).
        Some(base) => ["crate".to_string()].into_iter().chain(base).chain(rest.iter().cloned()).collect(),
        None => rest.to_vec(),
    }
}

/// The module path of a file under `src`: `media/codec/vp8.rs` and `media/codec/mod.rs` alike by their folders.
fn module_of(file: &Path) -> Vec<String> {
    let mut parts: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") || parts == ["lib"] || parts == ["main"] {
        parts.pop();
    }
    parts
}

fn is_banned(name: &str, bans: &[&str]) -> bool {
    bans.iter().any(|ban| match ban.strip_suffix('*') {
        Some(stem) => name == stem || name.strip_prefix(stem).is_some_and(|rest| rest.starts_with('_')),
        None => name == *ban,
    })
}

/// What is wrong with one file, and how many imports between modules it has.
fn judge(file: &Path, source: &str, walls: &[Wall]) -> (Vec<String>, usize) {
    let module = module_of(file);
    let shown = file.display();
    let top = module.first().cloned().unwrap_or_else(|| file.with_extension("").display().to_string());
    let Some(wall) = walls.iter().find(|wall| wall.module == top) else {
        return (vec![format!("{shown}: module `{top}` is not in the table")], 0);
    };
    let (mut wrongs, mut edges) = (Vec::new(), 0);
    for path in paths(&tokens(source), &module) {
        let name = path.join("::");
        let first = path.first().map_or("", String::as_str);
        if first != "crate" {
            if is_banned(first, &wall.banned_crates) {
                wrongs.push(format!("{shown}: `{top}` may not know the crate of `{name}`"));
            }
            let clock = ["Instant::now", "SystemTime::now"].iter().any(|clock| name.ends_with(clock));
            if clock && !wall.reads_clock {
                wrongs.push(format!("{shown}: `{top}` may not read a clock (`{name}`)"));
            }
            continue;
        }
        let Some(target) = path.get(1).filter(|name| walls.iter().any(|wall| wall.module == **name)) else { continue };
        if *target != top {
            edges += 1;
            if let Imports::Only(allowed) = wall.imports
                && !allowed.contains(&target.as_str())
            {
                wrongs.push(format!("{shown}: `{top}` may not import `{target}` (`{name}`)"));
            }
        } else if let ("space", [_, from, ..], [_, _, to, ..]) = (top.as_str(), &module[..], &path[..])
            // A capital is a name that `space/mod.rs` hands on; that file itself has no second part.
            && to.starts_with(char::is_lowercase)
            && space_allows(from, to) != Some(true)
        {
            let why = if space_allows(from, to).is_none() { "is not in the rule for" } else { "may not import" };
            wrongs.push(format!("{shown}: `space::{from}` {why} `space::{to}` (`{name}`)"));
        }
    }
    (wrongs, edges)
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a readable folder entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn sources() -> Vec<(PathBuf, String)> {
    // Cargo runs tests in the package's folder; a path compiled in could be that of another clone with the same target.
    let root = Path::new("src");
    let read = |path: PathBuf| {
        let source = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.strip_prefix(root).expect("a path under src").to_path_buf(), source)
    };
    rust_files(root).into_iter().map(read).collect()
}

#[test]
fn modules_import_only_what_the_design_allows() {
    let (walls, files) = (walls(), sources());
    let (mut wrongs, mut edges) = (Vec::new(), 0);
    for (file, source) in &files {
        let (found, count) = judge(file, source, &walls);
        wrongs.extend(found);
        edges += count;
    }
    assert!(wrongs.is_empty(), "{}", wrongs.join("\n"));
    assert!(files.len() > 20 && edges > 20, "the check saw only {} files and {edges} imports", files.len());
}

#[test]
fn every_row_of_the_table_still_has_its_module() {
    let modules: BTreeSet<String> = sources()
        .iter()
        .filter_map(|(file, _)| file.iter().next().map(|top| Path::new(top).with_extension("").display().to_string()))
        .collect();
    for wall in walls() {
        assert!(modules.contains(wall.module), "the table names `{}`, which is not in src", wall.module);
    }
    let space: BTreeSet<String> = sources()
        .iter()
        .filter(|(file, _)| file.starts_with("space"))
        .filter_map(|(file, _)| file.iter().nth(1).map(|top| Path::new(top).with_extension("").display().to_string()))
        .collect();
    for name in SPACE_GROUND.iter().chain(&SPACE_CORE).chain(&SPACE_FEATURES) {
        assert!(space.contains(*name), "the rule names `space::{name}`, which is not there");
    }
    for name in space.iter().filter(|name| *name != "mod") {
        assert!(space_allows(name, "schedule").is_some(), "`space::{name}` is not in the rule");
    }
}

#[test]
fn files_stay_readable() {
    let files = sources();
    let mut lengths: Vec<usize> = Vec::new();
    for (file, source) in &files {
        let code = source.find("#[cfg(test)]\nmod ").map_or(source.as_str(), |tests| &source[..tests]);
        let lines = code.lines().count();
        assert!(lines <= 600, "{}: {lines} lines without its tests; 600 is the limit", file.display());
        assert!(source.starts_with("//!"), "{}: does not say what it owns (`//!` on line 1)", file.display());
        lengths.push(lines);
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median < 200, "the median file has {median} lines");
}

/// The check itself, on texts where the answer is known.
mod proof {
    use super::*;

    fn wrongs(file: &str, source: &str) -> Vec<String> {
        judge(Path::new(file), source, &walls()).0
    }

    #[test]
    fn forbidden_imports_are_caught_in_every_form() {
        for (file, source) in [
            ("model/user.rs", "use crate::media::VideoFrame;"),
            ("model/user.rs", "use crate::{ids::UserId, protocol::token};"),
            ("model/user.rs", "use super::super::server;"),
            ("model/user.rs", "fn f() { crate::server::Server::start(); }"),
            ("model/user.rs", "mod tests { use super::super::super::space::Seat; }"),
            ("media/codec/vp8.rs", "use tokio::sync::mpsc;"),
            ("media/codec/vp8.rs", "use {std::fmt, tokio as t};"),
            ("media/codec/vp8.rs", "#[tokio::test] async fn f() {}"),
            ("media/codec/vp8.rs", "extern crate webrtc;"),
            ("client/mod.rs", "use bevy_egui::egui;"),
            ("client/mod.rs", "type T = ::str0m::Rtc;"),
            ("server/hub/mod.rs", "use crate::media::frame;"),
            ("server/hub/mod.rs", "fn f() { opus::Encoder::new(); }"),
            ("space/wall/mod.rs", "use crate::client::start;"),
            ("space/wall/mod.rs", "use rtc_rtp::Packet;"),
            ("protocol/token.rs", "let now = std::time::SystemTime::now();"),
            ("protocol/token.rs", "let now = Instant::now();"),
            ("cellar/mod.rs", "fn f() {}"),
            ("space/participant/seat.rs", "use crate::space::stream::VideoStream;"),
            ("space/wall/mod.rs", "use super::panel::Panel;"),
            ("space/wall/slots.rs", "use super::super::ui::Theme;"),
            ("space/schedule.rs", "use super::stream::VideoStream;"),
            ("space/attic/mod.rs", "use crate::space::stream::VideoStream;"),
        ] {
            assert_eq!(wrongs(file, source).len(), 1, "{file}: {source} -> {:?}", wrongs(file, source));
        }
    }

    #[test]
    fn allowed_imports_and_mere_mentions_pass() {
        for (file, source) in [
            ("client/mod.rs", "use crate::{bridge::Mailbox, media::{VideoFrame, codec}, model::UserId};"),
            ("protocol/token.rs", "// use tokio::sync;\n/* crate::server::x /* tokio::y */ */ fn f() {}"),
            ("protocol/token.rs", r##"const A: &str = "crate::server::x"; const B: &str = r#"tokio::x "quoted""#;"##),
            ("protocol/token.rs", "const C: char = '\"'; const D: &str = \"\\\"\"; fn f<'a>(x: &'a str) {}"),
            ("media/mod.rs", "fn f() { self::tokio::x(); my::tokio::y(); }"),
            ("media/pace.rs", "let now = std::time::Instant::now();"),
            ("space/stream/mod.rs", "use crate::space::participant::Participant; use super::schedule::SpaceSystems;"),
            ("space/ui/mod.rs", "use super::wall::Slot; use crate::space::panel::Panel;"),
            ("space/mod.rs", "pub use ui::Theme; use self::wall::WallPlugin;"),
            ("cli/demo.rs", "use rotunda::server::Server; use rotunda::space::RotundaPlugins;"),
        ] {
            assert_eq!(wrongs(file, source), Vec::<String>::new(), "{file}: {source}");
        }
    }

    #[test]
    fn paths_are_resolved() {
        let seen = |source: &str, module: &[&str]| -> Vec<String> {
            let module: Vec<String> = module.iter().map(|part| (*part).to_string()).collect();
            paths(&tokens(source), &module).into_iter().map(|path| path.join("::")).collect()
        };
        assert_eq!(
            seen("use super::{a::{self, B}, c as d};", &["x", "y"]),
            ["crate::x::a::B", "crate::x::a::self", "crate::x::c"]
        );
        assert_eq!(
            seen("mod t { fn f() { super::g::h(); } } fn k() { super::m::n(); }", &["x"]),
            ["crate::m::n", "crate::x::g::h"]
        );
        assert_eq!(seen("use a::*; b::c!(); <D as e::F>::g();", &[]), ["a::*", "b::c", "e::F"]);
    }
}
