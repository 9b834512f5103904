//! Trains an approximate MobileNetV2; see `--help`.

use std::process::ExitCode;

use clap::Parser;
use train_mobilenet::args::Args;
use train_mobilenet::run::run;

/// It keeps the memory of tensors for the next ones, which is a good part of a training step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(report) => {
            println!("{report}");
            println!(
                "{:.0} s; report.json, accuracy.svg and the models are in {}",
                report.seconds,
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
