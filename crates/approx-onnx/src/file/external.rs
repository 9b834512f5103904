//! Weights that lie in files beside the model's, as large models have them.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use onnx_ir::TensorProto;

/// Where the bytes of a tensor lie.
pub(crate) struct Location {
    pub(crate) path: PathBuf,
    pub(crate) offset: u64,
    pub(crate) length: Option<u64>,
}

/// Where a tensor's bytes lie, which must be within the model's own folder.
pub(crate) fn locate(tensor: &TensorProto, folder: Option<&Path>) -> Result<Location, String> {
    let entry = |key: &str| {
        let entry = tensor.external_data.iter().find(|entry| entry.key == key);
        entry.map(|entry| entry.value.as_str())
    };
    let number = |key: &str| match entry(key) {
        None => Ok(None),
        Some(text) => match text.parse::<u64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(format!("its {key} is {text:?}, which is no number")),
        },
    };
    let name = entry("location").ok_or("its data lies in another file, whose name is missing")?;
    let folder = folder.ok_or_else(|| {
        format!("its data lies in the file {name:?}: load the model from its file, not from bytes")
    })?;
    let relative = Path::new(name);
    let stays = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !stays {
        return Err(format!(
            "its data lies in {name:?}, outside of the model's folder, where nothing is read"
        ));
    }
    let path = folder.join(relative);
    // A link could lead out of the folder all the same.
    let within = |path: &Path| {
        path.canonicalize()
            .map_err(|error| (path.to_owned(), error))
    };
    let (folder, real) = match (within(folder), within(&path)) {
        (Ok(folder), Ok(real)) => (folder, real),
        (Err((path, error)), _) | (_, Err((path, error))) => {
            return Err(format!(
                "its data in {} cannot be read: {error}",
                path.display()
            ));
        }
    };
    if !real.starts_with(&folder) {
        return Err(format!(
            "its data lies in {}, outside of the model's folder, where nothing is read",
            real.display()
        ));
    }
    Ok(Location {
        path: real,
        offset: number("offset")?.unwrap_or(0),
        length: number("length")?,
    })
}

/// Reads a tensor's bytes, of which there must be as many as its shape needs.
pub(super) fn read(location: &Location, needed: usize) -> Result<Vec<u8>, String> {
    let name = location.path.display();
    let fault = |error: std::io::Error| format!("its data in {name} cannot be read: {error}");
    if let Some(length) = location.length
        && length != needed as u64
    {
        return Err(format!(
            "its data in {name} has {length} bytes, but its shape needs {needed}"
        ));
    }
    let mut file = File::open(&location.path).map_err(fault)?;
    let size = file.metadata().map_err(fault)?.len();
    let end = location.offset.checked_add(needed as u64);
    if end.is_none_or(|end| end > size) {
        return Err(format!(
            "its data lies at {} in {name} and needs {needed} bytes, but that file has {size}",
            location.offset
        ));
    }
    file.seek(SeekFrom::Start(location.offset)).map_err(fault)?;
    let mut bytes = vec![0; needed];
    file.read_exact(&mut bytes).map_err(fault)?;
    Ok(bytes)
}
