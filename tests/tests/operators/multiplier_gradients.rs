//! Gradients by derivatives of the multiplier: those of a plain loop over all products, times the clip mask.

use approx_multiplier::{
    Derivative, GradientRule, GradientTables, Multiplier, MultiplierError, MultiplierFamily,
    MultiplierGradient, evoapprox,
};
use burn::tensor::ops::ConvOptions;
use burn_approx::quantization::{CodeQuantizer, CodeRange};
use burn_approx::{ApproxError, PreparedMultiplier, ops};
use burn_approx_tests::layer::{Layer, Operand, float_tensor, relative_difference};
use burn_approx_tests::random::{Random, Size, layers};
use burn_approx_tests::reference::weight_channel;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::properties::over_layers;

/// `dL/dx = sum of G s_w (dm/da - z_w)` and `dL/dw = sum of G s_x (dm/db - z_x)` over all products, a padded tap among
/// the weight's; 0 where a code is clipped. With each the largest sum of magnitudes that one of its elements is made of: the
/// terms of a derivative may cancel.
fn by_products(
    layer: &Layer,
    derivatives: &MultiplierGradient,
    gradient: &[f32],
) -> [(Vec<f32>, f64); 2] {
    let codes = layer.codes();
    let mut magnitudes = [
        vec![0.0; layer.activation.values.len()],
        vec![0.0; layer.weight.values.len()],
    ];
    let formats = [layer.activation.format, layer.weight.format];
    let magnitude = |derivative: &Derivative, a_code: i32, w_code: i32, zero: f64| {
        let (a, w) = (formats[0].pattern(a_code), formats[1].pattern(w_code));
        let terms = derivative.terms().iter();
        let terms = terms.map(|term| (term.activation()[a] * term.weight()[w]).abs());
        terms.sum::<f64>() + zero.abs()
    };
    let mut activation = vec![0.0; layer.activation.values.len()];
    let mut weight = vec![0.0; layer.weight.values.len()];
    for (output, gradient) in gradient.iter().enumerate() {
        let gradient = f64::from(*gradient);
        layer.geometry.taps(output, |a, w| {
            let channel = weight_channel(&layer.geometry, w);
            let a_code = a.map_or(codes.activation_zero, |a| codes.activation[a]);
            let w_code = codes.weight[w];
            let zeros = [codes.activation_zero, codes.weight_zeros[channel]].map(f64::from);
            if let Some(a) = a {
                let slope = derivatives.by_activation().at(a_code, w_code) - zeros[1];
                let scale = gradient * f64::from(codes.weight_scales[channel]);
                activation[a] += scale * slope;
                let derivative = derivatives.by_activation();
                magnitudes[0][a] += scale.abs() * magnitude(derivative, a_code, w_code, zeros[1]);
            }
            let slope = derivatives.by_weight().at(a_code, w_code) - zeros[0];
            let scale = gradient * f64::from(codes.activation_scale);
            weight[w] += scale * slope;
            let derivative = derivatives.by_weight();
            magnitudes[1][w] += scale.abs() * magnitude(derivative, a_code, w_code, zeros[0]);
        });
    }
    let masked = |gradient: Vec<f64>, operand: &Operand| {
        let kept = gradient.into_iter().zip(operand.in_range());
        kept.map(|(value, kept)| if kept { value as f32 } else { 0.0 })
            .collect()
    };
    let largest = magnitudes.map(|magnitudes| magnitudes.into_iter().fold(0.0, f64::max));
    [
        (masked(activation, &layer.activation), largest[0]),
        (masked(weight, &layer.weight), largest[1]),
    ]
}

/// To 1e-5 of the tensor's largest magnitude, or to float32's rounding of what its elements are made of.
fn close_to(
    what: &str,
    found: &[f32],
    (expected, made_of): &(Vec<f32>, f64),
) -> Result<(), TestCaseError> {
    let largest = expected.iter().fold(0.0f64, |largest, &value| {
        largest.max(f64::from(value).abs())
    });
    let allowed = (1e-5 * largest).max(1e-6 * made_of);
    prop_assert_eq!(found.len(), expected.len());
    for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - f64::from(expected)).abs();
        prop_assert!(
            error <= allowed,
            "{}, element {}: {} instead of {}",
            what,
            index,
            found,
            expected
        );
    }
    Ok(())
}

fn close(what: &str, found: &[f32], expected: &[f32]) -> Result<(), TestCaseError> {
    let difference = relative_difference(found, expected);
    // Where all of an operand is clipped the gradient is exactly 0.
    let zero = found.iter().chain(expected).all(|value| *value == 0.0);
    prop_assert!(zero || difference <= 1e-5, "{}: {}", what, difference);
    Ok(())
}

fn check(layer: &Layer, multiplier: Multiplier, rule: GradientRule) -> Result<(), TestCaseError> {
    let gradient = Random::new(7).reals(layer.geometry.outputs(), -1.0, 1.0);
    let derivatives = MultiplierGradient::of(&multiplier, rule).unwrap();
    let [activation, weight] = by_products(layer, &derivatives, &gradient);
    let prepared = PreparedMultiplier::new(multiplier).with_gradient(rule);
    let found = layer.gradients(&prepared, &gradient, &crate::device().autodiff());
    close_to(
        &format!("activation, {rule}"),
        &found.activation,
        &activation,
    )?;
    close_to(&format!("weight, {rule}"), &found.weight, &weight)
}

/// The rules that formats of few bits have codes enough for.
fn rules(layer: &Layer, seed: u64) -> [GradientRule; 2] {
    let formats = [layer.activation.format, layer.weight.format];
    let widest = formats.map(|format| (format.cardinality() - 1) / 2);
    let half_window = Random::new(seed).integer(0, widest[0].min(widest[1]).min(9) as i64);
    [
        GradientRule::Difference {
            half_window: half_window as u16,
        },
        GradientRule::LinearRegression,
    ]
}

/// Tables of every rank, whose derivatives are cut, and families in factors.
#[test]
fn agree_with_a_loop_over_all_products() {
    let coverage = over_layers(120, 21, layers(Size::SMALL), |layer| {
        let formats = (layer.activation.format, layer.weight.format);
        let seed = layer.geometry.outputs() as u64;
        let family = MultiplierFamily::Roba
            .multiplier(formats.0, formats.1)
            .unwrap();
        let random = Random::new(seed).multiplier(formats.0, formats.1, -9999, 9999);
        let multiplier = if seed.is_multiple_of(2) {
            family
        } else {
            random
        };
        for rule in rules(layer, seed) {
            check(layer, multiplier.clone(), rule)?;
        }
        Ok(())
    });
    assert_eq!(coverage.layers, 120);
}

/// Tables that are given, of any multiplier: the exact one too, which layers otherwise take for one of fewer codes.
#[test]
fn given_derivatives_agree_with_a_loop_over_all_products() {
    over_layers(80, 24, layers(Size::SMALL), |layer| {
        let formats = (layer.activation.format, layer.weight.format);
        let seed = layer.geometry.outputs() as u64;
        let multiplier = match seed % 2 {
            0 => Multiplier::exact(formats.0, formats.1),
            _ => Random::new(seed).multiplier(formats.0, formats.1, -9999, 9999),
        };
        let [shift, slope] = [seed % 7, seed % 5].map(|number| number as f64 - 2.0);
        let tables = GradientTables::from_fn(
            formats.0,
            formats.1,
            |a, b| slope * f64::from(b) + shift * f64::from(a * a % 11),
            |a, b| f64::from(a) * (shift + f64::from(b % 3)),
        );
        let multiplier = multiplier.with_gradient_tables(tables.unwrap()).unwrap();
        check(layer, multiplier, GradientRule::Custom)
    });
}

/// Every rule gives the exact multiplier its own derivative, also where it is a table like any other.
#[test]
fn the_exact_multiplier_is_straight_through() {
    over_layers(60, 22, layers(Size::SMALL), |layer| {
        let formats = (layer.activation.format, layer.weight.format);
        let exact = Multiplier::exact(formats.0, formats.1);
        let table = Multiplier::from_table("exact as a table", exact.to_table().unwrap());
        let gradient = Random::new(8).reals(layer.geometry.outputs(), -1.0, 1.0);
        let device = crate::device().autodiff();
        let expected = layer.gradients(&exact.clone().into(), &gradient, &device);
        for multiplier in [exact, table] {
            for rule in rules(layer, 3) {
                let prepared = PreparedMultiplier::new(multiplier.clone()).with_gradient(rule);
                let found = layer.gradients(&prepared, &gradient, &device);
                prop_assert_eq!(&found.output, &expected.output);
                close("activation", &found.activation, &expected.activation)?;
                close("weight", &found.weight, &expected.weight)?;
            }
        }
        Ok(())
    });
}

/// Checkpointing computes operands again; the output is the same under every rule.
#[test]
fn checkpointing_changes_nothing() {
    let plain = crate::device().autodiff();
    let checkpointing = plain.clone().gradient_checkpointing();
    over_layers(40, 23, layers(Size::SMALL), |layer| {
        let formats = (layer.activation.format, layer.weight.format);
        let gradient = Random::new(9).reals(layer.geometry.outputs(), -1.0, 1.0);
        let multiplier = Random::new(4).multiplier(formats.0, formats.1, -99, 99);
        let usual = PreparedMultiplier::new(multiplier);
        for rule in rules(layer, 5) {
            let multiplier = usual.clone().with_gradient(rule);
            let [found, expected] = [&checkpointing, &plain]
                .map(|device| layer.gradients(&multiplier, &gradient, device));
            prop_assert_eq!(&found.output, &layer.outputs(&usual, &crate::device()));
            prop_assert_eq!(found.activation, expected.activation);
            prop_assert_eq!(found.weight, expected.weight);
        }
        Ok(())
    });
}

/// A window that an operand has no codes for is refused before anything is computed.
#[test]
fn a_window_too_wide_is_refused() {
    let device = crate::device();
    let quantizer =
        CodeQuantizer::per_tensor(0.1, 0, CodeRange::new(-127, 127).unwrap(), &device).unwrap();
    let multiplier = PreparedMultiplier::new(evoapprox::multiplier("mul8s_1L2J").unwrap())
        .with_gradient(GradientRule::Difference { half_window: 128 });
    let [input, weight] = [[1, 1, 3, 3], [1, 1, 2, 2]].map(|shape: [usize; 4]| {
        float_tensor::<4>(&vec![1.0; shape.iter().product()], &shape, &device)
    });
    let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
    let error = ops::conv2d(
        input,
        weight,
        None,
        &quantizer,
        &quantizer,
        &multiplier,
        options,
    );
    assert!(matches!(
        error,
        Err(ApproxError::Multiplier(
            MultiplierError::HalfWindowTooLarge {
                half_window: 128,
                ..
            }
        ))
    ));
}
