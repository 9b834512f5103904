//! A bounded run of what the fuzz targets in `fuzz` do without end: the readers on arbitrary bytes, on the corpus, and on
//! files of the corpus in which bytes were changed, cut out or repeated. Whatever comes, there is an answer.

#[path = "../../fuzz/src/lib.rs"]
mod readers;

use std::path::Path;

use approx_multiplier::import::FileKind;
use proptest::prelude::*;

/// Whether a file can be read.
type Reader = fn(&[u8]) -> bool;

/// The name of every fuzz target, which is that of its folder in the corpus, and what it does.
const TARGETS: [(&str, Reader); 12] = [
    ("npy", |bytes| readers::multiplier(bytes, FileKind::Npy)),
    ("text", |bytes| readers::multiplier(bytes, FileKind::Text)),
    ("binary", |bytes| {
        readers::multiplier(bytes, FileKind::Binary)
    }),
    ("c_header", |bytes| {
        readers::multiplier(bytes, FileKind::CHeader)
    }),
    ("own", |bytes| readers::multiplier(bytes, FileKind::Own)),
    ("c_source", |bytes| {
        readers::multiplier(bytes, FileKind::CSource)
    }),
    ("verilog", |bytes| {
        readers::multiplier(bytes, FileKind::Verilog)
    }),
    ("blif", |bytes| readers::multiplier(bytes, FileKind::Blif)),
    ("liberty", readers::liberty),
    ("npz", readers::npz),
    ("pickle", readers::pickle),
    ("onnx", readers::onnx),
];

/// The files of the corpus, each with the name and the reader of its kind.
fn corpus() -> Vec<(&'static str, Reader, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let mut files = Vec::new();
    for (name, reader) in TARGETS {
        let mut paths: Vec<_> = std::fs::read_dir(folder.join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        files.extend(
            paths
                .iter()
                .map(|path| (name, reader, std::fs::read(path).unwrap())),
        );
    }
    files
}

#[test]
fn the_corpus_has_files_of_every_kind_that_can_be_read() {
    let files = corpus();
    for (target, reader) in TARGETS {
        let mut own = files.iter().filter(|(name, ..)| *name == target);
        assert!(own.any(|(.., bytes)| reader(bytes)), "{target}");
    }
    // Nor does a file of one kind confuse the reader of another.
    for (.., bytes) in &files {
        for (_, reader) in TARGETS {
            reader(bytes);
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
        for (_, reader) in TARGETS {
            reader(&bytes);
        }
    }

    #[test]
    fn changed_files_are_answered(file in any::<prop::sample::Index>(), changes in prop::collection::vec(change(), 1..6)) {
        let files = corpus();
        let (_, reader, mut bytes) = files[file.index(files.len())].clone();
        for change in changes {
            change.apply(&mut bytes);
        }
        reader(&bytes);
    }
}
