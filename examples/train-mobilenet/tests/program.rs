//! The program from outside: what it writes, how it fails, and with which exit code.

mod common;

use approx_multiplier::OperandTrace;
use common::{Workplace, errors};
use train_mobilenet::report::Report;

#[test]
fn a_run_trains_converts_retrains_and_reports() {
    let workplace = Workplace::new();
    let output = workplace.run("run", &["--epochs", "6", "--batch-size", "16"]);
    assert!(output.status.success(), "{}", errors(&output));
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(
        table.contains("approximate (mul8s_1L2L), retrained"),
        "{table}"
    );
    // Not a terminal: a line per epoch in place of bars.
    let progress = errors(&output);
    assert!(
        progress.contains("training epoch 6/6: training loss"),
        "{progress}"
    );
    assert!(progress.contains("retraining epoch 2/2"), "{progress}");
    assert!(!progress.contains('\x1b'));

    let report: Report = workplace.report("run");
    assert_eq!(report.training.len(), 6);
    assert_eq!(report.retraining.len(), 2);
    assert_eq!(report.layers.len(), 53);
    let accuracy = report.accuracy;
    assert_eq!(accuracy.float, report.training[5].test_accuracy);
    assert_eq!(accuracy.retrained, Some(report.retraining[1].test_accuracy));
    // A short training on 240 images does not reach far, but beyond guessing, which is right one time in ten.
    assert!(
        accuracy.float > 20.0 && accuracy.quantized > 20.0,
        "{accuracy:?}"
    );
    for file in [
        "accuracy.svg",
        "float.bpk",
        "approximate/approximation.json",
    ] {
        assert!(workplace.path("run").join(file).exists(), "{file}");
    }
    assert!(!workplace.weights("run").is_empty());
}

#[test]
fn layers_and_retraining_can_be_chosen() {
    let workplace = Workplace::new();
    let layers = [
        "--layers",
        "blocks.*.depthwise.conv",
        "--layers",
        "classifier",
    ];
    let trace = workplace.path("trace.json");
    let trace = trace.to_str().unwrap();
    let arguments = [
        &layers[..],
        &["--epochs", "1", "--retrain-epochs", "0", "--quiet"],
        &["--trace", trace],
    ]
    .concat();
    let output = workplace.run("run", &arguments);
    assert!(output.status.success(), "{}", errors(&output));
    assert_eq!(errors(&output), "");
    let report = workplace.report("run");
    assert_eq!(report.layers.len(), 18);
    assert_eq!(report.accuracy.retrained, None);
    assert!(report.retraining.is_empty());
    let trace = OperandTrace::load(trace).unwrap();
    let names: Vec<&str> = trace.layers().iter().map(|layer| layer.name()).collect();
    assert_eq!(names, report.layers);
}

/// A table of one's own, and what its file does not say.
#[test]
fn an_own_table_is_run_and_what_was_assumed_of_it_said() {
    let workplace = Workplace::new();
    let table = workplace.path("odd.csv");
    let rows = (-128..128).map(|a| {
        let products = (-128..128).map(|b| (a * b - 1).to_string());
        products.collect::<Vec<_>>().join(",")
    });
    std::fs::write(&table, rows.collect::<Vec<_>>().join("\n")).unwrap();
    let table = table.to_str().unwrap();
    let arguments = [
        "--multiplier",
        table,
        "--epochs",
        "1",
        "--retrain-epochs",
        "0",
    ];
    let output = workplace.run("run", &arguments);
    let said = errors(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("they were taken as signed"), "{said}");
    assert_eq!(workplace.report("run").multiplier.name, "odd");
}

#[test]
fn a_finished_run_is_replaced_and_an_unfinished_one_kept() {
    let workplace = Workplace::new();
    let short = ["--epochs", "1", "--retrain-epochs", "0"];
    assert!(workplace.run("run", &short).status.success());
    let picture = workplace.path("run/accuracy.svg");
    std::fs::write(&picture, "of the first run").unwrap();
    assert!(workplace.run("run", &short).status.success());
    let replaced = std::fs::read_to_string(&picture).unwrap();
    assert!(replaced.starts_with("<svg"), "{replaced}");

    std::fs::remove_file(workplace.path("run/report.json")).unwrap();
    let output = workplace.run("run", &short);
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("--resume"), "{}", errors(&output));
    let output = workplace.run("run", &[&short[..], &["--overwrite"]].concat());
    assert!(output.status.success(), "{}", errors(&output));
}

#[test]
fn faults_are_told_by_message_and_exit_code() {
    let workplace = Workplace::new();
    std::fs::create_dir(workplace.path("empty")).unwrap();
    let empty = workplace.path("empty").display().to_string();
    let absent = workplace.path("absent").display().to_string();
    let cases: [(&[&str], i32, &str); 8] = [
        (
            &["--data", &empty],
            3,
            "is empty; expected MNIST's four files",
        ),
        (&["--data", &absent], 3, "is not a directory"),
        (
            &["--dataset", "cifar10", "--data", &empty],
            3,
            "data_batch_1.bin",
        ),
        (
            &["--dataset", "folder", "--data", &empty],
            3,
            "train/<class>",
        ),
        (&["--layers", "blocks.99.**"], 2, "blocks.99.**"),
        (&["--batch-size", "1"], 2, "--batch-size is 1"),
        (&["--resume"], 2, "can be resumed"),
        (&["--multiplier", "mul8s_nothing"], 2, "mul8s_nothing"),
    ];
    for (arguments, code, message) in cases {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_train-mobilenet"));
        command.args(["--output", &workplace.path("run").display().to_string()]);
        if !arguments.contains(&"--data") {
            command.args(["--data", &workplace.path("data").display().to_string()]);
        }
        if !arguments.contains(&"--dataset") {
            command.args(["--dataset", "mnist"]);
        }
        let output = command.args(arguments).output().unwrap();
        let text = errors(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(message), "{arguments:?}: {text}");
        assert!(
            !workplace.path("run").exists(),
            "{arguments:?} left something behind"
        );
    }
}

#[test]
fn damaged_data_is_told_by_file() {
    let workplace = Workplace::new();
    let path = workplace.path("data/train-labels-idx1-ubyte");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..40]).unwrap();
    let output = workplace.run("run", &[]);
    assert_eq!(output.status.code(), Some(3));
    let text = errors(&output);
    assert!(
        text.contains("train-labels-idx1-ubyte is truncated"),
        "{text}"
    );

    let test_labels = std::fs::read(workplace.path("data/t10k-labels-idx1-ubyte")).unwrap();
    std::fs::write(&path, test_labels).unwrap();
    let text = errors(&workplace.run("run", &[]));
    assert!(text.contains("has 240 images but"), "{text}");
}
