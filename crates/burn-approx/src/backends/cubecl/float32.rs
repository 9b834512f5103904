//! Plans through Burn's own float32 matrix product and convolution, which are tuned to the device and run on its matrix
//! units.
//!
//! Every term of the multiplier is one product of functions of the codes, and all terms together are one product, as
//! many times as deep:
//!
//! ```text
//! sum over k of m(a, b) - z * b - y * (a - z)
//!     = sum over t, k of (u_t(a) - u_t(z)) * v_t(b)   +   sum over k of (a - z) * -y          the product
//!     + sum over t of u_t(z) * (sum over k of v_t(b)) +   z * (sum over k of -b)              a constant per output channel
//! ```
//!
//! with `z`, `y` the zero points of activation and weight. What a padded tap adds to the product is 0, as convolutions
//! pad with.
//!
//! Nothing is rounded. Values are split into digits where matrix units would round them (see `tables`), and a sum that
//! could leave the integers that float32 holds is cut into parts of some of the input channels each, which are added as
//! integers at the end, with the constants. What even that does not make exact is only computed where the user forces
//! it.
//!
//! Convolutions are computed with channels last, which is how Burn's kernels want them.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use approx_multiplier::OperandFormat;
use burn::backend::TensorMetadata;
use burn::backend::ops::{FloatTensorOps, IntTensorOps, ModuleOps};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{FloatDType, IntDType, Shape, Slice};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeDevice};
use cubecl::CubeElement;
use cubecl::client::Client;
use cubecl::server::Handle;
use kernels_cubecl::{
    EncodedFactors, FactorLayout, FactorTables, PartialSums, QuantizerBuffer, Rescaling,
};

use super::buffers::{contiguous, float_tensor, length, quantization, quantizer_buffer};
use super::tables::FloatFactors;
use crate::backends::checked;
use crate::backends::function::{along, row};
use crate::codes::CodeGrid;
use crate::geometry::{Geometry, conv2d as convolution};
use crate::plan::{ProductOperation, Target};
use crate::quantization::ZERO_POINT;

/// Functions of codes on a device, `[functions, 2^bits]`.
struct Table {
    values: Handle,
    format: OperandFormat,
}

impl Table {
    fn new(client: &Client, values: &[Vec<f32>], format: OperandFormat) -> Self {
        Self {
            values: client.create_from_slice(f32::as_bytes(&values.concat())),
            format,
        }
    }
}

/// The functions of both operands on a device, each with one more: the code itself for activations, its negative for
/// weights.
struct Tables {
    activation: Table,
    weight: Table,
    /// The terms, without those.
    terms: usize,
    /// Whether every activation function is 0 at code 0.
    vanish_at_zero: bool,
}

/// The tables of factors on a device, whole and in digits.
type Made = Mutex<[Option<Arc<Tables>>; 2]>;

fn tables(operation: &ProductOperation, device: &CubeDevice) -> Arc<Tables> {
    let factors = operation.factors();
    let in_digits = operation.target()
        == Target::Gpu {
            tensor_float32: true,
        };
    let made = checked(
        factors
            .on_devices
            .get(device, || Ok::<Made, Infallible>(Made::default())),
    );
    let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
    made[usize::from(in_digits)]
        .get_or_insert_with(|| Arc::new(Tables::new(operation, device, in_digits)))
        .clone()
}

impl Tables {
    fn new(operation: &ProductOperation, device: &CubeDevice, in_digits: bool) -> Self {
        let (activation_format, weight_format) = operation.multiplier().formats();
        let formats = [activation_format, weight_format];
        let FloatFactors {
            mut activation,
            mut weight,
        } = FloatFactors::new(&operation.factors().terms, formats, in_digits);
        let terms = activation.len();
        let vanish_at_zero = activation.iter().all(|values| values[0] == 0.0);
        activation.push(activation_format.codes().map(|code| code as f32).collect());
        weight.push(weight_format.codes().map(|code| -code as f32).collect());
        let client = device.client();
        Self {
            activation: Table::new(&client, &activation, activation_format),
            weight: Table::new(&client, &weight, weight_format),
            terms,
            vanish_at_zero,
        }
    }
}

/// The rows of functions that an operation multiplies, and those that its constants need.
struct Rows {
    multiplied: usize,
    summed: usize,
}

impl Rows {
    fn of(operation: &ProductOperation, tables: &Tables) -> Self {
        let symmetric = [
            operation.activation().symmetric,
            operation.weight().symmetric,
        ];
        Self {
            multiplied: tables.terms + usize::from(!symmetric[1]),
            summed: tables.terms + usize::from(symmetric != [true; 2]),
        }
    }
}

/// A weight as the product takes it.
struct WeightFactors {
    /// All multiplied rows, joined, for each part of the input channels.
    factors: Vec<CubeTensor>,
    /// The sums of each row over what an output accumulates, `[rows, .., outputs]`; `None` if every constant is 0.
    sums: Option<CubeTensor>,
    quantizer: QuantizerBuffer,
}

/// The values of the first `count` functions of a tensor's codes, `[outer, groups, count, channels in a group, inner]`,
/// and those at its zero point, `[count]`.
fn rows(
    values: &CubeTensor,
    quantizer: &QuantizerBuffer,
    grid: CodeGrid,
    layout: FactorLayout,
    table: &Table,
    count: usize,
) -> EncodedFactors {
    let tables = FactorTables {
        tables: &table.values,
        terms: count,
        bits: table.format.bits().into(),
        signed: table.format.is_signed(),
    };
    checked(kernels_cubecl::encode_factors(
        &values.client,
        &values.handle,
        length(values),
        quantization(quantizer, grid, &values.shape()),
        tables,
        layout,
    ))
}

/// The input channels of each part of a sum.
fn parts(channels: usize, taps: usize, exact_depth: Option<usize>) -> Vec<Range<usize>> {
    let step = exact_depth.map_or(channels, |depth| (depth / taps).clamp(1, channels));
    (0..channels)
        .step_by(step)
        .map(|first| first..(first + step).min(channels))
        .collect()
}

/// The activation's side of a product: the values of its functions, and those at the zero point, `[summed rows]`.
struct ActivationFactors<'a> {
    operation: &'a ProductOperation,
    tables: &'a Tables,
    parameters: CubeTensor,
    quantizer: QuantizerBuffer,
}

impl<'a> ActivationFactors<'a> {
    fn new(quantizer: CubeTensor, operation: &'a ProductOperation, tables: &'a Tables) -> Self {
        let parameters = contiguous(quantizer);
        Self {
            operation,
            tables,
            quantizer: quantizer_buffer(parameters.clone(), operation.activation()),
            parameters,
        }
    }

    /// The values for a part of the channels of an activation, which lie along its last axis.
    fn values(&self, activation: &CubeTensor, part: Range<usize>, groups: usize) -> EncodedFactors {
        let last = activation.shape().num_dims() - 1;
        let channels = part.len();
        let own = contiguous(slice(activation.clone(), last, part));
        let layout = FactorLayout {
            channels,
            inner: 1,
            groups,
            less_zero: true,
        };
        let count = Rows::of(self.operation, self.tables).multiplied;
        let (grid, table) = (self.operation.activation(), &self.tables.activation);
        rows(&own, &self.quantizer, grid, layout, table, count)
    }

    /// The constants of every output channel, from the weight's sums and the functions at the zero point: integers
    /// where the plan is exact, else float32.
    fn constants(&self, sums: &CubeTensor, at_zero: Handle) -> CubeTensor {
        let Rows { multiplied, summed } = Rows::of(self.operation, self.tables);
        let mut at_zero = float_tensor(sums, at_zero, Shape::from(vec![multiplied]));
        if summed > multiplied {
            let zero = row::<CubeBackend>(&self.parameters, ZERO_POINT);
            let zero = CubeBackend::float_reshape(zero, Shape::from(vec![1]));
            at_zero = CubeBackend::float_cat(vec![at_zero, zero], 0);
        }
        let mut sizes = vec![1; sums.shape().num_dims()];
        sizes[0] = summed;
        let at_zero = CubeBackend::float_reshape(at_zero, Shape::from(sizes));
        match self.operation.exact_depth() {
            Some(_) => {
                let [sums, at_zero] = [sums.clone(), at_zero]
                    .map(|values| CubeBackend::float_into_int(values, IntDType::I32));
                CubeBackend::int_sum_dim(CubeBackend::int_mul(sums, at_zero), 0)
            }
            None => CubeBackend::float_sum_dim(CubeBackend::float_mul(sums.clone(), at_zero), 0),
        }
    }
}

/// Whether the constants can be other than 0.
fn has_constants(operation: &ProductOperation, tables: &Tables) -> bool {
    let symmetric = operation.activation().symmetric && operation.weight().symmetric;
    !(symmetric && tables.vanish_at_zero)
}

/// The negative zero point of every element of a weight.
fn negative_zero_points(parameters: &CubeTensor, axis: usize, shape: &Shape) -> CubeTensor {
    let zero = along::<CubeBackend>(
        row::<CubeBackend>(parameters, ZERO_POINT),
        axis,
        shape.num_dims(),
    );
    CubeBackend::float_expand(CubeBackend::float_neg(zero), shape.clone())
}

/// Adds the parts of a product and the constants, and scales: the last pass, in the order in which a product lies in
/// memory.
fn rescaled(
    products: Vec<CubeTensor>,
    constants: Option<CubeTensor>,
    quantizers: [&QuantizerBuffer; 2],
    exact: bool,
) -> CubeTensor {
    let shape = products[0].shape();
    let channels = shape[shape.num_dims() - 1];
    let parts = products.len();
    let flat = Shape::from(vec![1, shape.num_elements()]);
    let products = products
        .into_iter()
        .map(|product| CubeBackend::float_reshape(contiguous(product), flat.clone()));
    let sums = joined(products.collect(), 0);
    let constants = constants.map(|constants| contiguous(constants).handle);
    let values = kernels_cubecl::rescale(
        &sums.client,
        &sums.handle,
        shape.num_elements(),
        Rescaling {
            activation: quantizers[0],
            weight: quantizers[1],
            constants: constants.as_ref(),
            kind: match exact {
                true => PartialSums::Integers,
                false => PartialSums::Reals,
            },
            parts,
            channels,
            inner: 1,
        },
    );
    float_tensor(&sums, checked(values), shape)
}

/// Constants that are not the same for all rows, as products of the given shape: in two parts, each of them exact in
/// float32.
fn constants_as_products(constants: CubeTensor, shape: &Shape, exact: bool) -> Vec<CubeTensor> {
    const LOW: i64 = 1 << 12;
    let parts = match exact {
        false => vec![constants],
        true => {
            let high = CubeBackend::int_div_scalar(constants.clone(), LOW.into());
            let high = CubeBackend::int_mul_scalar(high, LOW.into());
            let low = CubeBackend::int_sub(constants, high.clone());
            let float = |part| CubeBackend::int_into_float(part, FloatDType::F32);
            vec![float(high), float(low)]
        }
    };
    parts
        .into_iter()
        .map(|part| {
            let sizes: Vec<usize> = part.shape().iter().skip(1).copied().collect();
            let part = CubeBackend::float_reshape(contiguous(part), Shape::from(sizes));
            CubeBackend::float_expand(part, shape.clone())
        })
        .collect()
}

/// An operation's product by a route through Burn's own float32 products.
pub(super) fn product(
    activation: CubeTensor,
    weight: CubeTensor,
    quantizers: [CubeTensor; 2],
    operation: &ProductOperation,
) -> CubeTensor {
    match operation.geometry() {
        Geometry::Matmul(_) => matmul(activation, weight, quantizers, operation),
        Geometry::Conv2d(shape) => {
            let options = convolution::options(shape);
            conv2d(activation, weight, quantizers, operation, options)
        }
        Geometry::ConvTranspose2d(_) => {
            unreachable!("no float32 route of a transposed convolution is planned on a GPU")
        }
    }
}

fn matmul(
    activation: CubeTensor,
    weight: CubeTensor,
    [activation_quantizer, weight_quantizer]: [CubeTensor; 2],
    operation: &ProductOperation,
) -> CubeTensor {
    let tables = tables(operation, &activation.device);
    let Rows { multiplied, summed } = Rows::of(operation, &tables);
    let rank = activation.shape().num_dims();
    let depth = activation.shape()[rank - 1];
    let exact_depth = operation.exact_depth();
    let parts = parts(depth, 1, exact_depth);
    let weight = operation.kept_weight(|| {
        let weight = contiguous(weight);
        let shape = weight.shape();
        let columns = shape[rank - 1];
        let leading: Vec<usize> = shape.iter().take(rank - 2).copied().collect();
        let matrices: usize = leading.iter().product();
        let parameters = contiguous(weight_quantizer);
        let quantizer = quantizer_buffer(parameters.clone(), operation.weight());
        let layout = FactorLayout {
            channels: 1,
            inner: depth * columns,
            groups: 1,
            less_zero: false,
        };
        let EncodedFactors { values, .. } = rows(
            &weight,
            &quantizer,
            operation.weight(),
            layout,
            &tables.weight,
            summed,
        );
        let split = Shape::from(vec![matrices, summed, depth, columns]);
        let values = float_tensor(&weight, values, split);
        let sums = has_constants(operation, &tables).then(|| {
            let sums = CubeBackend::float_sum_dim(values.clone(), 2);
            let sizes = [&[summed], leading.as_slice(), &[1, columns]].concat();
            let sums = CubeBackend::float_swap_dims(sums, 0, 1);
            CubeBackend::float_reshape(contiguous(sums), Shape::from(sizes))
        });
        let mut all = vec![slice(values, 1, 0..tables.terms)];
        if multiplied > tables.terms {
            let axis = operation.weight().channel_axis.unwrap_or(0);
            let zero = contiguous(negative_zero_points(&parameters, axis, &shape));
            let split = Shape::from(vec![matrices, 1, depth, columns]);
            all.push(CubeBackend::float_reshape(zero, split));
        }
        let all = joined(all, 1);
        let factors = parts.iter().map(|part| {
            let own = contiguous(slice(all.clone(), 2, part.clone()));
            let sizes = [leading.as_slice(), &[multiplied * part.len(), columns]].concat();
            CubeBackend::float_reshape(own, Shape::from(sizes))
        });
        WeightFactors {
            factors: factors.collect(),
            sums,
            quantizer,
        }
    });
    let activation = contiguous(activation);
    let factors = ActivationFactors::new(activation_quantizer, operation, &tables);
    let mut at_zero = None;
    let mut products: Vec<CubeTensor> = parts
        .into_iter()
        .zip(&weight.factors)
        .map(|(part, weight)| {
            let mut sizes: Vec<usize> = activation.shape().iter().copied().collect();
            sizes[rank - 1] = multiplied * part.len();
            let encoded = factors.values(&activation, part, 1);
            at_zero = Some(encoded.at_zero);
            let values = float_tensor(&activation, encoded.values, Shape::from(sizes));
            CubeBackend::float_matmul(values, weight.clone())
        })
        .collect();
    let mut constants = weight
        .sums
        .as_ref()
        .zip(at_zero)
        .map(|(sums, at_zero)| factors.constants(sums, at_zero));
    let output = products[0].shape();
    let columns = output[rank - 1];
    let exact = exact_depth.is_some();
    if let Some(own) = constants.take_if(|constants| length(constants) > columns) {
        products.extend(constants_as_products(own, &output, exact));
    }
    rescaled(
        products,
        constants,
        [&factors.quantizer, &weight.quantizer],
        exact,
    )
}

fn conv2d(
    activation: CubeTensor,
    weight: CubeTensor,
    [activation_quantizer, weight_quantizer]: [CubeTensor; 2],
    operation: &ProductOperation,
    options: ConvOptions<2>,
) -> CubeTensor {
    let tables = tables(operation, &activation.device);
    let Rows { multiplied, summed } = Rows::of(operation, &tables);
    let taps = weight.shape()[2] * weight.shape()[3];
    let exact_depth = operation.exact_depth();
    // Where there are groups, one part holds all of a group's channels.
    let parts = match options.groups {
        1 => parts(weight.shape()[1], taps, exact_depth),
        _ => parts(activation.shape()[1], taps, None),
    };
    let weight = operation.kept_weight(|| {
        let weight = channels_last(weight);
        let shape = weight.shape();
        let [outputs, height, width, channels] = shape.dims();
        let parameters = contiguous(weight_quantizer);
        let quantizer = quantizer_buffer(parameters.clone(), operation.weight());
        let layout = FactorLayout {
            channels,
            inner: 1,
            groups: 1,
            less_zero: false,
        };
        let EncodedFactors { values, .. } = rows(
            &weight,
            &quantizer,
            operation.weight(),
            layout,
            &tables.weight,
            summed,
        );
        let split = Shape::from(vec![outputs, height * width, summed, channels]);
        let values = float_tensor(&weight, values, split);
        let sums = has_constants(operation, &tables).then(|| {
            let sums = CubeBackend::float_sum_dim(values.clone(), 3);
            let sums = CubeBackend::float_sum_dim(sums, 1);
            let sums = CubeBackend::float_reshape(sums, Shape::from(vec![outputs, summed]));
            contiguous(CubeBackend::float_swap_dims(sums, 0, 1))
        });
        let mut all = vec![slice(values, 2, 0..tables.terms)];
        if multiplied > tables.terms {
            let zero = contiguous(negative_zero_points(&parameters, 0, &shape));
            let split = Shape::from(vec![outputs, height * width, 1, channels]);
            all.push(CubeBackend::float_reshape(zero, split));
        }
        let all = joined(all, 2);
        let factors = parts.iter().map(|part| {
            let part = part.start..part.end.min(channels);
            let last = Shape::from(vec![outputs, height, width, multiplied * part.len()]);
            let own = contiguous(slice(all.clone(), 3, part));
            channels_second(CubeBackend::float_reshape(own, last))
        });
        WeightFactors {
            factors: factors.collect(),
            sums,
            quantizer,
        }
    });
    let activation = channels_last(activation);
    let [batch, height, width, _] = activation.shape().dims();
    let factors = ActivationFactors::new(activation_quantizer, operation, &tables);
    let mut at_zero = None;
    let products: Vec<CubeTensor> = parts
        .into_iter()
        .zip(&weight.factors)
        .map(|(part, weight)| {
            let last = Shape::from(vec![batch, height, width, multiplied * part.len()]);
            let encoded = factors.values(&activation, part, options.groups);
            at_zero = Some(encoded.at_zero);
            let values = channels_second(float_tensor(&activation, encoded.values, last));
            let product = CubeBackend::conv2d(values, weight.clone(), None, options.clone());
            channels_last(product)
        })
        .collect();
    let constants = weight
        .sums
        .as_ref()
        .zip(at_zero)
        .map(|(sums, at_zero)| factors.constants(sums, at_zero));
    let quantizers = [&factors.quantizer, &weight.quantizer];
    channels_second(rescaled(
        products,
        constants,
        quantizers,
        exact_depth.is_some(),
    ))
}

/// Some of a tensor's positions along an axis.
fn slice(values: CubeTensor, axis: usize, part: Range<usize>) -> CubeTensor {
    let shape = values.shape();
    if part == (0..shape[axis]) {
        return values;
    }
    let slices: Vec<Slice> = shape
        .iter()
        .enumerate()
        .map(|(own, size)| {
            if own == axis {
                part.clone().into()
            } else {
                (0..*size).into()
            }
        })
        .collect();
    CubeBackend::float_slice(values, &slices)
}

fn joined(mut parts: Vec<CubeTensor>, axis: usize) -> CubeTensor {
    match parts.len() {
        1 => parts.remove(0),
        _ => CubeBackend::float_cat(parts, axis),
    }
}

/// `[batch, channels, height, width]` as `[batch, height, width, channels]`, row by row; for free where it lies so
/// already.
fn channels_last(tensor: CubeTensor) -> CubeTensor {
    contiguous(CubeBackend::float_permute(tensor, &[0, 2, 3, 1]))
}

/// The way back, without moving anything.
fn channels_second(tensor: CubeTensor) -> CubeTensor {
    CubeBackend::float_permute(tensor, &[0, 3, 1, 2])
}
