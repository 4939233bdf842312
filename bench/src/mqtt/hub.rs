//! How many events our node has in its log, by its own account.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde::Deserialize;

/// What was acknowledged or read from a socket is in the log within this.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Deserialize)]
struct Partitions {
    partitions: Vec<Bounds>,
}

#[derive(Deserialize)]
struct Bounds {
    first: u64,
    end: u64,
}

/// Events of all partitions. `http` is the node's address.
pub fn events(http: &str) -> Result<u64, Box<dyn Error>> {
    let authority = http.trim_start_matches("http://");
    let mut stream = TcpStream::connect(authority)?;
    // Of this version every answer has an end that needs no decoding.
    write!(stream, "GET /hub/partitions HTTP/1.0\r\nhost: {authority}\r\naccept: application/json\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the node's answer has no end of its head")?;
    if !head.lines().next().is_some_and(|status| status.contains(" 200 ")) {
        return Err(format!("the node does not say what its hub holds: {answer}").into());
    }
    let Partitions { partitions } = serde_json::from_str(body)?;
    Ok(partitions.iter().map(|bounds| bounds.end - bounds.first).sum())
}

/// Waits until there are `wanted` more than `before`, and holds that there are not more.
pub fn await_events(http: &str, before: u64, wanted: u64) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    loop {
        let found = events(http)? - before;
        if found > wanted {
            return Err(format!("the log has {found} new events, and {wanted} were sent").into());
        }
        if found == wanted {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("the log has {found} of {wanted} new events after {PATIENCE:?}").into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
