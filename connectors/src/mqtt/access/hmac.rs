//! A keyed digest of a name and its password, with a key that lives as long as the process.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{Context, HMAC_SHA256};

/// The key. It is never written anywhere.
pub(super) struct Key(aws_lc_rs::hmac::Key);

/// What stands for a verified password.
pub(super) type Digest = [u8; 32];

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    pub(super) fn random() -> Self {
        let mut seed = [0u8; 32];
        aws_lc_rs::rand::fill(&mut seed)
            .expect("the system gives random bytes: TLS could not work without them either");
        Self(aws_lc_rs::hmac::Key::new(HMAC_SHA256, &seed))
    }

    /// The digest of a password for a name and for the hash that verifies it.
    pub(super) fn digest(&self, name: &str, hash: &str, password: &[u8]) -> Digest {
        let mut context = Context::with_key(&self.0);
        for part in [name.as_bytes(), hash.as_bytes(), password] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut digest = Digest::default();
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }

    /// A number in `0..below` that a name always has, and that nobody outside can foresee.
    pub(super) fn place(&self, name: &str, below: usize) -> usize {
        let digest = self.digest(name, "", b"");
        let mut first = [0u8; 8];
        first.copy_from_slice(&digest[..8]);
        (u64::from_le_bytes(first) % below.max(1) as u64) as usize
    }
}

/// Whether two digests are one, in a time that does not depend on where they differ.
pub(super) fn same(one: &Digest, other: &Digest) -> bool {
    verify_slices_are_equal(one, other).is_ok()
}
