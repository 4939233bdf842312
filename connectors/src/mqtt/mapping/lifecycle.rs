//! Clients that connect and disconnect, as events (sheet `eventgrid-eventhubs-servicebus.md` 4.7).
//!
//! What always holds: they are of the source `DeviceConnectionStateEvents`, so only routes of that source see them; their data is
//! JSON in UTF-8 and says so; they are never given to subscribers as messages.

use std::fmt::Write as _;

use engine::batch::HeaderWriter;
use engine::event::{CONTENT_ENCODING, CONTENT_TYPE, MESSAGE_SOURCE, Source, put_attribute};

use crate::cloudevents::write_json_string;

/// `type` of a client that connected.
pub const CONNECTED: &str = "Microsoft.EventGrid.MQTTClientSessionConnected";
/// `type` of a client that disconnected.
pub const DISCONNECTED: &str = "Microsoft.EventGrid.MQTTClientSessionDisconnected";

/// Why a client is not connected any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DisconnectionReason {
    /// Its token ended, or its proof was no longer good.
    ClientAuthenticationError,
    /// It did what it may not do.
    ClientAuthorizationError,
    /// It broke the protocol, or sent what cannot be used.
    ClientError,
    /// It sent DISCONNECT.
    ClientInitiatedDisconnect,
    /// The connection ended without DISCONNECT, or was silent for too long.
    ConnectionLost,
    /// Its address may not connect.
    IpForbidden,
    /// It passed a limit.
    QuotaExceeded,
    /// The node failed.
    ServerError,
    /// The node ended the connection: it stops, or somebody asked for it.
    ServerInitiatedDisconnect,
    /// The session had more waiting for it than it may.
    SessionOverflow,
    /// The same client connected again.
    SessionTakenOver,
}

impl DisconnectionReason {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::ClientAuthenticationError,
        Self::ClientAuthorizationError,
        Self::ClientError,
        Self::ClientInitiatedDisconnect,
        Self::ConnectionLost,
        Self::IpForbidden,
        Self::QuotaExceeded,
        Self::ServerError,
        Self::ServerInitiatedDisconnect,
        Self::SessionOverflow,
        Self::SessionTakenOver,
    ];

    /// As the event says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientAuthenticationError => "ClientAuthenticationError",
            Self::ClientAuthorizationError => "ClientAuthorizationError",
            Self::ClientError => "ClientError",
            Self::ClientInitiatedDisconnect => "ClientInitiatedDisconnect",
            Self::ConnectionLost => "ConnectionLost",
            Self::IpForbidden => "IpForbidden",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::ServerError => "ServerError",
            Self::ServerInitiatedDisconnect => "ServerInitiatedDisconnect",
            Self::SessionOverflow => "SessionOverflow",
            Self::SessionTakenOver => "SessionTakenOver",
        }
    }
}

/// A client's session, of which an event tells. The partition key is the client's name.
#[derive(Clone, Copy, Debug)]
pub struct ClientSession<'a> {
    /// Name of the node.
    pub node: &'a str,
    /// Authentication name; the client id where the client has none.
    pub client: &'a str,
    /// Client id.
    pub session: &'a str,
    /// Number of the connection, larger for each of the client's; its end has the number of its beginning.
    pub sequence_number: u64,
}

/// Puts the event of a client that connected into `headers` and `data`, which are cleared.
pub fn connected(session: &ClientSession<'_>, headers: &mut HeaderWriter, data: &mut Vec<u8>) {
    put(session, CONNECTED, None, headers, data);
}

/// Puts the event of a client that disconnected into `headers` and `data`, which are cleared.
pub fn disconnected(
    session: &ClientSession<'_>,
    reason: DisconnectionReason,
    headers: &mut HeaderWriter,
    data: &mut Vec<u8>,
) {
    put(session, DISCONNECTED, Some(reason), headers, data);
}

fn put(
    session: &ClientSession<'_>,
    event_type: &str,
    reason: Option<DisconnectionReason>,
    headers: &mut HeaderWriter,
    data: &mut Vec<u8>,
) {
    headers.clear();
    data.clear();
    headers.put(MESSAGE_SOURCE, Some(Source::DeviceConnectionStateEvents.name().as_bytes()));
    put_attribute(headers, "type", event_type);
    put_attribute(headers, "source", session.node);
    put_attribute(headers, "subject", &format!("clients/{}/sessions/{}", session.client, session.session));
    headers.put(CONTENT_TYPE, Some(b"application/json"));
    headers.put(CONTENT_ENCODING, Some(b"utf-8"));
    let members = [
        ("{\"namespaceName\":", session.node),
        (",\"clientAuthenticationName\":", session.client),
        (",\"clientSessionName\":", session.session),
    ];
    for (name, value) in members {
        data.extend_from_slice(name.as_bytes());
        write_json_string(data, value);
    }
    let mut rest = String::new();
    write!(rest, ",\"sequenceNumber\":{}", session.sequence_number).expect("writing to a string");
    if let Some(reason) = reason {
        write!(rest, ",\"disconnectionReason\":\"{}\"", reason.name()).expect("writing to a string");
    }
    data.extend_from_slice(rest.as_bytes());
    data.push(b'}');
}
