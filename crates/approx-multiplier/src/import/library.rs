//! What EvoApproxLib's files say beyond the circuit: operand widths and signedness in its name, and figures in
//! comments.

use crate::{HardwareFigures, Signedness};

/// What a name such as `mul8s_1L2J` or `mul8x2u_00D` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LibraryName {
    /// The widths of the first and the second operand.
    pub bits: [u8; 2],
    pub signedness: Signedness,
}

impl LibraryName {
    /// What a name says: `mul`, a width or two with an `x` between them, `s` or `u`, and nothing or `_` and more.
    pub fn parse(name: &str) -> Option<Self> {
        let (first, rest) = split_number(name.strip_prefix("mul")?)?;
        let (second, rest) = match rest.strip_prefix('x') {
            Some(rest) => split_number(rest)?,
            None => (first, rest),
        };
        let signedness = match rest.as_bytes() {
            [b's', b'_', ..] | [b's'] => Signedness::Signed,
            [b'u', b'_', ..] | [b'u'] => Signedness::Unsigned,
            _ => return None,
        };
        Some(Self {
            bits: [first, second],
            signedness,
        })
    }
}

/// Splits the number off that a text starts with.
fn split_number(text: &str) -> Option<(u8, &str)> {
    let length = text.find(|c: char| !c.is_ascii_digit())?;
    Some((text[..length].parse().ok()?, &text[length..]))
}

/// Power, area and delay from comments such as `// PDK45_PWR = 0.301 mW`, if there are any.
pub(crate) fn hardware_figures(text: &str) -> Option<HardwareFigures> {
    let mut figures = HardwareFigures::new("45 nm");
    for line in text.lines() {
        let Some((key, value)) = line
            .strip_prefix("// PDK45_")
            .and_then(|comment| comment.split_once(" = "))
        else {
            continue;
        };
        let figure = |unit| -> Option<f64> {
            let number: f64 = value.trim().strip_suffix(unit)?.trim().parse().ok()?;
            number.is_finite().then_some(number)
        };
        match key {
            "PWR" => figures.power_mw = figure("mW"),
            "AREA" => figures.area_um2 = figure("um2"),
            "DELAY" => figures.delay_ns = figure("ns"),
            _ => {}
        }
    }
    [figures.power_mw, figures.area_um2, figures.delay_ns]
        .iter()
        .any(Option::is_some)
        .then_some(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_widths_and_signedness() {
        let parse = |name| LibraryName::parse(name).map(|name| (name.bits, name.signedness));
        assert_eq!(parse("mul8s_1L2J"), Some(([8, 8], Signedness::Signed)));
        assert_eq!(parse("mul8x2u_00D"), Some(([8, 2], Signedness::Unsigned)));
        assert_eq!(parse("mul12u"), Some(([12, 12], Signedness::Unsigned)));
        for other in [
            "mul8", "mul8_s", "mul8su", "add8s_1", "mul_8s", "mul999s", "mulx8u",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn figures_are_read_from_comments() {
        let text = "// MAE = 53\n// PDK45_PWR = 0.301 mW\n// PDK45_AREA = 558.9 um2\r\n// PDK45_DELAY = soon\n";
        let figures = hardware_figures(text).unwrap();
        assert_eq!(figures.power_mw, Some(0.301));
        assert_eq!(figures.area_um2, Some(558.9));
        assert_eq!(figures.delay_ns, None);
        assert_eq!(hardware_figures("// PDK45_PWR = 1 W"), None);
    }
}
