//! A layer that several threads run at once.
//!
//! On the CPU alone: a GPU has no pool of threads to wait for, and Burn's fusion loses tensors that threads share there
//! now and then.

use approx_multiplier::evoapprox;
use burn::prelude::*;
use burn_approx::convert::{ApproxConfig, approx_layers, calibrate, convert};
use burn_approx::nn::{Linear, LinearConfig};
use burn_approx::plan::PlanChoice;
use burn_approx_tests::layer::{Layer, relative_difference};
use rayon::prelude::*;

use crate::networks::values;

/// Rows of which no two are alike, and so many that all of them, one after the other, keep a pool busy.
const ROWS: usize = 4;
const REPEATS: usize = 75;
const INPUTS: usize = 700;

fn rows(device: &Device) -> Tensor<2> {
    let values: Vec<f32> = (0..ROWS * INPUTS)
        .map(|index| (index * 37 % 1013) as f32 / 500.0 - 1.0)
        .collect();
    Tensor::from_data(TensorData::new(values, [ROWS, INPUTS]), device)
}

fn scales(layer: &Linear) -> [Vec<f32>; 2] {
    let handle = &approx_layers(layer)[0];
    [handle.activation_quantizer(), handle.weight_quantizer()]
        .map(|quantizer| quantizer.unwrap().scales())
}

/// Threads of one pool that run the same layer while it observes and packs wait for each other's work, not for its
/// lock; each gets the sums of a plain loop, and together they observe what one alone does.
#[test]
fn concurrent_forward_passes_of_one_layer() {
    let device = crate::device();
    let config = LinearConfig::new(INPUTS, 600).with_bias(false);
    let layer = config.init(&device);
    let input = rows(&device).repeat_dim(0, REPEATS);
    let multiplier = evoapprox::multiplier("mul8s_1KVA").unwrap();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(2)
        .build()
        .unwrap();
    for plan in [
        PlanChoice::Factored,
        PlanChoice::FactoredFloat32,
        PlanChoice::Gather,
    ] {
        let config = ApproxConfig::bundled("mul8s_1KVA").with_plan(plan);
        let convert = || convert(layer.clone(), &config).unwrap().0;
        let (layer, alone) = (convert(), convert());
        let all = || {
            pool.install(|| {
                (0..16)
                    .into_par_iter()
                    .map(|_| values(layer.forward(input.clone())))
                    .collect::<Vec<_>>()
            })
        };
        calibrate(&layer, |_| drop(all())).unwrap();
        calibrate(&alone, |alone| drop(alone.forward(input.clone()))).unwrap();
        assert_eq!(scales(&layer), scales(&alone), "{plan}");
        let reference = Layer::of_linear(&layer, rows(&device));
        let product = |a, w| multiplier.product(a, w).expect("a table");
        let expected = reference.codes().outputs(&reference.geometry, product);
        let expected = expected.repeat(REPEATS);
        for output in all() {
            match plan {
                // Sums this deep are rounded in float32.
                PlanChoice::FactoredFloat32 => {
                    let difference = relative_difference(&output, &expected);
                    assert!(difference <= 1e-5, "{plan}: {difference}");
                }
                _ => assert!(output == expected, "{plan}"),
            }
        }
    }
}
