//! One publishing connection: opened, driven, opened again when it breaks, ended.
//!
//! What always holds: an event is in the ledger before its first byte leaves, and acknowledged there only after PUBACK (QoS 1) or
//! PUBCOMP (QoS 2); what waited on a connection that broke goes out again on the next one, in its order and marked as a
//! repetition, unless the broker has said that it holds it.

mod drive;

use std::future::poll_fn;
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::Sleep;

use super::MqttError;
use super::codec::{Connect, Qos, Version, write_disconnect};
use super::dial::{DialError, Dialed, Stream};
use super::window::Window;
use super::worker::Worker;
use crate::client::control::{Phase, ending};
use crate::pace::Schedule;

/// First pause before a connection is opened again.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
/// Longest pause of the doubling ones.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// A connection that lasted so long was a good one: the next pause is the first again.
const GOOD_AFTER: Duration = Duration::from_secs(1);
/// How long a broker may take to close after DISCONNECT.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Messages that a broker may have under way to a publisher, which has no use for them.
const RECEIVE_MAXIMUM: u16 = 100;

pub(super) struct Publisher {
    worker: Rc<Worker>,
    number: u32,
    /// Its devices, as places in the thread's fleet, and whose turn it is.
    places: Range<usize>,
    place: usize,
    quota: u64,
    sent: u64,
    /// `None` until publishing begins.
    schedule: Option<Schedule>,
    /// When the next event is due that is not due yet.
    due: Option<Instant>,
    stopping: bool,
    window: Window,
    link: Option<Link>,
    timer: Pin<Box<Sleep>>,
}

/// A connection that stands.
struct Link {
    stream: Stream,
    /// The beginning of a packet that is not whole yet.
    inbox: Vec<u8>,
    /// What came right after CONNACK has not been looked at.
    inbox_unread: bool,
    /// What the socket has not taken yet, from `out_at` on.
    outbox: Vec<u8>,
    out_at: usize,
    /// TLS may hold bytes back.
    flushes: bool,
    keep_alive: Option<Duration>,
    wrote: Instant,
    pinged: Option<Instant>,
    made: Instant,
    got_receipts: bool,
}

/// How a connection ended.
enum End {
    /// Everything is sent and acknowledged.
    Finished,
    /// By a fault that another connection may not have.
    Broken(String),
    /// By a fault that every connection will have.
    Fatal(MqttError),
    /// The run was called off.
    Halted,
}

impl Publisher {
    pub(super) fn new(worker: Rc<Worker>, number: u32, places: Range<usize>) -> Self {
        let plan = &worker.run.plan;
        let edge = |part: u32| (u128::from(plan.events) * u128::from(part) / u128::from(plan.connections)) as u64;
        Self {
            number,
            place: places.start,
            quota: if places.is_empty() { 0 } else { edge(number + 1) - edge(number) },
            places,
            sent: 0,
            schedule: None,
            due: None,
            stopping: false,
            window: Window::new(plan.window),
            link: None,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            worker,
        }
    }

    pub(super) async fn run(mut self: Box<Self>, mut phase: watch::Receiver<Phase>) {
        let worker = self.worker.clone();
        let plan = &worker.run.plan;
        let mut arrived = false;
        if plan.connects_per_s > 0.0 {
            let turn = Duration::from_secs_f64((f64::from(self.number) / plan.connects_per_s).min(1e9));
            tokio::select! {
                () = tokio::time::sleep_until((worker.run.began + turn).into()) => {}
                () = ending(&mut phase) => {}
            }
        }
        let (mut pause, mut trying_since, mut attempt) = (PAUSE_FIRST, Instant::now(), 0u32);
        loop {
            let opened = tokio::select! {
                opened = Box::pin(self.open(attempt)) => opened,
                () = ending(&mut phase) => break,
            };
            attempt = attempt.wrapping_add(1);
            match opened {
                Ok(()) => {
                    if !arrived {
                        arrived = true;
                        worker.run.control.arrive();
                    }
                    match self.drive(&mut phase).await {
                        End::Finished => {
                            self.close().await;
                            break;
                        }
                        End::Halted => break,
                        End::Fatal(error) => {
                            worker.fail(error);
                            break;
                        }
                        End::Broken(why) => {
                            worker.run.progress.retried(&why);
                            worker.desk.borrow_mut().book.reconnects += 1;
                            let link = self.link.take();
                            if link.is_some_and(|link| link.got_receipts || link.made.elapsed() >= GOOD_AFTER) {
                                (pause, trying_since) = (PAUSE_FIRST, Instant::now());
                            }
                        }
                    }
                }
                Err(DialError::Again(why)) => worker.run.progress.retried(&why),
                Err(DialError::Fatal(error)) => {
                    worker.fail(error);
                    break;
                }
            }
            if trying_since.elapsed() >= plan.access.give_up_after {
                worker.desk.borrow_mut().book.abandoned += 1;
                break;
            }
            let wait = pause.mul_f64(0.5 + worker.desk.borrow_mut().chance.f64());
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = ending(&mut phase) => break,
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        let mut desk = worker.desk.borrow_mut();
        for waiting in self.window.give_up() {
            desk.book.ledger.give_up(waiting.emitted.device, waiting.emitted.seq);
        }
        if !arrived {
            worker.run.control.arrive();
        }
    }

    /// Opens the connection and puts into order what still waits.
    async fn open(&mut self, attempt: u32) -> Result<(), DialError> {
        let plan = &self.worker.run.plan;
        let began = Instant::now();
        let first = attempt == 0;
        let mut dialed =
            self.dial(attempt, plan.qos == Qos::AtMostOnce || first && plan.access.version == Version::V5).await?;
        if first && plan.access.version == Version::V311 && dialed.connack.session_present {
            // A session of an earlier run: its packet ids would be taken for ours.
            self.dial(attempt, true).await?;
            dialed = self.dial(attempt, false).await?;
        }
        let now = Instant::now();
        let Dialed { stream, connack, rest } = dialed;
        if connack.maximum_qos < plan.qos {
            let target = plan.access.target.to_string();
            return Err(DialError::Fatal(MqttError::Qos { target, qos_max: connack.maximum_qos.level() }));
        }
        self.worker.desk.borrow_mut().book.connects.record(now - began);
        self.window.resume(connack.session_present, plan.window.min(connack.receive_maximum));
        let keep_alive_s = connack.server_keep_alive_s.unwrap_or(plan.access.keep_alive_s);
        self.link = Some(Link {
            flushes: matches!(stream, Stream::Tls(_)),
            stream,
            inbox_unread: !rest.is_empty(),
            inbox: rest,
            outbox: Vec::new(),
            out_at: 0,
            // A quarter is left for the way.
            keep_alive: (keep_alive_s > 0).then(|| Duration::from_secs(u64::from(keep_alive_s)) * 3 / 4),
            wrote: now,
            pinged: None,
            made: now,
            got_receipts: false,
        });
        Ok(())
    }

    async fn dial(&self, attempt: u32, clean_start: bool) -> Result<Dialed, DialError> {
        let plan = &self.worker.run.plan;
        let client_id = format!("{}-{}", plan.client_prefix, self.number);
        let connect = Connect {
            client_id: &client_id,
            keep_alive_s: plan.access.keep_alive_s,
            clean_start,
            username: plan.access.username.as_deref(),
            password: plan.access.password.as_deref().map(str::as_bytes),
            session_expiry_s: if plan.qos == Qos::AtMostOnce { 0 } else { plan.access.session_expiry_s },
            receive_maximum: RECEIVE_MAXIMUM,
        };
        self.worker.run.dialer.dial(self.number, attempt, &connect).await
    }

    async fn drive(&mut self, phase: &mut watch::Receiver<Phase>) -> End {
        loop {
            let plan = &self.worker.run.plan;
            match *phase.borrow_and_update() {
                Phase::Connecting => {}
                Phase::Running(start) => {
                    let (part, parts) = (self.number, plan.connections);
                    self.schedule.get_or_insert_with(|| Schedule::new(plan.pace, start, part, parts, 1));
                }
                Phase::Stopping => self.stopping = true,
                Phase::Halted => return End::Halted,
            }
            tokio::select! {
                // First, or a connection that always has something to do would never look.
                biased;
                _ = phase.changed() => {}
                end = poll_fn(|cx| self.poll_drive(cx)) => return end,
            }
        }
    }

    /// Says good-bye and waits until the broker closes, so that it has read everything.
    async fn close(&mut self) {
        let Some(mut link) = self.link.take() else { return };
        let mut bye = Vec::new();
        write_disconnect(self.worker.run.plan.access.version, true, &mut bye);
        let closed = tokio::time::timeout(CLOSE_TIMEOUT, async {
            link.stream.write_all(&bye).await?;
            poll_fn(|cx| link.stream.poll_shutdown(cx)).await?;
            let mut rest = [0; 256];
            while poll_fn(|cx| link.stream.poll_read(cx, &mut rest)).await? > 0 {}
            std::io::Result::Ok(())
        });
        // All is acknowledged that ever will be: how the connection ends is of no interest any more.
        drop(closed.await);
    }
}
