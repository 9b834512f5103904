//! Every kind of multiplier: what it computes, what is made of it, and how it survives being written.

use proptest::prelude::*;

use crate::table::compression::encode_base64;
use crate::{
    Definition, Feature, HardwareFigures, HtpModel, HtpTerm, Multiplier, MultiplierError,
    OperandFormat, ProductTable, evoapprox,
};

const INT8: OperandFormat = OperandFormat::INT8;
const UINT8: OperandFormat = OperandFormat::UINT8;

fn htp() -> Multiplier {
    Multiplier::from_htp(evoapprox::htp("mul8s_1KV8").unwrap())
}

#[test]
fn the_exact_multiplier_is_exact_at_every_width() {
    let uint16 = OperandFormat::unsigned(16).unwrap();
    let exact = Multiplier::exact(uint16, uint16);
    assert_eq!(exact.product(65535, 65535), Some(65535 * 65535));
    assert_eq!(exact.evaluate(65535, 65535), 4_294_836_225.0);
    assert!(matches!(
        exact.to_table(),
        Err(MultiplierError::TableTooLarge { .. })
    ));
    let exact = Multiplier::exact(INT8, UINT8);
    assert_eq!(
        exact.to_table().unwrap(),
        ProductTable::exact(INT8, UINT8).unwrap()
    );
}

#[test]
fn operands_are_cut_to_their_formats_in_every_definition() {
    let exact = Multiplier::exact(INT8, UINT8);
    let table = Multiplier::from_table("t", exact.to_table().unwrap());
    let term = HtpTerm {
        coefficient: 1.0,
        first: Feature::Identity,
        second: Feature::Identity,
    };
    let htp = Multiplier::from_htp(HtpModel::new("h", INT8, UINT8, vec![term]).unwrap());
    for multiplier in [exact, table, htp] {
        assert_eq!(multiplier.evaluate(255, -1), -255.0);
    }
}

#[test]
fn equal_tables_have_equal_hashes_whatever_their_names() {
    let one = Multiplier::from_fn("one", INT8, INT8, |a, b| a * b + 1).unwrap();
    let two = Multiplier::from_slice("two", INT8, INT8, one.table().unwrap().entries()).unwrap();
    assert_eq!(one.hash(), two.hash());
    assert_ne!(one, two);
    assert_eq!(one, two.with_name("one"));
    let other =
        Multiplier::from_fn("one", INT8, INT8, |a, b| a * b + i64::from(a != -128)).unwrap();
    assert_ne!(one.hash(), other.hash());
    let unsigned =
        Multiplier::from_slice("two", UINT8, UINT8, one.table().unwrap().entries()).unwrap();
    assert_ne!(one.hash(), unsigned.hash());
}

#[test]
fn a_file_gives_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my.table.npy");
    ProductTable::exact(INT8, INT8)
        .unwrap()
        .to_npy(&path)
        .unwrap();
    assert_eq!(
        Multiplier::from_npy(path, INT8, INT8).unwrap().name(),
        "my.table"
    );
}

#[test]
fn htp_models_have_real_products() {
    let htp = htp();
    assert_eq!(htp.product(1, 1), None);
    assert_eq!(htp.evaluate(0, 3), -0.2 * 3.0);
    assert!(htp.table().is_none());
    assert!(matches!(
        htp.to_table(),
        Err(MultiplierError::NotIntegerValued { .. })
    ));
}

#[test]
fn a_new_name_reaches_the_htp_model() {
    let renamed = htp().with_name("other");
    assert_eq!(renamed.hash(), htp().hash());
    assert!(matches!(renamed.definition(), Definition::Htp(model) if model.name() == "other"));
}

#[test]
fn sign_magnitude_refuses_what_is_not_an_unsigned_integer_multiplier() {
    let mixed = Multiplier::exact(UINT8, INT8);
    assert!(matches!(
        mixed.sign_magnitude(),
        Err(MultiplierError::NotUnsigned { .. })
    ));
    let signed = evoapprox::multiplier("mul8s_1L2J").unwrap();
    assert!(matches!(
        signed.sign_magnitude(),
        Err(MultiplierError::NotUnsigned { .. })
    ));
    let term = HtpTerm {
        coefficient: 1.0,
        first: Feature::Identity,
        second: Feature::Identity,
    };
    let htp = Multiplier::from_htp(HtpModel::new("h", UINT8, UINT8, vec![term]).unwrap());
    assert!(matches!(
        htp.sign_magnitude(),
        Err(MultiplierError::NotIntegerValued { .. })
    ));
    let smallest = Multiplier::from_fn("m", UINT8, UINT8, |_, _| i32::MIN.into()).unwrap();
    assert!(matches!(
        smallest.sign_magnitude(),
        Err(MultiplierError::EntryOutOfRange { .. })
    ));
}

#[test]
fn sign_magnitude_of_the_exact_multiplier_is_exact() {
    let signed = Multiplier::exact(UINT8, UINT8).sign_magnitude().unwrap();
    assert_eq!(signed.definition(), &Definition::Exact);
    assert_eq!(signed.product(-128, 127), Some(-128 * 127));
}

#[test]
fn swapping_exchanges_formats_and_operands() {
    let multiplier = Multiplier::from_fn("m", INT8, UINT8, |a, b| 3 * a + b).unwrap();
    let swapped = multiplier.swapped();
    assert_eq!(
        (swapped.activation(), swapped.weight(), swapped.name()),
        (UINT8, INT8, "m:swapped")
    );
    assert_eq!(swapped.product(200, -5), multiplier.product(-5, 200));
    assert_eq!(swapped.swapped(), multiplier);
    assert_eq!(
        Multiplier::exact(INT8, UINT8).swapped().hash(),
        Multiplier::exact(UINT8, INT8).hash()
    );
    assert_eq!(htp().swapped().evaluate(3, -2), htp().evaluate(-2, 3));
}

#[test]
fn every_definition_survives_serialisation() {
    let figures = HardwareFigures {
        power_mw: Some(0.5),
        ..HardwareFigures::new("7 nm")
    };
    let multipliers = [
        Multiplier::exact(UINT8, INT8).with_hardware(figures),
        evoapprox::multiplier("mul8u_R36").unwrap(),
        htp(),
    ];
    for multiplier in multipliers {
        let json = serde_json::to_string(&multiplier).unwrap();
        let read: Multiplier = serde_json::from_str(&json).unwrap();
        assert_eq!(read, multiplier);
        assert_eq!(read.definition(), multiplier.definition());
    }
}

#[test]
fn deserialising_verifies_the_hash() {
    let json = serde_json::to_string(&Multiplier::exact(INT8, INT8)).unwrap();
    let hash = Multiplier::exact(INT8, INT8).hash().to_string();
    let other = Multiplier::exact(UINT8, INT8).hash().to_string();
    let error = serde_json::from_str::<Multiplier>(&json.replace(&hash, &other)).unwrap_err();
    assert!(
        error.to_string().contains(&hash) && error.to_string().contains(&other),
        "{error}"
    );
}

#[test]
fn damaged_inline_tables_are_refused() {
    let table = Multiplier::from_fn("m", INT8, INT8, |a, b| a * b).unwrap();
    let json = serde_json::to_string(&table).unwrap();
    let data = encode_base64(&table.table().unwrap().to_compressed());
    let refusal = |replacement: &str| {
        serde_json::from_str::<Multiplier>(&json.replace(&data, replacement))
            .unwrap_err()
            .to_string()
    };
    assert!(refusal("???").contains("base64"));
    assert!(refusal("AAAA").contains("decoded"));
}

#[test]
fn multipliers_can_be_shared_between_threads() {
    fn assert_shareable<T: Clone + Send + Sync + 'static>() {}
    assert_shareable::<Multiplier>();
}

proptest! {
    #[test]
    fn any_coefficient_survives_serialisation(coefficient in -1e300f64..1e300, divisor in 1e-3f64..1e300) {
        let terms = [coefficient / 1e10, coefficient / divisor, 0.1 / divisor].map(|coefficient| HtpTerm {
            coefficient,
            first: Feature::Identity,
            second: Feature::Mod { modulus: 3, power: 2 },
        });
        let multiplier = Multiplier::from_htp(HtpModel::new("h", INT8, UINT8, terms.to_vec()).unwrap());
        let json = serde_json::to_string(&multiplier).unwrap();
        prop_assert_eq!(serde_json::from_str::<Multiplier>(&json).unwrap(), multiplier);
    }

    #[test]
    fn any_table_survives_serialisation(seed: i32) {
        let format = OperandFormat::signed(4).unwrap();
        let multiplier = Multiplier::from_fn("t", format, format, |a, b| {
            i64::from((a * 7919 + b * 104_729) as i32 ^ seed)
        }).unwrap();
        let json = serde_json::to_string(&multiplier).unwrap();
        prop_assert_eq!(serde_json::from_str::<Multiplier>(&json).unwrap(), multiplier);
    }

    #[test]
    fn sign_magnitude_follows_its_formula(seed: u16) {
        let table = ProductTable::from_fn(UINT8, UINT8, |a, b| a * b + (a ^ b ^ i64::from(seed)) - 300).unwrap();
        let unsigned = Multiplier::from_table("m", table.clone());
        let signed = unsigned.sign_magnitude().unwrap();
        prop_assert_eq!(signed.name(), "m:sign-magnitude");
        for a in INT8.codes() {
            for b in INT8.codes() {
                let sign = |code: i32| if code < 0 { -1 } else { 1 };
                let expected = sign(a) * sign(b) * table.get(a.abs(), b.abs());
                prop_assert_eq!(signed.product(a, b), Some(i64::from(expected)));
            }
        }
    }
}
