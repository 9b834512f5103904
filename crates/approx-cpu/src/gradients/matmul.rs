//! The gradients of a matrix product.

use crate::arch::InstructionSet;
use crate::error::{KernelError, check_length, checked_product};
use crate::shapes::MatmulShape;

use super::images::{Images, Phase};
use super::lines::{Lines, Planes};
use super::operand::{Coded, FloatOperand};
use super::product::{Left, Right};
use super::weights::Weight;

/// The gradient of a matrix product's activations: `gradient * transposed weight`.
///
/// `weight` is `[inner, columns]`, `gradient`, that of the result, `[rows, columns]`; this one's is `[rows, inner]`. All
/// are row-major, and any side may be 0. If `coded` has the activations and their quantiser, those that were clipped
/// get 0, others a factor where a function of their codes is given.
///
/// # Errors
///
/// [`KernelError::Length`] where a slice does not fit the shape, [`KernelError::Overflow`] where a number of
/// elements does not fit in `usize`.
///
/// ```
/// use approx_cpu::{MatmulShape, matmul_activation_gradient};
///
/// let shape = MatmulShape { rows: 1, inner: 2, columns: 3 };
/// let weight = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let gradient = matmul_activation_gradient(&shape, &weight, &[100.0, 10.0, 1.0], None)?;
/// assert_eq!(gradient, [123.0, 456.0]);
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
pub fn matmul_activation_gradient(
    shape: &MatmulShape,
    weight: &[f32],
    gradient: &[f32],
    coded: Option<Coded<'_>>,
) -> Result<Vec<f32>, KernelError> {
    matmul_activation_gradient_with(InstructionSet::best(), shape, weight, gradient, coded)
}

/// [`matmul_activation_gradient`] with a given instruction set.
pub(crate) fn matmul_activation_gradient_with(
    set: InstructionSet,
    shape: &MatmulShape,
    weight: &[f32],
    gradient: &[f32],
    coded: Option<Coded<'_>>,
) -> Result<Vec<f32>, KernelError> {
    let [activations, weights, gradients] = lengths(shape)?;
    check_length("weights", weights, weight.len())?;
    check_length("gradients", gradients, gradient.len())?;
    coded.map_or(Ok(()), |coded| coded.check(activations))?;
    let MatmulShape {
        rows,
        inner,
        columns,
    } = *shape;
    if activations == 0 || columns == 0 {
        return Ok(vec![0.0; activations]);
    }
    let matrix = |values, rows| {
        Lines::Planes(Planes {
            values,
            channels: rows,
            plane: columns,
            first_channel: 0,
        })
    };
    let operands = |_| {
        (
            Left::Rows(matrix(gradient.into(), rows)),
            Right::Columns(matrix(weight.into(), inner)),
        )
    };
    let image = Images {
        images: 1,
        groups: 1,
        channels: rows,
        sides: [inner, 1],
        stride: [1, 1],
        phases: vec![Phase {
            first: [0, 0],
            depth: 0..columns,
        }],
    };
    Ok(image.compute(set, operands, coded))
}

/// The gradient of a matrix product's weights: `transposed activation * gradient`.
///
/// `activation` is `[rows, inner]`, `gradient`, that of the result, `[rows, columns]`; this one's is `[inner, columns]`.
/// All are row-major, and any side may be 0.
///
/// # Errors
///
/// [`KernelError::Length`] where a slice does not fit the shape, [`KernelError::Overflow`] where a number of
/// elements does not fit in `usize`.
///
/// ```
/// use approx_cpu::{MatmulShape, matmul_weight_gradient};
///
/// let shape = MatmulShape { rows: 2, inner: 1, columns: 2 };
/// let gradient = matmul_weight_gradient(&shape, &[10.0, 1.0], &[1.0, 2.0, 3.0, 4.0])?;
/// assert_eq!(gradient, [13.0, 24.0]);
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
pub fn matmul_weight_gradient<'a>(
    shape: &MatmulShape,
    activation: impl Into<FloatOperand<'a>>,
    gradient: &[f32],
) -> Result<Vec<f32>, KernelError> {
    let (set, activation) = (InstructionSet::best(), activation.into());
    matmul_weight_gradient_with(set, shape, activation, gradient)
}

/// [`matmul_weight_gradient`] with a given instruction set.
pub(crate) fn matmul_weight_gradient_with(
    set: InstructionSet,
    shape: &MatmulShape,
    activation: FloatOperand<'_>,
    gradient: &[f32],
) -> Result<Vec<f32>, KernelError> {
    let [activations, weights, gradients] = lengths(shape)?;
    check_length("activations", activations, activation.values().len())?;
    activation.check()?;
    check_length("gradients", gradients, gradient.len())?;
    let MatmulShape {
        rows,
        inner,
        columns,
    } = *shape;
    if weights == 0 || rows == 0 {
        return Ok(vec![0.0; weights]);
    }
    let matrix = |values, columns| {
        Lines::Planes(Planes {
            values,
            channels: rows,
            plane: columns,
            first_channel: 0,
        })
    };
    // A weight is written column by column of the product: so its columns are the product's rows.
    let operands = |_| {
        (
            Left::Columns(matrix(gradient.into(), columns)),
            Right::Rows(matrix(activation, inner)),
        )
    };
    let product = Weight {
        groups: 1,
        rows: columns,
        columns: inner,
        depth: rows,
        run: columns,
    };
    Ok(product.compute(set, operands))
}

/// The elements of activations, weights and results.
fn lengths(shape: &MatmulShape) -> Result<[usize; 3], KernelError> {
    Ok([
        checked_product("the activations", &[shape.rows, shape.inner])?,
        checked_product("the weights", &[shape.inner, shape.columns])?,
        checked_product("the result", &[shape.rows, shape.columns])?,
    ])
}
