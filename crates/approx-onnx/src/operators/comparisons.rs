//! Comparisons, and choices between values.

use burn::backend::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn::backend::{Dispatch, DispatchTensor};
use burn::tensor::BoolDType;

use super::Function;
use super::arithmetic::{Pair, broadcast, with_rank};
use super::elementwise::no_arithmetic;
use crate::call::Call;
use crate::error::Problem;
use crate::values::{BOOL, Kind, Value, movement};

type Comparison = fn(DispatchTensor, DispatchTensor, BoolDType) -> DispatchTensor;

pub(super) fn find(name: &str) -> Option<Function> {
    use Function::One;
    Some(match name {
        "Equal" => One(equal),
        "Less" => One(|call| compare(call, Dispatch::float_lower, Dispatch::int_lower)),
        "LessOrEqual" => {
            One(|call| compare(call, Dispatch::float_lower_equal, Dispatch::int_lower_equal))
        }
        "Greater" => One(|call| compare(call, Dispatch::float_greater, Dispatch::int_greater)),
        "GreaterOrEqual" => One(|call| {
            compare(
                call,
                Dispatch::float_greater_equal,
                Dispatch::int_greater_equal,
            )
        }),
        "Where" => One(choose),
        _ => return None,
    })
}

fn compare(call: &Call<'_>, float: Comparison, int: Comparison) -> Result<Value, Problem> {
    call.int("broadcast")?;
    let (left, right) = (call.input(0)?, call.input(1)?);
    let compute = match [left.stored(), right.stored()] {
        [Kind::Float, Kind::Float] => float,
        [Kind::Int, Kind::Int] => int,
        _ => return Err(no_arithmetic(left)),
    };
    let pair = Pair::new(call, left, right)?;
    let shape = broadcast(&left.shape(), &right.shape())?;
    let [first, second] = pair.expanded(&shape);
    let types = call.context.types(pair.known);
    Ok(pair.value(compute(first, second, types.bool), BOOL))
}

fn equal(call: &Call<'_>) -> Result<Value, Problem> {
    let (left, right) = (call.input(0)?, call.input(1)?);
    if [left, right]
        .iter()
        .all(|value| value.stored() == Kind::Bool)
    {
        let pair = Pair::new(call, left, right)?;
        let [first, second] = pair.expanded(&broadcast(&left.shape(), &right.shape())?);
        return Ok(pair.value(Dispatch::bool_equal(first, second), BOOL));
    }
    compare(call, Dispatch::float_equal, Dispatch::int_equal)
}

/// The second input where the first is true, the third elsewhere.
fn choose(call: &Call<'_>) -> Result<Value, Problem> {
    let [condition, yes, no] = [call.input(0)?, call.input(1)?, call.input(2)?];
    if condition.stored() != Kind::Bool || yes.stored() != no.stored() {
        return Err(Problem::new("it chooses between values of different types"));
    }
    let shape = broadcast(&condition.shape(), &broadcast(&yes.shape(), &no.shape())?)?;
    let (tensors, known) = call.context.together([condition, yes, no]);
    let rank = shape.len().max(1);
    let sizes = match shape.is_empty() {
        true => vec![1],
        false => shape.clone(),
    };
    let shapes = [condition, yes, no].map(Value::shape);
    let mut expanded = tensors.into_iter().zip(&shapes).map(|(tensor, shape)| {
        movement::expand(with_rank(tensor, shape, rank), sizes.clone().into())
    });
    let mut next = || expanded.next().expect("there are three");
    let (mask, yes_tensor, no_tensor) = (next(), next(), next());
    let chosen = movement::mask_where(no_tensor, mask, yes_tensor);
    let value = Value::new(chosen, yes.dtype(), known);
    Ok(match shape.is_empty() {
        true => value.without_axes(),
        false => value,
    })
}
