//! A publish stream: read while the session core and the shards want more.

use std::rc::Rc;

use quinn::{ReadError, RecvStream};

use super::connection::Session;
use super::unix_ms;

/// Bytes that are handed to the session core at a time.
const READ_BYTES_MAX: usize = 64 * 1024;

/// Reads a stream to its end.
pub async fn run(session: Rc<Session>, mut stream: RecvStream) {
    let number = stream.id().index();
    let is_reset = loop {
        session.may_publish().await;
        match stream.read_chunk(READ_BYTES_MAX, true).await {
            Ok(Some(chunk)) => {
                if !session.with(|server| server.handle_publish(number, &chunk.bytes, unix_ms())) {
                    return;
                }
            }
            Ok(None) => break false,
            Err(ReadError::Reset(_)) => break true,
            // The connection is gone, and all with it.
            Err(_) => return,
        }
    };
    session.with(|server| server.handle_publish_end(number, is_reset));
}
