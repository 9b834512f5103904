//! The product of two activations as a layer of its own, for models that multiply what they computed, as attention
//! does.
//!
//! Burn has no such module: a model calls `left.matmul(right)`, and a converted model leaves that in float. Written as
//! a [`Matmul`] the product has settings and ranges like any other layer. The left operand is the activation; the right
//! one takes the weight's place: it has the weight's codes, but one scale, and is observed as activations are.

use burn::module::{Content, DisplaySettings, Module, ModuleDisplay};
use burn::prelude::*;

use super::layer::{Approximation, LayerShape, Operands};
use crate::error::{ApproxError, or_panic};
use crate::geometry;

/// Multiplies two activations, with the multiplier of its approximation once converted; stands for a call of Burn's
/// `matmul`.
///
/// It has no parameters: a record of a model does not change by it until it is converted.
///
/// ```
/// use burn::prelude::*;
/// use burn_approx::nn::Matmul;
/// use burn_approx::{ApproxConfig, calibrate, convert};
///
/// let device = Device::default();
/// let left = Tensor::<3>::random([2, 5, 8], burn::tensor::Distribution::Default, &device);
/// let right = Tensor::<3>::random([2, 8, 3], burn::tensor::Distribution::Default, &device);
///
/// let (product, _) = convert(Matmul::new(), &ApproxConfig::bundled("mul8s_1L2J"))?;
/// calibrate(&product, |product| drop(product.forward(left.clone(), right.clone())))?;
/// assert_eq!(product.forward(left, right).dims(), [2, 5, 3]);
/// # Ok::<(), burn_approx::ApproxError>(())
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct Matmul {
    /// The layer's approximation, empty until conversion.
    pub approximation: Approximation,
}

impl Matmul {
    /// A product in float.
    pub fn new() -> Self {
        Self {
            approximation: Approximation::new(LayerShape::of_activations()),
        }
    }

    /// Multiplies `[.., rows, inner]` by `[.., inner, columns]`, giving `[.., rows, columns]`; leading sizes are equal,
    /// or 1 in one of the two.
    ///
    /// # Panics
    /// With the text of the error that [`try_forward`](Self::try_forward) returns.
    #[track_caller]
    pub fn forward<const D: usize>(&self, left: Tensor<D>, right: Tensor<D>) -> Tensor<D> {
        or_panic(self.try_forward(left, right))
    }

    /// Multiplies `[.., rows, inner]` by `[.., inner, columns]`, giving `[.., rows, columns]`; leading sizes are equal,
    /// or 1 in one of the two.
    ///
    /// # Errors
    /// Operands whose sizes do not fit each other, or a converted layer that is not calibrated for its mode.
    pub fn try_forward<const D: usize>(
        &self,
        left: Tensor<D>,
        right: Tensor<D>,
    ) -> Result<Tensor<D>, ApproxError> {
        apply(&self.approximation, left, right, Tensor::matmul)
    }
}

impl Default for Matmul {
    fn default() -> Self {
        Self::new()
    }
}

/// The layer's function: in float as `float` computes it, or simulated as its approximation says.
pub(crate) fn apply<const D: usize>(
    approximation: &Approximation,
    left: Tensor<D>,
    right: Tensor<D>,
    float: impl FnOnce(Tensor<D>, Tensor<D>) -> Tensor<D>,
) -> Result<Tensor<D>, ApproxError> {
    let geometry = geometry::matmul::matmul(&left.dims(), &right.dims())?;
    let operands = Operands {
        operator: "matmul",
        activation: &left,
        parameter: &right,
        weight: &right,
        bias: None,
    };
    Ok(match approximation.begin(operands, geometry)? {
        None => float(left, right),
        Some(simulation) => simulation.product(left, right, None),
    })
}

impl ModuleDisplay for Matmul {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        content.add("approximation", &self.approximation).optional()
    }
}
