//! What is chosen among: the network's layers and what binds them, as the command line says.

use std::collections::BTreeMap;
use std::path::PathBuf;

use approx_experiment::exploration::energy::{
    Energies, EnergyError, EnergyFigure, EnergySettings, Figure, energies,
};
use approx_explore::space::{Choice, Group, Layer, Space, SpaceError};
use approx_multiplier::{Definition, ErrorMetrics, Multiplier, OperandFormat};
use burn::tensor::Tensor;
use burn_approx::LayerTable;
use globset::{GlobBuilder, GlobMatcher};

use crate::classification::Classifier;
use crate::error::CliError;
use crate::network::graphs;
use crate::output::Output;
use crate::spec::{FileOptions, ProgramOptions, options_for, resolve, resolve_all};

/// Multipliers, what they take, and which layer may have which.
#[derive(Debug, clap::Args)]
pub struct SpaceArgs {
    /// A multiplier to choose from: a name, a file, or all of the library's that a pattern names ('mul8s_*', and
    /// 'mul8u_*:sign-magnitude' for unsigned circuits with logic for signs); may be given several times
    #[arg(
        long = "multipliers",
        alias = "multiplier",
        value_name = "SPEC|PATTERN",
        required = true
    )]
    pub multipliers: Vec<String>,

    #[command(flatten)]
    pub program: ProgramOptions,

    /// The exact multiplier that energies are relative to, and that layers have which are to stay exact
    #[arg(long, value_name = "SPEC", default_value = "mul8s_1KV6", help_heading = ENERGY)]
    pub baseline: String,

    /// Which figure of a circuit stands for its energy
    #[arg(long, value_enum, default_value_t, help_heading = ENERGY)]
    pub energy_figure: EnergyFigure,

    /// The cells that multipliers in Verilog are made of, as a Liberty file: their areas add up to a multiplier's, for
    /// --energy-figure area
    #[arg(long, value_name = "FILE.lib", help_heading = ENERGY)]
    pub cells: Option<PathBuf>,

    /// What the logic for signs takes around unsigned circuits, in multiplications of the baseline
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, allow_negative_numbers = true, help_heading = ENERGY)]
    pub sign_magnitude_cost: f64,

    /// What goes with every multiplication whatever the multiplier, such as its addition, in multiplications of the baseline
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, allow_negative_numbers = true, help_heading = ENERGY)]
    pub fixed_cost: f64,

    /// The power of a multiplier that brings none, in milliwatts: mine=0.21; may be given several times
    #[arg(long, value_name = "NAME=MILLIWATTS", value_parser = named_power, help_heading = ENERGY)]
    pub power: Vec<(String, f64)>,

    /// Layers that must have one multiplier in common, by a pattern of their paths ('layer1.**'); may be given several times
    #[arg(long, value_name = "PATTERN", help_heading = LAYERS)]
    pub tie: Vec<String>,

    /// Layers that stay exact; may be given several times
    #[arg(long, value_name = "PATTERN", help_heading = LAYERS)]
    pub exact: Vec<String>,

    /// The first layer stays exact
    #[arg(long, help_heading = LAYERS)]
    pub exact_first: bool,

    /// The last layer stays exact
    #[arg(long, help_heading = LAYERS)]
    pub exact_last: bool,

    /// What layers may have besides the exact multiplier: 'layer3.**=mul8s_1L2J,mul8s_1KVP'; may be given several times, and
    /// the last that names a layer counts
    #[arg(long, value_name = "PATTERN=NAME,..", value_parser = allowed, help_heading = LAYERS)]
    pub allow: Vec<Allowed>,

    /// The most different multipliers in one network, the exact one among them if it is used
    #[arg(long, value_name = "N", help_heading = LAYERS)]
    pub most: Option<usize>,
}

const ENERGY: &str = "Energy";
const LAYERS: &str = "Which layer may have what";

/// What the layers of a pattern may have.
#[derive(Debug, Clone)]
pub struct Allowed {
    pattern: String,
    names: Vec<String>,
}

fn allowed(text: &str) -> Result<Allowed, String> {
    let (pattern, names) = text
        .split_once('=')
        .ok_or("this is no PATTERN=NAME,.. such as 'layer3.**=mul8s_1L2J'")?;
    Ok(Allowed {
        pattern: pattern.to_string(),
        names: names
            .split(',')
            .map(|name| name.trim().to_string())
            .collect(),
    })
}

fn named_power(text: &str) -> Result<(String, f64), String> {
    let (name, power) = text
        .rsplit_once('=')
        .ok_or("this is no NAME=MILLIWATTS such as mine=0.21")?;
    match power.parse() {
        Ok(power) => Ok((name.to_string(), power)),
        Err(_) => Err(format!("`{power}` is no number of milliwatts")),
    }
}

/// The multipliers of a search, the exact one first, and what they take.
pub struct Multipliers {
    pub all: Vec<Multiplier>,
    pub energies: Energies,
}

impl SpaceArgs {
    /// How energies are computed.
    pub fn energy_settings(&self) -> EnergySettings {
        EnergySettings {
            figure: self.energy_figure,
            sign_magnitude_cost: self.sign_magnitude_cost,
            fixed_cost: self.fixed_cost,
            power_mw: self.power.iter().cloned().collect::<BTreeMap<_, _>>(),
        }
    }

    /// Resolves the multipliers; of those that compute the same, the cheapest.
    pub fn resolve(&self, output: Output) -> Result<Multipliers, CliError> {
        let usage = |problem: String| CliError::Usage(problem);
        let files = FileOptions {
            cells: self.cells.clone(),
            ..self.program.as_file_options()
        };
        // Whether a multiplier has cells or not.
        files.import_options()?;
        let named: Vec<&String> = self.multipliers.iter().chain([&self.baseline]).collect();
        let options = options_for(&self.baseline, &named, &files);
        let baseline = resolve(&self.baseline, &options, output)?;
        if !is_exact(&baseline)? {
            return Err(usage(format!(
                "the baseline `{}` is not exact: name an exact multiplier with --baseline",
                baseline.name()
            )));
        }
        let formats = |multiplier: &Multiplier| (multiplier.activation(), multiplier.weight());
        let mut all = vec![baseline.clone()];
        for multiplier in resolve_all(&self.multipliers, &[&self.baseline], &files, output)? {
            if formats(&multiplier) != formats(&baseline) {
                let signed = |format: OperandFormat| OperandFormat::signed(format.bits()).ok();
                let (activation, weight) = formats(&multiplier);
                let is_unsigned = !activation.is_signed() && !weight.is_signed();
                let would_fit = (signed(activation), signed(weight))
                    == (Some(baseline.activation()), Some(baseline.weight()));
                let advice = match is_unsigned && would_fit {
                    true => {
                        ": an unsigned circuit takes signed codes by sign and magnitude, as NAME:sign-magnitude"
                    }
                    false => "; --baseline names an exact multiplier of other operands",
                };
                return Err(usage(format!(
                    "`{}` multiplies {} by {}, and the baseline `{}` {} by {}{advice}",
                    multiplier.name(),
                    multiplier.activation(),
                    multiplier.weight(),
                    baseline.name(),
                    baseline.activation(),
                    baseline.weight(),
                )));
            }
            let namesake = all.iter().find(|known| {
                known.name() == multiplier.name() && known.hash() != multiplier.hash()
            });
            if namesake.is_some() {
                return Err(usage(format!(
                    "two different multipliers are called `{}`: give one another name (`burn-approx import FILE --name NAME`)",
                    multiplier.name()
                )));
            }
            all.push(multiplier);
        }
        let settings = self.energy_settings();
        let known = energies(&baseline, &all, &settings);
        let known = known.map_err(|error| {
            let option = match &error {
                EnergyError::Unknown { figure, .. } => match figure {
                    Figure::Power => " (--power)",
                    Figure::Delay => " (--energy-figure)",
                    Figure::Area => " (--cells)",
                },
                EnergyError::Stranger { .. } | EnergyError::Unused { .. } => " (--power)",
                EnergyError::Cost { .. } => "",
            };
            usage(format!("{error}{option}"))
        })?;
        let mut kept: Vec<usize> = vec![0];
        for number in 1..all.len() {
            let (hash, energy) = (all[number].hash(), known.relative[number]);
            // An exact circuit that takes less than the baseline is worth having.
            if hash == baseline.hash() && energy >= known.relative[0] {
                continue;
            }
            let same = kept
                .iter()
                .skip(1)
                .position(|other| all[*other].hash() == hash);
            match same.map(|same| &mut kept[same + 1]) {
                None => kept.push(number),
                Some(same) if energy < known.relative[*same] => *same = number,
                Some(_) => {}
            }
        }
        Ok(Multipliers {
            energies: Energies {
                relative: kept.iter().map(|number| known.relative[*number]).collect(),
                assumptions: known.assumptions,
            },
            all: kept.into_iter().map(|number| all[number].clone()).collect(),
        })
    }

    /// The space of a network's converted layers, in the order in which it computes them.
    pub fn space(
        &self,
        network: &Classifier,
        table: &LayerTable,
        images: Tensor<4>,
        multipliers: &Multipliers,
    ) -> Result<Space, CliError> {
        let layers: Vec<Layer> = (in_order(network, table, images)?.into_iter())
            .filter_map(|path| {
                let layer = table.get(&path).filter(|layer| layer.is_converted())?;
                Some(Layer {
                    multiplications: layer.multiplications().unwrap_or(0),
                    path,
                })
            })
            .collect();
        let choices = (multipliers.all.iter().zip(&multipliers.energies.relative)).map(
            |(multiplier, energy)| Choice {
                name: multiplier.name().to_string(),
                hash: multiplier.hash().to_string(),
                energy: *energy,
            },
        );
        let groups = self.groups(&layers, &multipliers.all)?;
        let space = Space::new(layers, choices.collect()).and_then(|space| {
            let space = space.with_groups(groups)?;
            match self.most {
                Some(most) => space.with_most_multipliers(most),
                None => Ok(space),
            }
        });
        space.map_err(|error: SpaceError| CliError::Usage(error.to_string()))
    }

    fn groups(&self, layers: &[Layer], multipliers: &[Multiplier]) -> Result<Vec<Group>, CliError> {
        let mut group_of: Vec<usize> = (0..layers.len()).collect();
        for pattern in &self.tie {
            let tied = selected(pattern, layers, "--tie")?;
            for layer in &tied {
                let (from, to) = (group_of[*layer], group_of[tied[0]]);
                group_of
                    .iter_mut()
                    .filter(|group| **group == from)
                    .for_each(|group| *group = to);
            }
        }
        let all: Vec<usize> = (0..multipliers.len()).collect();
        let mut choices = vec![all; layers.len()];
        for Allowed { pattern, names } in &self.allow {
            let mut numbers = vec![0];
            for name in names {
                let number = multipliers.iter().position(|known| known.name() == name);
                numbers.push(number.ok_or_else(|| {
                    let known: Vec<&str> = multipliers.iter().map(Multiplier::name).collect();
                    CliError::Usage(format!(
                        "--allow names `{name}`, which is none of the multipliers: {}",
                        known.join(", ")
                    ))
                })?);
            }
            numbers.sort_unstable();
            numbers.dedup();
            for layer in selected(pattern, layers, "--allow")? {
                choices[layer].clone_from(&numbers);
            }
        }
        let mut exact = Vec::new();
        for pattern in &self.exact {
            exact.extend(selected(pattern, layers, "--exact")?);
        }
        exact.extend(Some(0).filter(|_| self.exact_first));
        exact.extend(layers.len().checked_sub(1).filter(|_| self.exact_last));
        for layer in exact {
            choices[layer] = vec![0];
        }
        let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
        for (layer, group) in group_of.into_iter().enumerate() {
            let own = std::mem::take(&mut choices[layer]);
            let group = groups.entry(group).or_insert_with(|| Group {
                layers: Vec::new(),
                choices: own.clone(),
            });
            // What all of them may have.
            group.choices.retain(|choice| own.contains(choice));
            group.layers.push(layer);
        }
        Ok(groups.into_values().collect())
    }
}

/// Whether a multiplier makes no error.
fn is_exact(multiplier: &Multiplier) -> Result<bool, CliError> {
    if matches!(multiplier.definition(), Definition::Exact) {
        return Ok(true);
    }
    let bits = u32::from(multiplier.activation().bits()) + u32::from(multiplier.weight().bits());
    match bits <= MEASURED_BITS {
        true => Ok(ErrorMetrics::measure(multiplier)?.wce == 0.0),
        false => Err(CliError::Usage(format!(
            "whether the baseline `{}` is exact is not known for so many operands: name `exact:..` with --baseline and its \
             power with --power",
            multiplier.name()
        ))),
    }
}

/// Of multipliers with at most so many bits of both operands, all products are compared.
const MEASURED_BITS: u32 = 24;

/// The layers that a pattern selects.
fn selected(pattern: &str, layers: &[Layer], option: &str) -> Result<Vec<usize>, CliError> {
    let matcher = matcher(pattern)?;
    let numbers = layers.iter().enumerate();
    let numbers = numbers.filter(|(_, layer)| matcher.is_match(layer.path.replace('.', "/")));
    let numbers: Vec<usize> = numbers.map(|(number, _)| number).collect();
    match numbers.is_empty() {
        false => Ok(numbers),
        true => Err(CliError::Usage(format!(
            "{option} {pattern} selects no layer; `burn-approx inspect` shows them"
        ))),
    }
}

/// A pattern over the components of a path, as in a configuration.
fn matcher(pattern: &str) -> Result<GlobMatcher, CliError> {
    let glob = GlobBuilder::new(&pattern.replace('.', "/"))
        .literal_separator(true)
        .build();
    let glob = glob.map_err(|error| CliError::Usage(error.to_string()))?;
    Ok(glob.compile_matcher())
}

/// The paths of a network's layers in the order in which it computes them, as far as that is known.
fn in_order(
    network: &Classifier,
    table: &LayerTable,
    images: Tensor<4>,
) -> Result<Vec<String>, CliError> {
    let Some(graphs) = graphs(&[network]) else {
        return Ok(table.iter().map(|layer| layer.path().to_string()).collect());
    };
    let mut pass = graphs[0].begin(images)?;
    let mut paths: Vec<String> = Vec::new();
    loop {
        let next = pass.next_layers();
        if next.is_empty() {
            return Ok(paths);
        }
        pass.run_layers()?;
        // A weight that is used several times is one layer.
        let new = next.into_iter().filter(|path| !paths.contains(path));
        let new: Vec<String> = new.collect();
        paths.extend(new);
    }
}
