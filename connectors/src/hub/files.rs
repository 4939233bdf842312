//! Names of the log's files, and the few ways in which they are written safely.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Folder of a shard's segments.
pub fn shard_dir(log: &Path, shard: u32) -> PathBuf {
    log.join(format!("shard-{shard:03}"))
}

/// A segment's file.
pub fn segment_path(shard_dir: &Path, number: u64) -> PathBuf {
    shard_dir.join(format!("{number:020}.log"))
}

/// The index beside a segment.
pub fn index_path(segment: &Path) -> PathBuf {
    segment.with_extension("index")
}

/// All shard folders, whatever number of shards wrote them.
pub fn shard_dirs(log: &Path) -> io::Result<Vec<PathBuf>> {
    let mut dirs: Vec<PathBuf> = fs::read_dir(log)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?
        .into_iter()
        .filter(|path| path.is_dir() && name(path).starts_with("shard-"))
        .collect();
    dirs.sort();
    Ok(dirs)
}

/// Numbers of the segments of a shard folder, ascending.
pub fn segment_numbers(shard_dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(shard_dir)? {
        let path = entry?.path();
        let number = name(&path).strip_suffix(".log").and_then(|stem| stem.parse::<u64>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or("")
}

/// A new, empty segment whose name is on the device before anything is written into it.
pub fn create_segment(shard_dir: &Path, number: u64, reserve_bytes: u64) -> io::Result<File> {
    let path = segment_path(shard_dir, number);
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
    // Reserved blocks make the syncs cheaper; a file system that cannot do it only loses that.
    let _ = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, reserve_bytes);
    sync_dir(shard_dir)?;
    Ok(file)
}

/// Writes a small file so that after a crash it is there whole or not at all.
pub fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Stores the end offset of every partition, one per line.
pub fn write_ends(log: &Path, ends: &[u64]) -> io::Result<()> {
    let lines: String = ends.iter().map(|end| format!("{end}\n")).collect();
    write_whole(&log.join("ends"), lines.as_bytes())
}

/// The ends as stored last; empty if they never were.
pub fn read_ends(log: &Path) -> io::Result<Vec<u64>> {
    match fs::read_to_string(log.join("ends")) {
        Ok(text) => text
            .lines()
            .map(|line| line.parse().map_err(|_| io::Error::other("the file `ends` holds something else than offsets")))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Makes the names in a folder survive power loss.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
