//! Gradients: straight through the quantisers and the multiplier.
//!
//! The backward pass is that of the exact product of the fake-quantised operands, times the clip mask of each operand.
//! Only the float operands are kept for it (through Burn's checkpointer, so gradient checkpointing applies); their
//! fake-quantised values are computed again when the gradient arrives.

use burn::backend::Backend;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn_autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_autodiff::{Autodiff, NodeId};

use super::extension::ApproxOps;
use super::float;
use crate::codes::CodeGrid;
use crate::plan::ProductOperation;

/// What the backward pass of a product needs besides the gradient.
#[derive(Clone, Debug)]
struct ProductState<B: Backend> {
    activation: NodeId,
    weight: NodeId,
    activation_quantizer: FloatTensor<B>,
    weight_quantizer: FloatTensor<B>,
    operation: ProductOperation,
}

#[derive(Debug)]
struct Product;

impl<B: Backend + ApproxOps> Backward<B, 2> for Product {
    type State = ProductState<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = grads.consume::<B>(&ops.node);
        let ProductState {
            activation,
            weight,
            activation_quantizer,
            weight_quantizer,
            operation,
        } = ops.state;
        let activation: FloatTensor<B> = checkpointer.retrieve_node_output(activation);
        let weight: FloatTensor<B> = checkpointer.retrieve_node_output(weight);
        let geometry = operation.geometry();
        let grids = (operation.activation(), operation.weight());
        let activation_values =
            B::fake_quantize(activation.clone(), activation_quantizer.clone(), grids.0);
        let weight_values = B::fake_quantize(weight.clone(), weight_quantizer.clone(), grids.1);
        let [activation_node, weight_node] = ops.parents;
        if let Some(node) = activation_node {
            let (values, weights) = (activation_values.clone(), weight_values.clone());
            let product =
                float::activation_gradient::<B>(geometry, values, weights, gradient.clone());
            let masked = B::mask_clipped(activation, product, activation_quantizer, grids.0);
            grads.register::<B>(node.id, masked);
        }
        if let Some(node) = weight_node {
            let product =
                float::weight_gradient::<B>(geometry, activation_values, weight_values, gradient);
            let masked = B::mask_clipped(weight, product, weight_quantizer, grids.1);
            grads.register::<B>(node.id, masked);
        }
    }
}

#[derive(Debug)]
struct FakeQuantize;

impl<B: Backend + ApproxOps> Backward<B, 1> for FakeQuantize {
    type State = (NodeId, FloatTensor<B>, CodeGrid);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = grads.consume::<B>(&ops.node);
        let (values, quantizer, grid) = ops.state;
        let values: FloatTensor<B> = checkpointer.retrieve_node_output(values);
        if let [Some(node)] = ops.parents {
            grads.register::<B>(node.id, B::mask_clipped(values, gradient, quantizer, grid));
        }
    }
}

impl<B: Backend + ApproxOps, C: CheckpointStrategy> ApproxOps for Autodiff<B, C> {
    fn shifted_codes(
        values: FloatTensor<Self>,
        quantizer: FloatTensor<Self>,
        grid: CodeGrid,
    ) -> FloatTensor<Self> {
        constant::<B, C>(B::shifted_codes(
            values.into_primitive(),
            quantizer.into_primitive(),
            grid,
        ))
    }

    fn fake_quantize(
        values: FloatTensor<Self>,
        quantizer: FloatTensor<Self>,
        grid: CodeGrid,
    ) -> FloatTensor<Self> {
        let quantizer = quantizer.into_primitive();
        match FakeQuantize
            .prepare::<C>([values.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let kept = prep.checkpoint(&values);
                let output = B::fake_quantize(values.into_primitive(), quantizer.clone(), grid);
                prep.finish((kept, quantizer, grid), output)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::fake_quantize(values.into_primitive(), quantizer, grid))
            }
        }
    }

    fn mask_clipped(
        values: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        quantizer: FloatTensor<Self>,
        grid: CodeGrid,
    ) -> FloatTensor<Self> {
        let [values, gradient, quantizer] =
            [values, gradient, quantizer].map(|tensor| tensor.into_primitive());
        constant::<B, C>(B::mask_clipped(values, gradient, quantizer, grid))
    }

    fn observe_ranges(values: FloatTensor<Self>, channel_axis: Option<usize>) -> FloatTensor<Self> {
        constant::<B, C>(B::observe_ranges(values.into_primitive(), channel_axis))
    }

    fn observe_histogram(values: FloatTensor<Self>) -> FloatTensor<Self> {
        constant::<B, C>(B::observe_histogram(values.into_primitive()))
    }

    fn product(
        activation: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        activation_quantizer: FloatTensor<Self>,
        weight_quantizer: FloatTensor<Self>,
        operation: ProductOperation,
    ) -> FloatTensor<Self> {
        let activation_quantizer = activation_quantizer.into_primitive();
        let weight_quantizer = weight_quantizer.into_primitive();
        let nodes = [activation.node(), weight.node()];
        match Product.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = ProductState {
                    activation: prep.checkpoint(&activation),
                    weight: prep.checkpoint(&weight),
                    activation_quantizer: activation_quantizer.clone(),
                    weight_quantizer: weight_quantizer.clone(),
                    operation: operation.clone(),
                };
                let output = B::product(
                    activation.into_primitive(),
                    weight.into_primitive(),
                    activation_quantizer,
                    weight_quantizer,
                    operation,
                );
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::product(
                activation.into_primitive(),
                weight.into_primitive(),
                activation_quantizer,
                weight_quantizer,
                operation,
            )),
        }
    }

    fn accumulate(
        activation: IntTensor<Self>,
        weight: IntTensor<Self>,
        padding_code: i32,
        operation: ProductOperation,
    ) -> IntTensor<Self> {
        B::accumulate(activation, weight, padding_code, operation)
    }
}

/// A result through which no gradient flows.
fn constant<B: Backend, C: CheckpointStrategy>(
    primitive: FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    <Autodiff<B, C> as burn::backend::AutodiffBackend>::from_inner(primitive)
}
