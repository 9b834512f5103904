//! The gradient of a batch normalisation by the statistics of the batch, as one operator with what follows it.
//!
//! Of what it made, only the statistics are kept: which outputs lie within the limits is seen again from the operands.

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use burn_autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn_autodiff::{Autodiff, NodeId};

use super::constant;
use crate::backends::{ApproxOps, BatchNormSettings, Shortcut};

/// A tensor of the autodiff backend.
type Recorded<B, C> = FloatTensor<Autodiff<B, C>>;

/// What the backward pass needs besides the gradient.
#[derive(Clone, Debug)]
struct State<B: Backend> {
    values: NodeId,
    gamma: NodeId,
    beta: NodeId,
    shortcut: Option<NodeId>,
    mean: FloatTensor<B>,
    variance: FloatTensor<B>,
    settings: BatchNormSettings,
}

/// With `PARENTS` of values, gamma, beta and shortcut.
#[derive(Debug)]
struct FusedBatchNorm;

impl<B: Backend + ApproxOps, const PARENTS: usize> Backward<B, PARENTS> for FusedBatchNorm {
    type State = State<B>;

    fn backward(
        self,
        ops: Ops<Self::State, PARENTS>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = grads.consume::<B>(&ops.node);
        let state = ops.state;
        let mut operand = |node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node);
        let shortcut = match state.shortcut {
            Some(node) => Shortcut::Added(operand(node)),
            None => Shortcut::None,
        };
        let (values, gamma, beta, of_shortcut) = B::fused_batch_norm_gradient(
            state.mean,
            state.variance,
            operand(state.values),
            operand(state.gamma),
            operand(state.beta),
            shortcut,
            gradient,
            state.settings,
        );
        for (parent, gradient) in (ops.parents.into_iter()).zip([values, gamma, beta, of_shortcut])
        {
            if let Some(node) = parent {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

/// [`ApproxOps::fused_batch_norm`], recorded.
pub(super) fn forward<B: Backend + ApproxOps, C: CheckpointStrategy>(
    values: Recorded<B, C>,
    gamma: Recorded<B, C>,
    beta: Recorded<B, C>,
    shortcut: Shortcut<Autodiff<B, C>>,
    settings: BatchNormSettings,
) -> (Recorded<B, C>, Recorded<B, C>, Recorded<B, C>) {
    let (output, mean, variance) = match shortcut {
        Shortcut::None => {
            let nodes = [values.node(), gamma.node(), beta.node()];
            recorded::<B, C, 3>(nodes, values, gamma, beta, None, settings)
        }
        Shortcut::Added(shortcut) => {
            let nodes = [values.node(), gamma.node(), beta.node(), shortcut.node()];
            recorded::<B, C, 4>(nodes, values, gamma, beta, Some(shortcut), settings)
        }
    };
    (output, constant::<B, C>(mean), constant::<B, C>(variance))
}

fn recorded<B: Backend + ApproxOps, C: CheckpointStrategy, const PARENTS: usize>(
    nodes: [NodeGuard; PARENTS],
    values: Recorded<B, C>,
    gamma: Recorded<B, C>,
    beta: Recorded<B, C>,
    shortcut: Option<Recorded<B, C>>,
    settings: BatchNormSettings,
) -> (Recorded<B, C>, FloatTensor<B>, FloatTensor<B>) {
    let prepared = FusedBatchNorm
        .prepare::<C>(nodes)
        .compute_bound()
        .stateful();
    let compute = |values: Recorded<B, C>, shortcut| {
        let [gamma, beta] = [gamma.clone(), beta.clone()].map(|tensor| tensor.into_primitive());
        B::fused_batch_norm(values.into_primitive(), gamma, beta, shortcut, settings)
    };
    let inner = |shortcut: Option<Recorded<B, C>>| match shortcut {
        Some(shortcut) => Shortcut::Added(shortcut.into_primitive()),
        None => Shortcut::None,
    };
    match prepared {
        OpsKind::Tracked(mut prep) => {
            let (of_values, of_gamma) = (prep.checkpoint(&values), prep.checkpoint(&gamma));
            let of_beta = prep.checkpoint(&beta);
            let of_shortcut = shortcut.as_ref().map(|shortcut| prep.checkpoint(shortcut));
            let (output, mean, variance) = compute(values, inner(shortcut));
            let state = State {
                values: of_values,
                gamma: of_gamma,
                beta: of_beta,
                shortcut: of_shortcut,
                mean: mean.clone(),
                variance: variance.clone(),
                settings,
            };
            (prep.finish(state, output), mean, variance)
        }
        OpsKind::UnTracked(prep) => {
            let (output, mean, variance) = compute(values, inner(shortcut));
            (prep.finish(output), mean, variance)
        }
    }
}
