//! What fleets send that is broken or odd. About half of it is still valid JSON.
//!
//! What always holds: where it is valid, every parser that follows the standard and takes the last of duplicate members sees the
//! same values; numbers that doubles cannot hold stand only in fields that nobody wants, for there parsers differ.

use fastrand::Rng;

/// Spoils one compact telemetry event.
pub(super) fn spoil(event: &mut Vec<u8>, rng: &mut Rng) {
    match rng.u32(..10) {
        0 => event.truncate(rng.usize(..event.len())),
        1 => {
            let broken = ["tru", "nul", "False", "01", "1.", ".5", "+1", "-", "1e", "NaN", "'x'", "0x1F"];
            replace_value(event, "pressure", broken[rng.usize(..broken.len())].as_bytes());
        }
        2 => {
            let bad: [&[u8]; 5] =
                [b"\"\xff\"", b"\"\xc3\"", b"\"\xed\xa0\x80\"", b"\"\xc0\xaf\"", b"\"\xf5\x80\x80\x80\""];
            replace_value(event, "firmware", bad[rng.usize(..bad.len())]);
        }
        3 => {
            let exponents = ["2.5e1", "25E0", "2500e-2", "-1.25E+1", "0.0", "0e0"];
            replace_value(event, "temp", exponents[rng.usize(..exponents.len())].as_bytes());
        }
        4 => {
            // Below and above the limit of 128 that we and serde_json have.
            let depth = if rng.bool() { 60 } else { 300 };
            let nested = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
            replace_value(event, "pressure", nested.as_bytes());
        }
        5 => append_member(event, &format!("\"temp\":{}.25", rng.u32(..50))),
        6 => {
            // Twenty digits: in a wanted field below 2^64, above it elsewhere.
            let below = rng.u64(10_000_000_000_000_000_000..=u64::MAX).to_string();
            replace_value(event, "ts", below.as_bytes());
            replace_value(event, "seq", format!("{}", u128::from(rng.u64(1 << 62..)) * 8).as_bytes());
        }
        7 => append_member(event, &format!("\"dump\":\"{}\"", "0123456789abcdef".repeat(256))),
        8 => {
            let odd: [&[u8]; 6] = [b"null", b"\"23.5\"", b"true", b"[]", b"{}", b"\"\""];
            replace_value(event, "temp", odd[rng.usize(..odd.len())]);
        }
        _ => {
            // Two documents, a byte order mark, a control character, a lone surrogate, a comma too many, nothing, white space.
            match rng.u32(..7) {
                0 => event.extend_from_within(..),
                1 => drop(event.splice(..0, *b"\xef\xbb\xbf")),
                2 => replace_value(event, "firmware", b"\"a\tb\""),
                3 => replace_value(event, "firmware", br#""\ud800""#),
                4 => drop(event.splice(event.len() - 1.., *b",}")),
                5 => event.clear(),
                _ => event.extend_from_slice(b" \r\n"),
            }
        }
    }
}

/// Puts `value` where the value of the outer member `name` stands.
fn replace_value(event: &mut Vec<u8>, name: &str, value: &[u8]) {
    let wanted = format!("\"{name}\":");
    let Some(at) = event.windows(wanted.len()).position(|window| window == wanted.as_bytes()) else { return };
    let start = at + wanted.len();
    let Some(length) = event[start..].iter().position(|byte| matches!(byte, b',' | b'}')) else { return };
    event.splice(start..start + length, value.iter().copied());
}

fn append_member(event: &mut Vec<u8>, member: &str) {
    event.pop();
    event.push(b',');
    event.extend_from_slice(member.as_bytes());
    event.push(b'}');
}
