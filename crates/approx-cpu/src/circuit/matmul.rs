//! Matrix product through a circuit.

use std::ops::Range;

use super::engine::{Lines, sums};
use super::product::CircuitProduct;
use super::slices::Slices;
use crate::accumulators::Accumulators;
use crate::arch::InstructionSet;
use crate::error::{KernelError, check_length, checked_product};
use crate::shapes::MatmulShape;

impl CircuitProduct {
    /// `acc[row, column] = sum over k of m(activations[row, k], weights[k, column])`.
    ///
    /// `activations` holds bit patterns `[rows, inner]`, `weights` bit patterns `[inner, columns]`, both row-major; bits
    /// above the operands' widths are ignored. The result is `[rows, columns]`, row-major. Any side may be 0.
    ///
    /// # Errors
    ///
    /// [`KernelError::Length`] where a slice does not fit the shape, [`KernelError::Overflow`] where a number of elements
    /// does not fit in `usize` or a sum not in 64 bits.
    pub fn matmul(
        &self,
        activations: &[u16],
        weights: &[u16],
        shape: MatmulShape,
    ) -> Result<Accumulators, KernelError> {
        self.matmul_with(InstructionSet::best(), activations, weights, shape)
    }

    /// [`matmul`](Self::matmul) with a given instruction set.
    pub(super) fn matmul_with(
        &self,
        set: InstructionSet,
        activations: &[u16],
        weights: &[u16],
        shape: MatmulShape,
    ) -> Result<Accumulators, KernelError> {
        let MatmulShape {
            rows,
            inner,
            columns,
        } = shape;
        let size = |quantity, sides: [usize; 2]| checked_product(quantity, &sides);
        let elements = size("the activations", [rows, inner])?;
        check_length("activations", elements, activations.len())?;
        let elements = size("the weights", [inner, columns])?;
        check_length("weights", elements, weights.len())?;
        let elements = size("the result", [rows, columns])?;
        self.check_sums(inner)?;

        let of_rows = Slices::new(self.activation_bits, rows, inner, |row, patterns| {
            patterns.copy_from_slice(&activations[row * inner..][..inner]);
        });
        let of_columns = Slices::new(self.weight_bits, columns, inner, |column, patterns| {
            let column = weights[column..].iter().step_by(columns);
            for (pattern, weight) in patterns.iter_mut().zip(column) {
                *pattern = *weight;
            }
        });
        let mut result = vec![0; elements];
        let [of_rows, of_columns] = [
            self.activations(&of_rows, 0..rows),
            self.weights(&of_columns, 0..columns),
        ];
        sums(set, self, [&of_rows, &of_columns], &of_rows, &mut result);
        Ok(self.accumulators(result, inner))
    }

    /// Lines of activations.
    pub(super) fn activations<'a>(&self, slices: &'a Slices, lines: Range<usize>) -> Lines<'a> {
        Lines::new(slices, lines, self.weight_bits.into())
    }

    /// Lines of weights.
    pub(super) fn weights<'a>(&self, slices: &'a Slices, lines: Range<usize>) -> Lines<'a> {
        Lines::new(slices, lines, 0)
    }
}
