//! Foreign bytes at both ends of a connection of `anabranch/1`: no panic, and a server's bounds hold.
#![no_main]

use connectors::quic::session::client::{ClientSettings, SubscribeOptions};
use connectors::quic::session::server::{Action, Grant, Kept, Opened};
use connectors::quic::session::{Client, Fault, QuicLimits, Server};
use libfuzzer_sys::fuzz_target;

fn serve(input: &[u8]) -> Result<(), Fault> {
    let limits = QuicLimits { publish_in_flight_bytes_max: 10_000, ..QuicLimits::default() };
    let mut server = Server::new(limits, true);
    server.handle_control(&[0x01, 0x01, 0x00])?;
    let mut out = Vec::new();
    for step in input.chunks(97) {
        let [choice, bytes @ ..] = step else { continue };
        match choice % 4 {
            0 | 1 if server.wants_control() => server.handle_control(bytes)?,
            2 if server.wants_publish() => server.handle_publish(u64::from(choice >> 5), bytes, 1)?,
            _ => {
                out.clear();
                server.poll_control(&mut out)?;
            }
        }
        while let Some(action) = server.poll_action() {
            match action {
                Action::Authenticate(_) => {
                    server.handle_authenticated(Grant { permissions: 7, partitions: 1024, ..Grant::default() })?;
                }
                Action::Subscribe(wanted) => {
                    let opened = Opened { groups: vec![vec![(0, 0)]], may_see_all: true, ..Opened::default() };
                    server.handle_opened(wanted.subscription, &opened)?;
                }
                Action::Unsubscribe { subscription } => {
                    server.handle_ended(subscription, connectors::quic::frame::Code::NONE, "")?;
                }
                Action::Commit { .. } => server.handle_committed(Ok(()))?,
                Action::Append(append) => {
                    let rows = append.batch.rows().len() as u64;
                    assert!(append.batch.producer().is_some() && rows > 0);
                    server.handle_appended(&append.ticket, Ok(Kept { end_offset: rows }));
                }
            }
        }
    }
    Ok(())
}

fn consume(input: &[u8]) -> Result<(), Fault> {
    let mut client = Client::new(ClientSettings::default());
    client.subscribe(SubscribeOptions::default());
    client.handle_connected();
    for step in input.chunks(97) {
        let [choice, bytes @ ..] = step else { continue };
        match choice % 2 {
            0 => client.handle_control(bytes, 1)?,
            _ => client.handle_data(u64::from(choice >> 5), bytes)?,
        }
        while let Some(event) = client.poll_event() {
            if let connectors::quic::session::client::Event::Batch(received) = event {
                let _ = received.events().count();
            }
        }
    }
    Ok(())
}

fuzz_target!(|input: &[u8]| {
    let _ = serve(input);
    let _ = consume(input);
});
