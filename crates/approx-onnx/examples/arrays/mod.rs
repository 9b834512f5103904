//! Recorded arrays.

use std::error::Error;
use std::fs::File;
use std::io::Read;

use burn::tensor::{Shape, TensorData};
use npyz::NpyFile;
use npyz::npz::NpzArchive;

/// The arrays `input` and `output` of an archive, of float32 or int64.
pub fn input_and_output(path: &str) -> Result<[TensorData; 2], Box<dyn Error>> {
    let mut archive = NpzArchive::new(File::open(path)?)?;
    let mut array = |name: &str| -> Result<TensorData, Box<dyn Error>> {
        let array = archive
            .by_name(name)?
            .ok_or_else(|| format!("{path} has no array {name:?}"))?;
        read(array)
    };
    Ok([array("input")?, array("output")?])
}

fn read<R: Read>(array: NpyFile<R>) -> Result<TensorData, Box<dyn Error>> {
    let shape: Vec<usize> = array.shape().iter().map(|&size| size as usize).collect();
    let shape = Shape::from(shape);
    Ok(match array.dtype().descr().as_str() {
        text if text.contains("f4") => TensorData::new(array.into_vec::<f32>()?, shape),
        text if text.contains("i8") => TensorData::new(array.into_vec::<i64>()?, shape),
        other => return Err(format!("an array of {other}").into()),
    })
}
