//! The arguments of products, checked at the door: devices, quantisers, biases.

use burn::prelude::*;

use crate::codes::Operand;
use crate::error::ApproxError;
use crate::geometry::{Geometry, shape_error};
use crate::plan::{TWO_TO_31, Target};
use crate::quantization::CodeQuantizer;

/// Checks that a device's backend has the approximate operators.
///
/// # Errors
/// [`ApproxError::UnsupportedDevice`].
///
/// ```
/// use burn::tensor::Device;
///
/// assert!(burn_approx::ops::check_device(&Device::default()).is_ok());
/// ```
pub fn check_device(device: &Device) -> Result<(), ApproxError> {
    Target::of(device).map(|_| ())
}

/// Whether a tensor lies where the CPU's kernels compute. On other devices Burn's operators serve where they can: its
/// compilers fuse them, and a capture knows them.
pub(super) fn is_on_host<const D: usize>(tensor: &Tensor<D>) -> bool {
    matches!(Target::of(&tensor.device()), Ok(Target::Host))
}

/// Checks that all operands of a product lie on one device.
pub(crate) fn check_devices(
    operator: &'static str,
    activation: &Device,
    others: impl IntoIterator<Item = (&'static str, Device)>,
) -> Result<(), ApproxError> {
    for (operand, device) in others {
        if device != *activation && device.clone().inner() != activation.clone().inner() {
            return Err(ApproxError::DifferentDevices {
                operator,
                operand,
                devices: [activation, &device]
                    .map(|device| format!("{:?}", device.clone().inner())),
            });
        }
    }
    Ok(())
}

/// Refuses a weight that its device's kernels cannot index: a geometry knows of one matrix, a weight may be a batch.
pub(super) fn check_weight_size(device: &Device, shape: &Shape) -> Result<(), ApproxError> {
    let elements = shape.num_elements();
    if (elements as f64) < TWO_TO_31 {
        return Ok(());
    }
    Target::of(device)?.check_elements(Operand::Weight.name(), elements)
}

/// The quantisers of both operands of a product.
#[derive(Clone, Copy)]
pub(crate) struct Quantizers<'a> {
    pub(crate) activation: &'a CodeQuantizer,
    pub(crate) weight: &'a CodeQuantizer,
}

impl Quantizers<'_> {
    /// Checks that all operands lie on one device, and that quantisers and bias fit the weight's output channels.
    pub(crate) fn check_operands<const A: usize, const W: usize>(
        self,
        operator: &'static str,
        (activation, weight, bias): (&Tensor<A>, &Tensor<W>, Option<&Tensor<1>>),
        geometry: &Geometry,
    ) -> Result<(), ApproxError> {
        let quantizers = [
            ("activation's quantiser", self.activation),
            ("weight's quantiser", self.weight),
        ];
        let others = [(Operand::Weight.name(), weight.device())]
            .into_iter()
            .chain(quantizers.map(|(name, own)| (name, own.parameters().device())))
            .chain(bias.map(|bias| ("bias", bias.device())));
        check_devices(operator, &activation.device(), others)?;
        check_weight_size(&weight.device(), &weight.shape())?;
        let axis = geometry.weight_channel_axis(W);
        let channels = weight.dims()[axis];
        self.check(operator, axis, channels)?;
        check_bias(operator, bias, channels)
    }

    /// Checks that the activation has one scale, and that the weight's channels, if it has any, are the `channels`
    /// output channels of `operator`, which lie along `axis` of the weight.
    fn check(
        self,
        operator: &'static str,
        axis: usize,
        channels: usize,
    ) -> Result<(), ApproxError> {
        if let Some(axis) = self.activation.grid().channel_axis {
            return Err(shape_error(
                operator,
                format!(
                    "the activation's quantiser has channels along axis {axis}; activations take one scale per tensor"
                ),
            ));
        }
        let [_, count] = self.weight.parameters().dims();
        match self.weight.grid().channel_axis {
            None if count == 1 => Ok(()),
            Some(found) if found == axis && count == channels => Ok(()),
            found => Err(shape_error(
                operator,
                format!(
                    "the weight's quantiser has {count} scales along axis {found:?}; one per tensor, or {channels} along \
                     axis {axis} (the output channels) would be right"
                ),
            )),
        }
    }
}

/// Checks what Burn's own layers take for granted: operands on one device, recording gradients in one way, and of one
/// float type.
///
/// # Errors
/// [`ApproxError::DifferentDevices`] or [`ApproxError::Shape`].
pub(crate) fn check_float<const A: usize, const W: usize>(
    operator: &'static str,
    activation: &Tensor<A>,
    weight: &Tensor<W>,
    bias: Option<&Tensor<1>>,
) -> Result<(), ApproxError> {
    let device = activation.device();
    let others = [(Operand::Weight.name(), weight.device(), weight.dtype())].into_iter();
    let others = others.chain(bias.map(|bias| ("bias", bias.device(), bias.dtype())));
    for (name, other, dtype) in others {
        check_devices(operator, &device, [(name, other.clone())])?;
        if device.is_autodiff()
            && other.is_autodiff()
            && device.gradient_checkpointing_strategy() != other.gradient_checkpointing_strategy()
        {
            return Err(shape_error(
                operator,
                format!(
                    "the activation's device and that of the {name} differ in gradient checkpointing: move both to one device"
                ),
            ));
        }
        let own = activation.dtype();
        if own.is_float() && dtype.is_float() && own != dtype {
            return Err(shape_error(
                operator,
                format!(
                    "the activation holds {own:?}, but the {name} {dtype:?}: cast one of them; only simulated products take both"
                ),
            ));
        }
    }
    Ok(())
}

/// Checks that there is one bias for each output.
pub(crate) fn check_bias(
    operator: &'static str,
    bias: Option<&Tensor<1>>,
    outputs: usize,
) -> Result<(), ApproxError> {
    match bias.map(|bias| bias.dims()[0]) {
        Some(length) if length != outputs => Err(shape_error(
            operator,
            format!("the bias has {length} values for {outputs} outputs"),
        )),
        _ => Ok(()),
    }
}
