//! Pooling of lines, images and volumes.

use burn::backend::ops::{FloatTensorOps, ModuleOps};
use burn::backend::{Dispatch, DispatchTensor, TensorMetadata};
use burn::tensor::DType;
use burn::tensor::TensorData;
use burn::tensor::ops::PadMode;

use super::Function;
use super::convolutions::array;
use super::elementwise::floats;
use super::windows::{Windows, sizes_of};
use crate::call::Call;
use crate::error::Problem;
use crate::values::{Value, movement};

pub(super) fn find(name: &str) -> Option<Function> {
    use Function::One;
    Some(match name {
        "MaxPool" => One(max_pool),
        "AveragePool" => One(average_pool),
        "GlobalAveragePool" => One(|call| global(call, Dispatch::float_mean_dim)),
        "GlobalMaxPool" => One(|call| global(call, Dispatch::float_max_dim)),
        _ => return None,
    })
}

/// The windows of a pooling, and how far the last ones reach beyond, for outputs rounded up.
fn windows(call: &Call<'_>) -> Result<(Windows, Vec<usize>), Problem> {
    let input = floats(call, 0)?;
    let axes = input.rank().saturating_sub(2);
    if !(1..=3).contains(&axes) {
        return Err(Problem::new(format!(
            "it pools an input of shape {:?}; lines, images and volumes are covered",
            input.shape()
        )));
    }
    let kernel = call.ints("kernel_shape")?;
    let kernel = kernel.ok_or_else(|| Problem::new("its setting \"kernel_shape\" is missing"))?;
    let kernel = sizes_of("kernel_shape", &kernel, axes)?;
    let windows = Windows::new(call, &input.shape()[2..], kernel)?;
    let overhang = match call.switch("ceil_mode", false)? {
        false => vec![0; axes],
        true => (0..axes)
            .map(|axis| windows.overhang(axis, input.shape()[axis + 2]))
            .collect(),
    };
    Ok((windows, overhang))
}

/// A tensor with a value around it.
fn padded(x: DispatchTensor, windows: &Windows, overhang: &[usize], value: f32) -> DispatchTensor {
    let mut sides = vec![(0, 0); 2];
    for (side, overhang) in windows.sides.iter().zip(overhang) {
        sides.push((side.0, side.1 + overhang));
    }
    match sides.iter().all(|side| *side == (0, 0)) {
        true => x,
        false => Dispatch::float_pad(x, &sides, PadMode::Constant(value)),
    }
}

fn is_even(windows: &Windows, overhang: &[usize]) -> bool {
    let even = windows.sides.iter().all(|(before, after)| before == after);
    even && overhang.iter().all(|&overhang| overhang == 0)
}

fn max_pool(call: &Call<'_>) -> Result<Value, Problem> {
    if call.switch("storage_order", false)? {
        return Err(Problem::new("it stores columns first"));
    }
    let (windows, overhang) = windows(call)?;
    let x = call.tensor(0)?;
    let (x, padding) = match is_even(&windows, &overhang) {
        true => (x, windows.sides.iter().map(|side| side.0).collect()),
        false => (
            padded(x, &windows, &overhang, f32::NEG_INFINITY),
            vec![0; windows.kernel.len()],
        ),
    };
    Ok(call.float_value(largest(x, &windows, &padding)))
}

fn largest(x: DispatchTensor, windows: &Windows, padding: &[usize]) -> DispatchTensor {
    let (kernel, stride, dilation) = (&windows.kernel, &windows.stride, &windows.dilation);
    match kernel.len() {
        1 => Dispatch::max_pool1d(x, kernel[0], stride[0], padding[0], dilation[0], false),
        2 => Dispatch::max_pool2d(
            x,
            array(kernel),
            array(stride),
            array(padding),
            array(dilation),
            false,
        ),
        _ => of_volume(x, windows, padding, largest),
    }
}

fn average(
    x: DispatchTensor,
    windows: &Windows,
    padding: &[usize],
    counts: bool,
) -> DispatchTensor {
    let (kernel, stride) = (&windows.kernel, &windows.stride);
    match kernel.len() {
        1 => Dispatch::avg_pool1d(x, kernel[0], stride[0], padding[0], counts, false),
        2 => Dispatch::avg_pool2d(
            x,
            array(kernel),
            array(stride),
            array(padding),
            counts,
            false,
        ),
        // The mean over what counts of a window is that of its rows' means, each of which counts as much of its own.
        _ => of_volume(x, windows, padding, |x, windows, padding| {
            average(x, windows, padding, counts)
        }),
    }
}

/// Windows of volumes: those of every layer's image, then those of the layers behind each other.
fn of_volume(
    x: DispatchTensor,
    windows: &Windows,
    padding: &[usize],
    pool: impl Fn(DispatchTensor, &Windows, &[usize]) -> DispatchTensor,
) -> DispatchTensor {
    // Channels and layers, then height and width, are one axis for the other step.
    let [batch, channels, layers, height, width] = array(&x.shape());
    let images = movement::reshape(x, [batch, channels * layers, height, width].into());
    let images = pool(images, &windows.only(1..3), &padding[1..]);
    let [_, _, height, width] = array(&images.shape());
    let columns = [batch, channels, layers, height * width];
    let columns = movement::reshape(images, columns.into());
    // A window of one place across.
    let mut behind = windows.only(0..1);
    for sizes in [&mut behind.kernel, &mut behind.stride, &mut behind.dilation] {
        sizes.push(1);
    }
    behind.sides.push((0, 0));
    let columns = pool(columns, &behind, &[padding[0], 0]);
    let [_, _, layers, _] = array(&columns.shape());
    let volume = [batch, channels, layers, height, width];
    movement::reshape(columns, volume.into())
}

fn average_pool(call: &Call<'_>) -> Result<Value, Problem> {
    let counts_padding = call.switch("count_include_pad", false)?;
    let (windows, overhang) = windows(call)?;
    if windows.dilation.iter().any(|&dilation| dilation != 1) {
        return Err(Problem::new("its windows have gaps"));
    }
    let x = call.tensor(0)?;
    if is_even(&windows, &overhang) {
        let padding: Vec<usize> = windows.sides.iter().map(|side| side.0).collect();
        return Ok(call.float_value(average(x, &windows, &padding, counts_padding)));
    }
    let none = vec![0; windows.kernel.len()];
    let sums = average(padded(x, &windows, &overhang, 0.0), &windows, &none, true);
    // The share of each window that counts.
    let sizes = &call.input(0)?.shape()[2..];
    let shape: Vec<usize> = [1, 1].iter().chain(sizes).copied().collect();
    let ones = TensorData::new(vec![1.0_f32; sizes.iter().product()], shape);
    let ones = call.context.known(ones, DType::F32).tensor();
    let nothing = vec![0; overhang.len()];
    let around = padded(ones, &windows, &nothing, f32::from(counts_padding));
    let beyond = Windows {
        sides: vec![(0, 0); overhang.len()],
        ..windows.clone()
    };
    let counted = average(
        padded(around, &beyond, &overhang, 0.0),
        &windows,
        &none,
        true,
    );
    let share = Value::new(counted, DType::F32, true);
    let share = call.context.tensor(&share, false);
    Ok(call.float_value(Dispatch::float_div(sums, share)))
}

/// One value for each channel.
fn global(
    call: &Call<'_>,
    reduce: fn(DispatchTensor, usize) -> DispatchTensor,
) -> Result<Value, Problem> {
    let input = floats(call, 0)?;
    let shape = input.shape();
    if shape.len() < 3 {
        return Err(Problem::new(format!(
            "it pools an input of shape {shape:?}"
        )));
    }
    let rows = [shape[0], shape[1], shape[2..].iter().product()];
    let reduced = reduce(movement::reshape(input.tensor(), rows.into()), 2);
    let mut ones = vec![1; shape.len()];
    ones[..2].copy_from_slice(&shape[..2]);
    Ok(input.with_tensor(movement::reshape(reduced, ones.into())))
}
