//! Wrong command lines, and files from strangers: an answer with the right exit code, never a panic.

use crate::support::Workplace;

#[test]
fn every_command_has_help_with_an_example() {
    let place = Workplace::new();
    assert!(place.succeed("--help").stdout.contains("Example"));
    for command in [
        "list",
        "info",
        "metrics",
        "factor",
        "compare",
        "plot",
        "plot heat-map",
        "plot histogram",
        "plot pareto",
        "import",
        "export",
        "fit-htp",
        "layer",
        "layer conv2d",
        "layer linear",
        "trace",
    ] {
        let help = place.succeed(&format!("{command} --help")).stdout;
        assert!(
            help.contains("Example") && help.contains("burn-approx "),
            "{command}"
        );
    }
}

#[test]
fn wrong_command_lines_are_usage_errors() {
    let place = Workplace::new();
    for (arguments, words) in [
        ("", "Usage"),
        ("nothing", "unrecognized"),
        ("info", "SPEC"),
        ("info mul8s_1L2", "mul8s_1L2J"),
        ("info folder/missing", "no file"),
        ("info exact --unsigned", "--unsigned"),
        ("info drum:k=99,bits=8", "drum"),
        ("list --bits many", "many"),
        ("list --signed --unsigned", "cannot be used"),
        ("export mul8s_1L2J --output table", "--format"),
        ("export mul8s_1L2J --format pdf --output table", "pdf"),
        ("layer linear --plan fast", "fast"),
    ] {
        place.fail(arguments, 2, words);
    }
    place.fail("info missing.csv", 1, "missing.csv");
}

#[test]
fn files_that_hold_no_multiplier_are_refused_with_the_place() {
    let place = Workplace::new();
    let bomb = "{'descr': '<i4', 'fortran_order': False, 'shape': (9999999999, 9999999999), }";
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend((bomb.len() as u16).to_le_bytes());
    npy.extend(bomb.as_bytes());
    place.write("bomb.npy", npy);
    place.write("text.csv", "1,2\n3,oops\n");
    place.write("empty.csv", "");
    place.write("odd.bin", [1, 2, 3]);
    place.write("header.h", "const int lut[2] = {1, 2");
    place.write("own.json", r#"{"format": "something else"}"#);
    place.write("binary.csv", [0xff, 0xfe, 0x00]);
    place.write("unknown.xyz", "?");
    for file in [
        "bomb.npy",
        "text.csv",
        "empty.csv",
        "odd.bin",
        "header.h",
        "own.json",
        "binary.csv",
        "unknown.xyz",
        ".",
    ] {
        let finished = place.run(&format!("import {file} --output out.json"));
        assert_eq!(finished.code, Some(1), "{file}: {}", finished.stderr);
        assert!(
            finished.stderr.contains(file),
            "{file}: {}",
            finished.stderr
        );
        let code = place.run(&format!("info {file}")).code;
        assert!(matches!(code, Some(1 | 2)), "{file}");
        assert!(
            matches!(place.run(&format!("trace {file}")).code, Some(1)),
            "{file}"
        );
    }
    place.fail("import text.csv --output out.json", 1, "text.csv:2:3");
    assert!(!place.files().contains(&"out.json".into()));
}

#[test]
fn nothing_that_is_read_is_written_over() {
    let place = Workplace::new();
    place.write("t.csv", "0,0,0,0\n0,1,2,3\n0,2,4,6\n0,3,6,9\n");
    place.fail("import t.csv --unsigned --output t.csv", 2, ".json");
    place.fail("fit-htp t.csv --unsigned --output t.csv", 2, ".json");
    assert!(place.read("t.csv").starts_with(b"0,0,0,0"));
    // The same in another kind of file, or in the same one, is what was asked for.
    place.succeed("import t.csv --unsigned --output t.json");
    place.succeed("import t.json --output t.json");
    place.succeed("export t.json --output t.json");
    place.succeed("compare t.json t.csv --unsigned --require-equal");

    place.array("x.npy", &[1, 2], &[1u8, 2]);
    place.array("w.npy", &[1, 2], &[3u8, 3]);
    let layer = "layer linear --input x.npy --weight w.npy --multiplier t.json";
    for outputs in [
        "--accumulator x.npy",
        "--output ./w.npy",
        "--output t.json",
        "--accumulator y.npy --output ./y.npy",
    ] {
        place.fail(&format!("{layer} {outputs}"), 2, "named twice");
    }
    place.succeed(&format!("{layer} --accumulator y.npy"));
    assert_eq!(place.values::<i64>("y.npy").1, [9]);
}

#[test]
fn a_folder_that_cannot_be_written_is_said() {
    let place = Workplace::new();
    place.fail("export mul8s_1L2J --output nowhere/table.csv", 1, "nowhere");
    place.fail(
        "fit-htp mul8s_1KV9 --output nowhere/model.json",
        1,
        "nowhere",
    );
}
