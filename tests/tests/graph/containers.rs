//! Layers in every container Burn knows, weights that are bare parameters, transposed, tied, shared or used twice.

use burn::module::Param;
use burn::nn::conv::{Conv1d, Conv1dConfig, Conv2d, Conv2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, LinearLayout};
use burn::prelude::*;
use burn::tensor::activation::relu;
use burn_approx::convert::{ApproxConfig, approx_layers, calibrate, capture, convert};

use crate::models::{tensor, values};

#[derive(Module, Debug)]
struct Inner {
    layer: Linear,
}

#[derive(Module, Debug)]
enum Choice {
    Wide(Linear),
    #[allow(dead_code, reason = "the variant not taken")]
    Narrow(Inner),
}

#[derive(Module, Debug)]
struct Everything {
    list: Vec<Inner>,
    array: [Linear; 2],
    pair: (Linear, Inner),
    some: Option<Linear>,
    none: Option<Linear>,
    choice: Choice,
    unused: Linear,
}

impl Everything {
    fn new(device: &Device) -> Self {
        let linear = || LinearConfig::new(6, 6).init(device);
        let inner = || Inner { layer: linear() };
        Self {
            list: vec![inner(), inner()],
            array: [linear(), linear()],
            pair: (linear(), inner()),
            some: Some(linear()),
            none: None,
            choice: Choice::Wide(linear()),
            unused: linear(),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let mut x = x;
        for inner in &self.list {
            x = relu(inner.layer.forward(x));
        }
        for layer in &self.array {
            x = layer.forward(x);
        }
        x = relu(self.pair.1.layer.forward(self.pair.0.forward(x)));
        for layer in [&self.some, &self.none].into_iter().flatten() {
            x = layer.forward(x);
        }
        match &self.choice {
            Choice::Wide(layer) => layer.forward(x),
            Choice::Narrow(inner) => inner.layer.forward(x),
        }
    }
}

fn paths<M: Module>(model: &M) -> Vec<String> {
    let layers = approx_layers(model);
    layers
        .iter()
        .map(|layer| layer.path().to_string())
        .collect()
}

#[test]
fn every_container_is_searched() {
    let device = crate::device();
    let model = Everything::new(&device);
    let x = tensor([3, 6], 1, &device);
    let captured = capture(&model, x.clone(), Everything::forward).unwrap();
    assert_eq!(
        values(captured.forward(x.clone())),
        values(model.forward(x))
    );
    let (_, report) = convert(captured, &ApproxConfig::bundled("mul8s_1L2J")).unwrap();
    let expected = [
        "list.0.layer",
        "list.1.layer",
        "array.0",
        "array.1",
        "pair.0",
        "pair.1.layer",
        "some",
        "choice.Wide",
    ];
    assert_eq!(report.converted, expected);
    assert_eq!(report.plain, ["unused"]);
}

#[test]
fn a_layer_that_is_the_model_has_no_path() {
    let device = crate::device();
    let model = LinearConfig::new(4, 3).init(&device);
    let x = tensor([3, 4], 1, &device);
    let captured = capture(&model, x.clone(), Linear::forward).unwrap();
    assert_eq!(paths(&captured), [""]);
    let (captured, _) = convert(captured, &ApproxConfig::bundled("mul8s_1L2J")).unwrap();
    calibrate(&captured, |captured| drop(captured.forward(x.clone()))).unwrap();
    assert_ne!(
        values(captured.forward(x.clone())),
        values(model.forward(x))
    );
}

#[derive(Module, Debug)]
struct Bare {
    embedding: Embedding,
    projection: Param<Tensor<2>>,
    kernel: Param<Tensor<4>>,
    shift: Param<Tensor<1>>,
}

impl Bare {
    fn new(device: &Device) -> Self {
        let parameter = |shape, seed| Param::from_tensor(tensor(shape, seed, device));
        Self {
            embedding: EmbeddingConfig::new(7, 4).init(device),
            projection: parameter([4, 4], 2),
            kernel: Param::from_tensor(tensor([2, 1, 3, 3], 3, device)),
            shift: Param::from_tensor(tensor([4], 4, device)),
        }
    }

    /// The head's weights are the embedding's, transposed; the projection is used as it is, with a shift, and
    /// transposed.
    fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let x = self.embedding.forward(tokens);
        let projection = self.projection.val().unsqueeze::<3>();
        let x = relu(x.matmul(projection.clone()) + self.shift.val().unsqueeze());
        let x = x.matmul(projection.swap_dims(1, 2));
        let [batch, length, size] = x.dims();
        let images = x.reshape([batch, 1, length, size]);
        let options = burn::tensor::ops::ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let maps = burn::tensor::module::conv2d(images, self.kernel.val(), None, options);
        let x = maps.sum_dim(1).reshape([batch, length, size]);
        x.matmul(self.embedding.weight.val().transpose().unsqueeze())
    }
}

#[test]
fn bare_parameters_are_layers_of_their_own_name() {
    let device = crate::device();
    let model = Bare::new(&device);
    let tokens = Tensor::<2, Int>::from_ints([[0, 3, 6], [1, 1, 2]], &device);
    let captured = capture(&model, tokens.clone(), Bare::forward).unwrap();
    assert_eq!(
        values(captured.forward(tokens.clone())),
        values(model.forward(tokens.clone()))
    );
    let expected = ["embedding", "projection", "projection.2", "kernel"];
    assert_eq!(paths(&captured), expected);
    let (captured, _) = convert(captured, &ApproxConfig::bundled("mul8s_1L2J")).unwrap();
    calibrate(&captured, |captured| drop(captured.forward(tokens.clone()))).unwrap();
    let layers = approx_layers(&captured);
    assert!(layers.iter().all(|layer| layer.is_calibrated()));
    assert_ne!(
        values(captured.forward(tokens.clone())),
        values(model.forward(tokens))
    );
    // The record holds the original's parameters under their own names, and loads into it.
    let record = burn_approx::plain_record(&captured);
    let reloaded = Bare::new(&device).load_record(record);
    assert_eq!(
        values(reloaded.projection.val()),
        values(model.projection.val())
    );
}

#[derive(Module, Debug)]
struct Tied {
    first: Linear,
    second: Linear,
}

#[test]
fn tied_and_reused_weights_are_listed_as_the_model_holds_them() {
    let device = crate::device();
    let layer = LinearConfig::new(4, 4).init(&device);
    let model = Tied {
        first: layer.clone(),
        second: layer,
    };
    let x = tensor([3, 4], 1, &device);
    let twice = |model: &Tied, x: Tensor<2>| {
        let x = relu(model.first.forward(x));
        relu(model.second.forward(model.first.forward(x)))
    };
    let captured = capture(&model, x.clone(), twice).unwrap();
    assert_eq!(paths(&captured), ["first", "second"]);
    assert_eq!(
        values(captured.forward(x.clone())),
        values(twice(&model, x))
    );
    let ids = burn::module::list_param_ids(&captured);
    assert_eq!(ids, burn::module::list_param_ids(&model));
}

#[derive(Module, Debug)]
struct Column {
    layer: Linear,
    sequence: Conv1d,
    image: Conv2d,
}

#[test]
fn weights_stored_transposed_stay_so() {
    let device = crate::device();
    let model = Column {
        layer: LinearConfig::new(6, 4)
            .with_layout(LinearLayout::Col)
            .init(&device),
        sequence: Conv1dConfig::new(2, 2, 3).init(&device),
        image: Conv2dConfig::new([1, 2], [2, 2]).init(&device),
    };
    let x = tensor([3, 2, 6], 1, &device);
    let forward = |model: &Column, x: Tensor<3>| {
        let x = model.sequence.forward(model.layer.forward(x));
        let [batch, channels, length] = x.dims();
        let image = x.reshape([batch, 1, channels, length]);
        model.image.forward(image).flatten::<2>(1, 3)
    };
    let captured = capture(&model, x.clone(), forward).unwrap();
    assert_eq!(
        values(captured.forward(x.clone())),
        values(forward(&model, x))
    );
    assert_eq!(paths(&captured), ["layer", "sequence", "image"]);
    let weight = |record: burn::store::ModuleRecord| format!("{record:?}");
    assert_eq!(weight(captured.into_record()), weight(model.into_record()));
}
