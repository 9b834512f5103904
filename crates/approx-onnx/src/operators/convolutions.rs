//! Convolutions of lines, images and volumes, and transposed ones.

use burn::backend::Dispatch;
use burn::backend::ops::{FloatTensorOps, ModuleOps};
use burn::tensor::Slice;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions, PadMode};

use super::Function;
use super::elementwise::floats;
use super::limits::check_size;
use super::windows::{Automatic, Padding, Windows, sizes_of};
use crate::call::Call;
use crate::error::Problem;
use crate::values::{Value, movement};

pub(super) fn find(name: &str) -> Option<Function> {
    use Function::One;
    Some(match name {
        "Conv" => One(convolution),
        "ConvTranspose" => One(transposed),
        _ => return None,
    })
}

/// The axes of windows as an array, of which there are as many as the kernel has.
pub(super) fn array<const N: usize>(values: &[usize]) -> [usize; N] {
    values.try_into().expect("as many axes as the kernel has")
}

fn groups(call: &Call<'_>) -> Result<usize, Problem> {
    match call.int("group")?.unwrap_or(1) {
        groups @ 1.. => Ok(groups as usize),
        groups => Err(Problem::new(format!("it has {groups} groups"))),
    }
}

/// Checks a kernel's rank, and what the node says of it.
fn kernel(call: &Call<'_>) -> Result<Vec<usize>, Problem> {
    let (input, weight) = (floats(call, 0)?, floats(call, 1)?);
    let shape = weight.shape();
    if input.rank() != shape.len() || !(3..=5).contains(&shape.len()) {
        return Err(Problem::new(format!(
            "it convolves an input of shape {:?} with a kernel of shape {shape:?}",
            input.shape()
        )));
    }
    let kernel = shape[2..].to_vec();
    if let Some(said) = call.ints("kernel_shape")?
        && said
            .iter()
            .map(|&size| size as usize)
            .ne(kernel.iter().copied())
    {
        return Err(Problem::new(format!(
            "its kernel is {kernel:?}, but should be {said:?}"
        )));
    }
    Ok(kernel)
}

/// Whether channels and groups fit each other.
fn check_channels(
    input: &Value,
    expected: usize,
    groups: usize,
    outputs: usize,
    bias: Option<&Value>,
) -> Result<(), Problem> {
    let channels = input.shape()[1];
    if channels != expected || !outputs.is_multiple_of(groups) {
        return Err(Problem::new(format!(
            "its kernel is for {expected} channels in {groups} groups, but its input has {channels}"
        )));
    }
    match bias {
        Some(bias) if bias.shape() != [outputs] => Err(Problem::new(format!(
            "its bias has the shape {:?}, but there are {outputs} channels",
            bias.shape()
        ))),
        _ => Ok(()),
    }
}

fn convolution(call: &Call<'_>) -> Result<Value, Problem> {
    let input = floats(call, 0)?;
    let kernel = kernel(call)?;
    let groups = groups(call)?;
    let weight = call.input(1)?.shape();
    check_channels(
        input,
        weight[1] * groups,
        groups,
        weight[0],
        call.optional(2),
    )?;
    let windows = Windows::new(call, &input.shape()[2..], kernel)?;
    let (mut x, weight, bias) = (call.tensor(0)?, call.tensor(1)?, call.optional_tensor(2));
    let padding = match windows.padding() {
        Padding::Even(padding) => padding,
        Padding::Uneven(sides) => {
            let sides = [&[(0, 0); 2], &sides[..]].concat();
            x = Dispatch::float_pad(x, &sides, PadMode::Constant(0.0));
            vec![0; windows.kernel.len()]
        }
    };
    macro_rules! compute {
        ($function:ident, $axes:literal) => {{
            let options = ConvOptions::<$axes>::new(
                array(&windows.stride),
                array(&padding),
                array(&windows.dilation),
                groups,
            );
            Dispatch::$function(x, weight, bias, options)
        }};
    }
    Ok(call.float_value(match windows.kernel.len() {
        1 => compute!(conv1d, 1),
        2 => compute!(conv2d, 2),
        _ => compute!(conv3d, 3),
    }))
}

fn transposed(call: &Call<'_>) -> Result<Value, Problem> {
    let input = floats(call, 0)?;
    let kernel = kernel(call)?;
    let groups = groups(call)?;
    let weight = call.input(1)?.shape();
    check_channels(
        input,
        weight[0],
        groups,
        weight[1] * groups,
        call.optional(2),
    )?;
    let axes = kernel.len();
    let sizes = &input.shape()[2..];
    let numbers = |name: &str, default: usize| -> Result<Vec<usize>, Problem> {
        match call.ints(name)? {
            None => Ok(vec![default; axes]),
            Some(values) => sizes_of(name, &values, axes),
        }
    };
    let stride = numbers("strides", 1)?;
    let dilation = numbers("dilations", 1)?;
    let mut output_padding = numbers("output_padding", 0)?;
    let mut sides = match call.ints("pads")? {
        None => vec![(0, 0); axes],
        Some(values) => {
            let values = sizes_of("pads", &values, 2 * axes)?;
            (0..axes)
                .map(|axis| (values[axis], values[axis + axes]))
                .collect()
        }
    };
    let automatic = Automatic::of(call)?;
    let wanted = match call.ints("output_shape")? {
        Some(values) => {
            // The batch and the channels may be named too.
            let skipped = values.len().saturating_sub(axes);
            Some(sizes_of("output_shape", &values[skipped..], axes)?)
        }
        None if matches!(automatic, Automatic::Upper | Automatic::Lower) => {
            Some((0..axes).map(|axis| sizes[axis] * stride[axis]).collect())
        }
        None => None,
    };
    if let Some(wanted) = wanted {
        for axis in 0..axes {
            let whole = (sizes[axis] - 1) * stride[axis]
                + output_padding[axis]
                + (kernel[axis] - 1) * dilation[axis]
                + 1;
            if whole < wanted[axis] {
                // What the windows do not reach is left to the bias.
                output_padding[axis] += wanted[axis] - whole;
                sides[axis] = (0, 0);
                continue;
            }
            sides[axis] = automatic.halves(whole - wanted[axis]);
        }
    }
    let padding: Vec<usize> = sides
        .iter()
        .map(|&(before, after)| before.min(after))
        .collect();
    let reached = (0..axes).map(|axis| {
        let windows = sizes[axis] * stride[axis] + kernel[axis] * dilation[axis];
        windows + output_padding[axis]
    });
    check_size(&reached.collect::<Vec<_>>())?;
    let (x, weight, bias) = (call.tensor(0)?, call.tensor(1)?, call.optional_tensor(2));
    macro_rules! compute {
        ($function:ident, $axes:literal) => {{
            let options = ConvTransposeOptions::<$axes>::new(
                array(&stride),
                array(&padding),
                array(&output_padding),
                array(&dilation),
                groups,
            );
            Dispatch::$function(x, weight, bias, options)
        }};
    }
    let output = match axes {
        1 => compute!(conv_transpose1d, 1),
        2 => compute!(conv_transpose2d, 2),
        _ => compute!(conv_transpose3d, 3),
    };
    let output = call.float_value(output);
    if sides.iter().all(|(before, after)| before == after) {
        return Ok(output);
    }
    // What is cut off one side alone.
    let mut slices = vec![Slice::new(0, None, 1); 2];
    for (axis, (before, after)) in sides.into_iter().enumerate() {
        let (start, end) = (before - padding[axis], after - padding[axis]);
        slices.push(Slice::from(start..output.shape()[axis + 2] - end));
    }
    Ok(output.with_tensor(movement::slice(output.tensor(), &slices)))
}
