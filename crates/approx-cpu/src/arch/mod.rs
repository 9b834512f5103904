//! Which vector instructions a kernel may use, decided once per process.
//!
//! Every kernel takes an [`InstructionSet`], so that tests can run all the paths that a machine has.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512_vbmi;

use std::sync::OnceLock;

/// A family of vector instructions that the machine is known to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InstructionSet {
    family: Family,
    multiplies_and_adds: bool,
}

/// The families. Kernels ask for one by name or for a capability of the set, never for an order among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// What the compilation target promises (SSE2 on x86-64, NEON on AArch64).
    Portable,
    /// 256-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512-bit vectors: F, BW, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// The same with VBMI, whose byte permutations look up 64 codes at a time, and VNNI, whose multiplications add up
    /// four products of bytes.
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
            let mut sets = vec![InstructionSet {
                family: Family::Portable,
                multiplies_and_adds: false,
            }];
            #[cfg(target_arch = "x86_64")]
            {
                let avx2 = is_x86_feature_detected!("avx2");
                let avx512 = avx2
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl");
                let avx_vnni = avx2 && is_x86_feature_detected!("avxvnni");
                let avx512_vnni = avx512 && is_x86_feature_detected!("avx512vnni");
                let vbmi = avx512_vnni && is_x86_feature_detected!("avx512vbmi");
                for (family, multiplies_and_adds, present) in [
                    (Family::Avx2, false, avx2),
                    (Family::Avx2, true, avx_vnni),
                    (Family::Avx512, false, avx512),
                    (Family::Avx512, true, avx512_vnni),
                    (Family::Avx512Vbmi, true, vbmi),
                ] {
                    if present {
                        sets.push(InstructionSet {
                            family,
                            multiplies_and_adds,
                        });
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
        self.family
    }

    /// Whether one instruction of the family's width multiplies four bytes or two 16-bit words of a lane each and adds
    /// the products to it: AVX-VNNI or AVX-512 VNNI.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn multiplies_and_adds(self) -> bool {
        self.multiplies_and_adds
    }

    /// Whether bytes can be shuffled inside the 128-bit parts of 256-bit vectors, as AVX2 does.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn shuffles_bytes(self) -> bool {
        match self.family {
            Family::Portable => false,
            Family::Avx2 | Family::Avx512 | Family::Avx512Vbmi => true,
        }
    }

    /// Whether codes can be looked up inside vector registers.
    pub(crate) fn permutes_bytes(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self.family == Family::Avx512Vbmi;
        #[cfg(not(target_arch = "x86_64"))]
        false
    }
}

/// Defines a function of an instruction set and the given arguments, whose body is compiled for every family: plain
/// Rust that becomes vector instructions as wide as the set has them.
macro_rules! compiled_for_every_set {
    (
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident $(<$($parameter:ident: $bound:path),+>)? (
            $set:ident, $($argument:ident: $type:ty),+ $(,)?
        ) $(-> $result:ty)? $body:block
    ) => {
        $(#[$attribute])*
        $visibility fn $name $(<$($parameter: $bound),+>)? (
            $set: $crate::arch::InstructionSet,
            $($argument: $type),+
        ) $(-> $result)? {
            #[inline(always)]
            fn body $(<$($parameter: $bound),+>)? ($($argument: $type),+) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2 $(<$($parameter: $bound),+>)? ($($argument: $type),+) $(-> $result)? {
                body($($argument),+)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512 $(<$($parameter: $bound),+>)? ($($argument: $type),+) $(-> $result)? {
                body($($argument),+)
            }

            match $set.family() {
                $crate::arch::Family::Portable => body($($argument),+),
                #[cfg(target_arch = "x86_64")]
                // SAFETY: an instruction set is only constructed where the machine has it.
                $crate::arch::Family::Avx2 => unsafe { avx2($($argument),+) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above; both families have these instructions.
                $crate::arch::Family::Avx512 | $crate::arch::Family::Avx512Vbmi => unsafe {
                    avx512($($argument),+)
                },
            }
        }
    };
}
pub(crate) use compiled_for_every_set;
