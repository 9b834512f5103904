//! The command `burn-approx`; see `--help`.

use std::process::ExitCode;

/// It keeps the memory of tensors for the next ones, which is a good part of a training step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    burn_approx_cli::run()
}
