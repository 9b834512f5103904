//! Multipliers given by factorisations, and factorisations of multipliers: the same function whatever the factors.

mod common;

use approx_multiplier::{
    Coverage, Definition, Factorization, FactorizationForm, FactorizationOptions, HtpModel,
    Multiplier, MultiplierError, OperandFormat, ProductTable, Term, evoapprox,
};
use common::{broken_array, format, in_form, rank};
use proptest::prelude::*;
use rstest::rstest;

/// Factors of one operand, by bit pattern.
fn factors(format: OperandFormat, factor: impl Fn(i64) -> i64) -> Vec<i64> {
    format.codes().map(|code| factor(code.into())).collect()
}

fn int16() -> OperandFormat {
    OperandFormat::signed(16).unwrap()
}

/// A term as it is given: its scale, the activation's factors and the weight's.
type Given = (i64, Vec<i64>, Vec<i64>);

/// `scale * activation[a] * weight[b]`, summed over the terms.
fn sum_of(terms: &[Given], row: usize, column: usize) -> i64 {
    terms
        .iter()
        .map(|(scale, activation, weight)| scale * activation[row] * weight[column])
        .sum()
}

fn from_terms(
    activation: OperandFormat,
    weight: OperandFormat,
    form: FactorizationForm,
    terms: &[Given],
) -> Factorization {
    let terms = terms
        .iter()
        .map(|(scale, left, right)| Term::new(*scale, left.clone(), right.clone()).unwrap());
    Factorization::from_terms(activation, weight, form, terms).unwrap()
}

/// Checks that the folded terms add up to the function, and keep to what is promised of them.
fn check_folded_terms(factorization: &Factorization, codes: &[(i32, i32)]) {
    let folded = factorization.folded_terms();
    assert_eq!(folded.len(), factorization.products());
    let exact_product = usize::from(factorization.form() == FactorizationForm::Error);
    for (index, term) in folded.iter().enumerate() {
        let expected = if index < exact_product {
            1
        } else {
            let factors = term.activation.iter().chain(&term.weight);
            let largest = factors.map(|factor| factor.unsigned_abs()).max().unwrap();
            assert!(largest <= factorization.certificate().largest_folded_factor);
            factorization.common_scale()
        };
        assert_eq!(term.scale, expected);
    }
    for &(a, b) in codes {
        let (row, column) = (
            factorization.activation().pattern(a),
            factorization.weight().pattern(b),
        );
        let sum: i64 = folded
            .iter()
            .map(|term| term.scale * term.activation[row] * term.weight[column])
            .sum();
        assert_eq!(sum, factorization.evaluate(a, b).unwrap_or(0), "{a} * {b}");
    }
}

/// Extreme and ordinary pairs of 16-bit codes.
const PAIRS: [(i32, i32); 9] = [
    (-32768, -32768),
    (-32768, 32767),
    (32767, -32768),
    (32767, 32767),
    (0, 0),
    (-1, -1),
    (-1, 31),
    (12345, -321),
    (-20001, 63),
];

#[rstest]
#[case::mul16s_gqu("mul16s_GQU", 1, 0)]
#[case::mul16s_gqv("mul16s_GQV", 1, 2)]
#[case::mul16s_gru("mul16s_GRU", 2, 5)]
#[case::mul16s_gsm("mul16s_GSM", 3, 0)]
#[case::mul16s_gv3("mul16s_GV3", 6, 0)]
#[case::mul16s_hg4("mul16s_HG4", 0, 0)]
fn a_function_has_one_hash_whatever_its_factors(
    #[case] name: &str,
    #[case] dropped_rows: u8,
    #[case] dropped_diagonals: u8,
) {
    let bundled = evoapprox::multiplier(name).unwrap();
    let product = broken_array(16, dropped_rows, dropped_diagonals);
    let found = Multiplier::from_fn_factored(name, int16(), int16(), &product).unwrap();
    for (a, b) in PAIRS {
        let expected = Some(product(a.into(), b.into()));
        assert_eq!(
            (bundled.product(a, b), found.product(a, b)),
            (expected, expected)
        );
    }
    assert_eq!(found.hash(), bundled.hash());
    let json = serde_json::to_string(&found).unwrap();
    let read: Multiplier = serde_json::from_str(&json).unwrap();
    assert_eq!(read.definition(), found.definition());
    // In the other form the terms are other functions altogether.
    let error = bundled
        .factorization(&in_form(FactorizationForm::Error))
        .unwrap();
    assert_eq!(error.form(), FactorizationForm::Error);
    check_folded_terms(&error, &PAIRS);
    let error = Multiplier::from_factorization(name, error).unwrap();
    assert_eq!(error.hash(), bundled.hash());
    assert_ne!(error.definition(), bundled.definition());
    assert_eq!(error.with_name("other").hash(), bundled.hash());
    // Back again, with terms of its own.
    let table = error
        .factorization(&in_form(FactorizationForm::Table))
        .unwrap();
    let table = Multiplier::from_factorization(name, table).unwrap();
    assert_eq!(table.hash(), bundled.hash());
    assert_eq!(error.swapped().hash(), bundled.swapped().hash());
    assert_eq!(error.swapped().swapped(), error);
    assert_eq!(error.swapped().swapped().definition(), error.definition());
}

#[test]
fn another_function_has_another_hash() {
    let lowest_bit = |a: i64| a & 1;
    let only = |code: i64| move |a: i64| i64::from(a == code);
    let identity = (1, factors(int16(), |a| a), factors(int16(), |b| b));
    let uint16 = OperandFormat::unsigned(16).unwrap();
    let functions = [
        from_terms(int16(), int16(), FactorizationForm::Error, &[]),
        from_terms(int16(), int16(), FactorizationForm::Table, &[]),
        from_terms(uint16, int16(), FactorizationForm::Error, &[]),
        from_terms(int16(), uint16, FactorizationForm::Error, &[]),
        from_terms(
            int16(),
            int16(),
            FactorizationForm::Error,
            &[(
                1,
                factors(int16(), lowest_bit),
                factors(int16(), lowest_bit),
            )],
        ),
        // One product differs.
        from_terms(
            int16(),
            int16(),
            FactorizationForm::Table,
            &[
                identity.clone(),
                (1, factors(int16(), only(-7)), factors(int16(), only(9))),
            ],
        ),
        from_terms(
            int16(),
            int16(),
            FactorizationForm::Table,
            &[
                identity,
                (1, factors(int16(), only(9)), factors(int16(), only(-7))),
            ],
        ),
    ];
    let hashes: std::collections::HashSet<_> = functions
        .into_iter()
        .map(|function| {
            Multiplier::from_factorization("m", function)
                .unwrap()
                .hash()
        })
        .collect();
    assert_eq!(hashes.len(), 7);
}

/// Content hashes identify circuits in saved configurations: they must not change with the implementation. The bytes
/// are those that the documentation of `ContentHash` names, put together here by hand.
#[test]
fn the_hash_of_a_wide_function_is_what_its_documentation_says() {
    use sha2::{Digest, Sha256};
    // m(a, b) = (a >> 1) * (b + 1): the first activation with products other than 0 is 2, the first such weight 0.
    let uint16 = OperandFormat::unsigned(16).unwrap();
    let function = from_terms(
        int16(),
        uint16,
        FactorizationForm::Table,
        &[(1, factors(int16(), |a| a >> 1), factors(uint16, |b| b + 1))],
    );
    let mut hasher = Sha256::new();
    hasher.update(b"approx-multiplier/factored/v1\0");
    hasher.update([16, 1, 16, 0]);
    for number in [1u32, 2, 0] {
        hasher.update(number.to_le_bytes());
    }
    for b in uint16.codes() {
        hasher.update((i64::from(b) + 1).to_le_bytes());
    }
    for a in int16().codes() {
        hasher.update((i64::from(a) >> 1).to_le_bytes());
    }
    let expected: String = hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let found = Multiplier::from_factorization("m", function)
        .unwrap()
        .hash();
    assert_eq!(found.to_string(), expected);
}

#[test]
fn products_beyond_a_tables_entries_are_hashed_as_well() {
    let format = OperandFormat::signed(4).unwrap();
    let large = |shift: i64| {
        let terms = [
            (1 << 33, factors(format, |a| a), factors(format, |b| b)),
            (
                1,
                factors(format, |a| a + shift),
                factors(format, |b| b * b),
            ),
        ];
        Multiplier::from_factorization(
            "m",
            from_terms(format, format, FactorizationForm::Table, &terms),
        )
        .unwrap()
    };
    assert_eq!(large(0).product(-8, -8), Some((64 << 33) - 512));
    assert!(matches!(
        large(0).to_table(),
        Err(MultiplierError::EntryOutOfRange { .. })
    ));
    assert_ne!(large(0).hash(), large(1).hash());
    // The first of these terms moved into the second.
    let other = from_terms(
        format,
        format,
        FactorizationForm::Table,
        &[
            (
                1,
                factors(format, |a| a),
                factors(format, |b| (b << 33) + b * b),
            ),
            (1, factors(format, |_| 1), factors(format, |b| b * b)),
        ],
    );
    let other = Multiplier::from_factorization("m", other).unwrap();
    assert_eq!(other.hash(), large(1).hash());
}

#[rstest]
#[case("mul12s_2PT")]
#[case("mul12s_2QH")]
#[case("mul12s_34M")]
fn a_12_bit_factored_multiplier_is_its_table(#[case] name: &str) {
    let factored = evoapprox::multiplier(name).unwrap();
    let table = Multiplier::from_table(name, factored.to_table().unwrap());
    assert_eq!(factored.hash(), table.hash());
    assert_eq!(
        factored.table(),
        None,
        "it is defined by its factors, though a table could be made"
    );
    for (a, b) in [(-2048, -2048), (2047, -2048), (-1, 15), (1000, 999)] {
        assert_eq!(factored.product(a, b), table.product(a, b));
        assert_eq!(factored.evaluate(a, b), table.evaluate(a, b));
        // Only the low bits count.
        assert_eq!(factored.product(a + 4096, b - 8192), table.product(a, b));
    }
}

#[test]
fn the_exact_multiplier_has_one_term_at_any_width() {
    let uint16 = OperandFormat::unsigned(16).unwrap();
    let options = FactorizationOptions::default();
    for (activation, weight) in [(int16(), int16()), (uint16, int16()), (uint16, uint16)] {
        let exact = Multiplier::exact(activation, weight);
        let found = exact.factorization(&options).unwrap();
        assert_eq!(
            (found.form(), found.rank(), found.common_scale()),
            (FactorizationForm::Table, 1, 1)
        );
        for a in [activation.min_code(), -1, 0, 1, activation.max_code()] {
            for b in [weight.min_code(), -1, 0, 1, weight.max_code()] {
                let held = activation.contains(a) && weight.contains(b);
                assert_eq!(
                    found.evaluate(a, b),
                    held.then_some(i64::from(a) * i64::from(b))
                );
            }
        }
        let error = exact
            .factorization(&in_form(FactorizationForm::Error))
            .unwrap();
        assert_eq!((error.form(), error.rank()), (FactorizationForm::Error, 0));
        check_folded_terms(
            &error,
            &[(activation.max_code(), weight.min_code()), (3, 5)],
        );
        let none = FactorizationOptions {
            max_rank: 0,
            ..in_form(FactorizationForm::Table)
        };
        assert!(matches!(
            exact.factorization(&none),
            Err(MultiplierError::RankTooHigh { at_least: 1 })
        ));
        // Without a form asked for, the other one will do.
        let none = FactorizationOptions {
            max_rank: 0,
            ..options.clone()
        };
        assert_eq!(
            exact.factorization(&none).unwrap().form(),
            FactorizationForm::Error
        );
    }
}

#[test]
fn a_table_is_factorised_and_an_htp_model_is_not() {
    let table = evoapprox::multiplier("mul8u_ZB3").unwrap();
    let options = in_form(FactorizationForm::Error);
    assert_eq!(
        table.factorization(&options).unwrap(),
        Factorization::of(table.table().unwrap(), &options).unwrap()
    );
    let htp: HtpModel = evoapprox::htp("mul16s_GSM").unwrap();
    assert!(matches!(
        Multiplier::from_htp(htp).factorization(&options),
        Err(MultiplierError::NotIntegerValued { .. })
    ));
}

#[test]
fn the_defining_factorisation_is_the_one_given() {
    for name in ["mul12s_2PT", "mul16s_GRU", "mul16s_HFB"] {
        let multiplier = evoapprox::multiplier(name).unwrap();
        let Definition::Factored(defining) = multiplier.definition() else {
            panic!("{name} is not factored");
        };
        let found = multiplier
            .factorization(&FactorizationOptions::default())
            .unwrap();
        assert_eq!(&found, defining);
        check_folded_terms(&found, &PAIRS.map(|(a, b)| (a >> 4, b >> 4)));
    }
}

/// Codes of a few bits see few of the partial products that are left out.
#[test]
fn fewer_codes_lower_the_rank_of_wide_circuits() {
    let multiplier = evoapprox::multiplier("mul16s_GRU").unwrap();
    let full = multiplier
        .factorization(&FactorizationOptions::default())
        .unwrap();
    assert_eq!(full.rank(), 4);
    let with = |activation, weight, form| FactorizationOptions {
        activation_codes: activation,
        weight_codes: weight,
        form,
        ..FactorizationOptions::default()
    };
    // The same terms, for half of the codes.
    let half = multiplier
        .factorization(&with(Some(0..=32767), None, None))
        .unwrap();
    assert_eq!((half.rank(), half.activation_codes()), (4, 0..=32767));
    assert_eq!(half.evaluate(-1, 0), None);
    assert_eq!(
        half.evaluate(32767, -32768),
        multiplier.product(32767, -32768)
    );
    assert_eq!(
        half.certificate().coverage,
        Coverage::Exhaustive { pairs: 1 << 31 }
    );
    // (a & ~3) * b without 4 a_2 (b & 7): two terms where a has three bits.
    let narrow = multiplier
        .factorization(&with(Some(0..=7), None, None))
        .unwrap();
    assert_eq!(narrow.rank(), 1, "a_2 is the only bit left");
    for a in 0..=7 {
        for b in [-32768, -5, 0, 3, 7, 32767] {
            assert_eq!(narrow.evaluate(a, b), multiplier.product(a, b));
        }
    }
    let nothing = multiplier
        .factorization(&with(Some(0..=3), None, Some(FactorizationForm::Table)))
        .unwrap();
    assert_eq!(nothing.rank(), 0);
    assert!(matches!(
        multiplier.factorization(&with(Some(0..=32768), None, None)),
        Err(MultiplierError::CodesOutOfFormat { .. })
    ));
    assert!(matches!(
        Multiplier::from_factorization("half", half),
        Err(MultiplierError::RestrictedCodes {
            low: 0,
            high: 32767,
            ..
        })
    ));
}

#[test]
fn sign_magnitude_works_at_any_width() {
    let uint16 = OperandFormat::unsigned(16).unwrap();
    let product = |a: i64, b: i64| a * b - (a & 6) * (b & 3) + 5;
    let unsigned = Multiplier::from_fn_factored("m", uint16, uint16, product).unwrap();
    let signed = unsigned.sign_magnitude().unwrap();
    assert_eq!(
        (signed.activation(), signed.name()),
        (int16(), "m:sign-magnitude")
    );
    for (a, b) in PAIRS {
        let sign = |code: i32| if code < 0 { -1 } else { 1 };
        let expected = sign(a) * sign(b) * product(a.abs().into(), b.abs().into());
        assert_eq!(signed.product(a, b), Some(expected), "{a} * {b}");
    }
    assert!(matches!(
        signed.sign_magnitude(),
        Err(MultiplierError::NotUnsigned { .. })
    ));
}

#[test]
fn factors_that_define_no_function_are_refused() {
    let format = OperandFormat::signed(2).unwrap();
    let refusal = |terms: Vec<Term>| {
        Factorization::from_terms(format, format, FactorizationForm::Table, terms).unwrap_err()
    };
    let short = Term::new(1, vec![1; 4], vec![1; 3]).unwrap();
    let error = refusal(vec![short]);
    assert!(matches!(
        error,
        MultiplierError::WrongFactorCount {
            which: "weight",
            found: 3,
            ..
        }
    ));
    let large = || Term::new(1, vec![1 << 32; 4], vec![(1 << 31) - 1, 1, 2, 3]).unwrap();
    assert!(Factorization::from_terms(format, format, FactorizationForm::Table, [large()]).is_ok());
    assert!(matches!(
        refusal(vec![large(), large()]),
        MultiplierError::FactorsOutOfRange
    ));
    for (scale, factor) in [(1, i64::MIN), (i64::MIN, 1), (i64::MAX, 2)] {
        assert!(matches!(
            Term::new(scale, vec![factor], vec![1]),
            Err(MultiplierError::FactorsOutOfRange)
        ));
    }
}

#[test]
fn debug_output_leaves_the_factors_out() {
    let text = format!("{:?}", evoapprox::multiplier("mul16s_GRU").unwrap());
    assert!(text.len() < 2000, "{text}");
}

#[test]
fn wide_multipliers_survive_serialisation_in_little_space() {
    for name in ["mul16s_GRU", "mul16s_HG4", "mul12s_2QH"] {
        let multiplier = evoapprox::multiplier(name).unwrap();
        let json = serde_json::to_string(&multiplier).unwrap();
        assert!(json.len() < 10_000, "{name}: {}", json.len());
        let read: Multiplier = serde_json::from_str(&json).unwrap();
        assert_eq!(read, multiplier);
        assert_eq!(read.definition(), multiplier.definition());
        // Factors of another circuit under this one's hash.
        let other = evoapprox::multiplier("mul12s_34M")
            .unwrap()
            .hash()
            .to_string();
        let error = serde_json::from_str::<Multiplier>(
            &json.replace(&multiplier.hash().to_string(), &other),
        )
        .unwrap_err();
        assert!(error.to_string().contains(&other), "{error}");
    }
}

#[test]
fn damaged_factors_are_refused() {
    let multiplier = evoapprox::multiplier("mul16s_GQV").unwrap();
    let json = serde_json::to_value(&multiplier).unwrap();
    let refusal = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut json = json.clone();
        change(&mut json["definition"]["factored"]);
        serde_json::from_value::<Multiplier>(json)
            .unwrap_err()
            .to_string()
    };
    let terms = |factored: &mut serde_json::Value, scale: i64| {
        factored["terms"][1]["scale"] = scale.into();
    };
    assert!(refusal(&|factored| factored["terms"][0]["weight"] = "???".into()).contains("base64"));
    assert!(
        refusal(&|factored| factored["terms"][0]["weight"] = "AAAA".into()).contains("decoded")
    );
    assert!(refusal(&|factored| factored["weight_codes"] = vec![0, 7].into()).contains("0 to 7"));
    assert!(refusal(&|factored| factored["weight_codes"] = vec![9, 7].into()).contains("range"));
    assert!(refusal(&|factored| factored["unknown"] = 1.into()).contains("unknown"));
    assert!(refusal(&|factored| terms(factored, 3)).contains("another multiplier"));
    assert!(refusal(&|factored| terms(factored, i64::MAX)).contains("64 bits"));
}

/// Terms with small factors, some of which may depend on others.
fn terms(activation: OperandFormat, weight: OperandFormat) -> impl Strategy<Value = Vec<Given>> {
    let vector = |format: OperandFormat| proptest::collection::vec(-3i64..=3, format.cardinality());
    proptest::collection::vec((-4i64..=4, vector(activation), vector(weight)), 0..5)
}

/// Formats of 2 to 5 bits, a form, and terms.
fn functions()
-> impl Strategy<Value = (OperandFormat, OperandFormat, FactorizationForm, Vec<Given>)> {
    let small = || format().prop_filter("few codes", |format| format.bits() <= 5);
    (
        small(),
        small(),
        prop_oneof![
            Just(FactorizationForm::Table),
            Just(FactorizationForm::Error)
        ],
        any::<bool>(),
    )
        .prop_flat_map(|(activation, weight, form, repeat)| {
            terms(activation, weight).prop_map(move |mut terms| {
                if repeat && let Some((scale, left, right)) = terms.first().cloned() {
                    terms.push((scale + 1, left, right));
                }
                (activation, weight, form, terms)
            })
        })
}

fn part_of(format: OperandFormat, ends: (usize, usize)) -> std::ops::RangeInclusive<i32> {
    let code = |end: usize| format.min_code() + (end % format.cardinality()) as i32;
    code(ends.0).min(code(ends.1))..=code(ends.0).max(code(ends.1))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn terms_define_their_sum_by_as_few_terms_as_there_can_be(
        (activation, weight, form, terms) in functions(),
    ) {
        let function = from_terms(activation, weight, form, &terms);
        let sums = activation.codes().map(|a| {
            weight.codes().map(|b| sum_of(&terms, activation.pattern(a), weight.pattern(b)) as f64).collect()
        });
        prop_assert_eq!(function.rank(), rank(sums.collect()));
        let codes: Vec<(i32, i32)> =
            activation.codes().flat_map(|a| weight.codes().map(move |b| (a, b))).collect();
        let plain = |a: i32, b: i32| if form == FactorizationForm::Error { i64::from(a * b) } else { 0 };
        for &(a, b) in &codes {
            let expected = plain(a, b) + sum_of(&terms, activation.pattern(a), weight.pattern(b));
            prop_assert_eq!(function.evaluate(a, b), Some(expected));
        }
        check_folded_terms(&function, &codes);
        let multiplier = Multiplier::from_factorization("m", function.clone()).unwrap();
        let table = Multiplier::from_table("m", multiplier.to_table().unwrap());
        prop_assert_eq!(multiplier.hash(), table.hash());
        prop_assert_eq!(multiplier.swapped().to_table().unwrap(), table.to_table().unwrap().swapped());
        let swapped_back = multiplier.swapped().swapped();
        prop_assert_eq!(swapped_back.definition(), multiplier.definition());
        if !activation.is_signed() && !weight.is_signed() {
            prop_assert_eq!(
                multiplier.sign_magnitude().unwrap().to_table().unwrap(),
                table.sign_magnitude().unwrap().to_table().unwrap()
            );
        }
        let json = serde_json::to_string(&multiplier).unwrap();
        let read: Multiplier = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(read.definition(), multiplier.definition());
        let json = serde_json::to_string(&function).unwrap();
        prop_assert_eq!(serde_json::from_str::<Factorization>(&json).unwrap(), function);
    }

    #[test]
    fn options_are_kept_to(
        (activation, weight, form, terms) in functions(),
        wanted in proptest::option::of(prop_oneof![Just(FactorizationForm::Table), Just(FactorizationForm::Error)]),
        ends in any::<[(usize, usize); 2]>(),
        (some_activations, some_weights) in any::<(bool, bool)>(),
    ) {
        let function = from_terms(activation, weight, form, &terms);
        let multiplier = Multiplier::from_factorization("m", function).unwrap();
        let options = FactorizationOptions {
            form: wanted,
            activation_codes: some_activations.then(|| part_of(activation, ends[0])),
            weight_codes: some_weights.then(|| part_of(weight, ends[1])),
            ..FactorizationOptions::default()
        };
        let found = multiplier.factorization(&options).unwrap();
        // What the factoriser makes of the table.
        let table: ProductTable = multiplier.to_table().unwrap();
        let known = Factorization::of(&table, &options).unwrap();
        prop_assert_eq!(found.products(), known.products());
        prop_assert!(wanted.is_none_or(|wanted| wanted == found.form()));
        prop_assert_eq!(found.activation_codes(), known.activation_codes());
        prop_assert_eq!(found.weight_codes(), known.weight_codes());
        prop_assert_eq!(found.certificate().coverage, known.certificate().coverage);
        let codes: Vec<(i32, i32)> =
            activation.codes().flat_map(|a| weight.codes().map(move |b| (a, b))).collect();
        for &(a, b) in &codes {
            prop_assert_eq!(found.evaluate(a, b), known.evaluate(a, b));
        }
        let used: Vec<(i32, i32)> =
            codes.into_iter().filter(|&(a, b)| found.evaluate(a, b).is_some()).collect();
        check_folded_terms(&found, &used);
        let json = serde_json::to_string(&found).unwrap();
        prop_assert_eq!(serde_json::from_str::<Factorization>(&json).unwrap(), found);
    }
}
