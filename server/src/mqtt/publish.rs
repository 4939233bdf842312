//! `anabranch mqtt pub`: publishes, waits for what the broker says to it, and with `--request` for one answer.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};
use connectors::mqtt::codec::{PublishDraft, Qos, Reason, Version, is_topic_name, property};
use tokio::time::{Instant, sleep_until};

use super::client::{Client, Incoming, Session, random};
use super::error::{MqttError, reason_in_words};
use super::message::Message;
use super::payloads::Payloads;
use super::print::{Format, print};
use super::reach::ReachArgs;
use super::sub::granted;

/// Publish messages.
#[derive(Args, Debug, Clone)]
#[command(
    group = ArgGroup::new("what").args(["payload", "file", "lines"]).required(true),
    after_help = "\
An empty payload with --retain removes the topic's retained message: anabranch mqtt pub plant/1 '' --retain
What the broker said goes to stderr, an answer to stdout. Exit status 0: every message was taken (QoS 0: was read)."
)]
pub struct PubArgs {
    /// Topic to publish to.
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// The payload.
    #[arg(value_name = "PAYLOAD", allow_negative_numbers = true)]
    pub payload: Option<String>,
    /// The payload is the content of this file; `-`: of standard input.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Each line of standard input is a message; empty ones are left out.
    #[arg(long, conflicts_with = "request")]
    pub lines: bool,
    /// How the broker is reached.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// QoS of the messages. At 0 nothing is acknowledged: the command waits until the broker has read them.
    #[arg(long, default_value = "1", value_name = "0|1|2", value_parser = super::qos)]
    pub qos: Qos,
    /// Keep it as the topic's retained message.
    #[arg(long)]
    pub retain: bool,
    /// Seconds after which the messages are worth nothing (MQTT 5).
    #[arg(long, value_name = "SECONDS")]
    pub expiry: Option<u32>,
    /// What the payload is, such as application/json (MQTT 5).
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,
    /// A user property; may come several times (MQTT 5).
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub user_property: Vec<(String, String)>,
    /// Where answers go; with --request the default is one of our own (MQTT 5).
    #[arg(long, value_name = "TOPIC")]
    pub response_topic: Option<String>,
    /// What answers carry to be recognised; with --request the default is random (MQTT 5).
    #[arg(long, value_name = "TEXT")]
    pub correlation: Option<String>,
    /// Subscribe to the response topic, publish, print one answer.
    #[arg(long)]
    pub request: bool,
    /// How to print the answer.
    #[arg(long, default_value = "payload", value_name = "FORMAT", requires = "request")]
    pub format: Format,
    /// Longest wait for an acknowledgement, or for the answer.
    #[arg(long, default_value = "30", value_name = "SECONDS", value_parser = super::seconds)]
    pub timeout: Duration,
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl PubArgs {
    fn check(&self) -> Result<(), MqttError> {
        let wrong = |text: String| Err(MqttError::Usage(text));
        for topic in [Some(&self.topic), self.response_topic.as_ref()].into_iter().flatten() {
            if !is_topic_name(topic) {
                return wrong(format!(
                    "`{topic}` is no topic to publish to: it must not be empty nor have + or # in it"
                ));
            }
        }
        let has_properties = self.expiry.is_some()
            || self.content_type.is_some()
            || !self.user_property.is_empty()
            || self.response_topic.is_some()
            || self.correlation.is_some()
            || self.request;
        if has_properties && self.reach.version() != Version::V5 {
            let flags = "--expiry, --content-type, --user-property, --response-topic, --correlation and --request";
            return wrong(format!("{flags} need MQTT 5; leave out --mqtt-version"));
        }
        Ok(())
    }

    /// The encoded properties of every message.
    fn properties(&self, request: Option<&Request>) -> Result<Vec<u8>, MqttError> {
        let mut out = Vec::new();
        let response_topic = request.map(|request| request.topic.as_str()).or(self.response_topic.as_deref());
        let correlation = request.map(|request| request.correlation.as_str()).or(self.correlation.as_deref());
        let mut texts = [self.content_type.as_deref(), response_topic, correlation].into_iter().flatten();
        let mut pairs = self.user_property.iter().flat_map(|(name, value)| [name, value]);
        if texts.any(|text| text.contains('\0')) || pairs.any(|text| text.contains('\0')) {
            return Err(MqttError::Usage("a property must not hold the character NUL".to_owned()));
        }
        let mut fits = self.expiry.is_none_or(|value| property::put_four(&mut out, property::MESSAGE_EXPIRY, value));
        for (id, text) in [
            (property::CONTENT_TYPE, self.content_type.as_deref()),
            (property::RESPONSE_TOPIC, response_topic),
            (property::CORRELATION_DATA, correlation),
        ] {
            fits &= text.is_none_or(|text| property::put_text(&mut out, id, text));
        }
        for (name, value) in &self.user_property {
            fits &= property::put_pair(&mut out, property::USER, name, value);
        }
        match fits {
            true => Ok(out),
            false => Err(MqttError::Usage("a property is longer than 65,535 bytes".to_owned())),
        }
    }
}

/// Where the answer comes, and by what it is known.
struct Request {
    topic: String,
    correlation: String,
}

impl Request {
    fn new(args: &PubArgs) -> Self {
        let topic = || format!("anabranch/replies/{:016x}", random());
        Self {
            topic: args.response_topic.clone().unwrap_or_else(topic),
            correlation: args.correlation.clone().unwrap_or_else(|| format!("{:016x}", random())),
        }
    }

    fn is_answered_by(&self, message: &Message) -> bool {
        let is_ours = message.properties.correlation.as_deref() == Some(self.correlation.as_bytes());
        if message.topic == self.topic && !is_ours {
            eprintln!("passed over: a message on {} with other correlation data than ours", self.topic);
        }
        message.topic == self.topic && is_ours
    }
}

/// What became of the messages.
#[derive(Default)]
struct Outcome {
    sent: u64,
    refused: u64,
    by_reason: BTreeMap<Reason, u64>,
    /// Which message a packet id is.
    numbers: HashMap<u16, u64>,
}

impl Outcome {
    fn settle(&mut self, packet_id: u16, reason: Reason, text: &Option<String>) {
        let number = self.numbers.remove(&packet_id).unwrap_or_default();
        *self.by_reason.entry(reason).or_default() += 1;
        if reason.is_error() {
            self.refused += 1;
            eprintln!("message {number} was refused: {}", reason_in_words(reason, text));
        }
    }

    fn tell(&self, qos: Qos) -> Result<(), MqttError> {
        let messages = if self.sent == 1 { "message" } else { "messages" };
        let parts: Vec<String> = match qos {
            Qos::AtMostOnce => vec!["read by the broker (QoS 0 is not acknowledged)".to_owned()],
            _ => self.by_reason.iter().map(|(reason, count)| format!("{count} {}", reason.text())).collect(),
        };
        eprintln!("{} {messages}: {}", self.sent, parts.join(", "));
        match self.refused {
            0 => Ok(()),
            refused => Err(MqttError::NotTaken { refused, sent: self.sent }),
        }
    }
}

/// Publishes everything, and waits until all is settled.
pub(super) async fn publish(args: &PubArgs, out: &mut impl Write) -> Result<(), MqttError> {
    args.check()?;
    let request = args.request.then(|| Request::new(args));
    let properties = args.properties(request.as_ref())?;
    let mut payloads = Payloads::open(args).await?;
    let mut client = Client::connect(&args.reach, Session { clean_start: true, expiry_s: None }).await?;
    let mut outcome = Outcome::default();
    let done = exchange(args, request.as_ref(), &properties, &mut payloads, &mut client, &mut outcome, out).await;
    client.disconnect().await;
    if done.is_err() && outcome.sent > 1 {
        // With many it matters how far it came; whatever is not named was not acknowledged.
        let _ = outcome.tell(args.qos);
    }
    done?;
    outcome.tell(args.qos)
}

/// What of the exchange is still missing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Subscription,
    Payloads,
    /// That the broker has read what it does not acknowledge.
    Pong,
    Nothing,
}

async fn exchange(
    args: &PubArgs,
    request: Option<&Request>,
    properties: &[u8],
    payloads: &mut Payloads,
    client: &mut Client,
    outcome: &mut Outcome,
    out: &mut impl Write,
) -> Result<(), MqttError> {
    let mut missing = Missing::Payloads;
    let mut answer = None;
    let filters: Vec<String> = request.iter().map(|request| request.topic.clone()).collect();
    if request.is_some() {
        client.subscribe(&filters, Qos::AtLeastOnce)?;
        missing = Missing::Subscription;
    }
    let mut deadline = Instant::now() + args.timeout;
    loop {
        while let Some(incoming) = client.ready()? {
            deadline = Instant::now() + args.timeout;
            match incoming {
                Incoming::Settled { packet_id, reason, text } => outcome.settle(packet_id, reason, &text),
                Incoming::Subscribed { reasons, text } => {
                    granted(&filters, &reasons, &text)?;
                    missing = Missing::Payloads;
                }
                Incoming::Message(message) => {
                    client.acknowledge(&message);
                    if answer.is_none() && request.is_some_and(|request| request.is_answered_by(&message)) {
                        answer = Some(message);
                    }
                }
                Incoming::Pong if missing == Missing::Pong => missing = Missing::Nothing,
                Incoming::Pong => {}
            }
        }
        let is_sent = missing == Missing::Nothing && client.under_way() == 0;
        // A request that was refused has no answer.
        if is_sent && (request.is_none() || answer.is_some() || outcome.refused > 0) {
            if let Some(answer) = answer {
                // Whoever closed the pipe does not want it.
                let _ = print(out, &answer, args.format).and_then(|()| out.flush());
            }
            return Ok(());
        }
        let is_waiting = missing != Missing::Payloads || client.under_way() > 0;
        let may_send = missing == Missing::Payloads && client.has_room();
        tokio::select! {
            biased;
            waited = client.wait() => waited?,
            payload = payloads.next(), if may_send => match payload.map_err(MqttError::Input)? {
                Some(payload) => {
                    outcome.sent += 1;
                    let draft = PublishDraft {
                        dup: false,
                        qos: args.qos,
                        retain: args.retain,
                        topic: &args.topic,
                        packet_id: 0,
                        properties,
                        payload: &payload,
                    };
                    let packet_id = client.publish(draft)?;
                    outcome.numbers.insert(packet_id, outcome.sent);
                    deadline = Instant::now() + args.timeout;
                }
                None if args.qos == Qos::AtMostOnce => {
                    client.ping();
                    missing = Missing::Pong;
                }
                None => missing = Missing::Nothing,
            },
            () = sleep_until(deadline), if is_waiting => {
                let within = args.timeout;
                return Err(match request {
                    Some(Request { topic, .. }) if is_sent => MqttError::NoAnswer { topic: topic.clone(), within },
                    _ => MqttError::Late { what: "acknowledge", within },
                });
            }
        }
    }
}
