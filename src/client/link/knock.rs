//! Whether a server can be reached at all: plain TCP connections, begun often and given time, so that the way's return is
//! noticed within a second however long a single attempt would hang. Runs as part of the task that waits.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use url::Url;

/// How often another connection is begun while none stands.
const KNOCK_EVERY: Duration = Duration::from_millis(700);
/// How long each is waited for: long ways take some time to answer.
const KNOCK_PATIENCE: Duration = Duration::from_secs(3);
/// What the signalling library reads: through a proxy, only a real attempt tells whether the server is there.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];

/// Waits until one of these servers takes connections, at most this long; whether one does. Cancel-safe.
pub(in crate::client) async fn reachable(servers: &[String], patience: Duration) -> bool {
    if PROXY_VARIABLES.iter().any(|name| std::env::var_os(name).is_some()) {
        return true;
    }
    timeout(patience, knock(servers)).await.is_ok()
}

async fn knock(servers: &[String]) {
    let doors: Vec<(String, u16)> = servers.iter().filter_map(|server| door(server)).collect();
    let mut knocks = JoinSet::new();
    let mut again = interval(KNOCK_EVERY);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = again.tick() => {
                for (host, port) in doors.iter().cloned() {
                    knocks.spawn(async move {
                        matches!(timeout(KNOCK_PATIENCE, TcpStream::connect((host, port))).await, Ok(Ok(_)))
                    });
                }
            }
            Some(opened) = knocks.join_next() => {
                if matches!(opened, Ok(true)) {
                    return;
                }
            }
        }
    }
}

/// Host and port of a server's address.
fn door(server: &str) -> Option<(String, u16)> {
    let url = Url::parse(server).ok()?;
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some((host, url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn doors_are_found_in_addresses() {
        assert_eq!(door("ws://127.0.0.1:7880"), Some(("127.0.0.1".to_owned(), 7880)));
        assert_eq!(door("wss://example.com/path"), Some(("example.com".to_owned(), 443)));
        assert_eq!(door("ws://[::1]:1"), Some(("::1".to_owned(), 1)));
        assert_eq!(door("nonsense"), None);
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the test owns its runtime")]
    async fn a_server_that_comes_up_is_noticed() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = closed.local_addr().unwrap();
        drop(closed);
        let servers = vec!["ws://127.0.0.1:1".to_owned(), format!("ws://{address}")];
        assert!(!reachable(&servers, Duration::from_millis(100)).await);
        let waiting = tokio::spawn(async move { reachable(&servers, Duration::from_secs(30)).await });
        let _open = TcpListener::bind(address).await.unwrap();
        assert!(waiting.await.unwrap());
    }
}
