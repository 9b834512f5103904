//! The command `burn-approx`; see `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    burn_approx_cli::run()
}
