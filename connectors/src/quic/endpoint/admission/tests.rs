//! Verdicts, with the time as an argument.

use super::*;

const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn limits() -> QuicEndpointLimits {
    QuicEndpointLimits {
        connections_max: 50,
        handshakes_max: 20,
        retry_from: 10,
        arrivals_per_address_per_s: 10,
        arrivals_per_address_at_once: 5,
        ..QuicEndpointLimits::default()
    }
}

#[test]
fn an_address_has_its_rate_and_what_it_may_have_at_once() {
    let mut admission = Admission::new(&limits());
    let mut at = |ms: u64| admission.judge(Duration::from_millis(ms), ONE, true, 0);
    for _ in 0..5 {
        assert_eq!(at(1000), Verdict::Accept);
    }
    assert_eq!(at(1000), Verdict::TooOften);
    assert_eq!(at(1099), Verdict::TooOften);
    assert_eq!(at(1100), Verdict::Accept);
    assert_eq!(at(1100), Verdict::TooOften);
    // A long silence gives no more than what may come at once.
    for _ in 0..5 {
        assert_eq!(at(3_600_000), Verdict::Accept);
    }
    assert_eq!(at(3_600_000), Verdict::TooOften);
}

#[test]
fn a_forged_address_takes_nothing_from_its_owner() {
    let mut admission = Admission::new(&limits());
    let verdicts: Vec<_> = (0..100).map(|_| admission.judge(Duration::ZERO, ONE, false, 0)).collect();
    assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::Accept).count(), 5);
    assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::Retry).count(), 95);
    assert_eq!(admission.judge(Duration::ZERO, ONE, true, 0), Verdict::Accept);
}

#[test]
fn addresses_have_to_be_proved_while_there_are_many_handshakes() {
    let mut admission = Admission::new(&limits());
    admission.handshakes = 9;
    assert_eq!(admission.judge(Duration::ZERO, ONE, false, 0), Verdict::Accept);
    admission.handshakes = 10;
    assert_eq!(admission.judge(Duration::ZERO, ONE, false, 0), Verdict::Retry);
    assert_eq!(admission.judge(Duration::ZERO, ONE, true, 0), Verdict::Accept);
    admission.handshakes = 20;
    assert_eq!(admission.judge(Duration::ZERO, ONE, true, 0), Verdict::Busy);
    assert_eq!(admission.judge(Duration::ZERO, ONE, true, 50), Verdict::Full);
}

#[test]
fn a_network_of_ipv6_counts_as_one_address_and_a_mapped_address_as_itself() {
    let mut admission = Admission::new(&limits());
    for host in 0..5u128 {
        let address = IpAddr::V6((0x2001_0db8_0000_0001_0000_0000_0000_0000 + host).into());
        assert_eq!(admission.judge(Duration::ZERO, address, true, 0), Verdict::Accept);
    }
    let sixth = IpAddr::V6(0x2001_0db8_0000_0001_ffff_0000_0000_0000.into());
    assert_eq!(admission.judge(Duration::ZERO, sixth, true, 0), Verdict::TooOften);
    for _ in 0..5 {
        assert_eq!(admission.judge(Duration::ZERO, ONE, true, 0), Verdict::Accept);
    }
    let mapped = IpAddr::V6("::ffff:192.0.2.1".parse().unwrap());
    assert_eq!(admission.judge(Duration::ZERO, mapped, true, 0), Verdict::TooOften);
}
