//! Refusals as problem details (RFC 9457): what is wrong with the request, and the way out.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode, Uri};
use serde_json::{Map, Value, json};

/// A refusal.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    members: Map<String, Value>,
}

impl Problem {
    /// `title` names the kind of problem and is the same each time; `detail` is about this request.
    pub fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        let mut members = Map::new();
        members.insert("title".to_owned(), title.into());
        Self { status, detail: detail.into(), members }
    }

    /// Adds a member of its own.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        self.members.insert("status".to_owned(), self.status.as_u16().into());
        self.members.insert("detail".to_owned(), self.detail.into());
        let body = Value::Object(self.members).to_string();
        (self.status, [(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))], body).into_response()
    }
}

const PATHS: [&str; 7] = [
    "/hub/partitions",
    "/hub/partitions/{partition}/events?from=beginning&max=100&wait=0",
    "/replays",
    "/replays/{id}",
    "/healthz",
    "/readyz",
    "/metrics",
];

pub(super) async fn no_such_path(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}; `paths` lists what can be read here", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "no such path", detail).with("paths", json!(PATHS))
}

pub(super) async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let detail = match uri.path() {
        path if path.starts_with("/replays") => {
            format!(
                "{method} {path} is nothing: POST /replays begins a replay, GET and DELETE /replays/ID look at it and stop it"
            )
        }
        path => format!("{path} can only be read: use GET, not {method}"),
    };
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", detail)
}
