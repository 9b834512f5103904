//! `export`: a multiplier as a file for other tools, or a network as an ONNX file.

mod multiplier;
mod network;

use std::path::{Path, PathBuf};

use approx_multiplier::export::ExportFormat;

use crate::error::CliError;
use crate::network::ModelSource;
use crate::output::Output;
use crate::spec::FileOptions;

/// Writes a multiplier's table for other tools, or a network that was calibrated or retrained as an ONNX file.
///
/// A network is a folder that `calibrate` or `retrain` has written. Its file is a copy of the one that it comes from,
/// with the weights as they are now: in float, or as codes where that file has quantisers.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  burn-approx export mul8s_1L2J --format c --output mul8s_1L2J.h\n  \
        burn-approx export drum:k=4,bits=8,unsigned --format verilog --output drum.v\n  \
        burn-approx export runs/resnet20 --output retrained.onnx"
)]
pub struct Args {
    /// The multiplier, or the network's folder
    #[arg(value_name = "SPEC|DIR")]
    what: String,

    #[command(flatten)]
    file: FileOptions,

    /// npy, csv, bin (raw little-endian), c (header), verilog (for test benches) or own [default: by the file's
    /// extension]
    #[arg(long)]
    format: Option<ExportFormat>,

    /// Write a network's quantisers around its layers, as QuantizeLinear and DequantizeLinear
    #[arg(long)]
    with_quantization: bool,

    /// The file to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    if ModelSource::is_saved(Path::new(&args.what)) {
        return network::run(args, output);
    }
    if args
        .output
        .extension()
        .is_some_and(|extension| extension == "onnx")
    {
        return Err(CliError::Usage(format!(
            "a network becomes an ONNX file, and `{}` is no folder that `calibrate` or `retrain` has written",
            args.what
        )));
    }
    if args.with_quantization {
        return Err(CliError::Usage(format!(
            "--with-quantization is for networks, and `{}` is no folder that `calibrate` or `retrain` has written",
            args.what
        )));
    }
    multiplier::run(args, output)
}
