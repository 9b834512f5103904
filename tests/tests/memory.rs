//! A converted layer takes at most half as much memory again as the same layer in float, in its first forward pass,
//! which packs the weight, and in every later one; a training step takes less than one of Burn's own layers.
//!
//! Counted is the whole heap at its highest during a forward pass: the input, the layer with its weight and all that it
//! keeps, the output, and whatever is held in between; and what a training step adds to model and images.

use std::sync::{Mutex, PoisonError};

use approx_models::{ResNet, ResNetConfig};
use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::Distribution;
use burn_approx::convert::{ApproxConfig, approx_layers, calibrate, convert};
use burn_approx::multipliers::evoapprox;
use burn_approx::nn::LinearConfig;
use burn_approx::nn::conv::Conv2dConfig;
use burn_approx::plan::Route;
use peak_alloc::PeakAlloc;
use rayon::ThreadPoolBuilder;
use rstest::rstest;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// What a converted layer may take, in units of the float one.
const ALLOWED: f64 = 1.5;

const MULTIPLIER: &str = "mul8s_1L2J";

/// Runs `work` as the only one of its kind, on one new thread, so that no buffer that a thread keeps is there before.
fn alone<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    // A failed test leaves nothing behind that another could see.
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        let on_one_thread = || {
            let pool = ThreadPoolBuilder::new().num_threads(1).use_current_thread();
            pool.build().unwrap().install(work)
        };
        scope.spawn(on_one_thread).join().unwrap()
    })
}

/// The most bytes of the heap, beyond `before`, that are in use while `work` runs.
fn peak<R>(before: usize, work: impl FnOnce() -> R) -> usize {
    HEAP.reset_peak_usage();
    drop(work());
    HEAP.peak_usage() - before
}

/// Compares the peaks of a layer's forward passes in float and converted.
fn check<L: Module, const D: usize>(
    input: [usize; D],
    make: impl Fn(&Device) -> L + Send + Sync,
    forward: impl Fn(&L, Tensor<D>) -> Tensor<D> + Send + Sync,
) {
    let device = Device::flex();
    // What the process holds once, whatever its layers: the bundled tables.
    evoapprox::multiplier(MULTIPLIER).unwrap();
    let random = || Tensor::<D>::random(input, Distribution::Normal(0.0, 1.0), &device);

    let float = alone(|| {
        let before = HEAP.current_usage();
        let (layer, input) = (make(&device), random());
        // Parameters are initialised when they are first used.
        drop(forward(&layer, input.clone()));
        peak(before, || forward(&layer, input.clone()))
    });
    let [first, later] = alone(|| {
        let before = HEAP.current_usage();
        let input = random();
        let (layer, _) = convert(make(&device), &ApproxConfig::bundled(MULTIPLIER)).unwrap();
        calibrate(&layer, |layer| drop(forward(layer, input.clone()))).unwrap();
        let peaks = [(); 2].map(|()| peak(before, || forward(&layer, input.clone())));
        let plan = approx_layers(&layer)[0].plan().unwrap();
        assert_eq!(plan.route(), Route::Factored);
        peaks
    });
    let relative = [first, later].map(|peak| peak as f64 / float as f64);
    println!("float {float} bytes, first pass {first}, later ones {later}: {relative:.3?}");
    assert!(
        relative.iter().all(|relative| *relative <= ALLOWED),
        "float {float} bytes, first pass {first}, later ones {later}: {relative:.3?} times, {ALLOWED} allowed"
    );
}

#[rstest]
#[case::resnet_first_stage([64, 64], [3, 3], 1, 56)]
#[case::resnet_last_stage([512, 512], [3, 3], 1, 7)]
#[case::mobilenet_projection([96, 24], [1, 1], 1, 56)]
#[case::mobilenet_depthwise([144, 144], [3, 3], 144, 56)]
fn a_convolution_fits(
    #[case] channels: [usize; 2],
    #[case] kernel: [usize; 2],
    #[case] groups: usize,
    #[case] side: usize,
) {
    let [vertical, horizontal] = kernel.map(|size| size / 2);
    let padding = PaddingConfig2d::Explicit(vertical, horizontal, vertical, horizontal);
    let config = Conv2dConfig::new(channels, kernel)
        .with_padding(padding)
        .with_groups(groups);
    check(
        [1, channels[0], side, side],
        |device| config.init(device),
        |layer, input| layer.forward(input),
    );
}

#[rstest]
fn a_classifier_fits(#[values(1, 32)] batch: usize) {
    check(
        [batch, 1280],
        |device| LinearConfig::new(1280, 1000).init(device),
        |layer, input| layer.forward(input),
    );
}

/// The same network for the benchmark of training steps.
#[path = "../../benches/src/plain.rs"]
mod plain;

/// What a training step adds to the heap at its highest, after one that is not counted.
fn peak_of_step<M: Module>(
    mut model: M,
    images: &Tensor<4>,
    forward: impl Fn(&M, Tensor<4>) -> Tensor<2>,
) -> usize {
    let mut optimizer = SgdConfig::new().init();
    let mut step = || {
        let loss = forward(&model, images.clone()).square().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-4, model.clone(), gradients);
    };
    step();
    let before = HEAP.current_usage();
    peak(before, step)
}

/// Simulated or in float, a step keeps for its backward pass what enters each convolution and what enters each
/// normalisation; one of Burn's own layers keeps another tensor of that size.
#[test]
fn training_steps_of_a_residual_network() {
    /// In units of Burn's step; 0.69 was measured.
    const ALLOWED: f64 = 0.72;
    let device = Device::flex().autodiff();
    let images = Tensor::<4>::random([128, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
    alone(|| {
        let plain = plain::ResNet20::new(10, &device);
        let burns = peak_of_step(plain, &images, plain::ResNet20::forward);
        let model = ResNetConfig::small(20, 10).unwrap().init(&device);
        let float = peak_of_step(model.clone(), &images, ResNet::forward);
        let (model, _) = convert(model, &ApproxConfig::bundled(MULTIPLIER)).unwrap();
        calibrate(&model, |model| drop(model.forward(images.clone()))).unwrap();
        let simulated = peak_of_step(model, &images, ResNet::forward);
        let relative = [float, simulated].map(|peak| peak as f64 / burns as f64);
        println!("Burn {burns} bytes, in float {float}, simulated {simulated}: {relative:.3?}");
        assert!(relative.into_iter().all(|peak| peak <= ALLOWED));
    });
}
