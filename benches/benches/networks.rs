//! Whole networks: a training step of MobileNetV2 and forward passes at 224 x 224, in float, quantised and approximate by several plans, with
//! observers off and on.
//!
//! All cases of a network run in one process, one after the other, and every time is also given relative to the float one.

use std::time::Duration;

use approx_models::{MobileNetV2Config, ResNetConfig};
use approx_multiplier::evoapprox;
use burn::module::Module;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Distribution, Tensor};
use burn_approx::Mode;
use burn_approx::convert::{ApproxConfig, approx_layers, calibrate, convert};
use burn_approx::plan::PlanChoice;
use burn_approx::quantization::{Observation, Observer, QuantizationScheme};
use burn_approx_benches::{Arguments, measure};
use serde::Serialize;

/// What a case changes of a converted network.
struct Case {
    name: &'static str,
    mode: Mode,
    multiplier: &'static str,
    /// `Htp` stands for the multiplier's published model.
    plan: PlanChoice,
    /// The activation observer, if it is on.
    observer: Option<Observer>,
}

const fn case(
    name: &'static str,
    mode: Mode,
    plan: PlanChoice,
    observer: Option<Observer>,
) -> Case {
    Case {
        name,
        mode,
        multiplier: "mul8s_1L2J",
        plan,
        observer,
    }
}

const AUTO: PlanChoice = PlanChoice::Auto;

const FORWARD: [Case; 6] = [
    case("float", Mode::Baseline, AUTO, None),
    case("quantised", Mode::Quantized, AUTO, None),
    case("1L2J, planned", Mode::Approximate, AUTO, None),
    Case {
        multiplier: "mul8s_1KVA",
        ..case("1KVA (5 factors), planned", Mode::Approximate, AUTO, None)
    },
    case(
        "1L2J, table lookup",
        Mode::Approximate,
        PlanChoice::Gather,
        None,
    ),
    case("1L2J, HTP model", Mode::Approximate, PlanChoice::Htp, None),
];

const TRAINING: [Case; 8] = [
    case("float", Mode::Baseline, AUTO, None),
    case("quantised", Mode::Quantized, AUTO, None),
    case("1L2J, planned", Mode::Approximate, AUTO, None),
    case(
        "the same, min-max observers on",
        Mode::Approximate,
        AUTO,
        Some(Observer::MinMax),
    ),
    case(
        "the same, histogram observers on",
        Mode::Approximate,
        AUTO,
        Some(Observer::LeastSquares),
    ),
    Case {
        multiplier: "mul8s_1KVA",
        ..case("1KVA (5 factors), planned", Mode::Approximate, AUTO, None)
    },
    case(
        "1L2J, table lookup",
        Mode::Approximate,
        PlanChoice::Gather,
        None,
    ),
    case("1L2J, HTP model", Mode::Approximate, PlanChoice::Htp, None),
];

/// The network with the settings of a case, calibrated.
fn prepared<M: Module>(model: &M, case: &Case, forward: impl Fn(&M)) -> M {
    let multiplier = evoapprox::multiplier(case.multiplier).expect("a bundled multiplier");
    let mut scheme = QuantizationScheme::for_multiplier(&multiplier);
    scheme.activation.observer = case.observer.unwrap_or(Observer::MinMax);
    if case.observer.is_some() {
        scheme.activation.observation = Observation::WhileTraining;
    }
    let mut config = ApproxConfig::bundled(case.multiplier)
        .with_quantization(scheme)
        .with_mode(case.mode)
        .with_plan(case.plan);
    if case.plan == PlanChoice::Htp {
        let model = format!("htp:{}", case.multiplier);
        config.htp_model = Some(model.parse().expect("a bundled model"));
    }
    let (model, _) = convert(model.clone(), &config).expect("drop-in layers");
    calibrate(&model, forward).expect("finite activations");
    model
}

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
        let model = prepared(&model, case, |model| drop(forward(model, images.clone())));
        let time = measure(Duration::from_secs(2), || {
            forward(&model, images.clone()).into_data()
        });
        report(lines, work, case.name, time);
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
        let device = Device::default().autodiff();
        device.seed(1);
        let model = MobileNetV2Config::new(10).init(&device);
        let images = Tensor::<4>::random([16, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
        for case in &TRAINING {
            let mut model = prepared(&model, case, |model| drop(model.forward(images.clone())));
            let mut optimizer = SgdConfig::new().init();
            let time = measure(Duration::from_secs(4), || {
                let loss = model.forward(images.clone()).square().mean();
                let gradients = GradientsParams::from_grads(loss.backward(), &model);
                model = optimizer.step(1e-4, model.clone(), gradients);
            });
            report(&mut lines, work, case.name, time);
            assert!(
                approx_layers(&model)
                    .iter()
                    .all(|layer| layer.is_calibrated())
            );
        }
    }
    let device = Device::default();
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
