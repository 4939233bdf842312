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

#[test]
fn packed_rows_are_the_same_events_at_the_same_offsets() {
    let values: Vec<String> = (0..40).map(|i| "v".repeat(i * i % 97)).collect();
    let rows: Vec<_> = values.iter().map(|value| (Some(&b"key"[..]), value.as_bytes())).collect();
    let mut batch = sample(&rows);
    batch.set_base_offset(1_000_000);
    let mut seed = 7u64;
    for _ in 0..200 {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let wanted: Vec<u16> = (0..40).filter(|row| seed >> (row + 8) & 1 == 1).collect();
        if wanted.is_empty() {
            continue;
        }
        let mut out = b"before".to_vec();
        pack(&batch, &wanted, &mut out);
        assert_eq!(out.len() - 6, packed_bytes(&batch, &wanted));
        let packed = SparseBatch::decode(5, out.clone(), 6).expect("valid");
        assert_eq!(packed.len(), wanted.len());
        for (event, row) in packed.events().zip(&wanted) {
            let same = Event::new(&batch, usize::from(*row));
            assert_eq!((event.offset(), event.partition()), (same.offset(), same.partition()));
            assert_eq!((event.key(), event.data()), (same.key(), same.data()));
            assert_eq!(event.timestamp_ms(), same.timestamp_ms());
            assert!(event.headers().eq(same.headers()));
        }
        let cut = seed as usize % (out.len() - 6);
        assert!(SparseBatch::decode(5, out[..6 + cut].to_vec(), 6).is_err(), "cut at {cut}");
        let has_gaps = usize::from(wanted[wanted.len() - 1]) != wanted.len() - 1 || wanted.len() != 40;
        assert_eq!(decode(5, &out[6..]).is_err(), has_gaps, "who knows no gaps does not take it for another");
    }
    let whole = SparseBatch::decode(5, batch.bytes().to_vec(), 0).expect("a batch without gaps is one too");
    assert_eq!(whole.events().map(|event| event.offset()).last(), Some(1_000_039));
    let mut all = Vec::new();
    pack(&batch, &(0..40).collect::<Vec<u16>>(), &mut all);
    assert_eq!(all[21..], batch.bytes()[21..], "all rows packed are the batch but for its place and checksum field");
}

#[test]
fn records_of_a_publisher_are_sealed_where_they_lie() {
    let stamp = ProducerStamp { producer: PRODUCER_IDS - 2, sequence: SEQUENCES - 5 };
    let mut builder = BatchBuilder::new(9);
    let headers = HeaderWriter::default();
    for value in ["a", "bb", ""] {
        builder.push(Some(b"k"), value.as_bytes(), &headers, 0).expect("fits");
    }
    let encoded = builder.seal().expect("rows").bytes().to_vec();
    let batch = seal_records(9, encoded.clone(), 3, 123_456, Some(stamp)).expect("valid");
    assert_eq!(decode_stored(batch.bytes()).as_ref(), Ok(&batch));
    assert_eq!(batch.producer(), Some(stamp));
    assert_eq!(batch.max_timestamp_ms(), 123_456);
    assert_eq!(Event::new(&batch, 1).data(), Some(&b"bb"[..]));
    assert_eq!(Event::new(&batch, 2).timestamp_ms(), 123_456);
    assert_eq!(seal_records(9, encoded.clone(), 3, 1, None).expect("valid").producer(), None);
    for count in [0, 2, 4] {
        assert!(seal_records(9, encoded.clone(), count, 1, None).is_err(), "{count} is not its count");
    }
    for cut in 0..encoded.len() {
        assert!(seal_records(9, encoded[..cut].to_vec(), 3, 1, None).is_err(), "cut at {cut}");
    }
    let late = sample(&[(None, b"x"), (None, b"y")]);
    assert!(seal_records(5, late.bytes().to_vec(), 2, 1, None).is_err(), "its timestamps are its own");
}
