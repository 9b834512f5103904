//! `layer`: one layer on arrays of operands, for comparison with a simulation of the hardware. `args` says what the
//! command line takes, `read` makes a layer of it; here it is computed and written.

mod args;
mod read;

use std::path::Path;

use burn_approx::plan::PlanChoice;
use serde::Serialize;

pub use self::args::Args;
use self::args::{Common, Plan};
use crate::array::write_array;
use crate::device;
use crate::error::CliError;
use crate::files::refuse_overwriting;
use crate::layer::{Computed, Layer, Wanted, operators, reference};
use crate::output::Output;
use crate::progress;

#[derive(Serialize)]
struct Summary<'a> {
    multiplier: &'a str,
    output_shape: &'a [usize],
    plan: &'a str,
    written: Vec<&'a Path>,
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    let common = args.kind.common();
    refuse_overwriting(common.read(), common.written())?;
    let layer = read::layer(&args.kind, output)?;
    let output_shape = layer.sizes.output_shape();
    let wanted = read::wanted(common, &output_shape)?;
    let computed = progress::during("computing", || compute(common, &layer, &wanted))?;
    let summary = Summary {
        multiplier: layer.multiplier.name(),
        output_shape: &output_shape,
        plan: &computed.plan,
        written: write(common, &layer, &computed)?,
    };
    let files: Vec<String> = summary
        .written
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    output.result(
        &summary,
        format!(
            "{}\noutput {output_shape:?}; written: {}",
            computed.plan,
            files.join(", ")
        ),
    )
}

/// Computes the layer by the plan and on the device that were asked for.
fn compute(common: &Common, layer: &Layer, wanted: &Wanted) -> Result<Computed, CliError> {
    let plan = match common.plan {
        Plan::Loop => return reference::compute(layer, wanted),
        Plan::Auto => PlanChoice::Auto,
        Plan::Gather => PlanChoice::Gather,
        Plan::Factored => PlanChoice::Factored,
        Plan::Htp => PlanChoice::Htp,
    };
    operators::compute(layer, wanted, plan, &device::open_one(common.device)?)
}

/// Writes what was computed and has a file to go to; these files.
fn write<'a>(
    common: &'a Common,
    layer: &Layer,
    computed: &Computed,
) -> Result<Vec<&'a Path>, CliError> {
    let mut written: Vec<&Path> = Vec::new();
    if let (Some(path), Some(values)) = (&common.accumulator, &computed.accumulators) {
        write_array(path, &layer.sizes.output_shape(), values)?;
        written.push(path);
    }
    let [input_gradient, weight_gradient] = &computed.gradients;
    for (path, shape, values) in [
        (
            &common.output,
            layer.sizes.output_shape(),
            &computed.outputs,
        ),
        (
            &common.grad_input,
            layer.sizes.input_shape(),
            input_gradient,
        ),
        (
            &common.grad_weight,
            layer.sizes.weight_shape(),
            weight_gradient,
        ),
    ] {
        if let (Some(path), Some(values)) = (path, values) {
            write_array(path, &shape, values)?;
            written.push(path);
        }
    }
    Ok(written)
}
