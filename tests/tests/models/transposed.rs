//! Transposed convolutions in models: converted by kind, listed, recorded, as the operator computes them, and bad input
//! refused.

use burn::module::Param;
use burn::nn::conv as burns;
use burn::prelude::*;
use burn::tensor::activation::relu;
use burn::tensor::ops::ConvTransposeOptions;
use burn_approx::convert::{ApproxConfig, LayerRule, approx_layers, calibrate, convert};
use burn_approx::nn::LayerKind;
use burn_approx::nn::conv::{
    ConvTranspose1d, ConvTranspose1dConfig, ConvTranspose2d, ConvTranspose2dConfig,
};
use burn_approx::plan::PlanChoice;
use burn_approx::quantization::{CodeQuantizer, CodeRange};
use burn_approx::{ApproxError, Mode, PreparedMultiplier, load_plain_record, ops, plain_record};

use crate::convolutions::tensor;
use crate::networks::values;

/// A decoder of images, then of the lines that they are made of.
#[derive(Module, Debug)]
struct Decoder {
    images: Vec<ConvTranspose2d>,
    lines: ConvTranspose1d,
}

/// That network, of Burn's own layers.
#[derive(Module, Debug)]
struct PlainDecoder {
    images: Vec<burns::ConvTranspose2d>,
    lines: burns::ConvTranspose1d,
}

fn plain(device: &Device) -> PlainDecoder {
    PlainDecoder {
        images: vec![
            burns::ConvTranspose2dConfig::new([4, 6], [4, 3])
                .with_stride([2, 1])
                .with_padding([1, 0])
                .with_groups(2)
                .init(device),
            burns::ConvTranspose2dConfig::new([6, 6], [3, 3])
                .with_dilation([2, 1])
                .with_groups(6)
                .with_bias(false)
                .init(device),
        ],
        lines: burns::ConvTranspose1dConfig::new([6, 2], 5)
            .with_stride(3)
            .with_padding(1)
            .with_padding_out(2)
            .init(device),
    }
}

impl From<PlainDecoder> for Decoder {
    fn from(plain: PlainDecoder) -> Self {
        Self {
            images: plain.images.into_iter().map(Into::into).collect(),
            lines: plain.lines.into(),
        }
    }
}

impl From<Decoder> for PlainDecoder {
    fn from(own: Decoder) -> Self {
        Self {
            images: own.images.into_iter().map(Into::into).collect(),
            lines: own.lines.into(),
        }
    }
}

impl Decoder {
    fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        let x = (self.images.iter()).fold(images, |x, layer| relu(layer.forward(x)));
        self.lines.forward(x.flatten(2, 3))
    }
}

impl PlainDecoder {
    fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        let x = (self.images.iter()).fold(images, |x, layer| relu(layer.forward(x)));
        self.lines.forward(x.flatten(2, 3))
    }
}

fn images(device: &Device) -> Tensor<4> {
    tensor([2, 4, 3, 5], 4, device)
}

fn converted(config: &ApproxConfig, device: &Device) -> Decoder {
    let (model, _) = convert(Decoder::from(plain(device)), config).unwrap();
    calibrate(&model, |model| drop(model.forward(images(device)))).unwrap();
    model
}

fn config() -> ApproxConfig {
    ApproxConfig::bundled("mul8s_1KVA")
}

#[test]
fn unconverted_layers_are_burns_own() {
    let device = crate::device();
    let plain = plain(&device);
    let expected = values(plain.forward(images(&device)));
    let own = Decoder::from(plain);
    assert_eq!(values(own.forward(images(&device))), expected);
    let plain = PlainDecoder::from(own);
    assert_eq!(values(plain.forward(images(&device))), expected);
}

#[test]
fn layers_are_converted_by_kind_and_listed() {
    let device = crate::device();
    let text = r#"{"multiplier": "mul8s_1KVA", "rules": [{"kind": "conv_transpose1d", "mode": "quantized"}]}"#;
    let config: ApproxConfig = serde_json::from_str(text).unwrap();
    assert_eq!(
        config,
        self::config()
            .with_rule(LayerRule::kind(LayerKind::ConvTranspose1d).with_mode(Mode::Quantized))
    );
    let model = converted(&config, &device);
    let layers = approx_layers(&model);
    let paths: Vec<_> = layers.iter().map(|layer| layer.path()).collect();
    assert_eq!(paths, ["images.0", "images.1", "lines"]);
    let modes: Vec<_> = (layers.iter())
        .map(|layer| layer.settings().unwrap().mode)
        .collect();
    assert_eq!(
        modes,
        [Mode::Approximate, Mode::Approximate, Mode::Quantized]
    );
    // Of 3 rows, taps 0 and 3 of the kernel lose one each to cropping; of 5 columns, nothing is cropped.
    let products = (3 * 4 - 2) * (5 * 3) * (4 / 2) * 6;
    assert_eq!(layers[0].multiplications(), Some(products));
    assert_eq!(layers[0].fan_in(), Some(2 * 2 * 3));
    let table = layers.to_string();
    for expected in ["ConvTranspose1d", "ConvTranspose2d", "4x3x4x3 / 2", "6x2x5"] {
        assert!(table.contains(expected), "{expected} in\n{table}");
    }
}

#[test]
fn plans_agree_and_differ_from_exact_products() {
    let device = crate::device();
    let model = converted(&config(), &device);
    let layers = approx_layers(&model);
    let output = |plan| {
        for layer in &layers {
            layer.set_plan(plan).unwrap();
        }
        values(model.forward(images(&device)))
    };
    let looked_up = output(PlanChoice::Gather);
    assert_eq!(output(PlanChoice::Factored), looked_up);
    layers.set_mode(Mode::Quantized).unwrap();
    assert_ne!(values(model.forward(images(&device))), looked_up);
}

#[test]
fn states_are_recorded_and_records_of_burns_layers_fit_both_ways() {
    let device = crate::device();
    let model = converted(&config(), &device);
    let expected = values(model.forward(images(&device)));
    let (fresh, _) = convert(Decoder::from(plain(&device)), &config()).unwrap();
    let loaded = fresh.load_record(model.clone().into_record());
    assert_eq!(values(loaded.forward(images(&device))), expected);
    let plain_model = plain(&device).load_record(plain_record(&model));
    let (other, _) = convert(Decoder::from(plain(&device)), &config()).unwrap();
    let other = load_plain_record(other, plain_model.into_record()).unwrap();
    calibrate(&other, |model| drop(model.forward(images(&device)))).unwrap();
    assert_eq!(values(other.forward(images(&device))), expected);
}

/// What is kept of a weight goes with the weight, and with what decides its layout, such as a stride.
#[test]
fn a_changed_weight_or_stride_is_seen() {
    let device = crate::device();
    for plan in [PlanChoice::Gather, PlanChoice::Factored] {
        let mut model = converted(&config().with_plan(plan), &device);
        let output = |model: &Decoder| values(model.forward(images(&device)));
        let before = output(&model);
        assert_eq!(output(&model), before);
        let layer = &mut model.images[0];
        layer.weight = layer.weight.clone().map(|weight| weight * -0.5);
        let halved = output(&model);
        assert_ne!(halved, before);
        assert_eq!(output(&model.clone()), halved, "a copy starts anew");
        model.images[0].stride = [1, 2];
        let strided = output(&model);
        assert_ne!(strided.len(), halved.len());
        assert_eq!(output(&model.clone()), strided, "a copy starts anew");
    }
}

/// The operator takes Burn's weight, and scales along its axis 1.
#[test]
fn the_operator_is_the_layer() {
    let device = crate::device();
    let model = converted(&config(), &device);
    let layer = &model.images[0];
    let handle = &approx_layers(&model)[0];
    let activation = handle.activation_quantizer().unwrap();
    let weight = handle.weight_quantizer().unwrap();
    let codes = CodeRange::new(-127, 127).unwrap();
    let multiplier = PreparedMultiplier::from(handle.settings().unwrap().multiplier().clone());
    let options = ConvTransposeOptions::new(
        layer.stride,
        layer.padding,
        layer.padding_out,
        layer.dilation,
        layer.groups,
    );
    let product = |weight_quantizer: &CodeQuantizer| {
        let bias = layer.bias.as_ref().map(|bias| bias.val());
        let (x, w) = (images(&device), layer.weight.val());
        let options = options.clone();
        ops::conv_transpose2d(
            x,
            w,
            bias,
            &activation,
            weight_quantizer,
            &multiplier,
            options,
        )
    };
    let expected = values(layer.forward(images(&device)));
    assert_eq!(values(product(&weight).unwrap()), expected);
    let (scales, zero_points) = (weight.scales(), weight.zero_points());
    let elsewhere = CodeQuantizer::per_channel(&scales, &zero_points, codes, 0, &device).unwrap();
    assert!(product(&elsewhere).is_err());
    assert!(handle.set_weight_quantizer(&elsewhere).is_err());
    handle.set_weight_quantizer(&weight).unwrap();
    assert_eq!(values(layer.forward(images(&device))), expected);
}

/// Output channels of other magnitudes have other scales, by which the layer's own weight has the codes that are
/// multiplied.
#[test]
fn a_weights_quantiser_is_that_of_the_layers_own_weight() {
    let device = crate::device();
    let mut layer = ConvTranspose2dConfig::new([3, 3], [1, 1])
        .with_bias(false)
        .init(&device);
    let weight = [1.0, 0.1, 0.01, 0.5, -0.1, 0.02, -0.5, 0.05, 0.03];
    let weight = TensorData::new(weight.to_vec(), [3, 3, 1, 1]);
    layer.weight = Param::from_data(weight, &device);
    let (layer, _) = convert(layer, &config()).unwrap();
    let input = Tensor::<4>::ones([1, 3, 1, 1], &device);
    calibrate(&layer, |layer| drop(layer.forward(input.clone()))).unwrap();
    let handle = &approx_layers(&layer)[0];
    let quantizer = handle.weight_quantizer().unwrap();
    let codes = quantizer.codes(layer.weight.val()).into_data();
    let expected = [127, 127, 42, 64, -127, 85, -64, 64, 127];
    assert_eq!(codes.iter::<i32>().collect::<Vec<_>>(), expected);
}

#[test]
fn bad_input_is_refused() {
    let device = crate::device();
    let model = Decoder::from(plain(&device));
    let layer = &model.images[0];
    let channels = layer.try_forward(Tensor::zeros([2, 3, 3, 5], &device));
    match channels.unwrap_err() {
        ApproxError::Shape { operator, problem } => {
            assert_eq!(operator, "conv_transpose2d");
            assert!(problem.contains("[2, 3, 3, 5]"), "{problem}");
        }
        other => panic!("{other:?}"),
    }
    let mut cropped = layer.clone();
    cropped.padding = [5, 0];
    assert!(cropped.try_forward(images(&device)).is_err());
    let lines = model.lines.try_forward(Tensor::zeros([2, 5, 7], &device));
    assert!(lines.is_err());
    for config in [
        ConvTranspose2dConfig::new([6, 8], [3, 3]).with_groups(4),
        ConvTranspose2dConfig::new([6, 8], [3, 3]).with_groups(0),
        ConvTranspose2dConfig::new([6, 8], [3, 0]),
        ConvTranspose2dConfig::new([6, 8], [3, 3]).with_stride([0, 1]),
    ] {
        assert!(config.try_init(&device).is_err(), "{config}");
    }
    let none = ConvTranspose1dConfig::new([0, 8], 3).try_init(&device);
    assert!(none.is_err());
}

#[test]
fn an_empty_batch_gives_an_empty_output() {
    let device = crate::device();
    let model = converted(&config(), &device);
    let none = Tensor::<4>::zeros([0, 4, 3, 5], &device);
    assert_eq!(model.images[0].forward(none).dims(), [0, 6, 6, 7]);
}
