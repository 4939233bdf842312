//! Following one partition over the hub API.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

/// How long one request waits on the node for new events.
const WAIT_MS: u64 = 20_000;
/// Events of one request.
const EVENTS_MAX: usize = 1000;
/// Longest silence of a node within a request: its wait and some more.
const ANSWER_WAIT: Duration = Duration::from_millis(WAIT_MS + 10_000);
/// Between attempts to reach a node that went away.
const AGAIN_WAIT: Duration = Duration::from_secs(1);

/// Why following ended.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The address is none.
    #[error("`{address}` is no address of a node; write for example http://127.0.0.1:8080")]
    Address {
        /// As given.
        address: String,
    },
    /// Nobody answers.
    #[error("no node answers at {address} ({reason}); start one with `anabranch run`, or name its address with --node")]
    Unreachable {
        /// As given.
        address: String,
        /// The system's words.
        reason: String,
    },
    /// Somebody else answers.
    #[error(
        "{address} answers, but not as a node does ({reason}); name the address of a node's HTTP listener with --node"
    )]
    NoNode {
        /// As given.
        address: String,
        /// What it said.
        reason: String,
    },
    /// The node says no.
    #[error("{0}")]
    Refused(String),
    /// No such partition.
    #[error("there is no partition {partition}; the node has partitions 0 to {}", .of - 1)]
    NoPartition {
        /// As asked.
        partition: u32,
        /// How many there are.
        of: usize,
    },
    /// Following broke off.
    #[error("following stopped: {0}")]
    Stopped(String),
}

/// Bounds of a partition.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Bounds {
    /// Its number.
    pub partition: u32,
    /// First offset that is kept.
    pub first: u64,
    /// First offset that is not there yet.
    pub end: u64,
}

/// Some events of a partition.
#[derive(Debug, Deserialize)]
pub struct Page {
    /// Its number.
    pub partition: u32,
    /// Where to go on.
    pub next: u64,
    /// Offset of each event.
    pub offsets: Vec<u64>,
    /// The events as the node wrote them.
    pub events: Vec<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
struct Partitions {
    partitions: Vec<Bounds>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    detail: String,
    first_available: Option<u64>,
    next: Option<u64>,
    #[serde(default)]
    errors: Vec<FilterError>,
}

#[derive(Debug, Deserialize)]
struct FilterError {
    message: String,
    column: Option<u64>,
    help: Option<String>,
}

/// A node and the client to reach it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Node {
    address: Arc<str>,
    base: Url,
    client: Client,
}

impl Node {
    /// The node at `address`; nothing is sent yet.
    pub fn new(address: &str) -> Result<Self, NodeError> {
        let wrong = || NodeError::Address { address: address.to_owned() };
        let base = Url::parse(address).map_err(|_| wrong())?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(wrong());
        }
        let mut builder = Client::builder().no_proxy().read_timeout(ANSWER_WAIT).tcp_nodelay(true);
        if base.scheme() == "http" {
            // A machine without certificate authorities can still tail its own node.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| NodeError::Stopped(words(&error)))?;
        Ok(Self { address: address.into(), base, client })
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url.set_query(None);
        url
    }

    /// Bounds of all partitions.
    pub async fn partitions(&self) -> Result<Vec<Bounds>, NodeError> {
        let unreachable =
            |error: reqwest::Error| NodeError::Unreachable { address: self.address.to_string(), reason: words(&error) };
        let response = self.client.get(self.url("/hub/partitions")).send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
        let no_node = |reason: String| NodeError::NoNode { address: self.address.to_string(), reason };
        if status != StatusCode::OK {
            return Err(no_node(format!("{status} for /hub/partitions")));
        }
        let found: Partitions =
            serde_json::from_slice(&body).map_err(|_| no_node("no list of partitions".to_owned()))?;
        Ok(found.partitions)
    }
}

/// What one request brought.
enum Answer {
    Page(Page),
    /// The events at the offset are gone or damaged: the first that is there, and the node's words.
    Gone(u64, String),
    /// Nobody answers, or the node cannot answer just now.
    Away(String),
}

/// Follows one partition.
#[derive(Debug)]
pub struct Follower {
    /// The node.
    pub node: Node,
    /// The partition.
    pub partition: u32,
    /// Where to go on.
    pub next: u64,
    /// Filter for the node to apply.
    pub filter: Option<String>,
    /// Its dialect.
    pub dialect: Option<String>,
}

impl Follower {
    /// Sends pages until nobody takes them any more or the node refuses for good.
    pub async fn run(mut self, pages: mpsc::Sender<Page>) -> Result<(), NodeError> {
        let mut away = false;
        loop {
            match self.ask().await? {
                Answer::Page(page) => {
                    away = false;
                    self.next = page.next;
                    if !page.events.is_empty() && pages.send(page).await.is_err() {
                        return Ok(());
                    }
                }
                Answer::Gone(first, reason) => {
                    eprintln!("partition {}: left out {} to {first}: {reason}", self.partition, self.next);
                    // A node that names the same place again must not be asked without a pause.
                    if first <= self.next {
                        tokio::time::sleep(AGAIN_WAIT).await;
                    }
                    self.next = first;
                }
                Answer::Away(reason) => {
                    // Said once, by one of the followers: all have the same to say.
                    if !away && self.partition == 0 {
                        eprintln!("the node at {} does not answer ({reason}); waiting for it", self.node.address);
                    }
                    away = true;
                    tokio::time::sleep(AGAIN_WAIT).await;
                }
            }
        }
    }

    async fn ask(&self) -> Result<Answer, NodeError> {
        let mut url = self.node.url(&format!("/hub/partitions/{}/events", self.partition));
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("from", &self.next.to_string());
            query.append_pair("max", &EVENTS_MAX.to_string());
            query.append_pair("wait", &WAIT_MS.to_string());
            for (name, value) in [("filter", &self.filter), ("dialect", &self.dialect)] {
                if let Some(value) = value {
                    query.append_pair(name, value);
                }
            }
        }
        let response = match self.node.client.get(url).send().await {
            Ok(response) => response,
            Err(error) => return Ok(Answer::Away(words(&error))),
        };
        let status = response.status();
        let body = match response.bytes().await {
            Ok(body) => body,
            Err(error) => return Ok(Answer::Away(words(&error))),
        };
        if status == StatusCode::OK {
            let page = serde_json::from_slice(&body);
            return page.map(Answer::Page).map_err(|error| NodeError::NoNode {
                address: self.node.address.to_string(),
                reason: error.to_string(),
            });
        }
        let refusal: Option<Refusal> = serde_json::from_slice(&body).ok();
        match (status, refusal) {
            (StatusCode::GONE, Some(Refusal { first_available: Some(first), detail, .. }))
            | (StatusCode::INTERNAL_SERVER_ERROR, Some(Refusal { next: Some(first), detail, .. })) => {
                Ok(Answer::Gone(first, detail))
            }
            (status, _) if status.is_server_error() => Ok(Answer::Away(status.to_string())),
            (_, Some(refusal)) => Err(NodeError::Refused(refusal.in_words(self.filter.as_deref()))),
            (status, None) => Err(NodeError::Refused(format!("partition {}: {status}", self.partition))),
        }
    }
}

impl Refusal {
    /// The detail; for a filter each error with a caret below its place.
    fn in_words(&self, filter: Option<&str>) -> String {
        let mut text = self.detail.clone();
        let Some(filter) = filter.filter(|_| !self.errors.is_empty()) else { return text };
        text = "the filter is wrong".to_owned();
        for error in &self.errors {
            text += &format!("\n  {filter}\n");
            if let Some(column) = error.column {
                text += &format!("  {:>width$}\n", "^", width = usize::try_from(column).unwrap_or(1).max(1));
            }
            text += &format!("  {}", error.message);
            if let Some(help) = &error.help {
                text += &format!("\n  help: {help}");
            }
        }
        text
    }
}

/// The innermost cause, which is the one that helps.
pub(crate) fn words(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
