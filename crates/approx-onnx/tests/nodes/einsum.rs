//! `Einsum`, beside the plain loop over all axes at once.

use approx_onnx::OnnxModel;
use burn::prelude::*;
use burn::tensor::{Distribution, Tolerance};
use burn_approx::{AnyTensor, approx_layers};

use crate::common::{Builder, Setting};

/// The size of an axis, another one for each name.
fn size(axis: char) -> usize {
    2 + "bhijk".find(axis).expect("a name of the test's")
}

fn shape(axes: &str) -> Vec<usize> {
    axes.chars().map(size).collect()
}

fn values(axes: &str) -> Vec<f32> {
    let count: usize = shape(axes).iter().product();
    let tensor = Tensor::<1>::random([count], Distribution::Uniform(-1.0, 1.0), &Device::flex());
    tensor.into_data().iter().collect()
}

/// Every place of all axes: what stands there in each input, multiplied, is added where it belongs in the output.
fn plain(inputs: &[(&str, Vec<f32>)], output: &str) -> Vec<f32> {
    let axes = "bhijk";
    let mut sums = vec![0.0; shape(output).iter().product()];
    let all: usize = shape(axes).iter().product();
    let is_used = |axis: char| inputs.iter().any(|(own, _)| own.contains(axis));
    for place in 0..all {
        let (mut rest, mut at) = (place, Vec::new());
        for axis in axes.chars() {
            at.push(rest % size(axis));
            rest /= size(axis);
        }
        let index = |axis: char| at[axes.find(axis).expect("an axis")];
        // Axes that no input has stand for one place.
        if axes.chars().any(|axis| !is_used(axis) && index(axis) > 0) {
            continue;
        }
        let within = |own: &str| {
            own.chars()
                .fold(0, |start, axis| start * size(axis) + index(axis))
        };
        let factors = inputs.iter().map(|(own, values)| values[within(own)]);
        sums[within(output)] += factors.product::<f32>();
    }
    sums
}

#[test]
fn sums_of_products_are_those_of_a_loop() {
    for (equation, inputs, output) in [
        ("ij,jk->ik", &["ij", "jk"][..], "ik"),
        ("bij, kj -> bik", &["bij", "kj"], "bik"),
        ("kj,bij->ikb", &["kj", "bij"], "ikb"),
        ("bhij,bhkj->bhik", &["bhij", "bhkj"], "bhik"),
        ("bihj,bkhj->bhik", &["bihj", "bkhj"], "bhik"),
        ("bhij,hjk->bik", &["bhij", "hjk"], "bik"),
        ("bij,b->ij", &["bij", "b"], "ij"),
        ("i,j->ij", &["i", "j"], "ij"),
        ("ij,ij->", &["ij", "ij"], ""),
        ("ij,ij->ij", &["ij", "ij"], "ij"),
        ("bij->jb", &["bij"], "jb"),
        ("bij->", &["bij"], ""),
        ("kj,ji", &["kj", "ji"], "ik"),
        ("bi,ij,jk->bk", &["bi", "ij", "jk"], "bk"),
    ] {
        let names = ["first", "second", "third"];
        let mut file = Builder::default().output("y");
        let mut tensors = Vec::new();
        let mut given = Vec::new();
        for (&axes, name) in inputs.iter().zip(names) {
            file = file.input(name, &vec![None; axes.len()]);
            let values = values(axes);
            let data = TensorData::new(values.clone(), shape(axes));
            tensors.push(AnyTensor::from_data(data, &Device::flex()));
            given.push((axes, values));
        }
        let equation = [("equation", Setting::Text(equation))];
        let file = file.node("Einsum", &names[..inputs.len()], &["y"], &equation);
        let model = OnnxModel::from_bytes(file.bytes(17), &Device::flex()).unwrap();
        let found: Vec<AnyTensor> = model.forward(tensors).unwrap();
        let expected = TensorData::new(plain(&given, output), shape(output));
        let found = found[0].clone().into_data();
        // A number without axes has one here.
        let found = TensorData::new(found.iter().collect::<Vec<f32>>(), shape(output));
        found.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-4));
    }
}

#[test]
fn a_product_with_a_weight_is_a_layer_whichever_stands_first() {
    for (equation, inputs) in [
        ("bij,kj->bik", ["x", "fc.weight"]),
        ("kj,bij->bik", ["fc.weight", "x"]),
    ] {
        let weight = values("kj");
        let file = Builder::default()
            .input("x", &[None, Some(size('i') as i64), Some(size('j') as i64)])
            .output("y")
            .weight("fc.weight", &[size('k') as i64, size('j') as i64], &weight)
            .node(
                "Einsum",
                &inputs,
                &["y"],
                &[("equation", Setting::Text(equation))],
            );
        let model = OnnxModel::from_bytes(file.bytes(17), &Device::flex()).unwrap();
        let x = values("bij");
        let input =
            Tensor::<3>::from_data(TensorData::new(x.clone(), shape("bij")), &Device::flex());
        let captured = model
            .capture::<Tensor<3>, Tensor<3>>(input.clone())
            .unwrap();
        let layers = approx_layers(&captured);
        let paths: Vec<_> = layers
            .iter()
            .map(|layer| layer.path().to_string())
            .collect();
        assert_eq!(paths, ["fc"]);
        let expected = plain(&[("bij", x), ("kj", weight)], "bik");
        let expected = TensorData::new(expected, shape("bik"));
        captured
            .forward(input)
            .into_data()
            .assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-4));
    }
}

#[test]
fn equations_that_are_not_covered_are_refused() {
    for (equation, part) in [
        ("ii->i", "twice"),
        ("...i->i", "no names"),
        ("ij->k", "no input has"),
        ("i->i", "does not fit"),
        ("ij,jk->ik", "names 2"),
    ] {
        let file = Builder::default()
            .input("x", &[None, Some(3)])
            .output("y")
            .node(
                "Einsum",
                &["x"],
                &["y"],
                &[("equation", Setting::Text(equation))],
            );
        let model = OnnxModel::from_bytes(file.bytes(17), &Device::flex()).unwrap();
        let x = Tensor::<2>::ones([3, 3], &Device::flex());
        let error = model.forward::<_, Tensor<2>>(x).unwrap_err().to_string();
        assert!(
            error.contains(part) && error.contains("Einsum \"y\""),
            "{error}"
        );
    }
}
