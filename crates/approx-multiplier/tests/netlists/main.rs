//! Netlists that are read equal the functions that they were written from, whatever the language, and no text is a
//! panic.

mod generator;
mod hostile;
mod kinds;
#[cfg(unix)]
mod programs;

use std::time::{Duration, Instant};

use approx_multiplier::import::{
    self, ImportError, ImportOptions, Imported, NetlistFormat, Note, SignExtension,
};
use approx_multiplier::{
    Definition, Multiplier, MultiplierSource, OperandFormat, ProductTable, Signedness,
};
use generator::{Circuit, Function, Gate, Net};
use proptest::prelude::*;
use rstest::rstest;

const FORMATS: [NetlistFormat; 3] = [
    NetlistFormat::C,
    NetlistFormat::Verilog,
    NetlistFormat::Blif,
];

fn read(
    text: &str,
    format: NetlistFormat,
    options: &ImportOptions,
) -> Result<(Multiplier, Vec<Note>), ImportError> {
    let Imported {
        multiplier, notes, ..
    } = import::circuit(text, format, options)?;
    Ok((multiplier, notes))
}

fn read_plainly(text: &str, format: NetlistFormat) -> Result<(Multiplier, Vec<Note>), ImportError> {
    read(text, format, &ImportOptions::default())
}

/// The exact product without the partial products of the lowest columns.
fn truncated(bits: u8, dropped: u8) -> impl Fn(i64, i64) -> i64 {
    move |a, b| {
        (0..bits)
            .flat_map(|i| (0..bits).map(move |j| (i, j)))
            .filter(|(i, j)| i + j >= dropped)
            .map(|(i, j)| ((a >> i & 1) * (b >> j & 1)) << (i + j))
            .sum()
    }
}

#[rstest]
#[case("exact4", Signedness::Unsigned, 0)]
#[case("truncated4", Signedness::Unsigned, 3)]
#[case("baugh_wooley4", Signedness::Signed, 0)]
fn written_netlists_equal_their_formulas(
    #[case] file: &str,
    #[case] signedness: Signedness,
    #[case] dropped: u8,
) {
    let format = OperandFormat::new(4, signedness).unwrap();
    let expected = match dropped {
        0 => ProductTable::exact(format, format).unwrap(),
        _ => ProductTable::from_fn(format, format, truncated(4, dropped)).unwrap(),
    };
    for (language, extension) in FORMATS.into_iter().zip(["c", "v", "blif"]) {
        let path = format!(
            "{}/tests/netlists/{file}.{extension}",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = std::fs::read_to_string(path).unwrap();
        let (multiplier, _) = read_plainly(&text, language).unwrap();
        assert_eq!(multiplier.table(), Some(&expected), "{file}.{extension}");
    }
}

#[rstest]
#[case("mul8u_exact", 8, 0, false)]
#[case("mul8u_truncated", 8, 6, false)]
#[case("mul8s_baugh_wooley", 8, 0, true)]
#[case("mul2u", 2, 0, false)]
#[case("mul5s_odd", 5, 0, true)]
fn generated_netlists_equal_their_formulas(
    #[case] name: &str,
    #[case] bits: u8,
    #[case] dropped: u8,
    #[case] signed: bool,
) {
    let circuit = Circuit::multiplier(name, bits.into(), dropped.into(), signed);
    let format = match signed {
        true => OperandFormat::signed(bits).unwrap(),
        false => OperandFormat::unsigned(bits).unwrap(),
    };
    let expected = match signed {
        true => ProductTable::exact(format, format).unwrap(),
        false => ProductTable::from_fn(format, format, truncated(bits, dropped)).unwrap(),
    };
    for (language, text) in circuit.all() {
        let (multiplier, notes) = read_plainly(&text, language).unwrap();
        assert_eq!(multiplier.name(), name);
        assert_eq!(multiplier.table(), Some(&expected), "{language:?}");
        assert!(
            notes.iter().any(|note| note.text.contains("as the name")),
            "{notes:?}"
        );
    }
}

#[rstest]
#[case(false, "taken as unsigned, with which the mean error is 0.0000")]
#[case(true, "taken as signed, with which the mean error is 0.0000")]
fn the_better_reading_is_taken_if_nothing_is_said(#[case] signed: bool, #[case] note: &str) {
    let circuit = Circuit::multiplier("product", 6, 0, signed);
    for (language, text) in circuit.all() {
        // The function's parameters have 64 bits, of which it uses six.
        let (multiplier, notes) = read_plainly(&text, language).unwrap();
        assert_eq!(multiplier.activation().bits(), 6);
        assert_eq!(multiplier.activation().is_signed(), signed);
        let exact = ProductTable::exact(multiplier.activation(), multiplier.weight()).unwrap();
        assert_eq!(multiplier.table(), Some(&exact));
        assert!(
            notes.iter().any(|found| found.text.contains(note)),
            "{notes:?}"
        );
    }
}

#[test]
fn options_go_before_what_the_file_says() {
    let circuit = Circuit::multiplier("mul4u_x", 4, 0, false);
    for (language, text) in circuit.all() {
        let options = ImportOptions {
            signedness: Some([Signedness::Signed, Signedness::Unsigned]),
            swap_operands: true,
            ..ImportOptions::default()
        };
        let (multiplier, notes) = read(&text, language, &options).unwrap();
        let (signed, unsigned) = (
            OperandFormat::signed(4).unwrap(),
            OperandFormat::unsigned(4).unwrap(),
        );
        assert_eq!(
            (multiplier.activation(), multiplier.weight()),
            (signed, unsigned)
        );
        assert!(
            notes
                .iter()
                .any(|note| note.text.contains("swapped as asked for"))
        );
        for (a, b) in [(-3, 5), (7, 15), (-8, 9)] {
            let pattern = circuit.evaluate(b as u64, (a & 15) as u64);
            // A product with a signed operand is signed.
            let expected = i64::from((pattern as u8).cast_signed());
            assert_eq!(multiplier.product(a, b), Some(expected));
        }
    }
}

/// With `--nocapture` it prints how long reading takes: the figures of the documentation.
#[rstest]
#[case(8, 11)]
#[case(12, 1)]
fn netlists_are_read_in_milliseconds_or_seconds(#[case] bits: u8, #[case] times: usize) {
    let circuit = Circuit::multiplier("exact", bits.into(), 0, true);
    let format = OperandFormat::signed(bits).unwrap();
    let expected = ProductTable::exact(format, format).unwrap();
    for (language, text) in circuit.all() {
        let mut elapsed: Vec<Duration> = (0..times)
            .map(|_| {
                let start = Instant::now();
                let (multiplier, _) = read_plainly(&text, language).unwrap();
                let elapsed = start.elapsed();
                assert!(multiplier.table() == Some(&expected));
                elapsed
            })
            .collect();
        elapsed.sort();
        println!(
            "{language:?}, {bits} x {bits} bits: {:?}",
            elapsed[times / 2]
        );
        // Far above what it takes, for machines with much else to do.
        assert!(elapsed[0] < Duration::from_secs(30), "{elapsed:?}");
    }
}

#[rstest]
#[case("mul16s_exact", 0, true)]
#[case("mul16u_truncated", 2, false)]
fn sixteen_bits_are_factorised(#[case] name: &str, #[case] dropped: u8, #[case] signed: bool) {
    let circuit = Circuit::multiplier(name, 16, dropped.into(), signed);
    let start = Instant::now();
    let (multiplier, notes) = read_plainly(
        &circuit.verilog(generator::Style::Cells),
        NetlistFormat::Verilog,
    )
    .unwrap();
    println!("{name}: {:?}", start.elapsed());
    assert!(matches!(multiplier.definition(), Definition::Factored(_)));
    assert!(
        notes
            .iter()
            .any(|note| note.text.contains("16777216 random ones")),
        "{notes:?}"
    );
    let format = multiplier.activation();
    let codes = [
        format.min_code(),
        format.max_code(),
        0,
        1,
        2,
        7,
        12345,
        23456,
    ];
    for a in codes {
        for b in codes {
            let expected = match signed {
                true => i64::from(a) * i64::from(b),
                false => truncated(16, dropped)(a.into(), b.into()),
            };
            assert_eq!(multiplier.product(a, b), Some(expected), "{a} * {b}");
        }
    }
}

#[test]
fn a_large_circuit_without_factors_is_an_error() {
    // The carries of a sum that is cut off in the middle depend on all bits: the rank is that of the table.
    let text = "
        module mixed(input [15:0] a, input [15:0] b, output [15:0] o);
          wire [16:0] sum = a + b;
          assign o = sum[16:1] ^ {16{sum[8]}};
        endmodule";
    let options = ImportOptions {
        signedness: Some([Signedness::Unsigned; 2]),
        ..ImportOptions::default()
    };
    let error = read(text, NetlistFormat::Verilog, &options).unwrap_err();
    assert!(matches!(error, ImportError::Multiplier { .. }), "{error}");
    assert!(error.to_string().contains("rank"), "{error}");
}

#[test]
fn files_are_read_by_their_extension() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/netlists");
    for extension in ["c", "v", "blif"] {
        let path = folder.join(format!("truncated4.{extension}"));
        let options = ImportOptions {
            swap_operands: true,
            ..ImportOptions::default()
        };
        let imported = import::read(&path, &options).unwrap();
        assert_eq!(imported.multiplier.name(), "mul4u_truncated:swapped");
        assert_eq!(
            imported.multiplier.product(15, 15),
            Some(15 * 15 - 1 - 4 - 12)
        );
        let source: MultiplierSource = path.to_str().unwrap().parse().unwrap();
        assert_eq!(source.resolve().unwrap().name(), "mul4u_truncated");
        // What is wrong is said with the file.
        let options = ImportOptions {
            top: Some("none".into()),
            ..ImportOptions::default()
        };
        let error = import::read(&path, &options).unwrap_err().to_string();
        assert!(
            error.contains("truncated4.") && error.contains("\"none\""),
            "{error}"
        );
    }
}

/// Any circuit of a few gates, with operands of two to four bits.
fn circuits() -> impl Strategy<Value = Circuit> {
    let gates = prop::collection::vec((0usize..8, any::<usize>(), any::<usize>()), 1..30);
    let outputs = prop::collection::vec(any::<usize>(), 2..12);
    (2usize..=4, 2usize..=4, gates, outputs).prop_map(|(a_bits, b_bits, gates, outputs)| {
        let net = |number: usize, gates: usize| {
            let number = number % (a_bits + b_bits + gates);
            match number.checked_sub(a_bits) {
                None => Net::A(number),
                Some(number) if number < b_bits => Net::B(number),
                Some(number) => Net::Gate(number - b_bits),
            }
        };
        const FUNCTIONS: [Function; 8] = [
            Function::And,
            Function::Or,
            Function::Xor,
            Function::Nand,
            Function::Nor,
            Function::Xnor,
            Function::Not,
            Function::One,
        ];
        let gates: Vec<Gate> = gates
            .iter()
            .enumerate()
            .map(|(earlier, &(function, a, b))| {
                (FUNCTIONS[function], net(a, earlier), net(b, earlier))
            })
            .collect();
        let outputs = outputs
            .iter()
            .map(|&output| net(output, gates.len()))
            .collect();
        Circuit {
            name: "anything".into(),
            bits: [a_bits, b_bits],
            gates,
            outputs,
        }
    })
}

proptest! {
    #[test]
    fn any_netlist_equals_its_evaluation(circuit in circuits(), signed: bool) {
        let signedness = if signed { Signedness::Signed } else { Signedness::Unsigned };
        let options = ImportOptions {
            signedness: Some([signedness; 2]),
            bits: Some(circuit.bits.map(|bits| bits as u8)),
            sign_extension: Some(SignExtension::Computed),
            ..ImportOptions::default()
        };
        let formats = circuit.bits.map(|bits| OperandFormat::new(bits as u8, signedness).unwrap());
        for (language, text) in circuit.all() {
            let (multiplier, _) = read(&text, language, &options).unwrap();
            // A C function returns a pattern of 64 bits, in which a signed product has as many as both operands.
            let width = match language {
                NetlistFormat::C => circuit.bits.iter().sum(),
                _ => circuit.outputs.len(),
            };
            for a in formats[0].codes() {
                for b in formats[1].codes() {
                    let pattern = circuit.evaluate(
                        formats[0].pattern(a) as u64,
                        formats[1].pattern(b) as u64,
                    );
                    let expected = match signed {
                        true => (pattern << (64 - width)).cast_signed() >> (64 - width),
                        false => pattern.cast_signed(),
                    };
                    prop_assert_eq!(multiplier.product(a, b), Some(expected), "{:?} {} {}\n{}", language, a, b, text);
                }
            }
        }
    }

    #[test]
    fn no_text_is_a_panic(text in ".{0,200}") {
        for format in FORMATS {
            let _ = read_plainly(&text, format);
        }
    }

    #[test]
    fn no_sequence_of_words_is_a_panic(words in prop::collection::vec(prop::sample::select(WORDS.as_slice()), 0..60)) {
        let text = words.join(" ");
        for format in FORMATS {
            let _ = read_plainly(&text, format);
            let _ = read_plainly(&format!("module m(a, b, o); input [2:0] a, b; output [3:0] o; {text} endmodule"), format);
            let _ = read_plainly(&format!("uint8_t f(uint8_t a, uint8_t b) {{ uint8_t o; {text} return o; }}"), format);
            let _ = read_plainly(&format!(".model m\n.inputs a0 a1 b0 b1\n.outputs o\n{}", text.replace(' ', "\n")), format);
        }
    }

    #[test]
    fn no_damage_is_a_panic(position: prop::sample::Index, replacement in "[ -~]{0,3}", length in 0usize..8, which in 0usize..5) {
        let circuit = Circuit::multiplier("mul3u", 3, 0, false);
        let (format, text) = circuit.all()[which].clone();
        let start = position.index(text.len());
        let end = (start + length).min(text.len());
        let damaged = [&text[..start], &replacement, &text[end..]].concat();
        let _ = read_plainly(&damaged, format);
    }
}

const WORDS: [&str; 82] = [
    "module",
    "m",
    "(",
    ")",
    ";",
    "input",
    "output",
    "wire",
    "[",
    "]",
    "3",
    ":",
    "0",
    "a",
    "b",
    "o",
    ",",
    "assign",
    "=",
    "&",
    "|",
    "^",
    "~",
    "{",
    "}",
    "1'b1",
    "8'hFF",
    "'d3",
    "4'bx",
    "?",
    "+",
    "-",
    "*",
    "/",
    "<<",
    ">>>",
    "==",
    "endmodule",
    ".",
    "#",
    "parameter",
    "signed",
    "$signed",
    "and",
    "not",
    "FA_X1",
    "NAND2_X1",
    "uint8_t",
    "int",
    "f",
    "return",
    "a[0]",
    "o[1]",
    "<<=",
    "|=",
    "0x1F",
    "99999999999",
    "!",
    "&&",
    "\n",
    ".model",
    ".inputs",
    ".outputs",
    ".names",
    ".subckt",
    ".end",
    "11 1",
    "1",
    "\\",
    "a=b",
    "\"",
    "/*",
    "//",
    "void",
    "*o",
    "(uint16_t)",
    "unsigned",
    "long",
    "o =",
    "static",
    "`x",
    "-:",
];
