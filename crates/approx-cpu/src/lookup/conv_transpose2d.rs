//! Two-dimensional transposed convolution through a product table, grouped or not.
//!
//! The outputs are computed phase by phase (`by_phases`) or from the input's positions (`by_positions`), whichever is
//! expected to be faster.

use crate::accumulators::{Accumulator, Accumulators};
use crate::arch::InstructionSet;
use crate::error::KernelError;
use crate::lookup::table::LookupTable;
use crate::lookup::transposed::{ByPhases, ByPositions, Operands, Way, ZeroPoints};
use crate::operand::ProductQuantizers;
use crate::shapes::ConvTranspose2dShape;

/// `acc[n, o, p] = sum over i, k, q of table[activations[n, i, q]][weights[i, o, k]]`, over the channels i of o's group
/// and all taps k and positions q of the input with `q * stride + k * dilation - padding = p`, along both axes.
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
/// What [`ConvTranspose2dShape::validate`] finds, and [`KernelError::Length`] where a slice does not fit the shape.
///
/// ```
/// use approx_cpu::{Accumulators, ConvTranspose2dShape, LookupTable, conv_transpose2d};
///
/// let exact: Vec<i32> = (0..16).flat_map(|a| (0..16).map(move |w| a * w)).collect();
/// let table = LookupTable::new(4, 4, &exact)?;
/// let shape = ConvTranspose2dShape {
///     batch: 1, in_channels: 1, out_channels: 1, groups: 1,
///     input: [1, 2], kernel: [1, 3], stride: [1, 2], dilation: [1, 1],
///     padding: [0, 0], output_padding: [0, 1],
/// };
/// let sums = conv_transpose2d(&table, &[1, 2], &[3, 4, 5], shape)?;
/// assert_eq!(sums, Accumulators::I32(vec![1 * 3, 1 * 4, 1 * 5 + 2 * 3, 2 * 4, 2 * 5, 0]));
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
pub fn conv_transpose2d(
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    shape: ConvTranspose2dShape,
) -> Result<Accumulators, KernelError> {
    conv_transpose2d_with(
        InstructionSet::best(),
        None,
        table,
        activations,
        weights,
        shape,
    )
}

/// The transposed convolution in real values,
/// `scale_x * scale_w[o] * (acc - z_x * sum of w - z_w[o] * sum of x + n * z_x * z_w[o])`, where the sums run over the
/// weight and activation codes whose products the accumulator has, and n is their number. The bracket is an exact
/// integer, rounded once.
///
/// Operands are as for [`conv_transpose2d`]. Codes are two's complement where their quantiser's lowest code is
/// negative.
///
/// # Errors
///
/// As [`conv_transpose2d`]; [`KernelError::Length`] also where there is neither one weight quantiser nor one per output
/// channel, [`KernelError::Quantizer`] where a quantiser yields something else than codes of the table's operands.
///
/// ```
/// use approx_cpu::quantize::ChannelQuantizer;
/// use approx_cpu::{ConvTranspose2dShape, LookupTable, ProductQuantizers, conv_transpose2d_rescaled};
///
/// let exact: Vec<i32> = (0..16).flat_map(|a| (0..16).map(move |w| a * w)).collect();
/// let table = LookupTable::new(4, 4, &exact)?;
/// let shape = ConvTranspose2dShape {
///     batch: 1, in_channels: 1, out_channels: 1, groups: 1,
///     input: [1, 2], kernel: [1, 3], stride: [1, 2], dilation: [1, 1],
///     padding: [0, 0], output_padding: [0, 1],
/// };
/// let quantizer = ChannelQuantizer { scale: 0.5, reciprocal: 2.0, zero_point: 1.0, low: 0.0, high: 15.0 };
/// let quantizers = ProductQuantizers { activation: quantizer, weights: &[quantizer] };
/// let values = conv_transpose2d_rescaled(&table, &[1, 2], &[3, 4, 5], quantizers, shape)?;
/// // The real activations are 0 and 0.5, the real weights 1, 1.5 and 2.
/// assert_eq!(values, [0.0, 0.0, 0.5, 0.75, 1.0, 0.0]);
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
pub fn conv_transpose2d_rescaled(
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    quantizers: ProductQuantizers<'_>,
    shape: ConvTranspose2dShape,
) -> Result<Vec<f32>, KernelError> {
    let set = InstructionSet::best();
    conv_transpose2d_rescaled_with(set, None, table, activations, weights, quantizers, shape)
}

/// [`conv_transpose2d`] with a given instruction set and, if any, way of computing it.
pub(crate) fn conv_transpose2d_with(
    set: InstructionSet,
    way: Option<Way>,
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    shape: ConvTranspose2dShape,
) -> Result<Accumulators, KernelError> {
    let operands = Operands::new(set, table, activations, weights, shape)?;
    Ok(if operands.fits_in_32_bits() {
        Accumulators::I32(run(&operands, way, None, |_, sum: i32| sum)?)
    } else {
        Accumulators::I64(run(&operands, way, None, |_, sum: i64| sum)?)
    })
}

/// [`conv_transpose2d_rescaled`] with a given instruction set and, if any, way of computing it.
pub(crate) fn conv_transpose2d_rescaled_with(
    set: InstructionSet,
    way: Option<Way>,
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    quantizers: ProductQuantizers<'_>,
    shape: ConvTranspose2dShape,
) -> Result<Vec<f32>, KernelError> {
    let operands = Operands::new(set, table, activations, weights, shape)?;
    let widths = quantizers.operands([table.activation_bits(), table.weight_bits()]);
    quantizers.check(widths, shape.out_channels)?;
    let channels = quantizers.channels(shape.out_channels);
    let zero_points = ZeroPoints::new(&operands, widths, &quantizers);
    if operands.fits_corrected(widths, &zero_points) {
        run(&operands, way, Some(&zero_points), |channel, sum: i32| {
            channels[channel].scale * sum.to_f32()
        })
    } else {
        run(&operands, way, Some(&zero_points), |channel, sum: i64| {
            channels[channel].scale * sum.to_f32()
        })
    }
}

/// The outputs: what `finish` makes of every sum, given its output channel.
fn run<T: Accumulator, O: Copy + Default + Send + Sync>(
    operands: &Operands<'_>,
    way: Option<Way>,
    zero_points: Option<&ZeroPoints>,
    finish: impl Fn(usize, T) -> O + Sync,
) -> Result<Vec<O>, KernelError> {
    let way = way.unwrap_or_else(|| {
        let narrow = operands.table.is_narrow();
        Way::cheapest(&operands.shape, operands.set, narrow, T::WIDE).0
    });
    Ok(match way {
        Way::ByPhases(strategy) => ByPhases::new(operands)?.run(strategy, zero_points, finish),
        Way::ByPositions(strategy) => ByPositions::new(operands).run(strategy, zero_points, finish),
    })
}
