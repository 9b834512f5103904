//! `export`: a multiplier as a file for other tools.

use std::path::PathBuf;

use approx_multiplier::ContentHash;
use approx_multiplier::export::{self, ExportFormat};
use serde::Serialize;

use crate::error::CliError;
use crate::output::Output;
use crate::progress;
use crate::spec::{self, FileOptions};

/// Writes a multiplier's table for other tools.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  burn-approx export mul8s_1L2J --format c --output mul8s_1L2J.h\n  \
        burn-approx export drum:k=4,bits=8,unsigned --format verilog --output drum.v"
)]
pub struct Args {
    /// The multiplier
    #[arg(value_name = "SPEC")]
    multiplier: String,

    #[command(flatten)]
    file: FileOptions,

    /// npy, csv, bin (raw little-endian), c (header), verilog (for test benches) or own [default: by the file's
    /// extension]
    #[arg(long)]
    format: Option<ExportFormat>,

    /// The file to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Serialize)]
struct Summary<'a> {
    name: &'a str,
    hash: ContentHash,
    format: &'static str,
    output: &'a PathBuf,
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    let format = args
        .format
        .or_else(|| ExportFormat::of_name(&args.output))
        .ok_or_else(|| {
            CliError::Usage(format!(
                "the extension of `{}` says no format: name one with --format",
                args.output.display()
            ))
        })?;
    let multiplier = spec::resolve(&args.multiplier, &args.file, output)?;
    progress::during("writing", || {
        export::write(&multiplier, &args.output, format)
    })?;
    let summary = Summary {
        name: multiplier.name(),
        hash: multiplier.hash(),
        format: format.name(),
        output: &args.output,
    };
    output.result(
        &summary,
        format!(
            "{} ({} x {}) written to {}",
            multiplier.name(),
            multiplier.activation(),
            multiplier.weight(),
            args.output.display()
        ),
    )
}
