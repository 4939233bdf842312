//! What the server core asks for, and what it is told in return.

use engine::batch::Batch;
use engine::filter::Dialect;

use crate::quic::frame::{Code, Hello, Start, Subscribe, Welcome};

/// Something that has to be done for the client.
#[derive(Debug)]
pub enum Action {
    /// Find out who it is; answer with [`Server::handle_authenticated`](super::Server::handle_authenticated), or close the
    /// connection with [`Code::UNAUTHENTICATED`].
    Authenticate(Box<Credentials>),
    /// Open this; answer with `handle_opened` or `handle_refused`.
    Subscribe(Box<Wanted>),
    /// End this, its data streams at the end of a frame; answer with `handle_ended`. It may not be open yet.
    Unsubscribe {
        /// The client's number.
        subscription: u32,
    },
    /// Keep these positions of the principal's subscriber; answer with `handle_committed`, in the order of these actions.
    Commit {
        /// A name of the right form.
        subscriber: String,
        /// Partitions with the first offset that is not processed.
        positions: Vec<(u32, u64)>,
    },
    /// Append this; answer with `handle_appended`. Those of one partition must keep their order.
    Append(Append),
}

/// What the client says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Program and version.
    pub agent: String,
    /// A bearer token; empty: none.
    pub token: String,
    /// User name; empty: none.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl Credentials {
    pub(super) fn of(hello: &Hello<'_>) -> Self {
        Self {
            agent: hello.agent.to_owned(),
            token: hello.token.to_owned(),
            user: hello.user.to_owned(),
            password: hello.password.to_owned(),
        }
    }
}

/// Who the client is, what it may do, and what it is told about the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Its name among principals; empty for an anonymous one.
    pub principal: String,
    /// Sum of [`Welcome::MAY_READ`], [`Welcome::MAY_PUBLISH`] and [`Welcome::MAY_COMMIT`].
    pub permissions: u64,
    /// Partitions of the log.
    pub partitions: u32,
    /// 0 memory, 1 written, 2 synced.
    pub ack_level: u64,
    /// The node's name.
    pub node: String,
    /// Program and version of the node.
    pub agent: String,
    /// When the token's time is over, in milliseconds since the Unix epoch.
    pub expires_ms: Option<u64>,
}

impl Grant {
    pub(super) fn may_read(&self) -> bool {
        self.permissions & Welcome::MAY_READ != 0
    }

    pub(super) fn may_publish(&self) -> bool {
        self.permissions & Welcome::MAY_PUBLISH != 0
    }

    pub(super) fn may_commit(&self) -> bool {
        self.permissions & Welcome::MAY_COMMIT != 0
    }

    pub(super) fn name(&self) -> &str {
        if self.principal.is_empty() { "an anonymous client" } else { &self.principal }
    }
}

/// Where a subscription is to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// Behind the last event.
    Latest,
    /// At the first event that the log has.
    Earliest,
    /// At the first event accepted at this time or later, in milliseconds since the Unix epoch.
    Time(u64),
    /// Where this subscriber of the principal committed last.
    Cursor {
        /// Its name.
        subscriber: String,
        /// For partitions without a commit: at the first event.
        else_earliest: bool,
    },
    /// At these offsets; these partitions are all that are wanted.
    Offsets(Vec<(u32, u64)>),
}

/// A subscription that a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The client's number.
    pub subscription: u32,
    /// A named route; empty: all events of the node.
    pub route: String,
    /// The filter; empty: all events of the source.
    pub filter: String,
    /// What it is written in.
    pub dialect: Dialect,
    /// The partitions wanted, all of which exist; empty: all, or those of `start`.
    pub partitions: Vec<u32>,
    /// Where it begins.
    pub start: StartAt,
    /// Most data streams.
    pub groups_max: u32,
}

impl Wanted {
    pub(super) fn of(wanted: &Subscribe<'_>, groups_max: u32) -> Self {
        Self {
            subscription: wanted.subscription,
            route: wanted.route.to_owned(),
            filter: wanted.filter.to_owned(),
            dialect: wanted.dialect,
            partitions: wanted.partitions.iter().collect(),
            start: match wanted.start {
                Start::Latest => StartAt::Latest,
                Start::Earliest => StartAt::Earliest,
                Start::Time(ms) => StartAt::Time(ms),
                Start::Cursor { subscriber, else_earliest } => {
                    StartAt::Cursor { subscriber: subscriber.to_owned(), else_earliest }
                }
                Start::Offsets(pairs) => StartAt::Offsets(pairs.iter().collect()),
            },
            groups_max: wanted.groups.min(groups_max),
        }
    }
}

/// A partition that is asked for and that a log of `partitions` does not have.
pub(super) fn foreign_partition(wanted: &Subscribe<'_>, partitions: u32) -> Option<u32> {
    let mut listed = wanted.partitions.iter();
    let started = match wanted.start {
        Start::Offsets(pairs) => pairs.iter().map(|(partition, _)| partition).find(|found| *found >= partitions),
        _ => None,
    };
    listed.find(|partition| *partition >= partitions).or(started)
}

/// A subscription as it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Per data stream its partitions, ascending, with the offsets that they begin at. At least one, at most as many as wanted.
    pub groups: Vec<Vec<(u32, u64)>>,
    /// What the route adds to every event. When this changes, the subscription has to be ended with [`Code::SOURCE_CHANGED`].
    pub properties: Vec<(String, String)>,
    /// What is doubtful about the filter.
    pub warnings: Vec<String>,
    /// The client may see events that do not match its filter: they lie in whole batches.
    pub may_see_all: bool,
}

/// Which published batch an outcome is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishTicket {
    pub(super) publish: u32,
    pub(super) partition: u32,
    pub(super) sequence: u64,
    pub(super) count: u32,
    pub(super) bytes: usize,
    /// How many batches of the partition the log had refused before.
    pub(super) round: u32,
}

/// A published batch.
#[derive(Debug)]
pub struct Append {
    /// For the outcome.
    pub ticket: PublishTicket,
    /// It has a [producer's stamp](Batch::producer) and the time that was handed in with its bytes; its events are well formed.
    pub batch: Batch,
}

/// A published batch is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The offset behind its last event; 0: not known, it had been kept before.
    pub end_offset: u64,
}

/// A published batch is not in the log, nor are those behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Why.
    pub code: Code,
    /// Why, for people.
    pub text: String,
    /// With [`Code::OUT_OF_ORDER`]: the sequence that the log goes on with.
    pub expected: Option<u64>,
}
