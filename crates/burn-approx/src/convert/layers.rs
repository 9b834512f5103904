//! Handles to the drop-in layers of a model, and the table of them.

use std::fmt;
use std::sync::Arc;

use approx_multiplier::{GradientRule, HtpModel};
use burn::module::Module;
use burn::tensor::Device;

use super::walk::{Found, Walk};
use crate::codes::{CodeGrid, Granularity, LayerQuantization, Observation, Operand};
use crate::error::{ApproxError, layer_name};
use crate::multiplier::PreparedMultiplier;
use crate::nn::{Converted, LayerKind, LayerSettings, LayerShape, LayerState, Mode, Noise};
use crate::observation::OperandState;
use crate::plan::{ExecutionPlan, Geometry, PlanChoice};
use crate::quantization::CodeQuantizer;

/// A handle to one drop-in layer of a model: what is set through it, the layer does.
///
/// The handle stays with the model value that it came from; clones of that model are not reached by it.
#[derive(Clone, Debug)]
pub struct ApproxLayer {
    path: String,
    state: Arc<LayerState>,
    device: Device,
}

/// The drop-in layers of a model, in the order of its fields.
///
/// ```
/// use approx_multiplier::evoapprox;
/// use burn::prelude::*;
/// use burn_approx::Mode;
/// use burn_approx::convert::{ApproxConfig, approx_layers, convert};
/// use burn_approx::nn::LinearConfig;
///
/// let layer = LinearConfig::new(8, 4).init(&Device::default());
/// let (layer, _) = convert(layer, &ApproxConfig::bundled("mul8s_1L2J"))?;
/// for layer in &approx_layers(&layer) {
///     layer.set_mode(Mode::Quantized)?;
///     layer.set_multiplier(evoapprox::multiplier("mul8s_1KVA")?)?;
/// }
/// println!("{}", approx_layers(&layer)); // a table
/// # Ok::<(), burn_approx::ApproxError>(())
/// ```
pub fn approx_layers<M: Module>(model: &M) -> LayerTable {
    let layers = Walk::through(model).layers.into_iter();
    let layers = layers
        .map(
            |Found {
                 path,
                 state,
                 device,
             }| ApproxLayer {
                path,
                state,
                device,
            },
        )
        .collect();
    LayerTable { layers }
}

impl ApproxLayer {
    /// The layer's path in the model, its components joined by dots.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The layer's kind.
    pub fn kind(&self) -> LayerKind {
        self.state.kind
    }

    /// The layer's shape in the last forward pass; before the first, as the layer was made or captured.
    ///
    /// ```
    /// use burn::prelude::*;
    /// use burn_approx::{approx_layers, nn::LinearConfig};
    ///
    /// let layer = LinearConfig::new(8, 4).init(&Device::default());
    /// let shape = approx_layers(&layer)[0].shape();
    /// assert_eq!((shape.weight.as_slice(), shape.fan_in()), ([8, 4].as_slice(), Some(8)));
    /// ```
    pub fn shape(&self) -> LayerShape {
        self.state.shape()
    }

    /// The most products that one output accumulates; of a product of two activations in the last forward pass, `None`
    /// before one.
    pub fn fan_in(&self) -> Option<usize> {
        let of_last_pass = || self.geometry().map(|geometry| geometry.inner());
        self.shape().fan_in().or_else(of_last_pass)
    }

    /// The sizes of the second operand's matrices or kernel, `None` where they are not known before a forward pass.
    fn weight_shape(&self) -> Option<String> {
        let sizes = match (self.kind().has_weight(), self.geometry()) {
            (true, _) => self.shape().weight,
            (false, Some(Geometry::Matmul(product))) => vec![product.inner, product.columns],
            (false, _) => return None,
        };
        let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
        Some(sizes.join("x"))
    }

    /// The number of products per input of the batch in the last forward pass, `None` before one.
    pub fn multiplications(&self) -> Option<u64> {
        self.state.multiplications()
    }

    /// The geometry of the last forward pass's product, `None` before a forward pass.
    pub fn geometry(&self) -> Option<Geometry> {
        self.state.last_pass().map(|pass| pass.geometry)
    }

    /// How the layer's products were computed for the last input's shape, or would be in mode APPROXIMATE.
    ///
    /// # Errors
    /// [`ApproxError::NotConverted`], or [`ApproxError::NoForwardPass`] before the first forward pass: a plan is for a
    /// shape of input.
    pub fn plan(&self) -> Result<ExecutionPlan, ApproxError> {
        let mut guard = self.state.lock();
        let Some(converted) = guard.as_mut() else {
            return Err(self.not_converted());
        };
        let Some(pass) = self.state.last_pass() else {
            return Err(ApproxError::NoForwardPass {
                layer: self.path.clone(),
            });
        };
        let approximate = matches!(converted.settings.mode, Mode::Approximate | Mode::Baseline);
        let operation = converted.operation(pass.geometry, &pass.device, approximate)?;
        Ok(operation.plan().clone())
    }

    /// Sets the plan by which mode APPROXIMATE computes.
    ///
    /// # Errors
    /// [`ApproxError::NotConverted`], or [`ApproxError::ImpossiblePlan`] where it cannot compute the layer's
    /// multiplier.
    ///
    /// ```
    /// use burn::prelude::*;
    /// use burn_approx::convert::{ApproxConfig, approx_layers, convert};
    /// use burn_approx::{nn::LinearConfig, plan::PlanChoice};
    ///
    /// let layer = LinearConfig::new(8, 4).init(&Device::default());
    /// let (layer, _) = convert(layer, &ApproxConfig::bundled("mul8s_1L2J"))?;
    /// let layer = &approx_layers(&layer)[0];
    /// layer.set_plan(PlanChoice::Gather)?;
    /// assert!(layer.set_plan(PlanChoice::Exact).is_err()); // mul8s_1L2J is not exact
    /// # Ok::<(), burn_approx::ApproxError>(())
    /// ```
    pub fn set_plan(&self, plan: PlanChoice) -> Result<(), ApproxError> {
        self.update(|settings| settings.plan = plan)
    }

    /// Sets which derivative of the multiplier training uses in mode APPROXIMATE.
    ///
    /// # Errors
    /// [`ApproxError::NotConverted`], or a window that is wider than an operand of the multiplier has codes.
    ///
    /// ```
    /// use burn::prelude::*;
    /// use burn_approx::multipliers::GradientRule;
    /// use burn_approx::{ApproxConfig, approx_layers, convert, nn::LinearConfig};
    ///
    /// let layer = LinearConfig::new(8, 4).init(&Device::default());
    /// let (layer, _) = convert(layer, &ApproxConfig::bundled("mul8s_1KVA"))?;
    /// let layer = &approx_layers(&layer)[0];
    /// layer.set_gradient(GradientRule::LinearRegression)?;
    /// assert!(layer.set_gradient(GradientRule::Difference { half_window: 128 }).is_err());
    /// # Ok::<(), burn_approx::ApproxError>(())
    /// ```
    pub fn set_gradient(&self, gradient: GradientRule) -> Result<(), ApproxError> {
        self.update(|settings| settings.gradient = gradient)
    }

    /// The layer's settings, `None` if it is not converted.
    pub fn settings(&self) -> Option<LayerSettings> {
        self.state
            .lock()
            .as_ref()
            .map(|converted| converted.settings.clone())
    }

    /// Whether the layer is converted.
    pub fn is_converted(&self) -> bool {
        self.state.lock().is_some()
    }

    /// Whether ranges are known for both operands; may read the device after a load.
    pub fn is_calibrated(&self) -> bool {
        let mut guard = self.state.lock();
        guard.as_mut().is_some_and(|converted| {
            converted.activation.is_calibrated() && converted.weight.is_calibrated()
        })
    }

    /// Changes the settings, all at once.
    ///
    /// What was observed is kept as a second conversion keeps it. Other threads' changes come before or after this one;
    /// `change` may read the layer, but not change it in another way, which would wait for itself.
    ///
    /// # Errors
    /// [`ApproxError::NotConverted`], or settings that do not fit each other; then nothing has changed.
    pub fn update(&self, change: impl FnOnce(&mut LayerSettings)) -> Result<(), ApproxError> {
        let _changing = self.state.change();
        let Some(mut settings) = self.settings() else {
            return Err(self.not_converted());
        };
        change(&mut settings);
        let mut guard = self.state.lock();
        let Some(converted) = guard.as_mut() else {
            return Err(self.not_converted());
        };
        let next = Converted::new(
            self.path.clone(),
            settings,
            &self.state.shape(),
            &self.device,
            Some(converted),
        )?;
        *converted = next;
        Ok(())
    }

    fn not_converted(&self) -> ApproxError {
        ApproxError::NotConverted {
            layer: self.path.clone(),
        }
    }

    /// Sets the mode.
    ///
    /// # Errors
    /// [`ApproxError::NotConverted`].
    pub fn set_mode(&self, mode: Mode) -> Result<(), ApproxError> {
        self.update(|settings| settings.mode = mode)
    }

    /// Sets the multiplier, and the plan and the gradient if the multiplier asks for one; the quantisation stays as it is.
    ///
    /// # Errors
    /// [`ApproxError::NotConverted`], codes that the multiplier does not have, or a plan that cannot compute it.
    pub fn set_multiplier(
        &self,
        multiplier: impl Into<PreparedMultiplier>,
    ) -> Result<(), ApproxError> {
        let multiplier = multiplier.into();
        self.update(|settings| {
            if multiplier.plan() != PlanChoice::Auto {
                settings.plan = multiplier.plan();
            }
            if multiplier.gradient() != GradientRule::default() {
                settings.gradient = multiplier.gradient();
            }
            settings.multiplier = multiplier;
        })
    }

    /// Sets an HTP model, which wins over the multiplier, or removes it.
    ///
    /// # Errors
    /// [`ApproxError::NotConverted`], codes that the model is not made for, or a plan that cannot compute it.
    pub fn set_htp_model(&self, model: Option<HtpModel>) -> Result<(), ApproxError> {
        self.update(|settings| settings.htp_model = model.map(PreparedMultiplier::htp))
    }

    /// Sets the noise of mode NOISE.
    ///
    /// # Errors
    /// [`ApproxError::NotConverted`], or noise that is not finite or has a negative standard deviation.
    pub fn set_noise(&self, noise: Noise) -> Result<(), ApproxError> {
        self.update(|settings| settings.noise = noise)
    }

    /// Sets the quantisation.
    ///
    /// # Errors
    /// [`ApproxError::NotConverted`], codes that the multiplier does not have, or on which its plan cannot compute it.
    pub fn set_quantization(&self, quantization: LayerQuantization) -> Result<(), ApproxError> {
        self.update(|settings| settings.quantization = quantization)
    }

    /// Sets when the activation's and the weight's ranges follow the data; the second operand of a product of two
    /// activations stands in the weight's place.
    ///
    /// # Errors
    /// [`ApproxError::NotConverted`].
    pub fn set_observation(
        &self,
        activation: Observation,
        weight: Observation,
    ) -> Result<(), ApproxError> {
        self.update(|settings| {
            settings.quantization.activation.observation = activation;
            settings.quantization.weight.observation = weight;
        })
    }

    /// Sets the activation's quantiser by hand and freezes it.
    ///
    /// # Errors
    /// [`ApproxError::NotConverted`], or a quantiser with other codes or channels than the layer's.
    pub fn set_activation_quantizer(&self, quantizer: &CodeQuantizer) -> Result<(), ApproxError> {
        self.set_quantizer(quantizer, Operand::Activation)
    }

    /// Sets the weight's quantiser by hand and freezes it. Its scales lie along the output channels of the layer's own
    /// weight: axis 1 of linear layers and transposed convolutions, axis 0 of convolutions. A transposed convolution in
    /// groups has one for each output channel nevertheless, group by group.
    ///
    /// # Errors
    /// As [`set_activation_quantizer`](Self::set_activation_quantizer).
    pub fn set_weight_quantizer(&self, quantizer: &CodeQuantizer) -> Result<(), ApproxError> {
        let (own, of_product) = (self.kind().own_channel_axis(), self.kind().channel_axis());
        let quantizer = quantizer.along_axis(own, of_product)?;
        self.set_quantizer(&quantizer, Operand::Weight)
    }

    fn set_quantizer(
        &self,
        quantizer: &CodeQuantizer,
        operand: Operand,
    ) -> Result<(), ApproxError> {
        fn state(converted: &mut Converted, operand: Operand) -> &mut OperandState {
            match operand {
                Operand::Activation => &mut converted.activation,
                Operand::Weight => &mut converted.weight,
            }
        }
        let _changing = self.state.change();
        let mut guard = self.state.lock();
        let Some(converted) = guard.as_mut() else {
            return Err(self.not_converted());
        };
        let own = state(converted, operand).quantizer();
        let differs = |given: CodeGrid, own: CodeGrid| {
            (given.low, given.high, given.channel_axis) != (own.low, own.high, own.channel_axis)
                || own.symmetric && !given.symmetric
        };
        if differs(quantizer.grid(), own.grid())
            || own.parameters().dims() != quantizer.parameters().dims()
        {
            return Err(ApproxError::InvalidQuantizer {
                what: format!("{operand} of {}", layer_name(&self.path)),
                problem: format!(
                    "it has {}, the layer's settings call for {}",
                    quantizer.description(),
                    own.description()
                ),
            });
        }
        let quantization = &mut converted.settings.quantization;
        match operand {
            Operand::Activation => quantization.activation.observation = Observation::Frozen,
            Operand::Weight => quantization.weight.observation = Observation::Frozen,
        }
        let (path, settings) = (self.path.clone(), converted.settings.clone());
        *converted = Converted::new(
            path,
            settings,
            &self.state.shape(),
            &self.device,
            Some(converted),
        )?;
        state(converted, operand).set_quantizer(quantizer);
        Ok(())
    }

    /// Takes the conversion off the layer.
    pub(crate) fn take_state(&self) -> Option<Converted> {
        self.state.lock().take()
    }

    /// Puts a conversion back, with nothing observed.
    pub(crate) fn put_state(&self, converted: Option<Converted>) {
        *self.state.lock() = converted.map(|mut converted| {
            converted.activation.reset();
            converted.weight.reset();
            converted
        });
    }

    /// The activation's quantiser, `None` before calibration.
    pub fn activation_quantizer(&self) -> Option<CodeQuantizer> {
        let mut guard = self.state.lock();
        let state = &mut guard.as_mut()?.activation;
        state.is_calibrated().then(|| state.quantizer())
    }

    /// The weight's quantiser, `None` before calibration. Its scales lie along the output channels of the layer's own
    /// weight, as [`set_weight_quantizer`](Self::set_weight_quantizer) takes them.
    pub fn weight_quantizer(&self) -> Option<CodeQuantizer> {
        let mut guard = self.state.lock();
        let state = &mut guard.as_mut()?.weight;
        let quantizer = state.is_calibrated().then(|| state.quantizer())?;
        let (own, of_product) = (self.kind().own_channel_axis(), self.kind().channel_axis());
        quantizer.along_axis(of_product, own).ok()
    }
}

/// The drop-in layers of a model, in the order of its fields; prints as a table.
///
/// ```
/// use burn::prelude::*;
/// use burn_approx::nn::LinearConfig;
/// use burn_approx::{ApproxConfig, Mode, approx_layers, convert};
///
/// let device = Device::default();
/// let model = vec![LinearConfig::new(8, 8).init(&device), LinearConfig::new(8, 4).init(&device)];
/// let (model, _) = convert(model, &ApproxConfig::bundled("mul8s_1L2J"))?;
/// let layers = approx_layers(&model);
/// assert_eq!((layers.len(), layers[1].path()), (2, "1"));
/// assert_eq!(layers.get("1").and_then(|layer| layer.fan_in()), Some(8));
/// layers.set_mode(Mode::Quantized)?; // of all of them
/// for layer in &layers {
///     layer.set_mode(Mode::Approximate)?; // or one by one
/// }
/// # Ok::<(), burn_approx::ApproxError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LayerTable {
    layers: Vec<ApproxLayer>,
}

impl LayerTable {
    /// The layer at a path.
    pub fn get(&self, path: &str) -> Option<&ApproxLayer> {
        self.layers.iter().find(|layer| layer.path == path)
    }

    /// The layers, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, ApproxLayer> {
        self.layers.iter()
    }

    /// The number of layers, converted or not.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether the model has no drop-in layer.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Sets the mode of every converted layer; layers that a conversion left out stay in float.
    ///
    /// # Errors
    /// [`ApproxError::NotConverted`], naming the first layer, if there are layers but none of them is converted.
    pub fn set_mode(&self, mode: Mode) -> Result<(), ApproxError> {
        let mut converted = self.iter().filter(|layer| layer.is_converted()).peekable();
        if let (None, Some(first)) = (converted.peek(), self.layers.first()) {
            return Err(first.not_converted());
        }
        converted.try_for_each(|layer| layer.set_mode(mode))
    }
}

impl std::ops::Index<usize> for LayerTable {
    type Output = ApproxLayer;

    fn index(&self, index: usize) -> &ApproxLayer {
        &self.layers[index]
    }
}

impl IntoIterator for LayerTable {
    type Item = ApproxLayer;
    type IntoIter = std::vec::IntoIter<ApproxLayer>;

    fn into_iter(self) -> Self::IntoIter {
        self.layers.into_iter()
    }
}

impl<'a> IntoIterator for &'a LayerTable {
    type Item = &'a ApproxLayer;
    type IntoIter = std::slice::Iter<'a, ApproxLayer>;

    fn into_iter(self) -> Self::IntoIter {
        self.layers.iter()
    }
}

impl fmt::Display for LayerTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = comfy_table::Table::new();
        table
            .load_style(comfy_table::presets::UTF8_BORDERS_ONLY)
            .set_header([
                "layer",
                "kind",
                "weight",
                "fan-in",
                "multiplications",
                "mode",
                "multiplier",
                "plan",
                "gradient",
                "activation",
                "weights",
            ]);
        for layer in &self.layers {
            let known = |text: Option<String>| text.unwrap_or_else(|| "-".to_string());
            let groups = match layer.shape().groups {
                1 => String::new(),
                groups => format!(" / {groups}"),
            };
            let mut row = vec![
                layer.path.clone(),
                layer.kind().to_string(),
                known(layer.weight_shape()) + &groups,
                known(layer.fan_in().map(|count| count.to_string())),
                known(layer.multiplications().map(|count| count.to_string())),
            ];
            match layer.settings() {
                Some(settings) => row.extend(Self::describe(layer, &settings)),
                None => row.push("float".to_string()),
            }
            table.add_row(row);
        }
        for numeric in [3, 4] {
            if let Some(column) = table.column_mut(numeric) {
                column.set_cell_alignment(comfy_table::CellAlignment::Right);
            }
        }
        write!(f, "{table}")
    }
}

impl LayerTable {
    /// The columns of a converted layer's settings.
    fn describe(layer: &ApproxLayer, settings: &LayerSettings) -> [String; 6] {
        let multiplier = match settings.htp_model() {
            Some(model) => format!("{} (HTP)", model.name()),
            None => settings.multiplier().name().to_string(),
        };
        let LayerQuantization {
            activation,
            weight,
            granularity,
        } = &settings.quantization;
        let plan = match (settings.mode, layer.plan()) {
            (Mode::Baseline, _) => "float".to_string(),
            (_, Ok(plan)) => plan.to_string(),
            _ => settings.plan.to_string(),
        };
        let state = if layer.is_calibrated() {
            ""
        } else {
            " (not calibrated)"
        };
        let text = |symmetry| format!("{symmetry:?}").to_lowercase();
        let scales = match granularity {
            Granularity::PerChannel => "per channel",
            Granularity::PerTensor => "per tensor",
        };
        [
            settings.mode.to_string(),
            multiplier,
            plan,
            settings.gradient.to_string(),
            format!("{} {}{state}", activation.codes, text(activation.symmetry)),
            format!("{} {} {scales}", weight.codes, text(weight.symmetry)),
        ]
    }
}
