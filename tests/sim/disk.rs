//! A disk that fails as disks do: a [`Storage`] in memory with a volatile cache in front of what is on the device.
//!
//! What it models: a write is on the device only after a sync that succeeded; a crash keeps any part of what was not synced, sector
//! by sector, in any order; a failed sync has dropped some writes and forgets them all, so that the next sync says nothing
//! about them; writes, syncs and changes of names fail with EIO, writes find the disk full, and the power goes at any call. What
//! is changed behind the log's back (flipped bits, a sector written to another place) is remembered, so that the ledger can tell
//! damage from loss.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::log::{FileUse, ReadAt, Storage, StorageFile};

use crate::sabotage::Sabotage;

/// What a device writes at once.
const SECTOR_BYTES: usize = 512;

/// How likely each fault is, in a million calls of its kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub write_error: u32,
    pub sync_error: u32,
    pub name_error: u32,
    pub read_error: u32,
    /// Bytes that fit on the disk.
    pub capacity: Option<usize>,
}

#[derive(Debug, Default)]
struct Inode {
    /// What a read sees.
    cached: Vec<u8>,
    /// What is on the device.
    durable: Vec<u8>,
    /// Writes since the last sync that are in the cache only.
    pending: Vec<(usize, Vec<u8>)>,
}

type Shared<T> = Arc<Mutex<T>>;

#[derive(Debug)]
struct State {
    random: fastrand::Rng,
    faults: Faults,
    names: BTreeMap<String, Shared<Inode>>,
    dirs: BTreeSet<String>,
    /// The power goes at this call.
    crash_in: Option<u64>,
    is_off: bool,
    calls: u64,
    sabotage: Sabotage,
    seen: BTreeMap<&'static str, u64>,
}

/// See the module. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk(Shared<State>);

/// An open file.
#[derive(Debug)]
pub struct SimFile {
    disk: SimDisk,
    inode: Shared<Inode>,
    is_segment: bool,
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn power_failure() -> io::Error {
    io::Error::other("the power is gone")
}

fn input_output() -> io::Error {
    // EIO.
    io::Error::from_raw_os_error(5)
}

impl State {
    fn chance(&mut self, of: impl Fn(&Faults) -> u32) -> bool {
        let in_a_million = of(&self.faults);
        in_a_million > 0 && self.random.u32(..1_000_000) < in_a_million
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Every call begins with this. `Ok(true)`: the power goes during the call.
    fn call(&mut self) -> io::Result<bool> {
        if self.is_off {
            return Err(power_failure());
        }
        self.calls += 1;
        if let Some(left) = &mut self.crash_in {
            if *left == 0 {
                self.is_off = true;
                self.crash_in = None;
                self.saw("power failure");
                return Ok(true);
            }
            *left -= 1;
        }
        Ok(false)
    }

    /// For calls that happen as a whole or not at all.
    fn call_whole(&mut self) -> io::Result<()> {
        if self.call()? && self.random.bool() {
            return Err(power_failure());
        }
        if self.chance(|faults| faults.name_error) {
            self.saw("a name that could not be changed");
            return Err(input_output());
        }
        Ok(())
    }

    fn used(&self) -> usize {
        self.names.values().map(|inode| lock(inode).cached.len()).sum()
    }
}

impl SimDisk {
    /// An empty disk.
    pub fn new(seed: u64, sabotage: Sabotage) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: fastrand::Rng::with_seed(seed),
            faults: Faults::default(),
            names: BTreeMap::new(),
            dirs: BTreeSet::new(),
            crash_in: None,
            is_off: false,
            calls: 0,
            sabotage,
            seen: BTreeMap::new(),
        })))
    }

    /// From now on it fails like this.
    pub fn set_faults(&self, faults: Faults) {
        lock(&self.0).faults = faults;
    }

    /// The power goes after so many calls.
    pub fn crash_in(&self, calls: Option<u64>) {
        lock(&self.0).crash_in = calls;
    }

    /// The power is gone.
    pub fn is_off(&self) -> bool {
        lock(&self.0).is_off
    }

    /// Bytes on it.
    pub fn used(&self) -> usize {
        lock(&self.0).used()
    }

    /// What happened, and how often.
    pub fn seen(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.0).seen.clone()
    }

    /// The power was gone and is back: what was not synced is there in any part. `false`: only the process had ended, and the
    /// system kept what it had.
    pub fn restart(&self, power_was_gone: bool) {
        let mut state = lock(&self.0);
        (state.is_off, state.crash_in) = (false, None);
        if !power_was_gone {
            return;
        }
        let inodes: Vec<Shared<Inode>> = state.names.values().cloned().collect();
        for inode in inodes {
            let mut inode = lock(&inode);
            for (position, bytes) in std::mem::take(&mut inode.pending) {
                match state.random.u8(..4) {
                    0 => {}
                    1 => put(&mut inode.durable, position, &bytes),
                    _ => {
                        for (at, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                            if state.random.bool() {
                                put(&mut inode.durable, position + at * SECTOR_BYTES, sector);
                            }
                        }
                    }
                }
            }
            inode.cached = inode.durable.clone();
        }
    }

    /// Flips a bit in a finished segment or an index, where there is one. `true` if there is.
    pub fn flip_a_bit(&self) -> bool {
        let mut state = lock(&self.0);
        let finished: Vec<Shared<Inode>> = state.damageable();
        let Some(inode) = pick(&mut state.random, &finished) else { return false };
        let mut inode = lock(&inode);
        if inode.cached.is_empty() {
            return false;
        }
        let (at, bit) = (state.random.usize(..inode.cached.len()), 1 << state.random.u8(..8));
        inode.cached[at] ^= bit;
        if let Some(byte) = inode.durable.get_mut(at) {
            *byte ^= bit;
        }
        state.saw("a flipped bit");
        true
    }

    /// Copies a sector of a finished segment over another: a write that went astray. `true` if there is one.
    pub fn misdirect_a_sector(&self) -> bool {
        let mut state = lock(&self.0);
        let finished: Vec<Shared<Inode>> = state.damageable();
        let (Some(from), Some(to)) = (pick(&mut state.random, &finished), pick(&mut state.random, &finished)) else {
            return false;
        };
        let sectors = lock(&from).cached.len() / SECTOR_BYTES;
        if sectors == 0 {
            return false;
        }
        let at = SECTOR_BYTES * state.random.usize(..sectors);
        let sector = lock(&from).cached[at..at + SECTOR_BYTES].to_vec();
        let mut to = lock(&to);
        let sectors = to.cached.len() / SECTOR_BYTES;
        if sectors == 0 {
            return false;
        }
        let at = SECTOR_BYTES * state.random.usize(..sectors);
        to.cached[at..at + SECTOR_BYTES].copy_from_slice(&sector);
        let durable = to.cached.clone();
        to.durable = durable;
        state.saw("a misdirected sector");
        true
    }

    fn create_inode(&self, name: &str, is_segment: bool) -> io::Result<SimFile> {
        let mut state = lock(&self.0);
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.call_whole()?;
        if state.faults.capacity.is_some_and(|capacity| state.used() >= capacity) {
            state.saw("a full disk");
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = Shared::<Inode>::default();
        state.names.insert(name.to_owned(), inode.clone());
        if state.is_off {
            return Err(power_failure());
        }
        Ok(SimFile { disk: self.clone(), inode, is_segment })
    }
}

impl State {
    /// Finished segments and their indexes: those that no writer has open, whose every byte was synced.
    fn damageable(&self) -> Vec<Shared<Inode>> {
        let has_index = |name: &str| self.names.contains_key(&format!("{}.index", name.trim_end_matches(".log")));
        let segments = self.names.iter().filter(|(name, _)| name.ends_with(".log") && has_index(name));
        let indexes = self.names.iter().filter(|(name, _)| name.ends_with(".index"));
        segments.chain(indexes).map(|(_, inode)| inode.clone()).filter(|inode| lock(inode).pending.is_empty()).collect()
    }
}

fn pick<T: Clone>(random: &mut fastrand::Rng, all: &[T]) -> Option<T> {
    if all.is_empty() { None } else { Some(all[random.usize(..all.len())].clone()) }
}

fn put(content: &mut Vec<u8>, position: usize, bytes: &[u8]) {
    if content.len() < position + bytes.len() {
        content.resize(position + bytes.len(), 0);
    }
    content[position..position + bytes.len()].copy_from_slice(bytes);
}

impl Storage for SimDisk {
    type File = SimFile;

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut state = lock(&self.0);
        if state.call()? {
            return Err(power_failure());
        }
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let inside = |name: &String| Some(name.strip_prefix(&prefix)?.split('/').next()?.to_owned());
        let mut names: BTreeSet<String> = state.names.keys().filter_map(inside).collect();
        if dir.is_empty() {
            names.extend(state.dirs.iter().cloned());
        }
        Ok(names.into_iter().collect())
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        let mut state = lock(&self.0);
        state.call_whole()?;
        state.dirs.insert(dir.to_owned());
        Ok(())
    }

    fn create(&self, name: &str, usage: FileUse) -> io::Result<SimFile> {
        self.create_inode(name, usage != FileUse::Small)
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        let mut state = lock(&self.0);
        if state.call()? {
            return Err(power_failure());
        }
        let inode = state.names.get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(SimFile { disk: self.clone(), inode, is_segment: name.ends_with(".log") })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = lock(&self.0);
        state.call_whole()?;
        if state.sabotage == Sabotage::ForgetWhereSegmentsEnd && to.ends_with(".index") {
            state.names.remove(from);
            return Ok(());
        }
        let inode = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), inode);
        if state.is_off { Err(power_failure()) } else { Ok(()) }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = lock(&self.0);
        state.call_whole()?;
        state.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        if state.is_off { Err(power_failure()) } else { Ok(()) }
    }
}

impl ReadAt for SimFile {
    fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<usize> {
        {
            let mut state = lock(&self.disk.0);
            if state.is_off {
                return Err(power_failure());
            }
            if state.chance(|faults| faults.read_error) {
                state.saw("a failed read");
                return Err(input_output());
            }
        }
        let inode = lock(&self.inode);
        let rest = inode.cached.get(position as usize..).unwrap_or(&[]);
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl StorageFile for SimFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(lock(&self.inode).cached.len() as u64)
    }

    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        assert!(
            !self.is_segment || (position.is_multiple_of(4096) && bytes.len().is_multiple_of(4096)),
            "whole blocks"
        );
        let mut state = lock(&self.disk.0);
        let goes_off = state.call()?;
        let grows = (position as usize + bytes.len()).saturating_sub(lock(&self.inode).cached.len());
        let is_full = state.faults.capacity.is_some_and(|capacity| state.used() + grows > capacity);
        let fails = goes_off || is_full || state.chance(|faults| faults.write_error);
        let written =
            if fails { state.random.usize(..=bytes.len() / SECTOR_BYTES) * SECTOR_BYTES } else { bytes.len() };
        let written = &bytes[..written.min(bytes.len())];
        if !written.is_empty() {
            let mut inode = lock(&self.inode);
            put(&mut inode.cached, position as usize, written);
            inode.pending.push((position as usize, written.to_vec()));
        }
        if goes_off {
            return Err(power_failure());
        }
        if is_full {
            state.saw("a full disk");
            return Err(io::ErrorKind::StorageFull.into());
        }
        if fails {
            state.saw("a failed write");
            return Err(input_output());
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = lock(&self.disk.0);
        if state.call()? {
            return Err(power_failure());
        }
        if state.sabotage == Sabotage::SkipSync && self.is_segment {
            return Ok(());
        }
        let mut inode = lock(&self.inode);
        let pending = std::mem::take(&mut inode.pending);
        if state.chance(|faults| faults.sync_error) {
            state.saw("a failed sync");
            for (position, bytes) in pending {
                if state.random.bool() {
                    put(&mut inode.durable, position, &bytes);
                }
            }
            return if state.sabotage == Sabotage::RepeatFailedSync { Ok(()) } else { Err(input_output()) };
        }
        for (position, bytes) in pending {
            put(&mut inode.durable, position, &bytes);
        }
        Ok(())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        let mut state = lock(&self.disk.0);
        state.call_whole()?;
        if state.sabotage == Sabotage::ForgetWhereSegmentsEnd && self.is_segment {
            return Ok(());
        }
        let mut inode = lock(&self.inode);
        for (position, pending) in std::mem::take(&mut inode.pending) {
            put(&mut inode.durable, position, &pending);
        }
        inode.durable.truncate(bytes as usize);
        inode.cached.truncate(bytes as usize);
        if state.is_off { Err(power_failure()) } else { Ok(()) }
    }
}
