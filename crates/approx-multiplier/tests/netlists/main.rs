//! Netlists that are read equal the functions that they were written from, whatever the language, and what is no netlist of
//! a multiplier is an error, quickly.

mod generator;

use std::time::{Duration, Instant};

use approx_multiplier::import::{
    self, ImportError, ImportOptions, Netlist, NetlistFormat, NetlistLimits, NetlistOptions,
    Position,
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
    options: &NetlistOptions,
) -> Result<(Multiplier, Vec<String>), ImportError> {
    Netlist::parse(text, format, options)?.multiplier(options)
}

fn read_plainly(
    text: &str,
    format: NetlistFormat,
) -> Result<(Multiplier, Vec<String>), ImportError> {
    read(text, format, &NetlistOptions::default())
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
            notes.iter().any(|note| note.contains("as the name")),
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
        assert!(notes.iter().any(|found| found.contains(note)), "{notes:?}");
    }
}

#[test]
fn options_go_before_what_the_file_says() {
    let circuit = Circuit::multiplier("mul4u_x", 4, 0, false);
    for (language, text) in circuit.all() {
        let options = NetlistOptions {
            signedness: Some([Signedness::Signed, Signedness::Unsigned]),
            swap_operands: true,
            ..NetlistOptions::default()
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
                .any(|note| note.contains("swapped as asked for"))
        );
        for (a, b) in [(-3, 5), (7, 15), (-8, 9)] {
            let pattern = circuit.evaluate(b as u64, (a & 15) as u64);
            // A product with a signed operand is signed.
            let expected = i64::from((pattern as u8).cast_signed());
            assert_eq!(multiplier.product(a, b), Some(expected));
        }
    }
}

#[test]
fn twelve_bits_are_tabulated_in_seconds() {
    let circuit = Circuit::multiplier("mul12s_exact", 12, 0, true);
    let format = OperandFormat::signed(12).unwrap();
    let expected = ProductTable::exact(format, format).unwrap();
    for (language, text) in circuit.all() {
        let start = Instant::now();
        let (multiplier, _) = read_plainly(&text, language).unwrap();
        let elapsed = start.elapsed();
        assert_eq!(multiplier.table(), Some(&expected));
        println!("{language:?}: 12 x 12 bits in {elapsed:?}");
        // Far above what it takes, for machines with much else to do.
        assert!(elapsed < Duration::from_secs(30), "{elapsed:?}");
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
            .any(|note| note.contains("16777216 random ones")),
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
    let options = NetlistOptions {
        signedness: Some([Signedness::Unsigned; 2]),
        ..NetlistOptions::default()
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
        let options = NetlistOptions {
            signedness: Some([signedness; 2]),
            bits: Some(circuit.bits.map(|bits| bits as u8)),
            ..NetlistOptions::default()
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

fn position(error: &ImportError) -> (usize, usize) {
    let position = error.location().and_then(|location| location.position);
    let Position { line, column } = position.unwrap_or_else(|| panic!("no position: {error}"));
    (line, column)
}

#[rstest]
#[case(
    NetlistFormat::Verilog,
    "module m(input [1:0] a, b, output [1:0] o);\nwire x, y;\nassign x = ~y & a[0], y = x | b[0];\nassign o = {x, a[1] & b[1]};\nendmodule"
)]
#[case(
    NetlistFormat::Blif,
    ".model m\n.inputs a0 a1 b0 b1\n.outputs o0\n.names x a0 y\n11 1\n.names y b0 a1 b1 x\n1-11 1\n.names x o0\n1 1\n.end"
)]
fn loops_are_refused(#[case] format: NetlistFormat, #[case] text: &str) {
    let error = read_plainly(text, format).unwrap_err();
    let ImportError::CombinationalLoop { nets, .. } = &error else {
        panic!("{error}");
    };
    let mut nets = nets.clone();
    nets.sort();
    assert_eq!(nets, ["x", "y"]);
    position(&error);
}

#[rstest]
#[case(NetlistFormat::Verilog, "module m(input [1:0] a, b, output [1:0] o);\nwire [3:0] x;\nassign o = {x[2], a[1] & b[1]};\nendmodule", "x[2]", (2, 12))]
#[case(NetlistFormat::Verilog, "module m(input [1:0] a, b, output [1:0] o);\nassign o[0] = a[0] & b[0];\nendmodule", "o[1]", (1, 41))]
#[case(NetlistFormat::Verilog, "module m(input [1:0] a, b, output o);\nAND2_X1 g(.A1(a[0]), .ZN(o));\nendmodule", "A2", (2, 1))]
#[case(NetlistFormat::Blif, ".model m\n.inputs a0 a1 b0 b1\n.outputs o0\n.names a0 x o0\n11 1\n.end", "x", (4, 11))]
#[case(NetlistFormat::C, "uint8_t f(uint8_t a, uint8_t b) {\n  uint8_t x;\n  return a & x;\n}", "the variable \"x\"", (3, 14))]
fn undriven_nets_are_refused(
    #[case] format: NetlistFormat,
    #[case] text: &str,
    #[case] expected: &str,
    #[case] place: (usize, usize),
) {
    let error = read_plainly(text, format).unwrap_err();
    let ImportError::UndrivenNet { net, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(net, expected);
    assert_eq!(position(&error), place);
}

#[rstest]
#[case(NetlistFormat::Verilog, "module m(input [1:0] a, b, output o);\nassign o = a[0];\nassign o = b[0];\nendmodule", (3, 8))]
#[case(NetlistFormat::Verilog, "module m(input [1:0] a, b, output o);\nassign o = a[0];\nassign b[0] = a[1];\nendmodule", (3, 8))]
#[case(NetlistFormat::Blif, ".model m\n.inputs a0 a1 b0 b1\n.outputs o\n.names a0 o\n1 1\n.names b0 o\n1 1\n.end", (6, 11))]
fn second_drivers_are_refused(
    #[case] format: NetlistFormat,
    #[case] text: &str,
    #[case] place: (usize, usize),
) {
    let error = read_plainly(text, format).unwrap_err();
    assert!(matches!(error, ImportError::DrivenTwice { .. }), "{error}");
    assert_eq!(position(&error), place);
}

/// Texts that ask for far more than they are long.
#[rstest]
#[case(
    NetlistFormat::Verilog,
    "module m(input [1:0] a, b, output o); wire [999999999:0] x; endmodule",
    "1 to 65536 bits"
)]
#[case(
    NetlistFormat::Verilog,
    "module m(input [1:0] a, b, output o); wire [65535:0] x; assign o = {65536{x}}; endmodule",
    "1 to 65536 bits"
)]
#[case(
    NetlistFormat::Verilog,
    "module m(input [1:0] a, b, output o); assign o = {4294967295{{4294967295{a[0]}}}}; endmodule",
    "1 to 65536 bits"
)]
#[case(
    NetlistFormat::Verilog,
    "module m(input [1:0] a, b, output o); wire [65535:0] x = {32768{a}}, y = {32768{b}}; assign o = ^(x * y); endmodule",
    "steps"
)]
#[case(
    NetlistFormat::C,
    "int f(int a, int b) { int x[1000][1000]; return a; }",
    "1 to 65536 elements"
)]
fn explosions_are_refused(
    #[case] format: NetlistFormat,
    #[case] text: &str,
    #[case] expected: &str,
) {
    let start = Instant::now();
    let error = read_plainly(text, format).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn nesting_is_bounded() {
    let deep = 100_000;
    let texts = [
        (NetlistFormat::Verilog, format!("module m(input [1:0] a, b, output o); assign o = {}a", "(".repeat(deep))),
        (NetlistFormat::Verilog, format!("module m(input [1:0] a, b, output o); assign o = {}a", "~".repeat(deep))),
        (NetlistFormat::Verilog, format!("module m(input [1:0] a, b, output o); assign o = {}", "{1{".repeat(deep))),
        (NetlistFormat::Verilog, format!("module m(input [1:0] a, b, output o); assign o = a{};", " == a".repeat(deep))),
        (NetlistFormat::Verilog, format!("module m(input [1:0] a, b, output o); assign o = a{}", "[a".repeat(deep))),
        (NetlistFormat::C, format!("int f(int a, int b) {{ return {}a", "(".repeat(deep))),
        (NetlistFormat::C, format!("int f(int a, int b) {{ return {}a", "~(int)".repeat(deep))),
        (NetlistFormat::C, format!("int f(int a, int b) {{ return {}a", "a ? a : ".repeat(deep))),
        (NetlistFormat::C, format!("int f(int a, int b) {{ {}", "{".repeat(deep))),
        (NetlistFormat::C, format!("int f(int a, int b) {{ {}", "a = ".repeat(deep))),
        (NetlistFormat::C, "int f(int a, int b) { return g(a); } int g(int a) { return g(a); }".into()),
        (NetlistFormat::Verilog, "module m(input [1:0] a, b, output o); n x(a); endmodule module n(input a); n x(a); endmodule".into()),
        (NetlistFormat::Blif, ".model m\n.inputs a0 a1 b0 b1\n.outputs o\n.subckt m a0=a0 a1=a1 b0=b0 b1=b1 o=o\n.end".into()),
    ];
    for (format, text) in texts {
        let start = Instant::now();
        let text_end = if format == NetlistFormat::C {
            "; } }"
        } else {
            ""
        };
        let error = read_plainly(&format!("{text}{text_end}"), format).unwrap_err();
        let refused = matches!(
            error,
            ImportError::TooLarge { .. }
                | ImportError::Unexpected { .. }
                | ImportError::Undetermined { .. }
        );
        assert!(refused, "{error}");
        assert!(start.elapsed() < Duration::from_secs(5), "{error}");
    }
}

#[test]
fn long_chains_are_no_nesting() {
    let long = 50_000;
    let verilog = format!(
        "module m(input [1:0] a, b, output [1:0] o); assign o = a & b{}; endmodule",
        " | a & b".repeat(long)
    );
    let c = format!(
        "uint8_t f(uint8_t a, uint8_t b) {{ return (a & b & 3){}; }}",
        " | a & b & 3".repeat(long)
    );
    for (format, text) in [(NetlistFormat::Verilog, verilog), (NetlistFormat::C, c)] {
        let (multiplier, _) = read_plainly(&text, format).unwrap();
        assert_eq!(multiplier.product(1, 1).map(|product| product & 3), Some(1));
    }
}

/// Instances of instances, each twice: more of them than there are atoms.
#[test]
fn exponential_hierarchies_are_refused() {
    let mut verilog = String::from("module m0(input a, output o); assign o = a; endmodule\n");
    let mut empty = String::from("module m0; endmodule\n");
    let mut c = String::from("int f0(int a) { return a; }\n");
    let mut blif = String::new();
    for level in 1..60 {
        let below = level - 1;
        verilog += &format!(
            "module m{level}(input a, output o); wire x; m{below} i(a, x), j(x, o); endmodule\n"
        );
        empty += &format!("module m{level}; m{below} i(), j(); endmodule\n");
        c += &format!("int f{level}(int a) {{ return f{below}(f{below}(a)); }}\n");
        blif += &format!(
            ".model m{level}\n.inputs a\n.outputs o\n.subckt m{below} a=a o=x\n.subckt m{below} a=x o=o\n.end\n"
        );
    }
    verilog += "module top(input [1:0] a, b, output o); m59 i(a[0], o); endmodule";
    empty += "module top(input [1:0] a, b, output o); m59 i(); assign o = a[0]; endmodule";
    c += "int top(int a, int b) { return f59(a); }";
    let blif = format!(
        ".model top\n.inputs a0 a1 b0 b1\n.outputs o\n.subckt m59 a=a0 o=o\n.end\n{blif}.model m0\n.inputs a\n.outputs o\n.names a o\n1 1\n.end"
    );
    for (format, text) in [
        (NetlistFormat::Verilog, verilog),
        (NetlistFormat::Verilog, empty),
        (NetlistFormat::C, c),
        (NetlistFormat::Blif, blif),
    ] {
        let start = Instant::now();
        let error = read_plainly(&text, format).unwrap_err();
        println!("{format:?}: {:?}", start.elapsed());
        assert!(matches!(error, ImportError::TooLarge { .. }), "{error}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn large_netlists_are_refused_quickly() {
    // Ten million gates are more bytes than are read at all.
    let text = format!(
        ".model m\n.inputs a0 a1 b0 b1\n.outputs o\n{}",
        ".names a0 b0 o\n11 1\n".repeat(10_000_000)
    );
    let start = Instant::now();
    let error = read_plainly(&text, NetlistFormat::Blif).unwrap_err();
    assert!(error.to_string().contains("bytes"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(1));

    let few = NetlistOptions {
        limits: NetlistLimits {
            nodes: 100,
            ..NetlistLimits::default()
        },
        ..NetlistOptions::default()
    };
    let circuit = Circuit::multiplier("mul8u", 8, 0, false);
    for (format, text) in circuit.all() {
        let error = read(&text, format, &few).unwrap_err();
        assert!(
            matches!(error, ImportError::TooLarge { limit: 100, .. }),
            "{error}"
        );
        position(&error);
    }
}
