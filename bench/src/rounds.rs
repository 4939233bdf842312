//! Turn-taking: all contestants on one pinned core, round by round, by the wall clock and by the thread's own processor time.
//!
//! What always holds: a round gives every contestant one turn, the first one changes from round to round, and the round before
//! the first warms up and does not count.

use std::error::Error;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::Setting;

/// One piece of a contestant's work; says how many events (or whatever is counted) it did.
pub type Work<'a> = Box<dyn FnMut() -> Result<u64, Box<dyn Error>> + 'a>;

/// How long to measure.
#[derive(Clone, Copy)]
pub struct Plan {
    rounds: usize,
    /// A turn repeats the work until this much time is gone.
    turn: Duration,
    /// A contestant whose turns took this long in all takes no more, once it has had three.
    patience: Duration,
}

impl Plan {
    /// As a run is set: enough for figures, or just enough to see that it works.
    pub fn of(setting: &Setting) -> Self {
        if setting.quick {
            return Self { rounds: 2, turn: Duration::ZERO, patience: Duration::ZERO };
        }
        Self { rounds: 11, turn: Duration::from_millis(30), patience: Duration::from_secs(10) }
    }
}

/// Measurements of one contestant, one entry per turn that counts.
#[derive(Clone, Default)]
pub struct Samples {
    /// Per second of the wall clock.
    pub per_s: Vec<f64>,
    /// Processor time of one, in nanoseconds.
    pub cpu_ns: Vec<f64>,
}

/// Lets all take turns; their measurements in the order given.
pub fn take_turns(contestants: &mut [Work<'_>], plan: Plan) -> Result<Vec<Samples>, Box<dyn Error>> {
    let mut samples = vec![Samples::default(); contestants.len()];
    let mut spent = vec![Duration::ZERO; contestants.len()];
    for round in 0..=plan.rounds {
        for turn in 0..contestants.len() {
            let who = (turn + round) % contestants.len();
            let patient = spent[who] < plan.patience || samples[who].per_s.len() < 3;
            if !patient {
                continue;
            }
            let (began, cpu_began) = (Instant::now(), thread_cpu());
            let mut count = 0;
            loop {
                count += contestants[who]()?;
                if began.elapsed() >= plan.turn {
                    break;
                }
            }
            let (wall, cpu) = (began.elapsed(), thread_cpu().saturating_sub(cpu_began));
            spent[who] += wall;
            if round > 0 {
                samples[who].per_s.push(count as f64 / wall.as_secs_f64().max(1e-9));
                samples[who].cpu_ns.push(cpu.as_nanos() as f64 / count.max(1) as f64);
            }
        }
    }
    Ok(samples)
}

/// Processor time of this thread.
pub fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn everybody_has_a_turn_in_every_round_and_the_first_round_does_not_count() {
        let turns = RefCell::new(Vec::new());
        let contestant = |name: char| -> Work<'_> {
            let turns = &turns;
            Box::new(move || {
                turns.borrow_mut().push(name);
                Ok(10)
            })
        };
        let plan = Plan { rounds: 2, turn: Duration::ZERO, patience: Duration::MAX };
        let samples = take_turns(&mut [contestant('a'), contestant('b')], plan).unwrap();
        assert_eq!(turns.borrow().iter().collect::<String>(), "abbaab");
        assert!(samples.iter().all(|samples| samples.per_s.len() == 2 && samples.cpu_ns.len() == 2));
    }

    #[test]
    fn an_error_ends_the_run() {
        let failing: Work<'_> = Box::new(|| Err("wrong sum".into()));
        let plan = Plan { rounds: 1, turn: Duration::ZERO, patience: Duration::MAX };
        assert_eq!(take_turns(&mut [failing], plan).err().unwrap().to_string(), "wrong sum");
    }
}
