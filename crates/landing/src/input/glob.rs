//! Globs over keys, and which folders can hold matches.

use globset::{GlobBuilder, GlobMatcher};

/// A glob over keys, which also tells the folders that need not be read.
#[derive(Debug, Clone)]
pub(super) struct Glob {
    whole: GlobMatcher,
    /// A matcher for each of the first folders, as far as each stands for exactly one.
    folders: Vec<GlobMatcher>,
    /// Whether matches may be deeper than `folders`.
    is_deep: bool,
}

impl Glob {
    /// The glob of a pattern relative to where keys begin. A slash at its end means all that is below.
    ///
    /// # Errors
    ///
    /// The pattern does not follow the syntax.
    pub(super) fn new(pattern: &str) -> Result<Self, globset::Error> {
        let everything_below;
        let pattern = match pattern.ends_with('/') {
            true => {
                everything_below = format!("{pattern}**");
                &everything_below
            }
            false => pattern,
        };
        let whole = matcher(pattern)?;
        let (folders, is_deep) = leading_folders(pattern);
        Ok(Self { whole, folders, is_deep })
    }

    /// Whether an object of this key is meant.
    pub(super) fn is_match(&self, key: &str) -> bool {
        self.whole.is_match(key)
    }

    /// Whether there may be matches in a folder, given that the folders above it were entered.
    pub(super) fn enters(&self, folder: &str) -> bool {
        let (above, name) = match folder.rsplit_once('/') {
            Some((above, name)) => (above.split('/').count(), name),
            None => (0, folder),
        };
        match self.folders.get(above) {
            Some(matcher) => matcher.is_match(name),
            None => self.is_deep,
        }
    }
}

/// The matchers for the folders of a pattern, and whether it goes on deeper than they.
fn leading_folders(pattern: &str) -> (Vec<GlobMatcher>, bool) {
    let mut parts: Vec<&str> = pattern.split('/').collect();
    parts.pop();
    let mut folders = Vec::new();
    for part in parts {
        match matcher(part) {
            Ok(matcher) if !part.contains("**") => folders.push(matcher),
            // `**` stands for any number of folders.
            Ok(_) => return (folders, true),
            // A slash inside `{…}`: parts are not folders then.
            Err(_) => return (Vec::new(), true),
        }
    }
    (folders, pattern.ends_with("**"))
}

fn matcher(pattern: &str) -> Result<GlobMatcher, globset::Error> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).empty_alternates(true).build()?;
    Ok(glob.compile_matcher())
}

#[cfg(test)]
mod tests {
    use super::Glob;
    use rstest::rstest;

    #[rstest]
    #[case::star_in_one_part("*.json", "a.json", true)]
    #[case::star_ends_at_slash("*.json", "x/a.json", false)]
    #[case::star_as_folder("*/a.json", "x/a.json", true)]
    #[case::deep("**/a.json", "x/y/a.json", true)]
    #[case::deep_none("**/a.json", "a.json", true)]
    #[case::deep_inside("x/**/a.json", "x/a.json", true)]
    #[case::below("x/**", "x/y/z.json", true)]
    #[case::question_mark("?.json", "a.json", true)]
    #[case::question_mark_is_one("?.json", "ab.json", false)]
    #[case::class("[ab].json", "b.json", true)]
    #[case::class_negated("[!ab].json", "b.json", false)]
    #[case::either("{a,b}.json", "b.json", true)]
    #[case::either_empty("a{,.b}.json", "a.json", true)]
    #[case::either_with_slash("{x/a,y}.json", "x/a.json", true)]
    #[case::slash_at_the_end("2024-*/", "2024-05/x/a.json", true)]
    #[case::case_matters("*.json", "A.JSON", false)]
    fn r1_globs(#[case] pattern: &str, #[case] key: &str, #[case] is_match: bool) {
        let glob = Glob::new(pattern).unwrap();
        assert_eq!(glob.is_match(key), is_match);
        if is_match {
            let folders = key.match_indices('/').map(|(slash, _)| &key[..slash]);
            folders.for_each(|folder| assert!(glob.enters(folder), "{folder}"));
        }
    }

    #[rstest]
    #[case::flat("*.json", "x", false)]
    #[case::one_level("*/a.json", "x", true)]
    #[case::one_level_only("*/a.json", "x/y", false)]
    #[case::by_name("20*/a.json", "1999", false)]
    #[case::deep("**/a.json", "x/y", true)]
    #[case::name_before_deep("20*/**/a.json", "1999", false)]
    #[case::ends_deep("x*/**", "x1/y/z", true)]
    #[case::either_with_slash("{x/a,y}.json", "q", true)]
    fn folders_without_matches_are_not_read(
        #[case] pattern: &str,
        #[case] folder: &str,
        #[case] enters: bool,
    ) {
        assert_eq!(Glob::new(pattern).unwrap().enters(folder), enters);
    }
}
