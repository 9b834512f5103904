//! Retrains an ONNX file on a multiplier towards other outputs than its own, and writes it back.
//!
//! `retrain MODEL.onnx ARRAYS.npz OUTPUT.onnx [MULTIPLIER]`: the archive has the arrays `input` and `output`. Beside the
//! file it writes `OUTPUT.onnx.npy`, what the retrained network gives without the multiplier, to be compared with another program's.

mod arrays;

use std::error::Error;
use std::io::BufWriter;

use approx_onnx::{FileCodes, OnnxModel, set_file_quantizers};
use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use burn_approx::plan::PlanChoice;
use burn_approx::{
    AnyTensor, ApproxConfig, GraphModel, GraphTensors, Mode, approx_layers, calibrate, convert,
};
use npyz::WriterBuilder;

use arrays::input_and_output;

type Captured = GraphModel<OnnxModel, Vec<AnyTensor>, Vec<AnyTensor>>;

const STEPS: usize = 20;
const LEARNING_RATE: f64 = 3e-4;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (model, arrays, output, multiplier) = match &arguments[..] {
        [model, arrays, output] => (model, arrays, output, "mul8s_1KVA"),
        [model, arrays, output, multiplier] => (model, arrays, output, multiplier.as_str()),
        _ => return Err("give a model, an archive, and the file to write".into()),
    };
    let device = Device::flex();
    let [input, expected] = input_and_output(arrays)?;
    let file = OnnxModel::load(model, &device)?;
    let input = vec![AnyTensor::from_data(input, &device)];
    let captured: Captured = file.capture(input.clone())?;
    let (captured, report) = convert(captured, &ApproxConfig::new(multiplier.parse()?))?;
    calibrate(&captured, |model| drop(model.forward(input.clone())))?;
    let set = set_file_quantizers(&captured, &file.quantizers(), FileCodes::Shifted)?;

    let plans = [PlanChoice::Gather, PlanChoice::Factored].map(|plan| {
        for layer in &approx_layers(&captured) {
            layer.set_plan(plan).expect("a multiplier with factors");
        }
        captured.forward(input.clone()).remove(0).into_data()
    });
    if plans[0].as_bytes() != plans[1].as_bytes() {
        return Err("lookup and factors give different outputs".into());
    }

    // Half of what the file gives, and a slope.
    let count = expected.num_elements() as f32;
    let places = expected.iter::<f32>().enumerate();
    let target: Vec<f32> = places
        .map(|(place, value)| 0.5 * value + place as f32 / count)
        .collect();
    let there = device.clone().autodiff();
    let target = Tensor::<1>::from_floats(&target[..], &there);
    let input_there = vec![AnyTensor::from_data(input[0].clone().into_data(), &there)];
    let mut training = captured.train();
    let loss = |model: &Captured| {
        let output = model.forward(input_there.clone()).remove(0);
        (flat(output) - target.clone()).square().mean()
    };
    let mut optimizer = AdamConfig::new().init();
    let before = loss(&training).into_scalar::<f32>();
    for _ in 0..STEPS {
        let gradients = GradientsParams::from_grads(loss(&training).backward(), &training);
        training = optimizer.step(LEARNING_RATE, training, gradients);
    }
    let after = loss(&training).into_scalar::<f32>();

    let retrained = training.valid();
    // A quantised file gives what quantised layers give.
    approx_layers(&retrained).set_mode(match set.is_empty() {
        true => Mode::Baseline,
        false => Mode::Quantized,
    })?;
    let outputs = retrained.forward(input).remove(0).into_data();
    retrained.into_original().save(output)?;
    write(&format!("{output}.npy"), &outputs)?;
    println!(
        "{model}: {} layers, {} with the file's quantisers; loss {before:.4} -> {after:.4}",
        report.converted.len(),
        set.len()
    );
    match after < before {
        true => Ok(()),
        false => Err("the loss is no lower".into()),
    }
}

/// A tensor of any rank as a list of its values.
fn flat(tensor: AnyTensor) -> Tensor<1> {
    macro_rules! of_rank {
        ($($rank:literal),+) => {
            match tensor.shape().num_dims() {
                $($rank => {
                    let tensor = Tensor::<$rank>::from_tensors(vec![tensor]);
                    tensor.expect("its rank").flatten(0, $rank - 1)
                })+
                rank => panic!("an output of {rank} axes"),
            }
        };
    }
    of_rank!(1, 2, 3, 4)
}

fn write(path: &str, data: &TensorData) -> Result<(), Box<dyn Error>> {
    let shape: Vec<u64> = data.shape().iter().map(|&size| size as u64).collect();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&shape)
        .writer(BufWriter::new(std::fs::File::create(path)?))
        .begin_nd()?;
    writer.extend(data.iter::<f32>())?;
    Ok(writer.finish()?)
}
