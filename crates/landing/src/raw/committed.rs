//! The parts that count: the reader's side.

use std::collections::BTreeMap;
use std::pin::pin;

use futures::{StreamExt, TryStreamExt, stream};

use super::keys::parse_manifest;
use super::log::{RawError, read};
use super::{DataFile, Manifest, Mode, StreamName};
use crate::{Object, Place};

/// Streams that are looked at one time,
const MAX_CONCURRENT_STREAMS: usize = 8;
/// and manifests of each.
const MAX_CONCURRENT_READS: usize = 16;

/// What counts of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedStream {
    /// The stream.
    pub name: StreamName,
    /// The key that the newest commit declares, as JSON paths; empty when there is none.
    pub primary_key: Vec<String>,
    /// The parts in the order they were committed, from the last replacement on.
    pub parts: Vec<CommittedPart>,
    /// The number of the last commit that replaced all before it. A reader that has not seen it begins anew.
    pub last_replaced: Option<u64>,
}

/// A part that counts, and the commit that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedPart {
    /// The part.
    pub file: DataFile,
    /// The number of the commit.
    pub sequence: u64,
}

/// What counts in `raw/`, stream by stream, or `None` when nothing was ever committed there in this layout.
///
/// Costs one request per 1,000 commits, and one per commit since the stream was last replaced.
///
/// # Errors
///
/// The place fails, or a manifest is not what it should be.
pub async fn committed(place: &Place) -> Result<Option<Vec<CommittedStream>>, RawError> {
    let manifests = place.list_from("manifests").await?;
    let streams = committed_by(place, manifests).await?;
    Ok((!streams.is_empty()).then_some(streams))
}

/// What counts by these manifests of `place`; other objects are left alone.
pub(crate) async fn committed_by(
    place: &Place,
    manifests: Vec<Object>,
) -> Result<Vec<CommittedStream>, RawError> {
    let mut keys: BTreeMap<StreamName, Vec<(u64, String)>> = BTreeMap::new();
    for object in manifests {
        if let Some((name, sequence)) = parse_manifest(&object.key) {
            keys.entry(name).or_default().push((sequence, object.key));
        }
    }
    stream::iter(keys)
        .map(|(name, mut of_stream)| async move {
            of_stream.sort_unstable_by(|a, b| b.cmp(a));
            CommittedStream::of(place, name, of_stream).await
        })
        .buffered(MAX_CONCURRENT_STREAMS)
        .try_collect()
        .await
}

impl CommittedStream {
    /// What a stream's commits amount to: read from the newest back to the last that replaced all before it.
    async fn of(
        place: &Place,
        name: StreamName,
        newest_first: Vec<(u64, String)>,
    ) -> Result<Self, RawError> {
        let mut stream =
            Self { name, primary_key: Vec::new(), parts: Vec::new(), last_replaced: None };
        let mut next = newest_first.first().map_or(0, |(sequence, _)| *sequence);
        let read = |(sequence, key): (u64, String)| async move {
            Ok::<_, RawError>((sequence, read::<Manifest>(place, &key).await?))
        };
        // Of streams that are replaced each time, the newest commit is all that counts.
        let mut keys = newest_first.into_iter();
        let newest: Vec<_> = keys.by_ref().take(1).collect();
        let newest = stream::iter(newest).map(read).buffered(1);
        let older = stream::iter(keys).map(read).buffered(MAX_CONCURRENT_READS);
        let mut commits = pin!(newest.chain(older));

        let mut files = Vec::new();
        while let Some((sequence, manifest)) = commits.try_next().await? {
            if sequence != next {
                break;
            }
            next -= 1;
            if files.is_empty() {
                stream.primary_key = manifest.primary_key;
            }
            files.push((sequence, manifest.files));
            if manifest.mode == Mode::Replace {
                stream.last_replaced = Some(sequence);
                break;
            }
        }
        if stream.last_replaced.is_none() && next > 0 {
            return Err(RawError::Gap { address: place.address(&stream.name.manifest(next)) });
        }
        for (sequence, files) in files.into_iter().rev() {
            stream.parts.extend(files.into_iter().map(|file| CommittedPart { file, sequence }));
        }
        Ok(stream)
    }
}
