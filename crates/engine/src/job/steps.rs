//! What a job does: commands, and what each waits for.

use clap::Parser;
use serde_json::{Map, Value as Json};
use solder_lake::Error;
use solder_lake::merge::MergeSection;
use solder_lake::sql::Script;

use crate::cli::{Cli, Command, database};

use super::document::{Job, SourceSection};
use super::options::to_arguments;

/// A program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// `ingest`.
    Ingest,
    /// `engine`.
    Engine,
}

impl Program {
    /// What one types.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Program::Ingest => "ingest",
            Program::Engine => "engine",
        }
    }
}

/// A step of a job: a command.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Its name: kind and name of its section.
    pub(crate) name: String,
    /// What runs.
    pub(crate) program: Program,
    /// With which arguments.
    pub(crate) arguments: Vec<String>,
    /// Positions of the steps that must have ended well before; all are smaller than its own.
    pub(crate) after: Vec<usize>,
    /// The command takes `--run-id`, so that it does nothing when it is said again.
    pub(crate) has_run_id: bool,
    /// The command takes `--report json`.
    pub(crate) has_report: bool,
}

/// A step that does not know yet where those that it waits for stand.
struct Draft {
    step: Step,
    after: Vec<String>,
    /// Places that it reads.
    reads: Vec<String>,
    /// Places that it writes.
    writes: Vec<String>,
}

impl Draft {
    fn new(name: String, program: Program, arguments: Vec<String>) -> Draft {
        let (after, has_run_id, has_report) = (Vec::new(), false, true);
        let step = Step { name, program, arguments, after, has_run_id, has_report };
        Draft { step, after: Vec::new(), reads: Vec::new(), writes: Vec::new() }
    }
}

/// The steps of a job, each behind those that it waits for.
///
/// # Errors
///
/// A section does not make a command, or steps wait for each other in a circle.
pub(crate) fn steps(job: &Job) -> Result<Vec<Step>, Error> {
    let document = &job.document;
    let mut drafts = Vec::new();
    for (name, section) in &document.sources {
        drafts.push(ingest(name, section));
    }
    for (name, section) in &document.relationalize {
        drafts.push(relationalize(job, name, section)?);
    }
    let lake = document.merge.as_ref().and_then(|merge| merge.into.as_deref());
    if let Some(section) = &document.merge {
        drafts.push(merge(job, section)?);
    }
    let is_mart = |table: &String| document.marts.contains_key(table);
    let (of_marts, of_tables): (Vec<_>, Vec<_>) =
        document.checks.keys().partition(|table| is_mart(table));
    if !of_tables.is_empty() {
        drafts.push(check(job, lake, &of_marts)?);
    }
    let mut marts = Vec::new();
    for (name, section) in &document.marts {
        marts.push(mart(job, name, section, lake)?);
    }
    let places: Vec<String> = marts.iter().flat_map(|mart| mart.writes.clone()).collect();
    drafts.extend(marts);
    if let (false, Some(place)) = (of_marts.is_empty(), places.first()) {
        let mut arguments = vec!["check".to_owned(), place.clone()];
        arguments.extend(of_marts.iter().map(|table| (*table).clone()));
        arguments.extend(job_options(job));
        let mut draft = Draft::new("check.marts".to_owned(), Program::Engine, arguments);
        draft.after = of_marts.iter().map(|table| format!("mart.{table}")).collect();
        drafts.push(draft);
    }
    ordered(job, drafts)
}

fn ingest(name: &str, section: &SourceSection) -> Draft {
    let mut arguments = match &section.recorded {
        Some(folder) => vec!["test".to_owned(), section.source.clone(), folder.clone()],
        None => vec!["run".to_owned(), section.source.clone()],
    };
    arguments.push(format!("--to={}", section.to));
    arguments.extend(section.streams.iter().map(|stream| format!("--stream={stream}")));
    let params = section.parameters.iter();
    arguments.extend(params.map(|(name, value)| format!("--param={name}={value}")));
    if section.recorded.is_none() {
        arguments.extend(section.full.then(|| "--full".to_owned()));
        arguments.extend(section.part_size.map(|size| format!("--part-size={size}")));
        arguments.extend(section.part_age.map(|age| format!("--part-age={age}")));
    }
    let mut draft = Draft::new(format!("ingest.{name}"), Program::Ingest, arguments);
    draft.step.has_run_id = section.recorded.is_none();
    draft.step.has_report = section.recorded.is_none();
    draft.after.clone_from(&section.after);
    draft.writes.push(section.to.clone());
    draft
}

fn relationalize(job: &Job, name: &str, section: &Map<String, Json>) -> Result<Draft, Error> {
    let mut arguments = vec!["relationalize".to_owned()];
    arguments.extend(to_arguments("relationalize", section));
    let mut draft = Draft::new(format!("relationalize.{name}"), Program::Engine, arguments);
    understood(job, &["relationalize", name], &draft.step.arguments)?;
    draft.step.has_run_id = true;
    draft.after = texts(section, "after");
    draft.reads = texts(section, "input");
    draft.writes = texts(section, "output");
    Ok(draft)
}

fn merge(job: &Job, section: &MergeSection) -> Result<Draft, Error> {
    let mut arguments = vec!["merge".to_owned()];
    arguments.extend(job_options(job));
    let mut draft = Draft::new("merge".to_owned(), Program::Engine, arguments);
    section.rules(&job.name)?;
    match (&section.staging, &section.into) {
        (Some(staging), Some(into)) => {
            let catalog = database(section.catalog.as_deref(), into);
            catalog.map_err(|error| job.wrong(&["merge", "catalog"], chain(&error)))?;
            draft.reads.push(staging.clone());
            draft.writes.push(into.clone());
            Ok(draft)
        }
        _ => Err(job.wrong(&["merge"], "it needs `staging` and `into`".to_owned())),
    }
}

/// What must hold of the tables that merges bring; without a merge, of those that relationalize makes.
fn check(job: &Job, lake: Option<&str>, of_marts: &[&String]) -> Result<Draft, Error> {
    let curated: Vec<String> =
        job.document.relationalize.values().flat_map(|section| texts(section, "output")).collect();
    let mut arguments = vec!["check".to_owned()];
    let place = match (lake, curated.first()) {
        (Some(lake), _) => lake.to_owned(),
        (None, Some(curated)) => curated.clone(),
        (None, None) => {
            let message = "there is no section `merge` or `relationalize` whose tables these are";
            return Err(job.wrong(&["checks"], message.to_owned()));
        }
    };
    arguments.push(place.clone());
    arguments.extend(lake.is_none().then(|| "--curated".to_owned()));
    arguments.extend(job_options(job));
    arguments.extend(of_marts.iter().map(|table| format!("--skip={table}")));
    let mut draft = Draft::new("check".to_owned(), Program::Engine, arguments);
    draft.reads.push(place);
    Ok(draft)
}

fn mart(
    job: &Job,
    name: &str,
    section: &Map<String, Json>,
    lake: Option<&str>,
) -> Result<Draft, Error> {
    let path = ["marts", name];
    let mut section = section.clone();
    if let Some(lake) = lake {
        section.entry("lake").or_insert_with(|| lake.into());
    }
    let places: Vec<String> =
        ["lake", "curated"].iter().flat_map(|key| texts(&section, key)).collect();
    let into = texts(&section, "lake");
    if let Some(lake) = into.first() {
        section.entry("into").or_insert_with(|| lake.as_str().into());
    }
    if texts(&section, "into").is_empty() {
        let message = "there is no section `merge` that says a lake: say `into`";
        return Err(job.wrong(&path, message.to_owned()));
    }
    section.entry("table").or_insert_with(|| name.into());
    let file = texts(&section, "statements");
    let text = texts(&section, "sql");
    let mut arguments = vec!["sql".to_owned()];
    let script = match (file.first(), text.first()) {
        (Some(file), None) => {
            arguments.push(file.clone());
            let text = std::fs::read_to_string(file)
                .map_err(|source| Error::Script { file: file.clone(), source })?;
            Script::new(file, text)
        }
        (None, Some(text)) => {
            arguments.push(format!("--command={text}"));
            Script::new(format!("{}: marts.{name}.sql", job.name), text)
        }
        _ => {
            let message = "say either `statements`, a file, or `sql`";
            return Err(job.wrong(&path, message.to_owned()));
        }
    };
    arguments.extend(to_arguments("sql", &section));
    let mut draft = Draft::new(format!("mart.{name}"), Program::Engine, arguments);
    understood(job, &path, &draft.step.arguments)?;
    // Rows that are appended must not come twice; with the other modes it makes no difference.
    draft.step.has_run_id = texts(&section, "mode").first().is_some_and(|mode| mode == "append");
    draft.after = texts(&section, "after");
    let others = script.tables()?.into_iter().filter(|table| table != name);
    let marts = others.filter(|table| job.document.marts.contains_key(table));
    draft.after.extend(marts.map(|table| format!("mart.{table}")));
    draft.reads = places;
    draft.writes = texts(&section, "into");
    Ok(draft)
}

/// `--job FILE` and the parameters.
fn job_options(job: &Job) -> Vec<String> {
    let mut options = vec![format!("--job={}", job.name)];
    options.extend(job.params.iter().map(|(name, value)| format!("--param={name}={value}")));
    options
}

/// The text or texts of a key.
pub(crate) fn texts(section: &Map<String, Json>, key: &str) -> Vec<String> {
    match section.get(key) {
        Some(Json::String(text)) => vec![text.clone()],
        Some(Json::Array(items)) => {
            items.iter().filter_map(Json::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// Refuses arguments that the command would refuse, before anything runs.
fn understood(job: &Job, path: &[&str], arguments: &[String]) -> Result<(), Error> {
    let words = std::iter::once("engine").chain(arguments.iter().map(String::as_str));
    let cli = Cli::try_parse_from(words).map_err(|error| {
        let text = error.render().to_string();
        let line = text.lines().next().unwrap_or_default();
        job.wrong(path, line.trim_start_matches("error: ").to_owned())
    })?;
    let refused = |error: &dyn std::error::Error| job.wrong(path, chain(error));
    match cli.command {
        Command::Relationalize(args) => args.settings().map(drop).map_err(|error| refused(&error)),
        Command::Sql(args) => args.settings().map(drop).map_err(|error| refused(&error)),
        _ => Ok(()),
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = solder_landing::causes(error);
    std::iter::once(error.to_string()).chain(causes).collect::<Vec<_>>().join(": ")
}

/// Puts every step behind those that it waits for: those that it names, and those that write what it reads.
fn ordered(job: &Job, drafts: Vec<Draft>) -> Result<Vec<Step>, Error> {
    let names: Vec<String> = drafts.iter().map(|draft| draft.step.name.clone()).collect();
    let mut waits: Vec<Vec<usize>> = Vec::new();
    for (at, draft) in drafts.iter().enumerate() {
        let mut befores = Vec::new();
        for name in &draft.after {
            befores.push(find(name, &names).map_err(|message| {
                let (kind, name) = draft.step.name.split_once('.').unwrap_or_default();
                let section = match kind {
                    "ingest" => "sources",
                    "mart" => "marts",
                    other => other,
                };
                job.wrong(&[section, name, "after"], message)
            })?);
        }
        for (other, before) in drafts.iter().enumerate() {
            // Kinds stand in the order of the way, and marts say themselves which of them they need.
            let is_earlier =
                other < at && !is_mart(&before.step) && draft.step.name != "check.marts";
            let feeds = before.writes.iter().any(|out| draft.reads.iter().any(|it| meet(out, it)));
            let is_checked = before.step.name == "check"
                && is_mart(&draft.step)
                && before.reads.iter().any(|it| draft.reads.iter().any(|place| meet(it, place)));
            if is_earlier && (feeds || is_checked) {
                befores.push(other);
            }
        }
        befores.sort_unstable();
        befores.dedup();
        waits.push(befores);
    }
    let mut position = vec![None; drafts.len()];
    let mut order = Vec::new();
    while order.len() < drafts.len() {
        let is_ready = |at: &usize| {
            position[*at].is_none() && waits[*at].iter().all(|before| position[*before].is_some())
        };
        let Some(next) = (0..drafts.len()).find(is_ready) else {
            let left = (0..drafts.len()).filter(|at| position[*at].is_none());
            let left: Vec<&str> = left.map(|at| names[at].as_str()).collect();
            let message = format!("these steps wait for each other: {}", left.join(", "));
            return Err(job.wrong(&[], message));
        };
        position[next] = Some(order.len());
        order.push(next);
    }
    let mut drafts: Vec<Option<Step>> = drafts.into_iter().map(|draft| Some(draft.step)).collect();
    let steps = order.into_iter().filter_map(|at| {
        let mut step = drafts[at].take()?;
        let needless = |before: &usize| {
            waits[at].iter().any(|other| other != before && leads_to(*before, *other, &waits))
        };
        let nearest = waits[at].iter().filter(|before| !needless(before));
        step.after = nearest.filter_map(|before| position[*before]).collect();
        step.after.sort_unstable();
        Some(step)
    });
    Ok(steps.collect())
}

/// Whether a step waits, over others, for an earlier one.
fn leads_to(earlier: usize, step: usize, waits: &[Vec<usize>]) -> bool {
    waits[step].iter().any(|before| *before == earlier || leads_to(earlier, *before, waits))
}

fn is_mart(step: &Step) -> bool {
    step.name.starts_with("mart.")
}

/// Whether two places are one, or one lies in the other.
pub(crate) fn meet(one: &str, other: &str) -> bool {
    let plain = |place: &str| {
        let folder = match place.find(['*', '?', '[']) {
            Some(at) => place[..at].rsplit_once('/').map_or("", |(folder, _)| folder),
            None => place,
        };
        let folder = folder.trim_end_matches('/');
        format!("{}/", folder.strip_prefix("./").unwrap_or(folder))
    };
    let (one, other) = (plain(one), plain(other));
    one.starts_with(&other) || other.starts_with(&one)
}

/// The position of a step by its name, or by the last part of it where that is clear.
fn find(name: &str, names: &[String]) -> Result<usize, String> {
    if let Some(at) = names.iter().position(|known| known == name) {
        return Ok(at);
    }
    let ends = |known: &String| known.split_once('.').is_some_and(|(_, end)| end == name);
    let found: Vec<usize> = (0..names.len()).filter(|at| ends(&names[*at])).collect();
    match found.as_slice() {
        [only] => Ok(*only),
        [] => Err(format!("there is no step `{name}`; there are {}", names.join(", "))),
        several => {
            let several: Vec<&str> = several.iter().map(|at| names[*at].as_str()).collect();
            Err(format!("`{name}` can be {}", several.join(" or ")))
        }
    }
}

/// The steps of a plan that are to run: those named, or one and all that wait for it.
///
/// # Errors
///
/// There is no such step.
pub(crate) fn select(
    steps: Vec<Step>,
    only: &[String],
    from: Option<&str>,
) -> Result<Vec<Step>, Error> {
    let names: Vec<String> = steps.iter().map(|step| step.name.clone()).collect();
    let position = |option: &str, name: &str| {
        find(name, &names).map_err(|message| Error::Usage(format!("{option} {name}: {message}")))
    };
    let mut chosen = vec![only.is_empty() && from.is_none(); steps.len()];
    for name in only {
        chosen[position("--only", name)?] = true;
    }
    if let Some(name) = from {
        chosen[position("--from", name)?] = true;
        for at in 0..steps.len() {
            chosen[at] |= steps[at].after.iter().any(|before| chosen[*before]);
        }
    }
    // For each step, what waits for it has to wait for: itself, or over it those that are chosen.
    let mut waits: Vec<Vec<usize>> = Vec::new();
    let mut left = Vec::new();
    for (at, mut step) in steps.into_iter().enumerate() {
        let mut after: Vec<usize> =
            step.after.iter().flat_map(|before| waits[*before].iter().copied()).collect();
        after.sort_unstable();
        after.dedup();
        if chosen[at] {
            waits.push(vec![left.len()]);
            step.after = after;
            left.push(step);
        } else {
            waits.push(after);
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "
sources:
  a: { source: a.yaml, to: raw/ }
  b: { source: b.yaml, to: raw, parameters: { tenant: x }, streams: [s] }
relationalize:
  all: { input: raw/, output: ./curated, key: { s: id } }
merge: { staging: curated/, into: lake/ }
marts:
  first: { sql: select * from s }
  second: { sql: 'select * from first join lake.s@v1 using (id)', key: [id] }
checks:
  s: [{ not_null: id }]
  second: [{ not_null: id }]
";

    fn plan(text: &str) -> Vec<Step> {
        steps(&Job::parse("solder.yaml", text, &[]).unwrap()).unwrap()
    }

    fn told(text: &str) -> String {
        let job = Job::parse("solder.yaml", text, &[]).unwrap();
        let error = steps(&job).unwrap_err();
        std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
    }

    #[test]
    fn j2_steps_wait_for_what_they_read() {
        let steps = plan(JOB);
        let of = |name: &str| steps.iter().find(|step| step.name == name).unwrap();
        let waits = |name: &str| {
            let after = of(name).after.iter();
            after.map(|at| steps[*at].name.as_str()).collect::<Vec<_>>()
        };
        assert!(waits("ingest.a").is_empty() && waits("ingest.b").is_empty());
        assert_eq!(waits("relationalize.all"), ["ingest.a", "ingest.b"]);
        assert_eq!(waits("merge"), ["relationalize.all"]);
        assert_eq!(waits("check"), ["merge"]);
        assert_eq!(waits("mart.first"), ["check"]);
        assert_eq!(waits("mart.second"), ["mart.first"]);
        assert_eq!(waits("check.marts"), ["mart.second"]);
        assert_eq!(
            of("ingest.b").arguments,
            ["run", "b.yaml", "--to=raw", "--stream=s", "--param=tenant=x"]
        );
        assert_eq!(of("check").arguments, ["check", "lake/", "--job=solder.yaml", "--skip=second"]);
    }

    #[test]
    fn j4_steps_are_chosen() {
        let names = |only: &[&str], from| {
            let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
            let chosen = select(plan(JOB), &only, from).unwrap();
            assert!(
                chosen.iter().enumerate().all(|(at, step)| step.after.iter().all(|it| *it < at))
            );
            chosen.into_iter().map(|step| step.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&["merge", "a"], None), ["ingest.a", "merge"]);
        assert_eq!(names(&[], Some("first")), ["mart.first", "mart.second", "check.marts"]);
        assert_eq!(names(&[], None).len(), 8);
        // Over a step that is not chosen, order stays.
        let chosen = select(plan(JOB), &["a".to_owned(), "check".to_owned()], None).unwrap();
        assert_eq!(chosen[1].after, [0]);
        let error = select(plan(JOB), &["frist".to_owned()], None).unwrap_err();
        assert!(error.to_string().contains("there is no step `frist`; there are ingest.a"));
    }

    #[test]
    fn j1_what_no_command_takes_is_refused_with_its_place() {
        let text = told("relationalize:\n  all: { input: a, output: b, max_depth: 9999 }\n");
        assert!(text.starts_with("solder.yaml:2:8: relationalize.all: invalid value"), "{text}");
        let text = told("relationalize:\n  all: { input: a, output: b, resolve: x }\n");
        assert!(text.contains("PATH=ACTION"), "{text}");
        let text = told("marts:\n  m: { statements: a.sql, sql: select 1, into: l }\n");
        assert!(text.contains("either `statements`"), "{text}");
        let circle = "marts:\n  a: { sql: select 1, into: l, after: [b] }\n  b: { sql: select 1, into: l, after: [mart.a] }\n";
        assert!(told(circle).contains("wait for each other: mart.a, mart.b"));
        assert!(told("marts:\n  a: { sql: selec, into: l }\n").contains("marts.a.sql"));
        assert!(told("checks: { a: [{ not_null: id }] }").contains("checks"));
    }
}
