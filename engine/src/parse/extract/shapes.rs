//! The table of shapes: which skeletons are known, and where in them the wanted values stand.
//!
//! What always holds: a shape was made from an event that the walker accepted; the hash only proposes, the skeleton is compared;
//! there are at most [`SHAPES_MAX`] shapes. A skeleton is learnt when it comes for the second time, so that one that never comes
//! again costs no memory; when the table is full, a shape that was not used for longest makes room (CLOCK).

use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};

use super::scan::Split;
use super::{ColumnId, Columns, Fields, Found, Pending, Span, Tag, What, scalar};
use crate::limits;

/// Most shapes of one extractor.
const SHAPES_MAX: usize = 4096;
/// Slots of the table: twice the shapes, so that searches are short.
const SLOTS: usize = SHAPES_MAX * 2;
/// Hashes of skeletons that were seen once.
const SEEN: usize = 4096;
const EMPTY: u32 = u32::MAX;

/// What is known about a skeleton.
pub(super) enum Seen {
    /// The number of its shape.
    Known(u32),
    /// This is the first time, as far as is remembered.
    Once,
    /// It was seen before: worth learning, with this hash.
    Again(u64),
}

/// Where the wanted values stand.
#[derive(Debug)]
pub(super) struct Shape {
    hash: u64,
    /// The fields that it was made for.
    stamp: u64,
    skeleton: Box<[u8]>,
    holes: u32,
    /// It was used since the hand of the clock went by.
    used: bool,
    texts: Box<[Binding]>,
    /// Numbers and literals in columns that want numbers as they are written.
    digits: Box<[Binding]>,
    /// Numbers and literals in all others.
    scalars: Box<[Binding]>,
    /// Values that the skeleton alone decides: objects.
    fixed: Box<[(ColumnId, Tag, u64)]>,
    is_covered: bool,
    /// Arrays in its holes are right: none of them is nested too deep.
    takes_arrays: bool,
}

/// A column and the hole that its value stands in.
#[derive(Clone, Copy, Debug)]
struct Binding {
    column: ColumnId,
    hole: u16,
}

impl Shape {
    /// The shape of the event that `split` and `found` are of; `None` if a wanted value stands in no hole, as a body that is one
    /// string. `is_covered`: every member of such events is in a column.
    pub fn new(
        split: &Split<'_>,
        found: &[(ColumnId, Found)],
        fields: &Fields,
        hash: u64,
        is_covered: bool,
    ) -> Option<Self> {
        let (mut texts, mut digits, mut scalars, mut fixed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (column, found) in found {
            match found.what {
                What::Object(members) => fixed.push((*column, Tag::Object, members as u64)),
                _ => {
                    let binding = Binding { column: *column, hole: split.hole_at(found.start)? as u16 };
                    match found.what {
                        What::Text => texts.push(binding),
                        _ if fields.wants_digits(*column) => digits.push(binding),
                        _ => scalars.push(binding),
                    }
                }
            }
        }
        for bindings in [&mut texts, &mut digits, &mut scalars] {
            bindings.sort_by_key(|binding| binding.hole);
        }
        Some(Self {
            hash,
            stamp: fields.stamp(),
            skeleton: split.skeleton.into(),
            holes: split.holes() as u32,
            used: true,
            texts: texts.into(),
            digits: digits.into(),
            scalars: scalars.into(),
            fixed: fixed.into(),
            is_covered,
            // Braces in names count too: who nests that deep is walked.
            takes_arrays: split.skeleton.iter().filter(|byte| **byte == b'{').count() < limits::JSON_DEPTH_MAX,
        })
    }

    /// Every member of its events is in a column.
    #[inline(always)]
    pub fn is_covered(&self) -> bool {
        self.is_covered
    }

    /// Its events may have arrays.
    #[inline(always)]
    pub fn takes_arrays(&self) -> bool {
        self.takes_arrays
    }

    /// It has this skeleton and so many holes.
    #[inline(always)]
    pub fn is(&self, split: &Split<'_>) -> bool {
        self.holes as usize == split.holes() && *self.skeleton == *split.skeleton
    }

    /// Fills the cells of `row` from the event that was scanned; numbers are left to be converted.
    #[inline(always)]
    pub fn bind(
        &self,
        split: &Split<'_>,
        bytes: &[u8],
        origin: usize,
        row: usize,
        columns: &mut Columns,
        pending: &mut Vec<Pending>,
    ) {
        let place = |binding: &Binding| {
            let (start, end) = split.hole(usize::from(binding.hole));
            ((origin + start) as u32, (origin + end) as u32)
        };
        for binding in &self.texts {
            let (start, end) = place(binding);
            columns.set(binding.column, row, Tag::Text, Span { start: start + 1, len: end - start - 1 }.pack());
        }
        for binding in &self.digits {
            let (start, end) = place(binding);
            let tag = match scalar(bytes[start as usize]) {
                Tag::Number => Tag::Digits,
                literal => literal,
            };
            columns.set(binding.column, row, tag, Span { start, len: end - start }.pack());
        }
        for binding in &self.scalars {
            let (start, end) = place(binding);
            let tag = scalar(bytes[start as usize]);
            let cell = columns.set_tag(binding.column, row, tag);
            if tag == Tag::Number {
                pending.push(Pending { start, end, cell });
            } else if tag == Tag::Array {
                columns.set_value(cell, Span { start, len: end - start }.pack());
            }
        }
        for (column, tag, value) in &self.fixed {
            columns.set(*column, row, *tag, *value);
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Shapes {
    secrets: RapidSecrets,
    shapes: Vec<Shape>,
    slots: Box<[u32]>,
    seen: Box<[u64]>,
    hand: usize,
    learnt: u64,
    stamp: u64,
}

impl Shapes {
    pub fn new(seed: u64) -> Self {
        Self {
            secrets: RapidSecrets::seed(seed),
            shapes: Vec::new(),
            slots: vec![EMPTY; SLOTS].into(),
            seen: vec![0; SEEN].into(),
            hand: 0,
            learnt: 0,
            stamp: 0,
        }
    }

    /// From now on shapes are for the fields with this stamp; older ones are forgotten.
    pub fn renew(&mut self, stamp: u64) {
        if self.stamp != stamp {
            self.stamp = stamp;
            self.shapes.clear();
            self.slots.fill(EMPTY);
            self.hand = 0;
        }
    }

    #[inline(always)]
    pub fn get(&self, id: u32) -> &Shape {
        &self.shapes[id as usize]
    }

    pub fn learnt(&self) -> u64 {
        self.learnt
    }

    /// Looks for a skeleton.
    #[inline]
    pub fn find(&mut self, split: &Split<'_>) -> Seen {
        let hash = rapidhash_v3_seeded(split.skeleton, &self.secrets)
            ^ (split.holes() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut slot = hash as usize % SLOTS;
        loop {
            let id = self.slots[slot];
            if id == EMPTY {
                break;
            }
            let shape = &mut self.shapes[id as usize];
            if shape.hash == hash && shape.is(split) {
                shape.used = true;
                return Seen::Known(id);
            }
            slot = (slot + 1) % SLOTS;
        }
        // The lowest bits chose the slot.
        let seen = &mut self.seen[(hash >> 32) as usize % SEEN];
        if *seen == hash {
            return Seen::Again(hash);
        }
        *seen = hash;
        Seen::Once
    }

    /// Adds a shape that is not there.
    pub fn learn(&mut self, shape: Shape) {
        debug_assert_eq!(shape.stamp, self.stamp);
        self.learnt += 1;
        let id = if self.shapes.len() < SHAPES_MAX {
            self.shapes.push(shape);
            self.shapes.len() as u32 - 1
        } else {
            let id = self.least_used();
            self.shapes[id] = shape;
            self.rebuild();
            return;
        };
        self.insert(id);
    }

    fn least_used(&mut self) -> usize {
        loop {
            self.hand = (self.hand + 1) % self.shapes.len();
            if !std::mem::take(&mut self.shapes[self.hand].used) {
                return self.hand;
            }
        }
    }

    /// Deleting from a table of open addressing is not worth its subtlety: a shape is learnt rarely.
    fn rebuild(&mut self) {
        self.slots.fill(EMPTY);
        for id in 0..self.shapes.len() {
            self.insert(id as u32);
        }
    }

    fn insert(&mut self, id: u32) {
        let mut slot = self.shapes[id as usize].hash as usize % SLOTS;
        while self.slots[slot] != EMPTY {
            slot = (slot + 1) % SLOTS;
        }
        self.slots[slot] = id;
    }
}
