//! A receiver on loopback that answers as told and remembers what it saw. Plain sockets, so that it can also misbehave.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// What to answer.
#[derive(Clone, Debug)]
pub enum Reply {
    Status {
        code: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
    /// Nothing at all.
    Hang,
    /// A byte now and then, without end.
    Drip {
        status: u16,
        headers_whole: bool,
    },
}

impl Reply {
    pub fn status(code: u16) -> Self {
        Self::Status { code, headers: Vec::new(), body: String::new() }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let Self::Status { headers, .. } = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }

    pub fn saying(mut self, text: &str) -> Self {
        if let Self::Status { body, .. } = &mut self {
            *body = text.into();
        }
        self
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub index: usize,
    pub at: Instant,
    pub method: String,
    pub target: String,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
    pub answered: u16,
}

impl Seen {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub fn number(&self) -> u64 {
        self.json()["data"]["n"].as_u64().expect("a number")
    }

    pub fn attempt(&self) -> u32 {
        self.headers["anabranch-delivery-attempt"].parse().expect("a number")
    }
}

type Answering = dyn Fn(&Seen) -> Reply;

/// See the module.
#[derive(Clone)]
pub struct Receiver {
    address: SocketAddr,
    seen: Rc<RefCell<Vec<Seen>>>,
    connections: Rc<Cell<usize>>,
    answer: Rc<Answering>,
}

impl Receiver {
    pub async fn start(answer: impl Fn(&Seen) -> Reply + 'static) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), answer).await
    }

    pub async fn start_at(address: SocketAddr, answer: impl Fn(&Seen) -> Reply + 'static) -> Self {
        let listener = TcpListener::bind(address).await.expect("free");
        let address = listener.local_addr().expect("bound");
        let receiver = Self { address, seen: Rc::default(), connections: Rc::default(), answer: Rc::new(answer) };
        let serving = receiver.clone();
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.connections.set(serving.connections.get() + 1);
                let serving = serving.clone();
                tokio::task::spawn_local(async move { serving.serve(stream).await });
            }
        });
        receiver
    }

    /// An address at which nobody listens now.
    pub async fn free_address() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("free");
        listener.local_addr().expect("bound")
    }

    pub fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    pub fn requests(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    pub fn numbers(&self) -> Vec<u64> {
        self.seen.borrow().iter().map(Seen::number).collect()
    }

    pub fn connections(&self) -> usize {
        self.connections.get()
    }

    /// Serves a connection until the other side closes it; how it ends is the other side's business.
    async fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let request = read_request(&mut stream).await?;
            let (at, reply) = {
                let mut seen = self.seen.borrow_mut();
                let request = Seen { index: seen.len(), ..request };
                let reply = (self.answer)(&request);
                seen.push(request);
                (seen.len() - 1, reply)
            };
            match reply {
                Reply::Hang => std::future::pending().await,
                Reply::Drip { status, headers_whole } => {
                    let end = if headers_whole { "\r\n" } else { "" };
                    let head = format!("HTTP/1.1 {status} x\r\ncontent-length: 1000000\r\n{end}");
                    stream.write_all(head.as_bytes()).await.ok()?;
                    loop {
                        stream.write_all(b"x").await.ok()?;
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
                Reply::Status { code, headers, body } => {
                    self.seen.borrow_mut()[at].answered = code;
                    let mut head = format!("HTTP/1.1 {code} x\r\n");
                    for (name, value) in headers {
                        head += &format!("{name}: {value}\r\n");
                    }
                    if code != 204 {
                        head += &format!("content-length: {}\r\n", body.len());
                    }
                    stream.write_all((head + "\r\n" + &body).as_bytes()).await.ok()?;
                }
            }
        }
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|count| *count > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().expect("a number"))];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen { index: 0, at: Instant::now(), method, target, headers, body, answered: 0 })
}
