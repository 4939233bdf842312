//! The stand-in of suite `e2e`: a router as one would write it without this project, and honestly so.
//!
//! hyper takes NDJSON, serde_json reads every line, one filter is evaluated, lines go to a file with one fdatasync for all requests
//! that wait, the answer comes after it, and what matches is posted in batches of CloudEvents. It has one route, no offsets, no replay and no retries.

use std::convert::Infallible;
use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

/// Events of one push, as with ours.
const PUSH_EVENTS_MAX: usize = 100;
/// Pushes under way, as with ours.
const PUSHES: usize = 4;
const QUEUE: usize = 100_000;

/// What has been given to the file and what is safe in it.
struct Journal {
    waiting: Mutex<(Vec<u8>, u64)>,
    more: Condvar,
    synced: watch::Sender<u64>,
}

struct Shared {
    journal: Journal,
    matched: mpsc::Sender<String>,
}

/// Serves on a port that the system chooses, and prints its address, until it is killed. The environment says where to write and push to.
pub fn serve() -> Result<(), Box<dyn Error>> {
    let file = File::create(std::env::var_os("STAND_IN_FILE").ok_or("STAND_IN_FILE is not set")?)?;
    let url: hyper::Uri = std::env::var("STAND_IN_PUSH")?.parse()?;
    let (matched, queue) = mpsc::channel(QUEUE);
    let journal = Journal { waiting: Mutex::default(), more: Condvar::new(), synced: watch::Sender::new(0) };
    let shared = Arc::new(Shared { journal, matched });
    let writer = shared.clone();
    std::thread::spawn(move || writer.journal.write(file));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let queue = Arc::new(tokio::sync::Mutex::new(queue));
        for _ in 0..PUSHES {
            tokio::spawn(push(url.clone(), queue.clone()));
        }
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("http://{}", listener.local_addr()?);
        std::io::stdout().flush()?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let shared = shared.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| take(request, shared.clone()));
                // A connection that breaks is its client's affair.
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

async fn take(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Infallible> {
    let answer = |status: StatusCode, text: String| {
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        Ok(response)
    };
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return answer(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let (mut accepted, mut matched) = (0, Vec::new());
    for line in body.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let value: Value = match serde_json::from_slice(line) {
            Ok(value) => value,
            Err(error) => return answer(StatusCode::BAD_REQUEST, error.to_string()),
        };
        accepted += 1;
        if value["temp"].as_f64().is_some_and(|temp| temp > 30.0) {
            matched.push(format!(
                "{{\"specversion\":\"1.0\",\"id\":\"{}-{}\",\"source\":\"/stand-in\",\"type\":\"telemetry\",\"data\":{}}}",
                value["device_id"].as_str().unwrap_or_default(),
                value["seq"],
                String::from_utf8_lossy(line)
            ));
        }
    }
    let end = shared.journal.append(&body);
    let mut synced = shared.journal.synced.subscribe();
    if synced.wait_for(|&synced| synced >= end).await.is_err() {
        return answer(StatusCode::SERVICE_UNAVAILABLE, "the file cannot be written".into());
    }
    for event in matched {
        if shared.matched.send(event).await.is_err() {
            return answer(StatusCode::SERVICE_UNAVAILABLE, "nobody pushes".into());
        }
    }
    answer(StatusCode::OK, format!("{{\"accepted\":{accepted}}}"))
}

impl Journal {
    /// Gives the position behind the bytes.
    fn append(&self, bytes: &[u8]) -> u64 {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.0.extend_from_slice(bytes);
        waiting.1 += bytes.len() as u64;
        self.more.notify_one();
        waiting.1
    }

    /// Writes and syncs all that waits, again and again; ends with the disk.
    fn write(&self, mut file: File) {
        let mut group = Vec::new();
        loop {
            let end = {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                while waiting.0.is_empty() {
                    waiting = self.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                }
                group.clear();
                std::mem::swap(&mut group, &mut waiting.0);
                waiting.1
            };
            if let Err(error) = file.write_all(&group).and_then(|()| file.sync_data()) {
                eprintln!("stand-in: {error}");
                std::process::exit(1);
            }
            self.synced.send_replace(end);
        }
    }
}

async fn push(url: hyper::Uri, queue: Arc<tokio::sync::Mutex<mpsc::Receiver<String>>>) {
    let authority = url.authority().map(ToString::to_string).unwrap_or_default();
    let mut sender = None;
    loop {
        let mut events = Vec::with_capacity(PUSH_EVENTS_MAX);
        if queue.lock().await.recv_many(&mut events, PUSH_EVENTS_MAX).await == 0 {
            return;
        }
        let body = Bytes::from(format!("[{}]", events.join(",")));
        if post(&mut sender, &authority, url.path(), body).await.is_err() {
            eprintln!("stand-in: a push failed");
            std::process::exit(1);
        }
    }
}

type Sender = hyper::client::conn::http1::SendRequest<Full<Bytes>>;

async fn post(sender: &mut Option<Sender>, authority: &str, path: &str, body: Bytes) -> Result<(), Box<dyn Error>> {
    let connected = match sender.take() {
        Some(sender) => sender,
        None => {
            let stream = TcpStream::connect(authority).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            sender
        }
    };
    let sender = sender.insert(connected);
    sender.ready().await?;
    let request = Request::post(path)
        .header("host", authority)
        .header("content-type", "application/cloudevents-batch+json")
        .body(Full::new(body))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    response.into_body().collect().await?;
    if status.is_success() { Ok(()) } else { Err(format!("answered {status}").into()) }
}
