//! Nothing that should only queue work waits for the GPU: not an operator, not inference with a converted network, nor
//! a training step that observes as it goes.
//!
//! Seen by the clock, so these tests have a binary of their own: beside others, on one device, everything waits now and
//! then. The networks are small: a GPU takes only so many kernels into its queue, and whatever comes after them waits
//! for a place, Burn's own operations as well.

#[path = "models/networks.rs"]
#[allow(dead_code, reason = "the tests of models use the rest")]
mod networks;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use burn::prelude::*;
use burn::tensor::activation::relu;
use burn::tensor::ops::ConvOptions;
use burn_approx::convert::{ApproxConfig, approx_layers, calibrate, convert};
use burn_approx::multipliers::evoapprox;
use burn_approx::plan::PlanChoice;
use burn_approx::quantization::{
    CodeQuantizer, CodeRange, LayerQuantization, Observation, Observer,
};
use burn_approx::{PreparedMultiplier, ops};
use burn_approx_tests::gpu::gpu as device;
use networks::{Containers, Perceptron, images, rows};
use rstest::rstest;

/// How many times [`assert_never_waits`] tries: other programs may hold the machine up.
const ATTEMPTS: usize = 5;

/// How long the device has something to do, much longer than it takes to queue a step of training.
const BUSY: Duration = Duration::from_millis(200);

/// Asserts that `work` only queues what it computes: called while the device is busy, it returns long before the device
/// is idle.
///
/// # Panics
/// If `work` waits for the device.
fn assert_never_waits<const D: usize>(device: &Device, work: impl Fn() -> Tensor<D>) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    // A failed test leaves nothing behind that another could see.
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // Not by reading data, which waits only when the data is looked at.
    let wait = || device.sync().expect("the device works");
    // Kernels are compiled by the thread that launches them, and whoever fills its queue meanwhile waits for that: once
    // before.
    drop(work());
    let size = size_that_lasts(device);
    let mut tried = Vec::new();
    for _ in 0..ATTEMPTS {
        wait();
        let started = Instant::now();
        let _busy = keep_busy(device, size);
        let _result = work();
        let queued = started.elapsed();
        wait();
        let busy_for = started.elapsed();
        if queued < busy_for / 2 {
            return;
        }
        tried.push((queued, busy_for));
    }
    panic!("work that should only be queued waits for the device: (taken, device busy) {tried:?}");
}

/// The size of a product that keeps the device busy for at least [`BUSY`], with its kernel compiled.
fn size_that_lasts(device: &Device) -> usize {
    let mut size = 512;
    loop {
        let mut took = Duration::ZERO;
        for _compiled in [false, true] {
            let started = Instant::now();
            let _busy = keep_busy(device, size);
            device.sync().expect("the device works");
            took = started.elapsed();
        }
        if took >= BUSY {
            return size;
        }
        size += size / 4;
    }
}

/// Gives the device one product of large matrices to compute: a single kernel, which leaves the rest of its queue free.
fn keep_busy(device: &Device, size: usize) -> Tensor<2> {
    let matrix = Tensor::<2>::ones([size, size], device);
    matrix.clone().matmul(matrix)
}

const MULTIPLIER: &str = "mul8s_1KVA";

/// Neither planning nor an operator reads anything back.
#[rstest]
fn an_operator_never_waits(
    #[values(PlanChoice::Auto, PlanChoice::Factored, PlanChoice::Gather)] plan: PlanChoice,
) {
    let device = device();
    let multiplier = evoapprox::multiplier(MULTIPLIER).unwrap();
    let multiplier = PreparedMultiplier::new(multiplier).with_plan(plan);
    let images = Tensor::<4>::ones([2, 3, 23, 29], &device);
    let weight = Tensor::<4>::ones([4, 3, 3, 3], &device);
    let codes = CodeRange::new(-127, 127).unwrap();
    let [a, w] =
        [0.03, 0.01].map(|scale| CodeQuantizer::per_tensor(scale, 0, codes, &device).unwrap());
    assert_never_waits(&device, || {
        let input = relu(images.clone()) * 2.0 + 1.0;
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let weight = weight.clone();
        relu(ops::conv2d(input, weight, None, &a, &w, &multiplier, options).unwrap() * 0.5)
    });
}

/// That the tests here can fail: work that looks at a value in between is found out.
#[test]
#[should_panic(expected = "waits for the device")]
fn waiting_is_noticed() {
    let device = device();
    let images = images(&device);
    assert_never_waits(&device, || {
        let largest = images.clone().max().into_scalar::<f32>();
        images.clone() / largest
    });
}

#[rstest]
fn inference_never_waits(#[values(PlanChoice::Auto, PlanChoice::Gather)] plan: PlanChoice) {
    let device = device();
    let config = ApproxConfig::bundled(MULTIPLIER).with_plan(plan);
    let (model, _) = convert(Containers::new(&device), &config).unwrap();
    calibrate(&model, |model| drop(model.forward(images(&device)))).unwrap();
    let images = images(&device);
    assert_never_waits(&device, || model.forward(images.clone()));
}

/// Ranges are observed on the device. (Histograms are looked at by the host, when a quantiser is to follow from them.)
#[rstest]
fn a_training_step_never_waits(
    #[values(Observation::Frozen, Observation::WhileTraining)] observation: Observation,
) {
    let device = device().autodiff();
    let multiplier = evoapprox::multiplier(MULTIPLIER).unwrap();
    let mut scheme = LayerQuantization::for_multiplier(&multiplier);
    scheme.activation.observer = Observer::MinMax;
    let config = ApproxConfig::bundled(MULTIPLIER).with_quantization(scheme);
    let (model, _) = convert(Perceptron::new(&device), &config).unwrap();
    calibrate(&model, |model| drop(model.forward(rows(&device)))).unwrap();
    for layer in &approx_layers(&model) {
        layer.set_observation(observation, observation).unwrap();
    }
    let rows = rows(&device);
    assert_never_waits(&device, || {
        let loss = model.forward(rows.clone()).square().mean();
        let gradients = loss.backward();
        model.hidden.weight.grad(&gradients).expect("it is trained")
    });
}
