//! What needs no connection: addresses, pauses, and which ends are final.

use std::time::Duration;

use super::backoff::Backoff;
use super::connect::Address;

#[test]
fn addresses() {
    let read = |text: &str| text.parse::<Address>().map(|address| address.to_string());
    assert_eq!(read("quic://127.0.0.1:9"), Ok("quic://127.0.0.1:9".to_owned()));
    assert_eq!(read("quic://node.example/"), Ok("quic://node.example:4433".to_owned()));
    assert_eq!(read("quic://[::1]:77"), Ok("quic://[::1]:77".to_owned()));
    assert_eq!(read("quic://[::1]"), Ok("quic://[::1]:4433".to_owned()));
    for wrong in [
        "",
        "127.0.0.1:9",
        "http://a:1",
        "quic://",
        "quic://a:b",
        "quic://a:0",
        "quic://u@a",
        "quic://a/b",
        "quic://[x]:1",
    ] {
        let error = read(wrong).expect_err(wrong).to_string();
        assert!(error.contains("write for example quic://"), "{wrong}: {error}");
    }
}

#[test]
fn pauses_grow_to_their_bound_and_begin_anew() {
    let mut backoff = Backoff::new(Duration::from_secs(1));
    let pauses: Vec<u128> = (0..6).map(|_| backoff.pause(1.0).as_millis()).collect();
    assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000]);
    assert_eq!(backoff.pause(0.0).as_millis(), 500);
    backoff.reset();
    assert_eq!(backoff.pause(0.5).as_millis(), 75);
    assert_eq!(Backoff::new(Duration::from_millis(20)).pause(1.0).as_millis(), 20);
}
