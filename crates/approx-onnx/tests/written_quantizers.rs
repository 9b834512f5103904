//! Files that the quantisers of converted layers are written into.

mod common;

use approx_onnx::{OnnxError, OnnxLayerQuantizers, OnnxModel};
use burn::prelude::*;
use burn::tensor::Distribution;
use burn_approx::quantization::{Granularity, Symmetry};
use burn_approx::{ApproxConfig, GraphModel, Mode, approx_layers, calibrate, convert};
use common::{Builder, Setting, numbers};

/// A convolution, a transposed one, a product with a matrix, and a layer as `torch.nn.Linear` is exported.
fn network() -> Builder {
    Builder::default()
        .input("input", &[None, Some(3), Some(6), Some(6)])
        .output("logits")
        .weight("conv.weight", &[4, 3, 3, 3], &numbers(108))
        .weight("conv.bias", &[4], &numbers(4))
        .weight("up.weight", &[4, 2, 2, 2], &numbers(32))
        .weight("mix.weight", &[8, 6], &numbers(48))
        .weight("mix.bias", &[6], &numbers(6))
        .weight("fc.weight", &[5, 96], &numbers(480))
        .weight("fc.bias", &[5], &numbers(5))
        .node("Conv", &["input", "conv.weight", "conv.bias"], &["a"], &[])
        .node("Relu", &["a"], &["b"], &[])
        .node(
            "ConvTranspose",
            &["b", "up.weight"],
            &["c"],
            &[("strides", Setting::Ints(vec![2, 2]))],
        )
        .node("MatMul", &["c", "mix.weight"], &["product"], &[])
        .node("Add", &["mix.bias", "product"], &["d"], &[])
        .ints("shape", &[2], &[-1, 96])
        .node("Reshape", &["d", "shape"], &["e"], &[])
        .node(
            "Gemm",
            &["e", "fc.weight", "fc.bias"],
            &["logits"],
            &[("transB", Setting::Int(1))],
        )
}

fn images() -> Tensor<4> {
    Tensor::random(
        [5, 3, 6, 6],
        Distribution::Uniform(-1.0, 2.0),
        &Device::flex(),
    )
}

type Captured = GraphModel<OnnxModel, Tensor<4>, Tensor<2>>;

/// The network with quantised layers, calibrated on some images; with zero points and one scale for each weight, if it is
/// to be affine.
fn calibrated(model: &OnnxModel, spec: &str, affine: bool, images: &Tensor<4>) -> Captured {
    let captured = model.capture(images.clone()).unwrap();
    let config = ApproxConfig::new(spec.parse().unwrap());
    let (captured, _) = convert(captured, &config).unwrap();
    let layers = approx_layers(&captured);
    for layer in &layers {
        if affine {
            layer
                .update(|settings| {
                    settings.quantization.activation.symmetry = Symmetry::Affine;
                    settings.quantization.granularity = Granularity::PerTensor;
                })
                .unwrap();
        }
    }
    calibrate(&captured, |model: &Captured| {
        drop(model.forward(images.clone()))
    })
    .unwrap();
    layers.set_mode(Mode::Quantized).unwrap();
    captured
}

fn quantizers(model: &Captured) -> Vec<OnnxLayerQuantizers> {
    let layers = approx_layers(model);
    layers.iter().filter_map(OnnxLayerQuantizers::of).collect()
}

#[test]
fn a_file_with_quantisers_gives_what_the_quantised_layers_give() {
    let device = Device::flex();
    let images = images();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quantized.onnx");
    for (spec, affine, version) in [
        ("exact:int8", false, 17),
        ("exact:uint8,int8", true, 17),
        // Codes that fill no type of ONNX's.
        ("exact:int4", false, 17),
        ("exact:uint6,int5", true, 13),
        ("exact:int12,int8", false, 21),
    ] {
        let model = OnnxModel::from_bytes(network().bytes(version), &device).unwrap();
        let captured = calibrated(&model, spec, affine, &images);
        let set = quantizers(&captured);
        let written = model.save_with_quantization(&path, &set).unwrap();
        assert_eq!(written, ["conv", "up", "mix", "fc"]);

        let read = OnnxModel::load(&path, &device).unwrap();
        let found: Tensor<2> = read.forward(images.clone()).unwrap();
        let expected = captured.forward(images.clone());
        let tolerance = burn::tensor::Tolerance::absolute(2e-5);
        found
            .to_data()
            .assert_approx_eq::<f32>(&expected.to_data(), tolerance);
        // Read again, they are the quantisers of the same layers.
        for (found, own) in read.quantizers().iter().zip(&set) {
            assert_eq!(found.path, own.path);
            for (found, own) in [
                (&found.activation, &own.activation),
                (&found.weight, &own.weight),
            ] {
                assert_eq!(
                    (&found.scales, &found.zero_points),
                    (&own.scales, &own.zero_points)
                );
                assert!(found.codes[0] <= own.codes[0] && own.codes[1] <= found.codes[1]);
            }
        }
        assert_eq!(read.quantizers().len(), 4);
        // A second time there is nothing to be written around.
        let again = read.save_with_quantization(&path, &set).unwrap_err();
        assert!(
            again.to_string().contains("quantisers of its own"),
            "{again}"
        );
    }
}

#[test]
fn values_beyond_the_outermost_codes_are_clipped_as_the_layers_clip_them() {
    let device = Device::flex();
    let images = images();
    let model = OnnxModel::from_bytes(network().bytes(17), &device).unwrap();
    let captured = calibrated(&model, "exact:int4", false, &images);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quantized.onnx");
    model
        .save_with_quantization(&path, &quantizers(&captured))
        .unwrap();
    let large = images * 3.0;
    let read = OnnxModel::load(&path, &device).unwrap();
    let found: Tensor<2> = read.forward(large.clone()).unwrap();
    found.to_data().assert_approx_eq::<f32>(
        &captured.forward(large).to_data(),
        burn::tensor::Tolerance::absolute(2e-5),
    );
}

#[test]
fn what_a_file_cannot_hold_is_refused() {
    let device = Device::flex();
    let images = images();
    let path = std::path::Path::new("never.onnx");
    for (version, spec, part) in [
        (12, "exact:int8", "version 13"),
        (17, "exact:int12", "version 21"),
    ] {
        let model = OnnxModel::from_bytes(network().bytes(version), &device).unwrap();
        let captured = calibrated(&model, spec, false, &images);
        let refused = model
            .save_with_quantization(path, &quantizers(&captured))
            .unwrap_err();
        assert!(matches!(refused, OnnxError::Quantizers { .. }));
        assert!(refused.to_string().contains(part), "{refused}");
        assert!(!path.exists());
    }
}
