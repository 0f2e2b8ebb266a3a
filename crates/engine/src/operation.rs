//! What observers are told of a command: its name, its run, the places that it reads and writes.

use std::path::Path;

use solder_lake::merge::EntityReport;
use solder_operate::{Schema, Subject};
use solder_relationalize::new_run_id;
use solder_relationalize::relation::Column;
use solder_relationalize::report::TableReport;

use crate::catalog::described;
use crate::cli::Command;

/// The name of a command that does something; `None` for those that only show what is there.
pub(crate) fn name(command: &Command) -> Option<&'static str> {
    match command {
        Command::Run(args) => args.plan.is_none().then_some("run"),
        Command::Relationalize(_) => Some("relationalize"),
        Command::Plan(_) => Some("plan"),
        Command::Shard(_) => Some("shard"),
        Command::Commit(_) => Some("commit"),
        Command::Merge(_) => Some("merge"),
        Command::Sql(_) => Some("sql"),
        Command::Check(_) => Some("check"),
        Command::Optimize(_) => Some("optimize"),
        Command::Restore(_) => Some("restore"),
        Command::Vacuum(_) => Some("vacuum"),
        _ => None,
    }
}

/// Gives a run its id before anything can fail, so that every report names it.
pub(crate) fn name_run(command: &mut Command) {
    let run_id = match command {
        Command::Run(args) => &mut args.run_id,
        Command::Relationalize(args) => &mut args.run_id,
        Command::Plan(args) => &mut args.relationalize.run_id,
        _ => return,
    };
    run_id.get_or_insert_with(new_run_id);
}

/// What observers are told. Options that are wrong name no place; the command says what is wrong with them.
pub(crate) fn subject(name: &'static str, command: &Command) -> Subject {
    let mut subject = Subject { program: "engine", command: name, ..Subject::default() };
    let reporting = match command {
        Command::Run(args) => {
            subject.run_id.clone_from(&args.run_id);
            let file = args.job.file_stem().unwrap_or_default();
            subject.name = file.to_string_lossy().into_owned();
            &args.reporting
        }
        Command::Relationalize(args) => {
            of_relationalize(&mut subject, args);
            &args.reporting
        }
        Command::Plan(args) => {
            of_relationalize(&mut subject, &args.relationalize);
            &args.relationalize.reporting
        }
        Command::Shard(args) => {
            subject.run_id = Some(args.run_id.clone());
            subject.outputs.push(args.curated.clone());
            &args.reporting
        }
        Command::Commit(args) => {
            subject.run_id = Some(args.run_id.clone());
            subject.outputs.push(args.curated.clone());
            &args.reporting
        }
        Command::Merge(args) => {
            if let Ok((settings, _)) = args.settings() {
                subject.inputs.push(settings.staging);
                subject.outputs.push(settings.lake);
            }
            &args.reporting
        }
        Command::Sql(args) => {
            if let Ok(settings) = args.settings() {
                subject.inputs.extend([settings.lake, settings.curated].into_iter().flatten());
                if let Some(into) = settings.into {
                    subject.run_id = into.run_id;
                    subject.name.clone_from(&into.table);
                    subject.outputs.push(into.lake);
                }
            }
            &args.reporting
        }
        _ => return subject,
    };
    subject.manifest = reporting.manifest().map(str::to_owned);
    if subject.name.is_empty() {
        let place = subject.outputs.first().map(|place| place.trim_end_matches('/'));
        let last = place.and_then(|place| Path::new(place).file_name()).unwrap_or_default();
        subject.name = last.to_string_lossy().into_owned();
    }
    subject
}

/// What tables of a curated place hold.
pub(crate) fn schemas(tables: &[TableReport]) -> Vec<Schema> {
    tables.iter().map(|table| schema(&table.name, &table.schema)).collect()
}

/// What tables hold that a merge brought.
pub(crate) fn merged_schemas(entities: &[EntityReport]) -> Vec<Schema> {
    let tables = entities.iter().flat_map(|entity| &entity.tables);
    tables.map(|table| schema(&table.name, &table.schema)).collect()
}

fn schema(table: &str, columns: &[Column]) -> Schema {
    Schema { table: table.to_owned(), columns: columns.iter().map(described).collect() }
}

fn of_relationalize(subject: &mut Subject, args: &crate::cli::Relationalize) {
    subject.run_id.clone_from(&args.run_id);
    if let Ok(settings) = args.settings() {
        subject.inputs.push(settings.input);
        subject.outputs.push(settings.output);
    }
}
