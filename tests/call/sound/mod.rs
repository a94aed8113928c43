//! Sound on a sound system: devices that come and go, speech from a mouth to an ear, and from where it comes. A
//! PulseAudio of our own has the devices; the test runs itself again as a child, since which sound system is asked stands
//! in the environment.

mod devices;
mod in_space;
mod mouth_to_ear;
mod score;

use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::pulse::Pulse;

/// Names the sound system's process to the child.
const PULSE_PID: &str = "ROTUNDA_TEST_PULSE_PID";

/// Runs an ignored test of this module in a process that knows only the sound system of the test. Skipped, with the
/// reason, where PulseAudio cannot be started; not in CI.
fn run_with_pulse(child: &str) {
    let pulse = match Pulse::start() {
        Ok(pulse) => pulse,
        Err(why) if std::env::var_os("CI").is_none() => {
            println!("skipped: {why}");
            return;
        }
        Err(why) => panic!("{why}"),
    };
    let ended = Command::new(std::env::current_exe().unwrap())
        .args([child, "--exact", "--ignored", "--nocapture"])
        .env("PULSE_SERVER", pulse.server())
        .env(PULSE_PID, pulse.pid().to_string())
        .output()
        .unwrap();
    let (said, complained) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    print!("{said}");
    assert!(ended.status.success() && said.contains("1 passed"), "{said}\n{complained}");
}

#[test]
fn devices_come_and_go_without_a_restart() {
    run_with_pulse("sound::devices::child");
}

#[test]
fn what_stands_still_is_avoided_and_comes_back() {
    run_with_pulse("sound::devices::child_stands_still");
}

#[test]
fn a_sound_system_that_hangs_holds_nobody_up() {
    run_with_pulse("sound::devices::child_hangs");
}

#[test]
fn speech_arrives_from_mouth_to_ear() {
    run_with_pulse("sound::mouth_to_ear::child");
}

#[test]
fn a_speaker_on_the_left_is_heard_on_the_left() {
    run_with_pulse("sound::in_space::child");
}

/// Tells the sound system something and gives what it answers: a module's number when it loads one.
fn pactl(arguments: &[&str]) -> String {
    let output = Command::new("pactl").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(output.status.success(), "pactl {arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Sends the sound system a signal, by its name without `SIG`.
fn signal(name: &str) {
    let pid = std::env::var(PULSE_PID).unwrap();
    // The shell's own `kill` is always there.
    assert!(Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().unwrap().success());
}

/// Everything about devices happens within this, even on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// Waits until something is so.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {SOON:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
