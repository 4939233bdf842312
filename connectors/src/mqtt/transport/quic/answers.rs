//! Which stream waits for which answer.

use std::collections::VecDeque;

use super::cut::{self, Answer, Answered};

/// Most answers that a client's data streams wait for. The broker takes no more unacknowledged messages than its receive maximum;
/// this bounds what those and all other packets together take here.
pub(super) const ANSWERS_MAX: usize = 4096;

/// Packets of data streams, in the order in which they came; answers come mostly in the same.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: VecDeque<(u64, Answer)>,
}

impl Answers {
    /// No data stream waits for one.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether packets of data streams can be taken. One read may bring more than there is room for.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < ANSWERS_MAX
    }

    /// A packet came on a data stream; whether it will be answered.
    pub(super) fn expect(&mut self, stream: u64, packet: &[u8]) -> bool {
        let Answered::With(answer) = cut::answered(packet) else { return false };
        self.waiting.push_back((stream, answer));
        true
    }

    /// The data stream that waits for this packet.
    pub(super) fn stream_of(&self, packet: &[u8]) -> Option<u64> {
        self.find(packet).map(|at| self.waiting[at].0)
    }

    /// The packet goes to its stream.
    pub(super) fn take(&mut self, packet: &[u8]) {
        if let Some(at) = self.find(packet) {
            self.waiting.remove(at);
        }
        if self.waiting.is_empty() {
            // A client that is silent has nothing here.
            self.waiting = VecDeque::new();
        }
    }

    fn find(&self, packet: &[u8]) -> Option<usize> {
        let answer = cut::answer(packet)?;
        self.waiting.iter().position(|(_, waiting)| *waiting == answer)
    }
}
