//! Properties of MQTT 5 as they are read. A list is walked once, and every rule that needs only the list is checked then:
//! known identifiers, at home in this packet, not twice, values in range. After that its views cannot fail.

use super::property::*;
use super::reader::Reader;
use super::{DecodeError, Qos, Reason, text};

/// One property with its value.
pub(super) enum Property<'a> {
    PayloadFormat(u8),
    MessageExpiry(u32),
    ContentType(&'a str),
    ResponseTopic(&'a str),
    CorrelationData(&'a [u8]),
    SubscriptionId(u32),
    SessionExpiry(u32),
    AssignedClientId(&'a str),
    ServerKeepAlive(u16),
    AuthMethod(&'a str),
    AuthData(&'a [u8]),
    RequestProblemInformation(bool),
    WillDelay(u32),
    RequestResponseInformation(bool),
    ResponseInformation(&'a str),
    ServerReference(&'a str),
    ReasonString(&'a str),
    ReceiveMax(u16),
    TopicAliasMax(u16),
    TopicAlias(u16),
    QosMax(Qos),
    RetainAvailable(bool),
    User,
    PacketBytesMax(u32),
    WildcardAvailable(bool),
    SubscriptionIdsAvailable(bool),
    SharedAvailable(bool),
}

/// A set of identifiers.
pub(super) const fn ids(list: &[u8]) -> u64 {
    let mut set = 0;
    let mut index = 0;
    while index < list.len() {
        set |= 1 << list[index];
        index += 1;
    }
    set
}

const REPEATABLE: u64 = ids(&[USER, SUBSCRIPTION_ID]);

/// A list on its way through the checks.
pub(super) struct Walk<'a> {
    reader: Reader<'a>,
    list: &'a [u8],
    allowed: u64,
    repeatable: u64,
    seen: u64,
    user: Span,
    subscription_ids: Span,
}

/// From the first to the last property of one kind.
#[derive(Clone, Copy, Default)]
struct Span {
    start: usize,
    end: usize,
}

impl Span {
    fn grow(&mut self, start: usize, end: usize) {
        if self.end == 0 {
            self.start = start;
        }
        self.end = end;
    }
}

impl<'a> Walk<'a> {
    pub fn new(list: &'a [u8], allowed: u64) -> Self {
        Walk {
            reader: Reader::new(list),
            list,
            allowed,
            repeatable: REPEATABLE,
            seen: 0,
            user: Span::default(),
            subscription_ids: Span::default(),
        }
    }

    /// The same for SUBSCRIBE, where the subscription identifier comes once.
    pub fn new_subscribe(list: &'a [u8]) -> Self {
        Walk { repeatable: ids(&[USER]), ..Walk::new(list, ids(&[SUBSCRIPTION_ID, USER])) }
    }

    pub fn user(&self) -> UserProperties<'a> {
        UserProperties(&self.list[self.user.start..self.user.end])
    }

    pub fn subscription_ids(&self) -> SubscriptionIds<'a> {
        SubscriptionIds(&self.list[self.subscription_ids.start..self.subscription_ids.end])
    }

    pub fn next(&mut self) -> Result<Option<Property<'a>>, DecodeError> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let start = self.list.len() - self.reader.rest().len();
        let id = self.reader.byte()?;
        let bit = 1u64.checked_shl(u32::from(id)).unwrap_or(0);
        if self.allowed & bit == 0 {
            return Err(DecodeError::malformed("a property is unknown or not allowed in this packet"));
        }
        if self.seen & bit & !self.repeatable != 0 {
            return Err(DecodeError::protocol("a property comes twice"));
        }
        self.seen |= bit;
        let property = self.value(id)?;
        let end = self.list.len() - self.reader.rest().len();
        match id {
            USER => self.user.grow(start, end),
            SUBSCRIPTION_ID => self.subscription_ids.grow(start, end),
            _ => {}
        }
        Ok(Some(property))
    }

    fn value(&mut self, id: u8) -> Result<Property<'a>, DecodeError> {
        let reader = &mut self.reader;
        Ok(match id {
            PAYLOAD_FORMAT => Property::PayloadFormat(u8::from(yes(reader, "the payload format is neither 0 nor 1")?)),
            MESSAGE_EXPIRY => Property::MessageExpiry(reader.four()?),
            CONTENT_TYPE => Property::ContentType(reader.text()?),
            RESPONSE_TOPIC => {
                let topic = reader.text()?;
                if !text::is_topic_name(topic) {
                    return Err(DecodeError::protocol("the response topic is no topic name"));
                }
                Property::ResponseTopic(topic)
            }
            CORRELATION_DATA => Property::CorrelationData(reader.binary()?),
            SUBSCRIPTION_ID => match reader.varint()? {
                0 => return Err(DecodeError::protocol("subscription identifier 0 is not allowed")),
                id => Property::SubscriptionId(id),
            },
            SESSION_EXPIRY => Property::SessionExpiry(reader.four()?),
            ASSIGNED_CLIENT_ID => Property::AssignedClientId(reader.text()?),
            SERVER_KEEP_ALIVE => Property::ServerKeepAlive(reader.two()?),
            AUTH_METHOD => Property::AuthMethod(reader.text()?),
            AUTH_DATA => Property::AuthData(reader.binary()?),
            REQUEST_PROBLEM_INFORMATION => {
                Property::RequestProblemInformation(yes(reader, "request problem information is neither 0 nor 1")?)
            }
            WILL_DELAY => Property::WillDelay(reader.four()?),
            REQUEST_RESPONSE_INFORMATION => {
                Property::RequestResponseInformation(yes(reader, "request response information is neither 0 nor 1")?)
            }
            RESPONSE_INFORMATION => Property::ResponseInformation(reader.text()?),
            SERVER_REFERENCE => Property::ServerReference(reader.text()?),
            REASON_STRING => Property::ReasonString(reader.text()?),
            RECEIVE_MAX => match reader.two()? {
                0 => return Err(DecodeError::protocol("receive maximum 0 is not allowed")),
                value => Property::ReceiveMax(value),
            },
            TOPIC_ALIAS_MAX => Property::TopicAliasMax(reader.two()?),
            TOPIC_ALIAS => match reader.two()? {
                0 => return Err(DecodeError::new(Reason::TopicAliasInvalid, "topic alias 0 is not allowed")),
                value => Property::TopicAlias(value),
            },
            QOS_MAX => Property::QosMax(if yes(reader, "maximum QoS is neither 0 nor 1")? {
                Qos::AtLeastOnce
            } else {
                Qos::AtMostOnce
            }),
            RETAIN_AVAILABLE => Property::RetainAvailable(yes(reader, "retain available is neither 0 nor 1")?),
            USER => {
                reader.text()?;
                reader.text()?;
                Property::User
            }
            PACKET_BYTES_MAX => match reader.four()? {
                0 => return Err(DecodeError::protocol("maximum packet size 0 is not allowed")),
                value => Property::PacketBytesMax(value),
            },
            WILDCARD_AVAILABLE => Property::WildcardAvailable(yes(reader, "wildcard available is neither 0 nor 1")?),
            SUBSCRIPTION_IDS_AVAILABLE => Property::SubscriptionIdsAvailable(yes(
                reader,
                "subscription identifiers available is neither 0 nor 1",
            )?),
            SHARED_AVAILABLE => Property::SharedAvailable(yes(reader, "shared available is neither 0 nor 1")?),
            _ => return Err(DecodeError::malformed("a property is unknown")),
        })
    }
}

fn yes(reader: &mut Reader<'_>, detail: &'static str) -> Result<bool, DecodeError> {
    match reader.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::protocol(detail)),
    }
}

/// The next property of a checked list that has this identifier: its value, and what follows it.
fn find(mut list: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    loop {
        let (&id, rest) = list.split_first()?;
        let bytes = match id {
            PAYLOAD_FORMAT
            | REQUEST_PROBLEM_INFORMATION
            | REQUEST_RESPONSE_INFORMATION
            | QOS_MAX
            | RETAIN_AVAILABLE
            | WILDCARD_AVAILABLE
            | SUBSCRIPTION_IDS_AVAILABLE
            | SHARED_AVAILABLE => 1,
            SERVER_KEEP_ALIVE | RECEIVE_MAX | TOPIC_ALIAS_MAX | TOPIC_ALIAS => 2,
            MESSAGE_EXPIRY | SESSION_EXPIRY | WILL_DELAY | PACKET_BYTES_MAX => 4,
            SUBSCRIPTION_ID => 1 + rest.iter().position(|byte| byte & 0x80 == 0)?,
            USER => {
                let name = 2 + length(rest)?;
                name + 2 + length(rest.get(name..)?)?
            }
            _ => 2 + length(rest)?,
        };
        let (value, rest) = rest.split_at_checked(bytes)?;
        if id == wanted {
            return Some((value, rest));
        }
        list = rest;
    }
}

fn length(bytes: &[u8]) -> Option<usize> {
    bytes.first_chunk::<2>().map(|bytes| usize::from(u16::from_be_bytes(*bytes)))
}

/// Names and values that a sender added, in its order; names may come again.
#[derive(Clone, Copy, Default)]
pub struct UserProperties<'a>(&'a [u8]);

impl<'a> UserProperties<'a> {
    /// None at all.
    pub const NONE: UserProperties<'static> = UserProperties(&[]);

    /// The user properties of an encoded property list without its length, in which nothing else stands: what
    /// [`put_pair`] wrote.
    pub fn read(list: &'a [u8]) -> Result<Self, DecodeError> {
        let mut walk = Walk::new(list, ids(&[USER]));
        while walk.next()?.is_some() {}
        Ok(walk.user())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Name and value of each.
    #[must_use]
    pub fn iter(self) -> UserPropertiesIter<'a> {
        UserPropertiesIter(self.0)
    }
}

impl<'a> IntoIterator for UserProperties<'a> {
    type Item = (&'a str, &'a str);
    type IntoIter = UserPropertiesIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for UserProperties<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for UserProperties<'_> {}

impl std::fmt::Debug for UserProperties<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// See [`UserProperties::iter`].
#[derive(Clone, Copy)]
pub struct UserPropertiesIter<'a>(&'a [u8]);

impl<'a> Iterator for UserPropertiesIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (pair, rest) = find(self.0, USER)?;
        self.0 = rest;
        let (name, value) = pair[2..].split_at_checked(length(pair)?)?;
        Some((str::from_utf8(name).ok()?, str::from_utf8(value.get(2..)?).ok()?))
    }
}

/// Which of the receiver's subscriptions a message matched: an iterator, each from 1 to 268,435,455.
#[derive(Clone, Copy, Default)]
pub struct SubscriptionIds<'a>(&'a [u8]);

impl SubscriptionIds<'_> {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl Iterator for SubscriptionIds<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (value, rest) = find(self.0, SUBSCRIPTION_ID)?;
        self.0 = rest;
        Reader::new(value).varint().ok()
    }
}

impl PartialEq for SubscriptionIds<'_> {
    fn eq(&self, other: &Self) -> bool {
        (*self).eq(*other)
    }
}

impl Eq for SubscriptionIds<'_> {}

impl std::fmt::Debug for SubscriptionIds<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}
