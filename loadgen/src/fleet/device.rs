//! One device: what it remembers between events, and what follows from its number for ever.
//!
//! Readings are pulled back to the device's own mean, so the share of hot and of critical events stays about the same from the
//! first event to the billionth: about 3 % above 30 degrees, about 0.1 % critical.

use super::Emitted;

/// How a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Status {
    /// `ok`
    Ok,
    /// `warn`
    Warn,
    /// `critical`
    Critical,
}

impl Status {
    /// As an event says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Critical => "critical",
        }
    }
}

/// What one device remembers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Device {
    pub(super) seq: u32,
    pub(super) temp_centi: i16,
    pub(super) humidity_deci: u16,
    pub(super) pressure_deci: u16,
    pub(super) battery_per_1024: u16,
    pub(super) rssi: i8,
    status: Status,
    pub(super) door_open: bool,
}

const _: () = assert!(size_of::<Device>() <= 16);

/// What follows from seed and number: where the device stands and what it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traits {
    pub(super) site: u32,
    pub(super) firmware: usize,
    pub(super) lat_e4: i32,
    pub(super) lon_e4: i32,
    temp_centi: i32,
}

pub(super) const SITES: u32 = 256;
pub(super) const FIRMWARES: [&[u8; 5]; 8] =
    [b"2.4.1", b"2.4.1", b"2.4.1", b"2.4.0", b"2.4.0", b"2.3.7", b"2.3.7", b"1.9.8"];

/// The seed's word on (device, event): a finaliser of SplitMix64 over their combination.
fn mix(seed: u64, device: u32, event: u64) -> u64 {
    let mut x =
        seed ^ u64::from(device).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ event.wrapping_mul(0xD1B5_4A32_D192_ED03);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// `bits` bits from `at` of the word, centred on zero.
fn noise(word: u64, at: u32, bits: u32) -> i32 {
    ((word >> at) & ((1 << bits) - 1)) as i32 - (1 << (bits - 1))
}

impl Traits {
    pub(super) fn new(seed: u64, device: u32) -> Self {
        let word = mix(seed, device, u64::MAX);
        let site = (word as u32) % SITES;
        // Sites lie scattered over the inhabited latitudes; devices within about a kilometre of their site.
        let place = mix(seed, site, u64::MAX - 1);
        Self {
            site,
            firmware: (word >> 8) as usize % FIRMWARES.len(),
            lat_e4: (place % 1_100_000) as i32 - 450_000 + noise(word, 16, 7),
            lon_e4: ((place >> 32) % 3_500_000) as i32 - 1_750_000 + noise(word, 24, 7),
            temp_centi: 1_600 + ((word >> 32) % 1_300) as i32,
        }
    }
}

impl Device {
    pub(super) fn new(seed: u64, device: u32) -> Self {
        let word = mix(seed, device, u64::MAX - 2);
        let traits = Traits::new(seed, device);
        let status = match word % 1_024 {
            0 => Status::Critical,
            1..=14 => Status::Warn,
            _ => Status::Ok,
        };
        Self {
            seq: 0,
            temp_centi: (traits.temp_centi + noise(word, 10, 8) * 2) as i16,
            humidity_deci: (450 + noise(word, 18, 9)) as u16,
            pressure_deci: (10_130 + noise(word, 27, 8)) as u16,
            battery_per_1024: 300 + ((word >> 35) % 724) as u16,
            rssi: (-70 + noise(word, 45, 5)) as i8,
            status,
            door_open: word >> 60 == 0,
        }
    }

    /// Makes the readings of the next event and counts it.
    pub(super) fn step(&mut self, seed: u64, device: u32, traits: &Traits) -> Emitted {
        let seq = self.seq;
        let word = mix(seed, device, u64::from(seq));
        self.seq = seq.wrapping_add(1);
        let pull = |value: i32, mean: i32| (mean - value) / 16;
        let temp = i32::from(self.temp_centi);
        self.temp_centi = (temp + pull(temp, traits.temp_centi) + noise(word, 0, 8)) as i16;
        let humidity = i32::from(self.humidity_deci);
        self.humidity_deci = (humidity + pull(humidity, 450) + noise(word, 8, 5)).clamp(0, 1_000) as u16;
        let pressure = i32::from(self.pressure_deci);
        self.pressure_deci = (pressure + pull(pressure, 10_130) + noise(word, 13, 4)).clamp(8_700, 10_900) as u16;
        let rssi = i32::from(self.rssi);
        self.rssi = (rssi + pull(rssi, -70) + noise(word, 17, 3)).clamp(-110, -30) as i8;
        // A battery lasts some ten thousand events and is replaced at 5 %.
        if (word >> 20) & 15 == 0 {
            self.battery_per_1024 = if self.battery_per_1024 < 52 { 1_023 } else { self.battery_per_1024 - 1 };
        }
        if (word >> 24) & 63 == 0 {
            self.door_open = !self.door_open;
        }
        let chance = (word >> 32) & 0x3ff;
        self.status = match self.status {
            Status::Ok if chance < 2 => Status::Warn,
            Status::Warn if chance < 16 => Status::Critical,
            Status::Warn if chance < 144 => Status::Ok,
            Status::Critical if chance < 256 => Status::Ok,
            same => same,
        };
        Emitted { device, seq, temp_centi: self.temp_centi, status: self.status }
    }
}
