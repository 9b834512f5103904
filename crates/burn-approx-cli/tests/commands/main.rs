//! Every command, run as the program that a user runs.

mod bad_input;
mod exploring;
#[allow(
    dead_code,
    reason = "the tests of the importers write all kinds of gates"
)]
#[path = "../../../approx-multiplier/tests/netlists/generator.rs"]
mod generator;
mod golden;
mod layer;
mod multipliers;
mod netlists;
mod networks;
mod plots;
#[cfg(unix)]
mod programs;
mod retraining;
mod support;
