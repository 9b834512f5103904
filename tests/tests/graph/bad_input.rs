//! What cannot be captured, and input that a captured model does not take, are errors that say so.

use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::Distribution;
use burn_approx::ApproxError;
use burn_approx::convert::{GraphModel, capture};

use crate::models::{convolutional, tensor};

#[derive(Module, Debug)]
struct Layer {
    layer: Linear,
}

fn model() -> Layer {
    Layer {
        layer: LinearConfig::new(6, 6).init(&crate::device()),
    }
}

fn example() -> Tensor<2> {
    tensor([4, 6], 1, &crate::device())
}

fn error(forward: impl Fn(&Layer, Tensor<2>) -> Tensor<2>) -> ApproxError {
    capture(&model(), example(), forward).unwrap_err()
}

#[test]
fn random_numbers_are_not_supported_and_named() {
    let error = error(|model, x| {
        let noise = x.random_like(Distribution::Default);
        model.layer.forward(x + noise)
    });
    let ApproxError::UnsupportedOperation { operation, place } = &error else {
        panic!("{error}");
    };
    assert_eq!(operation, "Float Random");
    assert!(place.starts_with("number 1 of"), "{place}");
}

#[test]
fn a_forward_pass_that_reads_values_is_refused() {
    let error = error(|model, x| {
        let largest: f32 = x.clone().max().into_scalar();
        model.layer.forward(x) * largest
    });
    assert!(matches!(error, ApproxError::Capture { .. }), "{error}");
    assert!(error.to_string().contains("reads no values"), "{error}");
}

/// Inputs and parameters can be read, unlike what is computed; a forward pass that follows what it read is noticed by
/// giving it other values.
#[test]
fn a_forward_pass_that_follows_values_of_inputs_or_parameters_is_refused() {
    let first = |x: &Tensor<2>| x.clone().into_data().iter::<f32>().next().unwrap();
    let refused = |error: ApproxError, what: &str| {
        assert!(matches!(error, ApproxError::Capture { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    };
    refused(
        error(|model, x| model.layer.forward(x.clone()) * first(&x)),
        "an input",
    );
    for sign in [1.0, -1.0] {
        let by_sign = error(|model, x| match sign * first(&x) > 0.0 {
            true => model.layer.forward(x),
            false => x,
        });
        refused(by_sign, "an input");
    }
    let not_a_number = error(
        |model, x| match x.to_data().iter::<f32>().any(f32::is_nan) {
            true => x,
            false => model.layer.forward(x),
        },
    );
    refused(not_a_number, "an input");
    let by_norm = error(|model, x| {
        let weights = model.layer.weight.val().into_data();
        let norm: f32 = weights.iter::<f32>().map(|value| value * value).sum();
        model.layer.forward(x) / norm.sqrt()
    });
    refused(by_norm, "a parameter");
    let tokens = Tensor::<2, Int>::from_ints([[1, 2], [3, 4]], &crate::device());
    let by_token = capture(&model(), tokens, |model: &Layer, tokens: Tensor<2, Int>| {
        let token = tokens.to_data().iter::<i32>().next().unwrap();
        model.layer.forward(tokens.float().repeat_dim(1, 3)) * token
    });
    refused(by_token.unwrap_err(), "an input");
}

/// A captured model stays on its autodiff device, without gradient checkpointing: inputs with it are no panic.
#[test]
fn inputs_with_other_gradient_checkpointing_are_refused() {
    let device = crate::device().autodiff().gradient_checkpointing();
    let model = Layer {
        layer: LinearConfig::new(6, 6).init(&device),
    };
    let input = || tensor::<2>([4, 6], 1, &device);
    let captured = capture(&model, input(), |model: &Layer, x| model.layer.forward(x)).unwrap();
    let error = captured.try_forward(input()).unwrap_err();
    assert!(
        error.to_string().contains("gradient checkpointing"),
        "{error}"
    );
    let plain = crate::device().autodiff();
    captured.try_forward(tensor([4, 6], 1, &plain)).unwrap();
}

#[test]
fn a_forward_pass_that_panics_is_refused() {
    let error = error(|model, x| {
        assert_eq!(x.dims()[0], 4, "only four rows, please");
        model.layer.forward(x)
    });
    let text = error.to_string();
    assert!(text.contains("with 5 inputs"), "{text}");
    assert!(text.contains("only four rows, please"), "{text}");
}

#[test]
fn tensors_that_stay_behind_are_refused() {
    let other = example();
    let error = error(|model, x| model.layer.forward(x) + other.clone().slice(s![0..1, ..]));
    assert!(matches!(error, ApproxError::Capture { .. }), "{error}");
    let other = example();
    let error = self::error(move |_, _| other.clone());
    assert!(error.to_string().contains("an output"), "{error}");
}

#[test]
fn a_model_of_drop_in_layers_needs_no_capturing() {
    let model = burn_approx::nn::LinearConfig::new(6, 6).init(&crate::device());
    let error = capture(&model, example(), |model: &burn_approx::nn::Linear, x| {
        model.forward(x)
    });
    let error = error.unwrap_err();
    assert!(
        matches!(error, ApproxError::DropInsToCapture { .. }),
        "{error}"
    );
}

#[test]
fn an_empty_example_shows_nothing() {
    let empty = Tensor::<2>::zeros([0, 6], &crate::device());
    let error = capture(&model(), empty, |model: &Layer, x| model.layer.forward(x)).unwrap_err();
    assert!(matches!(error, ApproxError::GraphInput { .. }), "{error}");
}

#[test]
fn inputs_of_other_sizes_types_and_devices_are_refused() {
    let device = crate::device();
    let subject = convolutional();
    let captured = subject.capture(&subject.model(&device));
    let text = |x: Tensor<4>| captured.try_forward(x).unwrap_err().to_string();
    assert!(text(tensor([2, 3, 16, 15], 1, &device)).contains("[2, 3, 16, 16]"));
    assert!(text(tensor([2, 4, 16, 16], 1, &device)).contains("only the batch"));
    assert!(text(Tensor::zeros([0, 3, 16, 16], &device)).contains("at least 1"));
    let doubles = tensor([2, 3, 16, 16], 1, &device).cast(burn::tensor::DType::F64);
    assert!(text(doubles).contains("F64"));
    let [one, other] = crate::two_devices();
    let elsewhere = if one == device { other } else { one };
    let elsewhere = tensor([2, 3, 16, 16], 1, &elsewhere);
    assert!(text(elsewhere).contains("move both to one device"));
}

#[test]
fn several_inputs_must_have_the_same_batch() {
    let device = crate::device();
    type Two = (Tensor<2>, Tensor<2>);
    let captured: GraphModel<_, Two, (Tensor<2>, Tensor<1>)> = capture(
        &model(),
        (example(), example()),
        |model: &Layer, (a, b): Two| {
            let y = model.layer.forward(a * b);
            (y.clone(), y.sum_dim(1).squeeze_dim(1))
        },
    )
    .unwrap();
    let (a, b) = (tensor([3, 6], 1, &device), tensor([3, 6], 2, &device));
    let (y, sums) = captured.forward((a.clone(), b.clone()));
    assert_eq!((y.dims(), sums.dims()), ([3, 6], [3]));
    let error = captured.try_forward((a, tensor([2, 6], 2, &device)));
    assert!(error.unwrap_err().to_string().contains("tensor 2"));
}
