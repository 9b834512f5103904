//! `compare`: two multipliers side by side, and where they differ.

use approx_multiplier::{ErrorMetrics, Multiplier};
use serde::Serialize;

use crate::error::CliError;
use crate::output::{Output, number, table};
use crate::progress;
use crate::spec::{self, FileOptions};

/// Differing pairs of operands that are shown.
const SHOWN: usize = 8;

/// The most pairs that are gone through one by one.
const MOST_PAIRS: u64 = 1 << 24;

/// Compares two multipliers: their products pair by pair, and their errors.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  burn-approx compare mul8s_1L2J mul8s_1KVP\n  \
        burn-approx compare circuit.v table.csv --require-equal"
)]
pub struct Args {
    /// One multiplier
    #[arg(value_name = "SPEC")]
    first: String,

    /// The other
    #[arg(value_name = "SPEC")]
    second: String,

    #[command(flatten)]
    file: FileOptions,

    /// Exit with code 3 unless all products are equal
    #[arg(long)]
    require_equal: bool,
}

#[derive(Serialize)]
struct Comparison {
    names: [String; 2],
    pairs: u64,
    /// How many pairs of codes have other products.
    differing: u64,
    largest_difference: f64,
    mean_difference: f64,
    examples: Vec<Example>,
    metrics: [ErrorMetrics; 2],
}

#[derive(Serialize)]
struct Example {
    activation: i32,
    weight: i32,
    products: [f64; 2],
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    let specs = [&args.first, &args.second];
    let [first, second] = specs.map(|spec| {
        let options = spec::options_for(spec, &specs, &args.file);
        spec::resolve(spec, &options, output)
    });
    let multipliers = [first?, second?];
    let comparison = progress::during("comparing", || Comparison::of(&multipliers))?;
    output.result(&comparison, comparison.text())?;
    match args.require_equal && comparison.differing > 0 {
        true => Err(CliError::Check(format!(
            "{} and {} differ on {} of {} pairs of codes",
            args.first, args.second, comparison.differing, comparison.pairs
        ))),
        false => Ok(()),
    }
}

impl Comparison {
    fn of(multipliers: &[Multiplier; 2]) -> Result<Self, CliError> {
        let [first, second] = multipliers;
        let formats = |multiplier: &Multiplier| (multiplier.activation(), multiplier.weight());
        if formats(first) != formats(second) {
            return Err(CliError::Usage(format!(
                "{} multiplies {} x {}, but {} {} x {}: only multipliers of the same operands can be compared",
                first.name(),
                first.activation(),
                first.weight(),
                second.name(),
                second.activation(),
                second.weight()
            )));
        }
        let (activation, weight) = formats(first);
        let pairs = (activation.cardinality() * weight.cardinality()) as u64;
        if pairs > MOST_PAIRS {
            return Err(CliError::Usage(format!(
                "{activation} x {weight} are {pairs} pairs of codes; up to {MOST_PAIRS} are compared one by one. `metrics` measures either"
            )));
        }
        let mut comparison = Self {
            names: [first.name().into(), second.name().into()],
            pairs,
            differing: 0,
            largest_difference: 0.0,
            mean_difference: 0.0,
            examples: Vec::new(),
            metrics: [
                ErrorMetrics::measure(first)?,
                ErrorMetrics::measure(second)?,
            ],
        };
        let mut sum = 0.0;
        for a in activation.codes() {
            for b in weight.codes() {
                let products = [first.evaluate(a, b), second.evaluate(a, b)];
                let difference = (products[0] - products[1]).abs();
                if difference == 0.0 {
                    continue;
                }
                comparison.differing += 1;
                sum += difference;
                comparison.largest_difference = comparison.largest_difference.max(difference);
                if comparison.examples.len() < SHOWN {
                    comparison.examples.push(Example {
                        activation: a,
                        weight: b,
                        products,
                    });
                }
            }
        }
        comparison.mean_difference = sum / pairs as f64;
        Ok(comparison)
    }

    fn text(&self) -> String {
        let [first, second] = &self.names;
        let mut figures = table(["", first, second]);
        let [left, right] = &self.metrics;
        for (name, left, right) in [
            ("MAE %", left.mae_percent, right.mae_percent),
            ("WCE %", left.wce_percent, right.wce_percent),
            ("MRE %", left.mre_percent, right.mre_percent),
            ("EP %", left.ep_percent, right.ep_percent),
            ("MSE", left.mse, right.mse),
            ("bias", left.bias, right.bias),
        ] {
            figures.add_row([name.to_string(), number(left), number(right)]);
        }
        if self.differing == 0 {
            return format!("{figures}\nall {} products are equal", self.pairs);
        }
        let mut examples = table(["activation", "weight", first, second]);
        for example in &self.examples {
            examples.add_row([
                example.activation.to_string(),
                example.weight.to_string(),
                number(example.products[0]),
                number(example.products[1]),
            ]);
        }
        format!(
            "{figures}\n{} of {} products differ, by {} at most and {} on average over all pairs; the first of them:\n{examples}",
            self.differing,
            self.pairs,
            number(self.largest_difference),
            number(self.mean_difference)
        )
    }
}
