//! The bundled multipliers of EvoApproxLib, version v2022, with their published figures and HTP models.
//!
//! - [`multiplier`]: the 13 signed and 37 unsigned 8-bit circuits, as tables.
//! - [`entries`]: the published error and hardware figures of these and of 14 signed 12-bit and 9 signed 16-bit ones.
//! - [`htp`]: TorchApprox's High-Throughput models of the 36 signed ones.
//!
//! # Names
//!
//! The same name means different circuits in other libraries and in other versions of this one, so a circuit is
//! identified by its [content hash](crate::ContentHash). A table named `mul8s_1L2H` that is passed around, for example,
//! differs from that circuit in 248 entries, all of them with the operand -128.
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
//! `mul12s_2R5` (45.2), `mul16s_GQV` (1) and `mul16s_GRU` (45.2) deviate. Their circuits are too large for a table, so this
//! was measured elsewhere: on all operand pairs at 12 bits, on 26 million of them at 16 bits.
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

use std::sync::{LazyLock, OnceLock};

use serde::{Deserialize, Serialize};

use crate::{
    HardwareFigures, HtpModel, HtpTerm, Multiplier, MultiplierError, OperandFormat, ProductTable,
    Signedness,
};

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

/// A bundled table, decoded when it is first asked for.
struct BundledTable {
    figures: &'static PublishedFigures,
    compressed: &'static [u8],
    multiplier: OnceLock<Multiplier>,
}

static FIGURES: LazyLock<Vec<PublishedFigures>> = LazyLock::new(|| {
    let records: Vec<FiguresRecord> =
        serde_json::from_str(include_str!("../data/multipliers.json"))
            .expect("the bundled figures are valid, which the tests check");
    records.into_iter().map(Into::into).collect()
});

static MODELS: LazyLock<Vec<HtpModel>> = LazyLock::new(|| {
    let records: Vec<ModelRecord> = serde_json::from_str(include_str!("../data/htp_models.json"))
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

/// The tables of `tables.bin`: for each one the length of its name in one byte, the name, the length of its compressed
/// entries in four little-endian bytes, and those.
static TABLES: LazyLock<Vec<BundledTable>> = LazyLock::new(|| {
    parse_tables(include_bytes!("../data/tables.bin"))
        .expect("the bundled tables are complete, which the tests check")
});

fn parse_tables(mut bytes: &'static [u8]) -> Option<Vec<BundledTable>> {
    let mut tables = Vec::new();
    while let Some((&name_length, rest)) = bytes.split_first() {
        let (name, rest) = rest.split_at_checked(name_length.into())?;
        let (length, rest) = rest.split_first_chunk()?;
        let (compressed, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        tables.push(BundledTable {
            figures: FIGURES
                .iter()
                .find(|figures| figures.name.as_bytes() == name)?,
            compressed,
            multiplier: OnceLock::new(),
        });
        bytes = rest;
    }
    Some(tables)
}

/// The bundled multiplier of this name, with its hardware figures. Its table is decoded once and then shared.
///
/// # Errors
///
/// [`MultiplierError::UnknownName`], which offers the nearest names, and [`MultiplierError::NoBundledTable`] for the
/// circuits of 12 and 16 bits.
pub fn multiplier(name: &str) -> Result<Multiplier, MultiplierError> {
    match TABLES.iter().find(|table| table.figures.name == name) {
        Some(table) => Ok(table.multiplier.get_or_init(|| decode(table)).clone()),
        None => Err(MultiplierError::NoBundledTable {
            name: name.into(),
            bits: figures(name)?.format.bits(),
        }),
    }
}

fn decode(bundled: &BundledTable) -> Multiplier {
    let figures = bundled.figures;
    let table = ProductTable::from_compressed(figures.format, figures.format, bundled.compressed)
        .expect("the bundled tables are valid, which the tests check");
    Multiplier::from_table(figures.name.clone(), table).with_hardware(figures.hardware.clone())
}

/// The names that [`multiplier`] knows: 13 signed and 37 unsigned 8-bit circuits.
pub fn names() -> impl ExactSizeIterator<Item = &'static str> + Clone {
    TABLES.iter().map(|table| table.figures.name.as_str())
}

/// The published figures of all circuits, those without a bundled table included.
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
        .ok_or_else(|| {
            unknown(
                "multiplier",
                name,
                FIGURES.iter().map(|figures| figures.name.as_str()),
            )
        })
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
            (50, 36, 73)
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
        assert_eq!(signed, 13);
    }

    #[test]
    fn bundled_circuits_are_distinct() {
        let hashes: std::collections::HashSet<_> = names()
            .map(|name| multiplier(name).unwrap().hash())
            .collect();
        assert_eq!(hashes.len(), 50);
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
        for name in names() {
            hasher.update(multiplier(name).unwrap().hash().as_bytes());
        }
        assert_eq!(
            hex::encode(hasher.finalize()),
            "14c0b77676ed39fc2bdcb7394c0bd9ff4e3e81ec02dfd4dd399eeb91fa1a1dc7"
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

    #[test]
    fn wide_circuits_have_figures_but_no_table() {
        let error = multiplier("mul12s_2PS").unwrap_err();
        assert!(matches!(
            &error,
            MultiplierError::NoBundledTable { bits: 12, .. }
        ));
        assert!(error.to_string().contains("htp:mul12s_2PS"), "{error}");
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
        let circuit = multiplier(name).unwrap();
        let model = htp(name).unwrap();
        let mut largest: f64 = 0.0;
        for a in OperandFormat::INT8.codes() {
            for b in OperandFormat::INT8.codes() {
                largest = largest.max((model.evaluate(a, b) - circuit.evaluate(a, b)).abs());
            }
        }
        if expected == 0.0 {
            assert_eq!(largest, 0.0);
        } else {
            assert!((largest - expected).abs() < 1e-9, "{largest}");
        }
    }
}
