//! `fit-htp`: a High-Throughput model of any multiplier.

use std::path::PathBuf;

use approx_multiplier::export::{self, ExportFormat};
use approx_multiplier::{
    ErrorMetrics, Feature, HtpFit, HtpFitOptions, HtpModel, HtpTerm, MeasuredModel, Multiplier,
};
use serde::Serialize;

use crate::error::CliError;
use crate::files::expect_own;
use crate::output::{Output, number, table};
use crate::progress;
use crate::spec::{self, FileOptions};

/// The most features of remainders: their products are as many as their square.
const MOST_REMAINDERS: usize = 16;

/// Fits a High-Throughput model to a multiplier, by least squares over all pairs: a sum of products of the features x,
/// 1 and (x mod m)^p of the operands. A layer computes it with plain float products.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  burn-approx fit-htp mul8s_1KV9 --modulus 4 --decimals 3 --output model.json\n\n\
        The model can be used wherever a SPEC is asked for: burn-approx layer linear --multiplier model.json .."
)]
pub struct Args {
    /// The multiplier
    #[arg(value_name = "SPEC")]
    multiplier: String,

    #[command(flatten)]
    file: FileOptions,

    /// The moduli m, separated by commas; 2,4,8 together hold each of the three lowest bits
    #[arg(long, value_delimiter = ',', num_args = 1, default_value = "4", value_parser = clap::value_parser!(u32).range(1..=1 << 16))]
    modulus: Vec<u32>,

    /// The highest power p; remainders modulo 2 have only the first
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=8))]
    power: u32,

    /// Round the coefficients to so many decimals
    #[arg(long)]
    decimals: Option<u8>,

    /// The file to write the model to, in this project's own format
    #[arg(long, short, value_name = "FILE.json")]
    output: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report<'a> {
    name: &'a str,
    terms: &'a [HtpTerm],
    deviation: ErrorMetrics,
    error: ErrorMetrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    published_deviation: Option<ErrorMetrics>,
    multiplier_error: ErrorMetrics,
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    args.output.as_deref().map_or(Ok(()), expect_own)?;
    let multiplier = spec::resolve(&args.multiplier, &args.file, output)?;
    if args.modulus.len() * args.power as usize > MOST_REMAINDERS {
        return Err(CliError::Usage(format!(
            "{} moduli to the power of up to {} are too many: {MOST_REMAINDERS} features of remainders can be fitted",
            args.modulus.len(),
            args.power
        )));
    }
    let options = HtpFitOptions {
        decimals: args.decimals,
        ..HtpFitOptions::with_moduli(&args.modulus, args.power)
    };
    let fit = progress::during("fitting", || HtpModel::fit(&multiplier, &options))?;
    let model = &fit.fitted.model;
    if let Some(path) = &args.output {
        let model = Multiplier::from_htp(model.clone());
        export::write(&model, path, ExportFormat::Own)?;
    }
    let report = Report {
        name: model.name(),
        terms: model.terms(),
        deviation: fit.fitted.deviation,
        error: fit.fitted.error,
        published_deviation: fit.published.as_ref().map(|published| published.deviation),
        multiplier_error: fit.error,
    };
    let written = args.output.as_ref().map_or(String::new(), |path| {
        format!("\nwritten to {}", path.display())
    });
    output.result(&report, text(&fit) + &written)
}

fn text(fit: &HtpFit) -> String {
    let model = &fit.fitted.model;
    let terms: Vec<String> = model
        .terms()
        .iter()
        .map(|term| {
            let features = match [feature(term.first, "a"), feature(term.second, "b")] {
                [None, None] => String::new(),
                [Some(one), None] | [None, Some(one)] => format!(" {one}"),
                [Some(first), Some(second)] => format!(" {first} {second}"),
            };
            format!("{:+}{features}", term.coefficient)
        })
        .collect();
    let mut rows = table(["off the circuit by", "MAE", "WCE", "MSE", "bias"]);
    let mut row = |name: &str, MeasuredModel { deviation, .. }: &MeasuredModel| {
        let figures = [deviation.mae, deviation.wce, deviation.mse, deviation.bias];
        rows.add_row([name.to_string()].into_iter().chain(figures.map(number)));
    };
    row("this model", &fit.fitted);
    if let Some(published) = &fit.published {
        row("published model", published);
    }
    format!(
        "{}: m(a, b) = {}\n{rows}\nmean absolute error against the exact product: the multiplier's {} %, the model's {} %",
        model.name(),
        terms.join(" "),
        number(fit.error.mae_percent),
        number(fit.fitted.error.mae_percent)
    )
}

/// A feature of an operand as a formula; `None` for 1.
fn feature(feature: Feature, operand: &str) -> Option<String> {
    match feature {
        Feature::One => None,
        Feature::Identity => Some(operand.into()),
        Feature::Mod { modulus, power: 1 } => Some(format!("({operand} mod {modulus})")),
        Feature::Mod { modulus, power } => Some(format!("({operand} mod {modulus})^{power}")),
    }
}
