//! Products with a weight: which operations are layers, and how one runs.
//!
//! A convolution or linear operation whose activation depends on the input and whose weight depends on parameters alone is a layer.
//! It computes by the same functions as the drop-in layers, so its modes, plans, states and numbers are theirs.

use burn::backend::ir::{ModuleOperationIr, OperationIr, TensorIr};
use burn::backend::{DispatchTensor, TensorMetadata};
use burn::tensor::Tensor;
use burn::tensor::ops::ConvOptions;

use super::capture::slot;
use super::parameters::GraphLayer;
use super::program::{Frame, Kernel};
use crate::error::ApproxError;
use crate::nn::{Approximation, LayerKind, LayerShape, conv, linear};

/// A product of a recording that may become a layer.
pub(super) struct Product<'a> {
    pub(super) input: &'a TensorIr,
    pub(super) weight: &'a TensorIr,
    pub(super) bias: Option<&'a TensorIr>,
    pub(super) out: &'a TensorIr,
    /// The options of a convolution; absent for a linear layer.
    convolution: Option<ConvOptions<2>>,
}

/// What makes two products the same layer.
#[derive(PartialEq)]
pub(super) struct Identity {
    weight: usize,
    shape: LayerShape,
}

impl<'a> Product<'a> {
    pub(super) fn of(operation: &'a OperationIr) -> Option<Self> {
        let OperationIr::Module(operation) = operation else {
            return None;
        };
        match operation {
            ModuleOperationIr::Linear(op) => Some(Self {
                input: &op.x,
                weight: &op.weight,
                bias: op.bias.as_ref(),
                out: &op.out,
                convolution: None,
            }),
            ModuleOperationIr::Conv2d(op) => Some(Self {
                input: &op.x,
                weight: &op.weight,
                bias: op.bias.as_ref(),
                out: &op.out,
                convolution: Some(op.options.clone().into()),
            }),
            _ => None,
        }
    }

    fn shape(&self) -> LayerShape {
        LayerShape {
            kind: match self.convolution {
                Some(_) => LayerKind::Conv2d,
                None => LayerKind::Linear,
            },
            weight: self.weight.shape.to_vec(),
            groups: self.convolution.as_ref().map_or(1, |options| options.groups),
        }
    }

    pub(super) fn identity(&self) -> Identity {
        Identity {
            weight: slot(self.weight),
            shape: self.shape(),
        }
    }

    /// A layer that belongs to a module.
    pub(super) fn layer(&self, module: String, ordinal: usize) -> GraphLayer {
        GraphLayer {
            module,
            ordinal,
            approximation: Approximation::new(self.shape()),
        }
    }

    /// The step that computes it as a layer.
    pub(super) fn kernel(&self, layer: usize) -> Kernel {
        let [input, weight, out] = [self.input, self.weight, self.out].map(slot);
        let bias = self.bias.map(slot);
        let options = self.convolution.clone();
        Box::new(move |frame| {
            let operands = Operands {
                input: operand(frame, input),
                weight: operand(frame, weight),
                bias: bias.map(|bias| Tensor::from_dispatch(operand(frame, bias))),
            };
            let approximation = &frame.layers[layer].approximation;
            let output = match &options {
                Some(options) => operands.conv2d(approximation, options.clone())?,
                None => operands.linear(approximation)?,
            };
            frame.put(out, output);
            Ok(())
        })
    }
}

/// Copied, since a layer looks at its operands before it computes with them; nobody works in place on them anyway.
fn operand(frame: &Frame<'_>, slot: usize) -> DispatchTensor {
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

impl Operands {
    fn conv2d(
        self,
        approximation: &Approximation,
        options: ConvOptions<2>,
    ) -> Result<DispatchTensor, ApproxError> {
        let [input, weight] = [self.input, self.weight].map(Tensor::from_dispatch);
        let output = conv::apply(approximation, input, weight, self.bias, options)?;
        Ok(output.into_dispatch())
    }

    fn linear(self, approximation: &Approximation) -> Result<DispatchTensor, ApproxError> {
        macro_rules! of_rank {
            ($($rank:literal)+) => {
                match self.input.shape().len() {
                    $($rank => {
                        let input = Tensor::<$rank>::from_dispatch(self.input);
                        let weight = Tensor::from_dispatch(self.weight);
                        linear::apply(approximation, input, weight, self.bias)?.into_dispatch()
                    })+
                    rank => unreachable!("inputs of rank {rank} are no layers"),
                }
            };
        }
        Ok(of_rank!(2 3 4 5 6))
    }
}

/// The ranks that the input of a linear layer may have.
pub(super) const LINEAR_RANKS: std::ops::RangeInclusive<usize> = 2..=6;
