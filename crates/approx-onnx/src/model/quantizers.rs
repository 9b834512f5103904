//! The quantisers that a file has around its layers, to be set on the layers of the captured model.
//!
//! A quantised file rounds a layer's input to codes and takes it back, and holds the weight as codes. Those scales and
//! zero points are the layer's: with them a multiplier gets the very codes that the file means, and nothing needs to be
//! calibrated.

use burn::module::Module;
use burn::tensor::{DType, TensorData};
use burn_approx::nn::LayerKind;
use burn_approx::quantization::{
    CodeQuantizer, CodeRange, Granularity, LayerQuantization, Observation, Observer,
    OperandQuantization, Symmetry,
};
use burn_approx::{ApproxError, ApproxLayer, approx_layers};

use super::OnnxModel;
use super::load::{Form, Origin};
use super::parameters::{Parameter, Parameters};
use crate::call::Call;
use crate::error::OnnxError;
use crate::file::{Codes, LayerCodes};
use crate::graph::{Body, Constant, Graph, Node};
use crate::operators::{code_range, qonnx_range};
use crate::values::{Context, Value};

/// A quantiser as a file has it: `code = clamp(round(x / scale) + zero_point, low, high)`.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxQuantizer {
    /// One scale, or one for each index along `axis`.
    pub scales: Vec<f32>,
    /// As many zero points.
    pub zero_points: Vec<i32>,
    /// The least and the largest code.
    pub codes: [i32; 2],
    /// The axis of the layer's weight along which scales differ.
    pub axis: Option<usize>,
}

impl OnnxQuantizer {
    /// The same values by codes that are smaller by as much as makes unsigned codes signed: 128 for 8 bits.
    ///
    /// Codes that are signed already stay as they are.
    pub fn shifted(&self) -> Self {
        let shift = match self.codes[0] {
            0 => (self.codes[1] + 1) / 2,
            _ => 0,
        };
        Self {
            zero_points: self.zero_points.iter().map(|zero| zero - shift).collect(),
            codes: self.codes.map(|code| code - shift),
            ..self.clone()
        }
    }

    fn on(&self, device: &burn::tensor::Device) -> Result<CodeQuantizer, ApproxError> {
        let codes = CodeRange::new(self.codes[0], self.codes[1])?;
        match self.axis {
            Some(axis) => {
                CodeQuantizer::per_channel(&self.scales, &self.zero_points, codes, axis, device)
            }
            None => CodeQuantizer::per_tensor(self.scales[0], self.zero_points[0], codes, device),
        }
    }

    /// What a layer's settings say of an operand that is quantised so.
    fn operand(&self) -> Result<OperandQuantization, ApproxError> {
        Ok(OperandQuantization {
            codes: CodeRange::new(self.codes[0], self.codes[1])?,
            symmetry: match self.zero_points.iter().all(|&zero| zero == 0) {
                true => Symmetry::Symmetric,
                false => Symmetry::Affine,
            },
            observer: Observer::MinMax,
            observation: Observation::Frozen,
        })
    }
}

/// The quantisers around one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxLayerQuantizers {
    /// The path of the layer in the captured model.
    pub path: String,
    /// Of its input.
    pub activation: OnnxQuantizer,
    /// Of its weight.
    pub weight: OnnxQuantizer,
}

impl OnnxLayerQuantizers {
    /// The quantisers of a converted layer with a weight; `None` before it is calibrated.
    ///
    /// ```
    /// use approx_onnx::OnnxLayerQuantizers;
    /// use burn::prelude::*;
    /// use burn_approx::nn::LinearConfig;
    /// use burn_approx::{ApproxConfig, approx_layers, calibrate, convert};
    ///
    /// let layer = LinearConfig::new(8, 4).init(&Device::flex());
    /// let (layer, _) = convert(layer, &ApproxConfig::bundled("mul8s_1L2J"))?;
    /// let x = Tensor::<2>::ones([2, 8], &Device::flex());
    /// assert!(OnnxLayerQuantizers::of(&approx_layers(&layer)[0]).is_none());
    /// calibrate(&layer, |layer| drop(layer.forward(x)))?;
    /// let quantizers = OnnxLayerQuantizers::of(&approx_layers(&layer)[0]).unwrap();
    /// assert_eq!(quantizers.weight.scales.len(), 4); // one for each output
    /// # Ok::<(), burn_approx::ApproxError>(())
    /// ```
    pub fn of(layer: &ApproxLayer) -> Option<Self> {
        let axis = match layer.kind() {
            LayerKind::Linear | LayerKind::ConvTranspose1d | LayerKind::ConvTranspose2d => 1,
            LayerKind::Conv1d | LayerKind::Conv2d | LayerKind::Conv3d => 0,
            LayerKind::Matmul => return None,
        };
        let quantization = layer.settings()?.quantization;
        let quantizer =
            |quantizer: CodeQuantizer, codes: CodeRange, axis: Option<usize>| OnnxQuantizer {
                scales: quantizer.scales(),
                zero_points: quantizer.zero_points(),
                codes: [codes.low(), codes.high()],
                axis,
            };
        let axis = (quantization.granularity == Granularity::PerChannel).then_some(axis);
        Some(Self {
            path: layer.path().to_string(),
            activation: quantizer(
                layer.activation_quantizer()?,
                quantization.activation.codes,
                None,
            ),
            weight: quantizer(layer.weight_quantizer()?, quantization.weight.codes, axis),
        })
    }
}

impl OnnxModel {
    /// The codes of layers that have quantisers, in terms of the file.
    pub(super) fn layer_codes(
        &self,
        quantizers: &[OnnxLayerQuantizers],
    ) -> Result<Vec<LayerCodes>, OnnxError> {
        let refuse = |problem: String| OnnxError::Quantizers {
            file: self.file.source.name(),
            problem,
        };
        if !self.quantizers().is_empty() {
            let problem = "it has quantisers of its own, which its codes are written back by without any others";
            return Err(refuse(problem.to_string()));
        }
        let mut layers = Vec::new();
        for node in &self.file.graph.body.nodes {
            let Some([_, weight]) = layer_operands(node) else {
                continue;
            };
            if layers.iter().any(|own: &LayerCodes| own.stored == *weight) {
                continue;
            }
            let mut parameters = self.parameters.iter();
            let Some(parameter) = parameters.find(|parameter| parameter.name == *weight) else {
                continue;
            };
            let path = layer_path(parameter);
            let Some(own) = quantizers.iter().find(|own| own.path == path) else {
                continue;
            };
            let in_file = |quantizer: &OnnxQuantizer| Codes {
                scales: quantizer.scales.clone(),
                zero_points: quantizer.zero_points.clone(),
                range: quantizer.codes,
                axis: quantizer.axis.map(|axis| layer_axis(node, axis)),
            };
            let weight_name = weight;
            let (activation, weight) = (in_file(&own.activation), in_file(&own.weight));
            let weight_codes = codes(&parameter.value.data(), &weight)
                .map_err(|problem| refuse(format!("{path}: {problem}")))?;
            layers.push(LayerCodes {
                stored: weight_name.clone(),
                path,
                activation,
                weight,
                weight_codes,
            });
        }
        Ok(layers)
    }
}

/// A weight's codes, as layers round them: by products with the reciprocals of the scales.
fn codes(weight: &TensorData, quantizer: &Codes) -> Result<Vec<i32>, String> {
    let shape = weight.shape().to_vec();
    let (inner, size) = match quantizer.axis {
        Some(axis) => (shape[axis + 1..].iter().product::<usize>(), shape[axis]),
        None => (1, 1),
    };
    if size != quantizer.scales.len() {
        return Err(format!(
            "its weight has {} scales for {size} places along an axis: in ONNX, groups of a transposed convolution share \
             theirs. Scales per tensor would do",
            quantizer.scales.len()
        ));
    }
    let [least, most] = quantizer.range.map(|code| code as f32);
    let codes = weight.iter::<f32>().enumerate().map(|(place, value)| {
        let channel = place / inner % size;
        let code = (value * (1.0 / quantizer.scales[channel])).round_ties_even();
        (code + quantizer.zero_points[channel] as f32).clamp(least, most) as i32
    });
    Ok(codes.collect())
}

/// Finds the quantisers around the layers of a graph.
pub(super) fn find(
    graph: &Graph,
    parameters: &Parameters,
    origins: &[Origin],
) -> Vec<OnnxLayerQuantizers> {
    let finder = Finder {
        body: &graph.body,
        context: Context::new(&burn::tensor::Device::flex()),
        origins,
    };
    let layers = graph.body.nodes.iter().filter_map(|node| {
        let [input, weight] = layer_operands(node)?;
        let parameter = parameters.iter().find(|parameter| {
            parameter.name == *weight || finder.through_quantizer(weight) == Some(&parameter.name)
        })?;
        Some(OnnxLayerQuantizers {
            path: layer_path(parameter),
            activation: finder.activation(input)?,
            weight: finder.weight(node, weight)?,
        })
    });
    layers.collect()
}

/// The path of the layer that has a weight.
fn layer_path(weight: &Parameter) -> String {
    let path = weight.path.join(".");
    path.strip_suffix(".weight").unwrap_or(&path).to_string()
}

/// The names of a layer's input and weight.
fn layer_operands(node: &Node) -> Option<[&String; 2]> {
    let is_layer = matches!(
        node.operator.name.as_str(),
        "Conv" | "ConvTranspose" | "Gemm" | "MatMul"
    );
    match is_layer {
        true => Some([node.inputs.first()?, node.inputs.get(1)?]),
        false => None,
    }
}

/// The axis of a layer's weight that an axis of the file's is.
fn layer_axis(node: &Node, axis: usize) -> usize {
    let transposed = node
        .attributes
        .iter()
        .any(|(name, value)| name == "transB" && matches!(value, crate::graph::Attribute::Int(1)));
    match transposed {
        true => 1 - axis,
        false => axis,
    }
}

struct Finder<'a> {
    body: &'a Body,
    context: Context,
    origins: &'a [Origin],
}

impl<'a> Finder<'a> {
    fn producer(&self, value: &str) -> Option<&'a Node> {
        let mut nodes = self.body.nodes.iter();
        nodes.find(|node| node.outputs.first().is_some_and(|output| output == value))
    }

    /// The value that a quantiser on a weight works on.
    fn through_quantizer(&self, value: &str) -> Option<&'a String> {
        let node = self.producer(value)?;
        match node.operator.name.as_str() {
            "Quant" | "IntQuant" => node.inputs.first(),
            "DequantizeLinear" => self.producer(node.inputs.first()?)?.inputs.first(),
            _ => None,
        }
    }

    fn constant(&self, name: &str) -> Option<&'a Constant> {
        let mut constants = self.body.constants.iter();
        constants
            .find(|(own, _)| own == name)
            .map(|(_, constant)| constant)
    }

    fn numbers(&self, node: &Node, index: usize) -> Option<(Vec<f64>, DType)> {
        let constant = self.constant(node.inputs.get(index)?)?;
        Some((constant.data.iter::<f64>().collect(), constant.dtype))
    }

    /// The quantiser of a value that was quantised and taken back.
    fn activation(&self, value: &str) -> Option<OnnxQuantizer> {
        let quantizer = self.of_node(self.producer(value)?, None)?;
        (quantizer.scales.len() == 1).then_some(quantizer)
    }

    fn weight(&self, layer: &Node, value: &str) -> Option<OnnxQuantizer> {
        if let Some(node) = self.producer(value) {
            let quantizer = self.of_node(node, Some(layer))?;
            return Some(quantizer);
        }
        let origin = self.origins.iter().find(|origin| origin.value == value)?;
        let Form::Codes {
            scale,
            zero,
            axis,
            dtype,
        } = &origin.form
        else {
            return None;
        };
        quantizer(
            scale,
            zero,
            code_range(*dtype)?,
            Some(layer_axis(layer, *axis)),
        )
    }

    /// The quantiser of a node that takes values back, or does both.
    fn of_node(&self, node: &Node, layer: Option<&Node>) -> Option<OnnxQuantizer> {
        let call = Call::new(node, 13, &self.context, vec![None::<Value>]);
        match node.operator.name.as_str() {
            "DequantizeLinear" => {
                // The codes come from a quantiser, through operators that keep them.
                let (scale, _) = self.numbers(node, 1)?;
                let (zero, dtype) = match self.numbers(node, 2) {
                    Some(zero) => zero,
                    None => (vec![0.0; scale.len()], DType::U8),
                };
                let axis = call.int("axis").ok()?.unwrap_or(1);
                let axis = usize::try_from(axis).ok()?;
                let axis = layer.map(|layer| layer_axis(layer, axis));
                quantizer(&scale, &zero, code_range(dtype)?, axis)
            }
            "Quant" | "IntQuant" => {
                let ((scale, _), (zero, _)) = (self.numbers(node, 1)?, self.numbers(node, 2)?);
                let (bits, _) = self.numbers(node, 3)?;
                let is_signed = call.switch("signed", true).ok()?;
                let is_narrow = call.switch("narrow", false).ok()?;
                let codes = qonnx_range(*bits.first()?, is_signed, is_narrow).ok()?;
                // Scales along an axis have that axis' size in a shape of ones.
                let shape = self.constant(node.inputs.get(1)?)?.data.shape().to_vec();
                let axis = shape.iter().position(|&size| size > 1);
                let axis = layer.and_then(|layer| Some(layer_axis(layer, axis?)));
                let zero = match zero.len() {
                    1 => vec![zero[0]; scale.len()],
                    _ => zero,
                };
                quantizer(&scale, &zero, codes, axis)
            }
            _ => None,
        }
    }
}

fn quantizer(
    scale: &[f64],
    zero: &[f64],
    codes: [f64; 2],
    axis: Option<usize>,
) -> Option<OnnxQuantizer> {
    Some(OnnxQuantizer {
        scales: scale.iter().map(|&scale| scale as f32).collect(),
        zero_points: zero.iter().map(|&zero| zero as i32).collect(),
        codes: codes.map(|code| code as i32),
        axis: axis.filter(|_| scale.len() > 1),
    })
}

/// How the codes of a quantised file are given to a multiplier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileCodes {
    /// As they are in the file.
    #[default]
    AsTheyAre,
    /// Unsigned ones made signed: the same values by codes and zero points that are smaller by 128 (for 8 bits).
    Shifted,
}

/// Sets a file's quantisers on the converted layers that they surround; gives the paths of those layers.
///
/// Their inputs need no calibration then. Layers that the file does not quantise, or that are not converted, are left as
/// they are; calibrate them first, since a calibration forgets all ranges of a model, these too.
///
/// # Errors
/// Codes that the layer's multiplier does not take, such as 0 to 255 for one of signed operands of 8 bits:
/// [`FileCodes::Shifted`] gives it the same values by other codes, and to leave the file's quantisers out and calibrate
/// the layer is the other way.
pub fn set_file_quantizers<M: Module>(
    model: &M,
    quantizers: &[OnnxLayerQuantizers],
    codes: FileCodes,
) -> Result<Vec<String>, OnnxError> {
    let layers = approx_layers(model);
    let mut set = Vec::new();
    for quantizers in quantizers {
        let Some(layer) = layers.get(&quantizers.path) else {
            continue;
        };
        if !layer.is_converted() {
            continue;
        }
        let chosen = |quantizer: &OnnxQuantizer| match codes {
            FileCodes::AsTheyAre => quantizer.clone(),
            FileCodes::Shifted => quantizer.shifted(),
        };
        let (activation, weight) = (chosen(&quantizers.activation), chosen(&quantizers.weight));
        layer.set_quantization(LayerQuantization {
            activation: activation.operand()?,
            weight: weight.operand()?,
            granularity: match weight.axis {
                Some(_) => Granularity::PerChannel,
                None => Granularity::PerTensor,
            },
        })?;
        let device = model.devices().first().cloned().unwrap_or_default();
        let device = device.inner();
        layer.set_activation_quantizer(&activation.on(&device)?)?;
        layer.set_weight_quantizer(&weight.on(&device)?)?;
        set.push(quantizers.path.clone());
    }
    Ok(set)
}
