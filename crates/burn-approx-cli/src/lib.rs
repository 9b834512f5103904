//! The command `burn-approx`: a workbench for approximate multipliers.
//!
//! `args` is the command line; `commands` has one file or folder per command: its arguments, and `run`. Below them,
//! `layer` computes single layers, `network` holds whole ones, `classification` those of images with their images,
//! `run_folder` is where they are kept, `plot` draws, `spec` finds multipliers, and `array` and `files` read and write.
//! Results go to standard output, as text or as JSON; notes, progress and errors to standard error.

mod args;
mod array;
mod classification;
mod commands;
mod device;
mod error;
mod files;
mod layer;
mod network;
mod output;
mod panics;
mod plot;
mod progress;
mod run_folder;
mod spec;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;
use crate::output::Output;

/// Does what the command line says. The exit code is 0 if that worked, 1 if not, 2 for a wrong command line, and 3 if
/// what was to be checked is not so.
///
/// ```no_run
/// // All that the program does.
/// let code = burn_approx_cli::run();
/// ```
pub fn run() -> ExitCode {
    let Args { json, command } = Args::parse();
    let result = command.run(Output::new(json));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Output::error(&error);
            error.exit_code()
        }
    }
}
