//! HELLO and WELCOME: who is there, and what the node allows.

use super::fields::{Reader, put_number, put_text};
use super::{FrameError, bounds, kind, put, varint};

/// The first frame on the control stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hello<'a> {
    /// Minor version of the protocol that the client speaks.
    pub minor: u64,
    /// Program and version of the client.
    pub agent: &'a str,
    /// A bearer token (JWT).
    pub token: &'a str,
    /// User name, with `password`.
    pub user: &'a str,
    /// Password of `user`.
    pub password: &'a str,
}

const AGENT: u64 = 1;
const TOKEN: u64 = 2;
const USER: u64 = 3;
const PASSWORD: u64 = 4;

impl<'a> Hello<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(kind::HELLO, body);
        let mut hello = Self { minor: reader.varint()?, ..Self::default() };
        while let Some(mut field) = reader.field(&[])? {
            match field.tag {
                AGENT => hello.agent = field.value.all_text(bounds::NAME_BYTES_MAX)?,
                TOKEN => hello.token = field.value.all_text(bounds::TOKEN_BYTES_MAX)?,
                USER => hello.user = field.value.all_text(bounds::NAME_BYTES_MAX)?,
                PASSWORD => hello.password = field.value.all_text(bounds::PASSWORD_BYTES_MAX)?,
                _ => {}
            }
        }
        Ok(hello)
    }

    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        put(out, kind::HELLO, |out| {
            varint::put(out, self.minor);
            put_text(out, AGENT, self.agent);
            put_text(out, TOKEN, self.token);
            put_text(out, USER, self.user);
            put_text(out, PASSWORD, self.password);
        });
    }
}

/// The answer to HELLO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Welcome<'a> {
    /// Minor version that both speak.
    pub minor: u64,
    /// Partitions of the log.
    pub partitions: u32,
    /// Most credit of one subscription that counts, in bytes.
    pub credit_max: u64,
    /// Most subscriptions of this connection.
    pub subscriptions_max: u32,
    /// Most publish streams of this connection that are open at a time.
    pub publish_streams_max: u32,
    /// Most bytes of a PUBLISH's body.
    pub publish_bytes_max: u32,
    /// What the principal may do: [`MAY_READ`](Self::MAY_READ) and so on.
    pub permissions: u64,
    /// The level at which an ACK comes: 0 memory, 1 written, 2 synced.
    pub ack_level: u64,
    /// Name of the node.
    pub node: &'a str,
    /// Program and version of the node.
    pub agent: &'a str,
    /// Who the client is to the node.
    pub principal: &'a str,
    /// When the token's time is over, in milliseconds since the Unix epoch.
    pub expires_ms: Option<u64>,
}

const NODE: u64 = 1;
const WELCOME_AGENT: u64 = 2;
const PRINCIPAL: u64 = 3;
const EXPIRES: u64 = 4;

impl<'a> Welcome<'a> {
    /// May subscribe.
    pub const MAY_READ: u64 = 1;
    /// May publish.
    pub const MAY_PUBLISH: u64 = 2;
    /// May keep positions.
    pub const MAY_COMMIT: u64 = 4;

    pub(super) fn decode(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(kind::WELCOME, body);
        let mut welcome = Self {
            minor: reader.varint()?,
            partitions: reader.int()?,
            credit_max: reader.varint()?,
            subscriptions_max: reader.int()?,
            publish_streams_max: reader.int()?,
            publish_bytes_max: reader.int()?,
            permissions: reader.varint()?,
            ack_level: reader.varint()?,
            ..Self::default()
        };
        if welcome.partitions == 0 || welcome.partitions > engine::limits::PARTITIONS_MAX {
            return reader.fail("the number of partitions is not 1 to 1024");
        }
        while let Some(mut field) = reader.field(&[])? {
            match field.tag {
                NODE => welcome.node = field.value.all_text(bounds::NAME_BYTES_MAX)?,
                WELCOME_AGENT => welcome.agent = field.value.all_text(bounds::NAME_BYTES_MAX)?,
                PRINCIPAL => welcome.principal = field.value.all_text(bounds::NAME_BYTES_MAX)?,
                EXPIRES => welcome.expires_ms = Some(field.value.only_varint()?),
                _ => {}
            }
        }
        Ok(welcome)
    }

    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        put(out, kind::WELCOME, |out| {
            varint::put(out, self.minor);
            varint::put(out, u64::from(self.partitions));
            varint::put(out, self.credit_max);
            varint::put(out, u64::from(self.subscriptions_max));
            varint::put(out, u64::from(self.publish_streams_max));
            varint::put(out, u64::from(self.publish_bytes_max));
            varint::put(out, self.permissions);
            varint::put(out, self.ack_level);
            put_text(out, NODE, self.node);
            put_text(out, WELCOME_AGENT, self.agent);
            put_text(out, PRINCIPAL, self.principal);
            put_number(out, EXPIRES, self.expires_ms);
        });
    }
}
