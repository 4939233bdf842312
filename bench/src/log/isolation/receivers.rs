//! Receivers of webhooks on one thread: one that takes everything and counts, and one of each bad kind.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Arrivals;

const SENT: &[u8] = b"\"sent_us\":";

#[derive(Clone, Copy)]
enum Bad {
    Hangs,
    Fails,
    Drips,
    HangsUp,
}

const KINDS: [Bad; 4] = [Bad::Hangs, Bad::Fails, Bad::Drips, Bad::HangsUp];

/// Where they listen. They end with the process.
pub struct Receivers {
    well: String,
    bad: Vec<String>,
}

impl Receivers {
    /// Starts the thread. Ages are counted from the clock that began at `began`.
    pub fn start(arrivals: Arc<Arrivals>, began: Instant) -> Result<Self, Box<dyn Error>> {
        let bind = || -> std::io::Result<(std::net::TcpListener, String)> {
            let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
            listener.set_nonblocking(true)?;
            let url = format!("http://{}/", listener.local_addr()?);
            Ok((listener, url))
        };
        let (well_listener, well) = bind()?;
        let (mut listeners, mut bad) = (Vec::new(), Vec::new());
        for kind in KINDS {
            let (listener, url) = bind()?;
            listeners.push((kind, listener));
            bad.push(url);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            runtime.block_on(async move {
                for (kind, listener) in listeners {
                    let Ok(listener) = TcpListener::from_std(listener) else { return };
                    tokio::spawn(async move {
                        while let Ok((stream, _)) = listener.accept().await {
                            tokio::spawn(misbehave(kind, stream));
                        }
                    });
                }
                let Ok(listener) = TcpListener::from_std(well_listener) else { return };
                while let Ok((stream, _)) = listener.accept().await {
                    let _ = stream.set_nodelay(true);
                    let arrivals = arrivals.clone();
                    tokio::spawn(async move {
                        let take = service_fn(|request| take(request, &arrivals, began));
                        // A connection that breaks is its client's affair.
                        let _ = hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), take)
                            .await;
                    });
                }
            });
        });
        Ok(Self { well, bad })
    }

    /// The one that takes everything.
    pub fn well(&self) -> &str {
        &self.well
    }

    /// One of the bad ones.
    pub fn bad(&self, number: usize) -> &str {
        &self.bad[number % self.bad.len()]
    }
}

async fn take(
    request: Request<Incoming>,
    arrivals: &Arrivals,
    began: Instant,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let Ok(body) = request.into_body().collect().await else { return Ok(Response::new(Full::default())) };
    let body = body.to_bytes();
    let now_us = began.elapsed().as_micros() as u64;
    let mut ages = arrivals.ages_us.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut count = 0;
    let mut rest = &body[..];
    while let Some(at) = rest.windows(SENT.len()).position(|window| window == SENT) {
        rest = &rest[at + SENT.len()..];
        let sent_us =
            rest.iter().take_while(|byte| byte.is_ascii_digit()).fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0'));
        ages.push(now_us.saturating_sub(sent_us));
        count += 1;
    }
    arrivals.events.fetch_add(count, Ordering::Relaxed);
    Ok(Response::new(Full::default()))
}

async fn misbehave(kind: Bad, mut stream: TcpStream) {
    let mut request = vec![0; 65536];
    loop {
        let Ok(1..) = stream.read(&mut request).await else { return };
        let answer: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
        match kind {
            Bad::HangsUp => return,
            Bad::Hangs => tokio::time::sleep(Duration::from_secs(3600)).await,
            Bad::Fails => {
                if stream.write_all(answer).await.is_err() {
                    return;
                }
            }
            Bad::Drips => {
                for byte in answer {
                    if stream.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}
