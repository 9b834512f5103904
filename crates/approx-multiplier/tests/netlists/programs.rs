//! Functions and programs that are run: what they compute is what is read, in whatever way they answer, and one that does
//! not do as a multiplier must is an error that says so, in bounded time and memory.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use approx_multiplier::import::{
    self, Execution, ExecutionError, ExecutionLimits, ImportError, ImportOptions, Imported,
    NoteKind, PortNames,
};
use approx_multiplier::{Definition, MultiplierError, MultiplierSource, OperandFormat, Signedness};
use rstest::rstest;
use tempfile::TempDir;

/// Time enough for what is right, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

fn options(activation: &str, weight: &str) -> ImportOptions {
    let format = |text: &str| text.parse::<OperandFormat>().unwrap();
    ImportOptions::default().with_formats(format(activation), format(weight))
}

fn limited(seconds: f64) -> ImportOptions {
    ImportOptions {
        execution_limits: ExecutionLimits {
            time: Duration::from_secs_f64(seconds),
            ..ExecutionLimits::default()
        },
        ..options("uint4", "uint4")
    }
}

fn awk(script: &str, options: &ImportOptions) -> Result<Imported, ImportError> {
    import::program(&["awk", script], options)
}

fn execution_error(result: Result<Imported, ImportError>) -> ExecutionError {
    match result {
        Err(ImportError::Execution { source, location }) => {
            assert!(location.file.is_some(), "{source}");
            *source
        }
        Err(other) => panic!("{other}"),
        Ok(imported) => panic!("{:?}", imported.multiplier),
    }
}

/// At once, in blocks, or at the end of the input; with blanks and without a last line's end; in several words.
#[rstest]
#[case(&["awk", "{ print $1 * $2; fflush() }"])]
#[case(&["awk", "{ print $1 * $2 }"])]
#[case(&["awk", "{ line[NR] = $1 * $2 } END { for (i = 1; i <= NR; i++) print line[i] }"])]
#[case(&["awk", "{ printf \"%20d \\r\\n\", $1 * $2 }"])]
#[case(&["awk", "{ printf \"%s+%d\", (NR == 1 ? \"\" : \"\\n\"), $1 * $2 }"])]
#[case(&["sh", "-c", "while read -r a b; do echo $((a * b)); done"])]
#[case(&["awk", "-v", "scale=1", "{ print scale * $1 * $2 }"])]
fn programs_answer_as_they_like(#[case] words: &[&str]) {
    for (activation, weight) in [("uint4", "uint3"), ("int3", "int5"), ("int4", "uint2")] {
        // A plus before a negative number is no number.
        let is_signed = activation.starts_with('i');
        if is_signed && words[1].contains('+') && words[1].contains("NR == 1 ?") {
            continue;
        }
        let imported = import::program(words, &options(activation, weight)).unwrap();
        let multiplier = &imported.multiplier;
        assert_eq!(multiplier.activation(), activation.parse().unwrap());
        for a in multiplier.activation().codes() {
            for b in multiplier.weight().codes() {
                assert_eq!(multiplier.product(a, b), Some(i64::from(a * b)));
            }
        }
        assert_eq!(imported.metrics.map(|metrics| metrics.wce), Some(0.0));
    }
}

#[test]
fn operands_can_be_exchanged_and_products_scaled() {
    let options = ImportOptions {
        swap_operands: true,
        output_scale: std::num::NonZeroU32::new(4),
        ..options("uint4", "uint3")
    };
    // The first operand is the weight, of three bits.
    let imported = awk("{ if ($1 > 7) exit 1; print int($1 * $2 / 4) }", &options).unwrap();
    let multiplier = imported.multiplier;
    assert_eq!(
        (multiplier.activation().bits(), multiplier.weight().bits()),
        (4, 3)
    );
    assert_eq!(multiplier.product(15, 5), Some(72));
}

/// Nothing of what is written to standard error is lost on whoever has to find a mistake, and none of it is in the way.
#[test]
fn what_else_a_program_says_is_quoted() {
    let script = "{ print \"at \" $1 > \"/dev/stderr\"; print $1 * $2 }";
    let imported = awk(script, &options("uint8", "uint8")).unwrap();
    assert_eq!(imported.metrics.map(|metrics| metrics.wce), Some(0.0));
    let note = imported.notes.last().unwrap();
    assert_eq!(note.kind, NoteKind::Information);
    assert!(note.text.contains("it says: at "), "{note}");
}

#[test]
fn formats_are_asked_for() {
    let all = options("uint4", "uint4");
    let without_bits = ImportOptions {
        bits: None,
        ..all.clone()
    };
    let without_signedness = ImportOptions {
        signedness: None,
        ..all.clone()
    };
    for (options, expected) in [
        (without_bits, "give the bits"),
        (without_signedness, "give the signedness"),
    ] {
        let error = awk("{ print $1 * $2 }", &options).unwrap_err();
        assert!(matches!(error, ImportError::Undetermined { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let none: [&str; 0] = [];
    let error = import::program(&none, &all).unwrap_err();
    assert!(matches!(error, ImportError::Undetermined { .. }), "{error}");
}

#[test]
fn programs_have_the_name_of_their_script() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("mine.awk");
    std::fs::write(&script, "{ print $1 * $2 }").unwrap();
    let words = ["awk".as_ref(), "-f".as_ref(), script.as_os_str()];
    let imported = import::program(&words, &options("uint4", "uint4")).unwrap();
    assert_eq!(imported.multiplier.name(), "mine");
    let imported = awk("{ print $1 * $2 }", &options("uint4", "uint4")).unwrap();
    assert_eq!(imported.multiplier.name(), "awk");
}

#[rstest]
#[case("{ print $1 * $2 } NR == 7 { exit 3 }", "exit status: 3")]
#[case("NR > 200 { exit } { print $1 * $2 }", "after 200 of 256")]
#[case("END { exit 5 } { print $1 * $2 }", "after 256 of 256")]
#[case("BEGIN { system(\"kill -9 $PPID\") }", "signal: 9")]
#[case("{ print \"no \" $1 > \"/dev/stderr\"; exit 1 }", "it says: no 0")]
fn programs_that_end_early_or_badly_are_refused(#[case] script: &str, #[case] expected: &str) {
    let error = execution_error(awk(script, &options("uint4", "uint4")));
    assert!(matches!(error, ExecutionError::Ended { .. }), "{error}");
    assert!(error.to_string().contains(expected), "{error}");
}

#[rstest]
#[case("{ print $1 * $2 / 4 }", "its answer to 0 1 is \"0.25\"", 1)]
#[case("{ print \"product\", $1 * $2 }", "\"product 0\"", 0)]
#[case("{ print ($1 == 2 ? \"\" : 3) }", "its answer to 2 0 is \"\"", 2)]
#[case("{ print \"99999999999999999999\" }", "up to 64 bits", 0)]
#[case("{ print \"0x10\" }", "\"0x10\"", 0)]
#[case("{ printf \"\\377\\n\" }", "\u{fffd}", 0)]
#[case(
    "BEGIN { while (1) printf \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" }",
    "\"xxxxxxxx",
    0
)]
#[case("BEGIN { while (1) printf \"1\" }", "\"11111111", 0)]
fn answers_that_are_no_products_are_refused(
    #[case] script: &str,
    #[case] expected: &str,
    #[case] first: i64,
) {
    let start = Instant::now();
    let script = script.replace("$1 * $2 / 4", "($1 + 1) * $2 / 4");
    let error = execution_error(awk(&script, &options("uint4", "uint4")));
    let ExecutionError::NotAProduct { operands, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(operands[0], if first == 1 { 0 } else { first });
    assert!(error.to_string().contains(expected), "{error}");
    assert!(start.elapsed() < PATIENCE);
}

#[rstest]
#[case(
    "{ print $1 * $2 } END { print 17 }",
    "goes on with \"17\" after its answers to all 256"
)]
#[case("{ print $1; print $2 }", "goes on with")]
#[case("{ print $1 * $2 } END { while (1) print 1 }", "goes on with \"1\"")]
fn answers_to_nothing_are_refused(#[case] script: &str, #[case] expected: &str) {
    let error = execution_error(awk(script, &options("uint4", "uint4")));
    assert!(
        matches!(error, ExecutionError::TooManyProducts { .. }),
        "{error}"
    );
    assert!(error.to_string().contains(expected), "{error}");
}

/// A program that does not end, with all that it has started, is stopped in time.
#[rstest]
#[case(&["awk", "BEGIN { while (1) x++ }"], 0)]
#[case(&["sleep", "100"], 0)]
#[case(&["awk", "NR < 8 { print 1; fflush() } NR == 8 { while (1) x++ }"], 7)]
#[case(&["sh", "-c", "sleep 100 & sleep 100"], 0)]
// It answers, and then does not go.
#[case(&["awk", "{ print $1 * $2; fflush() } END { while (1) x++ }"], 256)]
// It leaves something behind that holds on to its output.
#[case(&["sh", "-c", "setsid sleep 5 & exit 0"], 0)]
fn programs_that_do_not_end_are_stopped(#[case] words: &[&str], #[case] expected: u64) {
    let start = Instant::now();
    let error = execution_error(import::program(words, &limited(1.0)));
    assert!(start.elapsed() < PATIENCE);
    let ExecutionError::OutOfTime {
        answered, asked, ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((answered, asked), (expected, 256));
}

#[test]
fn programs_that_are_not_there_are_named() {
    let error = execution_error(import::program(&["./no such"], &options("uint4", "uint4")));
    assert!(
        matches!(error, ExecutionError::NotStarted { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("`./no such` cannot be started"),
        "{error}"
    );
}

/// No word of a command is read by a shell.
#[test]
fn words_are_no_scripts() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made");
    let word = format!("x=$(touch {0}); `touch {0}`; touch {0}", made.display());
    let words = ["awk", "-v", &word, "{ print $1 * $2 }"];
    import::program(&words, &options("uint4", "uint4")).unwrap();
    assert!(!made.exists());
}

#[rstest]
#[case("{ print \"1125899906842624\" }", "48 bits")]
#[case(
    "BEGIN { srand() } { print int(1000 * rand()) + NR }",
    "depends on its operands alone"
)]
#[case("{ n += 1; print n }", "depends on its operands alone")]
fn what_is_no_function_of_two_codes_is_refused(#[case] script: &str, #[case] expected: &str) {
    let error = execution_error(awk(script, &options("uint8", "uint8"))).to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn products_must_fit_into_a_table() {
    let error = awk("{ print $1 \"000000000000\" }", &options("uint4", "uint4")).unwrap_err();
    let ImportError::Multiplier { source, .. } = &error else {
        panic!("{error}");
    };
    assert!(
        matches!(**source, MultiplierError::EntryOutOfRange { .. }),
        "{error}"
    );
}

/// A folder with a file in C or C++.
fn written(extension: &str, text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("own.{extension}"));
    let headers = "#include <stdint.h>\n#include <stdio.h>\n#include <stdlib.h>\n";
    std::fs::write(&path, format!("{headers}{text}\n")).unwrap();
    (folder, path)
}

fn compile(extension: &str, text: &str, seconds: f64) -> Result<Imported, ImportError> {
    let (_folder, path) = written(extension, text);
    let options = ImportOptions {
        execution: Execution::Compile,
        bits: None,
        signedness: None,
        ..limited(seconds)
    };
    import::read(path, &options)
}

/// What a function prints, reads or leaves in files is its own affair.
#[rstest]
#[case("printf(\"%d\\n\", a * b);")]
#[case("puts(\"12\"); fflush(stdout); fprintf(stderr, \"34\\n\");")]
#[case("int x; if (scanf(\"%d\", &x) != EOF) return x;")]
#[case(
    "for (int i = 0; i < 100; i++) printf(\"a long line that nobody reads, again and again\\n\");"
)]
fn functions_may_print(#[case] body: &str) {
    let text = format!("uint8_t mul4u_loud(uint8_t a, uint8_t b) {{ {body} return a * b; }}");
    for extension in ["c", "cpp"] {
        let imported = compile(extension, &text, 60.0).unwrap();
        assert_eq!(
            imported.metrics.as_ref().map(|metrics| metrics.wce),
            Some(0.0)
        );
    }
}

#[rstest]
#[case("if (a == 3 && b == 5) abort(); return a * b;", "SIGABRT", Some([3, 5]))]
#[case("if (a == 3 && b == 5) return *(volatile int *)16; return a * b;", "SIGSEGV", Some([3, 5]))]
#[case("return 60 / (a - 2) * b;", "SIGFPE", Some([2, 0]))]
#[case("if (a == 2) exit(0); return a * b;", "exit status: 0", Some([2, 0]))]
#[case("if (a == 15) exit(7); return a * b;", "exit status: 7", Some([15, 0]))]
#[case("volatile char frame[1 << 16]; frame[a] = b; int deeper = mul4u_x(a, b); return deeper + frame[a];", "SIGSEGV", Some([0, 0]))]
#[case(
    "static char *volatile last; for (;;) { char *next = (char *)malloc(1 << 20); next[b] = 1; last = next; }",
    "2 GiB",
    None
)]
fn functions_that_do_not_return_are_refused(
    #[case] body: &str,
    #[case] expected: &str,
    #[case] place: Option<[i64; 2]>,
) {
    let text = format!("int mul4u_x(int a, int b) {{ {body} }}");
    for extension in ["c", "cc"] {
        let error = execution_error(compile(extension, &text, 60.0));
        let ExecutionError::Ended { operands, .. } = &error else {
            panic!("{error}");
        };
        if place.is_some() {
            assert_eq!(*operands, place, "{error}");
        }
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn functions_that_never_end_are_stopped() {
    let text = "int mul4u_x(int a, int b) { while (a == 2) {} return a * b; }";
    let start = Instant::now();
    let error = execution_error(compile("c", text, 1.0));
    assert!(start.elapsed() < PATIENCE);
    let ExecutionError::OutOfTime { answered, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(answered, 32);
}

#[rstest]
#[case("c", "int mul4u_x(int a, int b) { return a * c; }", "own.c:4:")]
#[case(
    "cpp",
    "int mul4u_x(int a, int b) { return undeclared::f(a); }",
    "own.cpp:4:"
)]
#[case(
    "c",
    "int elsewhere(int); int mul4u_x(int a, int b) { return elsewhere(a) * b; }",
    "elsewhere"
)]
fn what_does_not_compile_is_said_with_the_place(
    #[case] extension: &str,
    #[case] text: &str,
    #[case] expected: &str,
) {
    let error = execution_error(compile(extension, text, 60.0));
    assert!(
        matches!(error, ExecutionError::NotCompiled { .. }),
        "{error}"
    );
    assert!(error.to_string().contains(expected), "{error}");
}

#[rstest]
#[case("int mul4u_x(int a) { return a; }", "1 parameter")]
#[case("int mul4u_x(int a, int b, int c) { return a; }", "3 parameters")]
#[case("int mul4u_x(int a, int b, int *o) { *o = 1; return a; }", "2 outputs")]
#[case("void mul4u_x(int a, int b) { }", "0 outputs")]
#[case(
    "uint32_t f(uint32_t a, uint32_t b) { return a * b; }",
    "give the bits"
)]
#[case(
    "int f(int a, int b) { return a; } int g(int a, int b) { return b; }",
    "\"f\", \"g\""
)]
#[case(
    "uint64_t mul4u_x(uint64_t a, uint64_t b) { return a * b - 1; }",
    "18446744073709551615"
)]
#[case("float f(float a, float b) { return a * b; }", "\"float\"")]
fn other_functions_are_refused(#[case] text: &str, #[case] expected: &str) {
    let error = compile("c", text, 60.0).unwrap_err().to_string();
    assert!(
        error.contains(expected) && error.contains("own.c"),
        "{error}"
    );
}

/// The function is the one that is asked for, and so is its product.
#[test]
fn function_and_product_are_chosen() {
    let text = "int f(int a, int b, int *product) { *product = a * b; return -1; }
        static int own(int a, int b) { return a | b; }";
    let (_folder, path) = written("c", text);
    let options = ImportOptions {
        execution: Execution::Compile,
        ports: PortNames {
            product: vec!["product".into()],
            ..PortNames::default()
        },
        ..options("uint4", "uint4")
    };
    let imported = import::read(&path, &options).unwrap();
    assert_eq!(imported.multiplier.product(15, 15), Some(225));
    let options = ImportOptions {
        top: Some("own".into()),
        ports: PortNames::default(),
        ..options
    };
    let imported = import::read(&path, &options).unwrap();
    assert_eq!(
        (
            imported.multiplier.name(),
            imported.multiplier.product(5, 6)
        ),
        ("own", Some(7))
    );
    let options = ImportOptions {
        ports: PortNames {
            activation: vec!["b".into()],
            weight: vec!["a".into()],
            product: Vec::new(),
        },
        top: Some("difference".into()),
        ..options
    };
    std::fs::write(&path, "int difference(int a, int b) { return 2 * a - b; }").unwrap();
    let imported = import::read(&path, &options).unwrap();
    assert_eq!(imported.multiplier.product(3, 5), Some(7));
}

#[test]
fn files_are_compiled_together_with_what_they_include() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("parts")).unwrap();
    std::fs::write(path("parts/half.h"), "int half(int x);\n").unwrap();
    std::fs::write(
        path("half.c"),
        "int half(int x) { for (; x & 1; x--) {} return x; }\n",
    )
    .unwrap();
    let text = "#include \"parts/half.h\"\nint mul4u_top(int a, int b) { return half(a) * b; }\n";
    std::fs::write(path("top.c"), text).unwrap();
    let options = ImportOptions {
        execution: Execution::Compile,
        ..ImportOptions::default()
    };
    let imported = import::read_several(&[path("top.c"), path("half.c")], &options).unwrap();
    assert_eq!(imported.multiplier.product(15, 15), Some(14 * 15));
    let error = execution_error(import::read(path("top.c"), &options)).to_string();
    assert!(error.contains("half"), "{error}");
}

/// Beyond a table, factors are found from whole lists of products at a time, in few runs of the program.
#[test]
fn wide_functions_become_factors() {
    let text = "uint64_t mul16u_cut(uint64_t a, uint64_t b) {
        uint64_t sum = 0;
        for (int i = 3; i < 16; i++) if (b >> i & 1) sum += a << i;
        return sum;
    }";
    let imported = compile("c", text, 60.0).unwrap();
    let multiplier = &imported.multiplier;
    assert!(matches!(multiplier.definition(), Definition::Factored(_)));
    assert_eq!(multiplier.product(65535, 65535), Some(65535 * 65528));
    let notes: Vec<_> = imported.notes.iter().map(|note| &note.text).collect();
    assert!(
        notes
            .iter()
            .any(|note| note.contains("16777216 random ones")),
        "{notes:?}"
    );

    let text =
        "uint32_t mul16u_mixed(uint32_t a, uint32_t b) { return (a * b) ^ (a * b >> 7 & a); }";
    let error = execution_error(compile("c", text, 60.0));
    assert!(matches!(error, ExecutionError::NoFactors { .. }), "{error}");
    let error = error.to_string();
    assert!(
        error.contains("rank") && error.contains("bring its circuit"),
        "{error}"
    );

    // A failure on the way is what is said, not what was made of it.
    let text = "int mul16u_x(int a, int b) { if (a == 77 && b == 12345) abort(); return a * b; }";
    let error = compile("c", text, 60.0).map(|imported| imported.multiplier.product(77, 12345));
    // Only if the pair is among those that are looked at; most are not.
    assert!(error.is_ok() || matches!(error, Err(ImportError::Execution { .. })));
    let text = "int mul16u_x(int a, int b) { if (a > 9000) abort(); return a * b; }";
    let error = execution_error(compile("c", text, 60.0));
    assert!(matches!(error, ExecutionError::Ended { .. }), "{error}");
}

/// A configuration comes from anybody, and runs nothing.
#[rstest]
#[case("\"exec:awk '{ print $1 * $2 }'\"")]
#[case("\"exec:./mine.json\"")]
#[case("\"exec:./mine:sign-magnitude\"")]
fn configurations_run_nothing(#[case] json: &str) {
    let error = serde_json::from_str::<MultiplierSource>(json)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("only where a command line names it"),
        "{error}"
    );
    let error = serde_json::from_str::<MultiplierSource>("{\"exec\": \"./mine\"}").unwrap_err();
    assert!(
        error.to_string().contains("unknown field `exec`"),
        "{error}"
    );
}

/// Files that a configuration names are not compiled.
#[test]
fn configurations_compile_nothing() {
    let text = "int mul4u_x(int a, int b) { while (b > 9) b--; return a * b; }";
    let (_folder, path) = written("c", text);
    let source: MultiplierSource = path.to_str().unwrap().parse().unwrap();
    let error = source.resolve().unwrap_err();
    let MultiplierError::Import(error) = error else {
        panic!("{error}");
    };
    assert!(
        matches!(*error, ImportError::NeedsExecution { .. }),
        "{error}"
    );
    assert_eq!(
        import::read(
            &path,
            &ImportOptions {
                execution: Execution::Compile,
                ..ImportOptions::default()
            }
        )
        .unwrap()
        .multiplier
        .activation()
        .signedness(),
        Signedness::Unsigned
    );
}
