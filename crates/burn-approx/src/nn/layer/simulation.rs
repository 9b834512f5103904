//! How one forward pass of a layer is computed, once it is not in float.

use burn::prelude::*;

use super::tap::Tap;
use crate::error::ApproxError;
use crate::geometry::Geometry;
use crate::nn::settings::Noise;
use crate::ops::{self, Quantizers};
use crate::plan::ProductOperation;
use crate::quantization::CodeQuantizer;

/// The operands of a forward pass.
#[derive(Clone, Copy)]
pub(crate) struct Operands<'a, const A: usize, const P: usize, const W: usize> {
    /// What the layer is called in messages.
    pub(crate) operator: &'static str,
    pub(crate) activation: &'a Tensor<A>,
    /// The parameter that the weight is made of: while it is the very same, so is the weight.
    pub(crate) parameter: &'a Tensor<P>,
    /// The weight as the product takes it.
    pub(crate) weight: &'a Tensor<W>,
    pub(crate) bias: Option<&'a Tensor<1>>,
}

impl<const A: usize, const P: usize, const W: usize> Operands<'_, A, P, W> {
    /// Checks that everything lies on one device, and that quantisers and bias fit the weight.
    pub(super) fn check(
        &self,
        [activation, weight]: &[CodeQuantizer; 2],
        geometry: &Geometry,
    ) -> Result<(), ApproxError> {
        let quantizers = Quantizers { activation, weight };
        let operands = (self.activation, self.weight, self.bias);
        quantizers.check_operands(self.operator, operands, geometry)
    }
}

/// How one forward pass is to be computed.
pub(crate) struct Simulation {
    activation: CodeQuantizer,
    weight: CodeQuantizer,
    operation: ProductOperation,
    noise: Option<Noise>,
    tap: Tap,
}

impl Simulation {
    pub(super) fn new(
        [activation, weight]: [CodeQuantizer; 2],
        operation: ProductOperation,
        noise: Option<Noise>,
        tap: Tap,
    ) -> Self {
        Self {
            activation,
            weight,
            operation,
            noise,
            tap,
        }
    }

    pub(super) fn quantizers(&self) -> Quantizers<'_> {
        Quantizers {
            activation: &self.activation,
            weight: &self.weight,
        }
    }

    /// The product, with operands as its geometry says; a bias lies along axis 1.
    pub(crate) fn product<const D: usize>(
        &self,
        activation: Tensor<D>,
        weight: Tensor<D>,
        bias: Option<Tensor<1>>,
    ) -> Tensor<D> {
        self.tap.take(|| {
            ops::accumulators_of(&activation, &weight, self.quantizers(), &self.operation)
        });
        let operation = self.operation.clone();
        let product = ops::product(activation, weight, self.quantizers(), operation);
        self.with_noise(ops::with_channel_bias(product, bias))
    }

    /// The product of a linear layer.
    pub(crate) fn linear<const D: usize>(
        &self,
        activation: Tensor<D>,
        weight: Tensor<2>,
        bias: Option<Tensor<1>>,
    ) -> Tensor<D> {
        self.tap.take(|| {
            let (quantizers, operation) = (self.quantizers(), &self.operation);
            ops::linear_accumulators_of(&activation, &weight, quantizers, operation)
        });
        let (quantizers, operation) = (self.quantizers(), self.operation.clone());
        let product = ops::linear_product(activation, weight, bias, quantizers, operation);
        self.with_noise(product)
    }

    /// Adds the noise of mode NOISE, if there is any.
    fn with_noise<const D: usize>(&self, output: Tensor<D>) -> Tensor<D> {
        let Some(Noise {
            mean,
            standard_deviation,
        }) = self.noise
        else {
            return output;
        };
        let values = output.clone().detach();
        let centred = values.clone() - values.mean().unsqueeze();
        let spread: Tensor<D> = centred.square().mean().sqrt().unsqueeze();
        let noise =
            output.random_like(burn::tensor::Distribution::Normal(mean, standard_deviation));
        output + spread * noise.detach()
    }
}
