//! From files on a disk to accuracies and trained networks, for networks that this crate does not know.

use std::path::Path;
use std::sync::Arc;

use approx_experiment::calibration::{CalibrationError, calibrate};
use approx_experiment::data::{
    Augmentation, DataSource, Normalisation, ReadOptions, Selection, Split, digits,
};
use approx_experiment::evaluation::{Evaluation, EvaluationError, evaluate};
use approx_experiment::loader::ImageLoader;
use approx_experiment::progress::Display;
use approx_experiment::training::{
    ImageClassifier, Optimizer, Phase, Trainable, TrainableClassifier, TrainingData, fit,
};
use approx_models::MobileNetV2;
use approx_models::{MobileNetV2Config, Stem};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use burn_approx::{ApproxConfig, approx_layers, capture, convert};
use image::{Rgb, RgbImage};

/// Writes images of many sizes in three classes, each mostly of one colour.
fn write_images(folder: &Path, count: u32) {
    for (channel, class) in ["blue", "green", "red"].into_iter().enumerate() {
        let path = folder.join(class);
        std::fs::create_dir_all(&path).unwrap();
        for number in 0..count {
            let image = RgbImage::from_fn(9 + number % 5, 8 + number % 7, |x, y| {
                let mut pixel = [(x * 20) as u8, (y * 25) as u8, (number * 10) as u8];
                pixel[2 - channel] = 255 - number as u8;
                Rgb(pixel)
            });
            image.save(path.join(format!("{number}.png"))).unwrap();
        }
    }
}

/// The mean of every channel as logits: classes in the order of their names are the channels from the last to the first.
fn colours(images: Tensor<4>) -> Tensor<2> {
    let [count, channels, ..] = images.dims();
    let means = images.flatten::<3>(2, 3).mean_dim(2);
    means.reshape([count, channels]).flip([1])
}

/// What does not depend on how long it took.
fn without_time(evaluation: Evaluation) -> Evaluation {
    Evaluation {
        seconds: 0.0,
        ..evaluation
    }
}

fn options(memory: usize) -> ReadOptions {
    ReadOptions {
        network_size: Some([8, 8]),
        mean: Some(vec![0.5]),
        std: Some(vec![0.5]),
        memory,
        ..ReadOptions::default()
    }
}

/// Whether images are kept, decoded anew or loaded before makes no difference, and neither does the size of batches.
#[test]
fn when_an_image_is_decoded_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    write_images(folder.path(), 20);
    let source = DataSource::at(folder.path()).unwrap();
    let mut found = Vec::new();
    for (memory, is_loaded, batch_size) in [
        (0, false, 7),
        (10 * 3 * 64, false, 7),
        (usize::MAX, false, 60),
        (usize::MAX, true, 1),
    ] {
        let data = source.read(&options(memory)).unwrap();
        let images = data.dataset.images(Split::Test).unwrap();
        if is_loaded {
            images.load(Display::hidden()).unwrap();
        }
        let loader = ImageLoader::in_order(
            images.clone(),
            data.normalisation(),
            batch_size,
            &Device::flex(),
        );
        for _ in 0..2 {
            found.push(without_time(evaluate(colours, &loader, |_| {}).unwrap()));
        }
    }
    assert_eq!((found[0].images, found[0].top1), (60, 100.0));
    for other in &found {
        assert_eq!((other.top1, other.top5), (found[0].top1, found[0].top5));
        let [loss, expected] = [other, &found[0]].map(|found| found.loss.unwrap());
        assert!((loss - expected).abs() < 1e-6, "{loss} {expected}");
    }
}

#[test]
fn a_damaged_image_is_named_wherever_it_is_met() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["train", "test"] {
        write_images(&folder.path().join(part), 6);
    }
    std::fs::write(folder.path().join("train/green/3.png"), "not an image").unwrap();
    let source = DataSource::at(folder.path()).unwrap();
    let data = source.read(&options(0)).unwrap();
    let [train, test] =
        [Split::Train, Split::Test].map(|split| data.dataset.images(split).unwrap());
    let device = Device::flex();
    let loader = ImageLoader::in_order(train.clone(), data.normalisation(), 4, &device);

    let named = |error: &dyn std::fmt::Display| {
        let text = error.to_string();
        assert!(text.contains("train/green/3.png"), "{text}");
    };
    let error = evaluate(colours, &loader, |_| {}).unwrap_err();
    assert!(matches!(error, EvaluationError::Data(_)));
    named(&error);
    let model = network(3, 3, &device);
    let (converted, _) = convert(model, &ApproxConfig::bundled("mul8s_1L2J")).unwrap();
    let forward = |model: &MobileNetV2, images| drop(model.forward(images));
    let error = calibrate(&converted, forward, &loader, 99, Display::hidden()).unwrap_err();
    assert!(matches!(error, CalibrationError::Data(_)));
    named(&error);
    let training = TrainingData::new(
        [train, test],
        &data.normalisation(),
        Augmentation::NONE,
        4,
        1,
        std::slice::from_ref(&device),
    );
    let model = network(3, 3, &device.autodiff());
    let output = tempfile::tempdir().unwrap();
    named(
        &fit(
            model,
            &training,
            &phase(output.path(), 1),
            Display::hidden(),
        )
        .unwrap_err(),
    );
    // Where nobody looks, nothing is wrong.
    let undamaged = train.choose(&[0, 1, 2]);
    let loader = ImageLoader::in_order(undamaged, data.normalisation(), 4, &Device::flex());
    evaluate(colours, &loader, |_| {}).unwrap();
}

fn network(channels: usize, classes: usize, device: &Device) -> MobileNetV2 {
    MobileNetV2Config::new(classes)
        .with_in_channels(channels)
        .with_width(0.25)
        .with_stem(Stem::Small)
        .init(device)
}

fn phase(directory: &Path, epochs: usize) -> Phase<'static> {
    Phase {
        name: "training",
        directory: directory.into(),
        epochs,
        learning_rate: 0.01,
        optimizer: Optimizer::Sgd,
        resume: true,
    }
}

/// A network of Burn's own layers.
#[derive(Module, Debug)]
struct Perceptron {
    output: Linear,
}

impl ImageClassifier for Perceptron {
    fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        self.output.forward(images.flatten(1, 3))
    }
}

/// A part of the digits, and the device that they are trained on.
fn few_digits() -> (TrainingData, Device) {
    let digits = digits::read().unwrap();
    let select = |split, limit| {
        let selection = Selection {
            limit: Some(limit),
            seed: 1,
            ..Selection::default()
        };
        digits.select(split, &selection).unwrap()
    };
    let (train, test) = (select(Split::Train, 300), select(Split::Test, 100));
    let normalisation = Arc::new(Normalisation::of(&train).unwrap());
    let device = Device::flex();
    let data = TrainingData::new(
        [&train, &test],
        &normalisation,
        Augmentation::NONE,
        30,
        1,
        std::slice::from_ref(&device),
    );
    let device = device.autodiff();
    device.seed(1);
    (data, device)
}

/// Trains a network, and gives it back with the losses on its training images.
fn trained<M: TrainableClassifier>(model: M, data: &TrainingData) -> (M, Vec<f64>) {
    let directory = tempfile::tempdir().unwrap();
    let phase = phase(directory.path(), 3);
    let (model, epochs) = fit(model, data, &phase, Display::hidden()).unwrap();
    (model, epochs.iter().map(|epoch| epoch.train_loss).collect())
}

#[test]
fn a_network_of_burns_own_layers_is_trained() {
    let (data, device) = few_digits();
    let output = LinearConfig::new(256, 10).init(&device);
    let (model, losses) = trained(Trainable::new(Perceptron { output }), &data);
    assert!(losses[2] < 0.5 * losses[0], "{losses:?}");
    let found = evaluate(|images| model.network.logits(images), data.test(), |_| {}).unwrap();
    assert!(found.top1 > 60.0, "{found:?}");
}

/// A captured network on a multiplier learns through it, and its layers keep their ranges.
#[test]
fn a_captured_network_is_retrained() {
    let (data, device) = few_digits();
    let plain = Perceptron {
        output: LinearConfig::new(256, 10).init(&device),
    };
    let example = Tensor::<4>::ones([2, 1, 16, 16], &device);
    let captured = capture(&plain, example, Perceptron::logits).unwrap();
    let (model, report) = convert(captured, &ApproxConfig::bundled("mul8s_1L2J")).unwrap();
    assert_eq!(report.converted, ["output"]);
    let forward = |model: &_, images| drop(ImageClassifier::logits(model, images));
    let loader = data.train_in_order();
    calibrate(&model, forward, loader, 5, Display::hidden()).unwrap();
    let (model, losses) = trained(Trainable::new(model), &data);
    assert!(losses[2] < 0.5 * losses[0], "{losses:?}");
    let table = approx_layers(&model);
    assert_eq!(table[0].path(), "network.output");
    let found = evaluate(|images| model.network.logits(images), data.test(), |_| {}).unwrap();
    assert!(found.top1 > 60.0, "{found:?}");
}
