//! Sources survive being written and read, and give what they say.

use rstest::rstest;

use crate::export::{self, ExportFormat};
use crate::import::ImportError;
use crate::{
    ContentHash, FamilySpecification, HardwareFigures, Multiplier, MultiplierError,
    MultiplierSource, OperandFormat, ProductTable, evoapprox,
};

const INT8: OperandFormat = OperandFormat::INT8;
const UINT8: OperandFormat = OperandFormat::UINT8;

fn bundled(name: &str, hash: Option<ContentHash>, sign_magnitude: bool) -> MultiplierSource {
    MultiplierSource::Bundled {
        name: name.into(),
        hash,
        sign_magnitude,
    }
}

fn file(
    path: &str,
    formats: Option<(OperandFormat, OperandFormat)>,
    swap_operands: bool,
    sign_magnitude: bool,
) -> MultiplierSource {
    MultiplierSource::File {
        path: path.into(),
        formats,
        swap_operands,
        hash: None,
        sign_magnitude,
    }
}

fn family(text: &str) -> MultiplierSource {
    MultiplierSource::Family {
        specification: text.parse().unwrap(),
        hash: None,
    }
}

fn exact(activation: OperandFormat, weight: OperandFormat) -> MultiplierSource {
    MultiplierSource::Exact { activation, weight }
}

#[rstest]
#[case("mul8s_1L2J", bundled("mul8s_1L2J", None, false))]
#[case("mul16s_GRU", bundled("mul16s_GRU", None, false))]
#[case("mul8u_17C8:sign-magnitude", bundled("mul8u_17C8", None, true))]
#[case("exact", exact(INT8, INT8))]
#[case("exact:uint8", exact(UINT8, UINT8))]
#[case("exact:uint8,int8", exact(UINT8, INT8))]
#[case("htp:mul12s_2PS", MultiplierSource::Htp { name: "mul12s_2PS".into(), hash: None })]
#[case("a/b.npy", file("a/b.npy", Some((INT8, INT8)), false, false))]
#[case("a/b.npy:uint8,int8", file("a/b.npy", Some((UINT8, INT8)), false, false))]
#[case(r"c:\b.npy:uint8:sign-magnitude", file(r"c:\b.npy", Some((UINT8, UINT8)), false, true))]
#[case("exact.npy", file("exact.npy", Some((INT8, INT8)), false, false))]
#[case("b.npy:sign-magnitude", file("b.npy", Some((INT8, INT8)), false, true))]
#[case("b.npy:swapped", file("b.npy", None, true, false))]
#[case("a/b.csv", file("a/b.csv", None, false, false))]
#[case("b.json:sign-magnitude", file("b.json", None, false, true))]
#[case(r"c:\b.BIN:uint8", file(r"c:\b.BIN", Some((UINT8, UINT8)), false, false))]
#[case("b.h:uint8,int8:swapped:sign-magnitude", file("b.h", Some((UINT8, INT8)), true, true))]
#[case("drum:k=6,bits=8,signed", family("drum:k=6,bits=8,signed"))]
#[case("roba", family("roba:bits=8,signed"))]
#[case("exact:bits=9,unsigned", family("exact:bits=9,unsigned"))]
fn texts_are_parsed_and_written(#[case] text: &str, #[case] expected: MultiplierSource) {
    let source: MultiplierSource = text.parse().unwrap();
    assert_eq!(source, expected);
    assert_eq!(
        source.to_string().parse::<MultiplierSource>().unwrap(),
        expected
    );
    let json = serde_json::to_string(&source).unwrap();
    assert_eq!(
        serde_json::from_str::<MultiplierSource>(&json).unwrap(),
        expected
    );
    let json = serde_json::to_string(text).unwrap();
    assert_eq!(
        serde_json::from_str::<MultiplierSource>(&json).unwrap(),
        expected
    );
}

#[rstest]
#[case("", "nearest")]
#[case("mul8s_1L2", "mul8s_1L2J")]
#[case("exactly", "nearest")]
#[case("exact:int1", "2 to 16")]
#[case("exact:", "operand format")]
#[case("exact:int8,", "operand format")]
#[case("exact:sign-magnitude", "sign-magnitude")]
#[case("htp:mul8s_1KV8:sign-magnitude", "sign-magnitude")]
#[case("htp:nothing", "nearest")]
#[case("b.npy:float32", "operand format")]
#[case("b.npz", "nearest")]
#[case("b.csv:int1", "2 to 16")]
#[case("drum:k=1", "2 to 16")]
#[case("roba:unsigned:sign-magnitude", "only bundled circuits and files")]
fn other_texts_are_refused(#[case] text: &str, #[case] expected: &str) {
    let error = text.parse::<MultiplierSource>().unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
    let error = serde_json::from_value::<MultiplierSource>(text.into()).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
}

#[rstest]
#[case(r#"{}"#, "exactly one")]
#[case(r#"{"bundled": "mul8s_1L2J", "htp": "mul8s_1L2J"}"#, "exactly one")]
#[case(
    r#"{"bundled": "mul8s_1L2J", "activation": {"bits": 8, "signedness": "signed"}}"#,
    "belong"
)]
#[case(r#"{"npy": "b.npy"}"#, "`activation`")]
#[case(
    r#"{"npy": "b.npy", "activation": {"bits": 1, "signedness": "signed"}}"#,
    "2 to 16"
)]
#[case(r#"{"htp": "mul8s_1L2J", "sign_magnitude": true}"#, "belongs")]
#[case(r#"{"npy": "b.npy", "swap_operands": true}"#, "belongs to `file`")]
#[case(r#"{"file": "b.csv", "family": "roba"}"#, "exactly one")]
#[case(
    r#"{"file": "b.csv", "weight": {"bits": 8, "signedness": "signed"}}"#,
    "together"
)]
#[case(r#"{"family": "roba:k=3"}"#, "no setting")]
#[case(r#"{"bundled": "mul8s_1L2J", "hash": "12"}"#, "64 hexadecimal")]
#[case(r#"{"bundeld": "mul8s_1L2J"}"#, "unknown field")]
#[case("17", "the name of a multiplier")]
fn malformed_objects_are_refused(#[case] json: &str, #[case] expected: &str) {
    let error = serde_json::from_str::<MultiplierSource>(json).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn a_hash_does_not_belong_to_the_exact_multiplier() {
    let hash = Multiplier::exact(INT8, INT8).hash();
    let json = format!(
        r#"{{"exact": {{"activation": {0}, "weight": {0}}}, "hash": "{hash}"}}"#,
        serde_json::to_string(&INT8).unwrap()
    );
    let error = serde_json::from_str::<MultiplierSource>(&json).unwrap_err();
    assert!(error.to_string().contains("`hash` belongs"), "{error}");
}

#[test]
fn a_name_alone_is_written_as_text() {
    let json = serde_json::to_string(&bundled("mul8u_17C8", None, true)).unwrap();
    assert_eq!(json, r#""mul8u_17C8:sign-magnitude""#);
}

#[test]
fn another_content_than_the_hash_says_is_refused() {
    let expected = evoapprox::multiplier("mul8s_1KV8").unwrap().hash();
    let found = evoapprox::multiplier("mul8s_1KV9").unwrap().hash();
    let error = bundled("mul8s_1KV9", Some(expected), false)
        .resolve()
        .unwrap_err();
    assert!(matches!(
        error,
        MultiplierError::HashMismatch { expected: e, found: f, .. } if e == expected && f == found
    ));
    assert!(bundled("mul8s_1KV9", Some(found), false).resolve().is_ok());
    let htp = MultiplierSource::Htp {
        name: "mul8s_1KV9".into(),
        hash: Some(found),
    };
    assert!(matches!(
        htp.resolve(),
        Err(MultiplierError::HashMismatch { .. })
    ));
}

#[test]
fn files_are_found_relative_to_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let table = ProductTable::from_fn(UINT8, UINT8, |a, b| a * b + 1).unwrap();
    table.to_npy(folder.path().join("t.npy")).unwrap();
    let multiplier = file("t.npy", Some((UINT8, UINT8)), false, false)
        .resolve_relative_to(folder.path())
        .unwrap();
    assert_eq!(multiplier.table(), Some(&table));
    let signed = file("t.npy", Some((UINT8, UINT8)), false, true)
        .resolve_relative_to(folder.path())
        .unwrap();
    assert_eq!(signed, multiplier.sign_magnitude().unwrap());
    let absolute = folder.path().join("t.npy");
    let source: MultiplierSource = format!("{}:uint8", absolute.display()).parse().unwrap();
    assert_eq!(source.resolve().unwrap(), multiplier);
    assert!(matches!(
        file("other.npy", Some((UINT8, UINT8)), false, false).resolve_relative_to(folder.path()),
        Err(MultiplierError::Import(error)) if matches!(*error, ImportError::Io { .. })
    ));
}

#[test]
fn configurations_of_version_0_1_0_are_read() {
    let json = r#"{"npy": "t.npy", "activation": {"bits": 8, "signedness": "unsigned"},
        "weight": {"bits": 8, "signedness": "signed"}, "sign_magnitude": true}"#;
    let source: MultiplierSource = serde_json::from_str(json).unwrap();
    assert_eq!(source, file("t.npy", Some((UINT8, INT8)), false, true));
    let written = serde_json::to_string(&source).unwrap();
    assert!(
        written.contains(r#""file":"t.npy""#) && !written.contains("npy\":"),
        "{written}"
    );
}

#[test]
fn files_of_any_kind_are_found_relative_to_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let multiplier = Multiplier::from_fn("t", UINT8, UINT8, |a, b| a * b + 2 * a).unwrap();
    for format in [
        ExportFormat::Csv,
        ExportFormat::Binary,
        ExportFormat::CHeader,
        ExportFormat::Own,
    ] {
        let name = format!("t.{}", format.extension());
        export::write(&multiplier, folder.path().join(&name), format).unwrap();
        let resolved = |swap_operands, sign_magnitude| {
            file(&name, Some((UINT8, UINT8)), swap_operands, sign_magnitude)
                .resolve_relative_to(folder.path())
                .unwrap()
        };
        assert_eq!(resolved(false, false), multiplier);
        assert_eq!(resolved(true, false), multiplier.swapped());
        assert_eq!(resolved(false, true), multiplier.sign_magnitude().unwrap());
    }
    std::fs::write(folder.path().join("t.csv"), "1 2 3").unwrap();
    let error = file("t.csv", None, false, false)
        .resolve_relative_to(folder.path())
        .unwrap_err();
    assert!(error.to_string().contains("t.csv"), "{error}");
    assert!(matches!(error, MultiplierError::Import(_)));
}

#[test]
fn what_a_source_describes_resolves_to_the_same() {
    let circuit = evoapprox::multiplier("mul8u_17C8").unwrap();
    let signed = circuit.sign_magnitude().unwrap();
    let htp = Multiplier::from_htp(evoapprox::htp("mul12s_2PS").unwrap());
    let mixed = Multiplier::exact(UINT8, INT8);
    let wide = evoapprox::multiplier("mul16s_GRU").unwrap();
    let member: FamilySpecification = "drum:k=4,bits=8,unsigned".parse().unwrap();
    let drum = member.multiplier().unwrap();
    let described = [
        (
            drum.clone(),
            MultiplierSource::Family {
                specification: member,
                hash: Some(drum.hash()),
            },
        ),
        (
            wide.clone(),
            bundled("mul16s_GRU", Some(wide.hash()), false),
        ),
        (
            circuit.clone(),
            bundled("mul8u_17C8", Some(circuit.hash()), false),
        ),
        (
            signed.clone(),
            bundled("mul8u_17C8", Some(signed.hash()), true),
        ),
        (mixed, exact(UINT8, INT8)),
        (
            htp.clone(),
            MultiplierSource::Htp {
                name: "mul12s_2PS".into(),
                hash: Some(htp.hash()),
            },
        ),
    ];
    for (multiplier, expected) in described {
        let source = MultiplierSource::describe(&multiplier);
        assert_eq!(source, expected);
        let json = serde_json::to_string(&source).unwrap();
        let read: MultiplierSource = serde_json::from_str(&json).unwrap();
        assert_eq!(read, source);
        assert_eq!(read.resolve().unwrap(), multiplier);
    }
}

#[test]
fn what_only_resembles_a_bundled_multiplier_is_described_inline() {
    let circuit = evoapprox::multiplier("mul8u_17C8").unwrap();
    let other = evoapprox::multiplier("mul8u_R92").unwrap();
    let exact = Multiplier::exact(INT8, INT8);
    let multipliers = [
        circuit.with_name("mine"),
        other.with_name("mul8u_17C8"),
        circuit.with_name("mul8u_17C8:sign-magnitude"),
        circuit.with_name("drum:k=4,bits=8,unsigned"),
        circuit.with_name("exact"),
        circuit.with_name("mul12s_2PS"),
        evoapprox::multiplier("mul16s_HG8")
            .unwrap()
            .with_name("mul16s_HFB"),
        evoapprox::multiplier("mul16s_GQV").unwrap().swapped(),
        circuit.with_hardware(HardwareFigures::new("7 nm")),
        circuit.swapped(),
        exact.with_name("reference"),
        Multiplier::from_htp(evoapprox::htp("mul8s_1KV8").unwrap()).with_name("mul8s_1KV9"),
    ];
    for multiplier in multipliers {
        let source = MultiplierSource::describe(&multiplier);
        assert_eq!(source, MultiplierSource::Inline(multiplier.clone()));
        let json = serde_json::to_string(&source).unwrap();
        let read: MultiplierSource = serde_json::from_str(&json).unwrap();
        assert_eq!(read.resolve().unwrap(), multiplier);
    }
}
