//! Functions of cells, as Liberty writes them, in Verilog: `A'` is `~A`, `A B` and `A * B` are `A & B`, `A + B` is `A | B`.
//! Inversions bind closest, then `^`, then what is and, then what is or.

/// How deep brackets may be nested.
const MAX_DEPTH: usize = 64;

/// The function as an expression in Verilog, all of it in brackets; `None` if it is none of these inputs.
pub(super) fn in_verilog(function: &str, inputs: &[&str]) -> Option<String> {
    let mut reader = Reader {
        rest: function.trim_start(),
        inputs,
        depth: 0,
    };
    let expression = reader.any()?;
    reader.rest.is_empty().then_some(expression)
}

/// A name of the netlist, as an escaped identifier that may have any characters; `None` if it has a blank in it.
pub(super) fn identifier(name: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_graphic();
    (!name.is_empty() && name.chars().all(is_plain)).then(|| format!("\\{name} "))
}

struct Reader<'a> {
    rest: &'a str,
    inputs: &'a [&'a str],
    depth: usize,
}

impl Reader<'_> {
    fn accept(&mut self, symbols: &[char]) -> bool {
        match self.rest.strip_prefix(symbols) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    /// Operands joined by an operator.
    fn any(&mut self) -> Option<String> {
        let mut expression = self.all()?;
        while self.accept(&['|', '+']) {
            expression = format!("({expression} | {})", self.all()?);
        }
        Some(expression)
    }

    fn all(&mut self) -> Option<String> {
        let mut expression = self.parity()?;
        loop {
            // A blank between operands is an operator, too.
            let is_next = self
                .rest
                .starts_with(|c: char| c == '(' || c == '!' || is_name(c));
            if !self.accept(&['&', '*']) && !is_next {
                return Some(expression);
            }
            expression = format!("({expression} & {})", self.parity()?);
        }
    }

    fn parity(&mut self) -> Option<String> {
        let mut expression = self.operand()?;
        while self.accept(&['^']) {
            expression = format!("({expression} ^ {})", self.operand()?);
        }
        Some(expression)
    }

    fn operand(&mut self) -> Option<String> {
        let mut is_inverted = false;
        while self.accept(&['!']) {
            is_inverted = !is_inverted;
        }
        let expression = if self.accept(&['(']) {
            self.depth += 1;
            let inner = (self.depth <= MAX_DEPTH).then(|| self.any())??;
            self.depth -= 1;
            self.accept(&[')']).then_some(inner)?
        } else {
            let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
            let (name, rest) = self.rest.split_at(end);
            self.rest = rest.trim_start();
            match name {
                "0" => "1'b0".to_string(),
                "1" => "1'b1".to_string(),
                name => self.inputs.contains(&name).then(|| identifier(name))??,
            }
        };
        while self.accept(&['\'']) {
            is_inverted = !is_inverted;
        }
        Some(match is_inverted {
            true => format!("(~{expression})"),
            false => expression,
        })
    }
}

/// Whether a name may have this character.
fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '[' | ']' | '$' | '.')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("(A1 & A2)", "(A & B)")]
    #[case("!((A1 * A2) | B)", "(~((A & B) | C))")]
    #[case("A1 A2' + B", "((A & (~B)) | C)")]
    #[case("A1 ^ A2 B", "((A ^ B) & C)")]
    #[case("!!A1 + 1 * 0", "(A | (1'b1 & 1'b0))")]
    #[case("(A1)(A2)!B", "((A & B) & (~C))")]
    #[case("(A1 & A2)'' ", "(A & B)")]
    fn functions_are_expressions(#[case] function: &str, #[case] expected: &str) {
        let found = in_verilog(function, &["A1", "A2", "B"]).unwrap();
        let plain = found
            .replace("\\A1 ", "A")
            .replace("\\A2 ", "B")
            .replace("\\B ", "C");
        assert_eq!(plain, expected, "{function}");
    }

    #[test]
    fn what_is_no_function_of_the_inputs_is_none() {
        for function in [
            "",
            "A1 &",
            "(A1",
            "A1)",
            "IQ",
            "A1 ? A2 : B",
            "'",
            &"(".repeat(5000),
        ] {
            assert_eq!(in_verilog(function, &["A1", "A2", "B"]), None, "{function}");
        }
    }
}
