//! The models that the laws are tried on, with inputs and the paths of their layers.

use bunsen::burner::module::ModuleInit;
use bunsen::kits::gpts::nanochat::{NanoChatGpt, NanoChatGptContractConfig};
use bunsen::kits::images::resnet::{ResNet, ResNetContractConfig};
use bunsen::kits::images::swin::v2::{
    LayerConfig, SwinTransformerV2, SwinTransformerV2ContractConfig,
};
use burn::module::{ModuleMapper, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, MaxPool2d, MaxPool2dConfig};
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::prelude::*;
use burn::tensor::activation::{gelu, relu};
use burn_approx::convert::{GraphModel, GraphTensors, capture};

/// A model, how it is called and what it holds.
pub struct Subject<M, I> {
    pub build: fn(&Device) -> M,
    /// Inputs with this many rows.
    pub input: fn(usize, &Device) -> I,
    pub forward: fn(&M, I) -> Tensor<2>,
    /// The paths of its layers.
    pub layers: Vec<String>,
}

impl<M: Module, I: GraphTensors> Subject<M, I> {
    /// The model with numbers that depend on nothing but their place.
    pub fn model(&self, device: &Device) -> M {
        (self.build)(device).map(&mut Fixed::default())
    }

    pub fn capture(&self, model: &M) -> GraphModel<M, I, Tensor<2>> {
        let device = model.devices()[0].clone().without_autodiff();
        capture(model, (self.input)(3, &device), self.forward).unwrap()
    }
}

/// One test per model for a law that takes a subject.
macro_rules! tests_of {
    ($law:ident: $($model:ident)+) => {
        mod $law {
            $(
                #[test]
                fn $model() {
                    super::$law(crate::models::$model());
                }
            )+
        }
    };
}

/// Numbers in -1..1 that only a seed decides.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

pub fn tensor<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let data = TensorData::new(numbers(shape.iter().product(), seed), shape);
    Tensor::from_data(data, device)
}

/// The values of a tensor.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// Gives every parameter fixed numbers: weights by their fan-in, running statistics that are not the initial ones.
#[derive(Default)]
struct Fixed {
    path: Vec<String>,
    count: u64,
}

impl ModuleMapper for Fixed {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.count += 1;
        let dims = param.dims();
        let fan_in: usize = match D {
            2 => dims[0],
            _ => dims[1..].iter().product(),
        };
        let (centre, spread) = match self.path.last().map(String::as_str) {
            Some("gamma" | "running_var") => (1.0, 0.3),
            Some("logit_scale") => (2.0, 0.1),
            _ if D == 1 => (0.0, 0.1),
            _ => (0.0, (3.0 / fan_in as f64).sqrt()),
        };
        let seed = self.count;
        param.map(|old| {
            let autodiff = old.is_require_grad();
            let new = tensor(dims, seed, &old.device()) * spread + centre;
            new.detach().set_require_grad(autodiff)
        })
    }
}

fn paths(paths: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    paths.into_iter().map(Into::into).collect()
}

#[derive(Module, Debug)]
pub struct Perceptron {
    hidden: Vec<Linear>,
    output: Linear,
}

pub fn perceptron() -> Subject<Perceptron, Tensor<2>> {
    Subject {
        build: |device| Perceptron {
            hidden: vec![
                LinearConfig::new(12, 20).init(device),
                LinearConfig::new(20, 16).with_bias(false).init(device),
            ],
            output: LinearConfig::new(16, 5).init(device),
        },
        input: |rows, device| tensor([rows, 12], 1, device),
        forward: |model, x| {
            let x = (model.hidden.iter()).fold(x, |x, layer| relu(layer.forward(x)));
            model.output.forward(x)
        },
        layers: paths(["hidden.0", "hidden.1", "output"]),
    }
}

/// Convolutions of every kind: strided, padded evenly and unevenly, dilated, depthwise, grouped.
#[derive(Module, Debug)]
pub struct Convolutional {
    stem: Conv2d,
    norm: BatchNorm,
    depthwise: Conv2d,
    pointwise: Conv2d,
    pool: MaxPool2d,
    uneven: Conv2d,
    dilated: Conv2d,
    average: AdaptiveAvgPool2d,
    classifier: Linear,
}

pub fn convolutional() -> Subject<Convolutional, Tensor<4>> {
    Subject {
        build: |device| Convolutional {
            stem: Conv2dConfig::new([3, 8], [3, 3])
                .with_stride([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            norm: BatchNormConfig::new(8).init(device),
            depthwise: Conv2dConfig::new([8, 8], [3, 3])
                .with_groups(8)
                .with_padding(PaddingConfig2d::Same)
                .init(device),
            pointwise: Conv2dConfig::new([8, 12], [1, 1]).init(device),
            pool: MaxPool2dConfig::new([2, 2]).init(),
            uneven: Conv2dConfig::new([12, 12], [2, 3])
                .with_groups(3)
                .with_padding(PaddingConfig2d::Explicit(0, 1, 1, 2))
                .init(device),
            dilated: Conv2dConfig::new([12, 16], [2, 2])
                .with_dilation([2, 2])
                .init(device),
            average: AdaptiveAvgPool2dConfig::new([2, 2]).init(),
            classifier: LinearConfig::new(64, 5).init(device),
        },
        input: |rows, device| tensor([rows, 3, 16, 16], 2, device),
        forward: |model, x| {
            let x = relu(model.norm.forward(model.stem.forward(x)));
            let x = gelu(model.pointwise.forward(relu(model.depthwise.forward(x))));
            let x = relu(model.uneven.forward(model.pool.forward(x)));
            let x = model.average.forward(relu(model.dilated.forward(x)));
            model.classifier.forward(x.flatten(1, 3))
        },
        layers: paths([
            "stem",
            "depthwise",
            "pointwise",
            "uneven",
            "dilated",
            "classifier",
        ]),
    }
}

pub fn transformer_encoder() -> Subject<TransformerEncoder, Tensor<3>> {
    let layer = |index: usize| {
        ["mha.query", "mha.key", "mha.value", "mha.output"]
            .into_iter()
            .chain(["pwff.linear_inner", "pwff.linear_outer"])
            .map(move |name| format!("layers.{index}.{name}"))
    };
    Subject {
        build: |device| TransformerEncoderConfig::new(16, 32, 2, 2).init(device),
        input: |rows, device| tensor([rows, 6, 16], 3, device),
        forward: |model, x| {
            let encoded = model.forward(TransformerEncoderInput::new(x));
            encoded.mean_dim(1).squeeze_dim(1)
        },
        layers: paths(layer(0).chain(layer(1))),
    }
}

pub fn resnet() -> Subject<ResNet, Tensor<4>> {
    let block = |stage: usize| {
        let shortcut =
            (stage > 0).then(|| format!("layers.{stage}.blocks.0.Basic.downsample.conv"));
        shortcut.into_iter().chain(
            ["cb1.conv", "cb2.conv"].map(|name| format!("layers.{stage}.blocks.0.Basic.{name}")),
        )
    };
    Subject {
        build: |device| {
            ResNetContractConfig::new(vec![1, 1, 1, 1], 5)
                .with_stem_width(8)
                .init(device)
        },
        input: |rows, device| tensor([rows, 3, 32, 32], 4, device),
        forward: |model, x| model.forward(x),
        layers: paths(
            ["input_cb.conv".to_string()]
                .into_iter()
                .chain((0..4).flat_map(block))
                .chain(["output_fc".to_string()]),
        ),
    }
}

pub fn swin() -> Subject<SwinTransformerV2, Tensor<4>> {
    let block = |sequence: usize, block: usize| {
        ["q_linear", "k_linear", "v_linear"]
            .into_iter()
            .chain(["rpb_module.cbp.l1", "rpb_module.cbp.l2", "proj"])
            .map(|name| format!("win_attn.{name}"))
            .chain(["fc1", "fc2"].map(|name| format!("block_mlp.{name}")))
            .map(move |name| {
                format!("grid_transformer_block_sequences.{sequence}.blocks.{block}.{name}")
            })
    };
    Subject {
        build: |device| {
            let layer = |num_heads| LayerConfig {
                depth: 2,
                num_heads,
            };
            SwinTransformerV2ContractConfig::new([32, 32], 2, 3, 5, 16, vec![layer(2), layer(4)])
                .with_window_size(4)
                // Its dropping of paths follows the device, not a flag.
                .with_drop_path_rate(0.0)
                .init(device)
        },
        input: |rows, device| tensor([rows, 3, 32, 32], 5, device),
        forward: |model, x| model.forward(x),
        layers: paths(
            ["patch_embed.projection".to_string()]
                .into_iter()
                .chain(block(0, 0))
                .chain(block(0, 1))
                .chain(block(1, 0))
                .chain(block(1, 1))
                .chain(["grid_merge_layers.0.reduction", "head"].map(String::from)),
        ),
    }
}

pub fn gpt() -> Subject<NanoChatGpt, Tensor<2, Int>> {
    let block = |index: usize| {
        ["attn.c_q", "attn.c_k", "attn.c_v", "attn.c_proj"]
            .into_iter()
            .chain(["mlp.Mlp.linear1", "mlp.Mlp.linear2"])
            .map(move |name| format!("h.{index}.{name}"))
    };
    Subject {
        build: |device| {
            NanoChatGptContractConfig::new()
                .with_init_seq_len(8)
                .with_max_seq_len_factor(1)
                .with_vocab_size(24)
                .with_n_layer(2)
                .with_n_head(2)
                .with_n_kv_head(2)
                .with_n_embed(16)
                .init(device)
        },
        input: |rows, device| {
            let tokens: Vec<i64> = (numbers(rows * 8, 6).iter())
                .map(|number| ((number + 1.0) * 12.0) as i64)
                .collect();
            Tensor::from_data(TensorData::new(tokens, [rows, 8]), device)
        },
        forward: |model, x| model.forward(x, &mut None).mean_dim(1).squeeze_dim(1),
        layers: paths(block(0).chain(block(1)).chain(["lm_head".to_string()])),
    }
}
