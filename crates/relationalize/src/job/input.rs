//! What there is to read: objects by their names, or the parts that a landing zone's manifests name.

use std::sync::Arc;

use solder_landing::{Input, Landed, LandedStream};

use crate::error::Error;
use crate::pipeline::Crew;
use crate::read::{Entities, Origin, STDIN, StandardInput, group, group_landed};
use crate::report::LandingReport;
use crate::settings::Settings;

/// What a run reads.
pub(super) enum InputObjects {
    Listed(Box<Input>),
    Stdin,
}

impl InputObjects {
    pub(super) fn parse(settings: &Settings) -> Result<InputObjects, Error> {
        if settings.input != STDIN {
            return Ok(InputObjects::Listed(Box::new(Input::parse(&settings.input)?)));
        }
        if settings.bookmark {
            return Err(Error::Conflict(
                "--bookmark remembers objects by their names, and standard input (`-`) has none: leave it \
                 out, or give the records as a file"
                    .to_owned(),
            ));
        }
        Ok(InputObjects::Stdin)
    }

    /// Where the objects are, and which belong to which entity.
    pub(super) fn find(self, settings: &Settings, crew: &Crew) -> Result<Found, Error> {
        let table = settings.table.as_deref();
        let input = match self {
            InputObjects::Stdin => {
                let objects = vec![StandardInput::object()];
                let grouped = group(objects, table.or(Some("stdin")), STDIN, settings.naming, true);
                return Ok(Found { origin: Origin::Stdin(Arc::default()), grouped, landing: None });
            }
            InputObjects::Listed(input) => input,
        };
        if let Some(landed) = crew.io.wait(input.landed())? {
            return landed_objects(landed, settings);
        }
        let listing = crew.io.wait(input.objects())?;
        // Runs say that they begin before they land anything.
        if listing.objects.iter().any(|object| object.key.starts_with("runs/source=")) {
            return Err(Error::NothingLanded { input: settings.input.clone() });
        }
        let name = settings.input_name();
        let mut grouped =
            group(listing.objects, table, &name, settings.naming, listing.is_one_object);
        grouped.num_ignored += listing.hidden;
        Ok(Found { origin: Origin::Place(listing.base), grouped, landing: None })
    }
}

/// What there is to read.
pub(super) struct Found {
    pub(super) origin: Origin,
    pub(super) grouped: Entities,
    pub(super) landing: Option<LandingReport>,
}

/// The parts that count in a landing zone, by entity.
fn landed_objects(landed: Landed, settings: &Settings) -> Result<Found, Error> {
    if landed.streams.is_empty() {
        return Err(Error::NothingLanded { input: settings.input.clone() });
    }
    let origin = Origin::Place(landed.root.clone());
    let num_parts = |stream: &LandedStream| (stream.objects.len() + stream.lost.len()) as u64;
    let landing = Some(LandingReport {
        root: landed.root.to_string(),
        streams: landed.streams.len() as u64,
        parts: landed.streams.iter().map(num_parts).sum(),
        parts_left_out: landed.num_left_out,
        replaced: Vec::new(),
    });
    let grouped = group_landed(landed, settings.table.as_deref(), settings.naming)?;
    Ok(Found { origin, grouped, landing })
}
