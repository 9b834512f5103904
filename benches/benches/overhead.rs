//! What a layer costs besides its arithmetic: a Linear 16 -> 16 on one row, simulated, beside Burn's own.
//!
//! Its 256 products take next to no time, so what is left is what every forward pass pays: checks, locks, quantisers,
//! plans, tensors. All layers take turns in one process, so that whatever else the machine does slows all of them down
//! alike.

use std::time::Duration;

use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Distribution, Tensor};
use burn_approx::convert::{ApproxConfig, GraphModel, calibrate, capture, convert};
use burn_approx::nn;
use burn_approx_benches::{Arguments, measure_in_turn};
use serde::Serialize;

const SIZE: usize = 16;

/// Forward passes in a sample, so that the clock hardly counts.
const PASSES: usize = 200;

type Captured = GraphModel<Linear, Tensor<2>, Tensor<2>>;

#[derive(Serialize)]
struct Line {
    layer: &'static str,
    /// The median of one forward pass.
    seconds: f64,
    /// In units of Burn's own layer.
    ratio: f64,
    /// The ratio of the fastest samples.
    fastest_ratio: f64,
}

/// A layer, and one forward pass of it.
type Work<'a> = (&'static str, Box<dyn Fn(Tensor<2>) -> Tensor<2> + 'a>);

fn main() -> std::io::Result<()> {
    let arguments = Arguments::from_command_line();
    let device = Device::flex();
    device.seed(1);
    let original = LinearConfig::new(SIZE, SIZE).init(&device);
    let input = Tensor::<2>::random([1, SIZE], Distribution::Normal(0.0, 1.0), &device);

    let config = ApproxConfig::bundled("mul8s_1L2J");
    let finished = "a linear layer can be converted, and random values are finite";
    let drop_in = nn::Linear::from(original.clone());
    let (simulated, _) = convert(drop_in.clone(), &config).expect(finished);
    calibrate(&simulated, |layer| drop(layer.forward(input.clone()))).expect(finished);

    let capture = || -> Captured {
        capture(&original, input.clone(), Linear::forward).expect("a feed-forward model")
    };
    let captured = capture();
    let (captured_simulated, _) = convert(capture(), &config).expect(finished);
    calibrate(&captured_simulated, |layer| {
        drop(layer.forward(input.clone()));
    })
    .expect(finished);

    let works: [Work; 5] = [
        ("Burn's own", Box::new(|x| original.forward(x))),
        ("drop-in, not converted", Box::new(|x| drop_in.forward(x))),
        ("drop-in, simulated", Box::new(|x| simulated.forward(x))),
        ("captured, not converted", Box::new(|x| captured.forward(x))),
        (
            "captured, simulated",
            Box::new(|x| captured_simulated.forward(x)),
        ),
    ];
    // The first one is what the others are compared with.
    let works: Vec<Work> = (works.into_iter().enumerate())
        .filter(|(index, (name, _))| *index == 0 || arguments.selects(name))
        .map(|(_, work)| work)
        .collect();
    let mut samples: Vec<Box<dyn FnMut() + '_>> = Vec::new();
    for (_, forward) in &works {
        samples.push(Box::new(|| {
            for _ in 0..PASSES {
                std::hint::black_box(forward(input.clone()));
            }
        }));
    }
    let timings = measure_in_turn(Duration::from_secs(5), &mut samples);

    println!("Linear {SIZE} -> {SIZE}, one row, mul8s_1L2J");
    println!(
        "{:28} {:>14} {:>8} {:>8}",
        "layer", "microseconds", "ratio", "fastest"
    );
    let lines: Vec<Line> = (works.iter().zip(&timings))
        .map(|(&(layer, _), timing)| Line {
            layer,
            seconds: timing.median / PASSES as f64,
            ratio: timing.median / timings[0].median,
            fastest_ratio: timing.fastest / timings[0].fastest,
        })
        .collect();
    for line in &lines {
        let microseconds = line.seconds * 1e6;
        println!(
            "{:28} {microseconds:14.3} {:8.2} {:8.2}",
            line.layer, line.ratio, line.fastest_ratio
        );
    }
    arguments.write_json(&lines)
}
