//! Products with a weight: which operations are layers, and how one runs.
//!
//! A convolution or linear operation whose weight is made of parameters alone is a layer, as it would be if the model
//! had the drop-in in that place; so is a matrix product, written by hand, of what depends on the input with one such
//! matrix, or of one such matrix with what depends on the input: `w x` is the linear layer of both transposed, `(x^T
//! w^T)^T`. A layer computes by the same functions as the drop-ins, so its modes, plans, states and numbers are theirs.

use burn::backend::ir::{FloatOperationIr, ModuleOperationIr, OperationIr, TensorIr};
use burn::backend::ops::FloatTensorOps;
use burn::backend::{Dispatch, DispatchTensor, TensorMetadata};
use burn::tensor::Tensor;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};

use super::parameters::GraphLayer;
use super::program::{Frame, Kernel};
use super::slots::slot;
use super::sources::{Source, Sources};
use crate::error::ApproxError;
use crate::nn::conv::{conv_transpose1d, conv_transpose2d, conv1d, conv2d, conv3d};
use crate::nn::{Approximation, LayerKind, LayerShape, linear};

/// An operation that is a layer.
pub(super) struct Product<'a> {
    input: &'a TensorIr,
    weight: &'a TensorIr,
    bias: Option<&'a TensorIr>,
    out: &'a TensorIr,
    form: Form,
    /// The first parameter that the weight is made of.
    parameter: usize,
}

/// What the operation is.
#[derive(Clone)]
enum Form {
    Linear,
    /// A product with a matrix that has further axes of size 1 before its own two.
    Matmul,
    /// The product of such a matrix with the input, which may be followed by a sum.
    MatmulOnLeft,
    Conv1d(ConvOptions<1>),
    Conv2d(ConvOptions<2>),
    Conv3d(ConvOptions<3>),
    ConvTranspose1d(ConvTransposeOptions<1>),
    ConvTranspose2d(ConvTransposeOptions<2>),
}

/// What makes two products the same layer.
#[derive(PartialEq)]
pub(super) struct Identity {
    /// The slot of the weight as it was before it was reshaped.
    weight: usize,
    /// Whether the weight is transposed.
    on_left: bool,
    shape: LayerShape,
}

impl<'a> Product<'a> {
    /// The layer that an operation is, if it is one.
    pub(super) fn of(operation: &'a OperationIr, sources: &Sources) -> Option<Self> {
        let is_weight = |tensor| matches!(sources.of(tensor), Source::Parameters(_));
        let (input, weight, bias, out, form) = match operation {
            // Any product of two matrices was restored as a linear layer, whichever of the two is the weight.
            OperationIr::Module(ModuleOperationIr::Linear(op)) => {
                let (bias, out) = (op.bias.as_ref(), &op.out);
                match is_weight(&op.x) {
                    true => (&op.weight, &op.x, bias, out, Form::MatmulOnLeft),
                    false => (&op.x, &op.weight, bias, out, Form::Linear),
                }
            }
            OperationIr::Module(ModuleOperationIr::Conv1d(op)) => {
                let form = Form::Conv1d(op.options.clone().into());
                (&op.x, &op.weight, op.bias.as_ref(), &op.out, form)
            }
            OperationIr::Module(ModuleOperationIr::Conv2d(op)) => {
                let form = Form::Conv2d(op.options.clone().into());
                (&op.x, &op.weight, op.bias.as_ref(), &op.out, form)
            }
            OperationIr::Module(ModuleOperationIr::Conv3d(op)) => {
                let form = Form::Conv3d(op.options.clone().into());
                (&op.x, &op.weight, op.bias.as_ref(), &op.out, form)
            }
            OperationIr::Module(ModuleOperationIr::ConvTranspose1d(op)) => {
                let form = Form::ConvTranspose1d(op.options.clone().into());
                (&op.x, &op.weight, op.bias.as_ref(), &op.out, form)
            }
            OperationIr::Module(ModuleOperationIr::ConvTranspose2d(op)) => {
                let form = Form::ConvTranspose2d(op.options.clone().into());
                (&op.x, &op.weight, op.bias.as_ref(), &op.out, form)
            }
            OperationIr::Float(_, FloatOperationIr::Matmul(op)) => match is_weight(&op.lhs) {
                true => (&op.rhs, &op.lhs, None, &op.out, Form::MatmulOnLeft),
                false => (&op.lhs, &op.rhs, None, &op.out, Form::Matmul),
            },
            _ => return None,
        };
        let Source::Parameters(parameter) = sources.of(weight) else {
            return None;
        };
        let from_input = sources.of(input) == Source::Inputs;
        let fits = match form {
            // The rank that a layer's input may have, beside the convolution's own.
            Form::Linear => (2..=6).contains(&input.shape.len()),
            Form::Conv1d(_)
            | Form::Conv2d(_)
            | Form::Conv3d(_)
            | Form::ConvTranspose1d(_)
            | Form::ConvTranspose2d(_) => true,
            Form::Matmul | Form::MatmulOnLeft => {
                let rank = weight.shape.len();
                let single = weight.shape[..rank - 2].iter().all(|size| *size == 1);
                single && rank == input.shape.len() && (2..=6).contains(&rank) && from_input
            }
        };
        let is_activation = from_input || sources.of(input) == Source::Constants;
        let bias_varies = bias.is_some_and(|bias| sources.of(bias) == Source::Inputs);
        (fits && is_activation && !bias_varies).then_some(Self {
            input,
            weight,
            bias,
            out,
            form,
            parameter,
        })
    }

    fn shape(&self) -> LayerShape {
        let weight = &self.weight.shape;
        match &self.form {
            Form::Conv1d(options) => {
                LayerShape::convolution(LayerKind::Conv1d, weight, options.groups)
            }
            Form::Conv2d(options) => {
                LayerShape::convolution(LayerKind::Conv2d, weight, options.groups)
            }
            Form::Conv3d(options) => {
                LayerShape::convolution(LayerKind::Conv3d, weight, options.groups)
            }
            Form::ConvTranspose2d(options) => LayerShape::transposed_convolution(
                LayerKind::ConvTranspose2d,
                weight,
                options.groups,
                [options.stride.to_vec(), options.dilation.to_vec()],
            ),
            Form::ConvTranspose1d(options) => LayerShape::transposed_convolution(
                LayerKind::ConvTranspose1d,
                weight,
                options.groups,
                [options.stride.to_vec(), options.dilation.to_vec()],
            ),
            Form::Linear | Form::Matmul => {
                let rank = weight.len();
                let matrix = [weight[rank - 2], weight[rank - 1]];
                LayerShape::linear(matrix)
            }
            Form::MatmulOnLeft => {
                let rank = weight.len();
                let transposed = [weight[rank - 1], weight[rank - 2]];
                LayerShape::linear(transposed)
            }
        }
    }

    pub(super) fn identity(&self, sources: &Sources) -> Identity {
        Identity {
            weight: sources.origin(self.weight),
            on_left: matches!(self.form, Form::MatmulOnLeft),
            shape: self.shape(),
        }
    }

    /// The module that the layer belongs to: the one that holds its weight, or a bare parameter itself.
    pub(super) fn module<'p>(&self, parameters: &'p [String]) -> &'p str {
        let path = parameters[self.parameter].as_str();
        match path.rsplit_once('.') {
            Some((module, "weight")) => module,
            None if path == "weight" => "",
            _ => path,
        }
    }

    pub(super) fn layer(&self, parameters: &[String]) -> GraphLayer {
        GraphLayer {
            module: self.module(parameters).to_string(),
            name: None,
            ordinal: 0,
            approximation: Approximation::new(self.shape()),
        }
    }

    /// The step that computes it as a layer.
    pub(super) fn kernel(&self, layer: usize) -> Kernel {
        let [input, weight, out] = [self.input, self.weight, self.out].map(slot);
        let (bias, form) = (self.bias.map(slot), self.form.clone());
        Box::new(move |frame| {
            let operands = Operands {
                input: operand(frame, input),
                weight: operand(frame, weight),
                bias: bias.map(|bias| Tensor::from_dispatch(operand(frame, bias))),
            };
            let approximation = frame.layers[layer];
            let output = match &form {
                Form::Conv1d(options) => {
                    operands.convolution(approximation, options.clone(), conv1d::apply)?
                }
                Form::Conv2d(options) => {
                    operands.convolution(approximation, options.clone(), conv2d::apply)?
                }
                Form::Conv3d(options) => {
                    operands.convolution(approximation, options.clone(), conv3d::apply)?
                }
                Form::ConvTranspose2d(options) => {
                    operands.convolution(approximation, options.clone(), conv_transpose2d::apply)?
                }
                Form::ConvTranspose1d(options) => {
                    operands.convolution(approximation, options.clone(), conv_transpose1d::apply)?
                }
                Form::Linear => operands.linear(approximation)?,
                Form::Matmul => operands.matmul(approximation)?,
                Form::MatmulOnLeft => operands.matmul_on_left(approximation)?,
            };
            frame.put(out, output);
            Ok(())
        })
    }
}

/// Copied, since a layer looks at its operands before it computes with them; nobody works in place on them anyway.
pub(super) fn operand(frame: &Frame<'_>, slot: usize) -> DispatchTensor {
    frame
        .get(slot)
        .expect("a slot is filled before it is read, and emptied after its last use")
}

/// The operands of a layer in one run.
struct Operands {
    input: DispatchTensor,
    weight: DispatchTensor,
    bias: Option<Tensor<1>>,
}

/// Evaluates an expression with the constant `D` standing for the rank of a layer's input.
macro_rules! with_rank {
    ($tensor:expr, $D:ident => $body:expr) => {
        match $tensor.shape().len() {
            2 => with_rank!(@ 2, $D => $body),
            3 => with_rank!(@ 3, $D => $body),
            4 => with_rank!(@ 4, $D => $body),
            5 => with_rank!(@ 5, $D => $body),
            6 => with_rank!(@ 6, $D => $body),
            rank => unreachable!("an operation on rank {rank} is no layer"),
        }
    };
    (@ $rank:literal, $D:ident => $body:expr) => {{
        const $D: usize = $rank;
        $body
    }};
}

pub(super) use with_rank;

impl Operands {
    fn convolution<const D: usize, Options>(
        self,
        approximation: &Approximation,
        options: Options,
        apply: impl Fn(
            &Approximation,
            Tensor<D>,
            Tensor<D>,
            Option<Tensor<1>>,
            Options,
        ) -> Result<Tensor<D>, ApproxError>,
    ) -> Result<DispatchTensor, ApproxError> {
        let [input, weight] = [self.input, self.weight].map(Tensor::from_dispatch);
        let output = apply(approximation, input, weight, self.bias, options)?;
        Ok(output.into_dispatch())
    }

    fn linear(self, approximation: &Approximation) -> Result<DispatchTensor, ApproxError> {
        with_rank!(self.input, D => {
            let input = Tensor::<D>::from_dispatch(self.input);
            let weight = Tensor::from_dispatch(self.weight);
            let float = burn::tensor::module::linear;
            let output = linear::apply(approximation, input, weight, self.bias, float)?;
            Ok(output.into_dispatch())
        })
    }

    /// In float, the product as it is written: another form of it might add in another order.
    fn matmul(self, approximation: &Approximation) -> Result<DispatchTensor, ApproxError> {
        with_rank!(self.input, D => {
            let input = Tensor::<D>::from_dispatch(self.input);
            let written = Tensor::<D>::from_dispatch(self.weight);
            let dims = written.dims();
            let weight = written.clone().reshape([dims[D - 2], dims[D - 1]]);
            let float = |input, _, _| float_matmul(input, written);
            let output = linear::apply(approximation, input, weight, None, float)?;
            Ok(output.into_dispatch())
        })
    }

    /// In float, the product as it is written; simulated, that of both operands transposed.
    fn matmul_on_left(self, approximation: &Approximation) -> Result<DispatchTensor, ApproxError> {
        with_rank!(self.input, D => {
            let written = Tensor::<D>::from_dispatch(self.weight);
            let input = Tensor::<D>::from_dispatch(self.input);
            let product = linear::apply_on_left(approximation, written, input, float_matmul)?;
            // What is added lies along the columns, which are no channels of the layer.
            let output = match self.bias {
                Some(bias) => product + bias.unsqueeze(),
                None => product,
            };
            Ok(output.into_dispatch())
        })
    }
}

/// A matrix product in float.
pub(super) fn float_matmul<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> Tensor<D> {
    let [left, right] = [left, right].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::float_matmul(left, right))
}
