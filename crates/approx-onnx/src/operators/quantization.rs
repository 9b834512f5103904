//! Quantisation of values, as files of quantised networks have it between their layers.
//!
//! Codes are computed as floats: every one of 16 bits or less is one exactly. What a code is rounded to is IEEE's, to
//! the nearest even.

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Dispatch, DispatchTensor};
use burn::tensor::DType;

use super::Function;
use super::elementwise::floats;
use crate::call::Call;
use crate::error::Problem;
use crate::values::{Kind, Value, movement};

pub(super) fn find(name: &str) -> Option<Function> {
    use Function::One;
    Some(match name {
        "QuantizeLinear" => One(quantize),
        "DequantizeLinear" => One(dequantize),
        _ => return None,
    })
}

/// Those of ONNX Runtime's own domain, which came before ONNX's for 16 bits.
pub(super) fn find_of_runtime(name: &str) -> Option<Function> {
    find(name)
}

/// Those of QONNX, as Brevitas writes them.
pub(super) fn find_of_qonnx(name: &str) -> Option<Function> {
    match name {
        "Quant" | "IntQuant" => Some(Function::One(fake_quantize)),
        _ => None,
    }
}

/// The range of the codes of a type.
pub(crate) fn code_range(dtype: DType) -> Option<[f64; 2]> {
    Some(match dtype {
        DType::U8 => [0.0, 255.0],
        DType::I8 => [-128.0, 127.0],
        DType::U16 => [0.0, 65535.0],
        DType::I16 => [-32768.0, 32767.0],
        _ => return None,
    })
}

/// A scale or zero point, in place with the input: one number, or one for each place along an axis.
fn along(call: &Call<'_>, index: usize, axis: i64, known: bool) -> Result<DispatchTensor, Problem> {
    let input = call.input(0)?;
    let rank = input.rank().max(1);
    let value = call.context.cast(call.input(index)?, DType::F32);
    let tensor = call.context.tensor(&value, known);
    let mut shape = vec![1; rank];
    match value.shape()[..] {
        [] | [1] => {}
        [count] => {
            let axis = call.axis(axis, rank)?;
            if input.shape()[axis] != count {
                return Err(Problem::new(format!(
                    "it has {count} scales for {} places along axis {axis}",
                    input.shape()[axis]
                )));
            }
            shape[axis] = count;
        }
        _ => {
            return Err(Problem::new(
                "it has a scale for every block of several places",
            ));
        }
    }
    Ok(movement::reshape(tensor, shape.into()))
}

fn check_blocks(call: &Call<'_>) -> Result<i64, Problem> {
    if call.int("block_size")?.unwrap_or(0) != 0 {
        return Err(Problem::new(
            "it has a scale for every block of several places",
        ));
    }
    Ok(call.int("axis")?.unwrap_or(1))
}

fn quantize(call: &Call<'_>) -> Result<Value, Problem> {
    let input = floats(call, 0)?;
    let axis = check_blocks(call)?;
    call.switch("saturate", true)?;
    call.int("precision")?;
    let dtype = match (call.optional(2), call.int("output_dtype")?) {
        (Some(zero), _) => zero.dtype(),
        (None, Some(number)) if number != 0 => crate::file::dtype(number as i32)
            .map_err(|unknown| Problem::new(format!("its codes are {unknown}")))?,
        (None, _) => DType::U8,
    };
    let [least, most] =
        code_range(dtype).ok_or_else(|| Problem::new(format!("its codes are {dtype:?}")))?;
    let known = input.is_known() && call.input(1)?.is_known();
    let scale = along(call, 1, axis, known)?;
    let x = call.context.tensor(input, known);
    let mut codes = Dispatch::float_round(Dispatch::float_div(x, scale));
    if call.optional(2).is_some() {
        codes = Dispatch::float_add(codes, along(call, 2, axis, known)?);
    }
    let codes = Dispatch::float_clamp(codes, least.into(), most.into());
    Ok(Value::new(codes, dtype, known).with_axes_of(input))
}

fn dequantize(call: &Call<'_>) -> Result<Value, Problem> {
    let input = call.input(0)?;
    let axis = check_blocks(call)?;
    call.int("output_dtype")?;
    if Kind::of(input.dtype()) != Kind::Int {
        return Err(Problem::new(format!("its codes are {:?}", input.dtype())));
    }
    let known = input.is_known() && call.input(1)?.is_known();
    let codes = match input.stored() {
        Kind::Float => input.clone(),
        _ => call.context.cast(input, DType::F32),
    };
    let mut codes = call.context.tensor(&codes, known);
    if call.optional(2).is_some() {
        codes = Dispatch::float_sub(codes, along(call, 2, axis, known)?);
    }
    let values = Dispatch::float_mul(codes, along(call, 1, axis, known)?);
    Ok(Value::new(values, DType::F32, known).with_axes_of(input))
}

/// QONNX's `Quant`: quantised and taken back at once, with any number of bits.
fn fake_quantize(call: &Call<'_>) -> Result<Value, Problem> {
    let input = floats(call, 0)?;
    let is_signed = call.switch("signed", true)?;
    let is_narrow = call.switch("narrow", false)?;
    call.choice(
        "rounding_mode",
        "ROUND",
        &[("ROUND", ()), ("HALF_EVEN", ())],
    )?;
    let bits = call.known_float(3, "its number of bits")?;
    let bits = bits.ok_or_else(|| Problem::new("its number of bits is missing"))?;
    let [least, most] = range(bits, is_signed, is_narrow)?;
    let known = input.is_known();
    let operand = |index| -> Result<DispatchTensor, Problem> {
        let value = call.input(index)?;
        if value.rank() > input.rank() {
            return Err(Problem::new("its scales have more axes than its input"));
        }
        let tensor = call.context.tensor(value, known);
        Ok(super::arithmetic::with_rank(
            tensor,
            &value.shape(),
            input.rank().max(1),
        ))
    };
    let (scale, zero) = (operand(1)?, operand(2)?);
    let scaled = Dispatch::float_div(input.tensor(), scale.clone());
    let codes = Dispatch::float_add(scaled, zero.clone());
    let codes = Dispatch::float_clamp(codes, least.into(), most.into());
    let codes = Dispatch::float_round(codes);
    let values = Dispatch::float_mul(Dispatch::float_sub(codes, zero), scale);
    Ok(input.with_tensor(values))
}

/// The codes of so many bits, as QONNX counts them.
pub(crate) fn range(bits: f64, is_signed: bool, is_narrow: bool) -> Result<[f64; 2], Problem> {
    if !(1.0..=16.0).contains(&bits) || bits.fract() != 0.0 {
        return Err(Problem::new(format!(
            "its codes have {bits} bits; 1 to 16 are covered"
        )));
    }
    let narrowed = f64::from(u8::from(is_narrow));
    Ok(match is_signed {
        true => [
            -2.0_f64.powf(bits - 1.0) + narrowed,
            2.0_f64.powf(bits - 1.0) - 1.0,
        ],
        false => [0.0, 2.0_f64.powf(bits) - 1.0 - narrowed],
    })
}
