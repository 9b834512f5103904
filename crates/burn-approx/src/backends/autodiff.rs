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

/// Which product it was, as far as its gradients depend on it.
#[derive(Clone, Debug)]
enum Geometry {
    /// The shapes of activation and weight, to which gradients of broadcast dimensions are summed.
    Matmul([Shape; 2]),
    Conv2d(ConvOptions<2>),
}

impl Geometry {
    fn forward<B: ApproxOps>(
        self,
        [activation, weight]: [FloatTensor<B>; 2],
        [activation_quantizer, weight_quantizer]: [FloatTensor<B>; 2],
        operation: ProductOperation,
    ) -> FloatTensor<B> {
        match self {
            Self::Matmul(_) => B::approx_matmul(
                activation,
                weight,
                activation_quantizer,
                weight_quantizer,
                operation,
            ),
            Self::Conv2d(options) => B::approx_conv2d(
                activation,
                weight,
                activation_quantizer,
                weight_quantizer,
                operation,
                options,
            ),
        }
    }

    fn activation_gradient<B: Backend>(
        &self,
        activation: FloatTensor<B>,
        weight: FloatTensor<B>,
        gradient: FloatTensor<B>,
    ) -> FloatTensor<B> {
        match self {
            Self::Matmul([shape, _]) => {
                broadcast_shape::<B>(B::float_matmul(gradient, transposed::<B>(weight)), shape)
            }
            Self::Conv2d(options) => {
                B::conv2d_x_backward(activation, weight, gradient, options.clone())
            }
        }
    }

    fn weight_gradient<B: Backend>(
        &self,
        activation: FloatTensor<B>,
        weight: FloatTensor<B>,
        gradient: FloatTensor<B>,
    ) -> FloatTensor<B> {
        match self {
            Self::Matmul([_, shape]) => broadcast_shape::<B>(
                B::float_matmul(transposed::<B>(activation), gradient),
                shape,
            ),
            Self::Conv2d(options) => {
                B::conv2d_weight_backward(activation, weight, gradient, options.clone())
            }
        }
    }
}

fn transposed<B: Backend>(matrix: FloatTensor<B>) -> FloatTensor<B> {
    let rank = matrix.shape().num_dims();
    B::float_swap_dims(matrix, rank - 2, rank - 1)
}

/// What the backward pass of a product needs besides the gradient.
#[derive(Clone, Debug)]
struct ProductState<B: Backend> {
    activation: NodeId,
    weight: NodeId,
    activation_quantizer: FloatTensor<B>,
    weight_quantizer: FloatTensor<B>,
    operation: ProductOperation,
    geometry: Geometry,
}

#[derive(Debug)]
struct ApproxProduct;

impl<B: Backend + ApproxOps> Backward<B, 2> for ApproxProduct {
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
            geometry,
        } = ops.state;
        let activation: FloatTensor<B> = checkpointer.retrieve_node_output(activation);
        let weight: FloatTensor<B> = checkpointer.retrieve_node_output(weight);
        let grids = (operation.activation, operation.weight);
        let activation_values =
            B::fake_quantize(activation.clone(), activation_quantizer.clone(), grids.0);
        let weight_values = B::fake_quantize(weight.clone(), weight_quantizer.clone(), grids.1);
        let [activation_node, weight_node] = ops.parents;
        if let Some(node) = activation_node {
            let (values, weights) = (activation_values.clone(), weight_values.clone());
            let product = geometry.activation_gradient::<B>(values, weights, gradient.clone());
            let masked = B::mask_clipped(activation, product, activation_quantizer, grids.0);
            grads.register::<B>(node.id, masked);
        }
        if let Some(node) = weight_node {
            let product = geometry.weight_gradient::<B>(activation_values, weight_values, gradient);
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

    fn approx_matmul(
        activation: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        activation_quantizer: FloatTensor<Self>,
        weight_quantizer: FloatTensor<Self>,
        operation: ProductOperation,
    ) -> FloatTensor<Self> {
        let geometry = Geometry::Matmul([activation.shape(), weight.shape()]);
        let quantizers = [activation_quantizer, weight_quantizer];
        product::<B, C>([activation, weight], quantizers, operation, geometry)
    }

    fn approx_conv2d(
        activation: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        activation_quantizer: FloatTensor<Self>,
        weight_quantizer: FloatTensor<Self>,
        operation: ProductOperation,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        let quantizers = [activation_quantizer, weight_quantizer];
        let geometry = Geometry::Conv2d(options);
        product::<B, C>([activation, weight], quantizers, operation, geometry)
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
fn product<B: Backend + ApproxOps, C: CheckpointStrategy>(
    [activation, weight]: [FloatTensor<Autodiff<B, C>>; 2],
    quantizers: [FloatTensor<Autodiff<B, C>>; 2],
    operation: ProductOperation,
    geometry: Geometry,
) -> FloatTensor<Autodiff<B, C>> {
    let quantizers = quantizers.map(|quantizer| quantizer.into_primitive());
    let nodes = [activation.node(), weight.node()];
    match ApproxProduct.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(mut prep) => {
            let [activation_quantizer, weight_quantizer] = quantizers.clone();
            let state = ProductState {
                activation: prep.checkpoint(&activation),
                weight: prep.checkpoint(&weight),
                activation_quantizer,
                weight_quantizer,
                operation: operation.clone(),
                geometry: geometry.clone(),
            };
            let operands = [activation, weight].map(|operand| operand.into_primitive());
            prep.finish(
                state,
                geometry.forward::<B>(operands, quantizers, operation),
            )
        }
        OpsKind::UnTracked(prep) => {
            let operands = [activation, weight].map(|operand| operand.into_primitive());
            prep.finish(geometry.forward::<B>(operands, quantizers, operation))
        }
    }
}

/// A result through which no gradient flows.
fn constant<B: Backend, C: CheckpointStrategy>(
    primitive: FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    <Autodiff<B, C> as burn::backend::AutodiffBackend>::from_inner(primitive)
}
