//! One network, of drop-in layers and captured from Burn's, has the same numbers, settings and files.

use burn::nn::{PaddingConfig1d, PaddingConfig2d, PaddingConfig3d};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::relu;
use burn_approx::convert::{
    ApproxConfig, GraphModel, LayerRule, approx_layers, calibrate, capture, convert,
};
use burn_approx::{Mode, configuration, load, save};

use crate::models::{tensor, values};

/// One network, with layers from either library.
macro_rules! network {
    ($name:ident, $($library:ident)::+) => {
        mod $name {
            use super::*;
            use $($library)::+::conv::{
                Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, Conv3d, Conv3dConfig, ConvTranspose1d,
                ConvTranspose1dConfig, ConvTranspose2d, ConvTranspose2dConfig,
            };
            use $($library)::+::{Linear, LinearConfig};

            #[derive(Module, Debug)]
            pub struct Network {
                stem: Conv2d,
                depthwise: Conv2d,
                volume: Conv3d,
                larger: ConvTranspose2d,
                sequence: Conv1d,
                longer: ConvTranspose1d,
                tokens: Vec<Linear>,
                head: Linear,
            }

            impl Network {
                pub fn new(device: &Device) -> Self {
                    let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
                    Self {
                        stem: Conv2dConfig::new([3, 8], [3, 3])
                            .with_stride([2, 2])
                            .with_padding(PaddingConfig2d::Explicit(1, 0, 1, 1))
                            .init(device),
                        depthwise: Conv2dConfig::new([8, 8], [3, 3])
                            .with_groups(8)
                            .with_padding(PaddingConfig2d::Same)
                            .with_bias(false)
                            .init(device),
                        volume: Conv3dConfig::new([2, 4], [2, 3, 3])
                            .with_groups(2)
                            .with_dilation([2, 1, 1])
                            .with_padding(PaddingConfig3d::Explicit(0, 1, 1))
                            .init(device),
                        larger: ConvTranspose2dConfig::new([4, 4], [4, 3])
                            .with_stride([2, 1])
                            .with_padding([1, 1])
                            .with_groups(2)
                            .init(device),
                        sequence: Conv1dConfig::new(8, 8, 5)
                            .with_stride(2)
                            .with_padding(PaddingConfig1d::Explicit(1, 2))
                            .init(device),
                        longer: ConvTranspose1dConfig::new([8, 8], 3)
                            .with_stride(2)
                            .with_padding_out(1)
                            .init(device),
                        tokens: vec![linear(8, 16), linear(16, 8)],
                        head: linear(8, 5),
                    }
                }

                pub fn forward(&self, x: Tensor<4>) -> Tensor<2> {
                    let x = self.depthwise.forward(relu(self.stem.forward(x)));
                    let [batch, _, height, width] = x.dims();
                    // Eight channels are two of volumes that are four slices deep.
                    let x = relu(x).reshape([batch, 2, 4, height, width]);
                    let x = relu(self.volume.forward(x)).reshape([batch, 4, 2 * height, width]);
                    let x = relu(self.larger.forward(x)).reshape([batch, 8, 2 * height * width]);
                    let x = relu(self.longer.forward(relu(self.sequence.forward(x))));
                    let x = x.swap_dims(1, 2);
                    let x = (self.tokens.iter()).fold(x, |x, layer| relu(layer.forward(x)));
                    self.head.forward(x.mean_dim(1).squeeze_dim(1))
                }
            }
        }
    };
}

network!(plain, burn::nn);
network!(ours, burn_approx::nn);

fn images(rows: usize) -> Tensor<4> {
    tensor([rows, 3, 12, 12], 8, &crate::device())
}

type Captured = GraphModel<plain::Network, Tensor<4>, Tensor<2>>;

/// Both, with the same weights, unconverted.
fn both() -> (ours::Network, Captured) {
    let device = crate::device();
    let plain = plain::Network::new(&device);
    let ours = ours::Network::new(&device).load_record(plain.clone().into_record());
    let captured = capture(&plain, images(2), plain::Network::forward).unwrap();
    (ours, captured)
}

#[test]
fn numbers_and_settings_are_the_same() {
    let (ours, captured) = both();
    let config = ApproxConfig::bundled("mul8s_1KVA")
        .with_rule(LayerRule::path("tokens.*").with_mode(Mode::Quantized))
        .with_exclude_first(true);
    let (ours, ours_report) = convert(ours, &config).unwrap();
    let (captured, captured_report) = convert(captured, &config).unwrap();
    assert_eq!(captured_report, ours_report);
    calibrate(&ours, |model| drop(model.forward(images(16)))).unwrap();
    calibrate(&captured, |model| drop(model.forward(images(16)))).unwrap();
    for mode in [Mode::Approximate, Mode::Quantized, Mode::Baseline] {
        approx_layers(&ours).set_mode(mode).unwrap();
        approx_layers(&captured).set_mode(mode).unwrap();
        assert_eq!(
            values(captured.forward(images(5))),
            values(ours.forward(images(5))),
            "{mode}"
        );
    }
    let (ours_layers, captured_layers) = (approx_layers(&ours), approx_layers(&captured));
    for (ours, captured) in ours_layers.iter().zip(&captured_layers) {
        assert_eq!(captured.path(), ours.path());
        assert_eq!(captured.shape(), ours.shape());
        assert_eq!(captured.multiplications(), ours.multiplications());
        let plan = |layer: &burn_approx::convert::ApproxLayer| format!("{:?}", layer.plan());
        assert_eq!(plan(captured), plan(ours));
    }
    assert_eq!(
        configuration(&captured).unwrap(),
        configuration(&ours).unwrap()
    );
}

#[test]
fn a_model_saved_by_one_loads_into_the_other() {
    let (ours, captured) = both();
    let config = ApproxConfig::bundled("mul8s_1L2J");
    let (ours, _) = convert(ours, &config).unwrap();
    calibrate(&ours, |model| drop(model.forward(images(16)))).unwrap();
    let expected = values(ours.forward(images(5)));
    let directory = tempfile::tempdir().unwrap();
    save(&ours, directory.path()).unwrap();
    let captured = load(captured, directory.path()).unwrap();
    assert_eq!(values(captured.forward(images(5))), expected);
    save(&captured, directory.path()).unwrap();
    let ours = load(ours::Network::new(&crate::device()), directory.path()).unwrap();
    assert_eq!(values(ours.forward(images(5))), expected);
}

/// A layer's gradient is that of its setting in both, in the operands of every kind of layer.
#[test]
fn training_by_any_gradient_is_the_same() {
    let device = crate::device().autodiff();
    let inputs = |rows| tensor([rows, 3, 12, 12], 8, &device);
    let plain = plain::Network::new(&device);
    let ours = ours::Network::new(&device).load_record(plain.clone().into_record());
    let captured = capture(
        &plain,
        images(2).to_device(&device),
        plain::Network::forward,
    )
    .unwrap();
    // In what a step changes of the outputs, and what reaches the inputs.
    macro_rules! step {
        ($model:expr, $config:expr) => {{
            let (model, _) = convert($model.clone(), $config).unwrap();
            calibrate(&model, |model| drop(model.forward(inputs(5)))).unwrap();
            let input: Tensor<4> = inputs(5).require_grad();
            let gradients = model.forward(input.clone()).square().sum().backward();
            let by_input = values(input.grad(&gradients).unwrap());
            let gradients = GradientsParams::from_grads(gradients, &model);
            let mut optimizer = SgdConfig::new().init();
            let model = optimizer.step(0.01, model, gradients);
            (by_input, values(model.forward(inputs(5))))
        }};
    }
    let mut found = Vec::new();
    for rule in ["straight_through", "difference", "linear_regression"] {
        let config = ApproxConfig::bundled("mul8s_1L2N").with_gradient(rule.parse().unwrap());
        let by_drop_in = step!(ours, &config);
        let by_captured = step!(captured, &config);
        assert_eq!(by_captured, by_drop_in, "{rule}");
        assert!(by_drop_in.0.iter().any(|value| *value != 0.0), "{rule}");
        found.push(by_drop_in);
    }
    assert!(found[0] != found[1] && found[1] != found[2]);
}
