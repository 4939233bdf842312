//! What the outside does when the test says so: the log, the taps, the mail, the readers.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use engine::batch::Batch;
use engine::mesh::{Ack, Placed, Refused, Submitted};

use super::super::super::BacklogStep;
use super::{PARTITIONS, World};

impl World {
    /// The log takes the batch that stands there.
    pub fn write(&mut self, at: usize) {
        let Some((core, Submitted { mut batch, ticket })) = self.unwritten.remove(at) else { return };
        let partition = batch.partition();
        let log = &mut self.log[partition as usize];
        let base_offset = log.last().map_or(0, |batch| batch.last_offset() + 1);
        batch.set_base_offset(base_offset);
        let rows = batch.rows().len() as u32;
        log.push(Arc::new(batch));
        self.unacked.push_back((core, ticket, Placed { partition, base_offset, rows, duplicates: 0 }));
    }

    /// The log cannot take the batch that stands there.
    pub fn refuse(&mut self, at: usize) {
        let Some((core, submitted)) = self.unwritten.remove(at) else { return };
        self.answer(core, Ack { ticket: submitted.ticket, result: Err(Refused::LogFailed) });
    }

    /// A batch that was written is acknowledged.
    pub fn ack(&mut self, at: usize) {
        let Some((core, ticket, placed)) = self.unacked.remove(at) else { return };
        let head = placed.base_offset + u64::from(placed.rows);
        self.acked.set(placed.partition, head.max(self.acked.get(placed.partition)));
        self.answer(core, Ack { ticket, result: Ok(placed) });
    }

    fn answer(&mut self, core: usize, ack: Ack) {
        self.cores[core].back.push(ack).expect("room");
        let mut run = pin!(self.cores[core].intake.run_acks());
        assert!(run.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }

    /// A core's tap sees the next batch of a partition.
    pub fn show(&mut self, core: usize, partition: usize) -> bool {
        let seen = &mut self.cores[core].seen[partition];
        let Some(batch) = self.log[partition].get(*seen).cloned() else { return false };
        *seen += 1;
        self.brokers[core].deliver(&batch);
        self.turn(core);
        true
    }

    pub fn show_all(&mut self, core: usize) -> bool {
        (0..PARTITIONS as usize).fold(false, |any, partition| {
            let mut is_shown = any;
            while self.show(core, partition) {
                is_shown = true;
            }
            is_shown
        })
    }

    /// The next mail of a core arrives.
    pub fn mail(&mut self, core: usize) -> bool {
        let Ok(mail) = self.cores[core].mail.try_recv() else { return false };
        self.brokers[core].handle_mail(mail);
        self.turn(core);
        true
    }

    /// One step of one reader, if one has something to do.
    pub fn read(&mut self, at: usize, batches_max: usize) -> bool {
        let Some(reader) = self.readers.get_mut(at) else { return false };
        let (core, reading) = (reader.core, reader.reading);
        if let Some((partition, from)) = reader.asked.take() {
            let broker = &mut self.brokers[core];
            let first = self.removed[partition as usize];
            if from < first {
                broker.backlog_skip(reading, partition, first);
            } else {
                let batches = read(&self.log, partition, from, batches_max);
                assert!(!batches.is_empty(), "a reader is sent where the log has nothing: {partition}/{from}");
                broker.backlog_give(reading, partition, &batches);
            }
            Waker::from(reader.flag.clone()).wake();
            self.turn(core);
            return true;
        }
        if !reader.flag.take() {
            return false;
        }
        match self.brokers[core].backlog_step(reading, &Waker::from(reader.flag.clone())) {
            BacklogStep::Read { partition, from } => reader.asked = Some((partition, from)),
            BacklogStep::Wait => {}
            BacklogStep::End => drop(self.readers.remove(at)),
        }
        self.turn(core);
        true
    }
}

pub(super) fn read(log: &[Vec<Arc<Batch>>], partition: u32, from: u64, batches_max: usize) -> Vec<Arc<Batch>> {
    log[partition as usize].iter().filter(|batch| batch.last_offset() >= from).take(batches_max).cloned().collect()
}
