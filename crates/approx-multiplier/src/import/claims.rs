//! What a file claims of its own errors, and whether that is so: lines such as `// MAE = 53` and `// EP% = 74.80 %`,
//! with which the circuits of EvoApproxLib begin, and `MED = 0.75, WCE = 7`, which tools write before a table.

use super::Note;
use crate::ErrorMetrics;

/// Claims are looked for in so many lines.
const LINES_WITH_CLAIMS: usize = 64;

/// What the lines of comments start with, in the languages of circuits.
const COMMENTS: [&str; 5] = ["//", "/*", "*", "#", "--"];

/// Numbers are printed with no more significant digits than these.
const SIGNIFICANT_DIGITS: f64 = 8.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metric {
    Mae,
    Wce,
    Wcre,
    Ep,
    Mre,
    Mse,
}

/// A number that a file gives for one of its errors.
#[derive(Clone, Debug, PartialEq)]
struct Claim {
    metric: Metric,
    /// As the file has it: `MAE% = 0.081 %`.
    text: String,
    value: f64,
    /// What the last printed digit counts.
    unit: f64,
    is_percentage: bool,
}

/// All that a file claims.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Claims(Vec<Claim>);

impl Claims {
    /// Those in the comments at the beginning of a circuit or a program.
    pub fn of_comments(text: &str) -> Self {
        Self::of(text.lines().filter(|line| {
            let line = line.trim_start();
            COMMENTS.iter().any(|comment| line.starts_with(comment))
        }))
    }

    /// Those in the lines at the beginning of a table.
    pub fn of_lines(text: &str) -> Self {
        Self::of(text.lines())
    }

    fn of<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let parts = lines
            .take(LINES_WITH_CLAIMS)
            .flat_map(|line| line.split([',', ';']));
        Self(parts.filter_map(Claim::parse).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is to be said of the claims, where exactly these errors were measured.
    pub fn compare(&self, metrics: &ErrorMetrics) -> Vec<Note> {
        let mut notes = Vec::new();
        let mut confirmed = Vec::new();
        for claim in &self.0 {
            let measured = claim.measured(metrics);
            if claim.is_confirmed(measured, self) {
                confirmed.push(claim.text.as_str());
            } else {
                let percent = if claim.is_percentage { " %" } else { "" };
                notes.push(Note::contradiction(format!(
                    "The file claims {}, but {measured}{percent} was measured: it is not what it says, or something else \
                     is meant than what was read.",
                    claim.text
                )));
            }
        }
        if !confirmed.is_empty() {
            notes.push(Note::information(format!(
                "Measured, as the file claims: {}.",
                confirmed.join(", ")
            )));
        }
        notes
    }
}

impl Claim {
    /// The claim in a part of a line, if there is one.
    fn parse(part: &str) -> Option<Self> {
        let (name, value) = part.split_once('=').or_else(|| part.split_once(':'))?;
        let (name, marked) = match name.trim_end().strip_suffix('%') {
            Some(name) => (name.trim_end(), true),
            None => (name.trim_end(), false),
        };
        let start = name
            .rfind(|c: char| !c.is_ascii_alphanumeric())
            .map_or(0, |before| {
                before + name[before..].chars().next().map_or(1, char::len_utf8)
            });
        let name = &name[start..];
        let metric = match name.to_ascii_uppercase().as_str() {
            "MAE" | "MED" => Metric::Mae,
            "WCE" => Metric::Wce,
            "WCRE" => Metric::Wcre,
            "EP" => Metric::Ep,
            "MRE" | "MRED" => Metric::Mre,
            "MSE" => Metric::Mse,
            _ => return None,
        };
        let value = value.trim_start();
        let length = value
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-')))
            .unwrap_or(value.len());
        let (number, rest) = value.split_at(length);
        let value: f64 = number
            .parse()
            .ok()
            .filter(|value: &f64| value.is_finite())?;
        let is_percentage = marked
            || rest.trim_start().starts_with('%')
            || matches!(metric, Metric::Ep | Metric::Mre | Metric::Wcre);
        Some(Self {
            metric,
            text: format!(
                "{name}{} = {number}{}",
                if marked { "%" } else { "" },
                if is_percentage { " %" } else { "" }
            ),
            value,
            unit: printed_unit(number, value),
            is_percentage,
        })
    }

    /// What was measured of this, in the unit of the claim.
    fn measured(&self, metrics: &ErrorMetrics) -> f64 {
        match (self.metric, self.is_percentage) {
            (Metric::Mae, false) => metrics.mae,
            (Metric::Mae, true) => metrics.mae_percent,
            (Metric::Wce, false) => metrics.wce,
            (Metric::Wce, true) => metrics.wce_percent,
            (Metric::Wcre, _) => metrics.wcre_percent,
            (Metric::Ep, _) => metrics.ep_percent,
            (Metric::Mre, _) => metrics.mre_percent,
            (Metric::Mse, _) => metrics.mse,
        }
    }

    /// Whether the measured value may be printed so: rounded or cut off. Percentages are printed of values that were
    /// rounded before, where these are claimed, too.
    fn is_confirmed(&self, measured: f64, all: &Claims) -> bool {
        let rounded_before = all
            .0
            .iter()
            .filter(|other| {
                self.is_percentage && !other.is_percentage && other.metric == self.metric
            })
            .filter(|other| other.value != 0.0)
            .map(|other| self.value * other.unit / other.value);
        let tolerance = self.unit + rounded_before.fold(0.0, f64::max);
        // What is cut off is less than the last digit counts.
        (self.value - measured).abs() <= tolerance * (1.0 - 1e-9) + self.value * f64::EPSILON
    }
}

/// What the last digit of a printed number counts; nothing for a whole 0, which claims that there is no error.
fn printed_unit(number: &str, value: f64) -> f64 {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let decimals = mantissa
        .split_once('.')
        .map_or(0, |(_, digits)| digits.len());
    if value == 0.0 && decimals == 0 {
        return 0.0;
    }
    let exponent: f64 = exponent.parse().unwrap_or(0.0);
    let last = 10f64.powf(exponent - decimals as f64);
    match value == 0.0 {
        true => last,
        false => last.max(10f64.powf(value.abs().log10().floor() + 1.0 - SIGNIFICANT_DIGITS)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::NoteKind;
    use super::*;
    use crate::evoapprox;

    #[rstest]
    #[case("// MAE = 53 ", Some((Metric::Mae, 53.0, false)))]
    #[case("// MAE% = 0.081 %", Some((Metric::Mae, 0.081, true)))]
    #[case("MED = 0.75", Some((Metric::Mae, 0.75, false)))]
    #[case("INFO: WCE=7", Some((Metric::Wce, 7.0, false)))]
    #[case(" * EP: 75 %", Some((Metric::Ep, 75.0, true)))]
    #[case("MSE = 1.5e3", Some((Metric::Mse, 1500.0, false)))]
    #[case("\u{e9}MRE = 1", Some((Metric::Mre, 1.0, true)))]
    #[case("NMED = 3", None)]
    #[case("// MAE of 3", None)]
    #[case("// MAE = small", None)]
    #[case("// PDK45_PWR = 0.3 mW", None)]
    fn claims_are_found(#[case] text: &str, #[case] expected: Option<(Metric, f64, bool)>) {
        let found = Claim::parse(text);
        let found = found.map(|claim| (claim.metric, claim.value, claim.is_percentage));
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case("0", 0.0, 0.0)]
    #[case("0.00", 0.0, 0.01)]
    #[case("53", 53.0, 1.0)]
    #[case("0.081", 0.081, 0.001)]
    #[case("1.5e3", 1500.0, 100.0)]
    #[case("2505397600", 2_505_397_600.0, 100.0)]
    fn digits_say_how_exact_a_number_is(
        #[case] text: &str,
        #[case] value: f64,
        #[case] expected: f64,
    ) {
        let unit = printed_unit(text, value);
        assert!((unit - expected).abs() <= 1e-9 * expected, "{unit}");
    }

    /// What the library prints of its circuits, whose rounding is not always the best, contradicts none of them.
    #[test]
    fn the_figures_of_the_library_are_no_contradiction() {
        for figures in evoapprox::entries()
            .iter()
            .filter(|figures| figures.format.bits() == 8)
        {
            let text = format!(
                "// MAE% = {} %\n// MAE = {}\n// WCE% = {} %\n// WCE = {}\n// WCRE% = {} %\n// EP% = {} %\n// MRE% = {} %\n// MSE = {}\n",
                figures.mae_percent,
                figures.mae,
                figures.wce_percent,
                figures.wce,
                figures.wcre_percent,
                figures.ep_percent,
                figures.mre_percent,
                figures.mse
            );
            let circuit = evoapprox::multiplier(&figures.name).unwrap();
            let metrics = ErrorMetrics::measure(&circuit).unwrap();
            let notes = Claims::of_comments(&text).compare(&metrics);
            assert!(
                notes.len() == 1 && notes[0].kind == NoteKind::Information,
                "{}: {notes:?}",
                figures.name
            );
        }
    }

    #[test]
    fn what_is_not_so_is_a_contradiction() {
        let metrics = ErrorMetrics::measure(&evoapprox::multiplier("mul8s_1L2J").unwrap()).unwrap();
        let text = "// MAE = 0\nint MAE = 7;\n// WCE = 255, EP = 70 %\n";
        let notes = Claims::of_comments(text).compare(&metrics);
        let kinds: Vec<NoteKind> = notes.iter().map(|note| note.kind).collect();
        let (wrong, right) = (NoteKind::Contradiction, NoteKind::Information);
        assert_eq!(kinds, [wrong, wrong, right], "{notes:?}");
        assert!(notes[0].text.contains("MAE = 0, but 53.33"), "{}", notes[0]);
        assert!(
            notes[1].text.contains("EP = 70 %, but 74.6"),
            "{}",
            notes[1]
        );
    }
}
