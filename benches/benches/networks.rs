//! Whole networks: a training step of MobileNetV2 and forward passes at 224 x 224, in float, quantised and approximate
//! by several plans, with observers off and on.
//!
//! All cases of a network run in one process, one after the other, and every time is also given relative to the float
//! one.

use std::time::Duration;

use approx_models::{MobileNetV2, MobileNetV2Config, ResNetConfig};
use burn::module::Module;
use burn::optim::SgdConfig;
use burn::tensor::{Device, Distribution, Tensor};
use burn_approx::convert::approx_layers;
use burn_approx::quantization::Observer;
use burn_approx_benches::network::{Case, training_step};
use burn_approx_benches::{Arguments, measure};
use serde::Serialize;

const FIVE_FACTORS: Case = Case::PLANNED.with_multiplier("1KVA (5 factors), planned", "mul8s_1KVA");

const FORWARD: [Case; 6] = [
    Case::FLOAT,
    Case::QUANTIZED,
    Case::PLANNED,
    FIVE_FACTORS,
    Case::TABLE_LOOKUP,
    Case::HTP_MODEL,
];

const TRAINING: [Case; 8] = [
    Case::FLOAT,
    Case::QUANTIZED,
    Case::PLANNED,
    Case::PLANNED.with_observer("the same, min-max observers on", Observer::MinMax),
    Case::PLANNED.with_observer("the same, histogram observers on", Observer::LeastSquares),
    FIVE_FACTORS,
    Case::TABLE_LOOKUP,
    Case::HTP_MODEL,
];

#[derive(Serialize)]
struct Line {
    work: &'static str,
    case: &'static str,
    threads: usize,
    seconds: f64,
    fastest_seconds: f64,
    relative_to_float: f64,
}

fn report(
    lines: &mut Vec<Line>,
    work: &'static str,
    case: &'static str,
    time: burn_approx_benches::Timing,
) {
    let float = lines
        .iter()
        .find(|line| line.work == work)
        .map_or(time.median, |line| line.seconds);
    let line = Line {
        work,
        case,
        threads: rayon::current_num_threads(),
        seconds: time.median,
        fastest_seconds: time.fastest,
        relative_to_float: time.median / float,
    };
    println!(
        "{:44} {:32} {:9.4} {:9.4} {:8.2}",
        line.work, line.case, line.seconds, line.fastest_seconds, line.relative_to_float
    );
    lines.push(line);
}

fn forward_passes<M: Module>(
    lines: &mut Vec<Line>,
    arguments: &Arguments,
    work: &'static str,
    model: M,
    forward: impl Fn(&M, Tensor<4>) -> Tensor<2>,
) {
    let device = model.devices()[0].clone();
    let images = Tensor::random([1, 3, 224, 224], Distribution::Normal(0.0, 1.0), &device);
    for case in FORWARD.iter().filter(|_| arguments.selects(work)) {
        let model = case.prepare(&model, |model| drop(forward(model, images.clone())));
        let time = measure(Duration::from_secs(2), || {
            forward(&model, images.clone()).into_data()
        });
        report(lines, work, case.name(), time);
    }
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::from_command_line();
    let mut lines = Vec::new();
    println!(
        "{:44} {:32} {:>9} {:>9} {:>8}",
        "work", "case", "seconds", "fastest", "/ float"
    );

    let work = "MobileNetV2 32x32 batch 16 training step";
    if arguments.selects(work) {
        let device = Device::flex().autodiff();
        device.seed(1);
        let model = MobileNetV2Config::new(10).init(&device);
        let images = Tensor::<4>::random([16, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
        for case in &TRAINING {
            let mut model = case.prepare(&model, |model| drop(model.forward(images.clone())));
            let mut optimizer = SgdConfig::new().init();
            let time = measure(Duration::from_secs(4), || {
                let forward = |model: &_| MobileNetV2::forward(model, images.clone());
                model = training_step(model.clone(), &mut optimizer, forward).0;
            });
            report(&mut lines, work, case.name(), time);
            assert!(
                approx_layers(&model)
                    .iter()
                    .all(|layer| layer.is_calibrated())
            );
        }
    }
    let device = Device::flex();
    let model = MobileNetV2Config::new(1000).init(&device);
    forward_passes(
        &mut lines,
        &arguments,
        "MobileNetV2 224x224 forward",
        model,
        |model, x| model.forward(x),
    );
    let model = ResNetConfig::resnet18(1000).init(&device);
    forward_passes(
        &mut lines,
        &arguments,
        "ResNet-18 224x224 forward",
        model,
        |model, x| model.forward(x),
    );
    arguments.write_json(&lines)
}
