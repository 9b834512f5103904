//! The geometry of a product: which activation meets which weight in which output, as a value that every room asks.
//!
//! A product is a sum of `m(activation, weight)` for every output. Its geometry says how many operands there are and
//! how many products one output sums, where output channels lie, and what shape the result has. Operands are checked
//! here, when a geometry is made from their shapes; whoever holds a [`Geometry`] need not check again.
//!
//! A new kind of product is a variant of [`Geometry`], a file here that implements [`Rules`] for its shape, and one arm
//! in each place where the compiler then misses one: the engines of `backends`, and the planner's costs.

pub(crate) mod conv2d;
pub(crate) mod conv_transpose2d;
pub(crate) mod matmul;
#[cfg(test)]
mod tests;

use approx_cpu::{Conv2dShape, ConvTranspose2dShape, MatmulShape};
use burn::tensor::Shape;

use crate::error::ApproxError;

/// The geometry of a product of activations and weights.
///
/// ```
/// use approx_cpu::MatmulShape;
/// use burn_approx::plan::Geometry;
///
/// let product = Geometry::Matmul(MatmulShape { rows: 8, inner: 64, columns: 32 });
/// assert_eq!((product.inner(), product.outputs(), product.products()), (64, 256, 16_384));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Geometry {
    /// A matrix product `[.., rows, inner]` by `[.., inner, columns]`; rows are those of the whole batch.
    Matmul(MatmulShape),
    /// A convolution of `[batch, in, height, width]` with `[out, in / groups, height, width]`.
    Conv2d(Conv2dShape),
    /// A transposed convolution of `[batch, in, height, width]` with `[out, in / groups, height, width]`.
    ConvTranspose2d(ConvTranspose2dShape),
}

/// What a kind of product answers.
pub(crate) trait Rules {
    /// What the operator is called in messages.
    fn name(&self) -> &'static str;

    /// The most products that one output sums.
    fn inner(&self) -> usize;

    /// Values of the activation.
    fn inputs(&self) -> usize;

    /// Values of the weight.
    fn weights(&self) -> usize;

    /// Values of the result.
    fn outputs(&self) -> usize;

    /// Products of all outputs.
    fn products(&self) -> usize;

    /// The result's shape, from those of operands that fit.
    fn output_shape(&self, activation: &Shape, weight: &Shape) -> Shape;

    /// The axis of the output channels in a weight of this rank.
    fn weight_channel_axis(&self, rank: usize) -> usize;

    /// The axis of the output channels in a result of this rank.
    fn output_channel_axis(&self, rank: usize) -> usize;

    /// How many groups of channels there are, each a product of its own.
    fn groups(&self) -> usize;

    /// The axes of the inputs in an activation and a weight of this rank.
    fn joining_axes(&self, rank: usize) -> [usize; 2];

    /// How many products of an output share a position along the joining axis.
    fn taps(&self) -> usize;

    /// The geometry as far as the layout of a packed weight depends on it: one that is the same for every batch and
    /// size of input.
    fn of_weight(&self) -> Geometry;
}

impl Geometry {
    fn rules(&self) -> &dyn Rules {
        match self {
            Self::Matmul(shape) => shape,
            Self::Conv2d(shape) => shape,
            Self::ConvTranspose2d(shape) => shape,
        }
    }

    /// The most products that one output sums.
    pub fn inner(&self) -> usize {
        self.rules().inner()
    }

    /// Values of the activation.
    pub fn inputs(&self) -> usize {
        self.rules().inputs()
    }

    /// Values of the weight.
    pub fn weights(&self) -> usize {
        self.rules().weights()
    }

    /// Values of the result.
    pub fn outputs(&self) -> usize {
        self.rules().outputs()
    }

    /// Products of all outputs.
    pub fn products(&self) -> usize {
        self.rules().products()
    }

    pub(crate) fn name(&self) -> &'static str {
        self.rules().name()
    }

    pub(crate) fn output_shape(&self, activation: &Shape, weight: &Shape) -> Shape {
        self.rules().output_shape(activation, weight)
    }

    pub(crate) fn weight_channel_axis(&self, rank: usize) -> usize {
        self.rules().weight_channel_axis(rank)
    }

    pub(crate) fn output_channel_axis(&self, rank: usize) -> usize {
        self.rules().output_channel_axis(rank)
    }

    /// Whether operands of several products can be joined to those of one product that adds them all up.
    pub(crate) fn can_be_joined(&self) -> bool {
        self.rules().groups() == 1
    }

    /// The axes of activation and weight, of this rank, along which operands of several products can be joined; `None`
    /// where they cannot.
    pub(crate) fn joining_axes(&self, rank: usize) -> Option<[usize; 2]> {
        self.can_be_joined()
            .then(|| self.rules().joining_axes(rank))
    }

    pub(crate) fn taps(&self) -> usize {
        self.rules().taps()
    }

    pub(crate) fn of_weight(&self) -> Self {
        self.rules().of_weight()
    }
}

/// An error about shapes that do not fit.
pub(crate) fn shape_error(operator: &'static str, problem: String) -> ApproxError {
    ApproxError::Shape { operator, problem }
}
