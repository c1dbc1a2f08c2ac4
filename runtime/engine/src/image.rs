//! Precompiled programs: the only bytes that are trusted.
//!
//! Wasmtime does not validate a `.cwasm`: its text section is native code that will run in ring 0
//! as it is. So loading takes a [`VerifiedImage`], and holding one means that the bytes are what
//! our own compiler wrote.

use crate::{LoadError, LoadProblem};
use sha2::{Digest, Sha256};
use std::sync::{Arc, OnceLock};

/// A precompiled component of which it was established that our own compiler made it, in memory that nobody
/// writes and that stays for ever.
#[derive(Clone, Copy)]
pub struct VerifiedImage(&'static [u8]);

impl VerifiedImage {
    /// Accepts `bytes` if their SHA-256 is `digest`. This reads all of them: do it once and keep the
    /// answer.
    ///
    /// The digest must come from the verified system
    /// image: a digest computed from the bytes themselves proves nothing.
    pub fn check(
        program: &str,
        bytes: &'static [u8],
        digest: &[u8; 32],
    ) -> Result<VerifiedImage, LoadError> {
        if Sha256::digest(bytes)[..] != digest[..] {
            return Err(LoadProblem::WrongDigest.of(program));
        }
        Ok(VerifiedImage(bytes))
    }

    /// Accepts `bytes` unseen.
    ///
    /// # Safety
    ///
    /// `bytes` must be exactly what `Engine::precompile_component` of this Wasmtime returned, for instance
    /// because the loader checked the digest of the whole bundle that they lie in.
    pub unsafe fn trust(bytes: &'static [u8]) -> VerifiedImage {
        VerifiedImage(bytes)
    }

    /// The image.
    pub fn bytes(&self) -> &'static [u8] {
        self.0
    }
}

/// Bytes of which the verified system image says what their SHA-256 is, and which nobody has looked at yet. Clones are the
/// same claim: it is checked once.
#[derive(Clone)]
pub struct ClaimedImage(Arc<Claim>);

struct Claim {
    bytes: &'static [u8],
    digest: [u8; 32],
    is_right: OnceLock<bool>,
}

impl ClaimedImage {
    /// A claim about bytes that nobody writes and that stay for ever. As with [`VerifiedImage::check`], the digest
    /// must come from the verified system image.
    pub fn new(bytes: &'static [u8], digest: [u8; 32]) -> ClaimedImage {
        ClaimedImage(Arc::new(Claim {
            bytes,
            digest,
            is_right: OnceLock::new(),
        }))
    }

    /// Checks the claim. The first call reads all the bytes.
    pub fn verify(&self, program: &str) -> Result<VerifiedImage, LoadError> {
        let Claim {
            bytes,
            digest,
            is_right,
        } = &*self.0;
        let is_right = is_right.get_or_init(|| Sha256::digest(bytes)[..] == digest[..]);
        if *is_right {
            Ok(VerifiedImage(bytes))
        } else {
            Err(LoadProblem::WrongDigest.of(program))
        }
    }
}

impl From<VerifiedImage> for ClaimedImage {
    fn from(image: VerifiedImage) -> ClaimedImage {
        ClaimedImage(Arc::new(Claim {
            bytes: image.0,
            digest: [0; 32],
            is_right: OnceLock::from(true),
        }))
    }
}
