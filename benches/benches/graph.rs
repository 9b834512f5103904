//! What capturing a model costs in speed: forward and backward passes of models as they are, and captured but not
//! converted.
//!
//! The two take turns in one process, so that whatever else the machine does slows both down alike. Normalisation is by
//! running statistics in both, as captured.

use std::time::Duration;

use bunsen::burner::module::ModuleInit;
use bunsen::kits::images::resnet::ResNetContractConfig;
use bunsen::kits::images::swin::v2::{LayerConfig, SwinTransformerV2ContractConfig};
use burn::module::Module;
use burn::nn::LinearConfig;
use burn::nn::transformer::{TransformerEncoderConfig, TransformerEncoderInput};
use burn::tensor::{Device, Distribution, Tensor};
use burn_approx::convert::{GraphModel, GraphTensors, capture};
use burn_approx_benches::{Arguments, measure_in_turn};
use serde::Serialize;

#[derive(Serialize)]
struct Line {
    work: String,
    original_seconds: f64,
    captured_seconds: f64,
    ratio: f64,
    /// The ratio of the fastest runs.
    fastest_ratio: f64,
}

/// A model and what it is fed with.
struct Work<M, I> {
    name: &'static str,
    model: fn(&Device) -> M,
    input: fn(&Device) -> I,
    forward: fn(&M, I) -> Tensor<2>,
}

impl<M: Module, I: GraphTensors> Work<M, I> {
    fn run(&self, arguments: &Arguments, lines: &mut Vec<Line>) {
        for backward in [false, true] {
            let pass = if backward {
                "forward and backward"
            } else {
                "forward"
            };
            let name = format!("{}, {pass}", self.name);
            if !arguments.selects(&name) {
                continue;
            }
            let device = match backward {
                true => Device::flex().autodiff(),
                false => Device::flex(),
            };
            device.seed(1);
            let model = (self.model)(&device).freeze().set_require_grad(true);
            let input = (self.input)(&device);
            let captured: GraphModel<M, I, Tensor<2>> =
                capture(&model, input.clone(), self.forward).expect("a feed-forward model");
            let finish = |output: Tensor<2>| match backward {
                true => drop(output.square().mean().backward()),
                false => drop(output.into_data()),
            };
            let timings = measure_in_turn(
                Duration::from_secs(6),
                &mut [
                    Box::new(|| finish((self.forward)(&model, input.clone()))),
                    Box::new(|| finish(captured.forward(input.clone()))),
                ],
            );
            let [original, captured] = [timings[0], timings[1]];
            let line = Line {
                work: name,
                original_seconds: original.median,
                captured_seconds: captured.median,
                ratio: captured.median / original.median,
                fastest_ratio: captured.fastest / original.fastest,
            };
            println!(
                "{:56} {:10.6} {:10.6} {:8.3} {:8.3}",
                line.work,
                line.original_seconds,
                line.captured_seconds,
                line.ratio,
                line.fastest_ratio
            );
            lines.push(line);
        }
    }
}

fn images(batch: usize, size: usize, device: &Device) -> Tensor<4> {
    Tensor::random(
        [batch, 3, size, size],
        Distribution::Normal(0.0, 1.0),
        device,
    )
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::from_command_line();
    let mut lines = Vec::new();
    println!(
        "{:56} {:>10} {:>10} {:>8} {:>8}",
        "work", "original", "captured", "ratio", "fastest"
    );
    Work {
        name: "perceptron 64-64-64-10, batch 8",
        model: |device| {
            let layer = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
            vec![layer(64, 64), layer(64, 64), layer(64, 10)]
        },
        input: |device| Tensor::random([8, 64], Distribution::Normal(0.0, 1.0), device),
        forward: |model, x| {
            let relu = burn::tensor::activation::relu;
            (model.iter()).fold(x, |x, layer| relu(layer.forward(x)))
        },
    }
    .run(&arguments, &mut lines);
    Work {
        name: "transformer encoder, 4 layers of 128, batch 8, 32 tokens",
        model: |device| TransformerEncoderConfig::new(128, 256, 4, 4).init(device),
        input: |device| Tensor::random([8, 32, 128], Distribution::Normal(0.0, 1.0), device),
        forward: |model, x| {
            let encoded = model.forward(TransformerEncoderInput::new(x));
            encoded.mean_dim(1).squeeze_dim(1)
        },
    }
    .run(&arguments, &mut lines);
    Work {
        name: "ResNet-18, batch 4, 64x64",
        model: |device| ResNetContractConfig::resnet18(10).init(device),
        input: |device| images(4, 64, device),
        forward: |model, x| model.forward(x),
    }
    .run(&arguments, &mut lines);
    Work {
        name: "Swin V2, 2 stages of 48, batch 4, 64x64",
        model: |device| {
            let layer = |num_heads| LayerConfig {
                depth: 2,
                num_heads,
            };
            SwinTransformerV2ContractConfig::new([64, 64], 4, 3, 10, 48, vec![layer(3), layer(6)])
                .with_window_size(4)
                .with_drop_path_rate(0.0)
                .init(device)
        },
        input: |device| images(4, 64, device),
        forward: |model, x| model.forward(x),
    }
    .run(&arguments, &mut lines);
    arguments.write_json(&lines)
}
