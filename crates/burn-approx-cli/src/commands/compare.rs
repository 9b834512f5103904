//! `compare`: two multipliers side by side, and where they differ.

use approx_multiplier::{Difference, ErrorMetrics, MAX_INDEX_BITS, Multiplier};
use serde::Serialize;

use crate::error::CliError;
use crate::output::{Output, number, table};
use crate::progress;
use crate::spec::{self, FileOptions};

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
    #[serde(flatten)]
    difference: Difference,
    /// The difference's conditions as a sentence has them.
    in_words: String,
    metrics: [ErrorMetrics; 2],
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    let multipliers = spec::resolve_pair([&args.first, &args.second], &args.file, output)?;
    let comparison = progress::during("comparing", || Comparison::of(&multipliers))?;
    output.result(&comparison, comparison.text())?;
    let Difference {
        differing, pairs, ..
    } = comparison.difference;
    match args.require_equal && differing > 0 {
        true => Err(CliError::Check(format!(
            "{} and {} differ on {differing} of {pairs} pairs of codes",
            args.first, args.second
        ))),
        false => Ok(()),
    }
}

impl Comparison {
    fn of(multipliers: &[Multiplier; 2]) -> Result<Self, CliError> {
        let [first, second] = multipliers;
        let (activation, weight) = (first.activation(), first.weight());
        let pairs = activation.cardinality() as u64 * weight.cardinality() as u64;
        let most = 1_u64 << MAX_INDEX_BITS;
        if pairs > most {
            return Err(CliError::Usage(format!(
                "{activation} x {weight} are {pairs} pairs of codes; up to {most} are compared one by one. `metrics` measures either"
            )));
        }
        let difference = Difference::between(first, second)?;
        Ok(Self {
            names: [first.name().into(), second.name().into()],
            in_words: difference.in_words(),
            difference,
            metrics: [
                ErrorMetrics::measure(first)?,
                ErrorMetrics::measure(second)?,
            ],
        })
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
        let difference = &self.difference;
        if difference.differing == 0 {
            return format!("{figures}\nall {} products are equal", difference.pairs);
        }
        let mut examples = table(["activation", "weight", first, second]);
        for example in &difference.examples {
            examples.add_row([
                example.activation.to_string(),
                example.weight.to_string(),
                number(example.products[0]),
                number(example.products[1]),
            ]);
        }
        let such =
            match difference.conditions.is_empty() || difference.meeting == difference.differing {
                true => String::new(),
                false => format!(", in {} such pairs", difference.meeting),
            };
        format!(
            "{figures}\n{} of {} products differ, {}{such}; by {} at most and {} on average over all pairs. The first of them:\n{examples}",
            difference.differing,
            difference.pairs,
            self.in_words,
            number(difference.largest_difference),
            number(difference.mean_difference)
        )
    }
}
