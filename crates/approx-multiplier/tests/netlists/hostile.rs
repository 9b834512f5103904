//! Netlists from strangers: what is no netlist of a multiplier, or asks for more than there is, is an error, quickly.

use std::time::{Duration, Instant};

use approx_multiplier::import::{
    CircuitLimits, ImportError, ImportOptions, NetlistError, NetlistFormat, NetlistLimits, Position,
};
use rstest::rstest;

use crate::generator::Circuit;
use crate::{read, read_plainly};

/// What is refused takes a moment; without bounds, it would take hours. A machine that is busy may need longer.
const PATIENCE: Duration = Duration::from_secs(120);

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
    let ImportError::Netlist(NetlistError::CombinationalLoop { nets, .. }) = &error else {
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
    let ImportError::Netlist(NetlistError::UndrivenNet { net, .. }) = &error else {
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
    assert!(
        matches!(
            error,
            ImportError::Netlist(NetlistError::DrivenTwice { .. })
        ),
        "{error}"
    );
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
    NetlistFormat::Verilog,
    "module m(input [1:0] a, b, output [3:0] o); assign o = a << 64'hFFFF_FFFF_FFFF_FFFF + b / 0; endmodule",
    "not by 0"
)]
#[case(
    NetlistFormat::Verilog,
    "module m(input [99999999999999999999:0] a, input [1:0] b, output o); endmodule",
    "below 2^64"
)]
#[case(
    NetlistFormat::C,
    "int f(int a, int b) { int x[1000][1000]; return a; }",
    "1 to 65536 elements"
)]
#[case(
    NetlistFormat::C,
    "int f(int8_t a, int8_t b) { return a * b << 1000000000; }",
    "is defined"
)]
fn explosions_are_refused(
    #[case] format: NetlistFormat,
    #[case] text: &str,
    #[case] expected: &str,
) {
    let start = Instant::now();
    let error = read_plainly(text, format).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
    assert!(start.elapsed() < PATIENCE);
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
            ImportError::Netlist(
                NetlistError::TooLarge { .. }
                    | NetlistError::Unexpected { .. }
                    | NetlistError::Undetermined { .. }
            )
        );
        assert!(refused, "{error}");
        assert!(start.elapsed() < PATIENCE, "{error}");
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
        assert!(
            matches!(error, ImportError::Netlist(NetlistError::TooLarge { .. })),
            "{error}"
        );
        assert!(start.elapsed() < PATIENCE);
    }
}

/// Arrays that nothing is done with but to have them, a thousand of the largest.
#[rstest]
#[case("uint64_t", "={0}")]
#[case("bool", "")]
fn memory_is_counted(#[case] r#type: &str, #[case] value: &str) {
    let arrays: String = (0..1000)
        .map(|number| format!("{type} x{number}[65536]{value};"))
        .collect();
    let text = format!("int f(int8_t a, int8_t b) {{ {arrays} return a; }}");
    let start = Instant::now();
    let error = read_plainly(&text, NetlistFormat::C).unwrap_err();
    assert!(error.to_string().contains("steps"), "{error}");
    assert!(start.elapsed() < PATIENCE);
}

/// What is long and used often, although each use looks like nothing: comments in functions, and names.
#[test]
fn long_texts_that_are_read_again_and_again_are_refused() {
    let long = "n".repeat(4 << 20);
    let name = "n".repeat(1000);
    let mut c = format!("int f0(int a) {{ /* {long} */ return a; }}\n");
    let mut verilog = format!(
        "module m0(input a, output o); wire {name}; assign {name} = a, o = {name}; endmodule\n"
    );
    let mut blif = format!(
        ".model m0\n.inputs a\n.outputs o\n.names a {name}\n1 1\n.names {name} o\n1 1\n.end\n"
    );
    for level in 1..30 {
        let below = level - 1;
        c += &format!("int f{level}(int a) {{ return f{below}(f{below}(a)); }}\n");
        verilog += &format!(
            "module m{level}(input a, output o); wire x; m{below} i(a, x), j(x, o); endmodule\n"
        );
        blif += &format!(
            ".model m{level}\n.inputs a\n.outputs o\n.subckt m{below} a=a o=x\n.subckt m{below} a=x o=o\n.end\n"
        );
    }
    c += "int top(int8_t a, int8_t b) { return f29(a); }";
    verilog += "module top(input [1:0] a, b, output o); m29 i(a[0], o); endmodule";
    let blif =
        format!(".model top\n.inputs a0 a1 b0 b1\n.outputs o\n.subckt m29 a=a0 o=o\n.end\n{blif}");
    let functions: String = (0..400_000)
        .map(|number| format!("void a{number}(){{}}\n"))
        .collect();
    for (format, text, expected) in [
        (NetlistFormat::C, c, "steps"),
        (NetlistFormat::Verilog, verilog, "steps"),
        (NetlistFormat::Blif, blif, "steps"),
        (NetlistFormat::C, functions, "which function"),
        (
            NetlistFormat::C,
            format!("int {long}(int8_t a, int8_t b) {{ return a; }}"),
            "a name of",
        ),
        (
            NetlistFormat::Verilog,
            format!("module \\{long} (input a); endmodule"),
            "a name of",
        ),
        (
            NetlistFormat::Blif,
            format!(".model {long}\n.end"),
            "a name of",
        ),
    ] {
        let start = Instant::now();
        let error = read_plainly(&text, format).unwrap_err().to_string();
        assert!(error.contains(expected), "{format:?}: {error}");
        assert!(
            start.elapsed() < PATIENCE,
            "{format:?}: {:?}",
            start.elapsed()
        );
    }
}

/// Few lines, and more gates than can be evaluated for as many operands.
#[rstest]
#[case(12)]
#[case(16)]
fn circuits_that_take_too_long_are_refused(#[case] bits: usize) {
    let highest = bits - 1;
    let squares: String = (1..=150)
        .map(|step| {
            let before = step - 1;
            format!("wire [31:0] x{step} = x{before} * x{before} + {step};\n")
        })
        .collect();
    let text = format!(
        "module m(input [{highest}:0] a, b, output [23:0] o); wire [31:0] x0 = a * b;\n{squares} assign o = x150; endmodule"
    );
    let start = Instant::now();
    let error = read_plainly(&text, NetlistFormat::Verilog).unwrap_err();
    assert!(error.to_string().contains("operand pairs"), "{error}");
    assert!(start.elapsed() < PATIENCE);
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
    assert!(start.elapsed() < PATIENCE);

    let few = ImportOptions {
        circuit_limits: CircuitLimits {
            netlist: NetlistLimits {
                nodes: 100,
                ..NetlistLimits::default()
            },
            ..CircuitLimits::default()
        },
        ..ImportOptions::default()
    };
    let circuit = Circuit::multiplier("mul8u", 8, 0, false);
    for (format, text) in circuit.all() {
        let error = read(&text, format, &few).unwrap_err();
        assert!(
            matches!(
                error,
                ImportError::Netlist(NetlistError::TooLarge { limit: 100, .. })
            ),
            "{error}"
        );
        position(&error);
    }
}
