//! Tensors that are made: constants, sizes, ranges, masks.

use burn::tensor::{DType, TensorData};

use super::Function;
use super::axes::sizes;
use super::limits::check_size;
use crate::call::Call;
use crate::error::Problem;
use crate::graph::Constant;
use crate::values::{Kind, Value, movement};

pub(super) fn find(name: &str) -> Option<Function> {
    use Function::One;
    Some(match name {
        "Constant" => One(constant),
        "Shape" => One(shape),
        "Size" => One(|call| {
            let elements = call.input(0)?.elements() as i64;
            Ok(call.context.ints(vec![elements]).without_axes())
        }),
        "ConstantOfShape" => One(constant_of_shape),
        "Range" => One(range),
        "EyeLike" => One(eye_like),
        "Trilu" => One(triangle),
        "OneHot" => One(one_hot),
        _ => return None,
    })
}

fn constant(call: &Call<'_>) -> Result<Value, Problem> {
    let data = |data, dtype| Ok(call.context.known(data, dtype));
    if let Some(constant) = call.constant("value")? {
        return Ok(call.context.constant(&constant));
    }
    if let Some(value) = call.float("value_float")? {
        return Ok(call.context.scalar(value));
    }
    if let Some(value) = call.int("value_int")? {
        return Ok(call.context.ints(vec![value]).without_axes());
    }
    if let Some(values) = call.floats("value_floats")? {
        let length = values.len();
        return data(TensorData::new(values, [length]), DType::F32);
    }
    if let Some(values) = call.ints("value_ints")? {
        return Ok(call.context.ints(values));
    }
    Err(Problem::new(
        "its value is missing or of a type that is not covered",
    ))
}

fn shape(call: &Call<'_>) -> Result<Value, Problem> {
    let shape: Vec<i64> = (call.input(0)?.shape().iter())
        .map(|&size| size as i64)
        .collect();
    let rank = shape.len() as i64;
    let place = |place: i64| if place < 0 { place + rank } else { place }.clamp(0, rank) as usize;
    let start = place(call.int("start")?.unwrap_or(0));
    let end = place(call.int("end")?.unwrap_or(rank));
    Ok(call.context.ints(shape[start..end.max(start)].to_vec()))
}

fn constant_of_shape(call: &Call<'_>) -> Result<Value, Problem> {
    let shape = call.known_ints(0, "the shape")?.unwrap_or_default();
    let shape = sizes(&shape)?;
    check_size(&shape)?;
    let filling = match call.constant("value")? {
        Some(constant) => constant,
        None => Constant {
            data: TensorData::new(vec![0.0_f32], [1]),
            dtype: DType::F32,
        },
    };
    if filling.data.num_elements() != 1 {
        return Err(Problem::new("it fills a tensor with several values"));
    }
    let one = call.context.constant(&filling);
    if shape.is_empty() {
        return Ok(one.without_axes());
    }
    let ones = movement::reshape(one.tensor(), vec![1; shape.len()].into());
    Ok(Value::new(
        movement::expand(ones, shape.into()),
        one.dtype(),
        true,
    ))
}

fn range(call: &Call<'_>) -> Result<Value, Problem> {
    let dtype = call.input(0)?.dtype();
    let number = |index, what| -> Result<f64, Problem> {
        let number = call.known_float(index, what)?;
        number.ok_or_else(|| Problem::new(format!("{what} is missing")))
    };
    let (start, limit) = (number(0, "its start")?, number(1, "its end")?);
    let step = number(2, "its step")?;
    let length = ((limit - start) / step).ceil().max(0.0);
    if !length.is_finite() {
        return Err(Problem::new(format!(
            "it goes from {start} to {limit} in steps of {step}"
        )));
    }
    check_size(&[length as usize])?;
    let places = 0..length as usize;
    let data = match Kind::of(dtype) {
        Kind::Int => {
            let values = places.map(|place| start as i64 + place as i64 * step as i64);
            TensorData::new(values.collect::<Vec<i64>>(), [length as usize])
        }
        _ => {
            let values = places.map(|place| (start + place as f64 * step) as f32);
            TensorData::new(values.collect::<Vec<f32>>(), [length as usize])
        }
    };
    Ok(call.context.known(data, dtype))
}

fn eye_like(call: &Call<'_>) -> Result<Value, Problem> {
    let input = call.input(0)?;
    let [rows, columns] = input.shape()[..] else {
        return Err(Problem::new("it works on matrices"));
    };
    check_size(&[rows, columns])?;
    let shift = call.int("k")?.unwrap_or(0);
    let dtype = match call.int("dtype")? {
        Some(number) => crate::file::dtype(number as i32)
            .map_err(|unknown| Problem::new(format!("it makes {unknown}")))?,
        None => input.dtype(),
    };
    let ones = (0..rows * columns).map(|place| {
        let (row, column) = ((place / columns) as i64, (place % columns) as i64);
        f32::from(column - row == shift)
    });
    let data = TensorData::new(ones.collect::<Vec<f32>>(), [rows, columns]);
    let ones = call.context.known(data, DType::F32);
    Ok(call.context.cast(&ones, dtype))
}

/// What lies above or below a diagonal; the rest is 0.
fn triangle(call: &Call<'_>) -> Result<Value, Problem> {
    let input = call.input(0)?;
    let upper = call.switch("upper", true)?;
    let shift = match call.known_ints(1, "its diagonal")?.as_deref() {
        None => 0,
        Some(&[shift]) => shift,
        Some(_) => return Err(Problem::new("its diagonal must be one number")),
    };
    let shape = input.shape();
    let [.., rows, columns] = shape[..] else {
        return Err(Problem::new("it works on matrices"));
    };
    let outside = (0..rows * columns).map(|place| {
        let distance = (place % columns) as i64 - (place / columns) as i64;
        if upper {
            distance < shift
        } else {
            distance > shift
        }
    });
    let mask = TensorData::new(outside.collect::<Vec<bool>>(), [rows, columns]);
    let mask = call.context.known(mask, crate::values::BOOL);
    let zero = TensorData::new(vec![0_i64], [1]);
    let zero = call.context.known(zero, DType::I64);
    let zero = call.context.cast(&zero, input.dtype());
    let known = input.is_known();
    let expanded = |value: &Value, own: &[usize]| {
        let tensor = call.context.tensor(value, known);
        let tensor = super::arithmetic::with_rank(tensor, own, shape.len());
        movement::expand(tensor, shape.clone().into())
    };
    let (mask, zeros) = (expanded(&mask, &[rows, columns]), expanded(&zero, &[1]));
    Ok(input.with_tensor(movement::mask_where(input.tensor(), mask, zeros)))
}

/// One value where an index points, another elsewhere, along a new axis.
fn one_hot(call: &Call<'_>) -> Result<Value, Problem> {
    use burn::backend::Dispatch;
    use burn::backend::ops::IntTensorOps;
    let places = call.input(0)?;
    let depth = call.known_float(1, "how many there are")?;
    let depth = depth.ok_or_else(|| Problem::new("how many there are is missing"))? as usize;
    let values = call.input(2)?;
    let [off, on] = call.context.read_floats(values, "its two values")?[..] else {
        return Err(Problem::new("it needs two values"));
    };
    let axis = call.axis(call.int("axis")?.unwrap_or(-1), places.rank() + 1)?;
    let places = call.context.cast(places, DType::I64);
    let known = places.is_known();
    let types = call.context.types(known);
    // Negative places count from the end.
    let tensor = places.tensor();
    let negative = Dispatch::int_lower_elem(tensor.clone(), 0.into(), types.bool);
    let from_end = Dispatch::int_add_scalar(tensor.clone(), (depth as i64).into());
    let tensor = Dispatch::int_mask_where(tensor, negative, from_end);
    let mut shape = places.shape();
    shape.insert(axis, 1);
    let tensor = movement::reshape(tensor, shape.clone().into());
    shape[axis] = depth;
    check_size(&shape)?;
    let mut along = vec![1; shape.len()];
    along[axis] = depth;
    let counted = call.context.ints((0..depth as i64).collect());
    let counted = movement::reshape(call.context.tensor(&counted, known), along.into());
    let is_place = Dispatch::int_equal(
        movement::expand(tensor, shape.clone().into()),
        movement::expand(counted, shape.clone().into()),
        types.bool,
    );
    let filled = |value: f64| {
        let data = TensorData::new(vec![value as f32], [1]);
        let value = call
            .context
            .cast(&call.context.known(data, DType::F32), values.dtype());
        let tensor =
            super::arithmetic::with_rank(call.context.tensor(&value, known), &[1], shape.len());
        movement::expand(tensor, shape.clone().into())
    };
    let chosen = movement::mask_where(filled(off), is_place, filled(on));
    Ok(Value::new(chosen, values.dtype(), known))
}
