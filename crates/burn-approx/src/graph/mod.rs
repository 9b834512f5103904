//! Conversion of any Burn model, its source untouched: the forward pass is recorded and run again by this library.
//!
//! Burn's capture device records what a model does to its tensors; [`capture()`] records the forward pass at several
//! batch sizes, shows that only sizes differ, and makes a program of it. The program calls the very backend operations
//! that Burn's tensors call, in the same order, so the captured model gives the original's numbers bit for bit, on
//! every device and through autodiff. Convolutions and matrix products of an activation with a weight, on either side,
//! become layers like the drop-ins in [`nn`](crate::nn): same code, same settings, same states.
//!
//! Recurrent layers (Burn's LSTM and GRU, in one direction or both) need no drop-in: their steps are recorded like
//! anything else, for the length of the example's sequence, and since a layer is known by its weight, each weight of a
//! gate is one layer that multiplies in every step.
//!
//! Design: the captured model keeps the original as the place of its parameters and walks it for them. So paths,
//! records, optimisers, running statistics, weight layouts and low-rank adapters stay Burn's own business, and the
//! original comes back with its weights retrained. A tree of parameters of our own, the alternative, would have had to
//! imitate all of that.

mod activations;
mod any_tensor;
mod batch;
mod capture;
mod fold;
mod layers;
mod lower;
mod model;
mod name;
mod operations;
mod parameters;
mod partial;
mod program;
mod restore;
mod slots;
mod sources;
mod tensors;

use burn::backend::{DispatchAutodiffContext, TensorMetadata};
use burn::module::Module;
use burn::tensor::Device;

pub use any_tensor::AnyTensor;
pub use model::GraphModel;
pub use partial::PartialPass;
pub use tensors::GraphTensors;

use crate::convert::approx_layers;
use crate::error::ApproxError;
use tensors::Filling;

/// Captures the forward pass of any Burn model as a model whose layers can be converted.
///
/// `forward` is called several times, with the rows of `inputs` (one tensor or a tuple, the batch along the first axis
/// of each) in several numbers, on a device that records and computes nothing. The original is not changed, and its
/// tensors are shared until one of the two is trained. A model on an autodiff device stays there, without gradient
/// checkpointing.
///
/// What is captured is the forward pass in evaluation mode: no dropout, and batch normalisation with its running
/// statistics, whose scale and shift stay trainable ([`CaptureOptions`] can fold it into convolutions). Until it is
/// converted, the captured model gives the original's outputs bit for bit, at every batch size; other sizes are the
/// example's.
///
/// Every convolution (of lines, images or volumes; transposed, of lines or images) and every linear product (`Linear`,
/// or a matrix product with an optional bias added) of an activation with a weight becomes a layer, under the path of
/// the module that holds the weight; so does a matrix product with the weight on the left, as the linear layer of the
/// transposed activation. A weight that is not called `weight` is a layer under its own path, and a second, different
/// product with the weights of one module gets a number, as in `head.2`. Products of two activations are layers on
/// request ([`CaptureOptions`]); transposed convolutions of volumes stay in float.
///
/// Recurrent layers are captured step by step, for the length of the example's sequence; each weight is one layer
/// (`lstm.input_gate.hidden_transform`), which multiplies in every step and whose ranges are those of all steps. What
/// the listing says of multiplications is that of one step.
///
/// # Errors
/// A model with drop-in layers, which needs no capturing; a forward pass that cannot be recorded, because it panics,
/// reads values or uses tensors that do not move with the model; an operation that is not supported, such as drawing
/// random numbers; an operation that depends on the batch size otherwise than by sizes that grow evenly with it.
///
/// ```
/// use burn::{nn, prelude::*, tensor::activation::relu};
/// use burn_approx::{ApproxConfig, calibrate, capture, convert};
///
/// #[derive(Module, Debug)]
/// struct Model {
///     hidden: nn::Linear, // Burn's own: nothing in the model knows of this library
///     output: nn::Linear,
/// }
///
/// impl Model {
///     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
///         self.output.forward(relu(self.hidden.forward(x)))
///     }
/// }
///
/// let device = Device::default();
/// let model = Model { hidden: nn::LinearConfig::new(16, 8).init(&device), output: nn::LinearConfig::new(8, 3).init(&device) };
/// let x = Tensor::<2>::random([4, 16], burn::tensor::Distribution::Default, &device);
///
/// let captured = capture(&model, x.clone(), Model::forward)?;
/// let (captured, report) = convert(captured, &ApproxConfig::bundled("mul8s_1L2J"))?;
/// assert_eq!(report.converted, ["hidden", "output"]);
/// calibrate(&captured, |captured| drop(captured.forward(x.clone())))?;
/// println!("{}", captured.forward(x)); // every product is mul8s_1L2J's
/// # Ok::<(), burn_approx::ApproxError>(())
/// ```
pub fn capture<M: Module, I: GraphTensors, O: GraphTensors>(
    model: &M,
    inputs: I,
    forward: impl Fn(&M, I) -> O,
) -> Result<GraphModel<M, I, O>, ApproxError> {
    CaptureOptions::default().capture(model, inputs, forward)
}

/// How a model is captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureOptions {
    fold_batch_norm: bool,
    products_of_activations: bool,
    straight_through_rounding: bool,
}

impl CaptureOptions {
    /// Whether the scales of batch normalisations are multiplied into the weights of the convolutions before them, as
    /// hardware does; not by default.
    ///
    /// The weight that is quantised is then the folded one, computed in every forward pass from the parameters, which
    /// stay those of the original: training goes on through the fold, and records keep fitting. In float the outputs
    /// differ from the original's by rounding. A convolution whose output something else reads too is left alone.
    /// Without this, normalisations are computed in float after the convolution.
    ///
    /// ```
    /// use burn::{nn, prelude::*};
    /// use burn_approx::{CaptureOptions, approx_layers};
    ///
    /// let device = Device::default();
    /// let model = (nn::conv::Conv2dConfig::new([3, 4], [3, 3]).init(&device), nn::BatchNormConfig::new(4).init(&device));
    /// let images = Tensor::<4>::ones([2, 3, 8, 8], &device);
    /// let options = CaptureOptions::default().with_fold_batch_norm(true);
    /// let captured = options.capture(&model, images, |(convolution, norm), x| norm.forward(convolution.forward(x)))?;
    /// assert_eq!(approx_layers(&captured)[0].path(), "0");
    /// # Ok::<(), burn_approx::ApproxError>(())
    /// ```
    pub fn with_fold_batch_norm(self, fold_batch_norm: bool) -> Self {
        Self {
            fold_batch_norm,
            ..self
        }
    }

    /// Whether products of two activations are layers too, which they are not by default: matrix products, such as
    /// those of attention, and the two products in Burn's attention operation, which is computed step by step once one
    /// of them is simulated.
    ///
    /// Such a layer is called `matmul`, below the module that both operands come from, with a number where there are
    /// several (`attention.matmul`, `attention.matmul.2`). The first operand is the activation; the second takes the
    /// weight's place: it has the weight's codes, but one scale, and is observed as activations are. Products whose
    /// second operand has a matrix that grows with the batch stay in float.
    ///
    /// ```
    /// use burn::prelude::*;
    /// use burn_approx::{CaptureOptions, approx_layers};
    ///
    /// let device = Device::default();
    /// let model = burn::nn::attention::MultiHeadAttentionConfig::new(8, 2).init(&device);
    /// let tokens = Tensor::<3>::ones([2, 4, 8], &device);
    /// let options = CaptureOptions::default().with_products_of_activations(true);
    /// let captured = options.capture(&model, tokens, |model, tokens| {
    ///     model.forward(burn::nn::attention::MhaInput::self_attn(tokens)).context
    /// })?;
    /// let layers = approx_layers(&captured);
    /// let paths: Vec<_> = layers.iter().map(|layer| layer.path()).collect();
    /// assert_eq!(paths, ["query", "key", "value", "output", "matmul", "matmul.2"]);
    /// # Ok::<(), burn_approx::ApproxError>(())
    /// ```
    pub fn with_products_of_activations(self, products_of_activations: bool) -> Self {
        Self {
            products_of_activations,
            ..self
        }
    }

    /// Whether gradients pass through rounding as if it were not there, which they do not by default, as in Burn: its
    /// derivative is 0.
    ///
    /// A model that rounds activations to the codes of a quantiser in its forward pass learns through it so.
    ///
    /// ```
    /// use burn::{nn, prelude::*};
    /// use burn_approx::CaptureOptions;
    ///
    /// let device = Device::default().autodiff();
    /// let model = nn::LinearConfig::new(4, 2).init(&device);
    /// let x = Tensor::<2>::from_floats([[0.2, 0.7, -1.4, 3.0]], &device).require_grad();
    /// let options = CaptureOptions::default().with_straight_through_rounding(true);
    /// let captured = options.capture(&model, x.clone(), |model, x| model.forward(x.round()))?;
    /// let gradients = captured.forward(x.clone()).sum().backward();
    /// let of_weight = model.weight.val().without_autodiff().sum_dim(1).transpose();
    /// x.grad(&gradients).unwrap().to_data().assert_eq(&of_weight.to_data(), false);
    /// # Ok::<(), burn_approx::ApproxError>(())
    /// ```
    pub fn with_straight_through_rounding(self, straight_through_rounding: bool) -> Self {
        Self {
            straight_through_rounding,
            ..self
        }
    }

    /// As [`capture()`], with these options.
    ///
    /// # Errors
    /// As there.
    pub fn capture<M: Module, I: GraphTensors, O: GraphTensors>(
        self,
        model: &M,
        inputs: I,
        forward: impl Fn(&M, I) -> O,
    ) -> Result<GraphModel<M, I, O>, ApproxError> {
        let drop_ins = approx_layers(model);
        if !drop_ins.is_empty() {
            let layers = drop_ins.iter().map(|layer| layer.path().to_string());
            return Err(ApproxError::DropInsToCapture {
                layers: layers.collect(),
            });
        }
        let tensors = inputs.clone().without_autodiff().into_dispatch();
        let Some(first) = tensors.first() else {
            return Err(ApproxError::GraphInput {
                problem:
                    "a model without inputs gives the same every time: there is nothing to capture"
                        .to_string(),
            });
        };
        let rows = first.shape()[0];
        if tensors.iter().any(|tensor| tensor.shape()[0] == 0) {
            return Err(ApproxError::GraphInput {
                problem: "an example with a batch of 0 shows nothing: give one row at least"
                    .to_string(),
            });
        }
        let device = Device::new(tensors[0].device());
        let record = |batch| capture::record(model, inputs.clone(), batch, &device, None, &forward);
        // A single row is no example of a batch: Burn broadcasts it, and some models drop its axis.
        let rows = rows.max(2);
        let another = if rows > 2 { 2 } else { rows + 3 };
        let mut captures = vec![record(rows)?, record(rows + 1)?, record(another)?];
        check_values_are_not_read(model, &inputs, &device, &forward, &captures[0])?;
        if let Some(decisive) = restore::decisive_batch(&captures) {
            let elements: usize = (tensors.iter())
                .map(|tensor| tensor.shape().num_elements() / tensor.shape()[0])
                .sum();
            if decisive.saturating_mul(elements) <= LARGEST_EXAMPLE {
                captures.push(record(decisive)?);
            }
        }
        restore::restore_linear(&mut captures);
        let mut recordings = (captures.into_iter())
            .map(capture::Capture::number)
            .collect::<Result<Vec<_>, _>>()?;
        if self.fold_batch_norm {
            recordings.iter_mut().for_each(fold::fold_batch_norm);
        }
        let paths = parameters::paths(model);
        let lowered = lower::lower(
            &recordings,
            &paths,
            &device,
            self.products_of_activations,
            self.straight_through_rounding,
        )?;
        Ok(GraphModel::new(separate(model), lowered))
    }
}

/// Checks that a forward pass is the same whatever the values of its inputs and parameters, which Burn's capture device
/// lets it read on the host.
fn check_values_are_not_read<M: Module, I: GraphTensors, O: GraphTensors>(
    model: &M,
    inputs: &I,
    device: &Device,
    forward: &impl Fn(&M, I) -> O,
    captured: &capture::Capture,
) -> Result<(), ApproxError> {
    let recording = captured.clone().number()?;
    for (float, int, bool) in [(1e30, 1, true), (-1e30, -1, false), (f32::NAN, 0, true)] {
        let with = Filling { float, int, bool };
        let is_same = |values| -> Result<bool, ApproxError> {
            let inputs = inputs.clone().filled(with);
            let other = capture::record(model, inputs, captured.batch, device, values, forward)?;
            Ok(recording.is_same(&other.number()?))
        };
        if !is_same(Some(with))? {
            let what = match is_same(None)? {
                true => "a parameter",
                false => "an input",
            };
            return Err(ApproxError::Capture {
                problem: format!(
                    "its forward pass reads values of {what} and depends on them; captured, they would be those of now for \
                     good. Compute with tensors instead, as `mask_where` does"
                ),
            });
        }
    }
    Ok(())
}

/// The most elements of an example that is made to see how Burn writes a layer at a large batch size. Beyond, products
/// that a model folds itself are taken for Burn's, and may add in another order at that size.
const LARGEST_EXAMPLE: usize = 1 << 24;

/// A copy of a model that shares no running statistics with it: Burn's clones do.
fn separate<M: Module>(model: &M) -> M {
    let separate = model.valid();
    let trained = parameters::values(model)
        .iter()
        .any(|tensor| tensor.autodiff != DispatchAutodiffContext::Disabled);
    match trained {
        true => separate.train(),
        false => separate,
    }
}
