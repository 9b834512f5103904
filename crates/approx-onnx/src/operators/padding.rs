//! Padding: with a value, with the edge, or mirrored.

use burn::backend::Dispatch;
use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::tensor::ops::PadMode;

use super::Function;
use super::axes::part;
use super::elementwise::no_arithmetic;
use super::limits::check_size;
use crate::call::Call;
use crate::error::Problem;
use crate::values::{Kind, Value, movement};

pub(super) fn find(name: &str) -> Option<Function> {
    match name {
        "Pad" => Some(Function::One(pad)),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Value,
    Edge,
    Mirrored,
    Around,
}

fn pad(call: &Call<'_>) -> Result<Value, Problem> {
    let input = call.input(0)?;
    let rank = input.rank();
    let modes = [
        ("constant", Mode::Value),
        ("edge", Mode::Edge),
        ("reflect", Mode::Mirrored),
        ("wrap", Mode::Around),
    ];
    let mode = call.choice("mode", "constant", &modes)?;
    let (amounts, value, axes) = match call.version {
        ..2 => (
            call.ints("paddings")?,
            call.float("value")?.map(f64::from),
            None,
        ),
        2..11 => (
            call.ints("pads")?,
            call.float("value")?.map(f64::from),
            None,
        ),
        _ => (
            call.known_ints(1, "how much it pads")?,
            call.known_float(2, "what it pads with")?,
            call.known_ints(3, "its axes")?,
        ),
    };
    let amounts = amounts.ok_or_else(|| Problem::new("how much it pads is missing"))?;
    let axes = match axes {
        None => (0..rank).collect(),
        Some(axes) => {
            let axes = axes.iter().map(|&axis| call.axis(axis, rank));
            axes.collect::<Result<Vec<_>, _>>()?
        }
    };
    if amounts.len() != 2 * axes.len() {
        return Err(Problem::new(format!(
            "it pads {} sides of {} axes",
            amounts.len(),
            axes.len()
        )));
    }
    let mut sides = vec![(0_i64, 0_i64); rank];
    for (index, &axis) in axes.iter().enumerate() {
        sides[axis] = (amounts[index], amounts[index + axes.len()]);
    }
    let mut padded = input.clone();
    // Negative amounts cut off.
    for (axis, (before, after)) in sides.iter_mut().enumerate() {
        let size = padded.shape()[axis] as i64;
        let (start, end) = (
            before.saturating_neg().max(0),
            size.saturating_sub(after.saturating_neg().max(0)),
        );
        if start >= end {
            return Err(Problem::new(format!(
                "nothing is left along its axis {axis}"
            )));
        }
        if start > 0 || end < size {
            padded = part(&padded, axis, start as usize..end as usize);
        }
        (*before, *after) = ((*before).max(0), (*after).max(0));
    }
    if sides.iter().all(|side| *side == (0, 0)) {
        return Ok(padded);
    }
    let sizes = padded.shape().into_iter().zip(&sides);
    let sizes =
        sizes.map(|(size, side)| size.saturating_add(side.0.saturating_add(side.1) as usize));
    check_size(&sizes.collect::<Vec<_>>())?;
    match mode {
        Mode::Value => with_value(&padded, &sides, value.unwrap_or(0.0)),
        mode => {
            for (axis, &(before, after)) in sides.iter().enumerate() {
                if (before, after) != (0, 0) {
                    padded = with_own(call, &padded, axis, before, after, mode)?;
                }
            }
            Ok(padded)
        }
    }
}

fn with_value(input: &Value, sides: &[(i64, i64)], value: f64) -> Result<Value, Problem> {
    let sides: Vec<(usize, usize)> = (sides.iter())
        .map(|&(before, after)| (before as usize, after as usize))
        .collect();
    let tensor = match input.stored() {
        Kind::Float => {
            let mode = PadMode::Constant(value as f32);
            Dispatch::float_pad(input.tensor(), &sides, mode)
        }
        Kind::Int => {
            let mode = PadMode::Constant(value as f32);
            Dispatch::int_pad(input.tensor(), &sides, mode)
        }
        Kind::Bool => return Err(no_arithmetic(input)),
    };
    Ok(input.with_tensor(tensor))
}

/// With elements of its own, which are looked up along one axis.
fn with_own(
    call: &Call<'_>,
    input: &Value,
    axis: usize,
    before: i64,
    after: i64,
    mode: Mode,
) -> Result<Value, Problem> {
    let size = input.shape()[axis] as i64;
    if mode == Mode::Mirrored && before.max(after) >= size {
        return Err(Problem::new(format!(
            "it mirrors {} elements of an axis of size {size}",
            before.max(after)
        )));
    }
    let places = (-before..size + after).map(|place| match mode {
        Mode::Mirrored if place < 0 => -place,
        Mode::Mirrored if place >= size => 2 * (size - 1) - place,
        Mode::Around => place.rem_euclid(size),
        _ => place.clamp(0, size - 1),
    });
    let places = call.context.ints(places.collect());
    let places = call.context.tensor(&places, input.is_known());
    Ok(input.with_tensor(movement::select(input.tensor(), axis, places)))
}
