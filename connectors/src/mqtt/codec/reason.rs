//! Reason codes of MQTT 5, and why bytes were refused. Every code has one name; older versions map theirs onto these.

use super::Version;

macro_rules! reasons {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        /// Why a packet was answered as it was. `as u8` is the code on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $(#[doc = $text] $name = $code,)*
        }

        impl Reason {
            /// All of them, in the order of their codes.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// The reason with this code.
            #[must_use]
            pub fn of(code: u8) -> Option<Reason> {
                match code {
                    $($code => Some(Reason::$name),)*
                    _ => None,
                }
            }

            /// The name in the standard, in lower case, for messages.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self {
                    $(Reason::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    Success = 0x00, "success";
    GrantedQos1 = 0x01, "granted QoS 1";
    GrantedQos2 = 0x02, "granted QoS 2";
    DisconnectWithWill = 0x04, "disconnect with will message";
    NoMatchingSubscribers = 0x10, "no matching subscribers";
    NoSubscriptionExisted = 0x11, "no subscription existed";
    ContinueAuthentication = 0x18, "continue authentication";
    ReAuthenticate = 0x19, "re-authenticate";
    Unspecified = 0x80, "unspecified error";
    MalformedPacket = 0x81, "malformed packet";
    ProtocolError = 0x82, "protocol error";
    ImplementationSpecific = 0x83, "implementation specific error";
    UnsupportedProtocolVersion = 0x84, "unsupported protocol version";
    ClientIdentifierNotValid = 0x85, "client identifier not valid";
    BadUserNameOrPassword = 0x86, "bad user name or password";
    NotAuthorized = 0x87, "not authorized";
    ServerUnavailable = 0x88, "server unavailable";
    ServerBusy = 0x89, "server busy";
    Banned = 0x8A, "banned";
    ServerShuttingDown = 0x8B, "server shutting down";
    BadAuthenticationMethod = 0x8C, "bad authentication method";
    KeepAliveTimeout = 0x8D, "keep alive timeout";
    SessionTakenOver = 0x8E, "session taken over";
    TopicFilterInvalid = 0x8F, "topic filter invalid";
    TopicNameInvalid = 0x90, "topic name invalid";
    PacketIdentifierInUse = 0x91, "packet identifier in use";
    PacketIdentifierNotFound = 0x92, "packet identifier not found";
    ReceiveMaximumExceeded = 0x93, "receive maximum exceeded";
    TopicAliasInvalid = 0x94, "topic alias invalid";
    PacketTooLarge = 0x95, "packet too large";
    MessageRateTooHigh = 0x96, "message rate too high";
    QuotaExceeded = 0x97, "quota exceeded";
    AdministrativeAction = 0x98, "administrative action";
    PayloadFormatInvalid = 0x99, "payload format invalid";
    RetainNotSupported = 0x9A, "retain not supported";
    QosNotSupported = 0x9B, "QoS not supported";
    UseAnotherServer = 0x9C, "use another server";
    ServerMoved = 0x9D, "server moved";
    SharedSubscriptionsNotSupported = 0x9E, "shared subscriptions not supported";
    ConnectionRateExceeded = 0x9F, "connection rate exceeded";
    MaximumConnectTime = 0xA0, "maximum connect time";
    SubscriptionIdentifiersNotSupported = 0xA1, "subscription identifiers not supported";
    WildcardSubscriptionsNotSupported = 0xA2, "wildcard subscriptions not supported";
}

impl Reason {
    /// Whether it says that something failed.
    #[must_use]
    pub fn is_error(self) -> bool {
        self as u8 >= 0x80
    }

    /// The return code of CONNACK in 3.1 and 3.1.1.
    #[must_use]
    pub fn connect_return_code(self) -> u8 {
        match self {
            Reason::UnsupportedProtocolVersion => 1,
            Reason::ClientIdentifierNotValid => 2,
            Reason::BadUserNameOrPassword | Reason::BadAuthenticationMethod => 4,
            Reason::NotAuthorized | Reason::Banned => 5,
            reason if reason.is_error() => 3,
            _ => 0,
        }
    }

    /// What a return code of CONNACK in 3.1 and 3.1.1 means.
    #[must_use]
    pub fn of_connect_return_code(code: u8) -> Option<Reason> {
        Some(match code {
            0 => Reason::Success,
            1 => Reason::UnsupportedProtocolVersion,
            2 => Reason::ClientIdentifierNotValid,
            3 => Reason::ServerUnavailable,
            4 => Reason::BadUserNameOrPassword,
            5 => Reason::NotAuthorized,
            _ => return None,
        })
    }
}

/// Bytes that are no packet, or a packet that must not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail} ({})", reason.text())]
pub struct DecodeError {
    /// What the receiver answers, where the version lets it answer.
    pub reason: Reason,
    /// What is wrong, for the log and for the reason string.
    pub detail: &'static str,
    /// Only for a bad CONNECT: the version whose CONNACK the sender understands. None: it cannot be known; close without an answer.
    pub answer: Option<Version>,
}

impl DecodeError {
    pub(super) const fn new(reason: Reason, detail: &'static str) -> Self {
        DecodeError { reason, detail, answer: None }
    }

    pub(super) const fn malformed(detail: &'static str) -> Self {
        DecodeError::new(Reason::MalformedPacket, detail)
    }

    pub(super) const fn protocol(detail: &'static str) -> Self {
        DecodeError::new(Reason::ProtocolError, detail)
    }
}
