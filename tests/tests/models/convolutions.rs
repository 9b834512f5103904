//! Convolutions of lines and volumes in models: converted by kind wherever they hang, listed, recorded, and bad input
//! refused.

use burn::nn::conv as burns;
use burn::nn::{PaddingConfig1d, PaddingConfig3d};
use burn::prelude::*;
use burn::tensor::activation::relu;
use burn_approx::convert::{ApproxConfig, approx_layers, calibrate, convert};
use burn_approx::nn::LayerKind;
use burn_approx::nn::conv::{
    Conv1d, Conv1dConfig, Conv2dConfig, Conv3d, Conv3dConfig, ConvTranspose1dConfig,
    ConvTranspose2dConfig,
};
use burn_approx::plan::PlanChoice;
use burn_approx::{ApproxError, Mode};
use burn_approx_tests::layer::float_tensor;
use burn_approx_tests::random::Random;

use crate::networks::{Sequence, values};

/// A tensor of numbers in -1..1 that only a seed decides.
pub fn tensor<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let count = shape.iter().product();
    float_tensor(&Random::new(seed).reals(count, -1.0, 1.0), &shape, device)
}

pub fn volumes(device: &Device) -> Tensor<5> {
    tensor([2, 4, 5, 7, 9], 2, device)
}

/// Burn pads volumes alike on both sides, so that some padding which keeps the size does not exist: the error says what
/// does.
#[test]
fn volumes_whose_size_no_even_padding_keeps() {
    let device = crate::device();
    let same = |kernel| Conv3dConfig::new([4, 6], kernel).with_padding(PaddingConfig3d::Same);
    let says = |error: ApproxError, words: &[&str]| {
        let is_shape = matches!(
            error,
            ApproxError::Shape {
                operator: "conv3d",
                ..
            }
        );
        assert!(is_shape, "{error}");
        for word in words {
            assert!(error.to_string().contains(word), "{word} in: {error}");
        }
    };
    let even = same([3, 2, 3]).try_init(&device).unwrap_err();
    says(even, &["[3, 2, 3]", "odd", "PaddingConfig3d::Explicit"]);
    let strided = same([3, 3, 3]).with_stride([3, 1, 1]).init(&device);
    let error = strided.try_forward(volumes(&device)).unwrap_err();
    says(
        error,
        &["[3, 1, 1]", "[5, 7, 9]", "PaddingConfig3d::Explicit"],
    );
    assert!(same([3, 3, 3]).try_init(&device).is_ok());
}

#[derive(Module, Debug)]
struct Stage {
    line: Conv1d,
    shortcut: Option<Conv1d>,
}

/// Convolutions of lines and volumes in nested modules, beside one of Burn's own.
#[derive(Module, Debug)]
struct Signals {
    volume: Conv3d,
    stages: Vec<Stage>,
    plain: burns::Conv1d,
    plain_volume: Option<burns::Conv3d>,
}

impl Signals {
    fn new(device: &Device) -> Self {
        let line = |channels: usize, kernel| {
            Conv1dConfig::new(channels, 4, kernel).with_padding(PaddingConfig1d::Same)
        };
        let model = Self {
            volume: Conv3dConfig::new([4, 4], [2, 3, 3])
                .with_stride([1, 2, 3])
                .with_groups(2)
                .with_padding(PaddingConfig3d::Explicit(1, 0, 1))
                .init(device),
            stages: vec![
                Stage {
                    line: line(4, 4).with_dilation(2).init(device),
                    shortcut: Some(line(4, 1).init(device)),
                },
                Stage {
                    line: line(4, 3).with_groups(4).init(device),
                    shortcut: None,
                },
            ],
            plain: burns::Conv1dConfig::new(4, 2, 3).init(device),
            plain_volume: None,
        };
        // The same in every run, and with few dead units.
        model.map(&mut Sequence(9))
    }

    /// `[batch, 4, 5, 7, 9]` to `[batch, 2, ..]`.
    fn forward(&self, volumes: Tensor<5>) -> Tensor<3> {
        let mut x: Tensor<3> = relu(self.volume.forward(volumes)).flatten(2, 4);
        for stage in &self.stages {
            let y = stage.line.forward(x.clone());
            let length = y.dims()[2];
            let x_or_shortcut = match &stage.shortcut {
                Some(shortcut) => shortcut.forward(x),
                None => x,
            };
            x = relu(y + x_or_shortcut.slice(s![.., .., 0..length]));
        }
        self.plain.forward(x)
    }
}

const PATHS: [&str; 4] = [
    "volume",
    "stages.0.line",
    "stages.0.shortcut",
    "stages.1.line",
];

fn config() -> ApproxConfig {
    ApproxConfig::bundled("mul8s_1KVA")
}

fn calibrated(config: &ApproxConfig, device: &Device) -> Signals {
    let (model, _) = convert(Signals::new(device), config).unwrap();
    calibrate(&model, |model| drop(model.forward(volumes(device)))).unwrap();
    model
}

#[test]
fn nested_layers_are_converted_by_kind() {
    let device = crate::device();
    let text = r#"{"multiplier": "mul8s_1KVA", "rules": [
        {"kind": "conv1d", "mode": "quantized"},
        {"kind": "conv3d", "plan": "gather"}
    ]}"#;
    let config: ApproxConfig = serde_json::from_str(text).unwrap();
    let again = serde_json::to_string(&config).unwrap();
    assert_eq!(
        serde_json::from_str::<ApproxConfig>(&again).unwrap(),
        config
    );
    let model = Signals::new(&device);
    let float = values(model.forward(volumes(&device)));
    let (model, report) = convert(model, &config).unwrap();
    assert_eq!(report.converted, PATHS);
    assert_eq!(report.plain, ["plain"]);
    let layers = approx_layers(&model);
    let kinds: Vec<_> = layers.iter().map(|layer| layer.kind()).collect();
    use LayerKind::{Conv1d, Conv3d};
    assert_eq!(kinds, [Conv3d, Conv1d, Conv1d, Conv1d]);
    for layer in &layers {
        let settings = layer.settings().unwrap();
        let expected = match layer.kind() {
            Conv3d => (Mode::Approximate, PlanChoice::Gather),
            _ => (Mode::Quantized, PlanChoice::Auto),
        };
        assert_eq!((settings.mode, settings.plan), expected);
    }
    calibrate(&model, |model| drop(model.forward(volumes(&device)))).unwrap();
    let both = values(model.forward(volumes(&device)));
    layers.set_mode(Mode::Quantized).unwrap();
    let quantized = values(model.forward(volumes(&device)));
    layers.set_mode(Mode::Baseline).unwrap();
    assert_eq!(values(model.forward(volumes(&device))), float);
    assert!(both != quantized && quantized != float && both != float);
}

#[test]
fn the_listing_counts_multiplications() {
    let device = crate::device();
    let model = calibrated(&config(), &device);
    let layers = approx_layers(&model);
    let of = |path: &str| {
        let layer = layers.get(path).unwrap();
        (layer.multiplications().unwrap(), layer.fan_in().unwrap())
    };
    // Outputs of 6 x 3 x 3 in 4 channels, then lines of those 54.
    assert_eq!(of("volume"), (54 * 4 * (2 * 18), 36));
    // Padding that keeps the size does not know of dilation, in Burn as here.
    assert_eq!(of("stages.0.line"), (51 * 4 * (4 * 4), 16));
    assert_eq!(of("stages.0.shortcut"), (54 * 4 * 4, 4));
    assert_eq!(of("stages.1.line"), (51 * 4 * 3, 3));
    let table = layers.to_string();
    for expected in ["Conv1d", "Conv3d", "4x2x2x3x3 / 2", "4x4x4", "4x1x3 / 4"] {
        assert!(table.contains(expected), "{expected} in\n{table}");
    }
}

/// Saved state comes back through a record, and every plan gives the same numbers.
#[test]
fn plans_agree_and_states_are_recorded() {
    let device = crate::device();
    let output = |plan| {
        let model = calibrated(&config().with_plan(plan), &device);
        let output = values(model.forward(volumes(&device)));
        let (fresh, _) = convert(Signals::new(&device), &config().with_plan(plan)).unwrap();
        let loaded = fresh.load_record(model.clone().into_record());
        assert_eq!(values(loaded.forward(volumes(&device))), output);
        (output, model)
    };
    let (looked_up, model) = output(PlanChoice::Gather);
    for layer in &approx_layers(&model) {
        layer.set_plan(PlanChoice::Factored).unwrap();
    }
    assert_eq!(values(model.forward(volumes(&device))), looked_up);
    output(PlanChoice::Factored);
}

/// What is kept of a weight from one pass to the next goes with the weight.
#[test]
fn a_changed_weight_is_seen() {
    let device = crate::device();
    for plan in [PlanChoice::Gather, PlanChoice::Factored] {
        let mut model = calibrated(&config().with_plan(plan), &device);
        let output = |model: &Signals| values(model.forward(volumes(&device)));
        let before = output(&model);
        assert_eq!(output(&model), before);
        model.volume.weight = model.volume.weight.map(|weight| weight * -0.5);
        let halved = output(&model);
        assert_ne!(halved, before);
        assert_eq!(output(&model.clone()), halved, "a copy starts anew");
        let line = &mut model.stages[0].line;
        line.weight = line.weight.clone().map(|weight| weight * -0.5);
        let both = output(&model);
        assert_ne!(both, halved);
        assert_eq!(output(&model.clone()), both, "a copy starts anew");
    }
}

#[test]
fn empty_batches_give_empty_outputs() {
    let device = crate::device();
    let model = calibrated(&config(), &device);
    let none = Tensor::<5>::zeros([0, 4, 5, 7, 9], &device);
    let y = model.volume.forward(none);
    assert_eq!(y.dims(), [0, 4, 6, 3, 3]);
    let none = Tensor::<3>::zeros([0, 4, 20], &device);
    assert_eq!(
        model.stages[0]
            .shortcut
            .as_ref()
            .unwrap()
            .forward(none)
            .dims(),
        [0, 4, 20]
    );
}

#[track_caller]
fn refuses<T: std::fmt::Debug>(result: Result<T, ApproxError>, operator: &str, words: &[&str]) {
    match result.unwrap_err() {
        ApproxError::Shape {
            operator: own,
            problem,
        } => {
            assert_eq!(own, operator);
            for word in words {
                assert!(problem.contains(word), "{word} in: {problem}");
            }
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused_in_the_layers_own_terms() {
    let device = crate::device();
    let line = Conv1dConfig::new(4, 6, 5).with_groups(2).init(&device);
    let channels = line.try_forward(Tensor::zeros([2, 3, 9], &device));
    refuses(channels, "conv1d", &["takes 4", "[6, 2, 5]", "[2, 3, 9]"]);
    let short = line.try_forward(Tensor::zeros([2, 4, 3], &device));
    refuses(short, "conv1d", &["kernel of 5", "input of 3"]);
    let volume = Conv3dConfig::new([4, 6], [3, 2, 2])
        .with_dilation([2, 1, 1])
        .init(&device);
    let channels = volume.try_forward(Tensor::zeros([2, 3, 5, 5, 5], &device));
    refuses(channels, "conv3d", &["takes 4", "[2, 3, 5, 5, 5]"]);
    let shallow = volume.try_forward(Tensor::zeros([2, 4, 4, 5, 5], &device));
    refuses(shallow, "conv3d", &["kernel of 3", "2 apart", "input of 4"]);
    let low = volume.try_forward(Tensor::zeros([2, 4, 5, 1, 5], &device));
    assert!(matches!(low, Err(ApproxError::Kernel(_))), "{low:?}");
    let mut wide = volume;
    wide.padding = PaddingConfig3d::Explicit(usize::MAX, 0, 0);
    assert!(wide.try_forward(volumes(&device)).is_err());
}

/// The fields of layers are public, as Burn's are, so that zeros can arrive in them.
#[test]
fn fields_that_are_none_are_refused() {
    let device = crate::device();
    let zero = &["above 0"];
    let lines = || Tensor::zeros([2, 4, 9], &device);
    for padding in [PaddingConfig1d::Valid, PaddingConfig1d::Same] {
        let config = Conv1dConfig::new(4, 6, 5).with_padding(padding);
        let line = config.init(&device);
        let without = |change: fn(&mut Conv1d)| {
            let mut changed = line.clone();
            change(&mut changed);
            changed.try_forward(lines())
        };
        refuses(without(|line| line.stride = 0), "conv1d", zero);
        refuses(without(|line| line.dilation = 0), "conv1d", zero);
        refuses(without(|line| line.groups = 0), "conv1d", zero);
        refuses(without(|line| line.groups = 4), "conv1d", &["4 groups"]);
    }
    let mut image = Conv2dConfig::new([4, 6], [3, 3]).init(&device);
    image.stride = [1, 0];
    let images = Tensor::zeros([2, 4, 9, 9], &device);
    refuses(image.try_forward(images), "conv2d", zero);
    let mut turned = ConvTranspose1dConfig::new([4, 6], 3).init(&device);
    turned.stride = 0;
    refuses(turned.try_forward(lines()), "conv_transpose1d", zero);
    let mut turned = ConvTranspose2dConfig::new([4, 6], [3, 3]).init(&device);
    turned.dilation = [1, 0];
    let images = Tensor::zeros([2, 4, 9, 9], &device);
    refuses(turned.try_forward(images), "conv_transpose2d", zero);
    let mut volume = Conv3dConfig::new([4, 6], [3; 3]).init(&device);
    volume.dilation = [0, 1, 1];
    refuses(volume.try_forward(volumes(&device)), "conv3d", zero);
}

#[test]
fn configurations_that_are_none_are_refused() {
    let device = crate::device();
    for config in [
        Conv1dConfig::new(6, 8, 3).with_groups(4),
        Conv1dConfig::new(4, 4, 3).with_groups(0),
        Conv1dConfig::new(4, 4, 0),
        Conv1dConfig::new(0, 4, 3),
        Conv1dConfig::new(4, 4, 3).with_stride(0),
        Conv1dConfig::new(4, 4, 3).with_dilation(0),
    ] {
        refuses(config.try_init(&device), "conv1d", &[]);
    }
    for config in [
        Conv3dConfig::new([6, 8], [3; 3]).with_groups(4),
        Conv3dConfig::new([4, 4], [3; 3]).with_groups(0),
        Conv3dConfig::new([4, 4], [3, 0, 3]),
        Conv3dConfig::new([4, 4], [3; 3]).with_stride([1, 1, 0]),
        Conv3dConfig::new([4, 4], [3; 3]).with_dilation([0, 1, 1]),
    ] {
        refuses(config.try_init(&device), "conv3d", &[]);
    }
}
