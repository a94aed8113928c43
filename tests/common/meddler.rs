//! Something that stands between a client and its server and meddles with what the server says: turns messages into
//! others, adds some, adds nonsense, and swallows what the client asks. Media goes past it. One runtime thread each.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol::{SignalRequest, SignalResponse, signal_request, signal_response};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

pub use signal_request::Message as Ask;
pub use signal_response::Message as Say;

/// Longest head of a request or answer.
const HEAD_BYTES: usize = 256 * 1024;

type Turn = dyn Fn(Say) -> Vec<Say> + Send + Sync;
type Swallow = dyn Fn(&Ask) -> bool + Send + Sync;

/// See the module. Ends with the value.
pub struct Meddler {
    pub url: String,
    words: broadcast::Sender<Vec<u8>>,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Clone)]
struct Rules {
    server: SocketAddr,
    turn: Arc<Turn>,
    swallow: Arc<Swallow>,
    words: broadcast::Sender<Vec<u8>>,
}

impl Meddler {
    /// Stands before the server of this `ws://` address and only listens.
    pub fn before(server: &str) -> Self {
        Self::with(server, |said| vec![said], |_| false)
    }

    /// Stands before a server, turns what it says, and swallows what the client asks where `swallow` says so.
    pub fn with(
        server: &str,
        turn: impl Fn(Say) -> Vec<Say> + Send + Sync + 'static,
        swallow: impl Fn(&Ask) -> bool + Send + Sync + 'static,
    ) -> Self {
        let server = server.trim_start_matches("ws://").parse().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("meddler").enable_all().build();
        let runtime = runtime.unwrap();
        let words = broadcast::Sender::new(1024);
        let rules = Rules { server, turn: Arc::new(turn), swallow: Arc::new(swallow), words: words.clone() };
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                let rules = rules.clone();
                tokio::spawn(async move {
                    if let Err(error) = pass(client, &rules).await {
                        tracing::debug!(%error, "a meddled connection ended");
                    }
                });
            }
        });
        Self { url, words, _runtime: runtime }
    }

    /// Says this to every client, as if the server did.
    pub fn say(&self, message: Say) {
        self.say_bytes(SignalResponse { message: Some(message) }.encode_to_vec());
    }

    /// Says whatever this is to every client.
    pub fn say_bytes(&self, bytes: Vec<u8>) {
        self.words.send(bytes).expect("nobody is connected through the meddler");
    }
}

async fn pass(mut client: TcpStream, rules: &Rules) -> std::io::Result<()> {
    let (head, rest) = read_head(&mut client).await?;
    let mut server = TcpStream::connect(rules.server).await?;
    // Compressed messages could not be read.
    let plain = head.split_inclusive("\r\n").filter(|line| !starts_with(line, "sec-websocket-extensions"));
    server.write_all(plain.collect::<String>().as_bytes()).await?;
    server.write_all(&rest).await?;
    let (answer, early) = read_head(&mut server).await?;
    client.write_all(answer.as_bytes()).await?;
    if answer.split(' ').nth(1) != Some("101") {
        client.write_all(&early).await?;
        copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    }
    let mut words = rules.words.subscribe();
    let client = WebSocketStream::from_partially_read(client, rest, Role::Server, None).await;
    let server = WebSocketStream::from_partially_read(server, early, Role::Client, None).await;
    let (mut to_client, mut from_client) = client.split();
    let (mut to_server, mut from_server) = server.split();
    loop {
        tokio::select! {
            asked = from_client.next() => {
                let Some(Ok(message)) = asked else { break };
                let swallowed = match &message {
                    Message::Binary(bytes) => SignalRequest::decode(bytes.as_ref())
                        .ok()
                        .and_then(|request| request.message)
                        .is_some_and(|ask| (rules.swallow)(&ask)),
                    _ => false,
                };
                if !swallowed && to_server.send(message).await.is_err() {
                    break;
                }
            }
            said = from_server.next() => {
                let Some(Ok(message)) = said else { break };
                let turned: Vec<Message> = match message {
                    Message::Binary(bytes) => match SignalResponse::decode(bytes.as_ref()) {
                        Ok(SignalResponse { message: Some(said) }) => (rules.turn)(said)
                            .into_iter()
                            .map(|said| Message::binary(SignalResponse { message: Some(said) }.encode_to_vec()))
                            .collect(),
                        _ => vec![Message::Binary(bytes)],
                    },
                    other => vec![other],
                };
                for message in turned {
                    if to_client.send(message).await.is_err() {
                        return Ok(());
                    }
                }
            }
            Ok(word) = words.recv() => {
                if to_client.send(Message::binary(word)).await.is_err() {
                    break;
                }
            }
        }
    }
    Ok(())
}

fn starts_with(line: &str, name: &str) -> bool {
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

/// The head of a request or an answer with its empty line, and what came after it.
async fn read_head(stream: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        if bytes.len() > HEAD_BYTES || stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}
