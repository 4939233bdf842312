//! Which instructions the extractor uses: chosen once at start, forced in tests and benchmarks.

/// A way to scan text. All of them give the same results; they differ in speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// Plain Rust, for every machine: the twin of the others.
    Portable,
    /// x86-64 with AVX2 and carry-less multiplication.
    Avx2,
    /// x86-64 with AVX-512 (BW, DQ, VL, VBMI, VBMI2) and carry-less multiplication.
    Avx512,
}

impl Kernel {
    /// All of them, slowest first.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// The kernel of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kernel| kernel.name().eq_ignore_ascii_case(name))
    }

    /// This machine can run it.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    pub fn is_available(self) -> bool {
        use std::arch::is_x86_feature_detected as has;
        match self {
            Self::Portable => true,
            Self::Avx2 => has!("avx2") && has!("bmi1") && has!("bmi2") && has!("pclmulqdq") && has!("popcnt"),
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && has!("avx512f")
                    && has!("avx512bw")
                    && has!("avx512dq")
                    && has!("avx512vl")
                    && has!("avx512vbmi")
                    && has!("avx512vbmi2")
            }
        }
    }

    /// This machine can run it.
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    pub fn is_available(self) -> bool {
        self == Self::Portable
    }

    /// The fastest one that this machine can run.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|kernel| kernel.is_available()).unwrap_or(Self::Portable)
    }
}

impl Default for Kernel {
    fn default() -> Self {
        Self::best()
    }
}
