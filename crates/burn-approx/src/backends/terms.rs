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

use approx_multiplier::{Definition, Feature, HtpModel, OperandFormat};
use burn::backend::tensor::{Device, FloatTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{IntDType, Shape, Slice, TensorData};

use super::extension::ApproxOps;
use super::float;
use crate::codes::CodeGrid;
use crate::geometry::Geometry;
use crate::plan::ProductOperation;
use crate::quantization::{SCALE, ZERO_POINT};

/// One row of a quantiser, `[1, channels]`.
pub(super) fn row<B: Backend>(quantizer: &FloatTensor<B>, row: usize) -> FloatTensor<B> {
    let channels = quantizer.shape()[1];
    B::float_slice(
        quantizer.clone(),
        &[Slice::from(row..row + 1), Slice::from(0..channels)],
    )
}

/// A row of a quantiser laid along `axis` of a tensor of rank `rank`.
pub(super) fn along<B: Backend>(
    values: FloatTensor<B>,
    axis: usize,
    rank: usize,
) -> FloatTensor<B> {
    let mut shape = vec![1; rank];
    shape[axis] = values.shape()[1];
    B::float_reshape(values, Shape::from(shape))
}

/// A function of one operand's codes.
#[derive(Clone, Debug, PartialEq)]
enum Function {
    /// A formula.
    Formula(Feature),
    /// The values for the codes of the operand's grid, the lowest code first.
    Table(Vec<f32>),
}

impl Function {
    /// The function with the given values by bit pattern, on the codes of a grid.
    fn by_pattern(values: &[i64], format: OperandFormat, grid: CodeGrid) -> Self {
        let on_grid = || (grid.low..=grid.high).map(|code| (code, values[format.pattern(code)]));
        if on_grid().all(|(code, value)| i64::from(code) == value) {
            return Self::Formula(Feature::Identity);
        }
        if on_grid().all(|(_, value)| value == 1) {
            return Self::Formula(Feature::One);
        }
        Self::Table(on_grid().map(|(_, value)| value as f32).collect())
    }

    fn apply<B: ApproxOps>(&self, codes: FloatTensor<B>, grid: CodeGrid) -> FloatTensor<B> {
        match self {
            Self::Formula(feature) => formula::<B>(*feature, codes),
            Self::Table(values) => {
                let (shape, device) = (codes.shape(), codes.device());
                let flat = B::float_reshape(codes, Shape::from(vec![shape.num_elements()]));
                let index = B::float_sub_scalar(flat.clone(), grid.low.into());
                let index = B::float_into_int(index, IntDType::I32);
                let table = tensor::<B>(values.clone(), &device);
                let values = B::float_select(table, 0, index);
                // A NaN has no index; 0 times the code keeps it.
                let values = B::float_add(values, B::float_mul_scalar(flat, 0.0.into()));
                B::float_reshape(values, shape)
            }
        }
    }

    /// Whether the value at code 0 is known to be 0.
    fn vanishes_at_zero(&self, grid: CodeGrid) -> bool {
        match self {
            Self::Formula(Feature::Identity) => true,
            Self::Formula(_) => false,
            Self::Table(values) => values[(-grid.low) as usize] == 0.0,
        }
    }
}

fn tensor<B: Backend>(values: Vec<f32>, device: &Device<B>) -> FloatTensor<B> {
    let length = values.len();
    B::float_from_data(TensorData::new(values, [length]), device)
}

/// A formula of integer-valued codes.
fn formula<B: Backend>(feature: Feature, codes: FloatTensor<B>) -> FloatTensor<B> {
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
                0 => formula::<B>(Feature::One, residue),
                _ => (1..power).fold(residue.clone(), |product, _| {
                    B::float_mul(product, residue.clone())
                }),
            }
        }
    }
}

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
            for term in &operation.factors().terms {
                add(
                    term.scale as f64,
                    Function::by_pattern(
                        &term.activation,
                        activation_format,
                        operation.activation(),
                    ),
                    Function::by_pattern(&term.weight, weight_format, operation.weight()),
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
