//! Plans of the kernels that compute with codes: products of integer factors, lookups, HTP models. Operands are encoded
//! in one pass each, weights once where they are kept; the product's kernel corrects for zero points and scales.

use std::sync::Arc;

use approx_cpu::{Conv2dShape, ConvTranspose2dShape, MatmulShape};
use burn::backend::TensorMetadata;
use burn::tensor::Shape;
use burn_cubecl::CubeDevice;
use burn_cubecl::tensor::CubeTensor;
use cubecl::server::Handle;
use kernels_cubecl::{
    Conv2dProblem, ConvTranspose2dProblem, DeviceFactors, DeviceTable, EncodedCodes, MatmulProblem,
    MatrixPairs, Operand, Output, QuantizerBuffer, ScalarProduct, Words,
};

use super::buffers::{encoded, float_tensor, operand, quantizer_buffer};
use super::tables;
use crate::backends::checked;
use crate::geometry::Geometry;
use crate::geometry::matmul::BatchedMatmul;
use crate::multiplier::Route;
use crate::plan::{ProductOperation, TWO_TO_31};

/// What one operand contributes to a product.
struct Quantized {
    encoded: EncodedCodes,
    quantizer: QuantizerBuffer,
}

/// Both operands, the weight's as it was kept.
struct Operands {
    activation: Quantized,
    weight: Arc<Quantized>,
}

impl Operands {
    fn new(
        activation: CubeTensor,
        weight: CubeTensor,
        [activation_quantizer, weight_quantizer]: [CubeTensor; 2],
        operation: &ProductOperation,
    ) -> Self {
        let (activation_format, weight_format) = operation.multiplier().formats();
        let quantized = |values, quantizer, grid, format| {
            let quantizer = quantizer_buffer(quantizer, grid);
            Quantized {
                encoded: encoded(values, &quantizer, grid, format),
                quantizer,
            }
        };
        let weight = operation
            .kept_weight(|| quantized(weight, weight_quantizer, operation.weight(), weight_format));
        let grid = operation.activation();
        let activation = quantized(activation, activation_quantizer, grid, activation_format);
        Self { activation, weight }
    }

    fn output(&self) -> Output<'_> {
        Output::Rescaled {
            activation: &self.activation.quantizer,
            weight: &self.weight.quantizer,
        }
    }

    fn operands(&self) -> [Operand<'_>; 2] {
        [&self.activation.encoded, &self.weight.encoded].map(operand)
    }
}

/// The multiplier as the kernels take it.
pub(super) enum Multiplication {
    Lookup(Arc<DeviceTable>),
    Integer(Arc<DeviceFactors<i32>>),
    Model(Arc<DeviceFactors<f32>>),
}

impl Multiplication {
    pub(super) fn of(operation: &ProductOperation, device: &CubeDevice) -> Self {
        match operation.route() {
            Route::Gather => Self::Lookup(tables::table(operation, device)),
            Route::Htp => Self::Model(tables::model_factors(operation, device)),
            _ => Self::Integer(tables::integer_factors(operation, device)),
        }
    }

    /// The product of two codes, and what its sums are accumulated in.
    pub(super) fn product(&self, words: Words) -> ScalarProduct<'_> {
        match self {
            Self::Lookup(table) => ScalarProduct::Lookup { table, words },
            Self::Integer(factors) => ScalarProduct::Integer { factors, words },
            Self::Model(factors) => ScalarProduct::Real { factors },
        }
    }
}

/// The words of the accumulators of an operation's corrected sums.
fn words(operation: &ProductOperation) -> Words {
    match operation.route() {
        Route::Htp => Words::One,
        _ if checked(operation.largest_sum()) < TWO_TO_31 => Words::One,
        _ => Words::Two,
    }
}

/// Launches an operation on operands of these shapes.
pub(super) fn launch(
    beside: &CubeTensor,
    operation: &ProductOperation,
    [activation, weight]: &[Shape; 2],
    operands: [Operand<'_>; 2],
    product: ScalarProduct<'_>,
    output: Output<'_>,
) -> Handle {
    let client = &beside.client;
    checked(match *operation.geometry() {
        Geometry::Matmul(_) => {
            let batched = BatchedMatmul::new(activation, weight);
            let pairs = batched.pair_indices();
            let pairs = pairs.map(|pairs| MatrixPairs::new(client, &pairs));
            let problem = matmul_problem(&batched, pairs.as_ref());
            kernels_cubecl::matmul(client, problem, operands, product, output)
        }
        Geometry::Conv2d(shape) => {
            kernels_cubecl::conv2d(client, conv2d_problem(shape), operands, product, output)
        }
        Geometry::ConvTranspose2d(shape) => {
            let problem = conv_transpose2d_problem(shape);
            kernels_cubecl::conv_transpose2d(client, problem, operands, product, output)
        }
    })
}

/// A batch of matrix products as the kernels take it.
fn matmul_problem<'a>(
    batched: &BatchedMatmul,
    pairs: Option<&'a MatrixPairs>,
) -> MatmulProblem<'a> {
    let MatmulShape {
        rows,
        inner,
        columns,
    } = batched.shape;
    let [activation_matrices, weight_matrices] = batched.matrix_counts();
    MatmulProblem {
        activation_matrices,
        weight_matrices,
        rows,
        depth: inner,
        columns,
        pairs,
    }
}

/// A convolution as the kernels take it.
fn conv2d_problem(shape: Conv2dShape) -> Conv2dProblem {
    Conv2dProblem {
        batch: shape.batch,
        in_channels: shape.in_channels,
        out_channels: shape.out_channels,
        groups: shape.groups,
        input: shape.input,
        kernel: shape.kernel,
        output: shape.output(),
        stride: shape.stride,
        dilation: shape.dilation,
        padding: [shape.padding.top, shape.padding.left],
    }
}

/// A transposed convolution as the kernels take it.
fn conv_transpose2d_problem(shape: ConvTranspose2dShape) -> ConvTranspose2dProblem {
    ConvTranspose2dProblem {
        batch: shape.batch,
        in_channels: shape.in_channels,
        out_channels: shape.out_channels,
        groups: shape.groups,
        input: shape.input,
        kernel: shape.kernel,
        stride: shape.stride,
        dilation: shape.dilation,
        padding: shape.padding,
        output: shape.output(),
    }
}

/// An operation's product by the kernels that compute with codes.
pub(super) fn product(
    activation: CubeTensor,
    weight: CubeTensor,
    quantizers: [CubeTensor; 2],
    operation: &ProductOperation,
) -> CubeTensor {
    let shapes = [activation.shape(), weight.shape()];
    let beside = activation.clone();
    let operands = Operands::new(activation, weight, quantizers, operation);
    let values = launch(
        &beside,
        operation,
        &shapes,
        operands.operands(),
        Multiplication::of(operation, &beside.device).product(words(operation)),
        operands.output(),
    );
    let output = (operation.geometry()).output_shape(&shapes[0], &shapes[1]);
    float_tensor(&beside, values, output)
}
