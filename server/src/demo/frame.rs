//! What the demo shows at one moment: plain numbers, made from the node's snapshot, the fleet's progress and the tail.

/// Where the demo stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The fleet sends.
    Sending,
    /// The fleet has stopped; endpoints finish what is left.
    Draining,
}

/// One moment.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoFrame {
    /// Where the demo stands.
    pub phase: Phase,
    /// Seconds since the fleet began to send.
    pub elapsed_s: f64,
    /// Seconds that it will send.
    pub seconds: f64,
    /// Devices of the fleet.
    pub devices: u32,
    /// The way in.
    pub intake: IntakeFigures,
    /// Bytes of the log on disk.
    pub log_bytes: u64,
    /// The ways out, in the order of their routes.
    pub endpoints: Vec<EndpointFigures>,
    /// The last critical events, newest last, ready to print.
    pub critical: Vec<String>,
}

/// The fleet's side of ingest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IntakeFigures {
    /// Events sent.
    pub sent: u64,
    /// Events acknowledged.
    pub acknowledged: u64,
    /// Acknowledged per second, lately.
    pub per_s: f64,
    /// Half of the recent batches were acknowledged faster than this.
    pub p50_us: u64,
    /// 99 of 100 recent batches were acknowledged faster than this.
    pub p99_us: u64,
    /// Attempts without a receipt.
    pub retries: u64,
    /// What went wrong lately.
    pub trouble: Option<String>,
}

/// One endpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EndpointFigures {
    /// Its name.
    pub name: String,
    /// What it is, in a word or two.
    pub kind: &'static str,
    /// The filter of its route.
    pub filter: &'static str,
    /// Events matched.
    pub matched: u64,
    /// Matched per second, lately.
    pub matched_per_s: f64,
    /// Events delivered.
    pub delivered: u64,
    /// Events between its cursor and the end of the log.
    pub lag_events: u64,
    /// Events written off.
    pub dead_lettered: u64,
}

/// Rates between two looks.
#[derive(Debug)]
pub struct Meter {
    last: Vec<u64>,
}

impl Meter {
    /// For `figures` counters that stand at 0.
    pub fn new(figures: usize) -> Self {
        Self { last: vec![0; figures] }
    }

    /// `values` per second since the look before, which was `seconds` ago.
    pub fn rates(&mut self, values: &[u64], seconds: f64) -> Vec<f64> {
        let per_s = |(&value, &before): (&u64, &u64)| match seconds > 0.0 {
            true => value.saturating_sub(before) as f64 / seconds,
            false => 0.0,
        };
        let rates = values.iter().zip(&self.last).map(per_s).collect();
        self.last.clear();
        self.last.extend_from_slice(values);
        rates
    }
}
