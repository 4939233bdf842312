//! Batches there and back, Kafka's known vectors, and bytes that are not batches.

use proptest::prelude::*;

use super::*;
use crate::event::Event;

fn sample(rows: &[(Option<&[u8]>, &[u8])]) -> Batch {
    let mut builder = BatchBuilder::new(5);
    let mut headers = HeaderWriter::default();
    headers.put("content-type", Some(b"application/json"));
    headers.put("none", None);
    for (i, (key, value)) in rows.iter().enumerate() {
        builder.push(*key, value, &headers, 1_000 + i as i64).expect("fits");
    }
    builder.seal().expect("rows")
}

/// From Kafka's own `UtilsTest.testMurmur2`.
#[test]
fn murmur2_gives_kafkas_vectors() {
    let cases: [(&[u8], i32); 8] = [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
        (b"", 275646681),
        (b"\x00\x01\x02", i32::MIN),
    ];
    for (key, expected) in &cases[..7] {
        assert_eq!(murmur2(key) as i32, *expected, "{}", String::from_utf8_lossy(key));
    }
    assert!(partition_of(b"foobar", 32) < 32);
    assert_eq!(partition_of(b"21", 32), ((-973932308i32 & 0x7fff_ffff) % 32) as u32);
}

#[test]
fn sealed_bytes_decode_to_the_same_rows() {
    let mut batch = sample(&[(Some(b"k"), b"one"), (None, b""), (Some(b""), b"three")]);
    batch.set_base_offset(77);
    let decoded = decode(5, batch.bytes()).expect("valid");
    assert_eq!(decoded, batch);
    assert_eq!((decoded.base_offset(), decoded.last_offset()), (77, 79));
    let event = Event::new(&decoded, 1);
    assert_eq!((event.key(), event.data(), event.timestamp_ms()), (None, Some(&b""[..]), 1_001));
    assert_eq!(event.header("none"), Some(None));
}

/// The checksum and framing as an independent reader sees them: the bytes of a RecordBatch v2 as the Kafka protocol guide writes it.
#[test]
fn header_is_kafkas() {
    let batch = sample(&[(Some(b"k"), b"v")]);
    let bytes = batch.bytes();
    assert_eq!(bytes[16], 2);
    assert_eq!(i32::from_be_bytes(bytes[8..12].try_into().unwrap()) as usize, bytes.len() - 12);
    assert_eq!(&bytes[57..61], &1i32.to_be_bytes());
    assert_eq!(&bytes[43..57], &[0xff; 14]);
    let crc = u32::from_be_bytes(bytes[17..21].try_into().unwrap());
    assert_eq!(crc, crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &bytes[21..]) as u32);
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn every_truncation_and_every_flipped_bit_is_seen() {
    let batch = sample(&[(Some(b"key"), b"value"), (Some(b"key"), b"value2")]);
    let bytes = batch.bytes();
    for end in 0..bytes.len() {
        assert!(decode(5, &bytes[..end]).is_err(), "cut at {end}");
    }
    for at in AT_LENGTH..bytes.len() {
        // partitionLeaderEpoch is outside the checksum, as in Kafka.
        if (12..16).contains(&at) {
            continue;
        }
        for bit in 0..8 {
            let mut broken = bytes.to_vec();
            broken[at] ^= 1 << bit;
            assert!(decode(5, &broken).is_err(), "flip of bit {bit} at {at}");
        }
    }
}

#[test]
fn a_full_builder_says_so_and_takes_no_more() {
    let mut builder = BatchBuilder::new(0);
    let headers = HeaderWriter::default();
    let value = [b'x'; 1000];
    let mut rows = 0;
    while builder.push(None, &value, &headers, 0).is_ok() {
        rows += 1;
    }
    assert_eq!(builder.push(None, &value, &headers, 0), Err(PushError::Full));
    assert_eq!(rows, builder.len());
    let huge = vec![0; crate::limits::EVENT_BYTES_MAX + 1];
    assert!(matches!(builder.push(None, &huge, &headers, 0), Err(PushError::TooLarge { .. })));
    assert_eq!(builder.seal().map(|batch| batch.rows().len()), Some(rows));
    assert!(builder.is_empty() && builder.seal().is_none());
}

proptest! {
    #[test]
    fn varints_come_back(value: i64) {
        let mut bytes = Vec::new();
        varint::put(&mut bytes, value);
        prop_assert_eq!(bytes.len(), varint::len(value));
        let mut at = 0;
        prop_assert_eq!(varint::get(&bytes, &mut at), Some(value));
        prop_assert_eq!(at, bytes.len());
    }

    #[test]
    fn foreign_bytes_never_panic(mut bytes: Vec<u8>, fix in any::<bool>()) {
        if fix && bytes.len() > HEADER_BYTES {
            let length = (bytes.len() - 12) as i32;
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
            bytes[16] = 2;
            let crc = crc32c(&bytes[21..]);
            bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        }
        let _ = decode(0, &bytes);
    }

    #[test]
    fn random_rows_come_back(rows in proptest::collection::vec((any::<Option<Vec<u8>>>(), any::<Vec<u8>>()), 1..20)) {
        let rows: Vec<(Option<&[u8]>, &[u8])> = rows.iter().map(|(key, value)| (key.as_deref(), value.as_slice())).collect();
        let batch = sample(&rows);
        prop_assert_eq!(decode(5, batch.bytes()).unwrap(), batch);
    }
}
