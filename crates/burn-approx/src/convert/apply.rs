//! The conversion pass.

use burn::module::Module;

use super::config::ApproxConfig;
use super::walk::Walk;
use crate::error::ApproxError;
use crate::nn::Converted;

/// What a conversion did, as paths in the order of the model's fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConversionReport {
    /// The layers that are converted now.
    pub converted: Vec<String>,
    /// The drop-in layers that the configuration leaves in float.
    pub excluded: Vec<String>,
    /// Layers of `burn::nn` beside the drop-ins, which stay in float because they cannot be converted.
    pub plain: Vec<String>,
}

/// Switches the drop-in layers of a finished model as a configuration says; weights stay untouched.
///
/// Layers are found through nested structs, `Vec`, `Option`, arrays, tuples and enums. A second conversion changes
/// settings and keeps what was observed: quantisers are derived again from the observed ranges where codes or symmetry
/// changed, and only another kind of observer or another granularity starts from nothing. A layer that the
/// configuration excludes goes back to being unconverted. On an error nothing has changed. Converting a clone leaves
/// the original as it was.
///
/// # Errors
/// A pattern that matches no layer, a multiplier that cannot be had, codes that it does not have, or a model without
/// drop-in layers.
///
/// ```
/// use burn::prelude::*;
/// use burn_approx::convert::{ApproxConfig, convert};
/// use burn_approx::nn::{Linear, LinearConfig};
///
/// #[derive(Module, Debug)]
/// struct Model {
///     hidden: Linear,
///     output: Linear,
/// }
///
/// let device = Device::default();
/// let model = Model { hidden: LinearConfig::new(8, 4).init(&device), output: LinearConfig::new(4, 2).init(&device) };
/// let (model, report) = convert(model, &ApproxConfig::bundled("mul8s_1L2J").with_exclude_last(true))?;
/// assert_eq!(report.converted, ["hidden"]);
/// assert_eq!(report.excluded, ["output"]);
/// # Ok::<(), burn_approx::ApproxError>(())
/// ```
pub fn convert<M: Module>(
    model: M,
    config: &ApproxConfig,
) -> Result<(M, ConversionReport), ApproxError> {
    let walk = Walk::through(&model);
    if walk.layers.is_empty() {
        return Err(ApproxError::NothingToConvert { plain: walk.plain });
    }
    let layers: Vec<_> = walk
        .layers
        .iter()
        .map(|found| (found.path.as_str(), found.state.kind))
        .collect();
    let resolved = config.resolve(&layers)?;
    let next = walk
        .layers
        .iter()
        .zip(resolved)
        .map(|(found, settings)| {
            let before = found.state.lock();
            let converted = |settings| {
                let shape = &found.state.shape();
                Converted::new(
                    found.path.clone(),
                    settings,
                    shape,
                    &found.device,
                    before.as_ref(),
                )
            };
            settings.map(converted).transpose()
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut report = ConversionReport {
        plain: walk.plain,
        ..ConversionReport::default()
    };
    for (found, next) in walk.layers.iter().zip(next) {
        let paths = match &next {
            Some(_) => &mut report.converted,
            None => &mut report.excluded,
        };
        paths.push(found.path.clone());
        *found.state.lock() = next;
    }
    for path in &report.plain {
        tracing::info!("layer `{path}` is Burn's own and stays in float");
    }
    Ok((model, report))
}
