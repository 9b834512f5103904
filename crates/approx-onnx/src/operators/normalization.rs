//! Normalisations.

use burn::backend::ops::{FloatTensorOps, ModuleOps};
use burn::backend::{Dispatch, DispatchTensor};
use burn::tensor::ops::PadMode;

use super::Function;
use super::arithmetic::with_rank;
use super::elementwise::floats;
use crate::call::Call;
use crate::error::Problem;
use crate::values::{Value, movement};

pub(super) fn find(name: &str) -> Option<Function> {
    use Function::{One, Several};
    Some(match name {
        "BatchNormalization" => Several(batch),
        "InstanceNormalization" => One(instance),
        "LayerNormalization" => Several(layer),
        "GroupNormalization" => One(group),
        "RMSNormalization" | "SimplifiedLayerNormalization" => One(root_mean_square),
        "LpNormalization" => One(length),
        "LRN" => One(local_response),
        "MeanVarianceNormalization" => One(mean_and_variance),
        _ => return None,
    })
}

fn epsilon(call: &Call<'_>) -> Result<f64, Problem> {
    Ok(call.float("epsilon")?.unwrap_or(1e-5).into())
}

/// The first of several outputs; the others must not be used.
fn first_alone(call: &Call<'_>, value: Value) -> Result<Vec<Value>, Problem> {
    match call
        .node
        .outputs
        .iter()
        .skip(1)
        .any(|name| !name.is_empty())
    {
        true => Err(Problem::new(
            "its further outputs are used, which exist in training alone; export the model in evaluation mode",
        )),
        false => Ok(vec![value]),
    }
}

fn batch(call: &Call<'_>) -> Result<Vec<Value>, Problem> {
    let input = floats(call, 0)?;
    let epsilon = epsilon(call)?;
    call.float("momentum")?;
    call.ints("consumed_inputs")?;
    let in_training = match call.version {
        ..7 => !call.switch("is_test", false)?,
        7..14 => call
            .node
            .outputs
            .iter()
            .skip(1)
            .any(|name| !name.is_empty()),
        _ => call.switch("training_mode", false)?,
    };
    if in_training && call.version >= 7 {
        return Err(Problem::new(
            "it normalises by the batch; export the model in evaluation mode",
        ));
    }
    if call.version < 9 && !call.switch("spatial", true)? {
        return Err(Problem::new("it normalises every place for itself"));
    }
    if input.rank() < 2 {
        return Err(Problem::new(format!(
            "it normalises an input of shape {:?}",
            input.shape()
        )));
    }
    let [gamma, beta, mean, variance] = [1, 2, 3, 4].map(|index| call.tensor(index));
    let normalised =
        Dispatch::batch_norm(call.tensor(0)?, gamma?, beta?, mean?, variance?, epsilon);
    first_alone(call, call.float_value(normalised))
}

/// The mean of the last axis, kept.
fn mean(x: &DispatchTensor, axis: usize) -> DispatchTensor {
    Dispatch::float_mean_dim(x.clone(), axis)
}

/// What lies along the last axis, less its mean, over its deviation.
fn standardised(x: DispatchTensor, axis: usize, epsilon: f64) -> DispatchTensor {
    let average = mean(&x, axis);
    let centred = Dispatch::float_sub(x, average);
    scaled(centred.clone(), &centred, axis, epsilon)
}

/// `x` over the root of the mean square of `of`, with `epsilon` in it.
fn scaled(x: DispatchTensor, of: &DispatchTensor, axis: usize, epsilon: f64) -> DispatchTensor {
    let square = Dispatch::float_mul(of.clone(), of.clone());
    let variance = Dispatch::float_add_scalar(mean(&square, axis), epsilon.into());
    Dispatch::float_div(x, Dispatch::float_sqrt(variance))
}

/// A tensor of one number for each channel, for an input of so many axes.
fn per_channel(tensor: DispatchTensor, channels: usize, rank: usize) -> DispatchTensor {
    let mut shape = vec![1; rank];
    shape[1] = channels;
    movement::reshape(tensor, shape.into())
}

fn instance(call: &Call<'_>) -> Result<Value, Problem> {
    call.ints("consumed_inputs")?;
    let channels = floats(call, 0)?.shape().get(1).copied().unwrap_or(1);
    in_groups(call, channels, epsilon(call)?, true)
}

/// Normalises groups of channels, then scales and shifts.
fn in_groups(
    call: &Call<'_>,
    groups: usize,
    epsilon: f64,
    by_channel: bool,
) -> Result<Value, Problem> {
    let input = floats(call, 0)?;
    let shape = input.shape();
    if shape.len() < 3 || groups == 0 || !shape[1].is_multiple_of(groups) {
        return Err(Problem::new(format!(
            "it normalises {groups} groups of channels of an input of shape {shape:?}"
        )));
    }
    let rows = [
        shape[0],
        groups,
        shape[1..].iter().product::<usize>() / groups,
    ];
    let x = movement::reshape(call.tensor(0)?, rows.into());
    let mut x = standardised(x, 2, epsilon);
    let (gamma, beta) = (call.tensor(1)?, call.tensor(2)?);
    let affine = |x, size, rank| {
        let gamma = per_channel(gamma, size, rank);
        let beta = per_channel(beta, size, rank);
        Dispatch::float_add(Dispatch::float_mul(x, gamma), beta)
    };
    let counts = [1, 2].map(|index| call.input(index).map(Value::elements));
    let expected = if by_channel { shape[1] } else { groups };
    for count in counts {
        if count? != expected {
            return Err(Problem::new(format!(
                "it needs {expected} scales and shifts"
            )));
        }
    }
    if !by_channel {
        x = affine(x, groups, 3);
        return Ok(call.float_value(movement::reshape(x, shape.into())));
    }
    let x = movement::reshape(x, shape.clone().into());
    Ok(call.float_value(affine(x, shape[1], shape.len())))
}

fn group(call: &Call<'_>) -> Result<Value, Problem> {
    let groups = match call.int("num_groups")? {
        Some(groups @ 1..) => groups as usize,
        groups => return Err(Problem::new(format!("it has {groups:?} groups"))),
    };
    call.int("stash_type")?;
    // Scales were one for each group at first.
    in_groups(call, groups, epsilon(call)?, call.version >= 21)
}

/// The input with the axes from one on joined, and the sizes of those.
fn joined(call: &Call<'_>) -> Result<(DispatchTensor, Vec<usize>, usize), Problem> {
    let input = floats(call, 0)?;
    let shape = input.shape();
    let axis = call.axis(call.int("axis")?.unwrap_or(-1), shape.len())?;
    let (before, after) = shape.split_at(axis);
    let size = after.iter().product();
    let rows = [before, &[size]].concat();
    Ok((
        movement::reshape(call.tensor(0)?, rows.into()),
        after.to_vec(),
        axis,
    ))
}

/// A scale or shift of the last axes as a row.
fn row(call: &Call<'_>, index: usize, sizes: &[usize]) -> Result<DispatchTensor, Problem> {
    let value = call.input(index)?;
    let elements: usize = sizes.iter().product();
    let tensor = with_rank(
        call.tensor(index)?,
        &value.shape(),
        sizes.len().max(value.rank()),
    );
    if value.rank() > sizes.len() {
        return Err(Problem::new("its scale has more axes than it normalises"));
    }
    let whole = movement::expand(tensor, sizes.to_vec().into());
    Ok(movement::reshape(whole, [elements].into()))
}

fn layer(call: &Call<'_>) -> Result<Vec<Value>, Problem> {
    let epsilon = epsilon(call)?;
    call.int("stash_type")?;
    let shape = floats(call, 0)?.shape();
    let (x, sizes, axis) = joined(call)?;
    let gamma = row(call, 1, &sizes)?;
    let beta = match call.optional(2) {
        Some(_) => Some(row(call, 2, &sizes)?),
        None => None,
    };
    let normalised = Dispatch::layer_norm(x.clone(), gamma, beta, epsilon);
    let normalised = movement::reshape(normalised, shape.clone().into());
    let mut values = vec![call.float_value(normalised)];
    if call.node.outputs.len() > 1 {
        // The mean, and what was multiplied by.
        let average = mean(&x, axis);
        let centred = Dispatch::float_sub(x, average.clone());
        let ones = Dispatch::float_add_scalar(
            Dispatch::float_mul_scalar(average.clone(), 0.0.into()),
            1.0.into(),
        );
        let deviation = scaled(ones, &centred, axis, epsilon);
        let mut sizes = shape;
        sizes[axis..].fill(1);
        for statistic in [average, deviation] {
            values.push(call.float_value(movement::reshape(statistic, sizes.clone().into())));
        }
    }
    Ok(values)
}

fn root_mean_square(call: &Call<'_>) -> Result<Value, Problem> {
    let epsilon = epsilon(call)?;
    call.int("stash_type")?;
    let shape = floats(call, 0)?.shape();
    let (x, sizes, axis) = joined(call)?;
    let gamma = row(call, 1, &sizes)?;
    let gamma = with_rank(gamma, &[sizes.iter().product()], axis + 1);
    let normalised = Dispatch::float_mul(scaled(x.clone(), &x, axis, epsilon), gamma);
    Ok(call.float_value(movement::reshape(normalised, shape.into())))
}

fn length(call: &Call<'_>) -> Result<Value, Problem> {
    let input = floats(call, 0)?;
    let axis = call.axis(call.int("axis")?.unwrap_or(-1), input.rank())?;
    let x = input.tensor();
    let norm = match call.int("p")?.unwrap_or(2) {
        1 => Dispatch::float_sum_dim(Dispatch::float_abs(x.clone()), axis),
        2 => {
            let square = Dispatch::float_mul(x.clone(), x.clone());
            Dispatch::float_sqrt(Dispatch::float_sum_dim(square, axis))
        }
        order => return Err(Problem::new(format!("it takes norms of order {order}"))),
    };
    // What is 0 stays 0.
    let types = call.context.types(input.is_known());
    let nothing = Dispatch::float_equal_elem(norm.clone(), 0.0.into(), types.bool);
    let norm = Dispatch::float_mask_fill(norm, nothing, 1.0.into());
    Ok(input.with_tensor(Dispatch::float_div(x, norm)))
}

/// `x / (bias + alpha / size * sum of squares in neighbouring channels) ^ beta`.
fn local_response(call: &Call<'_>) -> Result<Value, Problem> {
    let input = floats(call, 0)?;
    let alpha = f64::from(call.float("alpha")?.unwrap_or(1e-4));
    let beta = f64::from(call.float("beta")?.unwrap_or(0.75));
    let bias = f64::from(call.float("bias")?.unwrap_or(1.0));
    let size = match call.int("size")? {
        Some(size @ 1..) => size as usize,
        size => return Err(Problem::new(format!("it looks at {size:?} channels"))),
    };
    let channels = input.shape().get(1).copied().unwrap_or(0);
    let x = input.tensor();
    let square = Dispatch::float_mul(x.clone(), x.clone());
    let mut sides = vec![(0, 0); input.rank()];
    // Farther away than all channels there are none.
    let (before, after) = (((size - 1) / 2).min(channels), (size / 2).min(channels));
    sides[1] = (before, after);
    let around = Dispatch::float_pad(square, &sides, PadMode::Constant(0.0));
    let around = input.with_tensor(around);
    let part = |start: usize| super::axes::part(&around, 1, start..start + channels).tensor();
    let sum =
        (1..=before + after).fold(part(0), |sum, start| Dispatch::float_add(sum, part(start)));
    let sum = Dispatch::float_mul_scalar(sum, (alpha / size as f64).into());
    let base = Dispatch::float_add_scalar(sum, bias.into());
    let below = Dispatch::float_powf_scalar(base, beta.into());
    Ok(input.with_tensor(Dispatch::float_div(x, below)))
}

fn mean_and_variance(call: &Call<'_>) -> Result<Value, Problem> {
    let input = floats(call, 0)?;
    let axes = call.ints("axes")?.unwrap_or_else(|| vec![0, 2, 3]);
    let axes = axes.iter().map(|&axis| call.axis(axis, input.rank()));
    let axes = axes.collect::<Result<Vec<_>, _>>()?;
    let mean = |x: DispatchTensor| {
        axes.iter()
            .fold(x, |x, &axis| Dispatch::float_mean_dim(x, axis))
    };
    let x = input.tensor();
    let centred = Dispatch::float_sub(x.clone(), mean(x));
    let variance = mean(Dispatch::float_mul(centred.clone(), centred.clone()));
    let deviation = Dispatch::float_add_scalar(Dispatch::float_sqrt(variance), 1e-9.into());
    Ok(input.with_tensor(Dispatch::float_div(centred, deviation)))
}
