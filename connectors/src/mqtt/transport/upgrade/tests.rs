//! Requests that are broken anywhere; those that are merely wrong are tried over sockets in the tests of `transport`.

use proptest::prelude::*;

use super::*;

const GOOD: &str = "GET /mqtt HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

#[test]
fn the_answer_is_the_one_of_the_standard() {
    let upgrade = parse(GOOD.as_bytes()).expect("a good request");
    assert_eq!((upgrade.accept.as_str(), upgrade.protocol), ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "mqtt"));
}

proptest! {
    #[test]
    fn any_damage_is_survived(at in 0..GOOD.len(), damage in any::<[u8; 3]>(), cut in 0..GOOD.len()) {
        let mut bytes = GOOD.as_bytes().to_vec();
        for (byte, damage) in bytes[at..].iter_mut().zip(damage) {
            *byte = damage;
        }
        if let Ok(upgrade) = parse(&bytes) {
            prop_assert!(PROTOCOLS.contains(&upgrade.protocol));
        }
        prop_assert!(parse(&bytes[..cut]).is_err());
    }
}
