//! `info`: what is known of a multiplier.

use approx_multiplier::evoapprox;
use approx_multiplier::{
    ContentHash, Definition, FactorizationOptions, HardwareFigures, Multiplier, OperandFormat,
};
use comfy_table::Table;
use serde::Serialize;

use crate::error::CliError;
use crate::output::{Output, number};
use crate::progress;
use crate::spec::{self, FileOptions};

/// Shows what is known of a multiplier: operands, content hash, how it is given, rank, hardware figures.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  burn-approx info mul8s_1L2J")]
pub struct Args {
    /// The multiplier
    #[arg(value_name = "SPEC")]
    multiplier: String,

    #[command(flatten)]
    file: FileOptions,
}

#[derive(Serialize)]
struct Info {
    name: String,
    activation: OperandFormat,
    weight: OperandFormat,
    definition: &'static str,
    hash: ContentHash,
    /// How many one-operand products make one product, or why that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    products: Option<usize>,
    factorization: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hardware: Option<HardwareFigures>,
    htp: bool,
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    let multiplier = spec::resolve(&args.multiplier, &args.file, output)?;
    let info = progress::during("factorising", || Info::of(&multiplier));
    let mut rows = Table::new();
    rows.load_style(comfy_table::presets::NOTHING);
    let mut row = |name: &str, value: String| {
        rows.add_row([name, &value]);
    };
    row("name", info.name.clone());
    row("activation", info.activation.to_string());
    row("weight", info.weight.to_string());
    row("given as", info.definition.into());
    row("hash", info.hash.to_string());
    row("factorisation", info.factorization.clone());
    if let Some(hardware) = &info.hardware {
        for (name, value, unit) in [
            ("power", hardware.power_mw, "mW"),
            ("area", hardware.area_um2, "µm²"),
            ("delay", hardware.delay_ns, "ns"),
        ] {
            if let Some(value) = value {
                let technology = &hardware.technology;
                row(name, format!("{} {unit} ({technology})", number(value)));
            }
        }
    }
    if info.htp {
        row("HTP model", format!("htp:{}", info.name));
    }
    output.result(&info, &rows)
}

impl Info {
    fn of(multiplier: &Multiplier) -> Self {
        let factorization = multiplier.factorization(&FactorizationOptions::default());
        Self {
            name: multiplier.name().into(),
            activation: multiplier.activation(),
            weight: multiplier.weight(),
            definition: match multiplier.definition() {
                Definition::Exact => "the exact product",
                Definition::Table(_) => "a table of products",
                Definition::Factored(_) => "exact factors",
                Definition::Htp(_) => "a High-Throughput model",
                _ => "something else",
            },
            hash: multiplier.hash(),
            products: factorization.as_ref().ok().map(|found| found.products()),
            factorization: match &factorization {
                Ok(found) => super::factor::sentence(found),
                Err(error) => error.to_string(),
            },
            hardware: multiplier.hardware().cloned(),
            htp: evoapprox::htp_names().any(|name| name == multiplier.name()),
        }
    }
}
