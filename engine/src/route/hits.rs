//! What matched: one bitmap of rows per endpoint, so that an endpoint gets a row once however many of its routes want it.

use super::EndpointId;
use super::check::Target;
use crate::lane::Rows;

/// Bitmaps of the endpoints that were hit, used again for every batch.
#[derive(Debug, Default)]
pub(super) struct HitSet {
    rows: usize,
    words: usize,
    bits: Vec<u64>,
    touched: Vec<EndpointId>,
    is_touched: Vec<bool>,
}

impl HitSet {
    /// Nothing is hit; so many rows and endpoints can be.
    pub fn reset(&mut self, rows: usize, endpoints: usize) {
        for endpoint in self.touched.drain(..) {
            let at = usize::from(endpoint);
            self.is_touched[at] = false;
            self.bits[at * self.words..(at + 1) * self.words].fill(0);
        }
        let words = rows.div_ceil(64);
        if words != self.words || self.is_touched.len() < endpoints {
            self.words = words;
            self.is_touched.resize(endpoints.max(self.is_touched.len()), false);
            // All bits are 0, whatever the words are.
            self.bits.resize(self.bits.len().max(words * self.is_touched.len()), 0);
        }
        self.rows = rows;
    }

    /// The endpoint gets the row.
    #[inline(always)]
    pub fn add(&mut self, endpoint: EndpointId, row: usize) {
        let at = usize::from(endpoint);
        if !self.is_touched[at] {
            self.is_touched[at] = true;
            self.touched.push(endpoint);
        }
        self.bits[at * self.words + row / 64] |= 1 << (row % 64);
    }

    /// The rows of an endpoint.
    pub fn bits(&self, endpoint: EndpointId) -> &[u64] {
        let at = usize::from(endpoint);
        if self.is_touched.get(at) == Some(&true) { &self.bits[at * self.words..(at + 1) * self.words] } else { &[] }
    }

    /// Endpoints that were hit.
    pub fn endpoints(&self) -> &[EndpointId] {
        &self.touched
    }

    /// How many rows an endpoint gets.
    pub fn count(&self, endpoint: EndpointId) -> usize {
        self.bits(endpoint).iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The rows that an endpoint gets; `None` if it gets none.
    pub fn rows(&self, endpoint: EndpointId) -> Option<Rows> {
        let count = self.count(endpoint);
        if count == 0 {
            return None;
        }
        if count == self.rows {
            return Some(Rows::All);
        }
        let mut rows = Vec::with_capacity(count);
        for (word, bits) in self.bits(endpoint).iter().enumerate() {
            let mut left = *bits;
            while left != 0 {
                rows.push((word * 64) as u16 + left.trailing_zeros() as u16);
                left &= left - 1;
            }
        }
        Some(Rows::Some(rows.into()))
    }
}

/// Where the targets of one layer go.
pub(super) struct Hits<'h> {
    pub set: &'h mut HitSet,
    /// Only this endpoint is asked for.
    pub only: Option<EndpointId>,
    /// One bit per route of the layer: it is gone.
    pub removed: &'h [u64],
}

impl Hits<'_> {
    /// Every target's hits count.
    #[inline(always)]
    pub fn takes_all(&self) -> bool {
        self.only.is_none() && self.removed.is_empty()
    }

    /// The target's hits count.
    #[inline(always)]
    pub fn wants(&self, target: &Target) -> bool {
        if self.only.is_some_and(|only| only != target.endpoint) {
            return false;
        }
        self.removed.is_empty() || self.removed[target.route as usize / 64] >> (target.route % 64) & 1 == 0
    }

    /// The target matches the row.
    #[inline(always)]
    pub fn add(&mut self, target: &Target, row: usize) {
        if self.wants(target) {
            self.set.add(target.endpoint, row);
        }
    }

    /// The target matches these rows.
    pub fn add_all(&mut self, target: &Target, bits: &[u64]) {
        if !self.wants(target) || bits.iter().all(|word| *word == 0) {
            return;
        }
        let first = bits.iter().position(|word| *word != 0).unwrap_or(0);
        self.set.add(target.endpoint, first * 64 + bits[first].trailing_zeros() as usize);
        let at = usize::from(target.endpoint) * self.set.words;
        self.set.bits[at..at + bits.len()].iter_mut().zip(bits).for_each(|(word, more)| *word |= more);
    }
}
