//! The extractor with every kernel, against simd-json's tape and serde_json.

use engine::parse::{Columns, Extractor, Fields, Kernel, Kind, NumberTexts, Parser, Path, Span, Step, Tag, Value};

/// Some wanted paths and everything that fills their columns.
pub struct JsonRunner {
    paths: Vec<Path>,
    fields: Fields,
    extractors: Vec<(Kernel, Extractor)>,
    columns: Columns,
    parser: Parser,
    /// Bodies that were accepted so far.
    pub accepted: u64,
    /// Bodies that were refused so far.
    pub refused: u64,
}

/// `a.b[0].c` as a path; names with other characters cannot be written.
pub fn path(text: &str) -> Path {
    let mut steps = Vec::new();
    for part in text.split('.').filter(|part| !part.is_empty()) {
        let (name, indexes) = part.split_once('[').map_or((part, ""), |(name, rest)| (name, rest));
        if !name.is_empty() {
            steps.push(Step::Member(name.into()));
        }
        let indexes = indexes.split(['[', ']']).filter(|index| !index.is_empty());
        steps.extend(indexes.map(|index| Step::Element(index.parse().expect("an index"))));
    }
    steps.into()
}

/// Every third column wants numbers as they are written.
fn wants_digits(column: usize) -> bool {
    column % 3 == 2
}

fn find<'v>(root: Value<'v>, path: &[Step]) -> Option<Value<'v>> {
    path.iter().try_fold(root, |value, step| match step {
        Step::Member(name) => value.get(name),
        Step::Element(index) => value.at(*index as usize),
    })
}

/// Whether all that the value at `place` holds is at one of the paths, and nothing twice; an array is as a whole.
fn is_covered(value: Value<'_>, place: &mut Vec<Step>, paths: &[Path]) -> bool {
    match value.kind() {
        Kind::Object(members) => {
            let is_looked_into = paths.iter().any(|path| {
                path.strip_prefix(&place[..]).is_some_and(|inner| matches!(inner.first(), Some(Step::Member(_))))
            });
            let names: std::collections::HashSet<_> = value.members().map(|(name, _)| name).collect();
            members > 0
                && is_looked_into
                && names.len() == members
                && value.members().all(|(name, member)| {
                    place.push(Step::Member(name.into()));
                    let covered = is_covered(member, place, paths);
                    place.pop();
                    covered
                })
        }
        _ => paths.iter().any(|path| **path == place[..]),
    }
}

impl JsonRunner {
    /// With all kernels of this machine.
    pub fn new(paths: &[&str]) -> Self {
        Self::with_kernels(paths, &Kernel::ALL)
    }

    /// With those of `kernels` that this machine can run.
    pub fn with_kernels(paths: &[&str], kernels: &[Kernel]) -> Self {
        let paths: Vec<Path> = paths.iter().map(|text| path(text)).collect();
        let mut fields = Fields::new(1);
        for (column, path) in paths.iter().enumerate() {
            if wants_digits(column) {
                fields.add_digits(path, column as u32);
            } else {
                fields.add(path, column as u32);
            }
        }
        let kernels = kernels.iter().filter(|kernel| kernel.is_available());
        let extractors = kernels.map(|kernel| (*kernel, Extractor::new(*kernel, 7).always_look())).collect();
        Self {
            paths,
            fields,
            extractors,
            columns: Columns::default(),
            parser: Parser::default(),
            accepted: 0,
            refused: 0,
        }
    }

    /// Rows that took the fast path, by kernel.
    pub fn shape_hits(&self) -> Vec<(Kernel, u64)> {
        self.extractors.iter().map(|(kernel, extractor)| (*kernel, extractor.stats().shape_hits)).collect()
    }

    /// Extracts all bodies as one batch and compares every cell. The batch ends with the last body, so that a kernel that reads
    /// on is seen by tools that watch memory.
    pub fn check(&mut self, bodies: &[&[u8]]) -> Result<(), String> {
        let mut bytes = Vec::with_capacity(bodies.iter().map(|body| body.len()).sum());
        let mut spans = Vec::with_capacity(bodies.len());
        for body in bodies {
            spans.push(Span { start: bytes.len() as u32, len: body.len() as u32 });
            bytes.extend_from_slice(body);
        }
        let bytes = bytes.into_boxed_slice();
        for at in 0..self.extractors.len() {
            self.columns.reset(bodies.len(), self.paths.len());
            let (kernel, extractor) = &mut self.extractors[at];
            let kernel = *kernel;
            extractor.run(&self.fields, &bytes, &spans, &mut self.columns);
            let json: Vec<bool> = (0..bodies.len()).map(|row| extractor.is_json(row)).collect();
            let covered: Vec<bool> = (0..bodies.len()).map(|row| extractor.is_covered(row)).collect();
            for (row, body) in bodies.iter().enumerate() {
                self.check_row(row, json[row], covered[row], body, &bytes)
                    .map_err(|reason| format!("{}: {reason} in {:?}", kernel.name(), String::from_utf8_lossy(body)))?;
            }
        }
        Ok(())
    }

    fn check_row(&mut self, row: usize, is_json: bool, covered: bool, body: &[u8], bytes: &[u8]) -> Result<(), String> {
        let serde = serde_json::from_slice::<serde_json::Value>(body);
        let document = self.parser.parse(body);
        let Ok(document) = document else {
            self.refused += 1;
            if is_json || covered {
                return Err("accepted what is not JSON".to_owned());
            }
            let column =
                (0..self.paths.len()).find(|column| self.columns.cell(*column as u32, row).0 != Tag::Undefined);
            return column
                .map_or(Ok(()), |column| Err(format!("column {column} of a body that is not JSON has a value")));
        };
        self.accepted += 1;
        if !is_json {
            return Err("refused what is JSON".to_owned());
        }
        // serde_json allows one level less, and takes numbers that round down to the greatest double for too large.
        let known = |error: &str| error.contains("recursion limit") || error.contains("number out of range");
        if let Err(error) = &serde
            && !known(&error.to_string())
        {
            return Err(format!("serde_json refuses it: {error}"));
        }
        if covered != is_covered(document.root(), &mut Vec::new(), &self.paths) {
            return Err(format!("says {covered} of whether all of it is in columns"));
        }
        let mut digits = NumberTexts::new(document.root(), body);
        for (column, path) in self.paths.iter().enumerate() {
            let (tag, value) = self.columns.cell(column as u32, row);
            let text = || self.columns.text(tag, value, bytes).map(|text| String::from_utf8_lossy(text).into_owned());
            let found = find(document.root(), path);
            let right = match found.map(Value::kind) {
                None => tag == Tag::Missing,
                Some(Kind::Null) => tag == Tag::Null,
                Some(Kind::Bool(truth)) => tag == if truth { Tag::True } else { Tag::False },
                Some(Kind::Int(_) | Kind::Uint(_) | Kind::Float(_)) => {
                    let expected = found.and_then(Value::as_f64).map(f64::to_bits);
                    if wants_digits(column) {
                        let written = found.and_then(|found| digits.of(found));
                        let cell = self.columns.text(tag, value, bytes);
                        if tag != Tag::Digits || cell.is_none() || cell != written {
                            return Err(format!(
                                "path {path:?} is written {written:?}, the cell says {tag:?} {cell:?}"
                            ));
                        }
                        continue;
                    }
                    tag == Tag::Number && Some(value) == expected
                }
                Some(Kind::String(expected)) => text().as_deref() == Some(expected),
                Some(Kind::Array(len)) => {
                    let raw = Span::unpack(value).of(bytes);
                    let array = serde_json::from_slice::<Vec<serde_json::Value>>(raw);
                    tag == Tag::Array && array.is_ok_and(|array| array.len() == len)
                }
                Some(Kind::Object(len)) => tag == Tag::Object && value == len as u64,
            };
            if !right {
                let found = found.map(Value::kind);
                return Err(format!("path {path:?} is {found:?}, the cell says {tag:?} {value:#x} {:?}", text()));
            }
            // serde_json, as we build it, may be off by the last bits for long and for tiny numbers.
            let pointer: String = path
                .iter()
                .map(|step| match step {
                    Step::Member(name) => format!("/{name}"),
                    Step::Element(index) => format!("/{index}"),
                })
                .collect();
            let tiny = f64::from_bits(4);
            let close =
                |theirs: f64| (theirs - f64::from_bits(value)).abs() <= theirs.abs() * 4.0 * f64::EPSILON + tiny;
            if let (Tag::Number, Ok(json)) = (tag, &serde)
                && !json.pointer(&pointer).and_then(serde_json::Value::as_f64).is_some_and(close)
            {
                return Err(format!("path {path:?}: serde_json reads {:?}", json.pointer(&pointer)));
            }
        }
        Ok(())
    }
}
