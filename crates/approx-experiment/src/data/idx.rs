//! The IDX format of MNIST and its relatives: four files, plain or compressed with gzip.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::dataset::{Augmentation, Dataset, Splits, numbered_classes};
use super::directory::entries_expecting;
use super::error::DataError;
use super::images::Images;

/// The files of images and of labels, to train on and to test on.
pub(super) const FILES: [[&str; 2]; 2] = [
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"],
    ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
];
const EXPECTED: &str = "MNIST's four files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and \
     t10k-labels-idx1-ubyte, plain or with .gz";

/// Unsigned bytes in three dimensions and in one.
const IMAGES_MAGIC: [u8; 4] = [0, 0, 8, 3];
const LABELS_MAGIC: [u8; 4] = [0, 0, 8, 1];

/// Reads MNIST, or a data set in its format and with its file names, from a directory.
///
/// # Errors
///
/// A missing, damaged or truncated file, or one that does not fit its counterpart.
pub fn read_directory(directory: &Path) -> Result<Dataset, DataError> {
    entries_expecting(directory, EXPECTED)?;
    let [train, test] = FILES.map(|[images, labels]| -> Result<Images, DataError> {
        let (images_path, images) = read_file(directory, images)?;
        let (labels_path, labels) = read_file(directory, labels)?;
        parse(&images_path, &images, &labels_path, &labels)
    });
    let (train, test) = (train?, test?);
    let classes = 1 + train.labels().iter().copied().max().unwrap_or(0).max(9);
    let augmentation = Augmentation {
        shift: 2,
        mirror: false,
    };
    let splits = Splits::train_and_test(train, test);
    Dataset::new("mnist", numbered_classes(classes), splits, augmentation)
}

/// The content of a file, from `name` or else from `name.gz`.
fn read_file(directory: &Path, name: &str) -> Result<(PathBuf, Vec<u8>), DataError> {
    let plain = directory.join(name);
    let (path, compressed) = if plain.exists() {
        (plain, false)
    } else {
        let packed = directory.join(format!("{name}.gz"));
        if !packed.exists() {
            return Err(DataError::MissingFile {
                directory: directory.into(),
                file: format!("{name} or {name}.gz"),
                expected: EXPECTED.into(),
            });
        }
        (packed, true)
    };
    let error = |source| DataError::Read {
        path: path.clone(),
        source,
    };
    let mut content = std::fs::read(&path).map_err(error)?;
    if compressed {
        let mut plain = Vec::new();
        GzDecoder::new(&content[..])
            .read_to_end(&mut plain)
            .map_err(error)?;
        content = plain;
    }
    Ok((path, content))
}

/// Puts the images of one file and the labels of another together. The paths are for messages only.
///
/// # Errors
///
/// A file of another kind or length than its header says, or counts that differ.
pub fn parse(
    images_path: &Path,
    images: &[u8],
    labels_path: &Path,
    labels: &[u8],
) -> Result<Images, DataError> {
    let ([count, height, width], pixels) = array(images_path, images, "IDX images", IMAGES_MAGIC)?;
    let ([label_count], labels) = array(labels_path, labels, "IDX labels", LABELS_MAGIC)?;
    if count != label_count {
        return Err(DataError::LabelCount {
            images_path: images_path.into(),
            images: count,
            labels_path: labels_path.into(),
            labels: label_count,
        });
    }
    Ok(Images::new(
        [1, height, width],
        pixels.into(),
        labels.iter().map(|&label| label.into()).collect(),
    ))
}

/// The sizes and the bytes of an array of rank `RANK`.
fn array<'a, const RANK: usize>(
    path: &Path,
    content: &'a [u8],
    format: &'static str,
    magic: [u8; 4],
) -> Result<([usize; RANK], &'a [u8]), DataError> {
    let length = |expected| DataError::Length {
        path: path.into(),
        expected,
        found: content.len(),
    };
    let header = 4 + 4 * RANK;
    if content.len() >= 4 && content[..4] != magic {
        return Err(DataError::Magic {
            path: path.into(),
            format,
            found: content[..4].into(),
            expected: magic.into(),
        });
    }
    if content.len() < header {
        return Err(length(header));
    }
    let sizes = std::array::from_fn(|axis| {
        let bytes = &content[4 + 4 * axis..][..4];
        bytes
            .iter()
            .fold(0, |size, &byte| size << 8 | usize::from(byte))
    });
    // A damaged header can name sizes whose product does not fit; such a file is truncated whatever its length.
    let expected = sizes
        .iter()
        .try_fold(1, |product: usize, &size| product.checked_mul(size))
        .and_then(|size| size.checked_add(header))
        .unwrap_or(usize::MAX);
    if content.len() != expected {
        return Err(length(expected));
    }
    Ok((sizes, &content[header..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Split;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn images(count: u8, size: u8) -> Vec<u8> {
        let mut content = IMAGES_MAGIC.to_vec();
        for value in [count, size, size] {
            content.extend([0, 0, 0, value]);
        }
        content.extend(std::iter::repeat_n(
            9,
            usize::from(count) * usize::from(size).pow(2),
        ));
        content
    }

    fn labels(values: &[u8]) -> Vec<u8> {
        let mut content = LABELS_MAGIC.to_vec();
        content.extend((values.len() as u32).to_be_bytes());
        content.extend(values);
        content
    }

    fn write_all(directory: &Path) {
        for ([image_name, label_name], values) in FILES.into_iter().zip([&[0, 1, 9][..], &[3]]) {
            let content = images(values.len() as u8, 4);
            std::fs::write(directory.join(image_name), content).unwrap();
            std::fs::write(directory.join(label_name), labels(values)).unwrap();
        }
    }

    #[test]
    fn plain_and_compressed_files_read_alike() {
        let directory = tempfile::tempdir().unwrap();
        write_all(directory.path());
        let hashes = |dataset: &Dataset| {
            [Split::Train, Split::Test].map(|split| dataset.images(split).unwrap().hash().unwrap())
        };
        let plain = read_directory(directory.path()).unwrap();
        assert_eq!(plain.images(Split::Train).unwrap().labels(), [0, 1, 9]);
        assert_eq!(plain.shape(), [1, 4, 4]);
        assert_eq!(plain.images(Split::Test).unwrap().len(), 1);
        assert_eq!(plain.classes.len(), 10);

        for name in FILES.as_flattened() {
            let path = directory.path().join(name);
            let packed =
                std::fs::File::create(directory.path().join(format!("{name}.gz"))).unwrap();
            let mut encoder = GzEncoder::new(packed, Compression::default());
            encoder.write_all(&std::fs::read(&path).unwrap()).unwrap();
            encoder.finish().unwrap();
            std::fs::remove_file(path).unwrap();
        }
        let packed = read_directory(directory.path()).unwrap();
        assert_eq!(hashes(&packed), hashes(&plain));
    }

    #[test]
    fn absent_and_empty_directories_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(
            read_directory(&directory.path().join("absent")),
            Err(DataError::Directory { .. })
        ));
        assert!(matches!(
            read_directory(directory.path()),
            Err(DataError::EmptyDirectory { .. })
        ));
    }

    #[test]
    fn a_missing_file_is_named() {
        for name in FILES.as_flattened() {
            let directory = tempfile::tempdir().unwrap();
            write_all(directory.path());
            std::fs::remove_file(directory.path().join(name)).unwrap();
            let error = read_directory(directory.path()).unwrap_err();
            assert!(
                matches!(&error, DataError::MissingFile { file, .. } if file.starts_with(name)),
                "{error}"
            );
        }
    }

    #[test]
    fn every_truncation_is_an_error_that_names_the_file() {
        let whole = [images(3, 4), labels(&[0, 1, 9])];
        let [image_path, label_path] = ["images", "labels"].map(Path::new);
        for cut in 0..whole[0].len() {
            let error = parse(image_path, &whole[0][..cut], label_path, &whole[1]).unwrap_err();
            assert!(
                error.to_string().starts_with("images is truncated"),
                "{error}"
            );
        }
        for cut in 0..whole[1].len() {
            let error = parse(image_path, &whole[0], label_path, &whole[1][..cut]).unwrap_err();
            assert!(
                error.to_string().starts_with("labels is truncated"),
                "{error}"
            );
        }
    }

    #[test]
    fn wrong_kinds_counts_and_sizes_are_errors() {
        let [image_path, label_path] = ["images", "labels"].map(Path::new);
        let parse = |images: &[u8], labels: &[u8]| {
            parse(image_path, images, label_path, labels).unwrap_err()
        };
        assert!(matches!(
            parse(&labels(&[1]), &labels(&[1])),
            DataError::Magic { .. }
        ));
        let error = parse(&images(3, 4), &labels(&[1, 2]));
        assert_eq!(
            error.to_string(),
            "images has 3 images but labels has 2 labels; there must be one label per image"
        );
        let mut long = images(3, 4);
        long.push(0);
        assert!(
            parse(&long, &labels(&[1, 2, 3]))
                .to_string()
                .contains("too long")
        );
        let mut huge = images(3, 4);
        huge[4..16].fill(0xff);
        assert!(
            parse(&huge, &labels(&[1, 2, 3]))
                .to_string()
                .contains("truncated")
        );
    }

    #[test]
    fn damaged_compression_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        write_all(directory.path());
        let name = FILES[0][0];
        std::fs::remove_file(directory.path().join(name)).unwrap();
        std::fs::write(
            directory.path().join(format!("{name}.gz")),
            b"\x1f\x8bbroken",
        )
        .unwrap();
        assert!(matches!(
            read_directory(directory.path()),
            Err(DataError::Read { .. })
        ));
    }
}
