//! The shape of a two-dimensional transposed convolution, and what has to hold of it.

use crate::error::{KernelError, check_groups, check_positive, checked_product};

/// The shape of a two-dimensional transposed convolution. Pairs are `[height, width]`.
///
/// Along each axis, tap `k` of the kernel at position `q` of the input contributes to position
/// `q * stride + k * dilation - padding` of the output, if there is one.
///
/// ```
/// use approx_cpu::ConvTranspose2dShape;
///
/// let shape = ConvTranspose2dShape {
///     batch: 8,
///     in_channels: 64,
///     out_channels: 32,
///     groups: 1,
///     input: [16, 16],
///     kernel: [4, 4],
///     stride: [2, 2],
///     dilation: [1, 1],
///     padding: [1, 1],
///     output_padding: [0, 0],
/// };
/// shape.validate()?;
/// assert_eq!(shape.output(), [32, 32]);
/// assert_eq!(shape.inner(), 64 * 2 * 2);
/// // Every output has 2 x 2 taps of each channel, but for those at the border, which have half of them.
/// assert_eq!(shape.products(), 8 * 32 * 64 * 62 * 62);
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvTranspose2dShape {
    /// Images.
    pub batch: usize,
    /// Channels of the input, a multiple of `groups`.
    pub in_channels: usize,
    /// Channels of the output, a multiple of `groups`.
    pub out_channels: usize,
    /// Groups: each computes its share of the output channels from its share of the input channels.
    pub groups: usize,
    /// The input's sides.
    pub input: [usize; 2],
    /// The kernel's sides, at least 1.
    pub kernel: [usize; 2],
    /// Distance in the output between neighbours of the input, at least 1.
    pub stride: [usize; 2],
    /// Distance in the output between neighbouring taps, at least 1.
    pub dilation: [usize; 2],
    /// What is cropped from both ends of each axis of the output.
    pub padding: [usize; 2],
    /// What is added at the end of each axis of the output.
    pub output_padding: [usize; 2],
}

impl ConvTranspose2dShape {
    /// Checks that this is a transposed convolution, and that the number of elements of everything it involves fits in
    /// `usize`.
    ///
    /// # Errors
    ///
    /// [`KernelError::Groups`], [`KernelError::Zero`], [`KernelError::CroppedAway`] or [`KernelError::Overflow`].
    pub fn validate(&self) -> Result<(), KernelError> {
        check_groups(self.groups, self.in_channels, self.out_channels)?;
        check_positive("kernel", self.kernel)?;
        check_positive("stride", self.stride)?;
        check_positive("dilation", self.dilation)?;
        for (axis, side) in ["height", "width"].into_iter().enumerate() {
            let overflow = KernelError::Overflow {
                quantity: "the output's side",
            };
            let uncropped = self.uncropped(axis).ok_or(overflow.clone())?;
            let cropped = self.padding[axis]
                .checked_mul(2)
                .and_then(|cropped| cropped.checked_add(self.stride[axis]))
                .ok_or(overflow)?;
            if cropped > uncropped {
                return Err(KernelError::CroppedAway {
                    side,
                    padding: self.padding[axis],
                    output: uncropped.saturating_sub(self.stride[axis]),
                });
            }
        }
        let [height, width] = self.output();
        checked_product(
            "the input",
            &[self.batch, self.in_channels, self.input[0], self.input[1]],
        )?;
        checked_product(
            "the output",
            &[self.batch, self.out_channels, height, width],
        )?;
        checked_product("the window sums", &[self.batch, self.groups, height, width])?;
        let taps = [
            self.in_channels,
            self.out_channels,
            self.kernel[0],
            self.kernel[1],
        ];
        checked_product("the weights", &taps)?;
        let inputs = self.in_channels / self.groups;
        if self.batch * self.out_channels * inputs != 0 {
            let [rows, columns] = [0, 1].map(|axis| self.all_contributions(axis));
            let products = [self.batch, self.out_channels, inputs, rows, columns];
            checked_product("the number of products", &products)?;
        }
        Ok(())
    }

    /// A side of the output before cropping, plus a stride.
    fn uncropped(&self, axis: usize) -> Option<usize> {
        let reach = (self.kernel[axis] - 1).checked_mul(self.dilation[axis])?;
        let inputs = self.input[axis].checked_mul(self.stride[axis])?;
        let side = inputs.checked_add(reach)?.checked_add(1)?;
        side.checked_add(self.output_padding[axis])
    }

    /// The output's sides, `[height, width]`, of a shape that [`validate`](Self::validate) accepts.
    ///
    /// # Panics
    ///
    /// For other shapes it may panic or return any sides.
    pub fn output(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let reach = (self.kernel[axis] - 1) * self.dilation[axis];
            let uncropped = self.input[axis] * self.stride[axis] + reach + 1;
            uncropped + self.output_padding[axis] - self.stride[axis] - 2 * self.padding[axis]
        })
    }

    /// The largest number of products that one output is the sum of, of a valid shape.
    pub fn inner(&self) -> usize {
        let [rows, columns] = [0, 1].map(|axis| self.most_contributions(axis));
        self.in_channels / self.groups * rows * columns
    }

    /// The number of all products, of a valid shape.
    pub fn products(&self) -> usize {
        let [rows, columns] = [0, 1].map(|axis| self.all_contributions(axis));
        self.batch * self.out_channels * (self.in_channels / self.groups) * rows * columns
    }

    /// The most taps that meet a position of the input at one position along an axis of the output.
    ///
    /// It takes as long as the kernel is, however long the sides are: of the positions that the same taps can meet, the
    /// first one that a tap meets inside of the output decides, since up to there taps are only added.
    fn most_contributions(&self, axis: usize) -> usize {
        let (input, stride) = (self.input[axis], self.stride[axis]);
        let (kernel, dilation) = (self.kernel[axis], self.dilation[axis]);
        let start = self.padding[axis];
        let end = start + self.output()[axis];
        // Taps that lie so many apart meet the same positions.
        let apart = stride / greatest_common_divisor(stride, dilation);
        let counts = (0..kernel).map(|tap| {
            let distance = tap * dilation;
            // The tap meets `distance + i * stride` with a position `i` of the input.
            let i = start.saturating_sub(distance).div_ceil(stride);
            let position = distance + i * stride;
            if i >= input || position >= end {
                return 0;
            }
            // So do others of the same kind that lie before the position, and not too far for the last input.
            let reach = (input - 1) * stride;
            let first = position.saturating_sub(reach).div_ceil(dilation);
            let last = (position / dilation).min(kernel - 1);
            (tap - first) / apart + 1 + (last - tap) / apart
        });
        counts.max().unwrap_or(0)
    }

    /// How often a tap meets a position of the input along an axis, over all positions of the output.
    fn all_contributions(&self, axis: usize) -> usize {
        let (start, stride) = (self.padding[axis], self.stride[axis]);
        let end = start + self.output()[axis];
        let contributions = (0..self.kernel[axis]).map(|tap| {
            let distance = tap * self.dilation[axis];
            let first = start.saturating_sub(distance).div_ceil(stride);
            let last = end.saturating_sub(distance).div_ceil(stride);
            last.min(self.input[axis]).saturating_sub(first)
        });
        contributions.fold(0, usize::saturating_add)
    }

    /// The number of input elements.
    pub(crate) fn input_length(&self) -> usize {
        self.batch * self.in_channels * self.input[0] * self.input[1]
    }

    /// The number of weights.
    pub(crate) fn weight_length(&self) -> usize {
        self.in_channels * (self.out_channels / self.groups) * self.kernel[0] * self.kernel[1]
    }
}

/// The largest number that divides both.
pub(crate) fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes that no loop over outputs would ever end on.
    #[test]
    fn sides_may_be_huge() {
        let huge = 1 << 60;
        let shape = ConvTranspose2dShape {
            batch: 1,
            in_channels: 2,
            out_channels: 1,
            groups: 1,
            input: [1, 3],
            kernel: [1, 3],
            stride: [1, 2],
            dilation: [1, 1],
            padding: [0, 0],
            output_padding: [0, huge],
        };
        shape.validate().unwrap();
        assert_eq!((shape.inner(), shape.products()), (4, 18));
        let far_apart = ConvTranspose2dShape {
            stride: [1, huge],
            output_padding: [0, 0],
            ..shape
        };
        far_apart.validate().unwrap();
        assert_eq!((far_apart.inner(), far_apart.products()), (2, 18));
        let apart = ConvTranspose2dShape {
            dilation: [1, huge],
            ..shape
        };
        apart.validate().unwrap();
        assert_eq!((apart.inner(), apart.products()), (2, 18));
    }
}
