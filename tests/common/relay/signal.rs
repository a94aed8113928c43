//! The signalling's side: takes HTTP requests, passes them to the server with the candidates taken out, and where both
//! agree on a WebSocket passes the messages on, turned by [`super::rewrite`]. Handshakes go through as they are, so
//! that every version, header and refusal reaches the other side. Everything runs on the relay's thread.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol::{
    SessionDescription, SignalRequest, SignalResponse, SignalTarget, signal_request, signal_response,
};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::media::Gate;
use super::{Control, Direction, rewrite};

/// Longest head of a request or answer; a `join_request` with an offer has some 20 kB.
const HEAD_BYTES: usize = 256 * 1024;
/// A head has to come within this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Messages on their way at most.
const MESSAGES: usize = 1024;

type Socket = WebSocketStream<TcpStream>;

/// Takes connections for ever.
pub(super) async fn serve(listener: TcpListener, control: Arc<Control>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let control = Arc::clone(&control);
                tokio::spawn(async move {
                    let mut breaks = control.breaks.subscribe();
                    tokio::select! {
                        outcome = connection(client, &control) => {
                            if let Err(error) = outcome {
                                tracing::debug!(%error, "a connection through the relay ended");
                            }
                        }
                        _ = breaks.changed() => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the relay cannot take a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(mut client: TcpStream, control: &Arc<Control>) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let (head, rest) = read_head(&mut client).await?;
    control.signalling_open().await;
    let mut server = TcpStream::connect(control.server).await?;
    server.set_nodelay(true)?;
    let (request, upgrade) = turn_request(&head);
    server.write_all(request.as_bytes()).await?;
    server.write_all(&rest).await?;
    if !upgrade {
        copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    }
    let (answer, early) = read_head(&mut server).await?;
    client.write_all(answer.as_bytes()).await?;
    if answer.split(' ').nth(1) != Some("101") {
        client.write_all(&early).await?;
        copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    }
    let client = WebSocketStream::from_partially_read(client, Vec::new(), Role::Server, None).await;
    let server = WebSocketStream::from_partially_read(server, early, Role::Client, None).await;
    pass(client, server, control).await;
    Ok(())
}

/// The head of a request or an answer with its empty line, and what came after it.
async fn read_head(stream: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let wrong = |why: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, why.to_owned());
    let read = async {
        let mut bytes = Vec::new();
        loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                let rest = bytes.split_off(end + 4);
                return Ok((String::from_utf8(bytes).map_err(|_| wrong("a head that is no text"))?, rest));
            }
            if bytes.len() > HEAD_BYTES || stream.read_buf(&mut bytes).await? == 0 {
                return Err(wrong("no whole head"));
            }
        }
    };
    timeout(HEAD_TIMEOUT, read).await.map_err(|_| wrong("a slow head"))?
}

/// The head as the server gets it, and whether a WebSocket is asked for.
fn turn_request(head: &str) -> (String, bool) {
    let mut lines = head.trim_end_matches("\r\n").split("\r\n");
    let mut first = lines.next().unwrap_or_default().splitn(3, ' ');
    let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let mut out = format!("{method} {} {}\r\n", rewrite::strip_target(target), first.next().unwrap_or_default());
    let mut upgrade = false;
    for line in lines {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        upgrade |= name.eq_ignore_ascii_case("upgrade") && value.trim().eq_ignore_ascii_case("websocket");
        // Compressed messages could not be turned.
        if !name.eq_ignore_ascii_case("sec-websocket-extensions") {
            out.push_str(line);
            out.push_str("\r\n");
        }
    }
    out.push_str("\r\n");
    (out, upgrade)
}

/// Passes messages on, both ways, until one side ends.
async fn pass(client: Socket, server: Socket, control: &Arc<Control>) {
    let (to_client, from_client) = client.split();
    let (to_server, from_server) = server.split();
    tokio::select! {
        () = pipe(from_client, to_server, Direction::Up, control) => {}
        () = pipe(from_server, to_client, Direction::Down, control) => {}
    }
}

/// One direction: messages in order, each as late as the line is long. A cut holds them.
async fn pipe(
    mut from: SplitStream<Socket>,
    mut to: SplitSink<Socket, Message>,
    direction: Direction,
    control: &Arc<Control>,
) {
    let (late, mut due) = mpsc::channel::<(Instant, Message)>(MESSAGES);
    let take = async {
        let mut gates = Gates { control, gates: [None, None] };
        loop {
            control.signalling_open().await;
            let message = tokio::select! {
                message = from.next() => message,
                () = control.signalling_cut() => continue,
            };
            let Some(Ok(message)) = message else { break };
            let at = Instant::now() + control.network(direction).delay;
            let turned = match message {
                // Each of the two connections keeps itself alive.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
                Message::Binary(bytes) => match direction {
                    Direction::Up => gates.request(&bytes),
                    Direction::Down => gates.response(&bytes).await,
                }
                .map(|bytes| Message::Binary(bytes.into())),
                other => Some(other),
            };
            if let Some(message) = turned
                && late.send((at, message)).await.is_err()
            {
                break;
            }
        }
        drop(late);
    };
    let give = async {
        while let Some((at, message)) = due.recv().await {
            sleep_until(at).await;
            control.signalling_open().await;
            if to.send(message).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(take, give);
}

/// The gates of one session's peer connections, opened as the server tells of them.
struct Gates<'a> {
    control: &'a Arc<Control>,
    /// Publisher and subscriber.
    gates: [Option<Arc<Gate>>; 2],
}

impl Gates<'_> {
    /// What the server gets of a client's message: nothing of candidates.
    fn request(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        use signal_request::Message as Request;
        let Ok(mut request) = SignalRequest::decode(bytes) else { return Some(bytes.to_vec()) };
        match &mut request.message {
            Some(Request::Offer(description) | Request::Answer(description)) => {
                rewrite::strip_description(description);
            }
            Some(Request::SyncState(state)) => {
                [&mut state.offer, &mut state.answer].into_iter().flatten().for_each(rewrite::strip_description);
            }
            Some(Request::Trickle(trickle)) if trickle.r#final => rewrite::empty_trickle(trickle),
            Some(Request::Trickle(_)) => return None,
            _ => return Some(bytes.to_vec()),
        }
        Some(request.encode_to_vec())
    }

    /// What the client gets of a server's message: candidates at the relay, and no way around it.
    async fn response(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        use signal_response::Message as Response;
        let Ok(mut response) = SignalResponse::decode(bytes) else { return Some(bytes.to_vec()) };
        match &mut response.message {
            Some(Response::Join(join)) if !join.ice_servers.is_empty() => join.ice_servers.clear(),
            Some(Response::Reconnect(again)) if !again.ice_servers.is_empty() => again.ice_servers.clear(),
            Some(Response::Answer(answer)) => self.redirect(SignalTarget::Publisher, answer).await?,
            Some(Response::Offer(offer)) => self.redirect(SignalTarget::Subscriber, offer).await?,
            Some(Response::Trickle(trickle)) => match rewrite::trickled_address(trickle) {
                Some(server) => {
                    let gate = self.gate(trickle.target()).await?;
                    gate.learn(server);
                    rewrite::redirect_trickle(trickle, gate.address().ok()?);
                }
                // The last one may be over TCP, or none at all.
                None if trickle.r#final => rewrite::empty_trickle(trickle),
                None => return None,
            },
            _ => return Some(bytes.to_vec()),
        }
        Some(response.encode_to_vec())
    }

    async fn redirect(&mut self, target: SignalTarget, description: &mut SessionDescription) -> Option<()> {
        let gate = self.gate(target).await?;
        if let Some(server) = rewrite::server_address(&description.sdp) {
            gate.forget();
            gate.learn(server);
        }
        description.sdp = rewrite::redirect(&description.sdp, gate.address().ok()?);
        Some(())
    }

    async fn gate(&mut self, target: SignalTarget) -> Option<Arc<Gate>> {
        let gate = &mut self.gates[target as usize];
        if gate.is_none() {
            *gate = Gate::open(self.control).await.ok();
        }
        gate.clone()
    }
}
