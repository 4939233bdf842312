//! `dead-letters redrive`: each chosen event is sent as one CloudEvent in structured mode, oldest line first, with its own id. The
//! first that is not taken ends the command, so that a receiver that is still down is asked once and not for each event.

use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use connectors::webhook::dead_letter::{DeadLetter, Lines, remove};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::{Client, Url};

use super::RedriveArgs;
use super::files::{Failure, files, shown};
use crate::tail::words;

const STRUCTURED: HeaderValue = HeaderValue::from_static("application/cloudevents+json; charset=utf-8");
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// Lines are moved after so many, so that a crash repeats few of them.
const MOVE_EACH: usize = 1000;

/// Sends and moves. False if something was not taken.
pub(super) fn redrive(args: &RedriveArgs, out: &mut impl Write) -> Result<bool, Failure> {
    let target = Target::new(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Client(error.to_string()))?;
    let (mut sent, mut refused) = (0u64, None);
    for path in files(&args.at)? {
        // Only what stands there now: an event that is given up again is not sent again, or this would never end.
        let mut end = path.metadata().map_err(|source| Failure::Open { path: shown(&path), source })?.len();
        while refused.is_none() {
            let (ranges, refusal, is_end) = runtime.block_on(target.send_some(args, &path, end))?;
            refused = refusal;
            sent += ranges.len() as u64;
            remove(&path, &ranges, &redriven(&path))?;
            end -= ranges.iter().map(|range| range.end - range.start).sum::<u64>();
            if is_end {
                break;
            }
        }
    }
    writeln!(out, "{sent} dead letter{} redriven to {}", if sent == 1 { "" } else { "s" }, target.url)?;
    if let Some(refusal) = &refused {
        eprintln!("stopped at {refusal}; what was not taken is still in its file");
    }
    if sent == 0 && refused.is_none() {
        eprintln!("nothing to redrive: `anabranch dead-letters list` shows what there is");
    }
    Ok(refused.is_none())
}

/// Where redriven lines of `path` go.
fn redriven(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".redriven");
    name.into()
}

struct Target {
    client: Client,
    url: Url,
    headers: HeaderMap,
}

/// Lines that were taken, what was not and why, and whether the file has been seen to its end.
type Sent = (Vec<Range<u64>>, Option<String>, bool);

impl Target {
    fn new(args: &RedriveArgs) -> Result<Self, Failure> {
        let address = args.url.as_ref().unwrap_or(&args.to);
        let mut url = Url::parse(address).map_err(|_| Failure::Address(address.clone()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Failure::Address(address.clone()));
        }
        if args.url.is_none() {
            url.set_path(&format!("{}/events", url.path().trim_end_matches('/')));
        }
        let mut headers = HeaderMap::new();
        for header in &args.headers {
            let parsed = header.split_once(':').and_then(|(name, value)| {
                Some((HeaderName::try_from(name.trim()).ok()?, HeaderValue::try_from(value.trim()).ok()?))
            });
            // Not repeated in the message: it may hold a secret.
            let name = || header.split(':').next().unwrap_or_default().to_owned();
            let (name, value) = parsed.ok_or_else(|| Failure::Header(name()))?;
            headers.insert(name, value);
        }
        headers.insert(CONTENT_TYPE, STRUCTURED);
        let mut builder = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ANSWER_WAIT)
            .tcp_nodelay(true);
        if url.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| Failure::Client(words(&error)))?;
        Ok(Self { client, url, headers })
    }

    /// Sends the next events of the file that lie before `end`.
    async fn send_some(&self, args: &RedriveArgs, path: &Path, end: u64) -> Result<Sent, Failure> {
        let lines = Lines::open(path).map_err(|source| Failure::Open { path: shown(path), source })?;
        let mut taken = Vec::new();
        for line in lines {
            let line = line.map_err(|source| Failure::Read { path: shown(path), source })?;
            if line.range.end > end {
                break;
            }
            let Ok(letter) = line.letter else {
                eprintln!("{}:{}: left alone, it is no dead letter", shown(path), line.number);
                continue;
            };
            if !is_wanted(args, &letter) {
                continue;
            }
            if let Err(reason) = self.send(&letter).await {
                let place = format!("{} {}:{}: {reason}", letter.endpoint, letter.partition, letter.offset);
                return Ok((taken, Some(place), true));
            }
            taken.push(line.range);
            if taken.len() == MOVE_EACH {
                return Ok((taken, None, false));
            }
        }
        Ok((taken, None, true))
    }

    async fn send(&self, letter: &DeadLetter) -> Result<(), String> {
        let body = without_place(letter);
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).body(body);
        let response = request.send().await.map_err(|error| words(&error))?;
        let status = response.status();
        // A body that breaks off does not change what the status said.
        let said = response.text().await.unwrap_or_default();
        if (StatusCode::OK.as_u16()..=StatusCode::NO_CONTENT.as_u16()).contains(&status.as_u16()) {
            return Ok(());
        }
        let said: String = said.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
        Err(format!("{status} {said}").trim_end().to_owned())
    }
}

/// The event without the extensions that say where it lay: it gets another place, and its own attributes only are its own. They
/// stand before the data, where quotes within texts are escaped, so what is found first is what the node wrote.
fn without_place(letter: &DeadLetter) -> String {
    let DeadLetter { partition, offset, .. } = letter;
    let place = format!(",\"anabranchpartition\":{partition},\"anabranchoffset\":\"{offset}\"");
    letter.event.get().replacen(&place, "", 1)
}

fn is_wanted(args: &RedriveArgs, letter: &DeadLetter) -> bool {
    let endpoint = args.at.endpoint.as_ref().is_none_or(|wanted| *wanted == letter.endpoint);
    endpoint && (args.all || args.places.contains(&(letter.partition, letter.offset)))
}
