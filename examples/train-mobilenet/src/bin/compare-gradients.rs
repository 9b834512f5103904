//! Compares the gradients of approximate multipliers; see `--help`.

use std::process::ExitCode;

use clap::Parser;
use train_mobilenet::compare::args::Args;
use train_mobilenet::compare::study::run;

/// It keeps the memory of tensors for the next ones, which is a good part of a training step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(results) => {
            println!("{results}");
            println!(
                "results.json, accuracy.md, accuracy.csv and accuracy.svg are in {}",
                args.output.display()
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
