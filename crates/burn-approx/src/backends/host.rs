//! The operators on backends whose tensors lie in host memory: slices in, the CPU kernels, slices out.
//!
//! QUANTIZED goes through the backend's own float product of integer codes wherever the bound, with the actual weights,
//! proves every partial sum exact in float32; elsewhere the products are looked up like any other multiplier's, so the
//! result is the exact integer either way.

use approx_cpu::observe::{self, histogram};
use approx_cpu::quantize::{ChannelLayout, ChannelQuantizer};
use approx_cpu::rescale::{ChannelRescale, rescale_planes, rescale_rows};
use approx_cpu::{Accumulators, LookupTable, MatmulShape};
use approx_multiplier::{Definition, OperandFormat};
use burn::backend::tensor::{Device, FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata, read_sync};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Shape, TensorData};

use crate::ops::generic::{self, Contraction, FLOAT32_EXACT};
use crate::ops::{ApproxOps, CodeGrid, ProductOperation, conv2d_shape};
use crate::quantization::channel_quantizers;

/// A backend whose tensors can be read as slices without waiting for a device.
pub(super) trait HostBackend: Backend {
    /// Hands the float32 values of a tensor, in row-major order, to `read`.
    fn read<R>(tensor: FloatTensor<Self>, read: impl FnOnce(&[f32]) -> R) -> R;
}

fn float_tensor<B: Backend>(values: Vec<f32>, shape: Shape, device: &Device<B>) -> FloatTensor<B> {
    B::float_from_data(TensorData::new(values, shape), device)
}

/// A quantiser tensor as the kernels take it, for operands of shape `shape`.
fn layout<B: HostBackend>(
    quantizer: FloatTensor<B>,
    grid: CodeGrid,
    shape: &Shape,
) -> ChannelLayout {
    let channels = B::read(quantizer, |parameters| channel_quantizers(parameters, grid));
    let inner = match grid.channel_axis {
        Some(axis) => {
            assert_eq!(
                shape[axis],
                channels.len(),
                "a quantiser has one channel per index of its axis"
            );
            shape.iter().skip(axis + 1).product()
        }
        None => 1,
    };
    ChannelLayout { channels, inner }
}

/// Applies a quantiser's map to every value.
fn map_values<B: HostBackend>(
    values: FloatTensor<B>,
    quantizer: FloatTensor<B>,
    grid: CodeGrid,
    map: impl FnOnce(&ChannelLayout, &[f32]) -> Vec<f32>,
) -> FloatTensor<B> {
    let (shape, device) = (values.shape(), values.device());
    let layout = layout::<B>(quantizer, grid, &shape);
    let mapped = B::read(values, |values| map(&layout, values));
    float_tensor::<B>(mapped, shape, &device)
}

fn mask(format: OperandFormat) -> u8 {
    format.mask() as u8
}

impl<B: HostBackend> ApproxOps for B {
    fn shifted_codes(
        values: FloatTensor<B>,
        quantizer: FloatTensor<B>,
        grid: CodeGrid,
    ) -> FloatTensor<B> {
        map_values::<B>(values, quantizer, grid, ChannelLayout::shifted_codes)
    }

    fn fake_quantize(
        values: FloatTensor<B>,
        quantizer: FloatTensor<B>,
        grid: CodeGrid,
    ) -> FloatTensor<B> {
        map_values::<B>(values, quantizer, grid, ChannelLayout::fake_quantize)
    }

    fn mask_clipped(
        values: FloatTensor<B>,
        gradient: FloatTensor<B>,
        quantizer: FloatTensor<B>,
        grid: CodeGrid,
    ) -> FloatTensor<B> {
        map_values::<B>(values, quantizer, grid, |layout, values| {
            let mut gradients = B::read(gradient, <[f32]>::to_vec);
            layout.mask_clipped(values, &mut gradients);
            gradients
        })
    }

    fn observe_ranges(values: FloatTensor<B>, channel_axis: Option<usize>) -> FloatTensor<B> {
        let (shape, device) = (values.shape(), values.device());
        let (channels, inner) = match channel_axis {
            Some(axis) => (shape[axis], shape.iter().skip(axis + 1).product()),
            None => (1, 1),
        };
        let ranges = B::read(values, |values| observe::ranges(values, channels, inner));
        let rows = ranges
            .iter()
            .map(|range| range.min)
            .chain(ranges.iter().map(|range| range.max))
            .collect();
        float_tensor::<B>(rows, Shape::from(vec![2, channels]), &device)
    }

    fn observe_histogram(values: FloatTensor<B>) -> FloatTensor<B> {
        let device = values.device();
        let counts = B::read(values, observe::counts);
        float_tensor::<B>(counts, Shape::from(vec![histogram::BINS]), &device)
    }

    fn approx_matmul(
        activation: FloatTensor<B>,
        weight: FloatTensor<B>,
        activation_quantizer: FloatTensor<B>,
        weight_quantizer: FloatTensor<B>,
        operation: ProductOperation,
    ) -> FloatTensor<B> {
        let quantizers = [activation_quantizer, weight_quantizer];
        if let Some(product) = float_product::<B>(
            activation.clone(),
            weight.clone(),
            &quantizers,
            &operation,
            Contraction::Matmul,
        ) {
            return product;
        }
        let device = activation.device();
        let product = BatchedMatmul::new(&activation.shape(), &weight.shape());
        let operands = Operands::<B>::quantize(activation, weight, quantizers, &operation);
        let shape = product.output.clone();
        let Some(operands) = operands else {
            return poisoned::<B>(shape, &device);
        };
        let table = lookup(&operation);
        let values = product.for_each(
            &operands.activation,
            &operands.weight,
            |activation, weight, shape| {
                let sums = checked(approx_cpu::matmul(table, activation, weight, shape));
                let weight_sums = column_sums(weight, shape, operands.weight_format);
                let activation_sums = operands.needs_activation_sums().then(|| {
                    let decode = |pattern: u8| operands.activation_format.code(pattern.into());
                    checked(approx_cpu::row_sums(activation, decode, shape))
                });
                let channels = operands.rescale(shape.inner, &weight_sums);
                rescale_rows(&sums, &channels, activation_sums.as_deref())
            },
        );
        float_tensor::<B>(values, shape, &device)
    }

    fn approx_conv2d(
        activation: FloatTensor<B>,
        weight: FloatTensor<B>,
        activation_quantizer: FloatTensor<B>,
        weight_quantizer: FloatTensor<B>,
        operation: ProductOperation,
        options: ConvOptions<2>,
    ) -> FloatTensor<B> {
        let shape = checked(conv2d_shape(
            activation.shape().dims(),
            weight.shape().dims(),
            &options,
        ));
        let [height, width] = shape.output();
        let output = Shape::from(vec![shape.batch, shape.out_channels, height, width]);
        let quantizers = [activation_quantizer, weight_quantizer];
        let contraction = Contraction::Conv2d(options);
        if let Some(product) = float_product::<B>(
            activation.clone(),
            weight.clone(),
            &quantizers,
            &operation,
            contraction,
        ) {
            return product;
        }
        let device = activation.device();
        let operands = Operands::<B>::quantize(activation, weight, quantizers, &operation);
        let Some(operands) = operands else {
            return poisoned::<B>(output, &device);
        };
        let padding = operands
            .activation_format
            .pattern(operands.zero_point as i32) as u8;
        let (table, activation, weight) =
            (lookup(&operation), &operands.activation, &operands.weight);
        let sums = checked(approx_cpu::conv2d(
            table, activation, weight, padding, shape,
        ));
        let inner = shape.in_channels / shape.groups * shape.kernel.iter().product::<usize>();
        let weight_sums = operands
            .weight
            .chunks(inner.max(1))
            .map(|row| {
                row.iter()
                    .map(|pattern| i64::from(operands.weight_format.code((*pattern).into())))
                    .sum()
            })
            .collect::<Vec<i64>>();
        let activation_sums = operands.needs_activation_sums().then(|| {
            let decode = |pattern: u8| operands.activation_format.code(pattern.into());
            checked(approx_cpu::window_sums(
                &operands.activation,
                decode,
                padding,
                shape,
            ))
        });
        let channels = operands.rescale(inner, &weight_sums);
        let values = rescale_planes(&sums, &channels, activation_sums.as_deref(), shape);
        float_tensor::<B>(values, output, &device)
    }

    fn accumulate_matmul(
        activation: IntTensor<B>,
        weight: IntTensor<B>,
        operation: ProductOperation,
    ) -> IntTensor<B> {
        let device = activation.device();
        let product = BatchedMatmul::new(&activation.shape(), &weight.shape());
        let (activation, weight) = int_patterns::<B>(activation, weight, &operation);
        let table = lookup(&operation);
        let sums = product.for_each(&activation, &weight, |activation, weight, shape| {
            integers(checked(approx_cpu::matmul(
                table, activation, weight, shape,
            )))
        });
        B::int_from_data(TensorData::new(sums, product.output), &device)
    }

    fn accumulate_conv2d(
        activation: IntTensor<B>,
        weight: IntTensor<B>,
        padding_code: i32,
        operation: ProductOperation,
        options: ConvOptions<2>,
    ) -> IntTensor<B> {
        let device = activation.device();
        let shape = checked(conv2d_shape(
            activation.shape().dims(),
            weight.shape().dims(),
            &options,
        ));
        let padding = operation.multiplier.formats().0.pattern(padding_code) as u8;
        let (activation, weight) = int_patterns::<B>(activation, weight, &operation);
        let sums = checked(approx_cpu::conv2d(
            lookup(&operation),
            &activation,
            &weight,
            padding,
            shape,
        ));
        let [height, width] = shape.output();
        let output = Shape::from(vec![shape.batch, shape.out_channels, height, width]);
        B::int_from_data(TensorData::new(integers(sums), output), &device)
    }
}

/// What the operators' callers have checked before: a failure here is a backend used directly with bad shapes.
fn checked<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// The table of an operation; that there is one was checked when the operation was made.
fn lookup(operation: &ProductOperation) -> &LookupTable {
    checked(operation.multiplier.lookup())
}

fn integers(sums: Accumulators) -> Vec<i64> {
    match sums {
        Accumulators::I32(sums) => sums.into_iter().map(i64::from).collect(),
        Accumulators::I64(sums) => sums,
    }
}

/// What an operator returns when an operand holds a NaN: never a number that looks right.
fn poisoned<B: Backend>(shape: Shape, device: &Device<B>) -> FloatTensor<B> {
    float_tensor::<B>(vec![f32::NAN; shape.num_elements()], shape, device)
}

/// The product through the backend's float operators: of an HTP model always, of exact codes where the bound allows.
fn float_product<B: HostBackend>(
    activation: FloatTensor<B>,
    weight: FloatTensor<B>,
    [activation_quantizer, weight_quantizer]: &[FloatTensor<B>; 2],
    operation: &ProductOperation,
    contraction: Contraction,
) -> Option<FloatTensor<B>> {
    match operation.multiplier.definition() {
        Definition::Htp(model) => Some(generic::htp::<B>(
            activation,
            weight,
            activation_quantizer,
            weight_quantizer,
            operation,
            model,
            &contraction,
        )),
        Definition::Exact => {
            let grid = operation.activation;
            let zero = B::read(activation_quantizer.clone(), |parameters| {
                channel_quantizers(parameters, grid)[0].zero_point
            });
            let largest = (grid.high as f32 - zero).max(zero - grid.low as f32);
            let weight_shape = weight.shape();
            let weight = B::shifted_codes(weight, weight_quantizer.clone(), operation.weight);
            let bound = B::read(weight.clone(), |codes| {
                largest_sum(codes, &weight_shape, &contraction)
            });
            // A NaN bound (from a NaN weight) also goes this way: the float product carries the NaN along.
            if f64::from(largest) * bound >= FLOAT32_EXACT {
                return None;
            }
            let activation = B::shifted_codes(activation, activation_quantizer.clone(), grid);
            Some(generic::exact::<B>(
                activation,
                weight,
                activation_quantizer,
                weight_quantizer,
                &contraction,
            ))
        }
        _ => None,
    }
}

/// The largest sum of weight magnitudes that one output accumulates.
fn largest_sum(codes: &[f32], shape: &Shape, contraction: &Contraction) -> f64 {
    let magnitude = |code: &f32| f64::from(code.abs());
    match contraction {
        Contraction::Matmul => {
            let (inner, columns) = (shape[shape.num_dims() - 2], shape[shape.num_dims() - 1]);
            let mut largest = 0.0f64;
            for matrix in codes.chunks((inner * columns).max(1)) {
                let mut sums = vec![0.0; columns];
                for row in matrix.chunks(columns.max(1)) {
                    for (sum, code) in sums.iter_mut().zip(row) {
                        *sum += magnitude(code);
                    }
                }
                largest = sums.into_iter().fold(largest, f64::max);
            }
            largest
        }
        Contraction::Conv2d(_) => {
            let inner = (codes.len() / shape[0].max(1)).max(1);
            codes
                .chunks(inner)
                .map(|row| row.iter().map(magnitude).sum())
                .fold(0.0, f64::max)
        }
    }
}

/// Both operands as bit patterns, and what rescaling the accumulators needs.
struct Operands<B> {
    activation: Vec<u8>,
    weight: Vec<u8>,
    activation_format: OperandFormat,
    weight_format: OperandFormat,
    activation_scale: f32,
    zero_point: i64,
    weight_channels: Vec<ChannelQuantizer>,
    backend: std::marker::PhantomData<B>,
}

impl<B: HostBackend> Operands<B> {
    /// Quantises both operands; `None` if either holds a NaN.
    fn quantize(
        activation: FloatTensor<B>,
        weight: FloatTensor<B>,
        [activation_quantizer, weight_quantizer]: [FloatTensor<B>; 2],
        operation: &ProductOperation,
    ) -> Option<Self> {
        let (activation_format, weight_format) = operation.multiplier.formats();
        let activation_layout = layout::<B>(
            activation_quantizer,
            operation.activation,
            &activation.shape(),
        );
        let weight_layout = layout::<B>(weight_quantizer, operation.weight, &weight.shape());
        let ChannelQuantizer {
            scale, zero_point, ..
        } = activation_layout.channels[0];
        let finite = |channels: &[ChannelQuantizer]| {
            channels.iter().all(|channel| channel.scale.is_finite())
        };
        if !finite(&activation_layout.channels) || !finite(&weight_layout.channels) {
            return None;
        }
        Some(Self {
            activation: B::read(activation, |values| {
                activation_layout.patterns(values, mask(activation_format))
            })?,
            weight: B::read(weight, |values| {
                weight_layout.patterns(values, mask(weight_format))
            })?,
            activation_format,
            weight_format,
            activation_scale: scale,
            zero_point: zero_point as i64,
            weight_channels: weight_layout.channels,
            backend: std::marker::PhantomData,
        })
    }

    /// Whether any weight zero point is not 0, so that sums of activation codes enter the result.
    fn needs_activation_sums(&self) -> bool {
        self.weight_channels
            .iter()
            .any(|channel| channel.zero_point != 0.0)
    }

    /// What rescales each output channel, whose weight codes have the given sums over `inner` products.
    fn rescale(&self, inner: usize, weight_sums: &[i64]) -> Vec<ChannelRescale> {
        let last = self.weight_channels.len() - 1;
        weight_sums
            .iter()
            .enumerate()
            .map(|(channel, weight_sum)| {
                let quantizer = self.weight_channels[channel.min(last)];
                let weight_zero_point = quantizer.zero_point as i64;
                ChannelRescale {
                    scale: self.activation_scale * quantizer.scale,
                    weight_zero_point,
                    constant: self.zero_point * (inner as i64 * weight_zero_point - weight_sum),
                }
            })
            .collect()
    }
}

fn column_sums(weight: &[u8], shape: MatmulShape, format: OperandFormat) -> Vec<i64> {
    let mut sums = vec![0; shape.columns];
    for row in weight.chunks(shape.columns.max(1)) {
        for (sum, pattern) in sums.iter_mut().zip(row) {
            *sum += i64::from(format.code((*pattern).into()));
        }
    }
    sums
}

/// The bit patterns of integer code tensors.
///
/// # Panics
/// If a code is not in the multiplier's format.
fn int_patterns<B: Backend>(
    activation: IntTensor<B>,
    weight: IntTensor<B>,
    operation: &ProductOperation,
) -> (Vec<u8>, Vec<u8>) {
    let patterns = |codes: IntTensor<B>, operand: &str, format: OperandFormat| -> Vec<u8> {
        let data = read_sync(B::int_into_data(codes))
            .expect("host tensors can be read")
            .convert::<i64>();
        let codes = data.as_slice::<i64>().expect("converted to i64");
        codes
            .iter()
            .map(|code| {
                let code = i32::try_from(*code)
                    .ok()
                    .filter(|code| format.contains(*code));
                let code = code.unwrap_or_else(|| {
                    panic!("a code of the {operand} is outside the multiplier's {format} operand")
                });
                format.pattern(code) as u8
            })
            .collect()
    };
    let (activation_format, weight_format) = operation.multiplier.formats();
    (
        patterns(activation, "activation", activation_format),
        patterns(weight, "weight", weight_format),
    )
}

/// A matrix product with broadcast leading dimensions, cut into plain products.
struct BatchedMatmul {
    output: Shape,
    shape: MatmulShape,
    /// The matrices of both operands that each product of the batch takes.
    pairs: Vec<(usize, usize)>,
}

impl BatchedMatmul {
    fn new(activation: &Shape, weight: &Shape) -> Self {
        let rank = activation.num_dims();
        let leading: Vec<[usize; 2]> = (0..rank - 2)
            .map(|axis| [activation[axis], weight[axis]])
            .collect();
        let mut shape = MatmulShape {
            rows: activation[rank - 2],
            inner: activation[rank - 1],
            columns: weight[rank - 1],
        };
        let mut output: Vec<usize> = leading
            .iter()
            .map(|[left, right]| if *left == 1 { *right } else { *left })
            .collect();
        let batch: usize = output.iter().product();
        output.extend([shape.rows, shape.columns]);
        let output = Shape::from(output);
        if leading.iter().all(|[_, right]| *right == 1) {
            // One weight for the whole batch: a single product of all rows.
            shape.rows *= batch;
            return Self {
                output,
                shape,
                pairs: vec![(0, 0)],
            };
        }
        let matrix = |index: usize, operand: usize| {
            let mut rest = index;
            let mut stride = 1;
            let mut matrix = 0;
            for (axis, sizes) in leading.iter().enumerate().rev() {
                let size = output[axis];
                matrix += if sizes[operand] == 1 {
                    0
                } else {
                    rest % size * stride
                };
                stride *= sizes[operand];
                rest /= size;
            }
            matrix
        };
        let pairs = (0..batch)
            .map(|index| (matrix(index, 0), matrix(index, 1)))
            .collect();
        Self {
            output,
            shape,
            pairs,
        }
    }

    /// Runs `product` on every pair of matrices and joins the results.
    fn for_each<T>(
        &self,
        activation: &[u8],
        weight: &[u8],
        product: impl Fn(&[u8], &[u8], MatmulShape) -> Vec<T>,
    ) -> Vec<T> {
        let MatmulShape {
            rows,
            inner,
            columns,
        } = self.shape;
        let mut joined = Vec::new();
        for (left, right) in &self.pairs {
            let activation = &activation[left * rows * inner..(left + 1) * rows * inner];
            let weight = &weight[right * inner * columns..(right + 1) * inner * columns];
            let values = product(activation, weight, self.shape);
            if self.pairs.len() == 1 {
                return values;
            }
            joined.extend(values);
        }
        joined
    }
}
