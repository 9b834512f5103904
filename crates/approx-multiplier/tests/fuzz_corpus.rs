//! A bounded run of what the fuzz targets in `fuzz` do without end: the importers on arbitrary bytes, on the corpus,
//! and on files of the corpus in which bytes were changed, cut out or repeated. Whatever comes, there is an answer.

use std::path::Path;

use approx_multiplier::import::{FileKind, ImportOptions, parse};
use proptest::prelude::*;

/// Every kind with the name of its fuzz target, which is that of its folder in the corpus.
const KINDS: [(&str, FileKind); 8] = [
    ("npy", FileKind::Npy),
    ("text", FileKind::Text),
    ("binary", FileKind::Binary),
    ("c_header", FileKind::CHeader),
    ("own", FileKind::Own),
    ("c_source", FileKind::CSource),
    ("verilog", FileKind::Verilog),
    ("blif", FileKind::Blif),
];

/// The files of the corpus, each with its kind.
fn corpus() -> Vec<(FileKind, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut files = Vec::new();
    for (name, kind) in KINDS {
        let mut paths: Vec<_> = std::fs::read_dir(folder.join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        files.extend(
            paths
                .iter()
                .map(|path| (kind, std::fs::read(path).unwrap())),
        );
    }
    files
}

fn answer(kind: FileKind, bytes: &[u8]) -> bool {
    parse(bytes, kind, "fuzzed", &ImportOptions::default()).is_ok()
}

#[test]
fn the_corpus_has_files_of_every_kind_that_can_be_read() {
    let files = corpus();
    for (name, kind) in KINDS {
        let readable = files
            .iter()
            .any(|(of, bytes)| *of == kind && answer(kind, bytes));
        assert!(readable, "{name}");
    }
    // Nor does a file of one kind confuse the importer of another.
    for (_, bytes) in &files {
        for (_, kind) in KINDS {
            answer(kind, bytes);
        }
    }
}

/// A change of a file: at a place, in proportion to its length.
#[derive(Clone, Debug)]
enum Change {
    Set(f64, u8),
    Insert(f64, Vec<u8>),
    Cut(f64, usize),
    Repeat(f64, usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0.0..1.0, any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (0.0..1.0, prop::collection::vec(any::<u8>(), 1..8))
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (
            0.0..1.0,
            prop::sample::select(vec![
                "-",
                "9999999999",
                "{",
                "}",
                "[",
                ",",
                "\"",
                "\n",
                "#",
                "1e308",
                "0x",
                "/*",
                "(",
                "~",
                ";",
                "\\",
                "=",
                " << ",
                "65535"
            ])
        )
            .prop_map(|(at, text)| Change::Insert(at, text.into())),
        (0.0..1.0, 1usize..64).prop_map(|(at, count)| Change::Cut(at, count)),
        (0.0..1.0, 1usize..32, 1usize..64)
            .prop_map(|(at, count, times)| Change::Repeat(at, count, times)),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |at: f64| (at * bytes.len() as f64) as usize;
        match self {
            Self::Set(at, byte) => {
                let place = place(*at);
                if let Some(old) = bytes.get_mut(place) {
                    *old = *byte;
                }
            }
            Self::Insert(at, more) => {
                let place = place(*at);
                bytes.splice(place..place, more.iter().copied());
            }
            Self::Cut(at, count) => {
                let place = place(*at);
                bytes.drain(place..bytes.len().min(place + count));
            }
            Self::Repeat(at, count, times) => {
                let place = place(*at);
                let part = bytes[place..bytes.len().min(place + count)].repeat(*times);
                bytes.splice(place..place, part);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn arbitrary_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for (_, kind) in KINDS {
            answer(kind, &bytes);
        }
    }

    #[test]
    fn changed_files_are_answered(file in any::<prop::sample::Index>(), changes in prop::collection::vec(change(), 1..6)) {
        let files = corpus();
        let (kind, mut bytes) = files[file.index(files.len())].clone();
        for change in changes {
            change.apply(&mut bytes);
        }
        answer(kind, &bytes);
    }
}
