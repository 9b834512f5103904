//! Gradients: straight through the quantisers, and through the multiplier as its gradient says.
//!
//! Straight through the multiplier, the backward pass is that of the exact product of the fake-quantised operands, times the
//! clip mask of each operand; by derivatives of the multiplier it is [`ProductGradient`]'s, times the same masks.
//! Only the float operands are kept for it (through Burn's checkpointer, so gradient checkpointing applies); their
//! fake-quantised values are computed again when the gradient arrives.

mod batch_norm;

use approx_multiplier::MultiplierGradient;
use burn::backend::Backend;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn_autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_autodiff::{Autodiff, NodeId};

use super::batch_norm::{BatchNormSettings, Shortcut};
use super::extension::ApproxOps;
use super::gradient::ProductGradient;
use crate::codes::CodeGrid;
use crate::geometry::Geometry;
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
        let quantizers = [activation_quantizer, weight_quantizer];
        let operands = [activation, weight.clone()];
        let wanted = [&ops.parents[0], &ops.parents[1]].map(Option::is_some);
        let [by_activation, by_weight] = match operation.derivatives() {
            None => straight_through::<B>(&operation, operands, &quantizers, gradient, wanted),
            Some(derivatives) => {
                let derivatives = (&operation, &*derivatives);
                by_derivatives::<B>(derivatives, operands, &quantizers, gradient, wanted)
            }
        };
        let [activation_node, weight_node] = ops.parents;
        if let (Some(node), Some(gradient)) = (activation_node, by_activation) {
            grads.register::<B>(node.id, gradient);
        }
        if let (Some(node), Some(product)) = (weight_node, by_weight) {
            let [_, weight_quantizer] = quantizers;
            let masked = B::mask_clipped(weight, product, weight_quantizer, operation.weight());
            grads.register::<B>(node.id, masked);
        }
    }
}

/// The gradients of the exact product of fake-quantised operands, where they are wanted: that of the activation where it is
/// not clipped, and of the weight everywhere.
fn straight_through<B: Backend + ApproxOps>(
    operation: &ProductOperation,
    [activation, weight]: [FloatTensor<B>; 2],
    quantizers: &[FloatTensor<B>; 2],
    gradient: FloatTensor<B>,
    wanted: [bool; 2],
) -> [Option<FloatTensor<B>>; 2] {
    let [activation_quantizer, weight_quantizer] = quantizers.clone();
    let weight = B::fake_quantize(weight, weight_quantizer, operation.weight());
    let by_activation = wanted[0].then(|| {
        B::coded_activation_gradient(
            activation.clone(),
            activation_quantizer.clone(),
            weight.clone(),
            gradient.clone(),
            operation.clone(),
            None,
        )
    });
    let by_weight = wanted[1].then(|| {
        B::coded_weight_gradient(
            activation,
            activation_quantizer,
            weight,
            gradient,
            operation.clone(),
            None,
        )
    });
    [by_activation, by_weight]
}

/// The gradients by derivatives of the multiplier, likewise.
fn by_derivatives<B: Backend + ApproxOps>(
    (operation, derivatives): (&ProductOperation, &MultiplierGradient),
    operands: [FloatTensor<B>; 2],
    quantizers: &[FloatTensor<B>; 2],
    gradient: FloatTensor<B>,
    wanted: [bool; 2],
) -> [Option<FloatTensor<B>>; 2] {
    let product = ProductGradient::<B>::new(operation, derivatives, operands, quantizers);
    [
        wanted[0].then(|| product.by_activation(&gradient)),
        wanted[1].then(|| product.by_weight(&gradient)),
    ]
}

/// Keeps both operands.
#[derive(Debug)]
struct FloatProduct;

impl<B: Backend + ApproxOps> Backward<B, 2> for FloatProduct {
    type State = ([NodeId; 2], Geometry);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = grads.consume::<B>(&ops.node);
        let (operands, geometry) = ops.state;
        let [activation, weight]: [FloatTensor<B>; 2] =
            operands.map(|node| checkpointer.retrieve_node_output(node));
        let [activation_node, weight_node] = ops.parents;
        if let Some(node) = activation_node {
            let (activation, weight) = (activation.clone(), weight.clone());
            let own = B::activation_gradient(activation, weight, gradient.clone(), geometry);
            grads.register::<B>(node.id, own);
        }
        if let Some(node) = weight_node {
            let own = B::weight_gradient(activation, weight, gradient, geometry);
            grads.register::<B>(node.id, own);
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

    fn float_product(
        activation: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        let nodes = [activation.node(), weight.node()];
        match FloatProduct.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let kept = [&activation, &weight].map(|operand| prep.checkpoint(operand));
                let [activation, weight] = [activation, weight].map(|t| t.into_primitive());
                let output = B::float_product(activation, weight, geometry);
                prep.finish((kept, geometry), output)
            }
            OpsKind::UnTracked(prep) => {
                let [activation, weight] = [activation, weight].map(|t| t.into_primitive());
                prep.finish(B::float_product(activation, weight, geometry))
            }
        }
    }

    fn fused_batch_norm(
        values: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        shortcut: Shortcut<Self>,
        settings: BatchNormSettings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        batch_norm::forward::<B, C>(values, gamma, beta, shortcut, settings)
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
