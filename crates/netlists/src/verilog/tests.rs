//! What the parts of the language mean, by small modules of two 2- or 3-bit operands.

use rstest::rstest;

use super::parse;
use crate::testing::computed;
use crate::{Netlist, NetlistError, NetlistOptions, Position};

fn read(text: &str) -> Result<Netlist, NetlistError> {
    parse(text, &NetlistOptions::default())
}

/// The outputs of a module with these items, which has `a` and `b` of three bits and `o` of eight.
fn assert_computes(items: &str, expected: impl Fn(i64, i64) -> i64) {
    let text =
        format!("module m(input [2:0] a, input [2:0] b, output [7:0] o);\n{items}\nendmodule");
    let netlist = read(&text).unwrap_or_else(|error| panic!("{items}: {error}"));
    for a in 0..8 {
        for b in 0..8 {
            let found = computed(&netlist, &[a, b]);
            assert_eq!(found, expected(a, b) & 255, "{items}: {a}, {b}");
        }
    }
}

fn signed3(x: i64) -> i64 {
    (x ^ 4) - 4
}

#[rstest]
#[case("a & b", |a: i64, b: i64| a & b)]
#[case("a | b ^ a & 3'd5", |a: i64, b: i64| a | (b ^ (a & 5)))]
#[case("a ~^ b", |a: i64, b: i64| !(a ^ b))]
#[case("~a", |a: i64, _: i64| !a)]
#[case("~(a ^ 1'b1)", |a: i64, _: i64| !(a ^ 1))]
#[case("-b", |_: i64, b: i64| -b)]
#[case("a + b", |a: i64, b: i64| a + b)]
#[case("a - b", |a: i64, b: i64| a - b)]
#[case("a * b - 1", |a: i64, b: i64| a * b - 1)]
#[case("{a + b}", |a: i64, b: i64| (a + b) & 7)]
#[case("{a, b}", |a: i64, b: i64| a << 3 | b)]
#[case("{2{a[1:0], b[2]}}", |a: i64, b: i64| ((a & 3) << 1 | b >> 2) * 9)]
#[case("{8{a[0]}} & b", |a: i64, b: i64| (a & 1) * b)]
#[case("&a + |b + ^a + ~&a + ~|b + ~^a", |a: i64, b: i64| {
    let (all, any, odd) = ((a == 7) as i64, (b != 0) as i64, a.count_ones() as i64 & 1);
    // Results of reductions have one bit each, and become wider before they are inverted.
    all + any + odd + (1 - all) + (1 - any) + (1 - odd)
})]
#[case("!a + !(a == b)", |a: i64, b: i64| (a == 0) as i64 + (a != b) as i64)]
#[case("a && b || a[2]", |a: i64, b: i64| (a != 0 && b != 0 || a > 3) as i64)]
#[case("(a < b) + (a <= b) * 2 + (a > b) * 4 + (a >= b) * 8", |a: i64, b: i64| {
    (a < b) as i64 + (a <= b) as i64 * 2 + (a > b) as i64 * 4 + (a >= b) as i64 * 8
})]
#[case("a == b ? a : a != 3 ? b : 8'd200", |a: i64, b: i64| if a == b { a } else if a != 3 { b } else { 200 })]
#[case("a << b", |a: i64, b: i64| a << b)]
#[case("a >> b[1:0]", |a: i64, b: i64| a >> (b & 3))]
#[case("{a} << b", |a: i64, b: i64| a << b)]
#[case("$signed(a)", |a: i64, _: i64| signed3(a))]
#[case("$signed(a) * $signed(b)", |a: i64, b: i64| signed3(a) * signed3(b))]
#[case("$signed(a) * b", |a: i64, b: i64| a * b)]
#[case("$signed(a) >>> 1", |a: i64, _: i64| signed3(a) >> 1)]
#[case("$signed(a) >> 1", |a: i64, _: i64| (signed3(a) & 255) >> 1)]
#[case("$unsigned($signed(a)) + 0", |a: i64, _: i64| a)]
#[case("{$signed(a) < $signed(b)}", |a: i64, b: i64| (signed3(a) < signed3(b)) as i64)]
#[case("$signed(a) < b", |a: i64, b: i64| (a < b) as i64)]
#[case("a[b[0]*0 + 7/3]", |a: i64, _: i64| a >> 2)]
fn expressions_have_the_values_of_the_language(
    #[case] expression: &str,
    #[case] expected: fn(i64, i64) -> i64,
) {
    // An index with b in it is constant, as it is multiplied by 0.
    assert_computes(&format!("assign o = {expression};"), expected);
}

#[rstest]
#[case("wire [1:0] x = a, y; assign y = x, o = y;", |a: i64, _: i64| a & 3)]
#[case("wire [0:2] x; assign x = a; assign o = {x[0], x[1:2]};", |a: i64, _: i64| a)]
#[case("wire [5:3] x; assign x[5:4] = a[2:1], x[3] = a[0]; assign o = x[3 +: 2] + x[5 -: 2];", |a: i64, _: i64| (a & 3) + (a >> 1))]
#[case("assign {o[3:0], o[7:4]} = {a, 1'b1, b, 1'b0};", |a: i64, b: i64| (a << 1 | 1) | (b << 5))]
#[case("wire signed [2:0] x = a; assign o = x;", |a: i64, _: i64| signed3(a))]
#[case("supply1 x; supply0 [1:0] y; assign o = {x, y};", |_: i64, _: i64| 4)]
#[case("localparam N = 2, [3:0] M = N*N - 1; wire [M:0] x = {M{1'b1}}; assign o = x + N;", |_: i64, _: i64| 7 + 2)]
#[case("wire x; nand (x, a[0], b[0], 1'b1); xnor g(o[0], x, a[1], b[1]); not n1(o[1], o[2], x); buf (o[3], o[7], b[2]); assign o[6:4] = 0;", |a: i64, b: i64| {
    let x = 1 - (a & b & 1);
    let odd = (x + (a >> 1) + (b >> 1)) & 1;
    (1 - odd) | ((1 - x) * 6) | ((b >> 2) * 0x88)
})]
#[case("and #(1, 2) (x, a[0], b[0]); or #1.5 g(o[0], x, a[1]); assign #3 o[7:1] = 0;", |a: i64, b: i64| a & b & 1 | (a >> 1 & 1))]
#[case("wire \\x[3] , \\and ; assign \\x[3] = a[0], \\and = \\x[3] ; assign o = \\and ;", |a: i64, _: i64| a & 1)]
fn items_have_the_meaning_of_the_language(
    #[case] items: &str,
    #[case] expected: fn(i64, i64) -> i64,
) {
    assert_computes(items, expected);
}

#[test]
fn instances_connect_by_name_position_and_parameter() {
    let text = "
        (* top *) module m(input [2:0] a, input [2:0] b, output [7:0] o);
          wire [3:0] s; wire [4:0] t;
          add #(.N(3)) first(.sum(s), .y(b), .x(a), .unused());
          add #(4, 2) second(s, {1'b0, a}, t);
          low low(t[0], bit);
          assign o = t + bit;
        endmodule
        module add #(parameter N = 2, parameter integer EXTRA = 0)(
            input [N-1:0] x, y, output [N:0] sum, output unused
        );
          localparam ONE = 1;
          assign sum = x + y + EXTRA * ONE;
        endmodule
        module low(x, y);
          input x; output y;
          wire x;
          assign y = x;
        endmodule";
    // The first instance's order is that of names, the second one's that of ports: x, y, sum.
    let netlist = read(text).unwrap();
    assert_eq!(computed(&netlist, &[7, 6]), 22);
    assert_eq!(computed(&netlist, &[7, 7]), 23 + 1);
}

/// Primitives of FPGAs against their formulas: look-up tables by their entries, carry chains as sums.
#[rstest]
#[case("LUT2 #(.INIT(4'h8)) l(o[0], a[0], b[0]); assign o[7:1] = 0;", |a: i64, b: i64| a & b & 1)]
#[case("LUT3 #(8'b1110_1000) l(.O(o[0]), .I0(a[0]), .I1(a[1]), .I2(b[0])); assign o[7:1] = 0;", |a: i64, b: i64| {
    ((a & 1) + (a >> 1 & 1) + (b & 1)) >> 1
})]
#[case("LUT6 #(64'h8000_0000_0000_0001) l(o[0], a[0], a[1], a[2], b[0], b[1], b[2]); assign o[7:1] = 0;", |a: i64, b: i64| {
    i64::from(a == b && (a == 0 || a == 7))
})]
#[case("LUT6_2 #(64'h8000_0000_4000_0000) l(.O5(o[0]), .O6(o[1]), .I0(a[0]), .I1(a[1]), .I2(a[2]), .I3(b[0]), .I4(b[1]), .I5(b[2])); assign o[7:2] = 0;", |a: i64, b: i64| {
    // Entry 30 of the lower half; entry 31 of the upper one.
    let low = i64::from(a == 6 && b & 3 == 3);
    let high = if b > 3 { i64::from(a == 7 && b == 7) } else { low };
    low | high << 1
})]
#[case("wire [3:0] s = {1'b0, a ^ b}, co; CARRY4 c(co, o[3:0], , , {1'b0, a}, s); assign o[7:4] = 0;", |a: i64, b: i64| a + b)]
#[case("wire [3:0] s = {1'b0, a ^ b}; CARRY4 c(.O(o[3:0]), .CYINIT(1'b1), .DI({1'b0, a}), .S(s)); assign o[7:4] = 0;", |a: i64, b: i64| a + b + 1)]
#[case("CARRY8 #(.CARRY_TYPE(\"SINGLE_CY8\")) c(.O(o), .DI({5'd0, a}), .S({5'd0, a} ^ {5'd0, b}));", |a: i64, b: i64| a + b)]
#[case("CARRY8 #(.CARRY_TYPE(\"DUAL_CY4\")) c(.O(o), .CI(1'b1), .CI_TOP(a[0]), .DI(8'd255), .S(8'd0));", |a: i64, _: i64| {
    0b1110_1111 | (a & 1) << 4
})]
#[case("wire x, y; MUXF7 f(x, a[0], a[1], b[0]); MUXF8 g(.O(y), .I0(x), .I1(1'b1), .S(b[1])); assign o = y;", |a: i64, b: i64| {
    if b & 2 == 2 { 1 } else { a >> (b & 1) & 1 }
})]
fn primitives_of_fpgas_are_known(#[case] items: &str, #[case] expected: fn(i64, i64) -> i64) {
    assert_computes(items, expected);
}

#[test]
fn only_carries_may_be_left_open() {
    let open = |items: &str| {
        read(&format!(
            "module m(input [1:0] a, b, output o); {items} endmodule"
        ))
        .unwrap_err()
    };
    for items in [
        "LUT2 #(4'h8) l(.O(o), .I0(a[0]));",
        "CARRY4 c(.CO(o), .S(a));",
        "wire tri0 x; assign o = x;",
    ] {
        open(items);
    }
}

#[test]
fn the_module_that_is_meant_can_be_named() {
    let text = "
        module one(input [1:0] a, b, output [3:0] o); assign o = a * b; endmodule
        module two(input [1:0] a, b, output [3:0] o); assign o = a | b; endmodule";
    let error = read(text).unwrap_err();
    assert!(matches!(error, NetlistError::Undetermined { .. }));
    assert!(error.to_string().contains("\"one\", \"two\""), "{error}");
    for (top, expected) in [("one", 9), ("two", 3)] {
        let options = NetlistOptions {
            top: Some(top.into()),
            ..NetlistOptions::default()
        };
        let netlist = parse(text, &options).unwrap();
        assert_eq!(computed(&netlist, &[3, 3]), expected);
    }
    // A preference decides where it leaves one.
    let options = |preferred: fn(&str) -> bool| NetlistOptions {
        preferred_top: Some(preferred),
        ..NetlistOptions::default()
    };
    let netlist = parse(text, &options(|name| name.starts_with('t'))).unwrap();
    assert_eq!(netlist.name(), "two");
    for undecided in [|_: &str| true, |_: &str| false] {
        assert!(parse(text, &options(undecided)).is_err());
    }
}

#[rstest]
#[case("module m(a);\nreg x;", (2, 1), "\"reg\"")]
#[case("module m(a);\n  always @(posedge a) x <= 1;", (2, 3), "\"always\"")]
#[case("module m(inout a);", (1, 10), "\"inout\"")]
#[case("module m(input [1:0] a, b, output o);\nassign o = c;\nendmodule", (2, 12), "\"c\"")]
#[case("module m(input [1:0] a, b, output o);\nassign o = a[2];\nendmodule", (2, 12), "a[2], expected bits of a[1:0]")]
#[case("module m(input [1:0] a, b, output o);\nassign o = a[0:1];\nendmodule", (2, 12), "a[0:1]")]
#[case("module m(input [1:0] a, b, output o);\nassign o = a[b];\nendmodule", (2, 14), "not constant")]
#[case("module m(input [1:0] a, b, output o);\nassign o = a / b;\nendmodule", (2, 16), "division")]
#[case("module m(input [1:0] a, b, output o);\nassign o = 2'bx1;\nendmodule", (2, 12), "bits must be known")]
#[case("module m(input [1:0] a, b, output o);\nassign a + b = o;\nendmodule", (2, 8), "an expression")]
#[case("module m(input [1:0] a, b, output o);\nDFF_X1 f(.D(a[0]), .Q(o));\nendmodule", (2, 1), "\"DFF_X1\"")]
#[case("module m(input [1:0] a, b, output o);\nAND2_X1 f(.A(a[0]), .ZN(o));\nendmodule", (2, 12), "the ports A1, A2, ZN")]
#[case("module m(input [1:0] a, b, output o);\nINV_X1 f(a[0], o, b[0]);\nendmodule", (2, 1), "3 connections")]
#[case("module m(input [1:0] a, b, output o);\nand (o, a, b[0]);\nendmodule", (2, 9), "2 bits")]
#[case("module m(input [1:0] a, b, output o);\nwire a;\nendmodule", (2, 6), "second declaration")]
#[case("module m(a, b, o);\ninput [1:0] a, b;\nassign o = a;\nendmodule", (1, 16), "without a direction")]
#[case("module m(input [1:0] a, b, output o);\nassign o = `ONE;\nendmodule", (2, 12), "`ONE")]
#[case("module m(input [1:0] a, b, output o);\nassign o = f(a);\nendmodule", (2, 12), "the function")]
#[case("module m(input [1:0] a, b, output o) assign", (1, 38), "expected \";\"")]
#[case("module m(input [1:0] a, b, output o);\nassign o = a[0] b[0];\nendmodule", (2, 17), "expected \";\"")]
#[case("module m; endmodule\nmodule m; endmodule", (2, 8), "second module")]
#[case("module m(input [1:0] a, output o);\nmodule n", (2, 1), "\"module\"")]
fn other_texts_are_refused_with_their_place(
    #[case] text: &str,
    #[case] (line, column): (usize, usize),
    #[case] expected: &str,
) {
    let error = read(text).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
    let position = error.location().unwrap().position;
    assert_eq!(position, Some(Position { line, column }), "{error}");
}

/// Cells count once for every instance, those of modules that are used several times too; wires are no logic, constants
/// neither.
#[rstest]
#[case(
    "NAND2_X1 u(a[0], b[0], o[0]); assign o[3:1] = {a, 2'd2 + 2'd1};",
    "NAND2_X1 1"
)]
#[case(
    "pair p(a[0], b[0], o[0]), q(a[1], b[1], o[1]); FA_X1 f(a[0], a[1], b[0], o[2], o[3]);",
    "FA_X1 1, INV_X2 2, NAND2_X1 2"
)]
#[case("assign o = 4'd3;", "")]
#[case("assign o = 4'd1 ? {a, b[0]} : 4'd3;", "no cells")]
#[case("assign o = ~a;", "no cells")]
#[case("assign o[3:1] = a; and u(o[0], a[0], b[0]);", "no cells")]
#[case("assign o[3:1] = a; NAND2_X1 u(a[0] ^ a[1], b[0], o[0]);", "no cells")]
#[case(
    "wire n = a ? b : 3'd1; NAND2_X1 u(a[0], n, o[0]); assign o[3:1] = a;",
    "no cells"
)]
fn cells_are_counted(#[case] items: &str, #[case] expected: &str) {
    let text = format!(
        "module m(input [2:0] a, b, output [3:0] o); {items} endmodule
         module pair(input x, y, output z); wire n; NAND2_X1 u(x, y, n); INV_X2 v(n, z); endmodule"
    );
    let options = NetlistOptions {
        top: Some("m".into()),
        ..NetlistOptions::default()
    };
    let netlist = parse(&text, &options).unwrap();
    let found = netlist.cells().map(|cells| {
        let counts = cells.iter().map(|(name, count)| format!("{name} {count}"));
        counts.collect::<Vec<_>>().join(", ")
    });
    assert_eq!(found.as_deref().unwrap_or("no cells"), expected, "{items}");
}
