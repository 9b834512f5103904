//! The factoriser against what is known of real circuits, and against random tables of known rank.

mod common;

use std::ops::RangeInclusive;

use approx_multiplier::{
    Coverage, Factorization, FactorizationForm, FactorizationOptions, MultiplierError,
    OperandFormat, ProductTable, Signedness, evoapprox,
};
use common::{broken_array, format, in_form, rank};
use proptest::prelude::*;
use rstest::rstest;

/// The rank and the largest factor of a form.
type Known = Option<(usize, u64)>;

/// For each bundled circuit what a Hermite normal form and LLL reduction of the whole table's rows give, in table and
/// in error form, with all common divisors left in the factors. `None` stands for a rank above 32.
const KNOWN: [(&str, Known, Known); 50] = [
    ("mul8s_1KV6", Some((1, 128)), Some((0, 0))),
    ("mul8s_1KV8", Some((3, 128)), Some((2, 2))),
    ("mul8s_1KV9", Some((4, 128)), Some((3, 4))),
    ("mul8s_1KVA", Some((5, 128)), Some((4, 8))),
    ("mul8s_1KVM", Some((1, 256)), Some((1, 128))),
    ("mul8s_1KVP", Some((3, 256)), Some((3, 128))),
    ("mul8s_1KVQ", Some((4, 256)), Some((4, 128))),
    ("mul8s_1KX5", Some((4, 512)), Some((4, 128))),
    ("mul8s_1KXF", Some((1, 1024)), Some((1, 128))),
    ("mul8s_1L12", Some((1, 8192)), Some((1, 128))),
    ("mul8s_1L2J", Some((1, 256)), Some((2, 128))),
    ("mul8s_1L2L", Some((1, 512)), Some((2, 128))),
    ("mul8s_1L2N", Some((1, 1024)), Some((2, 128))),
    ("mul8u_0AB", None, None),
    ("mul8u_12KA", Some((2, 513)), Some((1, 64))),
    ("mul8u_12YX", Some((4, 10709)), Some((3, 4))),
    ("mul8u_17C8", Some((18, 15284)), Some((19, 770))),
    ("mul8u_17MJ", Some((4, 16384)), Some((5, 10406))),
    ("mul8u_17MN", Some((3, 8192)), Some((4, 7540))),
    ("mul8u_17R6", Some((10, 4116)), Some((11, 819))),
    ("mul8u_18UH", Some((16, 17723)), Some((17, 1356))),
    ("mul8u_197B", None, None),
    ("mul8u_19XF", None, None),
    ("mul8u_1A0M", Some((5, 47948)), Some((6, 3750))),
    ("mul8u_1DMU", None, None),
    ("mul8u_1JJQ", Some((1, 255)), Some((0, 0))),
    ("mul8u_1SX", Some((3, 16640)), Some((4, 8008))),
    ("mul8u_27Y", Some((3, 5992)), Some((2, 2))),
    ("mul8u_2NDH", None, None),
    ("mul8u_2V0", Some((7, 55337)), Some((6, 2))),
    ("mul8u_4TF", Some((4, 9858)), Some((3, 9984))),
    ("mul8u_4X5", Some((5, 8159)), Some((4, 4))),
    ("mul8u_874", Some((8, 16428)), Some((7, 172))),
    ("mul8u_8U3", Some((9, 5053)), Some((8, 1024))),
    ("mul8u_BG1", Some((26, 9690)), Some((25, 2048))),
    ("mul8u_C67", Some((13, 9178)), Some((12, 16))),
    ("mul8u_DG8", Some((14, 16450)), Some((13, 14))),
    ("mul8u_GJM", None, None),
    ("mul8u_GTR", Some((16, 33397)), Some((15, 105))),
    ("mul8u_L93", None, None),
    ("mul8u_LK8", Some((16, 17165)), Some((15, 6))),
    ("mul8u_NLX", None, None),
    ("mul8u_R36", Some((18, 5760)), Some((19, 2640))),
    ("mul8u_R92", Some((10, 26505)), Some((9, 19))),
    ("mul8u_T83", Some((16, 15730)), Some((17, 2816))),
    ("mul8u_TD3", Some((0, 0)), Some((1, 255))),
    ("mul8u_XFM", None, None),
    ("mul8u_Z9D", None, None),
    ("mul8u_ZB3", Some((2, 16574)), Some((1, 2))),
    ("mul8u_ZDF", Some((20, 5100)), Some((19, 16))),
];

fn check_against(table: &ProductTable, form: FactorizationForm, known: Known) {
    let factorization = match (Factorization::of(table, &in_form(form)), known) {
        (Err(MultiplierError::RankTooHigh { at_least: 33 }), None) => return,
        (Ok(factorization), Some(_)) => factorization,
        (other, _) => panic!("{form}: {other:?}, but {known:?} is known"),
    };
    let (rank, largest) = known.unwrap();
    let certificate = factorization.certificate();
    assert_eq!((factorization.form(), factorization.rank()), (form, rank));
    assert!(
        certificate.largest_factor() <= largest && certificate.largest_folded_factor <= largest,
        "{form}: {certificate:?}, but {known:?} is known"
    );
    assert_eq!(certificate.mismatches, 0);
    assert_eq!(
        certificate.coverage,
        Coverage::Exhaustive {
            pairs: table.entries().len() as u64
        }
    );
    assert!(factorization.to_table().unwrap() == *table, "{form}");
}

/// Whether every term has the common scale, so that it can be multiplied in after the sum.
fn has_one_scale(factorization: &Factorization) -> bool {
    let common = factorization.common_scale();
    factorization
        .terms()
        .iter()
        .all(|term| term.scale() == common)
}

#[test]
fn bundled_circuits_have_the_known_ranks_and_factors_at_least_as_small() {
    for (name, table_form, error_form) in KNOWN {
        println!("{name}");
        let table = evoapprox::multiplier(name).unwrap().to_table().unwrap();
        check_against(&table, FactorizationForm::Table, table_form);
        check_against(&table, FactorizationForm::Error, error_form);
    }
}

#[test]
fn signed_8_bit_circuits_are_one_8_bit_matrix_product_each() {
    for (name, ..) in KNOWN.iter().filter(|(name, ..)| name.starts_with("mul8s")) {
        let table = evoapprox::multiplier(name).unwrap().to_table().unwrap();
        let factorization = Factorization::of(&table, &in_form(FactorizationForm::Table)).unwrap();
        assert!(has_one_scale(&factorization), "{name}");
        let certificate = factorization.certificate();
        assert!(
            certificate.activation_exact_in.int8 && certificate.weight_exact_in.int8,
            "{name}: {certificate:?}"
        );
    }
}

#[test]
fn the_page_on_exact_factorisation_lists_the_signed_8_bit_circuits() {
    let page = include_str!("../../../docs/exact-factorisation.md");
    let columns = |factorization: &Factorization| {
        let mut scales: Vec<i64> = factorization
            .terms()
            .iter()
            .map(|term| term.scale())
            .collect();
        // One that all terms have is given once.
        scales.dedup();
        let scales: Vec<String> = scales.iter().map(i64::to_string).collect();
        let certificate = factorization.certificate();
        match factorization.rank() {
            0 => "0 | - | -".to_string(),
            rank => format!(
                "{rank} | {} | {}, {}",
                scales.join(", "),
                certificate.largest_activation_factor,
                certificate.largest_weight_factor
            ),
        }
    };
    for (name, ..) in KNOWN.iter().filter(|(name, ..)| name.starts_with("mul8s")) {
        let table = evoapprox::multiplier(name).unwrap().to_table().unwrap();
        let [of_table, of_error] = [FactorizationForm::Table, FactorizationForm::Error]
            .map(|form| columns(&Factorization::of(&table, &in_form(form)).unwrap()));
        let line = format!("| `{name}` | {of_table} | {of_error} |");
        assert!(page.contains(&line), "{line}");
    }
}

/// The ranks are those of the circuits named, the largest factors those that a Hermite normal form and LLL reduction of
/// all rows gave.
#[rstest]
#[case::mul12s_2pp(0, 0, Some((1, 2048)), Some((0, 0)))]
#[case::mul12s_2pq(0, 1, Some((2, 142_336)), Some((1, 1)))]
#[case::mul12s_2pr(0, 2, Some((3, 153_088)), Some((2, 2)))]
#[case::mul12s_2ps(0, 3, Some((4, 38_400)), Some((3, 4)))]
#[case::mul12s_2pt(0, 4, Some((5, 26_752)), Some((4, 8)))]
#[case::mul12s_2qd(1, 0, Some((1, 4096)), Some((1, 2048)))]
#[case::mul12s_2qe(1, 2, Some((2, 50_688)), Some((2, 2101)))]
#[case::mul12s_2qh(1, 5, Some((5, 8384)), Some((5, 2382)))]
#[case::mul12s_2r5(2, 5, Some((4, 8896)), Some((4, 2177)))]
#[case::mul12s_2rp(3, 0, Some((1, 16_384)), Some((1, 2048)))]
#[case::mul12s_2te(6, 0, Some((1, 131_072)), Some((1, 2048)))]
fn circuits_of_12_bits(
    #[case] dropped_rows: u8,
    #[case] dropped_diagonals: u8,
    #[case] table_form: Known,
    #[case] error_form: Known,
) {
    let format = OperandFormat::signed(12).unwrap();
    let table = ProductTable::from_fn(
        format,
        format,
        broken_array(12, dropped_rows, dropped_diagonals),
    )
    .unwrap();
    check_against(&table, FactorizationForm::Table, table_form);
    check_against(&table, FactorizationForm::Error, error_form);
}

#[rstest]
#[case::mul12s_34k(1, Some((1, 4096)), Some((2, 2265)))]
#[case::mul12s_34m(2, Some((1, 8192)), Some((2, 2057)))]
#[case::mul12s_34p(3, Some((1, 16_384)), Some((2, 2097)))]
fn circuits_of_12_bits_that_cut_both_operands(
    #[case] cut: u8,
    #[case] table_form: Known,
    #[case] error_form: Known,
) {
    let format = OperandFormat::signed(12).unwrap();
    let table = ProductTable::from_fn(format, format, |a, b| {
        ((a >> cut) * (b >> cut)) << (2 * cut)
    })
    .unwrap();
    check_against(&table, FactorizationForm::Table, table_form);
    check_against(&table, FactorizationForm::Error, error_form);
}

#[rstest]
#[case::mul16s_gqu(1, 0, (1, 65_536), (1, 32_768))]
#[case::mul16s_gqv(1, 2, (2, 11_313_152), (2, 34_717))]
#[case::mul16s_gru(2, 5, (4, 1_847_296), (4, 36_566))]
#[case::mul16s_gsm(3, 0, (1, 262_144), (1, 32_768))]
#[case::mul16s_gv3(6, 0, (1, 2_097_152), (1, 32_768))]
fn circuits_of_16_bits_from_a_function(
    #[case] dropped_rows: u8,
    #[case] dropped_diagonals: u8,
    #[case] table_form: (usize, u64),
    #[case] error_form: (usize, u64),
) {
    let format = OperandFormat::signed(16).unwrap();
    let product = broken_array(16, dropped_rows, dropped_diagonals);
    for (form, (rank, largest)) in [
        (FactorizationForm::Table, table_form),
        (FactorizationForm::Error, error_form),
    ] {
        let found = Factorization::of_function(format, format, &product, &in_form(form), 50_000, 1)
            .unwrap();
        assert_eq!((found.form(), found.rank()), (form, rank));
        assert!(found.certificate().largest_folded_factor <= largest);
        for (a, b) in [(-32768, -32768), (-32768, 32767), (12345, -321), (0, 5)] {
            assert_eq!(
                found.evaluate(a, b),
                Some(product(a.into(), b.into())),
                "{a} * {b}"
            );
        }
    }
}

/// One activation code in 65536 has a product of its own: only the comparison of random pairs can find it.
#[test]
fn a_function_gains_rank_where_the_pairs_compared_differ() {
    let format = OperandFormat::unsigned(16).unwrap();
    let product = |a, b| if a == 54321 { b & 0xff } else { a * b };
    let factorization = Factorization::of_function(
        format,
        format,
        product,
        &in_form(FactorizationForm::Table),
        1_000_000,
        3,
    )
    .unwrap();
    assert_eq!(factorization.rank(), 2);
    assert_eq!(factorization.evaluate(54321, 65535), Some(255));
    assert_eq!(factorization.evaluate(65535, 65535), Some(65535 * 65535));
    let error = Factorization::of_function(
        format,
        format,
        product,
        &in_form(FactorizationForm::Table),
        0,
        3,
    );
    assert!(matches!(error, Err(MultiplierError::NoPairs)));
}

#[test]
fn a_function_of_high_rank_is_refused() {
    let format = OperandFormat::unsigned(16).unwrap();
    let error = Factorization::of_function(
        format,
        format,
        |a, b| (a * b * 2_654_435_761) >> 16 & 0xffff,
        &FactorizationOptions::default(),
        1000,
        0,
    )
    .unwrap_err();
    assert!(matches!(
        error,
        MultiplierError::RankTooHigh { at_least: 33 }
    ));
}

/// Without a form asked for, the one with fewer products is taken, and of equally many the one with smaller factors.
#[rstest]
#[case("mul8s_1L2J", FactorizationForm::Table, 1)]
#[case("mul8u_ZB3", FactorizationForm::Table, 2)]
#[case("mul8u_17C8", FactorizationForm::Table, 18)]
#[case("mul8u_TD3", FactorizationForm::Table, 0)]
fn the_cheaper_form_is_taken(
    #[case] name: &str,
    #[case] form: FactorizationForm,
    #[case] products: usize,
) {
    let table = evoapprox::multiplier(name).unwrap().to_table().unwrap();
    let found = Factorization::of(&table, &FactorizationOptions::default()).unwrap();
    assert_eq!((found.form(), found.products()), (form, products));
    assert_eq!(
        found,
        Factorization::of(&table, &FactorizationOptions::default()).unwrap()
    );
}

#[test]
fn the_error_form_is_taken_where_only_it_is_below_the_limit() {
    // a * b and two sparse deviations in rows and columns of their own.
    let format = OperandFormat::INT8;
    let table = ProductTable::from_fn(format, format, |a, b| {
        a * b + i64::from((a, b) == (3, 4)) + i64::from((a, b) == (100, -7))
    })
    .unwrap();
    let options = FactorizationOptions {
        max_rank: 2,
        ..FactorizationOptions::default()
    };
    let found = Factorization::of(&table, &options).unwrap();
    assert_eq!((found.form(), found.rank()), (FactorizationForm::Error, 2));
    assert_eq!(found.to_table().unwrap(), table);
}

/// An 8-bit table that only errs at -128 is exact for narrow codes.
#[test]
fn fewer_codes_can_lower_the_rank() {
    let format = OperandFormat::INT8;
    let table = ProductTable::from_fn(format, format, |a, b| {
        if a == -128 || b == -128 {
            (a * a) & (b * 3)
        } else {
            a * b
        }
    })
    .unwrap();
    let everywhere = Factorization::of(&table, &in_form(FactorizationForm::Error)).unwrap();
    assert!(everywhere.rank() > 0);
    let options = FactorizationOptions {
        activation_codes: Some(0..=127),
        weight_codes: Some(-127..=127),
        ..in_form(FactorizationForm::Error)
    };
    let narrow = Factorization::of(&table, &options).unwrap();
    assert_eq!(narrow.rank(), 0);
    assert_eq!(narrow.evaluate(127, -127), Some(-127 * 127));
    assert_eq!(narrow.evaluate(-1, 0), None);
    assert_eq!(narrow.evaluate(0, -128), None);
    assert_eq!(
        narrow.certificate().coverage,
        Coverage::Exhaustive { pairs: 128 * 255 }
    );
    assert!(matches!(
        narrow.to_table(),
        Err(MultiplierError::RestrictedCodes {
            low: 0,
            high: 127,
            ..
        })
    ));
}

#[rstest]
#[case(-129, 5)]
#[case(0, 128)]
#[case(3, 2)]
fn other_codes_than_the_formats_are_refused(#[case] low: i32, #[case] high: i32) {
    let table = ProductTable::exact(OperandFormat::INT8, OperandFormat::INT8).unwrap();
    let options = FactorizationOptions {
        weight_codes: Some(low..=high),
        ..FactorizationOptions::default()
    };
    assert!(matches!(
        Factorization::of(&table, &options),
        Err(MultiplierError::CodesOutOfFormat { .. })
    ));
}

/// `2^31 * 2^30 - 1` is the prime modulo which the rank is looked for first: it is 1 there, and 2 in truth.
#[test]
fn a_determinant_that_vanishes_modulo_a_prime_is_noticed() {
    let format = OperandFormat::unsigned(2).unwrap();
    let table = ProductTable::from_fn(format, format, |a, b| match (a, b) {
        (0, 0) => -(1 << 31),
        (1, 1) => -(1 << 30),
        (0, 1) | (1, 0) => 1,
        _ => 0,
    })
    .unwrap();
    let found = Factorization::of(&table, &in_form(FactorizationForm::Table)).unwrap();
    assert_eq!(found.rank(), 2);
    assert_eq!(found.to_table().unwrap(), table);
}

/// The rank of a form of a table over ranges of codes.
fn rank_of_form(
    table: &ProductTable,
    form: FactorizationForm,
    activation_codes: RangeInclusive<i32>,
    weight_codes: RangeInclusive<i32>,
) -> usize {
    let value = |a: i32, b: i32| match form {
        FactorizationForm::Table => f64::from(table.get(a, b)),
        FactorizationForm::Error => f64::from(table.get(a, b)) - f64::from(a) * f64::from(b),
    };
    rank(
        activation_codes
            .map(|a| weight_codes.clone().map(|b| value(a, b)).collect())
            .collect(),
    )
}

fn all(format: OperandFormat) -> RangeInclusive<i32> {
    format.min_code()..=format.max_code()
}

fn rank_of(table: &ProductTable) -> usize {
    rank_of_form(
        table,
        FactorizationForm::Table,
        all(table.activation()),
        all(table.weight()),
    )
}

/// A table that is a sum of so many products of small random factors.
fn random_sum(
    activation: OperandFormat,
    weight: OperandFormat,
    terms: usize,
    factors: &[i64],
) -> ProductTable {
    let (left, right) = factors.split_at(factors.len() / 2);
    ProductTable::from_fn(activation, weight, |a, b| {
        let (row, column) = (activation.pattern(a as i32), weight.pattern(b as i32));
        (0..terms)
            .map(|term| left[term * 256 + row] * right[term * 256 + column])
            .sum()
    })
    .unwrap()
}

/// The part of a format's codes between two of them.
fn part(format: OperandFormat, ends: (usize, usize)) -> RangeInclusive<i32> {
    let code = |end: usize| format.min_code() + (end % format.cardinality()) as i32;
    code(ends.0).min(code(ends.1))..=code(ends.0).max(code(ends.1))
}

#[rstest]
fn nothing_needs_no_terms(#[values(2, 5, 8)] bits: u8, #[values(false, true)] signed: bool) {
    let signedness = if signed {
        Signedness::Signed
    } else {
        Signedness::Unsigned
    };
    let activation = OperandFormat::new(bits, signedness).unwrap();
    let weight = OperandFormat::unsigned(4).unwrap();
    for (form, table) in [
        (
            FactorizationForm::Table,
            ProductTable::from_fn(activation, weight, |_, _| 0),
        ),
        (
            FactorizationForm::Error,
            ProductTable::exact(activation, weight),
        ),
    ] {
        let table = table.unwrap();
        let options = FactorizationOptions {
            max_rank: 0,
            ..in_form(form)
        };
        let found = Factorization::of(&table, &options).unwrap();
        assert_eq!((found.rank(), found.terms().len()), (0, 0));
        assert_eq!(found.certificate().largest_factor(), 0);
        assert_eq!((found.common_scale(), has_one_scale(&found)), (1, true));
        assert_eq!(found.to_table().unwrap(), table);
    }
}

/// As many independent rows as there can be, where the rows are fewer and where the columns are.
#[rstest]
#[case(5, 8)]
#[case(8, 5)]
#[case(5, 5)]
fn a_rank_as_high_as_the_default_limit_is_reached(#[case] rows: u8, #[case] columns: u8) {
    let activation = OperandFormat::signed(rows).unwrap();
    let weight = OperandFormat::unsigned(columns).unwrap();
    // The middle bits of a product with a large odd number are as good as random.
    let table = ProductTable::from_fn(activation, weight, |a, b| {
        let index = (256 * a + b + 1_000_000) as u64;
        (index
            .wrapping_mul(index)
            .wrapping_mul(6_364_136_223_846_793_005)
            >> 50) as i64
            - 8192
    })
    .unwrap();
    let found = Factorization::of(&table, &in_form(FactorizationForm::Table)).unwrap();
    assert_eq!(found.rank(), 32);
    assert_eq!(found.to_table().unwrap(), table);
    let options = FactorizationOptions {
        max_rank: 31,
        ..in_form(FactorizationForm::Table)
    };
    assert!(matches!(
        Factorization::of(&table, &options),
        Err(MultiplierError::RankTooHigh { at_least: 32 })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn products_of_random_factors_have_at_most_their_rank(
        activation in format(),
        weight in format(),
        terms in 0usize..6,
        factors in proptest::collection::vec(-20i64..=20, 6 * 512),
    ) {
        let table = random_sum(activation, weight, terms, &factors);
        let found = Factorization::of(&table, &in_form(FactorizationForm::Table)).unwrap();
        prop_assert_eq!(found.rank(), rank_of(&table));
        prop_assert!(found.rank() <= terms);
        prop_assert_eq!(found.to_table().unwrap(), table.clone());
        for term in found.terms() {
            prop_assert!(term.scale() >= 1);
        }
        let error = Factorization::of(&table, &in_form(FactorizationForm::Error)).unwrap();
        prop_assert_eq!(error.rank(), rank_of_form(&table, FactorizationForm::Error, all(activation), all(weight)));
        prop_assert_eq!(error.to_table().unwrap(), table.clone());
        let best = Factorization::of(&table, &FactorizationOptions::default()).unwrap();
        prop_assert_eq!(best.products(), found.products().min(error.products()));
        if let Some(max_rank) = found.rank().checked_sub(1) {
            let options = FactorizationOptions { max_rank, ..in_form(FactorizationForm::Table) };
            let refused = matches!(
                Factorization::of(&table, &options),
                Err(MultiplierError::RankTooHigh { at_least }) if at_least == found.rank()
            );
            prop_assert!(refused);
        }
    }

    #[test]
    fn codes_left_out_neither_count_nor_are_answered(
        activation in format(),
        weight in format(),
        terms in 0usize..4,
        factors in proptest::collection::vec(-20i64..=20, 2 * 4 * 256),
        ends: [(usize, usize); 2],
        form in prop_oneof![Just(FactorizationForm::Table), Just(FactorizationForm::Error)],
    ) {
        let table = random_sum(activation, weight, terms, &factors);
        let (left, right) = (part(activation, ends[0]), part(weight, ends[1]));
        let options = FactorizationOptions {
            activation_codes: Some(left.clone()),
            weight_codes: Some(right.clone()),
            ..in_form(form)
        };
        let found = Factorization::of(&table, &options).unwrap();
        prop_assert_eq!(found.rank(), rank_of_form(&table, form, left.clone(), right.clone()));
        for a in activation.codes() {
            for b in weight.codes() {
                let expected = (left.contains(&a) && right.contains(&b)).then(|| table.get(a, b).into());
                prop_assert_eq!(found.evaluate(a, b), expected);
            }
        }
    }

    #[test]
    fn any_table_of_full_rank_is_factorised(
        entries in proptest::collection::vec(-70_000i32..=70_000, 256),
        (rows, columns) in (2u8..=4, 2u8..=4),
        signed: bool,
    ) {
        let signedness = if signed { Signedness::Signed } else { Signedness::Unsigned };
        let (activation, weight) =
            (OperandFormat::new(rows, signedness).unwrap(), OperandFormat::new(columns, signedness).unwrap());
        let count = activation.cardinality() * weight.cardinality();
        let table = ProductTable::from_slice(activation, weight, &entries[..count]).unwrap();
        let found = Factorization::of(&table, &in_form(FactorizationForm::Table)).unwrap();
        prop_assert_eq!(found.rank(), rank_of(&table));
        prop_assert_eq!(found.to_table().unwrap(), table);
    }

    #[test]
    fn extreme_entries_are_factorised(
        bits in proptest::collection::vec(any::<bool>(), 64),
    ) {
        let format = OperandFormat::signed(3).unwrap();
        let entries: Vec<i32> = bits.iter().map(|&bit| if bit { i32::MAX } else { i32::MIN }).collect();
        let table = ProductTable::from_slice(format, format, &entries).unwrap();
        let found = Factorization::of(&table, &FactorizationOptions::default()).unwrap();
        prop_assert_eq!(found.to_table().unwrap(), table);
    }
}
