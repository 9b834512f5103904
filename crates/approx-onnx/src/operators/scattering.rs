//! Tensors with some of their elements replaced, or combined with others, where indices say.

use burn::backend::Dispatch;
use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::tensor::{DType, IndexingUpdateOp, Slice};

use super::Function;
use super::elementwise::no_arithmetic;
use super::indexing::places;
use crate::call::Call;
use crate::error::Problem;
use crate::values::{Kind, Value, movement};

pub(super) fn find(name: &str) -> Option<Function> {
    use Function::One;
    Some(match name {
        // The first is what the second was called before version 11.
        "Scatter" | "ScatterElements" => One(|call| scatter(call, elements)),
        "ScatterND" => One(|call| scatter(call, parts)),
        _ => return None,
    })
}

/// A tensor, updates and how they are combined with it; the other two come from the call.
type Scatter = fn(&Call<'_>, &Value, &Value, IndexingUpdateOp) -> Result<Value, Problem>;

fn scatter(call: &Call<'_>, compute: Scatter) -> Result<Value, Problem> {
    use IndexingUpdateOp::{Add, Assign, Max, Min, Mul};
    let (input, updates) = (call.input(0)?, call.input(2)?);
    let choices = [
        ("none", Assign),
        ("add", Add),
        ("mul", Mul),
        ("max", Max),
        ("min", Min),
    ];
    let update = call.choice("reduction", "none", &choices)?;
    if Kind::of(updates.dtype()) != Kind::of(input.dtype()) || updates.stored() != input.stored() {
        return Err(Problem::new(format!(
            "it writes {:?} into {:?}, which must be one type",
            updates.dtype(),
            input.dtype()
        )));
    }
    match (input.stored(), update) {
        (Kind::Bool, Assign) => {
            let [input_codes, updates] =
                [input, updates].map(|value| call.context.cast(value, DType::I64));
            let codes = compute(call, &input_codes, &updates, update)?;
            Ok(call.context.cast(&codes, input.dtype()))
        }
        (Kind::Bool, _) => Err(no_arithmetic(input)),
        // Codes of a quantiser are floats here, and their sums are no codes.
        (Kind::Float, Add | Mul) if Kind::of(input.dtype()) != Kind::Float => {
            Err(no_arithmetic(input))
        }
        _ => compute(call, input, updates, update),
    }
}

/// Shapes that do not fit each other.
fn misfit([indices, updates, input]: [&[usize]; 3]) -> Problem {
    Problem::new(format!(
        "its indices have the shape {indices:?} and its updates {updates:?}, but its input {input:?}"
    ))
}

/// Single elements along an axis, one for each index.
fn elements(
    call: &Call<'_>,
    input: &Value,
    updates: &Value,
    update: IndexingUpdateOp,
) -> Result<Value, Problem> {
    let index = call.input(1)?;
    let axis = call.axis(call.int("axis")?.unwrap_or(0), input.rank())?;
    let (shape, wanted) = (input.shape(), index.shape());
    let fits = wanted.len() == shape.len()
        && updates.shape() == wanted
        && (0..shape.len()).all(|other| other == axis || wanted[other] <= shape[other]);
    if !fits {
        return Err(misfit([&wanted, &updates.shape(), &shape]));
    }
    let known = [input, index, updates].iter().all(|value| value.is_known());
    let indices = places(call, index, &[shape[axis]], known)?;
    if index.elements() == 0 {
        return Ok(input.clone());
    }
    let [whole, updates] = [input, updates].map(|value| call.context.tensor(value, known));
    // Other axes may be longer than those of the indices.
    let part: Vec<Slice> = (0..shape.len())
        .map(
            |other| match other == axis || wanted[other] == shape[other] {
                true => Slice::new(0, None, 1),
                false => Slice::from(0..wanted[other]),
            },
        )
        .collect();
    let is_whole = part.iter().all(|slice| *slice == Slice::new(0, None, 1));
    let target = match is_whole {
        true => whole.clone(),
        false => movement::slice(whole.clone(), &part),
    };
    let written = match input.stored() {
        Kind::Float => Dispatch::float_scatter(axis, target, indices, updates, update),
        _ => Dispatch::int_scatter(axis, target, indices, updates, update),
    };
    let tensor = match (is_whole, input.stored()) {
        (true, _) => written,
        (false, Kind::Float) => Dispatch::float_slice_assign(whole, &part, written),
        (false, _) => Dispatch::int_slice_assign(whole, &part, written),
    };
    Ok(Value::new(tensor, input.dtype(), known))
}

/// Whole parts, one for each row of the indices, which names a place along the first axes.
fn parts(
    call: &Call<'_>,
    input: &Value,
    updates: &Value,
    update: IndexingUpdateOp,
) -> Result<Value, Problem> {
    let index = call.input(1)?;
    let (shape, rows) = (input.shape(), index.shape());
    let named = rows.last().copied().unwrap_or(0);
    let fits = (1..=shape.len()).contains(&named)
        && updates.shape() == [&rows[..rows.len() - 1], &shape[named..]].concat();
    if !fits {
        return Err(misfit([&rows, &updates.shape(), &shape]));
    }
    let known = [input, index, updates].iter().all(|value| value.is_known());
    let indices = places(call, index, &shape[..named], known)?;
    if updates.elements() == 0 {
        return Ok(input.clone());
    }
    let [whole, updates] = [input, updates].map(|value| call.context.tensor(value, known));
    let tensor = match input.stored() {
        Kind::Float => Dispatch::float_scatter_nd(whole, indices, updates, update),
        _ => Dispatch::int_scatter_nd(whole, indices, updates, update),
    };
    Ok(Value::new(tensor, input.dtype(), known))
}
