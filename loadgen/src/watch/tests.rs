//! The books of `/proc` as text, and as the system keeps them for this process and for one that ends.

use std::process::{Command, Stdio};

use super::*;

const STAT: &str = "4242 (a (b) c d) S 1 4242 4242 0 -1 4194560 3021 0 5 0 1234 66 7 8 20 0 9 0 987654 2273280 1024 \
    18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
const STATUS: &str =
    "Name:\tnode\nVmPeak:\t  999999 kB\nVmHWM:\t   88888 kB\nVmRSS:\t   12345 kB\nThreads:\t9\nSigQ:\t0/1\n";

#[test]
fn the_books_are_read_whatever_the_command_is_called() {
    assert_eq!(stat(STAT), Some(Stat { state: 'S', cpu_ticks: 1_300, started_ticks: 987_654 }));
    assert_eq!(status(STATUS), Some(Status { resident_bytes: 12_345 * 1_024, threads: 9 }));
}

#[test]
fn books_cut_short_or_nonsense_are_no_sample() {
    for end in 0..STAT.find("987654").unwrap() {
        assert_eq!(stat(&STAT[..end]), None, "{}", &STAT[..end]);
    }
    for text in ["", ")", "1 (a) S x", "VmRSS: 1 kB", &STAT.replace("1234", "-1")] {
        assert_eq!(stat(text), None, "{text}");
    }
    // A zombie has no memory left, hence no such line.
    for text in ["", "Threads:\t1\n", "VmRSS:\t1 MB\nThreads:\t1\n", "VmRSS:\t1 kB\nThreads:\tx\n", "VmRSS:\t1 kB\n"] {
        assert_eq!(status(text), None, "{text}");
    }
}

#[test]
fn cores_are_processor_time_by_time() {
    assert_eq!(cores(250, Duration::from_secs(1)), 2.5);
    assert_eq!(cores(5, Duration::from_millis(500)), 0.1);
    assert_eq!(cores(5, Duration::ZERO), 0.0);
}

#[test]
fn this_process_is_seen_at_work() {
    let mut watch = Watch::start(std::process::id()).unwrap();
    assert_eq!(watch.pid(), std::process::id());
    let before = running(std::process::id()).unwrap().cpu_ticks;
    // Work until the system has booked some of it.
    let mut sum = 0_u64;
    while running(std::process::id()).unwrap().cpu_ticks < before + 3 {
        sum = std::hint::black_box((0..100_000_u64).fold(sum, u64::wrapping_add));
    }
    let usage = watch.sample().unwrap();
    assert!(usage.cpu_cores > 0.0 && usage.cpu_cores <= 4_096.0, "{usage:?}");
    assert!(usage.resident_bytes > 100_000, "{usage:?}");
    assert!(usage.threads >= 1, "{usage:?}");
}

#[test]
fn a_process_that_has_ended_has_no_sample() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut watch = Watch::start(child.id()).unwrap();
    assert!(watch.sample().is_some());
    let mut other = Watch { started_ticks: watch.started_ticks + 1, ..Watch::start(child.id()).unwrap() };
    assert_eq!(other.sample(), None, "another process with this id");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(watch.sample(), None);
    assert!(Watch::start(child.id()).is_none());
}
