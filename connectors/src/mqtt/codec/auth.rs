//! AUTH: a step of extended authentication, which only MQTT 5 has.

use super::property::{self, List};
use super::property_list::{Property, UserProperties, Walk, ids};
use super::reader::Reader;
use super::writer::Writer;
use super::{DecodeError, Frame, Reason, Side, Version};

/// A step of extended authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auth<'a> {
    /// Success (from a server), continue, or re-authenticate (from a client).
    pub reason: Reason,
    /// Absent only in the form without properties, which a server may end with.
    pub method: Option<&'a str>,
    /// What the method defines.
    pub data: Option<&'a [u8]>,
    /// For people.
    pub reason_string: Option<&'a str>,
    /// Names and values.
    pub user: UserProperties<'a>,
}

const ALLOWED: u64 = ids(&[property::AUTH_METHOD, property::AUTH_DATA, property::REASON_STRING, property::USER]);

pub(super) fn decode<'a>(from: Side, frame: &Frame<'a>) -> Result<Auth<'a>, DecodeError> {
    let mut reader = Reader::new(frame.body);
    let mut auth =
        Auth { reason: Reason::Success, method: None, data: None, reason_string: None, user: UserProperties::NONE };
    let is_short = reader.is_empty();
    if !is_short {
        auth.reason = Reason::of(reader.byte()?).unwrap_or(Reason::Unspecified);
        let mut walk = Walk::new(reader.properties()?, ALLOWED);
        while let Some(property) = walk.next()? {
            match property {
                Property::AuthMethod(value) => auth.method = Some(value),
                Property::AuthData(value) => auth.data = Some(value),
                Property::ReasonString(value) => auth.reason_string = Some(value),
                // The walk keeps the user properties, and lets nothing else through.
                _ => {}
            }
        }
        auth.user = walk.user();
        reader.end()?;
    }
    let sender = match auth.reason {
        Reason::Success => from == Side::Server,
        Reason::ContinueAuthentication => true,
        Reason::ReAuthenticate => from == Side::Client,
        _ => false,
    };
    if !sender {
        return Err(DecodeError::protocol("AUTH has a reason code that its sender must not use"));
    }
    if auth.method.is_none() && !is_short {
        return Err(DecodeError::protocol("AUTH has no authentication method"));
    }
    Ok(auth)
}

/// Appends an AUTH, which only MQTT 5 has. False: the version has none or it does not fit, and nothing was appended.
pub fn write_auth(out: &mut Vec<u8>, version: Version, auth: &Auth<'_>) -> bool {
    let mut writer = Writer::new(out, 0xF0);
    if version != Version::V5 {
        writer.refuse();
    }
    let explained =
        auth.method.is_some() || auth.data.is_some() || auth.reason_string.is_some() || !auth.user.is_empty();
    if explained || auth.reason != Reason::Success {
        writer.byte(auth.reason as u8);
        writer.properties(|out| {
            List::new(out)
                .text(property::AUTH_METHOD, auth.method)
                .binary(property::AUTH_DATA, auth.data)
                .text(property::REASON_STRING, auth.reason_string)
                .user(auth.user)
                .fits()
        });
    }
    writer.finish()
}
