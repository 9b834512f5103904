//! Whether the planner picks the fastest plan: ten multipliers of different ranks on every distinct layer of
//! MobileNetV2 and ResNet-18 at 224 x 224, batch 1 and 32. Every possible plan of every layer is timed, floats in and
//! floats out, weights kept, and the plan that the planner takes is compared with the fastest.
//!
//! A plan that was more than ten times as slow as another at batch 1 is left out at batch 32.
//!
//! The constants of the planner's cost model (`plan/cost/host.rs`) were fitted to the layers of even number in the
//! order printed; those of odd number are reported separately.

use std::time::Instant;

use approx_models::{MobileNetV2Config, ResNetConfig};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_approx::convert::{ApproxConfig, ApproxLayer, approx_layers};
use burn_approx::plan::{Geometry, PlanChoice};
use burn_approx_benches::Arguments;
use burn_approx_benches::layer::Layer;
use serde::Serialize;

/// Of rank 1, 3, 5, 0, and unsigned ones of ranks from 2 to beyond the limit; the last two are 12 and 16 bits wide.
const MULTIPLIERS: [&str; 10] = [
    "mul8s_1L2J",
    "mul8s_1KV8",
    "mul8s_1KVA",
    "mul8u_17C8",
    "mul8u_2V0",
    "mul8u_DG8",
    "mul8u_GTR",
    "mul8u_0AB",
    "mul12s_2QH",
    "mul16s_GRU",
];

const PLANS: [PlanChoice; 3] = [
    PlanChoice::Factored,
    PlanChoice::Gather,
    PlanChoice::FactoredFloat32,
];

/// A plan slower than another by this factor in its first run, which packs the weight, is not run again.
const HOPELESS: f64 = 5.0;
/// A choice counts as right if it is not slower than the fastest by more.
const TOLERANCE: f64 = 1.15;
/// A plan slower than another by this factor at batch 1 is not tried at batch 32.
const NOT_WORTH_TRYING: f64 = 10.0;

#[derive(Serialize)]
struct Measured {
    plan: PlanChoice,
    seconds: f64,
    expected: f64,
}

#[derive(Serialize)]
struct Line {
    layer: usize,
    work: String,
    multiplier: &'static str,
    products: Option<usize>,
    inner: usize,
    chosen: PlanChoice,
    plans: Vec<Measured>,
    /// The chosen plan's time in units of the fastest one's.
    ratio: f64,
}

impl Line {
    /// The plans that are not worth trying on a larger batch.
    fn hopeless(&self) -> impl Iterator<Item = PlanChoice> {
        let seconds = self.plans.iter().map(|plan| plan.seconds);
        let fastest = seconds.fold(f64::INFINITY, f64::min);
        let hopeless = move |plan: &&Measured| plan.seconds > NOT_WORTH_TRYING * fastest;
        self.plans.iter().filter(hopeless).map(|plan| plan.plan)
    }
}

/// The distinct layers of a network.
fn geometries<M: Module>(model: &M, forward: impl Fn(&M, Tensor<4>) -> Tensor<2>) -> Vec<Geometry> {
    let device = model.devices()[0].clone();
    forward(model, Tensor::zeros([1, 3, 224, 224], &device));
    let layers = approx_layers(model);
    layers.iter().filter_map(ApproxLayer::geometry).collect()
}

/// A layer on another batch.
fn batched(geometry: Geometry, batch: usize) -> Geometry {
    match geometry {
        Geometry::Matmul(mut shape) => {
            shape.rows = batch;
            Geometry::Matmul(shape)
        }
        Geometry::Conv2d(mut shape) => {
            shape.batch = batch;
            Geometry::Conv2d(shape)
        }
        Geometry::ConvTranspose2d(mut shape) => {
            shape.batch = batch;
            Geometry::ConvTranspose2d(shape)
        }
    }
}

fn describe(geometry: &Geometry) -> String {
    match geometry {
        Geometry::Matmul(shape) => format!("{}x{}x{}", shape.rows, shape.inner, shape.columns),
        Geometry::Conv2d(shape) => format!(
            "{}x{}x{}x{} -> {} {}x{} s{} g{}",
            shape.batch,
            shape.in_channels,
            shape.input[0],
            shape.input[1],
            shape.out_channels,
            shape.kernel[0],
            shape.kernel[1],
            shape.stride[0],
            shape.groups
        ),
        Geometry::ConvTranspose2d(shape) => format!(
            "{}x{}x{}x{} -> {} {}x{} transposed s{} g{}",
            shape.batch,
            shape.in_channels,
            shape.input[0],
            shape.input[1],
            shape.out_channels,
            shape.kernel[0],
            shape.kernel[1],
            shape.stride[0],
            shape.groups
        ),
    }
}

/// Times every plan of a converted layer but those left out: the plan that the planner takes, the number of its
/// products, and the times.
fn time_plans(
    layer: &Layer,
    left_out: &[PlanChoice],
) -> (PlanChoice, Option<usize>, Vec<Measured>) {
    let handle = layer.handle();
    handle.set_plan(PlanChoice::Auto).expect("always possible");
    layer.run();
    let auto = handle.plan().expect("the layer is converted and has run");
    let mut plans: Vec<Measured> = Vec::new();
    let mut chosen = PlanChoice::Auto;
    for plan in PLANS {
        if left_out.contains(&plan) || handle.set_plan(plan).is_err() {
            continue;
        }
        let fastest = plans
            .iter()
            .map(|plan| plan.seconds)
            .fold(f64::INFINITY, f64::min);
        let once = || {
            let start = Instant::now();
            layer.run();
            start.elapsed().as_secs_f64()
        };
        let first = once();
        let mut seconds = vec![first];
        if first < HOPELESS * fastest {
            let fewest = if first < 0.1 { 5.0 } else { 2.0 };
            let runs = (0.03 / first).clamp(fewest, 50.0) as usize;
            seconds = (0..runs).map(|_| once()).collect();
        }
        seconds.sort_by(f64::total_cmp);
        let own = handle.plan().expect("converted, and it has run");
        if own.route() == auto.route() {
            chosen = plan;
        }
        plans.push(Measured {
            plan,
            seconds: seconds[seconds.len() / 4],
            expected: own.expected_seconds(),
        });
    }
    (chosen, auto.products(), plans)
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::from_command_line();
    let device = Device::flex();
    let mut layers = geometries(&MobileNetV2Config::new(1000).init(&device), |model, x| {
        model.forward(x)
    });
    layers.extend(geometries(
        &ResNetConfig::resnet18(1000).init(&device),
        |model, x| model.forward(x),
    ));
    let mut distinct: Vec<Geometry> = Vec::new();
    for layer in layers {
        if !distinct.contains(&layer) {
            distinct.push(layer);
        }
    }
    let mut lines: Vec<Line> = Vec::new();
    for batch in [1, 32] {
        for (number, geometry) in distinct.iter().enumerate() {
            let geometry = batched(*geometry, batch);
            let work = describe(&geometry);
            if !arguments.selects(&work) {
                continue;
            }
            for multiplier in MULTIPLIERS {
                let left_out: Vec<PlanChoice> = lines
                    .iter()
                    .filter(|line| line.layer == number && line.multiplier == multiplier)
                    .flat_map(Line::hopeless)
                    .collect();
                let config = ApproxConfig::bundled(multiplier);
                let layer = Layer::converted(&geometry, &config, &device);
                let (chosen, products, plans) = time_plans(&layer, &left_out);
                let fastest = plans
                    .iter()
                    .map(|plan| plan.seconds)
                    .fold(f64::INFINITY, f64::min);
                let own = plans.iter().find(|plan| plan.plan == chosen);
                let ratio = own.map_or(f64::INFINITY, |own| own.seconds / fastest);
                let wrong = if ratio > TOLERANCE { "  <-" } else { "" };
                print!(
                    "{number:3} {work:34} {multiplier:12} {:10} {ratio:6.2} ",
                    chosen.to_string()
                );
                for Measured {
                    plan,
                    seconds,
                    expected,
                } in &plans
                {
                    let micros = seconds * 1e6;
                    print!(" {plan} {micros:.0} us (x{:.2})", expected / seconds);
                }
                println!("{wrong}");
                lines.push(Line {
                    layer: number,
                    work: work.clone(),
                    multiplier,
                    products,
                    inner: geometry.inner(),
                    chosen,
                    plans,
                    ratio,
                });
            }
        }
    }
    for (name, parity) in [("fitted", 0), ("other", 1)] {
        let of = |line: &&Line| line.layer % 2 == parity;
        let (all, right) = lines.iter().filter(of).fold((0, 0), |(all, right), line| {
            (all + 1, right + usize::from(line.ratio <= TOLERANCE))
        });
        if all == 0 {
            continue;
        }
        println!(
            "{name} shapes: the fastest plan, or one within 15 % of it, in {right} of {all} cases ({:.1} %)",
            100.0 * right as f64 / all as f64
        );
    }
    arguments.write_json(&lines)
}
