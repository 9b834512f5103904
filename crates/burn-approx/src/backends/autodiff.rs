//! Gradients: straight through the quantisers and the multiplier.
//!
//! The backward pass is that of the exact product of the fake-quantised operands, times the clip mask of each operand.
//! Only the float operands are kept for it (through Burn's checkpointer, so gradient checkpointing applies); their
//! fake-quantised values are computed again when the gradient arrives.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;
use burn::tensor::ops::ConvOptions;
use burn_autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind, broadcast_shape};
use burn_autodiff::{Autodiff, NodeId};

use crate::ops::{ApproxOps, CodeGrid, ProductOperation};

/// What the backward pass of a product needs besides the gradient.
#[derive(Clone, Debug)]
struct ProductState<B: Backend, Geometry> {
    activation: NodeId,
    weight: NodeId,
    activation_quantizer: FloatTensor<B>,
    weight_quantizer: FloatTensor<B>,
    operation: ProductOperation,
    geometry: Geometry,
}

impl<B: Backend + ApproxOps, Geometry> ProductState<B, Geometry> {
    /// Registers the gradients of both operands, each computed from the fake-quantised operands only where it is wanted.
    fn backward(
        self,
        ops_parents: [Option<NodeId>; 2],
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
        activation_gradient: impl FnOnce(&Self, FloatTensor<B>, FloatTensor<B>) -> FloatTensor<B>,
        weight_gradient: impl FnOnce(&Self, FloatTensor<B>, FloatTensor<B>) -> FloatTensor<B>,
    ) {
        let activation: FloatTensor<B> = checkpointer.retrieve_node_output(self.activation);
        let weight: FloatTensor<B> = checkpointer.retrieve_node_output(self.weight);
        let grid = self.operation.activation;
        let quantizer = self.activation_quantizer.clone();
        let activation_values = B::fake_quantize(activation.clone(), quantizer.clone(), grid);
        let weight_grid = self.operation.weight;
        let weight_values =
            B::fake_quantize(weight.clone(), self.weight_quantizer.clone(), weight_grid);
        let [activation_node, weight_node] = ops_parents;
        if let Some(node) = activation_node {
            let gradient =
                activation_gradient(&self, activation_values.clone(), weight_values.clone());
            grads.register::<B>(node, B::mask_clipped(activation, gradient, quantizer, grid));
        }
        if let Some(node) = weight_node {
            let gradient = weight_gradient(&self, activation_values, weight_values);
            grads.register::<B>(
                node,
                B::mask_clipped(weight, gradient, self.weight_quantizer.clone(), weight_grid),
            );
        }
    }
}

#[derive(Debug)]
struct ApproxMatmul;

/// The shapes of both operands, to which gradients of broadcast dimensions are summed.
type MatmulShapes = [Shape; 2];

impl<B: Backend + ApproxOps> Backward<B, 2> for ApproxMatmul {
    type State = ProductState<B, MatmulShapes>;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = grads.consume::<B>(&ops.node);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        let for_weight = gradient.clone();
        ops.state.backward(
            parents,
            grads,
            checkpointer,
            |state, _, weight| {
                let product = B::float_matmul(gradient, transposed::<B>(weight));
                broadcast_shape::<B>(product, &state.geometry[0])
            },
            |state, activation, _| {
                let product = B::float_matmul(transposed::<B>(activation), for_weight);
                broadcast_shape::<B>(product, &state.geometry[1])
            },
        );
    }
}

fn transposed<B: Backend>(matrix: FloatTensor<B>) -> FloatTensor<B> {
    let rank = matrix.shape().num_dims();
    B::float_swap_dims(matrix, rank - 2, rank - 1)
}

#[derive(Debug)]
struct ApproxConv2d;

impl<B: Backend + ApproxOps> Backward<B, 2> for ApproxConv2d {
    type State = ProductState<B, ConvOptions<2>>;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = grads.consume::<B>(&ops.node);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        let for_weight = gradient.clone();
        ops.state.backward(
            parents,
            grads,
            checkpointer,
            |state, activation, weight| {
                B::conv2d_x_backward(activation, weight, gradient, state.geometry.clone())
            },
            |state, activation, weight| {
                B::conv2d_weight_backward(activation, weight, for_weight, state.geometry.clone())
            },
        );
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

    fn approx_matmul(
        activation: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        activation_quantizer: FloatTensor<Self>,
        weight_quantizer: FloatTensor<Self>,
        operation: ProductOperation,
    ) -> FloatTensor<Self> {
        let geometry = [activation.shape(), weight.shape()];
        let forward = B::approx_matmul;
        let quantizers = [activation_quantizer, weight_quantizer];
        product::<B, C, _, _>(
            ApproxMatmul,
            [activation, weight],
            quantizers,
            operation,
            geometry,
            forward,
        )
    }

    fn approx_conv2d(
        activation: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        activation_quantizer: FloatTensor<Self>,
        weight_quantizer: FloatTensor<Self>,
        operation: ProductOperation,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        let forward = |activation, weight, activation_quantizer, weight_quantizer, operation| {
            B::approx_conv2d(
                activation,
                weight,
                activation_quantizer,
                weight_quantizer,
                operation,
                options.clone(),
            )
        };
        let quantizers = [activation_quantizer, weight_quantizer];
        product::<B, C, _, _>(
            ApproxConv2d,
            [activation, weight],
            quantizers,
            operation,
            options.clone(),
            forward,
        )
    }

    fn accumulate_matmul(
        activation: IntTensor<Self>,
        weight: IntTensor<Self>,
        operation: ProductOperation,
    ) -> IntTensor<Self> {
        B::accumulate_matmul(activation, weight, operation)
    }

    fn accumulate_conv2d(
        activation: IntTensor<Self>,
        weight: IntTensor<Self>,
        padding_code: i32,
        operation: ProductOperation,
        options: ConvOptions<2>,
    ) -> IntTensor<Self> {
        B::accumulate_conv2d(activation, weight, padding_code, operation, options)
    }
}

/// Runs a product on the inner backend and records what its backward pass needs, if it will have one.
fn product<B, C, Step, Geometry>(
    step: Step,
    [activation, weight]: [FloatTensor<Autodiff<B, C>>; 2],
    quantizers: [FloatTensor<Autodiff<B, C>>; 2],
    operation: ProductOperation,
    geometry: Geometry,
    forward: impl FnOnce(
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
        ProductOperation,
    ) -> FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>>
where
    B: Backend + ApproxOps,
    C: CheckpointStrategy,
    Step: Backward<B, 2, State = ProductState<B, Geometry>>,
    Geometry: Clone + Send + std::fmt::Debug + 'static,
{
    let [activation_quantizer, weight_quantizer] =
        quantizers.map(|quantizer| quantizer.into_primitive());
    match step
        .prepare::<C>([activation.node(), weight.node()])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(mut prep) => {
            let state = ProductState {
                activation: prep.checkpoint(&activation),
                weight: prep.checkpoint(&weight),
                activation_quantizer: activation_quantizer.clone(),
                weight_quantizer: weight_quantizer.clone(),
                operation: operation.clone(),
                geometry,
            };
            let [activation, weight] = [activation, weight].map(|operand| operand.into_primitive());
            prep.finish(
                state,
                forward(
                    activation,
                    weight,
                    activation_quantizer,
                    weight_quantizer,
                    operation,
                ),
            )
        }
        OpsKind::UnTracked(prep) => {
            let [activation, weight] = [activation, weight].map(|operand| operand.into_primitive());
            prep.finish(forward(
                activation,
                weight,
                activation_quantizer,
                weight_quantizer,
                operation,
            ))
        }
    }
}

/// A result through which no gradient flows.
fn constant<B: Backend, C: CheckpointStrategy>(
    primitive: FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    <Autodiff<B, C> as burn::backend::AutodiffBackend>::from_inner(primitive)
}
