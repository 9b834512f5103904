//! The lines of a journal.
//!
//! Which images were right are bits, the first image the lowest bit of the first byte, written as hexadecimal digits. A
//! loss is the sixteen digits of its bits, so that it comes back the same, finite or not. A check of all that ends the
//! line, so that one which was damaged on its way from another machine, or changed by hand, is none.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Digest, FORMAT};
use crate::measure::Outcome;

/// What a header begins with.
const HEADER: &[u8] = b"{\"format\":";

/// A line that was read.
pub(super) enum Line {
    Header {
        format: u32,
        key: String,
    },
    Measurement {
        digest: Digest,
        block: usize,
        outcome: Outcome,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Record<'a> {
    Header {
        format: u32,
        key: std::borrow::Cow<'a, str>,
    },
    Measurement {
        assignment: String,
        block: usize,
        images: usize,
        right: String,
        loss: String,
        check: String,
    },
}

impl Record<'_> {
    fn line(&self) -> String {
        // A record has only numbers and texts, which are always written.
        serde_json::to_string(self).map_or_else(|_| String::new(), |text| text + "\n")
    }
}

/// The header of a journal, with its line's end.
pub(super) fn header(key: &str) -> String {
    Record::Header {
        format: FORMAT,
        key: key.into(),
    }
    .line()
}

/// The line of a measurement, with its end.
pub(super) fn measurement(digest: &Digest, block: usize, outcome: &Outcome) -> String {
    let byte = |right: &[bool]| {
        right
            .iter()
            .rev()
            .fold(0_u8, |byte, right| byte << 1 | u8::from(*right))
    };
    let bytes: Vec<u8> = outcome.right.chunks(8).map(byte).collect();
    let right = hex::encode(bytes);
    let loss = format!("{:016x}", outcome.loss.to_bits());
    let record = Record::Measurement {
        check: check(&digest.0, block, outcome.images(), &right, &loss),
        assignment: digest.0.clone(),
        block,
        images: outcome.images(),
        right,
        loss,
    };
    record.line()
}

/// The first eight digits of the SHA-256 of a measurement.
fn check(assignment: &str, block: usize, images: usize, right: &str, loss: &str) -> String {
    let text = format!("{assignment} {block} {images} {right} {loss}");
    hex::encode(&Sha256::digest(text)[..4])
}

impl Line {
    /// Reads a line without its end, or says what is wrong with it.
    ///
    /// Where journals were put one behind the other, a header may follow a torn line without a line's end between.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let record: Record<'_> = match serde_json::from_slice(text) {
            Ok(record) => record,
            Err(error) => {
                let header = (1..text.len())
                    .rev()
                    .find(|start| text[*start..].starts_with(HEADER));
                let rest = header.ok_or_else(|| error.to_string())?;
                serde_json::from_slice(&text[rest..]).map_err(|error| error.to_string())?
            }
        };
        match record {
            Record::Header { format, key } => Ok(Self::Header {
                format,
                key: key.into_owned(),
            }),
            Record::Measurement {
                assignment,
                block,
                images,
                right,
                loss,
                check: found,
            } => {
                if check(&assignment, block, images, &right, &loss) != found {
                    return Err("it was damaged or changed: its check does not fit".to_owned());
                }
                let bytes = hex::decode(&right).map_err(|error| format!("`right`: {error}"))?;
                if bytes.len() != images.div_ceil(8) {
                    return Err(format!(
                        "`right` has {} bytes for {images} images",
                        bytes.len()
                    ));
                }
                let bits =
                    u64::from_str_radix(&loss, 16).map_err(|error| format!("`loss`: {error}"))?;
                let right = (0..images)
                    .map(|image| bytes[image / 8] >> (image % 8) & 1 == 1)
                    .collect();
                let outcome = Outcome {
                    right,
                    loss: f64::from_bits(bits),
                };
                Ok(Self::Measurement {
                    digest: Digest(assignment),
                    block,
                    outcome,
                })
            }
        }
    }
}
