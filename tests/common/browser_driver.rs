//! The official browser client as a test sees it: Chromium behind `tests/browser/browser.mjs`, one JSON line a command.
//! The program and its Chromium end with the value.

#![allow(clippy::print_stderr, reason = "a skipped test says why")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Chromium's first start on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// The driver gives up on a command after 40 s and says so; this is for a driver that says nothing.
const ANSWER_LIMIT: Duration = Duration::from_secs(50);
/// Answers that may wait; the driver answers only what was asked.
const ANSWER_CAPACITY: usize = 64;
/// Where the driver is, seen from the package's folder, in which cargo runs tests.
const FOLDER: &str = "tests/browser";

/// A Chromium, with a page for each participant that is named.
pub struct Browser {
    child: Child,
    stdin: Option<ChildStdin>,
    answers: Receiver<Value>,
    next_id: u64,
}

impl Browser {
    /// Starts Chromium. `None`, with the reason on standard error, where a part is missing; with `CI` set that is a
    /// failure.
    pub fn start() -> Option<Self> {
        match missing_part() {
            Some(why) if std::env::var_os("CI").is_some() => panic!("the browser test cannot run: {why}"),
            Some(why) => {
                eprintln!("SKIPPED: the browser test cannot run: {why}");
                None
            }
            None => Some(Self::launch()),
        }
    }

    fn launch() -> Self {
        let mut child = Command::new("node")
            .arg(Path::new(FOLDER).join("browser.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("a piped stdout");
        let (sender, answers) = sync_channel(ANSWER_CAPACITY);
        std::thread::Builder::new()
            .name("browser-answers".into())
            .spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    let answer = serde_json::from_str(&line).unwrap_or_else(|_| json!({ "error": line }));
                    if sender.send(answer).is_err() {
                        return;
                    }
                }
            })
            .expect("a thread");
        let mut browser = Self { child, stdin, answers, next_id: 1 };
        let hello = browser.answer("to start", START_LIMIT);
        assert!(hello["ready"] == true, "Chromium did not start: {hello}");
        browser
    }

    /// The driver's process, of which all of Chromium's are descendants.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets participant `who` do something; the error is the browser's sentence.
    pub fn try_ask(&mut self, who: &str, command: &str, arguments: Value) -> Result<Value, String> {
        let id = self.next_id;
        self.next_id += 1;
        let mut line = arguments;
        line["id"] = json!(id);
        line["as"] = json!(who);
        line["cmd"] = json!(command);
        let stdin = self.stdin.as_mut().ok_or("the browser was closed")?;
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).map_err(|error| error.to_string())?;
        let mut answer = self.answer(command, ANSWER_LIMIT);
        assert_eq!(answer["id"], id, "an answer to something else: {answer}");
        if answer["ok"] == true {
            Ok(answer["result"].take())
        } else {
            Err(answer["error"].as_str().unwrap_or("no reason given").to_owned())
        }
    }

    /// The same where it must work.
    pub fn ask(&mut self, who: &str, command: &str, arguments: Value) -> Value {
        self.try_ask(who, command, arguments).unwrap_or_else(|error| panic!("{who} {command}: {error}"))
    }

    /// Asks until the answer fits, every 200 ms; a refusal counts as not yet.
    pub fn wait_for<T>(
        &mut self,
        who: &str,
        command: &str,
        arguments: Value,
        limit: Duration,
        mut pick: impl FnMut(&Value) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + limit;
        loop {
            let answer = self.try_ask(who, command, arguments.clone());
            if let Some(found) = answer.as_ref().ok().and_then(&mut pick) {
                return found;
            }
            assert!(Instant::now() < deadline, "{who} {command} within {limit:?}; last: {answer:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn answer(&mut self, what: &str, limit: Duration) -> Value {
        match self.answers.recv_timeout(limit) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => panic!("the browser driver took over {limit:?} {what}"),
            Err(RecvTimeoutError::Disconnected) => panic!("the browser driver ended ({:?})", self.child.wait()),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends Chromium when its standard input closes.
        self.stdin = None;
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                eprintln!("the browser driver did not end by itself: {:?}", self.child.kill());
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        if let Err(error) = self.child.wait() {
            eprintln!("the browser driver: {error}");
        }
    }
}

/// What is not there, and how to get it.
fn missing_part() -> Option<&'static str> {
    let answers = |program: &str| {
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    if !answers("node") {
        return Some("node is not installed (make test installs it on Debian)");
    }
    if !Path::new(FOLDER).join("node_modules/livekit-client/dist").is_dir() {
        return Some("livekit-client is not there: run `npm ci` in tests/browser (make test does)");
    }
    let usual = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ];
    let given = std::env::var_os("CHROMIUM");
    let there =
        given.map_or_else(|| usual.iter().any(|path| Path::new(path).exists()), |path| Path::new(&path).exists());
    (!there).then_some("Chromium is not installed (make test installs it on Debian), or CHROMIUM names no file")
}
