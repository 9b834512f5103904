//! Which vector instructions a kernel may use, decided once per process.
//!
//! Every kernel takes an [`InstructionSet`], so that tests can run all the paths that a machine has.

use std::sync::OnceLock;

/// A family of vector instructions that the machine is known to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InstructionSet(Family);

/// The families, the least capable first; each one includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// What the compilation target promises (SSE2 on x86-64, NEON on AArch64).
    Portable,
    /// 256-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512-bit vectors: F, BW, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// The same with VBMI, whose byte permutations look up 64 codes at a time.
    #[cfg(target_arch = "x86_64")]
    Avx512Vbmi,
}

impl InstructionSet {
    /// Everything this machine can run, the least capable first. Only sets found here are ever constructed: the
    /// kernels rest on that when they enter code compiled for one.
    pub(crate) fn available() -> &'static [InstructionSet] {
        static AVAILABLE: OnceLock<Vec<InstructionSet>> = OnceLock::new();
        AVAILABLE.get_or_init(|| {
            #[allow(unused_mut)]
            let mut sets = vec![InstructionSet(Family::Portable)];
            #[cfg(target_arch = "x86_64")]
            {
                let avx2 = is_x86_feature_detected!("avx2");
                let avx512 = avx2
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl");
                let vbmi = avx512 && is_x86_feature_detected!("avx512vbmi");
                for (family, present) in [
                    (Family::Avx2, avx2),
                    (Family::Avx512, avx512),
                    (Family::Avx512Vbmi, vbmi),
                ] {
                    if present {
                        sets.push(InstructionSet(family));
                    }
                }
            }
            sets
        })
    }

    /// The most capable set of this machine.
    pub(crate) fn best() -> InstructionSet {
        *Self::available()
            .last()
            .expect("the portable set is always available")
    }

    /// Which family it is.
    pub(crate) fn family(self) -> Family {
        self.0
    }

    /// Whether codes can be looked up inside vector registers.
    pub(crate) fn permutes_bytes(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self.0 == Family::Avx512Vbmi;
        #[cfg(not(target_arch = "x86_64"))]
        false
    }
}
