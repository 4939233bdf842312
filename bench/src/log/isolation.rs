//! A thousand webhook endpoints, all of them well, and the same with ten that hang, fail, drip or hang up: what the others notice.
//!
//! Two nodes stand side by side and take turns. A turn is a burst, as fast as the node takes it, whose time until the last well
//! endpoint has everything is the throughput; and a paced part, in which the time from sending to arrival is taken. Nodes have
//! one core, senders and receivers the other.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::process::{Server, processor_time, resident_mib};
use crate::row::{Peer, Row};
use crate::{Setting, cores};

mod receivers;

use receivers::Receivers;

/// Events of one request to the node.
const EVENTS_PER_POST: usize = 500;
/// A turn that takes longer has failed.
const TURN_MAX: Duration = Duration::from_secs(60);

struct Contestant {
    server: Server,
    stream: TcpStream,
    _folder: tempfile::TempDir,
    per_s: Vec<f64>,
    cpu_ns: Vec<f64>,
    p99_us: Vec<f64>,
}

/// What receivers saw.
#[derive(Default)]
pub struct Arrivals {
    /// Events that reached well endpoints.
    pub events: AtomicU64,
    /// Their ages in microseconds, while they are wanted.
    pub ages_us: std::sync::Mutex<Vec<u64>>,
}

/// Throughput and latency of the well ones, beside a node where all are well.
pub fn run(setting: &Setting, folder: &Path) -> Result<Vec<Row>, Box<dyn Error>> {
    let (endpoints, bad, burst, paced, rounds) =
        if setting.quick { (100, 4, 2_000, 500, 1) } else { (1000, 10, 50_000, 10_000, 5) };
    let allowed = cores::allowed()?;
    let (&node_core, &other_core) =
        (allowed.first().ok_or("no core is allowed")?, allowed.last().ok_or("no core is allowed")?);
    let arrivals = Arc::new(Arrivals::default());
    let began = Instant::now();
    let receivers = cores::on(other_core, || Receivers::start(arrivals.clone(), began))??;
    let start = |bad: usize| -> Result<Contestant, Box<dyn Error>> {
        let data = tempfile::tempdir_in(folder)?;
        let config = data.path().join("anabranch.toml");
        std::fs::write(&config, configuration(endpoints, bad, &receivers))?;
        let mut command = Command::new(&setting.anabranch);
        command
            .args(["run", "--http-listen", "127.0.0.1:0", "--shards", "1", "--log-level", "off", "--config"])
            .arg(&config);
        command.arg("--data-dir").arg(data.path().join("data"));
        let server = cores::on(node_core, || Server::start(&mut command))??;
        let stream = TcpStream::connect(server.address.trim_start_matches("http://"))?;
        stream.set_nodelay(true)?;
        Ok(Contestant { server, stream, _folder: data, per_s: vec![], cpu_ns: vec![], p99_us: vec![] })
    };
    let mut contestants = [start(bad)?, start(0)?];
    cores::on(other_core, || -> Result<(), Box<dyn Error>> {
        // The first round opens connections and does not count.
        for round in 0..=rounds {
            for (at, contestant) in contestants.iter_mut().enumerate() {
                let bad = if at == 0 { bad } else { 0 };
                contestant.turn((endpoints, bad), burst, paced, &arrivals, began, round > 0)?;
            }
        }
        Ok(())
    })??;
    let [with_bad, all_well] = contestants;
    let note = format!(
        "{} well endpoints beside {bad} that hang, fail, drip or hang up; resident memory {:.0} MiB, {:.0} MiB with all well",
        endpoints - bad,
        resident_mib(with_bad.server.pid())?,
        resident_mib(all_well.server.pid())?
    );
    let peer = |values: &[f64], cpu: &[f64]| Peer {
        name: "all endpoints well".into(),
        version: String::new(),
        values: values.to_vec(),
        cpu_ns: cpu.to_vec(),
    };
    let case = format!("{endpoints} webhooks, {bad} of them bad");
    let mut throughput = Row::new(
        "log",
        &case,
        "burst to the well ones",
        &with_bad.per_s,
        &with_bad.cpu_ns,
        peer(&all_well.per_s, &all_well.cpu_ns),
        setting.quick,
    );
    throughput.note = format!("target: at least 0.95; {note}");
    let mut latency =
        Row::new("log", &case, "p99, paced", &with_bad.p99_us, &[], peer(&all_well.p99_us, &[]), setting.quick)
            .unit("µs");
    latency.note = format!("target: at least 0.67 (p99 within 1.5 times); {note}");
    Ok(vec![throughput, latency])
}

impl Contestant {
    fn turn(
        &mut self,
        (endpoints, bad): (usize, usize),
        burst: usize,
        paced: usize,
        arrivals: &Arrivals,
        began: Instant,
        counts: bool,
    ) -> Result<(), Box<dyn Error>> {
        let (turn_began, busy) = (Instant::now(), processor_time(self.server.pid())?);
        let before = arrivals.events.load(Ordering::Relaxed);
        let mut wanted = before;
        for first in (0..burst).step_by(EVENTS_PER_POST) {
            let (body, well) = events(first..(first + EVENTS_PER_POST).min(burst), endpoints, bad, began);
            wanted += well;
            post(&mut self.stream, &body)?;
        }
        await_arrivals(arrivals, wanted)?;
        let per_s = (wanted - before) as f64 / turn_began.elapsed().as_secs_f64();
        let busy = processor_time(self.server.pid())?.saturating_sub(busy);
        let cpu_ns = busy.as_nanos() as f64 / (wanted - before) as f64;
        // A third of what the burst did.
        arrivals.ages_us.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
        let interval = Duration::from_secs_f64(3.0 * 20.0 / per_s);
        let paced_began = Instant::now();
        for (post_number, first) in (0..paced).step_by(20).enumerate() {
            while paced_began.elapsed() < interval * post_number as u32 {
                std::thread::sleep(Duration::from_micros(100));
            }
            let (body, well) = events(first..(first + 20).min(paced), endpoints, bad, began);
            wanted += well;
            post(&mut self.stream, &body)?;
        }
        await_arrivals(arrivals, wanted)?;
        let mut ages = std::mem::take(&mut *arrivals.ages_us.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        ages.sort_unstable();
        let p99 = ages.get(ages.len() * 99 / 100).copied().unwrap_or(0) as f64;
        if counts {
            self.per_s.push(per_s);
            self.cpu_ns.push(cpu_ns);
            self.p99_us.push(p99);
        }
        Ok(())
    }
}

fn await_arrivals(arrivals: &Arrivals, wanted: u64) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    while arrivals.events.load(Ordering::Relaxed) < wanted {
        if began.elapsed() > TURN_MAX {
            let got = arrivals.events.load(Ordering::Relaxed);
            return Err(format!("{} events did not arrive in {TURN_MAX:?}", wanted - got).into());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

/// Lines of NDJSON, each for one endpoint, and how many are for well ones. The first `bad` endpoints are bad.
fn events(range: std::ops::Range<usize>, endpoints: usize, bad: usize, began: Instant) -> (String, u64) {
    let mut body = String::with_capacity(range.len() * 200);
    let mut well = 0;
    for number in range {
        let endpoint = number * 7919 % endpoints;
        well += u64::from(endpoint >= bad);
        let sent_us = began.elapsed().as_micros();
        writeln!(
            body,
            "{{\"device_id\":\"d{number}\",\"e\":{endpoint},\"sent_us\":{sent_us},\"temp\":21.5,\"humidity\":40,\"status\":\"ok\"}}"
        )
        .expect("written to memory");
    }
    (body, well)
}

fn post(stream: &mut TcpStream, body: &str) -> Result<(), Box<dyn Error>> {
    let head = format!(
        "POST /events HTTP/1.1\r\nhost: node\r\ncontent-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece)?;
        answer.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            if !head.starts_with("HTTP/1.1 2") {
                return Err(format!("the node answered {head}").into());
            }
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
            if rest.len() >= length.unwrap_or(0) {
                return Ok(());
            }
        }
        if count == 0 {
            return Err("the node closed the connection".into());
        }
    }
}

fn configuration(endpoints: usize, bad: usize, receivers: &Receivers) -> String {
    let mut config = String::new();
    for endpoint in 0..endpoints {
        let url = if endpoint < bad { receivers.bad(endpoint) } else { receivers.well() };
        write!(
            config,
            "[endpoints.e{endpoint}]\ntype = \"webhook\"\nurl = \"{url}\"\nbatch_events_max = 100\nconcurrency_max = 2\n\
             timeout_ms = 2000\n\n[[routes]]\nname = \"r{endpoint}\"\nfilter = \"$body.e = {endpoint}\"\nendpoint = \"e{endpoint}\"\n\n"
        )
        .expect("written to memory");
    }
    config
}
