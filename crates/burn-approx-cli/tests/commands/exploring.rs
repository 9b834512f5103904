//! Which multiplier in which layer, from the network to a page that one can point at.

use std::process::Command;

use serde_json::Value;

use crate::support::Workplace;

/// A folder with a network for the digits.
fn workplace() -> Workplace {
    let workplace = Workplace::new();
    workplace.write("digits.onnx", include_bytes!("../data/digits.onnx"));
    workplace
}

/// A short search.
const EXPLORE: &str = "explore digits.onnx --data digits --multipliers mul8s_1L2J --multipliers mul8s_1L2L --multipliers mul8s_1L2N \
                       --validation 400 --block 100 --budget 12000";

fn front(workplace: &Workplace, folder: &str) -> Value {
    serde_json::from_slice(&workplace.read(&format!("{folder}/front.json"))).unwrap()
}

/// Everything but how long it took.
fn without_time(mut report: Value) -> Value {
    report["seconds"] = Value::Null;
    report
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn a_front_is_found_and_every_point_is_what_it_says() {
    let workplace = workplace();
    let report = workplace.json(&format!("{EXPLORE} --sensitivity-blocks 4 --output front"));
    assert_eq!(report, front(&workplace, "front"));
    let points = report["points"].as_array().unwrap();
    let place = |point: &Value| {
        [
            number(&point["energy"]),
            number(&point["validation_accuracy"]),
        ]
    };
    for pair in points.windows(2) {
        let [one, next] = [&pair[0], &pair[1]].map(place);
        assert!(one[0] < next[0] && one[1] < next[1], "{one:?} {next:?}");
    }
    assert!(points.len() > 2 && place(&points[0])[0] < 0.7, "{points:?}");
    // A single multiplier everywhere takes its own energy, and no point of the front is worse.
    for uniform in report["uniform"].as_array().unwrap() {
        let energy = number(&uniform["energy"]);
        let multiplier = (report["multipliers"].as_array().unwrap().iter())
            .find(|multiplier| multiplier["name"] == uniform["multiplier"]);
        assert_eq!(energy, number(&multiplier.unwrap()["energy"]));
        let accuracy = number(&uniform["validation_accuracy"]);
        let least = number(&report["baseline"]["validation_accuracy"]) - 20.0;
        let covers = |point: &Value| place(point)[0] <= energy && place(point)[1] >= accuracy;
        assert!(accuracy < least || points.iter().any(covers), "{uniform}");
    }
    // `evaluate` measures what the front says, on the images of the search and on those that it never saw.
    let chosen = points
        .iter()
        .position(|point| point["test_accuracy"].is_number())
        .unwrap();
    for (index, split, figure) in [
        (0, "--split validation", "validation_accuracy"),
        (
            points.len() / 2,
            "--split validation",
            "validation_accuracy",
        ),
        (chosen, "", "test_accuracy"),
    ] {
        let evaluated = workplace.json(&format!(
            "evaluate digits.onnx --data digits --validation 400 --only multipliers {split} --config front/configs/point-{index}.json"
        ));
        let accuracy = &evaluated["results"][0]["evaluation"]["top1"];
        assert!(
            (number(accuracy) - number(&points[index][figure])).abs() < 1e-9,
            "{index} {split}"
        );
    }
    // What was predicted orders the changes as they were measured.
    assert!(
        number(&report["correlation"]["predicted"]) > 0.8,
        "{}",
        report["correlation"]
    );
    let said = report["energy"]["assumptions"].to_string();
    assert!(said.contains("mul8s_1KV6 (0.425 mW)"), "{said}");
}

/// The journal gives everything again, whole or cut off in the middle of a line, and is no other network's.
#[test]
fn a_search_goes_on_from_its_journal() {
    let workplace = workplace();
    let first = without_time(workplace.json(&format!("{EXPLORE} --output front")));
    let journal = workplace.read("front/journal.jsonl");
    assert_eq!(
        without_time(workplace.json(&format!("{EXPLORE} --output front"))),
        first
    );
    assert_eq!(workplace.read("front/journal.jsonl"), journal);
    workplace.write("front/journal.jsonl", &journal[..journal.len() / 2]);
    assert_eq!(
        without_time(workplace.json(&format!("{EXPLORE} --output front"))),
        first
    );
    assert_eq!(workplace.read("front/journal.jsonl"), journal);
    workplace.fail(&format!("{EXPLORE} --seed 2 --output front"), 2, "another");
    // What a shorter front does not have is not left behind.
    let points = |folder: &str| std::fs::read_dir(workplace.path(folder)).unwrap().count();
    let shallow = workplace.json(&format!("{EXPLORE} --depth 1 --output front"));
    assert!(
        shallow["points"].as_array().unwrap().len() < first["points"].as_array().unwrap().len()
    );
    assert_eq!(
        points("front/configs"),
        shallow["points"].as_array().unwrap().len()
    );
    // Another multiplier is one more to choose, and nothing is measured again.
    let more = workplace.json(&format!(
        "{EXPLORE} --multipliers mul8s_1KVP --output front"
    ));
    assert_eq!(more["multipliers"].as_array().unwrap().len(), 5);
    assert!(workplace.read("front/journal.jsonl").starts_with(&journal));
}

/// Processes that each measure a share, side by side, find together what one finds alone: as docs/exploration.md has GNU
/// parallel start them.
#[test]
fn shards_are_one_search() {
    let workplace = workplace();
    let alone = without_time(workplace.json(&format!("{EXPLORE} --output alone")));
    let journals = "--join shard-0/journal.jsonl --join shard-1/journal.jsonl";
    let program = env!("CARGO_BIN_EXE_burn-approx");
    let shards = format!(
        "seq 0 1 | parallel --will-cite {program} {EXPLORE} --shard {{}}/2 --output shard-{{}}"
    );
    let run = Command::new("sh")
        .args(["-c", &shards])
        .current_dir(workplace.path(""))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(
        run.status.success(),
        "GNU parallel is needed; ./scripts/test installs it: {said}"
    );
    assert!(!workplace.path("shard-0/front.json").exists());
    let joined = without_time(workplace.json(&format!("{EXPLORE} {journals} --output joined")));
    assert_eq!(joined, alone);
}

#[test]
fn chosen_points_are_retrained_and_kept() {
    let workplace = workplace();
    let explore =
        format!("{EXPLORE} --energy 0.5 --retrain 2 --learning-rate 0.001 --output front");
    let report = workplace.json(&explore);
    let points = report["points"].as_array().unwrap();
    let is_retrained = |point: &&Value| point["retrained_accuracy"].is_number();
    let retrained: Vec<&Value> = points.iter().filter(is_retrained).collect();
    assert!(!retrained.is_empty());
    for point in &retrained {
        let [before, after] =
            ["test_accuracy", "retrained_accuracy"].map(|figure| number(&point[figure]));
        assert!(after >= before - 1.0 && after > 90.0, "{before} {after}");
    }
    // A network that is kept is worth what the report says, on the multipliers that it was retrained on.
    let networks = std::fs::read_dir(workplace.path("front/networks")).unwrap();
    let mut found: Vec<f64> = networks
        .map(|network| {
            let folder = network.unwrap().path();
            let evaluated = workplace.json(&format!(
                "evaluate {} --data digits --only multipliers",
                folder.display()
            ));
            number(&evaluated["results"][0]["evaluation"]["top1"])
        })
        .collect();
    let mut expected: Vec<f64> = retrained
        .iter()
        .map(|point| number(&point["retrained_accuracy"]))
        .collect();
    found.sort_by(f64::total_cmp);
    expected.sort_by(f64::total_cmp);
    assert_eq!(found, expected);
    for point in &retrained {
        let network = point["network"].as_str().unwrap();
        assert!(
            workplace
                .path("front")
                .join(network)
                .join("worth.json")
                .exists()
        );
    }
    // Nothing is trained twice, and who asks for no training or for other points loses nothing.
    let again = |more: &str| {
        let report =
            without_time(workplace.json(&format!("{EXPLORE} --energy 0.5 {more} --output front")));
        assert_eq!(report, without_time(front(&workplace, "front")));
        report["points"].clone()
    };
    let training = "--retrain 2 --learning-rate 0.001";
    assert_eq!(again(training), report["points"]);
    assert_eq!(again(""), report["points"]);
    assert_eq!(again(training), report["points"]);
}

#[test]
fn layers_are_bound_as_the_command_line_says() {
    let workplace = workplace();
    let report = workplace.json(&format!(
        "{EXPLORE} --tie conv[34] --exact-first --exact linear --allow conv2=mul8s_1L2J --most 3 \
         --energy-figure area --output front"
    ));
    let said = report["energy"]["assumptions"].to_string();
    assert!(
        said.contains("the area of its circuit") && said.contains("um2"),
        "{said}"
    );
    let layers: Vec<&str> = (report["layers"].as_array().unwrap().iter())
        .map(|layer| layer["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        layers,
        [
            "conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "linear"
        ]
    );
    for point in report["points"].as_array().unwrap() {
        let names: Vec<&str> = point["multipliers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        assert!(
            names[0] == "mul8s_1KV6" && names[6] == "mul8s_1KV6",
            "{names:?}"
        );
        assert!(
            ["mul8s_1KV6", "mul8s_1L2J"].contains(&names[1]),
            "{names:?}"
        );
        assert_eq!(names[2], names[3]);
        let mut different = names.clone();
        different.sort_unstable();
        different.dedup();
        assert!(different.len() <= 3, "{names:?}");
    }
}

#[test]
fn what_cannot_be_explored_is_said() {
    let workplace = workplace();
    let fail = |arguments: &str, words: &str| {
        let explore =
            "explore digits.onnx --data digits --validation 400 --block 100 --budget 4000";
        workplace.fail(&format!("{explore} --output front {arguments}"), 2, words);
    };
    fail("", "--multipliers");
    fail("--multipliers mul8s_1KV6", "less energy than the exact one");
    fail("--multipliers exact", "say it, in milliwatts (--power)");
    fail("--multipliers exact --energy-figure area", "(--cells)");
    fail(
        "--multipliers mul8s_1L2J --energy-figure area --power mul8s_1L2J=0.1",
        "areas are compared",
    );
    fail("--multipliers mul8u_17C8", "sign-magnitude");
    fail(
        "--multipliers mul8s_1L2J --baseline mul8s_1L2L",
        "not exact",
    );
    fail("--multipliers mul8s_1L2J --energy 0.1", "the least is");
    fail("--multipliers mul8s_1L2J --drop -1", "at least 0");
    fail("--multipliers mul8s_1L2J --depth -5", "at least 0");
    fail("--multipliers mul8s_1L2J --exact **", "nothing to choose");
    fail(
        "--multipliers mul8s_1L2J --exact-first --most 1",
        "nothing to choose",
    );
    fail(
        "--multipliers mul8s_1L2J --retrain 1 --gradient custom",
        "mul8s_1KV6",
    );
    for (folder, circuit) in [("one", "mul8s_1L2J"), ("other", "mul8s_1L2L")] {
        std::fs::create_dir(workplace.path(folder)).unwrap();
        workplace.succeed(&format!("export {circuit} --output {folder}/m.csv"));
    }
    fail(
        "--multipliers one/m.csv --multipliers other/m.csv",
        "two different multipliers are called `m`",
    );
    fail("--multipliers mul12s_2PR", "--baseline names");
    workplace.fail(
        "explore digits.onnx --data digits --multipliers mul8s_1L2J --cells none.lib --output front",
        1,
        "none.lib",
    );
    workplace.write("front.txt", "");
    workplace.fail(
        "explore digits.onnx --data digits --multipliers mul8s_1L2J --output front.txt",
        1,
        "name a folder",
    );
    workplace.fail(
        "explore digits.onnx --data digits --multipliers mul8s_1L2J --devices 2 --output front",
        1,
        "--devices is 2, and 1",
    );
    fail("--multipliers mul8s_1L2J --tie conv9", "selects no layer");
    fail(
        "--multipliers mul8s_1L2J --allow conv1=mul8s_1L2L",
        "mul8s_1L2J",
    );
    fail("--multipliers mul8s_1L2J --shard 2/2", "0/4");
    fail(
        "--multipliers mul8s_1L2J --power nobody=0.1",
        "none of the multipliers",
    );
    fail("--multipliers mul8s_1L2J --fixed-cost -1", "at least 0");
}

/// The program that shows pages: Debian calls it chromium.
fn browser() -> &'static str {
    let known = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let is_there = |name: &&str| Command::new(name).arg("--version").output().is_ok();
    known.into_iter().find(is_there).expect(
        "a browser of the Chromium family is needed to look at the page; ./scripts/test installs it",
    )
}

/// The page shows the point that its address names, layer by layer, and the network is not asked for anything.
#[test]
fn the_page_shows_the_layers_of_a_point() {
    let workplace = workplace();
    let report = workplace.json(&format!("{EXPLORE} --output front"));
    let points = report["points"].as_array().unwrap();
    let browser = browser();
    for (index, point) in points.iter().enumerate().skip(points.len() - 2) {
        let address = format!(
            "file://{}#point={index}",
            workplace.path("front/front.html").display()
        );
        let profile = format!("--user-data-dir={}", workplace.path("profile").display());
        let shown = Command::new(browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                &profile,
            ])
            .args(["--virtual-time-budget=3000", "--dump-dom", &address])
            .output()
            .unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        // What the page was given is in it, too.
        let shown = shown
            .split("<script type=\"application/json\"")
            .next()
            .unwrap();
        let count = |text: &str| shown.matches(text).count();
        assert_eq!(count("class=\"dot"), points.len(), "{shown}");
        let chosen = shown
            .split("<section id=\"chosen\"")
            .nth(1)
            .unwrap()
            .split('>')
            .next()
            .unwrap();
        assert!(
            chosen.contains(&format!("data-point=\"{index}\"")),
            "{chosen}"
        );
        let layers = report["layers"].as_array().unwrap().iter();
        for (layer, multiplier) in layers.zip(point["multipliers"].as_array().unwrap()) {
            let row = format!("data-layer={} data-multiplier={multiplier}", layer["path"]);
            assert_eq!(count(&row), 1, "{row}");
        }
        assert!(shown.contains("id=\"headline\""));
    }
}
