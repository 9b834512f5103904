//! The arguments of `layer`: the kinds of layer, what each of them takes, and what all take.

use std::path::{Path, PathBuf};

use approx_experiment::device::DeviceKind;
use clap::{Subcommand, ValueEnum};

use crate::layer::sizes::Window;
use crate::spec::FileOptions;

/// Runs one layer on operands from .npy files and writes its integer accumulators, its outputs and its gradients.
///
/// Operands are codes (int8, uint8, int16) or real values (float32), which are quantised. Accumulators are the plain
/// sums of the multiplier's products, before any correction for zero points, as int64; outputs and gradients are
/// float32.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  burn-approx layer conv2d --input x.npy --weight w.npy --multiplier mul8s_1L2J --padding 1 \
        --accumulator acc.npy"
)]
pub struct Args {
    /// The kind of layer.
    #[command(subcommand)]
    pub kind: Kind,
}

/// The kinds of layer.
#[derive(Debug, Subcommand)]
pub enum Kind {
    /// A convolution of [batch, in, width] with [out, in / groups, width]
    #[command(
        name = "conv1d",
        after_help = "Example:\n  burn-approx layer conv1d --input x.npy --weight w.npy --multiplier mul8s_1L2J --stride 2 \
            --padding 1 --accumulator acc.npy"
    )]
    Conv1d {
        /// What every kind of layer takes.
        #[command(flatten)]
        common: Common,

        /// Where the kernel is laid on.
        #[command(flatten)]
        window: LineWindow,
    },
    /// A convolution of [batch, in, height, width] with [out, in / groups, height, width]
    #[command(
        name = "conv2d",
        after_help = "Example:\n  burn-approx layer conv2d --input x.npy --weight w.npy --multiplier mul8s_1L2J --stride 2 \
            --padding 1 --accumulator acc.npy --output y.npy --input-scale 0.02 --weight-scale scales.npy"
    )]
    Conv2d {
        /// What every kind of layer takes.
        #[command(flatten)]
        common: Common,

        /// Where the kernel is laid on.
        #[command(flatten)]
        window: ImageWindow,
    },
    /// A linear layer: [.., in] times the transpose of [out, in]
    #[command(
        after_help = "Example:\n  burn-approx layer linear --input x.npy --weight w.npy --multiplier table.csv --plan loop \
            --accumulator acc.npy"
    )]
    Linear {
        /// What every kind of layer takes.
        #[command(flatten)]
        common: Common,
    },
}

/// What every kind of layer takes.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Common {
    /// The activation
    #[arg(long, value_name = "FILE.npy")]
    pub input: PathBuf,

    /// The weight
    #[arg(long, value_name = "FILE.npy")]
    pub weight: PathBuf,

    /// The bias, float32, added exactly
    #[arg(long, value_name = "FILE.npy")]
    pub bias: Option<PathBuf>,

    /// The multiplier
    #[arg(long, value_name = "SPEC")]
    pub multiplier: String,

    /// What its file does not say.
    #[command(flatten)]
    pub file: FileOptions,

    /// Scale of the activation [default: 1 for codes; real values need one]
    #[arg(long, value_name = "NUMBER|FILE.npy")]
    pub input_scale: Option<String>,

    /// Zero point of the activation [default: 0]
    #[arg(long, value_name = "NUMBER|FILE.npy", allow_hyphen_values = true)]
    pub input_zero_point: Option<String>,

    /// Scale of the weight, or one per output channel [default: 1 for codes; real values need one]
    #[arg(long, value_name = "NUMBER|FILE.npy")]
    pub weight_scale: Option<String>,

    /// Zero point of the weight, or one per output channel [default: 0]
    #[arg(long, value_name = "NUMBER|FILE.npy", allow_hyphen_values = true)]
    pub weight_zero_point: Option<String>,

    /// How to compute
    #[arg(long, value_enum, default_value_t)]
    pub plan: Plan,

    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    pub device: DeviceKind,

    /// Where the accumulators go
    #[arg(long, value_name = "FILE.npy")]
    pub accumulator: Option<PathBuf>,

    /// Where the outputs go
    #[arg(long, value_name = "FILE.npy")]
    pub output: Option<PathBuf>,

    /// The gradient that arrives at the output
    #[arg(long, value_name = "FILE.npy")]
    pub grad_output: Option<PathBuf>,

    /// Where the activation's straight-through gradient goes
    #[arg(long, value_name = "FILE.npy", requires = "grad_output")]
    pub grad_input: Option<PathBuf>,

    /// Where the weight's straight-through gradient goes
    #[arg(long, value_name = "FILE.npy", requires = "grad_output")]
    pub grad_weight: Option<PathBuf>,
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

/// Where a kernel is laid on a line.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct LineWindow {
    /// Steps of the kernel
    #[arg(long, value_name = "N", value_parser = number, default_value = "1")]
    stride: usize,

    /// Padding on either side, with the code of the real value 0
    #[arg(long, value_name = "N", value_parser = number, default_value = "0")]
    padding: usize,

    /// Distance of the kernel's taps
    #[arg(long, value_name = "N", value_parser = number, default_value = "1")]
    dilation: usize,

    /// Groups of channels
    #[arg(long, default_value_t = 1)]
    groups: usize,
}

/// Where a kernel is laid on an image.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct ImageWindow {
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
}

/// A number that sizes can be computed with.
fn number(text: &str) -> Result<usize, String> {
    text.trim()
        .parse::<u32>()
        .map(|number| number as usize)
        .map_err(|_| format!("`{text}` is not a number"))
}

/// One number, or two separated by a comma.
fn pair(text: &str) -> Result<[usize; 2], String> {
    match text.split_once(',') {
        Some((height, width)) => Ok([number(height)?, number(width)?]),
        None => Ok([number(text)?; 2]),
    }
}

impl Kind {
    /// What every kind of layer takes.
    pub fn common(&self) -> &Common {
        match self {
            Self::Conv1d { common, .. } | Self::Conv2d { common, .. } | Self::Linear { common } => {
                common
            }
        }
    }
}

impl LineWindow {
    /// The window on images of height 1.
    pub fn window(&self) -> Window {
        Window {
            stride: [1, self.stride],
            padding: [0, self.padding],
            dilation: [1, self.dilation],
            groups: self.groups,
        }
    }
}

impl ImageWindow {
    /// The window.
    pub fn window(&self) -> Window {
        Window {
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
        }
    }
}

impl Common {
    /// The paths that are read. A number or the name of a multiplier is among them: it may be a file's too.
    pub fn read(&self) -> impl Iterator<Item = &Path> {
        let files = [
            Some(&self.input),
            Some(&self.weight),
            self.bias.as_ref(),
            self.grad_output.as_ref(),
        ];
        let texts = [
            Some(&self.multiplier),
            self.input_scale.as_ref(),
            self.input_zero_point.as_ref(),
            self.weight_scale.as_ref(),
            self.weight_zero_point.as_ref(),
        ];
        let files = files.into_iter().flatten().map(PathBuf::as_path);
        files.chain(texts.into_iter().flatten().map(Path::new))
    }

    /// The files that are written.
    pub fn written(&self) -> impl Iterator<Item = &Path> {
        [
            &self.accumulator,
            &self.output,
            &self.grad_input,
            &self.grad_weight,
        ]
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
    }
}
