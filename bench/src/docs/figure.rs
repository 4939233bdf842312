//! Single figures: three digits that say something, and their unit.

use crate::row::Row;

/// The field of a row as it stands in a sentence.
pub(super) fn field(row: &Row, name: &str) -> Result<String, String> {
    let missing = || format!("'{}' has no {name}, of {}", row.case, row.peer_name);
    let number = |value: Option<f64>| value.map(digits).ok_or_else(missing);
    match name {
        "ours" => Ok(quantity(row.ours, &row.unit)),
        "peer" => row.peer.map(|peer| quantity(peer, &row.unit)).ok_or_else(missing),
        "ratio" => number(row.ratio),
        "cpu" => number(Some(row.cpu_ns_per_event).filter(|cpu| *cpu > 0.0)),
        "peer_cpu" => number(row.peer_cpu_ns_per_event),
        "cpu_ratio" => number(row.cpu_ratio),
        "ns" => number(Some(1e9 / row.ours).filter(|ns| ns.is_finite())),
        "peer_ns" => number(row.peer.map(|peer| 1e9 / peer)),
        "gb" => number(row.gb_per_s),
        "peer_gb" => number(row.peer_gb_per_s),
        "event_bytes" => number(row.bytes_per_event),
        "peer_name" => Ok(format!("{} {}", row.peer_name, row.peer_version).trim().to_owned()),
        _ => Err(format!(
            "'{name}' is no field: ours, peer, ratio, cpu, peer_cpu, cpu_ratio, ns, peer_ns, gb, peer_gb, event_bytes and peer_name are"
        )),
    }
}

/// With its unit, large ones in millions or 10^9 bytes.
pub(super) fn quantity(value: f64, unit: &str) -> String {
    match unit {
        "B/s" if value >= 1e9 => format!("{} GB/s", digits(value / 1e9)),
        "B/s" if value >= 1e6 => format!("{} MB/s", digits(value / 1e6)),
        _ if unit.ends_with("/s") && value >= 1e6 => format!("{} M {unit}", digits(value / 1e6)),
        _ if unit.ends_with("/s") && value >= 1e4 => format!("{} k {unit}", digits(value / 1e3)),
        "µs" if value >= 1e4 => format!("{} ms", digits(value / 1e3)),
        _ => format!("{} {unit}", digits(value)),
    }
}

/// Three digits, or all of those before the point, thousands apart.
pub(super) fn digits(value: f64) -> String {
    match value.abs() {
        99.95.. => loadgen::report::grouped(value.abs().round() as u64),
        9.995.. => format!("{value:.1}"),
        0.9995.. => format!("{value:.2}"),
        _ => format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}
