//! What the brokers of all cores share, and how it is put together at a start from what was stored and what the log holds.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use engine::batch::{Batch, decode_stored};
use engine::event::Event;
use engine::lane::Heads;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::access::Access;
use super::config::MqttConfig;
use super::mail::Mail;
use super::mapping::{self, Mapper};
use super::registry::Registry;
use super::retained::Retained;
use super::session::Incoming;
use super::store::{self, Commit, Saved};
use crate::hub::{LogReader, ReadError};

/// Bytes of the log that are read at a time at a start.
const READ_BYTES_MAX: usize = 1024 * 1024;

/// Ways to the cores.
#[derive(Clone, Debug)]
pub struct Mailboxes(Arc<[UnboundedSender<Mail>]>);

impl Mailboxes {
    /// One for each core, and where its mail comes out.
    pub fn new(cores: usize) -> (Self, Vec<UnboundedReceiver<Mail>>) {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..cores).map(|_| unbounded_channel()).unzip();
        (Self(senders.into()), receivers)
    }

    /// Number of cores.
    pub fn cores(&self) -> usize {
        self.0.len()
    }

    /// Sends. A core that is gone hears nothing: the node is stopping.
    pub fn send(&self, core: u16, mail: Mail) {
        if let Some(sender) = self.0.get(usize::from(core)) {
            let _ = sender.send(mail);
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Node {
    /// Settings.
    pub settings: MqttConfig,
    /// Who may do what.
    pub access: Access,
    /// Messages to events.
    pub mapper: Mapper,
    /// Sessions.
    pub registry: Registry,
    /// Retained messages.
    pub retained: Retained,
    /// Some message was retained: taps have to look for them.
    pub has_retained: AtomicBool,
    /// What was acknowledged, per partition.
    pub acked: Heads,
    /// Sessions are stored.
    pub is_durable: bool,
    /// Where those go on that followed when the node stopped.
    pub checkpoint: Box<[u64]>,
    /// Open connections of all cores.
    pub connections: AtomicUsize,
    mailboxes: Mailboxes,
    sequence: AtomicU64,
    /// Sessions that are not stored as they are after the start.
    unsaved: HashSet<Arc<str>>,
    /// There was no MQTT here before.
    is_new: bool,
}

/// What a node is made of.
pub struct Parts {
    /// Settings.
    pub settings: MqttConfig,
    /// Name of the node: the source of its events.
    pub name: String,
    /// Who may do what.
    pub access: Access,
    /// What was acknowledged, per partition.
    pub acked: Heads,
    /// Ways to the cores.
    pub mailboxes: Mailboxes,
    /// Sessions are stored.
    pub is_durable: bool,
}

impl Node {
    /// From what was stored, and the end of the log behind it.
    pub fn open(parts: Parts, saved: &Saved, log: &LogReader) -> Result<Self, ReadError> {
        let ends: Vec<u64> = (0..log.partitions()).map(|partition| log.bounds(partition).1).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::with_log(parts, saved, &ends, now.as_millis() as i64, |partition, from| {
            log.read(partition, from, READ_BYTES_MAX)
        })
    }

    /// The same with a log that is known by its ends and by how it is read.
    pub(super) fn with_log(
        parts: Parts,
        saved: &Saved,
        ends: &[u64],
        now_ms: i64,
        read: impl Fn(u32, u64) -> Result<Vec<Arc<Batch>>, ReadError>,
    ) -> Result<Self, ReadError> {
        let Parts { settings, name, access, acked, mailboxes, is_durable } = parts;
        // Without a checkpoint there was no MQTT here: what is in the log is not for its sessions. One that lies behind the log's
        // end is of another log.
        let checkpoint: Box<[u64]> = match &saved.checkpoint {
            Some(stored) if stored.len() == ends.len() => {
                stored.iter().zip(ends).map(|(at, end)| *at.min(end)).collect()
            }
            _ => ends.into(),
        };
        let sessions_per_name_max = access.sessions_per_name_max().unwrap_or(0);
        let mut node = Self {
            mapper: Mapper::new(&settings.mapping, &name),
            registry: Registry::new(settings.sessions_max, sessions_per_name_max),
            retained: Retained::new(settings.retained_messages_max, settings.retained_bytes_max),
            has_retained: AtomicBool::new(!saved.retained.is_empty()),
            access,
            acked,
            is_durable,
            connections: AtomicUsize::new(0),
            mailboxes,
            // Grows from run to run too.
            sequence: AtomicU64::new(now_ms as u64 * 1000),
            settings,
            checkpoint,
            unsaved: HashSet::new(),
            is_new: saved.checkpoint.is_none(),
        };
        let mut unsaved = HashSet::new();
        for (topic, bytes) in &saved.retained {
            match decode_stored(bytes) {
                Ok(batch) => node.retained.restore(topic, Arc::new(batch), ends),
                Err(error) => tracing::error!(topic, %error, "a stored retained message cannot be read"),
            }
        }
        for bytes in &saved.sessions {
            match store::decode(bytes, &node.checkpoint, now_ms) {
                Some((parked, followed)) => {
                    if followed {
                        unsaved.insert(parked.session.client_id.clone());
                    }
                    node.registry.restore(Box::new(parked));
                }
                None => tracing::error!("a stored session is not of this version and is left out"),
            }
        }
        for (partition, end) in (0..).zip(ends) {
            node.catch_up(&read, partition, *end, &mut unsaved)?;
        }
        node.unsaved = unsaved;
        Ok(node)
    }

    /// What came behind the checkpoint: retained messages, and messages of QoS 2 whose senders may send them again.
    fn catch_up(
        &self,
        read: impl Fn(u32, u64) -> Result<Vec<Arc<Batch>>, ReadError>,
        partition: u32,
        end: u64,
        unsaved: &mut HashSet<Arc<str>>,
    ) -> Result<(), ReadError> {
        let mut next = self.checkpoint[partition as usize];
        while next < end {
            let batches = match read(partition, next) {
                Ok(batches) => batches,
                Err(ReadError::FallenOff { first_available: behind, .. } | ReadError::Damaged { next: behind, .. }) => {
                    next = behind.max(next + 1);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if batches.is_empty() {
                break;
            }
            for batch in batches {
                for row in 0..batch.rows().len() {
                    self.remember(&Event::new(&batch, row), unsaved);
                }
                next = batch.last_offset() + 1;
            }
        }
        Ok(())
    }

    fn remember(&self, event: &Event<'_>, unsaved: &mut HashSet<Arc<str>>) {
        let Some(message) = mapping::message(event) else { return };
        if message.retain {
            self.has_retained.store(true, Ordering::Relaxed);
            self.retained.update(message.topic, event, message.payload.is_empty());
        }
        if let Some(packet_id) = message.packet_id
            && let Ok(client_id) = std::str::from_utf8(message.publisher)
        {
            self.registry.with_away(client_id, |session| {
                session.incoming.retain(|known| known.packet_id != packet_id);
                session.incoming.push(Incoming { packet_id, is_pending: false, is_doubtful: true });
                unsaved.insert(session.client_id.clone());
            });
        }
    }

    /// What is to be stored before anybody is served: sessions that followed stand still now, and the checkpoint will move on without
    /// them; and where all begins, so that a crash finds what comes from here on.
    pub fn first_commit(&self) -> Commit {
        let mut commit = Commit { checkpoint: self.is_new.then(|| self.checkpoint.to_vec()), ..Commit::default() };
        self.registry.each_away(|parked| {
            let session = &parked.session;
            if self.unsaved.contains(&session.client_id) {
                let will = parked.will.as_ref().map(|(will, _)| &**will);
                let record = store::encode(session, will, parked.expires_at_ms);
                commit.sessions.insert(session.client_id.clone(), Some(record));
            }
        });
        commit
    }

    /// Number of cores.
    pub fn cores(&self) -> u16 {
        self.mailboxes.cores() as u16
    }

    /// Ways to the cores.
    pub fn mailboxes(&self) -> &Mailboxes {
        &self.mailboxes
    }

    /// The next number of a connection's life-cycle events.
    pub fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells the homes of shares who their members are that are away. Once, when the cores run.
    pub fn restore_shares(&self) {
        self.registry.each_away(|parked| {
            let session = &parked.session;
            for known in &session.subscriptions {
                let Some(share) = known.filter.strip_prefix("$share/") else { continue };
                let member = super::mail::Member {
                    qos: known.options.qos,
                    retain_as_published: known.options.retain_as_published,
                    id: known.id,
                };
                let share: Box<str> = share.into();
                let (client_id, place) = (session.client_id.clone(), None);
                let core = super::broker::home_of(&share, self.cores());
                self.mailboxes.send(core, Mail::ShareJoin { share, client_id, place, member, since: None });
            }
        });
    }
}
