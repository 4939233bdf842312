//! What an answer says: how many events were taken, or what was wrong, in the target's own words.

use serde::Deserialize;

/// Longest part of an answer that is quoted.
const WORDS_BYTES_MAX: usize = 400;

#[derive(Deserialize)]
struct Receipt {
    accepted: Option<u64>,
}

/// How many events the receipt speaks of; `None` where it names no number and so means all.
pub(super) fn accepted(answer: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Receipt>(answer).ok()?.accepted
}

/// The answer as text for a message.
pub(super) fn words(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(&answer[..answer.len().min(WORDS_BYTES_MAX)]);
    match text.trim() {
        "" => "(no body)".to_owned(),
        text => text.to_owned(),
    }
}
