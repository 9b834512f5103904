//! Devices other than the processor, and several at once. Where no GPU is, a software driver stands in for one.

mod common;

use approx_experiment::data::{Dataset, Split, Splits, digits};
use approx_experiment::evaluation::evaluate;
use approx_experiment::progress::Display;
use approx_experiment::training::{EpochMetrics, Optimizer, Phase, TrainingData, fit};
use burn::module::Module;
use burn::tensor::{Device, DeviceType};
use common::{Workplace, errors, parameters};

/// Training and test images for a GPU: a software driver takes a second for a dozen of them.
#[cfg(feature = "wgpu")]
const FEW: [usize; 2] = [64, 16];

/// Trains a MobileNetV2 on images that `devices` share, for two epochs.
fn train_together(dataset: &Dataset, devices: &[Device]) -> Vec<EpochMetrics> {
    let directory = tempfile::tempdir().unwrap();
    let data = TrainingData::of(dataset, 64, 1, devices).unwrap();
    let device = devices[0].clone().autodiff();
    device.seed(1);
    let model = approx_models::MobileNetV2Config::new(10)
        .with_in_channels(1)
        .with_width(0.25)
        .with_stem(approx_models::Stem::Small)
        .init(&device);
    let before = parameters(&model);
    let phase = Phase {
        name: "training",
        directory: directory.path().into(),
        epochs: 2,
        learning_rate: 0.006,
        optimizer: Optimizer::Adamw,
        resume: false,
    };
    let (model, epochs) = fit(model, &data, &phase, Display::hidden()).unwrap();
    assert_eq!(epochs.len(), 2);
    assert_ne!(parameters(&model), before);
    // All of it comes back to the first device, where it is what was validated there.
    assert_eq!(model.devices(), [devices[0].clone()]);
    let found = evaluate(|images| model.forward(images), data.test(), |_| {}).unwrap();
    assert_eq!(found.top1, epochs[1].test_accuracy);
    epochs
}

/// Two replicas on the processor, which data-parallel training cannot tell from two processors.
#[test]
fn two_replicas_train_together() {
    let dataset = digits::read().unwrap();
    let epochs = train_together(&dataset, &[Device::flex(), Device::flex()]);
    // Which replica is ahead decides the order of the gradients' sums, so no two runs are alike; chance is at 10 %.
    assert!(epochs[1].train_accuracy > 30.0, "{epochs:?}");
    assert!(
        epochs[1].train_loss < 0.8 * epochs[0].train_loss,
        "{epochs:?}"
    );
}

#[test]
fn more_devices_than_there_are_is_an_error() {
    let workplace = Workplace::new();
    let output = workplace.run("run", &["--devices", "3"]);
    assert_eq!(output.status.code(), Some(2));
    let text = errors(&output);
    assert!(text.contains("--devices is 3, and 1 of the kind"), "{text}");
    assert!(!workplace.path("run").exists());
}

#[cfg(feature = "wgpu")]
#[test]
fn a_run_on_a_gpu() {
    let workplace = Workplace::with_images(FEW);
    let arguments = ["--device", "wgpu", "--epochs", "1", "--retrain-epochs", "1"];
    let output = workplace.run("run", &arguments);
    assert!(output.status.success(), "{}", errors(&output));
    let report = workplace.report("run");
    assert_eq!(report.device, approx_experiment::device::DeviceKind::Wgpu);
    assert_eq!(report.retraining.len(), 1);
    assert_eq!(report.layers.len(), 53);
    assert!(!workplace.weights("run").is_empty());
}

/// Two GPUs, or one by two names, which Burn takes for two: tensors travel from one to the other either way.
#[cfg(feature = "wgpu")]
#[test]
fn two_gpus_train_together() {
    let mut devices = Device::enumerate(DeviceType::Wgpu).into_vec();
    assert!(
        !devices.is_empty(),
        "no GPU: install a Vulkan driver (on Debian: apt-get install libvulkan1 mesa-vulkan-drivers)"
    );
    if devices.len() == 1 {
        devices.push(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice));
    }
    devices.truncate(2);
    assert_ne!(devices[0], devices[1]);
    let digits = digits::read().unwrap();
    let [train, test] = [(Split::Train, FEW[0]), (Split::Test, FEW[1])].map(|(split, count)| {
        let first: Vec<usize> = (0..count).collect();
        digits.images(split).unwrap().choose(&first)
    });
    let splits = Splits::train_and_test(train, test);
    let few = Dataset::new("few", digits.classes, splits, digits.augmentation).unwrap();
    let epochs = train_together(&few, &devices);
    assert!(epochs.iter().all(|epoch| epoch.train_loss.is_finite()));
}
