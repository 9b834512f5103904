//! Two-word integers against 64-bit ones.

use cubecl::prelude::*;
use kernels_cubecl::wide::Wide;
use proptest::prelude::*;

use crate::common::{client, download};

/// For every four words `a, b, c, d`: `(a, b) + (c, d)`, their difference, `a * c`, and the float of `(a, b)`; words
/// are low and high.
#[cube(launch)]
fn arithmetic(operands: &[u32], results: &mut [u32]) {
    let first = ABSOLUTE_POS * 4;
    if first < operands.len() {
        let x = Wide {
            low: operands[first],
            high: operands[first + 1],
        };
        let y = Wide {
            low: operands[first + 2],
            high: operands[first + 3],
        };
        let sum = x.plus(y);
        let difference = x.minus(y);
        let product = Wide::product(i32::reinterpret(x.low), i32::reinterpret(y.low));
        let word = Wide::from_word(i32::reinterpret(x.low));
        let result = ABSOLUTE_POS * 9;
        results[result] = sum.low;
        results[result + 1] = sum.high;
        results[result + 2] = difference.low;
        results[result + 3] = difference.high;
        results[result + 4] = product.low;
        results[result + 5] = product.high;
        results[result + 6] = u32::reinterpret(x.to_f32());
        results[result + 7] = word.high;
        results[result + 8] = u32::reinterpret(Wide::from_unsigned(x.low).to_f32());
    }
}

fn check(pairs: &[(i64, i64)]) {
    let client = client();
    let words: Vec<u32> = pairs
        .iter()
        .flat_map(|&(x, y)| [x as u32, (x >> 32) as u32, y as u32, (y >> 32) as u32])
        .collect();
    let operands = client.create_from_slice(u32::as_bytes(&words));
    let results = client.empty(4 * 9 * pairs.len());
    // SAFETY: both buffers were made with these lengths.
    let (operands, argument) = unsafe {
        (
            BufferArg::from_raw_parts(operands, words.len()),
            BufferArg::from_raw_parts(results.clone(), 9 * pairs.len()),
        )
    };
    let cubes = CubeCount::Static(pairs.len().div_ceil(64) as u32, 1, 1);
    arithmetic::launch(&client, cubes, CubeDim::new_1d(64), operands, argument);
    let found = download::<u32>(&client, results, 9 * pairs.len());
    for (&(x, y), found) in pairs.iter().zip(found.chunks(9)) {
        let wide = |low: u32, high: u32| (u64::from(high) << 32 | u64::from(low)) as i64;
        assert_eq!(wide(found[0], found[1]), x.wrapping_add(y), "{x} + {y}");
        assert_eq!(wide(found[2], found[3]), x.wrapping_sub(y), "{x} - {y}");
        let (a, b) = (x as i32, y as i32);
        assert_eq!(
            wide(found[4], found[5]),
            i64::from(a) * i64::from(b),
            "{a} * {b}"
        );
        assert_eq!(found[6], (x as f32).to_bits(), "{x} as f32");
        assert_eq!(found[7], (i64::from(a) >> 32) as u32, "the sign of {a}");
        assert_eq!(found[8], (x as u32 as f32).to_bits(), "{} as f32", x as u32);
    }
}

#[test]
fn extremes() {
    let mut values = vec![0, i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1];
    for shift in 0..63 {
        for near in -2..=2 {
            // Around powers of two, and around what lies half way between two floats.
            for base in [
                1i64 << shift,
                3i64.wrapping_shl(shift),
                ((1i64 << 25) + 1).wrapping_shl(shift),
                ((1i64 << 25) + 3).wrapping_shl(shift),
            ] {
                values.push(base.wrapping_add(near));
                values.push(base.wrapping_add(near).wrapping_neg());
            }
        }
    }
    let pairs: Vec<_> = values
        .iter()
        .enumerate()
        .map(|(index, &value)| (value, values[index * 7919 % values.len()]))
        .collect();
    check(&pairs);
    check(
        &values
            .iter()
            .map(|&value| (value, value))
            .collect::<Vec<_>>(),
    );
    let words = [
        0,
        1,
        -1,
        i32::MAX,
        i32::MIN,
        i32::MIN + 1,
        0xffff,
        0x10000,
        -0x10000,
    ];
    let all = words
        .iter()
        .flat_map(|&a| words.map(|b| (i64::from(a), i64::from(b))));
    check(&all.collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn random(pairs in prop::collection::vec((any::<i64>(), 0u32..64, any::<i64>(), 0u32..64), 1..2000)) {
        let pairs: Vec<_> = pairs.into_iter().map(|(x, i, y, j)| (x >> i, y >> j)).collect();
        check(&pairs);
    }
}
