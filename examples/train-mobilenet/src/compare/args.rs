//! The command line.

use std::path::PathBuf;

use approx_multiplier::{GradientRule, MultiplierSource};
use clap::Parser;

/// Retrains a ResNet-20 on several approximate multipliers with every gradient, and reports what each is worth.
///
/// What was measured is kept in the output directory after every run: called again with the same settings, the program
/// goes on with the runs that are missing.
#[derive(Debug, Clone, Parser)]
#[command(
    version,
    args_override_self = true,
    after_help = "Exit codes: 0 done, 1 a fault on the way, 2 wrong arguments, 3 data that is missing or damaged."
)]
pub struct Args {
    /// The images: train/CLASS/ and test/CLASS/ with PNG or JPEG files
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,

    /// Height and width that the images are scaled to
    #[arg(long, value_name = "PIXELS", default_value_t = 32)]
    pub image_size: usize,

    /// How many training images are used, spread evenly over the classes [default: all]
    #[arg(long, value_name = "N")]
    pub train_images: Option<usize>,

    /// Weights to begin with: a state dict of a ResNet-20 for CIFAR-10, .pth or .safetensors [default: random ones]
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,

    /// Where in the file of weights the state dict is, if not at the top
    #[arg(long, value_name = "KEY", requires = "weights")]
    pub weights_key: Option<String>,

    /// Epochs of training in floating point before anything is approximated
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub float_epochs: usize,

    /// Epochs of retraining
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub epochs: usize,

    /// The multipliers, by name or file; several times
    #[arg(
        long = "multiplier",
        value_name = "NAME|FILE",
        default_values = ["mul8s_1KV9", "mul8s_1L2J", "mul8s_1KX5", "mul8s_1L2L", "mul8s_1L2N", "mul8s_1L12"]
    )]
    pub multipliers: Vec<MultiplierSource>,

    /// The gradients: straight_through, difference, difference:half_window=NUMBER, linear_regression, or custom for
    /// multipliers with tables of their own; several times
    #[arg(
        long = "gradient",
        value_name = "RULE",
        default_values = ["straight_through", "linear_regression", "difference"]
    )]
    pub gradients: Vec<GradientRule>,

    /// The seeds of the order of the images and of their variations in retraining; several times
    #[arg(long = "seed", value_name = "N", default_values_t = [1, 2])]
    pub seeds: Vec<u64>,

    /// Images per batch, at least 2
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub batch_size: usize,

    /// Learning rate at the beginning of every epoch; within the epoch it falls to zero along a cosine
    #[arg(long, value_name = "RATE", default_value_t = 0.01)]
    pub learning_rate: f64,

    /// Where the results go
    #[arg(long, value_name = "DIR", default_value = "runs/compare-gradients")]
    pub output: PathBuf,

    /// Show no progress
    #[arg(long)]
    pub quiet: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
        let args = Args::try_parse_from(["compare-gradients", "--data", "images"]).unwrap();
        assert_eq!(args.multipliers.len(), 6);
        assert_eq!(args.gradients.len(), 3);
        let wrong = [
            "compare-gradients",
            "--data",
            "images",
            "--gradient",
            "steep",
        ];
        assert_eq!(Args::try_parse_from(wrong).unwrap_err().exit_code(), 2);
    }
}
