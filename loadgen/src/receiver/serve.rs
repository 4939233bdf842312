//! The server's loop: accept, read a request, behave as told.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Mode;
use super::arrivals::{self, Arrivals};
use crate::clock::now_us;

/// Most bytes of a request.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Serves until told to stop; connections that are open then are cut.
pub(super) async fn serve(
    listener: TcpListener,
    mode: Arc<watch::Sender<Mode>>,
    arrivals: Arc<Mutex<Arrivals>>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stop.changed() => return,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors: connections that end give some back, which takes its time.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Without it answers wait for more to send; a peer that is gone shows itself in the read.
        let _ = stream.set_nodelay(true);
        let (mode, arrivals) = (mode.clone(), arrivals.clone());
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, mode.subscribe(), arrivals.clone()));
            // A broken connection is its sender's affair.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    mut mode: watch::Receiver<Mode>,
    arrivals: Arc<Mutex<Arrivals>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let locked = || arrivals.lock().unwrap_or_else(PoisonError::into_inner);
    let refuse = |status: StatusCode, why: String, retry_after_s: Option<u32>| {
        locked().refuse();
        let mut response = Response::new(Full::new(Bytes::from(why)));
        *response.status_mut() = status;
        if let Some(seconds) = retry_after_s {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        Ok(response)
    };
    if request.method() == Method::OPTIONS {
        // The handshake of the CloudEvents webhook specification: everybody may send.
        let mut response = Response::new(Full::default());
        response.headers_mut().insert("webhook-allowed-origin", hyper::header::HeaderValue::from_static("*"));
        return Ok(response);
    }
    locked().request();
    let content_type =
        request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    let body = match Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return refuse(StatusCode::BAD_REQUEST, format!("the body could not be read: {error}"), None),
    };
    let arrived_us = now_us();
    let told = *mode.borrow_and_update();
    match told {
        Mode::Healthy => {}
        Mode::Slow(pause) => tokio::time::sleep(pause).await,
        Mode::Fail { status, retry_after_s } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return refuse(status, format!("told to answer {}", status.as_u16()), retry_after_s);
        }
        Mode::Hang => {
            // Until it is told otherwise; who waited so long is then asked to come again.
            let _ = mode.changed().await;
            return refuse(StatusCode::SERVICE_UNAVAILABLE, "was hanging".to_owned(), None);
        }
    }
    match arrivals::payloads(&content_type, &body) {
        Ok(payloads) => {
            locked().accept(&payloads, arrived_us);
            Ok(Response::new(Full::default()))
        }
        Err(error) => refuse(StatusCode::BAD_REQUEST, error.to_string(), None),
    }
}
