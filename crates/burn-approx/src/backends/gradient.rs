//! Gradients of a product by derivatives of its multiplier, through a backend's own float products.
//!
//! With `y = s_x s_w (sum m(q_x, q_w) - z_x sum q_w - z_w sum q_x + ..)` the derivative by an activation's code is
//! `s_x s_w (dm/da - z_w)`, and a code moves by `1 / s_x` with the activation. A derivative that is a sum of products of
//! one-operand functions, `dm/da = sum over t of f_t(a) g_t(b)`, makes of the gradient
//!
//! ```text
//! dL/dx = sum over t of f_t(q_x) * (the gradient's product with s_w g_t(q_w))
//! ```
//!
//! less the zero point where `f_t` is 1, times the clip mask; the weight's likewise. A padded tap counts as the code `z_x`
//! in the weight's: what its term is worth there goes into every tap, and what the term differs from that into the
//! product, whose padded taps are 0.

use approx_cpu::Padding2d;
use approx_multiplier::{Derivative, Feature, MultiplierGradient};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;

use super::extension::ApproxOps;
use super::function::{Function, along, row};
use crate::codes::{CodeGrid, Operand};
use crate::geometry::Geometry;
use crate::plan::ProductOperation;
use crate::quantization::{SCALE, ZERO_POINT};

/// The operands of a product whose gradients are wanted, and the derivatives of its multiplier.
pub(super) struct ProductGradient<'a, B: Backend> {
    operation: &'a ProductOperation,
    derivatives: &'a MultiplierGradient,
    activation: Codes<B>,
    weight: Codes<B>,
}

/// An operand's codes.
struct Codes<B: Backend> {
    codes: FloatTensor<B>,
    /// Shaped to broadcast over the codes, as the scale is.
    zero_point: FloatTensor<B>,
    scale: FloatTensor<B>,
    grid: CodeGrid,
}

/// A term of a derivative by one operand, as functions of that operand's code and of the other's.
struct Term {
    own: Function,
    other: Function,
}

impl<B: ApproxOps> Codes<B> {
    fn new(values: FloatTensor<B>, quantizer: &FloatTensor<B>, grid: CodeGrid) -> Self {
        let rank = values.shape().num_dims();
        let axis = grid.channel_axis.unwrap_or(0);
        let [zero_point, scale] =
            [ZERO_POINT, SCALE].map(|index| along::<B>(row::<B>(quantizer, index), axis, rank));
        let shifted = B::shifted_codes(values, quantizer.clone(), grid);
        Self {
            codes: B::float_add(shifted, zero_point.clone()),
            zero_point,
            scale,
            grid,
        }
    }

    /// Of terms whose other operand this is, what each own function is multiplied with on some codes, scaled; the terms
    /// that do not depend on their own code are one, less the zero point.
    fn factors<'t>(
        &self,
        terms: &'t [Term],
        codes: &FloatTensor<B>,
    ) -> Vec<(&'t Function, FloatTensor<B>)> {
        const CONSTANT: &Function = &Function::Formula(Feature::One);
        let map = |term: &Term| term.other.apply::<B>(codes.clone(), self.grid);
        let (constant, varying): (Vec<_>, Vec<_>) =
            terms.iter().partition(|term| term.own == *CONSTANT);
        let constant = constant.into_iter().map(map).reduce(B::float_add);
        let constant = match (constant, self.grid.symmetric) {
            (constant, true) => constant,
            (Some(constant), false) => Some(B::float_sub(constant, self.zero_point.clone())),
            (None, false) => {
                let nothing = B::float_mul_scalar(codes.clone(), 0.0.into());
                Some(B::float_sub(nothing, self.zero_point.clone()))
            }
        };
        let constant = constant.map(|constant| (CONSTANT, constant));
        let varying = varying.into_iter().map(|term| (&term.own, map(term)));
        (constant.into_iter().chain(varying))
            .map(|(own, factor)| (own, B::float_mul(factor, self.scale.clone())))
            .collect()
    }

    /// The product with a function of the codes.
    fn times(&self, function: &Function, values: FloatTensor<B>) -> FloatTensor<B> {
        match function {
            Function::Formula(Feature::One) => values,
            _ => B::float_mul(function.apply::<B>(self.codes.clone(), self.grid), values),
        }
    }

    fn is_empty(&self) -> bool {
        self.codes.shape().num_elements() == 0
    }
}

impl<'a, B: ApproxOps> ProductGradient<'a, B> {
    pub(super) fn new(
        operation: &'a ProductOperation,
        derivatives: &'a MultiplierGradient,
        [activation, weight]: [FloatTensor<B>; 2],
        [activation_quantizer, weight_quantizer]: &[FloatTensor<B>; 2],
    ) -> Self {
        Self {
            operation,
            derivatives,
            activation: Codes::new(activation, activation_quantizer, operation.activation()),
            weight: Codes::new(weight, weight_quantizer, operation.weight()),
        }
    }

    /// The activation's gradient, where nothing is clipped.
    pub(super) fn by_activation(&self, gradient: &FloatTensor<B>) -> FloatTensor<B> {
        let (own, other) = (&self.activation, &self.weight);
        let product = |factor| {
            let (geometry, codes) = (*self.operation.geometry(), own.codes.clone());
            B::activation_gradient(codes, factor, gradient.clone(), geometry)
        };
        let terms = self.terms(self.derivatives.by_activation(), Operand::Activation);
        let products = (other.factors(&terms, &other.codes).into_iter())
            .map(|(function, factor)| (function, product(factor)))
            .collect();
        Self::sum(own, products)
    }

    /// The weight's gradient, where nothing is clipped.
    pub(super) fn by_weight(&self, gradient: &FloatTensor<B>) -> FloatTensor<B> {
        let (own, other) = (&self.weight, &self.activation);
        let geometry = self.operation.geometry();
        let product =
            |factor| B::weight_gradient(factor, own.codes.clone(), gradient.clone(), *geometry);
        let terms = self.terms(self.derivatives.by_weight(), Operand::Weight);
        let factors = other.factors(&terms, &other.codes).into_iter();
        let products = match is_padded(geometry) && !own.is_empty() && !other.is_empty() {
            false => factors
                .map(|(function, factor)| (function, product(factor)))
                .collect(),
            true => {
                let sums = sums_by_channel::<B>(gradient.clone());
                let padded = other.factors(&terms, &other.zero_point).into_iter();
                factors
                    .zip(padded)
                    .map(|((function, factor), (_, padded))| {
                        let inside = product(B::float_sub(factor, padded.clone()));
                        let everywhere = B::float_mul(sums.clone(), padded);
                        (function, B::float_add(inside, everywhere))
                    })
                    .collect()
            }
        };
        Self::sum(own, products)
    }

    /// The terms of a derivative by an operand, on the codes that there are.
    fn terms(&self, derivative: &Derivative, by: Operand) -> Vec<Term> {
        let (activation_format, weight_format) = self.operation.multiplier().formats();
        let terms = derivative.terms().iter().map(|term| {
            let activation = Function::by_pattern(
                |pattern| term.activation()[pattern],
                activation_format,
                self.activation.grid,
            );
            let weight = Function::by_pattern(
                |pattern| term.weight()[pattern],
                weight_format,
                self.weight.grid,
            );
            let [own, other] = match by {
                Operand::Activation => [activation, weight],
                Operand::Weight => [weight, activation],
            };
            Term { own, other }
        });
        terms.collect()
    }

    /// The sum of products, each times a function of an operand's codes.
    fn sum(own: &Codes<B>, products: Vec<(&Function, FloatTensor<B>)>) -> FloatTensor<B> {
        if own.is_empty() {
            return own.codes.clone();
        }
        let products = products.into_iter();
        products
            .map(|(function, product)| own.times(function, product))
            .reduce(B::float_add)
            .unwrap_or_else(|| B::float_mul_scalar(own.codes.clone(), 0.0.into()))
    }
}

/// Whether some taps lie outside of the activation and are multiplied nevertheless.
fn is_padded(geometry: &Geometry) -> bool {
    match geometry {
        Geometry::Conv2d(shape) => shape.padding != Padding2d::default(),
        Geometry::Matmul(_) | Geometry::ConvTranspose2d(_) => false,
    }
}

/// The sums of a convolution's outputs `[batch, channels, height, width]` as `[channels, 1, 1, 1]`.
fn sums_by_channel<B: Backend>(outputs: FloatTensor<B>) -> FloatTensor<B> {
    let channels = outputs.shape()[1];
    let sums = [0, 2, 3].into_iter().fold(outputs, B::float_sum_dim);
    B::float_reshape(sums, Shape::from(vec![channels, 1, 1, 1]))
}
