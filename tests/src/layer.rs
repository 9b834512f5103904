//! A layer with values for its operands, run through the library and through the reference: matrix products and
//! convolutions of images through its operators, convolutions of lines and volumes, which have none, through its
//! drop-in layers.

use std::cell::RefCell;

use approx_multiplier::{MultiplierSource, OperandFormat};
use burn::module::{Module, Param, ParamId};
use burn::nn::{PaddingConfig1d, PaddingConfig3d};
use burn::prelude::*;
use burn_approx::convert::{ApproxConfig, accumulators as tapped, approx_layers, convert};
use burn_approx::nn::Linear;
use burn_approx::nn::conv::{
    Conv1d, Conv1dConfig, Conv3d, Conv3dConfig, ConvTranspose1d, ConvTranspose1dConfig,
    ConvTranspose2d, ConvTranspose2dConfig,
};
use burn_approx::ops::CodeGrid;
use burn_approx::plan::{ExecutionPlan, ProductOperation, Target};
use burn_approx::quantization::{
    CodeQuantizer, CodeRange, Granularity, LayerQuantization, Observation, Observer,
    OperandQuantization, Symmetry,
};
use burn_approx::{ApproxError, PreparedMultiplier, ops};

use crate::reference::{self, Codes, Convolution, LayerGeometry, TransposedConvolution};

/// An operand: real values and how they become codes.
#[derive(Clone, Debug)]
pub struct Operand {
    /// The values, row by row.
    pub values: Vec<f32>,
    /// The shape.
    pub shape: Vec<usize>,
    /// One scale, or one per channel.
    pub scales: Vec<f32>,
    /// As many zero points.
    pub zero_points: Vec<i32>,
    /// The axis of the channels, if there are any.
    pub channel_axis: Option<usize>,
    /// The codes that may be produced.
    pub range: CodeRange,
    /// The operand format of a multiplier for them.
    pub format: OperandFormat,
}

impl Operand {
    /// An operand given by its codes, with one scale and zero point.
    pub fn from_codes(
        codes: &[i32],
        shape: Vec<usize>,
        scale: f32,
        zero_point: i32,
        format: OperandFormat,
    ) -> Self {
        Self {
            values: codes
                .iter()
                .map(|code| scale * (code - zero_point) as f32)
                .collect(),
            shape,
            scales: vec![scale],
            zero_points: vec![zero_point],
            channel_axis: None,
            range: CodeRange::full(format),
            format,
        }
    }

    /// The channel of a value, 0 if there are none.
    pub fn channel(&self, index: usize) -> usize {
        match self.channel_axis {
            Some(axis) => {
                index / self.shape[axis + 1..].iter().product::<usize>() % self.shape[axis]
            }
            None => 0,
        }
    }

    /// The library's quantiser.
    pub fn quantizer(&self, device: &Device) -> CodeQuantizer {
        let (scales, zeros, range) = (&self.scales, &self.zero_points, self.range);
        match self.channel_axis {
            Some(axis) => CodeQuantizer::per_channel(scales, zeros, range, axis, device),
            None => CodeQuantizer::per_tensor(scales[0], zeros[0], range, device),
        }
        .expect("scales are positive and zero points are codes")
    }

    /// The quantisation with which a layer takes [`quantizer`](Self::quantizer).
    fn quantization(&self) -> OperandQuantization {
        OperandQuantization {
            codes: self.range,
            symmetry: match self.zero_points.iter().all(|zero| *zero == 0) {
                true => Symmetry::Symmetric,
                false => Symmetry::Affine,
            },
            observer: Observer::MinMax,
            observation: Observation::Frozen,
        }
    }

    /// The values as a tensor.
    pub fn tensor<const D: usize>(&self, device: &Device) -> Tensor<D> {
        float_tensor(&self.values, &self.shape, device)
    }

    /// The codes, by the reference.
    pub fn codes(&self) -> Vec<i32> {
        self.map(reference::code)
    }

    /// Which values have a code that was not clamped, by the reference.
    pub fn in_range(&self) -> Vec<bool> {
        self.map(reference::in_range)
    }

    fn map<T>(&self, of: impl Fn(f32, f32, i32, i32, i32) -> T) -> Vec<T> {
        self.values
            .iter()
            .enumerate()
            .map(|(index, value)| {
                let channel = self.channel(index);
                let (scale, zero) = (self.scales[channel], self.zero_points[channel]);
                of(*value, scale, zero, self.range.low(), self.range.high())
            })
            .collect()
    }

    fn along_channels<T: Clone>(values: &[T], channels: usize) -> Vec<T> {
        match values {
            [single] => vec![single.clone(); channels],
            many => many.to_vec(),
        }
    }
}

/// A tensor from values and a shape.
pub fn float_tensor<const D: usize>(values: &[f32], shape: &[usize], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape.to_vec()), device)
}

/// A tensor of codes from values and a shape.
pub fn int_tensor<const D: usize>(
    values: &[i32],
    shape: &[usize],
    device: &Device,
) -> Tensor<D, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape.to_vec()), device)
}

/// The values of a tensor, row by row.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .into_data()
        .convert::<f32>()
        .try_into_vec::<f32>()
        .expect("converted to f32")
}

/// The integers of a tensor, row by row.
pub fn integers<const D: usize>(tensor: Tensor<D, Int>) -> Vec<i64> {
    tensor
        .into_data()
        .convert::<i64>()
        .try_into_vec::<i64>()
        .expect("converted to i64")
}

/// The bits of every value: equal where outputs are the same bit for bit.
pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The largest difference of two slices in proportion to the largest magnitude of the second; NaN if either holds one.
pub fn relative_difference(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len(), "as many values");
    let largest = |values: &mut dyn Iterator<Item = f64>| {
        values.fold(0.0f64, |largest, value| {
            if value.is_nan() || value > largest {
                value
            } else {
                largest
            }
        })
    };
    let mut differences = found
        .iter()
        .zip(expected)
        .map(|(found, expected)| (f64::from(*found) - f64::from(*expected)).abs());
    let scale = largest(&mut expected.iter().map(|value| f64::from(value.abs())));
    largest(&mut differences) / scale.max(f64::MIN_POSITIVE)
}

/// A layer: its geometry and both operands.
#[derive(Clone, Debug)]
pub struct Layer {
    /// What is multiplied with what.
    pub geometry: LayerGeometry,
    /// The activation, with one scale.
    pub activation: Operand,
    /// The weight.
    pub weight: Operand,
}

/// The gradients of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerGradients {
    /// The output that the gradients belong to.
    pub output: Vec<f32>,
    /// The activation's.
    pub activation: Vec<f32>,
    /// The weight's.
    pub weight: Vec<f32>,
}

impl Layer {
    /// A converted and calibrated drop-in, without its bias, on an input.
    pub fn of_linear(linear: &Linear, input: Tensor<2>) -> Self {
        let handle = &approx_layers(linear)[0];
        let settings = handle.settings().expect("a converted layer");
        let (scheme, multiplier) = (&settings.quantization, settings.multiplier());
        let operand = |tensor: Tensor<2>, quantizer: Option<CodeQuantizer>, range, format| {
            let quantizer = quantizer.expect("a calibrated layer");
            Operand {
                shape: tensor.dims().to_vec(),
                values: values(tensor),
                scales: quantizer.scales(),
                zero_points: quantizer.zero_points(),
                channel_axis: None,
                range,
                format,
            }
        };
        let [rows, inputs] = input.dims();
        let [_, outputs] = linear.weight.val().dims();
        Self {
            geometry: LayerGeometry::Linear {
                leading: vec![rows],
                inputs,
                outputs,
            },
            activation: operand(
                input,
                handle.activation_quantizer(),
                scheme.activation.codes,
                multiplier.activation(),
            ),
            weight: Operand {
                channel_axis: (scheme.granularity == Granularity::PerChannel).then_some(1),
                ..operand(
                    linear.weight.val(),
                    handle.weight_quantizer(),
                    scheme.weight.codes,
                    multiplier.weight(),
                )
            },
        }
    }

    /// The reference's codes of both operands.
    pub fn codes(&self) -> Codes {
        let channels = self.geometry.channels();
        Codes {
            activation: self.activation.codes(),
            activation_scale: self.activation.scales[0],
            activation_zero: self.activation.zero_points[0],
            weight: self.weight.codes(),
            weight_scales: Operand::along_channels(&self.weight.scales, channels),
            weight_zeros: Operand::along_channels(&self.weight.zero_points, channels),
        }
    }

    /// The exact multiplier that QUANTIZED would take for these codes.
    pub fn exact(&self) -> PreparedMultiplier {
        PreparedMultiplier::exact([self.activation.range, self.weight.range])
            .expect("codes of at most 16 bits")
    }

    /// The plan by which the library computes the layer on a device.
    ///
    /// # Errors
    /// The planner's.
    pub fn plan(
        &self,
        multiplier: &PreparedMultiplier,
        device: &Device,
    ) -> Result<ExecutionPlan, ApproxError> {
        let grid = |operand: &Operand| CodeGrid {
            low: operand.range.low(),
            high: operand.range.high(),
            symmetric: operand.zero_points.iter().all(|zero| *zero == 0),
            channel_axis: operand.channel_axis,
        };
        let operation = ProductOperation::new(
            multiplier.clone(),
            [grid(&self.activation), grid(&self.weight)],
            self.geometry.planned(),
            Target::of(device)?,
        )?;
        Ok(operation.plan().clone())
    }

    /// The library's output, without bias.
    pub fn outputs(&self, multiplier: &PreparedMultiplier, device: &Device) -> Vec<f32> {
        let run = Run {
            layer: self,
            multiplier,
            device,
            sums: None,
        };
        match &self.geometry {
            LayerGeometry::Linear { leading, .. } => match leading.len() {
                1 => values(run.linear(self.activation.tensor::<2>(device), run.weight())),
                2 => values(run.linear(self.activation.tensor::<3>(device), run.weight())),
                _ => values(run.linear(self.activation.tensor::<4>(device), run.weight())),
            },
            LayerGeometry::Matmul { .. } => {
                values(run.matmul(self.activation.tensor(device), run.weight()))
            }
            LayerGeometry::Conv1d(_) => {
                values(run.conv1d(self.activation.tensor(device), run.weight()))
            }
            LayerGeometry::Conv2d(_) => {
                values(run.conv2d(self.activation.tensor(device), run.weight()))
            }
            LayerGeometry::Conv3d(_) => {
                values(run.conv3d(self.activation.tensor(device), run.weight()))
            }
            LayerGeometry::ConvTranspose1d(_) => {
                values(run.conv_transpose1d(self.activation.tensor(device), run.weight()))
            }
            LayerGeometry::ConvTranspose2d(_) => {
                values(run.conv_transpose2d(self.activation.tensor(device), run.weight()))
            }
        }
    }

    /// The library's gradients of `sum(output * gradient)`, straight through, on an autodiff device.
    pub fn gradients(
        &self,
        multiplier: &PreparedMultiplier,
        gradient: &[f32],
        device: &Device,
    ) -> LayerGradients {
        let run = Run {
            layer: self,
            multiplier,
            device,
            sums: None,
        };
        match &self.geometry {
            LayerGeometry::Linear { leading, .. } => match leading.len() {
                1 => run.backward::<2, 2>(gradient, Run::linear::<2>),
                2 => run.backward::<3, 2>(gradient, Run::linear::<3>),
                _ => run.backward::<4, 2>(gradient, Run::linear::<4>),
            },
            LayerGeometry::Matmul { .. } => run.backward::<4, 4>(gradient, Run::matmul),
            LayerGeometry::Conv1d(_) => run.backward::<3, 3>(gradient, Run::conv1d),
            LayerGeometry::Conv2d(_) => run.backward::<4, 4>(gradient, Run::conv2d),
            LayerGeometry::Conv3d(_) => run.backward::<5, 5>(gradient, Run::conv3d),
            LayerGeometry::ConvTranspose1d(_) => {
                run.backward::<3, 3>(gradient, Run::conv_transpose1d)
            }
            LayerGeometry::ConvTranspose2d(_) => {
                run.backward::<4, 4>(gradient, Run::conv_transpose2d)
            }
        }
    }

    /// What a drop-in layer sums in a forward pass, and in which shape; `None` for layers that are run by an operator here.
    pub fn tapped_accumulators(
        &self,
        multiplier: &PreparedMultiplier,
        device: &Device,
    ) -> Option<(Vec<usize>, Vec<i64>)> {
        let run = Run {
            layer: self,
            multiplier,
            device,
            sums: Some(RefCell::default()),
        };
        match &self.geometry {
            LayerGeometry::Linear { .. }
            | LayerGeometry::Matmul { .. }
            | LayerGeometry::Conv2d(_) => return None,
            LayerGeometry::Conv1d(_) => {
                drop(run.conv1d(self.activation.tensor(device), run.weight()));
            }
            LayerGeometry::Conv3d(_) => {
                drop(run.conv3d(self.activation.tensor(device), run.weight()));
            }
            LayerGeometry::ConvTranspose1d(_) => {
                drop(run.conv_transpose1d(self.activation.tensor(device), run.weight()));
            }
            LayerGeometry::ConvTranspose2d(_) => {
                drop(run.conv_transpose2d(self.activation.tensor(device), run.weight()));
            }
        }
        let sums = run.sums?.into_inner();
        assert_eq!(sums.len(), 1, "a layer has one product");
        Some((sums[0].shape().to_vec(), sums[0].iter().collect()))
    }

    /// The library's accumulators of the reference's codes.
    ///
    /// # Panics
    /// Where there are none.
    pub fn accumulators(&self, multiplier: &PreparedMultiplier, device: &Device) -> Vec<i64> {
        self.try_accumulators(multiplier, device)
            .expect("the kind of layer has an operator of its own")
            .expect("the geometry is valid and the multiplier has integer products")
    }

    /// The library's accumulators of the reference's codes, planned for all codes of the multiplier; `None` for layers
    /// that have no operator of their own.
    pub fn try_accumulators(
        &self,
        multiplier: &PreparedMultiplier,
        device: &Device,
    ) -> Option<Result<Vec<i64>, ApproxError>> {
        let codes = self.codes();
        accumulators(
            &self.geometry,
            [&codes.activation, &codes.weight],
            codes.activation_zero,
            multiplier,
            device,
        )
    }
}

/// The library's accumulators of an activation's and a weight's codes; `None` for layers that have no operator of their
/// own.
pub fn accumulators(
    geometry: &LayerGeometry,
    [activation, weight]: [&[i32]; 2],
    padding_code: i32,
    multiplier: &PreparedMultiplier,
    device: &Device,
) -> Option<Result<Vec<i64>, ApproxError>> {
    let (activation_shape, weight_shape) = (geometry.activation_shape(), geometry.weight_shape());
    let sums = match geometry {
        LayerGeometry::Linear {
            inputs, outputs, ..
        } => {
            let rows = activation.len() / inputs;
            ops::matmul_accumulators(
                int_tensor::<2>(activation, &[rows, *inputs], device),
                int_tensor::<2>(weight, &[*inputs, *outputs], device),
                multiplier,
            )
            .map(integers)
        }
        LayerGeometry::Matmul { .. } => ops::matmul_accumulators(
            int_tensor::<4>(activation, &activation_shape, device),
            int_tensor::<4>(weight, &weight_shape, device),
            multiplier,
        )
        .map(integers),
        LayerGeometry::Conv2d(conv) => ops::conv2d_accumulators(
            int_tensor::<4>(activation, &activation_shape, device),
            int_tensor::<4>(weight, &weight_shape, device),
            padding_code,
            multiplier,
            conv.options(),
        )
        .map(integers),
        LayerGeometry::ConvTranspose2d(conv) => {
            let weight = int_tensor::<4>(weight, &weight_shape, device);
            ops::conv_transpose2d_accumulators(
                int_tensor::<4>(activation, &activation_shape, device),
                turned(weight.float(), conv.groups).int(),
                multiplier,
                conv.options(),
            )
            .map(integers)
        }
        LayerGeometry::Conv1d(_) | LayerGeometry::Conv3d(_) | LayerGeometry::ConvTranspose1d(_) => {
            return None;
        }
    };
    Some(sums)
}

/// The weight of a transposed convolution, `[out, in / groups, ..]`, as Burn has it, `[in, out / groups, ..]`.
pub fn turned<const D: usize>(weight: Tensor<D>, groups: usize) -> Tensor<D> {
    let mut shape = weight.dims();
    let [outputs, inputs] = [shape[0] / groups, shape[1]];
    let taps = shape[2..].iter().product::<usize>();
    (shape[0], shape[1]) = (groups * inputs, outputs);
    weight
        .reshape([groups, outputs, inputs, taps])
        .swap_dims(1, 2)
        .reshape(shape)
}

/// One run of a layer through the library.
struct Run<'a> {
    layer: &'a Layer,
    multiplier: &'a PreparedMultiplier,
    device: &'a Device,
    /// What a drop-in layer has summed, once it is run and if its sums are wanted.
    sums: Option<RefCell<Vec<TensorData>>>,
}

impl Run<'_> {
    fn weight<const D: usize>(&self) -> Tensor<D> {
        self.layer.weight.tensor(self.device)
    }

    fn quantizers(&self) -> [CodeQuantizer; 2] {
        [&self.layer.activation, &self.layer.weight].map(|operand| operand.quantizer(self.device))
    }

    fn linear<const D: usize>(&self, activation: Tensor<D>, weight: Tensor<2>) -> Tensor<D> {
        let [a, w] = self.quantizers();
        ops::linear(activation, weight, None, &a, &w, self.multiplier).expect("a valid layer")
    }

    fn matmul(&self, activation: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
        let [a, w] = self.quantizers();
        ops::matmul(activation, weight, &a, &w, self.multiplier).expect("a valid product")
    }

    fn conv2d(&self, activation: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
        let LayerGeometry::Conv2d(conv) = &self.layer.geometry else {
            panic!("not a convolution");
        };
        let [a, w] = self.quantizers();
        let options = conv.options();
        ops::conv2d(activation, weight, None, &a, &w, self.multiplier, options)
            .expect("a valid convolution")
    }

    fn conv1d(&self, activation: Tensor<3>, weight: Tensor<3>) -> Tensor<3> {
        let LayerGeometry::Conv1d(conv) = &self.layer.geometry else {
            panic!("not a convolution of lines");
        };
        let Convolution {
            kernel: [kernel],
            stride: [stride],
            dilation: [dilation],
            padding: [(left, right)],
            ..
        } = *conv;
        let [inputs, outputs] = conv.channels();
        let config = Conv1dConfig::new(inputs, outputs, kernel)
            .with_stride(stride)
            .with_dilation(dilation)
            .with_groups(conv.groups)
            .with_padding(PaddingConfig1d::Explicit(left, right))
            .with_bias(false);
        let layer = Conv1d {
            weight: Param::initialized(ParamId::new(), weight),
            ..config.init(self.device)
        };
        self.through(layer, |layer| layer.forward(activation))
    }

    fn conv3d(&self, activation: Tensor<5>, weight: Tensor<5>) -> Tensor<5> {
        let LayerGeometry::Conv3d(conv) = &self.layer.geometry else {
            panic!("not a convolution of volumes");
        };
        let [depth, height, width] = conv.padding.map(|(before, after)| {
            assert_eq!(before, after, "volumes are padded alike on both sides");
            before
        });
        let config = Conv3dConfig::new(conv.channels(), conv.kernel)
            .with_stride(conv.stride)
            .with_dilation(conv.dilation)
            .with_groups(conv.groups)
            .with_padding(PaddingConfig3d::Explicit(depth, height, width))
            .with_bias(false);
        let layer = Conv3d {
            weight: Param::initialized(ParamId::new(), weight),
            ..config.init(self.device)
        };
        self.through(layer, |layer| layer.forward(activation))
    }

    fn conv_transpose1d(&self, activation: Tensor<3>, weight: Tensor<3>) -> Tensor<3> {
        let LayerGeometry::ConvTranspose1d(conv) = &self.layer.geometry else {
            panic!("not a transposed convolution of lines");
        };
        let TransposedConvolution {
            kernel: [kernel],
            stride: [stride],
            dilation: [dilation],
            padding: [padding],
            output_padding: [output_padding],
            ..
        } = *conv;
        let config = ConvTranspose1dConfig::new(conv.channels(), kernel)
            .with_stride(stride)
            .with_dilation(dilation)
            .with_groups(conv.groups)
            .with_padding(padding)
            .with_padding_out(output_padding)
            .with_bias(false);
        let layer = ConvTranspose1d {
            weight: Param::initialized(ParamId::new(), turned(weight, conv.groups)),
            ..config.init(self.device)
        };
        self.through(layer, |layer| layer.forward(activation))
    }

    fn conv_transpose2d(&self, activation: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
        let LayerGeometry::ConvTranspose2d(conv) = &self.layer.geometry else {
            panic!("not a transposed convolution");
        };
        let config = ConvTranspose2dConfig::new(conv.channels(), conv.kernel)
            .with_stride(conv.stride)
            .with_dilation(conv.dilation)
            .with_groups(conv.groups)
            .with_padding(conv.padding)
            .with_padding_out(conv.output_padding)
            .with_bias(false);
        let layer = ConvTranspose2d {
            weight: Param::initialized(ParamId::new(), turned(weight, conv.groups)),
            ..config.init(self.device)
        };
        self.through(layer, |layer| layer.forward(activation))
    }

    /// Runs a drop-in layer that is converted to the multiplier, with the layer's own quantisers.
    fn through<M: Module, T>(&self, layer: M, forward: impl FnOnce(&M) -> T) -> T {
        let Layer {
            activation, weight, ..
        } = self.layer;
        let any = MultiplierSource::Exact {
            activation: activation.format,
            weight: weight.format,
        };
        let config = ApproxConfig::new(any).with_quantization(LayerQuantization {
            activation: activation.quantization(),
            weight: weight.quantization(),
            granularity: match weight.channel_axis {
                Some(_) => Granularity::PerChannel,
                None => Granularity::PerTensor,
            },
        });
        let (layer, _) = convert(layer, &config).expect("the codes are the formats'");
        let layers = approx_layers(&layer);
        let [a, w] = self.quantizers();
        // A layer's scales lie along the axis of its own weight.
        let w = match (&self.layer.geometry, weight.channel_axis) {
            (LayerGeometry::ConvTranspose1d(_) | LayerGeometry::ConvTranspose2d(_), Some(_)) => {
                let (scales, zeros) = (&weight.scales, &weight.zero_points);
                CodeQuantizer::per_channel(scales, zeros, weight.range, 1, self.device)
                    .expect("as the other axis")
            }
            _ => w,
        };
        let set = layers[0].set_activation_quantizer(&a);
        set.and_then(|()| layers[0].set_weight_quantizer(&w))
            .and_then(|()| layers[0].set_multiplier(self.multiplier.clone()))
            .expect("quantisers and multiplier are made for the layer");
        let mut output = None;
        let pass = |layer: &M| output = Some(forward(layer));
        match &self.sums {
            Some(sums) => {
                let path = layers[0].path();
                *sums.borrow_mut() =
                    tapped(&layer, path, pass).expect("a multiplier of integer products");
            }
            None => pass(&layer),
        }
        let output = output.expect("the layer was run");
        let planned = self.layer.geometry.planned();
        assert_eq!(
            layers[0].geometry(),
            Some(planned),
            "it is what `plan` plans"
        );
        output
    }

    fn backward<const A: usize, const W: usize>(
        &self,
        gradient: &[f32],
        forward: impl Fn(&Self, Tensor<A>, Tensor<W>) -> Tensor<A>,
    ) -> LayerGradients {
        let activation: Tensor<A> = self.layer.activation.tensor(self.device).require_grad();
        let weight: Tensor<W> = self.weight().require_grad();
        let output = forward(self, activation.clone(), weight.clone());
        let factor = float_tensor(gradient, &self.layer.geometry.output_shape(), self.device);
        let gradients = (output.clone() * factor).sum().backward();
        LayerGradients {
            output: values(output),
            activation: values(
                activation
                    .grad(&gradients)
                    .expect("the activation has a gradient"),
            ),
            weight: values(weight.grad(&gradients).expect("the weight has a gradient")),
        }
    }
}
