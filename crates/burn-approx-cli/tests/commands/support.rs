//! Running the program in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use npyz::WriterBuilder;
use tempfile::TempDir;

/// A folder with files for the program.
pub struct Workplace {
    folder: TempDir,
}

/// What the program printed, and its exit code.
pub struct Finished {
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
}

impl Workplace {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Runs the program with arguments that are separated by spaces.
    pub fn run(&self, arguments: &str) -> Finished {
        self.run_words(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs the program with arguments that may have spaces.
    pub fn run_words(&self, arguments: &[&str]) -> Finished {
        let output = Command::new(env!("CARGO_BIN_EXE_burn-approx"))
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let finished = Finished {
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            code: output.status.code(),
        };
        assert!(
            !finished.stderr.contains("panicked"),
            "{arguments:?}: {}",
            finished.stderr
        );
        assert!(!finished.stdout.contains('\x1b') && !finished.stderr.contains('\x1b'));
        finished
    }

    /// Runs the program, which must succeed.
    pub fn succeed(&self, arguments: &str) -> Finished {
        let finished = self.run(arguments);
        assert_eq!(finished.code, Some(0), "{arguments}: {}", finished.stderr);
        finished
    }

    /// The result of a run in JSON.
    pub fn json(&self, arguments: &str) -> serde_json::Value {
        let finished = self.succeed(&format!("{arguments} --json"));
        serde_json::from_str(&finished.stdout).unwrap()
    }

    /// Runs the program, which must fail with this exit code and these words.
    pub fn fail(&self, arguments: &str, code: i32, words: &str) {
        let finished = self.run(arguments);
        assert_eq!(
            finished.code,
            Some(code),
            "{arguments}: {}",
            finished.stderr
        );
        assert!(
            finished.stderr.contains(words),
            "{arguments}: {}",
            finished.stderr
        );
    }

    /// Writes an array.
    pub fn array<T: npyz::AutoSerialize + Copy>(&self, name: &str, shape: &[u64], values: &[T]) {
        let file = std::fs::File::create(self.path(name)).unwrap();
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .shape(shape)
            .writer(std::io::BufWriter::new(file))
            .begin_nd()
            .unwrap();
        writer.extend(values.iter().copied()).unwrap();
        writer.finish().unwrap();
    }

    /// Reads an array.
    pub fn values<T: npyz::Deserialize>(&self, name: &str) -> (Vec<u64>, Vec<T>) {
        let bytes = self.read(name);
        let array = npyz::NpyFile::new(&bytes[..]).unwrap();
        (array.shape().to_vec(), array.into_vec().unwrap())
    }

    /// The names of the folder's files.
    pub fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Unpacks a bundled file of reference vectors, `NAME.npz`, into one `.npy` file per array.
    pub fn unpack(&self, name: &str) {
        let file = std::fs::File::open(golden().join(format!("{name}.npz"))).unwrap();
        zip::ZipArchive::new(file)
            .unwrap()
            .extract(self.folder.path())
            .unwrap();
    }
}

/// The folder of the reference vectors.
pub fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/golden")
}

/// The largest difference of two arrays of float32.
pub fn distance(workplace: &Workplace, one: &str, other: &str) -> f32 {
    let read = |name: &str| {
        let bytes = workplace.read(name);
        let array = npyz::NpyFile::new(&bytes[..]).unwrap();
        (array.shape().to_vec(), array.into_vec::<f32>().unwrap())
    };
    let ((shape, one), (other_shape, other)) = (read(one), read(other));
    assert_eq!(shape, other_shape);
    one.iter()
        .zip(&other)
        .fold(0.0, |most, (one, other)| most.max((one - other).abs()))
}

/// Writes grey images of 8 x 8 and their labels, which look random.
pub fn image_archive(workplace: &Workplace, name: &str, count: usize) {
    archive_of(workplace, name, count, [1, 8]);
}

/// Writes square images of some channels and this size, and their labels, which look random.
pub fn archive_of(workplace: &Workplace, name: &str, count: usize, [channels, size]: [usize; 2]) {
    let mut writer = npyz::npz::NpzWriter::create(workplace.path(name)).unwrap();
    let images: Vec<f32> = (0..count * channels * size * size)
        .map(|place| ((place * 7919 + 13) % 97) as f32 / 48.0 - 1.0)
        .collect();
    let labels: Vec<i64> = (0..count).map(|image| image as i64 * 7 % 3).collect();
    let mut array = writer
        .array("inputs", Default::default())
        .unwrap()
        .default_dtype()
        .shape(&[count, channels, size, size].map(|size| size as u64))
        .begin_nd()
        .unwrap();
    array.extend(images).unwrap();
    array.finish().unwrap();
    let mut array = writer
        .array("labels", Default::default())
        .unwrap()
        .default_dtype()
        .shape(&[count as u64])
        .begin_nd()
        .unwrap();
    array.extend(labels).unwrap();
    array.finish().unwrap();
}
