//! The simulator: the whole core of a node (intakes, shards, log, cursors, endpoints) on one thread, with virtual time, a disk that
//! fails, receivers that fail and crashes at any write, all from a seed; and a ledger that says what must be true.
//!
//! ```text
//! cargo test -p tests --test sim                                     1,000 seeds, and each sabotage must be found
//! cargo test --release -p tests --test sim -- --minutes 240          new seeds for four hours
//! cargo test -p tests --test sim -- --seed 4711                      one seed, with what it has seen
//! cargo test -p tests --test sim -- --sabotage SkipSync              how many seeds find it
//! ```
//! A seed that fails fails always, on any machine.

mod disk;
mod endpoint;
mod ledger;
mod numbered;
mod process;
mod sabotage;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sabotage::Sabotage;
use world::Seen;

/// Seeds that the test command runs.
const SEEDS: u64 = 1000;
/// Seeds within which a sabotage must be found.
const SABOTAGE_SEEDS_MAX: u64 = 5000;

fn run(seed: u64, sabotage: Sabotage) -> Result<Seen, String> {
    catch_unwind(AssertUnwindSafe(|| world::run(seed, sabotage))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("a panic: {}", text.unwrap_or_default()))
    })
}

/// Runs seeds from `first` on, on two threads, until `is_over`; the lowest that fails.
fn many(first: u64, is_over: impl Fn(u64) -> bool + Sync) -> (u64, Seen, Option<(u64, String)>) {
    let (next, failed) = (AtomicU64::new(first), AtomicBool::new(false));
    let found: Mutex<(Seen, Option<(u64, String)>)> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if is_over(seed) {
                        break;
                    }
                    let result = run(seed, Sabotage::None);
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    match result {
                        Ok(seen) => {
                            seen.into_iter().for_each(|(what, count)| *found.0.entry(what).or_default() += count)
                        }
                        Err(why) => {
                            failed.store(true, Ordering::Relaxed);
                            if found.1.as_ref().is_none_or(|(other, _)| seed < *other) {
                                found.1 = Some((seed, why));
                            }
                        }
                    }
                }
            });
        }
    });
    let (seen, failure) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    (next.load(Ordering::Relaxed) - first, seen, failure)
}

fn report(seeds: u64, seen: &Seen, failure: Option<(u64, String)>, began: Instant) -> bool {
    println!("{seeds} seeds in {:.1} s", began.elapsed().as_secs_f64());
    for (what, count) in seen {
        println!("  {what}: {count}");
    }
    if let Some((seed, why)) = &failure {
        println!("seed {seed}: {why}\n  again: cargo test -p tests --test sim -- --seed {seed}");
    }
    failure.is_none()
}

/// The first of the seeds that finds the sabotage.
fn found_by(sabotage: Sabotage) -> Option<(u64, String)> {
    (0..SABOTAGE_SEEDS_MAX).find_map(|seed| run(seed, sabotage).err().map(|why| (seed, why)))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value =
        |name: &str| arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1));
    let number = |name: &str| value(name).and_then(|value| value.parse::<u64>().ok());
    let began = Instant::now();
    if let Some(seed) = number("--seed") {
        return match world::run(seed, Sabotage::None) {
            Ok(seen) => {
                report(1, &seen, None, began);
                ExitCode::SUCCESS
            }
            Err(why) => {
                println!("seed {seed}: {why}");
                ExitCode::FAILURE
            }
        };
    }
    // A sabotaged world may panic, which is as good as any other way of finding it.
    std::panic::set_hook(Box::new(|_| {}));
    if let Some(name) = value("--sabotage") {
        let Some(sabotage) = Sabotage::by_name(name) else {
            println!("no sabotage is called {name}; there are {:?}", Sabotage::ALL);
            return ExitCode::from(2);
        };
        let found = (0..SABOTAGE_SEEDS_MAX).filter(|seed| run(*seed, sabotage).is_err()).count();
        println!("{sabotage:?}: {found} of {SABOTAGE_SEEDS_MAX} seeds find it");
        return if found > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if let Some(minutes) = number("--minutes") {
        let first = number("--from").unwrap_or_else(|| fastrand::u64(..1 << 40));
        let until = began + Duration::from_secs(60 * minutes);
        println!("from seed {first} on, for {minutes} minutes");
        let (seeds, seen, failure) = many(first, |_| Instant::now() >= until);
        return if report(seeds, &seen, failure, began) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let seeds = number("--seeds").unwrap_or(SEEDS);
    let (_, seen, failure) = many(0, |seed| seed >= seeds);
    let mut is_good = report(seeds, &seen, failure, began);
    for sabotage in Sabotage::ALL {
        match found_by(sabotage) {
            Some((seed, why)) => println!("{sabotage:?}: found by seed {seed}: {why}"),
            None => {
                println!("{sabotage:?}: not found by {SABOTAGE_SEEDS_MAX} seeds");
                is_good = false;
            }
        }
    }
    println!("{:.1} s in all", began.elapsed().as_secs_f64());
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
