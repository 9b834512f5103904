//! The small networks that the tests convert: every container, and drop-ins beside Burn's own layers.

use burn::module::{ModuleMapper, Param};
use burn::nn::PaddingConfig2d;
use burn::prelude::*;
use burn::tensor::activation::relu;
use burn_approx::nn::conv::{Conv2d, Conv2dConfig};
use burn_approx::nn::{Linear, LinearConfig};

/// Numbers in -1..1 that are the same in every run: the backend's own generator is shared by all tests of the process.
pub struct Sequence(pub u32);

impl Sequence {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn tensor<const D: usize>(
        &mut self,
        shape: [usize; D],
        bound: f32,
        device: &Device,
    ) -> Tensor<D> {
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| bound * self.next())
            .collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

/// Draws every parameter anew, weights within He's bound and biases slightly positive, so that few units are dead.
impl ModuleMapper for Sequence {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape: [usize; D] = param.lazy_shape().dims();
        let fan_in = match D {
            1 => {
                return param
                    .map(|bias| bias.full_like(0.1).set_require_grad(bias.is_require_grad()));
            }
            2 => shape[0],
            _ => shape[1..].iter().product(),
        };
        let device = param.lazy_device();
        let drawn = self.tensor(shape, (6.0 / fan_in as f32).sqrt(), &device);
        param.map(|old| drawn.set_require_grad(old.is_require_grad()))
    }
}

/// A struct inside a struct.
#[derive(Module, Debug)]
pub struct Block {
    pub conv: Conv2d,
    pub shortcut: Option<Conv2d>,
}

/// An enum with layers in its variants.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "one value of it exists")]
pub enum Head {
    Linear(Linear),
    Deep((Linear, Linear)),
}

/// Nested structs, `Vec`, `Option`, array, tuple and enum, and one layer of Burn's own.
#[derive(Module, Debug)]
pub struct Containers {
    pub stem: Conv2d,
    pub blocks: Vec<Block>,
    pub pair: [Conv2d; 2],
    pub plain: burn::nn::Linear,
    pub head: Head,
    pub absent: Option<Linear>,
}

/// The paths of the drop-ins of [`Containers`], in order.
pub const PATHS: [&str; 8] = [
    "stem",
    "blocks.0.conv",
    "blocks.0.shortcut",
    "blocks.1.conv",
    "pair.0",
    "pair.1",
    "head.Deep.0",
    "head.Deep.1",
];

fn conv(channels: [usize; 2], device: &Device) -> Conv2d {
    let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
    Conv2dConfig::new(channels, [3, 3])
        .with_padding(padding)
        .init(device)
}

impl Containers {
    pub fn new(device: &Device) -> Self {
        let block = |shortcut| Block {
            conv: conv([4, 4], device),
            shortcut,
        };
        let model = Self {
            stem: conv([2, 4], device),
            blocks: vec![
                block(Some(Conv2dConfig::new([4, 4], [1, 1]).init(device))),
                block(None),
            ],
            pair: [
                conv([4, 4], device),
                Conv2dConfig::new([4, 4], [3, 3])
                    .with_groups(4)
                    .init(device),
            ],
            plain: burn::nn::LinearConfig::new(4, 4).init(device),
            head: Head::Deep((
                LinearConfig::new(4, 6).init(device),
                LinearConfig::new(6, 3).with_bias(false).init(device),
            )),
            absent: None,
        };
        model.map(&mut Sequence(7))
    }

    /// `[batch, 2, height, width]` to `[batch, 3]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let mut x = relu(self.stem.forward(images));
        for block in &self.blocks {
            let shortcut = match &block.shortcut {
                Some(shortcut) => shortcut.forward(x.clone()),
                None => x.clone(),
            };
            x = relu(block.conv.forward(x) + shortcut);
        }
        for conv in &self.pair {
            x = relu(conv.forward(x));
        }
        let x: Tensor<2> = x.mean_dim(3).mean_dim(2).flatten(1, 3);
        let x = relu(self.plain.forward(x));
        match &self.head {
            Head::Linear(linear) => linear.forward(x),
            Head::Deep((first, second)) => second.forward(relu(first.forward(x))),
        }
    }
}

/// [`Perceptron`]'s parameters, in Burn's own layers.
#[derive(Module, Debug)]
pub struct PlainPerceptron {
    pub hidden: burn::nn::Linear,
    pub output: burn::nn::Linear,
}

/// Two linear layers.
#[derive(Module, Debug)]
pub struct Perceptron {
    pub hidden: Linear,
    pub output: Linear,
}

impl Perceptron {
    pub fn new(device: &Device) -> Self {
        let model = Self {
            hidden: LinearConfig::new(8, 16).init(device),
            output: LinearConfig::new(16, 4).init(device),
        };
        model.map(&mut Sequence(3))
    }

    /// `[batch, 8]` to `[batch, 4]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.output.forward(relu(self.hidden.forward(x)))
    }
}

impl PlainPerceptron {
    pub fn new(device: &Device) -> Self {
        let model = Self {
            hidden: burn::nn::LinearConfig::new(8, 16).init(device),
            output: burn::nn::LinearConfig::new(16, 4).init(device),
        };
        model.map(&mut Sequence(3))
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.output.forward(relu(self.hidden.forward(x)))
    }
}

/// Images for [`Containers`].
pub fn images(device: &Device) -> Tensor<4> {
    Sequence(11).tensor([3, 2, 8, 8], 1.7, device)
}

/// Rows for [`Perceptron`].
pub fn rows(device: &Device) -> Tensor<2> {
    Sequence(5).tensor([6, 8], 1.7, device)
}

/// The values of a tensor.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .into_data()
        .try_into_vec::<f32>()
        .expect("a float32 tensor")
}
