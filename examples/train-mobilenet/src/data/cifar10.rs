//! CIFAR-10 in its binary version: `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, each a row of records
//! of one byte of label and 3,072 bytes of pixels.

use std::path::Path;

use super::directory::entries_expecting;
use super::{Augmentation, DataError, Dataset, Images};

const SHAPE: [usize; 3] = [3, 32, 32];
const RECORD: usize = 1 + SHAPE[0] * SHAPE[1] * SHAPE[2];
const CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];
const EXPECTED: &str =
    "CIFAR-10's binary files data_batch_1.bin to data_batch_5.bin and test_batch.bin";

/// Reads CIFAR-10 from a directory.
///
/// # Errors
///
/// A missing file, or one that is not made of whole records.
pub fn read_directory(directory: &Path) -> Result<Dataset, DataError> {
    entries_expecting(directory, EXPECTED)?;
    let train: Vec<String> = (1..=5)
        .map(|batch| format!("data_batch_{batch}.bin"))
        .collect();
    let train = read_files(directory, &train)?;
    let test = read_files(directory, &["test_batch.bin".into()])?;
    let augmentation = Augmentation {
        shift: 4,
        mirror: true,
    };
    Dataset::new(
        "cifar10",
        CLASSES.map(Into::into).into(),
        train,
        test,
        augmentation,
    )
}

fn read_files(directory: &Path, names: &[String]) -> Result<Images, DataError> {
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for name in names {
        let path = directory.join(name);
        if !path.exists() {
            return Err(DataError::MissingFile {
                directory: directory.into(),
                file: name.clone(),
                expected: EXPECTED.into(),
            });
        }
        let content = std::fs::read(&path).map_err(|source| DataError::Read {
            path: path.clone(),
            source,
        })?;
        if content.is_empty() || !content.len().is_multiple_of(RECORD) {
            return Err(DataError::Length {
                path,
                expected: content.len().next_multiple_of(RECORD).max(RECORD),
                found: content.len(),
            });
        }
        for record in content.chunks_exact(RECORD) {
            labels.push(record[0].into());
            pixels.extend(&record[1..]);
        }
    }
    Ok(Images::new(SHAPE, pixels, labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(label: u8) -> Vec<u8> {
        let mut record = vec![label * 20; RECORD];
        record[0] = label;
        record
    }

    fn write_all(directory: &Path) {
        for batch in 1..=5 {
            let content = [record(batch), record(0)].concat();
            std::fs::write(directory.join(format!("data_batch_{batch}.bin")), content).unwrap();
        }
        std::fs::write(directory.join("test_batch.bin"), record(9)).unwrap();
    }

    #[test]
    fn records_keep_their_order() {
        let directory = tempfile::tempdir().unwrap();
        write_all(directory.path());
        let dataset = read_directory(directory.path()).unwrap();
        assert_eq!(dataset.train.labels(), [1, 0, 2, 0, 3, 0, 4, 0, 5, 0]);
        assert_eq!(dataset.train.pixels(2)[0], 40);
        assert_eq!(dataset.test.labels(), [9]);
        assert_eq!(dataset.test.shape(), [3, 32, 32]);
    }

    #[test]
    fn damage_is_an_error_that_names_the_file() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(
            read_directory(directory.path()),
            Err(DataError::EmptyDirectory { .. })
        ));
        write_all(directory.path());
        let path = directory.path().join("data_batch_3.bin");
        for length in [0, 1, RECORD - 1, RECORD + 1] {
            std::fs::write(&path, vec![0; length]).unwrap();
            let error = read_directory(directory.path()).unwrap_err().to_string();
            assert!(error.contains("data_batch_3.bin is truncated"), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(
            read_directory(directory.path()),
            Err(DataError::MissingFile { file, .. }) if file == "data_batch_3.bin"
        ));
    }

    #[test]
    fn a_label_beyond_the_classes_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        write_all(directory.path());
        std::fs::write(directory.path().join("test_batch.bin"), record(10)).unwrap();
        assert!(matches!(
            read_directory(directory.path()),
            Err(DataError::LabelRange { label: 10, .. })
        ));
    }
}
