//! A multiplier as a file for other tools.

use std::path::PathBuf;

use approx_multiplier::ContentHash;
use approx_multiplier::export::{self, ExportFormat};
use serde::Serialize;

use super::Args;
use crate::error::CliError;
use crate::output::Output;
use crate::progress;
use crate::spec;

#[derive(Serialize)]
struct Summary<'a> {
    name: &'a str,
    hash: ContentHash,
    format: &'static str,
    output: &'a PathBuf,
}

/// Writes the multiplier.
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
    let multiplier = spec::resolve(&args.what, &args.file, output)?;
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
