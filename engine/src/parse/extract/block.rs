//! What 64 bytes of an event are, as bitmaps: skeleton, holes, and what makes an event one for the walker.
//!
//! The **holes** of an event are the values of its members: what stands between the quotes of a string, numbers and literals, and
//! arrays with their brackets. The **skeleton** is the rest: braces, names, colons, commas, spaces, and the quotes of those
//! strings. Bit `i` of every mask is byte `i` of the block; what reaches into the next block is carried.
//!
//! What always holds, given that [`Step::flag`] stays 0 over the whole event: every hole starts right behind a colon (spaces
//! skipped), every scalar and array ends before a comma or a closing bracket (spaces skipped), an array holds no string, no array
//! and no member, and its elements end before a comma or its end; there is no escape, no control character in a string. So two
//! events with the same skeleton and the same number of holes have their holes in the same places: the only choice a skeleton
//! leaves is whether there is a scalar or an array behind a colon, and the number settles it.

/// Where the bytes of some kinds are in a block. Bits beyond the end of the text are 0, but for `bad`, which may have any.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Masks {
    /// `"`
    pub quote: u64,
    /// `:`
    pub colon: u64,
    /// `[`
    pub array: u64,
    /// `,` `}` `]`
    pub end: u64,
    /// Space, tab, line feed, carriage return
    pub space: u64,
    /// `\` and everything below a space
    pub bad: u64,
    /// What is none of `"` `:` `{` `[` `,` `}` `]` and space: outside of strings, numbers and literals
    pub other: u64,
}

/// What goes on from one block into the next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Carry {
    /// All ones inside a string.
    string: u64,
    colon: u64,
    hole: u64,
    /// Carries of the three additions.
    value: bool,
    behind_colon: bool,
    behind_scalar: bool,
    arrays: ArrayCarry,
}

/// Of arrays.
#[derive(Clone, Copy, Debug, Default)]
struct ArrayCarry {
    /// One is open.
    open: bool,
    /// One ended with the last byte.
    closed: u64,
    element: u64,
    behind_element: bool,
    /// There were some.
    seen: bool,
}

impl Carry {
    /// The text may not end here: a string or an array is open.
    pub fn is_open(&self) -> bool {
        self.string != 0 || self.arrays.open
    }

    /// There were arrays.
    pub fn has_arrays(&self) -> bool {
        self.arrays.seen
    }
}

/// What the bytes of a block are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The skeleton.
    pub keep: u64,
    /// First byte of each hole and first byte behind it, in turn. Of a string the first is the opening quote, which belongs to
    /// the skeleton. Two holes never touch.
    pub edges: u64,
    /// Bytes of numbers and literals, and in arrays those between them but spaces.
    pub scalar: u64,
    /// First byte behind each of those that stand alone, and the ends of arrays.
    pub scalar_ends: u64,
    /// Not 0: this event is not one for the fast path.
    pub flag: u64,
}

/// `a + b + carry`, and the carry out.
#[inline(always)]
pub(super) fn add(a: u64, b: u64, carry: &mut bool) -> u64 {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        let mut sum = 0;
        *carry = std::arch::x86_64::_addcarry_u64(u8::from(*carry), a, b, &mut sum) != 0;
        sum
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    {
        let (sum, first) = a.overflowing_add(b);
        let (sum, second) = sum.overflowing_add(u64::from(*carry));
        *carry = first | second;
        sum
    }
}

/// For each place the first one from it on that is no space: an addition runs through the spaces. Most events have none.
#[inline(always)]
fn behind_spaces(places: u64, space: u64, carry: &mut bool) -> u64 {
    if space | u64::from(*carry) == 0 {
        return places;
    }
    (places | add(space, places & space, carry)) & !space
}

/// The arrays of a block.
#[derive(Clone, Copy, Debug, Default)]
struct Arrays {
    /// From bracket to bracket.
    whole: u64,
    /// What is between, but spaces.
    inside: u64,
    /// The closing brackets, and the first byte behind each.
    ends: u64,
    behind: u64,
    flag: u64,
}

/// The arrays of a block that has some. `close` are the closing brackets, `value` the places where values start.
#[inline(always)]
fn arrays(masks: &Masks, close: u64, outside: u64, value: u64, valid: u64, carry: &mut ArrayCarry) -> Arrays {
    carry.seen = true;
    let (open, close, space) = (masks.array & outside, close & outside & valid, masks.space & outside);
    let starts = open & value;
    let was_open = u64::from(carry.open);
    // Adding 1 at their start clears the ones up to their end.
    let inside = !close & !add(!close, starts, &mut carry.open);
    let ends = ((inside << 1) | was_open) & close;
    let behind = (ends << 1) | carry.closed;
    carry.closed = ends >> 63;

    let element = masks.other & inside;
    let behind_element = ((element << 1) | carry.element) & !element;
    carry.element = element >> 63;
    let next = behind_spaces(behind_element, space, &mut carry.behind_element);
    let flag = (open & !starts) | (inside & (masks.quote | masks.colon)) | (next & !masks.end & valid);
    Arrays { whole: inside | ends, inside: inside & !starts & !space, ends, behind, flag }
}

/// One block. `in_string` is the prefix xor of `masks.quote`; `valid` has the bits that lie inside the text; `close` says where `]` is, and is
/// asked only if there are arrays.
#[inline(always)]
pub(super) fn step(masks: &Masks, in_string: u64, valid: u64, carry: &mut Carry, close: impl FnOnce() -> u64) -> Step {
    // The opening quote is in, the closing one is not.
    let string = in_string ^ carry.string;
    carry.string = ((string as i64) >> 63) as u64;
    let outside = !string;
    let colon = masks.colon & outside;

    // The first byte behind a colon that is no space.
    let next = (colon << 1) | carry.colon;
    carry.colon = colon >> 63;
    let value = behind_spaces(next, masks.space & outside, &mut carry.behind_colon);

    if masks.array & outside | u64::from(carry.arrays.open) | carry.arrays.closed == 0 {
        return holes(masks, string, value, valid, &Arrays::default(), carry);
    }
    with_arrays(masks, close(), string, value, valid, carry)
}

/// As the rest of [`step`], for a block with arrays: a call of its own, so that those without keep their registers.
#[inline(never)]
fn with_arrays(masks: &Masks, close: u64, string: u64, value: u64, valid: u64, carry: &mut Carry) -> Step {
    let found = arrays(masks, close, !string, value, valid, &mut carry.arrays);
    holes(masks, string, value, valid, &found, carry)
}

/// The holes of a block whose strings, places of values and arrays are known.
#[inline(always)]
fn holes(masks: &Masks, string: u64, value: u64, valid: u64, arrays: &Arrays, carry: &mut Carry) -> Step {
    let outside = !string;
    let space = masks.space & outside;
    let scalar = masks.other & outside & !arrays.whole;
    // Strings that start there: adding 1 at their start clears their run of ones.
    let names = add(string, masks.quote & string & value, &mut carry.value);
    let text = string & !names;

    let hole = text | scalar | arrays.whole;
    let before = (hole << 1) | carry.hole;
    carry.hole = hole >> 63;
    let edges = hole ^ before;
    // A text ends with its closing quote, everything else that ends is a scalar or an array.
    let ends = edges & !hole & !(masks.quote & outside);
    let behind = behind_spaces(ends, space, &mut carry.behind_scalar);
    let flag = (masks.bad & string & valid)
        | (edges & scalar & !value)
        | (behind & !(masks.end & outside) & valid)
        | arrays.flag
        | (scalar & arrays.behind);

    Step {
        keep: !((text & !masks.quote) | scalar | arrays.whole) & valid,
        edges,
        scalar: scalar | arrays.inside,
        scalar_ends: (ends & !arrays.behind) | arrays.ends,
        flag,
    }
}
