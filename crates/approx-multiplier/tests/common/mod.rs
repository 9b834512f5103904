//! What the tests of factorisations share: ranks and circuits by other means than the crate's.

use approx_multiplier::{FactorizationForm, FactorizationOptions, OperandFormat, Signedness};
use proptest::prelude::*;

pub fn in_form(form: FactorizationForm) -> FactorizationOptions {
    FactorizationOptions {
        form: Some(form),
        ..FactorizationOptions::default()
    }
}

/// The wide circuits of EvoApproxLib: the exact product without the partial products of the activation's lowest bits,
/// and without those whose bits' positions add up to less than a limit.
pub fn broken_array(bits: u8, dropped_rows: u8, dropped_diagonals: u8) -> impl Fn(i64, i64) -> i64 {
    move |a, b| {
        let bit = |value: i64, position: u8| ((value >> position) & 1) << position;
        let mut product = ((a >> dropped_rows) << dropped_rows) * b;
        for i in dropped_rows..dropped_diagonals {
            for j in 0..dropped_diagonals - i {
                assert!(i < bits - 1 && j < bits - 1, "sign bits count negatively");
                product -= bit(a, i) * bit(b, j);
            }
        }
        product
    }
}

/// Formats of 2 to 8 bits.
pub fn format() -> impl Strategy<Value = OperandFormat> {
    (2u8..=8, any::<bool>()).prop_map(|(bits, signed)| {
        let signedness = if signed {
            Signedness::Signed
        } else {
            Signedness::Unsigned
        };
        OperandFormat::new(bits, signedness).unwrap()
    })
}

/// The rank over the rational numbers, from floating-point elimination with complete pivoting: reliable for the small
/// integer matrices of these tests, and nothing of the factoriser.
pub fn rank(mut rows: Vec<Vec<f64>>) -> usize {
    let columns = rows.first().map_or(0, Vec::len);
    let mut rank = 0;
    while rank < rows.len().min(columns) {
        let (mut best, mut position) = (0.0f64, (0, 0));
        for (i, row) in rows.iter().enumerate().skip(rank) {
            for (j, value) in row.iter().enumerate() {
                if value.abs() > best {
                    (best, position) = (value.abs(), (i, j));
                }
            }
        }
        if best < 1e-6 {
            break;
        }
        rows.swap(rank, position.0);
        let (done, rest) = rows.split_at_mut(rank + 1);
        let pivot = &done[rank];
        for row in rest {
            let factor = row[position.1] / pivot[position.1];
            for (value, other) in row.iter_mut().zip(pivot) {
                *value -= factor * other;
            }
            row[position.1] = 0.0;
        }
        rank += 1;
    }
    rank
}
