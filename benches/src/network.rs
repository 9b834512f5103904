//! Networks to measure: what a case changes of a network, and the network ready to run it.

use approx_multiplier::{GradientRule, evoapprox};
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use burn_approx::Mode;
use burn_approx::convert::{ApproxConfig, calibrate, convert};
use burn_approx::plan::PlanChoice;
use burn_approx::quantization::{LayerQuantization, Observation, Observer};

/// What a case changes of a network whose every layer is converted.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    name: &'static str,
    mode: Mode,
    multiplier: &'static str,
    plan: PlanChoice,
    observer: Option<Observer>,
    gradient: GradientRule,
}

impl Case {
    /// Every layer in float.
    pub const FLOAT: Self = Self::new("float", Mode::Baseline, PlanChoice::Auto);
    /// Exact products of codes.
    pub const QUANTIZED: Self = Self::new("quantised", Mode::Quantized, PlanChoice::Auto);
    /// A multiplier of rank 1, as the planner computes it.
    pub const PLANNED: Self = Self::new("1L2J, planned", Mode::Approximate, PlanChoice::Auto);
    /// That multiplier with every product looked up.
    pub const TABLE_LOOKUP: Self =
        Self::new("1L2J, table lookup", Mode::Approximate, PlanChoice::Gather);
    /// That multiplier's published HTP model.
    pub const HTP_MODEL: Self = Self::new("1L2J, HTP model", Mode::Approximate, PlanChoice::Htp);

    const fn new(name: &'static str, mode: Mode, plan: PlanChoice) -> Self {
        Self {
            name,
            mode,
            multiplier: "mul8s_1L2J",
            plan,
            observer: None,
            gradient: GradientRule::StraightThrough,
        }
    }

    /// Another bundled multiplier in this case.
    pub const fn with_multiplier(self, name: &'static str, multiplier: &'static str) -> Self {
        Self {
            name,
            multiplier,
            ..self
        }
    }

    /// This case with an activation observer that goes on observing in training.
    pub const fn with_observer(self, name: &'static str, observer: Observer) -> Self {
        Self {
            name,
            observer: Some(observer),
            ..self
        }
    }

    /// This case with another gradient of the multiplier.
    pub const fn with_gradient(self, name: &'static str, gradient: GradientRule) -> Self {
        Self {
            name,
            gradient,
            ..self
        }
    }

    /// The name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The settings of every layer.
    pub fn config(&self) -> ApproxConfig {
        let multiplier = evoapprox::multiplier(self.multiplier).expect("a bundled multiplier");
        let mut scheme = LayerQuantization::for_multiplier(&multiplier);
        scheme.activation.observer = self.observer.unwrap_or(Observer::MinMax);
        if self.observer.is_some() {
            scheme.activation.observation = Observation::WhileTraining;
        }
        let mut config = ApproxConfig::bundled(self.multiplier)
            .with_quantization(scheme)
            .with_mode(self.mode)
            .with_plan(self.plan)
            .with_gradient(self.gradient);
        if self.plan == PlanChoice::Htp {
            let model = format!("htp:{}", self.multiplier);
            config.htp_model = Some(model.parse().expect("a bundled model"));
        }
        config
    }

    /// The network with the settings of the case, calibrated on what `forward` shows it.
    ///
    /// # Panics
    /// If a layer cannot be converted, or sees values that are not finite.
    pub fn prepare<M: Module>(&self, model: &M, forward: impl Fn(&M)) -> M {
        let (model, _) = convert(model.clone(), &self.config()).expect("drop-in layers");
        calibrate(&model, forward).expect("finite activations");
        model
    }
}

/// One training step, with the mean square of the outputs as the loss: forward, backward, update. Returns the updated
/// network and the loss, which need not be computed yet.
pub fn training_step<M: Module>(
    model: M,
    optimizer: &mut ModuleOptimizer,
    forward: impl Fn(&M) -> Tensor<2>,
) -> (M, Tensor<1>) {
    let loss = forward(&model).square().mean();
    let value = loss.clone().without_autodiff();
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    (optimizer.step(1e-4, model, gradients), value)
}
