//! Whole networks: a training step of MobileNetV2 and forward passes at 224 x 224, in float, quantised and approximate
//! by several plans, with observers off and on; with `--onnx FOLDER`, also those of six networks of torchvision that
//! `pytorch/export.py FOLDER` has written.
//!
//! All cases of a network run in one process, one after the other, and every time is also given relative to the float
//! one. ResNet-18 from ONNX takes turns with one of Burn's own layers, captured.

use std::path::Path;
use std::time::Duration;

use approx_models::{MobileNetV2, MobileNetV2Config, ResNetConfig};
use approx_onnx::OnnxModel;
use bunsen::burner::module::ModuleInit;
use bunsen::kits::images::resnet::ResNetContractConfig;
use burn::module::Module;
use burn::optim::SgdConfig;
use burn::tensor::{Device, Distribution, Tensor};
use burn_approx::convert::{GraphModel, approx_layers, capture};
use burn_approx::quantization::Observer;
use burn_approx_benches::network::{Case, training_step};
use burn_approx_benches::{Arguments, measure, measure_in_turn};
use serde::Serialize;

const FIVE_FACTORS: Case = Case::PLANNED.with_multiplier("1KVA (5 factors), planned", "mul8s_1KVA");

const FORWARD: [Case; 6] = [
    Case::FLOAT,
    Case::QUANTIZED,
    Case::PLANNED,
    FIVE_FACTORS,
    Case::TABLE_LOOKUP,
    Case::HTP_MODEL,
];

const TRAINING: [Case; 8] = [
    Case::FLOAT,
    Case::QUANTIZED,
    Case::PLANNED,
    Case::PLANNED.with_observer("the same, min-max observers on", Observer::MinMax),
    Case::PLANNED.with_observer("the same, histogram observers on", Observer::LeastSquares),
    FIVE_FACTORS,
    Case::TABLE_LOOKUP,
    Case::HTP_MODEL,
];

/// The cases of networks from ONNX.
const FROM_ONNX: [Case; 3] = [Case::FLOAT, Case::QUANTIZED, Case::PLANNED];

/// Those networks: their files' names, and what their forward passes are called.
const EXPORTED: [(&str, &str); 6] = [
    ("mobilenet_v2", "MobileNetV2 from ONNX, 224x224 forward"),
    (
        "efficientnet_b0",
        "EfficientNet-B0 from ONNX, 224x224 forward",
    ),
    ("vgg16", "VGG-16 from ONNX, 224x224 forward"),
    ("alexnet", "AlexNet from ONNX, 224x224 forward"),
    ("resnet18", "ResNet-18 from ONNX, 224x224 forward"),
    ("resnet50", "ResNet-50 from ONNX, 224x224 forward"),
];

/// A model of images as its recorded pass.
type Captured<M> = GraphModel<M, Tensor<4>, Tensor<2>>;

#[derive(Serialize)]
struct Line {
    work: &'static str,
    case: &'static str,
    threads: usize,
    seconds: f64,
    fastest_seconds: f64,
    relative_to_float: f64,
    /// For a network from ONNX: relative to the same one captured from Burn.
    #[serde(skip_serializing_if = "Option::is_none")]
    relative_to_captured: Option<f64>,
}

fn report(
    lines: &mut Vec<Line>,
    work: &'static str,
    case: &'static str,
    time: burn_approx_benches::Timing,
) {
    let float = lines
        .iter()
        .find(|line| line.work == work)
        .map_or(time.median, |line| line.seconds);
    let line = Line {
        work,
        case,
        threads: rayon::current_num_threads(),
        seconds: time.median,
        fastest_seconds: time.fastest,
        relative_to_float: time.median / float,
        relative_to_captured: None,
    };
    println!(
        "{:44} {:32} {:9.4} {:9.4} {:8.2}",
        line.work, line.case, line.seconds, line.fastest_seconds, line.relative_to_float
    );
    lines.push(line);
}

fn forward_passes<M: Module>(
    lines: &mut Vec<Line>,
    arguments: &Arguments,
    work: &'static str,
    model: M,
    forward: impl Fn(&M, Tensor<4>) -> Tensor<2>,
) {
    let images = images();
    for case in FORWARD.iter().filter(|_| arguments.selects(work)) {
        let model = case.prepare(&model, |model| drop(forward(model, images.clone())));
        let time = measure(Duration::from_secs(2), || {
            forward(&model, images.clone()).into_data()
        });
        report(lines, work, case.name(), time);
    }
}

fn images() -> Tensor<4> {
    Tensor::random(
        [1, 3, 224, 224],
        Distribution::Normal(0.0, 1.0),
        &Device::flex(),
    )
}

/// The forward passes of a network from ONNX, in turn with those of the same one captured from Burn, if it is there:
/// that one's name and its pass.
fn exported_forward_passes<M: Module>(
    lines: &mut Vec<Line>,
    folder: &Path,
    (file, work): (&str, &'static str),
    same: Option<(&'static str, Captured<M>)>,
) {
    let images = images();
    let model = OnnxModel::load(folder.join(format!("{file}.onnx")), &Device::flex())
        .and_then(|model| model.capture::<Tensor<4>, Tensor<2>>(images.clone()))
        .unwrap_or_else(|error| panic!("{error}"));
    for case in FROM_ONNX {
        let calibrate = |model: &Captured<OnnxModel>| drop(model.forward(images.clone()));
        let model = case.prepare(&model, calibrate);
        let mut passes: Vec<Box<dyn FnMut()>> =
            vec![Box::new(|| drop(model.forward(images.clone()).into_data()))];
        if let Some((_, same)) = &same {
            let same = case.prepare(same, |same| drop(same.forward(images.clone())));
            let images = images.clone();
            passes.push(Box::new(move || {
                drop(same.forward(images.clone()).into_data());
            }));
        }
        let times = measure_in_turn(Duration::from_secs(4), &mut passes);
        report(lines, work, case.name(), times[0]);
        if let (Some((name, _)), [exported, same]) = (&same, &times[..]) {
            let ratio = exported.median / same.median;
            let line = lines.last_mut().expect("it was just reported");
            line.relative_to_captured = Some(ratio);
            report(lines, name, case.name(), *same);
            println!("{work}, {}: {ratio:.3} of the one captured", case.name());
        }
    }
}

/// The forward passes of the networks from ONNX that are asked for.
fn exported(lines: &mut Vec<Line>, arguments: &Arguments) {
    let device = Device::flex();
    let selected = EXPORTED.iter().filter(|(_, work)| arguments.selects(work));
    let Some(folder) = &arguments.onnx else {
        for (_, work) in selected {
            println!("{work}: not measured without --onnx FOLDER, which pytorch/export.py writes");
        }
        return;
    };
    for &network in selected {
        match network.0 {
            // Models of drop-in layers cannot be captured; this one is of Burn's own.
            "resnet18" => {
                let model = ResNetContractConfig::resnet18(1000).init(&device);
                let same = capture(&model, images(), |model, x| model.forward(x));
                let same = same.expect("a feed-forward model");
                let name = "ResNet-18 captured from Burn, 224x224 forward";
                exported_forward_passes(lines, folder, network, Some((name, same)));
            }
            _ => exported_forward_passes::<OnnxModel>(lines, folder, network, None),
        }
    }
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::from_command_line();
    let mut lines = Vec::new();
    println!(
        "{:44} {:32} {:>9} {:>9} {:>8}",
        "work", "case", "seconds", "fastest", "/ float"
    );

    let work = "MobileNetV2 32x32 batch 16 training step";
    if arguments.selects(work) {
        let device = Device::flex().autodiff();
        device.seed(1);
        let model = MobileNetV2Config::new(10).init(&device);
        let images = Tensor::<4>::random([16, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
        for case in &TRAINING {
            let mut model = case.prepare(&model, |model| drop(model.forward(images.clone())));
            let mut optimizer = SgdConfig::new().init();
            let time = measure(Duration::from_secs(4), || {
                let forward = |model: &_| MobileNetV2::forward(model, images.clone());
                model = training_step(model.clone(), &mut optimizer, forward).0;
            });
            report(&mut lines, work, case.name(), time);
            assert!(
                approx_layers(&model)
                    .iter()
                    .all(|layer| layer.is_calibrated())
            );
        }
    }
    let device = Device::flex();
    let model = MobileNetV2Config::new(1000).init(&device);
    forward_passes(
        &mut lines,
        &arguments,
        "MobileNetV2 224x224 forward",
        model,
        |model, x| model.forward(x),
    );
    let model = ResNetConfig::resnet18(1000).init(&device);
    forward_passes(
        &mut lines,
        &arguments,
        "ResNet-18 224x224 forward",
        model,
        |model, x| model.forward(x),
    );
    exported(&mut lines, &arguments);
    arguments.write_json(&lines)
}
