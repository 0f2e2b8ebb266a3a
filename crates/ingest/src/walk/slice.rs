//! One partition of a stream: its windows, and their pages, as units that may be committed.

use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::job::{JobError, run_job};
use super::known::Known;
use super::page::{Page, PageReader, PageRules};
use super::pager::{Pager, PagerError};
use super::progress::Progress;
use super::slices::{ParentRecord, Partition};
use super::state::{PartitionState, RunMark};
use super::unit::{Gathered, Unit, UnitSink};
use super::{Budget, RenderError, Rendering, Scope};
use crate::cursor::{Cursor, CursorRange};
use crate::http::{Delivery, Request, SendError, Sender, Totals};
use crate::page::{JsonPath, Step, find};
use crate::progress::CutShort;
use crate::secrets::Redactor;
use crate::source::document::{CursorFormat, Order};
use crate::source::plan::{Incremental, Parent, Stream};

/// Why a slice could not be walked to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalkError {
    /// No request could be made.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// A request came to nothing.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Pages do not end as they should.
    #[error("{url}: {source}")]
    Pager { url: String, source: PagerError },
    /// A job gave no result.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The answer lacks the records.
    #[error(
        "{url}: the answer (status {status}) has nothing at `records: {path}`; `records_optional: true` takes \
             that as a page without records"
    )]
    NoRecords { url: String, status: u16, path: String },
    /// A feed that is said to ascend does not.
    #[error(
        "{url}: the stream says `order: asc`, but this page has a record older ({older}) than one of the pages \
             before ({newer}): say `order: none`"
    )]
    NotAscending { url: String, older: String, newer: String },
    /// A page could not be kept on this machine.
    #[error("cannot keep records in the temporary folder")]
    Spool(#[source] std::io::Error),
    /// Whoever takes the records has failed, and says so itself.
    #[error("landing has failed")]
    Landing,
}

/// What a first page was like.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    pub(crate) url: String,
    pub(crate) num_records: u64,
    pub(crate) has_more: bool,
    /// A field of the key that the last record lacks.
    pub(crate) missing_key: Option<String>,
    pub(crate) lacks_cursor: bool,
    pub(crate) parents: Vec<ParentRecord>,
}

/// Walks one partition.
pub(crate) struct SliceWalk<'a> {
    pub(crate) sender: &'a Sender,
    pub(crate) rendering: Rendering<'a>,
    pub(crate) stream: &'a Stream,
    pub(crate) partition: &'a Partition,
    pub(crate) redactor: &'a Redactor,
    pub(crate) totals: &'a Totals,
    pub(crate) children: &'a [(usize, Parent)],
    pub(crate) max_body_bytes: u64,
    /// Where the walk may be cut between its units: how long it goes on.
    pub(crate) budget: Option<&'a Budget>,
}

/// How far a walk came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Walked {
    /// To its end.
    Whole,
    /// The run's time was over, and more is left.
    Cut,
}

/// One stretch of a slice: the requests between a begin and an end.
struct Stretch<'a> {
    scope: Scope,
    not_before: Option<Cursor>,
    /// How the state moves; none for streams without one.
    progress: Option<Progress<'a>>,
}

/// How a stretch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All of it was read.
    Complete,
    /// A rule said that the partition has nothing, and so has no further stretch.
    Skipped,
    /// The run's time was over.
    Cut,
}

impl SliceWalk<'_> {
    /// Walks the partition from where `state` says, and gives its units to `sink`.
    pub(crate) async fn walk(
        &self,
        state: &PartitionState,
        sink: &dyn UnitSink,
    ) -> Result<Walked, WalkError> {
        if state.mark_of(&self.rendering.run.id).is_some_and(|mark| mark.is_over) {
            return Ok(Walked::Whole);
        }
        let format = self.stream.incremental.as_ref().map(|incremental| incremental.format.clone());
        let format = format.unwrap_or_default();
        let is_counting = self.stream.primary_key.is_empty();
        let mut known = Known::new(state.seen(&format), is_counting);
        let mut given = state.clone();
        for stretch in self.stretches(state) {
            if self.budget.is_some_and(Budget::is_over) {
                return Ok(Walked::Cut);
            }
            known.begin_stretch();
            match self.pages(stretch, &mut known, &mut given, sink).await? {
                End::Complete => {}
                End::Cut => return Ok(Walked::Cut),
                End::Skipped => {
                    // A run that goes on need not ask again.
                    if self.budget.is_some() {
                        let state = self.marked(given.clone(), None, true);
                        self.give(&mut Gathered::default(), Some(state), &mut given, sink).await?;
                    }
                    break;
                }
            }
        }
        Ok(Walked::Whole)
    }

    /// What is to be asked for, one after the other: windows, or all that there is since the last run.
    fn stretches(&self, state: &PartitionState) -> Vec<Stretch<'_>> {
        let Some(incremental) = &self.stream.incremental else {
            return vec![Stretch { scope: Scope::default(), not_before: None, progress: None }];
        };
        let reached = state.cursor.as_deref().and_then(|text| incremental.format.parse(text).ok());
        let mark = state.mark_of(&self.rendering.run.id);
        let at = mark.and_then(|mark| mark.at.as_ref()?.parse::<Timestamp>().ok());
        let begin = match (at, &reached) {
            // Windows that this run has read whole are not read once more.
            (Some(at), _) => Some(Cursor::Time(at)),
            (None, Some(cursor)) => Some(incremental.as_read_again(cursor)),
            (None, None) => incremental.initial.clone(),
        };
        let text = |time| incremental.format.text(&Cursor::Time(time));
        if let (Some(window), Some(Cursor::Time(begin))) = (incremental.window, &begin) {
            let end = self.latest(incremental);
            let mut start = *begin;
            let mut windows = Vec::new();
            while start < end {
                let stop = start.checked_add(window).unwrap_or(end).min(end);
                windows.push(Stretch {
                    scope: Scope {
                        cursor_start: Some(text(start)),
                        window: Some((text(start), text(stop))),
                        job_id: None,
                    },
                    not_before: None,
                    progress: Some(Progress {
                        incremental,
                        begun: reached.clone(),
                        reached: reached.clone(),
                        latest: None,
                        window_end: Some(Cursor::Time(stop)),
                        is_last: stop == end,
                        is_resumed: mark.is_some(),
                    }),
                });
                start = stop;
            }
            return windows;
        }
        let latest = incremental.format.is_time().then(|| self.latest(incremental));
        let cursor_start = begin.as_ref().map(|begin| incremental.format.text(begin));
        vec![Stretch {
            scope: Scope { cursor_start, ..Scope::default() },
            not_before: begin.filter(|_| !incremental.is_bounded_by_server),
            progress: Some(Progress {
                incremental,
                begun: reached.clone(),
                reached,
                latest: latest.map(Cursor::Time),
                window_end: None,
                is_last: true,
                is_resumed: mark.is_some(),
            }),
        }]
    }

    /// The moment up to which the API is taken to show everything.
    fn latest(&self, incremental: &Incremental) -> Timestamp {
        let lag = incremental.lag.unwrap_or_default();
        let latest = self.rendering.run.started.checked_sub(lag).unwrap_or(Timestamp::MIN);
        // As requests say it, or the next window would begin before this one ended.
        match incremental.format.as_asked(Cursor::Time(latest)) {
            Cursor::Time(rounded) => rounded,
            _ => latest,
        }
    }

    /// The first request of a stretch, after the job that makes its result. `None` when a rule says that there
    /// is nothing.
    async fn begin(&self, scope: &mut Scope) -> Result<Option<Request>, WalkError> {
        let Some(job) = &self.stream.job else {
            return Ok(Some(self.rendering.request(&self.stream.request, scope).await?));
        };
        let rules = &self.stream.rules;
        let done = run_job(job, self.sender, &self.rendering, scope, rules, self.totals).await?;
        let Some(done) = done else { return Ok(None) };
        scope.job_id = Some(done.id);
        let mut first = self.rendering.request(&self.stream.request, scope).await?;
        if let Some(result) = done.result {
            if !self.sender.guard().is_home(&result) {
                first.headers.clear();
                first.body = None;
            }
            first.url = result;
        }
        Ok(Some(first))
    }

    async fn pages(
        &self,
        stretch: Stretch<'_>,
        known: &mut Known,
        given: &mut PartitionState,
        sink: &dyn UnitSink,
    ) -> Result<End, WalkError> {
        let Stretch { mut scope, not_before, mut progress } = stretch;
        let Some(first) = self.begin(&mut scope).await? else { return Ok(End::Skipped) };
        let may_end_early = not_before.is_some();
        let rules = self.page_rules(&scope, not_before);
        let first_url = plain(&first);
        let mut pager = Pager::new(&self.stream.paginate, first);
        let mut request = pager.first().map_err(pager_error(&first_url))?;
        let mut gathered = Gathered::default();
        let is_page_by_page = progress.as_ref().is_none_or(Progress::is_page_by_page);
        for page_number in 1.. {
            let mut reader = PageReader::new(&rules, known);
            let delivered = self.read_page(&request, &mut reader).await?;
            let mut page = reader.into_page();
            let next = match &delivered {
                Delivery::Skipped(status) => {
                    if page_number > 1 {
                        let has_state = progress.is_some();
                        sink.cut_short(CutShort {
                            partition: self.partition.key(self.redactor),
                            page: page_number,
                            status: status.as_u16(),
                            num_dropped: if has_state { gathered.num_records } else { 0 },
                            has_state,
                        });
                    }
                    // Nothing was read from here on. Where there is a state, it stays where the stretch
                    // began, and a run that finds the rest reads again what was gathered of it.
                    if progress.is_none() {
                        self.give(&mut gathered, None, given, sink).await?;
                    }
                    return Ok(End::Skipped);
                }
                Delivery::Ignored => {
                    page = Page::empty();
                    None
                }
                Delivery::Answer(head) => {
                    self.check_records(&page, head.status.as_u16(), &request)?;
                    pager
                        .next(&page, head, self.sender.guard())
                        .map_err(pager_error(&plain(&request)))?
                }
            };
            if let Some(progress) = &mut progress {
                progress.meet(&page, &request)?;
            }
            let repeated = std::mem::take(&mut page.repeated);
            known.remember(std::mem::take(&mut page.met), repeated, progress.is_some());
            if let Some(threshold) = progress.as_ref().and_then(Progress::threshold) {
                known.prune(&threshold);
            }
            let is_empty_page = page.num_records == 0;
            let is_beyond = may_end_early && self.is_beyond(&page);
            gathered.add(page)?;
            let Some(following) = next.filter(|_| !is_beyond) else { break };
            if is_page_by_page && !is_empty_page {
                let state = progress.as_ref().map(|progress| {
                    self.marked(progress.state(known, false), progress.window_end(), false)
                });
                let has_moved = self.give(&mut gathered, state, given, sink).await?;
                // What is read again alone brings nobody further.
                if has_moved && self.budget.is_some_and(Budget::is_over) {
                    return Ok(End::Cut);
                }
            }
            request = following;
        }
        let state = progress.as_ref().map(|progress| {
            let state = progress.state(known, progress.is_last);
            self.marked(state, progress.window_end(), progress.is_last)
        });
        self.give(&mut gathered, state, given, sink).await?;
        Ok(End::Complete)
    }

    /// A state that says how far this run came, where the run may be cut.
    fn marked(
        &self,
        state: PartitionState,
        at: Option<Timestamp>,
        is_over: bool,
    ) -> PartitionState {
        let run = self.budget.map(|_| RunMark {
            id: self.rendering.run.id.clone(),
            at: at.filter(|_| !is_over).map(|at| at.to_string()),
            is_over,
        });
        PartitionState { run, ..state }
    }

    async fn read_page(
        &self,
        request: &Request,
        reader: &mut PageReader<'_>,
    ) -> Result<Delivery, WalkError> {
        let is_retryable = self.stream.request.is_retryable;
        let rules = &self.stream.rules;
        let delivery =
            self.sender.deliver(request, is_retryable, rules, reader, self.totals).await?;
        self.totals.num_pages.fetch_add(1, Ordering::Relaxed);
        Ok(delivery)
    }

    /// Gives what was gathered to the sink; whether its state is another than that before.
    async fn give(
        &self,
        gathered: &mut Gathered,
        state: Option<PartitionState>,
        given: &mut PartitionState,
        sink: &dyn UnitSink,
    ) -> Result<bool, WalkError> {
        let mut records = std::mem::take(gathered);
        let clean = |cursor| match cursor {
            Cursor::Text(text) => Cursor::Text(self.redactor.clean_value(&text).into_owned()),
            other => other,
        };
        records.cursors = records.cursors.map(|CursorRange { lowest, highest }| CursorRange {
            lowest: clean(lowest),
            highest: clean(highest),
        });
        let state = state.map(|state| PartitionState {
            cursor: state.cursor.map(|text| self.redactor.clean_value(&text).into_owned()),
            seen: match &self.stream.incremental {
                // Texts of the API, and so perhaps with a secret.
                Some(incremental) if incremental.format == CursorFormat::Text => {
                    state.seen.iter().map(|text| self.redactor.clean(text).into_owned()).collect()
                }
                _ => state.seen,
            },
            run: state.run,
        });
        let has_moved = state.as_ref().is_some_and(|state| state != given);
        if let Some(state) = &state {
            given.clone_from(state);
        }
        let partition = self.partition.key(self.redactor);
        sink.take(Unit { partition, records, state }).await?;
        if has_moved && let Some(budget) = self.budget {
            budget.step();
        }
        Ok(has_moved)
    }

    fn page_rules(&self, scope: &Scope, not_before: Option<Cursor>) -> PageRules<'_> {
        let mut added = Vec::new();
        for (name, template) in &self.stream.add {
            let value = self.rendering.plain_text(template, scope);
            let value = value.map_or(serde_json::Value::Null, serde_json::Value::String);
            let name = serde_json::Value::from(name.as_str());
            added.extend_from_slice(format!("{name}:{value},").as_bytes());
        }
        PageRules {
            stream: self.stream,
            watched: watched(self.stream),
            redactor: self.redactor,
            max_body_bytes: self.max_body_bytes,
            children: self.children,
            not_before,
            added,
        }
    }

    fn check_records(&self, page: &Page, status: u16, request: &Request) -> Result<(), WalkError> {
        // A 204 has no body.
        if page.records_found || self.stream.records_optional || status == 204 {
            return Ok(());
        }
        Err(WalkError::NoRecords {
            url: plain(request),
            status,
            path: self.stream.records.to_string(),
        })
    }

    /// Whether a field is one that records only get here.
    fn is_added(&self, path: &JsonPath) -> bool {
        let is_name = |name: &str| path.steps() == [Step::Name(name.to_owned())];
        self.stream.add.iter().any(|(name, _)| is_name(name))
    }

    /// Whether a feed that descends has come to what is read already.
    fn is_beyond(&self, page: &Page) -> bool {
        let is_descending =
            self.stream.incremental.as_ref().is_some_and(|one| one.order == Order::Desc);
        is_descending && page.oddities.num_older > 0
    }

    /// The first request of a walk from `state`; nothing is sent.
    pub(crate) async fn first_request(&self, state: &PartitionState) -> Result<Request, WalkError> {
        let scope = self.stretches(state).into_iter().next().map(|stretch| stretch.scope);
        let scope = scope.unwrap_or_default();
        if let Some(job) = &self.stream.job {
            return Ok(self.rendering.request(&job.create, &scope).await?);
        }
        let request = self.rendering.request(&self.stream.request, &scope).await?;
        let url = plain(&request);
        let mut pager = Pager::new(&self.stream.paginate, request);
        pager.first().map_err(pager_error(&url))
    }

    /// Reads the first page, and lands nothing.
    pub(crate) async fn probe(&self, state: &PartitionState) -> Result<Probe, WalkError> {
        let Some(stretch) = self.stretches(state).into_iter().next() else {
            return Ok(Probe::default());
        };
        let mut scope = stretch.scope;
        let Some(first) = self.begin(&mut scope).await? else { return Ok(Probe::default()) };
        let rules = self.page_rules(&scope, stretch.not_before);
        let known = Known::default();
        let url = plain(&first);
        let mut pager = Pager::new(&self.stream.paginate, first);
        let request = pager.first().map_err(pager_error(&url))?;
        let mut reader = PageReader::new(&rules, &known);
        let delivered = self.read_page(&request, &mut reader).await?;
        let page = reader.into_page();
        let mut probe = Probe { url, ..Probe::default() };
        let Delivery::Answer(head) = delivered else { return Ok(probe) };
        self.check_records(&page, head.status.as_u16(), &request)?;
        if let Some(record) = &page.last_record {
            let lacks = |path: &&JsonPath| find(record, path).is_none();
            let mut keys = self.stream.primary_key.iter().filter(|path| !self.is_added(path));
            probe.missing_key = keys.find(lacks).map(ToString::to_string);
            let cursor = self.stream.incremental.as_ref().map(|incremental| &incremental.cursor);
            probe.lacks_cursor = cursor.as_ref().is_some_and(lacks);
        }
        probe.num_records = page.num_records;
        let next = pager.next(&page, &head, self.sender.guard());
        probe.has_more = next.map_err(pager_error(&probe.url))?.is_some();
        probe.parents = page.parents.into_iter().map(|(_, record)| record).collect();
        Ok(probe)
    }
}

fn pager_error(url: &str) -> impl FnOnce(PagerError) -> WalkError {
    let url = url.to_owned();
    move |source| WalkError::Pager { url, source }
}

fn plain(request: &Request) -> String {
    crate::http::without_query(&request.url)
}

/// The paths of bodies that a stream's pagination and rules ask for.
fn watched(stream: &Stream) -> Vec<JsonPath> {
    let mut paths = Pager::watched(&stream.paginate);
    for (path, _) in stream.rules.iter().flat_map(|rule| &rule.body) {
        if !paths.contains(path) {
            paths.push(path.clone());
        }
    }
    paths
}
