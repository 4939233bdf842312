//! Users and their password hashes, from a file of `name:hash` lines.
//!
//! What always holds: the file's hashes cost no more than [`limits`]; an unknown name takes as long as a wrong password, because
//! the password is then held against the hash of somebody else. A password that was right once is remembered as a keyed digest
//! beside its hash, one per user at most: hashing takes milliseconds by design, and a fleet that reconnects after a restart
//! of the network would wait for hours of it.

#[cfg(test)]
pub(super) mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};

use super::files::{AccessError, content, read};
use super::hmac::{self, Digest, Key};
use super::policy::{NAME_CHARS_MAX, folded};

/// What a hash may cost. Hashes are somebody's input too: one line must not take a core for minutes or all of the memory.
mod limits {
    /// Memory of one argon2 hash in KiB (its RFC's second recommendation is 64 MiB).
    pub(super) const ARGON2_MEMORY_KIB_MAX: u32 = 256 * 1024;
    /// Memory times passes in KiB: about a second of a core.
    pub(super) const ARGON2_WORK_KIB_MAX: u64 = 1024 * 1024;
    /// Lanes are computed one after the other here; more of them than this is a mistake.
    pub(super) const ARGON2_LANES_MAX: u32 = 64;
    /// Cost of bcrypt, a power of two: about a second of a core.
    pub(super) const BCRYPT_COST_MAX: u32 = 14;
}

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    hash: Box<str>,
    is_bcrypt: bool,
    /// Digest of the password that the hash verified. A hash has one password, so one place is enough.
    verified: OnceLock<Digest>,
}

impl Entry {
    fn verify(&self, password: &[u8]) -> bool {
        if self.is_bcrypt {
            return bcrypt::verify(password, &self.hash).unwrap_or(false);
        }
        PasswordHash::new(&self.hash).is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
    }
}

/// All users.
#[derive(Debug)]
pub(super) struct Passwords {
    entries: Vec<Entry>,
    /// Place in `entries` by name without case.
    places: HashMap<Box<str>, u32>,
}

/// What came of a password.
pub(super) enum Verdict {
    /// The name as the file writes it.
    Right(Arc<str>),
    Wrong,
}

impl Passwords {
    /// Reads a file; digests of hashes that `before` has too are kept.
    pub(super) fn load(path: &Path, before: Option<&Self>) -> Result<Self, AccessError> {
        let text = read(path)?;
        let mut found = Self { entries: Vec::new(), places: HashMap::new() };
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fault = |message: String| content(path, at + 1, message);
            // No hash has a colon, names may.
            let (name, hash) = line
                .rsplit_once(':')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| fault("write a line as name:hash".to_owned()))?;
            let is_bcrypt = check(hash).map_err(fault)?;
            let place = found.entries.len() as u32;
            if found.places.insert(folded(name).into(), place).is_some() {
                return Err(fault(format!("the name `{name}` is there twice (case does not count); remove one")));
            }
            let verified = before
                .and_then(|before| before.entry(name))
                .filter(|entry| *entry.hash == *hash && *entry.name == *name)
                .map_or_else(OnceLock::new, |entry| entry.verified.clone());
            found.entries.push(Entry { name: name.into(), hash: hash.into(), is_bcrypt, verified });
        }
        Ok(found)
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.places.get(&*folded(name)).map(|place| &self.entries[*place as usize])
    }

    /// The user's name if this very password was right before.
    pub(super) fn known(&self, key: &Key, name: &str, password: &[u8]) -> Option<Arc<str>> {
        let entry = self.entry(name)?;
        let digest = entry.verified.get()?;
        hmac::same(digest, &key.digest(&entry.name, &entry.hash, password)).then(|| entry.name.clone())
    }

    /// Holds a password against the user's hash.
    pub(super) fn verify(&self, key: &Key, name: &str, password: &[u8]) -> Verdict {
        if let Some(name) = self.known(key, name, password) {
            return Verdict::Right(name);
        }
        let Some(entry) = self.entry(name) else {
            // The same name always meets the same hash, so that asking twice tells no more than asking once.
            if let Some(entry) = self.entries.get(key.place(&folded(name), self.entries.len())) {
                std::hint::black_box(entry.verify(password));
            }
            return Verdict::Wrong;
        };
        if !entry.verify(password) {
            return Verdict::Wrong;
        }
        entry.verified.get_or_init(|| key.digest(&entry.name, &entry.hash, password));
        Verdict::Right(entry.name.clone())
    }
}

/// Why there is no line for a password file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordLineError {
    /// The name cannot stand in a line.
    #[error("a name has 1 to {NAME_CHARS_MAX} characters, does not begin with # or a blank and has no line break")]
    Name,
    /// The system gave no random salt, or the password has 4 GiB.
    #[error("the password cannot be hashed")]
    Hash,
}

/// A line of a password file: the name and the argon2id hash of its password, with the costs that OWASP recommends (19 MiB of
/// memory, two passes: some 20 ms).
pub fn password_line(name: &str, password: &[u8]) -> Result<String, PasswordLineError> {
    let is_plain = name.trim() == name && !name.starts_with('#') && !name.contains(char::is_control);
    if !is_plain || !(1..=NAME_CHARS_MAX).contains(&name.chars().count()) {
        return Err(PasswordLineError::Name);
    }
    let mut salt = [0u8; 16];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| PasswordLineError::Hash)?;
    let hash = Argon2::default().hash_password_with_salt(password, &salt).map_err(|_| PasswordLineError::Hash)?;
    Ok(format!("{name}:{hash}"))
}

/// Whether a hash is one of bcrypt, or argon2; why it cannot be used.
fn check(hash: &str) -> Result<bool, String> {
    if ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| hash.starts_with(prefix)) {
        let cost = hash.parse::<bcrypt::HashParts>().map_err(|error| format!("not a bcrypt hash: {error}"))?.get_cost();
        return match cost {
            4..=limits::BCRYPT_COST_MAX => Ok(true),
            _ => Err(format!("the bcrypt cost is {cost}; make the hash anew with 4 to {}", limits::BCRYPT_COST_MAX)),
        };
    }
    if !hash.starts_with("$argon2id$") {
        return Err(
            "the hash is neither argon2id ($argon2id$...) nor bcrypt ($2b$...); use `anabranch mqtt passwd`".to_owned()
        );
    }
    let parsed = PasswordHash::new(hash).map_err(|error| format!("not an argon2id hash: {error}"))?;
    let params = argon2::Params::try_from(&parsed).map_err(|error| format!("not an argon2id hash: {error}"))?;
    if parsed.hash.is_none() || parsed.salt.is_none() {
        return Err("the argon2id hash has no salt or no digest".to_owned());
    }
    let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
    if params.m_cost() > limits::ARGON2_MEMORY_KIB_MAX
        || work > limits::ARGON2_WORK_KIB_MAX
        || params.p_cost() > limits::ARGON2_LANES_MAX
    {
        return Err(format!(
            "the hash costs too much (m={},t={},p={}); use at most m={}, m times t = {}, p={}",
            params.m_cost(),
            params.t_cost(),
            params.p_cost(),
            limits::ARGON2_MEMORY_KIB_MAX,
            limits::ARGON2_WORK_KIB_MAX,
            limits::ARGON2_LANES_MAX
        ));
    }
    Ok(false)
}
