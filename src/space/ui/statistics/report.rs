//! All figures as plain text, for whoever looks into a fault. In English whatever the overlay speaks, so that everyone
//! who is asked can read it.

use super::facts::{self, Fact};
use super::findings::Findings;
use super::history::History;
use super::plot::Plot;
use super::{connection_plots, grade_word, own_plots, played_plots};
use crate::space::words::Language;

/// See the module.
pub(super) fn written(findings: &Findings, history: &History) -> String {
    let words = &Language::English.words().statistics;
    let mut report = Report(String::new());
    report.line(0, &format!("Rotunda {} on {}", env!("CARGO_PKG_VERSION"), std::env::consts::OS));
    report.line(0, &format!("{}: {}", words.connection, grade_word(findings.state, findings.grade, words)));
    if let Some(trouble) = &findings.trouble {
        report.line(2, &format!("Trouble: {trouble}"));
    }
    report.facts(&facts::connection(findings, words));
    report.plots(&connection_plots(history, words));
    report.line(0, words.own_streams);
    for own in &findings.own {
        let grade = words.grades[usize::from(own.quality.grade.number())];
        report.line(1, &format!("{} ({}): {grade}", facts::own_name(own, words), own.id));
        report.facts(&facts::own(own, words));
        report.plots(&own_plots(history, &own.id, words));
    }
    report.line(0, &(words.played_streams)(findings.played.len()));
    for played in &findings.played {
        let grade = words.grades[usize::from(played.quality.grade.number())];
        report.line(1, &format!("{} ({}): {grade}", facts::played_name(played, words), played.id));
        report.facts(&[(words.fetched, facts::fetched(played, words))]);
        report.facts(&facts::played(played, words));
        report.plots(&played_plots(history, &played.id, words));
    }
    report.0
}

struct Report(String);

impl Report {
    fn line(&mut self, depth: usize, text: &str) {
        (0..depth).for_each(|_| self.0.push_str("  "));
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn facts(&mut self, facts: &[Fact]) {
        facts.iter().for_each(|(name, value)| self.line(2, &format!("{name}: {value}")));
    }

    /// In place of a plot its mean and its highest point.
    fn plots(&mut self, plots: &[Plot]) {
        for plot in plots {
            let (Some(mean), Some(highest)) = (plot.series.mean(), plot.series.highest()) else { continue };
            let (mean, highest) = ((plot.say)(mean), (plot.say)(highest));
            self.line(2, &format!("{} in the last 2 minutes: mean {mean}, highest {highest}", plot.title));
        }
    }
}
