//! A file as a Burn module: its parameters under its own names, its graph as the forward pass.

mod biases;
mod load;
mod names;
mod parameters;
mod quantizers;
mod rewrite;
mod roles;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor};
use burn::tensor::{DType, Device, TensorData};
use burn_approx::{AnyTensor, CaptureOptions, GraphModel, GraphTensors};

use self::load::{Form, Origin};
use self::parameters::Parameters;
pub use self::quantizers::{FileCodes, OnnxLayerQuantizers, OnnxQuantizer, set_file_quantizers};
use crate::error::{OnnxError, Place};
use crate::file::{self, LayerCodes, Source};
use crate::graph::{Axis, Graph, ValueInfo};
use crate::operators;
use crate::run::{self, Values};
use crate::values::{Context, Kind, Value, movement};

/// An ONNX file as a Burn module.
///
/// Its parameters carry the file's names, its forward pass is the file's graph. In itself it computes in float; layers
/// that can be put on a multiplier come from [`capture`](Self::capture).
///
/// ```no_run
/// use approx_onnx::OnnxModel;
/// use burn::tensor::{Device, Tensor};
/// use burn_approx::{ApproxConfig, calibrate, convert};
///
/// let device = Device::default();
/// let model = OnnxModel::load("resnet20.onnx", &device)?;
/// let images = Tensor::<4>::zeros([8, 3, 32, 32], &device);
/// let model = model.capture::<Tensor<4>, Tensor<2>>(images.clone())?;
/// let (model, _) = convert(model, &ApproxConfig::bundled("mul8s_1L2J"))?;
/// calibrate(&model, |model| drop(model.forward(images.clone())))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct OnnxModel {
    file: Arc<File>,
    parameters: Parameters,
}

/// What the file says, which training does not change.
#[derive(Debug)]
struct File {
    source: Source,
    graph: Graph,
    origins: Vec<Origin>,
}

/// What a model takes or gives under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnnxValue {
    /// Its name in the file.
    pub name: String,
    /// Its type in the file; floats are computed as those of the device.
    pub dtype: Option<DType>,
    /// Its sizes, `None` where the file leaves one open; no shape at all where it says nothing.
    pub shape: Option<Vec<Option<usize>>>,
}

impl From<&ValueInfo> for OnnxValue {
    fn from(info: &ValueInfo) -> Self {
        let sizes = |axes: &Vec<Axis>| {
            let sizes = axes.iter().map(|axis| match axis {
                Axis::Fixed(size) => Some(*size),
                Axis::Open(_) => None,
            });
            sizes.collect()
        };
        Self {
            name: info.name.clone(),
            dtype: info.dtype,
            shape: info.shape.as_ref().map(sizes),
        }
    }
}

impl OnnxModel {
    /// Reads a file, its parameters onto a device.
    ///
    /// # Errors
    /// A file that cannot be read, is damaged, or has operators that are not covered, all of which are listed.
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self, OnnxError> {
        Self::read(Source::File(path.as_ref().to_owned()), device)
    }

    /// Reads a file's bytes; weights must lie within them.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(bytes: impl Into<Vec<u8>>, device: &Device) -> Result<Self, OnnxError> {
        Self::read(Source::Bytes(bytes.into().into()), device)
    }

    fn read(source: Source, device: &Device) -> Result<Self, OnnxError> {
        let mut graph = file::read(&source)?;
        rewrite::take_apart(&mut graph);
        biases::join(&mut graph.body);
        let places = run::unknown_operators(&graph);
        if !places.is_empty() {
            return Err(OnnxError::NotCovered {
                file: source.name(),
                places,
            });
        }
        let (parameters, origins) =
            load::take_parameters(&mut graph, device).map_err(|problem| OnnxError::Damaged {
                file: source.name(),
                problem,
            })?;
        Ok(Self {
            file: Arc::new(File {
                source,
                graph,
                origins,
            }),
            parameters,
        })
    }

    /// The quantisers that the file has around its layers; none where it is not quantised.
    ///
    /// [`set_file_quantizers`] sets them on a captured and converted model.
    pub fn quantizers(&self) -> Vec<OnnxLayerQuantizers> {
        quantizers::find(&self.file.graph, &self.parameters, &self.file.origins)
    }

    /// Writes the file anew with the parameters as they are now; everything else in it stays as it was.
    ///
    /// Weights that the file holds as codes become codes of the same scales and zero points. The file is written under
    /// another name first and then renamed, so that one that is there already is never half overwritten. Weights that
    /// lie outside of the file go into one beside the new one, called `NAME.data`.
    ///
    /// # Errors
    /// If the file that was loaded cannot be read again or was changed since, or the new one cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), OnnxError> {
        self.save_with(path.as_ref(), &[]).map(|_| ())
    }

    /// Writes the file anew with the parameters as they are now, and with quantisers around its layers, as
    /// [`save`](Self::save) does otherwise; gives the paths of the layers that got theirs.
    ///
    /// A layer's input is rounded by `QuantizeLinear` and `DequantizeLinear`, its weight is stored as codes. What the file
    /// then gives is what the converted model gives in mode QUANTIZED, but for codes that a sum in another order rounds
    /// the other way. [`OnnxLayerQuantizers::of`] gives the quantisers of a converted layer. A layer that is part of one
    /// node with others, as in an `LSTM`, stays in float.
    ///
    /// # Errors
    /// As [`save`](Self::save); a file that has quantisers of its own, or whose version of ONNX's operators (13 for codes
    /// of 8 bits, 21 for 16) lacks codes; scales that differ between groups of a transposed convolution.
    pub fn save_with_quantization(
        &self,
        path: impl AsRef<Path>,
        quantizers: &[OnnxLayerQuantizers],
    ) -> Result<Vec<String>, OnnxError> {
        let layers = self.layer_codes(quantizers)?;
        self.save_with(path.as_ref(), &layers)
    }

    fn save_with(&self, path: &Path, layers: &[LayerCodes]) -> Result<Vec<String>, OnnxError> {
        let mut changed = HashMap::new();
        for origin in &self.file.origins {
            let parameter = self
                .parameters
                .iter()
                .find(|parameter| parameter.name == origin.value);
            let parameter = parameter.expect("every origin is a parameter's");
            let elements = stored(&origin.form, &parameter.value.data());
            let before = changed.insert(origin.stored.clone(), elements);
            if before.is_some_and(|before| before != changed[&origin.stored]) {
                return Err(OnnxError::Damaged {
                    file: self.file.source.name(),
                    problem: format!(
                        "{:?} is several weights at once, which are no longer the same",
                        origin.stored
                    ),
                });
            }
        }
        file::save(&self.file.source, path, &changed, layers)
    }

    /// What it takes, in order.
    pub fn inputs(&self) -> Vec<OnnxValue> {
        let inputs = self.file.graph.body.inputs.iter();
        inputs.map(OnnxValue::from).collect()
    }

    /// What it gives, in order.
    pub fn outputs(&self) -> Vec<OnnxValue> {
        let outputs = self.file.graph.body.outputs.iter();
        outputs.map(OnnxValue::from).collect()
    }

    /// The forward pass.
    ///
    /// # Errors
    /// Inputs that the file does not take; a node that cannot be computed, by its name.
    pub fn forward<I: GraphTensors, O: GraphTensors>(&self, inputs: I) -> Result<O, OnnxError> {
        let outputs = self.run(inputs.into_tensors())?;
        Ok(O::from_tensors(outputs)?)
    }

    /// The model with its forward pass recorded, whose layers can be converted, trained and run at any batch size.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and what [`burn_approx::capture`] refuses.
    pub fn capture<I: GraphTensors, O: GraphTensors>(
        &self,
        example: I,
    ) -> Result<GraphModel<Self, I, O>, OnnxError> {
        self.capture_with(CaptureOptions::default(), example)
    }

    /// As [`capture`](Self::capture), with options.
    ///
    /// # Errors
    /// As there.
    pub fn capture_with<I: GraphTensors, O: GraphTensors>(
        &self,
        options: CaptureOptions,
        example: I,
    ) -> Result<GraphModel<Self, I, O>, OnnxError> {
        self.check_batch(example.clone().into_tensors())?;
        // What is learned before a quantiser of the file is learned through it.
        let rounds = self.file.graph.body.nodes.iter().any(|node| {
            let name = node.operator.name.as_str();
            matches!(name, "QuantizeLinear" | "Quant" | "IntQuant")
        });
        let options = match rounds {
            true => options.with_straight_through_rounding(true),
            false => options,
        };
        // The recording knows panics alone; what went wrong is kept beside.
        let failed = RefCell::new(None);
        let captured = options.capture(self, example, |model: &Self, inputs: I| {
            model.forward::<I, O>(inputs).unwrap_or_else(|error| {
                let said = error.to_string();
                failed.borrow_mut().get_or_insert(error);
                panic!("{said}")
            })
        });
        match (captured, failed.into_inner()) {
            (Ok(captured), _) => Ok(captured),
            (Err(_), Some(error)) => Err(error),
            (Err(error), None) => Err(error.into()),
        }
    }

    /// Shows that a file which fixes its batch gives for two batches at once what it gives for each.
    fn check_batch(&self, example: Vec<AnyTensor>) -> Result<(), OnnxError> {
        let body = &self.file.graph.body;
        let declared = body.inputs.iter().map(|info| match info.shape.as_deref() {
            Some([Axis::Fixed(size), ..]) => Some(*size),
            _ => None,
        });
        let Some(batch) = declared
            .collect::<Option<Vec<_>>>()
            .and_then(|sizes| sizes.first().copied())
        else {
            return Ok(());
        };
        let halves = [0, 1].map(|half| {
            let inputs = example.iter().map(|input| varied(input, batch, half));
            inputs.collect::<Vec<_>>()
        });
        let joined = halves[0].iter().zip(&halves[1]);
        let joined = joined
            .map(|(first, second)| behind(first, second))
            .collect();
        let apart = [self.run(halves[0].clone())?, self.run(halves[1].clone())?];
        let refuse = || OnnxError::FixedBatch {
            file: self.file.source.name(),
            batch,
        };
        let together = self.run(joined).map_err(|_| refuse())?;
        for (index, together) in together.into_iter().enumerate() {
            let expected = behind(&apart[0][index], &apart[1][index]);
            if !is_close(&together.into_data(), &expected.into_data()) {
                return Err(refuse());
            }
        }
        Ok(())
    }

    fn run(&self, inputs: Vec<AnyTensor>) -> Result<Vec<AnyTensor>, OnnxError> {
        let body = &self.file.graph.body;
        if inputs.len() != body.inputs.len() {
            let names = body.inputs.iter().map(|input| format!("{:?}", input.name));
            return Err(OnnxError::Input {
                problem: format!(
                    "there are {}, but it takes {}: {}",
                    inputs.len(),
                    body.inputs.len(),
                    names.collect::<Vec<_>>().join(", ")
                ),
            });
        }
        let device = match inputs.first() {
            Some(input) => input.device(),
            None => Device::default(),
        };
        let batch = self.batch(&inputs);
        let context = Context::new(&device).with_batch(batch);
        let mut values = Values::new();
        for (info, input) in body.inputs.iter().zip(inputs) {
            self.check(info, &input, batch)?;
            values.insert(info.name.clone(), given(info, input));
        }
        for parameter in self.parameters.iter() {
            let tensor = parameter.value.tensor();
            values.insert(
                parameter.name.clone(),
                Value::new(tensor, DType::F32, false),
            );
        }
        let outputs = run::run(&self.file.graph, &context, values)
            .map_err(|place: Place| OnnxError::Node(Box::new(place)))?;
        let outputs = outputs
            .into_iter()
            .map(|value| AnyTensor::from_dispatch(context.tensor(&value, false)));
        Ok(outputs.collect())
    }

    /// The batch that the file is made for and the one that it is given, if the file fixes one and another is given.
    fn batch(&self, inputs: &[AnyTensor]) -> Option<(usize, usize)> {
        let mut fixed = None;
        for (info, input) in self.file.graph.body.inputs.iter().zip(inputs) {
            let Some(Axis::Fixed(size)) = info.shape.as_ref()?.first() else {
                return None;
            };
            let pair = (*size, *input.shape().to_vec().first()?);
            if *fixed.get_or_insert(pair) != pair {
                return None;
            }
        }
        fixed.filter(|(declared, given)| declared != given)
    }

    fn check(
        &self,
        info: &ValueInfo,
        input: &AnyTensor,
        batch: Option<(usize, usize)>,
    ) -> Result<(), OnnxError> {
        let refuse = |problem: String| Err(OnnxError::Input { problem });
        if let Some(dtype) = info.dtype
            && Kind::of(dtype) != Kind::of(input.dtype())
        {
            return refuse(format!(
                "{:?} is {:?}, but holds {dtype:?}",
                info.name,
                input.dtype()
            ));
        }
        let Some(axes) = &info.shape else {
            return Ok(());
        };
        let shape = input.shape().to_vec();
        let fits =
            shape.len() == axes.len().max(1)
                && axes.iter().zip(&shape).enumerate().all(
                    |(axis, (expected, size))| match expected {
                        Axis::Fixed(fixed) => fixed == size || (axis == 0 && batch.is_some()),
                        Axis::Open(_) => true,
                    },
                );
        match fits {
            true => Ok(()),
            false => refuse(format!(
                "{:?} has the shape {shape:?}, but should have {}",
                info.name,
                written(axes)
            )),
        }
    }
}

/// Rows like those of an example, with other floats in every half.
fn varied(example: &AnyTensor, rows: usize, half: usize) -> AnyTensor {
    let data = example.clone().into_data();
    let mut shape = data.shape().to_vec();
    let elements = data.num_elements();
    let per_row = elements / shape[0].max(1);
    shape[0] = rows;
    let start = half * rows * per_row;
    let places = start..start + rows * per_row;
    let device = example.device();
    let data = match Kind::of(data.dtype()) {
        Kind::Float => {
            let values = places.map(|place| ((place * 7919 + 31) % 211) as f32 / 105.5 - 1.0);
            TensorData::new(values.collect::<Vec<f32>>(), shape)
        }
        Kind::Int => {
            let own: Vec<i64> = data.iter().collect();
            let values = places.map(|place| own[place % elements]);
            TensorData::new(values.collect::<Vec<i64>>(), shape)
        }
        Kind::Bool => {
            let own: Vec<bool> = data.iter().collect();
            let values = places.map(|place| own[place % elements]);
            TensorData::new(values.collect::<Vec<bool>>(), shape)
        }
    };
    AnyTensor::from_data(data.convert_dtype(example.dtype()), &device)
}

/// Two tensors behind each other along the first axis.
fn behind(first: &AnyTensor, second: &AnyTensor) -> AnyTensor {
    let tensors = [first, second].map(|tensor| tensor.clone().into_dispatch());
    AnyTensor::from_dispatch(movement::cat(tensors.to_vec(), 0))
}

/// Whether two tensors are the same to the rounding of sums in another order.
fn is_close(found: &TensorData, expected: &TensorData) -> bool {
    let largest = expected
        .iter::<f64>()
        .fold(0.0, |most: f64, value| most.max(value.abs()));
    let mut pairs = found.iter::<f64>().zip(expected.iter::<f64>());
    found.shape() == expected.shape()
        && pairs.all(|(one, other)| {
            (one - other).abs() <= 1e-4 * largest || one == other || one.is_nan() && other.is_nan()
        })
}

/// A parameter's elements as the file stores them.
fn stored(form: &Form, data: &TensorData) -> Vec<f64> {
    let values = data.iter::<f64>();
    let Form::Codes {
        scale,
        zero,
        axis,
        dtype,
    } = form
    else {
        return values.collect();
    };
    let [least, most] = match dtype {
        DType::I32 => [f64::from(i32::MIN), f64::from(i32::MAX)],
        dtype => operators::code_range(*dtype).expect("codes have a range"),
    };
    let (inner, size): (usize, usize) = match scale.len() {
        1 => (1, 1),
        _ => (
            data.shape()[axis + 1..].iter().product(),
            data.shape()[*axis],
        ),
    };
    let codes = values.enumerate().map(|(place, value)| {
        let channel = place / inner % size;
        // As ONNX's operator has it: in float32, to the nearest even.
        let quotient = (value as f32 / scale[channel] as f32).round_ties_even();
        (f64::from(quotient) + zero[channel]).clamp(least, most)
    });
    codes.collect()
}

/// A shape as the file has it.
fn written(axes: &[Axis]) -> String {
    let sizes = axes.iter().map(|axis| match axis {
        Axis::Fixed(size) => size.to_string(),
        Axis::Open(name) if name.is_empty() => "?".to_string(),
        Axis::Open(name) => name.clone(),
    });
    format!("[{}]", sizes.collect::<Vec<_>>().join(", "))
}

/// An input as a value of the graph.
fn given(info: &ValueInfo, input: AnyTensor) -> Value {
    let dtype = info.dtype.unwrap_or(input.dtype());
    let value = Value::new(input.into_dispatch(), dtype, false);
    match info.shape.as_ref().is_some_and(Vec::is_empty) {
        true => value.without_axes(),
        false => value,
    }
}

impl Module for OnnxModel {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.parameters.collect_devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        self.with(|parameters| parameters.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.with(|parameters| parameters.to_device(device))
    }

    fn train(self) -> Self {
        self.with(Module::train)
    }

    fn valid(&self) -> Self {
        self.clone().with(|parameters| parameters.valid())
    }

    fn materialize(self) -> Self {
        self.with(Module::materialize)
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.parameters.visit(visitor);
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        self.with(|parameters| parameters.map(mapper))
    }
}

impl OnnxModel {
    fn with(self, change: impl FnOnce(Parameters) -> Parameters) -> Self {
        Self {
            file: self.file,
            parameters: change(self.parameters),
        }
    }
}
