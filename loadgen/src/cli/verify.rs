//! `loadgen verify`: what came out, held against the ledger of a run.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};
use loadgen::client::http::Target;
use loadgen::client::mqtt::{self, SubscribePlan};
use loadgen::client::quic as quic_client;
use loadgen::clock::now_us;
use loadgen::fleet::Filter;
use loadgen::histogram::Quantiles;
use loadgen::ledger::{LedgerFile, Verdict};
use loadgen::receiver::{Mode, Receiver};
use loadgen::report::{grouped, ms};
use loadgen::verify::{self, Question, SharedSpool};
use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};

use super::Ended;
use super::mqtt::AccessArgs;
use super::quic;
use super::subscribe::WantedArgs;

#[derive(Args)]
pub struct VerifyArgs {
    /// The ledger that the sender wrote (`--ledger`). Where events are verified as they arrive it may come later.
    #[arg(long, value_name = "FILE")]
    ledger: PathBuf,
    /// The place should hold the events that match, and no others: FIELD OP VALUE, joined by `and`, as in "temp > 30 and status = 'ok'".
    #[arg(long)]
    filter: Option<String>,
    /// What should be there.
    #[arg(long, value_enum, default_value_t = Expect::Acknowledged)]
    expect: Expect,
    /// Write the verdict as JSON to this file (`-`: standard output).
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(subcommand)]
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Expect {
    /// What the target gave a receipt for.
    Acknowledged,
    /// All that was sent: for senders that get no receipts.
    Sent,
}

#[derive(Subcommand)]
enum Place {
    /// Lines of JSON, events or CloudEvents, from a file or a pipe (`anabranch tail … | loadgen verify … lines -`).
    Lines {
        /// The file (`-`: standard input).
        file: PathBuf,
    },
    /// A folder of Parquet files.
    Parquet {
        /// The folder.
        folder: PathBuf,
    },
    /// The hub of a running node.
    Hub {
        /// Where the node listens, such as http://127.0.0.1:8080
        url: Target,
    },
    /// Be a webhook's far end, and verify what arrives once the ledger is there and nothing comes any more.
    Webhook {
        /// Address to listen on; port 0 is chosen by the system and printed.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        #[command(flatten)]
        patience: Patience,
    },
    /// Subscribe to a broker, and verify what arrives once the ledger is there and nothing comes any more.
    Mqtt {
        #[command(flatten)]
        access: AccessArgs,
        /// Topic filter.
        #[arg(long, default_value = "devices/+/messages/events")]
        topic: Vec<String>,
        /// Client id.
        #[arg(long, default_value = "loadgen-verify")]
        client_id: String,
        /// Microseconds to rest after every message: a subscriber that does not keep up.
        #[arg(long, default_value_t = 0)]
        pause_us: u64,
        #[command(flatten)]
        patience: Patience,
    },
    /// Subscribe over QUIC (anabranch/1), and verify what arrives once the ledger is there and nothing comes any more.
    Quic {
        #[command(flatten)]
        access: quic::AccessArgs,
        #[command(flatten)]
        wanted: WantedArgs,
        #[command(flatten)]
        patience: Patience,
    },
}

/// When the last event has arrived.
#[derive(Args)]
pub struct Patience {
    /// Nothing more is expected when nothing came for so many seconds.
    #[arg(long, default_value_t = 5.0)]
    idle_s: f64,
    /// Give up after so many seconds, the ledger there or not.
    #[arg(long, default_value_t = 3_600.0)]
    wait_s_max: f64,
}

#[derive(Serialize)]
struct Written<'a> {
    place: String,
    filter: Option<&'a str>,
    clean: bool,
    verdict: &'a Verdict,
    /// From sending to arrival, where it was seen arriving.
    latency: Option<Quantiles>,
}

pub fn run(args: &VerifyArgs) -> Ended {
    let (verdict, latency, place) = match &args.place {
        Place::Lines { file } => {
            let question = args.question()?;
            let mut verifier = question.verifier();
            let mut told = teller();
            if file.as_os_str() == "-" {
                verify::lines(&mut verifier, &mut io::stdin().lock(), &mut told)?;
            } else {
                let open = File::open(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
                verify::lines(&mut verifier, &mut BufReader::with_capacity(1 << 20, open), &mut told)?;
            }
            (verifier.finish(), None, format!("lines of {}", file.display()))
        }
        Place::Parquet { folder } => {
            let question = args.question()?;
            let mut verifier = question.verifier();
            verify::parquet(&question, &mut verifier, folder, &mut teller())?;
            (verifier.finish(), None, format!("Parquet in {}", folder.display()))
        }
        Place::Hub { url } => {
            let question = args.question()?;
            let mut verifier = question.verifier();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(verify::hub(&mut verifier, url, &mut teller()))?;
            (verifier.finish(), None, format!("hub of {url}"))
        }
        Place::Webhook { listen, patience } => {
            let spool = SharedSpool::new()?;
            let taken = spool.clone();
            let taker =
                Box::new(move |payload: &[u8], arrived_us| taken.with(|spool| spool.take(payload, arrived_us, false)));
            let receiver = Receiver::listen_for(*listen, Mode::Healthy, taker)
                .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
            println!("webhook receiver on {}", receiver.url());
            io::stdout().flush()?;
            let question = args.wait(&spool, patience)?;
            let (verdict, latency) = judge(&question, &spool)?;
            (verdict, Some(latency), format!("webhook {}", receiver.url()))
        }
        Place::Mqtt { access, topic, client_id, pause_us, patience } => {
            let mut plan = SubscribePlan::new(access.target.clone(), client_id, topic.clone());
            plan.access = access.access();
            plan.qos = access.qos;
            plan.pause = Duration::from_micros(*pause_us);
            plan.persistent = false;
            let spool = SharedSpool::new()?;
            let subscriber = Subscribed::start(plan, &spool)?;
            println!("subscribed to {} on {}", topic.join(", "), access.target);
            io::stdout().flush()?;
            let question = args.wait(&spool, patience)?;
            subscriber.end()?;
            let (verdict, latency) = judge(&question, &spool)?;
            (verdict, Some(latency), format!("subscription to {} on {}", topic.join(", "), access.target))
        }
        Place::Quic { access, wanted, patience } => {
            let plan = quic_client::SubscribePlan {
                access: access.access()?,
                wanted: wanted.wanted(),
                commit: None,
                held: None,
            };
            let spool = SharedSpool::new()?;
            let subscriber = Subscribed::start_quic(plan, &spool)?;
            println!("subscribed on {}", access.target);
            io::stdout().flush()?;
            let question = args.wait(&spool, patience)?;
            subscriber.end()?;
            let (verdict, latency) = judge(&question, &spool)?;
            (verdict, Some(latency), format!("subscription on {}", access.target))
        }
    };
    args.say(&verdict, latency, place)
}

impl VerifyArgs {
    fn question(&self) -> Result<Question, Box<dyn Error>> {
        let kept = LedgerFile::read(&self.ledger)?;
        let filter = self.filter.as_deref().map(|text| Filter::parse(text, &kept.model)).transpose()?;
        if self.expect == Expect::Acknowledged && !kept.receipts {
            eprintln!(
                "loadgen: the sender got no receipts, so nothing is expected to be there; --expect sent expects all of it"
            );
        }
        Ok(Question { kept, filter, expect_sent: self.expect == Expect::Sent })
    }

    /// Until the ledger is there and nothing comes any more.
    fn wait(&self, spool: &SharedSpool, patience: &Patience) -> Result<Question, Box<dyn Error>> {
        let (idle, most) =
            (Duration::try_from_secs_f64(patience.idle_s)?, Duration::try_from_secs_f64(patience.wait_s_max)?);
        let began = Instant::now();
        let (mut told, mut question, mut wanted) = (teller(), None, u64::MAX);
        loop {
            let (rows, quiet) = spool.with(|spool| (spool.rows(), spool.idle()));
            told(rows);
            if question.is_none() && self.ledger.exists() {
                let found = self.question()?;
                wanted = found.verifier().finish().expected;
                question = Some((found, Instant::now()));
            }
            let done = question.as_ref().is_some_and(|(_, since)| {
                let quiet = quiet.min(since.elapsed());
                quiet >= idle || rows >= wanted && quiet >= idle.min(Duration::from_secs(1))
            });
            match question {
                Some((question, _)) if done || began.elapsed() >= most => return Ok(question),
                None if began.elapsed() >= most => {
                    return Err(format!(
                        "{} was not there after {} s; the sender writes it at its end (--ledger FILE)",
                        self.ledger.display(),
                        patience.wait_s_max
                    )
                    .into());
                }
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    fn say(&self, verdict: &Verdict, latency: Option<Quantiles>, place: String) -> Ended {
        let to_stdout = self.json.as_deref().is_some_and(|path| path.as_os_str() == "-");
        if !to_stdout {
            println!("{place}: {verdict}");
            if let Some(latency) = latency.filter(|latency| latency.count > 0) {
                println!(
                    "sending to arrival: p50 {}  p99 {}  p99.9 {}  max {}",
                    ms(latency.p50_us),
                    ms(latency.p99_us),
                    ms(latency.p999_us),
                    ms(latency.max_us)
                );
            }
        }
        if let Some(path) = &self.json {
            let written =
                Written { place, filter: self.filter.as_deref(), clean: verdict.is_clean(), verdict, latency };
            let text = serde_json::to_string_pretty(&written)?;
            if to_stdout {
                println!("{text}");
            } else {
                write(path, &text)?;
            }
        }
        Ok(if verdict.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// A subscriber on a thread of its own.
struct Subscribed {
    stop: watch::Sender<bool>,
    /// How often its connection broke.
    thread: JoinHandle<Result<u64, String>>,
    /// What is sent while its connection is broken does not reach it.
    loses: bool,
}

impl Subscribed {
    /// Waits until the subscriptions stand.
    fn start(plan: SubscribePlan, spool: &SharedSpool) -> Result<Self, Box<dyn Error>> {
        let spool = spool.clone();
        Self::run(true, move |runtime, stopped, ready| {
            let taken = mqtt::subscribe(plan, stopped, Some(ready), |message| {
                spool.with(|spool| spool.take(message.payload, now_us(), message.dup));
            });
            runtime.block_on(taken).map(|seen| seen.reconnects).map_err(|error| error.to_string())
        })
    }

    /// The same over QUIC, where nothing is lost when the connection breaks: the subscription goes on from its positions.
    fn start_quic(plan: quic_client::SubscribePlan, spool: &SharedSpool) -> Result<Self, Box<dyn Error>> {
        let spool = spool.clone();
        Self::run(false, move |runtime, stopped, ready| {
            let taken = quic_client::subscribe(plan, stopped, Some(ready), |seen| {
                if let quic_client::Seen::Event(event) = seen {
                    spool.with(|spool| spool.take(event.value.unwrap_or_default(), now_us(), false));
                }
            });
            runtime.block_on(taken).map(|seen| seen.reconnects).map_err(|error| error.to_string())
        })
    }

    fn run(
        loses: bool,
        subscribe: impl FnOnce(&Runtime, watch::Receiver<bool>, oneshot::Sender<()>) -> Result<u64, String> + Send + 'static,
    ) -> Result<Self, Box<dyn Error>> {
        let (stop, stopped) = watch::channel(false);
        let (ready, stands) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread =
            std::thread::Builder::new().name("subscriber".into()).spawn(move || subscribe(&runtime, stopped, ready))?;
        let subscribed = Self { stop, thread, loses };
        match stands.blocking_recv() {
            Ok(()) => Ok(subscribed),
            // It ended before: for a reason that it tells.
            Err(_) => Err(subscribed.end().err().unwrap_or_else(|| "the subscriber ended early".into())),
        }
    }

    fn end(self) -> Result<(), Box<dyn Error>> {
        self.stop.send_replace(true);
        let broke = self.thread.join().map_err(|_| "the subscriber's thread ended by a fault")??;
        if broke > 0 && self.loses {
            eprintln!(
                "loadgen: warning: the subscription broke {broke} times; what the broker sent meanwhile counts as lost"
            );
        }
        Ok(())
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn judge(question: &Question, spool: &SharedSpool) -> io::Result<(Verdict, Quantiles)> {
    let mut verifier = question.verifier();
    spool.with(|spool| {
        spool.show(&mut verifier)?;
        Ok((verifier.finish(), spool.latency()))
    })
}

/// A line a second on standard error.
fn teller() -> impl FnMut(u64) {
    let (mut last, mut before) = (Instant::now(), 0);
    move |rows| {
        let since = last.elapsed();
        if since >= Duration::from_secs(1) && rows != before {
            eprintln!(
                "{:>15} events read  {:>11}/s",
                grouped(rows),
                grouped(((rows - before) as f64 / since.as_secs_f64()) as u64)
            );
            (last, before) = (Instant::now(), rows);
        }
    }
}
