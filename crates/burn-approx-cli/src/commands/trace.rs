//! `trace`: what an operand trace holds.

use std::path::PathBuf;

use approx_multiplier::{LayerTrace, OperandFormat, OperandTrace};
use serde::Serialize;

use crate::error::CliError;
use crate::output::{Output, number, table};

/// Shows an operand trace: how often each code of activation and weight occurred in the layers of a network.
///
/// A program records one around any forward passes of a converted model, with `burn_approx::convert::trace`; the
/// example program does with `--trace FILE`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo run --release -p train-mobilenet -- --trace trace.json\n  \
        burn-approx trace trace.json\n  burn-approx metrics mul8s_1L2J --distribution trace.json\n  \
        burn-approx factor mul8s_1KVA --codes trace.json"
)]
pub struct Args {
    /// The file
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
}

#[derive(Serialize)]
struct Layer<'a> {
    name: &'a str,
    activation: Operand,
    weight: Operand,
}

#[derive(Serialize)]
struct Operand {
    format: OperandFormat,
    /// How many codes were counted.
    count: u64,
    /// How many different ones occurred.
    different: usize,
    /// The lowest and the highest that occurred.
    codes: Option<[i32; 2]>,
    /// The share of the code 0 in percent.
    zeros_percent: f64,
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    let trace = OperandTrace::load(&args.trace)?;
    let layers: Vec<Layer> = trace.layers().iter().map(Layer::of).collect();
    let mut rows = table([
        "layer",
        "activations",
        "codes",
        "zeros %",
        "weights",
        "codes",
        "zeros %",
    ]);
    for layer in &layers {
        let [activation, weight] = [&layer.activation, &layer.weight].map(Operand::cells);
        rows.add_row(
            [layer.name.to_string()]
                .into_iter()
                .chain(activation)
                .chain(weight),
        );
    }
    output.result(&layers, rows)
}

impl<'a> Layer<'a> {
    fn of(layer: &'a LayerTrace) -> Self {
        Self {
            name: layer.name(),
            activation: Operand::of(layer.activation(), layer.activation_counts()),
            weight: Operand::of(layer.weight(), layer.weight_counts()),
        }
    }
}

impl Operand {
    fn of(format: OperandFormat, counts: &[(i32, u64)]) -> Self {
        // Counts of a file may be anything.
        let count = counts
            .iter()
            .fold(0u64, |sum, (_, count)| sum.saturating_add(*count));
        let zeros = counts
            .iter()
            .find(|(code, _)| *code == 0)
            .map_or(0, |(_, count)| *count);
        Self {
            format,
            count,
            different: counts.len(),
            codes: counts
                .first()
                .zip(counts.last())
                .map(|(low, high)| [low.0, high.0]),
            zeros_percent: 100.0 * zeros as f64 / count.max(1) as f64,
        }
    }

    fn cells(&self) -> [String; 3] {
        let codes = self
            .codes
            .map_or("none".to_string(), |[low, high]| format!("{low}..={high}"));
        [self.count.to_string(), codes, number(self.zeros_percent)]
    }
}
