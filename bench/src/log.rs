//! Suite `log`: the log beside what the device does alone, replay, cursors, and many endpoints of which some misbehave.
//!
//! What always holds: the device's own rate is measured in the same run and with the same sizes, in turns; everything is on the real
//! disk of the target folder, and removed at the end.

mod append;
mod cursors;
mod device;
mod isolation;
mod latency;
mod node;
mod replay;
mod start;

use std::error::Error;
use std::path::Path;

use crate::Setting;
use crate::row::Row;

/// Measures everything.
pub fn run(setting: &Setting) -> Result<Vec<Row>, Box<dyn Error>> {
    // Not the system's folder for temporary files: that may be memory.
    let exe = std::env::current_exe()?;
    let folder = tempfile::tempdir_in(exe.parent().unwrap_or(Path::new(".")))?;
    let (mut rows, device) = append::groups(setting, folder.path())?;
    rows.push(append::small_events(setting, folder.path(), device)?);
    rows.extend(latency::run(setting, folder.path())?);
    rows.extend(replay::run(setting, folder.path())?);
    rows.push(cursors::run(setting, folder.path())?);
    rows.extend(start::run(setting, folder.path())?);
    rows.extend(isolation::run(setting, folder.path())?);
    Ok(rows)
}
