//! What a multiplication takes, relative to a stated one, and everything that was assumed of it.

use std::collections::BTreeMap;
use std::fmt;

use approx_multiplier::{HardwareFigures, Multiplier};
use serde::{Deserialize, Serialize};

/// Which figure stands for the energy of a multiplication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum EnergyFigure {
    /// Power, as if all circuits were clocked alike.
    #[default]
    Power,
    /// Power times delay, as if each were clocked as fast as it can be.
    PowerDelay,
    /// Area, where no power is known: of two circuits in one technology, the larger one takes more.
    Area,
}

/// How energies are computed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct EnergySettings {
    /// Which figure is taken.
    pub figure: EnergyFigure,
    /// What the logic around an unsigned circuit takes that is used by sign and magnitude, in units of the baseline's
    /// multiplication.
    pub sign_magnitude_cost: f64,
    /// What goes with every multiplication, whatever the multiplier: its addition, its operands' way from memory; in units of
    /// the baseline's multiplication.
    pub fixed_cost: f64,
    /// The power of multipliers that do not bring their own, or that is to be taken instead, in milliwatts by name.
    pub power_mw: BTreeMap<String, f64>,
}

/// Energies and what they rest on.
#[derive(Debug, Clone, PartialEq)]
pub struct Energies {
    /// The energy of one multiplication, in units of that of the baseline.
    pub relative: Vec<f64>,
    /// What was assumed, in sentences.
    pub assumptions: Vec<String>,
}

/// Why energies are not known.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EnergyError {
    /// A multiplier without figures.
    #[error("the {figure} of `{multiplier}` is not known: {}", figure.remedy())]
    Unknown {
        /// The multiplier.
        multiplier: String,
        /// What is missing.
        figure: Figure,
    },
    /// A cost that is none.
    #[error("{what} is {value}; it must be a number of at least 0, and of a baseline above 0")]
    Cost {
        /// Whose.
        what: String,
        /// What was given.
        value: f64,
    },
    /// A power where it is not asked for.
    #[error("a power was given for `{given}`, and areas are compared")]
    Unused {
        /// The multiplier.
        given: String,
    },
    /// A power for a multiplier that is not explored.
    #[error("a power was given for `{given}`, which is none of the multipliers: {known}")]
    Stranger {
        /// The name.
        given: String,
        /// The multipliers.
        known: String,
    },
}

/// A figure of a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Its power, in milliwatts.
    Power,
    /// Its delay, in nanoseconds.
    Delay,
    /// Its area, in square micrometres.
    Area,
}

impl Figure {
    fn remedy(self) -> &'static str {
        match self {
            Self::Power => "say it, in milliwatts",
            Self::Delay => "without it, circuits can be compared by power or area",
            Self::Area => "read its netlist together with the areas of its cells",
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Power => "power",
            Self::Delay => "delay",
            Self::Area => "area",
        })
    }
}

/// The energy of one multiplication by each multiplier, relative to the baseline.
///
/// ```
/// use approx_experiment::exploration::energy::{EnergySettings, energies};
/// use approx_multiplier::evoapprox::multiplier;
///
/// let baseline = multiplier("mul8s_1KV6")?;
/// let found = energies(&baseline, &[baseline.clone(), multiplier("mul8s_1L2L")?], &EnergySettings::default())?;
/// assert_eq!(found.relative, [1.0, 0.2 / 0.425]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// A multiplier whose figures are not known, or a cost that is none.
pub fn energies(
    baseline: &Multiplier,
    multipliers: &[Multiplier],
    settings: &EnergySettings,
) -> Result<Energies, EnergyError> {
    let EnergySettings {
        figure,
        sign_magnitude_cost,
        fixed_cost,
        power_mw,
    } = settings;
    let given = power_mw
        .iter()
        .map(|(name, power)| (format!("the power of `{name}`"), *power));
    let costs = [
        (
            "the cost of sign and magnitude".to_string(),
            *sign_magnitude_cost,
        ),
        ("the fixed cost".to_string(), *fixed_cost),
    ];
    if let Some((what, value)) = costs
        .into_iter()
        .chain(given)
        .find(|(_, value)| !(*value >= 0.0 && value.is_finite()))
    {
        return Err(EnergyError::Cost { what, value });
    }
    let all = || multipliers.iter().chain([baseline]);
    if let Some(given) = power_mw
        .keys()
        .find(|name| all().all(|known| known.name() != *name))
    {
        let known: Vec<&str> = multipliers.iter().map(Multiplier::name).collect();
        return Err(EnergyError::Stranger {
            given: given.clone(),
            known: known.join(", "),
        });
    }
    if let (EnergyFigure::Area, Some(given)) = (figure, power_mw.keys().next()) {
        let given = given.clone();
        return Err(EnergyError::Unused { given });
    }
    let own = |multiplier: &Multiplier| figure.of(multiplier, power_mw);
    let unit = own(baseline)?;
    if unit == 0.0 {
        return Err(EnergyError::Cost {
            what: format!("the {figure} of the baseline `{}`", baseline.name()),
            value: unit,
        });
    }
    let relative = multipliers.iter().map(|multiplier| {
        let signs = if is_sign_magnitude(multiplier) {
            *sign_magnitude_cost
        } else {
            0.0
        };
        let relative = own(multiplier)? / unit;
        // Exactly the circuit's share where nothing else is counted.
        Ok(match *fixed_cost == 0.0 {
            true => relative + signs,
            false => (relative + signs + fixed_cost) / (1.0 + fixed_cost),
        })
    });
    Ok(Energies {
        relative: relative.collect::<Result<_, EnergyError>>()?,
        assumptions: assumptions(baseline, multipliers, settings, unit),
    })
}

/// What the energies rest on, in sentences.
fn assumptions(
    baseline: &Multiplier,
    multipliers: &[Multiplier],
    settings: &EnergySettings,
    unit: f64,
) -> Vec<String> {
    let (figure, name) = (settings.figure, baseline.name());
    let mut said = vec![
        format!(
            "The energy of a multiplication is the {figure} of its circuit, relative to {name} ({unit} {}).",
            figure.unit()
        ),
        "Every product of a layer is counted, products with 0 too; additions, memory and layers in float are not, unless a \
         fixed cost is given."
            .to_string(),
    ];
    let mut technologies: Vec<&str> = (multipliers.iter().chain([baseline]))
        .filter_map(|multiplier| Some(multiplier.hardware()?.technology.as_str()))
        .collect();
    technologies.sort_unstable();
    technologies.dedup();
    match technologies.as_slice() {
        [] => {}
        [one] => said.push(format!("Figures as published or given, for {one}.")),
        several => said.push(format!(
            "Figures are for different technologies ({}) and compared as they are.",
            several.join(", ")
        )),
    }
    if multipliers.iter().any(is_sign_magnitude) {
        said.push(format!(
            "Unsigned circuits used by sign and magnitude take {} of a {name} multiplication more for the logic of signs.",
            settings.sign_magnitude_cost
        ));
    }
    if settings.fixed_cost > 0.0 {
        said.push(format!(
            "Every multiplication takes {} of a {name} multiplication more, whatever the multiplier.",
            settings.fixed_cost
        ));
    }
    for (name, power) in &settings.power_mw {
        said.push(format!("The power of {name} was given as {power} mW."));
    }
    said
}

/// Whether a signed multiplier is an unsigned circuit with logic for signs around it.
fn is_sign_magnitude(multiplier: &Multiplier) -> bool {
    multiplier.name().ends_with(":sign-magnitude")
}

impl EnergyFigure {
    fn of(
        self,
        multiplier: &Multiplier,
        power_mw: &BTreeMap<String, f64>,
    ) -> Result<f64, EnergyError> {
        let hardware = multiplier.hardware();
        let known = |value: Option<f64>, figure| {
            // A circuit that has no gates takes no power.
            let value = value.filter(|value| *value >= 0.0);
            value.ok_or_else(|| EnergyError::Unknown {
                multiplier: multiplier.name().to_string(),
                figure,
            })
        };
        let published = |figure: fn(&HardwareFigures) -> Option<f64>| hardware.and_then(figure);
        let given = power_mw.get(multiplier.name()).copied();
        let power = || {
            known(
                given.or(published(|hardware| hardware.power_mw)),
                Figure::Power,
            )
        };
        match self {
            Self::Power => power(),
            Self::PowerDelay => {
                let delay = known(published(|hardware| hardware.delay_ns), Figure::Delay)?;
                Ok(power()? * delay)
            }
            Self::Area => known(published(|hardware| hardware.area_um2), Figure::Area),
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Power => "mW",
            Self::PowerDelay => "pJ",
            Self::Area => "um2",
        }
    }
}

impl fmt::Display for EnergyFigure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Power => "power",
            Self::PowerDelay => "power times the delay",
            Self::Area => "area",
        })
    }
}

#[cfg(test)]
mod tests {
    use approx_multiplier::evoapprox::multiplier;

    use super::*;

    fn found(names: &[&str], settings: &EnergySettings) -> Result<Energies, EnergyError> {
        let multipliers: Vec<Multiplier> = names
            .iter()
            .map(|name| match name.strip_suffix(":sign-magnitude") {
                Some(name) => multiplier(name).unwrap().sign_magnitude().unwrap(),
                None => multiplier(name).unwrap(),
            })
            .collect();
        energies(&multiplier("mul8s_1KV6").unwrap(), &multipliers, settings)
    }

    #[test]
    fn every_cost_is_counted_once_and_said() {
        let settings = EnergySettings {
            sign_magnitude_cost: 0.05,
            fixed_cost: 0.5,
            ..EnergySettings::default()
        };
        let names = ["mul8s_1KV6", "mul8s_1L2L", "mul8u_17C8:sign-magnitude"];
        let Energies {
            relative,
            assumptions,
        } = found(&names, &settings).unwrap();
        let power = |name: &str| {
            multiplier(name)
                .unwrap()
                .hardware()
                .unwrap()
                .power_mw
                .unwrap()
        };
        let unit = power("mul8s_1KV6");
        let expected = [
            1.0,
            (power("mul8s_1L2L") / unit + 0.5) / 1.5,
            (power("mul8u_17C8") / unit + 0.05 + 0.5) / 1.5,
        ];
        for (relative, expected) in relative.iter().zip(expected) {
            assert!((relative - expected).abs() < 1e-12, "{relative} {expected}");
        }
        let said = assumptions.join("\n");
        for word in ["mul8s_1KV6 (0.425 mW)", "0.05", "0.5", "45 nm"] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }

    #[test]
    fn power_times_delay_orders_by_both() {
        let settings = EnergySettings {
            figure: EnergyFigure::PowerDelay,
            ..EnergySettings::default()
        };
        let [relative] = found(&["mul8s_1L2L"], &settings).unwrap().relative[..] else {
            panic!("one multiplier was asked for");
        };
        let product = |name: &str| {
            let multiplier = multiplier(name).unwrap();
            let hardware = multiplier.hardware().unwrap();
            hardware.power_mw.unwrap() * hardware.delay_ns.unwrap()
        };
        let expected = product("mul8s_1L2L") / product("mul8s_1KV6");
        assert!((relative - expected).abs() < 1e-12);
    }

    #[test]
    fn areas_are_compared_where_they_are_asked_for() {
        let settings = EnergySettings {
            figure: EnergyFigure::Area,
            ..EnergySettings::default()
        };
        let area = |name: &str| {
            let multiplier = multiplier(name).unwrap();
            multiplier.hardware().unwrap().area_um2.unwrap()
        };
        let found = found(&["mul8s_1L2L"], &settings).unwrap();
        assert_eq!(found.relative, [area("mul8s_1L2L") / area("mul8s_1KV6")]);
        assert!(
            found.assumptions[0].contains("area"),
            "{:?}",
            found.assumptions
        );
    }

    #[test]
    fn what_is_not_known_is_asked_for() {
        let exact = multiplier("mul8s_1KV6").unwrap();
        let plain = Multiplier::exact(exact.activation(), exact.weight());
        let mut settings = EnergySettings::default();
        let error = energies(&exact, std::slice::from_ref(&plain), &settings).unwrap_err();
        assert!(matches!(error, EnergyError::Unknown { .. }), "{error}");
        settings.power_mw.insert(plain.name().to_string(), 0.85);
        let relative = energies(&exact, std::slice::from_ref(&plain), &settings)
            .unwrap()
            .relative;
        assert_eq!(relative, [2.0]);
        settings.power_mw.insert("nobody".to_string(), 0.1);
        let error = energies(&exact, std::slice::from_ref(&plain), &settings).unwrap_err();
        assert!(matches!(error, EnergyError::Stranger { .. }), "{error}");
        settings.power_mw.remove("nobody");
        settings.figure = EnergyFigure::Area;
        let error = energies(&exact, std::slice::from_ref(&plain), &settings).unwrap_err();
        assert!(matches!(error, EnergyError::Unused { .. }), "{error}");
        let negative = EnergySettings {
            fixed_cost: -1.0,
            ..EnergySettings::default()
        };
        assert!(matches!(
            found(&["mul8s_1L2L"], &negative),
            Err(EnergyError::Cost { .. })
        ));
    }
}
