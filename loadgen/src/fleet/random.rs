//! Chance as a function: the same (seed, device, event, field) always has the same word, so that any event can be made again alone.

/// Finaliser of SplitMix64 (Steele, Lea, Flood 2014) over the combination of two words.
#[inline(always)]
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let mut x = a ^ b.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// What the values of one event are drawn from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw {
    /// The device's word.
    pub(super) device: u64,
    /// The event's word.
    pub(super) event: u64,
    /// The event's number.
    pub(super) seq: u32,
    /// The device is in alarm.
    pub(super) alarm: bool,
}

/// How long a drawn value holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// For ever: it belongs to the device.
    Device,
    /// For one event.
    Event,
    /// For 2^n events.
    Block(u32),
}

impl Draw {
    /// The word of a field whose salt is odd for a block of events.
    #[inline(always)]
    pub(super) fn block(&self, salt: u64, block: u32) -> u64 {
        // A step of a Weyl sequence, mixed twice: neighbouring blocks have nothing in common.
        let x = (self.device ^ salt).wrapping_add(u64::from(block).wrapping_mul(BLOCK_FACTOR));
        fold(fold(x.wrapping_mul(DEVICE_FACTOR)).wrapping_mul(BLOCK_FACTOR))
    }

    /// The word of a field whose salt is odd.
    #[inline(always)]
    pub(super) fn word(&self, salt: u64, holds: Holds) -> u64 {
        match holds {
            Holds::Event => {
                // The high half of a product depends on all bits below it; fold it down for those who take low bits.
                fold((self.event ^ salt).wrapping_mul(salt))
            }
            // The device's word is mixed already: one more product tells its fields apart.
            Holds::Device => fold((self.device ^ salt).wrapping_mul(DEVICE_FACTOR)),
            Holds::Block(shift) => self.block(salt, self.seq >> shift),
        }
    }
}

const DEVICE_FACTOR: u64 = 0xD1B5_4A32_D192_ED03;
const BLOCK_FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

#[inline(always)]
fn fold(x: u64) -> u64 {
    x ^ (x >> 32)
}

/// A number in `0..span` from the upper half of a word.
#[inline(always)]
pub(super) fn below(word: u64, span: u64) -> u64 {
    debug_assert!(span <= 1 << 32, "spans are at most 2^32");
    ((word >> 32) * span) >> 32
}
