//! Functions of one operand's codes on any backend, and a quantiser's rows along a tensor.

use approx_multiplier::{Feature, OperandFormat};
use burn::backend::tensor::{Device, FloatTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{IntDType, Shape, Slice, TensorData};

use crate::codes::CodeGrid;

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
pub(super) enum Function {
    /// A formula.
    Formula(Feature),
    /// The values for the codes of the operand's grid, the lowest code first.
    Table(Vec<f32>),
}

impl Function {
    /// The function with the given values by bit pattern, on the codes of a grid.
    pub(super) fn by_pattern(
        value: impl Fn(usize) -> f64,
        format: OperandFormat,
        grid: CodeGrid,
    ) -> Self {
        let codes = grid.low..=grid.high;
        Self::of_codes(
            codes
                .map(|code| value(format.pattern(code)) as f32)
                .collect(),
            grid,
        )
    }

    /// The function with the given values for the codes of a grid, the lowest code first.
    pub(super) fn of_codes(values: Vec<f32>, grid: CodeGrid) -> Self {
        if (grid.low..=grid.high)
            .zip(&values)
            .all(|(code, &value)| code as f32 == value)
        {
            return Self::Formula(Feature::Identity);
        }
        if values.iter().all(|&value| value == 1.0) {
            return Self::Formula(Feature::One);
        }
        Self::Table(values)
    }

    /// Whether the value is 1 for every code.
    pub(super) fn is_one(&self) -> bool {
        *self == Self::Formula(Feature::One)
    }

    pub(super) fn apply<B: Backend>(
        &self,
        codes: FloatTensor<B>,
        grid: CodeGrid,
    ) -> FloatTensor<B> {
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
    pub(super) fn vanishes_at_zero(&self, grid: CodeGrid) -> bool {
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
