//! This project's own files: any multiplier in JSON, with a version and the hash of its content.

use serde::{Deserialize, Serialize};

use super::review::measured;
use super::{ImportError, ImportOptions, Imported, Position};
use crate::Multiplier;

/// What the field `format` holds.
const FORMAT: &str = "approx-multiplier";

/// The version that is written, and the only one there is.
const VERSION: u32 = 1;

/// The whole file.
#[derive(Serialize)]
struct Content<'a> {
    format: &'a str,
    version: u32,
    multiplier: &'a Multiplier,
}

/// What is looked at first: a file of another version may hold anything else.
#[derive(Deserialize)]
struct Envelope {
    format: String,
    version: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnedContent {
    #[serde(rename = "format")]
    _format: String,
    #[serde(rename = "version")]
    _version: u32,
    multiplier: Multiplier,
}

pub(super) fn parse(text: &str, options: &ImportOptions) -> Result<Imported, ImportError> {
    let Envelope { format, version } =
        serde_json::from_str(text).map_err(|error| unexpected(text, &error))?;
    if format != FORMAT || version != VERSION {
        return Err(ImportError::Unexpected {
            location: Position { line: 1, column: 1 }.into(),
            found: format!("a file of the format {format:?}, version {version}"),
            expected: format!("{FORMAT:?}, version {VERSION}"),
        });
    }
    let OwnedContent { multiplier, .. } =
        serde_json::from_str(text).map_err(|error| unexpected(text, &error))?;
    let metrics = measured(&multiplier)?;
    Ok(Imported {
        multiplier: if options.swap_operands {
            multiplier.swapped()
        } else {
            multiplier
        },
        notes: vec![],
        metrics: Some(metrics),
    })
}

fn unexpected(text: &str, error: &serde_json::Error) -> ImportError {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    // Some errors have no place: they are about the whole.
    let line = error.line().clamp(1, text.lines().count().max(1));
    ImportError::Unexpected {
        location: Position {
            line,
            column: error.column().max(1),
        }
        .into(),
        found: message.strip_suffix(&place).unwrap_or(&message).into(),
        expected: "a multiplier file in JSON, as this project writes it".into(),
    }
}

/// The text of a file, which ends in a new line.
pub(crate) fn write(
    multiplier: &Multiplier,
    mut writer: &mut dyn std::io::Write,
) -> std::io::Result<()> {
    let content = Content {
        format: FORMAT,
        version: VERSION,
        multiplier,
    };
    serde_json::to_writer_pretty(&mut writer, &content)?;
    writeln!(writer)
}
