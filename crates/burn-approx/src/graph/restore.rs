//! Linear layers in a recording: a backend's default writes one as a matrix product between reshapes, here it becomes one again.
//!
//! Burn folds the batch into the rows of the product, or keeps it, as suits the shapes: the same layer is written in either form
//! from one batch size to the next. As one operation it is the same at every size, and Burn decides anew in every forward pass.

use std::collections::HashMap;

use burn::backend::ir::{
    BaseOperationIr, FloatOperationIr, LinearOpIr, MatmulOpIr, ModuleOperationIr,
    NumericOperationIr, OperationIr, ShapeOpIr, TensorId, TensorIr,
};

/// Replaces every product of rows with one matrix, and the bias that is added to it, by a linear operation.
pub(super) fn restore_linear(
    operations: Vec<OperationIr>,
    outputs: &[TensorId],
) -> Vec<OperationIr> {
    let mut uses: HashMap<TensorId, usize> = HashMap::new();
    for id in (operations.iter())
        .flat_map(|operation| operation.inputs().map(|tensor| tensor.id).collect::<Vec<_>>())
        .chain(outputs.iter().copied())
    {
        *uses.entry(id).or_default() += 1;
    }
    let mut restored = Vec::with_capacity(operations.len());
    let mut rest = operations.as_slice();
    while let Some(first) = rest.first() {
        match Match::at(rest, &uses) {
            Some(found) => {
                restored.push(OperationIr::Module(ModuleOperationIr::Linear(found.linear)));
                rest = &rest[found.length..];
            }
            None => {
                restored.push(first.clone());
                rest = &rest[1..];
            }
        }
    }
    restored
}

/// A linear layer at the start of some operations, and how many of them it takes.
struct Match {
    linear: LinearOpIr,
    length: usize,
}

impl Match {
    fn at(operations: &[OperationIr], uses: &HashMap<TensorId, usize>) -> Option<Self> {
        Self::folded(operations, uses).or_else(|| Self::kept(operations, uses))
    }

    /// `reshape(reshape(x, [rows, in]) @ w + reshape(b, [1, out]), [.., out])`
    fn folded(operations: &[OperationIr], uses: &HashMap<TensorId, usize>) -> Option<Self> {
        let fold = reshape(operations.first()?)?;
        let product = matmul(operations.get(1)?)?;
        let (input, weight) = (&fold.input, &product.rhs);
        let outer = input.shape.len().checked_sub(1)?;
        let fits = product.lhs.id == fold.out.id
            && outer >= 2
            && fold.out.shape.len() == 2
            && fold.out.shape[1] == input.shape[outer]
            && weight.shape.len() == 2
            && uses.get(&fold.out.id) == Some(&1);
        if !fits {
            return None;
        }
        let found = Self::with_bias(input, weight, &product.out, operations, 2, uses);
        let unfold = reshape(operations.get(found.length)?)?;
        let unfolds = unfold.input.id == found.linear.out.id
            && unfold.out.shape.len() == outer + 1
            && unfold.out.shape[..outer] == input.shape[..outer]
            && uses.get(&found.linear.out.id) == Some(&1);
        unfolds.then(|| Self {
            linear: LinearOpIr {
                out: unfold.out.clone(),
                ..found.linear
            },
            length: found.length + 1,
        })
    }

    /// `x @ reshape(w, [1, .., in, out]) + reshape(b, [1, .., out])`, or with `w` as it is for `x` of rank 2.
    fn kept(operations: &[OperationIr], uses: &HashMap<TensorId, usize>) -> Option<Self> {
        if let Some(broadcast) = reshape(operations.first()?) {
            let product = matmul(operations.get(1)?)?;
            let (weight, rank) = (&broadcast.input, broadcast.out.shape.len());
            let fits = product.rhs.id == broadcast.out.id
                && product.lhs.id != broadcast.out.id
                && weight.shape.len() == 2
                && rank > 2
                && broadcast.out.shape[rank - 2..] == weight.shape[..]
                && uses.get(&broadcast.out.id) == Some(&1);
            return fits.then(|| {
                Self::with_bias(&product.lhs, weight, &product.out, operations, 2, uses)
            });
        }
        let product = matmul(operations.first()?)?;
        let fits = product.lhs.shape.len() == 2 && product.rhs.shape.len() == 2;
        fits.then(|| {
            let (input, weight) = (&product.lhs, &product.rhs);
            Self::with_bias(input, weight, &product.out, operations, 1, uses)
        })
    }

    /// A product that ends before `length`, with the bias if one is added next.
    fn with_bias(
        input: &TensorIr,
        weight: &TensorIr,
        product: &TensorIr,
        operations: &[OperationIr],
        length: usize,
        uses: &HashMap<TensorId, usize>,
    ) -> Self {
        let sum = || {
            let broadcast = reshape(operations.get(length)?)?;
            let OperationIr::NumericFloat(_, NumericOperationIr::Add(sum)) =
                operations.get(length + 1)?
            else {
                return None;
            };
            let shape = &broadcast.out.shape;
            let adds = broadcast.input.shape[..] == weight.shape[1..]
                && shape.len() == product.shape.len()
                && shape[shape.len() - 1] == weight.shape[1]
                && (sum.lhs.id, sum.rhs.id) == (product.id, broadcast.out.id)
                && [product.id, broadcast.out.id]
                    .iter()
                    .all(|id| uses.get(id) == Some(&1));
            adds.then(|| (broadcast.input.clone(), sum.out.clone()))
        };
        let (bias, out, length) = match sum() {
            Some((bias, out)) => (Some(bias), out, length + 2),
            None => (None, product.clone(), length),
        };
        let linear = LinearOpIr {
            x: input.clone(),
            weight: weight.clone(),
            bias,
            out,
        };
        Self { linear, length }
    }
}

fn reshape(operation: &OperationIr) -> Option<&ShapeOpIr> {
    match operation {
        OperationIr::BaseFloat(BaseOperationIr::Reshape(reshape)) => Some(reshape),
        _ => None,
    }
}

fn matmul(operation: &OperationIr) -> Option<&MatmulOpIr> {
    match operation {
        OperationIr::Float(_, FloatOperationIr::Matmul(matmul)) => Some(matmul),
        _ => None,
    }
}
