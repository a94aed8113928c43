//! Where panels go in the flat views: tiles in rows, or one large beside a strip of small ones. Pure geometry.
//!
//! Everything is measured in slopes: metres per metre of distance from the eye, right and up from the middle of the
//! view. So a tile says how large a panel looks, and a panel of any size fills it from the right distance.

use bevy::math::{Rect, Vec2};

use super::PLATE_SHARE;

/// Tiles of one page of the grid at most; more people take more pages.
pub const PAGE_TILES: usize = 49;
/// Tiles of the strip at most.
pub const STRIP_TILES: usize = 6;
/// Height of a panel as a share of the width of its picture: picture and name plate.
const HEIGHT: f32 = 9.0 / 16.0 + PLATE_SHARE;
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
}

/// The part of the view that tiles may take, from the tangents of half its angles.
fn area(half_view: Vec2) -> Rect {
    let view = half_view * 2.0;
    let min = Vec2::new(-half_view.x + view.x * BESIDE, -half_view.y + view.y * BELOW);
    Rect::from_corners(min, Vec2::new(half_view.x - view.x * BESIDE, half_view.y - view.y * ABOVE))
}

/// Tiles for so many panels, as large as they can be, row by row from the top left. The last row is centred.
pub(super) fn grid(count: usize, half_view: Vec2) -> Vec<Tile> {
    rows_in(area(half_view), count, half_view.x * 2.0 * WIDEST)
}

fn rows_in(area: Rect, count: usize, widest: f32) -> Vec<Tile> {
    let width_with = |columns: usize| {
        let rows = count.div_ceil(columns);
        let across = area.width() / (columns as f32 * (1.0 + GAP));
        let down = area.height() / (rows as f32 * (HEIGHT + GAP));
        across.min(down).min(widest)
    };
    // Of equally large ones the fewest columns: nine people are three rows of three.
    let best = (1..=count).rev().max_by(|a, b| width_with(*a).total_cmp(&width_with(*b)));
    let Some(columns) = best else { return Vec::new() };
    let (width, rows) = (width_with(columns), count.div_ceil(columns));
    let step = Vec2::new(width * (1.0 + GAP), width * (HEIGHT + GAP));
    (0..count)
        .map(|index| {
            let (row, column) = (index / columns, index % columns);
            let in_row = (count - row * columns).min(columns);
            let right = (column as f32 - (in_row - 1) as f32 * 0.5) * step.x;
            let down = (row as f32 - (rows - 1) as f32 * 0.5) * step.y;
            Tile { centre: area.center() + Vec2::new(right, -down), width }
        })
        .collect()
}

/// One large tile first, then the strip: beside it in a wide view, above it in a tall one. `plate` is whether the
/// large one has a name plate below its picture.
pub(super) fn spotlight(strip: usize, half_view: Vec2, plate: bool) -> Vec<Tile> {
    let area = area(half_view);
    let strip = strip.min(STRIP_TILES);
    let wide = half_view.x > half_view.y;
    let height = if plate { HEIGHT } else { 9.0 / 16.0 };
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
    let large =
        Tile { centre: main.center(), width: (main.width() / (1.0 + GAP)).min(main.height() / (height + GAP * 0.5)) };
    let (columns, rows) = if wide { (1, strip) } else { (strip, 1) };
    let width = (side.width() / (columns as f32 * (1.0 + GAP))).min(side.height() / (rows as f32 * (HEIGHT + GAP)));
    let step = if wide { Vec2::new(0.0, -width * (HEIGHT + GAP)) } else { Vec2::new(width * (1.0 + GAP), 0.0) };
    let small = (0..strip)
        .map(|index| Tile { centre: side.center() + step * (index as f32 - (strip - 1) as f32 * 0.5), width });
    std::iter::once(large).chain(small).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEWS: [Vec2; 4] = [Vec2::new(0.78, 0.44), Vec2::new(0.44, 0.78), Vec2::new(0.5, 0.5), Vec2::new(2.0, 0.2)];

    fn bounds(tile: &Tile, height: f32) -> Rect {
        Rect::from_center_size(tile.centre, Vec2::new(tile.width, tile.width * height))
    }

    fn assert_apart_and_inside(tiles: &[Rect], half_view: Vec2, what: &str) {
        let view = Rect::from_center_half_size(Vec2::ZERO, half_view);
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
        for view in VIEWS {
            for count in 0..=PAGE_TILES {
                let tiles = grid(count, view);
                assert_eq!(tiles.len(), count);
                let rects: Vec<_> = tiles.iter().map(|tile| bounds(tile, HEIGHT)).collect();
                assert_apart_and_inside(&rects, view, &format!("{count} in {view}"));
            }
        }
    }

    #[test]
    fn tiles_are_equal_and_shrink_with_the_crowd() {
        let view = VIEWS[0];
        let width = |count| grid(count, view)[0].width;
        assert!((1..PAGE_TILES).all(|count| width(count + 1) <= width(count) + 1e-6));
        assert!(width(4) / (view.x * 2.0) > 0.27, "four people fill the view's height: {}", width(4));
        assert!(width(49) / (view.x * 2.0) > 0.09, "a full page is still legible: {}", width(49));
        let nine = grid(9, view);
        assert!(nine.iter().all(|tile| tile.width == width(9)));
        assert!(
            (nine[0].centre.y - nine[2].centre.y).abs() < 1e-6 && nine[3].centre.y < nine[2].centre.y,
            "three rows of three"
        );
    }

    #[test]
    fn the_speaker_is_large_and_the_strip_keeps_clear_of_it() {
        for view in VIEWS {
            for strip in 0..=9 {
                for plate in [false, true] {
                    let tiles = spotlight(strip, view, plate);
                    assert_eq!(tiles.len(), 1 + strip.min(STRIP_TILES));
                    let first = if plate { HEIGHT } else { 9.0 / 16.0 };
                    let rects: Vec<_> = tiles
                        .iter()
                        .enumerate()
                        .map(|(n, tile)| bounds(tile, if n == 0 { first } else { HEIGHT }))
                        .collect();
                    assert_apart_and_inside(&rects, view, &format!("{strip} beside the speaker in {view}"));
                    assert!(tiles[1..].iter().all(|tile| tile.width < tiles[0].width));
                }
            }
        }
    }
}
