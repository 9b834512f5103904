//! Whether a multiplier that was read is one of the bundled circuits, whatever its name. A few products sort out almost
//! all of them; a comparison of all products decides, or the hash of the content.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::Note;
use crate::table::index_bits;
use crate::{ErrorMetrics, MAX_INDEX_BITS, Multiplier, evoapprox};

/// How many random products are compared first, from which seed.
const COMPARED_PAIRS: usize = 256;
const COMPARED_SEED: u64 = 0;

/// What is to be said if the multiplier is a bundled circuit, or one with its operands exchanged.
pub(super) fn note(multiplier: &Multiplier) -> Option<Note> {
    let formats = [multiplier.activation(), multiplier.weight()];
    let mut random = Xoshiro256PlusPlus::seed_from_u64(COMPARED_SEED);
    let pairs: Vec<[i32; 2]> = (0..COMPARED_PAIRS)
        .map(|_| {
            let bits = random.next_u64() as usize;
            [formats[0].code(bits), formats[1].code(bits >> 32)]
        })
        .collect();
    let circuits = evoapprox::entries()
        .iter()
        .filter(|figures| formats == [figures.format; 2])
        .filter_map(|figures| evoapprox::multiplier(&figures.name).ok());
    for circuit in circuits {
        let name = circuit.name();
        let mut products = pairs.iter().map(|&[a, b]| (a, b, multiplier.product(a, b)));
        let is_same = products
            .clone()
            .all(|(a, b, product)| circuit.product(a, b) == product);
        if is_same && are_equal(multiplier, &circuit) {
            return Some(Note::information(format!(
                "It is the bundled circuit {name}."
            )));
        }
        let is_exchanged = products.all(|(a, b, product)| circuit.product(b, a) == product);
        if is_exchanged && are_equal(multiplier, &circuit.swapped()) {
            return Some(Note::information(format!(
                "It is the bundled circuit {name} with its operands exchanged."
            )));
        }
    }
    None
}

/// Whether two multipliers compute the same: by all products where there may be a table of them, else by the hash.
fn are_equal(multiplier: &Multiplier, other: &Multiplier) -> bool {
    match index_bits(multiplier.activation(), multiplier.weight()) {
        ..=MAX_INDEX_BITS => ErrorMetrics::measure_against(multiplier, other)
            .is_ok_and(|difference| difference.wce == 0.0),
        _ => multiplier.hash() == other.hash(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{OperandFormat, Signedness};

    #[rstest]
    #[case("mul8s_1KVP")]
    #[case("mul8u_17C8")]
    #[case("mul12s_2QD")]
    #[case("mul16s_GQU")]
    fn circuits_are_known_by_what_they_compute(#[case] name: &str) {
        let circuit = evoapprox::multiplier(name).unwrap().with_name("mine");
        let own = note(&circuit).unwrap().to_string();
        assert!(own.contains(name) && !own.contains("exchanged"), "{own}");
        if name != "mul8s_1KVP" {
            let swapped = note(&circuit.swapped()).unwrap().to_string();
            assert!(
                swapped.contains(name) && swapped.contains("exchanged"),
                "{swapped}"
            );
        }
    }

    #[test]
    fn another_product_is_another_circuit() {
        let circuit = evoapprox::multiplier("mul8s_1KVP").unwrap();
        let format = OperandFormat::new(8, Signedness::Signed).unwrap();
        let changed = Multiplier::from_fn("mul8s_1KVP", format, format, |a, b| {
            let product = circuit.product(a as i32, b as i32).unwrap();
            if (a, b) == (-128, 127) {
                product + 1
            } else {
                product
            }
        });
        assert_eq!(note(&changed.unwrap()), None);
    }
}
