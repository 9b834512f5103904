//! Linear layers in a recording: a backend's default writes one as a matrix product between reshapes, here it becomes
//! one again.
//!
//! Burn folds the batch into the rows of the product, or keeps it, as suits the shapes: the same layer is written in
//! either form from one batch size to the next. As one operation it is the same at every size, and Burn decides anew in
//! every forward pass.
//!
//! A model may write the same products itself, in a form that does not follow the batch. Only what has the form that
//! Burn chooses, at every recorded size, is a linear layer; the rest stays as it is written, so that its sums keep
//! their order. One form is told from the other for sure by a batch size at which Burn changes its mind:
//! [`decisive_batch`].

use std::collections::HashMap;

use burn::backend::ir::{
    BaseOperationIr, FloatOperationIr, LinearOpIr, MatmulOpIr, ModuleOperationIr,
    NumericOperationIr, OperationIr, ShapeOpIr, TensorId, TensorIr,
};
use burn::tensor::Shape;
use burn_std::{MatmulTransformAction, MatmulTransformAnalysis, MatmulTransformPolicy};

use super::capture::Capture;

/// Replaces what is a linear layer in all captures of one model by a linear operation.
pub(super) fn restore_linear(captures: &mut [Capture]) {
    let restored = walk(captures).restored;
    for (capture, operations) in captures.iter_mut().zip(restored) {
        capture.operations = operations;
    }
}

/// A batch size at which Burn no longer folds the layers that it folds at all sizes so far; `None` if there is no such
/// layer.
pub(super) fn decisive_batch(captures: &[Capture]) -> Option<usize> {
    walk(captures).decisive
}

/// What a walk through all captures at once finds.
struct Walk {
    restored: Vec<Vec<OperationIr>>,
    decisive: Option<usize>,
}

fn walk(captures: &[Capture]) -> Walk {
    let uses: Vec<_> = captures.iter().map(count_uses).collect();
    let mut rest: Vec<&[OperationIr]> = (captures.iter())
        .map(|capture| capture.operations.as_slice())
        .collect();
    let mut walk = Walk {
        restored: vec![Vec::new(); captures.len()],
        decisive: None,
    };
    while rest.iter().any(|rest| !rest.is_empty()) {
        let found: Option<Vec<Match>> = (rest.iter().zip(&uses))
            .map(|(rest, uses)| Match::at(rest, uses))
            .collect();
        match found {
            Some(found) => {
                if found.iter().all(|found| found.folded) {
                    let decisive = unfolding_batch(captures[0].batch, &found[0].linear);
                    walk.decisive = walk.decisive.max(decisive);
                }
                for ((rest, restored), found) in rest.iter_mut().zip(&mut walk.restored).zip(found)
                {
                    *rest = &rest[found.length..];
                    let linear = ModuleOperationIr::Linear(found.linear);
                    restored.push(OperationIr::Module(linear));
                }
            }
            None => {
                for (rest, restored) in rest.iter_mut().zip(&mut walk.restored) {
                    if let Some((first, others)) = rest.split_first() {
                        restored.push(first.clone());
                        *rest = others;
                    }
                }
            }
        }
    }
    walk
}

/// How often each tensor is read.
fn count_uses(capture: &Capture) -> HashMap<TensorId, usize> {
    let mut uses = HashMap::new();
    let read = (capture.operations.iter()).flat_map(|operation| {
        operation
            .inputs()
            .map(|tensor| tensor.id)
            .collect::<Vec<_>>()
    });
    for id in read.chain(capture.outputs()) {
        *uses.entry(id).or_default() += 1;
    }
    uses
}

/// Whether Burn folds the batch of a linear layer into its rows.
fn folds(input: &Shape, weight: &Shape) -> bool {
    let analysis = MatmulTransformAnalysis::from_shapes(input, weight);
    let action = MatmulTransformPolicy::default().action(&analysis);
    matches!(action, MatmulTransformAction::MergeBatches { .. })
}

/// The smallest batch that Burn no longer folds, for a layer that is folded at this batch size.
fn unfolding_batch(batch: usize, linear: &LinearOpIr) -> Option<usize> {
    /// Beyond, nobody runs it.
    const LARGEST: usize = 1 << 16;
    let with_batch = |size: usize| {
        let mut dims = linear.x.shape.to_vec();
        // The batch is the first size or a factor of it.
        dims[0] = (dims[0] / batch).max(1) * size;
        Shape::from(dims)
    };
    (batch + 1..LARGEST).find(|size| !folds(&with_batch(*size), &linear.weight.shape))
}

/// A linear layer at the start of some operations, and how many of them it takes.
struct Match {
    linear: LinearOpIr,
    length: usize,
    /// Whether the batch is folded into the rows.
    folded: bool,
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
            && uses.get(&fold.out.id) == Some(&1)
            && folds(&input.shape, &weight.shape);
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
            folded: true,
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
                && uses.get(&broadcast.out.id) == Some(&1)
                && !folds(&product.lhs.shape, &weight.shape);
            return fits
                .then(|| Self::with_bias(&product.lhs, weight, &product.out, operations, 2, uses));
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
        Self {
            linear,
            length,
            folded: false,
        }
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

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::{Device, Tensor};

    use super::super::capture::record;
    use super::*;

    const INPUTS: usize = 6;

    /// Linear layers side by side, recorded on `[batch, tokens, INPUTS]`.
    fn captured(outputs: &[usize], tokens: usize, batch: usize) -> Capture {
        let device = Device::flex();
        let layers: Vec<Linear> = (outputs.iter())
            .map(|outputs| LinearConfig::new(INPUTS, *outputs).init(&device))
            .collect();
        let input = Tensor::<3>::ones([1, tokens, INPUTS], &device);
        let forward = |layers: &Vec<Linear>, input: Tensor<3>| {
            let results = layers.iter().map(|layer| layer.forward(input.clone()));
            Tensor::cat(results.collect(), 2)
        };
        record(&layers, input, batch, &device, None, &forward).unwrap()
    }

    /// How many of the layers in a recording are folded.
    fn folded(capture: &Capture) -> usize {
        let uses = count_uses(capture);
        (0..capture.operations.len())
            .filter(|start| Match::folded(&capture.operations[*start..], &uses).is_some())
            .count()
    }

    fn decisive(outputs: &[usize], tokens: usize, batches: [usize; 3]) -> Option<usize> {
        decisive_batch(&batches.map(|batch| captured(outputs, tokens, batch)))
    }

    /// The decisive batch is the first one that Burn records in the other form: one smaller is folded still.
    #[test]
    fn burn_changes_its_mind_at_the_decisive_batch() {
        for (outputs, tokens) in [(16, 5), (16, 7), (40, 3), (9, 2)] {
            let batch = decisive(&[outputs], tokens, [2, 3, 4]).expect("few rows are folded");
            assert!(batch > 4, "{batch}");
            assert_eq!(
                folded(&captured(&[outputs], tokens, batch - 1)),
                1,
                "{batch}"
            );
            assert_eq!(folded(&captured(&[outputs], tokens, batch)), 0, "{batch}");
        }
    }

    /// Beyond the decisive batch of several layers, none of them is folded.
    #[test]
    fn the_last_layer_decides() {
        let alone = [16, 40].map(|outputs| decisive(&[outputs], 5, [2, 3, 4]).unwrap());
        assert!(alone[0] < alone[1], "{alone:?}");
        for outputs in [[16, 40], [40, 16]] {
            assert_eq!(decisive(&outputs, 5, [2, 3, 4]), Some(alone[1]));
            assert_eq!(folded(&captured(&outputs, 5, alone[0])), 1);
            assert_eq!(folded(&captured(&outputs, 5, alone[1])), 0);
        }
    }

    /// Nothing is left to decide where a layer is never folded, or already was recorded in both forms.
    #[test]
    fn layers_that_show_both_forms_need_no_other_batch() {
        // 32 rows fill Burn's tiles as they are.
        assert_eq!(decisive(&[64], 32, [2, 3, 4]), None);
        let batch = decisive(&[16], 5, [2, 3, 4]).unwrap();
        assert_eq!(decisive(&[16], 5, [2, 3, batch]), None);
    }

    #[test]
    fn a_layer_in_either_form_is_restored() {
        let batch = decisive(&[16], 5, [2, 3, 4]).unwrap();
        let mut captures = [2, batch].map(|batch| captured(&[16], 5, batch));
        restore_linear(&mut captures);
        for capture in captures {
            let linear = (capture.operations.iter()).filter(|operation| {
                matches!(operation, OperationIr::Module(ModuleOperationIr::Linear(_)))
            });
            assert_eq!(linear.count(), 1, "{:?}", capture.operations);
            assert!(!capture.operations.iter().any(|own| matmul(own).is_some()));
        }
    }
}
