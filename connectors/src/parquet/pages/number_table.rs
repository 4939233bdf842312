//! Places of numbers, by their bits: an open table that is half empty at least.
//!
//! What is put in comes from devices. The hash has a random seed, and a look-up that takes too many steps makes the table full.

/// Entries of a table: a dictionary of 256 KiB of doubles.
const ENTRIES_MAX: usize = 32 * 1024;
const SLOTS_MIN: usize = 1024;
/// Far more than a table that is half full takes for any values, unless somebody knows its seed.
const STEPS_MAX: usize = 1024;
const EMPTY: u16 = u16::MAX;

/// See the module.
pub struct NumberTable {
    seeds: [u64; 2],
    keys: Vec<u64>,
    /// Places of keys; as many as a power of two.
    slots: Vec<u16>,
}

impl Default for NumberTable {
    fn default() -> Self {
        Self { seeds: [fastrand::u64(..), fastrand::u64(..) | 1], keys: Vec::new(), slots: Vec::new() }
    }
}

/// Both halves of a product, put together.
#[inline]
pub fn folded(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    product as u64 ^ (product >> 64) as u64
}

impl NumberTable {
    /// By place.
    pub fn keys(&self) -> &[u64] {
        &self.keys
    }

    /// Appends the places of `values`, which are added where they are new. `false`: it is full, and as it was; it takes no more then.
    pub fn look_up(&mut self, values: impl ExactSizeIterator<Item = u64>, places: &mut Vec<u16>) -> bool {
        let (places_before, keys_before) = (places.len(), self.keys.len());
        places.resize(places_before + values.len(), 0);
        for (to, value) in places[places_before..].iter_mut().zip(values) {
            let Some(place) = self.place(value) else {
                places.truncate(places_before);
                self.keys.truncate(keys_before);
                return false;
            };
            *to = place;
        }
        true
    }

    #[inline]
    fn place(&mut self, key: u64) -> Option<u16> {
        let hash = folded(key ^ self.seeds[0], self.seeds[1]) as usize;
        let mask = self.slots.len().wrapping_sub(1);
        for step in 0..STEPS_MAX {
            match self.slots.get(hash.wrapping_add(step) & mask) {
                Some(&place) if place != EMPTY => {
                    if self.keys[usize::from(place)] == key {
                        return Some(place);
                    }
                }
                _ => return self.insert(key, hash),
            }
        }
        None
    }

    #[cold]
    fn insert(&mut self, key: u64, hash: usize) -> Option<u16> {
        if self.keys.len() == ENTRIES_MAX {
            return None;
        }
        if (self.keys.len() + 1) * 2 > self.slots.len() {
            self.slots = vec![EMPTY; (self.slots.len() * 4).clamp(SLOTS_MIN, ENTRIES_MAX * 2)];
            for place in 0..self.keys.len() {
                let hash = folded(self.keys[place] ^ self.seeds[0], self.seeds[1]) as usize;
                self.put(hash, place as u16);
            }
        }
        let place = self.keys.len() as u16;
        self.keys.push(key);
        self.put(hash, place);
        Some(place)
    }

    fn put(&mut self, hash: usize, place: u16) {
        let mask = self.slots.len() - 1;
        let mut slot = hash & mask;
        while self.slots[slot] != EMPTY {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = place;
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        (self.keys, self.slots) = (Vec::new(), Vec::new());
    }

    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.keys.capacity() * 8 + self.slots.capacity() * 2
    }
}

#[cfg(test)]
mod tests;
