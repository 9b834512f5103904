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

use approx_multiplier::{Derivative, MultiplierGradient, OperandFormat};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};

use super::coded::CodeFunction;
use super::extension::ApproxOps;
use crate::codes::{CodeGrid, Operand};
use crate::plan::ProductOperation;

/// The operands of a product whose gradients are wanted, and the derivatives of its multiplier.
pub(super) struct ProductGradient<'a, B: Backend> {
    operation: &'a ProductOperation,
    derivatives: &'a MultiplierGradient,
    activation: FloatTensor<B>,
    activation_quantizer: FloatTensor<B>,
    weight: FloatTensor<B>,
    weight_quantizer: FloatTensor<B>,
}

/// The terms of a derivative by one operand that have one function of that operand's code: what that is multiplied with, a
/// function of the other's code.
struct Term {
    own: Vec<f32>,
    other: CodeFunction,
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
            activation,
            activation_quantizer: activation_quantizer.clone(),
            weight_quantizer: weight_quantizer.clone(),
            weight,
        }
    }

    /// The activation's gradient, 0 where it was clipped.
    pub(super) fn by_activation(&self, gradient: &FloatTensor<B>) -> FloatTensor<B> {
        let terms = self.terms(self.derivatives.by_activation(), Operand::Activation);
        let products = terms.into_iter().map(|term| {
            B::coded_activation_gradient(
                self.activation.clone(),
                self.activation_quantizer.clone(),
                self.function_of_weight(term.other),
                gradient.clone(),
                self.operation.clone(),
                (!is_one(&term.own)).then(|| term.own.into()),
            )
        });
        let sum = products.reduce(B::float_add);
        sum.unwrap_or_else(|| zeros_like::<B>(&self.activation))
    }

    /// The weight's gradient, where nothing is clipped.
    pub(super) fn by_weight(&self, gradient: &FloatTensor<B>) -> FloatTensor<B> {
        let terms = self.terms(self.derivatives.by_weight(), Operand::Weight);
        let products = terms.into_iter().map(|term| {
            let product = B::coded_weight_gradient(
                self.activation.clone(),
                self.activation_quantizer.clone(),
                self.weight.clone(),
                gradient.clone(),
                self.operation.clone(),
                Some(term.other),
            );
            if is_one(&term.own) {
                return product;
            }
            let factor = self.function_of_weight(CodeFunction {
                values: term.own.into(),
                less_zero_point: false,
                scaled: false,
            });
            B::float_mul(factor, product)
        });
        let sum = products.reduce(B::float_add);
        sum.unwrap_or_else(|| zeros_like::<B>(&self.weight))
    }

    fn function_of_weight(&self, function: CodeFunction) -> FloatTensor<B> {
        B::function_of_codes(
            self.weight.clone(),
            self.weight_quantizer.clone(),
            self.operation.weight(),
            function,
        )
    }

    /// The terms of a derivative by an operand, on the codes that there are. Those that do not depend on their own code are
    /// one, less the other operand's zero point.
    fn terms(&self, derivative: &Derivative, by: Operand) -> Vec<Term> {
        let (activation_format, weight_format) = self.operation.multiplier().formats();
        let [activation_grid, weight_grid] = [self.operation.activation(), self.operation.weight()];
        let on_grid = |format: OperandFormat, grid: CodeGrid, values: &[f64]| {
            let codes = grid.low..=grid.high;
            codes
                .map(|code| values[format.pattern(code)])
                .collect::<Vec<f64>>()
        };
        let other_grid = match by {
            Operand::Activation => weight_grid,
            Operand::Weight => activation_grid,
        };
        let own_grid = match by {
            Operand::Activation => activation_grid,
            Operand::Weight => weight_grid,
        };
        let count = |grid: CodeGrid| (grid.high - grid.low) as usize + 1;
        let mut constant = vec![0.0; count(other_grid)];
        let mut is_constant = !other_grid.symmetric;
        let mut terms = Vec::new();
        let single = |values: Vec<f64>| -> Vec<f32> {
            values.into_iter().map(|value| value as f32).collect()
        };
        let function = |values, less_zero_point| CodeFunction {
            values: single(values).into(),
            less_zero_point,
            scaled: true,
        };
        for term in derivative.terms() {
            let activation = on_grid(activation_format, activation_grid, term.activation());
            let weight = on_grid(weight_format, weight_grid, term.weight());
            let [own, other] = match by {
                Operand::Activation => [activation, weight],
                Operand::Weight => [weight, activation],
            };
            if own.iter().all(|&value| value == 1.0) {
                is_constant = true;
                constant
                    .iter_mut()
                    .zip(other)
                    .for_each(|(sum, value)| *sum += value);
            } else {
                terms.push(Term {
                    own: single(own),
                    other: function(other, false),
                });
            }
        }
        if is_constant {
            terms.insert(
                0,
                Term {
                    own: vec![1.0; count(own_grid)],
                    other: function(constant, !other_grid.symmetric),
                },
            );
        }
        terms
    }
}

/// Whether a function is 1 for all codes.
fn is_one(function: &[f32]) -> bool {
    function.iter().all(|&value| value == 1.0)
}

fn zeros_like<B: Backend>(tensor: &FloatTensor<B>) -> FloatTensor<B> {
    B::float_zeros(tensor.shape(), &tensor.device(), tensor.dtype().into())
}
