//! Multipliers that are run: programs in the place of a file, and files that are compiled, on commands that take a
//! multiplier.

use std::os::unix::fs::PermissionsExt;

use approx_multiplier::export::{self, ExportFormat};
use approx_multiplier::{Multiplier, OperandFormat};

use crate::support::Workplace;

/// A folder with a program of its own, `mine`, which gives the exact product without its lowest bit.
fn workplace() -> Workplace {
    let place = Workplace::new();
    let script =
        "#!/usr/bin/awk -f\n{ product = $1 * $2; print product - (product % 2 + 2) % 2 }\n";
    let script = script.replace("/usr/bin/awk", &awk());
    place.write("mine", script);
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(place.path("mine"), executable).unwrap();
    place
}

/// Where awk is, which POSIX has everywhere, but not in the same place.
fn awk() -> String {
    let folders = std::env::var("PATH").unwrap();
    let awk = folders.split(':').map(|folder| format!("{folder}/awk"));
    let mut awk = awk.filter(|awk| std::path::Path::new(awk).is_file());
    awk.next().expect("there is an awk")
}

const OPTIONS: &str = "--bits 4 --unsigned";

#[test]
fn a_program_stands_for_its_multiplier() {
    let place = workplace();
    let imported = place.json(&format!("import exec:./mine {OPTIONS} --output mine.json"));
    assert_eq!(imported["name"], "mine");
    assert_eq!(imported["activation"]["bits"], 4);
    // A quarter of the products is odd.
    place.succeed(&format!(
        "metrics exec:./mine {OPTIONS} --claim wce=1 --claim ep_percent=25"
    ));
    place.succeed(&format!(
        "compare exec:./mine mine.json {OPTIONS} --require-equal"
    ));
    place.succeed(&format!("info exec:./mine {OPTIONS}"));
    place.succeed(&format!("info exec:./mine:sign-magnitude {OPTIONS}"));
    place.succeed(&format!("factor exec:./mine {OPTIONS}"));
    place.succeed(&format!("export exec:./mine {OPTIONS} --output mine.csv"));
    place.succeed(&format!(
        "plot heat-map exec:./mine {OPTIONS} --output mine.svg"
    ));
    place.array("x.npy", &[1, 2], &[3u8, 5]);
    place.array("w.npy", &[1, 2], &[5u8, 2]);
    place.succeed(&format!(
        "layer linear --input x.npy --weight w.npy --multiplier exec:./mine {OPTIONS} --accumulator acc.npy"
    ));
    assert_eq!(place.values::<i64>("acc.npy").1, [14 + 10]);
    // Beside a bundled circuit, what is said is said of the program.
    place.fail(
        &format!("compare exec:./mine mul8u_17C8 {OPTIONS}"),
        2,
        "only multipliers of the same operands",
    );
}

/// Quotes keep words together, and nothing else is read as a shell would.
#[test]
fn commands_are_split_into_words() {
    let place = workplace();
    let command = "exec:awk -v factor=2 '{ print $1 * $2 * factor / 2 }'";
    let arguments = [
        "compare",
        command,
        "exact:uint4",
        "--bits",
        "4",
        "--unsigned",
        "--require-equal",
    ];
    let finished = place.run_words(&arguments);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let command = "exec:./mine; touch made";
    let finished = place.run_words(&["info", command, "--bits", "4", "--unsigned"]);
    assert_ne!(finished.code, Some(0));
    assert!(!place.files().contains(&"made".into()));
}

#[test]
fn what_a_program_needs_is_asked_for() {
    let place = workplace();
    place.fail("info exec:./mine --unsigned", 2, "give --bits");
    place.fail(
        "info exec:./mine --bits 4",
        2,
        "give --signed or --unsigned",
    );
    place.fail(
        &format!("info exec:./mine {OPTIONS} --top m"),
        2,
        "--top belongs to a file",
    );
    place.fail(&format!("info exec: {OPTIONS}"), 2, "name a program");
    place.fail(&format!("info exec:'mine {OPTIONS}"), 2, "quote");
    place.fail(
        &format!("info exec:./none {OPTIONS}"),
        1,
        "`./none` cannot be started",
    );
    place.fail(
        &format!("info exec:./mine {OPTIONS} --time-limit 0"),
        2,
        "seconds above 0",
    );
    place.fail(
        &format!("info exec:./mine {OPTIONS} --memory-limit x"),
        2,
        "gibibytes",
    );
    place.fail("info exact --compile", 2, "--compile belongs to a file");
}

#[test]
fn a_program_that_does_not_end_is_stopped() {
    let place = workplace();
    place.fail(
        "info exec:yes --bits 4 --unsigned",
        1,
        "expected a whole number",
    );
    let arguments = [
        "info",
        "exec:sleep 100",
        "--bits",
        "4",
        "--unsigned",
        "--time-limit",
        "0.5",
    ];
    let finished = place.run_words(&arguments);
    assert_eq!(finished.code, Some(1));
    assert!(
        finished.stderr.contains("stopped after 0.5 s"),
        "{}",
        finished.stderr
    );
    assert!(
        finished.stderr.contains("(--time-limit)"),
        "{}",
        finished.stderr
    );
}

#[test]
fn functions_with_loops_are_compiled_if_asked_for() {
    let place = Workplace::new();
    let text = "#include <stdint.h>
        uint8_t mul4u_loops(uint8_t a, uint8_t b) { uint8_t p = 0; for (; b; b--) p += a; return p; }";
    place.write("loops.c", text);
    place.write("loops.cpp", text);
    for file in ["loops.c", "loops.cpp"] {
        place.fail(&format!("import {file} --output l.json"), 1, "(--compile)");
        let imported = place.json(&format!("import {file} --compile --output l.json"));
        let notes = imported["notes"].to_string();
        assert!(notes.contains("has compiled"), "{notes}");
        place.succeed(&format!(
            "compare {file} exact:uint4 --compile --require-equal"
        ));
        place.succeed("compare l.json exact:uint4 --require-equal");
    }
    place.write(
        "wrong.c",
        "int mul4u_x(int a, int b) { return undeclared; }",
    );
    place.fail("import wrong.c --compile --output w.json", 1, "wrong.c:1:");
    place.write(
        "endless.c",
        "int mul4u_x(int a, int b) { for (volatile int i = 0;; i++) {} }",
    );
    place.fail(
        "import endless.c --compile --time-limit 0.5 --output e.json",
        1,
        "(--time-limit)",
    );
}

/// A configuration may come from anybody: it runs nothing.
#[test]
fn configurations_run_nothing() {
    let place = workplace();
    let network = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/network.onnx");
    place.write("config.json", "{\"multiplier\": \"exec:./mine\"}");
    place.fail(
        &format!("inspect {network} --config config.json"),
        1,
        "only where a command line names it",
    );
    place.fail(
        &format!("inspect {network} --bits 4"),
        2,
        "--bits belongs to",
    );
    place.succeed(&format!(
        "inspect {network} --multiplier exec:./mine:sign-magnitude --bits 8 --unsigned"
    ));
}

/// The program in the documentation, which has it in two languages, one of which POSIX has everywhere.
#[test]
fn the_example_of_the_documentation_is_its_formula() {
    let place = Workplace::new();
    let page = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/running-programs.md"
    );
    let page = std::fs::read_to_string(page).unwrap();
    let (_, program) = page.split_once("```awk\n").unwrap();
    let (program, _) = program.split_once("```").unwrap();
    place.write("leading.awk", program);
    let format = OperandFormat::unsigned(6).unwrap();
    let leading = |x: i64| {
        let cut = (61 - i64::from(x.leading_zeros())).max(0);
        x >> cut << cut
    };
    let formula = Multiplier::from_fn("formula", format, format, |a, b| leading(a) * leading(b));
    let path = place.path("formula.json");
    export::write(&formula.unwrap(), path, ExportFormat::Own).unwrap();
    let arguments = [
        "compare",
        "exec:awk -f leading.awk",
        "formula.json",
        "--bits",
        "6",
        "--unsigned",
        "--require-equal",
    ];
    let finished = place.run_words(&arguments);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}
