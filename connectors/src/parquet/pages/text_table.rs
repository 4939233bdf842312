//! Places of texts in a dictionary, which is kept as the file will have it: each text with its length before it.
//!
//! A text is compared by its length and its first and last eight bytes; only long ones are looked at again. As with numbers the hash has
//! a random seed, and a look-up that takes too many steps makes the table full.

use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};

use super::number_table::folded;

/// Bytes of a dictionary: room for the ids of 15,000 devices. Beyond that it saves little.
const BYTES_MAX: usize = 256 * 1024;
const SLOTS_MIN: usize = 1024;
/// Far more than a table that is half full takes for any values, unless somebody knows its seed.
const STEPS_MAX: usize = 1024;
const EMPTY: u32 = u32::MAX;
/// Bytes before each text.
const LENGTH_BYTES: usize = 4;
/// Texts of that many bytes are all in their first and last eight.
const SHORT: usize = 16;

/// What a text is compared by.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Words {
    /// The first eight bytes; of a shorter text all, with zeros behind them.
    first: u64,
    /// The last eight bytes; of a shorter text zero.
    last: u64,
    length: u32,
}

impl Words {
    #[inline]
    fn of(text: &[u8]) -> Self {
        let length = text.len() as u32;
        if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            return Self { first: u64::from_le_bytes(*first), last: u64::from_le_bytes(*last), length };
        }
        let shift = |bytes: usize| 8 * bytes as u32;
        let first = match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) => {
                let last = u64::from(u32::from_le_bytes(*last)) << shift(text.len() - 4);
                u64::from(u32::from_le_bytes(*first)) | last
            }
            _ => (0..text.len()).fold(0, |all, at| all | u64::from(text[at]) << shift(at)),
        };
        Self { first, last: 0, length }
    }
}

struct Entry {
    words: Words,
    /// Where the text begins in the dictionary.
    at: u32,
}

/// See the module.
pub struct TextTable {
    seeds: [u64; 2],
    secrets: RapidSecrets,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Half of the hash above a place; as many as a power of two.
    slots: Vec<u32>,
    /// Place of the text before: many columns have few texts, and where devices report in turns, the next one has the next place.
    before: u16,
}

impl Default for TextTable {
    fn default() -> Self {
        let secrets = RapidSecrets::seed(fastrand::u64(..));
        let seeds = [fastrand::u64(..), fastrand::u64(..) | 1];
        Self { seeds, secrets, bytes: Vec::new(), entries: Vec::new(), slots: Vec::new(), before: 0 }
    }
}

impl TextTable {
    /// Texts.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// All texts, each with its length before it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The text at this place.
    pub fn text(&self, place: u16) -> &[u8] {
        let entry = &self.entries[usize::from(place)];
        &self.bytes[entry.at as usize..][..entry.words.length as usize]
    }

    /// The first bytes of that text, as a number that is ordered as they are.
    pub fn order(&self, place: usize) -> u64 {
        self.entries[place].words.first.swap_bytes()
    }

    /// Appends the places of `texts`, which are added where they are new. `false`: it is full, and as it was; it takes no more then.
    pub fn look_up<'t>(&mut self, texts: impl ExactSizeIterator<Item = &'t [u8]>, places: &mut Vec<u16>) -> bool {
        let (places_before, before) = (places.len(), self.entries.len());
        places.resize(places_before + texts.len(), 0);
        for (to, text) in places[places_before..].iter_mut().zip(texts) {
            let Some(place) = self.place(text) else {
                places.truncate(places_before);
                if let Some(first) = self.entries.get(before) {
                    self.bytes.truncate(first.at as usize - LENGTH_BYTES);
                }
                self.entries.truncate(before);
                return false;
            };
            *to = place;
        }
        true
    }

    #[inline]
    fn is(&self, place: u16, words: Words, text: &[u8]) -> bool {
        let is_alike = self.entries.get(usize::from(place)).is_some_and(|entry| entry.words == words);
        is_alike && (text.len() <= SHORT || self.text(place) == text)
    }

    #[inline]
    fn hash(&self, words: Words, text: &[u8]) -> u64 {
        if text.len() > SHORT {
            return rapidhash_v3_seeded(text, &self.secrets);
        }
        let first = words.first ^ self.seeds[0];
        folded(folded(first, self.seeds[1] ^ u64::from(words.length)) ^ words.last, self.seeds[1])
    }

    #[inline]
    fn place(&mut self, text: &[u8]) -> Option<u16> {
        let words = Words::of(text);
        for guess in [self.before, self.before.wrapping_add(1)] {
            if self.is(guess, words, text) {
                self.before = guess;
                return Some(guess);
            }
        }
        let hash = self.hash(words, text);
        let (mask, tag) = (self.slots.len().wrapping_sub(1), (hash >> 48) as u32);
        for step in 0..STEPS_MAX {
            match self.slots.get((hash as usize).wrapping_add(step) & mask) {
                Some(&slot) if slot != EMPTY => {
                    if slot >> 16 == tag && self.is(slot as u16, words, text) {
                        self.before = slot as u16;
                        return Some(self.before);
                    }
                }
                _ => {
                    self.before = self.insert(text, words, hash)?;
                    return Some(self.before);
                }
            }
        }
        None
    }

    #[cold]
    fn insert(&mut self, text: &[u8], words: Words, hash: u64) -> Option<u16> {
        // The last place is not used: with all bits of the tag it would be an empty slot.
        if self.bytes.len() + LENGTH_BYTES + text.len() > BYTES_MAX || self.entries.len() >= usize::from(u16::MAX) {
            return None;
        }
        let place = self.entries.len() as u16;
        self.bytes.extend_from_slice(&words.length.to_le_bytes());
        self.entries.push(Entry { words, at: self.bytes.len() as u32 });
        self.bytes.extend_from_slice(text);
        if self.entries.len() * 2 <= self.slots.len() {
            self.put(hash, place);
        } else {
            self.slots = vec![EMPTY; (self.slots.len() * 4).max(SLOTS_MIN)];
            for place in 0..=place {
                let hash = self.hash(self.entries[usize::from(place)].words, self.text(place));
                self.put(hash, place);
            }
        }
        Some(place)
    }

    fn put(&mut self, hash: u64, place: u16) {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != EMPTY {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = ((hash >> 48) as u32) << 16 | u32::from(place);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        (self.bytes, self.entries, self.slots, self.before) = (Vec::new(), Vec::new(), Vec::new(), 0);
    }

    /// Bytes in memory, roughly.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Entry>() + self.slots.len() * 4
    }
}

#[cfg(test)]
mod tests;
