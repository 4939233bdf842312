//! The events: bodies as devices send them, made from their number, and batches of them.

use engine::batch::{Batch, BatchBuilder, HeaderWriter};

use super::EVENTS;

/// Devices that the events are spread over.
pub const DEVICES: u64 = 10_000;
/// 2026-11-21T00:00:00Z.
pub const START_MS: u64 = 1_795_219_200_000;

/// A number that is the same for the same `n` and looks like dice: the finaliser of splitmix64.
pub fn scattered(n: u64) -> u64 {
    let n = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// Name of the device that event `n` comes from.
pub fn device(n: u64) -> String {
    device_name(scattered(n) % DEVICES)
}

/// Name of a device.
pub fn device_name(device: u64) -> String {
    format!("dev-{device:07}")
}

/// The usual body: about 245 bytes, always the same fields in the same order.
pub fn telemetry(n: u64) -> String {
    body(n, "", "4.12.3", if scattered(n ^ 7).is_multiple_of(10) { "error" } else { "ok" })
}

/// A body with a field that no other has, and an array: no shape helps, it is walked.
pub fn unseen(n: u64) -> String {
    let reading = |at: u64| format!("{}.{}", scattered(n ^ at << 20) % 90, at);
    let readings: Vec<String> = (0..8).map(reading).collect();
    body(n, &format!("\"chan_{n:04}\":[{}],", readings.join(",")), "4.12.3", "ok")
}

/// A body with a string that is not ASCII, and in every other event a wanted string with escapes.
pub fn text(n: u64) -> String {
    body(n, "", "Zürich – 東京 \\\"rc1\\\"\\n", if n.is_multiple_of(2) { "\\u006f\\u006b" } else { "ok" })
}

fn body(n: u64, more: &str, firmware: &str, status: &str) -> String {
    let dice = scattered(n ^ 0x5eed);
    format!(
        "{{\"device_id\":\"{}\",\"ts\":{},\"seq\":{},\"temp\":{}.{:02},\"humidity\":{}.{},\"pressure\":{}.{:02},\"battery\":{},\
         \"rssi\":-{},\"mains\":{},\"status\":\"{status}\",{more}\"loc\":{{\"lat\":47.{:06},\"lon\":8.{:06}}},\"firmware\":\"{firmware}\",\
         \"error\":null,\"sealed\":false}}",
        device(n),
        START_MS + n * 7,
        n + 100_000,
        10 + dice % 35,
        dice >> 8 & 63,
        20 + (dice >> 16) % 70,
        dice >> 24 & 7,
        950 + (dice >> 30) % 100,
        dice >> 38 & 63,
        10 + (dice >> 44) % 90,
        40 + (dice >> 50) % 50,
        dice >> 57 & 1 == 1,
        scattered(n ^ 1) % 1_000_000,
        scattered(n ^ 2) % 1_000_000,
    )
}

/// Events in batches of one partition, with offsets from `base` on. `headers` fills those of event `n`.
pub fn batches(
    partition: u32,
    base: u64,
    bodies: &[String],
    mut headers: impl FnMut(u64, &mut HeaderWriter),
) -> Vec<Batch> {
    let mut builder = BatchBuilder::new(partition);
    let mut room = HeaderWriter::default();
    let mut all: Vec<Batch> = Vec::new();
    let mut seal = |builder: &mut BatchBuilder| {
        let next = all.last().map_or(base, |batch| batch.last_offset() + 1);
        if let Some(mut batch) = builder.seal() {
            batch.set_base_offset(next);
            all.push(batch);
        }
    };
    for (n, body) in (0..).zip(bodies) {
        if builder.is_full() {
            seal(&mut builder);
        }
        room.clear();
        headers(n, &mut room);
        let key = device(n);
        builder.push(Some(key.as_bytes()), body.as_bytes(), &room, (START_MS + n) as i64).expect("an event is small");
    }
    seal(&mut builder);
    all
}

/// As [`batches`], without headers.
pub fn plain(bodies: &[String]) -> Vec<Batch> {
    batches(0, 0, bodies, |_, _| {})
}

/// The bodies of a run.
pub fn bodies(body: impl Fn(u64) -> String) -> Vec<String> {
    (0..EVENTS as u64).map(body).collect()
}
