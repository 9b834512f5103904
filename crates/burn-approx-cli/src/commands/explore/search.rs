//! How assignments are searched for, as the command line says.

use std::fmt;
use std::path::PathBuf;

use approx_explore::evaluator::Evaluator;
use approx_explore::front::Front;
use approx_explore::measure::Measure;
use approx_explore::search::{self, SearchError, Settings};
use approx_explore::sensitivity::Sensitivity;
use clap::ValueEnum;

use super::chosen::not_negative;
use crate::classification::at_least_one;
use crate::error::CliError;

/// How assignments are searched for.
#[derive(Debug, clap::Args)]
pub struct SearchArgs {
    /// How assignments are found
    #[arg(long, value_enum, default_value_t, help_heading = SEARCH)]
    pub method: Method,

    /// How many images are measured at most after the sensitivities, one assignment each
    #[arg(long, value_name = "N", help_heading = SEARCH)]
    pub budget: Option<u64>,

    /// How many validation images make up a block, which is measured as a whole
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = at_least_one, help_heading = SEARCH)]
    pub block: usize,

    /// How many blocks sensitivities are measured on
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = at_least_one, help_heading = SEARCH)]
    pub sensitivity_blocks: usize,

    /// How many points of accuracy below the exact network assignments are still looked for
    #[arg(long, value_name = "POINTS", default_value_t = 20.0, value_parser = not_negative, allow_negative_numbers = true, help_heading = SEARCH)]
    pub depth: f64,

    /// Spread measurements over so many devices of the kind that --device names
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one, help_heading = SEARCH)]
    pub devices: usize,

    /// Measure this share of what is needed, the I-th of N from 0, for a job of a cluster; the journals of all are then joined
    #[arg(long, value_name = "I/N", value_parser = shard, help_heading = SEARCH)]
    pub shard: Option<(usize, usize)>,

    /// The journal of another shard, to go on from what it measured; may be given several times
    #[arg(long, value_name = "FILE.jsonl", help_heading = SEARCH)]
    pub join: Vec<PathBuf>,
}

const SEARCH: &str = "Search";

/// How assignments are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Method {
    /// The knapsack of the layers' losses, corrected by what is measured
    #[default]
    Additive,
    /// One multiplier in all layers
    Uniform,
    /// Drawn at random
    Random,
    /// NSGA-II, an evolutionary algorithm
    Nsga2,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Additive => "additive",
            Self::Uniform => "uniform",
            Self::Random => "random",
            Self::Nsga2 => "nsga2",
        })
    }
}

fn shard(text: &str) -> Result<(usize, usize), String> {
    let problem = || format!("`{text}` is no share such as 0/4, the first of four");
    let (shard, shards) = text.split_once('/').ok_or_else(problem)?;
    let number = |text: &str| text.parse::<usize>().map_err(|_| problem());
    let (shard, shards) = (number(shard)?, number(shards)?);
    match shard < shards {
        true => Ok((shard, shards)),
        false => Err(problem()),
    }
}

impl SearchArgs {
    /// On how many of so many blocks sensitivities are measured.
    pub fn sensitivity_blocks(&self, blocks: usize) -> usize {
        self.sensitivity_blocks.min(blocks)
    }

    /// The evaluator of this shard.
    pub fn of_shard<M: Measure>(&self, evaluator: Evaluator<M>) -> Result<Evaluator<M>, CliError>
    where
        M::Error: fmt::Display,
    {
        match self.shard {
            Some((shard, shards)) => {
                let evaluator = evaluator.with_shard(shard, shards);
                evaluator.map_err(|error| CliError::Usage(error.to_string()))
            }
            None => Ok(evaluator),
        }
    }

    /// The front that the method finds.
    pub fn front<M: Measure>(
        &self,
        evaluator: &mut Evaluator<M>,
        sensitivity: &Sensitivity,
        seed: u64,
    ) -> Result<Front, SearchError<M::Error>> {
        let settings = Settings::default()
            .with_seed(seed)
            .with_drop(self.depth)
            .with_sensitivity(sensitivity.clone());
        // Those that would end by themselves go on until the budget is spent.
        let whole = evaluator.images(evaluator.blocks()).max(1);
        let settings = match evaluator.left() {
            Some(left) => {
                let affordable = (left / whole) as usize + 1;
                let generations = affordable.div_ceil(POPULATION);
                let settings = settings.with_samples(affordable);
                settings.with_population(POPULATION, generations)
            }
            None => settings,
        };
        match self.method {
            Method::Additive => search::additive(evaluator, &settings),
            Method::Uniform => search::uniform(evaluator, &settings),
            Method::Random => search::random(evaluator, &settings),
            Method::Nsga2 => search::nsga2(evaluator, &settings),
        }
    }
}

/// The individuals of a generation of NSGA-II.
const POPULATION: usize = 40;
