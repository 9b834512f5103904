//! Networks from ONNX files: what they consist of, and what they give.

use crate::support::{Workplace, distance, image_archive};

/// A folder with the network of `tests/data`, images, and what PyTorch gives for them.
fn workplace() -> Workplace {
    let workplace = Workplace::new();
    workplace.write("network.onnx", include_bytes!("../data/network.onnx"));
    workplace.write("x.npy", include_bytes!("../data/input.npy"));
    workplace.write("expected.npy", include_bytes!("../data/output.npy"));
    workplace
}

#[test]
fn a_network_is_shown_as_a_tree_of_its_layers() {
    let workplace = workplace();
    let shown = workplace.run("inspect network.onnx");
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    for line in [
        "image [?, 1, 8, 8]",
        "5 layers",
        "├ 0",
        "│ └ conv2",
        "  └ conv2",
        "fc",
        "4x1x3x3",
    ] {
        assert!(
            shown.stdout.contains(line),
            "{line} is missing:\n{}",
            shown.stdout
        );
    }
    let shown = workplace.run("inspect network.onnx --json");
    let json: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    let paths: Vec<_> = json["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["path"].clone())
        .collect();
    assert_eq!(
        paths,
        [
            "blocks.0.conv1",
            "blocks.0.conv2",
            "blocks.1.conv1",
            "blocks.1.conv2",
            "fc"
        ]
    );
    // 16 places of 4 x 9 products, and so on.
    assert_eq!(json["layers"][0]["multiplications"], 16 * 4 * 9);
    assert_eq!(json["layers"][4]["multiplications"], 18);
}

#[test]
fn a_network_gives_what_it_gave_where_it_comes_from() {
    let workplace = workplace();
    let run = workplace.run("run network.onnx --input x.npy --output y.npy");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(distance(&workplace, "y.npy", "expected.npy") < 1e-5);
    let run = workplace.run("run network.onnx --input image=x.npy --output named.npy");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(workplace.read("y.npy"), workplace.read("named.npy"));
}

#[test]
fn a_network_on_a_multiplier_is_near_to_itself_or_not() {
    let workplace = workplace();
    for (multiplier, least, most) in [("exact", 1e-6, 0.02), ("mul8s_1L12", 0.05, f32::INFINITY)] {
        let run = workplace.run(&format!(
            "run network.onnx --input x.npy --multiplier {multiplier} --calibration x.npy --output y.npy"
        ));
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let distance = distance(&workplace, "y.npy", "expected.npy");
        assert!(
            (least..most).contains(&distance),
            "{multiplier}: {distance}"
        );
    }
    workplace.write(
        "config.json",
        r#"{"multiplier": "mul8s_1L12", "rules": [{"path": "blocks.**", "exclude": true}]}"#,
    );
    let run = workplace
        .run("run network.onnx --input x.npy --config config.json --calibration x.npy --output config.npy");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_ne!(workplace.read("config.npy"), workplace.read("y.npy"));
}

#[test]
fn what_is_wrong_is_said() {
    let workplace = workplace();
    workplace.write("text.onnx", "no model");
    for (arguments, code, part) in [
        ("inspect missing.onnx", 2, "no file"),
        ("inspect text.onnx", 1, "not a whole ONNX model"),
        (
            "inspect network.onnx --input-shape other=1,1,8,8",
            2,
            "\"image\"",
        ),
        (
            "inspect network.onnx --input-shape 1,1,9",
            1,
            "[batch, 1, 8, 8]",
        ),
        (
            "run network.onnx --input other=x.npy --output y.npy",
            2,
            "it has \"image\": name one as --input NAME=FILE.npy",
        ),
        (
            "run network.onnx --input x.npy --output network.onnx",
            2,
            "written over",
        ),
        (
            "run network.onnx --input x.npy --multiplier exact --output y.npy",
            2,
            "--calibration",
        ),
        (
            "run network.onnx --input expected.npy --output y.npy",
            1,
            "[4, 3]",
        ),
    ] {
        workplace.fail(arguments, code, part);
    }
}

#[test]
fn a_network_is_measured_in_float_with_exact_products_and_on_every_multiplier_of_a_pattern() {
    let workplace = workplace();
    std::fs::create_dir(workplace.path("images")).unwrap();
    image_archive(&workplace, "images/train.npz", 40);
    image_archive(&workplace, "images/test.npz", 30);
    let report = workplace.json(
        "evaluate network.onnx --data images --multiplier exact --multiplier mul8s_1L2* --calibration 20 --report report.json --csv \
         table.csv --plot accuracy.svg",
    );
    let results = report["results"].as_array().unwrap();
    let top1 = |index: usize| results[index]["evaluation"]["top1"].as_f64().unwrap();
    assert_eq!(results[0]["subject"], "float");
    assert_eq!(results[1]["subject"], "quantized");
    assert_eq!(results[2]["subject"]["multiplier"]["name"], "exact");
    // The exact multiplier is what quantised means.
    assert_eq!(
        (top1(1), &results[1]["evaluation"]["loss"]),
        (top1(2), &results[2]["evaluation"]["loss"])
    );
    let library = workplace.json("list --bits 8 --signed");
    let matching = library.as_array().unwrap().iter().filter(|entry| {
        let name = entry["name"].as_str().unwrap();
        name.starts_with("mul8s_1L2")
    });
    assert_eq!(results.len(), 3 + matching.count());
    assert_eq!(report["data"]["images"], 30);
    let written: serde_json::Value =
        serde_json::from_slice(&workplace.read("report.json")).unwrap();
    assert_eq!(written["results"].as_array().unwrap().len(), results.len());
    let table = String::from_utf8(workplace.read("table.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + results.len());
    assert!(
        String::from_utf8(workplace.read("accuracy.svg"))
            .unwrap()
            .contains("</svg>")
    );

    let few = workplace.json("evaluate network.onnx --data images --only float --limit 7");
    assert_eq!(few["results"].as_array().unwrap().len(), 1);
    assert_eq!(few["results"][0]["evaluation"]["images"], 7);
    workplace.fail(
        "evaluate network.onnx --data images --multiplier no*",
        2,
        "no multiplier",
    );
    workplace.fail(
        "evaluate network.onnx --data images --only multipliers",
        2,
        "--multiplier",
    );
    workplace.fail("evaluate network.onnx --data missing", 2, "missing");
}
