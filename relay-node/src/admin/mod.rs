//! Health, status and metrics for the operator, over HTTP, without credentials and without keys.

mod metrics;
mod openmetrics;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::control::LinkState;
use crate::hand_over::Draining;
use crate::ingest::Door;
use crate::registry::{BroadcastStatus, Registry};

/// Answers from `listener` until `serving` is cancelled. Once `accepting` is, the node says that it
/// is not ready, so that whoever sends encoders here sends them elsewhere.
pub async fn serve(
    listener: TcpListener,
    registry: Arc<Registry>,
    door: Arc<Door>,
    accepting: CancellationToken,
    serving: CancellationToken,
) {
    let router = router(registry, door, accepting);
    let served = axum::serve(listener, router).with_graceful_shutdown(serving.cancelled_owned());
    if let Err(error) = served.await {
        tracing::warn!(%error, "the admin server ended");
    }
}

fn router(registry: Arc<Registry>, door: Arc<Door>, stopping: CancellationToken) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .with_state(Admin {
            registry,
            door,
            stopping,
        })
}

#[derive(Clone)]
struct Admin {
    registry: Arc<Registry>,
    door: Arc<Door>,
    stopping: CancellationToken,
}

#[derive(Serialize)]
struct Health {
    ready: bool,
    control: LinkState,
}

#[derive(Serialize)]
struct Status {
    broadcasts: Vec<BroadcastStatus>,
    /// Other processes of this node, which serve what they have on air to its end.
    draining: Vec<Draining>,
}

async fn health(State(admin): State<Admin>) -> impl IntoResponse {
    let control = admin.registry.link();
    // Without the control plane broadcasts go on, but no encoder can begin one.
    let ready = !admin.stopping.is_cancelled() && control != LinkState::Down;
    let code = match ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(Health { ready, control }))
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let text = metrics::text(
        admin.registry.link(),
        admin.registry.totals(),
        &admin.door.figures(),
        &admin.registry.accounts(),
        &admin.registry.status(),
    );
    ([(header::CONTENT_TYPE, openmetrics::CONTENT_TYPE)], text)
}

async fn status(State(admin): State<Admin>) -> Json<Status> {
    Json(Status {
        broadcasts: admin.registry.status(),
        draining: admin.registry.rivals().show().await,
    })
}
