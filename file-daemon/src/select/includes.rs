//! The includes of a FileSet, normalised: absolute, unique, longest first, so that a path belongs to the nearest one.

use common::fileset::Include;

/// Includes, longest path first, each with its ordinal in the FileSet.
#[derive(Debug, Clone)]
pub struct Includes(Vec<(usize, Include)>);

/// Where a path stands relative to the includes.
pub(super) enum Standing<'a> {
    /// The path is this include.
    Itself(usize),
    /// Below this include.
    Below(usize, &'a Include),
    /// Below none.
    Outside,
}

impl Includes {
    /// Sorts checked includes (see [`normalise`]).
    pub(super) fn new(includes: Vec<Include>) -> Self {
        let mut list: Vec<(usize, Include)> = includes.into_iter().enumerate().collect();
        list.sort_by(|a, b| b.1.path.len().cmp(&a.1.path.len()).then(a.0.cmp(&b.0)));
        Self(list)
    }

    /// In order of the paths, for the start of a walk.
    pub(super) fn by_path(&self) -> Vec<&Include> {
        let mut list: Vec<&Include> = self.0.iter().map(|(_, i)| i).collect();
        list.sort_by(|a, b| a.path.cmp(&b.path));
        list
    }

    /// The include a path belongs to.
    pub(super) fn standing(&self, path: &[u8]) -> Standing<'_> {
        for (ordinal, include) in &self.0 {
            match tail_below(&include.path, path) {
                Some([]) => return Standing::Itself(*ordinal),
                Some(_) => return Standing::Below(*ordinal, include),
                None => {}
            }
        }
        Standing::Outside
    }

    /// The include with its ordinal, when `path` is one or lies below one.
    pub(super) fn of(&self, path: &[u8]) -> Option<(usize, &Include)> {
        let found = self
            .0
            .iter()
            .find(|(_, i)| tail_below(&i.path, path).is_some());
        found.map(|(ordinal, include)| (*ordinal, include))
    }

    /// The path of the include with this ordinal.
    pub(super) fn path(&self, ordinal: usize) -> Option<&[u8]> {
        let found = self.0.iter().find(|(o, _)| *o == ordinal);
        found.map(|(_, include)| include.path.as_slice())
    }

    /// Whether an include lies strictly below `directory`.
    pub(super) fn any_below(&self, directory: &[u8]) -> bool {
        self.0
            .iter()
            .any(|(_, i)| tail_below(directory, &i.path).is_some_and(|tail| !tail.is_empty()))
    }

    /// The names in `directory` that lead to includes below it, sorted, each once.
    pub(super) fn names_below(&self, directory: &[u8]) -> Vec<&[u8]> {
        let mut names: Vec<&[u8]> = self
            .0
            .iter()
            .filter_map(|(_, i)| tail_below(directory, &i.path))
            .filter_map(|tail| tail.split(|b| *b == b'/').next())
            .filter(|name| !name.is_empty())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// What follows `folder` in `path` without the slash between; empty when they are equal, `None` when `path` is elsewhere.
#[must_use]
pub fn tail_below<'a>(folder: &[u8], path: &'a [u8]) -> Option<&'a [u8]> {
    if folder == b"/" {
        return path.strip_prefix(b"/");
    }
    match path.strip_prefix(folder)? {
        [] => Some(&[]),
        [b'/', tail @ ..] => Some(tail),
        _ => None,
    }
}

/// An absolute path without a final slash, or `None` when it is relative or has empty, `.` or `..` parts.
#[must_use]
pub fn normalise(path: &[u8]) -> Option<Vec<u8>> {
    if path.contains(&0) {
        return None;
    }
    let body = path.strip_prefix(b"/")?;
    let body = body.strip_suffix(b"/").unwrap_or(body);
    let bad = |part: &[u8]| part.is_empty() || part == b"." || part == b"..";
    if body.is_empty() {
        return (path == b"/").then(|| b"/".to_vec());
    }
    if body.split(|b| *b == b'/').any(bad) {
        return None;
    }
    Some([b"/", body].concat())
}
