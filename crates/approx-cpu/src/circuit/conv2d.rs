//! Two-dimensional convolution through a circuit, grouped or not.

use rayon::prelude::*;

use super::engine::sums;
use super::product::CircuitProduct;
use super::slices::Slices;
use crate::accumulators::Accumulators;
use crate::arch::InstructionSet;
use crate::error::{KernelError, check_length};
use crate::shapes::Conv2dShape;

impl CircuitProduct {
    /// `acc[n, o, y, x] = sum over i, dy, dx of m(activation, weights[o, i, dy, dx])`, where the activation is the pattern
    /// at `[n, i of o's group, y * stride + dy * dilation - top, x * stride + dx * dilation - left]`, or `padding_pattern`
    /// outside the input.
    ///
    /// `activations` holds bit patterns `[batch, in_channels, height, width]`, `weights` bit patterns
    /// `[out_channels, in_channels / groups, kernel height, kernel width]`; bits above the operands' widths are ignored.
    /// `padding_pattern` is the bit pattern of the activations' zero point: a padded tap is multiplied like any other. The
    /// result is `[batch, out_channels, output height, output width]`.
    ///
    /// # Errors
    ///
    /// What [`Conv2dShape::validate`] finds, [`KernelError::Length`] where a slice does not fit the shape, and
    /// [`KernelError::Overflow`] where a sum does not fit in 64 bits.
    pub fn conv2d(
        &self,
        activations: &[u16],
        weights: &[u16],
        padding_pattern: u16,
        shape: Conv2dShape,
    ) -> Result<Accumulators, KernelError> {
        let set = InstructionSet::best();
        self.conv2d_with(set, activations, weights, padding_pattern, shape)
    }

    /// [`conv2d`](Self::conv2d) with a given instruction set.
    pub(super) fn conv2d_with(
        &self,
        set: InstructionSet,
        activations: &[u16],
        weights: &[u16],
        padding_pattern: u16,
        shape: Conv2dShape,
    ) -> Result<Accumulators, KernelError> {
        shape.validate()?;
        let inner = shape.inner();
        check_length("activations", shape.input_length(), activations.len())?;
        check_length("weights", shape.out_channels * inner, weights.len())?;
        self.check_sums(inner)?;
        let of_channels = Slices::new(
            self.weight_bits,
            shape.out_channels,
            inner,
            |channel, to| {
                to.copy_from_slice(&weights[channel * inner..][..inner]);
            },
        );
        let windows = Windows::new(&shape, padding_pattern);
        let [height, width] = shape.output();
        let positions = height * width;
        let channels = shape.out_channels / shape.groups;
        let inputs = shape.in_channels / shape.groups * shape.input[0] * shape.input[1];
        let mut result = vec![0; shape.batch * shape.out_channels * positions];
        if result.is_empty() {
            return Ok(self.accumulators(result, inner));
        }
        result
            .par_chunks_exact_mut(channels * positions)
            .enumerate()
            .for_each(|(part, result)| {
                // Parts are the groups of an image, one after the other, in the input as in the output.
                let input = &activations[part * inputs..][..inputs];
                let windows =
                    Slices::new(self.activation_bits, positions, inner, |position, to| {
                        windows.copy(input, [position / width, position % width], to);
                    });
                let group = part % shape.groups;
                let weights = self.weights(&of_channels, group * channels..(group + 1) * channels);
                let windows = self.activations(&windows, 0..positions);
                sums(set, self, [&weights, &windows], &windows, result);
            });
        Ok(self.accumulators(result, inner))
    }
}

/// Where in the input of a group the patterns of a window are.
struct Windows {
    padding: u16,
    /// The input's sides.
    sides: [usize; 2],
    /// For every product of an output: the place of its channel, and its row and column from the window's first.
    taps: Vec<(usize, [usize; 2])>,
    stride: [usize; 2],
    before: [usize; 2],
}

impl Windows {
    fn new(shape: &Conv2dShape, padding: u16) -> Self {
        let [height, width] = shape.kernel;
        let channels = 0..shape.in_channels / shape.groups;
        let taps = channels.flat_map(|channel| {
            (0..height * width).map(move |tap| {
                let tap = [
                    tap / width * shape.dilation[0],
                    tap % width * shape.dilation[1],
                ];
                (channel * shape.input[0] * shape.input[1], tap)
            })
        });
        Self {
            padding,
            sides: shape.input,
            taps: taps.collect(),
            stride: shape.stride,
            before: [shape.padding.top, shape.padding.left],
        }
    }

    /// Writes the patterns of the window of an output's position.
    fn copy(&self, input: &[u16], position: [usize; 2], to: &mut [u16]) {
        let first = [0, 1].map(|axis| position[axis] * self.stride[axis]);
        for (pattern, (channel, tap)) in to.iter_mut().zip(&self.taps) {
            // What is before the input wraps to far behind it.
            let [row, column] =
                [0, 1].map(|axis| (first[axis] + tap[axis]).wrapping_sub(self.before[axis]));
            let is_inside = row < self.sides[0] && column < self.sides[1];
            *pattern = match is_inside {
                true => input[channel + row * self.sides[1] + column],
                false => self.padding,
            };
        }
    }
}
