//! `calibrate`: a network put on multipliers, with the ranges of its codes, kept in a folder.

use std::path::PathBuf;

use burn_approx::{approx_layers, convert::LayerTable};
use serde::Serialize;

use crate::classification::{Classification, ImageArgs};
use crate::error::CliError;
use crate::network::{ModelSource, NamedChoice};
use crate::output::Output;
use crate::run_folder;

/// Puts a network's layers on multipliers, finds the ranges of their codes on training images, and keeps the network in a
/// folder: a MODEL for `evaluate`, `run`, `retrain` and `export`.
///
/// A network is an ONNX file that classifies images, or an architecture with its weights (resnet18:weights.pth). Layers
/// that the file quantises keep its ranges.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  burn-approx calibrate resnet20.onnx --data cifar10 --multiplier mul8s_1L2J --output runs/resnet20\n  \
        burn-approx run runs/resnet20 --input x.npy --output y.npy"
)]
pub struct Args {
    /// The network
    #[arg(value_name = "MODEL")]
    model: ModelSource,

    #[command(flatten)]
    choice: NamedChoice,

    #[command(flatten)]
    images: ImageArgs,

    /// The folder to keep the network in
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,

    /// Replace a network that is in the folder already
    #[arg(long)]
    overwrite: bool,
}

#[derive(Serialize)]
struct Summary<'a> {
    output: &'a PathBuf,
    layers: Vec<Layer>,
}

#[derive(Serialize)]
struct Layer {
    path: String,
    kind: String,
    multiplier: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    if args.model.folder().is_some() {
        return Err(CliError::Usage(format!(
            "`{}` has its ranges already: name the file that it comes from",
            args.model
        )));
    }
    let chosen = args.choice.resolve(&args.model, output)?;
    run_folder::refuse(&args.model, &args.output, args.overwrite)?;
    let classification = Classification::read(&args.model, &args.images, output)?;
    let network = classification.on(chosen.choice())?;
    if args.overwrite {
        run_folder::clear(&args.output)?;
    }
    classification.save(&network, &args.output)?;
    let layers: LayerTable = approx_layers(&network);
    let summary = Summary {
        output: &args.output,
        layers: layers
            .iter()
            .map(|layer| Layer {
                path: layer.path().to_string(),
                kind: layer.kind().to_string(),
                multiplier: layer
                    .settings()
                    .map(|settings| settings.multiplier().name().to_string()),
            })
            .collect(),
    };
    output.result(
        &summary,
        format!("{layers}\nkept in {}", args.output.display()),
    )
}
