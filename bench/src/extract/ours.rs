//! Ours in the suite `extract`: the engine's extractor, once per kernel that this machine can run.

use engine::batch::Batch;
use engine::parse::{Columns, Extractor as Engine, Fields, Kernel, Span, Step, Tag};

use super::Extractor;
use super::checksum::{Checksum, column};
use crate::events::WANTED;

/// Of the hash of shapes; the node takes a random one.
const SEED: u64 = 0x9d3c_71f0_5b2e_8a46;

/// The engine's extractor with one kernel.
pub struct Ours {
    kernel: &'static str,
    engine: Engine,
    fields: Fields,
    columns: Columns,
    bodies: Vec<Span>,
}

impl Ours {
    /// The one that the engine chooses itself.
    pub fn best() -> Self {
        Self::with("", Kernel::best())
    }

    /// All others that this machine can run, forced.
    pub fn forced() -> Vec<Self> {
        let others = Kernel::ALL.into_iter().filter(|kernel| kernel.is_available() && *kernel != Kernel::best());
        others.map(|kernel| Self::with(kernel.name(), kernel)).collect()
    }

    fn with(name: &'static str, kernel: Kernel) -> Self {
        let mut fields = Fields::new(1);
        for (column, name) in (0..).zip(WANTED) {
            fields.add(&[Step::Member(name.into())], column);
        }
        let engine = Engine::new(kernel, SEED);
        Self { kernel: name, engine, fields, columns: Columns::default(), bodies: Vec::new() }
    }

    /// Name of the kernel; empty for the one that the engine chose.
    pub fn kernel(&self) -> &'static str {
        self.kernel
    }

    /// Share of the events so far whose shape was known.
    pub fn hit_rate(&self) -> Option<f64> {
        let stats = self.engine.stats();
        (stats.bodies > 0).then(|| stats.shape_hits as f64 / stats.bodies as f64)
    }
}

impl Extractor for Ours {
    fn run(&mut self, batch: &Batch, sum: &mut Checksum) {
        let rows = batch.rows().len();
        self.bodies.clear();
        self.bodies.extend(batch.rows().iter().map(|row| Span { start: row.value.start, len: row.value.len }));
        self.columns.reset(rows, WANTED.len());
        self.engine.run(&self.fields, batch.bytes(), &self.bodies, &mut self.columns);
        sum.valid += (0..rows).map(|row| u64::from(self.engine.is_json(row))).sum::<u64>();
        for column in [column::DEVICE_ID, column::STATUS] {
            for (tag, value) in cells(&self.columns, column, rows) {
                if let Some(text) = self.columns.text(tag, value, batch.bytes()) {
                    sum.text(column, text);
                }
            }
        }
        for column in [column::TS, column::TEMP, column::HUMIDITY, column::BATTERY] {
            for (tag, value) in cells(&self.columns, column, rows) {
                if tag == Tag::Number {
                    sum.number(column, f64::from_bits(value));
                }
            }
        }
    }
}

fn cells(columns: &Columns, column: usize, rows: usize) -> impl Iterator<Item = (Tag, u64)> {
    let column = column as u32;
    columns.tags(column)[..rows].iter().copied().zip(columns.values(column)[..rows].iter().copied())
}
