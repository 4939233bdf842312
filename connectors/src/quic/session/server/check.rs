//! What a published event must be beyond well formed: of its partition, of the right size, without names that only the node uses.

use engine::batch::{Batch, partition_of};
use engine::event::{Event, MQTT};
use engine::limits;

use crate::quic::frame::Code;

/// Checks every event; the first that is wrong refuses the batch.
pub(super) fn events(batch: &Batch, partitions: u32, event_bytes_max: usize) -> Result<(), (Code, String)> {
    for (index, row) in batch.rows().iter().enumerate() {
        let event = Event::new(batch, index);
        let key = event.key();
        let key_bytes = key.map_or(0, <[u8]>::len);
        let bytes = key_bytes + event.data().map_or(0, <[u8]>::len) + row.headers.len as usize;
        if bytes > event_bytes_max {
            let text = format!("event {index} has {bytes} bytes, at most {event_bytes_max} are taken");
            return Err((Code::EVENT_TOO_LARGE, text));
        }
        if key_bytes > limits::KEY_BYTES_MAX {
            let text = format!("the key of event {index} has {key_bytes} bytes, at most {}", limits::KEY_BYTES_MAX);
            return Err((Code::EVENT_INVALID, text));
        }
        if let Some(key) = key
            && partition_of(key, partitions) != batch.partition()
        {
            let wanted = partition_of(key, partitions);
            let text = format!("the key of event {index} belongs to partition {wanted}, not to {}", batch.partition());
            return Err((Code::WRONG_PARTITION, text));
        }
        if let Some((name, _)) = event.headers().raw().find(|(name, _)| is_the_nodes(name)) {
            let name = String::from_utf8_lossy(name);
            let text = format!("event {index} has the header {name:?}, which only the node may set");
            return Err((Code::EVENT_INVALID, text));
        }
    }
    Ok(())
}

/// The node would believe it.
fn is_the_nodes(name: &[u8]) -> bool {
    let starts = |prefix: &[u8]| name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    match name.first() {
        Some(b'i' | b'I') => starts(b"iothub-"),
        Some(b'd' | b'D') => starts(b"dt-"),
        Some(b'm' | b'M') => name.eq_ignore_ascii_case(MQTT.as_bytes()),
        _ => false,
    }
}
