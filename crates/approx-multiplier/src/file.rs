//! Files that are replaced in one step: another process sees the old content or the new one, never half of either.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::MultiplierError;

/// Writes a file under a temporary name beside its own, and renames it when all of it is on the disk. A link stays a
/// link, to the new content; what is no file, a pipe for instance, is written to as it is.
///
/// ```
/// use approx_multiplier::export;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("notes.txt");
/// export::replace_file(&path, |writer| writer.write_all(b"all of it, or nothing"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`MultiplierError::Io`] if the file cannot be written, or `write` fails: then the old file is still there.
pub fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), MultiplierError> {
    try_replace(path, write).map_err(|source| MultiplierError::Io {
        operation: "write",
        path: path.into(),
        source,
    })
}

/// What the name of a file that is being written ends with.
const TEMPORARY: &str = ".tmp";

fn try_replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    // A rename would put a file in the place of a device.
    if path
        .metadata()
        .is_ok_and(|found| !found.is_file() && !found.is_dir())
    {
        let mut writer = BufWriter::new(File::options().write(true).open(path)?);
        write(&mut writer)?;
        return writer.flush();
    }
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.into());
    // A rename is atomic only inside one file system, so the temporary file stands beside the final one.
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        let missing = format!("there is no folder {}", folder.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, missing));
    }
    // By its name, the next one to write the file removes what a killed one has left.
    let name = path.file_name().unwrap_or_default();
    let mut left = name.to_os_string();
    left.push(TEMPORARY);
    match fs::remove_file(folder.join(left)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(name).suffix(TEMPORARY).rand_bytes(0);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As for any new file, the process's umask takes its part away; the default would be for the owner alone.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    let mut writer = BufWriter::new(&mut file);
    write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("content");
        replace(&path, |writer| writer.write_all(b"old")).unwrap();
        let error = replace(&path, |writer| {
            writer.write_all(b"new")?;
            Err(io::Error::other("interrupted"))
        })
        .unwrap_err();
        assert!(error.to_string().contains("interrupted"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_is_neither_made_nor_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let error = replace(&missing.join("content"), |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("there is no folder"), "{error}");
        fs::create_dir(&missing).unwrap();
        replace(&missing, |_| Ok(())).unwrap_err();
        assert!(missing.is_dir());
    }

    #[cfg(unix)]
    #[test]
    fn links_and_what_is_no_file_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, |writer| writer.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(link.is_symlink());

        // Nothing can be written to a socket by its name, but it could be renamed over.
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        replace(&socket, |writer| writer.write_all(b"new")).unwrap_err();
        assert!(!socket.metadata().unwrap().is_file());
    }
}
