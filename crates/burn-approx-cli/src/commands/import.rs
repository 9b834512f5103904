//! `import`: a file of any kind into the project's own format.

use std::path::PathBuf;

use approx_multiplier::export::{self, ExportFormat};
use approx_multiplier::import;
use approx_multiplier::{ContentHash, ErrorMetrics, OperandFormat};
use serde::Serialize;

use crate::error::CliError;
use crate::output::{Output, number};
use crate::progress;
use crate::spec::FileOptions;

/// Reads a multiplier from a file and writes it in this project's own format, which says everything about it.
///
/// The file may be a table: an array (.npy), a matrix as text (.csv, .txt, ..), raw little-endian integers (.bin), an array in C
/// (.h, .c), or a Verilog `case` over all operands as `export` writes it. Rows are the activation's codes. It may be a circuit: a
/// C function without branches and loops (.c), structural Verilog (.v), or BLIF (.blif), whose products are computed, up to 24 bits
/// of both operands together; larger ones become exact factors, verified on millions of operand pairs, or an error. Or it is a
/// file of this project (.json).
///
/// Bits, order of the operands and signedness are taken from the file where it tells them; what is assumed is printed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  burn-approx import mine.csv --unsigned --output mine.json\n  \
        burn-approx import mine.v --top multiplier --swap-operands --output mine.json\n  \
        burn-approx import mul8s_1KV8.c --output mul8s_1KV8.json\n\n\
        A wrong guess of signedness or of the operands' order shows in the error figures that are printed."
)]
pub struct Args {
    /// The file
    #[arg(value_name = "FILE")]
    input: PathBuf,

    #[command(flatten)]
    file: FileOptions,

    /// The name of the multiplier [default: what the file says, or the file's name]
    #[arg(long)]
    name: Option<String>,

    /// The file to write
    #[arg(long, short, value_name = "FILE.json")]
    output: PathBuf,
}

#[derive(Serialize)]
struct Summary<'a> {
    name: &'a str,
    activation: OperandFormat,
    weight: OperandFormat,
    hash: ContentHash,
    mae_percent: Option<f64>,
    wce_percent: Option<f64>,
    notes: &'a [String],
    output: &'a PathBuf,
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    let imported = progress::during("reading", || {
        import::read(&args.input, &args.file.import_options())
    })?;
    for note in &imported.notes {
        output.note(note);
    }
    let multiplier = match &args.name {
        Some(name) => imported.multiplier.with_name(name),
        None => imported.multiplier,
    };
    export::write(&multiplier, &args.output, ExportFormat::Own)?;
    // An HTP model of many bits has too many pairs to be measured on the side.
    let metrics = progress::during("measuring", || ErrorMetrics::measure(&multiplier)).ok();
    let summary = Summary {
        name: multiplier.name(),
        activation: multiplier.activation(),
        weight: multiplier.weight(),
        hash: multiplier.hash(),
        mae_percent: metrics.map(|metrics| metrics.mae_percent),
        wce_percent: metrics.map(|metrics| metrics.wce_percent),
        notes: &imported.notes,
        output: &args.output,
    };
    let errors = metrics.map_or(String::new(), |metrics| {
        format!(
            ", mean absolute error {} %, worst {} %",
            number(metrics.mae_percent),
            number(metrics.wce_percent)
        )
    });
    output.result(
        &summary,
        format!(
            "{}: {} x {}{errors}\nwritten to {}",
            summary.name,
            summary.activation,
            summary.weight,
            args.output.display()
        ),
    )
}
