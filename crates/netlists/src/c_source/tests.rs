//! What the parts of the language mean, by small functions, and what is refused.

use rstest::rstest;

use super::parse;
use crate::testing::computed;
use crate::{Netlist, NetlistError, NetlistOptions, Position};

fn read(text: &str) -> Result<Netlist, NetlistError> {
    parse(text, &NetlistOptions::default())
}

const EXTREMES: [i64; 7] = [-128, -127, -1, 0, 1, 85, 127];

/// The value of a function of two `int8_t`, which returns an `int64_t`.
fn assert_computes(body: &str, expected: impl Fn(i64, i64) -> i64) {
    let text = format!("int64_t f(int8_t a, int8_t b) {{ {body} }}");
    let netlist = read(&text).unwrap_or_else(|error| panic!("{body}: {error}"));
    for a in EXTREMES {
        for b in EXTREMES {
            let found = computed(&netlist, &[a, b]);
            assert_eq!(found, expected(a, b), "{body}: {a}, {b}");
        }
    }
}

#[rstest]
#[case("return a * b;", |a: i64, b: i64| a * b)]
#[case("return a + b - 1;", |a: i64, b: i64| a + b - 1)]
#[case("return -a + +b;", |a: i64, b: i64| -a + b)]
#[case("return a & b | a ^ ~b;", |a: i64, b: i64| (a & b) | (a ^ !b))]
#[case("return a << 3 >> 1;", |a: i64, _: i64| a << 3 >> 1)]
#[case("return a >> 2;", |a: i64, _: i64| a >> 2)]
#[case("return (uint8_t)a >> 2;", |a: i64, _: i64| (a & 255) >> 2)]
#[case("return a << (b & 7);", |a: i64, b: i64| a << (b & 7))]
#[case("return (int8_t)(a + b);", |a: i64, b: i64| i64::from((a + b) as i8))]
#[case("return (uint8_t)(a * b);", |a: i64, b: i64| i64::from((a * b) as u8))]
#[case("return (bool)a + !b * 2;", |a: i64, b: i64| (a != 0) as i64 + (b == 0) as i64 * 2)]
#[case("return a < b;", |a: i64, b: i64| (a < b) as i64)]
#[case("return a < 0u;", |_: i64, _: i64| 0)]
#[case("return (a <= b) + (a > b) * 2 + (a >= b) * 4 + (a == b) * 8 + (a != b) * 16;", |a: i64, b: i64| {
    (a <= b) as i64 + (a > b) as i64 * 2 + (a >= b) as i64 * 4 + (a == b) as i64 * 8 + (a != b) as i64 * 16
})]
#[case("return a && b || a == 1;", |a: i64, b: i64| (a != 0 && b != 0 || a == 1) as i64)]
#[case("return a > b ? a : b > 0 ? 7 : b;", |a: i64, b: i64| if a > b { a } else if b > 0 { 7 } else { b })]
#[case("return (int32_t)(a * 1u);", |a: i64, _: i64| a)]
#[case("return a * 1L * 65536 * 256;", |a: i64, _: i64| a << 24)]
#[case("int x = a, y; y = x *= 2; x += y; x -= 1; x <<= 1; x >>= 1; x |= 1; x &= ~2; x ^= b; return x;", |a: i64, b: i64| {
    let x = 4 * a - 1;
    ((x << 1 >> 1) | 1) & !2 ^ b
})]
#[case("uint8_t x = a; { int x = 3; x = 4; } return x;", |a: i64, _: i64| a & 255)]
#[case("uint16_t x[2][3] = {1, 2, 3, 4}, y; x[1][2] = a; y = x[0][1] + x[1][0]; (void)y; return x[1][2] + x[1][1] + y;", |a: i64, _: i64| (a & 0xFFFF) + 6)]
#[case("unsigned long long int x = b; ; long c; c = x; return (c);", |_: i64, b: i64| b)]
#[case("return 010 + 0x10 + 0b10;", |_: i64, _: i64| 8 + 16 + 2)]
fn code_has_the_meaning_of_the_language(#[case] body: &str, #[case] expected: fn(i64, i64) -> i64) {
    assert_computes(body, expected);
}

#[test]
fn functions_call_each_other() {
    let text = "
        #include <stdint.h>
        /* declared before it is used */
        static inline uint8_t half(uint8_t x);
        uint16_t mul4u_parts(uint8_t a, uint8_t b) {
            uint8_t low = half(a) * 2 + (a & 1);
            return (uint16_t)low * b;
        }
        static inline uint8_t half(uint8_t x) { return x >> 1; }
        int main(void) { for (;;) printf(\"%d\", mul4u_parts(1, 2)); }";
    let netlist = read(text).unwrap();
    assert_eq!(netlist.name(), "mul4u_parts");
    assert_eq!(computed(&netlist, &[13, 11]), 143);
}

#[test]
fn results_may_be_written_through_a_pointer() {
    let text = "void f(uint8_t a, uint8_t b, int16_t *result) { *result = 0; *result |= a * b; }";
    let netlist = read(text).unwrap();
    // The pointer's type has a sign.
    assert_eq!(computed(&netlist, &[255, 255]), 65025 - 65536);
    assert_eq!(computed(&netlist, &[3, 255]), 765);
}

#[rstest]
#[case("return a << b;", true)]
#[case("return a >> (b & 31);", false)]
#[case("return (int64_t)a >> (b & 63);", false)]
#[case("return a << (b & 32);", true)]
fn shifts_that_may_be_too_far_are_noted(#[case] body: &str, #[case] noted: bool) {
    let netlist = read(&format!("int64_t f(int8_t a, int8_t b) {{ {body} }}")).unwrap();
    let assumptions = netlist.assumptions();
    let found = (assumptions.iter()).any(|assumption| assumption.contains("C does not say"));
    assert_eq!(found, noted, "{assumptions:?}");
}

#[rstest]
#[case("float f(int a, int b) { return a; }", (1, 1), "\"float\"")]
#[case("int x = 3;", (1, 7), "no global variables")]
#[case("int f(int a, int b) {\n  if (a) return b;\n}", (2, 3), "without branches")]
#[case("int f(int a, int b) {\n  for (;;) {}\n}", (2, 3), "\"for\"")]
#[case("int f(int a, int b) {\n  static int c;\n}", (2, 3), "\"static\"")]
#[case("int f(int a, int b) {\n  return a / b;\n}", (2, 12), "\"/\"")]
#[case("int f(int a, int b) {\n  a++;\n}", (2, 4), "\"++\"")]
#[case("int f(int a, int b) {\n  return g(a);\n}", (2, 10), "the function \"g\"")]
#[case("int f(int a, int b) {\n  return c;\n}", (2, 10), "\"c\"")]
#[case("int f(int a, int b) {\n  return 08;\n}", (2, 10), "an integer")]
#[case("int f(int a, int b) {\n  return a << 32;\n}", (2, 12), "a shift by 0 to 31")]
#[case("int f(int a, int b) {\n  return a << -1;\n}", (2, 12), "32 bits by -1,")]
#[case("int f(int a, int b) {\n  int x[4]; x[4] = 1;\n}", (2, 15), "0 to 3")]
#[case("int f(int a, int b) {\n  int x[4]; x[a] = 1;\n}", (2, 15), "not constant")]
#[case("int f(int a, int b) {\n  int x[4]; x = 1;\n}", (2, 13), "as a whole")]
#[case("int f(int a, int b) {\n  int x, x;\n}", (2, 10), "second declaration")]
#[case("int f(int a, int b) {\n  return a; a = 1;\n}", (2, 13), "after \"return\"")]
#[case("int f(int a, int b) { a = 1; }", (1, 5), "no \"return\"")]
#[case("int f(int a, int b) {\n#ifdef X\nreturn a;\n#endif\n}", (2, 1), "run the preprocessor")]
#[case("int f(int a, int b) {\n  return a", (2, 11), "the end of the text")]
#[case("int f(int a[2], int b) { return a; }", (1, 12), "cannot be arrays")]
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
