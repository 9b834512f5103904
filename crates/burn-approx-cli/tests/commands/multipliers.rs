//! The commands on multipliers: list, info, metrics, factor, compare, import, export, fit-htp, trace.

use approx_multiplier::{LayerTrace, OperandFormat, OperandTrace, evoapprox};

use crate::support::Workplace;

#[test]
fn the_list_is_filtered_and_sorted() {
    let place = Workplace::new();
    let all = place.json("list");
    assert_eq!(all.as_array().unwrap().len(), evoapprox::names().count());
    let chosen = place.json("list --bits 8 --signed --max-rank 3 --max-power 0.4 --sort power");
    let chosen = chosen.as_array().unwrap();
    assert!(!chosen.is_empty());
    let power = |row: &serde_json::Value| row["hardware"]["power_mw"].as_f64().unwrap();
    for row in chosen {
        assert!(row["name"].as_str().unwrap().starts_with("mul8s"));
        assert!(power(row) <= 0.4 && row["rank"].as_u64().unwrap() <= 3);
    }
    assert!(
        chosen
            .windows(2)
            .all(|pair| power(&pair[0]) <= power(&pair[1]))
    );
    let text = place.succeed("list --max-mae 0 --unsigned").stdout;
    assert!(
        text.contains("MAE %") && text.contains("multipliers"),
        "{text}"
    );
}

#[test]
fn info_says_what_a_multiplier_is() {
    let place = Workplace::new();
    let info = place.json("info mul8s_1L2J");
    assert_eq!(
        info["hash"],
        evoapprox::multiplier("mul8s_1L2J")
            .unwrap()
            .hash()
            .to_string()
    );
    assert_eq!(info["products"], 1);
    let text = place.succeed("info mul16s_GRU").stdout;
    assert!(
        text.contains("mW (45 nm)") && text.contains("exact factors"),
        "{text}"
    );
    assert!(
        place
            .succeed("info htp:mul8s_1L2J")
            .stdout
            .contains("High-Throughput")
    );
}

#[test]
fn metrics_check_what_is_claimed() {
    let place = Workplace::new();
    let metrics = place.json("metrics mul8s_1L2J");
    assert_eq!(metrics["figures"][2]["measured"], 255.0);
    assert!(
        metrics["figures"]
            .as_array()
            .unwrap()
            .iter()
            .all(|figure| figure["agrees"] != false)
    );
    place.succeed("metrics mul8s_1L2J --claim wce=255 --claim mae_percent=0.081");
    place.fail("metrics mul8s_1L2J --claim wce=254", 3, "wce");
    // One of the published figures that measurement does not confirm.
    place.fail("metrics mul8s_1KVQ", 3, "mae");
    place.fail("metrics mul8s_1L2J --claim wrong=1", 2, "mae_percent");
    let sampled = place.succeed("metrics mul12s_2PS --samples 1000").stdout;
    assert!(sampled.contains("1000 random"), "{sampled}");
    place.fail("metrics exact --samples 0", 1, "");
}

#[test]
fn factors_of_the_codes_in_use() {
    let place = Workplace::new();
    let rank = |arguments: &str| place.json(arguments)["products"].as_u64().unwrap();
    assert_eq!(rank("factor mul8s_1KVA"), 5);
    assert!(rank("factor mul8s_1KVA --codes 0..=7") < 5);
    let terms = place.json("factor mul8s_1L2J --terms --codes=-127..=127");
    assert_eq!(
        terms["terms"][0]["activation"].as_array().unwrap().len(),
        256
    );
    assert!(place.succeed("factor exact").stdout.contains("product"));
    place.fail("factor mul8s_1KVA --max-rank 2", 1, "rank");
    place.fail("factor mul8s_1KVA --codes 5..=1", 2, "no code");
    place.fail("factor mul8s_1KVA --codes=-1000..=1000", 1, "");
    place.fail("factor htp:mul8s_1L2J", 1, "integer");
}

#[test]
fn comparisons() {
    let place = Workplace::new();
    let same = place.json("compare mul8s_1L2J mul8s_1L2J --require-equal");
    assert_eq!(same["differing"], 0);
    let text = place.succeed("compare mul8s_1L2J exact").stdout;
    assert!(
        text.contains("differ, in all parts of the range; by 255 at most"),
        "{text}"
    );
    // One product off, in a table of two bits: the place is named.
    place.write("one.csv", "0,0,0,0\n0,1,2,3\n0,2,4,6\n0,3,6,8\n");
    let one = place.json("compare one.csv exact:uint2 --unsigned");
    assert_eq!(one["in_words"], "exactly where a = 3 and b = 3");
    assert_eq!(one["conditions"][0]["between"]["from"], 3);
    let wrong = "wrong exactly where a = 3 and b = 3 (1 of 16 pairs)";
    for command in [
        "metrics one.csv --unsigned",
        "import one.csv --unsigned --output one.json",
    ] {
        let text = place.succeed(command).stdout;
        assert!(text.contains(wrong), "{command}: {text}");
    }
    assert_eq!(
        place.json("metrics mul8s_1L2J")["wrong"],
        serde_json::Value::Null
    );
    place.fail("compare mul8s_1L2J exact --require-equal", 3, "differ on");
    place.fail("compare mul8s_1L2J mul8u_17C8", 2, "same operands");
    place.fail("compare mul16s_GRU exact:int16", 2, "metrics");
}

#[test]
fn files_go_out_and_come_back_as_the_same_multiplier() {
    let place = Workplace::new();
    for (spec, said) in [
        ("mul8u_17C8", "--unsigned"),
        ("mul8s_1KVQ", "--signed"),
        ("drum:k=3,bits=6,unsigned", "--unsigned"),
        ("truncated:columns=2,bits=5", "--signed"),
    ] {
        // As a table: the exact multiplier, and a family that is given by factors, have another hash.
        place.succeed(&format!("export {spec} --output table.npy"));
        let table = place.json(&format!("import table.npy {said} --output table.json"));
        // The other kinds say everything about the operands themselves.
        let missing = |format| match format {
            "npy" | "bin" => said,
            _ => "",
        };
        for (format, file) in [
            ("npy", "t.npy"),
            ("csv", "t.csv"),
            ("bin", "t.bin"),
            ("c", "t.h"),
            ("verilog", "t.v"),
            ("own", "t.json"),
        ] {
            place.succeed(&format!("export {spec} --format {format} --output {file}"));
            let said = missing(format);
            let imported = place.json(&format!(
                "import {file} {said} --name mine --output mine-{format}.json"
            ));
            assert_eq!(imported["name"], "mine");
            // A file of any kind stands for its multiplier everywhere.
            place.succeed(&format!("compare {file} {spec} --require-equal {said}"));
            place.succeed(&format!(
                "compare mine-{format}.json {spec} --require-equal"
            ));
            if format != "own" {
                assert_eq!(imported["hash"], table["hash"], "{spec} as {format}");
            }
        }
    }
    let expected = evoapprox::multiplier("mul8u_17C8").unwrap().hash();
    place.succeed("export mul8u_17C8 --output table.v");
    let imported = place.json("import table.v --output table.json");
    assert_eq!(imported["hash"], expected.to_string());
    let notes = imported["notes"].as_array().unwrap();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert_eq!(notes[0]["kind"], "information");
    let text = notes[0]["text"].as_str().unwrap();
    assert!(text.contains("bundled circuit mul8u_17C8"), "{text}");
    assert!(place.files().iter().all(|name| !name.ends_with(".tmp")));
}

#[test]
fn a_bare_table_is_signed_unless_said_otherwise() {
    let place = Workplace::new();
    place.array("t.npy", &[256, 256], &[0i32; 65536]);
    let imported = place.succeed("import t.npy --output t.json");
    assert!(imported.stderr.contains("signed"), "{}", imported.stderr);
    let unsigned = place.json("import t.npy --unsigned --output t.json");
    assert_eq!(unsigned["activation"]["signedness"], "unsigned");
}

#[test]
fn models_are_fitted_and_used() {
    let place = Workplace::new();
    let fit = place.json("fit-htp mul8s_1KV9 --decimals 3 --output model.json");
    assert!(fit["deviation"]["mse"].as_f64() <= fit["published_deviation"]["mse"].as_f64());
    assert!(
        place
            .succeed("info model.json")
            .stdout
            .contains("High-Throughput")
    );
    let text = place
        .succeed("fit-htp drum:k=4,bits=8,unsigned --modulus 2,4,8")
        .stdout;
    assert!(text.contains("mod 8"), "{text}");
    place.fail("fit-htp mul8s_1KV9 --modulus 0", 2, "modulus");
    place.fail(
        "fit-htp mul8s_1KV9 --modulus 2,4,8 --power 8",
        2,
        "too many",
    );
}

#[test]
fn traces_weight_errors_and_narrow_codes() {
    let place = Workplace::new();
    let int8 = OperandFormat::INT8;
    let mut trace = OperandTrace::new();
    let layer = LayerTrace::new("fc", (int8, [(0, 60), (12, 40)]), (int8, [(-4, 1), (4, 1)]));
    trace.push(layer.unwrap()).unwrap();
    trace.save(place.path("trace.json")).unwrap();
    let shown = place.json("trace trace.json");
    assert_eq!(shown[0]["activation"]["codes"], serde_json::json!([0, 12]));
    assert_eq!(shown[0]["activation"]["zeros_percent"], 60.0);
    // This circuit is right wherever both operands are even.
    assert_eq!(
        place.json("metrics mul8s_1L2J --distribution trace.json")[0]["mae"],
        0.0
    );
    let factors = place.json("factor mul8s_1KVA --codes trace.json");
    assert_eq!(factors[0]["layer"], "fc");
    assert_eq!(factors[0]["activation_codes"], serde_json::json!([0, 12]));
    place.fail("metrics mul8u_17C8 --distribution trace.json", 1, "");
    place.write("other.json", "{}");
    place.fail("trace other.json", 1, "other.json");
    place.fail(
        "metrics mul8s_1L2J --distribution trace.json --claim mae=1",
        2,
        "cannot be used",
    );
}
