//! `run`: a network's outputs on given inputs, and the integer sums of one of its layers.

use std::path::{Path, PathBuf};

use approx_experiment::device::DeviceKind;
use burn::tensor::TensorData;
use burn_approx::convert::accumulators;
use burn_approx::{AnyTensor, ApproxError, calibrate};
use serde::Serialize;

use crate::array::write_array;
use crate::device;
use crate::error::CliError;
use crate::files::refuse_overwriting;
use crate::network::{AnyRecorded, FileQuantizers, ModelSource, NamedChoice, NamedFile, Network};
use crate::output::Output;
use crate::progress;

/// Runs a network on inputs from .npy files and writes its outputs: in float, or, once a multiplier is named, with its
/// layers on it.
///
/// A network is an ONNX file, a folder that `calibrate` or `retrain` has written, which is run on its own multipliers, or
/// an architecture with its weights (resnet18:weights.pth). One that holds quantisers is simulated with them; the layers
/// of any other one need typical inputs to find their ranges by, with --calibration.
///
/// With --layer and --accumulator it also writes one layer's integer sums, before any correction, as the hardware has
/// them.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  burn-approx run resnet20.onnx --input x.npy --output y.npy\n  \
        burn-approx run resnet20.onnx --input x.npy --multiplier mul8s_1L2J --calibration images.npy --output y.npy \
        --layer conv1 --accumulator conv1.npy"
)]
pub struct Args {
    /// The network
    #[arg(value_name = "MODEL")]
    model: ModelSource,

    /// An input, by its name where there are several
    #[arg(long, required = true, value_name = "[NAME=]FILE.npy")]
    input: Vec<NamedFile>,

    /// The first output
    #[arg(long, value_name = "FILE.npy")]
    output: PathBuf,

    #[command(flatten)]
    choice: NamedChoice,

    /// Typical inputs, by which layers that the file does not quantise find their ranges
    #[arg(long, value_name = "[NAME=]FILE.npy")]
    calibration: Vec<NamedFile>,

    /// A layer, by its path
    #[arg(long, value_name = "PATH", requires = "accumulator")]
    layer: Option<String>,

    /// The integer sums of that layer, int64; of several products of one layer a first axis more
    #[arg(long, value_name = "FILE.npy", requires = "layer")]
    accumulator: Option<PathBuf>,

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
    #[serde(skip_serializing_if = "Option::is_none")]
    accumulator: Option<Accumulator>,
}

#[derive(Serialize)]
struct Accumulator {
    layer: String,
    output: PathBuf,
    shape: Vec<usize>,
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    let files = args.model.files();
    let arrays = args.input.iter().chain(&args.calibration);
    let read = arrays
        .map(|file| file.path.as_path())
        .chain(files.iter().map(PathBuf::as_path))
        .chain(args.choice.config.as_deref());
    let written = [args.output.as_path()]
        .into_iter()
        .chain(args.accumulator.as_deref());
    refuse_overwriting(read, written)?;
    let network = Network::load(&args.model, &device::open_one(args.device)?)?;
    let inputs = network.inputs(&args.input)?;
    let (outputs, sums) = match converted(args, &network, &inputs, output)? {
        None if args.layer.is_some() => {
            return Err(CliError::Usage(
                "a layer has integer sums on a multiplier: name one with --multiplier or --config"
                    .to_string(),
            ));
        }
        None => (
            progress::during("computing", || network.forward(inputs))?,
            None,
        ),
        Some(converted) => progress::during("computing", || {
            compute(&converted, inputs, args.layer.as_deref())
        })?,
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
    let mut text = format!("{shape:?} written to {}", args.output.display());
    let accumulator = match (sums, &args.layer, &args.accumulator) {
        (Some(sums), Some(layer), Some(path)) => {
            let shape = write_sums(path, layer, &sums)?;
            text += &format!("\n{shape:?} of {layer} written to {}", path.display());
            Some(Accumulator {
                layer: layer.clone(),
                output: path.clone(),
                shape,
            })
        }
        _ => None,
    };
    let summary = Summary {
        output: args.output.clone(),
        shape,
        accumulator,
    };
    output.result(&summary, text)
}

/// The network on multipliers, if it is to be put on any.
fn converted(
    args: &Args,
    network: &Network,
    inputs: &[AnyTensor],
    output: Output,
) -> Result<Option<AnyRecorded>, CliError> {
    if !args.choice.is_named()? && args.model.folder().is_none() {
        return match args.calibration.is_empty() {
            true => Ok(None),
            false => Err(CliError::Usage(
                "--calibration is for layers on a multiplier: name one with --multiplier or --config"
                    .to_string(),
            )),
        };
    }
    network.check(args.quantizers)?;
    let chosen = args.choice.resolve(&args.model, output)?;
    let recorded = network.record(inputs.to_vec())?;
    let converted = network.convert(recorded, chosen.choice(), args.quantizers)?;
    if let Some(note) = converted.note() {
        output.note(note);
    }
    match (converted.is_calibrated, args.calibration.is_empty()) {
        (false, true) => {
            return Err(CliError::Usage(
                "the layers' ranges are not known: give typical inputs with --calibration FILE.npy"
                    .to_string(),
            ));
        }
        (true, false) => {
            return Err(CliError::Usage(
                "every layer has its ranges already: leave --calibration out".to_string(),
            ));
        }
        _ => {}
    }
    let converted = converted.with_ranges(|converted| {
        let typical = network.inputs(&args.calibration)?;
        let mut passed = Ok(());
        let calibrated = calibrate(converted, |model| {
            passed = model.try_forward(typical).map(drop);
        });
        // Without a pass there are no ranges: what is wrong comes first.
        Ok(passed.and(calibrated)?)
    })?;
    Ok(Some(converted))
}

/// The outputs of a network, and the sums of a layer, if one is named.
fn compute(
    converted: &AnyRecorded,
    inputs: Vec<AnyTensor>,
    layer: Option<&str>,
) -> Result<(Vec<AnyTensor>, Option<Vec<TensorData>>), ApproxError> {
    let Some(layer) = layer else {
        return Ok((converted.try_forward(inputs)?, None));
    };
    let mut outputs = Ok(Vec::new());
    let sums = accumulators(converted, layer, |model| {
        outputs = model.try_forward(inputs);
    });
    Ok((outputs?, Some(sums?)))
}

/// Writes the sums of a layer's products; their shape.
fn write_sums(path: &Path, layer: &str, sums: &[TensorData]) -> Result<Vec<usize>, CliError> {
    let first = sums.first().ok_or_else(|| {
        CliError::Usage(format!(
            "{layer} computes in float: its mode is BASELINE in the configuration"
        ))
    })?;
    let mut shape = first.shape().to_vec();
    if sums.iter().any(|sums| sums.shape().to_vec() != shape) {
        return Err(CliError::Usage(format!(
            "{layer} computes products of different shapes, which one array cannot hold"
        )));
    }
    if sums.len() > 1 {
        shape.insert(0, sums.len());
    }
    let values: Vec<i64> = sums.iter().flat_map(|sums| sums.iter::<i64>()).collect();
    write_array(path, &shape, &values)?;
    Ok(shape)
}
