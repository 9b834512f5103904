//! Straight-through gradients: those of the exact product of the fake-quantised operands, times the clip mask.

use approx_multiplier::{Multiplier, OperandFormat, evoapprox};
use burn::prelude::*;
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::ops::ConvOptions;
use burn_approx::quantization::{CodeQuantizer, CodeRange};
use burn_approx::{PreparedMultiplier, ops};
use burn_approx_tests::layer::{
    Layer, LayerGradients, Operand, float_tensor, relative_difference, turned, values,
};
use burn_approx_tests::random::{Random, Size, layers};
use burn_approx_tests::reference::{LayerGeometry, real_outputs};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::properties::over_layers;

fn random_gradient(layer: &Layer, seed: u64) -> Vec<f32> {
    Random::new(seed).reals(layer.geometry.outputs(), -1.0, 1.0)
}

/// A multiplier far from exact, which no gradient may depend on.
fn crude_multiplier(layer: &Layer) -> PreparedMultiplier {
    PreparedMultiplier::new(Random::new(11).multiplier(
        layer.activation.format,
        layer.weight.format,
        -9999,
        9999,
    ))
}

fn masked(gradient: Vec<f64>, operand: &Operand) -> Vec<f32> {
    let mask = operand.in_range();
    gradient
        .into_iter()
        .zip(mask)
        .map(|(value, kept)| if kept { value as f32 } else { 0.0 })
        .collect()
}

fn close(what: &str, found: &[f32], expected: &[f32]) -> Result<(), TestCaseError> {
    let difference = relative_difference(found, expected);
    // Where all of an operand is clipped the gradient is exactly 0.
    let zero = found.iter().chain(expected).all(|value| *value == 0.0);
    prop_assert!(zero || difference <= 1e-5, "{}: {}", what, difference);
    Ok(())
}

/// Central differences of `sum(gradient * y(x^, w^))` in float64, with the exact operator.
fn finite_differences(layer: &Layer, gradient: &[f32]) -> [Vec<f64>; 2] {
    let [activation, weight] = layer.codes().real_values(&layer.geometry);
    let loss = |activation: &[f64], weight: &[f64]| -> f64 {
        real_outputs(&layer.geometry, activation, weight)
            .iter()
            .zip(gradient)
            .map(|(output, gradient)| output * f64::from(*gradient))
            .sum()
    };
    let differences = |operand: &[f64], loss: &dyn Fn(&[f64]) -> f64| {
        // The operator is linear in each operand: only rounding limits the step.
        const STEP: f64 = 0.5;
        (0..operand.len())
            .map(|index| {
                let mut moved = operand.to_vec();
                moved[index] = operand[index] + STEP;
                let above = loss(&moved);
                moved[index] = operand[index] - STEP;
                (above - loss(&moved)) / (2.0 * STEP)
            })
            .collect()
    };
    [
        differences(&activation, &|moved| loss(moved, &weight)),
        differences(&weight, &|moved| loss(&activation, moved)),
    ]
}

#[test]
fn agree_with_finite_differences_of_the_exact_operator() {
    let device = crate::device().autodiff();
    let coverage = over_layers(250, 4, layers(Size::SMALL), |layer| {
        let gradient = random_gradient(layer, 1);
        let [activation, weight] = finite_differences(layer, &gradient);
        let found = layer.gradients(&crude_multiplier(layer), &gradient, &device);
        close(
            "activation",
            &found.activation,
            &masked(activation, &layer.activation),
        )?;
        close("weight", &found.weight, &masked(weight, &layer.weight))
    });
    assert_eq!(coverage.layers, 250);
}

/// The gradients of Burn's own operators on the fake-quantised operands.
fn float_gradients(layer: &Layer, gradient: &[f32], device: &Device) -> [Vec<f64>; 2] {
    fn run<const A: usize, const W: usize>(
        layer: &Layer,
        gradient: &[f32],
        device: &Device,
        operator: impl Fn(Tensor<A>, Tensor<W>) -> Tensor<A>,
    ) -> [Vec<f64>; 2] {
        let leaf = |values: Vec<f32>, shape: &[usize]| (values, shape.to_vec());
        let quantized = |operand: &Operand| {
            let plain = device.clone().inner();
            let quantizer = operand.quantizer(&plain);
            let flat = match operand.shape.len() {
                2 => values(quantizer.fake_quantize(operand.tensor::<2>(&plain))),
                3 => values(quantizer.fake_quantize(operand.tensor::<3>(&plain))),
                4 => values(quantizer.fake_quantize(operand.tensor::<4>(&plain))),
                _ => values(quantizer.fake_quantize(operand.tensor::<5>(&plain))),
            };
            leaf(flat, &operand.shape)
        };
        let (activation, shape) = quantized(&layer.activation);
        let activation: Tensor<A> = float_tensor(&activation, &shape, device).require_grad();
        let (weight, shape) = quantized(&layer.weight);
        let weight: Tensor<W> = float_tensor(&weight, &shape, device).require_grad();
        let output = operator(activation.clone(), weight.clone());
        let factor = float_tensor(gradient, &layer.geometry.output_shape(), device);
        let gradients = (output * factor).sum().backward();
        let wide = |gradient: Vec<f32>| gradient.into_iter().map(f64::from).collect();
        [
            wide(values(activation.grad(&gradients).unwrap())),
            wide(values(weight.grad(&gradients).unwrap())),
        ]
    }
    match &layer.geometry {
        LayerGeometry::Linear { leading, .. } => match leading.len() {
            1 => run::<2, 2>(layer, gradient, device, |x, w| x.matmul(w)),
            2 => run::<3, 2>(layer, gradient, device, |x, w| x.matmul(w.unsqueeze())),
            _ => run::<4, 2>(layer, gradient, device, |x, w| x.matmul(w.unsqueeze())),
        },
        LayerGeometry::Matmul { .. } => run::<4, 4>(layer, gradient, device, |x, w| x.matmul(w)),
        // As one of images of height 1: the gradient of Burn 0.22's own convolution of lines in groups is another
        // wherever a stride leaves values at the end unread (`conv1d_weight_grad_groups` keeps taps beyond the kernel).
        LayerGeometry::Conv1d(conv) => run::<3, 3>(layer, gradient, device, |x, w| {
            let options = ConvOptions::new_with_padding(
                [1, conv.stride[0]],
                [(0, 0), conv.padding[0]],
                [1, conv.dilation[0]],
                conv.groups,
            );
            let [x, w] = [x, w].map(|lines| lines.unsqueeze_dim::<4>(2));
            burn::tensor::module::conv2d(x, w, None, options).squeeze_dim(2)
        }),
        LayerGeometry::Conv2d(conv) => run::<4, 4>(layer, gradient, device, |x, w| {
            burn::tensor::module::conv2d(x, w, None, conv.options())
        }),
        // On the CPU: on a GPU, Burn 0.22's own gradient of a strided convolution of volumes can be 0 where it is not.
        LayerGeometry::Conv3d(conv) => {
            let device = Device::flex().autodiff();
            run::<5, 5>(layer, gradient, &device, |x, w| {
                burn::tensor::module::conv3d(x, w, None, conv.options())
            })
        }
        LayerGeometry::ConvTranspose1d(conv) => run::<3, 3>(layer, gradient, device, |x, w| {
            let w = turned(w, conv.groups);
            burn::tensor::module::conv_transpose1d(x, w, None, conv.options())
        }),
        LayerGeometry::ConvTranspose2d(conv) => run::<4, 4>(layer, gradient, device, |x, w| {
            let w = turned(w, conv.groups);
            burn::tensor::module::conv_transpose2d(x, w, None, conv.options())
        }),
    }
}

#[test]
fn agree_with_burns_gradients_on_the_fake_quantised_operands() {
    let device = crate::device().autodiff();
    let coverage = over_layers(200, 5, layers(Size::MEDIUM), |layer| {
        let gradient = random_gradient(layer, 2);
        let [activation, weight] = float_gradients(layer, &gradient, &device);
        for multiplier in [crude_multiplier(layer), layer.exact()] {
            let found = layer.gradients(&multiplier, &gradient, &device);
            let expected = masked(activation.clone(), &layer.activation);
            close("activation", &found.activation, &expected)?;
            close(
                "weight",
                &found.weight,
                &masked(weight.clone(), &layer.weight),
            )?;
        }
        Ok(())
    });
    assert_eq!(coverage.layers, 200);
}

/// The output on an autodiff device is that of a plain device, and checkpointing changes neither it nor the gradients.
#[test]
fn checkpointing_changes_nothing() {
    let plain = crate::device();
    let autodiff = plain.clone().autodiff();
    let checkpointing = autodiff.clone().gradient_checkpointing();
    assert_ne!(
        autodiff.gradient_checkpointing_strategy(),
        checkpointing.gradient_checkpointing_strategy()
    );
    over_layers(150, 6, layers(Size::SMALL), |layer| {
        let gradient = random_gradient(layer, 3);
        for multiplier in [crude_multiplier(layer), layer.exact()] {
            let LayerGradients {
                output,
                activation,
                weight,
            } = layer.gradients(&multiplier, &gradient, &checkpointing);
            let usual = layer.gradients(&multiplier, &gradient, &autodiff);
            prop_assert_eq!(&output, &layer.outputs(&multiplier, &plain));
            prop_assert_eq!(&output, &usual.output);
            prop_assert_eq!(activation, usual.activation);
            prop_assert_eq!(weight, usual.weight);
        }
        Ok(())
    });
}

/// A chain in which operators alternate with memory-bound ones, which checkpointing computes again.
#[test]
fn checkpointing_changes_nothing_in_a_network() {
    let run = |device: &Device| {
        let mut random = Random::new(4);
        let mut tensor = |shape: [usize; 4]| {
            let values = random.reals(shape.iter().product(), -1.0, 1.0);
            float_tensor::<4>(&values, &shape, device).require_grad()
        };
        let (x, first, second) = (
            tensor([2, 3, 7, 7]),
            tensor([4, 3, 3, 3]),
            tensor([2, 4, 3, 3]),
        );
        let quantizer = |scale| {
            CodeQuantizer::per_tensor(scale, 0, CodeRange::new(-127, 127).unwrap(), device).unwrap()
        };
        let multiplier = PreparedMultiplier::new(evoapprox::multiplier("mul8s_1L2J").unwrap());
        let layer = |x, weight: &Tensor<4>, scale| {
            let (a, w) = (quantizer(scale), quantizer(0.01));
            let options = burn::tensor::ops::ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
            ops::conv2d(x, weight.clone(), None, &a, &w, &multiplier, options).unwrap()
        };
        let hidden = relu(layer(x.clone() * 2.0 + 0.1, &first, 0.02));
        let output = layer(hidden.clone() * sigmoid(hidden), &second, 0.1);
        let gradients = output.square().sum().backward();
        [x, first, second].map(|leaf| values(leaf.grad(&gradients).unwrap()))
    };
    let device = crate::device().autodiff();
    let usual = run(&device);
    assert!(
        usual
            .iter()
            .all(|gradient| gradient.iter().any(|value| *value != 0.0))
    );
    assert_eq!(run(&device.gradient_checkpointing()), usual);
}

/// The clip mask on its own: 1 from the value that rounds to the lowest code to the one that rounds to the highest.
#[test]
fn clip_mask() {
    let device = crate::device().autodiff();
    let quantizer =
        CodeQuantizer::per_tensor(0.5, 3, CodeRange::new(-8, 7).unwrap(), &device).unwrap();
    // Steps of the scale that stay: -11 to 4, and what rounds half to even to them.
    let steps = [
        -12.0, -11.51, -11.5, -11.49, -11.0, 0.0, 4.0, 4.49, 4.5, 4.51, 5.0, 1e9, -1e9,
    ];
    let expected = [
        0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0,
    ];
    let x =
        float_tensor::<1>(&steps.map(|step| step * 0.5), &[steps.len()], &device).require_grad();
    let gradients = quantizer.fake_quantize(x.clone()).sum().backward();
    assert_eq!(values(x.grad(&gradients).unwrap()), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Per channel too, and in proportion to the gradient that arrives.
    #[test]
    fn clip_mask_of_any_operand(layer in layers(Size::SMALL)) {
        let device = crate::device().autodiff();
        let operand = &layer.weight;
        let gradient = Random::new(5).reals(operand.values.len(), -1.0, 1.0);
        let found = match operand.shape.len() {
            2 => mask_gradient::<2>(operand, &gradient, &device),
            3 => mask_gradient::<3>(operand, &gradient, &device),
            4 => mask_gradient::<4>(operand, &gradient, &device),
            _ => mask_gradient::<5>(operand, &gradient, &device),
        };
        let expected: Vec<f32> = gradient
            .iter()
            .zip(operand.in_range())
            .map(|(value, kept)| if kept { *value } else { 0.0 })
            .collect();
        prop_assert_eq!(found, expected);
    }
}

fn mask_gradient<const D: usize>(operand: &Operand, gradient: &[f32], device: &Device) -> Vec<f32> {
    let weight: Tensor<D> = operand.tensor(device).require_grad();
    let factor: Tensor<D> = float_tensor(gradient, &operand.shape, device);
    let fake = operand.quantizer(device).fake_quantize(weight.clone());
    let gradients = (fake * factor).sum().backward();
    values(weight.grad(&gradients).unwrap())
}

/// A bias takes the sum of what arrives at its channel, and moves the output by itself exactly.
#[test]
fn bias_gradient() {
    let device = crate::device().autodiff();
    let int8 = OperandFormat::INT8;
    let multiplier = PreparedMultiplier::new(Random::new(6).multiplier(int8, int8, -99, 99));
    let quantizer = CodeQuantizer::per_tensor(0.1, 0, CodeRange::full(int8), &device).unwrap();
    let mut random = Random::new(7);
    let mut reals = |count| random.reals(count, -3.0, 3.0);

    let x = float_tensor::<3>(&reals(2 * 4 * 5), &[2, 4, 5], &device);
    let w = float_tensor::<2>(&reals(5 * 3), &[5, 3], &device);
    let bias = float_tensor::<1>(&[0.5, -1.0, 2.0], &[3], &device).require_grad();
    let arriving = reals(2 * 4 * 3);
    let factor = float_tensor::<3>(&arriving, &[2, 4, 3], &device);
    let y = ops::linear(
        x,
        w,
        Some(bias.clone()),
        &quantizer,
        &quantizer,
        &multiplier,
    )
    .unwrap();
    let gradients = (y * factor).sum().backward();
    let expected: Vec<f32> = (0..3)
        .map(|channel| arriving.iter().skip(channel).step_by(3).sum())
        .collect();
    let found = values(bias.grad(&gradients).unwrap());
    assert!(
        relative_difference(&found, &expected) < 1e-6,
        "{found:?} {expected:?}"
    );

    let x = float_tensor::<4>(&reals(2 * 2 * 25), &[2, 2, 5, 5], &device);
    let w = float_tensor::<4>(&reals(3 * 2 * 9), &[3, 2, 3, 3], &device);
    let bias = float_tensor::<1>(&[0.5, -1.0, 2.0], &[3], &device).require_grad();
    let arriving = reals(2 * 3 * 25);
    let factor = float_tensor::<4>(&arriving, &[2, 3, 5, 5], &device);
    let options = burn::tensor::ops::ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let y = ops::conv2d(
        x,
        w,
        Some(bias.clone()),
        &quantizer,
        &quantizer,
        &multiplier,
        options,
    )
    .unwrap();
    let gradients = (y * factor).sum().backward();
    let expected: Vec<f32> = (0..3)
        .map(|channel| {
            let planes = arriving.chunks(25).skip(channel).step_by(3);
            planes.flatten().sum()
        })
        .collect();
    let found = values(bias.grad(&gradients).unwrap());
    assert!(
        relative_difference(&found, &expected) < 1e-6,
        "{found:?} {expected:?}"
    );
}

/// Only the operand that asks for a gradient gets one, and it is the same as when both ask.
#[test]
fn one_operand_alone() {
    let device = crate::device().autodiff();
    let int8 = OperandFormat::INT8;
    let multiplier = PreparedMultiplier::new(Multiplier::exact(int8, int8));
    let quantizer = CodeQuantizer::per_tensor(0.1, 0, CodeRange::full(int8), &device).unwrap();
    let run = |activation_tracked: bool, weight_tracked: bool| {
        let mut random = Random::new(8);
        let mut x = float_tensor::<2>(&random.reals(12, -1.0, 1.0), &[3, 4], &device);
        let mut w = float_tensor::<2>(&random.reals(8, -1.0, 1.0), &[4, 2], &device);
        if activation_tracked {
            x = x.require_grad();
        }
        if weight_tracked {
            w = w.require_grad();
        }
        let y = ops::matmul(x.clone(), w.clone(), &quantizer, &quantizer, &multiplier).unwrap();
        let gradients = y.sum().backward();
        [
            x.grad(&gradients).map(values),
            w.grad(&gradients).map(values),
        ]
    };
    let [activation, weight] = run(true, true);
    assert!(activation.is_some() && weight.is_some());
    assert_eq!(run(true, false), [activation, None]);
    assert_eq!(run(false, true), [None, weight]);
}
