//! What the command line says a network's layers multiply with.

use std::path::PathBuf;

use approx_experiment::report::{MultiplierSummary, Subject};
use approx_multiplier::Multiplier;
use burn_approx::ApproxConfig;

use super::{Choice, ModelSource, read_config};
use crate::error::CliError;
use crate::output::Output;
use crate::spec::{ProgramOptions, resolve};

/// One multiplier for all layers, or a configuration.
#[derive(Debug, clap::Args)]
pub struct NamedChoice {
    /// The multiplier of every layer
    #[arg(long, value_name = "SPEC", conflicts_with = "config")]
    pub multiplier: Option<String>,

    #[command(flatten)]
    pub program: ProgramOptions,

    /// A configuration: which layers have which multiplier
    #[arg(long, value_name = "FILE.json")]
    pub config: Option<PathBuf>,
}

/// What was named.
pub enum Chosen {
    /// One multiplier.
    Multiplier(Box<Multiplier>),
    /// A configuration, and what it is called.
    Config(Box<ApproxConfig>, String),
    /// What the network was saved with.
    AsSaved,
}

impl NamedChoice {
    /// Whether a multiplier or a configuration is named. What is said of a multiplier must be said of one.
    pub fn is_named(&self) -> Result<bool, CliError> {
        let is_multiplier = self.multiplier.is_some();
        self.program.expect_multiplier(is_multiplier)?;
        Ok(is_multiplier || self.config.is_some())
    }

    /// What is named; nothing need be for a network that was saved with multipliers.
    pub fn resolve(&self, model: &ModelSource, output: Output) -> Result<Chosen, CliError> {
        self.is_named()?;
        Ok(match (&self.multiplier, &self.config, model.folder()) {
            (Some(spec), _, _) => {
                let options = self.program.as_file_options();
                Chosen::Multiplier(Box::new(resolve(spec, &options, output)?))
            }
            (None, Some(path), _) => {
                Chosen::Config(Box::new(read_config(path)?), path.display().to_string())
            }
            (None, None, Some(_)) => Chosen::AsSaved,
            (None, None, None) => {
                return Err(CliError::Usage(
                    "name a multiplier with --multiplier, or a configuration with --config"
                        .to_string(),
                ));
            }
        })
    }
}

impl Chosen {
    /// As networks are converted by it.
    pub fn choice(&self) -> Choice<'_> {
        match self {
            Self::Multiplier(multiplier) => Choice::Multiplier(multiplier),
            Self::Config(config, _) => Choice::Config(config),
            Self::AsSaved => Choice::AsSaved,
        }
    }

    /// As reports have it.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Multiplier(multiplier) => Subject::Multiplier(MultiplierSummary::of(multiplier)),
            Self::Config(_, name) => Subject::Configuration(name.clone()),
            Self::AsSaved => Subject::Configuration("as it was saved".to_string()),
        }
    }

    /// What it is, so that a resumed run can tell whether it is the same.
    pub fn content(&self) -> Result<serde_json::Value, CliError> {
        let value = match self {
            Self::Multiplier(multiplier) => serde_json::to_value(MultiplierSummary::of(multiplier)),
            Self::Config(config, _) => serde_json::to_value(config),
            Self::AsSaved => Ok(serde_json::Value::Null),
        };
        value.map_err(|error| CliError::Usage(error.to_string()))
    }
}
