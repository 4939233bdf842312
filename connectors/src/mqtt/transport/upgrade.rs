//! The WebSocket handshake: one bounded HTTP request, answered with the subprotocol that the client asked for.
//!
//! The library frames messages but cannot choose a subprotocol by request nor bound the request, so the handshake is done here.

#[cfg(test)]
mod tests;

use std::io;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Transport;
use super::websocket::WebSocket;

/// Most bytes and headers of a request. Browsers send cookies and agents' names; nothing of it is kept.
const REQUEST_BYTES_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 64;

/// Where MQTT is served; the last is IoT Hub's.
const PATHS: [&str; 3] = ["/mqtt", "/", "/$iothub/websocket"];

/// The subprotocols, the newer first.
const PROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// From RFC 6455.
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What a good request asks for.
#[derive(Debug, PartialEq, Eq)]
struct Upgrade {
    accept: String,
    protocol: &'static str,
    is_from_foreign_page: bool,
}

/// Why a request is not answered with an upgrade.
#[derive(Debug, PartialEq, Eq)]
struct Rejection {
    status: &'static str,
    reason: &'static str,
}

const fn bad_request(reason: &'static str) -> Rejection {
    Rejection { status: "400 Bad Request", reason }
}

pub(super) async fn accept(mut below: Transport, message_bytes_max: usize) -> io::Result<Transport> {
    let request = match read_request(&mut below).await? {
        Ok(request) => parse(&request),
        Err(rejection) => Err(rejection),
    };
    match request {
        Ok(upgrade) => {
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
                upgrade.accept, upgrade.protocol
            );
            below.write_all(answer.as_bytes()).await?;
            below.flush().await?;
            let socket = WebSocket::new(below, message_bytes_max, upgrade.is_from_foreign_page);
            Ok(Transport::Ws(Box::new(socket)))
        }
        Err(Rejection { status, reason }) => {
            let answer = format!(
                "HTTP/1.1 {status}\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\n\
                 Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{reason}\n",
                reason.len() + 1
            );
            below.write_all(answer.as_bytes()).await?;
            below.shutdown().await?;
            Err(io::Error::new(io::ErrorKind::InvalidData, reason))
        }
    }
}

/// The request up to its empty line.
async fn read_request(below: &mut Transport) -> io::Result<Result<Vec<u8>, Rejection>> {
    let mut request = Vec::with_capacity(1024);
    loop {
        let before = request.len();
        let room = (REQUEST_BYTES_MAX - before) as u64;
        if below.take(room).read_buf(&mut request).await? == 0 {
            return match before {
                REQUEST_BYTES_MAX => Ok(Err(Rejection {
                    status: "431 Request Header Fields Too Large",
                    reason: "the request has more than 8 KiB",
                })),
                _ => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        if let Some(end) = memchr::memmem::find(&request[before.saturating_sub(3)..], b"\r\n\r\n") {
            let is_last = before.saturating_sub(3) + end + 4 == request.len();
            return Ok(match is_last {
                true => Ok(request),
                false => Err(bad_request("something follows the request before it is answered")),
            });
        }
    }
}

fn parse(request: &[u8]) -> Result<Upgrade, Rejection> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    if !parsed.parse(request).is_ok_and(|status| status.is_complete()) {
        return Err(bad_request("this is no HTTP request that can be read"));
    }
    if parsed.method != Some("GET") {
        return Err(Rejection { status: "405 Method Not Allowed", reason: "a WebSocket begins with GET" });
    }
    if parsed.version != Some(1) {
        return Err(bad_request("a WebSocket needs HTTP/1.1"));
    }
    let path = parsed.path.unwrap_or_default();
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    if !PATHS.contains(&path) {
        return Err(Rejection { status: "404 Not Found", reason: "MQTT is at /mqtt" });
    }
    let values = |name: &str| {
        let found: Vec<&str> = parsed
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name))
            .filter_map(|header| std::str::from_utf8(header.value).ok())
            .collect();
        found
    };
    let lists = |name: &str, wanted: &str| {
        values(name).iter().flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(wanted))
    };
    if !lists("upgrade", "websocket") || !lists("connection", "upgrade") {
        return Err(Rejection { status: "426 Upgrade Required", reason: "this port speaks MQTT over WebSocket only" });
    }
    if values("sec-websocket-version") != ["13"] {
        return Err(Rejection { status: "426 Upgrade Required", reason: "the WebSocket version is not 13" });
    }
    let &[key] = &values("sec-websocket-key")[..] else {
        return Err(bad_request("there is not exactly one Sec-WebSocket-Key"));
    };
    let key = key.trim();
    if !STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16) {
        return Err(bad_request("Sec-WebSocket-Key is not 16 bytes of base64"));
    }
    let Some(protocol) = PROTOCOLS.into_iter().find(|protocol| lists("sec-websocket-protocol", protocol)) else {
        return Err(bad_request("the client does not ask for the subprotocol mqtt"));
    };
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    digest.update(key.as_bytes());
    digest.update(ACCEPT_GUID);
    Ok(Upgrade {
        accept: STANDARD.encode(digest.finish()),
        protocol,
        is_from_foreign_page: values("origin").iter().any(|origin| !is_of_this_machine(origin)),
    })
}

/// Whether an origin (`scheme://host:port`) is a page that this machine serves.
fn is_of_this_machine(origin: &str) -> bool {
    let Some((_, rest)) = origin.trim().split_once("://") else { return false };
    let host = match rest.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => rest.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
