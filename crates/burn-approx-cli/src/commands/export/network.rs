//! A network that was calibrated or retrained as an ONNX file.

use std::path::PathBuf;

use approx_experiment::device::DeviceKind;
use approx_onnx::OnnxLayerQuantizers;
use burn_approx::approx_layers;
use serde::Serialize;

use super::Args;
use crate::device;
use crate::error::CliError;
use crate::files::refuse_overwriting;
use crate::network::{ModelSource, Network};
use crate::output::Output;
use crate::progress;

#[derive(Serialize)]
struct Summary<'a> {
    output: &'a PathBuf,
    /// The layers that have quantisers in the file.
    quantized: Vec<String>,
    /// The converted layers that have none.
    in_float: Vec<String>,
}

/// Writes the network.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    if args.format.is_some() {
        return Err(CliError::Usage(
            "--format is for multipliers; a network becomes an ONNX file".to_string(),
        ));
    }
    if args
        .output
        .extension()
        .is_none_or(|extension| extension != "onnx")
    {
        return Err(CliError::Usage(format!(
            "a network becomes an ONNX file, and `{}` does not end in .onnx",
            args.output.display()
        )));
    }
    let source: ModelSource = args.what.parse().map_err(CliError::Usage)?;
    let read = source.files();
    refuse_overwriting(read.iter().map(PathBuf::as_path), [args.output.as_path()])?;
    let network = Network::load(&source, &device::open_one(DeviceKind::default())?)?;
    let recorded = network.record::<_, Vec<_>>(network.example(&[])?)?;
    let layers = approx_layers(&recorded);
    let converted = layers.iter().filter(|layer| layer.is_converted());
    let converted: Vec<String> = converted.map(|layer| layer.path().to_string()).collect();
    let quantizers: Vec<_> = (layers.iter())
        .filter_map(OnnxLayerQuantizers::of)
        .collect();
    let of_file = network.quantizers_in_file();
    let moved = quantizers.iter().filter(|own| {
        let differs = |file: &OnnxLayerQuantizers| {
            file.path == own.path && file.activation.scales != own.activation.scales
        };
        of_file.iter().any(differs)
    });
    let moved = moved.count();
    if moved > 0 && !args.with_quantization {
        output.note(format!(
            "{moved} layers have other ranges than the quantisers of the file, which stay in it as they are"
        ));
    }
    let file = network.file_of(recorded)?;
    let quantized = progress::during("writing", || match args.with_quantization {
        true => file.save_with_quantization(&args.output, &quantizers),
        false => file.save(&args.output).map(|()| Vec::new()),
    })?;
    let left = converted.iter().filter(|path| !quantized.contains(path));
    let in_float: Vec<String> = match args.with_quantization {
        true => left.cloned().collect(),
        false => Vec::new(),
    };
    if !in_float.is_empty() {
        output.note(format!(
            "{} layers are part of larger nodes and stay in float: {}",
            in_float.len(),
            in_float.join(", ")
        ));
    }
    let text = match args.with_quantization {
        true => format!(
            "{} with the quantisers of {} layers",
            args.output.display(),
            quantized.len()
        ),
        false => args.output.display().to_string(),
    };
    let summary = Summary {
        output: &args.output,
        quantized,
        in_float,
    };
    output.result(&summary, format!("written to {text}"))
}
