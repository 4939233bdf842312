//! What the device itself does: writes of one size, each followed by fdatasync, and nothing around them. The measure of the log.

use std::error::Error;
use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, OFlags, fallocate};

/// What O_DIRECT asks of memory, position and length.
const ALIGNMENT: usize = 4096;

/// Writes `count` blocks of `bytes` one after the other into a new file in `folder`, past the page cache or through it; how long
/// each took to be on the device.
pub fn write(folder: &Path, bytes: usize, count: usize, direct: bool) -> Result<Vec<Duration>, Box<dyn Error>> {
    write_each(folder, bytes, count, direct, Duration::ZERO)
}

/// As [`write()`], one block in each `interval`, past the page cache; how long after its moment each was on the device.
pub fn write_on_schedule(
    folder: &Path,
    bytes: usize,
    count: usize,
    interval: Duration,
) -> Result<Vec<Duration>, Box<dyn Error>> {
    write_each(folder, bytes, count, true, interval)
}

fn write_each(
    folder: &Path,
    bytes: usize,
    count: usize,
    direct: bool,
    interval: Duration,
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let path = folder.join("device");
    let flags = if direct { OFlags::DIRECT.bits() as i32 } else { 0 };
    let file = OpenOptions::new().write(true).create(true).truncate(true).custom_flags(flags).open(&path)?;
    fallocate(&file, FallocateFlags::KEEP_SIZE, 0, (bytes * count) as u64)?;
    let memory: Vec<u8> = (0..bytes + ALIGNMENT).map(|at| ((at * 131) >> 3) as u8).collect();
    let start = memory.as_ptr().align_offset(ALIGNMENT);
    let block = &memory[start..start + bytes];
    let mut took = Vec::with_capacity(count);
    let first = Instant::now();
    for at in 0..count {
        let mut began = Instant::now();
        if !interval.is_zero() {
            let due = first + interval * at as u32;
            while Instant::now() < due {
                std::thread::yield_now();
            }
            began = due;
        }
        file.write_all_at(block, (at * bytes) as u64)?;
        file.sync_data()?;
        took.push(began.elapsed());
    }
    drop(file);
    std::fs::remove_file(&path)?;
    Ok(took)
}
