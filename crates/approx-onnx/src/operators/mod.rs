//! What operators compute, a file for each family; each has a `find` that knows the family's names.
//!
//! An operator is written with the operations of Burn's backends, which know no ranks. It asks for every setting that it
//! heeds; one that it does not ask for is an error, and so is a form that it does not know.

mod activations;
mod arithmetic;
mod attention;
mod axes;
mod comparisons;
mod convolutions;
mod einsum;
mod elementwise;
mod indexing;
mod limits;
mod making;
mod normalization;
mod padding;
mod pooling;
mod products;
mod quantization;
mod recurrent;
mod reductions;
mod resizing;
mod sampling;
mod scattering;
mod windows;

pub(crate) use self::quantization::{code_range, range as qonnx_range};
use crate::call::Call;
use crate::error::Problem;
use crate::graph::{JOINED, Operator};
use crate::values::Value;

/// What an operator computes.
#[derive(Clone, Copy)]
pub(crate) enum Function {
    /// It gives one value.
    One(fn(&Call<'_>) -> Result<Value, Problem>),
    /// It gives several, or fewer than it could.
    Several(fn(&Call<'_>) -> Result<Vec<Value>, Problem>),
}

impl Function {
    pub(crate) fn call(self, call: &Call<'_>) -> Result<Vec<Value>, Problem> {
        match self {
            Self::One(function) => {
                let wanted = call.node.outputs.iter().filter(|name| !name.is_empty());
                match wanted.count() {
                    0 | 1 => Ok(vec![function(call)?]),
                    count => Err(Problem::new(format!(
                        "{count} of its outputs are used; the first alone is covered"
                    ))),
                }
            }
            Self::Several(function) => function(call),
        }
    }
}

/// The function of an operator, if it is covered.
pub(crate) fn find(operator: &Operator) -> Option<Function> {
    let name = operator.name.as_str();
    match operator.domain.as_str() {
        "" => {
            let one = [
                activations::find(name),
                arithmetic::find(name),
                attention::find(name),
                axes::find(name),
                comparisons::find(name),
                convolutions::find(name),
                einsum::find(name),
                elementwise::find(name),
                indexing::find(name),
                making::find(name),
                normalization::find(name),
                padding::find(name),
                pooling::find(name),
                products::find(name),
                quantization::find(name),
                recurrent::find(name),
                reductions::find(name),
                resizing::find(name),
                sampling::find(name),
                scattering::find(name),
            ];
            one.into_iter().flatten().next()
        }
        JOINED => products::find_of_joined(name),
        "com.microsoft" => {
            activations::find_of_runtime(name).or_else(|| quantization::find_of_runtime(name))
        }
        "qonnx.custom_op.general" | "onnx.brevitas" | "finn.custom_op.general" => {
            quantization::find_of_qonnx(name)
        }
        _ => None,
    }
}
