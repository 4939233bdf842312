//! The routes that the suite `match` measures, as texts of filters.

use fastrand::Rng;

use crate::events::{Fact, device_name};

/// Endpoints that the routes lead to, in turn.
pub const ENDPOINTS: u16 = 256;

const SEED: u64 = 7;

/// One route.
#[derive(Clone)]
pub struct RouteSpec {
    /// Its filter, in the default dialect.
    pub filter: String,
    /// Number of its endpoint.
    pub endpoint: u16,
}

/// The threshold of a device's route in hundredths; half of the events are above.
pub fn threshold_centi(device: u32) -> i32 {
    // Spread evenly over 10.00 to 30.00 with no two neighbours alike.
    1000 + (device.wrapping_mul(2_654_435_761) >> 8) as i32 % 2000
}

/// A decimal of hundredths.
pub fn centi(value: i32) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}

/// What a route per device asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerDevice {
    /// `device_id = 'x'`
    Equality,
    /// `device_id = 'x' AND temp > c`
    EqualityAndRange,
}

impl PerDevice {
    /// The route of one device.
    pub fn route(self, device: u32) -> RouteSpec {
        let name = device_name(device);
        let filter = match self {
            Self::Equality => format!("device_id = '{name}'"),
            Self::EqualityAndRange => format!("device_id = '{name}' AND temp > {}", centi(threshold_centi(device))),
        };
        RouteSpec { filter, endpoint: (device % u32::from(ENDPOINTS)) as u16 }
    }

    /// One route for each of so many devices.
    pub fn routes(self, devices: u32) -> Vec<RouteSpec> {
        (0..devices).map(|device| self.route(device)).collect()
    }

    /// Whether an event meets a route, if its device has one.
    pub fn takes(self, fact: Fact) -> bool {
        self == Self::Equality || fact.temp_centi > threshold_centi(fact.device)
    }
}

/// The mixed set: six kinds in equal parts, and 1 % that no index can serve.
pub fn mixed(count: u32, devices: u32) -> Vec<RouteSpec> {
    let mut rng = Rng::with_seed(SEED);
    let mut routes = Vec::new();
    for n in 0..count {
        let device = device_name(rng.u32(..devices));
        let range = centi(rng.i32(1000..4400));
        let filter = if n % 100 == 99 {
            match rng.u32(..3) {
                0 => format!("temp * 2 - humidity > {}", centi(rng.i32(5000..7900))),
                1 => format!("abs(temp - {range}) < 0.05 AND battery < humidity"),
                _ => format!("battery % 50 = {} AND rssi < 0 AND mains AND temp > {range}", rng.u32(..50)),
            }
        } else {
            match n % 6 {
                0 => format!("device_id = '{device}'"),
                1 => format!("device_id = '{device}' AND temp > {range}"),
                2 => format!("starts_with(device_id, '{}')", &device[..device.len() - 1]),
                3 => {
                    let names: Vec<String> =
                        (0..20).map(|_| format!("'{}'", device_name(rng.u32(..devices)))).collect();
                    format!("device_id IN ({})", names.join(", "))
                }
                4 => format!("contains(device_id, '{}')", &device[device.len() - 4..]),
                _ => format!("device_id = '{device}' AND NOT (status = 'ok' OR temp > {range})"),
            }
        };
        routes.push(RouteSpec { filter, endpoint: rng.u16(..ENDPOINTS) });
    }
    rng.shuffle(&mut routes);
    routes
}
