//! `layer`: one layer on arrays of operands, for comparison with a simulation of the hardware.

use std::path::{Path, PathBuf};

use approx_multiplier::OperandFormat;
use burn_approx::ApproxError;
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use crate::device::DeviceKind;
use crate::error::CliError;
use crate::files::{Array, Values, read_array, write_array};
use crate::layer::{Layer, Operand, Sizes, Wanted, operators, reference};
use crate::output::Output;
use crate::progress;
use crate::spec::{self, FileOptions};

/// The most outputs and products of a layer.
const MOST_OUTPUTS: usize = 1 << 28;
const MOST_PRODUCTS: usize = 1 << 44;

/// Runs one layer on operands from .npy files and writes its integer accumulators, its outputs and its gradients.
///
/// Operands are codes (int8, uint8, int16) or real values (float32), which are quantised. Accumulators are the plain sums of the
/// multiplier's products, before any correction for zero points, as int64; outputs and gradients are float32.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  burn-approx layer conv2d --input x.npy --weight w.npy --multiplier mul8s_1L2J --padding 1 \
        --accumulator acc.npy"
)]
pub struct Args {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// A convolution of [batch, in, height, width] with [out, in / groups, height, width]
    #[command(
        name = "conv2d",
        after_help = "Example:\n  burn-approx layer conv2d --input x.npy --weight w.npy --multiplier mul8s_1L2J --stride 2 \
            --padding 1 --accumulator acc.npy --output y.npy --input-scale 0.02 --weight-scale scales.npy"
    )]
    Conv2d {
        #[command(flatten)]
        common: Common,

        /// Steps of the kernel: one number, or two as height,width
        #[arg(long, value_name = "N|N,N", value_parser = pair, default_value = "1")]
        stride: [usize; 2],

        /// Padding on either side, with the code of the real value 0
        #[arg(long, value_name = "N|N,N", value_parser = pair, default_value = "0")]
        padding: [usize; 2],

        /// Distance of the kernel's taps
        #[arg(long, value_name = "N|N,N", value_parser = pair, default_value = "1")]
        dilation: [usize; 2],

        /// Groups of channels
        #[arg(long, default_value_t = 1)]
        groups: usize,
    },
    /// A linear layer: [.., in] times the transpose of [out, in]
    #[command(
        after_help = "Example:\n  burn-approx layer linear --input x.npy --weight w.npy --multiplier table.csv --plan loop \
            --accumulator acc.npy"
    )]
    Linear {
        #[command(flatten)]
        common: Common,
    },
}

/// What both kinds of layer take.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Common {
    /// The activation
    #[arg(long, value_name = "FILE.npy")]
    input: PathBuf,

    /// The weight
    #[arg(long, value_name = "FILE.npy")]
    weight: PathBuf,

    /// The bias, float32, added exactly
    #[arg(long, value_name = "FILE.npy")]
    bias: Option<PathBuf>,

    /// The multiplier
    #[arg(long, value_name = "SPEC")]
    multiplier: String,

    #[command(flatten)]
    file: FileOptions,

    /// Scale of the activation [default: 1 for codes; real values need one]
    #[arg(long, value_name = "NUMBER|FILE.npy")]
    input_scale: Option<String>,

    /// Zero point of the activation [default: 0]
    #[arg(long, value_name = "NUMBER|FILE.npy", allow_hyphen_values = true)]
    input_zero_point: Option<String>,

    /// Scale of the weight, or one per output channel [default: 1 for codes; real values need one]
    #[arg(long, value_name = "NUMBER|FILE.npy")]
    weight_scale: Option<String>,

    /// Zero point of the weight, or one per output channel [default: 0]
    #[arg(long, value_name = "NUMBER|FILE.npy", allow_hyphen_values = true)]
    weight_zero_point: Option<String>,

    /// How to compute
    #[arg(long, value_enum, default_value_t)]
    plan: Plan,

    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    device: DeviceKind,

    /// Where the accumulators go
    #[arg(long, value_name = "FILE.npy")]
    accumulator: Option<PathBuf>,

    /// Where the outputs go
    #[arg(long, value_name = "FILE.npy")]
    output: Option<PathBuf>,

    /// The gradient that arrives at the output
    #[arg(long, value_name = "FILE.npy")]
    grad_output: Option<PathBuf>,

    /// Where the activation's straight-through gradient goes
    #[arg(long, value_name = "FILE.npy", requires = "grad_output")]
    grad_input: Option<PathBuf>,

    /// Where the weight's straight-through gradient goes
    #[arg(long, value_name = "FILE.npy", requires = "grad_output")]
    grad_weight: Option<PathBuf>,
}

/// How to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Plan {
    /// The fastest that applies
    #[default]
    Auto,
    /// Look every product up in the table
    Gather,
    /// Products of integer factors
    Factored,
    /// The High-Throughput model, given as htp:NAME
    Htp,
    /// A plain loop in 64-bit integers, which uses nothing of the library but the multiplier: the reference
    Loop,
}

#[derive(Serialize)]
struct Summary<'a> {
    multiplier: &'a str,
    output_shape: &'a [usize],
    plan: &'a str,
    written: Vec<&'a Path>,
}

/// One number, or two separated by a comma.
fn pair(text: &str) -> Result<[usize; 2], String> {
    let number = |text: &str| {
        text.trim()
            .parse::<u32>()
            .map(|number| number as usize)
            .map_err(|_| format!("`{text}` is not a number"))
    };
    match text.split_once(',') {
        Some((height, width)) => Ok([number(height)?, number(width)?]),
        None => Ok([number(text)?; 2]),
    }
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    let (Kind::Conv2d { common, .. } | Kind::Linear { common }) = &args.kind;
    common.check_files()?;
    let (common, layer) = match &args.kind {
        Kind::Conv2d {
            common,
            stride,
            padding,
            dilation,
            groups,
        } => (
            common,
            common.conv2d([*stride, *padding, *dilation], *groups, output)?,
        ),
        Kind::Linear { common } => (common, common.linear(output)?),
    };
    let gradient = match &common.grad_output {
        Some(path) => {
            let array = read_array(path)?;
            if array.shape != layer.output_shape {
                return Err(CliError::file(
                    path,
                    format!(
                        "its shape is {:?}, the output's is {:?}",
                        array.shape, layer.output_shape
                    ),
                ));
            }
            Some(array.into_reals())
        }
        None => None,
    };
    let wanted = Wanted {
        accumulators: common.accumulator.is_some(),
        outputs: common.output.is_some(),
        gradient,
    };
    if !(wanted.accumulators
        || wanted.outputs
        || common.grad_input.is_some()
        || common.grad_weight.is_some())
    {
        return Err(CliError::Usage(
            "nothing is to be written: name a file with --accumulator, --output, --grad-input or --grad-weight".into(),
        ));
    }
    let computed = progress::during("computing", || match common.plan {
        Plan::Loop => reference::compute(&layer, &wanted),
        plan => operators::compute(&layer, &wanted, plan, &common.device.open()?),
    })?;
    let mut written: Vec<&Path> = Vec::new();
    if let (Some(path), Some(values)) = (&common.accumulator, &computed.accumulators) {
        write_array(path, &layer.output_shape, values)?;
        written.push(path);
    }
    let [input_gradient, weight_gradient] = &computed.gradients;
    for (path, shape, values) in [
        (&common.output, &layer.output_shape, &computed.outputs),
        (&common.grad_input, &layer.input.shape, input_gradient),
        (&common.grad_weight, &layer.weight.shape, weight_gradient),
    ] {
        if let (Some(path), Some(values)) = (path, values) {
            write_array(path, shape, values)?;
            written.push(path);
        }
    }
    let summary = Summary {
        multiplier: layer.multiplier.name(),
        output_shape: &layer.output_shape,
        plan: &computed.plan,
        written,
    };
    let files: Vec<String> = summary
        .written
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    output.result(
        &summary,
        format!(
            "{}\noutput {:?}; written: {}",
            computed.plan,
            layer.output_shape,
            files.join(", ")
        ),
    )
}

impl Common {
    /// An error if a file would be written twice, or in the place of one that is read.
    fn check_files(&self) -> Result<(), CliError> {
        // What is not there yet has no other name than its path.
        let place = |path: &Path| {
            std::fs::canonicalize(path)
                .or_else(|_| std::path::absolute(path))
                .unwrap_or_else(|_| path.into())
        };
        let same = |one: &Path, other: &Path| place(one) == place(other);
        let read = [Some(&self.input), Some(&self.weight)]
            .into_iter()
            .chain([self.bias.as_ref(), self.grad_output.as_ref()])
            .flatten();
        let mut taken: Vec<&Path> = read.map(PathBuf::as_path).collect();
        taken.extend(
            [
                Some(&self.multiplier),
                self.input_scale.as_ref(),
                self.input_zero_point.as_ref(),
                self.weight_scale.as_ref(),
                self.weight_zero_point.as_ref(),
            ]
            .into_iter()
            .flatten()
            .map(Path::new),
        );
        for path in [
            &self.accumulator,
            &self.output,
            &self.grad_input,
            &self.grad_weight,
        ]
        .into_iter()
        .flatten()
        {
            if taken.iter().any(|taken| same(taken, path)) {
                return Err(CliError::Usage(format!(
                    "`{}` would be written over: it is named twice",
                    path.display()
                )));
            }
            taken.push(path);
        }
        Ok(())
    }

    fn conv2d(
        &self,
        [stride, padding, dilation]: [[usize; 2]; 3],
        groups: usize,
        output: Output,
    ) -> Result<Layer, CliError> {
        let [input, weight] = [read_array(&self.input)?, read_array(&self.weight)?];
        let (
            [batch, in_channels, height, width],
            [out_channels, group_inputs, kernel_height, kernel_width],
        ) = (
            self.four(&self.input, &input)?,
            self.four(&self.weight, &weight)?,
        );
        if stride.contains(&0) || dilation.contains(&0) || groups == 0 {
            return Err(CliError::Usage(
                "stride, dilation and groups must be above 0".into(),
            ));
        }
        if group_inputs.checked_mul(groups) != Some(in_channels) || out_channels % groups != 0 {
            return Err(CliError::Usage(format!(
                "the weight {:?} in {groups} groups does not fit the input {:?}: the input's channels must be {group_inputs} x \
                 {groups}, and the groups must divide {out_channels} output channels",
                weight.shape, input.shape
            )));
        }
        let sizes = Sizes {
            linear: false,
            batch,
            groups,
            group_inputs,
            group_outputs: out_channels / groups,
            input: [height, width],
            kernel: [kernel_height, kernel_width],
            stride,
            padding,
            dilation,
        };
        let [out_height, out_width] = sizes.output().ok_or_else(|| {
            CliError::Usage(format!(
                "the kernel, {kernel_height} x {kernel_width} at dilation {dilation:?}, is empty or larger than the padded input"
            ))
        })?;
        let shape = vec![batch, out_channels, out_height, out_width];
        self.layer([input, weight], sizes, shape, output)
    }

    fn linear(&self, output: Output) -> Result<Layer, CliError> {
        let [input, weight] = [read_array(&self.input)?, read_array(&self.weight)?];
        let [outputs, inputs] = weight.shape[..] else {
            return Err(CliError::file(
                &self.weight,
                format!("its shape is {:?}; [out, in] would be right", weight.shape),
            ));
        };
        let Some((last, leading)) = input
            .shape
            .split_last()
            .filter(|(last, _)| **last == inputs)
        else {
            return Err(CliError::file(
                &self.input,
                format!(
                    "its shape is {:?}; [.., {inputs}] would be right",
                    input.shape
                ),
            ));
        };
        let sizes = Sizes {
            linear: true,
            batch: leading.iter().product(),
            groups: 1,
            group_inputs: *last,
            group_outputs: outputs,
            input: [1, 1],
            kernel: [1, 1],
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
        };
        let shape = leading.iter().copied().chain([outputs]).collect();
        self.layer([input, weight], sizes, shape, output)
    }

    fn four(&self, path: &Path, array: &Array) -> Result<[usize; 4], CliError> {
        array.shape[..].try_into().map_err(|_| {
            CliError::file(
                path,
                format!("its shape is {:?}; four sizes would be right", array.shape),
            )
        })
    }

    fn layer(
        &self,
        [input, weight]: [Array; 2],
        sizes: Sizes,
        output_shape: Vec<usize>,
        output: Output,
    ) -> Result<Layer, CliError> {
        let outputs = output_shape
            .iter()
            .try_fold(1usize, |count, size| count.checked_mul(*size));
        let [outputs, products] =
            [outputs, sizes.products()].map(|count| count.unwrap_or(usize::MAX));
        if products == 0 {
            return Err(CliError::Usage(format!(
                "the layer is empty: input {:?}, weight {:?}",
                input.shape, weight.shape
            )));
        }
        if outputs > MOST_OUTPUTS || products > MOST_PRODUCTS {
            return Err(CliError::Usage(format!(
                "the layer is too large: {outputs} outputs and {products} products, of {MOST_OUTPUTS} and {MOST_PRODUCTS} at most"
            )));
        }
        let multiplier = spec::resolve(&self.multiplier, &self.file, output)?;
        let channels = sizes.outputs();
        let bias = match &self.bias {
            Some(path) => {
                let bias = read_array(path)?;
                if bias.shape != [channels] {
                    return Err(CliError::file(
                        path,
                        format!("its shape is {:?}; [{channels}] would be right", bias.shape),
                    ));
                }
                Some(bias.into_reals())
            }
            None => None,
        };
        let input = operand(
            "activation",
            input,
            [&self.input_scale, &self.input_zero_point],
            1,
            multiplier.activation(),
        )?;
        let weight = operand(
            "weight",
            weight,
            [&self.weight_scale, &self.weight_zero_point],
            channels,
            multiplier.weight(),
        )?;
        Ok(Layer {
            multiplier,
            sizes,
            input,
            weight,
            bias,
            output_shape,
        })
    }
}

/// An operand with its scales and zero points, one of each or as many as there are channels along its first axis.
fn operand(
    name: &'static str,
    array: Array,
    [scale, zero_point]: [&Option<String>; 2],
    channels: usize,
    format: OperandFormat,
) -> Result<Operand, CliError> {
    let usage = |problem: String| CliError::Usage(format!("{name}: {problem}"));
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
    let count = scales.len().max(zero_points.len());
    if count != 1 && count != channels {
        return Err(usage(format!(
            "{} scales and {} zero points; one of each would be right{}",
            scales.len(),
            zero_points.len(),
            if channels > 1 {
                format!(", or one for each of {channels} output channels")
            } else {
                String::new()
            }
        )));
    }
    let spread = |values: Vec<f32>| match values[..] {
        [single] => Ok(vec![single; count]),
        _ if values.len() == count => Ok(values),
        _ => Err(usage(format!(
            "{} values for {count} channels",
            values.len()
        ))),
    };
    let (scales, zero_points) = (spread(scales)?, spread(zero_points)?);
    if let Some(scale) = scales
        .iter()
        .find(|scale| !(scale.is_finite() && **scale > 0.0))
    {
        return Err(usage(format!("scale {scale} must be finite and above 0")));
    }
    let is_code = |zero: &f32| {
        zero.fract() == 0.0
            && *zero >= format.min_code() as f32
            && *zero <= format.max_code() as f32
    };
    if let Some(zero) = zero_points.iter().find(|zero| !is_code(zero)) {
        return Err(usage(format!(
            "zero point {zero} is no code of the multiplier's {format} operand: {}..={}",
            format.min_code(),
            format.max_code()
        )));
    }
    let zero_points: Vec<i32> = zero_points.into_iter().map(|zero| zero as i32).collect();
    if let Values::Codes(codes) = &array.values
        && let Some(code) = codes.iter().find(|code| !format.contains(**code))
    {
        return Err(ApproxError::CodeOutsideFormat {
            operand: name,
            code: i64::from(*code),
            format,
        }
        .into());
    }
    if let Values::Reals(values) = &array.values
        && let Some(value) = values.iter().find(|value| !value.is_finite())
    {
        return Err(usage(format!(
            "a value is {value}; only finite ones can be quantised"
        )));
    }
    Ok(Operand::new(array, scales, zero_points, format))
}
