//! The proof at the end: what was sent against what is in the log, what should have matched against what did, and what each far
//! end holds. Pure.

use std::fmt;

use loadgen::report::grouped;

/// All counts of a demo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events the fleet sent.
    pub sent: u64,
    /// Events it has a receipt for.
    pub acknowledged: u64,
    /// Events that went out more than once and so may lie in the log twice.
    pub repeated: u64,
    /// Attempts that ended without a receipt: each may have left a copy of its events.
    pub retries: u64,
    /// Events in the log.
    pub in_log: u64,
    /// One row per endpoint.
    pub endpoints: Vec<EndpointTally>,
}

/// Counts of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointTally {
    /// Its name.
    pub name: String,
    /// What its far end is, for the table.
    pub far_end: &'static str,
    /// Acknowledged events that match its filter, counted by the demo from the readings themselves.
    pub expected: u64,
    /// Events that the node matched.
    pub matched: u64,
    /// Events that are there: counted at the receiver, in the footers, in the file.
    pub arrived: u64,
    /// Events written off.
    pub dead_lettered: u64,
}

/// Two counts that should agree and do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discrepancy(String);

impl fmt::Display for Discrepancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Tally {
    /// Everything that does not add up; nothing when the demo has passed.
    ///
    /// After a retry at-least-once allows copies, so counts may then be higher, by at most the repeated events per retry; never lower.
    pub fn discrepancies(&self) -> Vec<Discrepancy> {
        let mut found = Vec::new();
        let mut hold = |holds: bool, message: String| {
            if !holds {
                found.push(Discrepancy(message));
            }
        };
        let copies = if self.repeated == 0 { 0 } else { self.repeated.saturating_mul(self.retries) };
        let agrees = |count: u64, with: u64| count >= with && count <= with.saturating_add(copies);
        hold(self.sent > 0, "nothing was sent".to_owned());
        hold(
            self.acknowledged == self.sent,
            format!("{} events were sent, {} acknowledged", grouped(self.sent), grouped(self.acknowledged)),
        );
        hold(
            agrees(self.in_log, self.acknowledged),
            format!("{} events were acknowledged, {} are in the log", grouped(self.acknowledged), grouped(self.in_log)),
        );
        for endpoint in &self.endpoints {
            hold(
                agrees(endpoint.matched, endpoint.expected),
                format!(
                    "{}: {} events should match, {} did",
                    endpoint.name,
                    grouped(endpoint.expected),
                    grouped(endpoint.matched)
                ),
            );
            hold(
                endpoint.arrived >= endpoint.matched && (copies > 0 || endpoint.arrived == endpoint.matched),
                format!(
                    "{}: {} events matched, {} arrived ({})",
                    endpoint.name,
                    grouped(endpoint.matched),
                    grouped(endpoint.arrived),
                    endpoint.far_end
                ),
            );
            hold(
                endpoint.dead_lettered == 0,
                format!(
                    "{}: {} events were written off as dead letters",
                    endpoint.name,
                    grouped(endpoint.dead_lettered)
                ),
            );
        }
        found
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  sent {:>15}", grouped(self.sent))?;
        writeln!(f, "  acknowledged {:>7}", grouped(self.acknowledged))?;
        writeln!(f, "  in the log {:>9}", grouped(self.in_log))?;
        if self.repeated > 0 {
            writeln!(f, "  {} events were sent again and may be there twice", grouped(self.repeated))?;
        }
        writeln!(f)?;
        writeln!(f, "  {:<10} {:>13} {:>13} {:>13}  counted", "endpoint", "should match", "matched", "arrived")?;
        for endpoint in &self.endpoints {
            writeln!(
                f,
                "  {:<10} {:>13} {:>13} {:>13}  {}",
                endpoint.name,
                grouped(endpoint.expected),
                grouped(endpoint.matched),
                grouped(endpoint.arrived),
                endpoint.far_end
            )?;
        }
        let discrepancies = self.discrepancies();
        if discrepancies.is_empty() {
            return write!(f, "\n  PASS: all counts agree");
        }
        write!(f, "\n  FAIL:")?;
        for discrepancy in discrepancies {
            write!(f, "\n    {discrepancy}")?;
        }
        Ok(())
    }
}
