//! Approximate products on a GPU beside Burn's float there: table lookup, integer factors, and whole networks, forward
//! and in training.
//!
//! `--device wgpu|cuda` picks the runtime, `--size small` shrinks everything so that a software driver runs through it,
//! and `--beside` names a report in the same format (`benches/pytorch` makes one) to join into the table. All that is
//! compared runs in one process on one device, which is waited for before and after every sample.

mod device;
mod factored;
mod gather;
mod markdown;
mod networks;
mod options;
mod plain_gather;
mod report;
mod session;
mod works;

use std::process::ExitCode;

use clap::Parser;

use options::Options;
use report::Report;
use session::Session;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    // Before anything is measured, so that a wrong path costs no time.
    let beside = Report::read_all(&options.beside)?;
    let mut session = Session::open(options)?;
    gather::run(&mut session);
    factored::run(&mut session);
    networks::run(&mut session);

    let report = session.into_report();
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    if let Some(path) = &options.markdown {
        std::fs::write(path, markdown::table(&report, &beside))?;
    }
    Ok(())
}
