//! Reading the log by partition and offset, with long polling.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use connectors::hub::ReadError;
use engine::filter::{CompileOptions, Dialect, Filter, Severity};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::page::{Format, Page, Wanted};
use super::{ApiState, Problem};

/// Events of one answer if nobody says otherwise.
const EVENTS_DEFAULT: usize = 100;
/// Most events of one answer.
const EVENTS_MAX: usize = 10_000;
/// Longest wait for new events: below the idle limits of common proxies.
const WAIT_MS_MAX: u64 = 30_000;

const NEXT: HeaderName = HeaderName::from_static("anabranch-next-offset");
const END: HeaderName = HeaderName::from_static("anabranch-end-offset");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    from: Option<String>,
    max: Option<usize>,
    wait: Option<u64>,
    filter: Option<String>,
    dialect: Option<String>,
}

/// Where to start.
#[derive(Clone, Copy, Debug)]
enum From {
    Beginning,
    End,
    Offset(u64),
}

/// `GET /hub/partitions`
pub(super) async fn partitions(State(state): State<ApiState>) -> Response {
    let bounds: Vec<_> = (0..state.reader.partitions())
        .map(|partition| {
            let (first, end) = state.reader.bounds(partition);
            json!({ "partition": partition, "first": first, "end": end })
        })
        .collect();
    Json(json!({ "partitions": bounds })).into_response()
}

/// `GET /hub/partitions/{partition}/events`
pub(super) async fn events(
    State(state): State<ApiState>,
    Path(partition): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let partition = partition_of(&partition, state.reader.partitions())?;
    let Query(asked) = asked.map_err(|wrong| {
        let detail = format!("{}; the query takes from, max, wait, filter and dialect", wrong.body_text());
        bad("the query cannot be read", detail)
    })?;
    let wanted = Wanted {
        partition,
        events_max: events_max(asked.max)?,
        filter: filter(asked.filter.as_deref(), asked.dialect.as_deref())?,
        format: format_of(&headers),
    };
    let wait = Duration::from_millis(asked.wait.unwrap_or(0).min(WAIT_MS_MAX));
    let (first, end) = state.reader.bounds(partition);
    let from = match from_of(asked.from.as_deref())? {
        From::Beginning => first,
        From::End => end,
        From::Offset(offset) if offset > end => {
            let detail =
                format!("partition {partition} ends before offset {end}; ask from={end} and wait, or from=end");
            return Err(bad("the offset lies ahead of the log", detail)
                .with("end", end)
                .with("first_available", first));
        }
        From::Offset(offset) => offset,
    };
    let page = poll(&state, wanted, from, Instant::now() + wait).await?;
    Ok(answer(page))
}

/// Reads from `from` on until there is an event to show, the answer's bounds are met, or it is `until`.
async fn poll(state: &ApiState, mut wanted: Wanted, mut from: u64, until: Instant) -> Result<Page, Problem> {
    loop {
        // Registered before the log is looked at: a commit in between is not missed.
        let committed = state.committed.notified();
        tokio::pin!(committed);
        committed.as_mut().enable();
        let reader = state.reader.clone();
        let read = tokio::task::spawn_blocking(move || (wanted.page(&reader, from), wanted));
        let (read, back) = read.await.map_err(|_| failed("the read was aborted"))?;
        let page = read.map_err(unreadable)?;
        if page.count() > 0 || page.next < page.end || Instant::now() >= until {
            return Ok(page);
        }
        wanted = back;
        from = page.next;
        if timeout_at(until, committed).await.is_err() {
            return Ok(page);
        }
    }
}

fn answer(page: Page) -> Response {
    let offsets = [(NEXT, HeaderValue::from(page.next)), (END, HeaderValue::from(page.end))];
    let content_type = [(CONTENT_TYPE, HeaderValue::from_static(page.format.media_type()))];
    (offsets, content_type, page.into_body()).into_response()
}

fn partition_of(text: &str, partitions: u32) -> Result<u32, Problem> {
    text.parse().ok().filter(|partition| *partition < partitions).ok_or_else(|| {
        let detail = format!("`{text}` is no partition of this node; it has partitions 0 to {}", partitions - 1);
        Problem::new(StatusCode::NOT_FOUND, "no such partition", detail)
    })
}

fn from_of(text: Option<&str>) -> Result<From, Problem> {
    match text {
        None | Some("beginning") => Ok(From::Beginning),
        Some("end") => Ok(From::End),
        Some(text) => text.parse().map(From::Offset).map_err(|_| {
            bad("from is no place in the log", format!("`{text}` is neither an offset nor `beginning` nor `end`"))
        }),
    }
}

fn events_max(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(EVENTS_DEFAULT) {
        0 => Err(bad("max is out of range", format!("ask for 1 to {EVENTS_MAX} events"))),
        max => Ok(max.min(EVENTS_MAX)),
    }
}

fn filter(text: Option<&str>, dialect: Option<&str>) -> Result<Option<Filter>, Problem> {
    let dialect = match dialect {
        None => Dialect::default(),
        Some(name) => Dialect::by_name(name).ok_or_else(|| {
            let names = Dialect::ALL.map(Dialect::name).join(", ");
            bad("no such dialect", format!("`{name}` is no filter dialect; choose one of {names}"))
        })?,
    };
    let Some(text) = text else { return Ok(None) };
    let (filter, _warnings) = Filter::compile(text, dialect, &CompileOptions::default()).map_err(|problems| {
        let errors: Vec<_> = problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .map(|problem| {
                let (at, _) = problem.location(text);
                json!({ "message": problem.message, "column": at.column, "line": at.line, "help": problem.help })
            })
            .collect();
        let detail = problems.first().map_or_else(String::new, |problem| problem.message.clone());
        bad("the filter is wrong", detail).with("errors", errors)
    })?;
    Ok(Some(filter))
}

fn format_of(headers: &HeaderMap) -> Format {
    let lines = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim().eq_ignore_ascii_case("application/x-ndjson"));
    if lines { Format::Lines } else { Format::Json }
}

fn bad(title: &'static str, detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, title, detail)
}

fn failed(detail: impl Into<String>) -> Problem {
    let detail = detail.into();
    tracing::error!(%detail, "the log cannot be read");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the log cannot be read", detail)
}

fn unreadable(error: ReadError) -> Problem {
    match error {
        ReadError::FallenOff { partition, wanted, first_available } => {
            let detail = format!(
                "retention has removed offset {wanted} of partition {partition}; go on from={first_available}, or from=beginning"
            );
            Problem::new(StatusCode::GONE, "the offset is no longer in the log", detail)
                .with("first_available", first_available)
        }
        ReadError::Damaged { next, .. } => failed(error.to_string()).with("next", next),
        error => failed(error.to_string()),
    }
}
