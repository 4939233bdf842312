//! One event as JSON bytes, written into a reused line: what is of fixed width stays in place and only its digits change.

use super::Emitted;
use super::device::{Device, FIRMWARES, Traits};

pub(super) const LINE_BYTES_MAX: usize = 320;

const HEAD: &[u8] =
    br#"{"device_id":"dev-000000000","type":"telemetry","ts":0000000000000000,"site":"site-000","temp":"#;
const DEVICE_AT: usize = 18;
const TS_AT: usize = 53;
const SITE_AT: usize = 83;
/// Times of sixteen digits: 2001 to 2286. JSON allows no leading zeros.
const TS_US: std::ops::RangeInclusive<u64> = 1_000_000_000_000_000..=9_999_999_999_999_999;

pub(super) const CLOUD_EVENT_HEAD: &[u8] = concat!(
    r#"{"specversion":"1.0","id":"dev-000000000-0000000000","source":"/fleet","type":"telemetry","#,
    r#""subject":"dev-000000000","partitionkey":"dev-000000000","datacontenttype":"application/json","data":"#
)
.as_bytes();
const CLOUD_EVENT_ID_AT: usize = 31;
const CLOUD_EVENT_SEQ_AT: usize = 41;
const CLOUD_EVENT_SUBJECT_AT: usize = 105;
const CLOUD_EVENT_KEY_AT: usize = 136;

/// The reused line.
#[derive(Debug)]
pub(super) struct Line {
    bytes: [u8; LINE_BYTES_MAX],
    len: usize,
}

/// Writes `value` in decimal over the whole of `place`, with leading zeros.
fn digits(place: &mut [u8], mut value: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Puts the device and its sequence number into a copy of [`CLOUD_EVENT_HEAD`].
pub(super) fn fill_cloud_event(head: &mut [u8], device: u32, seq: u32) {
    for at in [CLOUD_EVENT_ID_AT, CLOUD_EVENT_SUBJECT_AT, CLOUD_EVENT_KEY_AT] {
        digits(&mut head[at..at + 9], u64::from(device));
    }
    digits(&mut head[CLOUD_EVENT_SEQ_AT..CLOUD_EVENT_SEQ_AT + 10], u64::from(seq));
}

impl Line {
    pub(super) fn new() -> Self {
        let mut bytes = [0; LINE_BYTES_MAX];
        bytes[..HEAD.len()].copy_from_slice(HEAD);
        Self { bytes, len: 0 }
    }

    /// The event; valid until the next one.
    pub(super) fn write(&mut self, event: &Emitted, ts_us: u64, device: &Device, traits: &Traits) -> &[u8] {
        digits(&mut self.bytes[DEVICE_AT..DEVICE_AT + 9], u64::from(event.device));
        digits(&mut self.bytes[TS_AT..TS_AT + 16], ts_us.clamp(*TS_US.start(), *TS_US.end()));
        digits(&mut self.bytes[SITE_AT..SITE_AT + 3], u64::from(traits.site));
        self.len = HEAD.len();
        self.fixed::<2>(i32::from(event.temp_centi));
        self.text(br#","humidity":"#);
        self.fixed::<1>(i32::from(device.humidity_deci));
        self.text(br#","pressure":"#);
        self.fixed::<1>(i32::from(device.pressure_deci));
        self.text(br#","battery":"#);
        self.number((u32::from(device.battery_per_1024) * 100) >> 10);
        self.text(br#","rssi":"#);
        self.signed(i32::from(device.rssi));
        self.text(br#","status":""#);
        self.text(event.status.as_str().as_bytes());
        self.text(br#"","fw":""#);
        self.text(FIRMWARES[traits.firmware]);
        self.text(br#"","seq":"#);
        self.number(event.seq);
        if device.door_open {
            self.text(br#","door":true,"loc":{"lat":"#);
        } else {
            self.text(br#","door":false,"loc":{"lat":"#);
        }
        self.fixed::<4>(traits.lat_e4);
        self.text(br#","lon":"#);
        self.fixed::<4>(traits.lon_e4);
        self.text(b"}}");
        &self.bytes[..self.len]
    }

    #[inline(always)]
    fn text(&mut self, text: &[u8]) {
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text);
        self.len += text.len();
    }

    #[inline(always)]
    fn number(&mut self, value: u32) {
        let width = value.checked_ilog10().map_or(1, |log| log as usize + 1);
        digits(&mut self.bytes[self.len..self.len + width], u64::from(value));
        self.len += width;
    }

    #[inline(always)]
    fn signed(&mut self, value: i32) {
        if value < 0 {
            self.text(b"-");
        }
        self.number(value.unsigned_abs());
    }

    /// `value` in units of 10^-`DECIMALS`.
    #[inline(always)]
    fn fixed<const DECIMALS: usize>(&mut self, value: i32) {
        if value < 0 {
            self.text(b"-");
        }
        let unit = 10u32.pow(DECIMALS as u32);
        self.number(value.unsigned_abs() / unit);
        self.text(b".");
        digits(&mut self.bytes[self.len..self.len + DECIMALS], u64::from(value.unsigned_abs() % unit));
        self.len += DECIMALS;
    }
}
