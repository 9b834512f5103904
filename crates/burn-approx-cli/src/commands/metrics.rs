//! `metrics`: how wrong a multiplier is, beside what is claimed of it.

use std::path::{Path, PathBuf};

use approx_multiplier::evoapprox;
use approx_multiplier::{Coverage, Difference, ErrorMetrics, Multiplier, OperandTrace};
use comfy_table::{Cell, Color};
use serde::Serialize;

use crate::error::CliError;
use crate::output::{Output, number, table};
use crate::progress;
use crate::spec::{self, FileOptions};

/// What random pairs are drawn from.
const SEED: u64 = 0;

/// Measures the error of a multiplier over all operand pairs, and compares it with published or claimed figures.
///
/// A claim holds if it is the measured value rounded to the digits in which the claim is written. If one does not, the
/// exit code is 3.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  burn-approx metrics mul8s_1L2J\n  \
        burn-approx metrics mine.json --claim mae=12.5 --claim wce=255\n  \
        burn-approx metrics htp:mul12s_2PS --samples 1000000\n  \
        burn-approx metrics mul8s_1L2J --distribution trace.json")]
pub struct Args {
    /// The multiplier
    #[arg(value_name = "SPEC")]
    multiplier: String,

    #[command(flatten)]
    file: FileOptions,

    /// A figure to be checked: one of mae, mae_percent, wce, wce_percent, wcre_percent, ep_percent, mre_percent, mse,
    /// bias, bias_percent. In place of the published ones; may be given several times
    #[arg(long, value_name = "FIGURE=VALUE", value_parser = claim, allow_hyphen_values = true)]
    claim: Vec<(usize, f64)>,

    /// Measure on so many random pairs instead of all
    #[arg(long, value_name = "PAIRS", conflicts_with = "distribution")]
    samples: Option<u64>,

    /// Weight every pair by how often it occurs in the layers of an operand trace
    #[arg(long, value_name = "TRACE", conflicts_with = "claim")]
    distribution: Option<PathBuf>,
}

/// The figures' names, in the order of [`values`].
const FIGURES: [&str; 10] = [
    "mae",
    "mae_percent",
    "wce",
    "wce_percent",
    "wcre_percent",
    "ep_percent",
    "mre_percent",
    "mse",
    "bias",
    "bias_percent",
];

/// What the figures are called in full.
const TITLES: [&str; 10] = [
    "mean absolute error (MAE)",
    "MAE, % of the output range",
    "worst-case error (WCE)",
    "WCE, % of the output range",
    "worst-case relative error, %",
    "error probability, %",
    "mean relative error, %",
    "mean squared error",
    "bias (mean error)",
    "bias, % of the output range",
];

fn values(metrics: &ErrorMetrics) -> [f64; 10] {
    [
        metrics.mae,
        metrics.mae_percent,
        metrics.wce,
        metrics.wce_percent,
        metrics.wcre_percent,
        metrics.ep_percent,
        metrics.mre_percent,
        metrics.mse,
        metrics.bias,
        metrics.bias_percent,
    ]
}

fn claim(text: &str) -> Result<(usize, f64), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is no claim such as mae=12.5"))?;
    let figure = FIGURES
        .iter()
        .position(|figure| *figure == name.trim())
        .ok_or_else(|| format!("`{name}` is none of {}", FIGURES.join(", ")))?;
    let value: f64 = value
        .trim()
        .parse()
        .map_err(|_| format!("`{value}` is not a number"))?;
    match value.is_finite() {
        true => Ok((figure, value)),
        false => Err(format!("`{value}` is not finite")),
    }
}

#[derive(Serialize)]
struct Figure {
    name: &'static str,
    measured: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agrees: Option<bool>,
}

#[derive(Serialize)]
struct Report {
    name: String,
    coverage: Coverage,
    figures: Vec<Figure>,
    /// What the wrong products have in common, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong: Option<String>,
}

/// With more bits of both operands than these, errors are not looked at one by one on the side.
const LOOKED_AT_BITS: u8 = 20;

/// Where products are wrong, if they have something in common.
pub(super) fn wrong_products(multiplier: &Multiplier) -> Result<Option<String>, CliError> {
    let (activation, weight) = (multiplier.activation(), multiplier.weight());
    if activation.bits() + weight.bits() > LOOKED_AT_BITS {
        return Ok(None);
    }
    let exact = Multiplier::exact(activation, weight);
    let difference = Difference::between(multiplier, &exact)?;
    let words = || {
        format!(
            "{} ({} of {} pairs)",
            difference.in_words(),
            difference.differing,
            difference.pairs
        )
    };
    Ok((!difference.conditions.is_empty()).then(words))
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    let multiplier = spec::resolve(&args.multiplier, &args.file, output)?;
    if let Some(path) = &args.distribution {
        return by_layer(&multiplier, path, output);
    }
    let metrics = progress::during("measuring", || match args.samples {
        Some(pairs) => ErrorMetrics::measure_sampled(&multiplier, pairs, SEED),
        None => ErrorMetrics::measure(&multiplier),
    })?;
    let claims = match args.claim.is_empty() {
        false => args.claim.clone(),
        // A sample confirms nothing.
        true if args.samples.is_some() => Vec::new(),
        true => published(&multiplier),
    };
    let figures: Vec<Figure> = values(&metrics)
        .into_iter()
        .enumerate()
        .map(|(index, measured)| {
            let claimed = claims
                .iter()
                .rev()
                .find(|(figure, _)| *figure == index)
                .map(|(_, value)| *value);
            Figure {
                name: FIGURES[index],
                measured,
                claimed,
                agrees: claimed.map(|claimed| agrees(claimed, measured)),
            }
        })
        .collect();
    let wrong: Vec<&'static str> = figures
        .iter()
        .filter(|figure| figure.agrees == Some(false))
        .map(|figure| figure.name)
        .collect();
    let report = Report {
        name: multiplier.name().into(),
        coverage: metrics.coverage,
        figures,
        wrong: wrong_products(&multiplier)?,
    };
    output.result(&report, report.text())?;
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(CliError::Check(format!(
            "{} {} not as claimed: {}",
            wrong.len(),
            if wrong.len() == 1 {
                "figure is"
            } else {
                "figures are"
            },
            wrong.join(", ")
        ))),
    }
}

/// The error in one layer of a network.
#[derive(Serialize)]
struct LayerReport {
    layer: String,
    #[serde(flatten)]
    metrics: ErrorMetrics,
}

/// The metrics under the codes that each layer of a trace met.
fn by_layer(multiplier: &Multiplier, path: &Path, output: Output) -> Result<(), CliError> {
    let trace = OperandTrace::load(path)?;
    let reports = progress::during("measuring", || {
        let layers = trace.layers().iter().map(|layer| {
            let metrics = ErrorMetrics::measure_weighted(multiplier, &layer.distribution()?)?;
            Ok::<_, CliError>(LayerReport {
                layer: layer.name().into(),
                metrics,
            })
        });
        layers.collect::<Result<Vec<_>, _>>()
    })?;
    let mut rows = table(["layer", "MAE", "MAE %", "WCE", "MRE %", "EP %", "bias"]);
    for LayerReport { layer, metrics } in &reports {
        let figures = [
            metrics.mae,
            metrics.mae_percent,
            metrics.wce,
            metrics.mre_percent,
            metrics.ep_percent,
            metrics.bias,
        ];
        rows.add_row([layer.clone()].into_iter().chain(figures.map(number)));
    }
    let title = format!(
        "{}, every pair weighted by how often it occurs in {}",
        multiplier.name(),
        path.display()
    );
    output.result(&reports, format!("{title}\n{rows}"))
}

/// What is published of a bundled circuit; nothing if only the name is the same.
fn published(multiplier: &Multiplier) -> Vec<(usize, f64)> {
    let name = multiplier.name();
    let bundled =
        evoapprox::multiplier(name).is_ok_and(|bundled| bundled.hash() == multiplier.hash());
    let Some(figures) = evoapprox::figures(name).ok().filter(|_| bundled) else {
        return Vec::new();
    };
    let published = [
        figures.mae,
        figures.mae_percent,
        figures.wce,
        figures.wce_percent,
        figures.wcre_percent,
        figures.ep_percent,
        figures.mre_percent,
        figures.mse,
    ];
    published.into_iter().enumerate().collect()
}

/// Whether a measured value, rounded to the digits in which a claim is written, is the claim. Nothing is written in
/// more than eight significant digits, and what is claimed to be 0 must be 0.
fn agrees(claimed: f64, measured: f64) -> bool {
    if claimed == 0.0 {
        return measured == 0.0;
    }
    let text = claimed.to_string();
    let decimals = text
        .split_once('.')
        .map_or(0, |(_, decimals)| decimals.len());
    let eighth_digit = claimed.abs().log10().floor() - 7.0;
    let half_a_digit = 0.5 * 10f64.powf(eighth_digit.max(-(decimals as f64)));
    // A measured value on the edge is rounded one way or the other; no decimal fraction is exact.
    (claimed - measured).abs() <= half_a_digit * (1.0 + 1e-9) + claimed.abs() * f64::EPSILON
}

impl Report {
    fn text(&self) -> String {
        let mut rows = table(["", "measured", "claimed", ""]);
        for (figure, title) in self.figures.iter().zip(TITLES) {
            let verdict = match figure.agrees {
                Some(true) => Cell::new("agrees").fg(Color::Green),
                Some(false) => Cell::new("DIFFERS").fg(Color::Red),
                None => Cell::new(""),
            };
            rows.add_row([
                Cell::new(title),
                Cell::new(number(figure.measured)),
                Cell::new(figure.claimed.map_or(String::new(), number)),
                verdict,
            ]);
        }
        let pairs = match self.coverage {
            Coverage::Exhaustive { pairs } => format!("all {pairs} operand pairs"),
            coverage => format!(
                "{} random operand pairs: means are estimates, maxima lower bounds",
                coverage.pairs()
            ),
        };
        let wrong = self.wrong.as_deref();
        let wrong = wrong.map_or(String::new(), |wrong| format!("\nwrong {wrong}"));
        format!("{} over {pairs}\n{rows}{wrong}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_read_to_its_last_digit() {
        for (claimed, measured, expected) in [
            (36.0, 36.4, true),
            (36.0, 36.535, false),
            (0.0018, 0.00184, true),
            (0.0018, 0.00191, false),
            (0.0, 1e-9, false),
            (-1.5, -1.46, true),
        ] {
            assert_eq!(agrees(claimed, measured), expected, "{claimed} {measured}");
        }
        assert_eq!(claim("wce=255"), Ok((2, 255.0)));
        for wrong in ["", "mae", "mea=1", "mae=x", "mae=inf"] {
            assert!(claim(wrong).is_err(), "{wrong}");
        }
    }
}
