//! Between Burn's tensors and the kernels' buffers.

use approx_multiplier::OperandFormat;
use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::server::Handle;
use kernels_cubecl::{ChannelQuantization, EncodedCodes, Operand, QuantizerBuffer};

use crate::backends::checked;
use crate::codes::{CodeGrid, channels_along};

/// A tensor whose elements lie in memory row by row, as kernels take them.
pub(super) fn contiguous(tensor: CubeTensor) -> CubeTensor {
    into_contiguous(tensor)
}

/// The number of elements.
pub(super) fn length(tensor: &CubeTensor) -> usize {
    tensor.shape().num_elements()
}

/// A buffer on the device of another tensor as a tensor.
pub(super) fn tensor(
    beside: &CubeTensor,
    handle: Handle,
    shape: Shape,
    dtype: DType,
) -> CubeTensor {
    let (client, device) = (beside.client.clone(), beside.device.clone());
    CubeTensor::new_contiguous(client, device, shape, handle, dtype)
}

/// A buffer as a float32 tensor.
pub(super) fn float_tensor(beside: &CubeTensor, handle: Handle, shape: Shape) -> CubeTensor {
    tensor(beside, handle, shape, DType::F32)
}

/// A quantiser's parameters, `[3, channels]`.
pub(super) fn quantizer_buffer(parameters: CubeTensor, grid: CodeGrid) -> QuantizerBuffer {
    let parameters = contiguous(parameters);
    let channels = parameters.shape()[1];
    checked(QuantizerBuffer::new(
        parameters.handle,
        channels,
        grid.symmetric,
    ))
}

/// How the elements of a tensor of some shape become codes.
pub(super) fn quantization<'a>(
    quantizer: &'a QuantizerBuffer,
    grid: CodeGrid,
    shape: &Shape,
) -> ChannelQuantization<'a> {
    ChannelQuantization {
        quantizer,
        inner: channels_along(shape, grid.channel_axis).1,
        low: grid.low,
        high: grid.high,
    }
}

/// The codes of a tensor of values.
pub(super) fn encoded(
    values: CubeTensor,
    quantizer: &QuantizerBuffer,
    grid: CodeGrid,
    format: OperandFormat,
) -> EncodedCodes {
    let values = contiguous(values);
    let quantization = quantization(quantizer, grid, &values.shape());
    let (client, handle) = (&values.client, &values.handle);
    let (bits, signed) = (format.bits().into(), format.is_signed());
    let encoded =
        kernels_cubecl::encode(client, handle, length(&values), quantization, bits, signed);
    checked(encoded)
}

/// The operand of a kernel.
pub(super) fn operand(encoded: &EncodedCodes) -> Operand<'_> {
    Operand {
        codes: &encoded.codes,
        poison: Some(&encoded.poison),
    }
}
