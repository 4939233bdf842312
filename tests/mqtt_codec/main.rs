//! Our MQTT codec against two that others wrote: what we write they read, field by field, and the other way round; and what one
//! refuses the other refuses, but for the differences in `differences.rs`, each with the clause of the standard behind it.

mod differences;
mod generate;
mod mqute;
mod rmqtt;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::panic::catch_unwind;

use connectors::mqtt::codec::*;
use differences::Case;
use fastrand::Rng;

/// Another codec.
pub trait Peer {
    /// A packet as it holds them.
    type Packet: PartialEq + Debug;
    /// Name on the registry.
    const NAME: &'static str;

    /// The packet that these bytes are, or None if it refuses them.
    fn read(version: Version, bytes: &[u8]) -> Option<Self::Packet>;
    /// The bytes of a packet.
    fn write(packet: Self::Packet) -> Option<Vec<u8>>;
    /// Our packet as one of theirs, or None if their types cannot say it.
    fn of(version: Version, packet: &Packet<'_>) -> Option<Self::Packet>;
}

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// Reads `bytes` as whichever side may send it: the others do not ask who did. A CONNECT says its own version.
fn ours(version: Version, bytes: &[u8]) -> Result<Packet<'_>, DecodeError> {
    let incomplete = DecodeError { reason: Reason::Unspecified, detail: "incomplete", answer: None };
    let frame = frame(bytes, usize::MAX)?.ok_or(incomplete)?;
    decode(version, Side::Client, &frame).or_else(|client| {
        decode(version, Side::Server, &frame).map_err(|server| {
            let asks_for_a_server = ["the sender must not", "its sender must not", "a client's"];
            if asks_for_a_server.iter().any(|text| client.detail.contains(text)) { server } else { client }
        })
    })
}

/// The same packet, where some properties that say what their absence says are absent: the others do not tell them apart.
fn plain(packet: Packet<'_>) -> Packet<'_> {
    let not_0 = |value: Option<u32>| value.filter(|value| *value != 0);
    match packet {
        Packet::Connect(mut connect) => {
            connect.properties.session_expiry_s = not_0(connect.properties.session_expiry_s);
            connect.properties.topic_alias_max = connect.properties.topic_alias_max.filter(|value| *value != 0);
            Packet::Connect(connect)
        }
        Packet::ConnAck(mut connack) => {
            connack.properties.receive_max = connack.properties.receive_max.filter(|value| *value != u16::MAX);
            connack.properties.topic_alias_max = connack.properties.topic_alias_max.filter(|value| *value != 0);
            Packet::ConnAck(connack)
        }
        Packet::Publish(mut publish) => {
            publish.properties.payload_format = publish.properties.payload_format.filter(|value| *value != 0);
            Packet::Publish(publish)
        }
        packet => packet,
    }
}

/// Writes with each and reads with the other, and compares field by field.
fn agree<P: Peer>(seed: u64) {
    let mut random = Rng::with_seed(seed);
    let mut compared = 0;
    let count = 6_000;
    for index in 0..count {
        let generated = generate::packet(&mut random, VERSIONS[index % 3]);
        let (version, bytes) = (generated.version, &generated.bytes);
        let packet = ours(version, bytes).expect("our own packet");
        let Some(wanted) = P::of(version, &packet) else { continue };
        compared += 1;
        let case = Case { version, bytes, packet: &packet };
        let read = P::read(version, bytes);
        if read.is_some() || differences::refuses(P::NAME, &case).is_none() {
            assert_eq!(read.as_ref(), Some(&wanted), "{} reads {packet:?} differently, seed {seed}", P::NAME);
        }
        let written = P::write(wanted).expect("it can write what it can hold");
        if differences::writes(P::NAME, &case).is_none() {
            let back = ours(version, &written);
            assert_eq!(back, Ok(packet), "we read differently what {} wrote, seed {seed}", P::NAME);
        }
    }
    assert!(compared * 10 > count * 8, "{} could say only {compared} of {count} packets", P::NAME);
}

/// Changes packets, and asks both whether they still are some.
fn agree_on_changed<P: Peer>(seed: u64) {
    let mut random = Rng::with_seed(seed);
    let mut findings = BTreeMap::new();
    let (mut both, mut neither) = (0, 0);
    for index in 0..150_000 {
        let generated = generate::packet(&mut random, VERSIONS[index % 3]);
        let bytes = change(&mut random, generated.bytes);
        let packet = ours(generated.version, &bytes);
        let version = match packet {
            Ok(Packet::Connect(connect)) => connect.version,
            _ => generated.version,
        };
        // Some of their constructors panic on bytes that they should refuse; that is a refusal too.
        let theirs = catch_unwind(|| P::read(version, &bytes)).ok().flatten();
        match (packet, theirs) {
            (Ok(packet), Some(theirs)) => {
                both += 1;
                let Some(written) = P::write(theirs) else { continue };
                let back = ours(version, &written).map(plain);
                let case = Case { version, bytes: &bytes, packet: &packet };
                if back != Ok(plain(packet)) && differences::writes(P::NAME, &case).is_none() {
                    let text = format!("reads {packet:?}\n  as {back:?}");
                    findings.entry("both accept, and differ".to_owned()).or_insert((0, text)).0 += 1;
                }
            }
            (Err(_), None) => neither += 1,
            (Err(error), Some(theirs)) => {
                if differences::accepts(P::NAME, bytes[0] >> 4, error.detail).is_none() {
                    let text = format!("accepts {bytes:02X?}\n  as {theirs:?}");
                    findings.entry(format!("we refuse: {version:?} {}", error.detail)).or_insert((0, text)).0 += 1;
                }
            }
            (Ok(packet), None) => {
                let case = Case { version, bytes: &bytes, packet: &packet };
                if differences::refuses(P::NAME, &case).is_none() {
                    let text = format!("refuses {bytes:02X?}\n  which is {packet:?}");
                    let kind = format!("we accept: {version:?} type {}", bytes[0] >> 4);
                    findings.entry(kind).or_insert((0, text)).0 += 1;
                }
            }
        }
    }
    let findings: Vec<String> = findings
        .into_iter()
        .map(|(what, (count, text))| format!("{what}, {count} times: {} {text}", P::NAME))
        .collect();
    assert!(findings.is_empty(), "seed {seed}:\n{}", findings.join("\n"));
    assert!(both > 5_000 && neither > 5_000, "{both} accepted, {neither} refused by both: the changes try too little");
}

/// One to three small changes; the remaining length is made right again, most of the time.
fn change(random: &mut Rng, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..random.u8(1..4) {
        let at = random.usize(..bytes.len());
        match random.u8(0..8) {
            0..=2 => bytes[at] ^= 1 << random.u8(0..8),
            3 | 4 => bytes[at] = *random.choice(&[0, 1, 2, 3, 5, 0x0B, 0x26, 0x7F, 0x80, 0xFF]).expect("not empty"),
            5 => bytes.insert(at, random.u8(..)),
            6 if bytes.len() > 2 => drop(bytes.remove(at)),
            _ => bytes.push(random.u8(..)),
        }
    }
    if bytes.len() > 2 && bytes.len() < 130 && random.u8(0..8) > 0 {
        bytes[1] = bytes.len() as u8 - 2;
    }
    bytes
}

/// Panics inside a peer are refusals and need no report; ours are reported as ever.
fn quiet_peers() {
    use std::sync::Once;
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let of_a_peer = panic.location().is_some_and(|place| {
                ["mqute-codec", "rmqtt-codec", "bytes-1"].iter().any(|name| place.file().contains(name))
            });
            if !of_a_peer {
                report(panic);
            }
        }));
    });
}

#[test]
fn rmqtt_codec_agrees_on_packets() {
    agree::<rmqtt::Rmqtt>(1);
}

#[test]
fn mqute_codec_agrees_on_packets() {
    agree::<mqute::Mqute>(2);
}

#[test]
fn rmqtt_codec_agrees_on_what_is_none() {
    quiet_peers();
    agree_on_changed::<rmqtt::Rmqtt>(5);
}

#[test]
fn mqute_codec_agrees_on_what_is_none() {
    quiet_peers();
    agree_on_changed::<mqute::Mqute>(5);
}
