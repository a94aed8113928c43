//! The one table: text for people, CSV for machines, a plot of the ratios.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

/// One figure and what it is held against.
pub struct Row {
    /// What was measured, on what.
    pub measure: String,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What stands beside it, and its figure in the same unit.
    pub beside: Option<(String, f64)>,
    /// The goal, in words.
    pub goal: &'static str,
}

/// All rows.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        self.beside.as_ref().filter(|(_, other)| *other > 0.0).map(|(_, other)| self.value / other)
    }
}

impl Table {
    /// Adds a row.
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Writes `measures.csv` and `measures.svg`; gives their paths.
    pub fn write(&self, folder: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
        std::fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        let (csv, plot) = (folder.join("measures.csv"), folder.join("measures.svg"));
        let mut text = String::from("measure,value,unit,beside,beside_value,ratio,goal\n");
        for row in &self.rows {
            let (name, other) = row.beside.as_ref().map_or(("", String::new()), |(n, o)| (n.as_str(), o.to_string()));
            let ratio = row.ratio().map_or(String::new(), |r| format!("{r:.3}"));
            writeln!(
                text,
                "\"{}\",{},{},\"{name}\",{other},{ratio},\"{}\"",
                row.measure, row.value, row.unit, row.goal
            )?;
        }
        std::fs::write(&csv, text)?;
        std::fs::write(&plot, self.plot()?)?;
        Ok((csv, plot))
    }

    /// Bars of every ratio, 1.0 marked.
    fn plot(&self) -> Result<String, fmt::Error> {
        const WIDTH: f64 = 900.0;
        const LEFT: f64 = 420.0;
        const BAR: f64 = 26.0;
        let rows: Vec<(&Row, f64)> = self.rows.iter().filter_map(|row| Some((row, row.ratio()?))).collect();
        let most = rows.iter().map(|(_, ratio)| *ratio).fold(1.5, f64::max);
        let scale = (WIDTH - LEFT - 60.0) / most;
        let height = BAR * rows.len() as f64 + 40.0;
        let mut svg = String::new();
        writeln!(
            svg,
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">"#
        )?;
        writeln!(svg, r#"<rect width="100%" height="100%" fill="white"/>"#)?;
        for (i, (row, ratio)) in rows.iter().enumerate() {
            let y = 20.0 + BAR * i as f64;
            let beside = row.beside.as_ref().map_or("", |(name, _)| name);
            let label = format!("{} / {beside}", row.measure).replace('&', "&amp;").replace('<', "&lt;");
            writeln!(svg, r#"<text x="{}" y="{}" text-anchor="end">{label}</text>"#, LEFT - 8.0, y + 16.0)?;
            let width = ratio * scale;
            writeln!(
                svg,
                r##"<rect x="{LEFT}" y="{}" width="{width:.1}" height="{}" fill="#c9803a"/>"##,
                y + 4.0,
                BAR - 8.0
            )?;
            writeln!(svg, r#"<text x="{:.1}" y="{}">{ratio:.2}</text>"#, LEFT + width + 4.0, y + 16.0)?;
        }
        let one = LEFT + scale;
        writeln!(
            svg,
            r##"<line x1="{one:.1}" x2="{one:.1}" y1="10" y2="{}" stroke="#444" stroke-dasharray="4 3"/>"##,
            height - 10.0
        )?;
        writeln!(svg, "</svg>")?;
        Ok(svg)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| measure | value | beside | ratio | goal |\n|---|---|---|---|---|")?;
        for row in &self.rows {
            let beside = row.beside.as_ref().map_or("–".into(), |(name, v)| format!("{v:.2} {} ({name})", row.unit));
            let ratio = row.ratio().map_or("–".into(), |r| format!("{r:.2}"));
            writeln!(f, "| {} | {:.2} {} | {beside} | {ratio} | {} |", row.measure, row.value, row.unit, row.goal)?;
        }
        Ok(())
    }
}

/// The figure below which a share of all lies; sorts them.
pub fn percentile(figures: &mut [f64], share: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    let last = figures.len().saturating_sub(1);
    figures.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}

/// The middle of some figures.
pub fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
