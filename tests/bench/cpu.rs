//! CPU time as the Linux scheduler accounts it, in nanoseconds: finer than the 10 ms ticks of `/proc/PID/stat`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// User and system time of the calling thread.
pub fn this_thread() -> anyhow::Result<Duration> {
    on_cpu(Path::new("/proc/thread-self/schedstat"))
}

/// User and system time of all living threads of a process.
pub fn process(pid: u32) -> anyhow::Result<Duration> {
    let mut sum = Duration::ZERO;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread that ends in between takes its share along.
        if let Ok(time) = on_cpu(&task?.path().join("schedstat")) {
            sum += time;
        }
    }
    Ok(sum)
}

/// CPU seconds a process uses per second of wall time, over `window`.
pub fn share(pid: u32, window: Duration) -> anyhow::Result<f64> {
    let (started, before) = (Instant::now(), process(pid)?);
    std::thread::sleep(window);
    let used = process(pid)?.saturating_sub(before);
    Ok(used.as_secs_f64() / started.elapsed().as_secs_f64())
}

/// Resident memory of a process, in bytes.
pub fn resident(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.split_whitespace().next().context("no figure")?.parse::<u64>()? * 1024)
}

fn on_cpu(path: &Path) -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string(path)?;
    Ok(Duration::from_nanos(text.split_whitespace().next().context("empty schedstat")?.parse()?))
}
