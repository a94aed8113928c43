//! What the server answers over HTTP: health, metrics, administration, invitations, the two signalling endpoints and
//! their checks. CORS is open: every answer either is public or needs a token or a link's code. One request a connection: with the deadline for its
//! head (`listener`), nobody holds a place by sending slowly.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Query, State, WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::{mpsc, oneshot};
use tower_http::cors::CorsLayer;

use super::admission::{Admission, Dial, Refusal};
use super::config::ServerConfig;
use super::counters::Counters;
use super::hub::{HubMessage, JoinAsk};
use super::outbox::Outbox;
use super::websocket::Pump;
use super::{admin, invite, metrics};
use crate::protocol::token::{self, Claims, TokenError};

/// What handlers share.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) hub: mpsc::Sender<HubMessage>,
    pub(crate) counters: Arc<Counters>,
}

pub(super) type Params = Query<HashMap<String, String>>;
type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

impl Http {
    /// All routes.
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/", get(|| async { "OK" }))
            .route("/rtc", get(|s: State<Self>, q: Params, h: HeaderMap, u: Upgrade| signal(s, q, h, u, false)))
            .route("/rtc/v1", get(|s: State<Self>, q: Params, h: HeaderMap, u: Upgrade| signal(s, q, h, u, true)))
            .route("/rtc/validate", get(|s: State<Self>, q: Params, h: HeaderMap| validate(s, q, h, false)))
            .route("/rtc/v1/validate", get(|s: State<Self>, q: Params, h: HeaderMap| validate(s, q, h, true)))
            .route("/metrics", get(|State(http): State<Self>| async move { metrics::answer(&http.counters) }))
            .merge(admin::routes())
            .merge(invite::routes())
            .layer(map_response(close_after))
            .layer(CorsLayer::permissive())
            .with_state(self)
    }

    fn admit(&self, query: HashMap<String, String>, headers: &HeaderMap, v1: bool) -> Result<Admission, Refusal> {
        let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        Dial { authorization, query, v1 }.admit(&self.config.keys, &self.config.limits, now_secs())
    }

    /// What a token says, when one of our keys signed it and its time is now.
    pub(crate) fn verify(&self, text: &str) -> Result<Claims, TokenError> {
        let secret_of = |name: &str| self.config.keys.iter().find(|key| key.key == name).map(|key| key.secret.clone());
        token::verify(text, secret_of, now_secs())
    }

    fn refuse(&self, refusal: &Refusal) -> Response {
        self.counters.refused.add(1);
        tracing::info!(%refusal, "a login was refused");
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, refusal.to_string()).into_response()
    }
}

pub(super) fn now_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Ends the connection after an answer, unless it becomes a WebSocket.
async fn close_after(mut response: Response) -> Response {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Says whether the same login would be let in: clients ask after a failed upgrade, which hides the reason from them.
async fn validate(State(http): State<Http>, Query(query): Params, headers: HeaderMap, v1: bool) -> Response {
    match would_admit(&http, query, &headers, v1).await {
        Ok(()) => (StatusCode::OK, "success").into_response(),
        Err(refusal) => http.refuse(&refusal),
    }
}

async fn would_admit(
    http: &Http,
    query: HashMap<String, String>,
    headers: &HeaderMap,
    v1: bool,
) -> Result<(), Refusal> {
    let admission = Box::new(http.admit(query, headers, v1)?);
    let (reply, answer) = oneshot::channel();
    http.hub.send(HubMessage::Ask { admission, reply }).await.map_err(|_| Refusal::Stopping)?;
    answer.await.map_err(|_| Refusal::Stopping)?
}

/// Lets a client in and starts its WebSocket.
async fn signal(
    State(http): State<Http>,
    Query(query): Params,
    headers: HeaderMap,
    upgrade: Upgrade,
    v1: bool,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return (StatusCode::NOT_FOUND, "this address speaks WebSocket only").into_response();
    };
    let admission = match http.admit(query, &headers, v1) {
        Ok(admission) => admission,
        Err(refusal) => return http.refuse(&refusal),
    };
    let limits = http.config.limits;
    let (outbox, queue) = Outbox::new(limits.signal_queue);
    let (reply, answer) = oneshot::channel();
    let ask = HubMessage::Join(Box::new(JoinAsk { admission, outbox, reply }));
    if http.hub.send(ask).await.is_err() {
        return http.refuse(&Refusal::Stopping);
    }
    match answer.await {
        Ok(Ok(seat)) => {
            let counters = http.counters.clone();
            let pump = Pump { seat, hub: http.hub.clone(), outbox: queue, limits, counters };
            // If the upgrade fails the queue is dropped, and the hub notices that.
            upgrade
                .max_message_size(limits.signal_message_bytes)
                .max_frame_size(limits.signal_message_bytes)
                .on_upgrade(move |socket| pump.run(socket))
        }
        Ok(Err(refusal)) => http.refuse(&refusal),
        Err(_) => http.refuse(&Refusal::Stopping),
    }
}
