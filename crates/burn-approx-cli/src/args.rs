//! The command line.

use clap::{Parser, Subcommand};

use crate::commands::{
    calibrate, compare, evaluate, explore, export, factor, fit_htp, import, info, inspect, layer,
    list, metrics, plot, retrain, run, trace,
};
use crate::error::CliError;
use crate::output::Output;

/// A workbench for approximate multipliers: bring one, look at it, trust it.
///
/// A multiplier is named by a SPEC: a bundled circuit (mul8s_1L2J, mul8u_17C8:sign-magnitude), a file of any kind that
/// `import` reads (mine.csv, mine.v), a program that computes it (exec:'python3 mine.py'), a bundled High-Throughput model (htp:mul8s_1L2J), `exact` (exact:uint8,
/// exact:uint8,int4), or a family with its parameters (drum:k=6,bits=8,unsigned, truncated:columns=4).
#[derive(Debug, Parser)]
#[command(
    name = "burn-approx",
    version,
    after_help = "Exit codes: 0 done, 1 it could not be done, 2 wrong arguments, 3 a check has failed.\n\n\
        Example, with a table of one's own:\n  \
        burn-approx import mine.csv --unsigned --output mine.json\n  \
        burn-approx metrics mine.json\n  \
        burn-approx plot heat-map mine.json --output errors.svg\n\n\
        And with a circuit in C, Verilog or BLIF, to be compared with that table:\n  \
        burn-approx compare mine.v mine.json --require-equal"
)]
pub struct Args {
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub json: bool,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    List(list::Args),
    Info(info::Args),
    Metrics(metrics::Args),
    Factor(factor::Args),
    Compare(compare::Args),
    Plot(plot::Args),
    Import(import::Args),
    Export(export::Args),
    FitHtp(fit_htp::Args),
    Layer(Box<layer::Args>),
    Trace(trace::Args),
    Inspect(inspect::Args),
    Run(run::Args),
    Evaluate(Box<evaluate::Args>),
    Calibrate(Box<calibrate::Args>),
    Retrain(Box<retrain::Args>),
    Explore(Box<explore::Args>),
}

impl Command {
    /// Runs the command.
    pub fn run(&self, output: Output) -> Result<(), CliError> {
        match self {
            Self::List(args) => list::run(args, output),
            Self::Info(args) => info::run(args, output),
            Self::Metrics(args) => metrics::run(args, output),
            Self::Factor(args) => factor::run(args, output),
            Self::Compare(args) => compare::run(args, output),
            Self::Plot(args) => plot::run(args, output),
            Self::Import(args) => import::run(args, output),
            Self::Export(args) => export::run(args, output),
            Self::FitHtp(args) => fit_htp::run(args, output),
            Self::Layer(args) => layer::run(args, output),
            Self::Trace(args) => trace::run(args, output),
            Self::Inspect(args) => inspect::run(args, output),
            Self::Run(args) => run::run(args, output),
            Self::Evaluate(args) => evaluate::run(args, output),
            Self::Calibrate(args) => calibrate::run(args, output),
            Self::Retrain(args) => retrain::run(args, output),
            Self::Explore(args) => explore::run(args, output),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_every_command_has_an_example() {
        let command = Args::command();
        command.clone().debug_assert();
        for command in command.get_subcommands() {
            let after = command.get_after_help().map(ToString::to_string);
            assert!(
                after.is_some_and(|text| text.contains("burn-approx")),
                "{} has no example",
                command.get_name()
            );
        }
    }
}
