//! The launch of two-dimensional transposed convolutions.

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::checked_product::{CheckedProduct, Lengths, Matrices};
use crate::checks::{check_convolution, check_count, elements};
use crate::error::DeviceKernelError;
use crate::kernels::geometry::conv_transpose2d::{
    AxisLaunch, ConvTranspose2dGeometry, ConvTranspose2dGeometryLaunch, PHASE_WORDS,
};
use crate::product::{Operand, Output, ScalarProduct};

/// The shape of a transposed convolution: activations `[batch, in_channels, input]`, weights
/// `[out_channels, in_channels / groups, kernel]`, as an ordinary convolution has them, so that output channels lie
/// along one axis, results `[batch, out_channels, output]`; pairs are height and width.
///
/// Of all products, of which input `u` and tap `i` add to output `u * stride + i * dilation - padding`, the output may
/// have any part. Burn's is `(input - 1) * stride + dilation * (kernel - 1) + output_padding - 2 * padding + 1` along
/// an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvTranspose2dProblem {
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
    /// The distance of what neighbouring inputs add to.
    pub stride: [usize; 2],
    /// The distance of what neighbouring taps add to.
    pub dilation: [usize; 2],
    /// The lines above and to the left that are not put out.
    pub padding: [usize; 2],
    /// The size of the output.
    pub output: [usize; 2],
}

impl ConvTranspose2dProblem {
    fn check(&self) -> Result<(), DeviceKernelError> {
        let channels = [self.in_channels, self.out_channels];
        check_convolution(self.groups, channels, self.stride, self.dilation)?;
        for axis in 0..2 {
            let last_tap = self.kernel[axis].saturating_sub(1) as u128;
            let last_tap = last_tap * self.dilation[axis] as u128;
            let last_output = self.output[axis] as u128 + self.padding[axis] as u128;
            check_count("the last position of a tap", last_tap)?;
            check_count("the last output with the padding", last_output)?;
            check_count("the side of an input", self.input[axis] as u128)?;
            check_count("the side of a kernel", self.kernel[axis] as u128)?;
            check_count("a stride", self.stride[axis] as u128)?;
            check_count("a dilation", self.dilation[axis] as u128)?;
        }
        Ok(())
    }

    fn axis(&self, axis: usize) -> Axis {
        let (stride, dilation) = (self.stride[axis], self.dilation[axis]);
        let common = greatest_common_divisor(stride, dilation);
        Axis {
            input: self.input[axis],
            output: self.output[axis],
            kernel: self.kernel[axis],
            stride,
            dilation,
            padding: self.padding[axis],
            tap_step: stride / common,
            input_step: dilation / common,
        }
    }
}

/// One of the two axes.
struct Axis {
    input: usize,
    output: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    padding: usize,
    /// The distance of taps of one phase.
    tap_step: usize,
    /// The distance of the inputs that they meet.
    input_step: usize,
}

impl Axis {
    /// The number of phases that have an output.
    fn phases(&self) -> usize {
        self.stride.min(self.output)
    }

    /// The outputs of the longest phase.
    fn length(&self) -> usize {
        self.output.div_ceil(self.stride)
    }

    /// The taps of the phase that has most.
    fn taps(&self) -> usize {
        self.kernel.div_ceil(self.tap_step)
    }

    /// For every phase its taps, the first of them, and the input that this one meets at the phase's first output.
    fn table(&self) -> Vec<[u32; PHASE_WORDS]> {
        let mut table = vec![[0; PHASE_WORDS]; self.phases()];
        // Later taps belong to the same phases.
        for tap in 0..self.kernel.min(self.tap_step) {
            // Lengths and their products were checked to have 31 bits.
            let from_input = (tap * self.dilation) as i64 - self.padding as i64;
            let output = from_input.rem_euclid(self.stride as i64);
            if let Some(phase) = table.get_mut(output as usize) {
                let first_input = (output - from_input) / self.stride as i64;
                let taps = (self.kernel - tap).div_ceil(self.tap_step);
                *phase = [taps as u32, tap as u32, first_input as u32];
            }
        }
        table
    }

    fn argument(&self) -> AxisLaunch {
        AxisLaunch::new(
            self.input as u32,
            self.output as u32,
            self.kernel as u32,
            self.stride as u32,
            self.phases() as u32,
            self.length() as u32,
            self.length() as u32,
            self.tap_step as u32,
            self.input_step as u32,
        )
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

/// The transposed convolution of codes: see [`Output`] for what is returned, row-major `[batch, out_channels, output]`.
///
/// Only products of an input and a weight are summed: nothing enters for the zeros that a stride puts between inputs,
/// nor for what is around them.
///
/// # Errors
/// If a length does not follow from the shape, groups do not divide the channels, a stride or dilation is 0, codes have
/// another width than the product takes, a tensor has 2^31 elements or more, or the device has too few units or
/// buffers.
///
/// ```no_run
/// use kernels_cubecl::{
///     ConvTranspose2dProblem, DeviceTable, Operand, Output, PackedCodes, ScalarProduct, Words,
///     conv_transpose2d,
/// };
///
/// let client = cubecl::Device::default().client();
/// let products: Vec<i32> = (0..16).flat_map(|a| (0..16).map(move |b| a * b)).collect();
/// let table = DeviceTable::new(&client, &products, 4, 4)?;
/// let activation = PackedCodes::from_codes(&client, &[1, 2], 4, false)?;
/// let weight = PackedCodes::from_codes(&client, &[5, 6, 7], 4, false)?;
/// let problem = ConvTranspose2dProblem {
///     batch: 1, in_channels: 1, out_channels: 1, groups: 1,
///     input: [1, 2], kernel: [1, 3], stride: [1, 2], dilation: [1, 1], padding: [0, 0], output: [1, 5],
/// };
/// let sums = conv_transpose2d(
///     &client,
///     problem,
///     [Operand::new(&activation), Operand::new(&weight)],
///     ScalarProduct::Lookup { table: &table, words: Words::One },
///     Output::Accumulators { padding_code: 0 },
/// )?; // i32 [1, 1, 1, 5]: 5, 6, 7 + 10, 12, 14
/// # Ok::<(), kernels_cubecl::DeviceKernelError>(())
/// ```
pub fn conv_transpose2d(
    client: &Client,
    problem: ConvTranspose2dProblem,
    operands: [Operand; 2],
    product: ScalarProduct,
    output: Output,
) -> Result<Handle, DeviceKernelError> {
    problem.check()?;
    let ConvTranspose2dProblem {
        batch,
        in_channels,
        out_channels,
        groups,
        input,
        kernel,
        ..
    } = problem;
    let (in_per_group, out_per_group) = (in_channels / groups, out_channels / groups);
    let [vertical, horizontal] = [problem.axis(0), problem.axis(1)];
    let plane = elements("output pixels", &problem.output)?;
    let lengths = Lengths {
        activation: elements("activations", &[batch, in_channels, input[0], input[1]])?,
        weight: elements(
            "weights",
            &[out_channels, in_per_group, kernel[0], kernel[1]],
        )?,
        depth: elements(
            "the depth of a product",
            &[in_per_group, vertical.taps(), horizontal.taps()],
        )?,
        channels: out_channels,
        results: elements("results", &[batch, out_channels, plane])?,
    };
    let is_empty = lengths.results == 0;
    let checked = CheckedProduct::new(client, operands, product, output, lengths)?;
    if is_empty {
        return Ok(client.empty(4));
    }
    let matrices = Matrices {
        count: groups * vertical.phases() * horizontal.phases(),
        rows: batch * vertical.length() * horizontal.length(),
        columns: out_per_group,
    };
    elements(
        "results of all phases",
        &[matrices.count, matrices.rows, matrices.columns],
    )?;

    let phases = [vertical.table(), horizontal.table()].concat().concat();
    let geometry = ConvTranspose2dGeometryLaunch::new(
        batch as u32,
        groups as u32,
        in_per_group as u32,
        out_per_group as u32,
        in_per_group as u32,
        vertical.argument(),
        horizontal.argument(),
        // SAFETY: the buffer is made of so many words.
        unsafe {
            BufferArg::from_raw_parts(
                client.create_from_slice(u32::as_bytes(&phases)),
                phases.len(),
            )
        },
    );
    // SAFETY: positions follow from the shape, against which all lengths were checked above; those outside are skipped.
    unsafe { checked.convolve::<ConvTranspose2dGeometry>(client, matrices, geometry) }
}
