//! Products of matrices of any size, batched or not, by every kind of scalar product.

use kernels_cubecl::{MatmulProblem, MatrixPairs, Words, matmul};
use proptest::prelude::*;

use crate::common::client;
use crate::operands::{Element, Format, Kind, Product, Quantizers, Source, check, formats};

/// A batch of products: the pairs of matrices, or none for a single one, and rows, depth and columns.
#[derive(Clone, Debug)]
pub struct Case {
    pub pairs: Option<Vec<[u32; 2]>>,
    pub shape: [usize; 3],
    pub symmetric: [bool; 2],
    pub per_channel: bool,
    pub seed: u64,
}

impl Case {
    pub fn run(&self, formats: [Format; 2], kind: Kind, words: Words) -> Result<(), TestCaseError> {
        let client = client();
        let source = &mut Source(self.seed);
        let product = Product::random(formats, kind, words, self.shape[1], source);
        self.check(&client, &product, source)
    }

    pub fn check(
        &self,
        client: &cubecl::prelude::Client,
        product: &Product,
        source: &mut Source,
    ) -> Result<(), TestCaseError> {
        let [rows, depth, columns] = self.shape;
        let pairs = self.pairs.clone().unwrap_or(vec![[0, 0]]);
        let count = |side: usize| {
            pairs
                .iter()
                .map(|pair| pair[side] as usize + 1)
                .max()
                .unwrap_or(0)
        };
        let (activation_matrices, weight_matrices) = (count(0), count(1));
        let activation = product.formats[0].codes(activation_matrices * rows * depth, source);
        let weight = product.formats[1].codes(weight_matrices * depth * columns, source);
        let channels = if self.per_channel { columns.max(1) } else { 1 };
        let quantizers = Quantizers::random(product.formats, self.symmetric, channels, source);
        let mut elements = Vec::new();
        for [i, j] in &pairs {
            for row in 0..rows {
                for column in 0..columns {
                    let code = |k: usize| {
                        let a = activation[(*i as usize * rows + row) * depth + k];
                        (a, weight[(*j as usize * depth + k) * columns + column])
                    };
                    elements.push(Element {
                        codes: (0..depth).map(code).collect(),
                        channel: column,
                    });
                }
            }
        }
        let device_pairs = self
            .pairs
            .as_ref()
            .map(|pairs| MatrixPairs::new(client, pairs));
        let problem = MatmulProblem {
            activation_matrices,
            weight_matrices,
            rows,
            depth,
            columns,
            pairs: device_pairs.as_ref(),
        };
        let padding = quantizers.activation_zero_point;
        check(
            client,
            product,
            &quantizers,
            padding,
            [&activation, &weight],
            &elements,
            |operands, product, output| matmul(client, problem, operands, product, output).unwrap(),
        )
    }
}

/// Sizes around those of tiles, and 0.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1usize..24, 2 => 30usize..80, 1 => Just(0), 1 => Just(16), 1 => Just(64)]
}

fn case() -> impl Strategy<Value = Case> {
    let pairs = prop::option::of(prop::collection::vec([0u32..3, 0u32..2], 0..5));
    (
        pairs,
        [size(), size(), size()],
        any::<[bool; 2]>(),
        any::<bool>(),
        any::<u64>(),
    )
        .prop_map(|(pairs, mut shape, symmetric, per_channel, seed)| {
            // Batches of small matrices only: the reference is slow.
            if pairs.is_some() {
                shape = shape.map(|size| size.min(20));
            }
            Case {
                pairs,
                shape,
                symmetric,
                per_channel,
                seed,
            }
        })
}

fn words() -> impl Strategy<Value = Words> {
    prop_oneof![Just(Words::One), Just(Words::Two)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Tables small enough for shared memory, or not; entries of 16 and of 32 bits.
    #[test]
    fn looked_up_products(
        case in case(), formats in formats(&[2, 4, 6, 8]), narrow: bool, words in words(),
    ) {
        case.run(formats, if narrow { Kind::NarrowTable } else { Kind::WideTable }, words)?;
    }

    /// Operands of all widths.
    #[test]
    fn factored_products(
        case in case(),
        formats in formats(&[2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]),
        terms in 0usize..5,
        words in words(),
    ) {
        case.run(formats, Kind::Factors(terms), words)?;
    }
}

/// Cubes with a table of their own are few, and take many tiles each.
#[test]
fn more_tiles_than_cubes() {
    let format = Format {
        bits: 4,
        signed: true,
    };
    let case = Case {
        pairs: None,
        shape: [5000, 3, 3],
        symmetric: [false; 2],
        per_channel: true,
        seed: 1,
    };
    case.run([format; 2], Kind::NarrowTable, Words::One)
        .unwrap();
}

/// No side of a grid has more than 65535 cubes.
#[test]
fn more_tiles_than_a_grid_has_cubes() {
    let format = Format {
        bits: 8,
        signed: false,
    };
    let case = Case {
        pairs: Some(
            (0..70_000)
                .map(|matrix| [matrix % 1000, matrix / 1000])
                .collect(),
        ),
        shape: [1, 2, 1],
        symmetric: [false; 2],
        per_channel: false,
        seed: 1,
    };
    case.run([format; 2], Kind::WideTable, Words::Two).unwrap();
}
