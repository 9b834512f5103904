//! Whether images are what they were.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::Images;
use crate::data::DataError;

/// What every hash begins with: two ways of hashing have two names.
const VERSION: &[u8] = b"approx-experiment images 1";

impl Images {
    /// A hash (SHA-256) of what the images are made of, files byte for byte, and of their labels, in their order:
    /// whoever has the same images has the same hash, however they are scaled.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn hash(&self) -> Result<String, DataError> {
        let of_image = |index: usize| {
            let source = self.store.source(self.places[index], self.shape)?;
            let mut hash = Sha256::new();
            hash.update((self.labels[index] as u64).to_le_bytes());
            hash.update(source);
            Ok(<[u8; 32]>::from(hash.finalize()))
        };
        let each: Vec<[u8; 32]> = (0..self.len())
            .into_par_iter()
            .map(of_image)
            .collect::<Result<_, DataError>>()?;
        let mut hash = Sha256::new();
        hash.update(VERSION);
        each.iter().for_each(|image| hash.update(image));
        Ok(hex::encode(hash.finalize()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scaling;
    use super::*;

    #[test]
    fn a_hash_depends_on_values_labels_and_order_alone() {
        let images = |pixels: [u8; 4], labels: [usize; 2]| {
            Images::new([1, 1, 2], pixels.into(), labels.into())
        };
        let one = images([1, 2, 3, 4], [0, 1]);
        let hash = one.hash().unwrap();
        assert_eq!(hash.len(), 64);
        assert_eq!(
            one.scaled(Scaling::square(1), 0).unwrap().hash().unwrap(),
            hash
        );
        assert_eq!(
            images([3, 4, 1, 2], [1, 0]).choose(&[1, 0]).hash().unwrap(),
            hash
        );
        for other in [
            images([1, 2, 3, 5], [0, 1]),
            images([1, 2, 3, 4], [0, 2]),
            one.choose(&[1, 0]),
            one.choose(&[0]),
        ] {
            assert_ne!(other.hash().unwrap(), hash);
        }
    }
}
