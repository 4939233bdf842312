//! Foreign bytes as a record batch: no panic, no more memory than the bytes could hold, and what is accepted reads through.
#![no_main]

use engine::batch::{crc32c, decode};
use engine::event::Event;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut bytes = input.to_vec();
    // Make the frame right, so that the fuzzer gets past the checksum and into the records.
    if bytes.len() > 61 {
        let length = (bytes.len() - 12) as i32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[16] = 2;
        bytes[21] = 0;
        let crc = crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    let Ok(batch) = decode(0, &bytes) else { return };
    assert!(batch.rows().len() * 7 <= bytes.len());
    for row in 0..batch.rows().len() {
        let event = Event::new(&batch, row);
        assert_eq!(event.headers().count(), batch.rows()[row].header_count as usize);
        let _ = (event.key(), event.data(), event.attribute("type"), event.property("x"), event.content_type());
    }
});
