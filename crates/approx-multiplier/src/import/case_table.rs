//! Tables in Verilog: a module whose output is given for every pair of operands by a `case` statement, as this project
//! exports them for test benches. As gates they would be far too many.

use approx_netlists::lexer::{Dialect, Lexer, Token, TokenKind, quoted};
use approx_netlists::{NetlistError, verilog};

use super::reading::Draft;
use super::table::{self, Stated};
use super::{ImportError, ImportOptions};
use crate::{MAX_INDEX_BITS, OperandFormat, Signedness};

/// The most bits of a product.
const MAX_PRODUCT_BITS: usize = 64;

/// A port of the module.
struct Port<'a> {
    name: Token<'a>,
    width: usize,
    signed: bool,
}

/// Reads a table; `None` if the text starts with no module that could have one: its output is no `reg`.
pub(super) fn parse(
    text: &str,
    name: &str,
    options: &ImportOptions,
) -> Option<Result<Draft, ImportError>> {
    let mut lexer = Lexer::new(text, Dialect::Verilog);
    let ports = header(&mut lexer)?;
    Some(table(&mut lexer, &ports).and_then(|(formats, entries)| {
        let stated = Stated {
            formats: Some(formats),
            ..Stated::default()
        };
        let shape = formats.map(OperandFormat::cardinality);
        table::formats_of_shape(shape, &stated, name, options)?
            .multiplier_of_entries(&entries, name, options)
    }))
}

/// The ports of the module: two inputs, and an output that is a `reg`.
fn header<'a>(lexer: &mut Lexer<'a>) -> Option<[Port<'a>; 3]> {
    lexer.expect("module").ok()?;
    lexer.expect_kind(TokenKind::Identifier, "a name").ok()?;
    lexer.expect("(").ok()?;
    let first = port(lexer, &["input"])?;
    lexer.expect(",").ok()?;
    let second = port(lexer, &["input"])?;
    lexer.expect(",").ok()?;
    let product = port(lexer, &["output", "reg"])?;
    lexer.expect(")").ok()?;
    lexer.expect(";").ok()?;
    Some([first, second, product])
}

fn port<'a>(lexer: &mut Lexer<'a>, keywords: &[&str]) -> Option<Port<'a>> {
    for keyword in keywords {
        lexer.expect(keyword).ok()?;
    }
    let signed = lexer.accept("signed");
    lexer.expect("[").ok()?;
    let first = lexer.expect_kind(TokenKind::Number, "a number").ok()?;
    lexer.expect(":").ok()?;
    let last = lexer.expect_kind(TokenKind::Number, "a number").ok()?;
    lexer.expect("]").ok()?;
    let highest: usize = first.text.parse().ok()?;
    let name = lexer.expect_kind(TokenKind::Identifier, "a name").ok()?;
    (last.text == "0" && highest < verilog::MAX_WIDTH).then_some(Port {
        name,
        width: highest + 1,
        signed,
    })
}

/// The formats of the operands and all products, from what follows the header.
fn table(
    lexer: &mut Lexer,
    [first, second, product]: &[Port; 3],
) -> Result<([OperandFormat; 2], Vec<i64>), ImportError> {
    expect_table(lexer, &["always", "@"])?;
    if lexer.accept("(") {
        expect_table(lexer, &["*", ")"])?;
    } else {
        expect_table(lexer, &["*"])?;
    }
    let case = [
        "begin",
        "case",
        "(",
        "{",
        first.name.text,
        ",",
        second.name.text,
        "}",
        ")",
    ];
    expect_table(lexer, &case)?;
    let format = |port: &Port| {
        let signedness = match port.signed {
            true => Signedness::Signed,
            false => Signedness::Unsigned,
        };
        // What does not fit is no width of an operand, either.
        OperandFormat::new(u8::try_from(port.width).unwrap_or(u8::MAX), signedness)
    };
    let formats = [format(first)?, format(second)?];
    if first.width + second.width > MAX_INDEX_BITS as usize || product.width > MAX_PRODUCT_BITS {
        return Err(lexer.error(
            product.name.offset,
            format!(
                "a table of {} x {} bits with products of {} bits",
                first.width, second.width, product.width
            ),
            format!(
                "up to {MAX_INDEX_BITS} bits of both operands and {MAX_PRODUCT_BITS} of a product"
            ),
        ).into());
    }
    let mut products: Vec<Option<i64>> = vec![None; 1 << (first.width + second.width)];
    while !lexer.token().is("default") && !lexer.token().is("endcase") {
        let label = lexer.token();
        let index = number(lexer)?;
        lexer.expect(":")?;
        lexer.expect(product.name.text)?;
        lexer.expect("=")?;
        let bits = number(lexer)?;
        lexer.expect(";")?;
        let unused = 64 - product.width;
        let value = match product.signed {
            true => (bits << unused).cast_signed() >> unused,
            false => bits.cast_signed(),
        };
        let fits = product.width == MAX_PRODUCT_BITS || bits >> product.width == 0;
        let is_number = product.signed || value >= 0;
        match products.get_mut(index as usize) {
            Some(entry @ None) if fits && is_number => *entry = Some(value),
            _ => {
                return Err(lexer
                    .error(
                        label.offset,
                        format!("the case {}", quoted(label.text)),
                        "one case for each pair of operands, with a product of the output's width",
                    )
                    .into());
            }
        }
    }
    let end = lexer.token();
    let entries = products.iter().copied().collect::<Option<Vec<i64>>>();
    let Some(entries) = entries else {
        let missing = products.iter().filter(|entry| entry.is_none()).count();
        return Err(lexer
            .error(
                end.offset,
                format!("no case for {missing} pairs of operands"),
                "one for each",
            )
            .into());
    };
    // With all cases given, the value of others is of no importance.
    while !lexer.token().is("endcase") {
        if lexer.advance().kind == TokenKind::End {
            return Err(lexer.unexpected("\"endcase\"").into());
        }
    }
    for token in ["endcase", "end", "endmodule"] {
        lexer.expect(token)?;
    }
    if lexer.token().kind != TokenKind::End {
        return Err(lexer.unexpected("nothing after the table").into());
    }
    Ok((formats, entries))
}

/// Goes past tokens that a table has before its first case.
fn expect_table(lexer: &mut Lexer, tokens: &[&str]) -> Result<(), NetlistError> {
    tokens.iter().try_for_each(|token| match lexer.accept(token) {
        true => Ok(()),
        false => Err(lexer.unexpected(format!(
            "{token:?} of \"always @* begin case ({{a, b}})\", as no \"reg\" can be read but that of a table of all products"
        ))),
    })
}

fn number(lexer: &mut Lexer) -> Result<u64, NetlistError> {
    let token = lexer.token();
    if token.kind != TokenKind::Number {
        return Err(lexer.unexpected("a number"));
    }
    let value = verilog::number(token.text)
        .map_err(|expected| lexer.error(token.offset, quoted(token.text), expected))?;
    lexer.advance();
    Ok(value)
}

#[cfg(test)]
mod tests {
    use crate::import::{self, FileKind, ImportOptions};

    const TABLE: &str = "
        module table2(input signed [1:0] x, input [1:0] y, output reg signed [3:0] p);
          always @(*) begin
            case ({x, y})
              CASES
              default: p = 4'bx;
            endcase
          end
        endmodule";

    #[test]
    fn tables_of_cases_are_read() {
        let product = |index: i64| ((index >> 2) ^ 2) - 2 + (index & 3);
        let cases: String = (0..16)
            .rev()
            .map(|index| format!("4'd{index}: p = 4'h{:x};\n", product(index) & 15))
            .collect();
        let text = TABLE.replace("CASES", &cases);
        let options = ImportOptions::default();
        let read = |text: &str| import::parse(text.as_bytes(), FileKind::Verilog, "file", &options);
        let imported = read(&text).unwrap();
        assert_eq!(imported.multiplier.name(), "file");
        for (a, b) in [(-2, 0), (-1, 3), (1, 3), (0, 2)] {
            assert_eq!(imported.multiplier.product(a, b), Some(i64::from(a + b)));
        }
        for (damage, expected) in [
            (text.replace("4'd3:", "4'd2:"), "one case for each"),
            (text.replacen("4'd3: p", "4'd3: q", 1), "expected \"p\""),
            (text.replace("4'd3: p = 4'h3;", ""), "no case for 1 pairs"),
            (text.replace("4'h3;", "8'h73;"), "of the output's width"),
            (text.replace("endmodule", ""), "\"endmodule\""),
            (text.replace("[1:0] y", "[30:0] y"), "31 bits"),
        ] {
            let error = read(&damage).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
