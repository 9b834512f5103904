//! Folders of images, PNG or JPEG, of any sizes: `train/<class>/*.png` and `test/<class>/*.png` (or `val` in place of
//! `test`), or `<class>/*.png` alone. Hidden files and folders are no part of it. Files are listed at once, and decoded
//! when they are asked for.

use std::path::{Path, PathBuf};

use super::dataset::{Augmentation, Dataset, Splits};
use super::directory::{entries, entries_expecting};
use super::error::DataError;
use super::images::Images;
use super::preparation::PreparationError;
use super::scaling::Scaling;

const EXPECTED: &str = "train/<class>/*.png and test/<class>/*.png (or .jpg, .jpeg)";

/// How the images of a folder are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FolderOptions {
    /// What brings all images to one size.
    pub scaling: Scaling,
    /// How many bytes of decoded images are kept.
    pub memory: usize,
}

/// The folders of a data set's parts.
#[derive(Debug, Default)]
pub(super) struct Parts {
    train: Option<PathBuf>,
    validation: Option<PathBuf>,
    test: Option<PathBuf>,
}

impl Parts {
    /// The folders in a directory that have the names of parts and hold folders, as parts do; a class may be called
    /// `train`, too.
    pub(super) fn of(directory: &Path) -> Self {
        let part = |name: &str| {
            let path = directory.join(name);
            let holds_folders =
                entries(&path).is_ok_and(|entries| entries.iter().any(|path| path.is_dir()));
            holds_folders.then_some(path)
        };
        let (test, validation) = (part("test"), part("val"));
        // Many data sets publish no labels of their test images, and are measured on these.
        let (test, validation) = match test {
            None => (validation, None),
            test => (test, validation),
        };
        Self {
            train: part("train"),
            validation,
            test,
        }
    }

    /// Whether there is any.
    pub(super) fn is_any(&self) -> bool {
        self.train.is_some() || self.test.is_some()
    }
}

/// Whether a directory is a folder of images of a class.
pub(super) fn is_class(directory: &Path) -> bool {
    entries(directory).is_ok_and(|entries| entries.iter().any(|path| is_image(path)))
}

/// Reads a folder that has images to train on, in `train`, and images to test on, in `test` or `val`.
///
/// # Errors
///
/// A directory that is missing or empty, a class that only the test images have, or a scaling that leaves images of
/// several sizes. Files are not decoded yet: see [`Images::load`].
pub fn read_directory(directory: &Path, options: FolderOptions) -> Result<Dataset, DataError> {
    entries_expecting(directory, EXPECTED)?;
    let train = subdirectory(directory, "train")?;
    let test = subdirectory(directory, "test")
        .or_else(|missing| subdirectory(directory, "val").map_err(|_| missing))?;
    let parts = Parts {
        train: Some(train),
        validation: None,
        test: Some(test),
    };
    read_parts(&parts, options)
}

fn subdirectory(directory: &Path, name: &str) -> Result<PathBuf, DataError> {
    let path = directory.join(name);
    if !path.is_dir() {
        return Err(DataError::MissingFile {
            directory: directory.into(),
            file: format!("directory {name}"),
            expected: EXPECTED.into(),
        });
    }
    Ok(path)
}

/// Reads whichever of `train`, `val` and `test` a folder has. Where there is no `test`, `val` stands for it.
///
/// # Errors
///
/// As [`read_directory`], but for parts that are missing.
pub fn read_available(directory: &Path, options: FolderOptions) -> Result<Dataset, DataError> {
    read_parts(&Parts::of(directory), options)
}

/// Reads a folder whose subfolders are classes: images to test on, and none to train on.
///
/// # Errors
///
/// As [`read_directory`], but for parts that are missing.
pub fn read_classes(directory: &Path, options: FolderOptions) -> Result<Dataset, DataError> {
    let parts = Parts {
        test: Some(directory.into()),
        ..Parts::default()
    };
    read_parts(&parts, options)
}

fn read_parts(parts: &Parts, options: FolderOptions) -> Result<Dataset, DataError> {
    let classes = |part: &Option<PathBuf>| part.as_deref().map(classes).transpose();
    let train = classes(&parts.train)?;
    let test = classes(&parts.test)?;
    let validation = classes(&parts.validation)?;
    // The classes are those of the training images, where there are some.
    let known = [&train, &test, &validation].into_iter().flatten().next();
    let names: Vec<String> = known
        .map(|classes| classes.iter().map(|(name, _)| name.clone()).collect())
        .unwrap_or_default();
    let home = (parts.train.iter()).chain(&parts.test).next();
    for (name, path) in [&test, &validation].into_iter().flatten().flatten() {
        if !names.contains(name) {
            return Err(DataError::UnknownClass {
                path: path.clone(),
                train: home.map_or_else(PathBuf::new, |home| home.join(name)),
            });
        }
    }
    let read = |classes: Option<Vec<(String, PathBuf)>>| {
        classes
            .map(|classes| list(&classes, &names, options))
            .transpose()
    };
    let splits = Splits {
        train: read(train)?,
        validation: read(validation)?,
        test: read(test)?,
    };
    let side = options
        .scaling
        .fixed_size()
        .map_or(0, |[height, width]| height.min(width));
    let augmentation = Augmentation {
        shift: side / 8,
        mirror: true,
    };
    Dataset::new("folder", names, splits, augmentation)
}

/// The class directories in a part's directory, by name.
fn classes(directory: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let found: Vec<_> = entries(directory)?
        .into_iter()
        .filter(|path| path.is_dir())
        .filter_map(|path| Some((path.file_name()?.to_string_lossy().into_owned(), path)))
        .collect();
    if found.is_empty() {
        return Err(DataError::EmptyDirectory {
            path: directory.into(),
            expected: "one directory of images per class".into(),
        });
    }
    Ok(found)
}

/// The images of a part's classes, whose numbers are their places among the names.
fn list(
    classes: &[(String, PathBuf)],
    names: &[String],
    FolderOptions { scaling, memory }: FolderOptions,
) -> Result<Images, DataError> {
    let size = scaling.fixed_size().ok_or(PreparationError::NoSize)?;
    let mut files = Vec::new();
    let mut labels = Vec::new();
    for (name, path) in classes {
        let class = names
            .iter()
            .position(|known| known == name)
            .expect("the caller has compared the classes");
        files.extend(entries(path)?.into_iter().filter(|path| is_image(path)));
        if files.len() == labels.len() {
            return Err(DataError::EmptyDirectory {
                path: path.clone(),
                expected: "PNG or JPEG images".into(),
            });
        }
        labels.resize(files.len(), class);
    }
    Ok(Images::of_files(files, labels, scaling, size, memory))
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| {
        ["png", "jpg", "jpeg"]
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::data::Split;
    use crate::progress::Display;
    use image::{Rgb, RgbImage};

    /// Writes an image of one colour, 10 pixels wide and 14 high.
    pub fn write(root: &Path, path: &str, colour: [u8; 3]) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(10, 14, Rgb(colour))
            .save(path)
            .unwrap();
    }

    fn write_all(root: &Path) {
        write(root, "train/cat/1.png", [200, 0, 0]);
        write(root, "train/dog/1.png", [0, 200, 0]);
        write(root, "train/dog/2.jpg", [0, 0, 200]);
        write(root, "test/dog/3.PNG", [0, 100, 0]);
    }

    const OPTIONS: FolderOptions = FolderOptions {
        scaling: Scaling {
            resize: None,
            crop: Some(crate::data::Crop {
                height: 8,
                width: 8,
            }),
        },
        memory: usize::MAX,
    };

    fn read(root: &Path) -> Result<Dataset, DataError> {
        let dataset = read_directory(root, OPTIONS)?;
        for split in [Split::Train, Split::Test] {
            dataset.images(split)?.load(Display::hidden())?;
        }
        Ok(dataset)
    }

    #[test]
    fn classes_are_numbered_by_name_and_images_brought_to_one_size() {
        let directory = tempfile::tempdir().unwrap();
        write_all(directory.path());
        std::fs::write(directory.path().join("train/cat/notes.txt"), "not an image").unwrap();
        let dataset = read(directory.path()).unwrap();
        let [train, test] = [Split::Train, Split::Test].map(|split| dataset.images(split).unwrap());
        assert_eq!(dataset.classes, ["cat", "dog"]);
        assert_eq!(train.labels(), [0, 1, 1]);
        assert_eq!(test.labels(), [1]);
        assert_eq!(train.shape(), [3, 8, 8]);
        assert_eq!(train.values(0).unwrap().to_bytes()[..64], [200; 64]);
        assert_eq!(test.values(0).unwrap().to_bytes()[64..128], [100; 64]);
    }

    #[test]
    fn what_is_hidden_is_no_part_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        write_all(root);
        let before = read(root).unwrap();
        write(root, "train/.git/1.png", [1; 3]);
        write(root, "test/.cache/1.png", [1; 3]);
        std::fs::write(root.join("train/dog/._2.jpg"), "a resource fork").unwrap();
        std::fs::write(root.join("train/.DS_Store"), "").unwrap();
        let after = read(root).unwrap();
        assert_eq!(after.classes, before.classes);
        for split in [Split::Train, Split::Test] {
            let labels = |dataset: &Dataset| dataset.images(split).unwrap().labels().to_vec();
            assert_eq!(labels(&after), labels(&before));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        assert!(matches!(read(root), Err(DataError::EmptyDirectory { .. })));
        write(root, "train/cat/1.png", [1; 3]);
        write(root, "train/cat/2.png", [1; 3]);
        assert!(matches!(
            read(root),
            Err(DataError::MissingFile { file, .. }) if file == "directory test"
        ));
        std::fs::create_dir_all(root.join("test")).unwrap();
        assert!(matches!(
            read(root),
            Err(DataError::EmptyDirectory { path, .. }) if path.ends_with("test")
        ));
        write(root, "test/bird/1.png", [1; 3]);
        assert!(matches!(
            read(root),
            Err(DataError::UnknownClass { path, .. }) if path.ends_with("test/bird")
        ));
        std::fs::create_dir_all(root.join("train/bird")).unwrap();
        assert!(matches!(
            read(root),
            Err(DataError::EmptyDirectory { path, .. }) if path.ends_with("train/bird")
        ));
    }

    /// ImageNet has `train` and `val`, a download for measuring `val` alone, or the classes alone.
    #[test]
    fn whichever_parts_there_are_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let parts = |root: &Path| {
            let dataset = read_available(root, OPTIONS).unwrap();
            [Split::Train, Split::Validation, Split::Test]
                .map(|split| dataset.images(split).ok().map(Images::len))
        };
        write(root, "val/cat/1.png", [1; 3]);
        assert_eq!(parts(root), [None, None, Some(1)]);
        write(root, "train/cat/1.png", [1; 3]);
        write(root, "train/cat/2.png", [1; 3]);
        assert_eq!(parts(root), [Some(2), None, Some(1)]);
        assert!(read(root).is_ok());
        write(root, "test/cat/1.png", [1; 3]);
        write(root, "test/cat/2.png", [1; 3]);
        write(root, "test/cat/3.png", [1; 3]);
        assert_eq!(parts(root), [Some(2), Some(1), Some(3)]);
        let classes = read_classes(&root.join("train"), OPTIONS).unwrap();
        assert_eq!(classes.images(Split::Test).unwrap().len(), 2);
        assert!(classes.images(Split::Train).is_err());
    }

    #[test]
    fn a_file_that_is_no_image_is_named() {
        let directory = tempfile::tempdir().unwrap();
        write_all(directory.path());
        let path = directory.path().join("train/dog/1.png");
        let whole = std::fs::read(&path).unwrap();
        for content in [&b"not an image"[..], &whole[..whole.len() / 2], b""] {
            std::fs::write(&path, content).unwrap();
            let error = read(directory.path()).unwrap_err().to_string();
            assert!(error.contains("train/dog/1.png"), "{error}");
        }
        // What counts is what is in a file, not what it is called.
        write(directory.path(), "train/dog/3.jpg", [0, 0, 100]);
        std::fs::rename(directory.path().join("train/dog/3.jpg"), &path).unwrap();
        read(directory.path()).unwrap();
    }
}
