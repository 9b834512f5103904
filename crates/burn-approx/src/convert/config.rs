//! The configuration of a conversion, made to be written by hand and to be saved beside a model.

use approx_multiplier::import::Imported;
use approx_multiplier::{GradientRule, Multiplier, MultiplierSource};
use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};

use crate::codes::LayerQuantization;
use crate::error::ApproxError;
use crate::multiplier::PreparedMultiplier;
use crate::nn::{LayerKind, LayerSettings, Mode, Noise};
use crate::plan::PlanChoice;

/// What to do with the layers of a model.
///
/// The settings at the top hold for every layer; rules, in order, override them for the layers that they select.
///
/// ```
/// use burn_approx::Mode;
/// use burn_approx::convert::{ApproxConfig, LayerRule};
///
/// let config = ApproxConfig::bundled("mul8s_1L2J")
///     .with_rule(LayerRule::path("features.*").with_mode(Mode::Quantized))
///     .with_exclude_last(true);
/// let text = serde_json::to_string(&config)?;
/// assert_eq!(serde_json::from_str::<ApproxConfig>(&text)?, config);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproxConfig {
    /// The multiplier of every layer without another.
    pub multiplier: MultiplierSource,
    /// An HTP model that wins over the multiplier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub htp_model: Option<MultiplierSource>,
    /// The mode to run in.
    #[serde(default)]
    pub mode: Mode,
    /// The quantisation; by default [`LayerQuantization::for_multiplier`] of each layer's multiplier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<LayerQuantization>,
    /// The noise of mode NOISE.
    #[serde(default)]
    pub noise: Noise,
    /// By which plan APPROXIMATE computes.
    #[serde(default)]
    pub plan: PlanChoice,
    /// Which derivative of the multiplier training uses in mode APPROXIMATE.
    #[serde(default)]
    pub gradient: GradientRule,
    /// Leaves the first layer (in the order of the model's fields) as it is.
    #[serde(default)]
    pub exclude_first: bool,
    /// Leaves the last layer as it is.
    #[serde(default)]
    pub exclude_last: bool,
    /// Exceptions for some layers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<LayerRule>,
}

/// Other settings for the layers that a path pattern and a kind select.
///
/// A pattern is a glob over the path's components: `*` stands for any part of one component, `**` for any number of
/// components, so `features.*.conv` and `**.conv1` are patterns.
///
/// ```
/// use burn_approx::nn::LayerKind;
/// use burn_approx::{LayerRule, Mode};
///
/// let convolutions = LayerRule::path("features.**").with_kind(LayerKind::Conv2d).with_mode(Mode::Quantized);
/// let text = serde_json::to_string(&convolutions)?;
/// assert_eq!(text, r#"{"path":"features.**","kind":"conv2d","mode":"quantized"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LayerRule {
    /// The pattern; every path if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The kind; any if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<LayerKind>,
    /// Leaves the layers in float, unconverted (`true`), or takes back an earlier rule that did (`false`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<bool>,
    /// Another multiplier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multiplier: Option<MultiplierSource>,
    /// Another HTP model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub htp_model: Option<MultiplierSource>,
    /// Another mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Another quantisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantization: Option<LayerQuantization>,
    /// Other noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<Noise>,
    /// Another plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanChoice>,
    /// Another gradient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradient: Option<GradientRule>,
}

impl LayerRule {
    /// A rule for the layers whose path matches a pattern, of any kind.
    pub fn path(pattern: impl Into<String>) -> Self {
        Self {
            path: Some(pattern.into()),
            ..Self::default()
        }
    }

    /// A rule for the layer at this very path, whatever characters are in it.
    ///
    /// ```
    /// use burn_approx::LayerRule;
    ///
    /// assert_eq!(LayerRule::layer("blocks.0").path.as_deref(), Some("blocks.0"));
    /// assert_eq!(LayerRule::layer("a[0]").path.as_deref(), Some("a[[]0[]]"));
    /// ```
    pub fn layer(path: &str) -> Self {
        let special = |character: char| "*?[]{}!\\".contains(character);
        let pattern = path.chars().map(|character| match special(character) {
            true => format!("[{character}]"),
            false => character.to_string(),
        });
        Self::path(pattern.collect::<String>())
    }

    /// A rule for the layers of one kind, at any path.
    pub fn kind(kind: LayerKind) -> Self {
        Self {
            kind: Some(kind),
            ..Self::default()
        }
    }

    /// Selects only layers of this kind.
    pub fn with_kind(self, kind: LayerKind) -> Self {
        Self {
            kind: Some(kind),
            ..self
        }
    }

    /// Whether the selected layers stay in float (`true`), or are converted even if an earlier rule left them out
    /// (`false`).
    pub fn with_exclude(self, exclude: bool) -> Self {
        Self {
            exclude: Some(exclude),
            ..self
        }
    }

    /// Sets the multiplier of the selected layers.
    pub fn with_multiplier(self, multiplier: MultiplierSource) -> Self {
        Self {
            multiplier: Some(multiplier),
            ..self
        }
    }

    /// Sets the HTP model of the selected layers, which wins over their multiplier.
    pub fn with_htp_model(self, model: MultiplierSource) -> Self {
        Self {
            htp_model: Some(model),
            ..self
        }
    }

    /// Sets the mode of the selected layers.
    pub fn with_mode(self, mode: Mode) -> Self {
        Self {
            mode: Some(mode),
            ..self
        }
    }

    /// Sets the plan of the selected layers.
    pub fn with_plan(self, plan: PlanChoice) -> Self {
        Self {
            plan: Some(plan),
            ..self
        }
    }

    /// Sets the gradient of the selected layers.
    pub fn with_gradient(self, gradient: GradientRule) -> Self {
        Self {
            gradient: Some(gradient),
            ..self
        }
    }

    /// Sets the quantisation of the selected layers.
    pub fn with_quantization(self, quantization: LayerQuantization) -> Self {
        Self {
            quantization: Some(quantization),
            ..self
        }
    }

    /// Sets the noise of the selected layers.
    pub fn with_noise(self, noise: Noise) -> Self {
        Self {
            noise: Some(noise),
            ..self
        }
    }

    /// Whether the rule selects a layer of this kind at this path.
    fn selects(&self, matcher: Option<&GlobMatcher>, path: &str, kind: LayerKind) -> bool {
        matcher.is_none_or(|matcher| matcher.is_match(components(path)))
            && self.kind.is_none_or(|own| own == kind)
    }

    fn matcher(&self) -> Result<Option<GlobMatcher>, ApproxError> {
        let Some(pattern) = &self.path else {
            return Ok(None);
        };
        let glob = GlobBuilder::new(&components(pattern))
            .literal_separator(true)
            .build();
        glob.map(|glob| Some(glob.compile_matcher()))
            .map_err(|error| ApproxError::InvalidPattern {
                pattern: pattern.clone(),
                problem: error.kind().to_string(),
            })
    }
}

/// Globs know `/` as their separator.
fn components(path: &str) -> String {
    path.replace('.', "/")
}

impl ApproxConfig {
    /// Every layer on this multiplier, in mode APPROXIMATE.
    pub fn new(multiplier: MultiplierSource) -> Self {
        Self {
            multiplier,
            htp_model: None,
            mode: Mode::default(),
            quantization: None,
            noise: Noise::default(),
            plan: PlanChoice::default(),
            gradient: GradientRule::default(),
            exclude_first: false,
            exclude_last: false,
            rules: Vec::new(),
        }
    }

    /// Every layer on a bundled multiplier; that the name exists is checked by the conversion.
    pub fn bundled(name: impl Into<String>) -> Self {
        Self::new(MultiplierSource::Bundled {
            name: name.into(),
            hash: None,
            sign_magnitude: false,
        })
    }

    /// Every layer on a multiplier at hand.
    pub fn for_multiplier(multiplier: &Multiplier) -> Self {
        Self::new(MultiplierSource::describe(multiplier))
    }

    /// Sets the mode.
    pub fn with_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// Sets the quantisation.
    pub fn with_quantization(self, quantization: LayerQuantization) -> Self {
        Self {
            quantization: Some(quantization),
            ..self
        }
    }

    /// Sets an HTP model, which wins over the multiplier.
    pub fn with_htp_model(self, model: MultiplierSource) -> Self {
        Self {
            htp_model: Some(model),
            ..self
        }
    }

    /// Sets the noise of mode NOISE.
    pub fn with_noise(self, noise: Noise) -> Self {
        Self { noise, ..self }
    }

    /// Sets the plan.
    pub fn with_plan(self, plan: PlanChoice) -> Self {
        Self { plan, ..self }
    }

    /// Sets which derivative of the multiplier training uses.
    ///
    /// ```
    /// use burn_approx::ApproxConfig;
    ///
    /// let config = ApproxConfig::bundled("mul8s_1KVA").with_gradient("difference:half_window=4".parse()?);
    /// assert!(serde_json::to_string(&config).unwrap().contains(r#""gradient":"difference:half_window=4""#));
    /// # Ok::<(), burn_approx::ApproxError>(())
    /// ```
    pub fn with_gradient(self, gradient: GradientRule) -> Self {
        Self { gradient, ..self }
    }

    /// Adds a rule.
    pub fn with_rule(mut self, rule: LayerRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Whether the first layer is left as it is.
    pub fn with_exclude_first(self, exclude_first: bool) -> Self {
        Self {
            exclude_first,
            ..self
        }
    }

    /// Whether the last layer is left as it is.
    pub fn with_exclude_last(self, exclude_last: bool) -> Self {
        Self {
            exclude_last,
            ..self
        }
    }

    /// The settings of each layer, `None` for the excluded ones.
    pub(super) fn resolve(
        &self,
        layers: &[(&str, LayerKind)],
    ) -> Result<Vec<Option<LayerSettings>>, ApproxError> {
        let matchers = self
            .rules
            .iter()
            .map(LayerRule::matcher)
            .collect::<Result<Vec<_>, _>>()?;
        for (rule, matcher) in self.rules.iter().zip(&matchers) {
            if let Some(pattern) = &rule.path
                && !layers
                    .iter()
                    .any(|(path, kind)| rule.selects(matcher.as_ref(), path, *kind))
            {
                let layers = layers.iter().map(|(path, _)| (*path).to_string()).collect();
                return Err(ApproxError::PatternMatchesNothing {
                    pattern: pattern.clone(),
                    layers,
                });
            }
        }
        let mut prepared = Prepared::default();
        let last = layers.len().saturating_sub(1);
        let mut resolved = Vec::with_capacity(layers.len());
        for (index, (path, kind)) in layers.iter().enumerate() {
            let selected = self.rules.iter().zip(&matchers);
            let rules: Vec<&LayerRule> = selected
                .filter(|(rule, matcher)| rule.selects(matcher.as_ref(), path, *kind))
                .map(|(rule, _)| rule)
                .collect();
            /// The last rule that says something of a setting wins.
            fn last_of<'a, T>(
                rules: &[&'a LayerRule],
                of: impl Fn(&'a LayerRule) -> Option<&'a T>,
            ) -> Option<&'a T> {
                rules.iter().rev().find_map(|rule| of(rule))
            }
            let outermost =
                (self.exclude_first && index == 0) || (self.exclude_last && index == last);
            if *last_of(&rules, |rule| rule.exclude.as_ref()).unwrap_or(&outermost) {
                resolved.push(None);
                continue;
            }
            let multiplier =
                last_of(&rules, |rule| rule.multiplier.as_ref()).unwrap_or(&self.multiplier);
            let htp_model =
                last_of(&rules, |rule| rule.htp_model.as_ref()).or(self.htp_model.as_ref());
            let own_quantization = last_of(&rules, |rule| rule.quantization.as_ref());
            let quantization = own_quantization.or(self.quantization.as_ref());
            let mut settings = LayerSettings::new(prepared.multiplier(multiplier)?);
            settings.htp_model = htp_model
                .map(|source| prepared.multiplier(source))
                .transpose()?;
            settings.mode = *last_of(&rules, |rule| rule.mode.as_ref()).unwrap_or(&self.mode);
            settings.noise = *last_of(&rules, |rule| rule.noise.as_ref()).unwrap_or(&self.noise);
            settings.plan = *last_of(&rules, |rule| rule.plan.as_ref()).unwrap_or(&self.plan);
            settings.gradient =
                *last_of(&rules, |rule| rule.gradient.as_ref()).unwrap_or(&self.gradient);
            if let Some(quantization) = quantization {
                settings.quantization = quantization.clone();
            }
            // What is meant for weights does not fit what is another tensor in every pass.
            if !kind.has_weight() && own_quantization.is_none() {
                settings.quantization = settings.quantization.for_two_activations();
            }
            resolved.push(Some(settings));
        }
        Ok(resolved)
    }
}

/// Multipliers already resolved, so that layers share one.
#[derive(Default)]
struct Prepared {
    multipliers: Vec<(MultiplierSource, PreparedMultiplier)>,
}

impl Prepared {
    fn multiplier(&mut self, source: &MultiplierSource) -> Result<PreparedMultiplier, ApproxError> {
        if let Some((_, prepared)) = self.multipliers.iter().find(|(known, _)| known == source) {
            return Ok(prepared.clone());
        }
        let imported = source.import_relative_to("")?;
        let Imported {
            multiplier, notes, ..
        } = imported;
        for note in notes {
            match note.kind.is_doubt() {
                true => tracing::warn!("multiplier `{}`: {note}", multiplier.name()),
                false => tracing::info!("multiplier `{}`: {note}", multiplier.name()),
            }
        }
        let prepared = PreparedMultiplier::new(multiplier);
        self.multipliers.push((source.clone(), prepared.clone()));
        Ok(prepared)
    }
}
