//! A look at a source without landing anything: `check` and `plan` (I14).

use solder_landing::Place;
use solder_landing::raw::StreamLog;

use crate::error::Error;
use crate::http::{Request, Totals, without_query};
use crate::reach::Reach;
use crate::source::plan::{Source, Stream};
use crate::walk::{Partition, PartitionState, Probe, Run, partitions_of};

/// What a stream's first page was like.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The stream.
    pub stream: String,
    /// Where it was asked for.
    pub url: String,
    /// The records of the first page.
    pub num_records: u64,
    /// Whether more pages follow.
    pub has_more: bool,
    /// Why it was not asked for.
    pub not_asked: Option<String>,
    /// What people should look at.
    pub warnings: Vec<String>,
}

/// The first request of a stream.
#[derive(Clone)]
pub struct Planned {
    /// The stream.
    pub stream: String,
    /// The request, without credentials.
    pub request: Request,
    /// How many partitions there are; `None` where parents say so.
    pub num_partitions: Option<usize>,
    /// Where the last run came to.
    pub cursor: Option<String>,
}

/// Asks for one page of a stream: reach, credentials, and whether records are where the source says. What would
/// make a job of the API is not sent.
///
/// # Errors
///
/// The page cannot be had or read.
pub async fn check(source: &Source, reach: &Reach, position: usize) -> Result<Checked, Error> {
    let stream = &source.streams[position];
    let run = Run { id: "check".to_owned(), started: reach.clock().now() };
    let totals = Totals::default();
    if let Some(parent) = ancestor_with_job(source, stream) {
        let parent = parent.name.stream();
        return Ok(Checked {
            not_asked: Some(format!("stream `{parent}`, above it, is the result of a job")),
            ..Checked::nothing(stream)
        });
    }
    let mut warnings = Vec::new();
    let partition = match first_partition(source, reach, stream, &run, &totals).await? {
        Some(partition) => partition,
        None => {
            warnings.push("there is no partition to ask for: its parent has no records".to_owned());
            Partition::default()
        }
    };
    let probe = if warnings.is_empty() {
        let walk = reach.slice(source, stream, &partition, &run, &[], &totals);
        if stream.job.is_some() {
            // It is made as far as it can be without being sent: values and secrets are there.
            let first = walk.first_request(&PartitionState::default()).await;
            let create = first.map_err(|error| failed(stream, error))?;
            return Ok(Checked {
                url: without_query(&create.url),
                not_asked: Some(format!("{} would make a job", create.method)),
                ..Checked::nothing(stream)
            });
        }
        walk.probe(&PartitionState::default()).await.map_err(|error| failed(stream, error))?
    } else {
        Probe::default()
    };
    if let Some(missing) = &probe.missing_key {
        warnings.push(format!("a record lacks `{missing}` of the primary key"));
    }
    if probe.lacks_cursor {
        warnings.push("a record lacks the cursor".to_owned());
    }
    Ok(Checked {
        stream: stream.name.stream().to_owned(),
        url: probe.url,
        num_records: probe.num_records,
        has_more: probe.has_more,
        not_asked: None,
        warnings,
    })
}

impl Checked {
    fn nothing(stream: &Stream) -> Self {
        Self {
            stream: stream.name.stream().to_owned(),
            url: String::new(),
            num_records: 0,
            has_more: false,
            not_asked: None,
            warnings: Vec::new(),
        }
    }
}

/// The nearest stream above this one whose records a job makes: reading it would make one.
fn ancestor_with_job<'s>(source: &'s Source, stream: &Stream) -> Option<&'s Stream> {
    let parent =
        |stream: &Stream| stream.parent.as_ref().map(|parent| &source.streams[parent.stream]);
    std::iter::successors(parent(stream), |ancestor| parent(ancestor))
        .find(|ancestor| ancestor.job.is_some())
}

fn failed(stream: &Stream, source: crate::walk::WalkError) -> Error {
    Error::walk(stream, String::new(), source)
}

/// One partition of a stream; for a child, that of a record of its parent's first page.
async fn first_partition(
    source: &Source,
    reach: &Reach,
    stream: &Stream,
    run: &Run,
    totals: &Totals,
) -> Result<Option<Partition>, Error> {
    let parents = match &stream.parent {
        None => None,
        Some(parent) => {
            let of = &source.streams[parent.stream];
            let first = Box::pin(first_partition(source, reach, of, run, totals)).await?;
            let Some(first) = first else { return Ok(None) };
            let child = [(0, parent.clone())];
            let walk = reach.slice(source, of, &first, run, &child, totals);
            let probe =
                walk.probe(&PartitionState::default()).await.map_err(|error| failed(of, error))?;
            Some(probe.parents)
        }
    };
    Ok(partitions_of(stream, parents.as_deref()).into_iter().next())
}

/// The first request of a stream, as the next run into `place` would send it. Nothing is sent.
///
/// # Errors
///
/// A secret cannot be read, or a value cannot be put where it belongs.
pub async fn plan(
    source: &Source,
    reach: &Reach,
    position: usize,
    place: Option<&Place>,
) -> Result<Planned, Error> {
    let stream = &source.streams[position];
    let run = Run { id: "plan".to_owned(), started: reach.clock().now() };
    let totals = Totals::default();
    // Nobody is asked for parents: their fields stand as they are written.
    let parents = stream.parent.as_ref().map(|parent| {
        let fields = parent.fields.iter();
        vec![
            fields
                .map(|path| (path.clone(), Some(format!("{{parent{}}}", &path.to_string()[1..]))))
                .collect(),
        ]
    });
    let partitions = partitions_of(stream, parents.as_deref());
    let partition = partitions.first().cloned().unwrap_or_default();
    let state = match place {
        None => PartitionState::default(),
        Some(place) => {
            let head = StreamLog::new(place, &stream.name).head().await?;
            head.state
                .get(&partition.key(reach.redactor()))
                .map(PartitionState::from_json)
                .unwrap_or_default()
        }
    };
    let walk = reach.slice(source, stream, &partition, &run, &[], &totals);
    let request = walk.first_request(&state).await.map_err(|error| failed(stream, error))?;
    Ok(Planned {
        stream: stream.name.stream().to_owned(),
        request,
        num_partitions: stream.parent.is_none().then_some(partitions.len()),
        cursor: state.cursor,
    })
}
