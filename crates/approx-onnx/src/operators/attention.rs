//! Attention as one operator, computed step by step, so that its products can be layers.

use burn::backend::Dispatch;
use burn::backend::ops::{ActivationOps, BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn::tensor::ops::PadMode;
use burn::tensor::{DType, TensorData};

use super::Function;
use super::arithmetic::{Pair, broadcast, combine};
use super::axes::with_shape;
use super::convolutions::array;
use super::elementwise::floats;
use super::products::multiply;
use crate::call::Call;
use crate::error::Problem;
use crate::values::{BOOL, Kind, Value, movement};

pub(super) fn find(name: &str) -> Option<Function> {
    match name {
        "Attention" => Some(Function::Several(attention)),
        _ => None,
    }
}

/// A tensor as heads: batch, heads, places, features.
fn heads(value: &Value, heads: Option<i64>, name: &str) -> Result<Value, Problem> {
    match (value.shape()[..].to_vec(), heads) {
        (shape, _) if shape.len() == 4 => Ok(value.clone()),
        (shape, Some(heads @ 1..))
            if shape.len() == 3 && shape[2].is_multiple_of(heads as usize) =>
        {
            let heads = heads as usize;
            let split = [shape[0], shape[1], heads, shape[2] / heads];
            let split = movement::reshape(value.tensor(), split.into());
            Ok(value.with_tensor(movement::permute(split, &[0, 2, 1, 3])))
        }
        (shape, _) => Err(Problem::new(format!("its {name} has the shape {shape:?}"))),
    }
}

/// The output; keys and values with those of the past before them; the scores, as far as the node wants them.
fn attention(call: &Call<'_>) -> Result<Vec<Value>, Problem> {
    // What rounds it is the device's own precision.
    call.int("softmax_precision")?;
    let query_heads = call.int("q_num_heads")?;
    let key_heads = call.int("kv_num_heads")?;
    let is_joined = floats(call, 0)?.rank() == 3;
    let query = heads(floats(call, 0)?, query_heads, "query")?;
    let key = with_past(call, 4, heads(floats(call, 1)?, key_heads, "key")?)?;
    let value = with_past(call, 5, heads(floats(call, 2)?, key_heads, "value")?)?;
    if call.optional(4).is_some() != call.optional(5).is_some() {
        return Err(Problem::new(
            "it has keys or values of the past without the other",
        ));
    }
    let present = [key.clone(), value.clone()];
    let (own, others) = (query.shape()[1], key.shape()[1]);
    if others == 0 || !own.is_multiple_of(others) || value.shape()[1] != others {
        return Err(Problem::new(format!(
            "it has {own} heads of queries, {others} of keys and {} of values",
            value.shape()[1]
        )));
    }
    let [key, value] = [key, value].map(|value| match own == others {
        true => value,
        false => repeated_heads(&value, own / others),
    });
    let features = query.shape()[3];
    let scale = match call.float("scale")? {
        Some(scale) => f64::from(scale),
        None => 1.0 / (features as f64).sqrt(),
    };
    // Half of the scale on either side, as the definition has it.
    let root = scale.sqrt();
    let scaled =
        |value: &Value| value.with_tensor(Dispatch::float_mul_scalar(value.tensor(), root.into()));
    let turned = key.with_tensor(movement::permute(key.tensor(), &[0, 1, 3, 2]));
    let products = multiply(call, &scaled(&query), &scaled(&turned))?;
    let cap = f64::from(call.float("softcap")?.unwrap_or(0.0));
    let capped = match cap > 0.0 {
        false => products.clone(),
        true => {
            let bent =
                Dispatch::float_tanh(Dispatch::float_div_scalar(products.tensor(), cap.into()));
            products.with_tensor(Dispatch::float_mul_scalar(bent, cap.into()))
        }
    };
    let (bias, hidden) = masks(call, &capped)?;
    let biased = match &bias {
        None => capped.clone(),
        Some(bias) => combine(
            call,
            &capped,
            bias,
            Dispatch::float_add,
            Dispatch::float_add,
        )?,
    };
    let filled = |value: &Value, with: f64| match &hidden {
        None => Ok(value.clone()),
        Some(hidden) => filled(call, value, hidden, with),
    };
    // A place that nothing is visible from gives 0, not a mean of what is hidden, nor a quotient of nothing.
    let finite = filled(&biased, f64::from(f32::MIN / 2.0))?;
    let shares = finite.with_tensor(Dispatch::softmax(finite.tensor(), 3));
    let shares = filled(&shares, 0.0)?;
    let output = multiply(call, &shares, &value)?;
    let scores = match call.int("qk_matmul_output_mode")?.unwrap_or(0) {
        0 => products,
        1 => capped,
        2 => filled(&biased, f64::NEG_INFINITY)?,
        3 => shares,
        mode => {
            return Err(Problem::new(format!(
                "its setting \"qk_matmul_output_mode\" is {mode}; covered are 0 to 3"
            )));
        }
    };
    let output = match is_joined {
        true => joined_heads(&output),
        false => output,
    };
    let [key, value] = present;
    Ok(vec![output, key, value, scores])
}

/// Keys or values behind those of the past, if there are any.
fn with_past(call: &Call<'_>, index: usize, own: Value) -> Result<Value, Problem> {
    let Some(past) = call.optional(index) else {
        return Ok(own);
    };
    let (before, shape) = (past.shape(), own.shape());
    let fits = before.len() == 4 && [0, 1, 3].iter().all(|&axis| before[axis] == shape[axis]);
    if !fits || past.stored() != Kind::Float {
        return Err(Problem::new(format!(
            "its past has the shape {before:?}, what follows {shape:?}"
        )));
    }
    // Burn's may not be empty.
    if past.elements() == 0 {
        return Ok(own);
    }
    let ([past, tensor], known) = call.context.together([past, &own]);
    let tensor = movement::cat(vec![past, tensor], 2);
    Ok(Value::new(tensor, own.dtype(), known))
}

/// What is added to scores, and which of them are hidden.
fn masks(call: &Call<'_>, scores: &Value) -> Result<(Option<Value>, Option<Value>), Problem> {
    let [_, _, queries, keys] = array(&scores.shape());
    let (mut bias, mut hidden) = (None, None);
    if let Some(mask) = call.optional(3) {
        let types = call.context.types(mask.is_known());
        let mask_hidden = match mask.stored() {
            Kind::Bool => Dispatch::bool_not(mask.tensor()),
            Kind::Float => {
                let infinite = f64::NEG_INFINITY.into();
                let none = Dispatch::float_equal_elem(mask.tensor(), infinite, types.bool);
                let finite = Dispatch::float_mask_fill(mask.tensor(), none.clone(), 0.0.into());
                bias = Some(of_all_keys(call, mask.with_tensor(finite), keys, 0.0)?);
                none
            }
            Kind::Int => return Err(Problem::new("its mask holds integers")),
        };
        // Keys that a shorter mask does not name are hidden.
        let ones = Dispatch::bool_into_float(mask_hidden, types.float);
        let ones = mask.with_tensor(ones).with_dtype(DType::F32);
        let ones = of_all_keys(call, ones, keys, 1.0)?;
        hidden = Some(call.context.cast(&ones, BOOL));
    }
    let mut hide = |mask: Value| -> Result<(), Problem> {
        hidden = Some(match hidden.take() {
            None => mask,
            Some(before) => {
                let shape = broadcast(&before.shape(), &mask.shape())?;
                let pair = Pair::new(call, &before, &mask)?;
                let [before, mask] = pair.expanded(&shape);
                pair.value(Dispatch::bool_or(before, mask), BOOL)
            }
        });
        Ok(())
    };
    let is_causal = call.switch("is_causal", false)?;
    let table = |value: &dyn Fn(usize, usize) -> i64| {
        let places = (0..queries * keys).map(|place| value(place / keys, place % keys));
        let data = TensorData::new(places.collect::<Vec<i64>>(), [1, 1, queries, keys]);
        call.context.known(data, DType::I64)
    };
    match call.optional(6) {
        None if is_causal => {
            let past = call.optional(4).map_or(0, |past| past.shape()[2]);
            let later = table(&|query, key| i64::from(key > query + past));
            hide(call.context.cast(&later, BOOL))?;
        }
        None => {}
        Some(_) if call.optional(4).is_some() => {
            return Err(Problem::new(
                "it has both a past and a number of keys that are in use",
            ));
        }
        Some(used) => {
            let batch = used.elements();
            let used = with_shape(used, &[batch, 1, 1, 1]);
            hide(at_least(call, &table(&|_, key| key as i64), &used)?)?;
            if is_causal {
                // The last query stands beside the last key that is in use.
                let places = table(&|query, key| (key + queries) as i64 - query as i64 - 1);
                hide(at_least(call, &places, &used)?)?;
            }
        }
    }
    Ok((bias, hidden))
}

/// A mask with as many columns as there are keys.
fn of_all_keys(call: &Call<'_>, mask: Value, keys: usize, rest: f32) -> Result<Value, Problem> {
    let shape = mask.shape();
    match shape.last() {
        Some(&columns) if columns == keys => Ok(mask),
        // One column may be meant for all keys, or for the first one.
        Some(&columns) if (2..keys).contains(&columns) && call.version >= 24 => {
            let mut sides = vec![(0, 0); shape.len()];
            sides[shape.len() - 1].1 = keys - columns;
            let padded = Dispatch::float_pad(mask.tensor(), &sides, PadMode::Constant(rest));
            Ok(mask.with_tensor(padded))
        }
        _ => Err(Problem::new(format!(
            "its mask has the shape {shape:?}, but there are {keys} keys"
        ))),
    }
}

/// Where integers are at least others.
fn at_least(call: &Call<'_>, left: &Value, right: &Value) -> Result<Value, Problem> {
    let shape = broadcast(&left.shape(), &right.shape())?;
    let pair = Pair::new(call, left, right)?;
    let [left, right] = pair.expanded(&shape);
    let bool = call.context.types(pair.known).bool;
    Ok(pair.value(Dispatch::int_greater_equal(left, right, bool), BOOL))
}

/// A value with another one in all places that are hidden.
fn filled(call: &Call<'_>, value: &Value, hidden: &Value, with: f64) -> Result<Value, Problem> {
    let shape = value.shape();
    if broadcast(&shape, &hidden.shape())? != shape {
        return Err(Problem::new(format!(
            "its masks have the shape {:?}, its scores {shape:?}",
            hidden.shape()
        )));
    }
    let pair = Pair::new(call, value, hidden)?;
    let [tensor, hidden] = pair.expanded(&shape);
    let filled = Dispatch::float_mask_fill(tensor, hidden, with.into());
    Ok(pair.value(filled, value.dtype()))
}

/// Heads as features behind each other: batch, places, all features.
fn joined_heads(output: &Value) -> Value {
    let [batch, heads, places, features] = array(&output.shape());
    let together = movement::permute(output.tensor(), &[0, 2, 1, 3]);
    with_shape(
        &output.with_tensor(together),
        &[batch, places, heads * features],
    )
}

/// Each head as often as several heads of queries share it.
fn repeated_heads(value: &Value, times: usize) -> Value {
    let shape = value.shape();
    let apart = [shape[0], shape[1], 1, shape[2], shape[3]];
    let apart = movement::reshape(value.tensor(), apart.into());
    let repeated = movement::expand(
        apart,
        [shape[0], shape[1], times, shape[2], shape[3]].into(),
    );
    let whole = [shape[0], shape[1] * times, shape[2], shape[3]];
    value.with_tensor(movement::reshape(repeated, whole.into()))
}
