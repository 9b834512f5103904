//! The program `compare-gradients` on a handful of images.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use approx_multiplier::GradientRule;
use image::{Rgb, RgbImage};
use train_mobilenet::compare::results::{Results, Run};

/// A directory with images of two classes, and the output of studies.
struct Workplace(tempfile::TempDir);

impl Workplace {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (split, count) in [("train", 20u8), ("test", 6)] {
            for (class, hue) in [("blue", 2), ("red", 0)] {
                let folder = directory.path().join("images").join(split).join(class);
                std::fs::create_dir_all(&folder).unwrap();
                for index in 0..count {
                    let mut pixel = [10 * index; 3];
                    pixel[hue] = 255 - index;
                    let image = RgbImage::from_pixel(8, 8, Rgb(pixel));
                    image.save(folder.join(format!("{index}.png"))).unwrap();
                }
            }
        }
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, output: &str, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_compare-gradients"))
            .args([
                "--image-size",
                "8",
                "--batch-size",
                "10",
                "--float-epochs",
                "1",
            ])
            .args(["--epochs", "2", "--multiplier", "mul8s_1L2L", "--seed", "1"])
            .arg("--data")
            .arg(self.path("images"))
            .arg("--output")
            .arg(self.path(output))
            .args(more)
            .output()
            .unwrap()
    }

    fn study(&self, output: &str, more: &[&str]) -> Results {
        let result = self.run(output, more);
        assert!(result.status.success(), "{}", errors(&result));
        results(&self.path(output))
    }
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn results(directory: &Path) -> Results {
    let text = std::fs::read_to_string(directory.join("results.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What does not depend on how long it took.
fn accuracies(results: &Results) -> Vec<(GradientRule, u64, Vec<f64>)> {
    let runs = results
        .subjects
        .iter()
        .flat_map(|subject| subject.runs.clone());
    runs.map(|run: Run| (run.gradient, run.seed, run.accuracy))
        .collect()
}

const BOTH: [&str; 4] = ["--gradient", "straight_through", "--gradient", "difference"];

/// A study in two calls is that in one: nothing is measured twice, and no run changes what the next begins with.
#[test]
fn a_study_goes_on_where_it_was_left() {
    let workplace = Workplace::new();
    let whole = workplace.study("whole", &BOTH);
    assert_eq!(accuracies(&whole).len(), 2);
    for name in ["accuracy.md", "accuracy.csv", "accuracy.svg"] {
        assert!(workplace.path("whole").join(name).exists(), "{name}");
    }

    let first = workplace.study("parts", &["--gradient", "straight_through"]);
    assert_eq!(accuracies(&first).len(), 1);
    let second = workplace.study("parts", &BOTH);
    assert_eq!(accuracies(&second), accuracies(&whole));
    assert_eq!(second.subjects[0].runs[0], first.subjects[0].runs[0]);
    // The file's digest is its own: parameters have other numbers in every program.
    let float = |results: &Results| {
        let float = results.float.as_ref().unwrap();
        [float.before, float.after]
    };
    assert_eq!(float(&second), float(&whole));
    assert_eq!(second.subjects[0].quantized, whole.subjects[0].quantized);
    assert_eq!(second.subjects[0].before, whole.subjects[0].before);
    assert_eq!(workplace.study("parts", &BOTH), second);
}

#[test]
fn wrong_input_is_named() {
    let workplace = Workplace::new();
    let refused = |more: &[&str], code: i32, expected: &str| {
        let output = workplace.run("wrong", more);
        let text = errors(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(expected), "{text}");
    };
    refused(
        &["--epochs", "0"],
        2,
        "--epochs is 0; it must be at least 1",
    );
    refused(&["--learning-rate", "NaN"], 2, "--learning-rate is NaN");
    refused(&["--data", "/nowhere"], 3, "/nowhere");
    refused(&["--multiplier", "mul8s_1L2"], 2, "mul8s_1L2");
    refused(
        &["--gradient", "custom"],
        2,
        "mul8s_1L2L has no gradient tables",
    );
    let empty = workplace.path("empty.pth");
    std::fs::write(&empty, "").unwrap();
    refused(&["--weights", empty.to_str().unwrap()], 3, "empty.pth");

    workplace.study("study", &[]);
    let again = |more: &[&str], code: i32, expected: &str| {
        let output = workplace.run("study", more);
        let text = errors(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(expected), "{text}");
    };
    again(&["--epochs", "1"], 2, "epochs was 2, is 1");
    again(&["--image-size", "4294967304"], 2, "8 to 1024");
    let lock = std::fs::File::create(workplace.path("study/lock")).unwrap();
    lock.lock().unwrap();
    again(&[], 2, "in use by another");
    drop(lock);
    // What the results were measured with is not what is there.
    let network = workplace.path("study/float.bpk");
    let whole = std::fs::read(&network).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(&network, changed).unwrap();
    again(&[], 3, "not the network of these results");
    std::fs::write(&network, whole).unwrap();
    again(&[], 0, "");
    let path = workplace.path("study/results.json");
    let whole = std::fs::read_to_string(&path).unwrap();
    let start = whole.find("\"accuracy\": [").unwrap();
    let end = start + whole[start..].find(']').unwrap();
    std::fs::write(
        &path,
        format!("{}\"accuracy\": [{}", &whole[..start], &whole[end..]),
    )
    .unwrap();
    again(&[], 3, "0 accuracies");
    std::fs::write(&path, &whole).unwrap();
    std::fs::copy(
        workplace.path("images/train/red/0.png"),
        workplace.path("images/train/red/1.png"),
    )
    .unwrap();
    again(&[], 2, "data was");
}
