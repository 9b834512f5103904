//! Files as a whole: read, run, captured, converted, trained, saved; and files that are not as they should be.

mod common;

use approx_onnx::{FileCodes, OnnxError, OnnxModel, set_file_quantizers};
use burn::prelude::*;
use burn::tensor::Distribution;
use burn_approx::{ApproxConfig, Mode, approx_layers, calibrate, convert};
use common::{Builder, Setting, numbers};

/// A convolution, its activation, and a classifier, as PyTorch's exporter calls them.
fn network(batch: Option<i64>) -> Builder {
    Builder::default()
        .input("input", &[batch, Some(3), Some(6), Some(6)])
        .output("logits")
        .weight("onnx::Conv_7", &[4, 3, 3, 3], &numbers(108))
        .weight("onnx::Conv_8", &[4], &numbers(4))
        .weight("fc.weight", &[5, 16], &numbers(80))
        .weight("fc.bias", &[5], &numbers(5))
        .node(
            "Conv",
            &["input", "onnx::Conv_7", "onnx::Conv_8"],
            &["/layer1/layer1.0/conv1/Conv"],
            &[
                ("strides", Setting::Ints(vec![3, 3])),
                ("pads", Setting::Ints(vec![1, 1, 0, 0])),
            ],
        )
        .node("Relu", &["/layer1/layer1.0/conv1/Conv"], &["relu"], &[])
        .ints("shape", &[2], &[batch.unwrap_or(-1), 16])
        .node("Reshape", &["relu", "shape"], &["flat"], &[])
        .node(
            "Gemm",
            &["flat", "fc.weight", "fc.bias"],
            &["logits"],
            &[("transB", Setting::Int(1))],
        )
}

fn images(count: usize) -> Tensor<4> {
    Tensor::random(
        [count, 3, 6, 6],
        Distribution::Uniform(-1.0, 1.0),
        &Device::flex(),
    )
}

fn model(batch: Option<i64>) -> OnnxModel {
    OnnxModel::from_bytes(network(batch).bytes(17), &Device::flex()).unwrap()
}

/// What the network computes, by Burn's tensors.
fn by_hand(images: Tensor<4>) -> Tensor<2> {
    let device = images.device();
    let tensor = |count: usize| Tensor::<1>::from_floats(&numbers(count)[..], &device);
    let padded = images.pad([(1, 0), (1, 0)], burn::tensor::ops::PadMode::Constant(0.0));
    let options = burn::tensor::ops::ConvOptions::new([3, 3], [0, 0], [1, 1], 1);
    let weight = tensor(108).reshape([4, 3, 3, 3]);
    let x = burn::tensor::module::conv2d(padded, weight, Some(tensor(4)), options);
    let x = burn::tensor::activation::relu(x).flatten::<2>(1, 3);
    x.matmul(tensor(80).reshape([5, 16]).transpose()) + tensor(5).unsqueeze()
}

fn assert_close(found: &Tensor<2>, expected: &Tensor<2>) {
    found
        .to_data()
        .assert_approx_eq::<f32>(&expected.to_data(), burn::tensor::Tolerance::absolute(1e-5));
}

#[test]
fn a_file_gives_what_its_graph_means_at_every_batch() {
    for batch in [None, Some(1), Some(2)] {
        let model = model(batch);
        let captured = model.capture::<Tensor<4>, Tensor<2>>(images(3)).unwrap();
        for count in [1, 2, 7] {
            let images = images(count);
            let expected = by_hand(images.clone());
            let run: Tensor<2> = model.forward(images.clone()).unwrap();
            assert_close(&run, &expected);
            assert_close(&captured.forward(images), &expected);
        }
    }
}

#[test]
fn layers_have_the_names_of_the_file_and_become_approximate() {
    let captured = model(None)
        .capture::<Tensor<4>, Tensor<2>>(images(3))
        .unwrap();
    let paths: Vec<_> = approx_layers(&captured)
        .iter()
        .map(|layer| layer.path().to_string())
        .collect();
    assert_eq!(paths, ["layer1.0.conv1", "fc"]);
    let config = ApproxConfig::new("exact:int8".parse().unwrap());
    let (exact, report) = convert(captured, &config).unwrap();
    assert_eq!(report.converted.len(), 2);
    let images = images(4);
    calibrate(&exact, |model| drop(model.forward(images.clone()))).unwrap();
    let approximate = exact.forward(images.clone());
    approx_layers(&exact).set_mode(Mode::Quantized).unwrap();
    exact
        .forward(images)
        .to_data()
        .assert_eq(&approximate.to_data(), true);
}

#[test]
fn what_was_trained_is_written_back_and_nothing_else_changes() {
    let folder = tempfile::tempdir().unwrap();
    let (path, again) = (
        folder.path().join("model.onnx"),
        folder.path().join("again.onnx"),
    );
    std::fs::write(&path, network(None).bytes(17)).unwrap();
    let model = OnnxModel::load(&path, &Device::flex()).unwrap();
    model.save(&again).unwrap();
    assert_eq!(
        std::fs::read(&path).unwrap(),
        std::fs::read(&again).unwrap()
    );

    let model = model.map(&mut Doubled);
    // Over the file that it was read from.
    model.save(&path).unwrap();
    let images = images(3);
    let run: Tensor<2> = OnnxModel::load(&path, &Device::flex())
        .unwrap()
        .forward(images.clone())
        .unwrap();
    let expected: Tensor<2> = model.forward(images).unwrap();
    run.to_data().assert_eq(&expected.to_data(), true);
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(files.len(), 2, "no temporary files are left: {files:?}");
}

/// Every float of a model doubled.
struct Doubled;

impl burn::module::ModuleMapper for Doubled {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<Tensor<D>>,
    ) -> burn::module::Param<Tensor<D>> {
        param.map(|tensor| tensor * 2.0)
    }
}

/// A linear layer on rows of tokens as PyTorch's exporters write it, a product and a sum, the bias on either side.
fn linear_on_tokens(sum: [&str; 2], outputs: &[&str]) -> Builder {
    let builder = Builder::default()
        .input("x", &[None, Some(5), Some(6)])
        .weight("onnx::MatMul_9", &[6, 4], &numbers(24))
        .weight("fc.bias", &[4], &numbers(4))
        .node("MatMul", &["x", "onnx::MatMul_9"], &["/fc/MatMul"], &[])
        .node("Add", &sum, &["y"], &[]);
    outputs
        .iter()
        .fold(builder, |builder, name| builder.output(name))
}

#[test]
fn a_product_and_what_is_added_to_it_are_one_layer_with_a_bias() {
    let device = Device::flex();
    let x = Tensor::<3>::random([3, 5, 6], Distribution::Uniform(-1.0, 1.0), &device);
    let tensor = |count: usize| Tensor::<1>::from_floats(&numbers(count)[..], &device);
    let product = x.clone().matmul(tensor(24).reshape([1, 6, 4]));
    let expected = product.clone() + tensor(4).reshape([1, 1, 4]);
    let tolerance = burn::tensor::Tolerance::absolute(1e-5);
    for sum in [["/fc/MatMul", "fc.bias"], ["fc.bias", "/fc/MatMul"]] {
        let file = linear_on_tokens(sum, &["y"]).bytes(17);
        let model = OnnxModel::from_bytes(file, &device).unwrap();
        let captured = model.capture::<Tensor<3>, Tensor<3>>(x.clone()).unwrap();
        let found = captured.forward(x.clone()).into_data();
        found.assert_approx_eq::<f32>(&expected.to_data(), tolerance);
        let config = ApproxConfig::new("exact:int8".parse().unwrap());
        let (_, report) = convert(captured, &config).unwrap();
        assert_eq!(report.converted, ["fc"]);
    }
    // The product that is an output too is given as it is.
    let file = linear_on_tokens(["/fc/MatMul", "fc.bias"], &["y", "/fc/MatMul"]).bytes(17);
    let model = OnnxModel::from_bytes(file, &device).unwrap();
    let outputs: Vec<burn_approx::AnyTensor> = model.forward(x).unwrap();
    for (found, expected) in outputs.into_iter().zip([expected, product]) {
        let found = found.into_data();
        found.assert_approx_eq::<f32>(&expected.to_data(), tolerance);
    }
}

#[test]
fn a_bias_that_was_added_apart_is_written_back_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let file = linear_on_tokens(["/fc/MatMul", "fc.bias"], &["y"]);
    std::fs::write(&path, file.bytes(17)).unwrap();
    let model = OnnxModel::load(&path, &Device::flex()).unwrap();
    let model = model.map(&mut Doubled);
    model.save(&path).unwrap();
    let doubled = |count: usize| numbers(count).into_iter().map(|value| value * 2.0);
    let expected = Builder::default()
        .input("x", &[None, Some(5), Some(6)])
        .weight("onnx::MatMul_9", &[6, 4], &doubled(24).collect::<Vec<_>>())
        .weight("fc.bias", &[4], &doubled(4).collect::<Vec<_>>())
        .node("MatMul", &["x", "onnx::MatMul_9"], &["/fc/MatMul"], &[])
        .node("Add", &["/fc/MatMul", "fc.bias"], &["y"], &[])
        .output("y");
    assert_eq!(std::fs::read(&path).unwrap(), expected.bytes(17));
}

#[test]
fn a_weight_that_is_cut_and_joined_in_another_order_is_that_of_a_layer() {
    let device = Device::flex();
    let file = Builder::default()
        .input("x", &[None, Some(2)])
        .output("y")
        .weight("fc.weight", &[2, 4], &numbers(8))
        .ints("zero", &[1], &[0])
        .ints("one", &[1], &[1])
        .ints("four", &[1], &[4])
        .node(
            "Slice",
            &["fc.weight", "zero", "one", "one"],
            &["first"],
            &[],
        )
        .node(
            "Slice",
            &["fc.weight", "one", "four", "one"],
            &["rest"],
            &[],
        )
        .node(
            "Concat",
            &["rest", "first"],
            &["w"],
            &[("axis", Setting::Int(1))],
        )
        .node("MatMul", &["x", "w"], &["y"], &[]);
    let model = OnnxModel::from_bytes(file.bytes(17), &device).unwrap();
    let x = Tensor::<2>::random([3, 2], Distribution::Uniform(-1.0, 1.0), &device);
    let captured = model.capture::<Tensor<2>, Tensor<2>>(x.clone()).unwrap();
    let paths: Vec<_> = approx_layers(&captured)
        .iter()
        .map(|layer| layer.path().to_string())
        .collect();
    assert_eq!(paths, ["fc"]);
    let weight = Tensor::<1>::from_floats(&numbers(8)[..], &device).reshape([2, 4]);
    let parts = [
        weight.clone().slice([0..2, 1..4]),
        weight.slice([0..2, 0..1]),
    ];
    let expected = x.clone().matmul(Tensor::cat(parts.to_vec(), 1));
    assert_close(&captured.forward(x), &expected);
}

#[test]
fn what_is_added_and_no_bias_is_added_as_it_is() {
    // A row of 4 to columns of 1: the sum is wider than the product.
    let file = Builder::default()
        .input("x", &[None, Some(5), Some(6)])
        .output("y")
        .weight("w", &[6, 1], &numbers(6))
        .weight("row", &[4], &numbers(4))
        .node("MatMul", &["x", "w"], &["p"], &[])
        .node("Add", &["p", "row"], &["y"], &[]);
    let device = Device::flex();
    let model = OnnxModel::from_bytes(file.bytes(17), &device).unwrap();
    let x = Tensor::<3>::ones([2, 5, 6], &device);
    let found: Tensor<3> = model.forward(x).unwrap();
    let sum: f32 = numbers(6).iter().sum();
    let expected = Tensor::<1>::from_floats(&numbers(4)[..], &device) + sum;
    let expected = expected.reshape([1, 1, 4]).expand([2, 5, 4]);
    found
        .to_data()
        .assert_approx_eq::<f32>(&expected.to_data(), burn::tensor::Tolerance::absolute(1e-5));
}

/// The network's convolution, its input and weight quantised as files have it.
fn quantized(dtype: i32, zero: u8) -> Builder {
    let codes: Vec<u8> = (0..108)
        .map(|place| ((place * 31 + 5) % 255) as u8)
        .collect();
    let scales: Vec<u8> = [0.01_f32, 0.02, 0.005, 0.015]
        .iter()
        .flat_map(|scale| scale.to_le_bytes())
        .collect();
    Builder::default()
        .input("input", &[None, Some(3), Some(6), Some(6)])
        .output("y")
        .raw("x_scale", 1, &[], 0.0078_f32.to_le_bytes().to_vec())
        .raw("x_zero", dtype, &[], vec![zero])
        .raw("conv.weight_quantized", 3, &[4, 3, 3, 3], codes)
        .raw("w_scale", 1, &[4], scales)
        .raw("w_zero", 3, &[4], vec![0; 4])
        .node(
            "QuantizeLinear",
            &["input", "x_scale", "x_zero"],
            &["q"],
            &[],
        )
        .node("DequantizeLinear", &["q", "x_scale", "x_zero"], &["x"], &[])
        .node(
            "DequantizeLinear",
            &["conv.weight_quantized", "w_scale", "w_zero"],
            &["w"],
            &[("axis", Setting::Int(0))],
        )
        .node("Conv", &["x", "w"], &["y"], &[])
}

#[test]
fn the_quantisers_of_a_file_are_those_of_its_layers() {
    for (dtype, zero, codes, multiplier) in [
        (2, 128, FileCodes::Shifted, "exact:int8"),
        (3, 0, FileCodes::AsTheyAre, "exact:int8"),
        (2, 120, FileCodes::Shifted, "exact:int8"),
    ] {
        let model =
            OnnxModel::from_bytes(quantized(dtype, zero).bytes(17), &Device::flex()).unwrap();
        let quantizers = model.quantizers();
        assert_eq!(quantizers.len(), 1);
        assert_eq!(quantizers[0].path, "conv");
        assert_eq!(quantizers[0].activation.zero_points, [i32::from(zero)]);
        assert_eq!(quantizers[0].weight.scales, [0.01, 0.02, 0.005, 0.015]);
        assert_eq!(quantizers[0].weight.axis, Some(0));
        let images = images(3);
        let captured = model
            .capture::<Tensor<4>, Tensor<4>>(images.clone())
            .unwrap();
        let config = ApproxConfig::new(multiplier.parse().unwrap());
        let (converted, _) = convert(captured.clone(), &config).unwrap();
        let set = set_file_quantizers(&converted, &quantizers, codes).unwrap();
        assert_eq!(set, ["conv"]);
        // The exact multiplier gives what the file means, without calibration.
        let found = converted.forward(images.clone());
        let meant: Tensor<4> = model.forward(images).unwrap();
        found
            .to_data()
            .assert_approx_eq::<f32>(&meant.to_data(), burn::tensor::Tolerance::absolute(2e-5));
    }
}

#[test]
fn gradients_pass_through_the_quantisers_of_a_file() {
    let device = Device::flex().autodiff();
    let model = OnnxModel::from_bytes(quantized(3, 0).bytes(17), &device).unwrap();
    let x = Tensor::<4>::random([2, 3, 6, 6], Distribution::Uniform(-1.5, 1.5), &device);
    let x = x.require_grad();
    let captured = model.capture::<Tensor<4>, Tensor<4>>(x.clone()).unwrap();
    let gradients = captured.forward(x.clone()).sum().backward();
    let found = x.grad(&gradients).unwrap();
    // Those of the convolution alone, but for what is clipped.
    let [scale, least, most] = [0.0078, -128.0, 127.0];
    let within = x.clone().without_autodiff().div_scalar(scale).round();
    let clipped = within
        .clone()
        .lower_elem(least)
        .bool_or(within.greater_elem(most));
    let ones = Tensor::<4>::ones([2, 4, 4, 4], &Device::flex());
    let scales = [0.01_f32, 0.02, 0.005, 0.015];
    let weight: Vec<f32> = (0..108)
        .map(|place| f32::from(((place * 31 + 5) % 255) as u8 as i8) * scales[place as usize / 27])
        .collect();
    let weight = Tensor::<1>::from_floats(&weight[..], &Device::flex()).reshape([4, 3, 3, 3]);
    let options = burn::tensor::ops::ConvTransposeOptions::new([1, 1], [0, 0], [0, 0], [1, 1], 1);
    let expected = burn::tensor::module::conv_transpose2d(ones, weight, None, options);
    let expected = expected.mask_fill(clipped, 0.0);
    found
        .to_data()
        .assert_approx_eq::<f32>(&expected.to_data(), burn::tensor::Tolerance::absolute(1e-4));
}

#[test]
fn weights_are_learned_on_an_autodiff_device_wherever_the_file_was_read() {
    let plain = Device::flex();
    let there = OnnxModel::from_bytes(network(None).bytes(17), &plain.clone().autodiff()).unwrap();
    let here = OnnxModel::from_bytes(network(None).bytes(17), &plain).unwrap();
    let images = images(3);
    for captured in [
        there
            .capture::<Tensor<4>, Tensor<2>>(images.clone().autodiff())
            .unwrap(),
        here.capture(images.clone()).unwrap().train(),
    ] {
        let loss = captured.forward(images.clone().autodiff()).square().sum();
        let gradients = loss.backward();
        let gradients = burn::optim::GradientsParams::from_grads(gradients, &captured);
        assert_eq!(gradients.len(), 4, "both weights and both biases");
    }
}

#[test]
fn unsigned_codes_do_not_fit_a_signed_multiplier() {
    let model = OnnxModel::from_bytes(quantized(2, 128).bytes(17), &Device::flex()).unwrap();
    let captured = model.capture::<Tensor<4>, Tensor<4>>(images(3)).unwrap();
    let (converted, _) = convert(captured, &ApproxConfig::bundled("mul8s_1L2J")).unwrap();
    let refused = set_file_quantizers(&converted, &model.quantizers(), FileCodes::AsTheyAre);
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("255"), "{text}");
}

#[test]
fn codes_are_written_back_as_codes_of_the_same_scales() {
    let folder = tempfile::tempdir().unwrap();
    let (path, again) = (
        folder.path().join("model.onnx"),
        folder.path().join("again.onnx"),
    );
    std::fs::write(&path, quantized(3, 0).bytes(17)).unwrap();
    OnnxModel::load(&path, &Device::flex())
        .unwrap()
        .save(&again)
        .unwrap();
    assert_eq!(
        std::fs::read(&path).unwrap(),
        std::fs::read(&again).unwrap()
    );
}

#[test]
fn what_is_not_covered_is_named() {
    let unknown = Builder::default()
        .input("x", &[None, Some(4)])
        .output("z")
        .node("Frobnicate", &["x"], &["y"], &[])
        .node("my.domain::Twist", &["y"], &["z"], &[]);
    let error = OnnxModel::from_bytes(unknown.bytes(17), &Device::flex())
        .unwrap_err()
        .to_string();
    for part in ["2 nodes", "Frobnicate \"y\"", "my.domain.Twist \"z\""] {
        assert!(error.contains(part), "{error}");
    }
    // A setting that no operator of that name has.
    let odd = Builder::default()
        .input("x", &[None, Some(4)])
        .output("y")
        .node("Relu", &["x"], &["y"], &[("slope", Setting::Float(0.5))]);
    let model = OnnxModel::from_bytes(odd.bytes(17), &Device::flex()).unwrap();
    let input = Tensor::<2>::ones([2, 4], &Device::flex());
    let error = model
        .forward::<Tensor<2>, Tensor<2>>(input)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("Relu \"y\"") && error.contains("slope"),
        "{error}"
    );
}

#[test]
fn inputs_that_do_not_fit_are_refused_by_name() {
    let model = model(None);
    let device = Device::flex();
    let refused = [
        model.forward::<Tensor<4>, Tensor<2>>(Tensor::ones([2, 3, 7, 6], &device)),
        model.forward::<Tensor<3>, Tensor<2>>(Tensor::ones([2, 3, 6], &device)),
        model.forward::<Tensor<4, Int>, Tensor<2>>(Tensor::ones([2, 3, 6, 6], &device)),
    ];
    for refused in refused {
        assert!(
            matches!(refused, Err(OnnxError::Input { .. })),
            "{refused:?}"
        );
    }
    let images = images(2);
    let error = model
        .forward::<Tensor<4>, Tensor<4>>(images)
        .unwrap_err()
        .to_string();
    assert!(error.contains("float of rank 2"), "{error}");
}

#[test]
fn files_that_are_cut_off_or_changed_are_errors_and_nothing_else() {
    let whole = quantized(2, 128).bytes(17);
    for end in 0..whole.len() {
        assert!(
            OnnxModel::from_bytes(&whole[..end], &Device::flex()).is_err(),
            "cut at {end}"
        );
    }
    let input = Tensor::<4>::ones([1, 3, 6, 6], &Device::flex());
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 1 << (place % 8);
        // Whatever it says now, it says it without a panic.
        if let Ok(model) = OnnxModel::from_bytes(changed, &Device::flex()) {
            let _ = model.forward::<Tensor<4>, Tensor<4>>(input.clone());
        }
    }
}
