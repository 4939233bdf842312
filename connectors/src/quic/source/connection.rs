//! One connection: its task, and what its core asks for.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use engine::lane::Delivery;
use engine::mesh::AckLevel;
use quinn::{Connection, ReadError, RecvStream, SendStream};
use tokio::sync::Notify;

use super::flush::write_now;
use super::outlet::{Outlet, Subscription, abandon};
use super::stats::add;
use super::{Core, Rejection, SessionStats, code, publish};
use crate::mqtt::access::{Attempt, Identity, JWT_METHODS};
use crate::quic::endpoint::{Arrived, Confirmed, ConnectionPermit};
use crate::quic::frame::{Code, Welcome};
use crate::quic::session::server::{
    Action, Append, Credentials, Grant, Kept, Outgoing, PublishTicket, Rejected, Server, Wanted,
};
use crate::quic::session::{Fault, Server as SessionCore};
use crate::tls::ClientCertificate;

/// Longest time from the end of the handshake to HELLO.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// A token may name any time; beyond this the clock cannot count, and no connection lives so long.
const EXPIRY_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Bytes that are read from the control stream at a time.
const READ_BYTES_MAX: usize = 64 * 1024;

/// See the module.
pub struct Session {
    core: Rc<Core>,
    number: u64,
    connection: Connection,
    server: RefCell<SessionCore>,
    /// Of a handshake that was not over when this was looked at last.
    confirmed: RefCell<Option<Confirmed>>,
    certificate: RefCell<Option<ClientCertificate>>,
    identity: RefCell<Option<Identity>>,
    permissions: Cell<u64>,
    /// The control stream, unless somebody writes to it.
    control: RefCell<Option<SendStream>>,
    subscriptions: RefCell<Vec<Rc<Subscription>>>,
    /// The core may want bytes of the control stream again.
    wants_control: Notify,
    /// The core may want bytes of publish streams again.
    wants_publish: Notify,
    authenticated: Notify,
    /// In this turn a batch of it was appended.
    pub(super) is_told: Cell<bool>,
    _permit: ConnectionPermit,
}

/// Serves a connection to its end.
pub(super) async fn run(core: Rc<Core>, arrived: Arrived) {
    let Arrived { connection, certificate, early, permit, .. } = arrived;
    let (control, confirmed) = match early {
        Some(early) => (Some(early.control), Some(early.confirmed)),
        None => (None, None),
    };
    let number = core.next_session.get();
    core.next_session.set(number + 1);
    let session = Rc::new(Session {
        server: RefCell::new(SessionCore::new(core.shared.limits, confirmed.is_none())),
        number,
        confirmed: RefCell::new(confirmed),
        connection,
        certificate: RefCell::new(certificate),
        identity: RefCell::new(None),
        permissions: Cell::new(0),
        control: RefCell::new(None),
        subscriptions: RefCell::new(Vec::new()),
        wants_control: Notify::new(),
        wants_publish: Notify::new(),
        authenticated: Notify::new(),
        is_told: Cell::new(false),
        _permit: permit,
        core: core.clone(),
    });
    core.sessions.borrow_mut().insert(number, session.clone());
    session.serve(control).await;
    core.sessions.borrow_mut().remove(&number);
    for subscription in session.subscriptions.borrow_mut().drain(..) {
        subscription.end();
    }
    session.wants_publish.notify_waiters();
}

impl Session {
    async fn serve(self: &Rc<Self>, control: Option<(SendStream, RecvStream)>) {
        let hello = async {
            let (send, receive) = match control {
                Some(control) => control,
                None => self.connection.accept_bi().await.ok()?,
            };
            *self.control.borrow_mut() = Some(send);
            Some(receive)
        };
        let Ok(Some(mut receive)) = tokio::time::timeout(HELLO_TIMEOUT, hello).await else {
            return self.close(Code::TIMEOUT, "no control stream and HELLO within 10 seconds");
        };
        let mut deadline = pin!(tokio::time::sleep(HELLO_TIMEOUT));
        let mut has_deadline = true;
        loop {
            let wants_control = self.server.borrow().wants_control();
            // Also of a client that may not publish: the core says so.
            let is_known = self.identity.borrow().is_some();
            tokio::select! {
                read = receive.read_chunk(READ_BYTES_MAX, true), if wants_control => match read {
                    Ok(Some(chunk)) => if !self.with(|server| server.handle_control(&chunk.bytes)) {
                        return;
                    },
                    Ok(None) | Err(ReadError::Reset(_)) => {
                        return self.fault(&Fault::new(Code::PROTOCOL, "the control stream ended before the connection"));
                    }
                    Err(_) => return,
                },
                stream = self.connection.accept_uni(), if is_known => match stream {
                    Ok(stream) => drop(tokio::task::spawn_local(publish::run(self.clone(), stream))),
                    Err(_) => return,
                },
                stream = self.connection.accept_bi() => match stream {
                    Ok(_) => {
                        return self.fault(&Fault::new(Code::PROTOCOL, "a second bidirectional stream"));
                    }
                    Err(_) => return,
                },
                () = self.wants_control.notified(), if !wants_control => {}
                () = self.authenticated.notified() => {
                    has_deadline = false;
                    let expires_s = self.identity.borrow().as_ref().and_then(|identity| identity.expires_at_s);
                    if let Some(expires_s) = expires_s {
                        let now_s = u64::try_from(super::unix_ms() / 1000).unwrap_or(0);
                        let left = Duration::from_secs(expires_s.saturating_sub(now_s)).min(EXPIRY_MAX);
                        deadline.as_mut().reset(tokio::time::Instant::now() + left);
                        has_deadline = true;
                    }
                }
                () = &mut deadline, if has_deadline => {
                    return match self.identity.borrow().is_some() {
                        true => self.close(Code::AUTH_EXPIRED, "the token's time is over"),
                        false => self.close(Code::TIMEOUT, "no HELLO within 10 seconds"),
                    };
                }
            }
        }
    }

    /// Does something with the session core, and what that brings about; `false`: the connection is over.
    pub(super) fn with(self: &Rc<Self>, work: impl FnOnce(&mut Server) -> Result<(), Fault>) -> bool {
        let is_over = self.confirmed.borrow().as_ref().is_some_and(Confirmed::is_over);
        if is_over {
            *self.confirmed.borrow_mut() = None;
            self.server.borrow_mut().handle_confirmed();
        }
        let worked = work(&mut self.server.borrow_mut());
        if let Err(fault) = worked {
            self.fault(&fault);
            return false;
        }
        self.act();
        self.connection.close_reason().is_none()
    }

    /// What became of a batch. Once all of a turn are in, [`act`](Self::act) is to be called.
    pub(super) fn appended(&self, ticket: &PublishTicket, result: Result<Kept, Rejected>) {
        self.server.borrow_mut().handle_appended(ticket, result);
    }

    /// Does what the core asks for, and sends what it has to say.
    pub(super) fn act(self: &Rc<Self>) {
        loop {
            let action = self.server.borrow_mut().poll_action();
            match action {
                None => break,
                Some(Action::Authenticate(credentials)) => self.authenticate(*credentials),
                Some(Action::Subscribe(wanted)) => {
                    // Known before its task runs: UNSUBSCRIBE may be the next action.
                    let outlet = Outlet::new(wanted.subscription, self);
                    self.subscriptions.borrow_mut().push(outlet.subscription().clone());
                    tokio::task::spawn_local(subscribe(self.clone(), *wanted, outlet));
                }
                Some(Action::Unsubscribe { subscription }) => {
                    let subscriptions = self.subscriptions.borrow();
                    if let Some(found) = subscriptions.iter().find(|found| found.number == subscription) {
                        found.cancel.notify_one();
                    }
                }
                Some(Action::Commit { subscriber, positions }) => self.commit(&subscriber, positions),
                Some(Action::Append(append)) => self.append(append),
            }
        }
        let (wants_control, wants_publish) = {
            let server = self.server.borrow();
            (server.wants_control(), server.wants_publish())
        };
        if wants_control {
            self.wants_control.notify_one();
        }
        if wants_publish {
            self.wants_publish.notify_waiters();
        }
        self.subscriptions.borrow().iter().for_each(|subscription| subscription.wake());
        self.write_control();
    }

    /// Sends what the core has to say, if nobody does.
    fn write_control(self: &Rc<Self>) {
        let Some(mut stream) = self.control.borrow_mut().take() else { return };
        let mut bytes = Vec::new();
        match self.poll_control(&mut bytes) {
            Some(true) => match write_now(&mut stream, vec![Bytes::from(bytes)]) {
                Ok(left) if left.is_empty() => *self.control.borrow_mut() = Some(stream),
                Ok(left) => drop(tokio::task::spawn_local(self.clone().write_left(stream, left))),
                Err(_) => self.takes_no_answers(),
            },
            Some(false) => *self.control.borrow_mut() = Some(stream),
            None => {}
        }
    }

    async fn write_left(self: Rc<Self>, mut stream: SendStream, mut left: Vec<Bytes>) {
        if stream.write_all_chunks(&mut left).await.is_err() {
            return self.takes_no_answers();
        }
        *self.control.borrow_mut() = Some(stream);
        // What came while the last bytes were on their way.
        self.act();
    }

    fn takes_no_answers(&self) {
        self.close(Code::PROTOCOL, "the control stream takes no answers");
    }

    /// `None`: the connection is over.
    fn poll_control(&self, bytes: &mut Vec<u8>) -> Option<bool> {
        let polled = self.server.borrow_mut().poll_control(bytes);
        match polled {
            Ok(is_something) => Some(is_something),
            Err(fault) => {
                self.fault(&fault);
                None
            }
        }
    }

    fn authenticate(self: &Rc<Self>, credentials: Credentials) {
        let text = |text: String| (!text.is_empty()).then_some(text);
        let token = text(credentials.token);
        let attempt = Attempt {
            client_id: credentials.agent,
            auth_method: token.is_some().then(|| JWT_METHODS[1].to_owned()),
            auth_data: token.map(String::into_bytes),
            username: text(credentials.user),
            password: text(credentials.password).map(String::into_bytes),
            certificate: self.certificate.borrow_mut().take(),
            is_loopback: self.connection.remote_address().ip().to_canonical().is_loopback(),
        };
        let session = self.clone();
        // A task in any case: the frames behind HELLO wait for it.
        tokio::task::spawn_local(async move {
            let access = session.core.shared.access.clone();
            let now_s = u64::try_from(super::unix_ms() / 1000).unwrap_or(0);
            let result = if access.is_slow(&attempt) {
                let _permit = session.core.hashing.acquire().await;
                let hashed = tokio::task::spawn_blocking(move || access.authenticate(&attempt, now_s)).await;
                match hashed {
                    Ok(result) => result,
                    Err(error) => {
                        tracing::error!(%error, "authentication ended unexpectedly");
                        return session.close(Code::INTERNAL, "authentication failed");
                    }
                }
            } else {
                access.authenticate(&attempt, now_s)
            };
            session.identified(result);
        });
    }

    fn identified(self: &Rc<Self>, result: Result<Identity, crate::mqtt::access::Refusal>) {
        let identity = match result {
            Ok(identity) => identity,
            Err(refusal) => {
                add(&self.core.stats.refused_clients, 1);
                tracing::debug!(client = %self.connection.remote_address(), %refusal, "a client was not let in");
                // Why is for the node's own log.
                return self.close(Code::UNAUTHENTICATED, Code::UNAUTHENTICATED.advice());
            }
        };
        let shared = &self.core.shared;
        let grant = Grant {
            principal: identity.name.to_string(),
            permissions: permissions(&identity),
            partitions: shared.partitions,
            ack_level: match shared.ack {
                AckLevel::Memory => 0,
                AckLevel::Written => 1,
                AckLevel::Synced => 2,
            },
            node: shared.node.clone(),
            agent: shared.agent.clone(),
            expires_ms: identity.expires_at_s.map(|seconds| seconds.saturating_mul(1000)),
        };
        self.permissions.set(grant.permissions);
        *self.identity.borrow_mut() = Some(identity);
        self.authenticated.notify_one();
        self.with(|server| server.handle_authenticated(grant));
    }

    fn append(self: &Rc<Self>, append: Append) {
        add(&self.core.stats.published_batches, 1);
        add(&self.core.stats.published_events, append.batch.rows().len() as u64);
        let number = self.core.appends.borrow_mut().push(append.batch) as usize;
        let mut appending = self.core.appending.borrow_mut();
        if appending.len() <= number {
            appending.resize_with(number + 1, || None);
        }
        appending[number] = Some((self.clone(), append.ticket));
        drop(appending);
        self.core.want_turn();
    }

    /// Begun now, so that commits are done in the order in which they came.
    fn commit(self: &Rc<Self>, subscriber: &str, positions: Vec<(u32, u64)>) {
        let principal = self.server.borrow().principal().to_owned();
        let kept = self.core.hub.commit(&principal, subscriber, positions);
        let session = self.clone();
        tokio::task::spawn_local(async move {
            let result = kept.await;
            if result.is_ok() {
                add(&session.core.stats.commits, 1);
            }
            let result = result.map_err(|rejection| (rejection.code, rejection.text));
            session.with(|server| server.handle_committed(result));
        });
    }

    /// Resolves when bytes of publish streams are wanted, or the connection is gone.
    pub(super) async fn may_publish(&self) {
        while self.connection.close_reason().is_none() {
            if self.core.is_blocked.get() {
                self.core.unblocked.notified().await;
            } else if !self.server.borrow().wants_publish() {
                self.wants_publish.notified().await;
            } else {
                return;
            }
        }
    }

    pub(super) fn may_send(&self, subscription: u32) -> bool {
        self.server.borrow().may_send(subscription)
    }

    pub(super) fn write_delivery(&self, subscription: u32, delivery: &Delivery, out: &mut Outgoing) {
        self.server.borrow_mut().write_delivery(subscription, delivery, out);
    }

    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    pub(super) fn stats(&self) -> &SessionStats {
        &self.core.stats
    }

    pub(super) fn tell_positions(&self) {
        self.subscriptions.borrow().iter().for_each(Subscription::tell_positions);
    }

    pub(super) fn go_away(self: &Rc<Self>, text: &str, after_ms: u64) {
        self.with(|server| {
            server.go_away(Code::GOING_AWAY, after_ms, text, "");
            Ok(())
        });
    }

    /// All that was begun is done and said.
    pub(super) fn is_settled(&self) -> bool {
        self.server.borrow().is_settled() && self.control.borrow().is_some()
    }

    pub(super) fn renew(&self) {
        let identity = self.identity.borrow();
        let Some(identity) = identity.as_ref() else { return };
        match self.core.shared.access.renew(identity) {
            Ok(renewed) if permissions(&renewed) == self.permissions.get() => {}
            Ok(_) => self.close(Code::AUTH_EXPIRED, "what you may do has changed: connect again"),
            Err(_) => self.close(Code::UNAUTHENTICATED, "you may no longer be here"),
        }
    }

    fn fault(&self, fault: &Fault) {
        add(&self.core.stats.faults, 1);
        tracing::debug!(client = %self.connection.remote_address(), session = self.number, %fault, "a QUIC client broke the protocol");
        self.close(fault.code, &fault.text);
    }

    /// Ends the connection with a code and a text.
    pub(super) fn close(&self, why: Code, text: &str) {
        // A reason has to fit into one packet.
        let text = &text[..text.floor_char_boundary(512)];
        self.connection.close(code(why), text.as_bytes());
    }
}

/// What the rights on MQTT topics mean here: the hub has the events of all topics, and who publishes can name any source.
fn permissions(identity: &Identity) -> u64 {
    let mut permissions = 0;
    if identity.grants.may_subscribe("#") {
        permissions |= Welcome::MAY_READ | Welcome::MAY_COMMIT;
    }
    if identity.grants.may_publish_all() {
        permissions |= Welcome::MAY_PUBLISH;
    }
    permissions
}

/// A subscription from SUBSCRIBE to ENDED.
async fn subscribe(session: Rc<Session>, wanted: Wanted, outlet: Outlet) {
    let number = wanted.subscription;
    let subscription = outlet.subscription().clone();
    let principal = session.server.borrow().principal().to_owned();
    let ended = serve(&session, principal, wanted, &outlet).await;
    session.subscriptions.borrow_mut().retain(|found| !Rc::ptr_eq(found, &subscription));
    outlet.finish().await;
    match ended {
        Ok(Rejection { code, text, .. }) => {
            add(&session.core.stats.subscriptions_ended, 1);
            session.with(|server| server.handle_ended(number, code, &text));
        }
        Err(Rejection { code, text, advice }) => {
            // Else the client has ended it before it was open.
            if code != Code::NONE {
                add(&session.core.stats.subscriptions_refused, 1);
            }
            session.with(|server| server.handle_refused(number, code, &text, &advice));
        }
    }
}

/// An error: it was never open.
async fn serve(
    session: &Rc<Session>,
    principal: String,
    wanted: Wanted,
    outlet: &Outlet,
) -> Result<Rejection, Rejection> {
    let number = wanted.subscription;
    let cancel = || async {
        outlet.subscription().cancel.notified().await;
        Rejection::new(Code::NONE, "")
    };
    let serving = tokio::select! {
        serving = session.core.hub.open(principal, wanted, outlet.clone()) => serving?,
        cancelled = cancel() => return Err(cancelled),
    };
    let groups = &serving.opened.groups;
    let mut streams = Vec::with_capacity(groups.len());
    while streams.len() < groups.len() {
        let opened = tokio::select! {
            stream = session.connection.open_uni() => stream,
            cancelled = cancel() => {
                abandon(streams);
                return Err(cancelled);
            }
        };
        match opened {
            Ok(stream) => streams.push(stream),
            Err(error) => return Err(Rejection::new(Code::INTERNAL, error.to_string())),
        }
    }
    outlet.open(groups, streams, session.core.shared.partitions);
    add(&session.core.stats.subscriptions_opened, 1);
    session.with(|server| server.handle_opened(number, &serving.opened));
    tokio::select! {
        ended = serving.run => Ok(ended),
        cancelled = cancel() => Ok(cancelled),
    }
}
