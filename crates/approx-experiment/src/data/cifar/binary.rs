//! CIFAR in its binary version, rows of records of labels and 3,072 bytes of pixels. CIFAR-10's have one byte of label,
//! and are in `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`; CIFAR-100's have two, the coarse class and
//! the fine one, and are in `train.bin` and `test.bin`.

use std::path::Path;

use super::super::directory::{entries_expecting, read_expected};
use super::{DataError, Dataset, Images, PIXELS, SHAPE};

const EXPECTED_10: &str =
    "CIFAR-10's binary files data_batch_1.bin to data_batch_5.bin and test_batch.bin";
const EXPECTED_100: &str = "CIFAR-100's binary files train.bin and test.bin";

/// Reads CIFAR-10 from a directory.
///
/// # Errors
///
/// A missing file, or one that is not made of whole records.
pub fn read_cifar10(directory: &Path) -> Result<Dataset, DataError> {
    entries_expecting(directory, EXPECTED_10)?;
    let train: Vec<String> = (1..=5)
        .map(|batch| format!("data_batch_{batch}.bin"))
        .collect();
    let train = read_files(directory, &train, 1, EXPECTED_10)?;
    let test = read_files(directory, &["test_batch.bin".into()], 1, EXPECTED_10)?;
    super::cifar10(train, test)
}

/// Reads CIFAR-100 from a directory. Labels are those of the 100 fine classes, whose names are in
/// `fine_label_names.txt`.
///
/// # Errors
///
/// A missing file, or one that is not made of whole records.
pub fn read_cifar100(directory: &Path) -> Result<Dataset, DataError> {
    entries_expecting(directory, EXPECTED_100)?;
    let train = read_files(directory, &["train.bin".into()], 2, EXPECTED_100)?;
    let test = read_files(directory, &["test.bin".into()], 2, EXPECTED_100)?;
    let names = std::fs::read_to_string(directory.join("fine_label_names.txt")).ok();
    let names = names.map(|text| text.split_whitespace().map(Into::into).collect());
    super::cifar100(names, train, test)
}

/// The images of some files whose records begin with so many labels, of which the last counts.
fn read_files(
    directory: &Path,
    names: &[String],
    labels_per_record: usize,
    expected: &str,
) -> Result<Images, DataError> {
    let length = labels_per_record + PIXELS;
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for name in names {
        let content = read_expected(directory, name, expected)?;
        if content.is_empty() || !content.len().is_multiple_of(length) {
            return Err(DataError::Length {
                path: directory.join(name),
                expected: content.len().next_multiple_of(length).max(length),
                found: content.len(),
            });
        }
        for record in content.chunks_exact(length) {
            let (classes, image) = record.split_at(labels_per_record);
            labels.extend(classes.last().map(|&class| usize::from(class)));
            pixels.extend(image);
        }
    }
    Ok(Images::new(SHAPE, pixels, labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Split;

    fn record(labels: &[u8], level: u8) -> Vec<u8> {
        [labels, &[level; PIXELS]].concat()
    }

    fn write_cifar10(directory: &Path) {
        for batch in 1..=5 {
            let content = [record(&[batch], 20 * batch), record(&[0], 0)].concat();
            std::fs::write(directory.join(format!("data_batch_{batch}.bin")), content).unwrap();
        }
        std::fs::write(directory.join("test_batch.bin"), record(&[9], 180)).unwrap();
    }

    #[test]
    fn records_keep_their_order() {
        let directory = tempfile::tempdir().unwrap();
        write_cifar10(directory.path());
        let dataset = read_cifar10(directory.path()).unwrap();
        let train = dataset.images(Split::Train).unwrap();
        assert_eq!(train.labels(), [1, 0, 2, 0, 3, 0, 4, 0, 5, 0]);
        assert_eq!(train.values(2).unwrap().to_bytes()[0], 40);
        assert_eq!(dataset.images(Split::Test).unwrap().labels(), [9]);
        assert_eq!(dataset.shape(), [3, 32, 32]);
    }

    #[test]
    fn fine_classes_count() {
        let directory = tempfile::tempdir().unwrap();
        let train = [record(&[19, 99], 7), record(&[0, 3], 8)].concat();
        std::fs::write(directory.path().join("train.bin"), train).unwrap();
        std::fs::write(directory.path().join("test.bin"), record(&[1, 42], 9)).unwrap();
        let dataset = read_cifar100(directory.path()).unwrap();
        let train = dataset.images(Split::Train).unwrap();
        assert_eq!(train.labels(), [99, 3]);
        assert_eq!(train.values(1).unwrap().to_bytes()[PIXELS - 1], 8);
        assert_eq!(dataset.images(Split::Test).unwrap().labels(), [42]);
        assert_eq!(dataset.classes[42], "42");
        let names: Vec<String> = (0..100).map(|class| format!("fine_{class}\n")).collect();
        std::fs::write(
            directory.path().join("fine_label_names.txt"),
            names.concat(),
        )
        .unwrap();
        assert_eq!(
            read_cifar100(directory.path()).unwrap().classes[42],
            "fine_42"
        );
    }

    #[test]
    fn damage_is_an_error_that_names_the_file() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(
            read_cifar10(directory.path()),
            Err(DataError::EmptyDirectory { .. })
        ));
        write_cifar10(directory.path());
        let path = directory.path().join("data_batch_3.bin");
        for length in [0, 1, PIXELS, PIXELS + 2] {
            std::fs::write(&path, vec![0; length]).unwrap();
            let error = read_cifar10(directory.path()).unwrap_err().to_string();
            assert!(error.contains("data_batch_3.bin is truncated"), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(
            read_cifar10(directory.path()),
            Err(DataError::MissingFile { file, .. }) if file == "data_batch_3.bin"
        ));
    }

    #[test]
    fn a_label_beyond_the_classes_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        write_cifar10(directory.path());
        std::fs::write(directory.path().join("test_batch.bin"), record(&[10], 0)).unwrap();
        assert!(matches!(
            read_cifar10(directory.path()),
            Err(DataError::LabelRange { label: 10, .. })
        ));
    }
}
