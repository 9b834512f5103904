//! A case of ONNX's own tests: a model of one operator, its inputs, and what it must give.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read;
use std::path::Path;

use approx_onnx::{OnnxModel, read_tensor};
use burn::tensor::{DType, Device, TensorData};
use burn_approx::AnyTensor;
use onnx_ir::{Message, ModelProto, TensorProto};

/// A case: its files, by their names in its folder.
pub struct Case {
    files: BTreeMap<String, Vec<u8>>,
}

/// What became of a case.
pub enum Outcome {
    Passed,
    /// It is not covered, and why.
    Refused(String),
    /// It gives something else, and what.
    Wrong(String),
}

/// The cases of an archive, by their names: a `.tar.gz` of their folders.
#[allow(dead_code)]
pub fn packed(archive: &[u8]) -> std::io::Result<BTreeMap<String, Case>> {
    let mut cases = BTreeMap::new();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let (name, file) = path.split_once('/').expect("files lie in folders");
        let case = cases.entry(name.to_string()).or_insert_with(|| Case {
            files: BTreeMap::new(),
        });
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        case.files.insert(file.to_string(), bytes);
    }
    Ok(cases)
}

impl Case {
    /// The case in a folder.
    #[allow(dead_code)]
    pub fn from_folder(folder: &Path) -> std::io::Result<Self> {
        let model = "model.onnx".to_string();
        let mut files = BTreeMap::from([(model.clone(), std::fs::read(folder.join(model))?)]);
        for entry in std::fs::read_dir(folder.join("test_data_set_0"))? {
            let path = entry?.path();
            let name = path.file_name().expect("an entry has a name");
            let name = format!("test_data_set_0/{}", name.to_string_lossy());
            files.insert(name, std::fs::read(path)?);
        }
        Ok(Self { files })
    }

    fn file(&self, name: &str) -> Result<&[u8], Box<dyn Error>> {
        let file = self.files.get(name).map(Vec::as_slice);
        file.ok_or_else(|| format!("the case has no {name}").into())
    }

    fn value(&self, kind: &str, index: usize) -> Result<&[u8], Box<dyn Error>> {
        self.file(&format!("test_data_set_0/{kind}_{index}.pb"))
    }

    /// Runs the case as it is and, where it is refused so, with all inputs but the first as constants: networks have
    /// their axes and shapes as such, these cases as inputs.
    pub fn outcome(&self) -> Outcome {
        match self.run() {
            Ok(Ok(())) => Outcome::Passed,
            Ok(Err(problem)) => Outcome::Wrong(problem),
            Err(error) => {
                let text = error.to_string();
                Outcome::Refused(text.lines().collect::<Vec<_>>().join(" "))
            }
        }
    }

    /// An outer error is a refusal, an inner one a wrong result.
    fn run(&self) -> Result<Result<(), String>, Box<dyn Error>> {
        let bytes = self.file("model.onnx")?;
        self.run_model(bytes.to_vec()).or_else(|error| {
            let mut model = ModelProto::parse_from_bytes(bytes)?;
            let Some(graph) = model.graph.as_mut() else {
                return Err(error);
            };
            for (index, input) in graph.input.drain(1.min(graph.input.len())..).enumerate() {
                let mut constant = TensorProto::parse_from_bytes(self.value("input", index + 1)?)?;
                constant.name = input.name;
                graph.initializer.push(constant);
            }
            let first_alone = self.run_model(model.write_to_bytes()?);
            first_alone.or_else(|_| {
                // Some cases have a shape as the only input.
                let graph = model.graph.as_mut().expect("it has a graph");
                for input in graph.input.drain(..) {
                    let mut constant = TensorProto::parse_from_bytes(self.value("input", 0)?)?;
                    constant.name = input.name;
                    graph.initializer.push(constant);
                }
                self.run_model(model.write_to_bytes()?)
            })
        })
    }

    /// Runs a model on the case's inputs.
    fn run_model(&self, bytes: Vec<u8>) -> Result<Result<(), String>, Box<dyn Error>> {
        let model = OnnxModel::from_bytes(bytes, &Device::flex())?;
        let mut inputs = Vec::new();
        for index in 0..model.inputs().len() {
            let input = read_tensor(self.value("input", index)?)?;
            // Burn's tensors have one axis at least.
            let input = match input.shape().is_empty() {
                true => {
                    let (bytes, _, dtype) = input.into_parts();
                    TensorData::from_bytes(bytes, [1], dtype)
                }
                false => input,
            };
            inputs.push(AnyTensor::from_data(input, &Device::flex()));
        }
        let outputs: Vec<AnyTensor> = model.forward(inputs)?;
        for (index, output) in outputs.into_iter().enumerate() {
            // What the file has in half precision is computed in full.
            let tolerance = match model.outputs()[index].dtype {
                Some(DType::F16 | DType::BF16) => 1e-2,
                _ => 1e-3,
            };
            let expected = read_tensor(self.value("output", index)?)?;
            if let Err(problem) = compare(&output.into_data(), &expected, tolerance) {
                return Ok(Err(format!("output {index}: {problem}")));
            }
        }
        Ok(Ok(()))
    }
}

/// Whether an output has the shape and, but for rounding, the elements that it must have.
fn compare(found: &TensorData, expected: &TensorData, tolerance: f64) -> Result<(), String> {
    let is_same_shape = found.shape() == expected.shape()
        || (expected.shape().is_empty() && found.num_elements() == 1);
    if !is_same_shape {
        return Err(format!(
            "shape {:?}, not {:?}",
            found.shape(),
            expected.shape()
        ));
    }
    let pairs = found.iter::<f64>().zip(expected.iter::<f64>());
    for (place, (found, expected)) in pairs.enumerate() {
        let is_same = found == expected || (found.is_nan() && expected.is_nan());
        if !is_same && (found - expected).abs() > tolerance * expected.abs().max(1e-2) {
            return Err(format!("element {place}: {found}, not {expected}"));
        }
    }
    Ok(())
}
