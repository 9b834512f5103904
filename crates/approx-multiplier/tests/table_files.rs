//! Exports and imports of tables: what is written is read again as the same multiplier, and no input makes the readers
//! panic or take more memory than they may.

use std::fs;

use approx_multiplier::export::{self, ExportFormat};
use approx_multiplier::import::{self, FileKind, ImportError, ImportOptions};
use approx_multiplier::{
    HardwareFigures, Multiplier, MultiplierFamily, OperandFormat, Signedness, evoapprox,
};
use proptest::prelude::*;
use rstest::rstest;

/// The kinds that are written and read, and whether the file says its operand formats.
const KINDS: [(ExportFormat, FileKind, bool); 6] = [
    (ExportFormat::Npy, FileKind::Npy, false),
    (ExportFormat::Csv, FileKind::Text, true),
    (ExportFormat::Binary, FileKind::Binary, false),
    (ExportFormat::CHeader, FileKind::CHeader, true),
    (ExportFormat::Own, FileKind::Own, true),
    (ExportFormat::Verilog, FileKind::Verilog, true),
];

fn options_for(multiplier: &Multiplier) -> ImportOptions {
    ImportOptions::default().with_formats(multiplier.activation(), multiplier.weight())
}

fn format() -> impl Strategy<Value = OperandFormat> {
    (2u8..=6, any::<bool>()).prop_map(|(bits, signed)| {
        let signedness = if signed {
            Signedness::Signed
        } else {
            Signedness::Unsigned
        };
        OperandFormat::new(bits, signedness).unwrap()
    })
}

/// Tables of random entries, which use all 32 bits or fewer.
fn multipliers() -> impl Strategy<Value = Multiplier> {
    (format(), format(), 0u32..=32).prop_flat_map(|(activation, weight, shift)| {
        let count = activation.cardinality() * weight.cardinality();
        let entry = prop_oneof![8 => any::<i32>(), 1 => Just(i32::MIN), 1 => Just(i32::MAX)];
        proptest::collection::vec(entry, count.min(1024)).prop_map(move |few| {
            let entries: Vec<i32> = few
                .into_iter()
                .cycle()
                .take(count)
                .map(|entry| entry.checked_shr(shift).unwrap_or(0))
                .collect();
            Multiplier::from_slice("m", activation, weight, &entries).unwrap()
        })
    })
}

#[rstest]
#[case("mul8s_1KVP")]
#[case("mul8u_17C8")]
fn files_of_bundled_circuits_are_read_by_their_name_alone(#[case] name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let circuit = evoapprox::multiplier(name).unwrap();
    for (format, _, says_formats) in KINDS {
        let path = folder.path().join(format!("{name}.{}", format.extension()));
        export::write(&circuit, &path, format).unwrap();
        let imported = import::read(&path, &ImportOptions::default()).unwrap();
        assert_eq!(imported.multiplier.hash(), circuit.hash(), "{format}");
        assert_eq!(imported.multiplier.name(), name);
        // The name of the file says the signedness where the file does not.
        assert_eq!(
            imported.notes.is_empty(),
            says_formats,
            "{:?}",
            imported.notes
        );
    }
}

#[test]
fn twelve_bit_circuits_survive_every_file() {
    let circuit = evoapprox::multiplier("mul12s_2QH").unwrap();
    let table = Multiplier::from_table("m", circuit.to_table().unwrap());
    // As a Verilog table it would have half a gigabyte.
    let kinds = KINDS
        .iter()
        .filter(|(format, ..)| *format != ExportFormat::Verilog);
    for &(format, kind, _) in kinds {
        let bytes = export::to_bytes(&table, format).unwrap();
        let imported = import::parse(&bytes, kind, "m", &options_for(&circuit)).unwrap();
        // The content itself: hashing it as often would take most of the time.
        assert!(imported.multiplier.table() == table.table(), "{format}");
    }
}

/// What has no table survives in this project's own files, with everything that belongs to it.
#[test]
fn own_files_hold_every_definition() {
    let format = OperandFormat::signed(16).unwrap();
    let multipliers = [
        Multiplier::exact(format, OperandFormat::UINT8),
        evoapprox::multiplier("mul16s_GRU").unwrap(),
        Multiplier::from_htp(evoapprox::htp("mul16s_GSM").unwrap()),
        MultiplierFamily::Drum { k: 6 }
            .multiplier(format, format)
            .unwrap(),
        evoapprox::multiplier("mul8u_17C8")
            .unwrap()
            .with_hardware(HardwareFigures::new("7 nm"))
            .with_name("*/ \"mine\"\n"),
    ];
    for multiplier in multipliers {
        let bytes = export::to_bytes(&multiplier, ExportFormat::Own).unwrap();
        let options = ImportOptions::default();
        let imported = import::parse(&bytes, FileKind::Own, "other", &options).unwrap();
        assert_eq!(imported.multiplier, multiplier);
        assert_eq!(imported.multiplier.hash(), multiplier.hash());
    }
}

#[test]
fn own_files_of_another_content_are_refused() {
    let circuit = evoapprox::multiplier("mul8s_1L2J").unwrap();
    let text = String::from_utf8(export::to_bytes(&circuit, ExportFormat::Own).unwrap()).unwrap();
    let other = evoapprox::multiplier("mul8s_1KV9")
        .unwrap()
        .hash()
        .to_string();
    for (found, replaced, expected) in [
        (
            circuit.hash().to_string().as_str(),
            other.as_str(),
            "content hash",
        ),
        ("\"version\": 1", "\"version\": 2", "version 2"),
        (
            "\"approx-multiplier\"",
            "\"operand-trace\"",
            "operand-trace",
        ),
        ("\"multiplier\":", "\"multiplicator\":", "unknown field"),
        ("\"bits\": 8", "\"bits\": 7", "after the last"),
        ("{", "", "invalid type"),
        ("}", "", "EOF"),
    ] {
        assert!(text.contains(found), "{found}");
        let text = text.replace(found, replaced);
        let error = import::parse(
            text.as_bytes(),
            FileKind::Own,
            "m",
            &ImportOptions::default(),
        );
        let error = error.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.location().unwrap().position.is_some());
    }
}

/// A few hundred bytes could otherwise ask for terabytes.
#[test]
fn own_files_of_very_many_factors_are_refused() {
    let format = OperandFormat::signed(16).unwrap();
    let drum = MultiplierFamily::Drum { k: 3 }
        .multiplier(format, format)
        .unwrap();
    let text = String::from_utf8(export::to_bytes(&drum, ExportFormat::Own).unwrap()).unwrap();
    let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let terms = &mut file["multiplier"]["definition"]["factored"]["terms"];
    let term = terms[0].clone();
    *terms = vec![term; 129].into();
    let bytes = file.to_string().into_bytes();
    let error = import::parse(&bytes, FileKind::Own, "m", &ImportOptions::default()).unwrap_err();
    assert!(error.to_string().contains("at most 16777216"), "{error}");
}

#[test]
fn what_was_assumed_is_noted() {
    let exact = Multiplier::exact(OperandFormat::UINT8, OperandFormat::UINT8);
    let bytes = export::to_bytes(&exact, ExportFormat::Binary).unwrap();
    let read = |name: &str, options: &ImportOptions| {
        import::parse(&bytes, FileKind::Binary, name, options).unwrap()
    };
    let guessed = read("table", &ImportOptions::default());
    assert!(guessed.multiplier.activation().is_signed());
    assert!(
        guessed.notes[0].contains("taken as signed"),
        "{:?}",
        guessed.notes
    );
    assert!(
        guessed.notes[1].contains("Read as unsigned"),
        "{:?}",
        guessed.notes
    );

    let named = read("mul8u_L40", &ImportOptions::default());
    assert_eq!(
        named.multiplier.to_table().unwrap(),
        exact.to_table().unwrap()
    );
    assert!(named.notes[0].contains("mul8u_L40"), "{:?}", named.notes);

    let options = ImportOptions {
        signedness: Some([Signedness::Unsigned; 2]),
        ..ImportOptions::default()
    };
    let told = read("mul8s_L40", &options);
    assert_eq!(
        told.multiplier.to_table().unwrap(),
        exact.to_table().unwrap()
    );
    assert!(told.notes.is_empty());
}

#[test]
fn the_kind_is_told_by_content_and_name() {
    let folder = tempfile::tempdir().unwrap();
    let circuit = evoapprox::multiplier("mul8s_1L2J").unwrap();
    let unnamed = folder.path().join("table");
    export::write(&circuit, &unnamed, ExportFormat::Npy).unwrap();
    let imported = import::read(&unnamed, &ImportOptions::default()).unwrap();
    assert_eq!(imported.multiplier.hash(), circuit.hash());

    export::write(&circuit, &unnamed, ExportFormat::Csv).unwrap();
    let error = import::read(&unnamed, &ImportOptions::default()).unwrap_err();
    assert!(matches!(error, ImportError::Undetermined { .. }));
    assert!(error.to_string().contains(".csv"), "{error}");
    let options = ImportOptions {
        kind: Some(FileKind::Text),
        ..ImportOptions::default()
    };
    let imported = import::read(&unnamed, &options).unwrap();
    assert_eq!(imported.multiplier.hash(), circuit.hash());
    assert!(matches!(
        import::read(folder.path().join("nothing.csv"), &options),
        Err(ImportError::Io { .. })
    ));
}

#[test]
fn errors_name_the_file_and_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.csv");
    fs::write(&path, "\u{feff}0,0,0,0\n0,1,two,3\n").unwrap();
    let error = import::read(&path, &ImportOptions::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("broken.csv:2:5: found \"two\""), "{text}");
    fs::write(&path, b"0,0\n0,\xff").unwrap();
    let text = import::read(&path, &ImportOptions::default())
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("broken.csv:2:3") && text.contains("UTF-8"),
        "{text}"
    );
}

/// Sizes are looked at before memory is taken.
#[rstest]
#[case(FileKind::Npy, b"\x93NUMPY\x01\x00\x56\x00{'descr': '<i4', 'fortran_order': False, 'shape': (1099511627776, 1099511627776), }    ".to_vec(), "rows")]
#[case(FileKind::Npy, b"\x93NUMPY\x01\x00\x46\x00{'descr': '<i4', 'fortran_order': False, 'shape': (65536, 65536), }   ".to_vec(), "2^32 entries")]
#[case(FileKind::Npy, b"\x93NUMPY\x01\x00\x46\x00{'descr': '<i4', 'fortran_order': False, 'shape': (4096, 4096), }     ".to_vec(), "ends after 0")]
#[case(FileKind::Binary, vec![0; 1 << 28], "2^26 entries")]
#[case(FileKind::Binary, vec![0; (1 << 20) + 1], "4 for each product")]
#[case(FileKind::Text, "0 ".repeat((1 << 24) + (1 << 18)).replacen(' ', "\n", 1).into_bytes(), "at most")]
#[case(FileKind::CHeader, format!("int lut[] = {{{}", "0,".repeat((1 << 24) + 1)).into_bytes(), "at most 16777216")]
#[case(FileKind::CHeader, format!("int lut[] = {}", "{".repeat(1 << 20)).into_bytes(), "an integer")]
#[case(FileKind::Own, "[".repeat(1 << 20).into_bytes(), "found")]
fn large_inputs_are_refused_quickly(
    #[case] kind: FileKind,
    #[case] bytes: Vec<u8>,
    #[case] expected: &str,
) {
    let start = std::time::Instant::now();
    let error = import::parse(&bytes, kind, "m", &ImportOptions::default()).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());

    let options = ImportOptions {
        max_bytes: 20,
        ..ImportOptions::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    fs::write(&path, &bytes[..21]).unwrap();
    let options_of_kind = ImportOptions {
        kind: Some(kind),
        ..options.clone()
    };
    for result in [
        import::parse(&bytes, kind, "m", &options),
        import::read(&path, &options_of_kind),
    ] {
        assert!(matches!(
            result,
            Err(ImportError::TooLarge { limit: 20, .. })
        ));
    }
}

/// The products that a Verilog module gives, by the index `{a, b}`: its ports' widths and its cases, read as a
/// simulator would.
fn products_of_verilog(text: &str) -> (Vec<(bool, u32)>, Vec<i64>) {
    let ports: Vec<(bool, u32)> = text
        .lines()
        .filter(|line| line.contains("put "))
        .map(|line| {
            let high = line.split(['[', ':']).nth(1).unwrap();
            (line.contains("signed"), high.parse::<u32>().unwrap() + 1)
        })
        .collect();
    let (signed, width) = ports[2];
    let mut products = Vec::new();
    for line in text.lines().filter(|line| line.contains(": product = ")) {
        let numbers: Vec<(u32, u64)> = line
            .split_whitespace()
            .filter_map(|word| word.split_once("'h"))
            .map(|(width, digits)| {
                let digits = digits.trim_end_matches([':', ';']);
                (
                    width.parse().unwrap(),
                    u64::from_str_radix(digits, 16).unwrap(),
                )
            })
            .collect();
        let [(index_width, index), (product_width, product)] = numbers[..] else {
            continue;
        };
        assert_eq!(
            (index_width, index),
            (ports[0].1 + ports[1].1, products.len() as u64)
        );
        assert_eq!(product_width, width);
        assert!(product >> width == 0);
        let negative = signed && product >> (width - 1) == 1;
        products.push(product as i64 - if negative { 1 << width } else { 0 });
    }
    (ports, products)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_file_is_read_as_the_same_multiplier(multiplier in multipliers(), swap_operands: bool) {
        let options = ImportOptions { swap_operands, ..options_for(&multiplier) };
        // What is written has the operands in the order of the file.
        let written = if swap_operands { multiplier.swapped() } else { multiplier.clone() };
        for (format, kind, says_formats) in KINDS {
            let bytes = export::to_bytes(&written, format).unwrap();
            let imported = import::parse(&bytes, kind, "m", &options).unwrap();
            prop_assert_eq!(imported.multiplier.hash(), multiplier.hash(), "{}", format);
            prop_assert!(imported.notes.is_empty());
            if says_formats {
                let options = ImportOptions { swap_operands, ..ImportOptions::default() };
                let imported = import::parse(&bytes, kind, "m", &options).unwrap();
                prop_assert_eq!(imported.multiplier.hash(), multiplier.hash(), "{}", format);
                prop_assert!(imported.notes.is_empty());
            }
        }
    }

    #[test]
    fn verilog_holds_every_product(multiplier in multipliers()) {
        let bytes = export::to_bytes(&multiplier, ExportFormat::Verilog).unwrap();
        let (ports, products) = products_of_verilog(std::str::from_utf8(&bytes).unwrap());
        for (port, format) in ports.iter().zip([multiplier.activation(), multiplier.weight()]) {
            prop_assert_eq!(*port, (format.is_signed(), u32::from(format.bits())));
        }
        let read = approx_multiplier::ProductTable::from_entries(multiplier.activation(), multiplier.weight(), &products);
        let read = Multiplier::from_table("m", read.unwrap());
        prop_assert_eq!(read.hash(), multiplier.hash());
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for (_, kind, _) in KINDS {
            let _ = import::parse(&bytes, kind, "m", &ImportOptions::default());
        }
    }

    #[test]
    fn any_text_of_the_right_alphabet_is_answered(text in "[-+0-9a-f.,;#{}\\[\\]= \\t\\nx\"/*]{0,200}") {
        for (_, kind, _) in KINDS {
            let _ = import::parse(text.as_bytes(), kind, "m", &ImportOptions::default());
            let _ = import::parse(format!("int t[4][4] = {{{text}").as_bytes(), kind, "m", &ImportOptions::default());
        }
    }

    /// Damage anywhere in a file gives an error or another multiplier, whatever the options.
    #[test]
    fn damaged_files_are_answered(
        position: prop::sample::Index, byte: u8, cut: bool, bits in proptest::option::of(any::<[u8; 2]>()),
    ) {
        let format = OperandFormat::signed(3).unwrap();
        let multiplier = Multiplier::from_fn("m", format, format, |a, b| a * b - 3).unwrap();
        let options = ImportOptions { bits, ..ImportOptions::default() };
        for (format, kind, _) in KINDS {
            let mut bytes = export::to_bytes(&multiplier, format).unwrap();
            let position = position.index(bytes.len());
            if cut {
                bytes.truncate(position);
            } else {
                bytes[position] = byte;
            }
            match import::parse(&bytes, kind, "m", &options) {
                Ok(imported) => prop_assert!(imported.multiplier.table().is_some()),
                Err(error) => prop_assert!(error.location().is_some(), "{}", error),
            }
        }
    }
}
