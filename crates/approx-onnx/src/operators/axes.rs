//! Shapes: the same elements in other axes, several tensors behind each other, and parts of one.

use burn::tensor::Slice;

use super::Function;
use super::limits::check_size;
use crate::call::Call;
use crate::error::Problem;
use crate::values::{Value, movement};

pub(super) fn find(name: &str) -> Option<Function> {
    use Function::{One, Several};
    Some(match name {
        "Reshape" => One(reshape),
        "Flatten" => One(flatten),
        "Squeeze" => One(squeeze),
        "Unsqueeze" => One(unsqueeze),
        "Transpose" => One(transpose),
        "Expand" => One(expand),
        "Tile" => One(tile),
        "Concat" => One(concatenate),
        "Split" => Several(split),
        "DepthToSpace" => One(depth_to_space),
        "SpaceToDepth" => One(space_to_depth),
        _ => return None,
    })
}

/// A value with its elements in another shape.
pub(super) fn with_shape(value: &Value, shape: &[usize]) -> Value {
    match shape.is_empty() {
        true => value.clone().without_axes(),
        false => Value::new(
            movement::reshape(value.tensor(), shape.to_vec().into()),
            value.dtype(),
            value.is_known(),
        ),
    }
}

fn reshape(call: &Call<'_>) -> Result<Value, Problem> {
    let input = call.input(0)?;
    call.ints("consumed_inputs")?;
    let wanted = match call.version {
        ..5 => call.ints("shape")?,
        _ => call.known_ints(1, "the shape")?,
    };
    let wanted = wanted.ok_or_else(|| Problem::new("its shape is missing"))?;
    let wanted = call.context.for_batch(wanted, &input.shape());
    let zero_is_zero = call.switch("allowzero", false)?;
    let shape = resolve(&wanted, &input.shape(), zero_is_zero)?;
    Ok(with_shape(input, &shape))
}

/// The sizes of a shape in which 0 keeps a size and -1 stands for what is left.
fn resolve(wanted: &[i64], shape: &[usize], zero_is_zero: bool) -> Result<Vec<usize>, Problem> {
    let elements: usize = shape.iter().product();
    let impossible = || {
        Problem::new(format!(
            "a tensor of shape {shape:?} cannot have the shape {wanted:?}"
        ))
    };
    let mut sizes = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (axis, &size) in wanted.iter().enumerate() {
        sizes.push(match size {
            0 if !zero_is_zero => *shape.get(axis).ok_or_else(impossible)?,
            -1 if open.is_none() => {
                open = Some(axis);
                1
            }
            size => usize::try_from(size).map_err(|_| impossible())?,
        });
    }
    let product = (sizes.iter()).try_fold(1_usize, |product, &size| product.checked_mul(size));
    let product = product.ok_or_else(impossible)?;
    if let Some(axis) = open {
        if product == 0 || !elements.is_multiple_of(product) {
            return Err(impossible());
        }
        sizes[axis] = elements / product;
    } else if product != elements {
        return Err(impossible());
    }
    Ok(sizes)
}

fn flatten(call: &Call<'_>) -> Result<Value, Problem> {
    let input = call.input(0)?;
    let shape = input.shape();
    let axis = call.int("axis")?.unwrap_or(1);
    let before = match axis {
        axis if axis == shape.len() as i64 => shape.len(),
        axis => call.axis(axis, shape.len())?,
    };
    let sizes = [
        shape[..before].iter().product(),
        shape[before..].iter().product(),
    ];
    Ok(with_shape(input, &sizes))
}

/// The axes that a node names, in its settings or, newer, as an input.
pub(super) fn named_axes(
    call: &Call<'_>,
    since: i64,
    rank: usize,
) -> Result<Option<Vec<usize>>, Problem> {
    let axes = match call.version < since {
        true => call.ints("axes")?,
        false => call.known_ints(1, "its axes")?,
    };
    let Some(axes) = axes else { return Ok(None) };
    let mut found = Vec::with_capacity(axes.len());
    for axis in axes {
        let axis = call.axis(axis, rank)?;
        if found.contains(&axis) {
            return Err(Problem::new(format!("it names the axis {axis} twice")));
        }
        found.push(axis);
    }
    found.sort_unstable();
    Ok(Some(found))
}

fn squeeze(call: &Call<'_>) -> Result<Value, Problem> {
    let input = call.input(0)?;
    let shape = input.shape();
    let axes = match named_axes(call, 13, shape.len())? {
        Some(axes) => axes,
        None => (0..shape.len()).filter(|&axis| shape[axis] == 1).collect(),
    };
    if let Some(&axis) = axes.iter().find(|&&axis| shape[axis] != 1) {
        return Err(Problem::new(format!(
            "it removes axis {axis} of a tensor of shape {shape:?}, whose size is not 1"
        )));
    }
    let kept = (0..shape.len()).filter(|axis| !axes.contains(axis));
    let sizes: Vec<usize> = kept.map(|axis| shape[axis]).collect();
    Ok(with_shape(input, &sizes))
}

fn unsqueeze(call: &Call<'_>) -> Result<Value, Problem> {
    let input = call.input(0)?;
    let count = match call.version < 13 {
        true => call.ints("axes")?,
        false => call.known_ints(1, "its axes")?,
    };
    let count = count
        .ok_or_else(|| Problem::new("its axes are missing"))?
        .len();
    let rank = input.rank() + count;
    let axes = named_axes(call, 13, rank)?.unwrap_or_default();
    let mut old = input.shape().into_iter();
    let sizes: Vec<usize> = (0..rank)
        .map(|axis| match axes.contains(&axis) {
            true => 1,
            false => old.next().expect("as many axes as there were"),
        })
        .collect();
    Ok(with_shape(input, &sizes))
}

fn transpose(call: &Call<'_>) -> Result<Value, Problem> {
    let input = call.input(0)?;
    let rank = input.rank();
    let axes = match call.ints("perm")? {
        None => (0..rank).rev().collect(),
        Some(axes) => {
            let axes = axes.iter().map(|&axis| call.axis(axis, rank));
            axes.collect::<Result<Vec<_>, _>>()?
        }
    };
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    if sorted != (0..rank).collect::<Vec<_>>() {
        return Err(Problem::new(format!(
            "it puts the axes of a tensor of rank {rank} in the order {axes:?}"
        )));
    }
    if rank < 2 {
        return Ok(input.clone());
    }
    Ok(input.with_tensor(movement::permute(input.tensor(), &axes)))
}

fn expand(call: &Call<'_>) -> Result<Value, Problem> {
    let input = call.input(0)?;
    let wanted = call.known_ints(1, "the shape")?;
    let wanted = wanted.ok_or_else(|| Problem::new("its shape is missing"))?;
    let wanted = sizes(&wanted)?;
    let shape = super::arithmetic::broadcast(&input.shape(), &wanted)?;
    if shape.is_empty() {
        return Ok(input.clone());
    }
    let tensor = super::arithmetic::with_rank(input.tensor(), &input.shape(), shape.len());
    let expanded = movement::expand(tensor, shape.into());
    Ok(Value::new(expanded, input.dtype(), input.is_known()))
}

/// Sizes that may not be negative.
pub(super) fn sizes(sizes: &[i64]) -> Result<Vec<usize>, Problem> {
    let converted = sizes.iter().map(|&size| usize::try_from(size));
    converted.collect::<Result<_, _>>().map_err(|_| {
        Problem::new(format!(
            "its sizes are {sizes:?}, of which some are negative"
        ))
    })
}

fn tile(call: &Call<'_>) -> Result<Value, Problem> {
    let input = call.input(0)?;
    let times = call.known_ints(1, "how often it repeats")?;
    let times = sizes(&times.ok_or_else(|| Problem::new("how often it repeats is missing"))?)?;
    if times.len() != input.rank() {
        return Err(Problem::new(format!(
            "it repeats {} axes of a tensor that has {}",
            times.len(),
            input.rank()
        )));
    }
    let repeated = input.shape().into_iter().zip(&times);
    let repeated = repeated.map(|(size, times)| size.saturating_mul(*times));
    check_size(&repeated.collect::<Vec<_>>())?;
    let mut tensor = input.tensor();
    for (axis, &times) in times.iter().enumerate() {
        if times != 1 {
            tensor = movement::repeat(tensor, axis, times);
        }
    }
    Ok(input.with_tensor(tensor))
}

fn concatenate(call: &Call<'_>) -> Result<Value, Problem> {
    let inputs = call.all()?;
    let first = *inputs
        .first()
        .ok_or_else(|| Problem::new("it has no inputs"))?;
    let default = if call.version < 4 { Some(1) } else { None };
    let axis = call.int("axis")?.or(default);
    let axis = axis.ok_or_else(|| Problem::new("its setting \"axis\" is missing"))?;
    let axis = call.axis(axis, first.rank())?;
    let mut parts = Vec::new();
    let known = inputs.iter().all(|value| value.is_known());
    for input in &inputs {
        let fits = input.rank() == first.rank()
            && (input.shape().iter().zip(first.shape()).enumerate())
                .all(|(other, (&own, size))| other == axis || own == size);
        if !fits || input.stored() != first.stored() {
            return Err(Problem::new(format!(
                "it puts tensors of the shapes {:?} and {:?} behind each other along axis {axis}",
                first.shape(),
                input.shape()
            )));
        }
        // Burn's may not be empty.
        if input.elements() > 0 {
            parts.push(call.context.tensor(input, known));
        }
    }
    check_size(&[inputs.iter().map(|input| input.elements()).sum()])?;
    let joined = match parts.len() {
        0 => first.tensor(),
        1 => parts.remove(0),
        _ => movement::cat(parts, axis),
    };
    Ok(Value::new(joined, first.dtype(), known))
}

fn split(call: &Call<'_>) -> Result<Vec<Value>, Problem> {
    let input = call.input(0)?;
    let axis = call.axis(call.int("axis")?.unwrap_or(0), input.rank())?;
    let size = input.shape()[axis];
    let lengths = match call.version {
        ..13 => call.ints("split")?,
        _ => call.known_ints(1, "the lengths of its parts")?,
    };
    let lengths = match lengths {
        Some(lengths) => sizes(&lengths)?,
        None => {
            let parts = call
                .int("num_outputs")?
                .unwrap_or(call.node.outputs.len() as i64);
            let parts = sizes(&[parts])?[0];
            if parts == 0 || parts > size {
                return Err(Problem::new(format!(
                    "it has {parts} parts of an axis of size {size}"
                )));
            }
            let length = size.div_ceil(parts);
            let lengths = (0..parts).map(|part| length.min(size.saturating_sub(part * length)));
            lengths.collect()
        }
    };
    if lengths.iter().sum::<usize>() != size {
        return Err(Problem::new(format!(
            "its parts {lengths:?} do not make up the size {size} along axis {axis}"
        )));
    }
    let mut start = 0;
    let parts = lengths.into_iter().map(|length| {
        let part = part(input, axis, start..start + length);
        start += length;
        part
    });
    Ok(parts.collect())
}

/// A part of a value along one axis.
pub(super) fn part(value: &Value, axis: usize, range: std::ops::Range<usize>) -> Value {
    let mut slices = vec![Slice::new(0, None, 1); value.rank()];
    slices[axis] = Slice::from(range);
    value.with_tensor(movement::slice(value.tensor(), &slices))
}

/// Blocks of channels become blocks of pixels.
fn depth_to_space(call: &Call<'_>) -> Result<Value, Problem> {
    let (input, block) = blocks(call)?;
    let [batch, channels, height, width] = input.shape()[..] else {
        return Err(Problem::new("it works on images"));
    };
    let column_first = call.choice("mode", "DCR", &[("DCR", false), ("CRD", true)])?;
    if !channels.is_multiple_of(block * block) {
        return Err(Problem::new(format!(
            "{channels} channels are no blocks of {block} x {block}"
        )));
    }
    let rest = channels / (block * block);
    let (sizes, axes) = match column_first {
        false => (
            [batch, block, block, rest, height, width],
            [0, 3, 4, 1, 5, 2],
        ),
        true => (
            [batch, rest, block, block, height, width],
            [0, 1, 4, 2, 5, 3],
        ),
    };
    let blocks = movement::reshape(input.tensor(), sizes.into());
    let moved = movement::permute(blocks, &axes);
    let shape = [batch, rest, height * block, width * block];
    Ok(input.with_tensor(movement::reshape(moved, shape.into())))
}

/// Blocks of pixels become blocks of channels.
fn space_to_depth(call: &Call<'_>) -> Result<Value, Problem> {
    let (input, block) = blocks(call)?;
    let [batch, channels, height, width] = input.shape()[..] else {
        return Err(Problem::new("it works on images"));
    };
    if !height.is_multiple_of(block) || !width.is_multiple_of(block) {
        return Err(Problem::new(format!(
            "{height} x {width} pixels are no blocks of {block} x {block}"
        )));
    }
    let sizes = [batch, channels, height / block, block, width / block, block];
    let blocks = movement::reshape(input.tensor(), sizes.into());
    let moved = movement::permute(blocks, &[0, 3, 5, 1, 2, 4]);
    let shape = [
        batch,
        channels * block * block,
        height / block,
        width / block,
    ];
    Ok(input.with_tensor(movement::reshape(moved, shape.into())))
}

fn blocks<'a>(call: &'a Call<'_>) -> Result<(&'a Value, usize), Problem> {
    match call.int("blocksize")? {
        Some(block) if block > 0 => Ok((call.input(0)?, block as usize)),
        block => Err(Problem::new(format!("its blocks have the size {block:?}"))),
    }
}
