//! Operand traces: the codes that the layers meet, counted on the device.

use std::collections::BTreeMap;

use approx_multiplier::OperandTrace;
use burn::prelude::*;
use burn_approx::Mode;
use burn_approx::convert::{ApproxConfig, approx_layers, calibrate, convert, trace};
use burn_approx::quantization::CodeQuantizer;
use burn_approx_tests::layer::integers;

use crate::networks::{Containers, Perceptron, images, rows, values};

/// How often each code occurs, counted one by one, times `passes`.
fn counts<const D: usize>(
    values: Tensor<D>,
    quantizer: &CodeQuantizer,
    passes: u64,
) -> Vec<(i32, u64)> {
    let mut counts = BTreeMap::<i32, u64>::new();
    for code in integers(quantizer.codes(values)) {
        *counts.entry(i32::try_from(code).unwrap()).or_default() += passes;
    }
    counts.into_iter().collect()
}

fn perceptron(device: &Device, multiplier: &str) -> Perceptron {
    let (model, _) = convert(Perceptron::new(device), &ApproxConfig::bundled(multiplier)).unwrap();
    calibrate(&model, |model| drop(model.forward(rows(device)))).unwrap();
    model
}

#[test]
fn codes_are_counted_as_the_quantisers_give_them() {
    let device = crate::device();
    for multiplier in ["mul8s_1L2J", "mul12s_2PS"] {
        let model = perceptron(&device, multiplier);
        let expected_output = values(model.forward(rows(&device)));
        let trace = trace(&model, |model| {
            for _ in 0..3 {
                assert_eq!(values(model.forward(rows(&device))), expected_output);
            }
        })
        .unwrap();
        assert_eq!(trace.layers().len(), 2);
        let hidden = trace.layer("hidden").unwrap();
        let handles = approx_layers(&model);
        let handle = handles.get("hidden").unwrap();
        let activation = handle.activation_quantizer().unwrap();
        let weight = handle.weight_quantizer().unwrap();
        assert_eq!(
            hidden.activation_counts(),
            counts(rows(&device), &activation, 3)
        );
        assert_eq!(
            hidden.weight_counts(),
            counts(model.hidden.weight.val(), &weight, 3)
        );
        assert!(hidden.distribution().is_ok());
    }
}

#[test]
fn counting_ends_with_the_trace() {
    let device = crate::device();
    let model = perceptron(&device, "mul8s_1L2J");
    let first = trace(&model, |model| drop(model.forward(rows(&device)))).unwrap();
    model.forward(rows(&device));
    let second = trace(&model, |model| drop(model.forward(rows(&device)))).unwrap();
    assert_eq!(first, second);
    assert_eq!(trace(&model, |_| ()).unwrap(), OperandTrace::new());

    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        trace(&model, |_| panic!("a batch that cannot be had")).map(drop)
    }));
    assert!(panicked.is_err());
    assert_eq!(
        trace(&model, |model| drop(model.forward(rows(&device)))).unwrap(),
        first
    );
}

#[test]
fn layers_in_float_are_left_out_and_convolutions_are_not() {
    let device = crate::device();
    let (model, report) = convert(
        Containers::new(&device),
        &ApproxConfig::bundled("mul8s_1L2J"),
    )
    .unwrap();
    calibrate(&model, |model| drop(model.forward(images(&device)))).unwrap();
    let layers = approx_layers(&model);
    layers
        .get("stem")
        .unwrap()
        .set_mode(Mode::Baseline)
        .unwrap();
    let trace = trace(&model, |model| drop(model.forward(images(&device)))).unwrap();
    let names: Vec<&str> = trace.layers().iter().map(|layer| layer.name()).collect();
    let expected: Vec<&str> = report
        .converted
        .iter()
        .map(String::as_str)
        .filter(|path| *path != "stem")
        .collect();
    assert_eq!(names, expected);
}
