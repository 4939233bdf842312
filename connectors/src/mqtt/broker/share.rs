//! Shared subscriptions: each message to one member of the group (MQTT 5, section 4.8.2).
//!
//! A share has a home, one core that alone chooses who gets what, so that nothing is given twice or to nobody. What always holds: a
//! member gets no more than it has credit for; while no member can take a message the share falls behind, and
//! goes on from the log; what a member did not send when it left is given to others.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use engine::batch::Batch;
use engine::event::Event;

use super::backlog::{BacklogStep, Reading};
use super::deliver::Target;
use super::{Broker, Place};
use crate::mqtt::connection::{Connection, Given, Phase};
use crate::mqtt::limits::SHARE_CREDIT;
use crate::mqtt::mail::{Mail, Member};
use crate::mqtt::mapping::{self, Message};
use crate::mqtt::session::Position;
use crate::mqtt::topics::filter_takes;

/// A client of a share.
#[derive(Debug)]
struct Sharer {
    client_id: Arc<str>,
    /// Where it is; `None`: away, its session stays.
    place: Option<Place>,
    member: Member,
    credit: u32,
}

/// A share at its home.
#[derive(Debug)]
pub(super) struct Group {
    share: Box<str>,
    filter: Box<str>,
    sharers: Vec<Sharer>,
    /// Whose turn it is.
    next: usize,
    position: Position,
    /// Partition and offset of what came back.
    returned: VecDeque<(u32, u64)>,
    has_reader: bool,
    /// Its reader was sent for the first of what came back.
    reads_returned: bool,
    pub waker: Option<Waker>,
}

impl Group {
    /// Who is to get the next message; its credit is used.
    fn choose(&mut self) -> Option<(Place, Member)> {
        let count = self.sharers.len();
        for step in 0..count {
            let at = (self.next + step) % count;
            let sharer = &mut self.sharers[at];
            if let Some(place) = sharer.place.filter(|_| sharer.credit > 0) {
                sharer.credit -= 1;
                self.next = at + 1;
                return Some((place, sharer.member));
            }
        }
        None
    }

    fn can_give(&self) -> bool {
        self.sharers.iter().any(|sharer| sharer.place.is_some() && sharer.credit > 0)
    }

    fn is_attended(&self) -> bool {
        self.sharers.iter().any(|sharer| sharer.place.is_some())
    }

    fn has_backlog(&self) -> bool {
        self.position != Position::Live || !self.returned.is_empty()
    }
}

/// The core that a share, `GROUP/FILTER`, has its home on: the same whoever asks.
pub fn home_of(share: &str, cores: u16) -> u16 {
    // FNV-1a
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = share.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step);
    (hash % u64::from(cores.max(1))) as u16
}

impl Broker {
    pub(super) fn group(&mut self, number: u32) -> Option<&mut Group> {
        self.groups.get_mut(number as usize)?.as_deref_mut()
    }

    /// A client is a member now, or is one that has gone away for a time.
    pub(super) fn share_join(
        &mut self,
        share: Box<str>,
        client_id: Arc<str>,
        place: Option<Place>,
        member: Member,
        since: Option<Box<[u64]>>,
    ) {
        let number = match self.group_numbers.get(&share) {
            Some(number) => *number,
            None => {
                let number = self.groups.len() as u32;
                let filter: Box<str> = share.split_once('/').map_or("", |(_, filter)| filter).into();
                self.subscriptions.insert(&filter, Target::Group(number));
                self.known_topics.clear();
                self.group_numbers.insert(share.clone(), number);
                // What this core's tap has shown since the client subscribed is in the log.
                let position = match since {
                    Some(since) if (0..).zip(&since).all(|(at, since): (usize, _)| *since >= self.tap[at]) => {
                        Position::Live
                    }
                    Some(since) => {
                        Position::At(since.iter().zip(&self.tap).map(|(since, tap)| *since.min(tap)).collect())
                    }
                    None => Position::At(self.node.checkpoint.clone()),
                };
                let (sharers, returned) = (Vec::new(), VecDeque::new());
                let group = Group {
                    share,
                    filter,
                    sharers,
                    next: 0,
                    position,
                    returned,
                    has_reader: false,
                    reads_returned: false,
                    waker: None,
                };
                self.groups.push(Some(Box::new(group)));
                number
            }
        };
        let tap = self.tap.clone();
        let Some(group) = self.group(number) else { return };
        let sharer = Sharer { client_id, place, member, credit: SHARE_CREDIT };
        match group.sharers.iter_mut().find(|known| known.client_id == sharer.client_id) {
            Some(known) => *known = sharer,
            None => group.sharers.push(sharer),
        }
        if !group.is_attended() && group.position == Position::Live {
            group.position = Position::At(tap);
        }
        self.read_share(number);
    }

    /// A client is no member any more. The last one takes the share with it.
    pub(super) fn share_leave(&mut self, share: &str, client_id: &str) {
        let Some(number) = self.group_numbers.get(share).copied() else { return };
        let tap = self.tap.clone();
        let Some(group) = self.group(number) else { return };
        group.sharers.retain(|sharer| &*sharer.client_id != client_id);
        if group.sharers.is_empty() {
            let waker = group.waker.take();
            let filter = group.filter.clone();
            self.groups[number as usize] = None;
            self.group_numbers.remove(share);
            self.subscriptions.remove(&filter, |target| *target == Target::Group(number));
            self.known_topics.clear();
            if let Some(waker) = waker {
                waker.wake();
            }
        } else if !group.is_attended() && group.position == Position::Live {
            group.position = Position::At(tap);
        }
    }

    /// Has the backlog of a share read, if it has one and somebody to give it to.
    fn read_share(&mut self, number: u32) {
        let Some(group) = self.group(number) else { return };
        if !group.has_backlog() || !group.is_attended() {
            return;
        }
        if let Some(waker) = group.waker.take() {
            waker.wake();
        }
        if !group.has_reader {
            group.has_reader = true;
            self.effects.readers.push(Reading::Share(number));
        }
    }

    pub(super) fn deliver_to_group(
        &mut self,
        number: u32,
        batch: &Arc<Batch>,
        row: usize,
        event: &Event<'_>,
        _message: &Message<'_>,
    ) {
        debug_assert_eq!(self.tap[batch.partition() as usize], event.offset());
        let Some(group) = self.group(number) else { return };
        if group.position != Position::Live {
            return;
        }
        match group.choose() {
            Some((to, member)) => self.give(number, to, member, batch, row),
            None => {
                let tap = self.tap.clone();
                if let Some(group) = self.group(number) {
                    group.position = Position::At(tap);
                }
                self.read_share(number);
            }
        }
    }

    fn give(&mut self, number: u32, to: Place, member: Member, batch: &Arc<Batch>, row: usize) {
        let group = (self.core, number);
        self.mail(to.core, Mail::ShareGive { to, batch: batch.clone(), row: row as u16, member, group });
    }

    /// This core has the member: the message is sent when there is room.
    pub(super) fn share_give(&mut self, to: Place, batch: Arc<Batch>, row: u16, member: Member, group: (u16, u32)) {
        let place = (batch.partition(), batch.base_offset() + u64::from(row));
        let mut connection = self.take(to);
        let Some(open) = connection.as_mut().filter(|connection| connection.phase == Phase::Open) else {
            let (home, group) = group;
            let back = Mail::ShareCredit { group, client_id: Arc::from(""), credit: 0, unsent: vec![place] };
            self.mail(home, back);
            if let Some(connection) = connection {
                self.put(connection);
            }
            return;
        };
        let Member { qos, retain_as_published, id } = member;
        open.given.push_back(Given { batch, row, qos, retain_as_published, id, group });
        self.send_waiting(open);
        if let Some(connection) = connection {
            self.put(connection);
        }
    }

    /// A connection ends: what it was given and did not send goes back.
    pub(super) fn return_given(&mut self, connection: &mut Connection) {
        for given in std::mem::take(&mut connection.given) {
            let (home, group) = given.group;
            let place = (given.batch.partition(), given.batch.base_offset() + u64::from(given.row));
            let client_id = connection.client_id.clone();
            self.mail(home, Mail::ShareCredit { group, client_id, credit: 0, unsent: vec![place] });
        }
    }

    pub(super) fn share_credit(&mut self, number: u32, client_id: &str, credit: u32, unsent: Vec<(u32, u64)>) {
        let Some(group) = self.group(number) else { return };
        if let Some(sharer) = group.sharers.iter_mut().find(|sharer| &*sharer.client_id == client_id) {
            sharer.credit = (sharer.credit + credit).min(SHARE_CREDIT);
        }
        group.returned.extend(unsent);
        self.read_share(number);
    }

    pub(super) fn share_step(&mut self, number: u32, waker: &Waker) -> BacklogStep {
        let Self { groups, tap, .. } = self;
        let Some(group) = groups.get_mut(number as usize).and_then(Option::as_deref_mut) else {
            return BacklogStep::End;
        };
        if !group.is_attended() {
            group.has_reader = false;
            return BacklogStep::End;
        }
        if !group.can_give() {
            group.waker = Some(waker.clone());
            return BacklogStep::Wait;
        }
        group.reads_returned = !group.returned.is_empty();
        if let Some((partition, from)) = group.returned.front() {
            return BacklogStep::Read { partition: *partition, from: *from };
        }
        if let Position::At(position) = &group.position {
            let next = position.iter().zip(tap.iter()).position(|(at, tap)| at < tap);
            if let Some(partition) = next {
                return BacklogStep::Read { partition: partition as u32, from: position[partition] };
            }
            group.position = Position::Live;
        }
        group.has_reader = false;
        BacklogStep::End
    }

    pub(super) fn share_give_backlog(&mut self, number: u32, partition: u32, batches: &[Arc<Batch>]) {
        let Some(group) = self.group(number) else { return };
        if let Some((_, offset)) = group.returned.front().copied().filter(|_| group.reads_returned) {
            let holds = |batch: &&Arc<Batch>| (batch.base_offset()..=batch.last_offset()).contains(&offset);
            let Some(batch) = batches.iter().find(holds) else {
                // The log no longer has it.
                group.returned.pop_front();
                return;
            };
            // While it was read, the tap may have used up what members take.
            let Some((to, member)) = group.choose() else { return };
            group.returned.pop_front();
            self.give(number, to, member, batch, (offset - batch.base_offset()) as usize);
            return;
        }
        let upto = self.tap[partition as usize];
        for batch in batches {
            for row in 0..batch.rows().len() {
                let event = Event::new(batch, row);
                let Some(group) = self.group(number) else { return };
                let Position::At(position) = &mut group.position else { return };
                let at = &mut position[partition as usize];
                if event.offset() >= upto {
                    return;
                }
                if event.offset() < *at {
                    continue;
                }
                *at = event.offset();
                let is_wanted =
                    mapping::message(&event).is_some_and(|message| filter_takes(&group.filter, message.topic));
                if is_wanted {
                    let Some((to, member)) = group.choose() else { return };
                    self.give(number, to, member, batch, row);
                }
                if let Some(Position::At(position)) = self.group(number).map(|group| &mut group.position) {
                    position[partition as usize] = event.offset() + 1;
                }
            }
        }
    }

    pub(super) fn share_skip(&mut self, number: u32, partition: u32, next: u64) {
        let Some(group) = self.group(number) else { return };
        if group.reads_returned {
            group.returned.pop_front();
            return;
        }
        let Position::At(position) = &mut group.position else { return };
        let at = &mut position[partition as usize];
        let lost = next.saturating_sub(*at);
        *at = next.max(*at);
        tracing::warn!(share = %group.share, partition, lost_events = lost, "the log no longer has what a share had still to get");
        self.counts.lost_events += lost;
    }
}
