//! What an owner shares with the task that talks for it, and that task: connects, has the connection served, waits, connects again.
//!
//! What always holds: the state is locked only between two awaits; when the task has ended, [`State::failed`] says why, and nobody waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use quinn::Endpoint;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;

use super::backoff::Backoff;
use super::connect::{Address, Connect, Notice};
use super::dial::{self, DialError, dial};
use super::error::{ClientError, CommitError, Verdict, is_hidden, verdict};
use super::receipt::Pending;
use super::serve::{Ended, serve};
use crate::quic::frame::Code;
use crate::quic::session::client::{ClientSettings, Event, Greeting};
use crate::quic::session::{Client, Fault};

/// Longest wait of the first attempt to connect again; with each that fails it grows, up to the other.
const ATTEMPT_MIN: Duration = Duration::from_secs(2);
const ATTEMPT_MAX: Duration = Duration::from_secs(10);
/// A connection that lived so long was a good one: the next pause is short again.
const GOOD: Duration = Duration::from_secs(1);
/// Longest pause that a node can ask for.
const AFTER_MAX: Duration = Duration::from_secs(600);

/// What the node said when it asked its clients to go.
pub(super) struct Going {
    after: Duration,
    address: Option<Address>,
}

/// See the module.
pub(super) struct State {
    pub core: Client,
    /// Of this connection.
    pub greeting: Option<Greeting>,
    /// Why the task has ended.
    pub failed: Option<ClientError>,
    /// Who waits for the next event of a subscription.
    pub taker: Option<Waker>,
    pub commits: Vec<(u64, oneshot::Sender<Result<(), CommitError>>)>,
    /// Who waits for acknowledgements.
    pub pending: Pending,
    /// When what was published is to be sent, however little it is.
    pub linger_until: Option<Instant>,
    pub going: Option<Going>,
    /// The subscription is not served now.
    pub postponed: Option<(Code, String)>,
    pub endpoint: Option<Endpoint>,
    is_away: bool,
}

/// See the module.
pub(super) struct Link {
    pub connect: Connect,
    state: Mutex<State>,
    /// There may be something to send.
    pub to_send: Notify,
    /// The node has said something about the connection.
    pub noticed: Notify,
    /// Something published was settled, or all is over.
    pub settled: Notify,
    stop: watch::Sender<bool>,
    began: Instant,
}

impl Link {
    /// Begins to connect. The state is prepared before.
    pub fn start(
        connect: Connect,
        settings: ClientSettings,
        prepare: impl FnOnce(&mut State),
    ) -> Result<(Arc<Self>, JoinHandle<()>), ClientError> {
        let config = dial::settings(&connect)?;
        let mut state = State {
            core: Client::new(settings),
            greeting: None,
            failed: None,
            taker: None,
            commits: Vec::new(),
            pending: Pending::default(),
            linger_until: None,
            going: None,
            postponed: None,
            endpoint: None,
            is_away: false,
        };
        prepare(&mut state);
        let link = Arc::new(Self {
            connect,
            state: Mutex::new(state),
            to_send: Notify::new(),
            noticed: Notify::new(),
            settled: Notify::new(),
            stop: watch::Sender::new(false),
            began: Instant::now(),
        });
        let task = tokio::spawn(run(link.clone(), config));
        Ok((link, task))
    }

    /// The settings of a session for this node.
    pub fn settings(connect: &Connect) -> ClientSettings {
        ClientSettings {
            agent: connect.agent.clone(),
            user: connect.user.clone(),
            password: connect.password.clone(),
            ..ClientSettings::default()
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of another thread within the lock is that thread's; the state is whole between two calls of the core.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A clock that only grows.
    pub fn now_ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }

    /// The moment that the clock calls so.
    pub fn at_ms(&self, ms: u64) -> Option<Instant> {
        self.began.checked_add(Duration::from_millis(ms))
    }

    /// The task is to say goodbye and to end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Resolves when it is.
    pub async fn stopped(&self) {
        // The sender lives as long as this.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// Goes on from another port of the machine, as after a change of networks.
    pub fn rebind(&self) -> std::io::Result<()> {
        let Some(endpoint) = self.lock().endpoint.clone() else { return Ok(()) };
        let is_v4 = endpoint.local_addr()?.is_ipv4();
        endpoint.rebind(dial::socket(is_v4)?)
    }

    /// Hands something to the core, and sees to what that brings about.
    pub fn input(&self, work: impl FnOnce(&mut Client, u64) -> Result<(), Fault>) -> Result<(), Fault> {
        let now_ms = self.now_ms(Instant::now());
        let mut notices = Vec::new();
        let (worked, taker) = {
            let mut state = self.lock();
            let before = state.pending.told();
            let worked = work(&mut state.core, now_ms);
            state.see_to_notices(&mut notices);
            let State { core, pending, .. } = &mut *state;
            pending.settle(core);
            if pending.told() > before {
                self.settled.notify_waiters();
            }
            let taker = if state.core.has_events() { state.taker.take() } else { None };
            (worked, taker)
        };
        if let Some(taker) = taker {
            taker.wake();
        }
        self.to_send.notify_waiters();
        for notice in &notices {
            self.noticed.notify_waiters();
            if let Some(notice) = notice {
                self.connect.tell(notice);
            }
        }
        worked
    }

    /// A connection begins.
    pub fn connected(&self, endpoint: Endpoint) {
        // Asked for outside the lock: it is somebody else's code.
        let token = self.connect.token.as_ref().map(|source| source());
        let mut state = self.lock();
        if let Some(token) = token {
            state.core.set_token(token);
        }
        state.endpoint = Some(endpoint);
        state.core.handle_connected();
    }

    /// A connection is over.
    pub fn disconnected(&self) {
        let mut state = self.lock();
        state.core.handle_disconnected();
        state.greeting = None;
        state.postponed = None;
    }

    fn away(&self, reason: &str) {
        if !std::mem::replace(&mut self.lock().is_away, true) {
            self.connect.tell(&Notice::Away(reason.to_owned()));
        }
    }

    fn finish(&self, error: ClientError) {
        let (taker, commits) = {
            let mut state = self.lock();
            state.pending.fail(&error);
            state.endpoint = None;
            // Whoever stopped it may have known better why.
            state.failed.get_or_insert_with(|| error.clone());
            (state.taker.take(), std::mem::take(&mut state.commits))
        };
        for (_, commit) in commits {
            // Nobody may be waiting any more.
            let _ = commit.send(Err(CommitError::Client(error.clone())));
        }
        if let Some(taker) = taker {
            taker.wake();
        }
        self.settled.notify_waiters();
        self.noticed.notify_waiters();
    }
}

impl State {
    /// What has to be told goes to `told`, with a place for each thing that somebody may be waiting for.
    fn see_to_notices(&mut self, told: &mut Vec<Option<Notice>>) {
        while let Some(notice) = self.core.poll_notice() {
            let mut tell = None;
            match notice {
                Event::Welcome(greeting) => {
                    self.greeting = Some(greeting);
                    if std::mem::replace(&mut self.is_away, false) {
                        tell = Some(Notice::Back);
                    }
                }
                Event::GoingAway { after_ms, address, .. } => {
                    let after = Duration::from_millis(after_ms).min(AFTER_MAX);
                    self.going = Some(Going { after, address: Address::of_authority(&address) });
                }
                Event::Postponed { code, text, .. } => self.postponed = Some((code, text)),
                Event::Committed { request, result } => {
                    if let Some(at) = self.commits.iter().position(|(known, _)| *known == request) {
                        let (_, waiter) = self.commits.swap_remove(at);
                        let result = result.map_err(|(code, text)| CommitError::Refused { code, text });
                        // Nobody may be waiting any more.
                        let _ = waiter.send(result);
                    }
                }
                Event::Rejected { partition, number, count, code, text } => {
                    self.pending.refuse(partition, number, count, code, &text);
                }
                Event::Forgotten { count, .. } => tell = Some(Notice::Forgotten(count)),
                // They are no notices.
                Event::Subscribed { .. }
                | Event::Refused { .. }
                | Event::Ended { .. }
                | Event::Batch(_)
                | Event::Lost { .. } => {}
            }
            told.push(tell);
        }
    }
}

async fn run(link: Arc<Link>, config: quinn::ClientConfig) {
    let mut backoff = Backoff::new(link.connect.retry_max);
    let mut address = link.connect.address.clone();
    let (mut is_first, mut attempt, mut may_be_early) = (true, ATTEMPT_MIN, true);
    loop {
        let wait = if is_first { link.connect.first_timeout } else { attempt };
        let dialled = tokio::select! {
            () = link.stopped() => return link.finish(ClientError::Stopped),
            dialled = dial(&address, &config, wait, may_be_early) => dialled,
        };
        let mut lived = None;
        may_be_early = true;
        let verdict = match dialled {
            Ok(dialled) => {
                let served = serve(&link, dialled).await;
                lived = served.lived;
                match served.ended {
                    Ended::Stopped => return link.finish(ClientError::Stopped),
                    Ended::Fault(fault) => Verdict::Never(ClientError::Protocol(fault)),
                    Ended::Lost(error) => {
                        may_be_early = !is_hidden(&error);
                        verdict(&address, &error)
                    }
                    Ended::Postponed(reason) => Verdict::Again(reason),
                    Ended::EarlyRefused => Verdict::Again("0-RTT was refused".to_owned()),
                }
            }
            Err(DialError::Connection(error)) => verdict(&address, &error),
            Err(DialError::System(error)) => Verdict::Again(error.to_string()),
            Err(DialError::Late) => Verdict::Again(format!("no answer within {} s", wait.as_secs_f64())),
        };
        let reason = match verdict {
            Verdict::Never(error) => return link.finish(error),
            Verdict::Again(reason) => reason,
        };
        if lived.is_some() {
            is_first = false;
        }
        if is_first {
            return link.finish(ClientError::Unreachable { address, reason });
        }
        attempt = if lived.is_some() { ATTEMPT_MIN } else { (attempt * 2).min(ATTEMPT_MAX) };
        if lived.is_some_and(|lived| lived >= GOOD) {
            backoff.reset();
        }
        link.away(&reason);
        let going = link.lock().going.take();
        let asked = going.as_ref().map_or(Duration::ZERO, |going| going.after);
        // Another address is for one attempt: if it leads nowhere, the first is still the one that was asked for.
        address = going.and_then(|going| going.address).unwrap_or_else(|| link.connect.address.clone());
        let pause = asked.mul_f64(1.0 + fastrand::f64() / 4.0).max(backoff.pause(fastrand::f64()));
        tokio::select! {
            () = link.stopped() => return link.finish(ClientError::Stopped),
            () = tokio::time::sleep(pause) => {}
        }
    }
}
