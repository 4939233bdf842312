//! The turn: what the broker wants done, for all connections that had something to say since the last one.

use std::rc::Rc;
use std::task::Poll;

use super::{Core, backlog};
use crate::mqtt::access::Refusal;

/// Clients of a core whose password waits to be hashed, at some 20 ms each; others are told to come again.
const ATTEMPTS_MAX: usize = 256;

/// Runs for ever.
pub async fn run(core: Rc<Core>) {
    let mut done = Vec::new();
    std::future::poll_fn(move |cx| {
        match &mut *core.turn_waker.borrow_mut() {
            Some(known) => known.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        core.turn_is_due.set(false);
        let mut broker = core.broker.borrow_mut();
        broker.set_now(super::now(core.began));
        broker.batches().take_done(cx.waker(), &mut done);
        if !done.is_empty() {
            broker.acknowledged(&done);
            done.clear();
        }
        // What one mail brings about may be another.
        while !broker.effects.mails.is_empty() {
            let mails = std::mem::take(&mut broker.effects.mails);
            for (to, mail) in mails {
                if to == broker.core() {
                    broker.handle_mail(mail);
                } else {
                    broker.node().mailboxes().send(to, mail);
                }
            }
        }
        let has_room = broker.flush(cx.waker());
        for (place, attempt) in std::mem::take(&mut broker.effects.attempts) {
            if core.waiting_attempts.get() >= ATTEMPTS_MAX {
                broker.authenticated(place, Err(Refusal::Unavailable("too many passwords wait to be looked at")));
                continue;
            }
            core.waiting_attempts.set(core.waiting_attempts.get() + 1);
            let core = core.clone();
            tokio::task::spawn_local(async move {
                // It is never closed; one hash at a time takes a thread and up to 256 MiB.
                let _permit = core.hashing.acquire().await;
                core.waiting_attempts.set(core.waiting_attempts.get() - 1);
                let node = core.broker.borrow().node().clone();
                let now_s = u64::try_from(super::now(core.began).unix_ms / 1000).unwrap_or(0);
                let hashed = tokio::task::spawn_blocking(move || node.access.authenticate(&attempt, now_s)).await;
                match hashed {
                    Ok(result) => core.with(|broker| broker.authenticated(place, result)),
                    Err(error) => {
                        tracing::error!(%error, "authentication ended unexpectedly");
                        core.with(|broker| broker.lost(place));
                    }
                }
            });
        }
        for reading in std::mem::take(&mut broker.effects.readers) {
            tokio::task::spawn_local(backlog::read(core.clone(), reading));
        }
        broker.set_blocked(!has_room);
        broker.wake_touched();
        broker.show_counts();
        drop(broker);
        core.is_blocked.set(!has_room);
        if has_room {
            for waker in core.blocked.borrow_mut().drain(..) {
                waker.wake();
            }
        }
        Poll::<()>::Pending
    })
    .await;
}
