//! Runs the test data of ONNX itself, single operators and small models, and counts what passes, what is refused and
//! what is wrong.
//!
//! `backend_tests FOLDER ..`: each has folders with a `model.onnx` and `test_data_set_0/{input,output}_N.pb`, as the
//! Python package `onnx` has them in `onnx/backend/test/data/node`.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use approx_onnx::{OnnxModel, read_tensor};
use burn::tensor::{DType, Device, TensorData};
use burn_approx::AnyTensor;
use onnx_ir::{Message, ModelProto, TensorProto};

fn main() -> Result<(), Box<dyn Error>> {
    std::panic::set_hook(Box::new(|_| {}));
    let (mut passed, mut wrong, mut refused) =
        (0, Vec::new(), BTreeMap::<String, Vec<String>>::new());
    for folder in std::env::args().skip(1) {
        let mut tests: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
        tests.sort_by_key(std::fs::DirEntry::file_name);
        for test in tests {
            let name = test.file_name().to_string_lossy().into_owned();
            match run(&test.path()) {
                Ok(Ok(())) => passed += 1,
                Ok(Err(problem)) => wrong.push(format!("{name}: {problem}")),
                Err(error) => refused.entry(error.to_string()).or_default().push(name),
            }
        }
    }
    for (reason, tests) in &refused {
        println!(
            "refused: {}: {}",
            tests.join(" "),
            reason.lines().collect::<Vec<_>>().join(" ")
        );
    }
    for test in &wrong {
        println!("WRONG {test}");
    }
    let count: usize = refused.values().map(Vec::len).sum();
    println!("{passed} passed, {count} refused, {} wrong", wrong.len());
    Ok(())
}

/// Runs one test as it is and, where it is refused so, with all inputs but the first as constants: networks have
/// their axes and shapes as such, these tests as inputs. An outer error is a refusal, an inner one a wrong result.
fn run(folder: &Path) -> Result<Result<(), String>, Box<dyn Error>> {
    let bytes = std::fs::read(folder.join("model.onnx"))?;
    run_model(folder, bytes.clone()).or_else(|error| {
        let mut model = ModelProto::parse_from_bytes(&bytes)?;
        let Some(graph) = model.graph.as_mut() else {
            return Err(error);
        };
        for (index, input) in graph.input.drain(1.min(graph.input.len())..).enumerate() {
            let path = folder.join(format!("test_data_set_0/input_{}.pb", index + 1));
            let mut constant = TensorProto::parse_from_bytes(&std::fs::read(path)?)?;
            constant.name = input.name;
            graph.initializer.push(constant);
        }
        let first_alone = run_model(folder, model.write_to_bytes()?);
        first_alone.or_else(|_| {
            // Some tests have a shape as the only input.
            let graph = model.graph.as_mut().expect("it has a graph");
            for input in graph.input.drain(..) {
                let path = folder.join("test_data_set_0/input_0.pb");
                let mut constant = TensorProto::parse_from_bytes(&std::fs::read(path)?)?;
                constant.name = input.name;
                graph.initializer.push(constant);
            }
            run_model(folder, model.write_to_bytes()?)
        })
    })
}

/// Runs a model on a test's inputs.
fn run_model(folder: &Path, bytes: Vec<u8>) -> Result<Result<(), String>, Box<dyn Error>> {
    let model = OnnxModel::from_bytes(bytes, &Device::flex())?;
    let data = folder.join("test_data_set_0");
    let read = |kind: &str, index: usize| -> Result<TensorData, Box<dyn Error>> {
        Ok(read_tensor(&std::fs::read(
            data.join(format!("{kind}_{index}.pb")),
        )?)?)
    };
    let mut inputs = Vec::new();
    for index in 0..model.inputs().len() {
        let input = read("input", index)?;
        let shape = input.shape().clone();
        // Burn's tensors have one axis at least.
        let input = match shape.is_empty() {
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
        let (found, expected) = (output.into_data(), read("output", index)?);
        // What the file has in half precision is computed in full.
        let tolerance = match model.outputs()[index].dtype {
            Some(DType::F16 | DType::BF16) => 1e-2,
            _ => 1e-3,
        };
        let same_shape = found.shape() == expected.shape()
            || (expected.shape().is_empty() && found.num_elements() == 1);
        if !same_shape {
            return Ok(Err(format!(
                "shape {:?}, not {:?}",
                found.shape(),
                expected.shape()
            )));
        }
        for (place, (found, expected)) in
            found.iter::<f64>().zip(expected.iter::<f64>()).enumerate()
        {
            let is_same = found == expected || (found.is_nan() && expected.is_nan());
            if !is_same && (found - expected).abs() > tolerance * expected.abs().max(1e-2) {
                return Ok(Err(format!(
                    "output {index}, element {place}: {found}, not {expected}"
                )));
            }
        }
    }
    Ok(Ok(()))
}
