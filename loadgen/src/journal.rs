//! A file of events, one a line, with the positions that belong to them: what a subscriber keeps so that nothing comes twice.
//!
//! A line that begins with `@` is a position: `@ partition offset`. Events and the position behind them are one write; on the way back
//! whatever stands behind the last position that is whole is cut off. An event is JSON, so no line of one begins so.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::path::Path;

/// See the module.
#[derive(Debug)]
pub struct Journal {
    file: File,
    batch: Vec<u8>,
    keeps_positions: bool,
}

impl Journal {
    /// Events behind those that are there, without positions.
    pub fn append(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file, batch: Vec::new(), keeps_positions: false })
    }

    /// Goes on where the file ends well, with the positions there.
    pub fn resume(path: &Path) -> io::Result<(Self, Vec<(u32, u64)>)> {
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        let mut positions = BTreeMap::new();
        let (mut line, mut at, mut good) = (Vec::new(), 0, 0);
        let mut input = BufReader::new(&file);
        loop {
            line.clear();
            at += input.read_until(b'\n', &mut line)? as u64;
            if !line.ends_with(b"\n") {
                break;
            }
            if let Some((partition, offset)) = position(&line) {
                positions.insert(partition, offset);
                good = at;
            }
        }
        file.set_len(good)?;
        file.seek(io::SeekFrom::End(0))?;
        Ok((Self { file, batch: Vec::new(), keeps_positions: true }, positions.into_iter().collect()))
    }

    /// An event.
    pub fn event(&mut self, payload: &[u8]) -> io::Result<()> {
        self.batch.extend_from_slice(payload);
        self.batch.push(b'\n');
        Ok(())
    }

    /// Everything of a partition before `offset` is in the file with the next [`flush`](Self::flush).
    pub fn position(&mut self, partition: u32, offset: u64) -> io::Result<()> {
        if self.keeps_positions { writeln!(self.batch, "@ {partition} {offset}") } else { Ok(()) }
    }

    /// Hands everything to the system, which keeps it when this process is killed.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.batch)?;
        self.batch.clear();
        Ok(())
    }
}

fn position(line: &[u8]) -> Option<(u32, u64)> {
    let text = std::str::from_utf8(line).ok()?.strip_prefix("@ ")?;
    let (partition, offset) = text.trim_end().split_once(' ')?;
    Some((partition.parse().ok()?, offset.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_end_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, positions) = Journal::resume(&path).unwrap();
        assert!(positions.is_empty());
        journal.position(3, 10).unwrap();
        journal.event(b"{\"a\":1}").unwrap();
        journal.position(3, 11).unwrap();
        journal.flush().unwrap();
        let whole = std::fs::read(&path).unwrap();
        for torn in [&b"{\"a\":2}\n"[..], b"{\"a\":2}\n@ 3 1", b"{\"a"] {
            std::fs::write(&path, [&whole[..], torn].concat()).unwrap();
            let (mut journal, positions) = Journal::resume(&path).unwrap();
            assert_eq!(positions, [(3, 11)]);
            journal.event(b"{}").unwrap();
            journal.position(3, 12).unwrap();
            journal.flush().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), [&whole[..], b"{}\n@ 3 12\n"].concat());
        }
    }
}
