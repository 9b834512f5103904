//! Transposed convolutions beside ordinary ones with the same number of outputs and products, as converted layers: what
//! phases cost.
//!
//! `cargo bench --workspace --bench transposed -- --json transposed.json`

use std::time::Duration;

use approx_cpu::{Conv2dShape, ConvTranspose2dShape, Padding2d};
use burn::tensor::Device;
use burn_approx::ApproxConfig;
use burn_approx::plan::{Geometry, PlanChoice};
use burn_approx_benches::layer::Layer;
use burn_approx_benches::{Arguments, measure_in_turn};
use serde::Serialize;

/// How much longer than the ordinary convolution a transposed one may take.
const GOAL: f64 = 1.3;
const BUDGET: Duration = Duration::from_secs(8);

/// A transposed convolution of stride 2, whose phases have kernels of 2 x 2.
struct Work {
    name: &'static str,
    batch: usize,
    channels: [usize; 2],
    groups: usize,
    side: usize,
}

const WORKS: [Work; 4] = [
    Work {
        name: "64 -> 64, 8x16x16",
        batch: 8,
        channels: [64, 64],
        groups: 1,
        side: 16,
    },
    Work {
        name: "128 -> 64, 1x28x28",
        batch: 1,
        channels: [128, 64],
        groups: 1,
        side: 28,
    },
    Work {
        name: "256 -> 128, 4x8x8",
        batch: 4,
        channels: [256, 128],
        groups: 1,
        side: 8,
    },
    Work {
        name: "depthwise 64, 8x32x32",
        batch: 8,
        channels: [64, 64],
        groups: 64,
        side: 32,
    },
];

const MULTIPLIERS: [(&str, PlanChoice); 3] = [
    ("mul8s_1L2J", PlanChoice::Factored),
    ("mul8s_1KVA", PlanChoice::Factored),
    ("mul8s_1L2J", PlanChoice::Gather),
];

#[derive(Serialize)]
struct Line {
    work: &'static str,
    multiplier: String,
    transposed_seconds: f64,
    ordinary_seconds: f64,
    ratio: f64,
    goal: f64,
}

impl Work {
    fn transposed(&self) -> Geometry {
        Geometry::ConvTranspose2d(ConvTranspose2dShape {
            batch: self.batch,
            in_channels: self.channels[0],
            out_channels: self.channels[1],
            groups: self.groups,
            input: [self.side; 2],
            kernel: [4; 2],
            stride: [2; 2],
            dilation: [1; 2],
            padding: [1; 2],
            output_padding: [0; 2],
        })
    }

    /// The convolution of stride 1 with a phase's kernel that gives as many outputs.
    fn ordinary(&self) -> Geometry {
        Geometry::Conv2d(Conv2dShape {
            batch: self.batch,
            in_channels: self.channels[0],
            out_channels: self.channels[1],
            groups: self.groups,
            input: [2 * self.side; 2],
            kernel: [2; 2],
            stride: [1; 2],
            dilation: [1; 2],
            padding: Padding2d {
                bottom: 1,
                right: 1,
                ..Padding2d::default()
            },
        })
    }
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::from_command_line();
    let mut lines = Vec::new();
    println!(
        "{:24} {:28} {:>11} {:>9} {:>6}   threads: {}",
        "transposed, stride 2",
        "multiplier",
        "transposed",
        "ordinary",
        "ratio",
        rayon::current_num_threads()
    );
    for work in WORKS.iter().filter(|work| arguments.selects(work.name)) {
        for (name, plan) in MULTIPLIERS {
            let config = ApproxConfig::bundled(name).with_plan(plan);
            let [transposed, ordinary] = [work.transposed(), work.ordinary()]
                .map(|geometry| Layer::converted(&geometry, &config, &Device::flex()));
            let timings = measure_in_turn(
                BUDGET / 4,
                &mut [
                    Box::new(|| drop(transposed.run())),
                    Box::new(|| drop(ordinary.run())),
                ],
            );
            let [transposed, ordinary] = [timings[0].median, timings[1].median];
            let line = Line {
                work: work.name,
                multiplier: format!("{name}, {plan}"),
                transposed_seconds: transposed,
                ordinary_seconds: ordinary,
                ratio: transposed / ordinary,
                goal: GOAL,
            };
            println!(
                "{:24} {:28} {:>9.3}ms {:>7.3}ms {:>6.2}   {}",
                line.work,
                line.multiplier,
                1e3 * transposed,
                1e3 * ordinary,
                line.ratio,
                if line.ratio <= GOAL {
                    ""
                } else {
                    "above the goal of 1.3"
                }
            );
            lines.push(line);
        }
    }
    arguments.write_json(&lines)
}
