//! Places of texts in a dictionary, which is kept as the file will have it: each text with its length before it.
//!
//! A text is compared by its length and two words of eight bytes; only long ones are looked at again. As with numbers the hash has a
//! random seed, and a look-up that takes too many steps makes the table full.

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
/// Texts of that many bytes are all in their words.
const SHORT: usize = 16;
/// Texts after which it is asked anew whether guesses pay.
const BLOCK: usize = 256;

/// What a text is compared by.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Words {
    /// The first eight bytes; of a shorter text all, with zeros behind them.
    first: u64,
    /// The eight bytes behind those, with zeros where the text has ended; of a text that is not short its last eight.
    last: u64,
    length: u32,
}

impl Words {
    /// Of the first `length` bytes of `from`. What lies behind them is read too, so that no length needs a way of its own.
    #[inline(always)]
    fn of(from: &[u8], length: usize) -> Self {
        let front = match from.first_chunk::<SHORT>() {
            Some(front) => *front,
            None => std::array::from_fn(|at| from.get(at).copied().unwrap_or(0)),
        };
        let front = u128::from_le_bytes(front) & MASKS[length.min(SHORT)];
        let (first, mut last) = (front as u64, (front >> 64) as u64);
        if length > SHORT {
            last = from[..length].last_chunk().map_or(last, |last| u64::from_le_bytes(*last));
        }
        Self { first, last, length: length as u32 }
    }
}

/// By length: all bits of so many bytes.
const MASKS: [u128; SHORT + 1] = {
    let mut masks = [0; SHORT + 1];
    let mut length = 1;
    while length <= SHORT {
        masks[length] = u128::MAX >> (128 - 8 * length);
        length += 1;
    }
    masks
};

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
    /// Most of the texts of a block had that place or the next one: these are looked at first.
    guesses: bool,
}

impl Default for TextTable {
    fn default() -> Self {
        let secrets = RapidSecrets::seed(fastrand::u64(..));
        let seeds = [fastrand::u64(..), fastrand::u64(..) | 1];
        Self { seeds, secrets, bytes: Vec::new(), entries: Vec::new(), slots: Vec::new(), before: 0, guesses: true }
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

    /// Appends the places of texts that lie end to end in `bytes`, which are added where they are new. `false`: it is full, and as it
    /// was; it takes no more then.
    pub fn look_up(&mut self, bytes: &[u8], lengths: &[i32], places: &mut Vec<u16>) -> bool {
        let (places_before, before) = (places.len(), self.entries.len());
        places.resize(places_before + lengths.len(), 0);
        let mut at = 0;
        for (to, lengths) in places[places_before..].chunks_mut(BLOCK).zip(lengths.chunks(BLOCK)) {
            let Some(end) = self.look_up_block(bytes, at, lengths, to) else {
                places.truncate(places_before);
                if let Some(first) = self.entries.get(before) {
                    self.bytes.truncate(first.at as usize - LENGTH_BYTES);
                }
                self.entries.truncate(before);
                return false;
            };
            at = end;
        }
        true
    }

    /// Texts from `at` on; where they end, unless the table is full.
    fn look_up_block(&mut self, bytes: &[u8], mut at: usize, lengths: &[i32], to: &mut [u16]) -> Option<usize> {
        let (mut before, guesses) = (self.before, self.guesses);
        let mut near = 0;
        for (to, length) in to.iter_mut().zip(lengths) {
            let (from, length) = (&bytes[at..], *length as usize);
            let (words, text) = (Words::of(from, length), &from[..length]);
            let guess = if guesses { self.guess(before, words, text) } else { None };
            let place = match guess {
                Some(place) => place,
                None => self.place(words, text)?,
            };
            near += usize::from(place.wrapping_sub(before) <= 1);
            before = place;
            *to = place;
            at += length;
        }
        self.before = before;
        // A guess that is wrong every now and then costs more than looking.
        self.guesses = near * 8 >= lengths.len() * 7;
        Some(at)
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
        folded(words.first ^ self.seeds[0], words.last ^ self.seeds[1])
    }

    #[inline]
    fn guess(&self, before: u16, words: Words, text: &[u8]) -> Option<u16> {
        [before, before.wrapping_add(1)].into_iter().find(|guess| self.is(*guess, words, text))
    }

    #[inline]
    fn place(&mut self, words: Words, text: &[u8]) -> Option<u16> {
        let hash = self.hash(words, text);
        let (mask, tag) = (self.slots.len().wrapping_sub(1), (hash >> 48) as u32);
        for step in 0..STEPS_MAX {
            match self.slots.get((hash as usize).wrapping_add(step) & mask) {
                Some(&slot) if slot != EMPTY => {
                    if slot >> 16 == tag && self.is(slot as u16, words, text) {
                        return Some(slot as u16);
                    }
                }
                _ => return self.insert(text, words, hash),
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
        self.guesses = true;
    }

    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>() + self.slots.capacity() * 4
    }
}

#[cfg(test)]
mod tests;
