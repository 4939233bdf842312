//! Suite `match`: from the bytes of a batch to "which rows go to which endpoint", by number of routes; ours and quamina.
//!
//! What always holds: ours parses, validates, fills six columns and matches in every row; the matches of every batch are counted
//! and have to be those that the generator knows, or that the naive matcher finds, delivery by delivery, on a sample.

mod naive;
mod ours;
mod peers;
pub mod probe;
mod routes;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::events::{Amount, Events, Workload, generate};
use crate::extract::checksum::Checksum;
use crate::rounds::{Plan, Samples, Work, take_turns};
use crate::row::{Peer, Row};
use crate::{Setting, cores, machine};

use naive::Naive;
use ours::Ours;
use peers::Quamina;
use probe::{Builder, probe};
use routes::{PerDevice, RouteSpec};

/// Fits no cache.
const COLD_BYTES: usize = 64 * 1024 * 1024;
/// Filters that the naive matcher may evaluate per case.
const NAIVE_EVALUATIONS: usize = 10_000_000;
/// What quamina may take to build.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures all cases.
pub fn run(setting: &Setting) -> Result<Vec<Row>, Box<dyn Error>> {
    let core = *cores::allowed()?.last().ok_or("no core is allowed")?;
    cores::on(core, || {
        let counts: &[u32] = if setting.quick { &[0, 1, 1_000] } else { &[0, 1, 1_000, 10_000, 100_000, 1_000_000] };
        let mut rows = Vec::new();
        for &count in counts {
            rows.push(per_device(PerDevice::EqualityAndRange, count, setting)?);
        }
        for &count in counts.iter().filter(|count| (1_000..=100_000).contains(*count)) {
            rows.push(per_device(PerDevice::Equality, count, setting)?);
        }
        rows.push(mixed(setting)?);
        for count in if setting.quick { [1_000, 2_000] } else { [100_000, 1_000_000] } {
            rows.extend(build(count, setting)?);
        }
        rows.push(update(if setting.quick { 1_000 } else { 100_000 }, setting)?);
        Ok(rows)
    })?
}

fn amount(setting: &Setting) -> Amount {
    Amount::Bytes(if setting.quick { COLD_BYTES / 256 } else { COLD_BYTES })
}

/// Routes with one device each, in all cases of the curve.
fn per_device(kind: PerDevice, count: u32, setting: &Setting) -> Result<Row, Box<dyn Error>> {
    // Without routes there is nobody to name the devices: as many as in the middle of the curve.
    let events = generate(Workload::Telemetry, if count == 0 { 10_000 } else { count }, amount(setting))?;
    let routes = kind.routes(count);
    let mut ours = Ours::build(&routes)?;
    sample(&mut ours, &routes, &events)?;
    let expected = expected(kind, count, &events);
    let wanted = (1_000..=100_000).contains(&count);
    let quamina = wanted.then(|| Quamina::build(kind, count, PATIENCE));
    let mut work: Vec<Work<'_>> = vec![stream(&mut ours, &events, Some(&expected), setting)];
    if let Some(Ok(quamina)) = &quamina {
        work.push(quamina_stream(quamina, &events, &expected, setting));
    }
    let samples = take_turns(&mut work, Plan::of(setting))?;
    drop(work);
    let (peer, note) = match &quamina {
        None => (None, String::new()),
        Some(Ok(_)) => (
            samples.get(1),
            "quamina reads until it has the fields that patterns name and validates nothing behind them; ours validates all and \
             fills 6 columns"
                .to_owned(),
        ),
        Some(Err(error)) => (None, error.to_string()),
    };
    let name = match (kind, count) {
        (_, 0) => "no routes".to_owned(),
        (PerDevice::EqualityAndRange, _) => format!("{} routes, device_id = x AND temp > c", grouped(count)),
        (PerDevice::Equality, _) => format!("{} routes, device_id = x", grouped(count)),
    };
    let mut row = row(&name, &samples[0], peer, &events, setting);
    row.note = note;
    if count == 1_000_000 {
        row.note = format!("the table itself takes {:.0} bytes per route", ours.bytes_per_route());
    }
    row.shape_hit_rate = ours.hit_rate();
    row.size = (kind == PerDevice::EqualityAndRange && count > 0).then_some(u64::from(count));
    Ok(row)
}

/// Matches that each batch has to give.
fn expected(kind: PerDevice, routes: u32, events: &Events) -> Vec<u64> {
    let mut facts = events.facts.iter();
    let of_batch =
        |rows: usize| facts.by_ref().take(rows).filter(|fact| routes > 0 && kind.takes(**fact)).count() as u64;
    events.batches.iter().map(|batch| batch.rows().len()).map(of_batch).collect()
}

/// Events per second of `cores` that match side by side, each with its own table of 100,000 routes and its own stream.
pub fn side_by_side(cores: &[usize], setting: &Setting) -> Result<f64, Box<dyn Error>> {
    let (count, time) =
        if setting.quick { (1_000, Duration::from_millis(100)) } else { (100_000, Duration::from_secs(2)) };
    let ready = Barrier::new(cores.len());
    let one = |core: usize| {
        cores::on(core, || -> Result<f64, String> {
            let events = generate(Workload::Telemetry, count, amount(setting)).map_err(|error| error.to_string());
            let built = Ours::build(&PerDevice::EqualityAndRange.routes(count)).map_err(|error| error.to_string());
            // Whoever failed must not keep the others waiting.
            ready.wait();
            let (events, mut ours) = (events?, built?);
            let (began, mut done, mut sum) = (Instant::now(), 0u64, Checksum::default());
            while began.elapsed() < time {
                for batch in &events.batches {
                    ours.run(batch, &mut sum);
                    done += batch.rows().len() as u64;
                }
            }
            if sum.valid != done {
                return Err(format!("{} of {done} events were taken for JSON", sum.valid));
            }
            Ok(done as f64 / began.elapsed().as_secs_f64())
        })
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = cores.iter().map(|&core| scope.spawn(move || one(core))).collect();
        threads.into_iter().try_fold(0.0, |total, thread| {
            let per_s = thread.join().map_err(|_| "a thread ended early")?.map_err(|error| error.to_string())?;
            Ok(total + per_s?)
        })
    })
}

/// The mixed set of routes.
fn mixed(setting: &Setting) -> Result<Row, Box<dyn Error>> {
    let count = if setting.quick { 1_000 } else { 10_000 };
    let events = generate(Workload::Telemetry, count, amount(setting))?;
    let routes = routes::mixed(count, count);
    let mut ours = Ours::build(&routes)?;
    sample(&mut ours, &routes, &events)?;
    let samples = take_turns(&mut [stream(&mut ours, &events, None, setting)], Plan::of(setting))?;
    let mut row = row(&format!("{} routes, mixed", grouped(count)), &samples[0], None, &events, setting);
    row.note =
        "mixed: equal parts equality, equality and range, prefix, IN of 20, contains, equality and NOT; 1 % scans"
            .into();
    if let Some(share) = ours.unindexed_share() {
        row.note.push_str(&format!("; no index serves {:.1} % of the routes", share * 100.0));
        row.note.push_str(&format!("; the table takes {:.0} bytes per route", ours.bytes_per_route()));
    }
    row.shape_hit_rate = ours.hit_rate();
    Ok(row)
}

/// Passes over the stream, batch by batch; a turn that takes long ends before the stream does.
fn stream<'a>(ours: &'a mut Ours, events: &'a Events, expected: Option<&'a [u64]>, setting: &Setting) -> Work<'a> {
    let turn_max = turn_max(setting);
    Box::new(move || {
        let (began, mut done, mut sum) = (Instant::now(), 0, Checksum::default());
        for (at, batch) in events.batches.iter().enumerate() {
            let matches = ours.run(batch, &mut sum);
            let expected = expected.map_or(matches, |expected| expected[at]);
            if matches != expected {
                return Err(format!("ours has {matches} matches in batch {at}, where there are {expected}").into());
            }
            done += batch.rows().len() as u64;
            if began.elapsed() > turn_max {
                break;
            }
        }
        std::hint::black_box(sum);
        match sum.valid == done {
            true => Ok(done),
            false => Err(format!("ours took {} of {done} events for valid JSON; all are", sum.valid).into()),
        }
    })
}

fn quamina_stream<'a>(quamina: &'a Quamina, events: &'a Events, expected: &'a [u64], setting: &Setting) -> Work<'a> {
    let turn_max = turn_max(setting);
    Box::new(move || {
        let (began, mut done) = (Instant::now(), 0);
        for (at, batch) in events.batches.iter().enumerate() {
            let (matches, expected) = (quamina.run(batch)?, expected[at]);
            if matches != expected {
                return Err(format!("quamina has {matches} matches in batch {at}, where there are {expected}").into());
            }
            done += batch.rows().len() as u64;
            if began.elapsed() > turn_max {
                break;
            }
        }
        Ok(done)
    })
}

fn turn_max(setting: &Setting) -> Duration {
    Duration::from_millis(if setting.quick { 100 } else { 1_000 })
}

/// Ours and the naive matcher agree on every delivery of the first events.
fn sample(ours: &mut Ours, routes: &[RouteSpec], events: &Events) -> Result<(), Box<dyn Error>> {
    let batch = events.batches.first().ok_or("no events")?;
    let rows = (NAIVE_EVALUATIONS / routes.len().max(1)).clamp(8, batch.rows().len());
    ours.run(batch, &mut Checksum::default());
    let of_ours = ours.deliveries(batch);
    let of_ours: Vec<_> = of_ours.into_iter().filter(|(row, _)| usize::from(*row) < rows).collect();
    let expected = Naive::build(routes)?.deliveries(batch, rows);
    if of_ours == expected {
        return Ok(());
    }
    let wrong = of_ours.iter().find(|delivery| !expected.contains(delivery));
    let missing = expected.iter().find(|delivery| !of_ours.contains(delivery));
    Err(format!("ours differs from the naive matcher: too much {wrong:?}, missing {missing:?} (row, endpoint)").into())
}

/// Building a table, and what it keeps.
fn build(count: u32, setting: &Setting) -> Result<Vec<Row>, Box<dyn Error>> {
    let rounds = if setting.quick { 1 } else { 3 };
    let mut ours = Vec::new();
    let mut quamina = Vec::new();
    for _ in 0..rounds {
        ours.push(probe(Builder::Ours, count)?);
        if count <= 100_000 {
            quamina.push(probe(Builder::Quamina, count)?);
        }
    }
    let count_f = f64::from(count);
    let rate = |built: &[probe::Built]| built.iter().map(|built| count_f / built.seconds.max(1e-9)).collect::<Vec<_>>();
    let cpu = |built: &[probe::Built]| built.iter().map(|built| built.cpu_seconds * 1e9 / count_f).collect::<Vec<_>>();
    let bytes = |built: &[probe::Built]| built.iter().map(|built| built.bytes as f64 / count_f).collect::<Vec<_>>();
    let peer = |values: Vec<f64>, cpu_ns: Vec<f64>| match values.is_empty() {
        false => peer(values, cpu_ns),
        true => Peer { name: String::new(), version: String::new(), values, cpu_ns },
    };
    let name = format!("{} routes, device_id = x AND temp > c", grouped(count));
    let built = Row::new(
        "match",
        &name,
        "built from texts",
        &rate(&ours),
        &cpu(&ours),
        peer(rate(&quamina), cpu(&quamina)),
        setting.quick,
    );
    let seconds: Vec<f64> = ours.iter().map(|built| built.seconds).collect();
    let mut built = built.unit("routes/s");
    built.note = format!("ours is built in {:.2} s", crate::row::median(&seconds));
    let kept = Row::new("match", &name, "memory", &bytes(&ours), &[], peer(bytes(&quamina), Vec::new()), setting.quick);
    let mut kept = kept.unit("bytes/route");
    let text: usize = PerDevice::EqualityAndRange.routes(1_000).iter().map(|route| route.filter.len()).sum();
    kept.note = format!("growth of resident memory; the text of a filter, {} bytes, is part of it", text / 1_000);
    Ok(vec![built, kept])
}

/// Adding one route, matching an event against it, and removing it.
fn update(count: u32, setting: &Setting) -> Result<Row, Box<dyn Error>> {
    let kind = PerDevice::EqualityAndRange;
    let one = generate(Workload::Telemetry, count, Amount::Events(1))?;
    let mut ours = Ours::build(&kind.routes(count))?;
    let mut quamina = Quamina::build(kind, count, PATIENCE);
    let added = kind.route(count);
    let mut work: Vec<Work<'_>> = Vec::new();
    work.push(Box::new(|| {
        ours.add(&added)?;
        ours.run(&one.batches[0], &mut Checksum::default());
        ours.remove_last()?;
        ours.run(&one.batches[0], &mut Checksum::default());
        Ok(2)
    }));
    if let Ok(quamina) = &mut quamina {
        let mut next = count;
        let batch = &one.batches[0];
        work.push(Box::new(move || {
            quamina.add(next)?;
            quamina.run(batch)?;
            quamina.remove(next)?;
            quamina.run(batch)?;
            // An id that was removed stays in its automaton.
            next += 1;
            Ok(2)
        }));
    }
    let samples = take_turns(&mut work, Plan::of(setting))?;
    drop(work);
    let (name, version, of_peer) = match (&quamina, samples.get(1)) {
        (Ok(_), Some(samples)) => ("quamina".to_owned(), machine::locked_version("quamina"), samples.clone()),
        (Err(error), _) => (error.to_string(), String::new(), Samples::default()),
        (Ok(_), None) => (String::new(), String::new(), Samples::default()),
    };
    let peer = Peer { name, version, values: of_peer.per_s, cpu_ns: of_peer.cpu_ns };
    let name = format!("one route added to or removed from {}", grouped(count));
    let row = Row::new("match", &name, "until visible", &samples[0].per_s, &samples[0].cpu_ns, peer, setting.quick);
    let mut row = row.unit("updates/s");
    row.note = format!("ours: {:.3} ms an update, one event matched included", 1e3 / row.ours);
    Ok(row)
}

fn row(name: &str, of_ours: &Samples, of_peer: Option<&Samples>, events: &Events, setting: &Setting) -> Row {
    let peer = match of_peer {
        Some(samples) => peer(samples.per_s.clone(), samples.cpu_ns.clone()),
        None => Peer { name: String::new(), version: String::new(), values: Vec::new(), cpu_ns: Vec::new() },
    };
    let metric = "parse, 6 columns, match";
    Row::new("match", name, metric, &of_ours.per_s, &of_ours.cpu_ns, peer, setting.quick)
        .bytes_per_event(events.bytes_per_event())
}

fn peer(values: Vec<f64>, cpu_ns: Vec<f64>) -> Peer {
    Peer { name: "quamina".into(), version: machine::locked_version("quamina"), values, cpu_ns }
}

fn grouped(count: u32) -> String {
    loadgen::report::grouped(u64::from(count))
}
