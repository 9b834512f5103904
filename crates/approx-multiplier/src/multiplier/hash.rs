//! Content hashes: a multiplier is identified by what it computes, because the same name means different circuits in
//! different libraries.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::htp::{Feature, HtpTerm};
use crate::{
    Factorization, FactorizationForm, MultiplierError, OperandFormat, ProductTable, Signedness,
};

/// The SHA-256 hash of what a multiplier computes, written as 64 hexadecimal digits.
///
/// It covers the kind of definition, the operand formats and
/// - of a table: its entries. Tables with equal entries have equal hashes, whatever their names and wherever they came
///   from;
/// - of a [`Factorization`]: the function, whatever its factors. Where there could be a table with the function's
///   products it has that table's hash. Elsewhere what is hashed are the bit patterns of the first activations whose
///   products are independent, those of the first such weights, and all products with either: they determine the
///   function;
/// - of an HTP model: its terms in their order, without its name;
/// - of the exact product: nothing more.
///
/// Other kinds never share a hash: the exact product and a table that holds exact products are different definitions of
/// one function. Hash [`Multiplier::to_table`](crate::Multiplier::to_table) to compare such functions.
///
/// ```
/// use approx_multiplier::{ContentHash, evoapprox};
///
/// let hash = evoapprox::multiplier("mul8s_1L2J")?.hash();
/// assert_eq!(hash.to_string().parse::<ContentHash>()?, hash);
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The hash's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn of_exact(activation: OperandFormat, weight: OperandFormat) -> Self {
        Self(start("exact", activation, weight).finalize().into())
    }

    pub(crate) fn of_table(table: &ProductTable) -> Self {
        let mut hasher = start("table", table.activation(), table.weight());
        for pattern in 0..table.activation().cardinality() {
            let row: Vec<u8> = table
                .row(pattern)
                .iter()
                .flat_map(|entry| entry.to_le_bytes())
                .collect();
            hasher.update(row);
        }
        Self(hasher.finalize().into())
    }

    /// The hash of the function that an unrestricted factorisation gives.
    pub(crate) fn of_factorization(factorization: &Factorization) -> Self {
        if let Ok(table) = factorization.to_table() {
            return Self::of_table(&table);
        }
        let (activation, weight) = (factorization.activation(), factorization.weight());
        let mut hasher = start("factored", activation, weight);
        let (rows, columns) = factorization.independent_codes(
            FactorizationForm::Table,
            activation.codes(),
            weight.codes(),
        );
        hasher.update((rows.len() as u32).to_le_bytes());
        for (format, codes) in [(activation, &rows), (weight, &columns)] {
            for &code in codes {
                hasher.update((format.pattern(code) as u32).to_le_bytes());
            }
        }
        for &a in &rows {
            let row = weight.codes().map(|b| factorization.product_of(a, b));
            hasher.update(row.flat_map(i64::to_le_bytes).collect::<Vec<u8>>());
        }
        for &b in &columns {
            let column = activation.codes().map(|a| factorization.product_of(a, b));
            hasher.update(column.flat_map(i64::to_le_bytes).collect::<Vec<u8>>());
        }
        Self(hasher.finalize().into())
    }

    pub(crate) fn of_htp(
        activation: OperandFormat,
        weight: OperandFormat,
        terms: &[HtpTerm],
    ) -> Self {
        let mut hasher = start("htp", activation, weight);
        for term in terms {
            // Adding zero makes -0.0 the same coefficient as 0.0.
            hasher.update((term.coefficient + 0.0).to_le_bytes());
            update_feature(&mut hasher, term.first);
            update_feature(&mut hasher, term.second);
        }
        Self(hasher.finalize().into())
    }
}

/// A hasher that has seen the kind of definition and the operand formats.
fn start(kind: &str, activation: OperandFormat, weight: OperandFormat) -> Sha256 {
    let mut hasher = Sha256::new();
    hasher.update(format!("approx-multiplier/{kind}/v1\0"));
    for format in [activation, weight] {
        let signedness = match format.signedness() {
            Signedness::Signed => 1,
            Signedness::Unsigned => 0,
        };
        hasher.update([format.bits(), signedness]);
    }
    hasher
}

fn update_feature(hasher: &mut Sha256, feature: Feature) {
    let (kind, modulus, power) = match feature {
        Feature::Identity => (0u32, 0, 0),
        Feature::One => (1, 0, 0),
        Feature::Mod { modulus, power } => (2, modulus, power),
    };
    for field in [kind, modulus, power] {
        hasher.update(field.to_le_bytes());
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

impl FromStr for ContentHash {
    type Err = MultiplierError;

    fn from_str(text: &str) -> Result<Self, MultiplierError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| MultiplierError::InvalidHash { text: text.into() })?;
        Ok(Self(bytes))
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("")]
    #[case("1234")]
    #[case("zz00000000000000000000000000000000000000000000000000000000000000")]
    #[case("000000000000000000000000000000000000000000000000000000000000000000")]
    fn other_texts_are_refused(#[case] text: &str) {
        let error = text.parse::<ContentHash>().unwrap_err();
        assert!(matches!(&error, MultiplierError::InvalidHash { text: found } if found == text));
    }

    #[test]
    fn formats_and_kind_are_part_of_the_hash() {
        let int8 = OperandFormat::INT8;
        let uint8 = OperandFormat::UINT8;
        let hashes = [
            ContentHash::of_exact(int8, int8),
            ContentHash::of_exact(uint8, int8),
            ContentHash::of_exact(int8, uint8),
            ContentHash::of_exact(int8, OperandFormat::signed(9).unwrap()),
            ContentHash::of_table(&ProductTable::exact(int8, int8).unwrap()),
            ContentHash::of_htp(
                int8,
                int8,
                &[HtpTerm {
                    coefficient: 1.0,
                    first: Feature::Identity,
                    second: Feature::Identity,
                }],
            ),
        ];
        let distinct: std::collections::HashSet<_> = hashes.iter().collect();
        assert_eq!(distinct.len(), hashes.len());
    }

    #[test]
    fn serialises_as_hexadecimal_digits() {
        let hash = ContentHash::of_exact(OperandFormat::INT8, OperandFormat::INT8);
        let json = serde_json::to_string(&hash).unwrap();
        assert_eq!(json, format!("\"{hash}\""));
        assert_eq!(serde_json::from_str::<ContentHash>(&json).unwrap(), hash);
        assert!(serde_json::from_str::<ContentHash>("\"12\"").is_err());
    }
}
