//! The captured model.

use std::marker::PhantomData;
use std::sync::Arc;

use burn::backend::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn::backend::{Dispatch, DispatchAutodiffContext, DispatchTensor, TensorMetadata};
use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::Device;

use super::lower::Lowered;
use super::parameters::{self, GraphLayer};
use super::partial::PartialPass;
use super::program::{Frame, Program};
use super::tensors::GraphTensors;
use crate::error::{ApproxError, or_panic};
use crate::nn::Approximation;

/// A model whose forward pass was captured: the parameters of a model `M`, and layers that can be converted.
///
/// It takes what the captured forward pass took (`I`) and gives what that gave (`O`), at any batch size. As a module it
/// has the parameters of the original under their own paths, and an approximation beside each weight, as a drop-in
/// layer has.
pub struct GraphModel<M, I, O> {
    model: M,
    layers: Vec<GraphLayer>,
    constants: Vec<DispatchTensor>,
    program: Arc<Program>,
    signature: PhantomData<fn(I) -> O>,
}

impl<M: Module, I: GraphTensors, O: GraphTensors> GraphModel<M, I, O> {
    pub(super) fn new(model: M, lowered: Lowered) -> Self {
        let Lowered {
            program,
            layers,
            constants,
        } = lowered;
        Self {
            model,
            layers,
            constants,
            program: Arc::new(program),
            signature: PhantomData,
        }
    }

    /// The forward pass.
    ///
    /// # Panics
    /// With the text of the error that [`try_forward`](Self::try_forward) returns.
    #[track_caller]
    pub fn forward(&self, inputs: I) -> O {
        or_panic(self.try_forward(inputs))
    }

    /// The forward pass.
    ///
    /// # Errors
    /// Inputs of other sizes than the captured ones, but for the batch, of another type or on another device than the
    /// parameters; a converted layer that is not calibrated for its mode.
    pub fn try_forward(&self, inputs: I) -> Result<O, ApproxError> {
        self.begin(inputs)?.finish()
    }

    /// Begins a forward pass that stops at layers, and goes on from there in several ways.
    ///
    /// # Errors
    /// As [`try_forward`](Self::try_forward).
    ///
    /// ```
    /// use burn::{nn, prelude::*};
    /// use burn_approx::{ApproxConfig, approx_layers, calibrate, capture, convert};
    ///
    /// let device = Device::default();
    /// let model = vec![nn::LinearConfig::new(8, 8).init(&device), nn::LinearConfig::new(8, 4).init(&device)];
    /// let x = Tensor::<2>::random([2, 8], burn::tensor::Distribution::Default, &device);
    /// let exact = capture(&model, x.clone(), |model, x| model[1].forward(model[0].forward(x)))?;
    /// let (exact, _) = convert(exact, &ApproxConfig::bundled("mul8s_1KV6"))?; // exact products
    /// calibrate(&exact, |model| drop(model.forward(x.clone())))?;
    /// let cheap = exact.clone();
    /// for layer in &approx_layers(&cheap) {
    ///     layer.set_multiplier(burn_approx::multipliers::evoapprox::multiplier("mul8s_1L2L")?)?;
    /// }
    ///
    /// // What comes before the second layer is computed once.
    /// let mut pass = exact.begin(x)?;
    /// pass.run_to("1")?;
    /// let mut other = pass.clone();
    /// other.replace("1", &cheap)?;
    /// println!("{}{}", pass.finish()?, other.finish()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn begin(&self, inputs: I) -> Result<PartialPass<'_, O>, ApproxError> {
        let program = &*self.program;
        let inputs = inputs.into_dispatch();
        let parameters = parameters::values(&self.model);
        if parameters.len() != program.parameters {
            let problem = format!(
                "the model has {} parameters, but had {} when it was captured: capture it again",
                parameters.len(),
                program.parameters
            );
            return Err(ApproxError::GraphInput { problem });
        }
        let device = Device::new(inputs[0].device()).without_autodiff();
        let batch = inputs[0].shape()[0];
        let settings = &program.settings;
        let layers = &self.layers;
        let mut frame = Frame::new(program.slots, batch, device.clone(), settings, layers);
        self.check(&inputs, &parameters, &device, &frame)?;
        for (slot, tensor) in parameters.into_iter().chain(inputs).enumerate() {
            frame.put(slot, tensor);
        }
        for (slot, tensor) in program.constants.iter().zip(&self.constants) {
            frame.put(*slot, tensor.clone());
        }
        Ok(PartialPass::new(program, layers, frame))
    }

    /// Checks the inputs against the captured ones.
    fn check(
        &self,
        inputs: &[DispatchTensor],
        parameters: &[DispatchTensor],
        device: &Device,
        frame: &Frame<'_>,
    ) -> Result<(), ApproxError> {
        let refuse = |problem: String| Err(ApproxError::GraphInput { problem });
        if !self.program.batches.contains(&frame.batch) {
            let (least, most) = self.program.batches.clone().into_inner();
            let most = match most {
                usize::MAX => String::new(),
                most => format!(" and at most {most}"),
            };
            return refuse(format!(
                "it has {} rows, but must have at least {least}{most}",
                frame.batch
            ));
        }
        for (index, (input, (extents, dtype))) in
            inputs.iter().zip(&self.program.inputs).enumerate()
        {
            let number = match inputs.len() {
                1 => "it".to_string(),
                _ => format!("tensor {}", index + 1),
            };
            let (shape, expected) = (input.shape(), extents.at(frame.batch));
            if shape != expected {
                return refuse(format!(
                    "{number} has the shape {:?}, but the captured one, with {} rows, has {:?}; only the batch, the first size \
                     of every input, may differ",
                    shape.to_vec(),
                    frame.batch,
                    expected.to_vec()
                ));
            }
            let expected = frame.dtype(*dtype);
            if input.dtype() != expected {
                return refuse(format!(
                    "{number} holds {:?}, but was captured with {expected:?}",
                    input.dtype()
                ));
            }
            let others = inputs.iter().chain(parameters).take(inputs.len() + 1);
            for other in others {
                let strategies = [input.autodiff, other.autodiff];
                let other = Device::new(other.device());
                if strategies
                    .iter()
                    .all(|own| *own != DispatchAutodiffContext::Disabled)
                    && strategies[0] != strategies[1]
                {
                    return refuse(
                        "its device has another gradient checkpointing than that of another input or the parameters; a captured \
                         model stays on its autodiff device without gradient checkpointing"
                            .to_string(),
                    );
                }
                if other != *device {
                    return refuse(format!(
                        "it lies on {device:?}, but another input or the parameters on {other:?}: move both to one device"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The original model, with the parameters as they are now.
    ///
    /// It computes in float, whatever the layers of the captured model were converted to.
    ///
    /// ```
    /// use burn::{nn, prelude::*};
    /// use burn_approx::capture;
    ///
    /// let device = Device::default();
    /// let model = nn::LinearConfig::new(8, 4).init(&device);
    /// let x = Tensor::<2>::ones([2, 8], &device);
    /// let captured = capture(&model, x, nn::Linear::forward)?;
    /// // .. retrain ..
    /// let model: nn::Linear = captured.into_original();
    /// # Ok::<(), burn_approx::ApproxError>(())
    /// ```
    pub fn into_original(self) -> M {
        self.model
    }
}

impl<'a, O: GraphTensors> PartialPass<'a, O> {
    /// Has a layer computed by another copy of the model from here on, with that one's multiplier and settings and with
    /// this one's weight.
    ///
    /// # Errors
    /// A layer that there is none of, or another model than a copy.
    pub fn replace<M: Module, I: GraphTensors>(
        &mut self,
        path: &str,
        with: &'a GraphModel<M, I, O>,
    ) -> Result<(), ApproxError> {
        self.take_layer(path, &with.program, &with.layers)
    }
}

impl<M: Clone, I, O> Clone for GraphModel<M, I, O> {
    fn clone(&self) -> Self {
        Self {
            model: self.model.clone(),
            layers: self.layers.clone(),
            constants: self.constants.clone(),
            program: self.program.clone(),
            signature: PhantomData,
        }
    }
}

impl<M: std::fmt::Debug, I, O> std::fmt::Debug for GraphModel<M, I, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GraphModel")
            .field("model", &self.model)
            .field("layers", &self.layers)
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

/// A copy of a constant on another device.
fn moved(constant: DispatchTensor, device: &Device) -> DispatchTensor {
    let device = device.clone().without_autodiff();
    let device = device.as_dispatch();
    let dtype = constant.dtype();
    if dtype.is_float() {
        Dispatch::float_to_device(constant, device)
    } else if dtype.is_bool() {
        Dispatch::bool_to_device(constant, device)
    } else {
        Dispatch::int_to_device(constant, device)
    }
}

impl<M, I, O> GraphModel<M, I, O> {
    /// This program with another model and other approximations.
    fn with(
        self,
        model: impl FnOnce(M) -> M,
        approximation: impl Fn(Approximation) -> Approximation,
    ) -> Self {
        let layers = self.layers.into_iter().map(|layer| GraphLayer {
            approximation: approximation(layer.approximation),
            ..layer
        });
        Self {
            model: model(self.model),
            layers: layers.collect(),
            constants: self.constants,
            program: self.program,
            signature: PhantomData,
        }
    }

    /// Moves everything to another device.
    fn on(self, device: &Device, model: impl FnOnce(M) -> M) -> Self {
        let mut on_device = self.with(model, |approximation| approximation.to_device(device));
        let constants = on_device.constants.into_iter();
        on_device.constants = constants.map(|constant| moved(constant, device)).collect();
        on_device
    }
}

impl<M: Module, I: GraphTensors, O: GraphTensors> Module for GraphModel<M, I, O> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        let mut devices = self.model.collect_devices(devices);
        for constant in &self.constants {
            let device = Device::new(constant.device());
            if !devices.contains(&device) {
                devices.push(device);
            }
        }
        (self.layers.iter()).fold(devices, |devices, layer| {
            layer.approximation.collect_devices(devices)
        })
    }

    fn fork(self, device: &Device) -> Self {
        self.on(device, |model| model.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.on(device, |model| model.to_device(device))
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        parameters::visit(&self.model, &self.layers, visitor);
    }

    fn map<P: ModuleMapper>(self, mapper: &mut P) -> Self {
        let (model, layers) = parameters::map(self.model, self.layers, mapper);
        Self {
            model,
            layers,
            constants: self.constants,
            program: self.program,
            signature: PhantomData,
        }
    }

    fn valid(&self) -> Self {
        self.clone()
            .with(|model| model.valid(), |approximation| approximation.valid())
    }

    fn train(self) -> Self {
        self.with(M::train, Module::train)
    }

    fn num_params(&self) -> usize {
        self.model.num_params()
    }

    fn materialize(self) -> Self {
        self.with(M::materialize, Module::materialize)
    }
}

impl<M: Module, I: GraphTensors, O: GraphTensors> ModuleDisplayDefault for GraphModel<M, I, O> {
    fn content(&self, content: Content) -> Option<Content> {
        content
            .set_top_level_type("GraphModel")
            .add("operations", &self.program.steps.len())
            .add("parameters", &self.program.parameters)
            .add("layers", &self.layers.len())
            .optional()
    }
}

impl<M: Module, I: GraphTensors, O: GraphTensors> ModuleDisplay for GraphModel<M, I, O> {}
