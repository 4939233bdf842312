//! What an answer means for an event, and when to try again. Pure: time and dice are arguments.
//!
//! Statuses follow Event Grid's tables (sheet `eventgrid-eventhubs-servicebus.md` 2.5): only 200 to 204 are success, redirects
//! are failures, some statuses are never retried, and the next attempt waits for the latest of schedule slot, floor of the status
//! (Event Grid's schedules only) and `Retry-After`. What is ours: an exponential schedule with jitter as default; 410 stops the
//! endpoint, as the CloudEvents webhook binding asks; a batch that is too large is cut in halves before anybody gives up on it.

use serde::{Deserialize, Serialize};

mod retry_after;

#[cfg(test)]
mod tests;

pub use retry_after::retry_after_ms;

/// When attempts follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Evenly drawn between the shortest wait and the shortest wait doubled per attempt, up to the longest.
    #[default]
    Exponential,
    /// Event Grid, basic tier: 10 s, 30 s, 1 m, 5 m, 10 m, 30 m, 1 h, 3 h, 6 h after the first attempt, then every 12 h.
    EventGrid,
    /// Event Grid namespaces, push delivery: 10 s, 30 s, 1 m, 5 m after the first attempt, then every 5 m.
    EventGridNamespace,
}

const EVENT_GRID_S: [u64; 9] = [10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600];
const EVENT_GRID_STEP_S: u64 = 12 * 3600;
const NAMESPACE_S: [u64; 4] = [10, 30, 60, 300];
const NAMESPACE_STEP_S: u64 = 300;
/// Event Grid's slots are spread by up to this much so that events which failed together do not come back together.
const SLOT_JITTER_MS: u64 = 1000;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The receiver answered.
    Status {
        /// HTTP status code.
        code: u16,
        /// What `Retry-After` asks for, from now on.
        retry_after_ms: Option<u64>,
    },
    /// No answer in time.
    TimedOut,
    /// No connection, or it broke.
    SocketError,
    /// The host name has no address.
    ResolutionError,
}

/// What an answer is called in dead letters and metrics, in Event Grid's words (`lastDeliveryOutcome`) where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// 200 to 204.
    Delivered,
    /// 400.
    BadRequest,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 408, 504, or no answer in time.
    TimedOut,
    /// 410.
    Gone,
    /// 413.
    PayloadTooLarge,
    /// 415.
    UnsupportedMediaType,
    /// 429 or 503.
    Busy,
    /// 3xx; never followed.
    Redirected,
    /// Any other 5xx.
    ServerError,
    /// Any other status.
    UnexpectedStatus,
    /// No connection, or it broke.
    SocketError,
    /// The host name has no address.
    ResolutionError,
}

/// Why an event became a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// It was tried as often as allowed.
    MaxDeliveryAttemptsExceeded,
    /// A retry was due when its time was over.
    TimeToLiveExceeded,
    /// The receiver said something that no retry changes.
    NonRetriableStatus,
}

impl Reason {
    /// As written in dead letters.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxDeliveryAttemptsExceeded => "MaxDeliveryAttemptsExceeded",
            Self::TimeToLiveExceeded => "TimeToLiveExceeded",
            Self::NonRetriableStatus => "NonRetriableStatus",
        }
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Delivered,
    /// Try again.
    Retry {
        /// From now, in milliseconds.
        after_ms: u64,
        /// The receiver named the time itself: send it nothing at all until then.
        hold_all: bool,
    },
    /// Several events went in one request that was too large: send each half on its own.
    Halve,
    /// Give up on it.
    DeadLetter(Reason),
    /// The receiver is retired: send nothing more, keep everything unsettled.
    Stop,
}

/// Bounds and schedule of one endpoint's retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// When attempts follow each other.
    pub schedule: Schedule,
    /// Shortest wait (exponential).
    pub backoff_ms_min: u64,
    /// Longest wait (exponential).
    pub backoff_ms_max: u64,
    /// Most attempts.
    pub attempts_max: u32,
    /// Time to live.
    pub ttl_ms_max: u64,
}

impl Answer {
    /// The bare status.
    pub fn status(code: u16) -> Self {
        Self::Status { code, retry_after_ms: None }
    }

    /// The HTTP status, if there was an answer.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Status { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// What it is called.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::TimedOut => Outcome::TimedOut,
            Self::SocketError => Outcome::SocketError,
            Self::ResolutionError => Outcome::ResolutionError,
            Self::Status { code, .. } => match code {
                200..=204 => Outcome::Delivered,
                300..=399 => Outcome::Redirected,
                400 => Outcome::BadRequest,
                401 => Outcome::Unauthorized,
                403 => Outcome::Forbidden,
                404 => Outcome::NotFound,
                408 | 504 => Outcome::TimedOut,
                410 => Outcome::Gone,
                413 => Outcome::PayloadTooLarge,
                415 => Outcome::UnsupportedMediaType,
                429 | 503 => Outcome::Busy,
                500..=599 => Outcome::ServerError,
                _ => Outcome::UnexpectedStatus,
            },
        }
    }
}

impl RetryPolicy {
    /// What `answer` means for a request of `events` events that has now been tried `attempts` times, the first time
    /// `since_first_ms` ago. `random` lies in [0, 1).
    pub fn judge(&self, answer: &Answer, events: usize, attempts: u32, since_first_ms: u64, random: f64) -> Verdict {
        let mut asked = None;
        if let Answer::Status { code, retry_after_ms } = answer {
            match code {
                200..=204 => return Verdict::Delivered,
                410 => return Verdict::Stop,
                413 if events > 1 => return Verdict::Halve,
                code if self.is_final(*code) => return Verdict::DeadLetter(Reason::NonRetriableStatus),
                _ => asked = *retry_after_ms,
            }
        }
        if attempts >= self.attempts_max {
            return Verdict::DeadLetter(Reason::MaxDeliveryAttemptsExceeded);
        }
        let slot = self.slot_ms(attempts, since_first_ms, random);
        let wait = slot.max(self.floor_ms(answer)).max(asked.unwrap_or(0));
        // Nothing is gained by waiting past the end: the time to live is tested when the retry is due.
        let after_ms = wait.min(self.ttl_ms_max.saturating_sub(since_first_ms)).max(1);
        Verdict::Retry { after_ms, hold_all: asked.is_some_and(|asked| asked > 0) }
    }

    /// The time to live, tested when an attempt is due; `age_ms` as the endpoint's `ttl_from` counts it.
    pub fn is_expired(&self, age_ms: u64) -> bool {
        age_ms >= self.ttl_ms_max
    }

    /// The status is never retried.
    fn is_final(&self, code: u16) -> bool {
        match code {
            400 | 401 | 403 | 413 => true,
            404 => self.schedule == Schedule::EventGridNamespace,
            414 => self.schedule != Schedule::EventGrid,
            // The same bytes would meet the same refusal; Event Grid's tables do not name these two.
            405 | 415 => self.schedule == Schedule::Exponential,
            _ => false,
        }
    }

    /// Least wait after such an answer: Event Grid's, with Event Grid's schedules.
    fn floor_ms(&self, answer: &Answer) -> u64 {
        if self.schedule == Schedule::Exponential {
            return 0;
        }
        match answer.code() {
            Some(408) => 120_000,
            Some(503) => 30_000,
            _ => 10_000,
        }
    }

    fn slot_ms(&self, attempts: u32, since_first_ms: u64, random: f64) -> u64 {
        let drawn = |low: u64, high: u64| low + ((high.saturating_sub(low)) as f64 * random) as u64;
        let table = |slots: &[u64], step: u64| {
            let made = attempts.max(1) as usize;
            let slot_s = match slots.get(made - 1) {
                Some(slot) => *slot,
                None => slots[slots.len() - 1] + step * (made - slots.len()) as u64,
            };
            drawn(0, SLOT_JITTER_MS) + (slot_s * 1000).saturating_sub(since_first_ms)
        };
        match self.schedule {
            Schedule::EventGrid => table(&EVENT_GRID_S, EVENT_GRID_STEP_S),
            Schedule::EventGridNamespace => table(&NAMESPACE_S, NAMESPACE_STEP_S),
            Schedule::Exponential => {
                let doubled = self.backoff_ms_min.saturating_mul(1 << attempts.clamp(1, 40));
                drawn(self.backoff_ms_min, doubled.min(self.backoff_ms_max).max(self.backoff_ms_min))
            }
        }
    }
}
