//! Runs ONNX files on recorded inputs and prints how far the outputs are from recorded ones.
//!
//! `compare MODEL.onnx ARRAYS.npz ..`: the archive has the arrays `input` and `output`, of float32 or int64.

mod arrays;

use std::error::Error;

use approx_onnx::OnnxModel;
use burn::tensor::{Device, TensorData};
use burn_approx::{AnyTensor, approx_layers};

use arrays::input_and_output;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for pair in arguments.chunks(2) {
        let [model, arrays] = pair else {
            return Err("give a model and an archive of arrays each time".into());
        };
        println!(
            "{model}: {}",
            compare(model, arrays).unwrap_or_else(|error| format!("refused: {error}"))
        );
    }
    Ok(())
}

/// Compares the model, run from the file and captured.
fn compare(model: &str, arrays: &str) -> Result<String, Box<dyn Error>> {
    let [input, expected] = input_and_output(arrays)?;
    let model = OnnxModel::load(model, &Device::flex())?;
    let input = vec![AnyTensor::from_data(input, &Device::flex())];
    let run: Vec<AnyTensor> = model.forward(input.clone())?;
    let captured = model.capture::<Vec<AnyTensor>, Vec<AnyTensor>>(input.clone());
    let mut said = format!("off by {:.2e}", distance(&run[0], &expected));
    match captured {
        Ok(captured) => {
            let again = captured.forward(input);
            let layers = approx_layers(&captured);
            said += &format!(
                ", captured by {:.2e}, {} layers",
                distance(&again[0], &expected),
                layers.len()
            );
            if std::env::var_os("LAYERS").is_some() {
                said += &format!("\n{layers}");
            }
        }
        Err(error) => said += &format!(", not captured: {error}"),
    }
    Ok(said)
}

/// The largest difference, in units of the largest expected value.
fn distance(found: &AnyTensor, expected: &TensorData) -> f64 {
    let found = found.clone().into_data();
    if found.shape() != expected.shape() {
        return f64::INFINITY;
    }
    let largest = expected
        .iter::<f64>()
        .fold(0.0, |most: f64, value| most.max(value.abs()));
    let pairs = found.iter::<f64>().zip(expected.iter::<f64>());
    pairs.fold(0.0, |most: f64, (one, other)| most.max((one - other).abs())) / largest
}
