//! The bundled multipliers of EvoApproxLib, version v2022, with their published figures and HTP models.
//!
//! - [`multiplier`]: the 13 signed and 37 unsigned 8-bit circuits, as tables; the 14 signed 12-bit and 9 signed 16-bit
//!   ones, as [factorisations](crate::Definition::Factored).
//! - [`entries`]: their published error and hardware figures.
//! - [`htp`]: TorchApprox's High-Throughput models of the 36 signed ones.
//!
//! # Names
//!
//! The same name means different circuits in other libraries and in other versions of this one, so a circuit is
//! identified by its [content hash](crate::ContentHash). A table named `mul8s_1L2H` that is passed around, for example,
//! differs from that circuit in 12,414 products, all of them with both operands negative.
//!
//! # HTP models
//!
//! Of the 13 models of 8-bit multipliers 7 reproduce their circuit: `mul8s_1KV6`, `mul8s_1KVM`, `mul8s_1KXF`,
//! `mul8s_1L12`, `mul8s_1L2J`, `mul8s_1L2L` and `mul8s_1L2N`. The largest deviations of the others are
//!
//! | model | largest deviation from the circuit |
//! |---|---|
//! | `mul8s_1KV8` | 2.4 |
//! | `mul8s_1KV9` | 7.2 |
//! | `mul8s_1KVA` | 21.6 |
//! | `mul8s_1KVP` | 7 |
//! | `mul8s_1KVQ` | 27 |
//! | `mul8s_1KX5` | 45.2 |
//!
//! Of the wider ones `mul12s_2PR` (2.4), `mul12s_2PS` (7.2), `mul12s_2PT` (21.6), `mul12s_2QE` (1), `mul12s_2QH` (83),
//! `mul12s_2R5` (45.2), `mul16s_GQV` (1) and `mul16s_GRU` (45.2) deviate; the 16-bit ones were compared on 26 million
//! pairs.
//!
//! # Wide circuits
//!
//! Each of the 12- and 16-bit circuits is the exact product without some of the partial products `2^(i + j) a_i b_j` of
//! the operands' bits, and so a sum of 1 to 5 terms:
//!
//! | circuits | what is left |
//! |---|---|
//! | `mul12s_2PP`, `mul16s_HG4` | everything: they are exact |
//! | `mul12s_2PQ`, `2PR`, `2PS`, `2PT` | the partial products with `i + j >= d`, for d = 1, 2, 3, 4 |
//! | `mul12s_2QD`, `2RP`, `2TE`, `mul16s_GQU`, `GSM`, `GV3` | those with `i >= r`, for r = 1, 3, 6 |
//! | `mul12s_2QE`, `2QH`, `2R5`, `mul16s_GQV`, `GRU` | those with `i >= r` and `i + j >= d`, for (r, d) = (1, 2), (1, 5), (2, 5) in 12 bits and (1, 2), (2, 5) in 16 |
//! | `mul12s_34K`, `34M`, `34P`, `mul16s_HF7`, `HG8`, `HFB` | those with `i >= c` and `j >= c`, for c = 1, 2, 3 |
//!
//! `a` is the first operand, the activation: the ones of the third and fourth line are not commutative.
//!
//! # Credits
//!
//! EvoApproxLib (MIT licence) is by V. Mrazek, R. Hrbacek, Z. Vasicek and L. Sekanina: "EvoApprox8b: Library of
//! Approximate Adders and Multipliers for Circuit Design and Benchmarking of Approximation Methods", DATE 2017, doi
//! 10.23919/DATE.2017.7926993. The coefficients of the HTP models are those of TorchApprox (MIT licence) by E. Trommer,
//! B. Waschneck and A. Kumar: "High-Throughput Approximate Multiplication Models in PyTorch", DDECS 2023, doi
//! 10.1109/DDECS57882.2023.10139366.
//!
//! ```
//! use approx_multiplier::evoapprox;
//!
//! let multiplier = evoapprox::multiplier("mul8u_17C8")?;
//! let power = multiplier.hardware().and_then(|figures| figures.power_mw);
//! assert_eq!(power, Some(0.104));
//!
//! let error = evoapprox::multiplier("mul8s_1L2").unwrap_err();
//! assert!(error.to_string().contains("mul8s_1L2J"));
//! # Ok::<(), approx_multiplier::MultiplierError>(())
//! ```

mod wide;

use std::sync::{LazyLock, OnceLock};

use serde::{Deserialize, Serialize};

use crate::{
    HardwareFigures, HtpModel, HtpTerm, Multiplier, MultiplierError, OperandFormat, ProductTable,
    Signedness,
};
use wide::{STRUCTURES, Structure};

/// How many similar names an error offers.
const NEAREST_NAMES: usize = 3;

/// A selection of EvoApproxLib: the circuits that are Pareto-optimal in power and one error metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParetoSubset {
    /// By error probability.
    Ep,
    /// By mean absolute error.
    Mae,
    /// By mean relative error.
    Mre,
    /// By mean squared error.
    Mse,
    /// By worst-case error.
    Wce,
}

/// The published figures of a circuit, as EvoApproxLib prints them: rounded to a few significant digits.
///
/// The definitions of the error figures are those of [`ErrorMetrics`](crate::ErrorMetrics), whose documentation lists
/// the printed values that measurement does not confirm.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PublishedFigures {
    /// The circuit's name.
    pub name: String,
    /// The format of both operands.
    pub format: OperandFormat,
    /// The Pareto subsets the circuit belongs to.
    pub pareto: Vec<ParetoSubset>,
    /// Mean absolute error.
    pub mae: f64,
    /// Mean absolute error in percent of the output range.
    pub mae_percent: f64,
    /// Worst-case error.
    pub wce: f64,
    /// Worst-case error in percent of the output range.
    pub wce_percent: f64,
    /// Worst-case relative error in percent.
    pub wcre_percent: f64,
    /// Error probability in percent.
    pub ep_percent: f64,
    /// Mean relative error in percent.
    pub mre_percent: f64,
    /// Mean squared error.
    pub mse: f64,
    /// Power, area and delay in a 45 nm technology.
    pub hardware: HardwareFigures,
}

/// An element of `multipliers.json`.
#[derive(Deserialize)]
struct FiguresRecord {
    name: String,
    bits: u8,
    signed: bool,
    pareto: Vec<ParetoSubset>,
    mae: f64,
    mae_percent: f64,
    wce: f64,
    wce_percent: f64,
    wcre_percent: f64,
    ep_percent: f64,
    mre_percent: f64,
    mse: f64,
    pdk45_power_mw: f64,
    pdk45_area_um2: f64,
    pdk45_delay_ns: f64,
}

impl From<FiguresRecord> for PublishedFigures {
    fn from(record: FiguresRecord) -> Self {
        Self {
            format: bundled_format(record.bits, record.signed),
            name: record.name,
            pareto: record.pareto,
            mae: record.mae,
            mae_percent: record.mae_percent,
            wce: record.wce,
            wce_percent: record.wce_percent,
            wcre_percent: record.wcre_percent,
            ep_percent: record.ep_percent,
            mre_percent: record.mre_percent,
            mse: record.mse,
            hardware: HardwareFigures {
                technology: "45 nm".into(),
                power_mw: Some(record.pdk45_power_mw),
                area_um2: Some(record.pdk45_area_um2),
                delay_ns: Some(record.pdk45_delay_ns),
            },
        }
    }
}

/// An element of `htp_models.json`. All of its circuits are signed.
#[derive(Deserialize)]
struct ModelRecord {
    name: String,
    bits: u8,
    terms: Vec<HtpTerm>,
}

fn bundled_format(bits: u8, signed: bool) -> OperandFormat {
    let signedness = if signed {
        Signedness::Signed
    } else {
        Signedness::Unsigned
    };
    OperandFormat::new(bits, signedness).expect("bundled formats are valid, which the tests check")
}

/// A bundled circuit, made when it is first asked for.
struct Circuit {
    figures: &'static PublishedFigures,
    content: Content,
    multiplier: OnceLock<Multiplier>,
}

#[derive(Clone, Copy)]
enum Content {
    /// A compressed table.
    Table(&'static [u8]),
    Structure(Structure),
}

impl Circuit {
    fn new(name: &[u8], content: Content) -> Option<Self> {
        let figures = FIGURES
            .iter()
            .find(|figures| figures.name.as_bytes() == name)?;
        Some(Self {
            figures,
            content,
            multiplier: OnceLock::new(),
        })
    }

    fn multiplier(&self) -> &Multiplier {
        self.multiplier.get_or_init(|| {
            let (name, format) = (self.figures.name.clone(), self.figures.format);
            let multiplier = match self.content {
                Content::Table(compressed) => {
                    ProductTable::from_compressed(format, format, compressed)
                        .map(|table| Multiplier::from_table(name, table))
                }
                Content::Structure(structure) => structure
                    .factorization(format)
                    .and_then(|function| Multiplier::from_factorization(name, function)),
            };
            multiplier
                .expect("the bundled circuits are valid, which the tests check")
                .with_hardware(self.figures.hardware.clone())
        })
    }
}

static FIGURES: LazyLock<Vec<PublishedFigures>> = LazyLock::new(|| {
    let records: Vec<FiguresRecord> =
        serde_json::from_str(include_str!("../../data/multipliers.json"))
            .expect("the bundled figures are valid, which the tests check");
    records.into_iter().map(Into::into).collect()
});

static MODELS: LazyLock<Vec<HtpModel>> = LazyLock::new(|| {
    let records: Vec<ModelRecord> =
        serde_json::from_str(include_str!("../../data/htp_models.json"))
            .expect("the bundled HTP models are valid, which the tests check");
    records
        .into_iter()
        .map(|record| {
            let format = bundled_format(record.bits, true);
            HtpModel::new(record.name, format, format, record.terms)
                .expect("the bundled HTP models are valid, which the tests check")
        })
        .collect()
});

static CIRCUITS: LazyLock<Vec<Circuit>> = LazyLock::new(|| {
    let mut circuits = parse_tables(include_bytes!("../../data/tables.bin"))
        .expect("the bundled tables are complete, which the tests check");
    circuits.extend(STRUCTURES.map(|(name, structure)| {
        Circuit::new(name.as_bytes(), Content::Structure(structure))
            .expect("the wide circuits have figures, which the tests check")
    }));
    circuits
});

/// The tables of `tables.bin`: for each one the length of its name in one byte, the name, the length of its compressed
/// entries in four little-endian bytes, and those.
fn parse_tables(mut bytes: &'static [u8]) -> Option<Vec<Circuit>> {
    let mut tables = Vec::new();
    while let Some((&name_length, rest)) = bytes.split_first() {
        let (name, rest) = rest.split_at_checked(name_length.into())?;
        let (length, rest) = rest.split_first_chunk()?;
        let (compressed, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        tables.push(Circuit::new(name, Content::Table(compressed))?);
        bytes = rest;
    }
    Some(tables)
}

/// The bundled multiplier of this name, with its hardware figures: a [table](crate::Definition::Table) of 8 bits, a
/// [factorisation](crate::Definition::Factored) of 12 and 16. It is made once and then shared.
///
/// # Errors
///
/// [`MultiplierError::UnknownName`], which offers the nearest names.
pub fn multiplier(name: &str) -> Result<Multiplier, MultiplierError> {
    CIRCUITS
        .iter()
        .find(|circuit| circuit.figures.name == name)
        .map(|circuit| circuit.multiplier().clone())
        .ok_or_else(|| unknown("multiplier", name, names()))
}

/// The names that [`multiplier`] knows: 13 signed and 37 unsigned circuits of 8 bits, 14 signed ones of 12 bits and 9
/// of 16.
pub fn names() -> impl ExactSizeIterator<Item = &'static str> + Clone {
    CIRCUITS.iter().map(|circuit| circuit.figures.name.as_str())
}

/// The published figures of all bundled circuits.
pub fn entries() -> &'static [PublishedFigures] {
    &FIGURES
}

/// The published figures of the circuit of this name.
///
/// # Errors
///
/// [`MultiplierError::UnknownName`], which offers the nearest names.
pub fn figures(name: &str) -> Result<&'static PublishedFigures, MultiplierError> {
    FIGURES
        .iter()
        .find(|figures| figures.name == name)
        .ok_or_else(|| unknown("multiplier", name, names()))
}

/// TorchApprox's High-Throughput model of the circuit of this name. Most of the time it reproduces the circuit, but not
/// always: see the [module's documentation](self).
///
/// # Errors
///
/// [`MultiplierError::UnknownName`], which offers the nearest names.
pub fn htp(name: &str) -> Result<HtpModel, MultiplierError> {
    MODELS
        .iter()
        .find(|model| model.name() == name)
        .cloned()
        .ok_or_else(|| unknown("HTP model", name, htp_names()))
}

/// The names that [`htp`] knows: 13 signed circuits of 8 bits, 14 of 12 bits and 9 of 16 bits.
pub fn htp_names() -> impl ExactSizeIterator<Item = &'static str> + Clone {
    MODELS.iter().map(HtpModel::name)
}

fn unknown(
    kind: &'static str,
    name: &str,
    known: impl Iterator<Item = &'static str>,
) -> MultiplierError {
    let wanted = name.to_lowercase();
    let mut nearest: Vec<_> = known
        .map(|known| {
            (
                strsim::damerau_levenshtein(&wanted, &known.to_lowercase()),
                known,
            )
        })
        .collect();
    nearest.sort_unstable();
    MultiplierError::UnknownName {
        kind,
        name: name.into(),
        nearest: nearest
            .into_iter()
            .take(NEAREST_NAMES)
            .map(|(_, name)| name)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn everything_bundled_can_be_had() {
        assert_eq!(
            (names().len(), htp_names().len(), entries().len()),
            (73, 36, 73)
        );
        for name in names() {
            let multiplier = multiplier(name).unwrap();
            let figures = figures(name).unwrap();
            assert_eq!(multiplier.name(), name);
            assert_eq!(
                (multiplier.activation(), multiplier.weight()),
                (figures.format, figures.format)
            );
            assert_eq!(multiplier.hardware(), Some(&figures.hardware));
        }
        for name in htp_names() {
            let model = htp(name).unwrap();
            assert_eq!(model.activation(), figures(name).unwrap().format);
        }
        let signed = names()
            .filter(|name| figures(name).unwrap().format.is_signed())
            .count();
        assert_eq!(signed, 13 + 14 + 9);
    }

    #[test]
    fn bundled_circuits_are_distinct() {
        let hashes: std::collections::HashSet<_> = names()
            .map(|name| multiplier(name).unwrap().hash())
            .collect();
        assert_eq!(hashes.len(), 73);
    }

    /// Computed outside of this crate from the library's truth tables.
    #[rstest]
    #[case(
        "mul8s_1L2J",
        "df06547f7781d70d27a6ce9c18e28cb9ce264b0aab2ce626d97a4cc0ee65426a"
    )]
    #[case(
        "mul8u_17C8",
        "f31f7e5b6ddd8f41a618cd43142e4e9165de757c29ebb3f16fafc865b3b1ebe6"
    )]
    fn content_hashes_never_change(#[case] name: &str, #[case] hash: &str) {
        assert_eq!(multiplier(name).unwrap().hash().to_string(), hash);
    }

    /// The hash of all content hashes, in the order of the names; computed as above.
    #[test]
    fn no_table_ever_changes() {
        let mut hasher = Sha256::new();
        for name in names().take(50) {
            hasher.update(multiplier(name).unwrap().hash().as_bytes());
        }
        assert_eq!(
            hex::encode(hasher.finalize()),
            "14c0b77676ed39fc2bdcb7394c0bd9ff4e3e81ec02dfd4dd399eeb91fa1a1dc7"
        );
    }

    /// The hash of the wide circuits' content hashes, once all products of each had been compared with the circuits'
    /// factors.
    #[test]
    fn no_wide_circuit_ever_changes() {
        let mut hasher = Sha256::new();
        for name in names().skip(50) {
            hasher.update(multiplier(name).unwrap().hash().as_bytes());
        }
        assert_eq!(
            hex::encode(hasher.finalize()),
            "60122848c1af3b536bd1fb8b0ab9949c8b6c7c9c288722788dccbef29e771e80"
        );
    }

    #[test]
    fn the_exact_circuits_are_exact() {
        for name in ["mul8s_1KV6", "mul8u_1JJQ"] {
            let circuit = multiplier(name).unwrap();
            let exact = ProductTable::exact(circuit.activation(), circuit.weight()).unwrap();
            assert_eq!(circuit.table(), Some(&exact));
        }
    }

    #[test]
    fn tables_are_decoded_once() {
        let first = multiplier("mul8u_R92").unwrap();
        let second = multiplier("mul8u_R92").unwrap();
        assert!(std::ptr::eq(
            first.table().unwrap().entries(),
            second.table().unwrap().entries()
        ));
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let error = multiplier("MUL8S_1L2").unwrap_err();
        let MultiplierError::UnknownName { name, nearest, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(name, "MUL8S_1L2");
        assert_eq!(nearest, &["mul8s_1L12", "mul8s_1L2J", "mul8s_1L2L"]);
        assert!(matches!(
            htp("mul8u_17C8"),
            Err(MultiplierError::UnknownName {
                kind: "HTP model",
                ..
            })
        ));
        assert!(matches!(
            figures(""),
            Err(MultiplierError::UnknownName { .. })
        ));
    }

    /// The deviations that the module's documentation lists.
    #[rstest]
    #[case("mul8s_1KV6", 0.0)]
    #[case("mul8s_1KV8", 2.4)]
    #[case("mul8s_1KV9", 7.2)]
    #[case("mul8s_1KVA", 21.6)]
    #[case("mul8s_1KVM", 0.0)]
    #[case("mul8s_1KVP", 7.0)]
    #[case("mul8s_1KVQ", 27.0)]
    #[case("mul8s_1KX5", 45.2)]
    #[case("mul8s_1KXF", 0.0)]
    #[case("mul8s_1L12", 0.0)]
    #[case("mul8s_1L2J", 0.0)]
    #[case("mul8s_1L2L", 0.0)]
    #[case("mul8s_1L2N", 0.0)]
    fn htp_models_deviate_from_their_circuits_as_documented(
        #[case] name: &str,
        #[case] expected: f64,
    ) {
        assert_deviation(name, OperandFormat::INT8.codes(), expected);
    }

    /// The deviations of the wide circuits: at 12 bits over every third code of both operands and so over all of their
    /// low bits, at 16 bits over the codes around 0 and at the ends of the range.
    #[test]
    fn wide_htp_models_deviate_from_their_circuits_as_documented() {
        let listed = [
            ("mul12s_2PR", 2.4),
            ("mul12s_2PS", 7.2),
            ("mul12s_2PT", 21.6),
            ("mul12s_2QE", 1.0),
            ("mul12s_2QH", 83.0),
            ("mul12s_2R5", 45.2),
            ("mul16s_GQV", 1.0),
            ("mul16s_GRU", 45.2),
        ];
        for name in htp_names().filter(|name| !name.starts_with("mul8")) {
            let expected = listed.iter().find(|listed| listed.0 == name);
            let expected = expected.map_or(0.0, |&(_, deviation)| deviation);
            if name.starts_with("mul12") {
                assert_deviation(name, (-2048..2048).step_by(3), expected);
            } else {
                let codes = (-32768..-32700).chain(-68..68).chain(32700..32768);
                assert_deviation(name, codes, expected);
            }
        }
    }

    fn assert_deviation(name: &str, codes: impl Iterator<Item = i32> + Clone, expected: f64) {
        let (circuit, model) = (multiplier(name).unwrap(), htp(name).unwrap());
        let mut largest: f64 = 0.0;
        for a in codes.clone() {
            for b in codes.clone() {
                largest = largest.max((model.evaluate(a, b) - circuit.evaluate(a, b)).abs());
            }
        }
        if expected == 0.0 {
            assert_eq!(largest, 0.0, "{name}");
        } else {
            assert!((largest - expected).abs() < 1e-5, "{name}: {largest}");
        }
    }
}
