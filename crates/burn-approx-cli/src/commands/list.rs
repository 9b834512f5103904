//! `list`: the bundled multipliers, filtered.

use std::cmp::Ordering;

use approx_multiplier::evoapprox::{self, PublishedFigures};
use approx_multiplier::{FactorizationOptions, MultiplierError};
use clap::ValueEnum;
use rayon::prelude::*;
use serde::Serialize;

use crate::error::CliError;
use crate::output::{Output, number, table};
use crate::progress;

/// Lists the bundled multipliers of EvoApproxLib with their published figures and the rank of their exact
/// factorisation.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  burn-approx list --bits 8 --signed --max-rank 4 --sort power")]
pub struct Args {
    /// Bits of the operands
    #[arg(long)]
    bits: Option<u8>,

    /// Only signed ones
    #[arg(long, conflicts_with = "unsigned")]
    signed: bool,

    /// Only unsigned ones
    #[arg(long)]
    unsigned: bool,

    /// The most power, in milliwatts
    #[arg(long, value_name = "MILLIWATTS")]
    max_power: Option<f64>,

    /// The largest mean absolute error, in percent of the output range
    #[arg(long, value_name = "PERCENT")]
    max_mae: Option<f64>,

    /// The largest rank of the exact factorisation
    #[arg(long, value_name = "RANK")]
    max_rank: Option<usize>,

    /// By what to sort
    #[arg(long, value_enum, default_value_t)]
    sort: Key,
}

/// What can be sorted by.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Key {
    #[default]
    Name,
    Power,
    Mae,
    Rank,
}

/// What is listed of a multiplier.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    figures: &'static PublishedFigures,
    /// The rank of its exact factorisation; `None` above what is worth factorising.
    rank: Option<usize>,
    /// Whether there is a High-Throughput model of it.
    htp: bool,
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    let chosen: Vec<&'static PublishedFigures> = evoapprox::entries()
        .iter()
        .filter(|figures| args.takes(figures))
        .collect();
    let rows = progress::during("factorising", || {
        chosen
            .into_par_iter()
            .map(row)
            .collect::<Result<Vec<_>, _>>()
    })?;
    let mut rows: Vec<Row> = rows
        .into_iter()
        .filter(|row| {
            args.max_rank
                .is_none_or(|most| row.rank.is_some_and(|rank| rank <= most))
        })
        .collect();
    rows.sort_by(|left, right| args.sort.compare(left, right));
    let mut listing = table([
        "name", "operands", "power mW", "MAE %", "WCE %", "EP %", "rank", "HTP",
    ]);
    for row in &rows {
        let figures = row.figures;
        listing.add_row([
            figures.name.clone(),
            figures.format.to_string(),
            figures.hardware.power_mw.map_or("-".into(), number),
            number(figures.mae_percent),
            number(figures.wce_percent),
            number(figures.ep_percent),
            row.rank.map_or("-".into(), |rank| rank.to_string()),
            if row.htp { "yes" } else { "" }.to_string(),
        ]);
    }
    output.result(&rows, format!("{listing}\n{} multipliers", rows.len()))
}

impl Args {
    fn takes(&self, figures: &PublishedFigures) -> bool {
        let within = |value: f64, most: Option<f64>| most.is_none_or(|most| value <= most);
        let power = figures.hardware.power_mw.unwrap_or(f64::INFINITY);
        self.bits.is_none_or(|bits| bits == figures.format.bits())
            && (!self.signed || figures.format.is_signed())
            && (!self.unsigned || !figures.format.is_signed())
            && within(power, self.max_power)
            && within(figures.mae_percent, self.max_mae)
    }
}

fn row(figures: &'static PublishedFigures) -> Result<Row, MultiplierError> {
    let factors =
        evoapprox::multiplier(&figures.name)?.factorization(&FactorizationOptions::default());
    let rank = match factors {
        Ok(factors) => Some(factors.products()),
        Err(MultiplierError::RankTooHigh { .. }) => None,
        Err(error) => return Err(error),
    };
    Ok(Row {
        figures,
        rank,
        htp: evoapprox::htp_names().any(|name| name == figures.name),
    })
}

impl Key {
    fn compare(self, left: &Row, right: &Row) -> Ordering {
        let power = |row: &Row| row.figures.hardware.power_mw.unwrap_or(f64::INFINITY);
        let rank = |row: &Row| row.rank.unwrap_or(usize::MAX);
        match self {
            Self::Name => Ordering::Equal,
            Self::Power => power(left).total_cmp(&power(right)),
            Self::Mae => left
                .figures
                .mae_percent
                .total_cmp(&right.figures.mae_percent),
            Self::Rank => rank(left).cmp(&rank(right)),
        }
        .then_with(|| left.figures.name.cmp(&right.figures.name))
    }
}
