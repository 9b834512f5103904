//! Writing files so that a reader sees the old content or the new, never a part: a temporary file beside the final one
//! is written first, then renamed. What a killed program leaves under the temporary name is replaced by the next one.

use std::fs::{self, File};
use std::path::Path;

/// Replaces the file at `path` by one with this content.
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("report.json");
/// approx_experiment::files::write_atomically(&path, b"{}")?;
/// assert_eq!(std::fs::read(&path)?, b"{}");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// What the operating system says; the old file is then as it was.
pub fn write_atomically(path: &Path, content: &[u8]) -> std::io::Result<()> {
    replace(path, |temporary| fs::write(temporary, content))
}

/// Replaces the file at `path` by the one that `write` writes to the path that it is given.
///
/// # Errors
///
/// What `write` or the operating system says; the old file is then as it was.
pub fn replace<E: From<std::io::Error>>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let in_place = || -> std::io::Result<()> {
        // A name must not be on the disk before the content is.
        File::options().write(true).open(&temporary)?.sync_all()?;
        fs::rename(&temporary, path)
    };
    let written = write(&temporary).and_then(|()| Ok(in_place()?));
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
        let failed = replace(&path, |temporary| {
            fs::write(temporary, "half")?;
            Err(std::io::Error::other("interrupted"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "interrupted");
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);

        // A directory cannot be replaced by a file.
        let taken = directory.path().join("taken");
        fs::create_dir_all(taken.join("inside")).unwrap();
        assert!(write_atomically(&taken, b"content").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }
}
