//! One stream: what belongs together in it.

use std::collections::HashSet;
use std::time::Duration;

use solder_landing::raw::{Mode, StreamName};

use super::fault::{Checked, Within, fault};
use super::incremental::incremental_of;
use super::paginate::{page_size, paginate};
use super::rules::rules;
use super::values::{did_you_mean, method_of, path, unsigned};
use crate::page::{Format, JsonPath};
use crate::source::document as doc;
use crate::source::plan::{Job, Parent, RequestPlan, Stream, Style};
use crate::source::template::{Params, Part, Placeholder, Template};

/// What the streams of a source are checked against.
pub(super) struct Context<'a> {
    pub(super) connection: &'a doc::Connection,
    pub(super) params: &'a Params,
    pub(super) names: &'a [&'a str],
}

impl Context<'_> {
    pub(super) fn stream(&self, name: StreamName, stream: &doc::Stream) -> Checked<Stream> {
        let paginate = paginate(&stream.paginate).within("paginate")?;
        if matches!(&paginate.style, Style::Offset { overlap: 1.., .. })
            && stream.primary_key.is_empty()
        {
            return Err(fault("it needs a `primary_key`: records that come twice are known by it"))
                .within("overlap")
                .within("paginate");
        }
        let mut request = self.page_request(stream)?;
        let mut used: Vec<Placeholder> = request.placeholders().cloned().collect();
        let add = self.templates(&stream.add, "add", Template::without_secrets)?;
        used.extend(add.iter().flat_map(|(_, template)| template.placeholders().cloned()));
        let job = stream.job.as_ref().map(|job| self.job(job)).transpose().within("job")?;
        if let Some(job) = &job {
            used.extend(job.create.placeholders().cloned());
            used.extend(job.poll.placeholders().cloned());
        }
        if let Some(size) = page_size(&paginate.style) {
            request.params.retain(|(name, _)| *name != size);
        }
        let incremental = stream
            .incremental
            .as_ref()
            .map(|incremental| incremental_of(incremental, &used))
            .transpose()
            .within("incremental")?;
        check_placeholders(&used, stream)?;
        let partitions = self.partitions(stream, &used)?;
        let mode = match (stream.mode, &incremental) {
            (Some(doc::WriteMode::Replace), Some(_)) => {
                return Err(fault("an incremental stream appends: it has only what is new"))
                    .within("mode");
            }
            (Some(doc::WriteMode::Append), _) | (None, Some(_)) => Mode::Append,
            (Some(doc::WriteMode::Replace) | None, None) => Mode::Replace,
        };
        let full_mode = match stream.mode {
            Some(doc::WriteMode::Append) => Mode::Append,
            _ => Mode::Replace,
        };
        let mut own_rules = rules(&stream.rules).within("rules")?;
        own_rules.extend(rules(&self.connection.rules).within("rules")?);
        Ok(Stream {
            records: match &stream.records {
                None => JsonPath::root(),
                Some(text) => path(text).within("records")?,
            },
            records_optional: stream.records_optional,
            format: format(stream)?,
            primary_key: stream
                .primary_key
                .iter()
                .map(|field| path(field))
                .collect::<Checked<_>>()
                .within("primary_key")?,
            parent: self.parent(stream, &used)?,
            request,
            partitions,
            paginate,
            incremental,
            mode,
            full_mode,
            add,
            rules: own_rules,
            job,
            expect_min_records: stream.expect_min_records.unwrap_or(0),
            name,
        })
    }

    fn partitions(
        &self,
        stream: &doc::Stream,
        used: &[Placeholder],
    ) -> Checked<Vec<(String, Vec<String>)>> {
        let mut partitions = Vec::new();
        for (name, values) in stream.partitions.iter() {
            if !used.iter().any(|p| matches!(p, Placeholder::Partition(used) if used == name)) {
                return Err(fault(format!(
                    "nothing uses `{{partition.{name}}}`, so that every value would give the same records"
                )))
                .within(name)
                .within("partitions");
            }
            let values = values
                .iter()
                .map(|value| {
                    let template = self.template(&value.to_string())?;
                    match template.parts.as_slice() {
                        [Part::Literal(text)] => Ok(text.clone()),
                        _ => Err(fault("only `{param.NAME}` can stand in a partition's value")),
                    }
                })
                .collect::<Checked<Vec<_>>>()
                .within(name)
                .within("partitions")?;
            let mut seen = HashSet::new();
            if let Some(twice) = values.iter().find(|value| !seen.insert(value.as_str())) {
                return Err(fault(format!("`{twice}` stands twice, and would be read twice")))
                    .within(name)
                    .within("partitions");
            }
            partitions.push((name.to_owned(), values));
        }
        Ok(partitions)
    }

    fn parent(&self, stream: &doc::Stream, used: &[Placeholder]) -> Checked<Option<Parent>> {
        let mut fields: Vec<JsonPath> = Vec::new();
        for placeholder in used {
            if let Placeholder::Parent(path) = placeholder
                && !fields.contains(path)
            {
                fields.push(path.clone());
            }
        }
        let Some(parent) = &stream.parent else {
            return match fields.first() {
                None => Ok(None),
                Some(field) => Err(fault(format!(
                    "`{}` is used, but there is no `parent: {{ stream: … }}`",
                    Placeholder::Parent(field.clone())
                ))),
            };
        };
        if fields.is_empty() {
            return Err(fault("nothing uses `{parent.FIELD}`")).within("parent");
        }
        let position = self.names.iter().position(|name| *name == parent.stream);
        let Some(position) = position else {
            let suggestion = did_you_mean(&parent.stream, self.names.iter().copied());
            return Err(fault(format!("there is no stream `{}`{suggestion}", parent.stream)))
                .within("stream")
                .within("parent");
        };
        Ok(Some(Parent { stream: position, fields }))
    }

    fn job(&self, job: &doc::Job) -> Checked<Job> {
        let usual_headers = self.headers(&self.connection.headers)?;
        let usual_params = self.params(&self.connection.params)?;
        let mut create_params = usual_params.clone();
        create_params.extend(self.params(&job.create.params).within("create")?);
        let create = RequestPlan {
            method: method_of(job.create.method.unwrap_or(doc::Method::Post)),
            path: self.path(&job.create.path).within("path").within("create")?,
            params: create_params,
            headers: usual_headers.clone(),
            body: self.body(&job.create.body, &None).within("create")?,
            is_retryable: job.create.safe_to_retry,
        };
        let poll = RequestPlan {
            method: http::Method::GET,
            path: self.path(&job.poll.path).within("path").within("poll")?,
            params: usual_params,
            headers: usual_headers,
            body: None,
            is_retryable: true,
        };
        let time = |text: &Option<String>, default, name: &str| match text {
            None => Ok(Duration::from_secs(default)),
            Some(text) => unsigned(text).within(name).within("poll"),
        };
        Ok(Job {
            create,
            id: path(job.id.as_deref().unwrap_or("$.id")).within("id")?,
            poll,
            every: time(&job.poll.every, 5, "every")?,
            status: path(&job.poll.status).within("status").within("poll")?,
            done: job.poll.done.clone(),
            failed: job.poll.failed.clone(),
            timeout: time(&job.poll.timeout, 3600, "timeout")?,
            result_url: job.result_url.as_deref().map(path).transpose().within("result_url")?,
        })
    }
}

/// Placeholders that need something which the stream does not have.
fn check_placeholders(used: &[Placeholder], stream: &doc::Stream) -> Checked<()> {
    let incremental = stream.incremental.as_ref();
    for placeholder in used {
        let missing = match placeholder {
            Placeholder::CursorStart if incremental.is_none() => "`incremental`",
            Placeholder::WindowStart | Placeholder::WindowEnd
                if incremental.is_none_or(|i| i.window.is_none()) =>
            {
                "`incremental: { window: … }`"
            }
            Placeholder::JobId if stream.job.is_none() => "`job`",
            Placeholder::Partition(name) if stream.partitions.get(name).is_none() => {
                let known = stream.partitions.iter().map(|(name, _)| name);
                let suggestion = did_you_mean(name, known);
                return Err(fault(format!(
                    "`{placeholder}` is used, but `partitions` has no `{name}`{suggestion}"
                )));
            }
            _ => continue,
        };
        return Err(fault(format!("`{placeholder}` is used, but the stream has no {missing}")));
    }
    Ok(())
}

fn format(stream: &doc::Stream) -> Checked<Format> {
    let has_csv = stream.csv.delimiter.is_some() || stream.csv.columns.is_some();
    if has_csv && stream.format != doc::Format::Csv {
        return Err(fault("it needs `format: csv`")).within("csv");
    }
    Ok(match stream.format {
        doc::Format::Json => Format::Json,
        doc::Format::Ndjson => Format::Ndjson,
        doc::Format::Xml => Format::Xml,
        doc::Format::Csv => Format::Csv {
            delimiter: match stream.csv.delimiter {
                None => b',',
                Some(delimiter) => u8::try_from(delimiter)
                    .map_err(|_| fault("a delimiter is one ASCII character"))
                    .within("delimiter")
                    .within("csv")?,
            },
            columns: stream.csv.columns.clone(),
        },
    })
}
