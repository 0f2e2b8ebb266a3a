//! OpenTelemetry traces: one span for a command, one for each of its stages, one for each step of a job, sent together
//! at the end.
//!
//! ```text
//!   TRACEPARENT ──▶ Trace::begin     ids, as a child of who started the command
//!                     │  step ──▶ TRACEPARENT of that step: one job is one trace
//!   report, outcome ──▶ spans ──▶ OTLP, http/json ──▶ collector
//! ```
//!
//! Spans have times that were measured, and no others: a report that tells nothing of its stages makes one span.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use serde_json::Value;
use tokio::time::timeout;
use uuid::Uuid;

use crate::ended::{End, Ended};
use crate::environment::{Environment, shown};
use crate::operation::{Host, Subject, lock, patience};
use crate::report;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const TRACE_PARENT: &str = "TRACEPARENT";
const TRACE_STATE: &str = "TRACESTATE";

/// The trace of one operation.
pub(crate) struct Trace {
    title: String,
    attributes: Vec<KeyValue>,
    service: Option<&'static str>,
    endpoint: String,
    began: SystemTime,
    context: SpanContext,
    parent: Option<SpanContext>,
    /// The spans of steps that were begun.
    steps: Mutex<BTreeMap<String, SpanId>>,
}

impl Trace {
    /// Whether the environment asks for traces.
    pub(crate) fn is_wanted(environment: Environment) -> bool {
        let is_off = environment.is_true("OTEL_SDK_DISABLED")
            || environment.get("OTEL_TRACES_EXPORTER").is_some_and(|name| name == "none");
        !is_off && [ENDPOINT, TRACES_ENDPOINT].iter().any(|name| environment.get(name).is_some())
    }

    /// The trace of an operation that begins.
    pub(crate) fn begin(
        environment: Environment,
        subject: &Subject,
        host: &dyn Host,
    ) -> Option<Trace> {
        if !Trace::is_wanted(environment) {
            return None;
        }
        let endpoint = environment.get(TRACES_ENDPOINT).or_else(|| environment.get(ENDPOINT))?;
        let protocol = PROTOCOLS.iter().find_map(|name| environment.get(name));
        if protocol.as_deref() == Some("grpc") {
            host.warn(&format!(
                "traces: OTLP is spoken as http/json alone, and {} is to be asked by grpc: expected the \
                 collector's port for HTTP, mostly 4318, and {}=http/json",
                shown(&endpoint),
                PROTOCOLS[1]
            ));
            return None;
        }
        let parent = environment.get(TRACE_PARENT).and_then(|text| {
            parent(&text, environment.get(TRACE_STATE).as_deref().unwrap_or_default())
        });
        if parent.as_ref().is_some_and(|parent| !parent.is_sampled()) {
            // Who started this one has decided that nobody looks at it.
            return None;
        }
        let (trace_id, state) = match &parent {
            Some(parent) => (parent.trace_id(), parent.trace_state().clone()),
            None => (TraceId::from_bytes(Uuid::new_v4().into_bytes()), TraceState::NONE),
        };
        let context = SpanContext::new(trace_id, new_span_id(), TraceFlags::SAMPLED, false, state);
        let named = environment.get(SERVICE_NAME).is_some()
            || environment
                .get(RESOURCE_ATTRIBUTES)
                .is_some_and(|all| all.contains("service.name="));
        let mut attributes = vec![
            KeyValue::new("solder.program", subject.program),
            KeyValue::new("solder.command", subject.command),
            KeyValue::new("solder.job", subject.job(environment)),
        ];
        attributes.extend(subject.run_id.clone().map(|id| KeyValue::new("solder.run_id", id)));
        attributes.extend(places("solder.inputs", &subject.inputs));
        attributes.extend(places("solder.outputs", &subject.outputs));
        Some(Trace {
            title: subject.title(),
            attributes,
            service: (!named).then_some("solder"),
            endpoint: shown(&endpoint),
            began: SystemTime::now(),
            context,
            parent,
            steps: Mutex::default(),
        })
    }

    /// What makes a step a part of this trace.
    pub(crate) fn step(&self, step: &str) -> (&'static str, String) {
        let span = *lock(&self.steps).entry(step.to_owned()).or_insert_with(new_span_id);
        let flags = self.context.trace_flags().to_u8();
        (TRACE_PARENT, format!("00-{}-{span}-{flags:02x}", self.context.trace_id()))
    }

    /// Sends the spans when the operation has ended.
    pub(crate) async fn watch(self: Arc<Trace>, mut end: End, host: Arc<dyn Host>) {
        let Some(ended) = end.wait().await else { return };
        let spans = self.spans(&ended);
        let sent = match self.exporter() {
            Ok(exporter) => timeout(patience(&ended), exporter.export(spans)).await,
            Err(error) => {
                host.warn(&format!("traces cannot be sent: {error}"));
                return;
            }
        };
        let address = &self.endpoint;
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(error)) => host.warn(&format!("traces: {address} does not take them: {error}")),
            Err(_) => {
                let limit = patience(&ended);
                host.warn(&format!("traces: no answer of {address} within {limit:?}"));
            }
        }
    }

    /// The exporter, as variables of OpenTelemetry say it.
    fn exporter(&self) -> Result<SpanExporter, opentelemetry_otlp::ExporterBuildError> {
        let mut exporter =
            SpanExporter::builder().with_http().with_protocol(Protocol::HttpJson).build()?;
        let mut resource = Resource::builder();
        if let Some(name) = self.service {
            resource = resource.with_service_name(name);
        }
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        exporter.set_resource(&resource.with_attribute(version).build());
        Ok(exporter)
    }

    /// The span of the operation, and those of its steps.
    fn spans(&self, ended: &Ended) -> Vec<SpanData> {
        let mut attributes = self.attributes.clone();
        attributes.push(KeyValue::new("process.exit.code", i64::from(ended.exit_code)));
        attributes.extend(report::measures(&ended.report).into_iter().map(|found| {
            let value = i64::try_from(found.value).unwrap_or(i64::MAX);
            KeyValue::new(format!("solder.{}", found.key), value)
        }));
        let status = match ended.is_done() {
            true => Status::Ok,
            false => Status::error(ended.message()),
        };
        let mut root = self.span(self.title.clone(), self.context.span_id());
        if let Some(parent) = &self.parent {
            root.parent_span_id = parent.span_id();
            root.parent_span_is_remote = true;
        }
        root.attributes = attributes;
        root.start_time = self.began;
        root.end_time = ended.at;
        root.status = status;
        let mut spans = vec![root];
        let each = |name: &str| ended.report[name].as_array().into_iter().flatten();
        spans.extend(each("steps").filter_map(|step| self.step_span(step)));
        if let Some(started) = started_at(&ended.report) {
            spans.extend(each("stages").filter_map(|stage| self.stage_span(stage, started)));
        }
        spans
    }

    /// The span of a stage of a command that started then.
    fn stage_span(&self, stage: &Value, started: SystemTime) -> Option<SpanData> {
        let name = stage["name"].as_str()?;
        let mut span = self.span(name.to_owned(), new_span_id());
        span.parent_span_id = self.context.span_id();
        span.start_time = started + Duration::from_millis(stage["started_ms"].as_u64()?);
        span.end_time = span.start_time + Duration::from_millis(stage["wall_ms"].as_u64()?);
        span.attributes.push(KeyValue::new("solder.stage", name.to_owned()));
        if let Some(table) = stage["table"].as_str() {
            span.attributes.push(KeyValue::new("solder.table", table.to_owned()));
        }
        let busy = stage["busy_ms"].as_object().into_iter().flatten();
        span.attributes.extend(busy.filter_map(|(work, busy_ms)| {
            Some(KeyValue::new(format!("solder.busy_ms.{work}"), busy_ms.as_i64()?))
        }));
        Some(span)
    }

    /// The span of a step that was begun.
    fn step_span(&self, step: &Value) -> Option<SpanData> {
        let name = step["step"].as_str()?;
        let id = *lock(&self.steps).get(name)?;
        let started = self.began + Duration::from_millis(step["started_ms"].as_u64()?);
        let mut span = self.span(name.to_owned(), id);
        span.parent_span_id = self.context.span_id();
        span.start_time = started;
        span.end_time = started + Duration::from_millis(step["duration_ms"].as_u64()?);
        span.attributes.push(KeyValue::new("solder.step", name.to_owned()));
        if let Some(code) = step["exit_code"].as_i64() {
            span.attributes.push(KeyValue::new("process.exit.code", code));
        }
        span.status = match step["outcome"].as_str() {
            Some("done") => Status::Ok,
            _ => {
                let error = step["report"]["error"].as_str().or(step["error"].as_str());
                Status::error(error.unwrap_or("failed").to_owned())
            }
        };
        Some(span)
    }

    fn span(&self, name: String, id: SpanId) -> SpanData {
        let own = &self.context;
        SpanData {
            span_context: SpanContext::new(
                own.trace_id(),
                id,
                own.trace_flags(),
                false,
                own.trace_state().clone(),
            ),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: name.into(),
            start_time: self.began,
            end_time: self.began,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::builder("solder")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
        }
    }
}

/// When a command started, as it says itself: its stages are counted from there.
fn started_at(report: &Value) -> Option<SystemTime> {
    let started = report["started_at"].as_str()?.parse::<jiff::Timestamp>().ok()?;
    Some(started.into())
}

/// Places as an attribute. What cannot be a place may hold credentials, and is not told.
fn places(name: &'static str, places: &[String]) -> Option<KeyValue> {
    let known = places.iter().filter(|text| solder_landing::Place::parse(text).is_ok());
    let text = known.map(String::as_str).collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| KeyValue::new(name, text))
}

fn new_span_id() -> SpanId {
    let [a, b, c, d, e, f, g, h, ..] = Uuid::new_v4().into_bytes();
    SpanId::from_bytes([a, b, c, d, e, f, g, h])
}

/// The span that a `traceparent` of W3C Trace Context names.
fn parent(text: &str, state: &str) -> Option<SpanContext> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_known =
        version.len() == 2 && version != "ff" && (version != "00" || parts.next().is_none());
    if !is_known || trace.len() != 32 || span.len() != 16 || flags.len() != 2 {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        true,
        state.parse().unwrap_or(TraceState::NONE),
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[rstest]
    #[case::sampled("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Some(true))]
    #[case::not_sampled("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", Some(false))]
    #[case::newer("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", Some(true))]
    #[case::too_long("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", None)]
    #[case::no_trace("00-00000000000000000000000000000000-00f067aa0ba902b7-01", None)]
    #[case::no_version("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None)]
    #[case::no_hex("00-4bf92f3577b34da6a3ce929d0e0e473x-00f067aa0ba902b7-01", None)]
    #[case::words("none", None)]
    fn o3_trace_parents(#[case] text: &str, #[case] is_sampled: Option<bool>) {
        let found = parent(text, "vendor=1");
        assert_eq!(found.as_ref().map(SpanContext::is_sampled), is_sampled);
        if let Some(found) = found {
            assert_eq!(found.trace_id().to_string(), TRACE);
            assert_eq!(found.trace_state().header(), "vendor=1");
        }
    }
}
