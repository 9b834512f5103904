//! The products that need no kernel of their own: exact codes and HTP models through a backend's float matmul and conv2d.
//!
//! Both start from the product of codes minus their zero points, which is the exact accumulator with every zero-point
//! correction already in it, and in which a padded tap is 0. An HTP model then adds `m(a, b) - a * b`, term by term: for
//! an activation feature `f` and the weighted sum `g` of its partner features, `sum f(a) * g(b)` is a product of
//! `f(a) - f(z)` with `g(b)`, whose padded taps are 0 again, plus the constant `f(z) * sum g(b)`. So a padded tap counts
//! in every term. Where the feature is the activation itself, that product and the exact one are a single product.

use approx_multiplier::{Feature, HtpModel};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Shape, Slice};

use super::backend::{ApproxOps, ProductOperation};
use crate::quantization::{SCALE, ZERO_POINT};

/// The largest sum of magnitudes below which every partial sum of integers is exact in float32.
pub(crate) const FLOAT32_EXACT: f64 = 16_777_216.0;

/// One row of a quantiser, `[1, channels]`.
fn row<B: Backend>(quantizer: &FloatTensor<B>, row: usize) -> FloatTensor<B> {
    let channels = quantizer.shape()[1];
    B::float_slice(
        quantizer.clone(),
        &[Slice::from(row..row + 1), Slice::from(0..channels)],
    )
}

/// A row of a quantiser laid along `axis` of a tensor of rank `rank`.
fn along<B: Backend>(values: FloatTensor<B>, axis: usize, rank: usize) -> FloatTensor<B> {
    let mut shape = vec![1; rank];
    shape[axis] = values.shape()[1];
    B::float_reshape(values, Shape::from(shape))
}

/// The product whose terms a backend computes: a matrix product or a convolution.
#[derive(Clone)]
pub(crate) enum Contraction {
    Matmul,
    Conv2d(ConvOptions<2>),
}

impl Contraction {
    fn apply<B: Backend>(
        &self,
        activation: FloatTensor<B>,
        weight: FloatTensor<B>,
    ) -> FloatTensor<B> {
        match self {
            Self::Matmul => B::float_matmul(activation, weight),
            Self::Conv2d(options) => B::conv2d(activation, weight, None, options.clone()),
        }
    }

    /// The axis of the output channels in the result.
    fn channel_axis(&self, rank: usize) -> usize {
        match self {
            Self::Matmul => rank - 1,
            Self::Conv2d(_) => 1,
        }
    }

    /// The sum of a weight over all that an output accumulates, shaped to broadcast over the result.
    fn weight_sums<B: Backend>(&self, weight: FloatTensor<B>) -> FloatTensor<B> {
        let shape = weight.shape();
        let rank = shape.num_dims();
        match self {
            Self::Matmul => B::float_sum_dim(weight, rank - 2),
            Self::Conv2d(_) => {
                let flat = B::float_reshape(
                    weight,
                    Shape::from(vec![shape[0], shape.num_elements() / shape[0].max(1)]),
                );
                B::float_reshape(
                    B::float_sum_dim(flat, 1),
                    Shape::from(vec![1, shape[0], 1, 1]),
                )
            }
        }
    }
}

/// Multiplies a product of codes by the activation's and the weight's scale.
fn rescale<B: Backend>(
    product: FloatTensor<B>,
    activation_quantizer: &FloatTensor<B>,
    weight_quantizer: &FloatTensor<B>,
    contraction: &Contraction,
) -> FloatTensor<B> {
    let scale = B::float_mul(
        row::<B>(activation_quantizer, SCALE),
        row::<B>(weight_quantizer, SCALE),
    );
    let rank = product.shape().num_dims();
    B::float_mul(
        product,
        along::<B>(scale, contraction.channel_axis(rank), rank),
    )
}

/// The exact product of codes already shifted by their zero points, scaled.
pub(crate) fn exact<B: Backend>(
    activation: FloatTensor<B>,
    weight: FloatTensor<B>,
    activation_quantizer: &FloatTensor<B>,
    weight_quantizer: &FloatTensor<B>,
    contraction: &Contraction,
) -> FloatTensor<B> {
    let product = contraction.apply::<B>(activation, weight);
    // A sum of nothing but products of 0 and a negative code may come as -0; the integer 0 has no sign.
    let product = B::float_add_scalar(product, 0.0.into());
    rescale::<B>(product, activation_quantizer, weight_quantizer, contraction)
}

/// The product under an HTP model, scaled.
pub(crate) fn htp<B: ApproxOps>(
    activation: FloatTensor<B>,
    weight: FloatTensor<B>,
    activation_quantizer: &FloatTensor<B>,
    weight_quantizer: &FloatTensor<B>,
    operation: &ProductOperation,
    model: &HtpModel,
    contraction: &Contraction,
) -> FloatTensor<B> {
    let activation = B::shifted_codes(
        activation,
        activation_quantizer.clone(),
        operation.activation,
    );
    let weight = B::shifted_codes(weight, weight_quantizer.clone(), operation.weight);
    let rank = activation.shape().num_dims();
    let activation_zero = along::<B>(row::<B>(activation_quantizer, ZERO_POINT), 0, rank);
    let weight_zero = along::<B>(
        row::<B>(weight_quantizer, ZERO_POINT),
        operation.weight.channel_axis.unwrap_or(0),
        rank,
    );
    let activation_codes = B::float_add(activation.clone(), activation_zero.clone());
    let weight_codes = B::float_add(weight.clone(), weight_zero);

    let mut terms = error_terms(model);
    // Terms in the activation itself join the exact product: (a - z) * (b' + g(b)), and z * sum g(b) besides.
    let identity = terms
        .iter()
        .position(|(first, _)| *first == Feature::Identity);
    let mut product = match identity.map(|index| terms.swap_remove(index)) {
        None => contraction.apply::<B>(activation, weight),
        Some((_, partners)) => {
            let partner = partner_sum::<B>(&partners, &weight_codes);
            let constant = contraction.weight_sums::<B>(partner.clone());
            let product = contraction.apply::<B>(activation, B::float_add(weight, partner));
            B::float_add(product, B::float_mul(constant, activation_zero.clone()))
        }
    };
    for (first, partners) in terms {
        let partner = partner_sum::<B>(&partners, &weight_codes);
        let constant = contraction.weight_sums::<B>(partner.clone());
        product = if first == Feature::One {
            B::float_add(product, constant)
        } else {
            let at_zero = feature::<B>(first, activation_zero.clone());
            let varying = B::float_sub(
                feature::<B>(first, activation_codes.clone()),
                at_zero.clone(),
            );
            let product = B::float_add(product, contraction.apply::<B>(varying, partner));
            B::float_add(product, B::float_mul(constant, at_zero))
        };
    }
    rescale::<B>(product, activation_quantizer, weight_quantizer, contraction)
}

/// The terms of `m(a, b) - a * b`, gathered by activation feature, so that each feature costs one product.
fn error_terms(model: &HtpModel) -> Vec<(Feature, Vec<(f64, Feature)>)> {
    let exact = [(-1.0, Feature::Identity, Feature::Identity)];
    let terms = model
        .terms()
        .iter()
        .map(|term| (term.coefficient, term.first, term.second))
        .chain(exact);
    let mut gathered: Vec<(Feature, Vec<(f64, Feature)>)> = Vec::new();
    for (coefficient, first, second) in terms {
        let position = gathered
            .iter()
            .position(|(feature, _)| *feature == first)
            .unwrap_or_else(|| {
                gathered.push((first, Vec::new()));
                gathered.len() - 1
            });
        let partners = &mut gathered[position].1;
        match partners.iter_mut().find(|(_, feature)| *feature == second) {
            Some((sum, _)) => *sum += coefficient,
            None => partners.push((coefficient, second)),
        }
    }
    for (_, partners) in &mut gathered {
        partners.retain(|(coefficient, _)| *coefficient != 0.0);
    }
    gathered.retain(|(_, partners)| !partners.is_empty());
    gathered
}

fn partner_sum<B: Backend>(partners: &[(f64, Feature)], codes: &FloatTensor<B>) -> FloatTensor<B> {
    partners
        .iter()
        .map(|(coefficient, second)| {
            B::float_mul_scalar(feature::<B>(*second, codes.clone()), (*coefficient).into())
        })
        .reduce(B::float_add)
        .expect("terms without partners are dropped")
}

/// A feature of integer-valued codes.
fn feature<B: Backend>(feature: Feature, codes: FloatTensor<B>) -> FloatTensor<B> {
    match feature {
        Feature::Identity => codes,
        Feature::One => B::float_add_scalar(B::float_mul_scalar(codes, 0.0.into()), 1.0.into()),
        Feature::Mod { modulus, power } => {
            let modulus = f64::from(modulus);
            let residue = if modulus.log2().fract() == 0.0 {
                // Dividing by a power of two is exact, and cheaper than a remainder.
                let quotient =
                    B::float_floor(B::float_mul_scalar(codes.clone(), (1.0 / modulus).into()));
                B::float_sub(codes, B::float_mul_scalar(quotient, modulus.into()))
            } else {
                B::float_remainder_scalar(codes, modulus.into())
            };
            match power {
                0 => self::feature::<B>(Feature::One, residue),
                _ => (1..power).fold(residue.clone(), |product, _| {
                    B::float_mul(product, residue.clone())
                }),
            }
        }
    }
}
