//! Case `extract`: bodies of a batch into the columns of six fields.

use engine::batch::Batch;
use engine::parse::{Columns, Extractor, Fields, Kernel, Span, Step};

use super::Case;
use super::events::{bodies, plain, telemetry, text, unseen};

const WANTED: [&str; 6] = ["device_id", "ts", "temp", "humidity", "battery", "status"];
/// Of the hash of shapes; the node takes a random one.
const SEED: u64 = 0x9d3c_71f0_5b2e_8a46;

/// An extractor and what it works on.
pub struct Extract {
    extractor: Extractor,
    fields: Fields,
    columns: Columns,
    batches: Vec<(Batch, Vec<Span>)>,
}

impl Extract {
    /// Events of one shape.
    pub fn known() -> Self {
        Self::of(telemetry)
    }

    /// Every event has a shape of its own.
    pub fn unseen() -> Self {
        Self::of(unseen)
    }

    /// Escapes, and other than ASCII.
    pub fn text() -> Self {
        Self::of(text)
    }

    fn of(body: fn(u64) -> String) -> Self {
        let mut fields = Fields::new(1);
        for (column, name) in (0..).zip(WANTED) {
            fields.add(&[Step::Member(name.into())], column);
        }
        let spans = |batch: &Batch| {
            batch.rows().iter().map(|row| Span { start: row.value.start, len: row.value.len }).collect::<Vec<_>>()
        };
        let batches = plain(&bodies(body)).into_iter().map(|batch| (spans(&batch), batch));
        Self {
            extractor: Extractor::new(Kernel::best(), SEED),
            fields,
            columns: Columns::default(),
            batches: batches.map(|(spans, batch)| (batch, spans)).collect(),
        }
    }
}

impl Case for Extract {
    fn run(&mut self) -> usize {
        let mut done = 0;
        for (batch, bodies) in &self.batches {
            self.columns.reset(bodies.len(), WANTED.len());
            self.extractor.run(&self.fields, batch.bytes(), bodies, &mut self.columns);
            done += (0..bodies.len()).filter(|row| self.extractor.is_json(*row)).count();
        }
        done
    }
}
