//! The shape of a two-dimensional convolution, and what has to hold of it.

use crate::error::{KernelError, check_groups, check_positive, checked_product};

/// Positions added around the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Padding2d {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns before.
    pub left: usize,
    /// Columns after.
    pub right: usize,
}

impl Padding2d {
    /// So many rows both above and below, and so many columns both before and after.
    pub fn symmetric(rows: usize, columns: usize) -> Self {
        Padding2d {
            top: rows,
            bottom: rows,
            left: columns,
            right: columns,
        }
    }
}

/// The shape of a two-dimensional convolution. Pairs are `[height, width]`.
///
/// ```
/// use approx_cpu::{Conv2dShape, Padding2d};
///
/// let shape = Conv2dShape {
///     batch: 8,
///     in_channels: 64,
///     out_channels: 32,
///     groups: 1,
///     input: [32, 32],
///     kernel: [3, 3],
///     stride: [2, 2],
///     dilation: [1, 1],
///     padding: Padding2d::symmetric(1, 1),
/// };
/// shape.validate()?;
/// assert_eq!(shape.output(), [16, 16]);
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dShape {
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
    /// Distance between windows, at least 1.
    pub stride: [usize; 2],
    /// Distance between a window's taps, at least 1.
    pub dilation: [usize; 2],
    /// Padding around the input.
    pub padding: Padding2d,
}

impl Conv2dShape {
    /// Checks that this is a convolution, and that the number of elements of everything it involves fits in `usize`.
    ///
    /// # Errors
    ///
    /// [`KernelError::Groups`], [`KernelError::Zero`], [`KernelError::KernelTooLarge`] or [`KernelError::Overflow`].
    pub fn validate(&self) -> Result<(), KernelError> {
        check_groups(self.groups, self.in_channels, self.out_channels)?;
        check_positive("kernel", self.kernel)?;
        check_positive("stride", self.stride)?;
        check_positive("dilation", self.dilation)?;
        let padding = [
            (self.padding.top, self.padding.bottom),
            (self.padding.left, self.padding.right),
        ];
        let mut padded = [0; 2];
        for (axis, side) in ["height", "width"].into_iter().enumerate() {
            let overflow = KernelError::Overflow {
                quantity: "the padded input",
            };
            padded[axis] = self.input[axis]
                .checked_add(padding[axis].0)
                .and_then(|sum| sum.checked_add(padding[axis].1))
                .ok_or(overflow)?;
            let kernel = (self.kernel[axis] - 1)
                .checked_mul(self.dilation[axis])
                .and_then(|span| span.checked_add(1))
                .ok_or(KernelError::Overflow {
                    quantity: "the dilated kernel",
                })?;
            if kernel > padded[axis] {
                return Err(KernelError::KernelTooLarge {
                    side,
                    kernel,
                    input: padded[axis],
                });
            }
        }
        // The copy of the input with phases can exceed the padded input by less than a stride and a kernel per side.
        let copy = [0, 1].map(|axis| {
            padded[axis]
                .checked_add(self.stride[axis].min(padded[axis]))
                .and_then(|side| side.checked_mul(2))
                .unwrap_or(usize::MAX)
        });
        checked_product(
            "the padded input",
            &[self.batch, self.in_channels, copy[0], copy[1]],
        )?;
        checked_product(
            "the weights",
            &[
                self.out_channels,
                self.in_channels,
                self.kernel[0],
                self.kernel[1],
            ],
        )?;
        let [height, width] = self.output();
        checked_product(
            "the output",
            &[self.batch, self.out_channels, height, width],
        )?;
        checked_product("the window sums", &[self.batch, self.groups, height, width])?;
        Ok(())
    }

    /// The output's sides, `[height, width]`, of a shape that [`validate`](Self::validate) accepts.
    ///
    /// # Panics
    ///
    /// For other shapes it may panic or return any sides.
    pub fn output(&self) -> [usize; 2] {
        let padding = [
            self.padding.top + self.padding.bottom,
            self.padding.left + self.padding.right,
        ];
        [0, 1].map(|axis| {
            let kernel = (self.kernel[axis] - 1) * self.dilation[axis] + 1;
            (self.input[axis] + padding[axis] - kernel) / self.stride[axis] + 1
        })
    }

    /// Products per output.
    pub fn inner(&self) -> usize {
        self.in_channels / self.groups * self.kernel[0] * self.kernel[1]
    }

    /// The number of input elements.
    pub(crate) fn input_length(&self) -> usize {
        self.batch * self.in_channels * self.input[0] * self.input[1]
    }

    pub(crate) fn is_unpadded(&self) -> bool {
        self.padding == Padding2d::default()
    }
}
