//! One layer on multipliers of different ranks and widths, by factors and by lookup, beside Burn's float32 product and
//! the integer products without a layer around them.

use std::hint::black_box;
use std::time::Duration;

use approx_cpu::{Activations, FactorTerm, FactoredProduct, OperandWidth, Weights};
use approx_multiplier::{FactorizationOptions, Multiplier, OperandFormat, evoapprox};
use burn::tensor::Device;
use burn_approx::Mode;
use burn_approx::convert::ApproxConfig;
use burn_approx::plan::{Geometry, PlanChoice};
use burn_approx_benches::layer::Layer;
use burn_approx_benches::measure_in_turn;
use rten_gemm::{GemmExecutor, GemmInputA, GemmInputB, GemmOptions};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;
use serde::Serialize;

const BUDGET: Duration = Duration::from_secs(20);

/// The multiplier of rank 1 that all others are compared with.
const RANK_ONE: &str = "mul8s_1L2J";
const MULTIPLIERS: [&str; 3] = [RANK_ONE, "mul8s_1KV8", "mul8s_1KVA"];
const WIDE_MULTIPLIERS: [&str; 2] = ["mul12s_2QH", "mul16s_GRU"];

/// How much faster than float32 rank 1 is meant to be at least.
const MATMUL_TARGET: f64 = 1.3;
const CONVOLUTION_TARGET: f64 = 1.0;

#[derive(Serialize)]
pub(crate) struct Line {
    work: &'static str,
    case: String,
    seconds: f64,
    fastest_seconds: f64,
    /// 10^9 multiplications of the layer per second, of the median run.
    giga_multiplications_per_second: f64,
    /// The speed in units of float32's.
    speed_of_float32: f64,
    /// The time in units of that of rank 1.
    time_of_rank_one: f64,
    /// What one of the two ratios is meant to be, where something is.
    target: Option<Target>,
}

#[derive(Serialize)]
struct Target {
    says: String,
    met: bool,
}

struct Case<'a> {
    name: String,
    /// How many products of 8-bit factors make one product, where there is a target for that.
    rank: Option<usize>,
    run: Box<dyn FnMut() + 'a>,
}

fn case<'a>(name: impl Into<String>, run: impl FnMut() + 'a) -> Case<'a> {
    Case {
        name: name.into(),
        rank: None,
        run: Box::new(run),
    }
}

fn layer<'a>(name: &str, geometry: &Geometry, config: ApproxConfig) -> Case<'a> {
    let layer = Layer::converted(geometry, &config, &Device::flex());
    layer.run();
    let plan = layer
        .handle()
        .plan()
        .expect("the layer is converted and has run");
    Case {
        rank: plan.products(),
        ..case(format!("{name}, {plan}"), move || drop(layer.run()))
    }
}

pub(crate) fn run(work: &'static str, geometry: &Geometry) -> Vec<Line> {
    let float = Layer::float(geometry, &Device::flex());
    let mut cases = vec![case("float32, by Burn", move || drop(float.run()))];
    let bundled = |name, plan| ApproxConfig::bundled(name).with_plan(plan);
    for name in MULTIPLIERS {
        cases.push(layer(name, geometry, bundled(name, PlanChoice::Factored)));
    }
    for name in MULTIPLIERS {
        cases.push(layer(name, geometry, bundled(name, PlanChoice::Gather)));
    }
    let exact = ApproxConfig::bundled(RANK_ONE).with_mode(Mode::Quantized);
    cases.push(layer("exact product", geometry, exact));
    for name in WIDE_MULTIPLIERS {
        let bits = evoapprox::multiplier(name)
            .expect("a bundled multiplier")
            .activation()
            .bits();
        let wide = layer(name, geometry, bundled(name, PlanChoice::Factored));
        cases.push(Case {
            name: format!("{}, {bits} bits", wide.name),
            rank: None,
            ..wide
        });
    }
    cases.push(case("the integer kernel alone", integer_kernel(geometry)));
    if let Geometry::Matmul(shape) = geometry {
        let gemm = GemmExecutor::<u8, i8, i32>::new();
        // Without the instructions for it, sums of two products are cut off at 16 bits: then this is no exact product.
        let saturates = if gemm.may_saturate() {
            "saturating"
        } else {
            "exact"
        };
        let name = format!(
            "rten-gemm u8 x i8, {} ({saturates} here)",
            gemm.kernel_name()
        );
        let left = NdTensor::<u8, 2>::full([shape.rows, shape.inner], 131);
        let right = NdTensor::<i8, 2>::full([shape.inner, shape.columns], -77);
        let packed = gemm.prepack_b(right.view());
        let mut output = vec![0i32; shape.rows * shape.columns];
        cases.push(case(name, move || {
            gemm.gemm(
                &mut output,
                GemmInputA::Unpacked(left.view()),
                GemmInputB::Packed(&packed),
                GemmOptions::default(),
            )
            .expect("the shapes fit");
            black_box(&output);
        }));
    }
    report(work, geometry, cases)
}

/// The exact product of random signed 8-bit codes, to accumulators.
fn integer_kernel<'a>(geometry: &Geometry) -> impl FnMut() + 'a {
    let format = OperandFormat::signed(8).expect("8 bits are possible");
    let exact = Multiplier::exact(format, format)
        .factorization(&FactorizationOptions::default())
        .expect("the exact product has rank 1");
    let terms: Vec<FactorTerm> = exact
        .folded_terms()
        .into_iter()
        .map(|term| FactorTerm {
            scale: term.scale,
            activation: term.activation,
            weight: term.weight,
        })
        .collect();
    let operand = OperandWidth {
        bits: 8,
        signed: true,
    };
    let product = FactoredProduct::new(operand, operand, &terms).expect("a factor for every code");
    // Any codes will do: no kernel's time depends on them.
    let codes = |count: usize| -> Vec<u8> {
        (0..count as u32)
            .map(|index| (index.wrapping_mul(0x9e37_79b9) >> 24) as u8)
            .collect()
    };
    let well_formed = "the case is well formed";
    let mut run: Box<dyn FnMut()> = match *geometry {
        Geometry::Matmul(shape) => {
            let activations = codes(shape.rows * shape.inner);
            let weights = codes(shape.inner * shape.columns);
            let weights = product
                .pack_matmul(Weights::Narrow(&weights), shape.inner, shape.columns)
                .expect(well_formed);
            Box::new(move || {
                let activations = Activations::Narrow(&activations);
                let sums = product.matmul(activations, shape.rows, &weights);
                black_box(sums.expect(well_formed));
            })
        }
        Geometry::Conv2d(shape) => {
            let pixels = shape.input[0] * shape.input[1];
            let activations = codes(shape.batch * shape.in_channels * pixels);
            let weights = codes(shape.out_channels * shape.inner());
            let weights = product
                .pack_conv2d(
                    Weights::Narrow(&weights),
                    shape.out_channels,
                    shape.in_channels / shape.groups,
                    shape.groups,
                    shape.kernel,
                )
                .expect(well_formed);
            Box::new(move || {
                let activations = Activations::Narrow(&activations);
                let sums = product.conv2d(activations, 0, &weights, shape);
                black_box(sums.expect(well_formed));
            })
        }
        Geometry::ConvTranspose2d(shape) => {
            let activations = codes(geometry.inputs());
            let weights = codes(geometry.weights());
            let weights = product
                .pack_conv_transpose2d(Weights::Narrow(&weights), shape)
                .expect(well_formed);
            Box::new(move || {
                let activations = Activations::Narrow(&activations);
                let sums = product.conv_transpose2d(activations, &weights, shape);
                black_box(sums.expect(well_formed));
            })
        }
    };
    move || run()
}

fn report(work: &'static str, geometry: &Geometry, cases: Vec<Case<'_>>) -> Vec<Line> {
    let (mut runs, mut described) = (Vec::new(), Vec::new());
    for Case { name, rank, run } in cases {
        runs.push(run);
        described.push((name, rank));
    }
    let timings = measure_in_turn(BUDGET, &mut runs);
    let float = timings[0].median;
    // The first multiplier comes right after float32.
    let rank_one = timings[1].median;
    println!(
        "{work:42} {:>9} {:>9} {:>7} {:>9} {:>8}",
        "seconds", "fastest", "G/s", "x float32", "/ rank 1"
    );
    let lines = described.into_iter().zip(timings);
    let lines = lines.map(|((case, rank), timing)| {
        let speed_of_float32 = float / timing.median;
        let time_of_rank_one = timing.median / rank_one;
        let target = rank.map(|rank| match rank {
            1 => {
                let least = match geometry {
                    Geometry::Matmul(_) => MATMUL_TARGET,
                    Geometry::Conv2d(_) | Geometry::ConvTranspose2d(_) => CONVOLUTION_TARGET,
                };
                Target {
                    says: format!("at least {least:.1} x float32"),
                    met: speed_of_float32 >= least,
                }
            }
            _ => {
                let most = rank as f64 + 0.5;
                Target {
                    says: format!("at most {most:.1} times rank 1"),
                    met: time_of_rank_one <= most,
                }
            }
        });
        let line = Line {
            work,
            case,
            seconds: timing.median,
            fastest_seconds: timing.fastest,
            giga_multiplications_per_second: geometry.products() as f64 / timing.median / 1e9,
            speed_of_float32,
            time_of_rank_one,
            target,
        };
        let target = line.target.as_ref().map_or(String::new(), |target| {
            let verdict = if target.met { "met" } else { "MISSED" };
            format!("  {}: {verdict}", target.says)
        });
        println!(
            "  {:40} {:9.5} {:9.5} {:7.1} {:9.2} {:8.2}{target}",
            line.case,
            line.seconds,
            line.fastest_seconds,
            line.giga_multiplications_per_second,
            line.speed_of_float32,
            line.time_of_rank_one
        );
        line
    });
    lines.collect()
}
