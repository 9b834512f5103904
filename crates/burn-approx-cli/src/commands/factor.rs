//! `factor`: a multiplier as an exact sum of products of one-operand functions.

use std::ops::RangeInclusive;
use std::path::Path;

use approx_multiplier::{
    Certificate, Factorization, FactorizationForm, FactorizationOptions, OperandTrace,
};
use clap::ValueEnum;
use serde::Serialize;

use crate::error::CliError;
use crate::output::{Output, table};
use crate::progress;
use crate::spec::{self, FileOptions};

/// Factorises a multiplier exactly: m(a, b) as a sum of products of integer functions of one operand. The fewer, the
/// faster a layer.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  burn-approx factor mul8s_1KVA\n  burn-approx factor mul8s_1KVA --codes -127..=127\n  \
        burn-approx factor mul8s_1KVA --codes trace.json\n\n\
        With `--terms --json` the factors themselves are printed, by the bit patterns of the codes."
)]
pub struct Args {
    /// The multiplier
    #[arg(value_name = "SPEC")]
    multiplier: String,

    #[command(flatten)]
    file: FileOptions,

    /// The codes of both operands that occur, or a file of an operand trace, layer by layer: fewer codes can need fewer
    /// products
    #[arg(long, value_name = "LOW..=HIGH|TRACE", allow_hyphen_values = true)]
    codes: Option<String>,

    /// The largest rank to accept
    #[arg(long, value_name = "RANK", default_value_t = 64)]
    max_rank: usize,

    /// What to factorise [default: whichever needs fewer products]
    #[arg(long, value_enum)]
    form: Option<FormArg>,

    /// Print the factors too
    #[arg(long)]
    terms: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormArg {
    /// The products
    Table,
    /// Their difference from the exact ones
    Error,
}

#[derive(Serialize)]
struct Factors {
    name: String,
    /// The layer of the operand trace that the codes are taken from.
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<String>,
    form: &'static str,
    rank: usize,
    products: usize,
    activation_codes: [i32; 2],
    weight_codes: [i32; 2],
    certificate: Certificate,
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<Vec<Term>>,
}

#[derive(Serialize)]
struct Term {
    scale: i64,
    activation: Vec<i64>,
    weight: Vec<i64>,
}

/// The codes of both operands, and the layer that has no others.
struct Codes {
    layer: Option<String>,
    activation: Option<RangeInclusive<i32>>,
    weight: Option<RangeInclusive<i32>>,
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    let multiplier = spec::resolve(&args.multiplier, &args.file, output)?;
    let mut found = Vec::new();
    let mut text = Vec::new();
    for codes in args.codes()? {
        let options = FactorizationOptions {
            max_rank: args.max_rank,
            form: args.form.map(|form| match form {
                FormArg::Table => FactorizationForm::Table,
                FormArg::Error => FactorizationForm::Error,
            }),
            activation_codes: codes.activation,
            weight_codes: codes.weight,
        };
        let factors = progress::during("factorising", || multiplier.factorization(&options))?;
        text.push(format!(
            "{}: {}",
            codes.layer.as_deref().unwrap_or(multiplier.name()),
            sentence(&factors)
        ));
        if args.terms {
            text.push(listing(&factors));
        }
        found.push(Factors::of(
            multiplier.name(),
            codes.layer,
            &factors,
            args.terms,
        ));
    }
    let text = text.join("\n");
    match &found[..] {
        [single] if single.layer.is_none() => output.result(single, text),
        layers => output.result(&layers, text),
    }
}

impl Args {
    /// What to factorise on: one range, or those of every layer of a trace.
    fn codes(&self) -> Result<Vec<Codes>, CliError> {
        let Some(text) = &self.codes else {
            return Ok(vec![Codes {
                layer: None,
                activation: None,
                weight: None,
            }]);
        };
        if Path::new(text).is_file() {
            let trace = OperandTrace::load(text)?;
            let layers = trace.layers().iter().map(|layer| Codes {
                layer: Some(layer.name().into()),
                activation: layer.activation_codes(),
                weight: layer.weight_codes(),
            });
            return Ok(layers.collect());
        }
        let range = spec::code_range(text).map_err(|problem| {
            CliError::Usage(format!("--codes: {problem}, and there is no such file"))
        })?;
        Ok(vec![Codes {
            layer: None,
            activation: Some(range.clone()),
            weight: Some(range),
        }])
    }
}

impl Factors {
    fn of(name: &str, layer: Option<String>, found: &Factorization, terms: bool) -> Self {
        let ends = |codes: RangeInclusive<i32>| [*codes.start(), *codes.end()];
        let terms = terms.then(|| {
            let terms = found.terms().iter().map(|term| Term {
                scale: term.scale(),
                activation: term.activation().to_vec(),
                weight: term.weight().to_vec(),
            });
            terms.collect()
        });
        Self {
            name: name.into(),
            layer,
            form: self::name(found.form()),
            rank: found.rank(),
            products: found.products(),
            activation_codes: ends(found.activation_codes()),
            weight_codes: ends(found.weight_codes()),
            certificate: *found.certificate(),
            terms,
        }
    }
}

/// The terms in a table.
fn listing(found: &Factorization) -> String {
    let mut listing = table(["term", "scale", "activation's factor", "weight's factor"]);
    for (index, term) in found.terms().iter().enumerate() {
        listing.add_row([
            index.to_string(),
            term.scale().to_string(),
            span(term.activation()),
            span(term.weight()),
        ]);
    }
    listing.to_string()
}

fn name(form: FactorizationForm) -> &'static str {
    match form {
        FactorizationForm::Table => "table",
        FactorizationForm::Error => "error",
    }
}

/// The range of a factor's values.
fn span(values: &[i64]) -> String {
    match (values.iter().min(), values.iter().max()) {
        (Some(low), Some(high)) => format!("{low}..={high}"),
        _ => "no codes".into(),
    }
}

/// What a factorisation amounts to.
pub fn sentence(found: &Factorization) -> String {
    let certificate = found.certificate();
    let (pairs, all) = (
        certificate.coverage.pairs(),
        if certificate.coverage.is_exhaustive() {
            "all "
        } else {
            ""
        },
    );
    let what = match (found.form(), found.rank()) {
        (FactorizationForm::Table, 0) => "always 0".to_string(),
        (FactorizationForm::Error, 0) => "the exact product".to_string(),
        (FactorizationForm::Table, 1) => "1 product of one-operand functions".to_string(),
        (FactorizationForm::Table, rank) => format!("{rank} products of one-operand functions"),
        (FactorizationForm::Error, rank) => {
            format!("the exact product and {rank} of one-operand functions")
        }
    };
    format!(
        "{what}, factors up to {}, equal on {all}{pairs} pairs of codes",
        certificate.largest_factor()
    )
}
