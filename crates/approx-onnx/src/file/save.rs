//! Writing weights back into a copy of the file that they were read from; everything else stays as it is there.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use burn::tensor::DType;
use bytes::Bytes;
use half::{bf16, f16};
use onnx_ir::{GraphProto, Message, ModelProto, TensorProto};
use tempfile::NamedTempFile;

use super::quantize::{self, LayerCodes};
use super::{Source, external, tensor};
use crate::error::{OnnxError, Place};

/// New elements of a tensor of the file: floats, or codes as whole numbers.
pub(crate) type Elements = Vec<f64>;

/// Writes a copy of a model's file in which some tensors have other elements and some layers quantisers; gives the paths of
/// those layers.
///
/// Tensors whose elements are outside of the file go into one file beside the new one, `NAME.data`.
pub(crate) fn save(
    source: &Source,
    path: &Path,
    changed: &HashMap<String, Elements>,
    layers: &[LayerCodes],
) -> Result<Vec<String>, OnnxError> {
    let mut model = source.parse()?;
    let inserted = quantize::insert(&mut model, layers);
    let (quantized, replaced) = inserted.map_err(|problem| OnnxError::Quantizers {
        file: source.name(),
        problem,
    })?;
    let damaged = |problem| OnnxError::Damaged {
        file: source.name(),
        problem,
    };
    let mut left: HashMap<&str, &Elements> = HashMap::new();
    for (name, elements) in changed {
        if !replaced.contains(name) {
            left.insert(name, elements);
        }
    }
    let mut tensors = Vec::new();
    tensors_of(&mut model, &mut tensors);
    let folder = folder_of(path);
    let fault = |source| OnnxError::Write {
        path: path.to_owned(),
        source,
    };
    let mut beside: Option<Beside> = None;
    for (name, tensor) in tensors {
        let new = match left.remove(name.as_str()) {
            Some(elements) => Some(encode(tensor, elements).map_err(damaged)?),
            None => None,
        };
        if tensor.data_location.value() != 0 {
            let beside = match &mut beside {
                Some(beside) => beside,
                None => beside.insert(Beside::new(folder, path).map_err(fault)?),
            };
            beside
                .add(tensor, new, source.folder())
                .map_err(|problem| match problem {
                    Fault::Source(problem) => damaged(format!("the weight {name:?}: {problem}")),
                    Fault::Writing(error) => fault(error),
                })?;
        } else if let Some(bytes) = new
            && *tensor.raw_data != bytes[..]
        {
            clear(tensor);
            tensor.raw_data = Bytes::from(bytes);
        }
    }
    if let Some(name) = left.keys().next() {
        if !model.functions.is_empty() {
            return Err(OnnxError::NotCovered {
                file: source.name(),
                places: vec![Place {
                    operator: "the weight".to_string(),
                    node: name.to_string(),
                    problem: "it lies within a function, where nothing is changed; write the functions into the graph \
                              first, with Python's `onnx.inliner`"
                        .to_string(),
                }],
            });
        }
        return Err(damaged(format!(
            "it no longer has the weight {name:?}: it was changed since it was read"
        )));
    }
    let mut file = temporary(path).map_err(fault)?;
    let write = model.write_to_writer(file.as_file_mut());
    write.map_err(|error| fault(std::io::Error::other(error)))?;
    file.as_file().sync_all().map_err(fault)?;
    // The data first: a model without its data is none.
    if let Some(beside) = beside {
        beside.persist().map_err(fault)?;
    }
    file.persist(path).map_err(|error| fault(error.error))?;
    Ok(quantized)
}

/// The tensors of a model that may be weights, by the names of their values.
fn tensors_of<'a>(model: &'a mut ModelProto, tensors: &mut Vec<(String, &'a mut TensorProto)>) {
    if let Some(graph) = model.graph.as_mut() {
        tensors_of_graph(graph, tensors);
    }
}

fn tensors_of_graph<'a>(
    graph: &'a mut GraphProto,
    tensors: &mut Vec<(String, &'a mut TensorProto)>,
) {
    for initializer in &mut graph.initializer {
        tensors.push((initializer.name.clone(), initializer));
    }
    for node in &mut graph.node {
        let output = node.output.first().cloned().unwrap_or_default();
        for attribute in &mut node.attribute {
            if let Some(tensor) = attribute.t.as_mut() {
                tensors.push((output.clone(), tensor));
            }
            if let Some(inner) = attribute.g.as_mut() {
                tensors_of_graph(inner, tensors);
            }
        }
    }
}

/// Takes all elements out of a tensor.
fn clear(tensor: &mut TensorProto) {
    tensor.raw_data = Bytes::new();
    tensor.float_data.clear();
    tensor.double_data.clear();
    tensor.int32_data.clear();
    tensor.int64_data.clear();
    tensor.uint64_data.clear();
}

/// Elements as a tensor of the file stores them.
fn encode(tensor: &TensorProto, elements: &[f64]) -> Result<Vec<u8>, String> {
    let shape = tensor::shape(tensor)?;
    if shape.iter().product::<usize>() != elements.len() {
        return Err(format!(
            "the weight {:?} has another shape than before",
            tensor.name
        ));
    }
    macro_rules! bytes {
        ($convert:expr) => {
            elements
                .iter()
                .flat_map(|&value| $convert(value).to_le_bytes())
                .collect()
        };
    }
    Ok(match tensor::dtype(tensor.data_type)? {
        DType::F32 => bytes!(|value| value as f32),
        DType::F64 => bytes!(|value| value),
        DType::F16 => bytes!(f16::from_f64),
        DType::BF16 => bytes!(bf16::from_f64),
        DType::I8 => bytes!(|value| value as i8),
        DType::U8 => bytes!(|value| value as u8),
        DType::I16 => bytes!(|value| value as i16),
        DType::U16 => bytes!(|value| value as u16),
        DType::I32 => bytes!(|value| value as i32),
        other => return Err(format!("the weight {:?} holds {other:?}", tensor.name)),
    })
}

/// What the name of a file that is being written ends with.
const TEMPORARY: &str = ".tmp";

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A file beside the one whose place it will take, which others may read as they may read any new file. By its name, the
/// next one removes what a killed one has left.
fn temporary(path: &Path) -> std::io::Result<NamedTempFile> {
    let (folder, name) = (folder_of(path), path.file_name().unwrap_or_default());
    let mut left = name.to_os_string();
    left.push(TEMPORARY);
    match std::fs::remove_file(folder.join(left)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(name).suffix(TEMPORARY).rand_bytes(0);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// The file of elements beside the new model.
struct Beside {
    file: NamedTempFile,
    path: std::path::PathBuf,
    name: String,
    length: u64,
}

enum Fault {
    Source(String),
    Writing(std::io::Error),
}

impl Beside {
    fn new(folder: &Path, model: &Path) -> Result<Self, std::io::Error> {
        let mut name = model.file_name().unwrap_or_default().to_os_string();
        name.push(".data");
        let Some(text) = name.to_str() else {
            return Err(std::io::Error::other(
                "the file's name must be Unicode: the model names its data",
            ));
        };
        let path = folder.join(&name);
        Ok(Self {
            file: temporary(&path)?,
            path,
            name: text.to_string(),
            length: 0,
        })
    }

    /// Puts a tensor's elements, new ones or those that it has, behind the others.
    fn add(
        &mut self,
        tensor: &mut TensorProto,
        new: Option<Vec<u8>>,
        folder: Option<&Path>,
    ) -> Result<(), Fault> {
        let location = external::locate(tensor, folder).map_err(Fault::Source)?;
        let length = match new {
            Some(bytes) => {
                self.file.write_all(&bytes).map_err(Fault::Writing)?;
                bytes.len() as u64
            }
            None => {
                let unreadable = |error: std::io::Error| {
                    Fault::Source(format!(
                        "{} cannot be read: {error}",
                        location.path.display()
                    ))
                };
                let mut file = File::open(&location.path).map_err(unreadable)?;
                let rest = file
                    .metadata()
                    .map_err(unreadable)?
                    .len()
                    .saturating_sub(location.offset);
                file.seek(SeekFrom::Start(location.offset))
                    .map_err(unreadable)?;
                let mut part = file.take(location.length.unwrap_or(rest));
                std::io::copy(&mut part, &mut self.file).map_err(Fault::Writing)?
            }
        };
        for entry in &mut tensor.external_data {
            match entry.key.as_str() {
                "location" => entry.value = self.name.clone(),
                "offset" => entry.value = self.length.to_string(),
                "length" => entry.value = length.to_string(),
                _ => {}
            }
        }
        // A checksum would be that of the elements before.
        tensor.external_data.retain(|entry| entry.key != "checksum");
        for (key, value) in [("offset", self.length), ("length", length)] {
            if !tensor.external_data.iter().any(|entry| entry.key == key) {
                let mut entry = tensor.external_data[0].clone();
                entry.key = key.to_string();
                entry.value = value.to_string();
                tensor.external_data.push(entry);
            }
        }
        self.length += length;
        Ok(())
    }

    fn persist(self) -> Result<(), std::io::Error> {
        self.file.as_file().sync_all()?;
        self.file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }
}
