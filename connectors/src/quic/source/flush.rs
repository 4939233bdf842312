//! Writing without a task: what is to go out in a turn of the core is given to quinn at its end, each stream's bytes together.
//!
//! A stream that does not take all at once is left to a task of its own. What always holds: what is listed is written once, after
//! all that was ready to run when it was listed.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use futures_util::FutureExt;
use quinn::{SendStream, WriteError};

use super::Core;
use super::outlet::Outlet;

/// The data streams of a core that have something to send.
#[derive(Default)]
pub(super) struct Flushes {
    listed: RefCell<Vec<(Outlet, usize)>>,
    waker: RefCell<Option<Waker>>,
}

impl Flushes {
    /// Has the group's bytes written at the end of the turn.
    pub fn list(&self, outlet: Outlet, group: usize) {
        self.listed.borrow_mut().push((outlet, group));
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// Runs for ever.
pub(super) async fn run(core: Rc<Core>) {
    let mut writing = Vec::new();
    std::future::poll_fn(move |cx| {
        match &mut *core.flushes.waker.borrow_mut() {
            Some(known) => known.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        std::mem::swap(&mut writing, &mut *core.flushes.listed.borrow_mut());
        for (outlet, group) in writing.drain(..) {
            outlet.write_now(group);
        }
        Poll::<()>::Pending
    })
    .await
}

/// Gives the stream as much as it takes now; what is left is not empty.
pub(super) fn write_now(stream: &mut SendStream, mut pieces: Vec<Bytes>) -> Result<Vec<Bytes>, WriteError> {
    match stream.write_all_chunks(&mut pieces).now_or_never() {
        Some(written) => written.map(|()| Vec::new()),
        None => {
            // What was taken is empty now, or begins later.
            pieces.retain(|piece| !piece.is_empty());
            Ok(pieces)
        }
    }
}
