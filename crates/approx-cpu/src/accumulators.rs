//! The sums that the kernels return, and how wide they have to be.

use bytemuck::Pod;

/// Exact sums of products: 32 bits wide where a bound proves that no sum can leave 32 bits, 64 bits wide otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accumulators {
    /// Every sum is known to fit in 32 bits.
    I32(Vec<i32>),
    /// Some sum might not fit in 32 bits.
    I64(Vec<i64>),
}

impl Accumulators {
    /// The number of sums.
    pub fn len(&self) -> usize {
        match self {
            Accumulators::I32(sums) => sums.len(),
            Accumulators::I64(sums) => sums.len(),
        }
    }

    /// Whether there is no sum at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All sums as 64-bit integers.
    pub fn to_i64(&self) -> Vec<i64> {
        match self {
            Accumulators::I32(sums) => sums.iter().map(|&sum| i64::from(sum)).collect(),
            Accumulators::I64(sums) => sums.clone(),
        }
    }
}

/// An accumulator's integer type. Additions and multiplications wrap: an intermediate overflow is harmless when the
/// final sum fits.
pub(crate) trait Accumulator: Copy + Default + Send + Sync + Pod {
    /// Whether sums must be carried beyond 32 bits.
    const WIDE: bool;
    /// `low + 65536 * high`.
    fn from_digits(low: u32, high: u32) -> Self;
    /// The low bits of `value`.
    fn from_i64(value: i64) -> Self;
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn negated(self) -> Self;
    /// The nearest float32, ties to even.
    fn to_f32(self) -> f32;
}

impl Accumulator for i32 {
    const WIDE: bool = false;
    #[inline(always)]
    fn from_digits(low: u32, high: u32) -> Self {
        low.wrapping_add(high << 16) as i32
    }
    #[inline(always)]
    fn from_i64(value: i64) -> Self {
        value as i32
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.wrapping_mul(other)
    }
    #[inline(always)]
    fn negated(self) -> Self {
        self.wrapping_neg()
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self as f32
    }
}

impl Accumulator for i64 {
    const WIDE: bool = true;
    #[inline(always)]
    fn from_digits(low: u32, high: u32) -> Self {
        i64::from(low) + (i64::from(high) << 16)
    }
    #[inline(always)]
    fn from_i64(value: i64) -> Self {
        value
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.wrapping_mul(other)
    }
    #[inline(always)]
    fn negated(self) -> Self {
        self.wrapping_neg()
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self as f32
    }
}
