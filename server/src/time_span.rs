//! Times as people type them: back from now, or a moment.

use jiff::Timestamp;

/// Milliseconds since the Unix epoch of `text`: `90s`, `15m`, `2h` or `7d` ago, `now`, or an RFC 3339 time.
pub fn parse(text: &str, now_ms: i64) -> Result<i64, String> {
    if text == "now" {
        return Ok(now_ms);
    }
    let unit_ms = |unit: &str| match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if digits > 0
        && let (Ok(amount), Some(unit_ms)) = (text[..digits].parse::<i64>(), unit_ms(&text[digits..]))
    {
        return Ok(now_ms.saturating_sub(amount.saturating_mul(unit_ms)));
    }
    let wrong = "write a time back from now (90s, 15m, 2h, 7d), `now`, or one like 2026-11-21T04:00:00Z";
    text.parse::<Timestamp>().map(Timestamp::as_millisecond).map_err(|_| format!("`{text}` is no time; {wrong}"))
}

/// As an RFC 3339 time, to the millisecond.
pub fn show(time_ms: i64) -> String {
    Timestamp::from_millisecond(time_ms).map_or_else(|_| time_ms.to_string(), |time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let now = 1_795_219_200_000;
        assert_eq!(parse("90s", now), Ok(now - 90_000));
        assert_eq!(parse("15m", now), Ok(now - 900_000));
        assert_eq!(parse("7d", now), Ok(now - 7 * 86_400_000));
        assert_eq!(parse("now", now), Ok(now));
        assert_eq!(parse("2026-11-21T00:00:00Z", now), Ok(now));
        assert_eq!(parse("2026-11-21T01:00:00+01:00", 0), Ok(now));
        assert_eq!(show(now), "2026-11-21T00:00:00.000Z");
        for wrong in ["", "h", "2 h", "yesterday", "2w", "2026-11-21"] {
            assert!(parse(wrong, now).is_err_and(|error| error.contains("15m")), "{wrong}");
        }
    }
}
