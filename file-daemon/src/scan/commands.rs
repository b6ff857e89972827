//! Where the output of a FileSet's commands stands in the tree.

use common::fileset::FileSet;

/// What a command means for one name in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandHere {
    /// The command with this ordinal is saved here.
    Saved(usize),
    /// A directory on the way to one.
    Way,
}

/// Commands by path.
#[derive(Debug, Default)]
pub struct Commands {
    paths: Vec<(Vec<u8>, usize)>,
}

impl Commands {
    /// Of a FileSet.
    #[must_use]
    pub fn of(fileset: &FileSet) -> Self {
        let mut paths: Vec<_> = (0..)
            .zip(&fileset.commands)
            .map(|(n, c)| (c.path.clone(), n))
            .collect();
        paths.sort();
        paths.dedup_by(|a, b| a.0 == b.0);
        Self { paths }
    }

    /// Names in `directory` that are commands or lead to one.
    #[must_use]
    pub fn names_in(&self, directory: &[u8]) -> Vec<&[u8]> {
        let mut names: Vec<&[u8]> = self
            .paths
            .iter()
            .filter_map(|(path, _)| below(directory, path))
            .filter_map(|rest| rest.split(|b| *b == b'/').next())
            .collect();
        names.dedup();
        names
    }

    /// What a command means for this path.
    #[must_use]
    pub fn here(&self, path: &[u8]) -> Option<CommandHere> {
        self.paths.iter().find_map(|(command, ordinal)| {
            if command == path {
                Some(CommandHere::Saved(*ordinal))
            } else {
                below(path, command).map(|_| CommandHere::Way)
            }
        })
    }
}

/// What follows `directory/` in `path`.
fn below<'a>(directory: &[u8], path: &'a [u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(directory)?;
    let rest = if directory == b"/" {
        rest
    } else {
        rest.strip_prefix(b"/")?
    };
    (!rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::fileset::Command;

    #[test]
    fn commands_are_found_by_directory_and_path() {
        let fileset = FileSet {
            commands: [&b"/db.sql"[..], b"/dump/a/x", b"/dump/b"]
                .map(|path| Command {
                    path: path.to_vec(),
                    ..Command::default()
                })
                .to_vec(),
            ..FileSet::default()
        };
        let commands = Commands::of(&fileset);
        assert_eq!(commands.names_in(b"/"), [&b"db.sql"[..], b"dump"]);
        assert_eq!(commands.names_in(b"/dump"), [&b"a"[..], b"b"]);
        assert_eq!(commands.names_in(b"/du"), [&b""[..]; 0]);
        assert_eq!(commands.here(b"/db.sql"), Some(CommandHere::Saved(0)));
        assert_eq!(commands.here(b"/dump"), Some(CommandHere::Way));
        assert_eq!(commands.here(b"/dump/a/xy"), None);
    }
}
