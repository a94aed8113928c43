//! How the C library's allocator keeps memory: a call lasts for hours and allocates in dozens of threads, each of which
//! would get a heap of its own that fills with holes between what lives long. Set once, before other threads exist.
#![cfg_attr(
    all(target_os = "linux", target_env = "gnu"),
    allow(unsafe_code, reason = "the C library's settings have no safe wrapper")
)]

/// Lets few heaps serve all threads, and gives large buffers pages of their own, which go back when they are freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn keep_together() {
    /// As many as cores, for they cannot all wait for one; more help nobody.
    const MOST_HEAPS: usize = 4;
    /// The library's own first threshold, which it would raise with every large buffer that is freed.
    const LARGE_BYTES: i32 = 128 * 1024;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let heaps = cores.clamp(2, MOST_HEAPS) as i32;
    // SAFETY: sets numbers that the allocator reads when it next needs memory; any value is sound.
    let set = unsafe {
        libc::mallopt(libc::M_ARENA_MAX, heaps) != 0 && libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES) != 0
    };
    if !set {
        tracing::debug!("the allocator keeps its own settings");
    }
}

/// Other systems' allocators need no advice.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_together() {}
