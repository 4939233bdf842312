//! RFC 3339, strictly: a date and time with its offset to UTC, or a date alone. Nothing is guessed and nothing rounded.

use super::fit::Misfit;
use super::types::Unit;

/// An instant as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Seconds since 1970 in UTC.
    pub seconds: i64,
    /// And nanoseconds behind them.
    pub nanoseconds: u32,
    /// The unit whose plain form this is: capital `T` and `Z`, and as many digits of the second's fraction as the unit has. From
    /// instant and unit the same text can be written again.
    pub plain: Option<Unit>,
}

impl Written {
    /// The instant in a unit, if it is a whole number of it.
    pub fn in_unit(self, unit: Unit) -> Result<i64, Misfit> {
        let fine = 10u32.pow(u32::from(9 - unit.digits()));
        if !self.nanoseconds.is_multiple_of(fine) {
            return Err(Misfit::Digits);
        }
        let whole = i128::from(self.seconds) * i128::from(10u32.pow(u32::from(unit.digits())));
        i64::try_from(whole + i128::from(self.nanoseconds / fine)).map_err(|_| Misfit::Range)
    }
}

/// Reads a date and time; `None` where it is none, or one that no number holds: a leap second, or digits below the nanosecond.
pub fn parse(text: &[u8]) -> Option<Written> {
    let (date, rest) = text.split_at_checked(10)?;
    let days = parse_date(date)?;
    let (&[t, h1, h2, b':', m1, m2, b':', s1, s2], mut rest) = rest.split_first_chunk()? else { return None };
    let (hour, minute, second) = (two(h1, h2)?, two(m1, m2)?, two(s1, s2)?);
    if !matches!(t, b'T' | b't') || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (mut nanoseconds, mut digits) = (0u32, 0usize);
    if let Some(fraction) = rest.strip_prefix(b".") {
        digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (written, behind) = fraction.split_at(digits);
        let (held, below) = written.split_at(digits.min(9));
        if digits == 0 || below.iter().any(|digit| *digit != b'0') {
            return None;
        }
        for place in 0..9 {
            nanoseconds = nanoseconds * 10 + held.get(place).map_or(0, |digit| u32::from(digit - b'0'));
        }
        rest = behind;
    }
    let offset_minutes = match *rest {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset_minutes * 60;
    let plain = Unit::ALL.into_iter().find(|unit| usize::from(unit.digits()) == digits && t == b'T' && rest == b"Z");
    Some(Written { seconds, nanoseconds, plain })
}

/// Days since 1970 of `2026-11-21`.
pub fn parse_date(text: &[u8]) -> Option<i64> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let (year, month, day) = (two(y1, y2)? * 100 + two(y3, y4)?, two(m1, m2)?, two(d1, d2)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap),
        _ => return None,
    };
    if !(1..=days).contains(&day) {
        return None;
    }
    // Years are counted from March, so that a leap day is a year's last day.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_rfc_3339_is_refused() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T10:00:00",
            "2026-11-21 10:00:00Z",
            "2026-11-21T10:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T10:60:00Z",
            "2016-12-31T23:59:60Z",
            "2026-02-29T10:00:00Z",
            "2026-00-01T10:00:00Z",
            "2026-04-31T10:00:00Z",
            "2026-11-21T10:00:00.Z",
            "2026-11-21T10:00:00.0000000001Z",
            "2026-11-21T10:00:00+01",
            "2026-11-21T10:00:00+0100",
            "2026-11-21T10:00:00+24:00",
            "2026-11-21T10:00:00+01:60",
            "2026-11-21T10:00:00Z ",
            "+002026-11-21T10:00:00Z",
            "２026-11-21T1",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn nothing_is_rounded() {
        let at = |text: &str, unit| parse(text.as_bytes()).expect("a time").in_unit(unit);
        assert_eq!(at("1970-01-01T00:00:01.500Z", Unit::Ms), Ok(1500));
        assert_eq!(at("1970-01-01T00:00:01.500000000000Z", Unit::Ms), Ok(1500));
        assert_eq!(at("1970-01-01T00:00:01.5Z", Unit::S), Err(Misfit::Digits));
        assert_eq!(at("1969-12-31T23:59:59.999999Z", Unit::Us), Ok(-1));
        assert_eq!(at("1969-12-31T23:59:59.999999Z", Unit::Ms), Err(Misfit::Digits));
        assert_eq!(at("0000-01-01T00:00:00Z", Unit::S), Ok(-62_167_219_200));
        assert_eq!(at("9999-12-31T23:59:59Z", Unit::Ns), Err(Misfit::Range));
        assert_eq!(at("2262-04-11T23:47:16.854775807Z", Unit::Ns), Ok(i64::MAX));
        for (text, plain) in [
            ("2026-11-21T10:00:00Z", Some(Unit::S)),
            ("2026-11-21T10:00:00.120Z", Some(Unit::Ms)),
            ("2026-11-21T10:00:00.12Z", None),
            ("2026-11-21T10:00:00+00:00", None),
            ("2026-11-21t10:00:00Z", None),
        ] {
            assert_eq!(parse(text.as_bytes()).expect("a time").plain, plain, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn another_reader_finds_the_same(
            seconds in -62_167_219_200i64..253_402_207_200, nanoseconds in 0i32..1_000_000_000, hours in -23i8..24,
        ) {
            let instant = jiff::Timestamp::new(seconds, nanoseconds).expect("in range");
            let offset = jiff::tz::offset(hours);
            let there = instant.display_with_offset(offset).to_string();
            let found = parse(there.as_bytes());
            if there.starts_with(|first: char| first.is_ascii_digit()) {
                prop_assert_eq!(found.map(|found| found.in_unit(Unit::S).is_ok()), Some(nanoseconds == 0));
                let all = |found: Written| i128::from(found.seconds) * 1_000_000_000 + i128::from(found.nanoseconds);
                prop_assert_eq!(found.map(all), Some(instant.as_nanosecond()));
            }
            let day = instant.to_string();
            prop_assert_eq!(parse_date(&day.as_bytes()[..10]), Some(seconds.div_euclid(86_400)));
        }
    }
}
