//! Operand traces: how often each code of activation and weight occurred in the layers of a network, as files.
//!
//! A network's codes are far from uniformly distributed, so what a multiplier's error means for it depends on them.
//! Only codes that occurred are kept, so that memory is bounded by what was recorded, or by a file's size.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::RangeInclusive;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{MultiplierError, OperandDistribution, OperandFormat, file};

/// What the field `format` of a file holds.
const FORMAT: &str = "operand-trace";

/// The version that is written, and the only one there is.
const VERSION: u32 = 1;

/// The most bytes of a file that is read.
const MAX_BYTES: u64 = 1 << 28;

/// How often the codes of one layer's operands occurred.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedLayer")]
pub struct LayerTrace {
    name: String,
    activation: OperandFormat,
    weight: OperandFormat,
    activation_counts: Vec<(i32, u64)>,
    weight_counts: Vec<(i32, u64)>,
}

/// What a file says about a layer before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedLayer {
    name: String,
    activation: OperandFormat,
    weight: OperandFormat,
    activation_counts: Vec<(i32, u64)>,
    weight_counts: Vec<(i32, u64)>,
}

impl TryFrom<UncheckedLayer> for LayerTrace {
    type Error = MultiplierError;

    fn try_from(layer: UncheckedLayer) -> Result<Self, MultiplierError> {
        Self::new(
            layer.name,
            (layer.activation, layer.activation_counts),
            (layer.weight, layer.weight_counts),
        )
    }
}

impl LayerTrace {
    /// A layer's operand formats, and codes with how often each occurred, in any order. The counts of a code that is
    /// there more than once are added up; codes that are not there did not occur.
    ///
    /// ```
    /// use approx_multiplier::{LayerTrace, OperandFormat};
    ///
    /// let int8 = OperandFormat::INT8;
    /// let layer = LayerTrace::new("fc1", (int8, [(0, 90), (-3, 10)]), (int8, [(1, 7)]))?;
    /// assert_eq!(layer.activation_counts(), [(-3, 10), (0, 90)]);
    /// assert_eq!(layer.distribution()?.probability(0, 1), 0.9);
    /// assert_eq!(layer.activation_codes(), Some(-3..=0));
    /// # Ok::<(), approx_multiplier::MultiplierError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`MultiplierError::InvalidTrace`] if a code is not of its format, or a sum of counts does not fit in 64 bits.
    pub fn new(
        name: impl Into<String>,
        activation: (OperandFormat, impl IntoIterator<Item = (i32, u64)>),
        weight: (OperandFormat, impl IntoIterator<Item = (i32, u64)>),
    ) -> Result<Self, MultiplierError> {
        let name = name.into();
        let invalid = |reason| MultiplierError::InvalidTrace {
            origin: format!("layer {name:?}"),
            reason,
        };
        Ok(Self {
            activation: activation.0,
            weight: weight.0,
            activation_counts: summed(activation.0, activation.1).map_err(invalid)?,
            weight_counts: summed(weight.0, weight.1).map_err(invalid)?,
            name,
        })
    }

    /// The layer's name, such as its path in the network.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Format of the activation.
    pub fn activation(&self) -> OperandFormat {
        self.activation
    }

    /// Format of the weight.
    pub fn weight(&self) -> OperandFormat {
        self.weight
    }

    /// The activation codes that occurred, in ascending order, and how often.
    pub fn activation_counts(&self) -> &[(i32, u64)] {
        &self.activation_counts
    }

    /// The weight codes that occurred, in ascending order, and how often.
    pub fn weight_counts(&self) -> &[(i32, u64)] {
        &self.weight_counts
    }

    /// The lowest and the highest activation code that occurred; `None` if none did. What
    /// [`FactorizationOptions`](crate::FactorizationOptions) take.
    pub fn activation_codes(&self) -> Option<RangeInclusive<i32>> {
        range(&self.activation_counts)
    }

    /// The lowest and the highest weight code that occurred; `None` if none did.
    pub fn weight_codes(&self) -> Option<RangeInclusive<i32>> {
        range(&self.weight_counts)
    }

    /// How likely operand pairs are, if every activation meets every weight: what
    /// [`ErrorMetrics::measure_weighted`](crate::ErrorMetrics::measure_weighted) takes.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::InvalidDistribution`] if no code of an operand occurred.
    pub fn distribution(&self) -> Result<OperandDistribution, MultiplierError> {
        OperandDistribution::independent(
            self.activation,
            &histogram(self.activation, &self.activation_counts),
            self.weight,
            &histogram(self.weight, &self.weight_counts),
        )
    }
}

/// The counts of a layer by code, in ascending order, without those that are 0.
fn summed(
    format: OperandFormat,
    counts: impl IntoIterator<Item = (i32, u64)>,
) -> Result<Vec<(i32, u64)>, String> {
    let mut sums = BTreeMap::<i32, u64>::new();
    for (code, count) in counts {
        if !format.contains(code) {
            return Err(format!(
                "{code} is not a code of a {format} operand, {} to {}",
                format.min_code(),
                format.max_code()
            ));
        }
        let sum = sums.entry(code).or_default();
        *sum = sum
            .checked_add(count)
            .ok_or_else(|| format!("the counts of the code {code} do not fit in 64 bits"))?;
    }
    Ok(sums.into_iter().filter(|&(_, count)| count > 0).collect())
}

fn range(counts: &[(i32, u64)]) -> Option<RangeInclusive<i32>> {
    Some(counts.first()?.0..=counts.last()?.0)
}

/// In the order of bit patterns.
fn histogram(format: OperandFormat, counts: &[(i32, u64)]) -> Vec<f64> {
    let mut histogram = vec![0.0; format.cardinality()];
    for &(code, count) in counts {
        histogram[format.pattern(code)] = count as f64;
    }
    histogram
}

/// The traces of a network's layers.
///
/// ```
/// use approx_multiplier::{ErrorMetrics, LayerTrace, OperandFormat, OperandTrace, evoapprox};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("trace.json");
/// let int8 = OperandFormat::INT8;
/// let mut trace = OperandTrace::new();
/// trace.push(LayerTrace::new("conv1", (int8, [(0, 60), (12, 40)]), (int8, [(-4, 1), (4, 1)]))?)?;
/// trace.save(&path)?;
///
/// let trace = OperandTrace::load(&path)?;
/// let distribution = trace.layer("conv1").unwrap().distribution()?;
/// // This circuit is right wherever both operands are even.
/// let multiplier = evoapprox::multiplier("mul8s_1L2J")?;
/// assert_eq!(ErrorMetrics::measure_weighted(&multiplier, &distribution)?.mae, 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperandTrace {
    layers: Vec<LayerTrace>,
}

/// A file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content<L> {
    format: String,
    version: u32,
    layers: L,
}

/// What is looked at first: a file of another version may hold anything else.
#[derive(Deserialize)]
struct Envelope {
    format: String,
    version: u32,
}

impl OperandTrace {
    /// A trace without layers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a layer.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::InvalidTrace`] if there is a layer of this name.
    pub fn push(&mut self, layer: LayerTrace) -> Result<(), MultiplierError> {
        if self.layer(layer.name()).is_some() {
            return Err(MultiplierError::InvalidTrace {
                origin: format!("layer {:?}", layer.name()),
                reason: "there is another layer of this name".into(),
            });
        }
        self.layers.push(layer);
        Ok(())
    }

    /// The layers in the order in which they were added.
    pub fn layers(&self) -> &[LayerTrace] {
        &self.layers
    }

    /// The layer of a name.
    pub fn layer(&self, name: &str) -> Option<&LayerTrace> {
        self.layers.iter().find(|layer| layer.name() == name)
    }

    /// Reads a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::Io`] if it cannot be read, and [`MultiplierError::InvalidTrace`] if it is no operand trace,
    /// or one of another version, or has more than 256 MiB.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, MultiplierError> {
        let path = path.as_ref();
        let io_error = |source| MultiplierError::Io {
            operation: "read",
            path: path.into(),
            source,
        };
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
            .map_err(io_error)?;
        Self::from_json(&bytes).map_err(|reason| MultiplierError::InvalidTrace {
            origin: path.display().to_string(),
            reason,
        })
    }

    /// Writes a file in JSON. An existing file is replaced in one step: it is never seen half-written.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::Io`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), MultiplierError> {
        let content = Content {
            format: FORMAT.into(),
            version: VERSION,
            layers: self.layers.as_slice(),
        };
        file::replace(path.as_ref(), |writer| {
            serde_json::to_writer(&mut *writer, &content)?;
            writer.write_all(b"\n")
        })
    }

    fn from_json(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > MAX_BYTES {
            return Err(format!("it has more than {MAX_BYTES} bytes"));
        }
        let json_error = |error: serde_json::Error| error.to_string();
        let Envelope { format, version } = serde_json::from_slice(bytes).map_err(json_error)?;
        if format != FORMAT || version != VERSION {
            return Err(format!(
                "it has the format {format:?}, version {version}: {FORMAT:?}, version {VERSION} is needed"
            ));
        }
        let content: Content<Vec<LayerTrace>> =
            serde_json::from_slice(bytes).map_err(json_error)?;
        let mut names: Vec<&str> = content.layers.iter().map(LayerTrace::name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("it has two layers named {:?}", pair[0])),
            None => Ok(Self {
                layers: content.layers,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::{ErrorMetrics, Multiplier};

    const INT8: OperandFormat = OperandFormat::INT8;
    const UINT8: OperandFormat = OperandFormat::UINT8;

    #[test]
    fn metrics_are_weighted_by_what_occurred() {
        let multiplier = Multiplier::from_fn("m", UINT8, INT8, |a, b| a * b + a).unwrap();
        let layer = LayerTrace::new(
            "l",
            (UINT8, [(255, 3), (0, 1)]),
            (INT8, [(-128, 5), (127, 5), (7, 0)]),
        )
        .unwrap();
        let metrics =
            ErrorMetrics::measure_weighted(&multiplier, &layer.distribution().unwrap()).unwrap();
        assert!((metrics.mae - 0.75 * 255.0).abs() < 1e-9);
        assert_eq!(layer.activation_codes(), Some(0..=255));
        assert_eq!(layer.weight_codes(), Some(-128..=127));
        assert_eq!(layer.weight_counts().len(), 2);
    }

    #[test]
    fn a_layer_that_met_nothing_has_no_distribution() {
        let layer = LayerTrace::new("l", (UINT8, []), (INT8, [])).unwrap();
        assert_eq!(layer.activation_codes(), None);
        assert!(layer.distribution().is_err());
    }

    #[rstest]
    #[case((UINT8, vec![(-1, 1)]), "-1 is not a code of a 8-bit unsigned operand")]
    #[case((INT8, vec![(128, 1)]), "-128 to 127")]
    #[case((INT8, vec![(5, u64::MAX), (5, 1)]), "code 5 do not fit")]
    fn unusable_counts_are_refused(
        #[case] activation: (OperandFormat, Vec<(i32, u64)>),
        #[case] expected: &str,
    ) {
        let error = LayerTrace::new("fc", activation, (INT8, []))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(expected) && error.contains("layer \"fc\""),
            "{error}"
        );
    }

    #[test]
    fn two_layers_cannot_share_a_name() {
        let layer = || LayerTrace::new("l", (UINT8, []), (INT8, [])).unwrap();
        let mut trace = OperandTrace::new();
        trace.push(layer()).unwrap();
        assert!(trace.push(layer()).is_err());
    }

    const FORMATS: &str = r#""activation": {"bits": 2, "signedness": "signed"}, "weight": {"bits": 2, "signedness": "signed"}"#;

    #[rstest]
    #[case("", "EOF")]
    #[case("[]", "invalid length 0")]
    #[case(
        r#"{"format": "approx-multiplier", "version": 1, "layers": []}"#,
        "operand-trace"
    )]
    #[case(
        r#"{"format": "operand-trace", "version": 2, "layers": {}}"#,
        "version 2"
    )]
    #[case(
        r#"{"format": "operand-trace", "version": 1}"#,
        "missing field `layers`"
    )]
    #[case(
        r#"{"format": "operand-trace", "version": 1, "layers": [], "x": 1}"#,
        "unknown field"
    )]
    #[case(r#"{"format": "operand-trace", "version": 1, "layers": [{"name": "l", FORMATS, "activation_counts": [[2, 1]], "weight_counts": []}]}"#, "2 is not a code")]
    #[case(
        r#"{"format": "operand-trace", "version": 1, "layers": [LAYER, LAYER]}"#,
        "two layers named \"l\""
    )]
    fn other_files_are_refused(#[case] text: &str, #[case] expected: &str) {
        let layer = r#"{"name": "l", FORMATS, "activation_counts": [], "weight_counts": []}"#;
        let text = text.replace("LAYER", layer).replace("FORMATS", FORMATS);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.json");
        std::fs::write(&path, text).unwrap();
        let error = OperandTrace::load(&path).unwrap_err().to_string();
        assert!(
            error.contains(expected) && error.contains("trace.json"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn traces_survive_a_file(
            layers in proptest::collection::vec(
                (proptest::collection::vec((0i32..256, any::<u32>()), 0..20), proptest::collection::vec((-128i32..128, any::<u32>()), 0..20)),
                0..4,
            ),
        ) {
            let counts = |counts: Vec<(i32, u32)>| counts.into_iter().map(|(code, count)| (code, count.into()));
            let mut trace = OperandTrace::new();
            for (index, (activations, weights)) in layers.into_iter().enumerate() {
                let layer = LayerTrace::new(format!("layer \"{index}\""), (UINT8, counts(activations)), (INT8, counts(weights)));
                trace.push(layer.unwrap()).unwrap();
            }
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("trace.json");
            trace.save(&path).unwrap();
            prop_assert_eq!(OperandTrace::load(&path).unwrap(), trace);
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = OperandTrace::from_json(&bytes);
        }
    }
}
