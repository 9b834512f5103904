//! What circuits are as multipliers: which ports are the operands, how wide and whether signed they are.

use rstest::rstest;

use crate::import::{
    CellLibrary, ImportError, ImportOptions, Imported, NetlistFormat, Note, circuit,
};
use crate::{HardwareFigures, Multiplier, OperandFormat};

fn read(
    text: &str,
    format: NetlistFormat,
    options: &ImportOptions,
) -> Result<(Multiplier, Vec<Note>), ImportError> {
    let Imported {
        multiplier, notes, ..
    } = circuit(text, format, options)?;
    Ok((multiplier, notes))
}

fn read_c(text: &str) -> Result<(Multiplier, Vec<Note>), ImportError> {
    read(text, NetlistFormat::C, &ImportOptions::default())
}

fn read_verilog(text: &str) -> Result<(Multiplier, Vec<Note>), ImportError> {
    read(text, NetlistFormat::Verilog, &ImportOptions::default())
}

#[test]
fn parameters_are_taken_in_their_order() {
    let text = "uint16_t mul8u_x(uint8_t B, uint8_t A) { return A * (B & 0xFE); }";
    let (multiplier, notes) = read_c(text).unwrap();
    assert_eq!(multiplier.product(3, 1), Some(2));
    let note = "The function takes \"B\" before \"A\", and so were the operands taken.";
    assert!(notes.iter().any(|found| found.text == note), "{notes:?}");
}

#[rstest]
// Values of signed types have a sign that patterns in unsigned types do not have.
#[case("int32_t mul4s_x(int32_t a, int32_t b) { return a * b; }")]
#[case("int32_t mul4s_x(int8_t a, int8_t b) { return a * b; }")]
#[case("uint8_t mul4s_x(uint8_t a, uint8_t b) { return ((a ^ 8) - 8) * ((b ^ 8) - 8); }")]
#[case("uint64_t mul4s_x(uint64_t a, uint64_t b) { return ((a ^ 8) - 8) * ((b ^ 8) - 8) & 0xFF; }")]
#[case("int64_t f(int8_t a, int8_t b) { return (int64_t)(a * b); }")]
fn signs_are_in_values_or_in_patterns(#[case] text: &str) {
    let (multiplier, _) = read_c(text).unwrap();
    assert!(multiplier.activation().is_signed());
    for a in multiplier.activation().codes().step_by(3) {
        for b in multiplier.weight().codes() {
            assert_eq!(
                multiplier.product(a, b),
                Some(i64::from(a * b)),
                "{a} * {b}"
            );
        }
    }
}

#[test]
fn widths_that_are_not_known_are_asked_for() {
    let text = "uint64_t f(uint64_t a, uint64_t b) { return a * b; }";
    let error = read_c(text).unwrap_err();
    assert!(matches!(error, ImportError::Undetermined { .. }), "{error}");
    assert!(error.to_string().contains("give the bits"), "{error}");
    let options = ImportOptions {
        bits: Some([5, 6]),
        ..ImportOptions::default()
    };
    let (multiplier, _) = read(text, NetlistFormat::C, &options).unwrap();
    assert_eq!(multiplier.product(31, 63), Some(31 * 63));
}

#[test]
fn declarations_say_widths_order_and_signs() {
    let text = "
        module product(b, a, o);
          input [3:0] b; input signed [0:2] a; output signed [6:0] o;
          assign o = a * $signed({1'b0, b});
        endmodule";
    let options = ImportOptions::default();
    let (multiplier, notes) = read(text, NetlistFormat::Verilog, &options).unwrap();
    assert_eq!(multiplier.activation(), OperandFormat::signed(3).unwrap());
    assert_eq!(multiplier.weight(), OperandFormat::unsigned(4).unwrap());
    assert_eq!(multiplier.product(-4, 15), Some(-60));
    let all: String = notes.iter().map(|note| format!("{note}\n")).collect();
    for part in [
        "declared as [0:2]",
        "by their names, \"a\" first",
        "\"a\", of 3 bits, is the activation",
        "taken as signed and the weight as unsigned",
    ] {
        assert!(all.contains(part), "{part} in {all}");
    }
}

#[rstest]
#[case(
    "module m(input [1:0] a, output [3:0] o); assign o = a; endmodule",
    "an operand of 1 bit:"
)]
#[case(
    "module m(input [1:0] a, b, c, output [3:0] o); assign o = a; endmodule",
    "\"c\" of 2 bits"
)]
#[case(
    "module m(input [1:0] a, b, output [3:0] o, p); assign o = a, p = b; endmodule",
    "\"p\" of 4 bits"
)]
#[case(
    "module m(input [16:0] a, b, output [3:0] o); assign o = a; endmodule",
    "17 bits"
)]
#[case("module m(input [1:0] a, b); endmodule", "no output")]
#[case("module m(output o); assign o = 0; endmodule", "no input")]
#[case(
    "module m(input [1:0] a, b, output [64:0] o); assign o = {a, {62{b[0]}}, a[0]}; endmodule",
    "a product of 65 bits"
)]
fn other_ports_are_no_multiplier(#[case] text: &str, #[case] expected: &str) {
    let error = read_verilog(text).unwrap_err();
    assert!(
        matches!(error, ImportError::NotAMultiplier { .. }),
        "{error}"
    );
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn an_undivided_input_is_split() {
    let text = "module m(input [4:0] x, output [5:0] o); assign o = x[2:0] * x[4:3]; endmodule";
    let error = read_verilog(text).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("give the bits of both operands, 5 together"),
        "{error}"
    );
    let options = ImportOptions {
        bits: Some([3, 2]),
        ..ImportOptions::default()
    };
    let (multiplier, notes) = read(text, NetlistFormat::Verilog, &options).unwrap();
    assert_eq!(multiplier.product(7, 3), Some(21));
    assert!(
        notes[0].text.contains("first 3 inputs of \"x\""),
        "{notes:?}"
    );
}

#[test]
fn a_name_as_in_a_library_says_which_module_is_meant() {
    let text = "
        module one(input [1:0] a, b, output [3:0] o); assign o = a * b; endmodule
        module two(input [1:0] a, b, output [3:0] o); assign o = a | b; endmodule";
    let error = read_verilog(text).unwrap_err();
    assert!(error.to_string().contains("\"one\", \"two\""), "{error}");
    let (multiplier, _) = read_verilog(&text.replace("one", "mul2u_1")).unwrap();
    assert_eq!(
        (multiplier.name(), multiplier.product(3, 3)),
        ("mul2u_1", Some(9))
    );
}

/// An exact multiplier of 2 x 2 bits, of cells, with figures of another technology in its comments.
const CELLS: &str = "
    // PDK45_PWR = 0.1 mW
    module mul2u(input [1:0] A, B, output [3:0] O);
      wire p, q, r, c;
      AND2_X1 a0(A[0], B[0], O[0]), a1(A[1], B[0], p), a2(A[0], B[1], q);
      AND2_X1 a3(.A1(A[1]), .A2(B[1]), .ZN(r));
      HA_X1 h0(p, q, c, O[1]), h1(r, c, O[3], O[2]);
    endmodule";

#[test]
fn areas_of_cells_add_up() {
    let library =
        "library (small) { cell (AND2_X1) { area : 1.5; } cell (HA_X1) { area : 2.25; } }";
    let with = |library| ImportOptions {
        cells: Some(CellLibrary::parse(library).unwrap()),
        ..ImportOptions::default()
    };
    let (multiplier, notes) = read(CELLS, NetlistFormat::Verilog, &with(library)).unwrap();
    assert_eq!(multiplier.product(3, 3), Some(9));
    let expected = HardwareFigures {
        area_um2: Some(4.0 * 1.5 + 2.0 * 2.25),
        ..HardwareFigures::new("small")
    };
    assert_eq!(multiplier.hardware(), Some(&expected));
    assert!(
        notes.iter().any(|note| note.text.contains("6 cells: 10.5")),
        "{notes:?}"
    );

    let error = |text: &str, library| {
        read(text, NetlistFormat::Verilog, &with(library))
            .unwrap_err()
            .to_string()
    };
    let other = error(CELLS, "library (other) { cell (AND2_X1) { area : 1; } }");
    assert!(
        other.contains("\"other\"") && other.contains("\"HA_X1\""),
        "{other}"
    );
    let assigned = CELLS.replace("wire p, q, r, c;", "wire p, q, r; wire c = p & q;");
    let own = error(
        &assigned.replace("h0(p, q, c, O[1])", "h0(p, q, , O[1])"),
        library,
    );
    assert!(own.contains("beside its cells"), "{own}");
}
