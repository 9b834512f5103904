//! Operands at the edge of what there is: no values, values next to nothing, other lengths, other float types, and
//! changes from several threads.

use burn::module::Param;
use burn::nn::{PaddingConfig1d, PaddingConfig2d};
use burn::prelude::*;
use burn::tensor::DType;
use burn_approx::convert::{ApproxConfig, approx_layers, calibrate, convert};
use burn_approx::nn::attention::{MhaInput, MultiHeadAttentionConfig};
use burn_approx::nn::conv::{
    Conv1dConfig, Conv2dConfig, Conv3dConfig, ConvTranspose1dConfig, ConvTranspose2dConfig,
};
use burn_approx::nn::{Linear, LinearConfig};
use burn_approx::plan::PlanChoice;
use burn_approx::quantization::{
    CodeQuantizer, CodeRange, LayerQuantization, Observation, Observer,
};
use burn_approx::{ApproxError, Mode};

use crate::networks::values;

fn config() -> ApproxConfig {
    ApproxConfig::bundled("mul8s_1L2J")
}

/// A converted layer that was calibrated on ones.
fn linear(device: &Device) -> Linear {
    let (layer, _) = convert(LinearConfig::new(8, 4).init(device), &config()).unwrap();
    calibrate(&layer, |layer| {
        drop(layer.forward(Tensor::<2>::ones([3, 8], device)))
    })
    .unwrap();
    layer
}

#[test]
fn a_size_of_0_stays_where_it_is() {
    let device = crate::device();
    let layer = linear(&device);
    let layers = approx_layers(&layer);
    for mode in [Mode::Approximate, Mode::Quantized] {
        layers.set_mode(mode).unwrap();
        for [outer, rows] in [[2, 0], [1, 0], [0, 0]] {
            let output = layer.forward(Tensor::<3>::ones([outer, rows, 8], &device));
            assert_eq!(output.dims(), [outer, rows, 4], "{mode}");
        }
        let output = layer.forward(Tensor::<4>::ones([3, 2, 0, 8], &device));
        assert_eq!(output.dims(), [3, 2, 0, 4]);
    }
}

/// Padding makes outputs of nothing.
#[test]
fn lines_without_values_have_outputs() {
    let device = crate::device();
    let empty = Tensor::<3>::zeros([1, 1, 0], &device);
    let some = Tensor::<3>::ones([1, 1, 5], &device);
    let padding = PaddingConfig1d::Explicit(2, 1);
    let layer = Conv1dConfig::new(1, 2, 3)
        .with_padding(padding)
        .init(&device);
    let transposed = ConvTranspose1dConfig::new([1, 2], 3).init(&device);
    let (layer, transposed) = (
        convert(layer, &config()).unwrap().0,
        convert(transposed, &config()).unwrap().0,
    );
    calibrate(&layer, |layer| drop(layer.forward(some.clone()))).unwrap();
    calibrate(&transposed, |layer| drop(layer.forward(some.clone()))).unwrap();
    assert_eq!(layer.forward(empty.clone()).dims(), [1, 2, 1]);
    assert_eq!(transposed.forward(empty).dims(), [1, 2, 2]);
}

/// In an empty batch there is nothing to be seen, before or after others.
#[test]
fn an_empty_batch_is_not_observed() {
    let device = crate::device();
    let [none, some] = [0, 3].map(|rows| Tensor::<2>::ones([rows, 8], &device));
    for observer in [
        Observer::MinMax,
        Observer::MovingAverage { momentum: 0.1 },
        Observer::LeastSquares,
    ] {
        let multiplier = burn_approx::multipliers::evoapprox::multiplier("mul8s_1L2J").unwrap();
        let mut quantization = LayerQuantization::for_multiplier(&multiplier);
        quantization.activation.observer = observer;
        quantization.activation.observation = Observation::Always;
        let config = config().with_quantization(quantization);
        let (layer, _) = convert(LinearConfig::new(8, 4).init(&device), &config).unwrap();
        calibrate(&layer, |layer| {
            for batch in [&none, &some, &none] {
                layer.forward(batch.clone());
            }
        })
        .unwrap();
        let expected = values(layer.forward(some.clone()));
        layer.forward(none.clone());
        let again = values(layer.forward(some.clone()));
        assert!(again.iter().all(|value| value.is_finite()), "{observer:?}");
        assert_eq!(again, expected, "{observer:?}");
    }
}

/// Other groups are other output channels, which the weight's scales follow.
#[test]
fn edited_groups_of_a_transposed_convolution_are_seen() {
    let device = crate::device();
    let layer = ConvTranspose2dConfig::new([4, 2], [2, 2]).with_bias(false);
    let (mut layer, _) = convert(layer.init(&device), &config()).unwrap();
    let input = Tensor::<4>::ones([1, 4, 5, 5], &device);
    calibrate(&layer, |layer| drop(layer.forward(input.clone()))).unwrap();
    let before = values(layer.forward(input.clone()));
    layer.groups = 2;
    let fresh = layer.clone().forward(input.clone());
    assert_eq!(fresh.dims(), [1, 4, 6, 6]);
    assert_eq!(values(layer.forward(input.clone())), values(fresh));
    let listed = &approx_layers(&layer)[0];
    let shape = listed.shape();
    assert_eq!(
        (shape.groups, shape.outputs(), shape.fan_in()),
        (2, Some(4), Some(8))
    );
    assert!(approx_layers(&layer).to_string().contains("4x2x2x2 / 2"));
    layer.groups = 1;
    assert_eq!(values(layer.forward(input)), before);
}

/// A weight with another number of outputs is observed as a new one, by every observer.
#[test]
fn a_weight_with_other_outputs_is_observed_anew() {
    let device = crate::device();
    for observer in [Observer::MinMax, Observer::LeastSquares] {
        let multiplier = burn_approx::multipliers::evoapprox::multiplier("mul8s_1L2J").unwrap();
        let mut quantization = LayerQuantization::for_multiplier(&multiplier);
        quantization.weight.observer = observer;
        let config = config().with_quantization(quantization);
        let layer = LinearConfig::new(8, 4).with_bias(false).init(&device);
        let (mut layer, _) = convert(layer, &config).unwrap();
        let input = Tensor::<2>::ones([3, 8], &device);
        calibrate(&layer, |layer| drop(layer.forward(input.clone()))).unwrap();
        layer.forward(input.clone());
        let wider = Tensor::<2>::ones([8, 6], &device) * 0.5;
        layer.weight = Param::from_tensor(wider);
        assert_eq!(layer.forward(input.clone()).dims(), [3, 6], "{observer:?}");
        // So the layer is listed, and settings change without making it forget.
        let listed = &approx_layers(&layer)[0];
        let shape = listed.shape();
        assert_eq!(
            (shape.weight.as_slice(), shape.outputs()),
            ([8, 6].as_slice(), Some(6))
        );
        for mode in [Mode::Quantized, Mode::Approximate] {
            listed.set_mode(mode).unwrap();
            assert_eq!(layer.forward(input.clone()).dims(), [3, 6], "{observer:?}");
        }
    }
}

/// Weights and activations next to nothing are quantised as nothing, and are no fault.
#[test]
fn values_too_small_for_a_scale_are_0() {
    let device = crate::device();
    for largest in [1e-36, 1e-37, 1e-38, 1e-40, 1e-43] {
        let mut layer = LinearConfig::new(8, 4).with_bias(false).init(&device);
        let columns = [largest, 0.5, -0.25, 0.125];
        let weight = Tensor::<2>::from_floats([columns; 8], &device);
        layer.weight = Param::from_tensor(weight);
        let (layer, _) = convert(layer, &config()).unwrap();
        let input = Tensor::<2>::ones([3, 8], &device);
        calibrate(&layer, |layer| drop(layer.forward(input.clone()))).unwrap();
        let output = values(layer.forward(input));
        assert!(output[0].abs() < 1e-34, "{largest}: {output:?}");
        assert!(output[1] != 0.0, "{largest}: {output:?}");
        let finite = output.iter().all(|value| value.is_finite());
        assert!(finite, "{largest}: {output:?}");
    }
    let codes = CodeRange::new(-127, 127).unwrap();
    for scale in [1e-39, 0.0, f32::INFINITY, f32::NAN] {
        let quantizer = CodeQuantizer::per_tensor(scale, 0, codes, &device);
        assert!(matches!(
            quantizer,
            Err(ApproxError::InvalidQuantizer { .. })
        ));
    }
}

/// A bias of another length is the same error in every layer, converted or not.
#[test]
fn a_bias_of_another_length_is_refused() {
    let device = crate::device();
    for length in [0, 1, 3, 5] {
        let bias = || Some(Param::from_tensor(Tensor::<1>::zeros([length], &device)));
        let check = |error: Result<(), ApproxError>| match error {
            Err(ApproxError::Shape { .. }) => {}
            other => panic!("{length}: {other:?}"),
        };
        let lines = Tensor::<3>::ones([1, 2, 7], &device);
        let images = Tensor::<4>::ones([1, 2, 7, 7], &device);
        let volumes = Tensor::<5>::ones([1, 2, 5, 5, 5], &device);
        let mut layer = LinearConfig::new(7, 4).init(&device);
        layer.bias = bias();
        check(layer.try_forward(lines.clone()).map(drop));
        let mut layer = Conv1dConfig::new(2, 4, 3).init(&device);
        layer.bias = bias();
        check(layer.try_forward(lines.clone()).map(drop));
        let mut layer = Conv2dConfig::new([2, 4], [3, 3]).init(&device);
        layer.bias = bias();
        check(layer.try_forward(images.clone()).map(drop));
        let mut layer = Conv3dConfig::new([2, 4], [3, 3, 3]).init(&device);
        layer.bias = bias();
        check(layer.try_forward(volumes.clone()).map(drop));
        let mut layer = ConvTranspose1dConfig::new([2, 4], 3).init(&device);
        layer.bias = bias();
        check(layer.try_forward(lines).map(drop));
        let mut layer = ConvTranspose2dConfig::new([2, 4], [3, 3]).init(&device);
        layer.bias = bias();
        check(layer.try_forward(images).map(drop));
    }
}

/// The kernels compute in float32; the output has the input's type.
#[test]
fn a_bias_takes_the_type_of_the_input() {
    let device = Device::flex();
    let layer = linear(&device);
    let input = Tensor::<2>::ones([3, 8], &device);
    let expected = values(layer.forward(input.clone()));
    for (other, tolerance) in [(DType::F64, 1e-6), (DType::F16, 1e-2), (DType::BF16, 1e-1)] {
        let output = layer.forward(input.clone().cast(other));
        assert_eq!(output.dtype(), other);
        for (found, expected) in values(output.cast(DType::F32)).iter().zip(&expected) {
            assert!((found - expected).abs() <= tolerance, "{other:?}");
        }
    }
}

/// What one thread changes while another is changing something else is not lost.
#[test]
fn changes_from_two_threads_are_both_made() {
    let device = crate::device();
    let layer = linear(&device);
    let handle = approx_layers(&layer)[0].clone();
    let (begun, has_begun) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let slow = |settings: &mut burn_approx::nn::LayerSettings| {
                begun.send(()).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(100));
                settings.mode = Mode::Quantized;
            };
            handle.update(slow).unwrap();
        });
        has_begun.recv().unwrap();
        handle.set_plan(PlanChoice::Gather).unwrap();
    });
    let settings = handle.settings().unwrap();
    assert_eq!(
        (settings.mode, settings.plan),
        (Mode::Quantized, PlanChoice::Gather)
    );
}

/// No images: the weight's gradient is 0, and so is the input's, which has no values.
#[test]
fn an_empty_batch_has_gradients_of_0() {
    let device = crate::device().autodiff();
    let padding = PaddingConfig2d::Explicit(1, 0, 2, 1);
    let layer = Conv2dConfig::new([2, 4], [3, 3])
        .with_padding(padding)
        .init(&device);
    let (layer, _) = convert(layer, &config()).unwrap();
    let some = Tensor::<4>::ones([1, 2, 5, 5], &device);
    calibrate(&layer, |layer| drop(layer.forward(some.clone()))).unwrap();
    let none = Tensor::<4>::ones([0, 2, 5, 5], &device).require_grad();
    let gradients = layer.forward(none.clone()).sum().backward();
    let weight = layer.weight.val().grad(&gradients).unwrap();
    assert!(values(weight).iter().all(|value| *value == 0.0));
    assert_eq!(none.grad(&gradients).unwrap().dims(), [0, 2, 5, 5]);

    let layer = Conv3dConfig::new([2, 4], [2, 3, 1]).init(&device);
    let (layer, _) = convert(layer, &config()).unwrap();
    let some = Tensor::<5>::ones([1, 2, 5, 5, 5], &device);
    calibrate(&layer, |layer| drop(layer.forward(some.clone()))).unwrap();
    let none = Tensor::<5>::ones([0, 2, 5, 5, 5], &device).require_grad();
    let output = layer.forward(none.clone());
    assert_eq!(output.dims(), [0, 4, 4, 3, 5]);
    let gradients = output.sum().backward();
    let weight = layer.weight.val().grad(&gradients).unwrap();
    assert!(values(weight).iter().all(|value| *value == 0.0));
    assert_eq!(none.grad(&gradients).unwrap().dims(), [0, 2, 5, 5, 5]);
}

/// Nobody to attend to: masks have no keys either.
#[test]
fn attention_to_nothing_is_0() {
    let device = crate::device();
    let attention = MultiHeadAttentionConfig::new(8, 2)
        .init(&device)
        .with_products_of_activations(true);
    let (attention, _) = convert(attention, &config()).unwrap();
    let own = Tensor::<3>::ones([3, 4, 8], &device);
    calibrate(&attention, |attention| {
        drop(attention.forward(MhaInput::self_attn(own.clone())))
    })
    .unwrap();
    let memory = Tensor::<3>::ones([3, 0, 8], &device);
    let [padding, mask] =
        [vec![3, 0], vec![3, 4, 0]].map(|dims| TensorData::new(Vec::<bool>::new(), dims));
    let input = MhaInput::new(own, memory.clone(), memory)
        .mask_pad(Tensor::from_data(padding, &device))
        .mask_attn(Tensor::from_data(mask, &device));
    let output = attention.forward(input);
    assert_eq!(output.weights.dims(), [3, 2, 4, 0]);
    let bias = values(attention.output.bias.as_ref().unwrap().val());
    let context = values(output.context);
    assert!(
        context.chunks(8).all(|token| token == bias),
        "{context:?} {bias:?}"
    );
}

/// Sizes beyond all memory are refused, and soon.
#[test]
fn sizes_without_end_are_refused() {
    let device = crate::device();
    let refused = |result: Result<(), ApproxError>| {
        let error = result.unwrap_err();
        let is_typed = matches!(
            error,
            ApproxError::Shape { .. } | ApproxError::Kernel { .. }
        );
        assert!(is_typed, "{error:?}");
    };
    for huge in [usize::MAX, usize::MAX / 2, 1 << 62] {
        let layer = ConvTranspose2dConfig::new([2, 4], [3, 3]).with_padding_out([huge, 0]);
        let (layer, _) = convert(layer.init(&device), &config()).unwrap();
        refused(
            layer
                .try_forward(Tensor::ones([1, 2, 4, 4], &device))
                .map(drop),
        );
        let mut layer = Conv2dConfig::new([2, 4], [3, 3])
            .with_padding(PaddingConfig2d::Same)
            .init(&device);
        layer.stride = [huge, 1];
        layer.kernel_size = [huge, 3];
        refused(
            layer
                .try_forward(Tensor::ones([1, 2, 4, 4], &device))
                .map(drop),
        );
    }
}

/// What Burn's layers take for granted is an error of ours, converted or not.
#[test]
fn operands_of_other_devices_and_types_are_refused_in_float() {
    let [device, elsewhere] = crate::two_devices();
    let layer = LinearConfig::new(8, 4).init(&device);
    let far = Tensor::<2>::ones([3, 8], &elsewhere);
    let error = layer.try_forward(far).unwrap_err();
    assert!(
        matches!(error, ApproxError::DifferentDevices { .. }),
        "{error}"
    );
    let half = Tensor::<2>::ones([3, 8], &device).cast(DType::F16);
    let error = layer.try_forward(half).unwrap_err();
    assert!(error.to_string().contains("F16"), "{error}");
    let mut layer = Conv1dConfig::new(2, 4, 3).init(&device);
    layer.bias = Some(Param::from_tensor(Tensor::<1>::zeros([4], &elsewhere)));
    let error = layer
        .try_forward(Tensor::ones([1, 2, 5], &device))
        .unwrap_err();
    assert!(
        matches!(
            error,
            ApproxError::DifferentDevices {
                operand: "bias",
                ..
            }
        ),
        "{error}"
    );

    let attention = MultiHeadAttentionConfig::new(8, 2).init(&device);
    let mask = TensorData::new(vec![false; 12], [3, 4]);
    let input = MhaInput::self_attn(Tensor::ones([3, 4, 8], &device))
        .mask_pad(Tensor::from_data(mask, &elsewhere));
    let error = attention.try_forward(input).unwrap_err();
    assert!(error.to_string().contains("padding mask on"), "{error}");

    let checkpointing = crate::device().autodiff().gradient_checkpointing();
    let layer = LinearConfig::new(8, 4).init(&crate::device().autodiff());
    let error = layer
        .try_forward(Tensor::<2>::ones([3, 8], &checkpointing))
        .unwrap_err();
    assert!(
        error.to_string().contains("gradient checkpointing"),
        "{error}"
    );
}
