//! The sums of the codes that entered a sum of products, from which the zero points of operands are corrected, in
//! registers:
//!
//! ```text
//! sum a [i] = sum over k of code(x[i, k])            sum b [o] = sum over k of code(w[k, o])
//! ```
//!
//! Where activations are skipped, `k` runs over the others; then every element has its own sum `b [i, o]`.

use cubecl::prelude::*;

use crate::kernels::scalar_product::SKIPPED;

/// The codes that entered a sum. Their own sums are 0 where they are not needed.
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(crate) struct CodeSums {
    /// The sum of the activations' codes.
    pub(crate) activation: i32,
    /// The sum of the weights' codes.
    pub(crate) weight: i32,
    /// The number of products.
    pub(crate) products: u32,
}

/// Which sums are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NeededCodes {
    pub(crate) activation: bool,
    pub(crate) weight: bool,
    /// Whether activations may be [`SKIPPED`].
    pub(crate) skips: bool,
}

impl NeededCodes {
    /// Whether activations are looked at: also for the weights' sums where some are skipped.
    pub(crate) fn reads_activations(self) -> bool {
        self.activation || (self.weight && self.skips)
    }

    /// Whether any sum is needed.
    pub(crate) fn any(self) -> bool {
        self.activation || self.weight
    }

    /// The number of weights' sums of a square of so many elements along a side.
    fn weight_sums(self, side: usize) -> usize {
        if self.skips { side * side } else { side }
    }
}

/// The sums of a unit that computes a square of elements.
#[derive(CubeType)]
pub(crate) struct SquareCodeSums {
    activation: Array<i32>,
    weight: Array<i32>,
    #[cube(comptime)]
    side: usize,
    #[cube(comptime)]
    needed: NeededCodes,
}

#[cube]
impl SquareCodeSums {
    /// Sums of nothing yet defined: [`clear`](SquareCodeSums::clear) comes first.
    pub(crate) fn new(#[comptime] side: usize, #[comptime] needed: NeededCodes) -> SquareCodeSums {
        SquareCodeSums {
            activation: Array::new(side),
            weight: Array::new(comptime!(needed.weight_sums(side))),
            side,
            needed,
        }
    }

    /// Sets every sum to 0.
    pub(crate) fn clear(&mut self) {
        #[unroll]
        for index in 0..self.activation.len() {
            self.activation[index] = 0i32;
        }
        #[unroll]
        for index in 0..self.weight.len() {
            self.weight[index] = 0i32;
        }
    }

    /// Adds one position of the depth: the codes of the square's rows and columns, those that are needed.
    pub(crate) fn add(&mut self, activations: &Sequence<u32>, weights: &Sequence<u32>) {
        #[unroll]
        for i in 0..comptime!(self.side) {
            if comptime!(self.needed.skips) {
                let takes_part = activations[i] != SKIPPED;
                if comptime!(self.needed.activation) {
                    let code = i32::reinterpret(activations[i]);
                    self.activation[i] += select(takes_part, code, 0i32.runtime());
                }
                if comptime!(self.needed.weight) {
                    #[unroll]
                    for j in 0..comptime!(self.side) {
                        let code = i32::reinterpret(weights[j]);
                        self.weight[comptime!(i * self.side + j)] +=
                            select(takes_part, code, 0i32.runtime());
                    }
                }
            } else {
                if comptime!(self.needed.activation) {
                    self.activation[i] += i32::reinterpret(activations[i]);
                }
                if comptime!(self.needed.weight) {
                    self.weight[i] += i32::reinterpret(weights[i]);
                }
            }
        }
    }

    /// The sums of an element, into which so many products entered.
    pub(crate) fn of(
        &self,
        #[comptime] row: usize,
        #[comptime] column: usize,
        products: u32,
    ) -> CodeSums {
        let weight = comptime!(if self.needed.skips {
            row * self.side + column
        } else {
            column
        });
        CodeSums {
            activation: self.activation[row],
            weight: self.weight[weight],
            products,
        }
    }
}
