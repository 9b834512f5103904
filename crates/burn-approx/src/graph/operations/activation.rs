//! Activation functions.

use burn::backend::ir::ActivationOperationIr;
use burn::backend::ops::ActivationOps;
use burn::backend::{Dispatch, Scalar};

use super::{along, binary, map, scalar, unary};
use crate::graph::program::Kernel;

pub(super) fn kernel(operation: &ActivationOperationIr) -> Option<Kernel> {
    use ActivationOperationIr::*;
    Some(match operation {
        Relu(op) => unary(op, Dispatch::relu),
        LeakyRelu(op) => scalar(op, Dispatch::leaky_relu),
        PRelu(op) => binary(op, Dispatch::prelu),
        Gelu(op) => unary(op, Dispatch::gelu),
        Sigmoid(op) => unary(op, Dispatch::sigmoid),
        HardSigmoid(op) => {
            let (alpha, beta) = (Scalar::from(op.alpha), Scalar::from(op.beta));
            map(&op.tensor, &op.out, move |input| {
                Dispatch::hard_sigmoid(input, alpha, beta)
            })
        }
        LogSigmoid(op) => unary(op, Dispatch::log_sigmoid),
        Softmax(op) => along(op, Dispatch::softmax),
        LogSoftmax(op) => along(op, Dispatch::log_softmax),
        Softmin(op) => along(op, Dispatch::softmin),
        // A forward pass has no backward passes in it.
        ReluBackward(_) | GeluBackward(_) | SigmoidBackward(_) | LogSigmoidBackward(_) => {
            return None;
        }
    })
}
