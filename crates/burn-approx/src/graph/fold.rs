//! Batch normalisation folded into the convolution before it.
//!
//! `gamma (x * w + b - mean) / sqrt(variance + epsilon) + beta` is the convolution with the weight `w s` and the bias
//! `(b - mean) s + beta`, where `s = gamma / sqrt(variance + epsilon)` per output channel. Weight and bias are computed
//! by operations of the graph itself, so that gradients reach all parameters.

use burn::backend::ir::{
    BaseOperationIr, BatchNormOpIr, BinaryOpIr, Conv1dOpIr, Conv2dOpIr, Conv3dOpIr,
    FloatOperationIr, ModuleOperationIr, NumericOperationIr, OperationIr, ScalarOpIr, ShapeOpIr,
    TensorId, TensorIr, UnaryOpIr,
};
use burn::tensor::Shape;

use super::capture::Recording;
use super::slots::slot;

/// Folds every batch normalisation by running statistics that follows a convolution at once.
pub(super) fn fold_batch_norm(recording: &mut Recording) {
    let operations = std::mem::take(&mut recording.operations);
    let mut uses = vec![0; recording.slots];
    for read in operations.iter().flat_map(OperationIr::nodes).map(slot) {
        uses[read] += 1;
    }
    for output in &recording.outputs {
        uses[*output] += 1;
    }
    let mut folded = Folded {
        operations: Vec::with_capacity(operations.len()),
        slots: recording.slots,
    };
    let mut rest = operations.as_slice();
    while let Some((first, others)) = rest.split_first() {
        if let (
            Some(convolution),
            Some(OperationIr::Module(ModuleOperationIr::BatchNorm(norm))),
        ) = (Convolution::of(first), others.first())
            // Named where it is made and where it is normalised, and nowhere else.
            && norm.x.id == convolution.out.id
            && uses[slot(&norm.x)] == 2
            && is_of_parameters(norm, recording.first_input)
        {
            folded.fold(&convolution, norm);
            rest = &others[1..];
        } else {
            folded.operations.push(first.clone());
            rest = others;
        }
    }
    recording.operations = folded.operations;
    recording.slots = folded.slots;
}

/// Whether a normalisation is by parameters and running statistics.
fn is_of_parameters(norm: &BatchNormOpIr, parameters: usize) -> bool {
    let operands = [&norm.gamma, &norm.beta, &norm.mean, &norm.variance];
    operands.iter().all(|operand| slot(operand) < parameters)
}

/// What folding needs of a convolution over any number of axes.
struct Convolution<'a> {
    weight: &'a TensorIr,
    bias: Option<&'a TensorIr>,
    out: &'a TensorIr,
    /// The operation with another weight, bias and output.
    with: Box<dyn Fn([TensorIr; 3]) -> ModuleOperationIr + 'a>,
}

impl<'a> Convolution<'a> {
    fn of(operation: &'a OperationIr) -> Option<Self> {
        macro_rules! convolution {
            ($op:expr, $kind:ident, $Operation:ident) => {
                Some(Self {
                    weight: &$op.weight,
                    bias: $op.bias.as_ref(),
                    out: &$op.out,
                    with: Box::new(move |[weight, bias, out]| {
                        ModuleOperationIr::$kind($Operation {
                            weight,
                            bias: Some(bias),
                            out,
                            ..$op.clone()
                        })
                    }),
                })
            };
        }
        match operation {
            OperationIr::Module(ModuleOperationIr::Conv1d(op)) => {
                convolution!(op, Conv1d, Conv1dOpIr)
            }
            OperationIr::Module(ModuleOperationIr::Conv2d(op)) => {
                convolution!(op, Conv2d, Conv2dOpIr)
            }
            OperationIr::Module(ModuleOperationIr::Conv3d(op)) => {
                convolution!(op, Conv3d, Conv3dOpIr)
            }
            _ => None,
        }
    }
}

/// Operations being written.
struct Folded {
    operations: Vec<OperationIr>,
    slots: usize,
}

impl Folded {
    fn fold(&mut self, convolution: &Convolution<'_>, norm: &BatchNormOpIr) {
        let deviation = self.add_epsilon(&norm.variance, norm);
        let deviation = self.square_root(&deviation);
        let scale = self.binary(&norm.gamma, &deviation, NumericOperationIr::Div);
        let mut along = vec![1; convolution.weight.shape.len()];
        along[0] = scale.shape[0];
        let along_weight = self.reshape(&scale, along);
        let weight = self.binary(convolution.weight, &along_weight, NumericOperationIr::Mul);
        let bias = match convolution.bias {
            Some(bias) => {
                let centred = self.binary(bias, &norm.mean, NumericOperationIr::Sub);
                let scaled = self.binary(&centred, &scale, NumericOperationIr::Mul);
                self.binary(&scaled, &norm.beta, NumericOperationIr::Add)
            }
            None => {
                let scaled = self.binary(&norm.mean, &scale, NumericOperationIr::Mul);
                self.binary(&norm.beta, &scaled, NumericOperationIr::Sub)
            }
        };
        let folded = (convolution.with)([weight, bias, norm.out.clone()]);
        self.operations.push(OperationIr::Module(folded));
    }

    /// A tensor of its own slot.
    fn tensor(&mut self, like: &TensorIr, shape: Shape) -> TensorIr {
        let id = TensorId::new(self.slots as u64);
        self.slots += 1;
        TensorIr {
            id,
            shape,
            ..like.clone()
        }
    }

    fn add_epsilon(&mut self, variance: &TensorIr, norm: &BatchNormOpIr) -> TensorIr {
        let out = self.tensor(variance, variance.shape.clone());
        let operation = NumericOperationIr::AddScalar(ScalarOpIr {
            lhs: variance.clone(),
            rhs: norm.epsilon,
            out: out.clone(),
        });
        self.operations
            .push(OperationIr::NumericFloat(out.dtype, operation));
        out
    }

    fn square_root(&mut self, input: &TensorIr) -> TensorIr {
        let out = self.tensor(input, input.shape.clone());
        let operation = FloatOperationIr::Sqrt(UnaryOpIr {
            input: input.clone(),
            out: out.clone(),
        });
        self.operations
            .push(OperationIr::Float(out.dtype, operation));
        out
    }

    fn reshape(&mut self, input: &TensorIr, shape: Vec<usize>) -> TensorIr {
        let out = self.tensor(input, Shape::from(shape));
        let operation = BaseOperationIr::Reshape(ShapeOpIr {
            input: input.clone(),
            out: out.clone(),
        });
        self.operations.push(OperationIr::BaseFloat(operation));
        out
    }

    fn binary(
        &mut self,
        left: &TensorIr,
        right: &TensorIr,
        operation: fn(BinaryOpIr) -> NumericOperationIr,
    ) -> TensorIr {
        let out = self.tensor(left, left.shape.clone());
        let operation = operation(BinaryOpIr {
            lhs: left.clone(),
            rhs: right.clone(),
            out: out.clone(),
        });
        self.operations
            .push(OperationIr::NumericFloat(out.dtype, operation));
        out
    }
}
