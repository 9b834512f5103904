//! Weights in torchvision's format load by name, give torchvision's outputs, and are refused where they do not fit.

use std::path::{Path, PathBuf};

use approx_models::torchvision::{TorchvisionLoader, TorchvisionNames};
use approx_models::{
    Architecture, BlockKind, Classifier, LoadError, MobileNetV2, MobileNetV2Config, ResNetConfig,
    ShortcutKind, load_torchvision,
};
use burn::module::Module;
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot, SafetensorsStore};
use burn::tensor::{Device, Distribution, Tensor, TensorData};

const CLASSES: usize = 10;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// An array of 32-bit floats in NumPy's format.
fn read_npy(name: &str) -> TensorData {
    let bytes = std::fs::read(data(name)).unwrap();
    let array = npyz::NpyFile::new(&bytes[..]).unwrap();
    let shape: Vec<usize> = array.shape().iter().map(|&size| size as usize).collect();
    TensorData::new(array.into_vec::<f32>().unwrap(), shape)
}

fn model(device: &Device) -> MobileNetV2 {
    MobileNetV2Config::new(CLASSES)
        .with_width(0.25)
        .init(device)
}

fn largest_difference(found: Tensor<2>, expected: Tensor<2>) -> f32 {
    found.sub(expected).abs().max().into_scalar::<f32>()
}

#[test]
fn both_kinds_of_file_give_torchvisions_output() {
    let device = Device::flex();
    let images = Tensor::<4>::from_data(read_npy("mobilenet_v2_w025_random_input.npy"), &device);
    let expected = Tensor::<2>::from_data(read_npy("mobilenet_v2_w025_random_output.npy"), &device);
    for kind in ["pth", "safetensors"] {
        let path = data(&format!("mobilenet_v2_w025_random.{kind}"));
        let (model, report) = load_torchvision(model(&device), path).unwrap();
        // 52 convolutions with four tensors of normalisation each, and the classifier's two.
        assert_eq!(report.loaded.len(), 52 * 5 + 2);
        assert_eq!(report.left_out.len(), 52);
        let difference = largest_difference(model.forward(images.clone()), expected.clone());
        assert!(difference < 1e-4, "{kind}: {difference}");
    }
}

#[test]
fn a_classifier_of_any_kind_loads_too() {
    let device = Device::flex();
    let path = data("mobilenet_v2_w025_random.pth");
    let (direct, _) = load_torchvision(model(&device), &path).unwrap();
    let (wrapped, report) =
        load_torchvision(Classifier::MobileNetV2(model(&device)), &path).unwrap();
    assert_eq!(report.loaded.len(), 262);
    let images = Tensor::random([2, 3, 32, 32], Distribution::Default, &device);
    let difference = largest_difference(wrapped.forward(images.clone()), direct.forward(images));
    assert_eq!(difference, 0.0);
}

#[test]
fn the_width_must_match() {
    let device = Device::flex();
    let wider = MobileNetV2Config::new(CLASSES)
        .with_width(0.5)
        .init(&device);
    let error = load_torchvision(wider, data("mobilenet_v2_w025_random.pth")).unwrap_err();
    let LoadError::Shape {
        name,
        target,
        expected,
        found,
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(name, "features.0.0.weight");
    assert_eq!(target, "stem.conv.weight");
    assert_eq!(expected, [16, 3, 3, 3]);
    assert_eq!(found, [8, 3, 3, 3]);
}

#[test]
fn the_classifier_can_be_kept() {
    let device = Device::flex();
    let config = MobileNetV2Config::new(4).with_width(0.25);
    let path = data("mobilenet_v2_w025_random.safetensors");
    let error = load_torchvision(config.init(&device), &path).unwrap_err();
    assert!(
        matches!(&error, LoadError::Shape { name, .. } if name.starts_with("classifier.1.")),
        "{error}"
    );
    let (model, report) = TorchvisionLoader::new()
        .keep_classifier()
        .load(config.init(&device), &path)
        .unwrap();
    assert_eq!(report.loaded.len(), 260);
    assert_eq!(report.left_out.len(), 54);
    assert_eq!(
        model.forward(Tensor::zeros([1, 3, 32, 32], &device)).dims(),
        [1, 4]
    );
}

/// Writes the model as a state dict, with torchvision's names as far as `rename` gives them.
fn write_state_dict<M: Module>(model: &M, path: &Path, rename: &[(&str, &str)]) {
    let mut store = SafetensorsStore::from_file(path)
        .with_to_adapter(BurnToPyTorchAdapter)
        .skip_enum_variants(true);
    for (from, to) in rename {
        store = store.with_key_remapping(from, *to);
    }
    model.save_into(&mut store).unwrap();
}

/// From this crate's names to torchvision's, for ResNet.
const RESNET_NAMES: [(&str, &str); 15] = [
    (r"^stem\.conv\.", "conv1."),
    (r"^stem\.norm\.", "bn1."),
    (r"^stages\.0\.", "layer1."),
    (r"^stages\.1\.", "layer2."),
    (r"^stages\.2\.", "layer3."),
    (r"^stages\.3\.", "layer4."),
    (r"\.first\.conv\.", ".conv1."),
    (r"\.first\.norm\.", ".bn1."),
    (r"\.second\.conv\.", ".conv2."),
    (r"\.second\.norm\.", ".bn2."),
    (r"\.third\.conv\.", ".conv3."),
    (r"\.third\.norm\.", ".bn3."),
    (r"\.shortcut\.conv\.", ".downsample.0."),
    (r"\.shortcut\.norm\.", ".downsample.1."),
    (r"^classifier\.", "fc."),
];

#[test]
fn a_resnet_state_dict_loads_by_torchvisions_names() {
    let device = Device::flex();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("resnet.safetensors");
    for (config, convolutions) in [
        (ResNetConfig::resnet18(3), 20),
        (ResNetConfig::resnet50(3), 53),
    ] {
        let source = config.init(&device);
        write_state_dict(&source, &path, &RESNET_NAMES);
        let (loaded, report) = load_torchvision(config.init(&device), &path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(report.loaded.len(), convolutions * 5 + 2);
        let images = Tensor::random([1, 3, 64, 64], Distribution::Default, &device);
        let difference = largest_difference(loaded.forward(images.clone()), source.forward(images));
        assert_eq!(difference, 0.0);
    }
}

/// As the small networks for CIFAR-10 are usually stored: wrapped for several devices, and with another name for the last
/// layer.
#[test]
fn a_wrapped_state_dict_loads_without_the_wrapper() {
    let device = Device::flex();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("resnet8.safetensors");
    let config = ResNetConfig::resnet8(CLASSES).with_shortcut(ShortcutKind::ZeroPadding);
    let source = config.init(&device);
    let mut names = RESNET_NAMES.to_vec();
    names.extend([(r"^fc\.", "linear."), (r"^", "module.")]);
    write_state_dict(&source, &path, &names);
    let (loaded, report) = load_torchvision(config.init(&device), &path).unwrap();
    // No convolutions around the blocks.
    assert_eq!(report.loaded.len(), 7 * 5 + 2);
    let images = Tensor::random([1, 3, 32, 32], Distribution::Default, &device);
    let difference = largest_difference(loaded.forward(images.clone()), source.forward(images));
    assert_eq!(difference, 0.0);

    let other = ResNetConfig::resnet8(4).with_shortcut(ShortcutKind::ZeroPadding);
    let loader = TorchvisionLoader::new().keep_classifier();
    let (_, report) = loader.load(other.init(&device), &path).unwrap();
    assert_eq!(
        report.left_out,
        ["module.linear.bias", "module.linear.weight"]
    );
}

#[test]
fn an_architecture_takes_channels_classes_and_width_from_the_file() {
    let device = Device::flex();
    let images = Tensor::<4>::from_data(read_npy("mobilenet_v2_w025_random_input.npy"), &device);
    let expected = Tensor::<2>::from_data(read_npy("mobilenet_v2_w025_random_output.npy"), &device);
    let path = data("mobilenet_v2_w025_random.safetensors");
    let network = Architecture::MobileNetV2.load(path, &device).unwrap();
    let found = (
        network.in_channels,
        network.config.classes(),
        network.image_size,
    );
    assert_eq!(found, (3, CLASSES, [224, 224]));
    assert!(largest_difference(network.model.forward(images), expected) < 1e-4);

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("resnet8.safetensors");
    let model = ResNetConfig::resnet8(5).with_in_channels(1).init(&device);
    write_state_dict(&model, &path, &RESNET_NAMES);
    let network = Architecture::ResNet8.load(&path, &device).unwrap();
    let found = (
        network.in_channels,
        network.config.classes(),
        network.image_size,
    );
    assert_eq!(found, (1, 5, [32, 32]));
    let images = Tensor::random([2, 1, 32, 32], Distribution::Default, &device);
    let difference =
        largest_difference(network.model.forward(images.clone()), model.forward(images));
    assert_eq!(difference, 0.0);

    let error = Architecture::MobileNetV2.load(&path, &device).unwrap_err();
    assert!(error.to_string().contains("features.0.0.weight"), "{error}");
    let error = Architecture::ResNet8
        .load("missing.pth", &device)
        .unwrap_err();
    assert!(matches!(error, LoadError::Open { .. }));
}

#[test]
fn names_are_those_of_torchvision() {
    let device = Device::flex();
    let mobilenet = model(&device);
    for (key, path) in [
        ("features.0.0.weight", "stem.conv.weight"),
        ("features.0.1.running_mean", "stem.norm.running_mean"),
        (
            "features.1.conv.0.0.weight",
            "blocks.0.depthwise.conv.weight",
        ),
        ("features.1.conv.1.weight", "blocks.0.project.conv.weight"),
        ("features.1.conv.2.bias", "blocks.0.project.norm.bias"),
        ("features.2.conv.0.0.weight", "blocks.1.expand.conv.weight"),
        (
            "features.2.conv.1.1.weight",
            "blocks.1.depthwise.norm.weight",
        ),
        ("features.17.conv.2.weight", "blocks.16.project.conv.weight"),
        (
            "features.17.conv.3.running_var",
            "blocks.16.project.norm.running_var",
        ),
        ("features.18.0.weight", "head.conv.weight"),
        ("classifier.1.bias", "classifier.bias"),
    ] {
        assert_eq!(mobilenet.path_of(key).as_deref(), Some(path), "{key}");
    }
    for key in [
        "features.19.0.weight",
        "features.1.conv.3.weight",
        "classifier.0.weight",
        "fc.bias",
        "",
    ] {
        assert_eq!(mobilenet.path_of(key), None, "{key}");
    }

    let config = ResNetConfig::resnet8(CLASSES);
    let basic = config.init(&device);
    let bottleneck = config.with_block(BlockKind::Bottleneck).init(&device);
    for (key, path) in [
        ("conv1.weight", "stem.conv.weight"),
        ("bn1.running_var", "stem.norm.running_var"),
        ("layer1.0.conv1.weight", "stages.0.0.first.conv.weight"),
        ("layer2.0.bn2.bias", "stages.1.0.second.norm.bias"),
        (
            "layer3.0.downsample.0.weight",
            "stages.2.0.shortcut.conv.weight",
        ),
        ("fc.bias", "classifier.bias"),
    ] {
        assert_eq!(basic.path_of(key).as_deref(), Some(path), "{key}");
        assert_eq!(bottleneck.path_of(key).as_deref(), Some(path), "{key}");
    }
    for (key, path) in [
        ("layer1.0.conv3.weight", "stages.0.0.third.conv.weight"),
        ("layer3.0.bn3.weight", "stages.2.0.third.norm.weight"),
    ] {
        assert_eq!(basic.path_of(key), None, "{key}");
        assert_eq!(bottleneck.path_of(key).as_deref(), Some(path), "{key}");
    }
    for key in ["layer4.0.conv1.weight", "layer1.1.bn1.bias", "fc2.bias"] {
        assert_eq!(bottleneck.path_of(key), None, "{key}");
    }
}

#[test]
fn missing_and_left_over_tensors_are_named() {
    let device = Device::flex();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lenet.safetensors");
    let lenet = Architecture::LeNet5.init(1, 10, [28, 28], &device).unwrap();

    write_state_dict(&lenet, &path, &[("^fc2.bias$", "fc4.bias")]);
    let error = load_torchvision(
        Architecture::LeNet5.init(1, 10, [28, 28], &device).unwrap(),
        &path,
    )
    .unwrap_err();
    assert!(
        matches!(&error, LoadError::Unused { names, .. } if names[..] == ["fc4.bias"]),
        "{error}"
    );

    std::fs::remove_file(&path).unwrap();
    let mut store = SafetensorsStore::from_file(&path)
        .with_to_adapter(BurnToPyTorchAdapter)
        .skip_enum_variants(true)
        .with_regex("^(conv|fc1|fc3).*");
    lenet.save_into(&mut store).unwrap();
    let error = load_torchvision(
        Architecture::LeNet5.init(1, 10, [28, 28], &device).unwrap(),
        &path,
    )
    .unwrap_err();
    assert!(
        matches!(&error, LoadError::Missing { names, .. } if names[..] == ["fc2.bias", "fc2.weight"]),
        "{error}"
    );
}

#[test]
fn files_that_are_no_state_dicts_are_errors() {
    let device = Device::flex();
    let directory = tempfile::tempdir().unwrap();
    let load = |name: &str, content: Option<&[u8]>| {
        let path = directory.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        load_torchvision(model(&device), path).unwrap_err()
    };
    assert!(matches!(load("absent.pth", None), LoadError::Open { .. }));
    assert!(matches!(
        load("weights.h5", Some(b"HDF")),
        LoadError::UnknownKind { .. }
    ));
    assert!(matches!(
        load("text.pth", Some(b"not a pickle")),
        LoadError::Unreadable { .. }
    ));
    assert!(matches!(
        load("empty.pth", Some(b"")),
        LoadError::Unreadable { .. }
    ));
    assert!(matches!(
        load("empty.safetensors", Some(b"")),
        LoadError::Unreadable { .. }
    ));

    for kind in ["pth", "safetensors"] {
        let whole = std::fs::read(data(&format!("mobilenet_v2_w025_random.{kind}"))).unwrap();
        for length in [100, whole.len() / 2, whole.len() - 10] {
            let error = load(&format!("cut.{kind}"), Some(&whole[..length]));
            assert!(
                matches!(
                    error,
                    LoadError::Unreadable { .. } | LoadError::Values { .. }
                ),
                "{kind} cut to {length}: {error}"
            );
        }
    }
}
