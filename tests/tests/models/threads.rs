//! A layer that several threads run at once.
//!
//! On the CPU alone: a GPU has no pool of threads to wait for, and Burn's fusion loses tensors that threads share there
//! now and then.

use burn::prelude::*;
use burn_approx::convert::{ApproxConfig, calibrate, convert};
use burn_approx::plan::PlanChoice;
use rayon::prelude::*;

use crate::networks::values;

/// Threads of one pool that run the same layer while it observes and packs wait for each other's work, not for its
/// lock.
#[test]
fn concurrent_forward_passes_of_one_layer() {
    let device = crate::device();
    let config = burn_approx::nn::LinearConfig::new(700, 600);
    let layer = config.init(&device);
    let input = Tensor::<2>::ones([300, 700], &device);
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
        let (layer, _) = convert(layer.clone(), &config).unwrap();
        let all = || {
            pool.install(|| {
                (0..16)
                    .into_par_iter()
                    .map(|_| values(layer.forward(input.clone())))
                    .collect::<Vec<_>>()
            })
        };
        calibrate(&layer, |_| drop(all())).unwrap();
        let outputs = all();
        assert!(outputs.iter().all(|output| *output == outputs[0]), "{plan}");
    }
}
