//! `plot`: pictures of a multiplier's error, and of the library's trade of power for error.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use crate::error::CliError;
use crate::output::Output;
use crate::plot::{self, heat_map::HeatMap, histogram::Histogram, pareto::Pareto};
use crate::progress;
use crate::spec::{self, FileOptions};

/// Draws the error of a multiplier, or power against error of the bundled ones, as .svg or .png.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  burn-approx plot heat-map mul8s_1L2J --output errors.svg\n  \
        burn-approx plot histogram mul8s_1L2J --output histogram.png\n  \
        burn-approx plot pareto --bits 8 --output pareto.svg"
)]
pub struct Args {
    #[command(subcommand)]
    picture: Picture,
}

#[derive(Debug, Subcommand)]
enum Picture {
    /// The error over activation and weight codes, or how two multipliers differ
    #[command(
        after_help = "Examples:\n  burn-approx plot heat-map mul8s_1L2J --output errors.svg\n  \
            burn-approx plot heat-map circuit.v mul8s_1L2J --output difference.svg"
    )]
    HeatMap {
        #[command(flatten)]
        one: One,

        /// Another multiplier of the same operands, whose products are taken off instead of the exact ones
        #[arg(value_name = "SPEC")]
        other: Option<String>,
    },
    /// How often which error occurs
    #[command(
        after_help = "Example:\n  burn-approx plot histogram mul8s_1L2J --output histogram.png"
    )]
    Histogram(One),
    /// Power against error of the bundled multipliers
    #[command(after_help = "Example:\n  burn-approx plot pareto --bits 8 --output pareto.svg")]
    Pareto {
        /// Bits of the operands: 8, 12 or 16
        #[arg(long, default_value_t = 8)]
        bits: u8,

        /// The file to write, .svg or .png
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct One {
    /// The multiplier
    #[arg(value_name = "SPEC")]
    multiplier: String,

    #[command(flatten)]
    file: FileOptions,

    /// The file to write, .svg or .png
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Serialize)]
struct Summary<'a> {
    output: &'a PathBuf,
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    let path = match &args.picture {
        Picture::HeatMap { one, .. } | Picture::Histogram(one) => &one.output,
        Picture::Pareto { output, .. } => output,
    };
    let kind = plot::Kind::of(path)?;
    match &args.picture {
        Picture::HeatMap { one, other: None } => {
            let multiplier = spec::resolve(&one.multiplier, &one.file, output)?;
            progress::during("drawing", || {
                plot::save(&HeatMap::of(&multiplier), kind, path)
            })?;
        }
        Picture::HeatMap {
            one,
            other: Some(other),
        } => {
            let [first, second] = spec::resolve_pair([&one.multiplier, other], &one.file, output)?;
            progress::during("drawing", || {
                plot::save(&HeatMap::between(&first, &second), kind, path)
            })?;
        }
        Picture::Histogram(one) => {
            let multiplier = spec::resolve(&one.multiplier, &one.file, output)?;
            progress::during("drawing", || {
                plot::save(&Histogram::of(&multiplier), kind, path)
            })?;
        }
        Picture::Pareto { bits, .. } => plot::save(&Pareto::of(*bits)?, kind, path)?,
    }
    output.result(
        &Summary { output: path },
        format!("written to {}", path.display()),
    )
}
