//! Model directories: what is saved comes back, and what does not fit is refused.

use std::fs;

use approx_multiplier::{Multiplier, OperandFormat, evoapprox};
use burn::prelude::*;
use burn_approx::convert::{ApproxConfig, LayerRule, approx_layers, calibrate, convert};
use burn_approx::{ApproxError, Mode, Noise, configuration, load, save};

use crate::networks::{Containers, Perceptron, images, values};

/// A model with several multipliers, modes and an excluded layer.
fn varied(device: &Device) -> Containers {
    let config = ApproxConfig::bundled("mul8s_1KVP")
        .with_rule(LayerRule::path("pair.0").with_exclude(true))
        .with_rule(LayerRule::path("head.**").with_mode(Mode::Quantized));
    let (model, _) = convert(Containers::new(device), &config).unwrap();
    calibrate(&model, |model| {
        model.forward(images(device));
    })
    .unwrap();
    let layers = approx_layers(&model);
    let own = Multiplier::from_fn("own", OperandFormat::INT8, OperandFormat::INT8, |a, b| {
        a * b + (a & 3)
    })
    .unwrap();
    layers.get("stem").unwrap().set_multiplier(own).unwrap();
    layers
        .get("pair.1")
        .unwrap()
        .set_htp_model(Some(evoapprox::htp("mul8s_1L2J").unwrap()))
        .unwrap();
    layers
        .get("blocks.1.conv")
        .unwrap()
        .set_noise(Noise {
            mean: 0.1,
            standard_deviation: 0.2,
        })
        .unwrap();
    model
}

#[test]
fn a_saved_model_comes_back_whole() {
    let device = crate::device();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/model");
    let model = varied(&device);
    save(&model, &path).unwrap();
    let loaded = load(Containers::new(&device), &path).unwrap();
    assert_eq!(
        values(loaded.forward(images(&device))),
        values(model.forward(images(&device)))
    );
    assert_eq!(
        configuration(&loaded).unwrap(),
        configuration(&model).unwrap()
    );
    let manifest = fs::read_to_string(path.join("approximation.json")).unwrap();
    assert!(
        manifest.contains("mul8s_1KVP") && manifest.contains("hash") && manifest.contains("own")
    );
    assert!(
        approx_layers(&loaded)
            .get("pair.0")
            .unwrap()
            .settings()
            .is_none()
    );

    // Saving again replaces the model and leaves one weights file.
    approx_layers(&loaded).set_mode(Mode::Quantized).unwrap();
    save(&loaded, &path).unwrap();
    let again = load(Containers::new(&device), &path).unwrap();
    assert_eq!(
        values(again.forward(images(&device))),
        values(loaded.forward(images(&device)))
    );
    let files = fs::read_dir(&path).unwrap().count();
    assert_eq!(files, 2);
}

#[test]
fn a_table_whose_hash_differs_is_an_error() {
    let device = crate::device();
    let directory = tempfile::tempdir().unwrap();
    save(&varied(&device), directory.path()).unwrap();
    let manifest = directory.path().join("approximation.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let hash = evoapprox::multiplier("mul8s_1KVP")
        .unwrap()
        .hash()
        .to_string();
    let other = evoapprox::multiplier("mul8s_1L2J")
        .unwrap()
        .hash()
        .to_string();
    assert!(text.contains(&hash));
    fs::write(&manifest, text.replace(&hash, &other)).unwrap();
    let error = load(Containers::new(&device), directory.path()).unwrap_err();
    assert!(matches!(error, ApproxError::Multiplier(_)), "{error}");
    assert!(error.to_string().contains(&hash[..12]), "{error}");
}

#[test]
fn damaged_and_foreign_directories_are_refused() {
    let device = crate::device();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let fresh = || Containers::new(&device);
    assert!(matches!(
        load(fresh(), path),
        Err(ApproxError::File {
            action: "reading",
            ..
        })
    ));
    save(&varied(&device), path).unwrap();
    let manifest = path.join("approximation.json");
    let text = fs::read_to_string(&manifest).unwrap();

    let other = load(Perceptron::new(&device), path).unwrap_err();
    assert!(
        matches!(other, ApproxError::PatternMatchesNothing { .. }),
        "{other}"
    );
    for (broken, what) in [
        (text[..text.len() / 2].to_string(), "truncated"),
        (
            text.replace("\"format\": 1", "\"format\": 99"),
            "a later format",
        ),
        (
            text.replace("weights-1.bpk", "../weights-1.bpk"),
            "a path out of the directory",
        ),
    ] {
        fs::write(&manifest, broken).unwrap();
        assert!(
            matches!(load(fresh(), path), Err(ApproxError::Format { .. })),
            "{what}"
        );
    }
    fs::write(&manifest, &text).unwrap();
    let weights = path.join("weights-1.bpk");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(
        load(fresh(), path),
        Err(ApproxError::Record { .. })
    ));
    fs::remove_file(&weights).unwrap();
    assert!(matches!(
        load(fresh(), path),
        Err(ApproxError::Record { .. })
    ));
}

#[test]
fn an_interrupted_save_leaves_the_old_model() {
    let device = crate::device();
    let directory = tempfile::tempdir().unwrap();
    let model = varied(&device);
    save(&model, directory.path()).unwrap();
    // What a save leaves behind when it is killed before its last step.
    fs::write(directory.path().join("weights-2.bpk"), b"half").unwrap();
    fs::write(directory.path().join("approximation.json.tmp"), b"{").unwrap();
    let loaded = load(Containers::new(&device), directory.path()).unwrap();
    assert_eq!(
        values(loaded.forward(images(&device))),
        values(model.forward(images(&device)))
    );
    save(&loaded, directory.path()).unwrap();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn an_unconverted_model_has_nothing_to_save() {
    let directory = tempfile::tempdir().unwrap();
    let error = save(&Perceptron::new(&crate::device()), directory.path()).unwrap_err();
    assert!(matches!(error, ApproxError::NothingToConvert { .. }));
}
