//! Suite `extract`: six typed fields out of JSON events, with full validation; ours and the JSON libraries on one core.
//!
//! What always holds: all read the same bytes of the same batches and have to find the same values, by [`Checksum`]; whoever
//! does not, and is not known to differ by nature, fails the run.

pub mod checksum;
pub mod ours;
mod peers;

use std::error::Error;

use engine::batch::Batch;

use crate::events::{Amount, Events, Workload, generate};
use crate::rounds::{Plan, Samples, Work, take_turns};
use crate::row::{Peer, Row};
use crate::{Setting, cores, machine};

use checksum::Checksum;
use ours::Ours;
use peers::{Memcpy, SerdeJson, SimdJson, SonicRs};

/// Somebody who finds the wanted fields of all events of a batch.
pub trait Extractor {
    /// Adds what it finds to `sum`.
    fn run(&mut self, batch: &Batch, sum: &mut Checksum);
}

const DEVICES: u32 = 10_000;
/// The hot set: about 2 MB of telemetry.
const HOT: Amount = Amount::Events(8_192);
/// Fits the L2 cache of every core of the last ten years.
const L2: Amount = Amount::Bytes(256 * 1024);
/// Fits no cache.
const COLD: Amount = Amount::Bytes(64 * 1024 * 1024);

struct Case {
    workload: Workload,
    amount: Amount,
    /// What to add to the name of the workload.
    place: &'static str,
    /// Point of the curve over the number of shapes.
    shapes: Option<u64>,
}

const fn case(workload: Workload) -> Case {
    Case { workload, amount: HOT, place: "", shapes: None }
}

const fn shapes(count: usize) -> Case {
    Case { workload: Workload::Shapes(count), amount: HOT, place: "", shapes: Some(count as u64) }
}

const CASES: [Case; 12] = [
    Case { workload: Workload::Telemetry, amount: HOT, place: "", shapes: Some(1) },
    Case { workload: Workload::Telemetry, amount: L2, place: ", 256 KB", shapes: None },
    Case { workload: Workload::Telemetry, amount: COLD, place: ", 64 MB cold", shapes: None },
    case(Workload::Spaced),
    case(Workload::Escaped),
    case(Workload::Arrays),
    case(Workload::NonAscii),
    case(Workload::Kilobyte),
    shapes(8),
    shapes(64),
    shapes(512),
    // More than any table of shapes holds, so that none is known when it comes round again.
    Case { workload: Workload::AllUnseen, amount: Amount::Events(65_536), place: "", shapes: None },
];
const HOSTILE: Case = case(Workload::Hostile);

/// Measures all cases.
pub fn run(setting: &Setting) -> Result<Vec<Row>, Box<dyn Error>> {
    let core = *cores::allowed()?.last().ok_or("no core is allowed")?;
    let mut rows = Vec::new();
    for case in CASES.iter().chain([&HOSTILE]) {
        rows.extend(cores::on(core, || measure(case, setting))??);
    }
    Ok(rows)
}

struct Contestant {
    name: &'static str,
    version: String,
    note: String,
    /// Why it may find something else than the others; empty if it may not.
    differs: &'static str,
    extractor: Box<dyn Extractor>,
}

fn peers(case: &Case, batches: &[Batch]) -> Vec<Contestant> {
    let mut peers = vec![
        Contestant {
            name: "simd-json tape, buffers reused",
            version: machine::locked_version("simd-json"),
            note: "validates all; chooses its kernel when it starts".into(),
            differs: "",
            extractor: Box::new(SimdJson::default()),
        },
        Contestant {
            name: "sonic-rs get_many, converted",
            version: machine::locked_version("sonic-rs"),
            note: format!(
                "checked, but stops at the last wanted field, does not look at what follows; compiled for {}",
                machine::compiled_for()
            ),
            differs: if case.workload == Workload::Hostile {
                "it takes the first of duplicates and accepts what is broken behind the last wanted field"
            } else {
                ""
            },
            extractor: Box::new(SonicRs::default()),
        },
        Contestant {
            name: "serde_json::Value",
            version: machine::locked_version("serde_json"),
            note: "validates all; with preserve_order and mimalloc".into(),
            differs: "",
            extractor: Box::new(SerdeJson),
        },
    ];
    if matches!(case.amount, Amount::Bytes(_)) {
        peers.push(Contestant {
            name: "memcpy of as many bytes",
            version: String::new(),
            note: "reads and writes, understands nothing".into(),
            differs: "it finds nothing",
            extractor: Box::new(Memcpy::of(batches)),
        });
    }
    peers
}

fn measure(case: &Case, setting: &Setting) -> Result<Vec<Row>, Box<dyn Error>> {
    let amount = match (setting.quick, case.amount) {
        (false, amount) => amount,
        (true, Amount::Events(_)) => Amount::Events(1_024),
        (true, Amount::Bytes(bytes)) => Amount::Bytes(bytes / 32),
    };
    let events = generate(case.workload, DEVICES, amount)?;
    let name = format!("{}{}", case.workload.name(), case.place);
    let mut ours: Vec<Ours> = std::iter::once(Ours::best()).chain(Ours::forced()).collect();
    let mut peers = peers(case, &events.batches);

    let mut expected = Checksum::default();
    events.batches.iter().for_each(|batch| SerdeJson.run(batch, &mut expected));
    let samples = {
        let events = &events;
        let ours = ours.iter_mut().map(|ours| -> Work<'_> {
            let who = format!("ours {}", ours.kernel());
            Box::new(move || pass(ours, &who, events, Some(expected)))
        });
        let peers = peers.iter_mut().map(|peer| -> Work<'_> {
            let expected = peer.differs.is_empty().then_some(expected);
            Box::new(move || pass(peer.extractor.as_mut(), peer.name, events, expected))
        });
        take_turns(&mut ours.chain(peers).collect::<Vec<_>>(), Plan::of(setting))?
    };
    let (of_ours, of_peers) = samples.split_at(ours.len());
    let mut rows = Vec::new();
    for (ours, samples) in ours.iter().zip(of_ours) {
        for (peer, of_peer) in peers.iter().zip(of_peers) {
            // A forced kernel is compared with the fastest peer, and once with the next.
            let fast =
                peer.name.starts_with("simd-json") || (peer.name.starts_with("sonic-rs") && case.shapes == Some(1));
            if ours.kernel().is_empty() || fast {
                rows.push(row(case, &name, (ours, samples), (peer, of_peer), &events, setting));
            }
        }
    }
    Ok(rows)
}

/// One pass over all events; what was found has to be what is `expected`.
fn pass(
    extractor: &mut dyn Extractor,
    who: &str,
    events: &Events,
    expected: Option<Checksum>,
) -> Result<u64, Box<dyn Error>> {
    let mut found = Checksum::default();
    for batch in &events.batches {
        extractor.run(batch, &mut found);
    }
    match expected {
        Some(expected) if found != expected => {
            Err(format!("{who} found {found}, where serde_json finds {expected}").into())
        }
        // What nobody looks at, the compiler may leave out.
        _ => {
            std::hint::black_box(found);
            Ok(events.facts.len() as u64)
        }
    }
}

fn row(
    case: &Case,
    name: &str,
    (ours, of_ours): (&Ours, &Samples),
    (peer, of_peer): (&Contestant, &Samples),
    events: &Events,
    setting: &Setting,
) -> Row {
    let mut row = Row::new(
        "extract",
        name,
        "6 fields, validated",
        &of_ours.per_s,
        &of_ours.cpu_ns,
        Peer {
            name: peer.name.into(),
            version: peer.version.clone(),
            values: of_peer.per_s.clone(),
            cpu_ns: of_peer.cpu_ns.clone(),
        },
        setting.quick,
    )
    .bytes_per_event(events.bytes_per_event());
    row.size = case.shapes;
    row.ours_name = ours.kernel().to_owned();
    row.note = format!("{}: {}", peer.name, peer.note);
    if !peer.differs.is_empty() {
        row.note.push_str(&format!("; not held to our values: {}", peer.differs));
    }
    row.shape_hit_rate = ours.hit_rate();
    row
}
