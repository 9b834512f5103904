//! Networks that are calibrated, retrained, kept in folders and written back into ONNX files.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Workplace, archive_of, distance, image_archive};

/// A folder with the network of `tests/data`, and images to train it on.
fn workplace() -> Workplace {
    let workplace = Workplace::new();
    workplace.write("network.onnx", include_bytes!("../data/network.onnx"));
    workplace.write("x.npy", include_bytes!("../data/input.npy"));
    std::fs::create_dir(workplace.path("images")).unwrap();
    image_archive(&workplace, "images/train.npz", 60);
    image_archive(&workplace, "images/test.npz", 30);
    workplace
}

const CALIBRATE: &str =
    "calibrate network.onnx --data images --multiplier mul8s_1L2J --calibration 60 --output kept";
const RETRAIN: &str = "retrain network.onnx --data images --multiplier mul8s_1L2J --learning-rate 0.01 --batch-size 20 \
                       --calibration 60 --epochs 3";

#[test]
fn a_calibrated_network_is_kept_with_its_multipliers_and_ranges() {
    let workplace = workplace();
    workplace.succeed(CALIBRATE);
    // What is kept computes what the same settings compute anew.
    let kept = workplace.json("evaluate kept --data images");
    let anew = workplace
        .json("evaluate network.onnx --data images --multiplier mul8s_1L2J --calibration 60");
    for index in 0..3 {
        let result = |report: &serde_json::Value, value: &str| {
            report["results"][index]["evaluation"][value].clone()
        };
        for value in ["top1", "loss"] {
            assert_eq!(result(&kept, value), result(&anew, value), "{index}");
        }
    }
    let shown = workplace.json("inspect kept");
    for layer in shown["layers"].as_array().unwrap() {
        assert_eq!(layer["multiplier"], "mul8s_1L2J");
        assert!(layer["plan"].is_string() && layer["weight_quantizer"].is_object());
    }
    let other = workplace.json("evaluate kept --data images --multiplier exact");
    assert_eq!(
        other["results"][1]["evaluation"]["loss"],
        other["results"][2]["evaluation"]["loss"]
    );
    workplace.fail(CALIBRATE, 2, "--overwrite");
    workplace.succeed(&format!("{CALIBRATE} --overwrite"));
    workplace.fail(
        "calibrate network.onnx --data images --multiplier exact --output images",
        2,
        "not empty",
    );
    workplace.fail(
        "calibrate network.onnx --data images --output other",
        2,
        "--multiplier",
    );
    workplace.fail(
        "retrain kept --data images --output kept --overwrite",
        2,
        "the network itself",
    );
}

/// A calibration, which the other layers need, forgets nothing of what the file says.
#[test]
fn layers_that_a_file_quantises_keep_its_ranges_beside_others() {
    let workplace = workplace();
    workplace.write(
        "config.json",
        r#"{"multiplier": "mul8s_1L2J", "rules": [{"path": "fc", "exclude": true}]}"#,
    );
    let calibrate =
        "calibrate network.onnx --data images --calibration 60 --config config.json --output part";
    workplace.succeed(calibrate);
    workplace.succeed("export part --with-quantization --output part.onnx");
    workplace.succeed(
        "calibrate part.onnx --data images --multiplier mul8s_1L2J --calibration 3 --seed 2 --output all",
    );
    let [of_file, kept] =
        ["part.onnx", "all"].map(|model| workplace.json(&format!("inspect {model}")));
    for layer in 0..4 {
        for operand in ["activation_quantizer", "weight_quantizer"] {
            let scales =
                |shown: &serde_json::Value| shown["layers"][layer][operand]["scales"].clone();
            assert!(scales(&of_file).is_array());
            assert_eq!(scales(&of_file), scales(&kept), "{layer} {operand}");
        }
    }
    assert!(of_file["layers"][4]["weight_quantizer"].is_null());
    assert!(kept["layers"][4]["weight_quantizer"].is_object());
}

/// Ranges of a file that a folder was made from stay with it, whatever configuration it is put under.
#[test]
fn a_folder_keeps_the_ranges_of_its_file() {
    let workplace = workplace();
    workplace.succeed(CALIBRATE);
    workplace.succeed("export kept --with-quantization --output quantised.onnx");
    workplace
        .succeed("calibrate quantised.onnx --data images --multiplier mul8s_1KVA --output folder");
    for (name, config) in [
        (
            "first",
            r#"{"multiplier": "mul8s_1L2L", "exclude_first": true}"#,
        ),
        (
            "mode",
            r#"{"multiplier": "mul8s_1L2J", "mode": "quantized"}"#,
        ),
        (
            "rule",
            r#"{"multiplier": "mul8s_1L2J", "rules": [{"path": "fc", "mode": "baseline"}]}"#,
        ),
    ] {
        workplace.write("config.json", config);
        for model in ["quantised.onnx", "folder"] {
            workplace.succeed(&format!(
                "run {model} --input x.npy --config config.json --output {model}-{name}.npy"
            ));
        }
        let file = workplace.read(&format!("quantised.onnx-{name}.npy"));
        assert_eq!(
            workplace.read(&format!("folder-{name}.npy")),
            file,
            "{name}"
        );
    }
}

/// What a killed command has left of a network is no reason to refuse the next one, which begins from nothing.
#[test]
fn parts_of_a_network_are_replaced() {
    let workplace = workplace();
    std::fs::create_dir(workplace.path("kept")).unwrap();
    for part in [
        "network.onnx",
        "network.onnx.tmp",
        "network.json",
        "weights-1.bpk",
        "weights-2.bpk.7-0.tmp",
    ] {
        workplace.write(&format!("kept/{part}"), "part");
    }
    workplace.succeed(CALIBRATE);
    workplace.json("inspect kept");
    std::fs::create_dir(workplace.path("other")).unwrap();
    workplace.write("other/network.json", "part");
    workplace.write("other/mine.txt", "mine");
    workplace.fail(&CALIBRATE.replace("kept", "other"), 2, "not empty");
    // A run that was killed before it had begun begins.
    let begun = workplace
        .run(&format!("{RETRAIN} --epochs 1 --output begun --resume").replace("--epochs 3", ""));
    assert_eq!(begun.code, Some(0), "{}", begun.stderr);
    assert!(begun.stderr.contains("the run begins"));
}

#[test]
fn one_layers_sums_are_written_beside_the_outputs() {
    let workplace = workplace();
    workplace.succeed(CALIBRATE);
    workplace.succeed("run kept --input x.npy --output y.npy");
    workplace.succeed("run kept --input x.npy --output again.npy --layer fc --accumulator fc.npy");
    assert_eq!(workplace.read("y.npy"), workplace.read("again.npy"));
    let (shape, sums) = workplace.values::<i64>("fc.npy");
    assert_eq!(shape, [4, 3]);
    assert!(sums.iter().any(|sum| *sum != 0));
    workplace.fail(
        "run network.onnx --input x.npy --output y.npy --layer fc --accumulator fc.npy",
        2,
        "--multiplier",
    );
    workplace.fail(
        "run kept --input x.npy --output y.npy --layer fd --accumulator fc.npy",
        1,
        "blocks.0.conv1",
    );
    workplace.fail(
        "run kept --input x.npy --output y.npy --layer fc",
        2,
        "--accumulator",
    );
}

#[test]
fn a_network_is_retrained_and_written_back() {
    let workplace = workplace();
    let report = workplace.json(&format!(
        "{RETRAIN} --gradient linear_regression --output run"
    ));
    let epochs = report["epochs"].as_array().unwrap();
    assert_eq!(epochs.len(), 3);
    let loss = |epoch: usize| epochs[epoch]["train_loss"].as_f64().unwrap();
    assert!(loss(2) < loss(0), "{} {}", loss(0), loss(2));
    assert_eq!(report["settings"]["gradient"], "linear_regression");
    let picture = String::from_utf8(workplace.read("run/accuracy.svg")).unwrap();
    assert!(picture.contains("</svg>"));

    // The kept network is the retrained one, and so is the file that it is written into, in float.
    let kept = workplace.json("evaluate run --data images");
    assert_eq!(
        kept["results"][2]["evaluation"]["loss"],
        report["retrained"]["loss"]
    );
    workplace.succeed("export run --output retrained.onnx");
    let float = workplace.json("evaluate retrained.onnx --data images --only float");
    assert_eq!(
        kept["results"][0]["evaluation"]["loss"],
        float["results"][0]["evaluation"]["loss"]
    );
    workplace.succeed("run network.onnx --input x.npy --output before.npy");
    workplace.succeed("run retrained.onnx --input x.npy --output after.npy");
    assert!(distance(&workplace, "before.npy", "after.npy") > 1e-3);

    // With its quantisers, the file gives what quantised operands and exact products give.
    let exported = workplace.json("export run --with-quantization --output quantized.onnx");
    assert_eq!(exported["quantized"].as_array().unwrap().len(), 5);
    let file = workplace.json("evaluate quantized.onnx --data images --multiplier mul8s_1L2J");
    let near = |one: &serde_json::Value, other: &serde_json::Value| {
        let [one, other] = [one, other].map(|value| value.as_f64().unwrap());
        assert!((one - other).abs() < 1e-4, "{one} {other}");
    };
    let loss = |report: &serde_json::Value, index: usize| {
        report["results"][index]["evaluation"]["loss"].clone()
    };
    near(&loss(&file, 0), &loss(&kept, 1));
    // Its quantisers are the layers' again.
    near(&loss(&file, 2), &loss(&kept, 2));
    workplace.fail("export run --format c --output x.onnx", 2, "--format");
    workplace.fail(
        "export mul8s_1L2J --with-quantization --output x.c",
        2,
        "networks",
    );
}

#[test]
fn a_run_that_was_stopped_goes_on_to_the_same_end() {
    let workplace = workplace();
    workplace.succeed(&format!("{RETRAIN} --output whole"));
    // As it was when the last epoch had not begun.
    workplace.succeed(&format!("{RETRAIN} --output stopped"));
    for name in ["report.json", "accuracy.svg", "approximation.json"] {
        std::fs::remove_file(workplace.path(&format!("stopped/{name}"))).unwrap();
    }
    for part in ["model", "optim", "scheduler"] {
        let name = format!("stopped/retraining/checkpoint/{part}-3.bpk");
        std::fs::remove_file(workplace.path(&name)).unwrap();
    }
    let changed = format!("{RETRAIN} --output stopped --resume").replace("0.01", "0.02");
    workplace.fail(&changed, 2, "learning_rate was 0.01 and is 0.02");
    workplace.succeed(&format!("{RETRAIN} --output stopped --resume"));
    for run in ["whole", "stopped"] {
        workplace.succeed(&format!("export {run} --output {run}.onnx"));
    }
    assert_eq!(workplace.read("whole.onnx"), workplace.read("stopped.onnx"));
    let again = workplace.succeed(&format!("{RETRAIN} --output stopped --resume"));
    assert!(again.stderr.contains("finished"), "{}", again.stderr);
}

#[test]
fn a_run_may_be_killed_at_any_moment() {
    let workplace = workplace();
    let finished = workplace.json(&format!("{RETRAIN} --output whole"));
    for delay in [30, 100, 200, 400, 800] {
        // Until it has begun, there is nothing to go on with.
        let begun = workplace.path("killed/run.json").exists();
        let resume = if begun { " --resume" } else { "" };
        let mut child = Command::new(env!("CARGO_BIN_EXE_burn-approx"))
            .args(format!("{RETRAIN} --output killed{resume}").split_whitespace())
            .current_dir(workplace.path(""))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        // Whatever is there under its name is whole.
        for name in [
            "run.json",
            "before.json",
            "report.json",
            "network.json",
            "approximation.json",
        ] {
            if let Ok(text) = std::fs::read(workplace.path(&format!("killed/{name}"))) {
                serde_json::from_slice::<serde_json::Value>(&text).unwrap();
            }
        }
    }
    let begun = workplace.path("killed/run.json").exists();
    let resume = if begun { " --resume" } else { "" };
    let report = workplace.json(&format!("{RETRAIN} --output killed{resume}"));
    assert_eq!(report["retrained"]["loss"], finished["retrained"]["loss"]);
}

#[test]
fn an_architecture_with_weights_is_a_network_as_any_other() {
    let workplace = Workplace::new();
    std::fs::create_dir(workplace.path("rgb")).unwrap();
    archive_of(&workplace, "rgb/train.npz", 12, [3, 32]);
    archive_of(&workplace, "rgb/test.npz", 6, [3, 32]);
    let weights = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../approx-models/tests/data/mobilenet_v2_w025_random.safetensors"
    );
    std::fs::copy(weights, workplace.path("w.safetensors")).unwrap();
    let shown = workplace.json("inspect mobilenet_v2:w.safetensors --multiplier mul8s_1L2J");
    assert_eq!(shown["layers"].as_array().unwrap().len(), 53);
    assert_eq!(shown["layers"][0]["path"], "stem.conv");
    let of_file = workplace.json(
        "evaluate mobilenet_v2:w.safetensors --data rgb --multiplier mul8s_1L2J --calibration 12",
    );
    workplace.succeed(
        "retrain mobilenet_v2:w.safetensors --data rgb --multiplier mul8s_1L2J --calibration 12 --batch-size 4 --epochs 1 \
         --output run",
    );
    let before: serde_json::Value =
        serde_json::from_slice(&workplace.read("run/before.json")).unwrap();
    assert_eq!(
        before["approximate"]["loss"],
        of_file["results"][2]["evaluation"]["loss"]
    );
    let kept = workplace.json("evaluate run --data rgb");
    let report: serde_json::Value =
        serde_json::from_slice(&workplace.read("run/report.json")).unwrap();
    assert_eq!(
        kept["results"][2]["evaluation"]["loss"],
        report["retrained"]["loss"]
    );
    workplace.fail(
        "export run --output x.onnx",
        2,
        "no network of an ONNX file",
    );
    workplace.fail("inspect resnet8:w.safetensors", 1, "missing");
}

#[test]
fn a_kept_network_knows_how_its_images_were_prepared() {
    let workplace = workplace();
    workplace.succeed(&format!("{CALIBRATE} --mean 0.25 --std 2"));
    let kept = workplace.json("evaluate kept --data images --only float");
    let said =
        workplace.json("evaluate network.onnx --data images --only float --mean 0.25 --std 2");
    let other = workplace.json("evaluate network.onnx --data images --only float");
    let loss = |report: &serde_json::Value| report["results"][0]["evaluation"]["loss"].clone();
    assert_eq!(loss(&kept), loss(&said));
    assert_ne!(loss(&kept), loss(&other));
}

#[test]
fn what_is_wrong_is_said_before_anything_is_lost() {
    let workplace = workplace();
    workplace.array("wrong.npy", &[8, 1, 7, 7], &[0.5_f32; 8 * 49]);
    workplace.succeed(&format!("{RETRAIN} --epochs 1 --output run").replace("--epochs 3 ", ""));
    let kept =
        |workplace: &Workplace| workplace.json("evaluate run --data images")["results"].clone();
    let losses = |results: serde_json::Value| -> Vec<serde_json::Value> {
        let results = results.as_array().unwrap().iter();
        results
            .map(|result| result["evaluation"]["loss"].clone())
            .collect()
    };
    let before = losses(kept(&workplace));
    let again = "retrain network.onnx --data images --calibration 60 --multiplier mul8s_1L2J --output run --overwrite";
    for (more, code, part) in [
        ("--epochs 0", 2, "at least 1"),
        ("--limit 0", 2, "at least 1"),
        ("--batch-size 0", 2, "at least 1"),
        ("--learning-rate NaN", 2, "above 0"),
        ("--learning-rate 2", 2, "at most 1"),
        ("--gradient difference:half_window=1000", 1, "window"),
        ("--shift-codes", 2, "--shift-codes"),
        ("--validation 1000", 1, "held back"),
    ] {
        workplace.fail(&format!("{again} {more}"), code, part);
        assert_eq!(losses(kept(&workplace)), before, "{more}");
    }
    for (arguments, code, part) in [
        (
            "evaluate network.onnx --data images --calibration 0",
            2,
            "at least 1",
        ),
        (
            "evaluate run --data images --recalibrate",
            2,
            "--recalibrate",
        ),
        (
            "evaluate network.onnx --data images --multiplier exact --only float",
            2,
            "leaves out",
        ),
        (
            "evaluate network.onnx --data images --plot nowhere/a.svg",
            2,
            "`nowhere`",
        ),
        (
            "evaluate network.onnx --data images --report images",
            2,
            "is a folder",
        ),
        (
            "run network.onnx --input x.npy --multiplier exact --calibration wrong.npy --output y.npy",
            1,
            "[8, 1, 7, 7]",
        ),
        (
            "run network.onnx --input x.npy --calibration x.npy --output y.npy",
            2,
            "--multiplier",
        ),
        (
            "run run --input x.npy --calibration x.npy --output y.npy",
            2,
            "leave --calibration out",
        ),
        (
            "calibrate run --data images --output other",
            2,
            "its ranges already",
        ),
        ("export run --output z.npy", 2, ".onnx"),
        ("export network.onnx --output z.onnx", 2, "no folder"),
    ] {
        workplace.fail(arguments, code, part);
    }
}
