//! Which vector instructions a kernel may use, decided once per process.
//!
//! Every instruction set is one file here with an implementation of [`Instructions`], and one line in the list below.
//! Kernels elsewhere are written once, for any set, and name none. They take an [`InstructionSet`], so that tests can
//! run all the paths that a machine has.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_vbmi;
mod instructions;
mod operands;
mod plain;
mod portable;
#[cfg(target_arch = "x86_64")]
mod sse2;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(test)]
mod tests;

use std::sync::OnceLock;

pub(crate) use instructions::{Facts, Instructions, Kernel, PanelCycles, Pick};
pub(crate) use operands::{DigitLine, LANES, LOOKUPS, NARROW_LANES, PickedBlock, PickedTaps, Row};
pub(crate) use plain::exchange;

/// Lists the instruction sets, the least capable first: what each is called and the type that implements it.
macro_rules! instruction_sets {
    ($($(#[$attribute:meta])* $name:ident: $type:ty,)+) => {
        /// An instruction set that the machine is known to have.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum InstructionSet {
            $($(#[$attribute])* $name($type),)+
        }

        impl InstructionSet {
            /// The sets of this machine, in the order of the list.
            fn detect() -> Vec<InstructionSet> {
                let mut sets = Vec::new();
                $($(#[$attribute])* sets.extend(<$type>::detect().map(InstructionSet::$name));)+
                sets
            }

            /// Runs a kernel in the form that is compiled for this set.
            #[inline]
            pub(crate) fn run<K: Kernel>(self, kernel: K, to: &mut K::Target) -> K::Output {
                match self {
                    $($(#[$attribute])* InstructionSet::$name(set) => set.compiled(kernel, to),)+
                }
            }

            /// What there is to know about the set outside of kernels.
            pub(crate) fn facts(self) -> Facts {
                match self {
                    $($(#[$attribute])* InstructionSet::$name(_) => <$type>::FACTS,)+
                }
            }
        }
    };
}

instruction_sets! {
    Portable: portable::Portable,
    #[cfg(target_arch = "x86_64")]
    Sse2: sse2::Sse2,
    #[cfg(target_arch = "x86_64")]
    Avx2: avx2::Avx2<false>,
    #[cfg(target_arch = "x86_64")]
    AvxVnni: avx2::Avx2<true>,
    #[cfg(target_arch = "x86_64")]
    Avx512: avx512::Avx512<false>,
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni: avx512::Avx512<true>,
    #[cfg(target_arch = "x86_64")]
    Avx512Vbmi: avx512_vbmi::Avx512Vbmi,
}

impl InstructionSet {
    /// Everything this machine can run, the least capable first.
    pub(crate) fn available() -> &'static [InstructionSet] {
        static AVAILABLE: OnceLock<Vec<InstructionSet>> = OnceLock::new();
        AVAILABLE.get_or_init(InstructionSet::detect)
    }

    /// The most capable set of this machine.
    pub(crate) fn best() -> InstructionSet {
        *Self::available()
            .last()
            .expect("the portable set is always available")
    }
}

/// Defines a function of an instruction set and the given arguments, whose body is compiled for every set: plain Rust
/// that becomes vector instructions as wide as the set has them. What it writes stands behind a semicolon.
macro_rules! compiled_for_every_set {
    (
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident $(<$($parameter:ident: $bound:path),+>)? (
            $set:ident, $($argument:ident: $type:ty),+; $to:ident: &mut $target:ty $(,)?
        ) $(-> $result:ty)? $body:block
    ) => {
        $(#[$attribute])*
        $visibility fn $name $(<$($parameter: $bound),+>)? (
            $set: $crate::arch::InstructionSet,
            $($argument: $type,)+
            $to: &mut $target,
        ) $(-> $result)? {
            struct Call<Arguments, Target: ?Sized>(Arguments, std::marker::PhantomData<fn(&mut Target)>);

            impl $(<$($parameter: $bound),+>)? $crate::arch::Kernel for Call<($($type,)+), $target> {
                type Target = $target;
                type Output = $crate::arch::compiled_for_every_set!(@result $($result)?);

                #[inline(always)]
                fn run<I: $crate::arch::Instructions>(self, _: I, $to: &mut $target) -> Self::Output {
                    let ($($argument,)+) = self.0;
                    $body
                }
            }

            $set.run(Call::<_, $target>(($($argument,)+), std::marker::PhantomData), $to)
        }
    };
    (
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident ($set:ident, $($argument:ident: $type:ty),+ $(,)?) -> $result:ty $body:block
    ) => {
        $(#[$attribute])*
        $visibility fn $name($set: $crate::arch::InstructionSet, $($argument: $type),+) -> $result {
            $crate::arch::compiled_for_every_set! {
                fn compiled(set, $($argument: $type),+; _nothing: &mut ()) -> $result $body
            }

            compiled($set, $($argument,)+ &mut ())
        }
    };
    (@result) => {
        ()
    };
    (@result $result:ty) => {
        $result
    };
}
pub(crate) use compiled_for_every_set;
