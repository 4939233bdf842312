//! Foreign bytes as frames of `anabranch/1`: no panic, and what is read is written again and read as the same.
#![no_main]

use connectors::quic::frame::{Control, DataFrame, PublishFrame, bounds, head, publish_head};
use libfuzzer_sys::fuzz_target;

/// Writes the frame in `bytes` again; `None` if there is none.
fn again(stream: u8, bytes: &[u8]) -> Option<Vec<u8>> {
    let head = head(bytes, bounds::BATCH_BODY_BYTES_MAX).ok()??;
    let body = bytes.get(head.head_bytes..head.total())?;
    let mut out = Vec::new();
    match stream % 3 {
        0 => Control::decode(head.kind, body).ok()??.write(&mut out),
        1 => DataFrame::decode(head.kind, body).ok()??.write(&mut out),
        _ => PublishFrame::decode(head.kind, body).ok()??.write(&mut out),
    }
    Some(out)
}

fuzz_target!(|input: &[u8]| {
    let [stream, kind, body @ ..] = input else { return };
    let _ = again(*stream, &input[1..]);
    if body.len() >= 1 << 14 {
        return;
    }
    // A frame of the right length, so that the fuzzer gets past it and into the body.
    let length = (body.len() as u16 | 0x4000).to_be_bytes();
    let bytes = [&[kind & 0x3f][..], &length, body].concat();
    if let Ok(Some(head)) = head(&bytes, bytes.len()) {
        let _ = publish_head(&bytes, &head);
    }
    if let Some(first) = again(*stream, &bytes) {
        assert_eq!(again(*stream, &first), Some(first));
    }
});
