//! The command line as a user meets it: what it prints, what it refuses, and the demo from start to report.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rotunda::model::RoomId;
use rotunda::protocol::token;
use rotunda::server::{Server, ServerConfig};

/// Runs `rotunda` to its end; kills it and fails when it takes longer than `limit`.
fn rotunda(args: &[&str], limit: Duration) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rotunda"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "ROTUNDA_TOKEN", "ROTUNDA_KEYS", "ROTUNDA_CONFIG"] {
        command.env_remove(name);
    }
    let mut child = command.spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > limit {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("rotunda {args:?} ran over {limit:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

/// Runs a command that must fail, and gives what it said.
fn refused(args: &[&str]) -> String {
    let output = rotunda(args, Duration::from_secs(30));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{args:?} was not refused: {said}");
    assert!(!said.contains("panicked"), "{args:?} panicked: {said}");
    said
}

#[track_caller]
fn assert_says(said: &str, words: &str) {
    assert!(said.contains(words), "expected {words:?} in: {said}");
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    folder
}

fn server() -> rotunda::server::ServerHandle {
    Server::start(ServerConfig { port: 0, rtc_port: 0, ..ServerConfig::dev() }).unwrap()
}

#[test]
fn unknown_flags_and_values_are_explained() {
    assert_says(&refused(&["demo", "--gests", "3"]), "--guests");
    assert_says(&refused(&["demo", "--size", "wide"]), "1280x720");
    assert_says(&refused(&["demo", "--guests", "400"]), "49");
    assert_says(&refused(&["join", "nonsense", "--room", "r", "--name", "n", "--token", "t"]), "ws://HOST:PORT");
    assert_says(
        &refused(&["join", "ftp://host", "--room", "r", "--name", "n", "--token", "t"]),
        "no WebSocket address",
    );
    assert_says(&refused(&["join", "ws://127.0.0.1:7880", "--room", "r", "--name", "n"]), "--token");
    assert_says(&refused(&["join", "ws://127.0.0.1:7880", "--name", "n", "--token", "t"]), "--room");
    assert_says(&refused(&["join", "http://127.0.0.1:9/join/r?code=x", "--name", "n", "--room", "r"]), "--room");
}

#[test]
fn a_link_is_printed_and_is_enough_to_join() {
    let server =
        Server::start(ServerConfig { port: 0, rtc_port: 0, invitations: true, ..ServerConfig::dev() }).unwrap();
    let keys = ["token", "--api-key", "devkey", "--api-secret", "secret", "--room", "hall"];
    let print = |base: &str| rotunda(&[keys.as_slice(), &["--invitation", base]].concat(), Duration::from_secs(20));
    let link = String::from_utf8(print(&server.url()).stdout).unwrap().trim().to_owned();
    assert_eq!(Some(&link), server.invitation(&RoomId::new("hall").unwrap()).as_ref());
    assert!(!print("call.example").status.success());
    assert_says(&refused(&keys), "--identity");
    let join = |link: &str| {
        let call = ["--name", "Ann", "--no-render", "--headless", "--seconds", "5"];
        rotunda(&[["join", link].as_slice(), call.as_slice()].concat(), Duration::from_secs(30))
    };
    let output = join(&link);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = join(&link.replace("code=", "code=x"));
    assert!(!output.status.success());
    assert_says(&String::from_utf8_lossy(&output.stderr), "1002033");
}

#[test]
fn illegal_ids_tokens_and_sources_are_refused_before_dialling() {
    let join = |room: &str, extra: &[&str]| {
        let mut args = vec!["join", "ws://127.0.0.1:9", "--room", room, "--name", "n", "--no-render"];
        args.extend_from_slice(extra);
        refused(&args)
    };
    let keys = ["--api-key", "devkey", "--api-secret", "secret"];
    assert_says(&join("two words", &keys), "no space");
    assert_says(&join(&"x".repeat(129), &keys), "129 bytes");
    assert_says(&join("r", &["--token", "not.a.token"]), "token");
    let with = |more: &[&'static str]| [keys.as_slice(), more].concat();
    assert_says(&join("r", &with(&["--identity", &"i".repeat(64).leak()[..]])), "64 bytes");
    assert_says(&join("r", &with(&["--video", "camera:none-such"])), "the camera none-such");
    assert_says(&join("r", &with(&["--screen", "cinema"])), "window:ID");
    assert_says(&join("r", &with(&["--video", "file:/nowhere.y4m"])), "/nowhere.y4m");
    assert_says(&join("r", &with(&["--video", "film"])), "file:PATH");
    assert_says(&join("r", &with(&["--video", "file:/dev/zero"])), "pipe or device");
    assert_says(&join("r", &with(&["--audio", "file:/dev/zero"])), "pipe or device");
    assert_says(&join("r", &with(&["--audio", "microphone:none-such"])), "the microphone none-such");
    assert_says(&join("r", &with(&["--screen-audio"])), "add --screen");
}

#[test]
fn a_camera_and_a_microphone_that_are_not_there_keep_nobody_from_dialling() {
    let mut args = vec!["join", "ws://127.0.0.1:9", "--room", "r", "--name", "n", "--no-render", "--headless"];
    args.extend(["--seconds", "20", "--api-key", "devkey", "--api-secret", "secret"]);
    args.extend(["--video", "camera", "--audio", "microphone"]);
    assert_says(&refused(&args), "1002030");
}

#[test]
fn a_server_that_is_not_there_is_named_with_its_code() {
    let said = refused(&[
        "join",
        "ws://127.0.0.1:9",
        "--room",
        "r",
        "--name",
        "n",
        "--no-render",
        "--headless",
        "--seconds",
        "20",
        "--api-key",
        "devkey",
        "--api-secret",
        "secret",
    ]);
    assert_says(&said, "1002030");
}

#[test]
fn a_wrong_secret_is_an_authentication_failure() {
    let server = server();
    let url = server.url();
    let said = refused(&[
        "join",
        &url,
        "--room",
        "r",
        "--name",
        "n",
        "--no-render",
        "--headless",
        "--seconds",
        "20",
        "--api-key",
        "devkey",
        "--api-secret",
        "another",
    ]);
    assert_says(&said, "1002033");
}

#[test]
fn an_expired_token_says_so() {
    let server = server();
    let args = ["token", "--api-key", "devkey", "--api-secret", "secret", "--room", "r", "--identity", "i"];
    let output = rotunda(&[args.as_slice(), &["--ttl", "1s"]].concat(), Duration::from_secs(20));
    let token = String::from_utf8(output.stdout).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(token::verify(token.trim(), |_| Some("secret".into()), now).is_ok());
    assert!(token::verify(token.trim(), |_| Some("secret".into()), now + 600).is_err());
    // The leeway of LIVEKIT.md is a minute, so the expired one is signed in the past.
    let past = token::issue(&token::TokenRequest::member("devkey", "secret", "r", "i"), now - 864_000).unwrap();
    let url = server.url();
    let said = refused(&[
        "join",
        &url,
        "--room",
        "r",
        "--name",
        "n",
        "--no-render",
        "--headless",
        "--seconds",
        "20",
        "--token",
        &past,
    ]);
    assert_says(&said, "1002056");
}

#[test]
fn a_port_in_use_and_missing_keys_are_explained() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = refused(&["serve", "--dev", "--port", &port, "--rtc-port", "0"]);
    assert_says(&said, &port);
    let said = refused(&["demo", "--headless", "--port", &port]);
    assert_says(&said, &port);
    assert_says(&refused(&["serve", "--port", "0"]), "--dev");
    assert_says(&refused(&["serve", "--keys", "no colon"]), "key: secret");
    assert_says(&refused(&["serve", "--config", "/nowhere.toml"]), "/nowhere.toml");
}

#[test]
fn devices_lists_as_json() {
    let output = rotunda(&["devices", "--json"], Duration::from_secs(30));
    assert!(output.status.success());
    let devices: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for kind in ["cameras", "microphones", "speakers", "screens", "windows"] {
        assert!(devices[kind].is_array(), "{kind}: {devices}");
    }
    assert_says(&refused(&["devices", "--watch", "--json"]), "--json");
}

#[test]
fn check_tells_what_works_and_what_to_do() {
    let output = rotunda(&["check", "--json"], Duration::from_secs(120));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let told = told.as_array().unwrap();
    for part in ["camera", "microphone", "speaker", "screen_capture", "vp8", "h264", "opus", "gpu"] {
        let entry = told.iter().find(|entry| entry["part"] == part).unwrap_or_else(|| panic!("{part} is not told"));
        let works = entry["works"].as_bool().unwrap();
        assert_eq!(works, entry["advice"].as_str().unwrap().is_empty(), "{entry}");
        assert!(works || !["vp8", "h264", "opus"].contains(&part), "{entry}");
    }
}

#[test]
fn a_picture_is_retouched_and_bad_filters_are_refused() {
    let out = scratch("beauty");
    std::fs::create_dir_all(&out).unwrap();
    let path = |name: &str| out.join(name).to_str().unwrap().to_owned();
    // Skin without a feature: it grows lighter, and the right half only when one compares.
    let before: Vec<u8> = (0..64 * 48).flat_map(|_| [198, 150, 116]).collect();
    let mut encoder = png::Encoder::new(std::fs::File::create(out.join("in.png")).unwrap(), 64, 48);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&before).unwrap();
    let read = |name: &str| {
        let file = std::io::BufReader::new(std::fs::File::open(out.join(name)).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        assert_eq!(reader.info().size(), (64, 48));
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        pixels
    };
    let (input, output) = (path("in.png"), path("out.png"));
    let filter = |more: &[&str]| {
        let mut args = vec!["beauty", &input, &output];
        args.extend(more);
        let done = rotunda(&args, Duration::from_secs(60));
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        read("out.png")
    };
    let same: Vec<u8> = before.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
    assert_eq!(filter(&["smooth=0"]), same, "all off");
    let lighter = filter(&["whiten=100"]);
    assert!(lighter.chunks_exact(4).all(|p| p[0] > 208 && p[1] > 158), "{:?}", &lighter[..4]);
    let compared = filter(&["whiten=100", "--compare"]);
    assert_eq!((&compared[..4], &compared[63 * 4..64 * 4]), (&same[..4], &lighter[63 * 4..64 * 4]));
    let refused_with = |more: &[&str]| {
        let mut args = vec!["beauty", &input, &output];
        args.extend(more);
        refused(&args)
    };
    assert_says(&refused_with(&["smooth=101"]), "0 to 100");
    assert_says(&refused_with(&["glow=3"]), "smooth=50");
    std::fs::write(out.join("in.png"), b"no picture").unwrap();
    assert_says(&refused_with(&[]), "PNG");
    assert_says(&refused(&["beauty", &path("gone.png"), &output]), "gone.png");
}

#[test]
fn how_pictures_are_sent_is_checked_before_dialling() {
    let login = ["--api-key", "devkey", "--api-secret", "secret", "--no-render"];
    let join = |more: &[&str]| {
        let mut args = vec!["join", "ws://127.0.0.1:9", "--room", "hall", "--name", "Ann"];
        args.extend(login);
        args.extend(more);
        refused(&args)
    };
    assert_says(&join(&["--codec", "av1"]), "h264");
    assert_says(&join(&["--preset", "7"]), "1 to 3");
    assert_says(&join(&["--preset", "4"]), "WIDTHxHEIGHT@FPS:KBPS");
    assert_says(&join(&["--screen-preset", "1920x1080@0:100"]), "custom preset");
    assert_says(&join(&["--extra-info", &"x".repeat(1024)]), "1003051");
    assert_says(&join(&["--preset", "320x240@10:200", "--codec", "h264", "--no-simulcast"]), "1002030");
}

/// The main job: one command, a room with guests and a wall, a picture of it, and figures for every stream.
#[test]
fn the_demo_ends_with_a_picture_and_a_report() {
    let out = scratch("demo");
    let folder = out.to_str().unwrap();
    let args = [
        "demo",
        "--headless",
        "--guests",
        "5",
        "--seconds",
        "15",
        "--size",
        "640x360",
        "--quality",
        "low",
        "--out",
        folder,
    ];
    let output = rotunda(&args, Duration::from_secs(120));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert_says(&stdout, "url    ws://127.0.0.1:");
    assert_says(&stdout, "token  ey");
    assert_says(&stdout, "link   http://127.0.0.1:");

    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["ok"], true, "{report}");
    let streams = report["streams"].as_array().unwrap();
    let videos: Vec<_> = streams.iter().filter(|s| s["kind"] == "video").collect();
    assert_eq!(videos.len(), 6, "four portraits and two pages on the wall: {report:#}");
    for video in &videos {
        assert!(video["frames_presented"].as_u64().unwrap() > 10, "{video:#}");
        let delay = video["capture_to_present_ms"]["median"].as_f64().unwrap();
        assert!(delay > 0.0 && delay < 5_000.0, "{video:#}");
    }
    assert_eq!(videos.iter().filter(|s| s["source"] == "screen_share").count(), 2, "{report:#}");
    // All hang before the viewer, small in a small picture.
    for video in &videos {
        let why = video["fetched"]["why"].as_str().unwrap();
        assert!(["in view", "speaking"].contains(&why), "{video:#}");
        assert_ne!(video["fetched"]["size"], "full", "{video:#}");
    }
    assert_says(&stdout, "pictures fetched: ");
    let voices: Vec<_> = streams.iter().filter(|s| s["kind"] == "audio").collect();
    assert_eq!(voices.len(), 5);
    for voice in voices {
        assert!(voice["audio_level"].as_f64().unwrap() > 0.01, "{voice:#}");
    }

    let picture = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(out.join("room.png")).unwrap()));
    let mut picture = picture.read_info().unwrap();
    assert_eq!(picture.info().size(), (640, 360));
    let mut pixels = vec![0; picture.output_buffer_size().unwrap()];
    picture.next_frame(&mut pixels).unwrap();
    let (darkest, brightest) = (pixels.iter().min().unwrap(), pixels.iter().filter(|p| **p < 255).max().unwrap());
    assert!(brightest - darkest > 100, "the picture is flat: {darkest}..{brightest}");
}
