//! The machine words that operands are held in: bit patterns of codes, and the elements that kernels multiply.

use std::fmt::Debug;
use std::ops::BitAnd;

use bytemuck::Pod;

/// Bit patterns of a byte: what a table of an operand of at most 8 bits is as long as.
pub(crate) const CODES: usize = 256;

/// An integer of 8 or 16 bits.
pub(crate) trait Word: Copy + Debug + Default + Eq + Send + Sync + Pod {
    /// The low bits of a larger word.
    fn truncate(word: u32) -> Self;

    /// A larger word of the same value, modulo 2^32.
    fn widen(self) -> u32;
}

/// A word that holds the bit pattern of a code: `u8` for codes of at most 8 bits, `u16` for wider ones.
pub(crate) trait Pattern: Word + BitAnd<Output = Self> {}

/// A word that an operand is multiplied as: `u8` by byte kernels, `i16` by 16-bit ones.
pub(crate) trait Element: Word {}

macro_rules! words {
    ($($word:ty),+) => {
        $(impl Word for $word {
            #[inline(always)]
            fn truncate(word: u32) -> Self {
                word as Self
            }

            #[inline(always)]
            fn widen(self) -> u32 {
                self as u32
            }
        })+
    };
}

words!(u8, u16, i16);

impl Pattern for u8 {}
impl Pattern for u16 {}
impl Element for u8 {}
impl Element for i16 {}
