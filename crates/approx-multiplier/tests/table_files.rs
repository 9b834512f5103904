//! Exports and imports of tables: what is written is read again as the same multiplier, and no input makes the readers
//! panic or take more memory than they may.

use std::fs;

use approx_multiplier::export::{self, ExportFormat};
use approx_multiplier::import::{
    self, CodeOrder, FileKind, ImportError, ImportOptions, Imported, NoteKind,
};
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

/// What files of numbers alone do not say.
fn options_for(multiplier: &Multiplier) -> ImportOptions {
    ImportOptions {
        order: Some(CodeOrder::Pattern),
        ..ImportOptions::default().with_formats(multiplier.activation(), multiplier.weight())
    }
}

/// What was assumed, and what the file says wrongly: random tables are far from products, and that is told of as well.
fn assumptions(imported: &Imported) -> Vec<String> {
    let assumed = imported
        .notes
        .iter()
        .filter(|note| note.kind.is_doubt() && note.kind != NoteKind::Warning);
    assumed.map(ToString::to_string).collect()
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
        // The name of the file says the signedness where the file does not, and nothing says the order of signed codes.
        let is_open = !says_formats && circuit.activation().is_signed();
        let assumed = assumptions(&imported);
        assert_eq!(assumed.len(), usize::from(is_open), "{assumed:?}");
        let known = format!("It is the bundled circuit {name}.");
        assert_eq!(
            imported.notes.iter().any(|note| note.text == known),
            format != ExportFormat::Own,
            "{format}"
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
    assert!(!guessed.multiplier.activation().is_signed());
    for part in [
        "whether its operands are signed, nor in which order",
        "taken as unsigned, with which the mean error is 0.0000",
        "as signed, in the order of their bit patterns it would be",
        "Give the signedness or the order",
    ] {
        assert!(
            guessed.notes[0].text.contains(part),
            "{part}: {}",
            guessed.notes[0]
        );
    }

    let named = read("mul8u_L40", &ImportOptions::default());
    assert_eq!(
        named.multiplier.to_table().unwrap(),
        exact.to_table().unwrap()
    );
    assert!(
        named.notes[0].text.contains("mul8u_L40"),
        "{:?}",
        named.notes
    );

    let options = ImportOptions {
        signedness: Some([Signedness::Unsigned; 2]),
        ..ImportOptions::default()
    };
    let told = read("mul8s_L40", &options);
    assert_eq!(
        told.multiplier.to_table().unwrap(),
        exact.to_table().unwrap()
    );
    assert_eq!(assumptions(&told), Vec::<String>::new());
}

/// A table with the entries of another one in the order of the codes' values.
fn by_value(multiplier: &Multiplier) -> Multiplier {
    let (activation, weight) = (multiplier.activation(), multiplier.weight());
    let entries: Vec<i32> = (activation.min_code()..=activation.max_code())
        .flat_map(|a| {
            let codes = weight.min_code()..=weight.max_code();
            codes.map(move |b| multiplier.product(a, b).unwrap() as i32)
        })
        .collect();
    Multiplier::from_slice("m", activation, weight, &entries).unwrap()
}

/// Tables whose rows and columns run from the lowest code to the highest are read as such, whatever their kind, where
/// that comes much nearer to the exact products, and always if it is asked for.
#[rstest]
#[case(3, 3, |a: i64, b: i64| a * b)]
#[case(4, 3, |a: i64, b: i64| 4 * (a >> 1) * (b >> 1))]
#[case(5, 6, |a: i64, b: i64| a * b - (a & b & 3))]
fn tables_may_be_in_the_order_of_values(
    #[case] activation: u8,
    #[case] weight: u8,
    #[case] product: fn(i64, i64) -> i64,
) {
    let [activation, weight] =
        [activation, weight].map(|bits| OperandFormat::signed(bits).unwrap());
    let multiplier = Multiplier::from_fn("m", activation, weight, product).unwrap();
    let file = by_value(&multiplier);
    let bits = Some([activation.bits(), weight.bits()]);
    let kinds = [
        (ExportFormat::Npy, FileKind::Npy),
        (ExportFormat::Binary, FileKind::Binary),
    ];
    for (format, kind) in kinds {
        let bytes = export::to_bytes(&file, format).unwrap();
        let read = |bytes: &[u8], order| {
            let options = ImportOptions {
                bits,
                order,
                ..ImportOptions::default()
            };
            import::parse(bytes, kind, "m", &options).unwrap()
        };
        let found = read(&bytes, None);
        assert_eq!(found.multiplier, multiplier);
        let note = &found.notes[0].text;
        let expected = "taken as signed, in the order of their values";
        assert!(note.contains(expected), "{note}");
        let value = read(&bytes, Some(CodeOrder::Value));
        assert_eq!(value.multiplier, multiplier);
        let pattern = read(&bytes, Some(CodeOrder::Pattern));
        assert_eq!(pattern.multiplier.product(0, 0), file.product(0, 0));
        // The usual order is found as well.
        let usual = read(&export::to_bytes(&multiplier, format).unwrap(), None);
        assert_eq!(usual.multiplier, multiplier);
    }
}

/// Strict imports refuse what is assumed, warned about or contradicted, and nothing else.
#[test]
fn strict_imports_assume_nothing() {
    let strict = ImportOptions {
        strict: true,
        ..ImportOptions::default()
    };
    let unsigned = ImportOptions {
        signedness: Some([Signedness::Unsigned; 2]),
        ..strict.clone()
    };
    let doubts = |text: &str, options: &ImportOptions| match import::parse(
        text.as_bytes(),
        FileKind::Text,
        "m",
        options,
    ) {
        Err(ImportError::InDoubt { doubts, .. }) => doubts.iter().map(|doubt| doubt.kind).collect(),
        other => other.map(|_| Vec::new()).unwrap(),
    };
    let exact = "0 0 0 0\n0 1 2 3\n0 2 4 6\n0 3 6 9\n";
    assert_eq!(doubts(exact, &strict), [NoteKind::Assumption]);
    assert_eq!(doubts(exact, &unsigned), []);
    let claimed = format!("# MAE = 0, WCE = 1\n{exact}");
    assert_eq!(doubts(&claimed, &unsigned), [NoteKind::Contradiction]);
    let far = "9 9 9 9\n9 9 9 9\n9 9 9 9\n9 9 9 0\n";
    assert_eq!(doubts(far, &unsigned), [NoteKind::Warning]);
}

/// Bytes of mantissas are no products, and are never taken for such in silence.
#[test]
fn tables_of_mantissas_are_warned_about() {
    let sum = |index: u8| (index / 8 + index % 8) * 16;
    let bytes: Vec<u8> = (0..64).map(sum).collect();
    let options = ImportOptions::default();
    let imported = import::parse(&bytes, FileKind::Binary, "m", &options).unwrap();
    let warnings = imported
        .notes
        .iter()
        .filter(|note| note.kind == NoteKind::Warning);
    let warnings: String = warnings.map(ToString::to_string).collect();
    for part in [
        "looks like one of a floating-point multiplier with mantissas of 3 bits",
        "far from any multiplier",
        "as 3 x 3 bits with 1 byte for each product, as unsigned it would be",
    ] {
        assert!(warnings.contains(part), "{part}: {warnings}");
    }
}

/// Rows of operands and product after lines of talk, whose claims are compared.
#[test]
fn rows_of_operands_and_products_are_read() {
    let rows = |value: fn(i64, i64) -> i64| -> String {
        let pairs = (0..8).flat_map(|a| (0..4).map(move |b| (a, b)));
        pairs
            .map(|(a, b)| format!("{a} {b} {}\n", value(a, b)))
            .collect()
    };
    let text = format!(
        "Info: 12 nets, MED = 0.25, WCE = 6\nproducts:\n{}to a (scaled by 8)\n{}to b (scaled by 2)\n{}",
        rows(|a, b| a * (b & 2)),
        rows(|_, b| 8 * b),
        rows(|a, _| a)
    );
    let options = ImportOptions::default();
    let imported = import::parse(text.as_bytes(), FileKind::Text, "m", &options).unwrap();
    let multiplier = &imported.multiplier;
    assert_eq!(multiplier.activation(), OperandFormat::unsigned(3).unwrap());
    assert_eq!(multiplier.product(7, 3), Some(14));
    let tables = multiplier.gradient_tables().unwrap();
    let at = 4 * 5 + 3;
    assert_eq!(
        (tables.by_activation()[at], tables.by_weight()[at]),
        (3.0, 2.5)
    );
    let doubts = imported.notes.iter().filter(|note| note.kind.is_doubt());
    let doubts: Vec<String> = doubts.map(ToString::to_string).collect();
    assert_eq!(doubts.len(), 2, "{doubts:?}");
    assert!(doubts[0].contains("MED = 0.25, but 1.75"), "{doubts:?}");
    // 6 may be 6.9, cut off, but not 7.
    assert!(doubts[1].contains("WCE = 6, but 7"), "{doubts:?}");
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
    // A moment; without bounds, hours. A machine that is busy may need longer.
    assert!(start.elapsed().as_secs() < 120, "{:?}", start.elapsed());

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
            prop_assert_eq!(assumptions(&imported), Vec::<String>::new());
            if says_formats {
                let options = ImportOptions { swap_operands, ..ImportOptions::default() };
                let imported = import::parse(&bytes, kind, "m", &options).unwrap();
                prop_assert_eq!(imported.multiplier.hash(), multiplier.hash(), "{}", format);
                prop_assert_eq!(assumptions(&imported), Vec::<String>::new());
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
