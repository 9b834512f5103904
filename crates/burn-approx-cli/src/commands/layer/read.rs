//! Reads the layer that the arguments of `layer` describe: its operands, bias, scales and zero points, and the gradient
//! that arrives.

use std::path::Path;

use crate::array::{Array, Values, read_array};
use crate::error::CliError;
use crate::layer::operand::Operand;
use crate::layer::sizes::Sizes;
use crate::layer::{Layer, Wanted};
use crate::output::Output;
use crate::spec;

use super::args::{Common, Kind};

/// The layer; what had to be assumed of its multiplier is printed.
pub fn layer(kind: &Kind, output: Output) -> Result<Layer, CliError> {
    let common = kind.common();
    let [input, weight] = [read_array(&common.input)?, read_array(&common.weight)?];
    let sizes = sizes(kind, &input, &weight)?;
    let multiplier = spec::resolve(&common.multiplier, &common.file, output)?;
    let channels = sizes.output_channels();
    let bias = common.bias.as_deref().map(|path| bias(path, channels));
    let bias = bias.transpose()?;
    let given = parameters(
        "activation",
        &input,
        [&common.input_scale, &common.input_zero_point],
    )?;
    let input = Operand::new(
        burn_approx::quantization::Operand::Activation,
        input,
        given,
        1,
        multiplier.activation(),
    )?;
    let given = parameters(
        "weight",
        &weight,
        [&common.weight_scale, &common.weight_zero_point],
    )?;
    let weight = Operand::new(
        burn_approx::quantization::Operand::Weight,
        weight,
        given,
        channels,
        multiplier.weight(),
    )?;
    Ok(Layer {
        multiplier,
        sizes,
        input,
        weight,
        bias,
    })
}

/// What is to be computed of a layer with an output of this shape.
pub fn wanted(common: &Common, output_shape: &[usize]) -> Result<Wanted, CliError> {
    let gradient = match &common.grad_output {
        Some(path) => {
            let array = read_array(path)?;
            if array.shape != output_shape {
                return Err(CliError::file(
                    path,
                    format!(
                        "its shape is {:?}, the output's is {output_shape:?}",
                        array.shape
                    ),
                ));
            }
            Some(array.into_reals())
        }
        None => None,
    };
    if common.written().next().is_none() {
        return Err(CliError::Usage(
            "nothing is to be written: name a file with --accumulator, --output, --grad-input or --grad-weight".into(),
        ));
    }
    Ok(Wanted {
        accumulators: common.accumulator.is_some(),
        outputs: common.output.is_some(),
        gradient,
    })
}

/// The sizes of the kind of layer on these operands.
fn sizes(kind: &Kind, input: &Array, weight: &Array) -> Result<Sizes, CliError> {
    match kind {
        Kind::Conv1d { common, window } => {
            let (input, weight) = (
                shape(&common.input, input, "three")?,
                shape(&common.weight, weight, "three")?,
            );
            Sizes::conv1d(input, weight, window.window())
        }
        Kind::Conv2d { common, window } => {
            let (input, weight) = (
                shape(&common.input, input, "four")?,
                shape(&common.weight, weight, "four")?,
            );
            Sizes::conv2d(input, weight, window.window())
        }
        Kind::Linear { common } => linear(common, input, weight),
    }
}

fn linear(common: &Common, input: &Array, weight: &Array) -> Result<Sizes, CliError> {
    let [outputs, inputs] = weight.shape[..] else {
        return Err(CliError::file(
            &common.weight,
            format!("its shape is {:?}; [out, in] would be right", weight.shape),
        ));
    };
    match input.shape.split_last() {
        Some((last, leading)) if *last == inputs => Sizes::linear(leading, [outputs, inputs]),
        _ => Err(CliError::file(
            &common.input,
            format!(
                "its shape is {:?}; [.., {inputs}] would be right",
                input.shape
            ),
        )),
    }
}

/// The shape of an array that must have so many sizes, in words.
fn shape<const AXES: usize>(
    path: &Path,
    array: &Array,
    count: &str,
) -> Result<[usize; AXES], CliError> {
    array.shape[..].try_into().map_err(|_| {
        CliError::file(
            path,
            format!(
                "its shape is {:?}; {count} sizes would be right",
                array.shape
            ),
        )
    })
}

fn bias(path: &Path, channels: usize) -> Result<Vec<f32>, CliError> {
    let bias = read_array(path)?;
    if bias.shape != [channels] {
        return Err(CliError::file(
            path,
            format!("its shape is {:?}; [{channels}] would be right", bias.shape),
        ));
    }
    Ok(bias.into_reals())
}

/// The scales and zero points of an operand, from numbers or files; codes need none.
fn parameters(
    operand: &str,
    array: &Array,
    [scale, zero_point]: [&Option<String>; 2],
) -> Result<[Vec<f32>; 2], CliError> {
    let usage = |problem: String| CliError::Usage(format!("{operand}: {problem}"));
    let parameter = |what: &str, text: &str| -> Result<Vec<f32>, CliError> {
        if let Ok(number) = text.parse::<f32>() {
            return Ok(vec![number]);
        }
        if !Path::new(text).is_file() {
            return Err(usage(format!(
                "the {what} `{text}` is neither a number nor a file"
            )));
        }
        Ok(read_array(Path::new(text))?.into_reals())
    };
    let scales = match (scale, &array.values) {
        (Some(text), _) => parameter("scale", text)?,
        (None, Values::Codes(_)) => vec![1.0],
        (None, Values::Reals(_)) => {
            return Err(usage("real values need a scale to be quantised by".into()));
        }
    };
    let zero_points = match zero_point {
        Some(text) => parameter("zero point", text)?,
        None => vec![0.0],
    };
    Ok([scales, zero_points])
}
