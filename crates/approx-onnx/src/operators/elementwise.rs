//! Functions of single elements.

use burn::backend::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn::backend::{Dispatch, DispatchTensor};

use super::Function;
use crate::call::Call;
use crate::error::Problem;
use crate::values::{BOOL, Kind, Value};

pub(super) fn find(name: &str) -> Option<Function> {
    use Function::One;
    Some(match name {
        "Abs" => One(|call| of_numbers(call, Dispatch::float_abs, Dispatch::int_abs)),
        "Neg" => One(|call| of_numbers(call, Dispatch::float_neg, Dispatch::int_neg)),
        "Sign" => One(|call| of_numbers(call, Dispatch::float_sign, Dispatch::int_sign)),
        "Exp" => One(|call| of_floats(call, Dispatch::float_exp)),
        "Log" => One(|call| of_floats(call, Dispatch::float_log)),
        "Sqrt" => One(|call| of_floats(call, Dispatch::float_sqrt)),
        "Reciprocal" => One(|call| of_floats(call, Dispatch::float_recip)),
        "Floor" => One(|call| of_floats(call, Dispatch::float_floor)),
        "Ceil" => One(|call| of_floats(call, Dispatch::float_ceil)),
        "Round" => One(|call| of_floats(call, Dispatch::float_round)),
        "Erf" => One(|call| of_floats(call, Dispatch::float_erf)),
        "Sin" => One(|call| of_floats(call, Dispatch::float_sin)),
        "Cos" => One(|call| of_floats(call, Dispatch::float_cos)),
        "Tan" => One(|call| of_floats(call, Dispatch::float_tan)),
        "Asin" => One(|call| of_floats(call, Dispatch::float_asin)),
        "Acos" => One(|call| of_floats(call, Dispatch::float_acos)),
        "Atan" => One(|call| of_floats(call, Dispatch::float_atan)),
        "Sinh" => One(|call| of_floats(call, Dispatch::float_sinh)),
        "Cosh" => One(|call| of_floats(call, Dispatch::float_cosh)),
        "Tanh" => One(|call| of_floats(call, Dispatch::float_tanh)),
        "Asinh" => One(|call| of_floats(call, Dispatch::float_asinh)),
        "Acosh" => One(|call| of_floats(call, Dispatch::float_acosh)),
        "Atanh" => One(|call| of_floats(call, Dispatch::float_atanh)),
        "Identity" => One(|call| Ok(call.input(0)?.clone())),
        "Dropout" => Function::Several(dropout),
        "Cast" => One(cast),
        "CastLike" => One(|call| Ok(call.context.cast(call.input(0)?, call.input(1)?.dtype()))),
        "Clip" => One(clip),
        "Not" => One(not),
        "IsNaN" => One(|call| test(call, Dispatch::float_is_nan)),
        "IsInf" => One(is_infinite),
        _ => return None,
    })
}

/// A function of the first input, which must hold floats, or codes that are stored as floats.
pub(super) fn of_floats(
    call: &Call<'_>,
    compute: impl FnOnce(DispatchTensor) -> DispatchTensor,
) -> Result<Value, Problem> {
    let input = floats(call, 0)?;
    Ok(input.with_tensor(compute(input.tensor())))
}

/// An input that must hold floats.
pub(super) fn floats<'a>(call: &'a Call<'_>, index: usize) -> Result<&'a Value, Problem> {
    let input = call.input(index)?;
    match Kind::of(input.dtype()) {
        Kind::Float => Ok(input),
        _ => Err(Problem::new(format!(
            "its input {} holds {:?}, but must hold floats",
            index + 1,
            input.dtype()
        ))),
    }
}

fn of_numbers(
    call: &Call<'_>,
    float: fn(DispatchTensor) -> DispatchTensor,
    int: fn(DispatchTensor) -> DispatchTensor,
) -> Result<Value, Problem> {
    let input = call.input(0)?;
    let compute = match (Kind::of(input.dtype()), input.stored()) {
        (Kind::Float, _) => float,
        (Kind::Int, Kind::Int) => int,
        _ => return Err(no_arithmetic(input)),
    };
    Ok(input.with_tensor(compute(input.tensor())))
}

/// What is wrong with numbers that are none, or codes of a quantiser.
pub(super) fn no_arithmetic(value: &Value) -> Problem {
    Problem::new(format!(
        "it computes with values of the type {:?}, which is not covered",
        value.dtype()
    ))
}

/// Nothing is dropped in evaluation; the mask, where it is asked for, is true everywhere.
fn dropout(call: &Call<'_>) -> Result<Vec<Value>, Problem> {
    let input = call.input(0)?;
    call.float("ratio")?;
    call.int("seed")?;
    call.ints("consumed_inputs")?;
    let is_training = match call.version {
        ..7 => !call.switch("is_test", false)?,
        _ => {
            call.known_float(2, "whether it is in training")?
                .unwrap_or(0.0)
                != 0.0
        }
    };
    if is_training && call.version >= 7 {
        return Err(Problem::new(
            "it drops at random; export the model in evaluation mode",
        ));
    }
    let types = call.context.types(input.is_known());
    let device = call.context.device(input.is_known());
    let ones = Dispatch::bool_ones(input.shape().into(), device, types.bool);
    let mask = Value::new(ones, BOOL, input.is_known());
    let wanted = call.node.outputs.len();
    Ok([input.clone(), mask].into_iter().take(wanted).collect())
}

fn cast(call: &Call<'_>) -> Result<Value, Problem> {
    let number = call
        .int("to")?
        .ok_or_else(|| Problem::new("its setting \"to\" is missing"))?;
    // How values are rounded to types of 8 bits, which are not covered.
    call.switch("saturate", true)?;
    call.text("round_mode")?;
    let dtype = crate::file::dtype(number as i32)
        .map_err(|unknown| Problem::new(format!("it casts to {unknown}, which are not covered")))?;
    Ok(call.context.cast(call.input(0)?, dtype))
}

fn clip(call: &Call<'_>) -> Result<Value, Problem> {
    let input = call.input(0)?;
    let (least, most) = match call.version {
        ..11 => (
            call.float("min")?.map(f64::from),
            call.float("max")?.map(f64::from),
        ),
        _ => (
            call.known_float(1, "the least value")?,
            call.known_float(2, "the largest value")?,
        ),
    };
    let mut tensor = input.tensor();
    match input.stored() {
        Kind::Float => {
            if let Some(least) = least {
                tensor = Dispatch::float_clamp_min(tensor, least.into());
            }
            if let Some(most) = most {
                tensor = Dispatch::float_clamp_max(tensor, most.into());
            }
        }
        Kind::Int => {
            if let Some(least) = least {
                tensor = Dispatch::int_clamp_min(tensor, (least as i64).into());
            }
            if let Some(most) = most {
                tensor = Dispatch::int_clamp_max(tensor, (most as i64).into());
            }
        }
        Kind::Bool => return Err(no_arithmetic(input)),
    }
    Ok(input.with_tensor(tensor))
}

fn not(call: &Call<'_>) -> Result<Value, Problem> {
    let input = call.input(0)?;
    match input.stored() {
        Kind::Bool => Ok(input.with_tensor(Dispatch::bool_not(input.tensor()))),
        _ => Err(no_arithmetic(input)),
    }
}

/// A question about single floats.
fn test(
    call: &Call<'_>,
    ask: impl FnOnce(DispatchTensor, burn::tensor::BoolDType) -> DispatchTensor,
) -> Result<Value, Problem> {
    let input = floats(call, 0)?;
    let types = call.context.types(input.is_known());
    let answer = ask(input.tensor(), types.bool);
    Ok(input.with_tensor(answer).with_dtype(BOOL))
}

fn is_infinite(call: &Call<'_>) -> Result<Value, Problem> {
    let negative = call.switch("detect_negative", true)?;
    let positive = call.switch("detect_positive", true)?;
    test(call, |x, bool| match (negative, positive) {
        (true, true) => Dispatch::float_is_inf(x, bool),
        (true, false) => Dispatch::float_equal_elem(x, f64::NEG_INFINITY.into(), bool),
        (false, true) => Dispatch::float_equal_elem(x, f64::INFINITY.into(), bool),
        // Nothing is looked for: no value differs from itself and is infinite.
        (false, false) => {
            let infinite = Dispatch::float_is_inf(x, bool);
            Dispatch::bool_and(infinite.clone(), Dispatch::bool_not(infinite))
        }
    })
}
