//! The long run: mutated events through every kernel and random tables through the matcher, against the oracles.
//!
//! `cargo run --release -p tests --bin mutants -- [--json N] [--routing N] [--seed S] [--kernel NAME]`: so many mutated bodies and
//! so many rows of random batches against random tables. What always holds: the same seed gives the same run; a difference ends it
//! with the input cut down to what still shows it, and exit status 1.

use std::process::ExitCode;
use std::time::Instant;

use engine::parse::Kernel;
use fastrand::Rng;
use oracle::generate;
use oracle::json::JsonRunner;
use oracle::mutate::mutate;
use oracle::routing::{RoutingRunner, table};

const PATHS: [&str; 12] =
    ["a", "b", "device_id", "temp", "loc.lat", "loc", "list", "list[1]", "list[0].x", "status", "loc.deep.er", ""];

/// The same without elements of arrays: only then rows with arrays are read by their shape.
const WHOLE: [&str; 9] = ["a", "b", "device_id", "temp", "loc.lat", "loc", "list", "status", "loc.deep.er"];

/// Longer than a block.
const LONG: &str = "a text that is longer than one block of the kernels and goes over its end";

struct Asked {
    json: u64,
    routing: u64,
    seed: u64,
    kernels: Vec<Kernel>,
}

fn asked() -> Result<Asked, String> {
    let mut asked = Asked { json: 100_000, routing: 10_000, seed: 1, kernels: Kernel::ALL.to_vec() };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} takes a value"))?;
        let number = || value.parse().map_err(|_| format!("{name} takes a number, not {value}"));
        match name.as_str() {
            "--json" => asked.json = number()?,
            "--routing" => asked.routing = number()?,
            "--seed" => asked.seed = number()?,
            "--kernel" => {
                let kernel = Kernel::by_name(&value).ok_or("the kernels are portable, avx2 and avx512")?;
                asked.kernels = vec![kernel];
            }
            _ => return Err(format!("there is no {name}: take --json N, --routing N, --seed S or --kernel NAME")),
        }
    }
    Ok(asked)
}

fn main() -> ExitCode {
    let asked = match asked() {
        Ok(asked) => asked,
        Err(reason) => {
            eprintln!("mutants: {reason}");
            return ExitCode::from(2);
        }
    };
    match json(&asked).and_then(|()| routing(&asked)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("mutants: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// An event to start from: telemetry of some shape, or anything.
fn seed_body(rng: &mut Rng) -> Vec<u8> {
    if rng.u8(0..4) == 0 {
        return generate::body(rng);
    }
    let (colon, comma) = [(":", ","), (": ", ", "), (" :\t", " ,\n  ")][rng.usize(0..3)];
    let text = ["ok", "", "ä", "日本", "a,b:c{}", LONG][rng.usize(0..6)];
    let members = [
        format!("\"device_id\"{colon}\"device-{}\"", rng.u32(0..1000)),
        format!("\"temp\"{colon}{}.{:02}", rng.i32(-50..50), rng.u32(0..100)),
        format!("\"a\"{colon}{}", rng.u64(..) >> rng.u32(0..64)),
        format!("\"status\"{colon}\"{text}\""),
        format!("\"loc\"{colon}{{\"lat\"{colon}{}{comma}\"deep\"{colon}{{\"er\"{colon}true}}}}", rng.i32(-90..90)),
        format!("\"b\"{colon}{}", ["null", "false", "true", "0", "-0", "1e5"][rng.usize(0..6)]),
        match rng.u8(0..3) {
            0 => format!("\"list\"{colon}[1{comma}\"two\"{comma}{{\"x\"{colon}3}}]"),
            1 => format!("\"list\"{colon}[{}.5{comma}-2{comma}null]", rng.u32(0..1000)),
            _ => format!("\"list\"{colon}[{}0]", format!("7.25{comma}").repeat(rng.usize(0..30))),
        },
    ];
    let count = rng.usize(1..=members.len());
    format!("{{{}}}", members[..count].join(comma)).into_bytes()
}

fn json(asked: &Asked) -> Result<(), String> {
    let mut rng = Rng::with_seed(asked.seed);
    let mut runners = [&PATHS[..], &WHOLE].map(|paths| (paths, JsonRunner::with_kernels(paths, &asked.kernels)));
    let (began, mut done) = (Instant::now(), 0);
    while done < asked.json {
        let seed = seed_body(&mut rng);
        // The seed comes first and between, so that its shape is known when the mutants come.
        let mut bodies = vec![seed.clone(), seed.clone()];
        for _ in 0..61 {
            let mut body = seed.clone();
            mutate(&mut body, &mut rng);
            bodies.push(body);
        }
        bodies.push(seed);
        let views: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        for (paths, runner) in &mut runners {
            if let Err(reason) = runner.check(&views) {
                return Err(format!("{reason}\nsmallest: {}", smallest(&bodies, paths, &asked.kernels)));
            }
        }
        done += 61;
        if done % (61 * 4096) == 0 {
            eprint!("\r{done} mutants");
        }
    }
    eprintln!("\r{done} mutated bodies in {:.0} s, no difference", began.elapsed().as_secs_f64());
    for (paths, runner) in &runners {
        let hits: Vec<String> =
            runner.shape_hits().iter().map(|(kernel, hits)| format!("{} {hits}", kernel.name())).collect();
        eprintln!(
            "{} paths: {} accepted and {} refused by all kernels together; by shape: {}",
            paths.len(),
            runner.accepted,
            runner.refused,
            hits.join(", ")
        );
    }
    Ok(())
}

/// The first body that differs by itself after its seed, with every byte taken away that is not needed.
fn smallest(bodies: &[Vec<u8>], paths: &[&str], kernels: &[Kernel]) -> String {
    let differs = |body: &[u8]| {
        let mut runner = JsonRunner::with_kernels(paths, kernels);
        let seed = bodies[0].as_slice();
        runner.check(&[seed, seed, body, body, body]).is_err()
    };
    let Some(mut body) = bodies.iter().find(|body| differs(body)).cloned() else {
        return "none of the bodies alone".to_owned();
    };
    let mut at = 0;
    while at < body.len() {
        let mut shorter = body.clone();
        shorter.remove(at);
        if differs(&shorter) {
            body = shorter;
        } else {
            at += 1;
        }
    }
    format!("{:?}", String::from_utf8_lossy(&body))
}

fn routing(asked: &Asked) -> Result<(), String> {
    let mut rng = Rng::with_seed(asked.seed);
    let mut runner = RoutingRunner::default();
    let (began, mut rows, mut tables) = (Instant::now(), 0, 0);
    while rows < asked.routing {
        let endpoints = rng.u16(1..8);
        let count = rng.usize(1..60);
        let routes = generate::routes(&mut rng, count, endpoints);
        let table = table(tables, &routes, rng.bool().then_some(0), usize::from(endpoints));
        tables += 1;
        for _ in 0..4 {
            let events = rng.usize(1..120);
            let batch = generate::batch(&mut rng, events);
            runner.check(&table, &routes, &batch)?;
            rows += events as u64;
        }
        if tables % 64 == 0 {
            eprint!("\r{rows} rows, {tables} tables");
        }
    }
    eprintln!(
        "\r{rows} rows against {tables} random tables in {:.0} s: {} deliveries; no difference",
        began.elapsed().as_secs_f64(),
        runner.routed
    );
    Ok(())
}
