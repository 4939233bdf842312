//! The turn: what was published since the last one goes to the shards together, and what became of it to those who published it.

use std::rc::Rc;
use std::task::Poll;

use engine::mesh::{Placed, Refused};

use super::Core;
use super::connection::Session;
use super::stats::add;
use crate::quic::frame::Code;
use crate::quic::session::server::{Kept, Rejected};

/// Runs for ever.
pub async fn run(core: Rc<Core>) {
    let mut done = Vec::new();
    // Whose batches were among them, each once: its ACKs leave together.
    let mut told: Vec<Rc<Session>> = Vec::new();
    std::future::poll_fn(move |cx| {
        match &mut *core.turn_waker.borrow_mut() {
            Some(known) => known.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        let has_room = {
            let mut appends = core.appends.borrow_mut();
            appends.take_done(cx.waker(), &mut done);
            appends.flush(cx.waker())
        };
        for (number, result) in done.drain(..) {
            let whose = core.appending.borrow_mut().get_mut(number as usize).and_then(Option::take);
            let Some((session, ticket)) = whose else { continue };
            if result.is_err() {
                add(&core.stats.refused_publishes, 1);
            }
            session.appended(&ticket, result.map(kept).map_err(rejected));
            if !session.is_told.replace(true) {
                told.push(session);
            }
        }
        for session in told.drain(..) {
            session.is_told.set(false);
            session.act();
        }
        core.is_blocked.set(!has_room);
        if has_room {
            core.unblocked.notify_waiters();
        }
        Poll::<()>::Pending
    })
    .await
}

fn kept(placed: Placed) -> Kept {
    // Of events that were kept before nobody knows where they lie.
    let end_offset = if placed.rows == 0 { 0 } else { placed.base_offset + u64::from(placed.rows) };
    Kept { end_offset }
}

fn rejected(refused: Refused) -> Rejected {
    let (code, expected) = match refused {
        Refused::Stopping => (Code::GOING_AWAY, None),
        Refused::LogFailed => (Code::LOG_FAILED, None),
        Refused::OutOfOrder { expected } => (Code::OUT_OF_ORDER, Some(expected)),
    };
    Rejected { code, text: refused.to_string(), expected }
}
