//! What measuring costs when every layer of a network gets every multiplier in turn: as branches of one pass, which
//! compute once what comes before the changed layer, and as passes of their own.
//!
//! A ResNet-20 for images of 32x32, its normalisations folded, on three multipliers of rank 1, 3 and 5. The two take
//! turns in one process.

use std::time::Duration;

use approx_experiment::exploration::{AssignableNetwork, each_by_itself};
use burn::tensor::{Device, Distribution, Tensor};
use burn_approx::multipliers::evoapprox::multiplier;
use burn_approx::{ApproxConfig, CaptureOptions, GraphModel, approx_layers, calibrate, convert};
use burn_approx_benches::plain::ResNet20;
use burn_approx_benches::{Arguments, measure_in_turn};
use serde::Serialize;

const MULTIPLIERS: [&str; 4] = ["mul8s_1KV6", "mul8s_1L2J", "mul8s_1KV8", "mul8s_1KVA"];
const BATCH: usize = 64;

type Captured = GraphModel<ResNet20, Tensor<4>, Tensor<2>>;

#[derive(Serialize)]
struct Line {
    assignments: usize,
    images: usize,
    whole_passes_seconds: f64,
    branches_seconds: f64,
    /// How many times as fast branches are.
    ratio: f64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::from_command_line();
    let device = Device::flex();
    device.seed(1);
    let images = Tensor::<4>::random([BATCH, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
    let model = ResNet20::new(10, &device);
    let options = CaptureOptions::default().with_fold_batch_norm(true);
    let exact: Captured = options.capture(&model, images.clone(), ResNet20::forward)?;
    let (exact, _) = convert(exact, &ApproxConfig::bundled(MULTIPLIERS[0]))?;
    calibrate(&exact, |exact| drop(exact.forward(images.clone())))?;
    let copies = MULTIPLIERS.map(|name| -> Result<Captured, Box<dyn std::error::Error>> {
        let copy = exact.clone();
        for layer in &approx_layers(&copy) {
            layer.set_multiplier(multiplier(name)?)?;
        }
        Ok(copy)
    });
    let copies: Vec<Captured> = copies.into_iter().collect::<Result<_, _>>()?;
    let copies: Vec<&Captured> = copies.iter().collect();

    let mut layers = Vec::new();
    let mut pass = exact.begin(images.clone())?;
    while !pass.next_layers().is_empty() {
        layers.extend(pass.next_layers());
        pass.run_layers()?;
    }
    let single_changes =
        (0..layers.len()).flat_map(|layer| (1..MULTIPLIERS.len()).map(move |copy| (layer, copy)));
    let assignments: Vec<Vec<usize>> = single_changes
        .map(|(layer, copy)| {
            let mut assignment = vec![0; layers.len()];
            assignment[layer] = copy;
            assignment
        })
        .collect();
    let assignments: Vec<&[usize]> = assignments.iter().map(Vec::as_slice).collect();

    let finish = |logits: Vec<Tensor<2>>| {
        logits
            .into_iter()
            .for_each(|logits| drop(logits.into_data()))
    };
    let timings = measure_in_turn(
        Duration::from_secs(20),
        &mut [
            Box::new(|| {
                finish(
                    each_by_itself(&copies, &layers, &assignments, &images).expect("calibrated"),
                );
            }),
            Box::new(|| {
                finish(
                    Captured::logits_under(&copies, &layers, &assignments, &images)
                        .expect("calibrated"),
                );
            }),
        ],
    );
    let line = Line {
        assignments: assignments.len(),
        images: BATCH,
        whole_passes_seconds: timings[0].median,
        branches_seconds: timings[1].median,
        ratio: timings[0].median / timings[1].median,
    };
    println!(
        "{} assignments on {} images: whole passes {:.3} s, branches of one {:.3} s, {:.2} times as fast",
        line.assignments, line.images, line.whole_passes_seconds, line.branches_seconds, line.ratio
    );
    arguments.write_json(&line)?;
    Ok(())
}
