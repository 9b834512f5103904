//! The operators on backends whose tensors lie in host memory: slices in, the CPU kernels, slices out.
//!
//! One file per engine that a route may take; this one dispatches, and holds what is the same for all.

mod accumulate;
mod batch_norm;
mod gradients;
mod integer;
mod lookup;
mod patterns;
mod weight;

use approx_cpu::observe::{self, histogram};
use approx_cpu::quantize::{ChannelLayout, ChannelQuantizer};
use std::sync::Arc;

use approx_cpu::{LookupTable, in_pool};
use burn::backend::tensor::{Device, FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{Shape, TensorData};

use super::extension::ApproxOps;
use super::{BatchNormSettings, CodeFunction, Shortcut};
use super::{checked, terms};
use crate::codes::{CodeGrid, channels_along};
use crate::geometry::Geometry;
use crate::multiplier::Route;
use crate::plan::ProductOperation;
use crate::quantization::channel_quantizers;

/// A backend whose tensors can be read as slices without waiting for a device.
pub(super) trait HostBackend: Backend {
    /// Hands the float32 values of a tensor, in row-major order, to `read`.
    fn read<R>(tensor: FloatTensor<Self>, read: impl FnOnce(&[f32]) -> R) -> R;
}

fn float_tensor<B: Backend>(values: Vec<f32>, shape: Shape, device: &Device<B>) -> FloatTensor<B> {
    B::float_from_data(TensorData::new(values, shape), device)
}

/// A quantiser tensor as the kernels take it, for operands of shape `shape`; `None` if a scale is not finite.
fn layout<B: HostBackend>(
    quantizer: FloatTensor<B>,
    grid: CodeGrid,
    shape: &Shape,
) -> Option<ChannelLayout> {
    let layout = layout_of_any::<B>(quantizer, grid, shape);
    let finite = |channel: &ChannelQuantizer| channel.scale.is_finite();
    layout.channels.iter().all(finite).then_some(layout)
}

/// The quantiser of an activation; `None` if its scale is not finite.
fn quantizer_of<B: HostBackend>(
    quantizer: FloatTensor<B>,
    grid: CodeGrid,
) -> Option<ChannelQuantizer> {
    let channels = B::read(quantizer, |parameters| channel_quantizers(parameters, grid));
    channels
        .first()
        .copied()
        .filter(|channel| channel.scale.is_finite())
}

/// A quantiser tensor as the kernels take it, whatever is in it.
fn layout_of_any<B: HostBackend>(
    quantizer: FloatTensor<B>,
    grid: CodeGrid,
    shape: &Shape,
) -> ChannelLayout {
    let channels = B::read(quantizer, |parameters| channel_quantizers(parameters, grid));
    let inner = match grid.channel_axis {
        Some(axis) => {
            assert_eq!(
                shape[axis],
                channels.len(),
                "a quantiser has one channel per index of its axis"
            );
            shape.iter().skip(axis + 1).product()
        }
        None => 1,
    };
    ChannelLayout { channels, inner }
}

/// Applies a quantiser's map to every value.
fn map_values<B: HostBackend>(
    values: FloatTensor<B>,
    quantizer: FloatTensor<B>,
    grid: CodeGrid,
    map: impl FnOnce(&ChannelLayout, &[f32]) -> Vec<f32>,
) -> FloatTensor<B> {
    let (shape, device) = (values.shape(), values.device());
    let layout = layout_of_any::<B>(quantizer, grid, &shape);
    let mapped = B::read(values, |values| map(&layout, values));
    float_tensor::<B>(mapped, shape, &device)
}

impl<B: HostBackend> ApproxOps for B {
    fn shifted_codes(
        values: FloatTensor<B>,
        quantizer: FloatTensor<B>,
        grid: CodeGrid,
    ) -> FloatTensor<B> {
        map_values::<B>(values, quantizer, grid, ChannelLayout::shifted_codes)
    }

    fn fake_quantize(
        values: FloatTensor<B>,
        quantizer: FloatTensor<B>,
        grid: CodeGrid,
    ) -> FloatTensor<B> {
        map_values::<B>(values, quantizer, grid, ChannelLayout::fake_quantize)
    }

    fn mask_clipped(
        values: FloatTensor<B>,
        gradient: FloatTensor<B>,
        quantizer: FloatTensor<B>,
        grid: CodeGrid,
    ) -> FloatTensor<B> {
        map_values::<B>(values, quantizer, grid, |layout, values| {
            let mut gradients = B::read(gradient, <[f32]>::to_vec);
            layout.mask_clipped(values, &mut gradients);
            gradients
        })
    }

    fn observe_ranges(values: FloatTensor<B>, channel_axis: Option<usize>) -> FloatTensor<B> {
        let (shape, device) = (values.shape(), values.device());
        let (channels, inner) = channels_along(&shape, channel_axis);
        let ranges = B::read(values, |values| observe::ranges(values, channels, inner));
        let rows = ranges
            .iter()
            .map(|range| range.min)
            .chain(ranges.iter().map(|range| range.max))
            .collect();
        float_tensor::<B>(rows, Shape::from(vec![2, channels]), &device)
    }

    fn observe_histogram(values: FloatTensor<B>) -> FloatTensor<B> {
        let device = values.device();
        let counts = B::read(values, observe::counts);
        float_tensor::<B>(counts, Shape::from(vec![histogram::BINS]), &device)
    }

    fn product(
        activation: FloatTensor<B>,
        weight: FloatTensor<B>,
        activation_quantizer: FloatTensor<B>,
        weight_quantizer: FloatTensor<B>,
        operation: ProductOperation,
    ) -> FloatTensor<B> {
        let quantizers = [activation_quantizer, weight_quantizer];
        let elements = activation.shape().num_elements();
        in_pool(elements, || match operation.route() {
            Route::Exact | Route::Factored => {
                integer::product::<B>(activation, weight, quantizers, &operation)
            }
            Route::Gather => lookup::product::<B>(activation, weight, quantizers, &operation),
            Route::ExactFloat32 | Route::FactoredFloat32 | Route::Htp => {
                terms::product::<B>(activation, weight, quantizers, &operation)
            }
        })
    }

    fn activation_gradient(
        activation: FloatTensor<B>,
        weight: FloatTensor<B>,
        gradient: FloatTensor<B>,
        geometry: Geometry,
    ) -> FloatTensor<B> {
        in_pool(activation.shape().num_elements(), || {
            gradients::by_activation::<B>(activation, weight, gradient, &geometry)
        })
    }

    fn weight_gradient(
        activation: FloatTensor<B>,
        weight: FloatTensor<B>,
        gradient: FloatTensor<B>,
        geometry: Geometry,
    ) -> FloatTensor<B> {
        in_pool(activation.shape().num_elements(), || {
            gradients::by_weight::<B>(activation, weight, gradient, &geometry)
        })
    }

    fn coded_activation_gradient(
        activation: FloatTensor<B>,
        activation_quantizer: FloatTensor<B>,
        weight: FloatTensor<B>,
        gradient: FloatTensor<B>,
        operation: ProductOperation,
        factors: Option<Arc<[f32]>>,
    ) -> FloatTensor<B> {
        in_pool(activation.shape().num_elements(), || {
            gradients::by_coded_activation::<B>(
                activation,
                activation_quantizer,
                weight,
                gradient,
                &operation,
                factors.as_deref(),
            )
        })
    }

    fn coded_weight_gradient(
        activation: FloatTensor<B>,
        activation_quantizer: FloatTensor<B>,
        weight: FloatTensor<B>,
        gradient: FloatTensor<B>,
        operation: ProductOperation,
        function: Option<CodeFunction>,
    ) -> FloatTensor<B> {
        in_pool(activation.shape().num_elements(), || {
            gradients::by_weight_of_coded::<B>(
                activation,
                activation_quantizer,
                weight,
                gradient,
                &operation,
                function.as_ref(),
            )
        })
    }

    fn function_of_codes(
        values: FloatTensor<B>,
        quantizer: FloatTensor<B>,
        grid: CodeGrid,
        function: CodeFunction,
    ) -> FloatTensor<B> {
        map_values::<B>(values, quantizer, grid, |layout, values| {
            layout.map_codes(values, &function.values, |channel, value| {
                function.finish(channel, value)
            })
        })
    }

    fn fused_batch_norm(
        values: FloatTensor<B>,
        gamma: FloatTensor<B>,
        beta: FloatTensor<B>,
        shortcut: Shortcut<B>,
        settings: BatchNormSettings,
    ) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
        in_pool(values.shape().num_elements(), || {
            batch_norm::by_batch::<B>(values, [gamma, beta], shortcut, settings)
        })
    }

    fn fused_batch_norm_gradient(
        mean: FloatTensor<B>,
        variance: FloatTensor<B>,
        values: FloatTensor<B>,
        gamma: FloatTensor<B>,
        beta: FloatTensor<B>,
        shortcut: Shortcut<B>,
        gradient: FloatTensor<B>,
        settings: BatchNormSettings,
    ) -> (
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
    ) {
        let (of, by) = ([gamma, beta], [mean, variance]);
        in_pool(values.shape().num_elements(), || {
            batch_norm::gradients::<B>(values, of, by, shortcut, gradient, settings)
        })
    }

    fn fused_normalize(
        mean: FloatTensor<B>,
        variance: FloatTensor<B>,
        values: FloatTensor<B>,
        gamma: FloatTensor<B>,
        beta: FloatTensor<B>,
        shortcut: Shortcut<B>,
        settings: BatchNormSettings,
    ) -> FloatTensor<B> {
        let (of, by) = ([gamma, beta], [mean, variance]);
        in_pool(values.shape().num_elements(), || {
            batch_norm::by_statistics::<B>(values, of, by, shortcut, settings)
        })
    }

    fn accumulate(
        activation: IntTensor<B>,
        weight: IntTensor<B>,
        padding_code: i32,
        operation: ProductOperation,
    ) -> IntTensor<B> {
        accumulate::accumulate::<B>(activation, weight, padding_code, &operation)
    }
}

/// The table of an operation; that there is one was checked when the operation was made.
fn lookup_table(operation: &ProductOperation) -> &LookupTable {
    checked(operation.multiplier().lookup())
}

/// What an operator returns when an operand holds a NaN: never a number that looks right.
fn poisoned<B: Backend>(shape: Shape, device: &Device<B>) -> FloatTensor<B> {
    float_tensor::<B>(vec![f32::NAN; shape.num_elements()], shape, device)
}
