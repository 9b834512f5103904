//! Trains an approximate MobileNetV2; see `--help`.

use std::process::ExitCode;

use clap::Parser;
use train_mobilenet::args::Args;
use train_mobilenet::run::run;

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
