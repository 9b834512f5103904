//! Tables as Verilog modules: a `case` over all pairs of operands.

use std::io::{self, Write};

use super::description;
use crate::{OperandFormat, ProductTable};

/// The longest name of a module.
const MAX_NAME: usize = 64;

pub(super) fn write(name: &str, table: &ProductTable, writer: &mut dyn Write) -> io::Result<()> {
    let (activation, weight) = (table.activation(), table.weight());
    let index_bits = activation.bits() + weight.bits();
    let signed = table.entries().iter().any(|&entry| entry < 0)
        || activation.is_signed()
        || weight.is_signed();
    let product_bits = product_bits(table, signed).max(index_bits.into());
    let port = |format: OperandFormat| {
        let sign = if format.is_signed() { "signed " } else { "" };
        format!("{sign}[{}:0]", format.bits() - 1)
    };
    let sign = if signed { "signed " } else { "" };
    writeln!(writer, "// {}.", description(name, table))?;
    writeln!(writer, "// A table of all products, for test benches.")?;
    writeln!(writer, "module {} (", module_name(name))?;
    writeln!(writer, "  input {} a,", port(activation))?;
    writeln!(writer, "  input {} b,", port(weight))?;
    writeln!(
        writer,
        "  output reg {sign}[{}:0] product",
        product_bits - 1
    )?;
    writeln!(writer, ");")?;
    writeln!(writer, "  always @* begin")?;
    writeln!(writer, "    case ({{a, b}})")?;
    // Both in hexadecimal digits with leading zeros.
    let index_digits = usize::from(index_bits).div_ceil(4);
    let product_digits = product_bits.div_ceil(4) as usize;
    let mask = (1u64 << product_bits) - 1;
    for (index, &entry) in table.entries().iter().enumerate() {
        let pattern = i64::from(entry).cast_unsigned() & mask;
        writeln!(
            writer,
            "      {index_bits}'h{index:0index_digits$x}: product = {product_bits}'h{pattern:0product_digits$x};"
        )?;
    }
    writeln!(
        writer,
        "      default: product = {{{product_bits}{{1'bx}}}};"
    )?;
    writeln!(writer, "    endcase\n  end\nendmodule")
}

/// The fewest bits that hold every product.
fn product_bits(table: &ProductTable, signed: bool) -> u32 {
    table
        .entries()
        .iter()
        .map(|&entry| {
            let magnitude = if entry < 0 { !entry } else { entry };
            u32::BITS - magnitude.leading_zeros() + u32::from(signed)
        })
        .max()
        .unwrap_or(1)
}

/// A name that a module can have.
fn module_name(name: &str) -> String {
    let name: String = name
        .chars()
        .take(MAX_NAME)
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    // Keywords have no capital letters and no digits.
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let may_be_keyword = name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
    if starts_well && !may_be_keyword {
        name
    } else {
        format!("multiplier_{name}")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("mul8s_1L2J", "mul8s_1L2J")]
    #[case("drum:k=6,bits=8,signed", "drum_k_6_bits_8_signed")]
    #[case("8", "multiplier_8")]
    #[case("", "multiplier_")]
    #[case("case", "multiplier_case")]
    #[case("é", "multiplier__")]
    fn modules_have_names(#[case] name: &str, #[case] expected: &str) {
        assert_eq!(module_name(name), expected);
    }

    #[test]
    fn the_text_is_as_expected() {
        let format = OperandFormat::signed(2).unwrap();
        let table =
            ProductTable::from_fn(
                format,
                format,
                |a, b| if (a, b) == (-1, 1) { -9 } else { a * b },
            )
            .unwrap();
        let mut bytes = Vec::new();
        write("M2", &table, &mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with(
            "// M2: activation int2, weight int2.\n// A table of all products, for test benches.\nmodule M2 (\n  \
             input signed [1:0] a,\n  input signed [1:0] b,\n  output reg signed [4:0] product\n);\n  always @* begin\n    \
             case ({a, b})\n      4'h0: product = 5'h00;\n"
        ));
        assert!(text.contains("\n      4'hd: product = 5'h17;\n"));
        assert!(text.ends_with(
            "\n      4'hf: product = 5'h01;\n      default: product = {5{1'bx}};\n    endcase\n  end\nendmodule\n"
        ));
    }
}
