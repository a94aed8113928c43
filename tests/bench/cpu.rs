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

/// Every process that a process started, and theirs.
pub fn descendants(of: u32) -> anyhow::Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        // `pid (name) state ppid`; the name may hold anything. A process that ended meanwhile has none.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        parents.extend(parent.map(|parent: u32| (pid, parent)));
    }
    let mut found = vec![of];
    let mut looked = 0;
    while let Some(&parent) = found.get(looked) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        looked += 1;
    }
    found.remove(0);
    Ok(found)
}

/// Whether a process was started with an argument.
pub fn has_argument(pid: u32, argument: &str) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    // Chromium's helpers write theirs with spaces.
    line.split(|byte| matches!(byte, 0 | b' ')).any(|word| word == argument.as_bytes())
}

/// What a `schedstat` file of the kernel says.
pub fn on_cpu(path: &Path) -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string(path)?;
    Ok(Duration::from_nanos(text.split_whitespace().next().context("empty schedstat")?.parse()?))
}
