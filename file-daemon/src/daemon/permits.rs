//! What client.toml lets a Director do here, PURE.

use common::fileset::FileSet;
use common::name::Shown;
use common::protocol::fault::{Fault, code};

use crate::config::Config;

/// Whether a FileSet stays within what the client permits.
///
/// # Errors
/// The first path or program that does not, and where to permit it.
pub fn check_backup(config: &Config, fileset: &FileSet) -> Result<(), Fault> {
    let refused = |text: String| Err(Fault::new(code::REFUSED, text));
    for include in &fileset.includes {
        if !is_within(&config.permit_backup, &include.path) {
            return refused(format!(
                "client {} does not permit backups of {}: see permit_backup in its client.toml",
                config.name,
                Shown(&include.path)
            ));
        }
    }
    let Some(programs) = &config.permit_commands else {
        return Ok(());
    };
    let program = |c: &common::fileset::Command| c.read.first().cloned().unwrap_or_default();
    match fileset
        .commands
        .iter()
        .map(program)
        .find(|p| !programs.contains(p))
    {
        Some(program) => refused(format!(
            "client {} does not permit the command {program}: see permit_commands in its client.toml",
            config.name
        )),
        None => Ok(()),
    }
}

/// Whether `path` is one of the folders or below one.
fn is_within(folders: &[Vec<u8>], path: &[u8]) -> bool {
    folders.iter().any(|folder| {
        let folder = folder.strip_suffix(b"/").unwrap_or(folder);
        path.strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_permit_themselves_and_what_is_below() {
        let folders = [b"/home".to_vec(), b"/srv/".to_vec()];
        for (path, permitted) in [
            ("/home", true),
            ("/home/a", true),
            ("/homes", false),
            ("/", false),
            ("/srv/x", true),
            ("/srv", true),
        ] {
            assert_eq!(is_within(&folders, path.as_bytes()), permitted, "{path}");
        }
        assert!(is_within(&[b"/".to_vec()], b"/anything"));
    }
}
