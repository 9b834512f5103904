//! The launch of two-dimensional convolutions.

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::checked_product::{CheckedProduct, Lengths, Matrices};
use crate::checks::{check_convolution, check_count, elements};
use crate::error::DeviceKernelError;
use crate::kernels::geometry::conv2d::{Conv2dGeometry, Conv2dGeometryLaunch};
use crate::product::{Operand, Output, ScalarProduct};

/// The shape of a convolution: activations `[batch, in_channels, input]`, weights
/// `[out_channels, in_channels / groups, kernel]`, results `[batch, out_channels, output]`; pairs are height and width.
///
/// What the output leaves of the input below and to the right is not read; what it needs beyond is padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dProblem {
    /// The number of images.
    pub batch: usize,
    /// The number of input channels.
    pub in_channels: usize,
    /// The number of output channels.
    pub out_channels: usize,
    /// The number of groups, which divides both numbers of channels.
    pub groups: usize,
    /// The size of the input.
    pub input: [usize; 2],
    /// The size of the kernel.
    pub kernel: [usize; 2],
    /// The distance of neighbouring windows.
    pub stride: [usize; 2],
    /// The distance of a window's neighbouring taps.
    pub dilation: [usize; 2],
    /// The padding above and to the left.
    pub padding: [usize; 2],
    /// The size of the output.
    pub output: [usize; 2],
}

impl Conv2dProblem {
    fn check(&self) -> Result<(), DeviceKernelError> {
        let channels = [self.in_channels, self.out_channels];
        check_convolution(self.groups, channels, self.stride, self.dilation)?;
        for axis in 0..2 {
            let last = |count: usize, step: usize| count.saturating_sub(1) as u128 * step as u128;
            let position = last(self.output[axis], self.stride[axis])
                + last(self.kernel[axis], self.dilation[axis]);
            check_count("the last position of a window", position)?;
            check_count("the padding", self.padding[axis] as u128)?;
            check_count("the side of an input", self.input[axis] as u128)?;
        }
        Ok(())
    }
}

/// The convolution of codes: see [`Output`] for what is returned, row-major `[batch, out_channels, output]`.
///
/// # Errors
/// If a length does not follow from the shape, groups do not divide the channels, a stride or dilation is 0, codes have
/// another width than the product takes, a tensor has 2^31 elements or more, or the device has too few units or
/// buffers.
///
/// ```no_run
/// use kernels_cubecl::{
///     Conv2dProblem, DeviceTable, Operand, Output, PackedCodes, ScalarProduct, Words, conv2d,
/// };
///
/// let client = cubecl::Device::default().client();
/// let products: Vec<i32> = (0..16).flat_map(|a| (0..16).map(move |b| a * b)).collect();
/// let table = DeviceTable::new(&client, &products, 4, 4)?;
/// let activation = PackedCodes::from_codes(&client, &[1, 2, 3, 4], 4, false)?;
/// let weight = PackedCodes::from_codes(&client, &[5, 6], 4, false)?;
/// let problem = Conv2dProblem {
///     batch: 1, in_channels: 1, out_channels: 1, groups: 1,
///     input: [2, 2], kernel: [1, 2], stride: [1, 1], dilation: [1, 1], padding: [0, 0], output: [2, 1],
/// };
/// let sums = conv2d(
///     &client,
///     problem,
///     [Operand::new(&activation), Operand::new(&weight)],
///     ScalarProduct::Lookup { table: &table, words: Words::One },
///     Output::Accumulators { padding_code: 0 },
/// )?; // i32 [1, 1, 2, 1]: 17, 39
/// # Ok::<(), kernels_cubecl::DeviceKernelError>(())
/// ```
pub fn conv2d(
    client: &Client,
    problem: Conv2dProblem,
    operands: [Operand; 2],
    product: ScalarProduct,
    output: Output,
) -> Result<Handle, DeviceKernelError> {
    problem.check()?;
    let Conv2dProblem {
        batch,
        in_channels,
        out_channels,
        groups,
        input,
        kernel,
        ..
    } = problem;
    let (in_per_group, out_per_group) = (in_channels / groups, out_channels / groups);
    let activation = elements("activations", &[batch, in_channels, input[0], input[1]])?;
    let weight = elements(
        "weights",
        &[out_channels, in_per_group, kernel[0], kernel[1]],
    )?;
    let plane = elements("output pixels", &problem.output)?;
    let results = elements("results", &[batch, out_channels, plane])?;
    let depth = elements(
        "the depth of a product",
        &[in_per_group, kernel[0], kernel[1]],
    )?;
    let lengths = Lengths {
        activation,
        weight,
        depth,
        channels: out_channels,
        results,
    };
    let checked = CheckedProduct::new(client, operands, product, output, lengths)?;
    if results == 0 {
        return Ok(client.empty(4));
    }
    let geometry = Conv2dGeometryLaunch::new(
        batch as u32,
        groups as u32,
        in_per_group as u32,
        out_per_group as u32,
        input[0] as u32,
        input[1] as u32,
        problem.output[0] as u32,
        problem.output[1] as u32,
        kernel[0] as u32,
        kernel[1] as u32,
        plane as u32,
        depth as u32,
        problem.stride[0] as u32,
        problem.stride[1] as u32,
        problem.dilation[0] as u32,
        problem.dilation[1] as u32,
        problem.padding[0] as u32,
        problem.padding[1] as u32,
    );
    let matrices = Matrices {
        count: groups,
        rows: batch * plane,
        columns: out_per_group,
    };
    // SAFETY: positions follow from the shape, against which all lengths were checked above.
    unsafe { checked.convolve::<Conv2dGeometry>(client, matrices, geometry) }
}
