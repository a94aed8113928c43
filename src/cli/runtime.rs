//! Waiting for the user or the system to end a command that has no window.

use std::time::Duration;

use anyhow::Context as _;

/// Waits for Ctrl-C, SIGTERM or the end of `limit`, calling `tick` every `every` in between; `tick` ends the wait by
/// returning `false`.
///
/// # Errors
/// When the system gives no timer or signal handler.
#[expect(clippy::disallowed_methods, reason = "the main thread owns this runtime and does nothing else")]
pub fn wait(limit: Option<Duration>, every: Duration, mut tick: impl FnMut() -> bool) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime that waits for signals")?;
    runtime.block_on(async {
        let stop = stop_signal()?;
        tokio::pin!(stop);
        let end = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(end);
        let mut ticks = tokio::time::interval(every);
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                () = &mut end => return Ok(()),
                _ = ticks.tick() => if !tick() { return Ok(()) },
            }
        }
    })
}

#[cfg(unix)]
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    Ok(async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "cannot listen for Ctrl-C");
            std::future::pending::<()>().await;
        }
    })
}
