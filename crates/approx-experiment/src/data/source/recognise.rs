//! What kind of data set lies at a path, by the names of its files alone.

use std::path::{Path, PathBuf};

use super::super::directory::entries;
use super::super::error::DataError;
use super::super::{idx, image_folder, npz};
use super::{DataKind, DataSource};

/// What a data set may be.
const KNOWN: &str = "digits, which comes with the program; MNIST's files (train-images-idx3-ubyte and its three \
    companions, also .gz); CIFAR-10 or CIFAR-100 as unpacked, binary (data_batch_1.bin, train.bin) or Python's (data_batch_1, \
    train and meta); a file .npz, or a folder with train.npz or test.npz; or PNG and JPEG images in train/CLASS and \
    test/CLASS (or val/CLASS), or in CLASS alone";

/// The folders that archives of data sets unpack to, and where torchvision puts them.
const UNPACKED: [&str; 7] = [
    "cifar-10-batches-bin",
    "cifar-10-batches-py",
    "cifar-100-binary",
    "cifar-100-python",
    "raw",
    "MNIST/raw",
    "FashionMNIST/raw",
];

/// The data set at a path.
pub fn recognise(path: &Path) -> Result<DataSource, DataError> {
    let source = |kind, path: PathBuf| DataSource {
        kind,
        path: Some(path),
    };
    let unrecognised = || DataError::Unrecognised {
        path: path.into(),
        known: KNOWN,
    };
    if !path.exists() {
        return Err(DataError::Nowhere {
            path: path.into(),
            known: KNOWN,
        });
    }
    if !path.is_dir() {
        let is_npz = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("npz"));
        return match is_npz {
            true => Ok(source(DataKind::Npz, path.into())),
            false => Err(unrecognised()),
        };
    }
    // What cannot be read is an error of its own.
    let there = entries(path)?;
    if let Some(kind) = by_files(path) {
        return Ok(source(kind, path.into()));
    }
    let below = UNPACKED.iter().map(|folder| path.join(folder));
    let mut below = below.filter_map(|path| Some((by_files(&path)?, path)));
    match (below.next(), below.next()) {
        (Some((_, first)), Some((_, second))) => Err(DataError::Ambiguous {
            path: path.into(),
            first,
            second,
        }),
        (Some((kind, path)), None) => Ok(source(kind, path)),
        _ if image_folder::Parts::of(path).is_any() => {
            Ok(source(DataKind::ImageFolder, path.into()))
        }
        _ if there
            .iter()
            .any(|path| path.is_dir() && image_folder::is_class(path)) =>
        {
            Ok(source(DataKind::ClassFolder, path.into()))
        }
        _ => Err(unrecognised()),
    }
}

/// The kind of the data set whose files lie in a folder.
fn by_files(folder: &Path) -> Option<DataKind> {
    let has = |name: &str| folder.join(name).is_file();
    let has_idx = |name: &str| has(name) || has(&format!("{name}.gz"));
    if idx::FILES.as_flattened().iter().any(|name| has_idx(name)) {
        Some(DataKind::Idx)
    } else if has("data_batch_1.bin") || has("test_batch.bin") {
        Some(DataKind::Cifar10)
    } else if has("train.bin") && has("test.bin") {
        Some(DataKind::Cifar100)
    } else if has("data_batch_1") || has("test_batch") {
        Some(DataKind::Cifar10Python)
    } else if has("train") && has("test") && has("meta") {
        Some(DataKind::Cifar100Python)
    } else if npz::FILES.iter().any(|name| has(name)) {
        Some(DataKind::NpzFolder)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with empty files.
    fn with(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn every_kind_is_made_out() {
        for (files, kind, below) in [
            (&["t10k-images-idx3-ubyte.gz"][..], DataKind::Idx, ""),
            (
                &["MNIST/raw/train-labels-idx1-ubyte"],
                DataKind::Idx,
                "MNIST/raw",
            ),
            (&["test_batch.bin"], DataKind::Cifar10, ""),
            (
                &["data_batch_1", "batches.meta"],
                DataKind::Cifar10Python,
                "",
            ),
            (
                &["cifar-10-batches-py/data_batch_1", "cifar-10-python.tar.gz"],
                DataKind::Cifar10Python,
                "cifar-10-batches-py",
            ),
            (
                &["cifar-10-batches-bin/data_batch_1.bin"],
                DataKind::Cifar10,
                "cifar-10-batches-bin",
            ),
            (&["train.bin", "test.bin"], DataKind::Cifar100, ""),
            (
                &["cifar-100-binary/train.bin", "cifar-100-binary/test.bin"],
                DataKind::Cifar100,
                "cifar-100-binary",
            ),
            (&["train", "test", "meta"], DataKind::Cifar100Python, ""),
            (&["test.npz"], DataKind::NpzFolder, ""),
            (
                &["train/cat/1.png", "val/cat/1.png"],
                DataKind::ImageFolder,
                "",
            ),
            (&["test/cat/1.JPEG"], DataKind::ImageFolder, ""),
            // A class that is called as a part is a class.
            (&["train/1.png", "plane/1.png"], DataKind::ClassFolder, ""),
            (&["cat/1.png", ".git/1.png"], DataKind::ClassFolder, ""),
        ] {
            let folder = with(files);
            let source = DataSource::at(folder.path()).unwrap();
            assert_eq!(source.kind(), kind, "{files:?}");
            assert_eq!(
                source.path().unwrap(),
                folder.path().join(below),
                "{files:?}"
            );
        }
        let folder = with(&["mine.NPZ"]);
        let source = DataSource::at(&folder.path().join("mine.NPZ")).unwrap();
        assert_eq!(source.kind(), DataKind::Npz);
    }

    #[test]
    fn what_was_looked_for_is_said() {
        for files in [
            &[][..],
            &["notes.txt"],
            &["cat/notes.txt"],
            &[".git/1.png"],
            &["1.png"],
        ] {
            let folder = with(files);
            let error = DataSource::at(folder.path()).unwrap_err().to_string();
            for part in [
                "looked for",
                "train-images-idx3-ubyte",
                "data_batch_1.bin",
                "npz",
                "val/CLASS",
            ] {
                assert!(error.contains(part), "{part} in {error}");
            }
        }
        let folder = with(&["data.npy"]);
        assert!(DataSource::at(&folder.path().join("data.npy")).is_err());
        assert!(matches!(
            DataSource::at(&folder.path().join("absent")),
            Err(DataError::Nowhere { .. })
        ));
        let folder = with(&[
            "cifar-10-batches-py/data_batch_1",
            "MNIST/raw/t10k-images-idx3-ubyte",
        ]);
        let error = DataSource::at(folder.path()).unwrap_err().to_string();
        assert!(error.contains("more than one data set"), "{error}");
    }
}
