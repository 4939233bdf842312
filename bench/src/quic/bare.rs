//! The peer of the first case: quinn alone. A sender that answers whatever subscribes with one stream of the same bytes, 64 KiB a write.
//!
//! It speaks just enough of `anabranch/1` to be read by the driver that also reads our node: one WELCOME, one SUBSCRIBED, and BATCH
//! frames that all say the same. It keeps no credit, makes no frame anew and reads nothing from anywhere. The frames lie one behind
//! the other in [`MEMORY_BYTES`]: as what anybody has to send, they are not in the processor's cache when their turn comes.

use std::error::Error;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, TransportConfig};
use rustls::pki_types::PrivateKeyDer;

/// Of a BATCH frame, type and length included.
const FRAME_BYTES: usize = 64 * 1024;
/// Events that a frame says it has; the driver believes it.
const FRAME_EVENTS: u32 = 256;
/// The frames in memory together.
const MEMORY_BYTES: usize = 128 * 1024 * 1024;
/// What our node lets be under way.
const SEND_BYTES: u64 = 2 * 1024 * 1024;
const SOCKET_BYTES: usize = 4 * 1024 * 1024;

/// How many events a connection is sent.
pub fn events(quick: bool) -> u64 {
    u64::from(FRAME_EVENTS) * frames(quick)
}

fn frames(quick: bool) -> u64 {
    if quick { 64 } else { 6_000 }
}

/// Serves on a port that the system chooses, and prints its address, until it is killed.
pub fn serve(quick: bool) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)?;
        tls.alpn_protocols = vec![b"anabranch/1".to_vec()];
        let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
        let mut transport = TransportConfig::default();
        transport.send_window(SEND_BYTES);
        config.transport_config(Arc::new(transport));
        let socket = std::net::UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        // The system gives what it allows.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BYTES);
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, SOCKET_BYTES);
        let memory: Vec<Bytes> = (0..MEMORY_BYTES / FRAME_BYTES).map(|_| Bytes::from(frame())).collect();
        let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime))?;
        println!("quic://{}", endpoint.local_addr()?);
        std::io::stdout().flush()?;
        while let Some(incoming) = endpoint.accept().await {
            if let Ok(connection) = incoming.await {
                // A connection that breaks is its client's affair.
                let _ = send(&connection, &memory, frames(quick)).await;
            }
        }
        Ok(())
    })
}

async fn send(connection: &Connection, memory: &[Bytes], frames: u64) -> Result<(), Box<dyn Error>> {
    let (mut control, mut asked) = connection.accept_bi().await?;
    // HELLO, and with it or behind it SUBSCRIBE of number 0: what they say does not matter.
    asked.read_chunk(1024, true).await?;
    control.write_all(&hex("03 0f 00 01 80 ff ff ff 01 00 00 01 01 01 02 6e 31")).await?;
    asked.read_chunk(1024, true).await?;
    control.write_all(&hex("07 05 00 03 02 00 00")).await?;
    let mut data = connection.open_uni().await?;
    data.write_all(&hex("21 02 00 00")).await?;
    for frame in memory.iter().cycle().take(frames as usize) {
        data.write_chunk(frame.clone()).await?;
    }
    connection.closed().await;
    Ok(())
}

/// BATCH of partition 0, whole, of which only the number of events says anything.
fn frame() -> Vec<u8> {
    let mut frame = vec![0x23, 0x80];
    frame.extend_from_slice(&[0; 3]);
    let body = FRAME_BYTES - frame.len();
    frame[2..].copy_from_slice(&(body as u32).to_be_bytes()[1..]);
    frame.extend_from_slice(&[0, 1, 0]);
    frame.resize(frame.len() + 57, 0);
    frame.extend_from_slice(&FRAME_EVENTS.to_be_bytes());
    // Bytes as of readings; nothing on the way cares.
    frame.resize(FRAME_BYTES, b'7');
    frame
}

fn hex(text: &str) -> Vec<u8> {
    text.split(' ').filter_map(|digits| u8::from_str_radix(digits, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_how_long_it_is() {
        let frame = frame();
        let body = u32::from_be_bytes([0, frame[2], frame[3], frame[4]]);
        assert_eq!((frame.len(), body as usize), (FRAME_BYTES, FRAME_BYTES - 5));
        assert_eq!(frame[8 + 57..8 + 61], FRAME_EVENTS.to_be_bytes());
    }
}
