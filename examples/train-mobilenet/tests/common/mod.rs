//! A small data set on disk, and the program run on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use approx_experiment::data::{Images, Split, digits};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use train_mobilenet::report::Report;

/// A directory that holds a small data set in MNIST's format and the output of runs.
pub struct Workplace {
    directory: tempfile::TempDir,
}

impl Workplace {
    /// 240 training and 60 test images.
    pub fn new() -> Self {
        Self::with_images([240, 60])
    }

    /// Writes as many training and test images as asked for, taken from the bundled digits.
    pub fn with_images([train, test]: [usize; 2]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let dataset = digits::read().unwrap();
        let data = directory.path().join("data");
        std::fs::create_dir(&data).unwrap();
        for (name, split, count) in [("train", Split::Train, train), ("t10k", Split::Test, test)] {
            write_idx(&data, name, dataset.images(split).unwrap(), count);
        }
        Self { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The command for a short run whose output goes to the directory `output`.
    pub fn command(&self, output: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_train-mobilenet"));
        command
            .args([
                "--dataset",
                "mnist",
                "--epochs",
                "3",
                "--retrain-epochs",
                "2",
            ])
            .arg("--data")
            .arg(self.path("data"))
            .arg("--output")
            .arg(self.path(output))
            .args(more);
        command
    }

    pub fn run(&self, output: &str, more: &[&str]) -> Output {
        self.command(output, more).output().unwrap()
    }

    pub fn report(&self, output: &str) -> Report {
        let path = self.path(output).join("report.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    /// The weights of the finished, approximate model, byte by byte.
    pub fn weights(&self, output: &str) -> Vec<f32> {
        let path = self.path(output).join("approximate");
        let model = approx_models::MobileNetV2Config::new(10)
            .with_in_channels(1)
            .with_width(0.25)
            .with_stem(approx_models::Stem::Small)
            .init(&burn::tensor::Device::flex());
        parameters(&burn_approx::load(model, path).unwrap())
    }
}

fn write_idx(directory: &Path, name: &str, images: &Images, count: usize) {
    let [_, height, width] = images.shape();
    let mut content = vec![0, 0, 8, 3];
    for size in [count, height, width] {
        content.extend((size as u32).to_be_bytes());
    }
    for index in 0..count {
        content.extend(&*images.values(index).unwrap().to_bytes());
    }
    std::fs::write(directory.join(format!("{name}-images-idx3-ubyte")), content).unwrap();

    let mut content = vec![0, 0, 8, 1];
    content.extend((count as u32).to_be_bytes());
    content.extend(images.labels()[..count].iter().map(|&label| label as u8));
    std::fs::write(directory.join(format!("{name}-labels-idx1-ubyte")), content).unwrap();
}

/// A model's parameters as one list of numbers, to compare two trainings by.
pub fn parameters<M: Module>(model: &M) -> Vec<f32> {
    struct Collector(Vec<f32>);
    impl ModuleVisitor for Collector {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(param.val().into_data().iter::<f32>());
        }
    }
    let mut collector = Collector(Vec::new());
    model.visit(&mut collector);
    collector.0
}

/// What the program wrote to standard error.
pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
