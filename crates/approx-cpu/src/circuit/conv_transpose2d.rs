//! Two-dimensional transposed convolution through a circuit, grouped or not.
//!
//! The outputs whose positions differ by multiples of the stride are met by the same taps of the kernel: such a phase is a
//! convolution with those taps. What lies outside of its input is no product.

use rayon::prelude::*;

use super::engine::sums;
use super::product::CircuitProduct;
use super::slices::Slices;
use crate::accumulators::Accumulators;
use crate::arch::InstructionSet;
use crate::error::{KernelError, check_length};
use crate::shapes::ConvTranspose2dShape;

impl CircuitProduct {
    /// `acc[n, o, p] = sum over i, k, q of m(activations[n, i, q], weights[i, o, k])`, over the channels i of o's group and
    /// all taps k and positions q of the input with `q * stride + k * dilation - padding = p`, along both axes.
    ///
    /// The zeros that a stride puts between the inputs are not multiplied, and neither is what lies outside the input: an
    /// output has as many products as taps meet the input, and is 0 where none does.
    ///
    /// `activations` holds bit patterns `[batch, in_channels, height, width]`, `weights` bit patterns
    /// `[in_channels, out_channels / groups, kernel height, kernel width]`; bits above the operands' widths are ignored.
    /// The result is `[batch, out_channels, output height, output width]`.
    ///
    /// # Errors
    ///
    /// What [`ConvTranspose2dShape::validate`] finds, [`KernelError::Length`] where a slice does not fit the shape, and
    /// [`KernelError::Overflow`] where a sum does not fit in 64 bits.
    pub fn conv_transpose2d(
        &self,
        activations: &[u16],
        weights: &[u16],
        shape: ConvTranspose2dShape,
    ) -> Result<Accumulators, KernelError> {
        self.conv_transpose2d_with(InstructionSet::best(), activations, weights, shape)
    }

    /// [`conv_transpose2d`](Self::conv_transpose2d) with a given instruction set.
    pub(super) fn conv_transpose2d_with(
        &self,
        set: InstructionSet,
        activations: &[u16],
        weights: &[u16],
        shape: ConvTranspose2dShape,
    ) -> Result<Accumulators, KernelError> {
        shape.validate()?;
        let area = shape.input[0] * shape.input[1];
        let channels = shape.out_channels / shape.groups;
        let taps = shape.kernel[0] * shape.kernel[1];
        check_length(
            "activations",
            shape.batch * shape.in_channels * area,
            activations.len(),
        )?;
        check_length(
            "weights",
            shape.in_channels * channels * taps,
            weights.len(),
        )?;
        let in_channels = shape.in_channels / shape.groups;
        // No output has more products than there are taps.
        let most = in_channels * taps;
        self.check_sums(most)?;

        let [height, width] = shape.output();
        let positions = height * width;
        let mut result = vec![0; shape.batch * shape.out_channels * positions];
        if result.is_empty() {
            return Ok(self.accumulators(result, most));
        }
        let phases = [0, 1].map(|axis| phases(&shape, axis));
        let parts = result
            .par_chunks_exact_mut(channels * positions)
            .enumerate();
        parts.for_each(|(part, result)| {
            // Parts are the groups of an image, one after the other, in the input as in the output.
            let input = &activations[part * in_channels * area..][..in_channels * area];
            let group = part % shape.groups * in_channels;
            for rows in &phases[0] {
                for columns in &phases[1] {
                    self.add_phase(
                        set,
                        &shape,
                        [rows, columns],
                        (input, &weights[group * channels * taps..]),
                        result,
                    );
                }
            }
        });
        Ok(self.accumulators(result, most))
    }

    /// Writes the outputs of one phase of one part.
    fn add_phase(
        &self,
        set: InstructionSet,
        shape: &ConvTranspose2dShape,
        [rows, columns]: [&Phase; 2],
        (input, weights): (&[u16], &[u16]),
        result: &mut [i64],
    ) {
        let in_channels = shape.in_channels / shape.groups;
        let channels = shape.out_channels / shape.groups;
        let (taps, area) = (
            rows.taps.len() * columns.taps.len(),
            shape.input[0] * shape.input[1],
        );
        let inner = in_channels * taps;
        let lines = rows.outputs.len() * columns.outputs.len();
        if inner * lines == 0 {
            return;
        }
        // Channel, row and column of a product of an output.
        let split = |product: usize| {
            let tap = product % taps;
            (
                product / taps,
                tap / columns.taps.len(),
                tap % columns.taps.len(),
            )
        };
        let of_channels = Slices::new(self.weight_bits, channels, inner, |channel, to| {
            for (product, pattern) in to.iter_mut().enumerate() {
                let (input, row, column) = split(product);
                let tap = rows.taps[row] * shape.kernel[1] + columns.taps[column];
                let kernel = input * channels + channel;
                *pattern = weights[kernel * shape.kernel[0] * shape.kernel[1] + tap];
            }
        });
        let place = |line: usize, product: usize| {
            let (channel, row, column) = split(product);
            let row = rows.input(line / columns.outputs.len(), row, shape.input[0])?;
            let column = columns.input(line % columns.outputs.len(), column, shape.input[1])?;
            Some(channel * area + row * shape.input[1] + column)
        };
        let windows = Slices::new(self.activation_bits, lines, inner, |line, to| {
            for (product, pattern) in to.iter_mut().enumerate() {
                *pattern = place(line, product).map_or(0, |place| input[place]);
            }
        });
        let windows =
            windows.of_present(lines, inner, |line, product| place(line, product).is_some());
        let mut sums_of_phase = vec![0; channels * lines];
        let [of_channels, windows] = [
            self.weights(&of_channels, 0..channels),
            self.activations(&windows, 0..lines),
        ];
        sums(
            set,
            self,
            [&of_channels, &windows],
            &windows,
            &mut sums_of_phase,
        );
        let [height, width] = shape.output();
        for (plane, sums) in result
            .chunks_exact_mut(height * width)
            .zip(sums_of_phase.chunks_exact(lines))
        {
            for (row, sums) in rows
                .outputs
                .iter()
                .zip(sums.chunks_exact(columns.outputs.len()))
            {
                for (column, sum) in columns.outputs.iter().zip(sums) {
                    plane[row * width + column] = *sum;
                }
            }
        }
    }
}

/// The outputs along an axis that the same taps meet.
struct Phase {
    outputs: Vec<usize>,
    taps: Vec<usize>,
    /// For every tap, the position of the input that it brings to the first of the outputs, which may be outside. That of
    /// each further output is one more.
    inputs: Vec<isize>,
}

impl Phase {
    /// The position of the input that a tap brings to an output, if there is one.
    fn input(&self, output: usize, tap: usize, side: usize) -> Option<usize> {
        let position = self.inputs[tap].checked_add_unsigned(output)?;
        usize::try_from(position)
            .ok()
            .filter(|position| *position < side)
    }
}

/// The phases of an axis.
fn phases(shape: &ConvTranspose2dShape, axis: usize) -> Vec<Phase> {
    let (stride, output) = (shape.stride[axis], shape.output()[axis]);
    let phase = |first: usize| {
        let place = first + shape.padding[axis];
        let meets = |tap: &usize| tap * shape.dilation[axis] % stride == place % stride;
        let taps: Vec<usize> = (0..shape.kernel[axis]).filter(meets).collect();
        let input = |tap: &usize| {
            (place as isize - (tap * shape.dilation[axis]) as isize) / stride as isize
        };
        Phase {
            outputs: (first..output).step_by(stride).collect(),
            inputs: taps.iter().map(input).collect(),
            taps,
        }
    };
    (0..stride.min(output)).map(phase).collect()
}
