//! Packs EvoApproxLib's truth tables into the file that this crate bundles.
//!
//! ```text
//! cargo run -p approx-multiplier --example pack_evoapprox -- SOURCE DESTINATION
//! ```
//!
//! SOURCE holds `multipliers.json`, `htp_models.json` and the truth tables as `lut/<name>.npy`; DESTINATION, this
//! crate's `data` folder, receives copies of the two and `tables.bin`. The file's layout: for each table the length of
//! its name in one byte, the name, the length of the compressed entries in four little-endian bytes, and those
//! (`ProductTable::to_compressed`).

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use approx_multiplier::{OperandFormat, ProductTable};
use serde::Deserialize;

/// What is needed of an element of `multipliers.json`.
#[derive(Deserialize)]
struct Record {
    name: String,
    bits: u8,
    signed: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let folders: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [source, destination] = folders.as_slice() else {
        return Err("usage: pack_evoapprox SOURCE DESTINATION".into());
    };
    let records: Vec<Record> = serde_json::from_slice(&fs::read(source.join("multipliers.json"))?)?;
    let mut packed = Vec::new();
    for record in records.iter().filter(|record| record.bits == 8) {
        append_table(&mut packed, source, record)?;
    }
    fs::write(destination.join("tables.bin"), &packed)?;
    for copied in ["multipliers.json", "htp_models.json"] {
        fs::write(destination.join(copied), fs::read(source.join(copied))?)?;
    }
    println!("tables.bin has {} bytes", packed.len());
    Ok(())
}

/// Appends one truth table, after checking that it can be read back.
fn append_table(
    packed: &mut Vec<u8>,
    source: &Path,
    record: &Record,
) -> Result<(), Box<dyn Error>> {
    let format = if record.signed {
        OperandFormat::signed(record.bits)?
    } else {
        OperandFormat::unsigned(record.bits)?
    };
    let path = source.join("lut").join(&record.name).with_extension("npy");
    let table = ProductTable::from_npy(path, format, format)?;
    let compressed = table.to_compressed();
    if ProductTable::from_compressed(format, format, &compressed)? != table {
        return Err(format!("{} does not survive compression", record.name).into());
    }
    packed.push(record.name.len().try_into()?);
    packed.extend(record.name.as_bytes());
    packed.extend(u32::try_from(compressed.len())?.to_le_bytes());
    packed.extend(compressed);
    Ok(())
}
