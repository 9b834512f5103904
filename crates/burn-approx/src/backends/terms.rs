//! The product that needs no kernel of its own: any sum of products of one-operand functions, through a backend's float
//! matmul and conv2d. Exact codes, integer factors and HTP models all are one:
//!
//! ```text
//! m(a, b) = sum over t of f_t(a) * g_t(b)
//! ```
//!
//! with `f_t` the code itself, a formula of it or a table by code. Two things keep zero points and padding right. Every
//! product is taken of `f(a) - f(z)`, whose padded taps are 0, with the constant `f(z) * sum g(b)` besides, so that a
//! padded tap counts as the code `z` in every term. And the zero-point corrections `-z * sum b - y * sum a + K * z * y`
//! (`z`, `y` the zero points) are those of a term in the code itself, `(a - z) * (g(b) - y) + z * sum (g(b) - b)`:
//! where there is such a term they cost nothing, and where the weight is symmetric there is no product either.
//!
//! A dense product joins its terms into a single one, as many times as deep; a grouped one is a sum of products.

use approx_multiplier::{Definition, Feature, HtpModel};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};

use super::extension::ApproxOps;
use super::float;
use super::function::{Function, along, row};
use crate::geometry::Geometry;
use crate::plan::ProductOperation;
use crate::quantization::{SCALE, ZERO_POINT};

/// `activation(a)` times the weighted sum of `weight` functions of b.
#[derive(Debug)]
struct Term {
    activation: Function,
    weight: Vec<(f64, Function)>,
}

/// The terms of an operation's product, gathered by activation function so that each costs one product. The first is
/// the one in the code itself, be it empty: the zero-point corrections belong to it.
fn terms(operation: &ProductOperation) -> Vec<Term> {
    let (activation_format, weight_format) = operation.multiplier().formats();
    let mut gathered = vec![Term {
        activation: Function::Formula(Feature::Identity),
        weight: Vec::new(),
    }];
    let mut add = |coefficient: f64, activation: Function, weight: Function| {
        let position = gathered
            .iter()
            .position(|term| term.activation == activation);
        let position = position.unwrap_or_else(|| {
            gathered.push(Term {
                activation,
                weight: Vec::new(),
            });
            gathered.len() - 1
        });
        let partners = &mut gathered[position].weight;
        match partners
            .iter_mut()
            .find(|(_, function)| *function == weight)
        {
            Some((sum, _)) => *sum += coefficient,
            None => partners.push((coefficient, weight)),
        }
    };
    match operation.multiplier().definition() {
        Definition::Htp(model) => {
            for term in HtpModel::terms(model) {
                let [first, second] = [term.first, term.second].map(Function::Formula);
                add(term.coefficient, first, second);
            }
        }
        _ => {
            let function = |values: &[i64], format, grid| {
                let value = |pattern: usize| values[pattern] as f64;
                Function::by_pattern(value, format, grid)
            };
            let grids = (operation.activation(), operation.weight());
            for term in &operation.factors().terms {
                add(
                    term.scale as f64,
                    function(&term.activation, activation_format, grids.0),
                    function(&term.weight, weight_format, grids.1),
                );
            }
        }
    }
    for term in &mut gathered {
        term.weight.retain(|(coefficient, _)| *coefficient != 0.0);
    }
    let mut first = true;
    gathered.retain(|term| std::mem::take(&mut first) || !term.weight.is_empty());
    gathered
}

/// The weight's side of every term.
struct WeightFactors<B: Backend> {
    terms: Vec<WeightTerm<B>>,
    /// What the varying terms' activations are multiplied with: a tensor for each of them, or all of them joined.
    factors: Vec<FloatTensor<B>>,
}

struct WeightTerm<B: Backend> {
    activation: Function,
    /// Whether the term has a factor.
    varies: bool,
    /// What the activation's value at the zero point is multiplied with; `None` if 0.
    sums: Option<FloatTensor<B>>,
}

impl<B: ApproxOps> WeightFactors<B> {
    /// Maps a weight.
    fn new(
        weight: FloatTensor<B>,
        quantizer: &FloatTensor<B>,
        operation: &ProductOperation,
    ) -> Self {
        let geometry = operation.geometry();
        let grid = operation.weight();
        let shifted = B::shifted_codes(weight, quantizer.clone(), grid);
        let rank = shifted.shape().num_dims();
        let axis = grid.channel_axis.unwrap_or(0);
        let zero = along::<B>(row::<B>(quantizer, ZERO_POINT), axis, rank);
        let codes = B::float_add(shifted.clone(), zero.clone());
        let mut factors = Vec::new();
        let mut weight_terms = Vec::new();
        for Term { activation, weight } in terms(operation) {
            let partners: Option<FloatTensor<B>> = weight
                .iter()
                .map(|(coefficient, function)| {
                    let values = function.apply::<B>(codes.clone(), grid);
                    match *coefficient {
                        1.0 => values,
                        coefficient => B::float_mul_scalar(values, coefficient.into()),
                    }
                })
                .reduce(B::float_add);
            let (factor, summed) = match activation {
                Function::Formula(Feature::One) => (None, partners),
                Function::Formula(Feature::Identity) => match partners {
                    None if grid.symmetric => (None, Some(B::float_neg(codes.clone()))),
                    None => {
                        let factor = B::float_sub(shifted.clone(), codes.clone());
                        (Some(factor), Some(B::float_neg(codes.clone())))
                    }
                    Some(_) if weight == [(1.0, Function::Formula(Feature::Identity))] => {
                        (Some(shifted.clone()), None)
                    }
                    Some(partners) => {
                        let difference = B::float_sub(partners.clone(), codes.clone());
                        let factor = match grid.symmetric {
                            true => partners,
                            false => B::float_sub(partners, zero.clone()),
                        };
                        (Some(factor), Some(difference))
                    }
                },
                _ => (partners.clone(), partners),
            };
            weight_terms.push(WeightTerm {
                activation,
                varies: factor.is_some(),
                sums: summed.map(|summed| float::weight_sums::<B>(geometry, summed)),
            });
            factors.extend(factor);
        }
        if factors.is_empty() {
            // Products of zeros, which have the right shape and keep a NaN.
            weight_terms[0].varies = true;
            factors.push(B::float_mul_scalar(shifted, 0.0.into()));
        }
        if factors.len() > 1
            && let Some([_, axis]) = geometry.joining_axes(rank)
        {
            factors = vec![B::float_cat(factors, axis)];
        }
        Self {
            terms: weight_terms,
            factors,
        }
    }

    /// The sum of an activation's products with the weight, scaled.
    fn multiply(
        &self,
        activation: FloatTensor<B>,
        quantizer: &FloatTensor<B>,
        weight_quantizer: &FloatTensor<B>,
        operation: &ProductOperation,
    ) -> FloatTensor<B> {
        let geometry = operation.geometry();
        let grid = operation.activation();
        let rank = activation.shape().num_dims();
        let shifted = B::shifted_codes(activation, quantizer.clone(), grid);
        let zero = along::<B>(row::<B>(quantizer, ZERO_POINT), 0, rank);
        let codes = match grid.symmetric {
            true => shifted.clone(),
            false => B::float_add(shifted.clone(), zero.clone()),
        };
        let mut constants: Vec<FloatTensor<B>> = Vec::new();
        let mut varying: Vec<FloatTensor<B>> = Vec::new();
        for term in &self.terms {
            let function = &term.activation;
            if *function == Function::Formula(Feature::One) {
                constants.extend(term.sums.clone());
                continue;
            }
            let at_zero = (!(grid.symmetric && function.vanishes_at_zero(grid)))
                .then(|| function.apply::<B>(zero.clone(), grid));
            if let (Some(at_zero), Some(sums)) = (&at_zero, &term.sums) {
                constants.push(B::float_mul(sums.clone(), at_zero.clone()));
            }
            if term.varies {
                varying.push(match (function, at_zero) {
                    (Function::Formula(Feature::Identity), _) => shifted.clone(),
                    (_, None) => function.apply::<B>(codes.clone(), grid),
                    (_, Some(at_zero)) => {
                        B::float_sub(function.apply::<B>(codes.clone(), grid), at_zero)
                    }
                });
            }
        }
        if varying.len() > self.factors.len()
            && let Some([axis, _]) = geometry.joining_axes(rank)
        {
            varying = vec![B::float_cat(varying, axis)];
        }
        assert_eq!(
            varying.len(),
            self.factors.len(),
            "the weight's side was made for the same geometry"
        );
        let product = varying
            .into_iter()
            .zip(&self.factors)
            .map(|(values, factor)| float::product::<B>(geometry, values, factor.clone()))
            .reduce(B::float_add)
            .expect("some term varies with the activation");
        let product = constants.into_iter().fold(product, B::float_add);
        // A sum of nothing but products of 0 and a negative code may come as -0; the integer 0 has no sign.
        let product = B::float_add_scalar(product, 0.0.into());
        rescale::<B>(product, quantizer, weight_quantizer, geometry)
    }
}

/// An operation's product by a route through the backend's own float32 products.
pub(super) fn product<B: ApproxOps>(
    activation: FloatTensor<B>,
    weight: FloatTensor<B>,
    [activation_quantizer, weight_quantizer]: [FloatTensor<B>; 2],
    operation: &ProductOperation,
) -> FloatTensor<B> {
    let factors =
        operation.kept_weight(|| WeightFactors::<B>::new(weight, &weight_quantizer, operation));
    factors.multiply(
        activation,
        &activation_quantizer,
        &weight_quantizer,
        operation,
    )
}

/// Multiplies a product of codes by the activation's and the weight's scale.
fn rescale<B: Backend>(
    product: FloatTensor<B>,
    activation_quantizer: &FloatTensor<B>,
    weight_quantizer: &FloatTensor<B>,
    geometry: &Geometry,
) -> FloatTensor<B> {
    let scale = B::float_mul(
        row::<B>(activation_quantizer, SCALE),
        row::<B>(weight_quantizer, SCALE),
    );
    let rank = product.shape().num_dims();
    B::float_mul(
        product,
        along::<B>(scale, geometry.output_channel_axis(rank), rank),
    )
}
