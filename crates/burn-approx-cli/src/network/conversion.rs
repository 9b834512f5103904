//! How the layers of a recorded network get multipliers and quantisers.

use std::path::Path;

use approx_multiplier::{GradientRule, Multiplier};
use approx_onnx::{FileCodes, set_file_quantizers};
use burn_approx::{ApproxConfig, GraphTensors, LayerRule, approx_layers, convert};

use super::{Network, Recorded};
use crate::error::CliError;
use crate::files::read_json;

/// How the codes of a quantised file are used.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct FileQuantizers {
    /// Shift unsigned codes of a quantised file to signed ones: the same values by codes and zero points that are 128
    /// smaller (for 8 bits)
    #[arg(long, conflicts_with = "recalibrate")]
    pub shift_codes: bool,

    /// Leave the quantisers of a quantised file out and find ranges anew
    #[arg(long)]
    pub recalibrate: bool,
}

/// What the layers of a network multiply with.
#[derive(Clone, Copy)]
pub enum Choice<'a> {
    /// One multiplier for all.
    Multiplier(&'a Multiplier),
    /// What a configuration says.
    Config(&'a ApproxConfig),
    /// What the network was saved with.
    AsSaved,
}

/// A network on multipliers, not all of whose layers need have ranges.
pub struct Converted<I, O> {
    /// The network.
    pub network: Recorded<I, O>,
    /// How many of its layers have the quantisers of its file.
    pub quantized_by_file: usize,
    /// Whether every converted layer has its ranges.
    pub is_calibrated: bool,
}

impl Network {
    /// A recorded network on multipliers, with the quantisers that the file has or that it was saved with.
    pub fn convert<I: GraphTensors, O: GraphTensors>(
        &self,
        recorded: Recorded<I, O>,
        choice: Choice<'_>,
        quantizers: FileQuantizers,
    ) -> Result<Converted<I, O>, CliError> {
        let converted = match (choice, self.source.folder()) {
            (Choice::AsSaved, _) => recorded,
            (Choice::Multiplier(multiplier), Some(_)) => {
                for layer in &approx_layers(&recorded) {
                    if layer.is_converted() {
                        layer.set_multiplier(multiplier.clone())?;
                    }
                }
                recorded
            }
            (Choice::Multiplier(multiplier), None) => {
                convert(recorded, &ApproxConfig::for_multiplier(multiplier))?.0
            }
            (Choice::Config(config), None) => convert(recorded, config)?.0,
            (Choice::Config(config), Some(_)) => {
                let config = keeping_quantization(config, &recorded);
                convert(recorded, &config)?.0
            }
        };
        let layers = approx_layers(&converted);
        if !layers.iter().any(|layer| layer.is_converted()) {
            return Err(CliError::Usage(
                "no layer of the network is converted".to_string(),
            ));
        }
        let quantized_by_file = self.set_file_quantizers(&converted, quantizers)?;
        let is_calibrated = approx_layers(&converted)
            .iter()
            .all(|layer| !layer.is_converted() || layer.is_calibrated());
        Ok(Converted {
            network: converted,
            quantized_by_file,
            is_calibrated,
        })
    }

    /// Refuses options that say how a quantised file is used, where there is none.
    pub fn check(&self, quantizers: FileQuantizers) -> Result<(), CliError> {
        let option = match (quantizers.shift_codes, quantizers.recalibrate) {
            (false, false) => return Ok(()),
            (true, _) => "--shift-codes",
            (_, true) => "--recalibrate",
        };
        match self.file_quantizers().is_empty() {
            false => Ok(()),
            true => Err(CliError::Usage(format!(
                "{option} is for the quantisers of an ONNX file, and {} has none of those",
                self.source
            ))),
        }
    }

    /// Sets the quantisers of the network's file on the layers that have them, unless they are to be left out; how many
    /// layers these are.
    fn set_file_quantizers<I: GraphTensors, O: GraphTensors>(
        &self,
        converted: &Recorded<I, O>,
        quantizers: FileQuantizers,
    ) -> Result<usize, CliError> {
        let of_file = self.file_quantizers();
        if quantizers.recalibrate || of_file.is_empty() {
            return Ok(0);
        }
        let codes = match quantizers.shift_codes {
            true => FileCodes::Shifted,
            false => FileCodes::AsTheyAre,
        };
        let set = set_file_quantizers(converted, &of_file, codes).map_err(|error| {
            CliError::Usage(format!(
                "{error}\n--shift-codes gives the multiplier the same values by signed codes; --recalibrate leaves the \
                 file's quantisers out"
            ))
        })?;
        Ok(set.len())
    }
}

/// A configuration that leaves layers the quantisation that they were saved with, unless it has one of its own.
fn keeping_quantization<I: GraphTensors, O: GraphTensors>(
    config: &ApproxConfig,
    saved: &Recorded<I, O>,
) -> ApproxConfig {
    let is_explicit = config.quantization.is_some()
        || config.rules.iter().any(|rule| rule.quantization.is_some());
    let mut config = config.clone();
    if !is_explicit {
        config
            .rules
            .extend(approx_layers(saved).iter().filter_map(|layer| {
                let quantization = layer.settings()?.quantization;
                Some(LayerRule::layer(layer.path()).with_quantization(quantization))
            }));
    }
    config
}

impl<I, O> Converted<I, O> {
    /// The network with the ranges of all its layers: where some have none, `calibrate` finds them. Those that its file
    /// has stay.
    pub fn with_ranges(
        self,
        calibrate: impl FnOnce(&Recorded<I, O>) -> Result<(), CliError>,
    ) -> Result<Recorded<I, O>, CliError> {
        if !self.is_calibrated {
            calibrate(&self.network)?;
        }
        Ok(self.network)
    }

    /// What is to be said of the quantisers of its file, if it has any.
    pub fn note(&self) -> Option<String> {
        let count = self.quantized_by_file;
        (count > 0).then(|| format!("{count} layers have the quantisers of the file"))
    }
}

/// Sets the derivative that training uses in every converted layer.
pub fn set_gradient<I: GraphTensors, O: GraphTensors>(
    converted: &Recorded<I, O>,
    gradient: GradientRule,
) -> Result<(), CliError> {
    for layer in &approx_layers(converted) {
        if layer.is_converted() {
            layer.set_gradient(gradient)?;
        }
    }
    Ok(())
}

/// A configuration from its file.
pub fn read_config(path: &Path) -> Result<ApproxConfig, CliError> {
    read_json(path)
}
