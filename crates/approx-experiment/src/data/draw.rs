//! Drawing by a seed. The generator's sequence and the way it is used are fixed, so that a result can be repeated by a
//! later version.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// What is drawn: two draws by one seed must not depend on each other.
#[derive(Clone, Copy)]
pub enum Purpose {
    /// Images held back from training.
    Validation = 1,
    /// A part of the images.
    Part = 2,
}

/// `count` of the numbers below `of`, which has as many at least, in ascending order.
pub fn draw(count: usize, of: usize, seed: u64, purpose: Purpose) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..of).collect();
    let seed = seed.wrapping_add((purpose as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
    for place in 0..count {
        // The high word of a product is below its factor; that small numbers are likelier by 2^-40 does not matter.
        let below = (of - place) as u128;
        let step = (u128::from(generator.next_u64()) * below) >> 64;
        numbers.swap(place, place + step as usize);
    }
    numbers.truncate(count);
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_distinct_and_depend_on_seed_and_purpose() {
        for count in [0, 1, 7, 20] {
            let drawn = draw(count, 20, 1, Purpose::Part);
            assert_eq!(drawn.len(), count);
            assert!(drawn.is_sorted_by(|left, right| left < right));
            assert!(drawn.iter().all(|&number| number < 20));
        }
        let drawn = draw(10, 1000, 1, Purpose::Part);
        assert_eq!(draw(10, 1000, 1, Purpose::Part), drawn);
        assert_ne!(draw(10, 1000, 2, Purpose::Part), drawn);
        assert_ne!(draw(10, 1000, 1, Purpose::Validation), drawn);
    }

    #[test]
    fn every_number_is_as_likely() {
        let mut counts = [0; 10];
        for seed in 0..2000 {
            for number in draw(3, 10, seed, Purpose::Part) {
                counts[number] += 1;
            }
        }
        assert!(
            counts.iter().all(|count| (500..700).contains(count)),
            "{counts:?}"
        );
    }
}
