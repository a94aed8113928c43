//! The counters as Prometheus reads them (text exposition format 0.0.4): sums and numbers only, nobody's name.

use std::fmt::Write as _;

use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::counters::{Counters, ServerStats};

/// The answer to a scrape.
pub(super) fn answer(counters: &Counters) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, text(&counters.snapshot())).into_response()
}

/// Name, kind, help and value of each.
fn text(stats: &ServerStats) -> String {
    const G: &str = "gauge";
    const C: &str = "counter";
    let rows: [(&str, &str, &str, f64); 22] = [
        ("rooms", G, "Rooms that are open.", stats.rooms as f64),
        ("participants", G, "Participants in all rooms.", stats.participants as f64),
        ("tracks", G, "Published tracks.", stats.tracks as f64),
        ("subscriptions", G, "Tracks on their way to a receiver.", stats.subscriptions as f64),
        ("loss_ratio", G, "Mean loss of the connections, 0 to 1.", stats.loss_ppm as f64 / 1e6),
        ("rtt_seconds", G, "Mean round trip of the connections.", stats.rtt_us as f64 / 1e6),
        ("media_busy_seconds_total", C, "Time the media thread worked.", stats.media_busy_us as f64 / 1e6),
        ("joins_refused_total", C, "Logins that were refused.", stats.refused as f64),
        ("bad_signals_total", C, "Unreadable or too many messages.", stats.bad_signals as f64),
        ("bad_descriptions_total", C, "Senseless session descriptions.", stats.bad_descriptions as f64),
        ("datagrams_in_total", C, "Datagrams that came in.", stats.datagrams_in as f64),
        ("bytes_in_total", C, "Bytes that came in as media.", stats.bytes_in as f64),
        ("datagrams_out_total", C, "Datagrams that went out.", stats.datagrams_out as f64),
        ("bytes_out_total", C, "Bytes that went out as media.", stats.bytes_out as f64),
        ("send_failures_total", C, "Datagrams the system did not take.", stats.send_failures as f64),
        ("strangers_total", C, "Datagrams of nobody known.", stats.strangers as f64),
        ("packets_in_total", C, "Media packets that came in.", stats.packets_in as f64),
        ("packets_forwarded_total", C, "Media packets sent on.", stats.packets_forwarded as f64),
        ("keyframe_requests_total", C, "Keyframes asked of publishers.", stats.keyframe_requests as f64),
        ("data_forwarded_total", C, "Data packets sent on.", stats.data_forwarded as f64),
        ("data_dropped_total", C, "Data packets not sent on.", stats.data_dropped as f64),
        ("failed_links_total", C, "Connections that failed.", stats.failed_links as f64),
    ];
    let mut out = String::new();
    for (name, kind, help, value) in rows {
        let name = format!("rotunda_{name}");
        let written = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
        debug_assert!(written.is_ok(), "a String takes everything");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_line_prometheus_reads() {
        let counters = Counters::default();
        counters.rooms.set(3);
        counters.rtt_us.set(1500);
        let text = text(&counters.snapshot());
        assert!(text.contains("# TYPE rotunda_rooms gauge\nrotunda_rooms 3\n"), "{text}");
        assert!(text.contains("\nrotunda_rtt_seconds 0.0015\n"));
        assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), 22);
    }
}
