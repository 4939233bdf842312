//! Where another codec is more lenient or stricter than the standards, and ours is not: each with the clause, of MQTT 5 unless
//! another version stands before it. What is in no row here is a finding.

use connectors::mqtt::codec::{Packet, Reason, Version, is_topic_filter};

const RMQTT: &str = "rmqtt-codec";
const MQUTE: &str = "mqute-codec";
const BOTH: &[&str] = &[RMQTT, MQUTE];

/// What others accept and we refuse, by packet type (0: any) and the text of our refusal.
const LENIENT: &[(&[&str], u8, &str, &str)] = &[
    (BOTH, 0, "a string holds the character NUL", "1.5.4-2"),
    (BOTH, 0, "bytes follow the packet's last field", "2.1.4: the remaining length is that of the packet's fields"),
    (BOTH, 0, "DUP is not allowed at QoS 0", "3.3.1-2"),
    (BOTH, 0, "a password without a user name is not allowed before MQTT 5", "3.1.1: 3.1.2-22"),
    (BOTH, 0, "QoS or retain of a will is set without a will", "3.1.2-11, 3.1.2-13"),
    (BOTH, 0, "CONNACK says that a session is present, and an error", "3.2.2-6"),
    (BOTH, 0, "DISCONNECT has a reason code that its sender must not use", "3.14.2.1: they do not ask who sends"),
    (BOTH, 0, "a server's DISCONNECT must not hold a session expiry interval", "3.14.2-2: they do not ask who sends"),
    (BOTH, 0, "AUTH has no authentication method", "3.15.2.2.2"),
    (BOTH, 0, "a shared subscription must not be no-local", "3.8.3-4"),
    (BOTH, 0, "the response topic is no topic name", "3.3.2-14"),
    (RMQTT_ONLY, 0, "PINGREQ and PINGRESP have no body", "3.12.1, 3.13.1"),
    (RMQTT_ONLY, 0, "a topic name holds a wildcard", "3.3.2-2"),
    (RMQTT_ONLY, 0, "the topic of the will is empty", "4.7.3-1"),
    (RMQTT_ONLY, 0, "a PUBLISH has neither topic name nor topic alias", "3.3.2.1"),
    (RMQTT_ONLY, 0, "an answer has no reason code", "3.9.3, 3.11.3"),
    (RMQTT_ONLY, 0, "CONNACK has a code that it does not know", "3.1.1: 3.2.2.3: 6 is reserved"),
    (RMQTT_ONLY, 0, "a reserved bit of the subscription options is set", "3.1.1: 3.8.3-4"),
    (RMQTT_ONLY, 0, "authentication data without an authentication method", "3.1.2.11.10"),
    (RMQTT_ONLY, 0, "the protocol level is none of 3, 4 and 5", "3.1.2.2: it takes either name with either level"),
    (RMQTT_ONLY, 0, "the remaining length is longer than it needs to be", "1.5.5-1"),
    (RMQTT_ONLY, 0, "a variable byte integer is longer than it needs to be", "1.5.5-1"),
    (RMQTT_ONLY, 15, "the packet ends within a field", "3.15.2.1: AUTH of one byte has no property length"),
    (MQUTE_ONLY, 0, "the reserved flag of CONNECT is set", "3.1.2-3"),
    (MQUTE_ONLY, 0, "a reserved flag of CONNACK is set", "3.2.2-1"),
    (MQUTE_ONLY, 0, "the payload format is neither 0 nor 1", "3.3.2.3.2"),
    (MQUTE_ONLY, 0, "topic alias 0 is not allowed", "3.3.2-8"),
    (MQUTE_ONLY, 0, "subscription identifier 0 is not allowed", "3.8.2.1.2"),
    (MQUTE_ONLY, 0, "packet identifier 0 is not allowed", "2.2.1-3"),
    (MQUTE_ONLY, 1, "the packet ends within a field", "3.1.2.9: it does not read a password without a user name"),
    (RMQTT_ONLY, 2, "maximum QoS is neither 0 nor 1", "3.2.2.3.4"),
];

const RMQTT_ONLY: &[&str] = &[RMQTT];
const MQUTE_ONLY: &[&str] = &[MQUTE];

/// Why `peer` may accept what we refuse with this text.
pub fn accepts(peer: &str, kind: u8, detail: &str) -> Option<&'static str> {
    LENIENT
        .iter()
        .find(|(peers, of, text, _)| peers.contains(&peer) && [0, kind].contains(of) && *text == detail)
        .map(|(.., clause)| *clause)
}

/// A packet that we accept.
pub struct Case<'a> {
    pub version: Version,
    pub bytes: &'a [u8],
    pub packet: &'a Packet<'a>,
}

impl Case<'_> {
    fn kind(&self) -> u8 {
        self.bytes[0] >> 4
    }

    fn has_password_that_is_no_text_or_alone(&self) -> bool {
        let Packet::Connect(connect) = self.packet else { return false };
        connect.password.is_some_and(|password| connect.username.is_none() || str::from_utf8(password).is_err())
    }

    fn leaves_out_the_property_length(&self) -> bool {
        self.version == Version::V5 && matches!((self.kind(), self.bytes[1]), (4..=7, 3) | (14, 1))
    }

    fn has_alias_for_its_topic(&self) -> bool {
        matches!(self.packet, Packet::Publish(publish) if publish.topic.is_empty())
    }

    fn has_a_bad_filter(&self) -> bool {
        match *self.packet {
            Packet::Subscribe(mut subscribe) => subscribe.filters.any(|(filter, _)| !is_topic_filter(filter)),
            Packet::Unsubscribe(mut unsubscribe) => unsubscribe.filters.any(|filter| !is_topic_filter(filter)),
            _ => false,
        }
    }

    /// What 3.1 left to chance, and only 3.1.1 gave rules for.
    fn is_3_1_and_free(&self) -> bool {
        let flags = self.bytes[0] & 8 != 0 && matches!(self.kind(), 6 | 8 | 10);
        let connect = matches!(self.packet, Packet::Connect(_));
        let connack = matches!(self.packet, Packet::ConnAck(_));
        let subscribe = matches!(self.packet, Packet::Subscribe(_));
        self.version == Version::V31 && (flags || connect || connack || subscribe)
    }

    fn is_longer_than_it_needs_to_be(&self) -> bool {
        let length = self.bytes[1..].iter().position(|byte| byte & 0x80 == 0);
        self.version != Version::V5 && length.is_some_and(|last| last > 0 && self.bytes[1 + last] == 0)
    }

    fn fails_in_3_1(&self) -> bool {
        self.version == Version::V31 && matches!(self.packet, Packet::SubAck(_)) && self.bytes.contains(&0x80)
    }

    fn asks_for_an_identifier(&self) -> bool {
        matches!(self.packet, Packet::Connect(connect) if connect.client_id.is_empty() && !connect.clean_start)
    }

    fn expires_at_once(&self) -> bool {
        match self.packet {
            Packet::Publish(publish) => publish.properties.expiry_s == Some(0),
            Packet::Connect(connect) => connect.will.is_some_and(|will| will.properties.expiry_s == Some(0)),
            _ => false,
        }
    }
}

type When = fn(&Case<'_>) -> bool;

/// What others refuse and we accept.
const STRICT: &[(&[&str], &str, When)] = &[
    (MQUTE_ONLY, "3.1.3.6: a password is bytes; 3.1.2.9: and needs no user name", |case| {
        case.has_password_that_is_no_text_or_alone()
    }),
    (MQUTE_ONLY, "3.4.2.2.1, 3.14.2.2.1: no property length in the short form", |case| {
        case.leaves_out_the_property_length()
    }),
    (MQUTE_ONLY, "3.3.2.3.4: an alias instead of a topic name", |case| case.has_alias_for_its_topic()),
    (BOTH, "3.9.3, 3.11.3: a bad filter is answered for itself", |case| case.has_a_bad_filter()),
    (BOTH, "3.1: bits that it does not use, flags without a text", |case| case.is_3_1_and_free()),
    (BOTH, "3.1.1: 2.2.3 does not ask for the shortest length", |case| case.is_longer_than_it_needs_to_be()),
    (MQUTE_ONLY, "3.1: it has no failure, but servers say it as in 3.1.1", |case| case.fails_in_3_1()),
    (
        MQUTE_ONLY,
        "2.4: BadAuthenticationMethod is a reason of DISCONNECT",
        |case| matches!(case.packet, Packet::Disconnect(disconnect) if disconnect.reason == Reason::BadAuthenticationMethod),
    ),
    (RMQTT_ONLY, "3.1.3.1: the session answers with a reason of its own", |case| case.asks_for_an_identifier()),
    (RMQTT_ONLY, "3.3.2.3.3: 0 is not forbidden", |case| case.expires_at_once()),
];

/// Why `peer` may refuse what we accept.
pub fn refuses(peer: &str, case: &Case<'_>) -> Option<&'static str> {
    STRICT.iter().find(|(peers, _, when)| peers.contains(&peer) && when(case)).map(|(_, clause, _)| *clause)
}

/// What others read or write differently.
const OTHERWISE: &[(&[&str], &str, When)] = &[
    (
        RMQTT_ONLY,
        "3.1: 3.1: it writes the protocol name of 3.1.1",
        |case| matches!(case.packet, Packet::Connect(connect) if connect.version == Version::V31),
    ),
    (
        RMQTT_ONLY,
        "3.15.2.1: it does not write the form without properties",
        |case| matches!(case.packet, Packet::Auth(auth) if auth.method.is_none()),
    ),
    (MQUTE_ONLY, "3.1.2.9: it drops a password without a user name, but keeps its flag", |case| {
        case.has_password_that_is_no_text_or_alone()
    }),
    (MQUTE_ONLY, "3.1.1: it keeps flags of a will that is not there", |case| {
        case.version == Version::V31 && matches!(case.packet, Packet::Connect(connect) if connect.will.is_none())
    }),
];

/// Why `peer` may write something else when it is to write this packet.
pub fn writes(peer: &str, case: &Case<'_>) -> Option<&'static str> {
    OTHERWISE.iter().find(|(peers, _, when)| peers.contains(&peer) && when(case)).map(|(_, clause, _)| *clause)
}
