//! Faults put into the code on purpose, to show that the simulator finds such.

/// What is wrong with the node under test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sabotage {
    /// Nothing.
    #[default]
    None,
    /// Segments are never synced.
    SkipSync,
    /// A sync that failed is taken for one that did not.
    RepeatFailedSync,
    /// It is not made durable where a segment that failed ends.
    ForgetWhereSegmentsEnd,
    /// A cursor is committed when a delivery is handed over, not when it is settled.
    CommitCursorsEarly,
    /// The last row of a delivery is lost between lane and sink.
    DropLastRow,
    /// A delivery is handed over twice.
    DeliverTwice,
    /// Groups that could not be written are acknowledged.
    AcknowledgeFailures,
    /// After a failure the shard's groups are written without waiting for its new start.
    IgnoreRestart,
    /// A receiver's failure is taken for success.
    SettleFailures,
    /// The order of a key is not kept through retries.
    LetKeysOvertake,
    /// A start believes what is stored of numbered publishers, and does not read the log behind it.
    IgnoreLogBehindReports,
}

impl Sabotage {
    /// All but nothing.
    pub const ALL: [Self; 11] = [
        Self::SkipSync,
        Self::RepeatFailedSync,
        Self::ForgetWhereSegmentsEnd,
        Self::CommitCursorsEarly,
        Self::DropLastRow,
        Self::DeliverTwice,
        Self::AcknowledgeFailures,
        Self::IgnoreRestart,
        Self::SettleFailures,
        Self::LetKeysOvertake,
        Self::IgnoreLogBehindReports,
    ];

    /// The one that is called `name`.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sabotage| format!("{sabotage:?}").eq_ignore_ascii_case(name))
    }
}
