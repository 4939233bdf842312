//! What the node does for the clients of this listener: it knows routes, lanes and cursors, and the listener does not.

use std::future::Future;
use std::pin::Pin;

use super::Outlet;
use crate::quic::frame::Code;
use crate::quic::session::server::{Opened, Wanted};

/// A future that stays on its core.
pub type Local<T> = Pin<Box<dyn Future<Output = T>>>;

/// Why something is not done, as the client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The code.
    pub code: Code,
    /// Why.
    pub text: String,
    /// What to do; empty: what the code says.
    pub advice: String,
}

impl Rejection {
    /// With the code's own advice.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), advice: String::new() }
    }
}

/// A subscription that is open.
pub struct Serving {
    /// What the client is told.
    pub opened: Opened,
    /// Feeds the outlet. Resolves when the node ends the subscription, and is dropped when the client does.
    pub run: Local<Rejection>,
}

/// See the module. One per core.
pub trait Hub {
    /// Opens a subscription of a principal, whose events go to `outlet` once [`Serving::run`] runs.
    fn open(&self, principal: String, wanted: Wanted, outlet: Outlet) -> Local<Result<Serving, Rejection>>;

    /// Keeps a subscriber's positions. Commits that were begun one after the other are done in that order.
    fn commit(&self, principal: &str, subscriber: &str, positions: Vec<(u32, u64)>) -> Local<Result<(), Rejection>>;
}
