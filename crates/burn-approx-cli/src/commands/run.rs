//! `run`: a network's outputs on given inputs.

use std::path::PathBuf;

use approx_experiment::device::DeviceKind;
use burn::tensor::TensorData;
use burn_approx::{AnyTensor, ApproxConfig, calibrate};
use serde::Serialize;

use crate::array::write_array;
use crate::device;
use crate::error::CliError;
use crate::files::refuse_overwriting;
use crate::network::{FileQuantizers, NamedFile, Network, read_config};
use crate::output::Output;
use crate::progress;
use crate::spec::{FileOptions, resolve};

/// Runs a network on inputs from .npy files and writes its outputs: in float, or with its layers on a multiplier.
///
/// A network is an ONNX file. One that holds quantisers is simulated with them; the layers of any other one need typical
/// inputs to find their ranges by, with --calibration.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  burn-approx run resnet20.onnx --input x.npy --output y.npy\n  \
        burn-approx run resnet20.onnx --input x.npy --multiplier mul8s_1L2J --calibration images.npy --output y.npy"
)]
pub struct Args {
    /// The network
    #[arg(value_name = "MODEL.onnx")]
    model: PathBuf,

    /// An input, by its name where there are several
    #[arg(long, required = true, value_name = "[NAME=]FILE.npy")]
    input: Vec<NamedFile>,

    /// The first output
    #[arg(long, value_name = "FILE.npy")]
    output: PathBuf,

    /// The multiplier of every layer; without one the network computes in float
    #[arg(long, value_name = "SPEC", conflicts_with = "config")]
    multiplier: Option<String>,

    /// A configuration: which layers have which multiplier
    #[arg(long, value_name = "FILE.json")]
    config: Option<PathBuf>,

    /// Typical inputs, by which layers that the file does not quantise find their ranges
    #[arg(long, value_name = "[NAME=]FILE.npy")]
    calibration: Vec<NamedFile>,

    /// How the codes of a quantised file are used.
    #[command(flatten)]
    quantizers: FileQuantizers,

    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    device: DeviceKind,
}

#[derive(Serialize)]
struct Summary {
    output: PathBuf,
    shape: Vec<usize>,
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    let read = args
        .input
        .iter()
        .chain(&args.calibration)
        .map(|file| file.path.as_path());
    let read = read
        .chain([args.model.as_path()])
        .chain(args.config.as_deref());
    refuse_overwriting(read, [args.output.as_path()])?;
    let network = Network::load(&args.model, &device::open(args.device)?)?;
    let inputs = network.inputs(&args.input)?;
    let outputs = match config(args, output)? {
        None => progress::during("computing", || network.forward(inputs))?,
        Some(config) => {
            let recorded = network.record(inputs.clone())?;
            let (converted, is_calibrated) =
                network.converted(recorded, &config, args.quantizers, output)?;
            if !is_calibrated {
                if args.calibration.is_empty() {
                    return Err(CliError::Usage(
                        "the layers' ranges are not known: give typical inputs with --calibration FILE.npy".to_string(),
                    ));
                }
                let typical = network.inputs(&args.calibration)?;
                calibrate(&converted, |model| drop(model.forward(typical)))?;
            }
            progress::during("computing", || converted.try_forward(inputs))?
        }
    };
    let first: TensorData = outputs
        .into_iter()
        .next()
        .map(AnyTensor::into_data)
        .ok_or_else(|| CliError::Usage("the network gives nothing".to_string()))?;
    let shape = first.shape().to_vec();
    write_array(
        &args.output,
        &shape,
        &first.iter::<f32>().collect::<Vec<f32>>(),
    )?;
    let text = format!("{shape:?} written to {}", args.output.display());
    let summary = Summary {
        output: args.output.clone(),
        shape,
    };
    output.result(&summary, text)
}

/// What puts layers on multipliers, if anything does.
fn config(args: &Args, output: Output) -> Result<Option<ApproxConfig>, CliError> {
    if let Some(spec) = &args.multiplier {
        let multiplier = resolve(spec, &FileOptions::default(), output)?;
        return Ok(Some(ApproxConfig::for_multiplier(&multiplier)));
    }
    args.config.as_deref().map(read_config).transpose()
}
