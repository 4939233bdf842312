//! The fleet keeps its word: valid JSON, about 240 bytes, deterministic however it is divided.

use super::*;
use std::collections::HashMap;

fn events(fleet: &mut Fleet, count: usize) -> Vec<(Emitted, Vec<u8>)> {
    (0..count)
        .map(|n| {
            let mut out = Vec::new();
            let emitted = fleet.write_event(1_795_213_800_000_000 + n as u64, &mut out);
            (emitted, out)
        })
        .collect()
}

/// Events of one time.
fn at_once(fleet: &mut Fleet, count: usize) -> Vec<(Emitted, Vec<u8>)> {
    let mut one = || {
        let mut out = Vec::new();
        (fleet.write_event(1_795_213_800_000_000, &mut out), out)
    };
    (0..count).map(|_| one()).collect()
}

#[test]
fn an_event_is_json_that_says_what_was_emitted() {
    let mut fleet = Fleet::new(7, 120..140);
    for (emitted, bytes) in events(&mut fleet, 20_000) {
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["device_id"], device_id(emitted.device).as_str());
        assert_eq!(device_number(value["device_id"].as_str().unwrap()), Some(emitted.device));
        assert_eq!(value["seq"], emitted.seq);
        assert!((12.0..=32.0).contains(&value["temp"].as_f64().unwrap()), "{value}");
        assert_eq!(check(&bytes), Check::Right);
        assert!(value["ts"].as_u64().unwrap() >= 1_795_213_800_000_000);
        assert!((-90.0..=90.0).contains(&value["loc"]["lat"].as_f64().unwrap()), "{value}");
        assert!((-180.0..=180.0).contains(&value["loc"]["lon"].as_f64().unwrap()), "{value}");
        assert!((-110..=-30).contains(&value["rssi"].as_i64().unwrap()));
        assert!((0..=100).contains(&value["battery"].as_i64().unwrap()));
        assert_eq!(value.as_object().unwrap().len(), 15);
    }
}

#[test]
fn events_are_about_260_bytes() {
    let mut fleet = Fleet::new(1, 0..100_000);
    let all = events(&mut fleet, 100_000);
    let mean = all.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() / all.len();
    assert!((250..=270).contains(&mean), "{mean}");
    assert!(all.iter().all(|(_, bytes)| bytes.len() < fleet.event_bytes_max()));
}

#[test]
fn the_largest_and_smallest_of_everything_fit_the_line() {
    let mut fleet = Fleet::new(3, DEVICES_MAX - 1..DEVICES_MAX);
    fleet.seqs[0] = u32::MAX;
    let mut out = Vec::new();
    fleet.write_event(u64::MAX, &mut out);
    let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(value["seq"], u32::MAX);
    assert_eq!(value["device_id"], "dev-999999999");
    out.clear();
    fleet.write_event(0, &mut out);
    let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(value["ts"], 1_000_000_000_000_000u64, "a clock before 2001 still makes JSON");
}

#[test]
fn a_device_reports_the_same_however_the_fleet_is_divided() {
    let mut whole: HashMap<Emitted, Vec<u8>> = HashMap::new();
    let mut fleet = Fleet::new(42, 0..60);
    for (emitted, bytes) in at_once(&mut fleet, 600) {
        assert!(whole.insert(emitted, bytes).is_none());
    }
    assert!((0..60).all(|device| (0..10).all(|seq| whole.contains_key(&Emitted { device, seq }))));
    for part in 0..7 {
        let range = share(60, part, 7);
        let mut fleet = Fleet::new(42, range.clone());
        for (emitted, bytes) in at_once(&mut fleet, range.len() * 10) {
            assert_eq!(whole[&emitted], bytes);
        }
    }
    let mut other = Fleet::new(43, 0..60);
    let (emitted, bytes) = at_once(&mut other, 1).remove(0);
    assert_ne!(whole[&emitted], bytes, "the seed matters");
}

#[test]
fn shares_cover_all_devices_once() {
    for (devices, parts) in [(10, 3), (3, 10), (1, 1), (100_000, 16), (7, 7)] {
        let mut next = 0;
        for part in 0..parts {
            let range = share(devices, part, parts);
            assert_eq!(range.start, next);
            next = range.end;
        }
        assert_eq!(next, devices);
    }
}

#[test]
fn every_device_has_sent_once_before_any_sends_again() {
    for count in [1, 2, 3, 4, 10, 97, 100, 1000] {
        let mut fleet = Fleet::new(0, 0..count);
        let mut seen: Vec<u32> =
            (0..count).map(|_| fleet.skip_event()).inspect(|e| assert_eq!(e.seq, 0)).map(|e| e.device).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..count).collect::<Vec<_>>());
    }
}

#[test]
fn the_shares_of_hot_and_critical_events_stay_where_they_started() {
    let model = Model::telemetry();
    let filter = |text| Filter::parse(text, &model).unwrap();
    let (is_hot, is_critical) = (filter("temp > 30"), filter("status = 'critical'"));
    let mut fleet = Fleet::new(5, 0..20_000);
    for round in 0..40 {
        let (mut hot, mut critical) = (0, 0);
        for _ in 0..20_000 {
            let emitted = fleet.skip_event();
            hot += u32::from(is_hot.matches(5, emitted.device, emitted.seq));
            critical += u32::from(is_critical.matches(5, emitted.device, emitted.seq));
        }
        assert!((300..=900).contains(&hot), "round {round}: {hot} hot of 20000");
        assert!((3..=60).contains(&critical), "round {round}: {critical} critical of 20000");
    }
}

#[test]
fn a_cloud_event_carries_the_same_data() {
    let mut plain = Fleet::new(9, 5..15);
    let mut wrapped = Fleet::new(9, 5..15);
    for n in 0..100 {
        let (mut data, mut event) = (Vec::new(), b"[".to_vec());
        let n = 1_795_213_800_000_000 + n;
        let emitted = plain.write_event(n, &mut data);
        assert_eq!(wrapped.write_cloud_event(n, &mut event), emitted);
        let value: serde_json::Value = serde_json::from_slice(&event[1..]).unwrap();
        assert_eq!(value["specversion"], "1.0");
        assert_eq!(value["id"], format!("{}-{:010}", device_id(emitted.device), emitted.seq));
        assert_eq!(value["subject"], device_id(emitted.device));
        assert_eq!(value["partitionkey"], device_id(emitted.device));
        assert_eq!(value["data"], serde_json::from_slice::<serde_json::Value>(&data).unwrap());
    }
}

#[test]
fn device_numbers_are_read_back_strictly() {
    for wrong in ["dev-1", "dev-00000001x", "dev-0000000001", "dev-+00000001", "device-000000001", ""] {
        assert_eq!(device_number(wrong), None, "{wrong}");
    }
}

#[test]
fn what_was_written_is_read_back_and_what_is_no_fleets_is_not() {
    let mut fleet = Fleet::new(8, 77..80);
    for n in 0..9 {
        let mut bytes = Vec::new();
        let emitted = fleet.write_event(1_795_213_800_000_000 + n, &mut bytes);
        let read = read_back(&bytes).unwrap();
        assert_eq!((read.device, read.seq, read.ts_us), (emitted.device, emitted.seq, 1_795_213_800_000_000 + n));
    }
    for other in [&b"{}"[..], b"[]", b"{\"device_id\":\"x\",\"seq\":1,\"ts\":1}"] {
        assert_eq!(read_back(other), Err(Unread::Stranger));
    }
}

#[test]
fn a_byte_that_was_changed_is_no_event_of_the_fleet() {
    let mut bytes = Vec::new();
    Fleet::new(8, 77..80).write_event(1_795_213_800_000_000, &mut bytes);
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        assert!(read_back(&bad).is_err(), "byte {at}");
    }
    let corrupted =
        |from: &str, to: &str| read_back(String::from_utf8(bytes.clone()).unwrap().replace(from, to).as_bytes());
    assert_eq!(corrupted("\"temp\":", "\"temp\":1"), Err(Unread::Corrupted));
    assert_eq!(corrupted("\"check\"", "\"chuck\""), Err(Unread::Corrupted));
}

#[test]
fn ten_million_devices_fit_into_a_hundred_megabytes() {
    let fleet = Fleet::new(1, 0..10_000_000);
    assert!(fleet.seqs.capacity() * size_of::<u32>() <= 100_000_000);
    assert_eq!(fleet.len(), 10_000_000);
}
