//! The `Retry-After` header: seconds, or a date in any of HTTP's three forms (RFC 9110, 5.6.7).

use jiff::fmt::strtime;
use jiff::tz::TimeZone;

/// What `value` asks for, in milliseconds from `now_ms` (since the Unix epoch). A date that is past is 0. `None` where it
/// says nothing that can be understood.
pub fn retry_after_ms(value: &str, now_ms: i64) -> Option<u64> {
    let value = value.trim();
    if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        // More digits than a u64 holds is "practically never": the time to live ends it.
        return Some(value.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(1000));
    }
    let at_ms = date_ms(value)?;
    Some(u64::try_from(at_ms.saturating_sub(now_ms)).unwrap_or(0))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` or `Sun Nov  6 08:49:37 1994`, always UTC.
fn date_ms(value: &str) -> Option<i64> {
    let forms = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let time = forms.iter().find_map(|form| strtime::parse(form, value).ok()?.to_datetime().ok())?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
}
