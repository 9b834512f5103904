//! A multiplier prepared for the kernels: everything that depends on neither weights nor activations.

use super::decompose::{Decomposition, ElementType};
use super::encode::ElementMap;
use super::operands::FactorTerm;
use super::tile::GroupPass;
use crate::operand::OperandWidth;
use crate::word::{Element, Pattern};

/// The maps from an operand's pattern to its elements, one for each term, in the types that both have.
#[derive(Debug)]
pub(super) enum Maps {
    NarrowBytes(Vec<ElementMap<u8, u8>>),
    NarrowWords(Vec<ElementMap<u8, i16>>),
    WideBytes(Vec<ElementMap<u16, u8>>),
    WideWords(Vec<ElementMap<u16, i16>>),
}

/// What [`FactoredProduct`](super::FactoredProduct) and the weights packed by it share.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) activation: OperandWidth,
    pub(super) weight: OperandWidth,
    pub(super) decomposition: Decomposition,
    /// Those of activations.
    pub(super) maps: Maps,
    pub(super) weight_maps: Maps,
    /// The largest magnitude of a product with every weight, or a bound of it.
    pub(super) bounds: Vec<u64>,
}

impl PartialEq for Prepared {
    fn eq(&self, other: &Self) -> bool {
        // The rest follows from these.
        (self.activation, self.weight) == (other.activation, other.weight)
            && self.decomposition == other.decomposition
    }
}

impl Prepared {
    pub(super) fn new(
        activation: OperandWidth,
        weight: OperandWidth,
        terms: &[FactorTerm],
    ) -> Self {
        let decomposition = Decomposition::new(activation, weight, terms);
        let maps = |operand: OperandWidth, tables: &[Vec<i16>]| match (
            operand.bits <= 8,
            decomposition.elements,
        ) {
            (true, ElementType::Bytes) => Maps::NarrowBytes(maps(tables)),
            (true, ElementType::Words) => Maps::NarrowWords(maps(tables)),
            (false, ElementType::Bytes) => Maps::WideBytes(maps(tables)),
            (false, ElementType::Words) => Maps::WideWords(maps(tables)),
        };
        let [maps, weight_maps] = [
            maps(activation, &decomposition.activations),
            maps(weight, &decomposition.weights),
        ];
        Prepared {
            bounds: bounds(activation, weight, terms),
            activation,
            weight,
            decomposition,
            maps,
            weight_maps,
        }
    }

    /// The passes where every term has some groups of taps.
    pub(super) fn passes(&self, groups: usize) -> Vec<GroupPass> {
        let decomposition = &self.decomposition;
        let passes = decomposition.passes.iter().map(|pass| GroupPass {
            groups: pass.terms.start * groups..pass.terms.end * groups,
            scale: pass.scale,
            exact_groups: pass.exact_products / decomposition.elements.per_word(),
        });
        passes.collect()
    }

    /// How many maps an encoding has to have: at least one, as it is the encoding that finds a NaN.
    pub(super) fn encoded(&self, codes: bool) -> usize {
        let decomposition = &self.decomposition;
        if codes {
            decomposition.activations.len()
        } else {
            (decomposition.weights.len() + decomposition.offset_elements).max(1)
        }
    }
}

fn maps<P: Pattern, E: Element>(tables: &[Vec<i16>]) -> Vec<ElementMap<P, E>> {
    let elements = |table: &Vec<i16>| -> Vec<E> {
        table
            .iter()
            .map(|&element| E::truncate(element as u32))
            .collect()
    };
    tables
        .iter()
        .map(|table| ElementMap::new(&elements(table)))
        .collect()
}

/// The largest magnitude of a product with every weight: the true one where it is found by computing all products
/// quickly, a bound from every term's elsewhere.
fn bounds(activation: OperandWidth, weight: OperandWidth, terms: &[FactorTerm]) -> Vec<u64> {
    /// Bits of both operands up to which all products are computed.
    const FEW_BITS: u8 = 16;
    let largest = |factor: &[i64]| {
        factor
            .iter()
            .map(|value| value.unsigned_abs())
            .max()
            .unwrap_or(0)
    };
    let magnitudes: Vec<u128> = terms
        .iter()
        .map(|term| {
            u128::from(term.scale.unsigned_abs())
                .saturating_mul(u128::from(largest(&term.activation)))
        })
        .collect();
    let clamped = |bound: u128| u64::try_from(bound).unwrap_or(u64::MAX);
    (0..weight.patterns())
        .map(|pattern| {
            let bound = terms
                .iter()
                .zip(&magnitudes)
                .fold(0u128, |bound, (term, magnitude)| {
                    let weight = u128::from(term.weight[pattern].unsigned_abs());
                    bound.saturating_add(magnitude.saturating_mul(weight))
                });
            if activation.bits + weight.bits > FEW_BITS || bound > i64::MAX as u128 {
                return clamped(bound);
            }
            // The products fit, whatever wraps on the way.
            let mut products = vec![0i64; activation.patterns()];
            for term in terms {
                let factor = term.scale.wrapping_mul(term.weight[pattern]);
                for (product, &activation) in products.iter_mut().zip(&term.activation) {
                    *product = product.wrapping_add(factor.wrapping_mul(activation));
                }
            }
            largest(&products)
        })
        .collect()
}
