//! Writing files so that a reader sees the old content or the new, never a part.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Replaces the file at `path` by one with this content: a temporary file beside it is written first, then renamed.
///
/// # Errors
///
/// What the operating system says; the old file is then as it was.
pub fn write_atomically(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Whatever keeps this from working is the fault already being reported.
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_and_nothing_stays_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        for content in ["first", "second"] {
            write_atomically(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);

        // A directory cannot be replaced by a file.
        let taken = directory.path().join("taken");
        fs::create_dir_all(taken.join("inside")).unwrap();
        assert!(write_atomically(&taken, b"content").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }
}
