//! An input that names a landing zone, or a part of one (R1, I13).
//!
//! ```text
//!   text                                         root       of it is meant
//!   raw/                                         raw/       all
//!   raw/**                                       raw/       what the glob matches
//!   raw/data                                     raw/       all
//!   raw/data/source=shop/stream=orders           raw/       what is below that folder
//!   raw/data/source=*/stream=orders/dt=2024-*/   raw/       what the glob matches
//! ```
//!
//! What manifests name is read, and nothing else. They are listed before the parts, so that a part which is
//! not found is not one that came meanwhile.

use std::collections::{HashMap, HashSet};

use super::glob::Glob;
use super::{Input, parent};
use crate::place::{GLOB_CHARACTERS, part_of, path_start};
use crate::raw::{CommittedStream, LostPart, RawError, StreamName, committed_by};
use crate::{Object, Place, PlaceError};

/// What an input names of a landing zone.
#[derive(Debug, Clone)]
#[must_use]
pub struct Landed {
    /// The root of the zone: keys begin here.
    pub root: Place,
    /// The streams, by source and name.
    pub streams: Vec<LandedStream>,
    /// Objects that no manifest names, or whose stream was replaced since: they do not count.
    pub num_left_out: u64,
}

/// What an input names of a stream.
#[derive(Debug, Clone)]
pub struct LandedStream {
    /// All that counts of the stream, whether the input names it or not.
    pub committed: CommittedStream,
    /// The parts that the input names, in the order they were committed (R4). Their etag is the SHA-256 that
    /// their manifest gives, so that a copy of the zone holds the same objects.
    pub objects: Vec<Object>,
    /// Parts that are not there as they were committed.
    pub lost: Vec<LostPart>,
}

/// A place that may be the root of a landing zone, and what of it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Zone<P> {
    root: P,
    /// A folder or glob below the root, beginning with `data`.
    below: String,
    is_glob: bool,
    /// Whether the text itself shows that it leads into such a zone.
    is_certain: bool,
    /// Whether the root is the input itself, so that a listing of it shows all that is there.
    is_whole: bool,
}

impl Input {
    /// What the input names of a landing zone; `None` when it names none, or nothing was committed there.
    ///
    /// A part that is named itself is not looked up here: it is one object as any other.
    ///
    /// Costs a request to know that there is none. Else those of [`committed`](crate::raw::committed), and one
    /// for 1,000 objects.
    ///
    /// # Errors
    ///
    /// The place fails, or a manifest is not what it should be.
    pub async fn landed(&self) -> Result<Option<Landed>, RawError> {
        for zone in self.zones()? {
            if let Some(landed) = zone.landed().await? {
                return Ok(Some(landed));
            }
        }
        Ok(None)
    }

    fn zones(&self) -> Result<Vec<Zone<Place>>, PlaceError> {
        let start = path_start(&self.text);
        let path = &self.text[start..];
        let inside = match inside_zone(path) {
            Some(zone) => Some(Zone {
                root: parent(&self.whole, &self.text, start, zone.root)?,
                below: part_of(&self.text, &zone.below),
                is_glob: zone.is_glob,
                is_certain: zone.is_certain,
                is_whole: false,
            }),
            None => None,
        };
        let is_certain = inside.as_ref().is_some_and(|zone| zone.is_certain);
        let (root, below) = match &self.glob {
            Some((root, glob)) => (root, glob.as_str()),
            None => (&self.whole, "data"),
        };
        let whole = (!is_certain).then(|| Zone {
            root: root.clone(),
            below: below.to_owned(),
            is_glob: self.glob.is_some(),
            is_certain,
            is_whole: true,
        });
        Ok(whole.into_iter().chain(inside).collect())
    }
}

/// The zone that a path leads into by its own words: its last `data` before the name of a source, a glob or
/// the end.
fn inside_zone(path: &str) -> Option<Zone<&str>> {
    let trimmed = path.strip_suffix('/').unwrap_or(path);
    let mut at = 0;
    let mut found = None;
    for folder in trimmed.split('/') {
        if folder.contains(GLOB_CHARACTERS) {
            break;
        }
        let end = at + folder.len();
        let next = trimmed[end..].strip_prefix('/').and_then(|rest| rest.split('/').next());
        let leads_in = |next: &str| next.starts_with("source=") || next.contains(GLOB_CHARACTERS);
        if folder == "data" && next.is_none_or(leads_in) {
            found = Some((at, next.is_some_and(|next| next.starts_with("source="))));
        }
        at = end + 1;
    }
    let (at, is_certain) = found?;
    let is_glob = trimmed[at..].contains(GLOB_CHARACTERS);
    let below = if is_glob { &path[at..] } else { &trimmed[at..] };
    let below = below.to_owned();
    Some(Zone { root: &path[..at], below, is_glob, is_certain, is_whole: false })
}

impl<P> Zone<P> {
    /// The folders of `below`, as far as each stands for one: what is meant is below them.
    fn folder(&self) -> String {
        let names = self.below.split('/').take_while(|name| !name.contains(GLOB_CHARACTERS));
        match names.collect::<Vec<_>>().join("/") {
            none if none.is_empty() => "data".to_owned(),
            folders => folders,
        }
    }

    /// The folder below `top` that is all about what the zone's text names: its source, its stream.
    fn about(&self, top: &str) -> String {
        let folder = self.folder();
        let mut names = folder.split('/').skip(1);
        let mut about = top.to_owned();
        for column in ["source=", "stream="] {
            match names.next().filter(|name| name.starts_with(column)) {
                Some(name) => about = format!("{about}/{name}"),
                None => break,
            }
        }
        about
    }

    /// Whether the text names folders of the layout, and not a part or something else there.
    fn is_of_layout(&self) -> bool {
        let columns = ["data", "source=", "stream=", "dt=", "run_id="];
        let mut names = self.below.split('/').zip(columns);
        let num_names = self.below.split('/').count();
        self.is_glob || (num_names <= columns.len() && names.all(|(name, c)| name.starts_with(c)))
    }
}

impl Zone<Place> {
    async fn landed(self) -> Result<Option<Landed>, RawError> {
        if !self.is_of_layout() {
            return Ok(None);
        }
        let manifests = match self.root.list_from(&self.about("manifests")).await {
            // Whoever reads the input as it is will say what is wrong with it.
            Err(error)
                if !self.is_certain && (error.is_not_found() || error.is_permission_denied()) =>
            {
                return Ok(None);
            }
            outcome => outcome?,
        };
        let streams = committed_by(&self.root, manifests).await?;
        if streams.is_empty() && !self.has_begun().await? {
            return Ok(None);
        }
        self.parts(streams).await.map(Some)
    }

    /// Whether there are runs that may commit yet, where a listing of the input would not show them.
    async fn has_begun(&self) -> Result<bool, PlaceError> {
        Ok(!self.is_whole && !self.root.list_from(&self.about("runs")).await?.is_empty())
    }

    /// Finds the parts of streams.
    async fn parts(self, streams: Vec<CommittedStream>) -> Result<Landed, RawError> {
        let listed = self.root.list_from(&self.folder()).await?;
        let glob = match self.is_glob {
            false => None,
            true => Some(Glob::new(&self.below).map_err(|source| PlaceError::InvalidGlob {
                text: self.root.address(&self.below),
                source,
            })?),
        };
        let folder = format!("{}/", self.below);
        let is_meant = |key: &str| match &glob {
            Some(glob) => glob.is_match(key),
            // Whatever a manifest names counts, where all is meant.
            None => self.below == "data" || key.starts_with(&folder),
        };
        let objects: HashMap<&str, &Object> = listed
            .iter()
            .filter(|object| is_meant(&object.key))
            .map(|object| (object.key.as_str(), object))
            .collect();
        // A stream without parts has no key to compare.
        let is_entered = |name: &StreamName| match &glob {
            Some(glob) => {
                let folder = name.data();
                let above = folder.match_indices('/').map(|(slash, _)| &folder[..slash]);
                above.chain([folder.as_str()]).all(|folder| glob.enters(folder))
            }
            None => true,
        };
        let mut counting = HashSet::new();
        let mut landed = Vec::with_capacity(streams.len());
        for committed in streams {
            let mut stream = LandedStream { committed, objects: Vec::new(), lost: Vec::new() };
            for part in stream.committed.parts.iter().filter(|part| is_meant(&part.file.key)) {
                let (file, found) = (&part.file, objects.get(part.file.key.as_str()));
                match found.filter(|object| object.size_bytes == file.size_bytes) {
                    Some(object) => stream
                        .objects
                        .push(Object { etag: Some(file.sha256.clone()), ..Object::clone(object) }),
                    None => stream.lost.push(LostPart {
                        key: file.key.clone(),
                        address: self.root.address(&file.key),
                        manifest: self.root.address(&stream.committed.name.manifest(part.sequence)),
                        size_bytes: file.size_bytes,
                        found_bytes: found.map(|object| object.size_bytes),
                    }),
                }
                counting.insert(file.key.clone());
            }
            let is_empty = stream.committed.parts.is_empty();
            let is_named = !stream.objects.is_empty() || !stream.lost.is_empty();
            if is_named || (is_empty && is_entered(&stream.committed.name)) {
                landed.push(stream);
            }
        }
        let num_left_out = objects.keys().filter(|key| !counting.contains(**key)).count() as u64;
        Ok(Landed { root: self.root, streams: landed, num_left_out })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::root("raw", None)]
    #[case::data("raw/data", Some(("raw/", "data", false)))]
    #[case::data_slash("/raw/data/", Some(("/raw/", "data", false)))]
    #[case::here("data", Some(("", "data", false)))]
    #[case::source("raw/data/source=a", Some(("raw/", "data/source=a", true)))]
    #[case::stream("raw/data/source=a/stream=b/", Some(("raw/", "data/source=a/stream=b", true)))]
    #[case::twice("/data/data/source=a", Some(("/data/", "data/source=a", true)))]
    #[case::above("/data/raw", None)]
    #[case::glob("raw/data/*/stream=b/**", Some(("raw/", "data/*/stream=b/**", false)))]
    #[case::glob_slash("raw/data/source=a*/", Some(("raw/", "data/source=a*/", true)))]
    #[case::glob_before("raw*/data/source=a", None)]
    fn r1_where_a_landing_zone_may_be(
        #[case] path: &str,
        #[case] expected: Option<(&str, &str, bool)>,
    ) {
        let zone = inside_zone(path);
        let found = zone.as_ref().map(|zone| (zone.root, zone.below.as_str(), zone.is_certain));
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case("data", true, "manifests", "data")]
    #[case("data/source=a", true, "manifests/source=a", "data/source=a")]
    #[case(
        "data/source=a/stream=b/dt=d",
        true,
        "manifests/source=a/stream=b",
        "data/source=a/stream=b/dt=d"
    )]
    #[case("data/source=a/stream=*/dt=d/**", true, "manifests/source=a", "data/source=a")]
    #[case("data/*/stream=b/**", true, "manifests", "data")]
    #[case("**", true, "manifests", "data")]
    #[case(
        "data/source=a/part-0.ndjson",
        false,
        "manifests/source=a",
        "data/source=a/part-0.ndjson"
    )]
    fn r1_what_is_looked_up(
        #[case] below: &str,
        #[case] is_of_layout: bool,
        #[case] manifests: &str,
        #[case] folder: &str,
    ) {
        let is_glob = below.contains(GLOB_CHARACTERS);
        let below = below.to_owned();
        let zone = Zone { root: (), below, is_glob, is_certain: true, is_whole: false };
        assert_eq!(zone.is_of_layout(), is_of_layout);
        assert_eq!((zone.about("manifests").as_str(), zone.folder().as_str()), (manifests, folder));
    }
}
