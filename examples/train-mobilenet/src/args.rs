//! The command line.

use std::path::PathBuf;

use approx_experiment::device::DeviceKind;
use approx_multiplier::{GradientRule, MultiplierSource};
use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};

/// Trains MobileNetV2, puts it on an approximate multiplier, retrains it, and reports its accuracy at every stage.
///
/// Without arguments: on handwritten digits that come with the program, on the CPU, in a few minutes.
#[derive(Debug, Clone, Default, Parser)]
#[command(
    version,
    args_override_self = true,
    after_help = "Exit codes: 0 done, 1 a fault on the way, 2 wrong arguments, 3 data that is missing or damaged."
)]
pub struct Args {
    /// The data set [default: digits, which come with the program]
    #[arg(long, value_enum)]
    pub dataset: Option<DatasetKind>,

    /// Where the data set is: MNIST's four IDX files (also .gz), CIFAR-10's binary files, or train/CLASS/ and
    /// test/CLASS/ with PNG or JPEG images
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Height and width that the images of a folder are scaled to [default: 64]
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<usize>,

    /// The multiplier: a name from EvoApproxLib (mul8s_1L2J), "exact", "htp:NAME", or a file of any kind that
    /// `burn-approx import` reads, a table (mine.csv, mine.npy:uint8:sign-magnitude) or a circuit (mine.v) [default:
    /// mul8s_1L2L]
    #[arg(long, value_name = "NAME|FILE")]
    pub multiplier: Option<MultiplierSource>,

    /// The derivative of the multiplier that retraining uses: straight_through, difference,
    /// difference:half_window=NUMBER, linear_regression, or custom for a multiplier that brings tables of its own [default: straight_through]
    #[arg(long, value_name = "RULE")]
    pub gradient: Option<GradientRule>,

    /// The layers that become approximate, by path: "blocks.*.depthwise.conv", "head.**"; may be given several times
    /// [default: all]
    #[arg(long, value_name = "PATTERN")]
    pub layers: Vec<String>,

    /// MobileNetV2's width multiplier [default: 0.25]
    #[arg(long)]
    pub width: Option<f64>,

    /// Epochs of training in floating point [default: by data set]
    #[arg(long)]
    pub epochs: Option<usize>,

    /// Epochs of retraining on the approximate multiplier; 0 leaves it out [default: by data set]
    #[arg(long)]
    pub retrain_epochs: Option<usize>,

    /// Images per batch, at least 2 [default: 64]
    #[arg(long)]
    pub batch_size: Option<usize>,

    /// Learning rate at the beginning of training [default: 0.006]
    #[arg(long)]
    pub learning_rate: Option<f64>,

    /// Learning rate at the beginning of retraining [default: 0.001]
    #[arg(long)]
    pub retrain_learning_rate: Option<f64>,

    /// Seed of the weights, the order of the images and their variations [default: 1]
    #[arg(long)]
    pub seed: Option<u64>,

    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    pub device: DeviceKind,

    /// How many devices of that kind train together, each on its share of every batch [default: 1]
    #[arg(long, value_name = "N")]
    pub devices: Option<usize>,

    /// Where checkpoints, models, report.json and accuracy.svg go
    #[arg(long, value_name = "DIR", default_value = "runs/train-mobilenet")]
    pub output: PathBuf,

    /// Write how often each code occurs in the approximate layers on the test images, for
    /// `burn-approx metrics --distribution`
    #[arg(long, value_name = "FILE.json")]
    pub trace: Option<PathBuf>,

    /// Go on with the run in the output directory, with its settings
    #[arg(long, conflicts_with = "overwrite")]
    pub resume: bool,

    /// Start anew even if the output directory holds a run that is not finished
    #[arg(long)]
    pub overwrite: bool,

    /// Show no progress
    #[arg(long)]
    pub quiet: bool,
}

/// The data sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatasetKind {
    /// 1,797 handwritten digits that come with the program
    #[default]
    Digits,
    /// MNIST, or a data set with its file names and format
    Mnist,
    /// CIFAR-10, binary version
    Cifar10,
    /// A folder of images
    Folder,
}

/// As it is named on the command line.
impl std::fmt::Display for DatasetKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.to_possible_value() {
            Some(value) => f.write_str(value.get_name()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
        let args = Args::try_parse_from([
            "train-mobilenet",
            "--layers",
            "stem.**",
            "--layers",
            "head.**",
            "--multiplier",
            "mul8s_1KVP",
        ])
        .unwrap();
        assert_eq!(args.layers.len(), 2);
        assert_eq!(args.device, DeviceKind::Cpu);
    }

    #[test]
    fn wrong_values_are_refused() {
        for wrong in [
            ["--multiplier", "mul8s_1L2"],
            ["--dataset", "imagenet"],
            ["--epochs", "-1"],
            ["--width", "wide"],
            ["--gradient", "difference:half_window=wide"],
        ] {
            let args = ["train-mobilenet", wrong[0], wrong[1]];
            assert_eq!(Args::try_parse_from(args).unwrap_err().exit_code(), 2);
        }
        assert!(Args::try_parse_from(["train-mobilenet", "--resume", "--overwrite"]).is_err());
    }
}
