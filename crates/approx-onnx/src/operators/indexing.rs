//! Parts of tensors, by ranges and by indices.

use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::backend::{Dispatch, DispatchTensor};
use burn::tensor::{DType, Slice, TensorData};

use super::Function;
use super::arithmetic::with_rank;
use super::axes::with_shape;
use super::elementwise::{floats, no_arithmetic};
use super::limits::check_size;
use crate::call::Call;
use crate::error::Problem;
use crate::values::{Kind, Value, movement};

pub(super) fn find(name: &str) -> Option<Function> {
    use Function::{One, Several};
    Some(match name {
        "Slice" => One(slice),
        "Gather" => One(gather),
        "GatherElements" => One(gather_elements),
        "GatherND" => One(gather_parts),
        "ArgMax" => One(|call| extreme(call, Dispatch::float_argmax)),
        "ArgMin" => One(|call| extreme(call, Dispatch::float_argmin)),
        "TopK" => Several(top),
        _ => return None,
    })
}

/// Ranges along some axes; negative places count from the end, and steps may be negative.
fn slice(call: &Call<'_>) -> Result<Value, Problem> {
    let input = call.input(0)?;
    let (starts, ends, axes, steps) = match call.version {
        ..10 => (
            call.ints("starts")?,
            call.ints("ends")?,
            call.ints("axes")?,
            None,
        ),
        _ => (
            call.known_ints(1, "where its ranges start")?,
            call.known_ints(2, "where its ranges end")?,
            call.known_ints(3, "its axes")?,
            call.known_ints(4, "its steps")?,
        ),
    };
    let missing = || Problem::new("its ranges are missing");
    let (starts, ends) = (starts.ok_or_else(missing)?, ends.ok_or_else(missing)?);
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()]
        .iter()
        .any(|&length| length != starts.len())
    {
        return Err(Problem::new(
            "its starts, ends, axes and steps are not as many as each other",
        ));
    }
    let mut slices = vec![Slice::new(0, None, 1); input.rank()];
    let mut tensor = input.tensor();
    for index in 0..starts.len() {
        let axis = call.axis(axes[index], input.rank())?;
        let size = input.shape()[axis] as i64;
        let step = steps[index];
        let place = |place: i64| {
            if place < 0 {
                place.saturating_add(size)
            } else {
                place
            }
        };
        let (start, end) = (place(starts[index]), place(ends[index]));
        match step {
            0 => return Err(Problem::new("one of its steps is 0")),
            1.. => {
                let (start, end) = (start.clamp(0, size), end.clamp(0, size));
                if start >= end && input.is_known() {
                    return Ok(nothing(call, input, axis));
                }
                if start >= end {
                    return Err(Problem::new(format!(
                        "nothing is left along its axis {axis}"
                    )));
                }
                slices[axis] = Slice::new(start as isize, Some(end as isize), step as isize);
            }
            _ => {
                let (start, end) = (start.clamp(-1, size - 1), end.clamp(-1, size - 1));
                let places: Vec<i64> = (0..)
                    .map(|turn: i64| start + turn * step)
                    .take_while(|&place| place > end)
                    .collect();
                if places.is_empty() {
                    return Err(Problem::new(format!(
                        "nothing is left along its axis {axis}"
                    )));
                }
                let places = call.context.ints(places);
                let places = call.context.tensor(&places, input.is_known());
                tensor = movement::select(tensor, axis, places);
            }
        }
    }
    let is_whole = slices.iter().all(|slice| *slice == Slice::new(0, None, 1));
    if !is_whole {
        tensor = movement::slice(tensor, &slices);
    }
    Ok(input.with_tensor(tensor))
}

/// A known value of size 0 along an axis, as shapes without axes are.
fn nothing(call: &Call<'_>, input: &Value, axis: usize) -> Value {
    let mut shape = input.shape();
    shape[axis] = 0;
    let data = match input.stored() {
        Kind::Float => TensorData::new(Vec::<f32>::new(), shape),
        Kind::Int => TensorData::new(Vec::<i64>::new(), shape),
        Kind::Bool => TensorData::new(Vec::<bool>::new(), shape),
    };
    call.context.known(data, input.dtype())
}

/// Indices in one place with a tensor; negative ones count from the end of its axis.
fn indices(
    call: &Call<'_>,
    input: &Value,
    indices: &Value,
    size: usize,
) -> Result<(DispatchTensor, DispatchTensor, bool), Problem> {
    let known = input.is_known() && indices.is_known();
    let places = places(call, indices, &[size], known)?;
    Ok((call.context.tensor(input, known), places, known))
}

/// Indices where known tensors lie or others, of an axis of one size, or, along the indices' last axis, of axes of
/// several; negative ones count from the end.
pub(super) fn places(
    call: &Call<'_>,
    indices: &Value,
    sizes: &[usize],
    known: bool,
) -> Result<DispatchTensor, Problem> {
    if indices.stored() != Kind::Int {
        return Err(Problem::new("its indices must be integers"));
    }
    // Those that are known need no choice at run time.
    let mut may_be_negative = true;
    if indices.is_known() {
        let places = call.context.read_ints(indices, "its indices")?;
        may_be_negative = places.iter().any(|&place| place < 0);
        for (place, &size) in places.iter().zip(sizes.iter().cycle()) {
            if !(-(size as i64)..size as i64).contains(place) {
                return Err(Problem::new(format!(
                    "its index {place} is none of an axis of size {size}"
                )));
            }
        }
    }
    let places = call.context.tensor(indices, known);
    if !may_be_negative {
        return Ok(places);
    }
    let types = call.context.types(known);
    let negative = Dispatch::int_lower_elem(places.clone(), 0.into(), types.bool);
    let from_end = match sizes {
        [size] => Dispatch::int_add_scalar(places.clone(), (*size as i64).into()),
        sizes => {
            let row = call
                .context
                .ints(sizes.iter().map(|&size| size as i64).collect());
            let row = call.context.tensor(&row, known);
            Dispatch::int_add(
                places.clone(),
                with_rank(row, &[sizes.len()], indices.rank()),
            )
        }
    };
    Ok(Dispatch::int_mask_where(places, negative, from_end))
}

/// Whole rows along an axis, in the shape of the indices.
fn gather(call: &Call<'_>) -> Result<Value, Problem> {
    let (input, index) = (call.input(0)?, call.input(1)?);
    let axis = call.axis(call.int("axis")?.unwrap_or(0), input.rank())?;
    let shape = input.shape();
    let mut sizes = shape[..axis].to_vec();
    sizes.extend(index.shape());
    sizes.extend(&shape[axis + 1..]);
    check_size(&sizes)?;
    let (tensor, places, known) = indices(call, input, index, shape[axis])?;
    let places = movement::reshape(places, [index.elements()].into());
    let rows = movement::select(tensor, axis, places);
    Ok(with_shape(&Value::new(rows, input.dtype(), known), &sizes))
}

fn gather_elements(call: &Call<'_>) -> Result<Value, Problem> {
    let (input, index) = (call.input(0)?, call.input(1)?);
    let axis = call.axis(call.int("axis")?.unwrap_or(0), input.rank())?;
    let (mut tensor, places, known) = indices(call, input, index, input.shape()[axis])?;
    // Other axes may be longer than those of the indices.
    let mut slices = Vec::new();
    for (other, (&size, wanted)) in input.shape().iter().zip(index.shape()).enumerate() {
        slices.push(match other == axis {
            true => Slice::from(0..size),
            false => Slice::from(0..wanted),
        });
    }
    if slices.len() != input.rank() {
        return Err(Problem::new("its indices have other axes than its input"));
    }
    tensor = movement::slice(tensor, &slices);
    Ok(Value::new(
        movement::gather(tensor, axis, places),
        input.dtype(),
        known,
    ))
}

/// Whole parts, one for each row of the indices, which names a place along the first axes.
fn gather_parts(call: &Call<'_>) -> Result<Value, Problem> {
    let (input, index) = (call.input(0)?, call.input(1)?);
    if call.int("batch_dims")?.unwrap_or(0) != 0 {
        return Err(Problem::new("its indices are apart for every batch"));
    }
    let (shape, rows) = (input.shape(), index.shape());
    let named = rows.last().copied().unwrap_or(0);
    if !(1..=shape.len()).contains(&named) {
        return Err(Problem::new(format!(
            "its indices have the shape {rows:?}, but its input {shape:?}"
        )));
    }
    let known = input.is_known() && index.is_known();
    let indices = places(call, index, &shape[..named], known)?;
    let tensor = call.context.tensor(input, known);
    let parts = match input.stored() {
        Kind::Float => Dispatch::float_gather_nd(tensor, indices),
        Kind::Int => Dispatch::int_gather_nd(tensor, indices),
        Kind::Bool => return Err(no_arithmetic(input)),
    };
    let sizes = [&rows[..rows.len() - 1], &shape[named..]].concat();
    Ok(with_shape(&Value::new(parts, input.dtype(), known), &sizes))
}

/// Where the largest or smallest element along an axis stands.
fn extreme(
    call: &Call<'_>,
    find: fn(DispatchTensor, usize, burn::tensor::IntDType) -> DispatchTensor,
) -> Result<Value, Problem> {
    let input = floats(call, 0)?;
    let axis = call.axis(call.int("axis")?.unwrap_or(0), input.rank())?;
    let keeps = call.switch("keepdims", true)?;
    let types = call.context.types(input.is_known());
    // Burn's takes the first of several equal elements; seen from the end that is the last.
    let found = match call.switch("select_last_index", false)? {
        false => find(input.tensor(), axis, types.int),
        true => {
            let turned = Dispatch::float_flip(input.tensor(), &[axis]);
            let from_end = Dispatch::int_neg(find(turned, axis, types.int));
            Dispatch::int_add_scalar(from_end, (input.shape()[axis] as i64 - 1).into())
        }
    };
    let value = Value::new(found, DType::I64, input.is_known());
    let mut shape = input.shape();
    match keeps {
        true => shape[axis] = 1,
        false => drop(shape.remove(axis)),
    }
    Ok(with_shape(&value, &shape))
}

/// The largest elements along an axis, or the smallest, and where they stand.
fn top(call: &Call<'_>) -> Result<Vec<Value>, Problem> {
    let input = floats(call, 0)?;
    let axis = call.axis(call.int("axis")?.unwrap_or(-1), input.rank())?;
    let largest = call.switch("largest", true)?;
    call.switch("sorted", true)?;
    let count = match call.version {
        ..10 => call.int("k")?.map(|count| vec![count]),
        _ => call.known_ints(1, "how many it wants")?,
    };
    let size = input.shape()[axis];
    let count = match count.as_deref() {
        Some(&[count]) if count > 0 && count as usize <= size => count as usize,
        _ => {
            return Err(Problem::new(format!(
                "it wants {count:?} elements of an axis of size {size}"
            )));
        }
    };
    let types = call.context.types(input.is_known());
    let (sorted, places) =
        Dispatch::float_sort_with_indices(input.tensor(), axis, largest, types.int);
    let known = input.is_known();
    let values = Value::new(sorted, input.dtype(), known);
    let places = Value::new(places, DType::I64, known);
    let first = |value: &Value| super::axes::part(value, axis, 0..count);
    Ok(vec![first(&values), first(&places)])
}
