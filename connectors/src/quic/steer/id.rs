//! Connection ids with a core's number in them.
//!
//! An id has eight bytes: one that stands for the core, three of chance, and a check of four over both that only the node can make.
//! Which bytes stand for which core is a secret of the node, and a core has many, so that two ids of a connection do not look
//! alike to an onlooker.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::quic::{AES_128, HeaderProtectionKey};
use quinn::{ConnectionId, ConnectionIdGenerator};
use quinn_proto::InvalidCid;

use super::Steering;
use crate::quic::secret::QuicSecret;

/// Bytes of an id.
pub const ID_BYTES: usize = 8;
/// Most cores: each needs a value of the first byte.
pub const CORES_MAX: usize = 256;

/// What the check is over; the rest is the check.
const CHECKED_BYTES: usize = 4;
const AES_BLOCK_BYTES: usize = 16;
const LONG_HEADER: u8 = 0x80;

/// How ids are made and read.
pub(super) struct Ids {
    /// The core that a first byte stands for.
    core_of: [u8; 256],
    /// First bytes by core: those of core `c` stand at `c`, `c + cores`, …
    first_bytes: [u8; 256],
    cores: usize,
    check: HeaderProtectionKey,
}

impl std::fmt::Debug for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ids").field("cores", &self.cores).finish_non_exhaustive()
    }
}

impl Ids {
    /// `cores` is at least one and at most [`CORES_MAX`].
    pub(super) fn new(secret: &QuicSecret, cores: usize) -> Self {
        let check = block_key(&secret.key("quic: check of connection ids"));
        let order = block_key(&secret.key("quic: first bytes of connection ids"));
        let mut first_bytes: [u8; 256] = std::array::from_fn(|at| at as u8);
        // In the order of their images: a permutation that only the secret tells.
        first_bytes.sort_by_key(|byte| (mask(&order, &[*byte]), *byte));
        let mut core_of = [0; 256];
        for (at, byte) in first_bytes.iter().enumerate() {
            core_of[usize::from(*byte)] = (at % cores) as u8;
        }
        Self { core_of, first_bytes, cores, check }
    }

    /// The core whose id is in the datagram, as far as that shows without arithmetic. A datagram that begins a connection has an
    /// id of the client's making and is `own`'s.
    #[inline]
    pub(super) fn core_in(&self, datagram: &[u8], own: u8) -> u8 {
        match datagram {
            [first, byte, ..] if first & LONG_HEADER == 0 => self.core_of[usize::from(*byte)],
            [first, rest @ ..] if first & LONG_HEADER != 0 => self.core_in_long(rest, own),
            _ => own,
        }
    }

    /// Of a datagram of the handshake. Its id may still be the client's, which can have any bytes: only the check tells.
    fn core_in_long(&self, behind_first: &[u8], own: u8) -> u8 {
        match behind_first.get(4..) {
            Some([length, id @ ..]) if usize::from(*length) == ID_BYTES => match id.get(..ID_BYTES) {
                Some(id) if self.core_of[usize::from(id[0])] != own && self.is_ours(id) => {
                    self.core_of[usize::from(id[0])]
                }
                _ => own,
            },
            _ => own,
        }
    }

    /// The id that a datagram is for, if it has one of our length.
    pub(super) fn id_in<'d>(&self, datagram: &'d [u8]) -> Option<&'d [u8]> {
        let first = *datagram.first()?;
        let from = if first & LONG_HEADER == 0 { 1 } else { 6 };
        datagram.get(from..from + ID_BYTES)
    }

    /// Whether the node made the id. A stranger has one chance in four billion for each try.
    pub(super) fn is_ours(&self, id: &[u8]) -> bool {
        id.len() == ID_BYTES && self.check_of(&id[..CHECKED_BYTES]) == id[CHECKED_BYTES..]
    }

    fn check_of(&self, checked: &[u8]) -> [u8; ID_BYTES - CHECKED_BYTES] {
        let [a, b, c, d, _] = mask(&self.check, checked);
        [a, b, c, d]
    }

    fn make(&self, core: u8, chance: [u8; CHECKED_BYTES]) -> [u8; ID_BYTES] {
        let count = (256 - usize::from(core)).div_ceil(self.cores);
        let which = usize::from(chance[0]) % count;
        let [_, a, b, c] = chance;
        let checked = [self.first_bytes[usize::from(core) + which * self.cores], a, b, c];
        let mut id = [0; ID_BYTES];
        id[..CHECKED_BYTES].copy_from_slice(&checked);
        id[CHECKED_BYTES..].copy_from_slice(&self.check_of(&checked));
        id
    }
}

/// The header protection of QUIC is what we need: a keyed function of one block with five bytes as its result.
fn block_key(key: &[u8]) -> HeaderProtectionKey {
    HeaderProtectionKey::new(&AES_128, &key[..AES_BLOCK_BYTES]).expect("a key of AES-128 has 16 bytes")
}

/// `bytes` are at most a block.
fn mask(key: &HeaderProtectionKey, bytes: &[u8]) -> [u8; 5] {
    let mut block = [0; AES_BLOCK_BYTES];
    block[..bytes.len()].copy_from_slice(bytes);
    key.new_mask(&block).expect("the sample is a block long")
}

/// Makes the connection ids of one core.
pub struct CoreIds {
    steering: Arc<Steering>,
    core: u8,
}

impl CoreIds {
    pub(super) fn new(steering: Arc<Steering>, core: u8) -> Self {
        Self { steering, core }
    }
}

impl ConnectionIdGenerator for CoreIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut chance = [0; CHECKED_BYTES];
        // It can fail only where the library cannot start at all, and no handshake would have succeeded then.
        aws_lc_rs::rand::fill(&mut chance).expect("the generator that TLS uses gives random bytes");
        ConnectionId::new(&self.steering.ids.make(self.core, chance))
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        if self.steering.ids.is_ours(id) { Ok(()) } else { Err(InvalidCid) }
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}
