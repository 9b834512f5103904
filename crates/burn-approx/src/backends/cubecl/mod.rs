//! The operators on Burn's CubeCL backend: every GPU that Burn reaches, from one source.
//!
//! The kernels themselves are `kernels_cubecl`'s; here tensors become buffers and back. One file per engine, as for the
//! host: `product` for the kernels that compute with codes (integer, lookup and HTP routes), `float32` for routes
//! through Burn's own matrix product and convolution. Burn's fusion wraps this backend and calls it when it comes to an
//! operator in its queue, so nothing here may wait for the device.

mod accumulate;
mod buffers;
mod float32;
mod product;
mod tables;

use approx_cpu::observe::histogram;
use burn::backend::TensorMetadata;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::Shape;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{Cube, CubeBackend};
use cubecl::server::Handle;
use kernels_cubecl::{ChannelQuantization, DeviceKernelError};

use self::buffers::{contiguous, float_tensor, length, quantization, quantizer_buffer};
use super::checked;
use super::extension::ApproxOps;
use crate::codes::{CodeGrid, channels_along};
use crate::plan::ProductOperation;

// Both kinds of device count in the bins that observers know.
const _: () = assert!(kernels_cubecl::HISTOGRAM_BINS == histogram::BINS);

/// Whether two tensors are the same value of Burn's fusion, which writes to no value that somebody else holds.
pub(super) fn share_storage(left: &FloatTensor<Cube>, right: &FloatTensor<Cube>) -> bool {
    left.id == right.id && left.client.device() == right.client.device()
}

/// Applies a quantiser's map to every value.
fn map_values(
    values: CubeTensor,
    quantizer: CubeTensor,
    grid: CodeGrid,
    map: impl FnOnce(&CubeTensor, ChannelQuantization<'_>) -> Result<Handle, DeviceKernelError>,
) -> CubeTensor {
    let values = contiguous(values);
    let quantizer = quantizer_buffer(quantizer, grid);
    let mapped = map(&values, quantization(&quantizer, grid, &values.shape()));
    float_tensor(&values, checked(mapped), values.shape())
}

impl ApproxOps for CubeBackend {
    fn shifted_codes(
        values: FloatTensor<Self>,
        quantizer: FloatTensor<Self>,
        grid: CodeGrid,
    ) -> FloatTensor<Self> {
        map_values(values, quantizer, grid, |values, map| {
            kernels_cubecl::shifted_codes(&values.client, &values.handle, length(values), map)
        })
    }

    fn fake_quantize(
        values: FloatTensor<Self>,
        quantizer: FloatTensor<Self>,
        grid: CodeGrid,
    ) -> FloatTensor<Self> {
        map_values(values, quantizer, grid, |values, map| {
            kernels_cubecl::fake_quantize(&values.client, &values.handle, length(values), map)
        })
    }

    fn mask_clipped(
        values: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        quantizer: FloatTensor<Self>,
        grid: CodeGrid,
    ) -> FloatTensor<Self> {
        let gradient = contiguous(gradient).handle;
        map_values(values, quantizer, grid, |values, map| {
            let (client, length) = (&values.client, length(values));
            kernels_cubecl::mask_clipped(client, &values.handle, &gradient, length, map)
        })
    }

    fn observe_ranges(values: FloatTensor<Self>, channel_axis: Option<usize>) -> FloatTensor<Self> {
        let values = contiguous(values);
        let shape = values.shape();
        let (channels, inner) = channels_along(&shape, channel_axis);
        let ranges = kernels_cubecl::ranges(
            &values.client,
            &values.handle,
            length(&values),
            channels,
            inner,
        );
        float_tensor(&values, checked(ranges), Shape::from(vec![2, channels]))
    }

    fn observe_histogram(values: FloatTensor<Self>) -> FloatTensor<Self> {
        let values = contiguous(values);
        let counts = kernels_cubecl::histogram(&values.client, &values.handle, length(&values));
        float_tensor(&values, checked(counts), Shape::from(vec![histogram::BINS]))
    }

    fn product(
        activation: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        activation_quantizer: FloatTensor<Self>,
        weight_quantizer: FloatTensor<Self>,
        operation: ProductOperation,
    ) -> FloatTensor<Self> {
        let quantizers = [activation_quantizer, weight_quantizer];
        // Burn's own products need not take operands without elements, which cost nothing in integers.
        let has_elements = length(&activation) > 0 && length(&weight) > 0;
        match operation.route().is_float32_product() && has_elements {
            true => float32::product(activation, weight, quantizers, &operation),
            false => product::product(activation, weight, quantizers, &operation),
        }
    }

    fn accumulate(
        activation: IntTensor<Self>,
        weight: IntTensor<Self>,
        padding_code: i32,
        operation: ProductOperation,
    ) -> IntTensor<Self> {
        accumulate::accumulate(activation, weight, padding_code, &operation)
    }
}
