//! Matrix products.

use burn::backend::ops::{FloatTensorOps, IntTensorOps, ModuleOps};
use burn::backend::{Dispatch, DispatchTensor};

use super::Function;
use super::arithmetic::{broadcast, combine, with_rank};
use super::axes::with_shape;
use super::elementwise::no_arithmetic;
use super::limits::check_size;
use crate::call::Call;
use crate::error::Problem;
use crate::values::{Kind, Value, movement};

pub(super) fn find(name: &str) -> Option<Function> {
    use Function::One;
    Some(match name {
        "MatMul" => One(|call| multiply(call, call.input(0)?, call.input(1)?)),
        "Gemm" => One(general),
        _ => return None,
    })
}

/// Those that take the place of several of a file's.
pub(super) fn find_of_joined(name: &str) -> Option<Function> {
    match name {
        "MatMul" => Some(Function::One(|call| {
            let (left, right, added) = (call.input(0)?, call.input(1)?, call.input(2)?);
            match with_bias(call, left, right, added) {
                Some(layer) => Ok(layer),
                None => sum(call, &multiply(call, left, right)?, added),
            }
        })),
        _ => None,
    }
}

/// The product of rows with one matrix and a bias, which is a number for each output, if they are that.
fn with_bias(call: &Call<'_>, left: &Value, right: &Value, bias: &Value) -> Option<Value> {
    let (left_shape, right_shape) = (left.shape(), right.shape());
    let fits = left_shape.len() >= 2
        && right_shape.len() == 2
        && left_shape.last() == right_shape.first()
        && bias.shape() == right_shape[1..]
        && [left, right, bias]
            .iter()
            .all(|value| value.stored() == Kind::Float);
    if !fits {
        return None;
    }
    let ([left_tensor, right_tensor, bias], known) = call.context.together([left, right, bias]);
    let tensor = Dispatch::linear(left_tensor, right_tensor, Some(bias));
    Some(Value::new(tensor, left.dtype(), known))
}

/// The sum of a product and what is added to it.
fn sum(call: &Call<'_>, product: &Value, added: &Value) -> Result<Value, Problem> {
    combine(call, product, added, Dispatch::float_add, Dispatch::int_add)
}

/// The product of two tensors' matrices, as NumPy's `matmul`.
pub(super) fn multiply(call: &Call<'_>, left: &Value, right: &Value) -> Result<Value, Problem> {
    let (left_shape, right_shape) = (left.shape(), right.shape());
    if left_shape.is_empty() || right_shape.is_empty() {
        return Err(Problem::new("it multiplies a number without axes"));
    }
    // A row on the left, a column on the right.
    let row = with_shape(left, &[&[1], &left_shape[..]].concat());
    let left_matrix = if left_shape.len() == 1 { &row } else { left };
    let column = with_shape(right, &[&right_shape[..], &[1]].concat());
    let right_matrix = if right_shape.len() == 1 {
        &column
    } else {
        right
    };
    let product = matrices(call, left_matrix, right_matrix)?;
    let mut shape = product.shape();
    if right_shape.len() == 1 {
        shape.pop();
    }
    if left_shape.len() == 1 {
        let axis = shape.len() - 1 - usize::from(right_shape.len() > 1);
        let axis = if right_shape.len() == 1 {
            shape.len() - 1
        } else {
            axis
        };
        shape.remove(axis);
    }
    match shape == product.shape() {
        true => Ok(product),
        false => Ok(with_shape(&product, &shape)),
    }
}

fn matrices(call: &Call<'_>, left: &Value, right: &Value) -> Result<Value, Problem> {
    let (left_shape, right_shape) = (left.shape(), right.shape());
    let (inner, outer) = (
        left_shape[left_shape.len() - 1],
        right_shape[right_shape.len() - 2],
    );
    if inner != outer {
        return Err(Problem::new(format!(
            "it multiplies tensors of the shapes {left_shape:?} and {right_shape:?}, which do not fit each other"
        )));
    }
    let batches = [&left_shape, &right_shape].map(|shape| &shape[..shape.len() - 2]);
    let mut shape = broadcast(batches[0], batches[1])?;
    shape.extend([
        left_shape[left_shape.len() - 2],
        right_shape[right_shape.len() - 1],
    ]);
    check_size(&shape)?;
    let compute: fn(DispatchTensor, DispatchTensor) -> DispatchTensor =
        match [left.stored(), right.stored()] {
            [Kind::Float, Kind::Float] => Dispatch::float_matmul,
            [Kind::Int, Kind::Int] => Dispatch::int_matmul,
            _ => return Err(no_arithmetic(left)),
        };
    let ([left_tensor, right_tensor], known) = call.context.together([left, right]);
    // One matrix for all rows is a linear layer.
    let tensor = if right.stored() == Kind::Float && right_shape.len() == 2 {
        Dispatch::linear(left_tensor, right_tensor, None)
    } else {
        let rank = left_shape.len().max(right_shape.len());
        compute(
            with_rank(left_tensor, &left_shape, rank),
            with_rank(right_tensor, &right_shape, rank),
        )
    };
    Ok(Value::new(tensor, left.dtype(), known))
}

/// `alpha a b + beta c`, with `a` and `b` transposed on request.
fn general(call: &Call<'_>) -> Result<Value, Problem> {
    let alpha = call.float("alpha")?.unwrap_or(1.0);
    let beta = call.float("beta")?.unwrap_or(1.0);
    call.int("broadcast")?;
    let matrix = |index, name| -> Result<Value, Problem> {
        let value = call.input(index)?;
        if value.rank() != 2 {
            return Err(Problem::new(format!(
                "its input {} has the shape {:?}, but must be a matrix",
                index + 1,
                value.shape()
            )));
        }
        Ok(match call.switch(name, false)? {
            true => value.with_tensor(movement::permute(value.tensor(), &[1, 0])),
            false => value.clone(),
        })
    };
    let (left, right) = (matrix(0, "transA")?, matrix(1, "transB")?);
    if let Some(bias) = call.optional(2)
        && (alpha, beta) == (1.0, 1.0)
        && let Some(layer) = with_bias(call, &left, &right, bias)
    {
        return Ok(layer);
    }
    let scaled = |value: Value, factor: f32| match (factor, value.stored()) {
        (1.0, _) => Ok(value),
        (factor, Kind::Float) => {
            let tensor = Dispatch::float_mul_scalar(value.tensor(), factor.into());
            Ok(value.with_tensor(tensor))
        }
        _ => Err(Problem::new("it scales integers")),
    };
    let product = scaled(matrices(call, &left, &right)?, alpha)?;
    match call.optional(2) {
        None => Ok(product),
        Some(added) => {
            let added = scaled(added.clone(), beta)?;
            sum(call, &product, &added)
        }
    }
}
