//! The sums that a unit accumulates, in registers:
//!
//! ```text
//! one word:   s <- s + p  mod 2^32
//! two words:  s <- s + p  mod 2^64        s = 2^32 high + low
//! real:       s <- round(s + a b)         to float32
//! ```

use cubecl::prelude::*;

use crate::wide::Wide;

/// What sums are held in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SumKind {
    /// 32-bit integers that wrap.
    OneWord,
    /// 64-bit integers.
    TwoWords,
    /// Float32.
    Real,
}

/// A unit's sums. Integers are two's complement in unsigned words, which wrap in every language.
#[derive(CubeType)]
#[expect(dead_code, reason = "kernels construct what the macro makes of it")]
pub(crate) enum Sums {
    OneWord(Array<u32>),
    TwoWords(TwoWordSums),
    Real(Array<f32>),
}

#[derive(CubeType)]
pub(crate) struct TwoWordSums {
    low: Array<u32>,
    high: Array<u32>,
}

/// A total, before it is scaled.
#[derive(CubeType)]
#[expect(dead_code, reason = "kernels construct what the macro makes of it")]
pub(crate) enum Total {
    Integer(Wide),
    Real(RealTotal),
}

#[derive(CubeType)]
pub(crate) struct RealTotal {
    pub(crate) value: f32,
}

#[cube]
impl Sums {
    /// Sums of nothing yet defined: [`clear`](Sums::clear) comes first.
    pub(crate) fn new(#[comptime] kind: SumKind, #[comptime] count: usize) -> Sums {
        match kind {
            SumKind::OneWord => Sums::new_OneWord(Array::new(count)),
            SumKind::TwoWords => Sums::new_TwoWords(TwoWordSums {
                low: Array::new(count),
                high: Array::new(count),
            }),
            SumKind::Real => Sums::new_Real(Array::new(count)),
        }
    }

    /// Sets every sum to 0.
    pub(crate) fn clear(&mut self) {
        match self {
            Sums::OneWord(sums) =>
            {
                #[unroll]
                for index in 0..sums.len() {
                    sums[index] = 0u32;
                }
            }
            Sums::TwoWords(sums) =>
            {
                #[unroll]
                for index in 0..sums.low.len() {
                    sums.low[index] = 0u32;
                    sums.high[index] = 0u32;
                }
            }
            Sums::Real(sums) =>
            {
                #[unroll]
                for index in 0..sums.len() {
                    sums[index] = 0.0f32;
                }
            }
        }
    }

    /// Adds an integer to a sum.
    pub(crate) fn add(&mut self, #[comptime] index: usize, term: Wide) {
        match self {
            Sums::OneWord(sums) => {
                sums[index] += term.low;
            }
            Sums::TwoWords(sums) => {
                let sum = Wide {
                    low: sums.low[index],
                    high: sums.high[index],
                };
                let sum = sum.plus(term);
                sums.low[index] = sum.low;
                sums.high[index] = sum.high;
            }
            Sums::Real(_) => panic!("an integer term of a sum of real numbers"),
        }
    }

    /// Adds the product of two numbers, given by their bits, to a sum.
    pub(crate) fn add_product(&mut self, #[comptime] index: usize, a: u32, b: u32) {
        match self {
            Sums::OneWord(sums) => {
                sums[index] += a * b;
            }
            Sums::TwoWords(sums) => {
                let sum = Wide {
                    low: sums.low[index],
                    high: sums.high[index],
                };
                let sum = sum.plus(Wide::product(i32::reinterpret(a), i32::reinterpret(b)));
                sums.low[index] = sum.low;
                sums.high[index] = sum.high;
            }
            Sums::Real(sums) => {
                sums[index] += f32::reinterpret(a) * f32::reinterpret(b);
            }
        }
    }

    /// A sum as it is.
    pub(crate) fn total(&self, #[comptime] index: usize) -> Total {
        match self {
            Sums::OneWord(sums) => {
                Total::new_Integer(Wide::from_word(i32::reinterpret(sums[index])))
            }
            Sums::TwoWords(sums) => Total::new_Integer(Wide {
                low: sums.low[index],
                high: sums.high[index],
            }),
            Sums::Real(sums) => Total::new_Real(RealTotal { value: sums[index] }),
        }
    }
}
