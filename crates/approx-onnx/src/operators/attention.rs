//! Attention as one operator, computed step by step, so that its products can be layers.

use burn::backend::Dispatch;
use burn::backend::ops::{ActivationOps, BoolTensorOps, FloatTensorOps};
use burn::tensor::{DType, TensorData};

use super::Function;
use super::arithmetic::combine;
use super::elementwise::floats;
use super::products::multiply;
use crate::call::Call;
use crate::error::Problem;
use crate::values::{BOOL, Kind, Value, movement};

pub(super) fn find(name: &str) -> Option<Function> {
    match name {
        "Attention" => Some(Function::One(attention)),
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

fn attention(call: &Call<'_>) -> Result<Value, Problem> {
    if (4..call.count()).any(|index| call.optional(index).is_some()) {
        return Err(Problem::new("it has keys and values of the past"));
    }
    call.int("qk_matmul_output_mode")?;
    call.int("softmax_precision")?;
    let query_heads = call.int("q_num_heads")?;
    let key_heads = call.int("kv_num_heads")?;
    let is_joined = floats(call, 0)?.rank() == 3;
    let query = heads(floats(call, 0)?, query_heads, "query")?;
    let mut key = heads(floats(call, 1)?, key_heads, "key")?;
    let mut value = heads(floats(call, 2)?, key_heads, "value")?;
    let (own, others) = (query.shape()[1], key.shape()[1]);
    if own != others {
        if others == 0 || !own.is_multiple_of(others) {
            return Err(Problem::new(format!(
                "it has {own} heads of queries and {others} of keys"
            )));
        }
        let repeated = |value: &Value| repeated_heads(value, own / others);
        (key, value) = (repeated(&key), repeated(&value));
    }
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
    let mut scores = multiply(call, &scaled(&query), &scaled(&turned))?;
    let cap = f64::from(call.float("softcap")?.unwrap_or(0.0));
    if cap > 0.0 {
        let bent = Dispatch::float_tanh(Dispatch::float_div_scalar(scores.tensor(), cap.into()));
        scores = scores.with_tensor(Dispatch::float_mul_scalar(bent, cap.into()));
    }
    // A place that nothing is visible from gives 0, not a mean of what is hidden.
    let mut visible = Vec::new();
    if let Some(mask) = call.optional(3) {
        let mask = match mask.stored() {
            Kind::Bool => {
                visible.push(mask.clone());
                addend(call, mask)
            }
            _ => mask.clone(),
        };
        scores = added(call, &scores, &mask)?;
    }
    if call.switch("is_causal", false)? {
        let [.., queries, keys] = scores.shape()[..] else {
            return Err(Problem::new("its scores have no rows"));
        };
        let seen = (0..queries * keys).map(|place| place % keys <= place / keys);
        let seen = TensorData::new(seen.collect::<Vec<bool>>(), [queries, keys]);
        let seen = call.context.known(seen, BOOL);
        let mask = addend(call, &seen);
        visible.push(seen);
        scores = added(call, &scores, &mask)?;
    }
    let mut shares = scores.with_tensor(Dispatch::softmax(scores.tensor(), 3));
    for mask in visible {
        let share = call.context.cast(&mask, DType::F32);
        shares = combine(
            call,
            &shares,
            &share,
            Dispatch::float_mul,
            Dispatch::float_mul,
        )?;
    }
    let output = multiply(call, &shares, &value)?;
    if !is_joined {
        return Ok(output);
    }
    let [batch, heads, places, features] = output.shape()[..] else {
        return Err(Problem::new("its output has no heads"));
    };
    let together = movement::permute(output.tensor(), &[0, 2, 1, 3]);
    let shape = [batch, places, heads * features];
    Ok(Value::new(
        movement::reshape(together, shape.into()),
        output.dtype(),
        output.is_known(),
    ))
}

/// The sum of two values of floats.
fn added(call: &Call<'_>, left: &Value, right: &Value) -> Result<Value, Problem> {
    combine(call, left, right, Dispatch::float_add, Dispatch::float_add)
}

/// 0 where a mask is true, and what no softmax gives a share elsewhere.
fn addend(call: &Call<'_>, mask: &Value) -> Value {
    let types = call.context.types(mask.is_known());
    let hidden = Dispatch::bool_not(mask.tensor());
    let zeros = Dispatch::float_mul_scalar(
        Dispatch::bool_into_float(hidden.clone(), types.float),
        0.0.into(),
    );
    let filled = Dispatch::float_mask_fill(zeros, hidden, f64::from(f32::MIN / 2.0).into());
    mask.with_tensor(filled).with_dtype(DType::F32)
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
