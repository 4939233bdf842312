//! The checksum at an event's end: CRC-32C of all bytes before the key `"check"`, in eight hexadecimal digits.

use crc_fast::{CrcAlgorithm, checksum};

const KEY: &[u8] = br#""check""#;

/// What an event says of its own bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// They are those that were sent.
    Right,
    /// They are not.
    Wrong,
    /// It says nothing.
    Absent,
}

/// The digits for an event of which these bytes stand before the key.
pub(super) fn check_of(before: &[u8]) -> [u8; 8] {
    hex(crc(before))
}

/// Holds an event's bytes against its check.
pub fn check(json: &[u8]) -> Check {
    let Some(at) = memchr::memmem::rfind(json, KEY) else { return Check::Absent };
    let rest = json[at + KEY.len()..].iter().filter(|byte| !byte.is_ascii_whitespace());
    let expected = hex(crc(&json[..at]));
    let digits = [b':', b'"'].into_iter().chain(expected).chain([b'"', b'}']);
    if rest.copied().eq(digits) { Check::Right } else { Check::Wrong }
}

fn crc(bytes: &[u8]) -> u32 {
    checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

fn hex(value: u32) -> [u8; 8] {
    std::array::from_fn(|at| b"0123456789abcdef"[(value >> (28 - 4 * at) & 15) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_byte_is_seen() {
        let mut event = br#"{"device_id":"dev-000000001","ts":1,"temp":-12.5,"check":"#.to_vec();
        let digits = check_of(&event[..event.len() - 8]);
        event.push(b'"');
        event.extend_from_slice(&digits);
        event.extend_from_slice(b"\"}");
        assert_eq!(check(&event), Check::Right);
        assert_eq!(crc(b"123456789"), 0xE306_9283, "the check value of CRC-32C");
        for at in 0..event.len() {
            for bit in 0..8 {
                let mut bad = event.clone();
                bad[at] ^= 1 << bit;
                assert_ne!(check(&bad), Check::Right, "byte {at} bit {bit}");
            }
        }
        assert_eq!(check(b"{}"), Check::Absent);
    }
}
