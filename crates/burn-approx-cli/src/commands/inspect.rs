//! `inspect`: the layers of a network.

use std::fmt::Write;

use approx_experiment::device::DeviceKind;
use approx_onnx::{OnnxLayerQuantizers, OnnxQuantizer, OnnxValue};
use burn_approx::{ApproxLayer, approx_layers};
use serde::Serialize;

use crate::device;
use crate::error::CliError;
use crate::network::{AnyRecorded, FileQuantizers, ModelSource, NamedChoice, NamedShape, Network};
use crate::output::{Output, number, table};

/// Shows a network's inputs, outputs and layers: what can be put on a multiplier, under which path, and how many products it
/// computes.
///
/// A network is an ONNX file, a folder that `calibrate` or `retrain` has written, or an architecture with its weights
/// (resnet18:weights.pth). Paths are what configurations name layers by.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  burn-approx inspect resnet20.onnx\n  burn-approx inspect detector.onnx --input-shape 1,3,224,224"
)]
pub struct Args {
    /// The network
    #[arg(value_name = "MODEL")]
    model: ModelSource,

    #[command(flatten)]
    choice: NamedChoice,

    /// The sizes of an input where the file leaves them open
    #[arg(long, value_name = "[NAME=]SIZE,SIZE,..")]
    input_shape: Vec<NamedShape>,
}

#[derive(Serialize)]
struct Summary {
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    parameters: usize,
    layers: Vec<Layer>,
    /// Of all layers, for one input.
    multiplications: u64,
}

/// What a network takes or gives.
#[derive(Serialize)]
struct Port {
    name: String,
    shape: Option<Vec<Option<usize>>>,
}

impl From<OnnxValue> for Port {
    fn from(value: OnnxValue) -> Self {
        Self {
            name: value.name,
            shape: value.shape,
        }
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(shape) = &self.shape else {
            return write!(f, "{}", self.name);
        };
        let sizes = shape.iter().map(|size| match size {
            Some(size) => size.to_string(),
            None => "?".to_string(),
        });
        write!(
            f,
            "{} [{}]",
            self.name,
            sizes.collect::<Vec<_>>().join(", ")
        )
    }
}

#[derive(Serialize)]
struct Layer {
    path: String,
    kind: String,
    weight: Vec<usize>,
    multiplications: Option<u64>,
    /// What it multiplies with, and how its products are computed.
    multiplier: Option<String>,
    plan: Option<String>,
    /// What its input and weight are quantised by, in the file or as it was saved.
    activation_quantizer: Option<Quantizer>,
    weight_quantizer: Option<Quantizer>,
}

#[derive(Serialize)]
struct Quantizer {
    codes: [i32; 2],
    scales: Vec<f32>,
    zero_points: Vec<i32>,
}

impl From<&OnnxQuantizer> for Quantizer {
    fn from(quantizer: &OnnxQuantizer) -> Self {
        Self {
            codes: quantizer.codes,
            scales: quantizer.scales.clone(),
            zero_points: quantizer.zero_points.clone(),
        }
    }
}

impl std::fmt::Display for Quantizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [least, most] = self.codes;
        match &self.scales[..] {
            [scale] => {
                let scale = number((*scale).into());
                write!(
                    f,
                    "{least}..={most} by {scale}, zero {}",
                    self.zero_points[0]
                )
            }
            scales => write!(f, "{least}..={most}, {} scales", scales.len()),
        }
    }
}

impl Layer {
    fn of(layer: &ApproxLayer, of_file: &[OnnxLayerQuantizers]) -> Result<Self, CliError> {
        let of_file = of_file.iter().find(|own| own.path == layer.path());
        let quantizers = of_file.cloned().or_else(|| OnnxLayerQuantizers::of(layer));
        let settings = layer.settings();
        let multiplier = settings.map(|settings| settings.multiplier().name().to_string());
        let plan = match multiplier {
            Some(_) => Some(layer.plan()?.to_string()),
            None => None,
        };
        Ok(Self {
            path: layer.path().to_string(),
            kind: layer.kind().to_string(),
            weight: layer.shape().weight,
            multiplications: layer.multiplications(),
            multiplier,
            plan,
            activation_quantizer: (quantizers.as_ref()).map(|own| (&own.activation).into()),
            weight_quantizer: quantizers.as_ref().map(|own| (&own.weight).into()),
        })
    }
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    let chosen = match args.choice.is_named()? {
        false => None,
        true => Some(args.choice.resolve(&args.model, output)?),
    };
    let network = Network::load(&args.model, &device::open_one(DeviceKind::default())?)?;
    let example = network.example(&args.input_shape)?;
    let recorded: AnyRecorded = network.record(example.clone())?;
    // Products are counted, and plans made, for the shapes of a pass.
    recorded.try_forward(example)?;
    let recorded = match chosen {
        Some(chosen) => {
            let no_quantizers = FileQuantizers {
                shift_codes: false,
                recalibrate: true,
            };
            (network.convert(recorded, chosen.choice(), no_quantizers)?).network
        }
        None => recorded,
    };
    let quantizers = network.file_quantizers();
    let layers: Vec<Layer> = (approx_layers(&recorded).iter())
        .map(|layer| Layer::of(layer, &quantizers))
        .collect::<Result<_, _>>()?;
    let declared = network.declared();
    let summary = Summary {
        inputs: declared.inputs.iter().cloned().map(Port::from).collect(),
        outputs: declared.outputs.iter().cloned().map(Port::from).collect(),
        parameters: network.num_params(),
        multiplications: layers
            .iter()
            .filter_map(|layer| layer.multiplications)
            .sum(),
        layers,
    };
    let text = text(&summary);
    output.result(&summary, text)
}

/// The summary as a person reads it.
fn text(summary: &Summary) -> String {
    let ports = |ports: &[Port]| {
        ports
            .iter()
            .map(Port::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut text = format!(
        "inputs: {}\noutputs: {}\n{} parameters, {} layers, {} multiplications for one input\n",
        ports(&summary.inputs),
        ports(&summary.outputs),
        summary.parameters,
        summary.layers.len(),
        summary.multiplications
    );
    let paths = tree(&summary.layers);
    let is_quantized = summary
        .layers
        .iter()
        .any(|layer| layer.activation_quantizer.is_some());
    let is_converted = summary.layers.iter().any(|layer| layer.plan.is_some());
    let mut header = vec!["layer", "kind", "weight", "multiplications"];
    if is_quantized {
        header.extend(["input codes", "weight codes"]);
    }
    if is_converted {
        header.extend(["multiplier", "plan"]);
    }
    let columns = header.len();
    let mut rows = table(["layer", "kind", "weight", "multiplications"]);
    rows.set_header(header);
    for (name, layer) in paths {
        let mut cells = vec![name];
        let quantizer = |quantizer: &Option<Quantizer>| match quantizer {
            Some(quantizer) => quantizer.to_string(),
            None => String::new(),
        };
        match layer {
            Some(layer) => {
                let sizes: Vec<String> = layer.weight.iter().map(usize::to_string).collect();
                let multiplications = layer.multiplications.map(|count| count.to_string());
                cells.extend([
                    layer.kind.clone(),
                    sizes.join("x"),
                    multiplications.unwrap_or_default(),
                ]);
                if is_quantized {
                    cells.push(quantizer(&layer.activation_quantizer));
                    cells.push(quantizer(&layer.weight_quantizer));
                }
                if is_converted {
                    cells.push(layer.multiplier.clone().unwrap_or_default());
                    cells.push(layer.plan.clone().unwrap_or_default());
                }
            }
            None => cells.resize(columns, String::new()),
        }
        rows.add_row(cells);
    }
    let _ = write!(text, "{rows}");
    text
}

/// The layers as the leaves of the tree of their modules, each line with its branches drawn before it.
fn tree(layers: &[Layer]) -> Vec<(String, Option<&Layer>)> {
    let paths: Vec<Vec<&str>> = layers
        .iter()
        .map(|layer| layer.path.split('.').collect())
        .collect();
    let mut lines = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        let modules = &path[..path.len() - 1];
        let common = open
            .iter()
            .zip(modules)
            .take_while(|(one, other)| one == other)
            .count();
        open.truncate(common);
        for depth in common..path.len() {
            // A branch goes on below where a later layer has the same modules so far.
            let continues = |depth: usize| {
                let later = paths[index + 1..].iter();
                let mut later = later
                    .take_while(|other| other.len() > depth && other[..depth] == path[..depth]);
                later.any(|other| other.get(depth) != path.get(depth))
            };
            let mut line = String::new();
            for above in 1..depth {
                line += if continues(above) { "│ " } else { "  " };
            }
            if depth > 0 {
                line += if continues(depth) { "├ " } else { "└ " };
            }
            line += path[depth];
            let is_layer = depth + 1 == path.len();
            lines.push((line, is_layer.then_some(&layers[index])));
            if !is_layer {
                open.push(path[depth]);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_drawn_once_and_branches_end_where_they_should() {
        let layer = |path: &str| Layer {
            path: path.to_string(),
            kind: "conv2d".to_string(),
            weight: vec![1],
            multiplications: None,
            multiplier: None,
            plan: None,
            activation_quantizer: None,
            weight_quantizer: None,
        };
        let layers = [
            "conv1",
            "layer1.0.conv1",
            "layer1.0.conv2",
            "layer1.1.conv1",
            "fc",
        ]
        .map(layer);
        let lines: Vec<_> = tree(&layers).into_iter().map(|(line, _)| line).collect();
        assert_eq!(
            lines,
            [
                "conv1",
                "layer1",
                "├ 0",
                "│ ├ conv1",
                "│ └ conv2",
                "└ 1",
                "  └ conv1",
                "fc"
            ]
        );
    }
}
