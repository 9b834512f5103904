//! Sums at and beyond the ends of 32 bits, factors that half precision cannot hold, and the order of the corrections.

use kernels_cubecl::{MatmulProblem, Words, matmul};
use proptest::test_runner::TestCaseResult;

use crate::common::client;
use crate::conv_transpose2d::example;
use crate::matmul::Case;
use crate::operands::{Element, Format, Product, Quantizers, Source, check as check_operands};

const BYTE: Format = Format {
    bits: 8,
    signed: true,
};
const WIDE: Format = Format {
    bits: 12,
    signed: false,
};

fn case(shape: [usize; 3]) -> Case {
    Case {
        pairs: None,
        shape,
        symmetric: [false; 2],
        per_channel: true,
        seed: 7,
    }
}

fn check(case: Case, product: Product) -> TestCaseResult {
    case.check(&client(), &product, &mut Source(case.seed))
}

/// Every entry as large as can be: sums of 2^31 times the depth.
#[test]
fn sums_of_the_largest_entries_need_two_words() {
    for entry in [i32::MAX, i32::MIN, i32::MIN + 1] {
        for shape in [[3, 1, 5], [3, 2, 5], [40, 300, 40]] {
            let product = Product::table([BYTE; 2], Words::Two, vec![entry; 1 << 16]);
            check(case(shape), product).unwrap();
        }
    }
    let mut entries = vec![i32::MIN; 1 << 16];
    entries[1..].fill(i32::MAX);
    check(
        case([17, 33, 18]),
        Product::table([BYTE; 2], Words::Two, entries),
    )
    .unwrap();
}

/// Sums of one word may pass through anything as long as they end within: here through 2^37.
#[test]
fn sums_of_one_word_wrap_in_between() {
    let client = client();
    // 2^30 for the code 0, -2^30 for 1, each 100 times, and once more what the third code has.
    let entries = [1 << 30, -(1 << 30), 12_345, 0]
        .into_iter()
        .flat_map(|entry| [entry; 4])
        .collect();
    let formats = [Format {
        bits: 2,
        signed: false,
    }; 2];
    let product = Product::table(formats, Words::One, entries);
    let codes = [[0; 100].as_slice(), &[1; 100], &[2]].concat();
    let weight = vec![3; codes.len()];
    let quantizers = Quantizers::random(formats, [false; 2], 1, &mut Source(1));
    let element = Element {
        codes: codes.iter().map(|code| (*code, 3)).collect(),
        channel: 0,
    };
    check_operands(
        &client,
        &product,
        &quantizers,
        quantizers.activation_zero_point,
        [&codes, &weight],
        &[element],
        |operands, product, output| {
            let problem = MatmulProblem::single(1, codes.len(), 1);
            matmul(&client, problem, operands, product, output).unwrap()
        },
    )
    .unwrap();
}

/// Products of factors beyond what any float format of 16 or 32 bits holds exactly.
#[test]
fn factors_at_the_edges_of_floats() {
    for largest in [2047, 2049, 4095] {
        let values: Vec<i32> = (0..1 << 12)
            .map(|pattern| if pattern % 2 == 0 { largest } else { -largest })
            .collect();
        for words in [Words::One, Words::Two] {
            let product = Product::factors([WIDE; 2], words, values.clone(), values.clone());
            check(case([18, 100, 65]), product).unwrap();
        }
    }
}

/// A single product of 2^62, and sums of as many as fit 64 bits.
#[test]
fn factors_of_32_bits() {
    let extremes: Vec<i32> = [i32::MIN, i32::MAX, -1, 0, 1, i32::MIN + 1]
        .into_iter()
        .cycle()
        .take(256)
        .collect();
    let product = Product::factors([BYTE; 2], Words::Two, extremes.clone(), extremes);
    check(
        Case {
            symmetric: [true; 2],
            ..case([30, 1, 30])
        },
        product,
    )
    .unwrap();
}

/// Code sums and zero points of 16 bits: corrections beyond 32 bits.
#[test]
fn corrections_of_wide_codes() {
    let format = Format {
        bits: 16,
        signed: false,
    };
    let values: Vec<i32> = (0..1 << 16).collect();
    let product = Product::factors([format; 2], Words::Two, values.clone(), values);
    for seed in 0..4 {
        check(
            Case {
                seed,
                ..case([5, 3000, 3])
            },
            product.clone(),
        )
        .unwrap();
    }
}

/// Also where some taps are skipped, whose products and codes must not enter.
#[test]
fn transposed_convolutions_reach_the_same_ends() {
    for out_channels in [2, 20] {
        let case = example(out_channels);
        let check = |product: Product| case.check(&product, &mut Source(3)).unwrap();
        for entry in [i32::MAX, i32::MIN] {
            check(Product::table([BYTE; 2], Words::Two, vec![entry; 1 << 16]));
        }
        for words in [Words::One, Words::Two] {
            // Nothing may be taken from what a skipped tap would be, be it in a table or a factor of the code 0.
            check(Product::table([BYTE; 2], words, vec![-77; 1 << 16]));
            let ones = vec![4095; 1 << 12];
            check(Product::factors([WIDE; 2], words, ones.clone(), ones));
        }
        let format = Format {
            bits: 16,
            signed: false,
        };
        let values: Vec<i32> = (0..1 << 16).collect();
        check(Product::factors(
            [format; 2],
            Words::Two,
            values.clone(),
            values,
        ));
    }
}
