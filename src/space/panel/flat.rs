//! Where panels go in the flat views: tiles in rows, or one large beside a strip of small ones. Pure geometry.
//!
//! Everything is measured in slopes: metres per metre of distance from the eye, right and up from the middle of the
//! view. So a tile says how large a panel looks, and a panel of any size fills it from the right distance.
//!
//! Name plates are as high as the overlay's text asks, however large the tiles are: two people do not get headlines. In
//! tiles that are too narrow for that they are what they are in the hall.

use bevy::math::{Rect, Vec2};

use super::PLATE_SHARE;
use crate::space::geometry::PICTURE_ASPECT as ASPECT;
use crate::space::settings::overlay_zoom;

/// Tiles of one page of the grid at most; more people take more pages.
pub const PAGE_TILES: usize = 49;
/// Tiles of the strip at most.
pub const STRIP_TILES: usize = 6;
/// Height of a name plate, in points of the overlay: its letters are a little larger than the overlay's.
const PLATE_PT: f32 = 31.0;
/// Room between two tiles, as a share of their width.
const GAP: f32 = 0.07;
/// Widest tile, as a share of the view's width: two people do not become giants.
const WIDEST: f32 = 0.62;
/// Share of the view's height kept free for the bar and the own picture, and above.
const BELOW: f32 = 0.18;
const ABOVE: f32 = 0.04;
const BESIDE: f32 = 0.03;
/// Share of the view's longer side that the strip takes.
const STRIP: f32 = 0.17;

/// Where one panel goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tile {
    /// Centre of the panel, its name plate included.
    pub centre: Vec2,
    /// Width of its picture.
    pub width: f32,
    /// Height of its name plate.
    pub plate: f32,
}

/// What tiles are laid out in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flat {
    /// The tangents of half the view's angles.
    pub half_view: Vec2,
    /// Name plates are at most this high, as slope.
    pub highest_plate: f32,
}

impl Flat {
    /// For a view of this size in logical pixels, with text of this size.
    pub(super) fn new(half_view: Vec2, view_px: Vec2, text_percent: u16) -> Self {
        let plate_px = PLATE_PT * overlay_zoom(view_px, text_percent);
        Self { half_view, highest_plate: plate_px * 2.0 * half_view.y / view_px.y }
    }

    /// The height of a plate below a picture this wide.
    fn plate(&self, width: f32) -> f32 {
        (width * PLATE_SHARE).min(self.highest_plate)
    }

    /// The width of a picture that, with its plate and a share of its width as air, is this high.
    fn widest_in(&self, height: f32, air: f32) -> f32 {
        // Of a narrow one the plate takes its share; of a wide one it takes no more than it needs.
        let narrow = height / (ASPECT + PLATE_SHARE + air);
        narrow.max((height - self.highest_plate) / (ASPECT + air))
    }
}

/// The part of the view that tiles may take, from the tangents of half its angles.
fn area(half_view: Vec2) -> Rect {
    let view = half_view * 2.0;
    let min = Vec2::new(-half_view.x + view.x * BESIDE, -half_view.y + view.y * BELOW);
    Rect::from_corners(min, Vec2::new(half_view.x - view.x * BESIDE, half_view.y - view.y * ABOVE))
}

/// Tiles for so many panels, as large as they can be, row by row from the top left. The last row is centred.
pub(super) fn grid(count: usize, flat: Flat) -> Vec<Tile> {
    let area = area(flat.half_view);
    let width_with = |columns: usize| {
        let rows = count.div_ceil(columns);
        let across = area.width() / (columns as f32 * (1.0 + GAP));
        let down = flat.widest_in(area.height() / rows as f32, GAP);
        across.min(down).min(flat.half_view.x * 2.0 * WIDEST)
    };
    // Of equally large ones the fewest columns: nine people are three rows of three.
    let best = (1..=count).rev().max_by(|a, b| width_with(*a).total_cmp(&width_with(*b)));
    let Some(columns) = best else { return Vec::new() };
    let (width, rows) = (width_with(columns), count.div_ceil(columns));
    let plate = flat.plate(width);
    let step = Vec2::new(width * (1.0 + GAP), width * (ASPECT + GAP) + plate);
    (0..count)
        .map(|index| {
            let (row, column) = (index / columns, index % columns);
            let in_row = (count - row * columns).min(columns);
            let right = (column as f32 - (in_row - 1) as f32 * 0.5) * step.x;
            let down = (row as f32 - (rows - 1) as f32 * 0.5) * step.y;
            Tile { centre: area.center() + Vec2::new(right, -down), width, plate }
        })
        .collect()
}

/// One large tile first, then the strip: beside it in a wide view, above it in a tall one. `plated` is whether the
/// large one has a name plate below its picture.
pub(super) fn spotlight(strip: usize, flat: Flat, plated: bool) -> Vec<Tile> {
    let area = area(flat.half_view);
    let strip = strip.min(STRIP_TILES);
    let wide = flat.half_view.x > flat.half_view.y;
    let (main, side) = match (strip, wide) {
        (0, _) => (area, Rect::default()),
        (_, true) => {
            let edge = area.max.x - area.width() * STRIP;
            (Rect { max: Vec2::new(edge, area.max.y), ..area }, Rect { min: Vec2::new(edge, area.min.y), ..area })
        }
        (_, false) => {
            let edge = area.max.y - area.height() * STRIP;
            (Rect { max: Vec2::new(area.max.x, edge), ..area }, Rect { min: Vec2::new(area.min.x, edge), ..area })
        }
    };
    let lone = if plated { flat } else { Flat { highest_plate: 0.0, ..flat } };
    let width = (main.width() / (1.0 + GAP)).min(lone.widest_in(main.height(), GAP * 0.5));
    let large = Tile { centre: main.center(), width, plate: lone.plate(width) };
    let (columns, rows) = if wide { (1, strip.max(1)) } else { (strip.max(1), 1) };
    let width = (side.width() / (columns as f32 * (1.0 + GAP))).min(flat.widest_in(side.height() / rows as f32, GAP));
    let plate = flat.plate(width);
    let step = if wide { Vec2::new(0.0, -width * (ASPECT + GAP) - plate) } else { Vec2::new(width * (1.0 + GAP), 0.0) };
    let small = (0..strip).map(|index| {
        let centre = side.center() + step * (index as f32 - (strip - 1) as f32 * 0.5);
        Tile { centre, width, plate }
    });
    std::iter::once(large).chain(small).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows in logical pixels, as wide and as tall as they come.
    const WINDOWS: [Vec2; 5] = [
        Vec2::new(1280.0, 720.0),
        Vec2::new(720.0, 1280.0),
        Vec2::new(480.0, 320.0),
        Vec2::new(3440.0, 400.0),
        Vec2::new(3840.0, 2160.0),
    ];
    const TEXTS: [u16; 3] = [75, 100, 200];

    fn flat(window: Vec2, text_percent: u16) -> Flat {
        let half = 0.44;
        Flat::new(Vec2::new(half * window.x / window.y, half), window, text_percent)
    }

    fn flats() -> impl Iterator<Item = Flat> {
        WINDOWS.into_iter().flat_map(|window| TEXTS.map(|text| flat(window, text)))
    }

    fn bounds(tile: &Tile) -> Rect {
        Rect::from_center_size(tile.centre, Vec2::new(tile.width, tile.width * ASPECT + tile.plate))
    }

    fn assert_apart_and_inside(tiles: &[Tile], half_view: Vec2, what: &str) {
        let view = Rect::from_center_half_size(Vec2::ZERO, half_view);
        let tiles: Vec<Rect> = tiles.iter().map(bounds).collect();
        for (n, a) in tiles.iter().enumerate() {
            let inside = view.union(*a);
            assert!((inside.size() - view.size()).abs().max_element() < 1e-4, "{what}: {n} leaves the view: {a:?}");
            for b in &tiles[n + 1..] {
                let common = a.intersect(*b);
                assert!(common.width() < 1e-4 || common.height() < 1e-4, "{what}: {a:?} and {b:?} overlap");
            }
        }
    }

    #[test]
    fn the_grid_holds_everyone_without_overlap_in_every_shape_of_view() {
        for flat in flats() {
            for count in 0..=PAGE_TILES {
                let tiles = grid(count, flat);
                assert_eq!(tiles.len(), count);
                assert_apart_and_inside(&tiles, flat.half_view, &format!("{count} in {flat:?}"));
            }
        }
    }

    #[test]
    fn tiles_are_equal_and_shrink_with_the_crowd() {
        let flat = flat(WINDOWS[0], 100);
        let across = flat.half_view.x * 2.0;
        let width = |count| grid(count, flat)[0].width;
        assert!((1..PAGE_TILES).all(|count| width(count + 1) <= width(count) + 1e-6));
        assert!(width(4) / across > 0.3, "four people fill the view's height: {}", width(4) / across);
        assert!(width(49) / across > 0.09, "a full page is still legible: {}", width(49) / across);
        let nine = grid(9, flat);
        assert!(nine.iter().all(|tile| tile.width == width(9)));
        assert!(
            (nine[0].centre.y - nine[2].centre.y).abs() < 1e-6 && nine[3].centre.y < nine[2].centre.y,
            "three rows of three"
        );
    }

    #[test]
    fn name_plates_are_as_high_as_the_text_asks_and_narrow_enough_for_their_tiles() {
        let plate_px = |count: usize, text| {
            let flat = flat(WINDOWS[0], text);
            let tile = grid(count, flat)[0];
            assert!(tile.plate <= tile.width * PLATE_SHARE + 1e-6, "{count} at {text} %: the name leaves its tile");
            tile.plate * WINDOWS[0].y / (2.0 * flat.half_view.y)
        };
        for count in [1, 2, 4, 9] {
            assert!((plate_px(count, 100) - PLATE_PT).abs() < 0.01, "{count} people: {}", plate_px(count, 100));
        }
        assert!((plate_px(2, 200) - 2.0 * PLATE_PT).abs() < 0.01 && plate_px(2, 75) < PLATE_PT);
        assert!(plate_px(49, 100) < PLATE_PT);
    }

    #[test]
    fn the_speaker_is_large_and_the_strip_keeps_clear_of_it() {
        for flat in flats() {
            for strip in 0..=9 {
                for plated in [false, true] {
                    let tiles = spotlight(strip, flat, plated);
                    assert_eq!(tiles.len(), 1 + strip.min(STRIP_TILES));
                    let what = format!("{strip} beside the speaker in {flat:?}");
                    assert_apart_and_inside(&tiles, flat.half_view, &what);
                    assert!(tiles[1..].iter().all(|tile| tile.width < tiles[0].width));
                    assert_eq!(plated, tiles[0].plate > 0.0);
                }
            }
        }
    }
}
