//! Properties of version 5: read one after the other, with the type that each identifier has.

/// Value of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Byte(u8),
    Two(u16),
    Four(u32),
    /// A number of variable length, a text, bytes or a pair of texts, none of which this client asks for.
    Other,
}

/// Splits the property block off the front of `body`: its bytes and the rest. `None` if malformed.
pub(super) fn split(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, used) = variable(body)?;
    body.get(used..)?.split_at_checked(length)
}

/// Takes the next property off the front of a block. `None` if malformed; not to be asked of an empty block.
pub(super) fn next(block: &mut &[u8]) -> Option<(u8, Value)> {
    let id = take(block, 1)?[0];
    let value = match id {
        0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A => Value::Byte(take(block, 1)?[0]),
        0x13 | 0x21 | 0x22 | 0x23 => Value::Two(u16::from_be_bytes(take(block, 2)?.try_into().ok()?)),
        0x02 | 0x11 | 0x18 | 0x27 => Value::Four(u32::from_be_bytes(take(block, 4)?.try_into().ok()?)),
        0x0B => {
            let (_, used) = variable(block)?;
            take(block, used)?;
            Value::Other
        }
        0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1A | 0x1C | 0x1F => {
            text(block)?;
            Value::Other
        }
        0x26 => {
            text(block)?;
            text(block)?;
            Value::Other
        }
        _ => return None,
    };
    Some((id, value))
}

/// Walks over a block; false if malformed.
pub(super) fn is_valid(mut block: &[u8]) -> bool {
    while !block.is_empty() {
        if next(&mut block).is_none() {
            return false;
        }
    }
    true
}

/// Seven bits a byte, low ones first, at most four bytes: the number and how many bytes it took.
fn variable(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut number = 0;
    for (n, &byte) in bytes.iter().take(4).enumerate() {
        number |= usize::from(byte & 0x7F) << (7 * n);
        if byte < 0x80 {
            return Some((number, n + 1));
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u16::from_be_bytes(take(bytes, 2)?.try_into().ok()?);
    take(bytes, usize::from(length))
}
