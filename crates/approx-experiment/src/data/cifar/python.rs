//! CIFAR as Python has pickled it: dictionaries with an array `data` of a row of 3,072 bytes for each image and a list
//! of labels. CIFAR-10's are `data_batch_1` to `data_batch_5` and `test_batch`; CIFAR-100's are `train` and `test`, and
//! `meta` has the classes' names.

use std::path::Path;

use super::super::directory::{entries_expecting, read_expected};
use super::pickle::{Pickle, Value};
use super::{DataError, Dataset, Images, PIXELS, SHAPE};

const EXPECTED_10: &str = "CIFAR-10's Python files data_batch_1 to data_batch_5 and test_batch";
const EXPECTED_100: &str = "CIFAR-100's Python files train and test";

const LABELS_10: &str = "labels";
const LABELS_100: &str = "fine_labels";

/// Reads CIFAR-10 from a directory.
///
/// # Errors
///
/// A missing file, or one that holds something else.
pub fn read_cifar10(directory: &Path) -> Result<Dataset, DataError> {
    entries_expecting(directory, EXPECTED_10)?;
    let train: Vec<String> = (1..=5).map(|batch| format!("data_batch_{batch}")).collect();
    let train = read_files(directory, &train, LABELS_10, EXPECTED_10)?;
    let test = read_files(directory, &["test_batch".into()], LABELS_10, EXPECTED_10)?;
    super::cifar10(train, test)
}

/// Reads CIFAR-100 from a directory. Labels are those of the 100 fine classes.
///
/// # Errors
///
/// A missing file, or one that holds something else.
pub fn read_cifar100(directory: &Path) -> Result<Dataset, DataError> {
    entries_expecting(directory, EXPECTED_100)?;
    let train = read_files(directory, &["train".into()], LABELS_100, EXPECTED_100)?;
    let test = read_files(directory, &["test".into()], LABELS_100, EXPECTED_100)?;
    let names = std::fs::read(directory.join("meta")).ok();
    let names = names.and_then(|content| class_names(&content).ok());
    super::cifar100(names, train, test)
}

fn class_names(content: &[u8]) -> Result<Vec<String>, String> {
    let pickle = Pickle::parse(content)?;
    let names = pickle.entry("fine_label_names")?;
    let names = pickle.list(names)?.iter().map(|&name| pickle.text(name));
    Ok(names
        .collect::<Result<Vec<&str>, _>>()?
        .into_iter()
        .map(Into::into)
        .collect())
}

fn read_files(
    directory: &Path,
    names: &[String],
    label_name: &'static str,
    expected: &str,
) -> Result<Images, DataError> {
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for name in names {
        let content = read_expected(directory, name, expected)?;
        batch(&content, label_name, &mut pixels, &mut labels).map_err(|problem| {
            DataError::Pickle {
                path: directory.join(name),
                problem,
                labels: label_name,
            }
        })?;
    }
    Ok(Images::new(SHAPE, pixels, labels))
}

/// Appends the images and labels of a batch.
fn batch(
    content: &[u8],
    label_name: &str,
    pixels: &mut Vec<u8>,
    labels: &mut Vec<usize>,
) -> Result<(), String> {
    let pickle = Pickle::parse(content)?;
    let classes = pickle.list(pickle.entry(label_name)?)?;
    for &class in classes {
        match pickle.value(class) {
            Value::Integer(class) if *class >= 0 => labels.push(*class as usize),
            _ => return Err("a label is no number from 0".into()),
        }
    }
    let array = pickle.array(pickle.entry("data")?)?;
    if array.shape != [classes.len(), PIXELS] || array.bytes.len() != classes.len() * PIXELS {
        return Err(format!(
            "its array is {:?} with {} bytes for {} labels; {PIXELS} bytes for each are needed",
            array.shape,
            array.bytes.len(),
            classes.len()
        ));
    }
    pixels.extend(array.bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::pickle::tests::{batch, strings};
    use super::*;
    use crate::data::Split;

    fn write_cifar10(directory: &Path) {
        for number in 1..=5u8 {
            let content = batch("labels", &[number, 0], &[number; 2 * PIXELS]);
            std::fs::write(directory.join(format!("data_batch_{number}")), content).unwrap();
        }
        let content = batch("labels", &[9], &[90; PIXELS]);
        std::fs::write(directory.join("test_batch"), content).unwrap();
    }

    #[test]
    fn batches_are_read_as_the_binary_version_is() {
        let directory = tempfile::tempdir().unwrap();
        write_cifar10(directory.path());
        let dataset = read_cifar10(directory.path()).unwrap();
        let train = dataset.images(Split::Train).unwrap();
        assert_eq!(train.labels(), [1, 0, 2, 0, 3, 0, 4, 0, 5, 0]);
        assert_eq!(train.values(3).unwrap().to_bytes()[PIXELS - 1], 2);
        assert_eq!(dataset.images(Split::Test).unwrap().labels(), [9]);
        assert_eq!(dataset.classes[9], "truck");
    }

    #[test]
    fn fine_classes_count_and_have_names() {
        let directory = tempfile::tempdir().unwrap();
        for (name, labels) in [("train", &[99, 3][..]), ("test", &[42])] {
            let pixels = vec![7; labels.len() * PIXELS];
            let content = batch("fine_labels", labels, &pixels);
            std::fs::write(directory.path().join(name), content).unwrap();
        }
        let names: Vec<String> = (0..100).map(|class| format!("fine {class}")).collect();
        std::fs::write(
            directory.path().join("meta"),
            strings("fine_label_names", &names),
        )
        .unwrap();
        let dataset = read_cifar100(directory.path()).unwrap();
        assert_eq!(dataset.images(Split::Train).unwrap().labels(), [99, 3]);
        assert_eq!(dataset.classes[99], "fine 99");
    }

    #[test]
    fn damage_is_an_error_that_names_the_file() {
        let directory = tempfile::tempdir().unwrap();
        write_cifar10(directory.path());
        let path = directory.path().join("data_batch_2");
        let whole = std::fs::read(&path).unwrap();
        let refused = |content: &[u8], expected: &str| {
            std::fs::write(&path, content).unwrap();
            let error = read_cifar10(directory.path()).unwrap_err().to_string();
            assert!(
                error.contains("data_batch_2 is no batch of CIFAR") && error.contains(expected),
                "{error}"
            );
        };
        for cut in (0..whole.len()).step_by(97) {
            refused(&whole[..cut], "ends too early");
        }
        refused(
            &batch("labels", &[2], &[0; PIXELS - 1]),
            "3071 bytes for 1 labels",
        );
        refused(
            &batch("fine_labels", &[2], &[0; PIXELS]),
            "has no \"labels\"",
        );
        refused(b"not a pickle", "");
    }
}
