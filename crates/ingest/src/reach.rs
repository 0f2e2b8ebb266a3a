//! What a source is reached by: the sender with its limits and credentials, over the network or a folder of
//! recorded answers.

use std::path::Path;
use std::sync::Arc;

use crate::auth::{Context, authenticator};
use crate::error::Error;
use crate::http::{
    CallsOf, Clock, Guard, Limiter, Live, Recorder, Replay, Sender, SystemClock, Totals, Transport,
};
use crate::secrets::{Redactor, Vault};
use crate::source::plan::{Connection, Parent, Source, Stream};
use crate::walk::{Partition, Rendering, Run, SliceWalk};

/// The way to an API.
pub struct Reach {
    sender: Arc<Sender>,
    vault: Arc<Vault>,
    redactor: Redactor,
    clock: Arc<dyn Clock>,
}

impl Reach {
    /// Over the network. `folder` is where the paths of `${secret:file:…}` begin: that of the source file.
    ///
    /// # Errors
    ///
    /// HTTP cannot be set up, or the credentials' settings cannot be used.
    pub fn live(connection: &Connection, folder: &Path) -> Result<Self, Error> {
        Self::over(connection, folder, |live, _| Ok(Arc::new(live)))
    }

    /// Over the network, and all answers are kept in the folder `recorded`, without secrets.
    ///
    /// # Errors
    ///
    /// As [`Reach::live`], and when the folder cannot be written to.
    pub fn recording(
        connection: &Connection,
        folder: &Path,
        recorded: &Path,
        started: jiff::Timestamp,
    ) -> Result<Self, Error> {
        Self::over(connection, folder, |live, redactor| {
            Ok(Arc::new(Recorder::new(live, recorded, redactor.clone(), started)?))
        })
    }

    fn over(
        connection: &Connection,
        folder: &Path,
        transport: impl FnOnce(Live, &Redactor) -> Result<Arc<dyn Transport>, Error>,
    ) -> Result<Self, Error> {
        let redactor = Redactor::new();
        let vault = Vault::new(redactor.clone()).with_folder(folder);
        let guard = Guard::new(
            &connection.base_url,
            &connection.allowed_hosts,
            connection.allow_private_networks,
        );
        let live = Live::new(connection, &guard).map_err(Error::Client)?;
        let transport = transport(live, &redactor)?;
        Self::assemble(connection, vault, redactor, transport, guard, Arc::new(SystemClock))
    }

    /// From a folder of recorded answers: no network, no secrets, and the clock of the recording.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn replay(connection: &Connection, recorded: &Path) -> Result<Self, Error> {
        let replay = Replay::open(recorded)?;
        let clock = Arc::new(replay.clock());
        let redactor = Redactor::new();
        let vault = Vault::masked(redactor.clone());
        let guard = Guard::new(&connection.base_url, &connection.allowed_hosts, true);
        Self::assemble(connection, vault, redactor, Arc::new(replay), guard, clock)
    }

    /// Over nothing: for plans, which send no request and read no secret.
    ///
    /// # Errors
    ///
    /// The credentials' settings cannot be used.
    pub fn nowhere(connection: &Connection) -> Result<Self, Error> {
        let redactor = Redactor::new();
        let vault = Vault::masked(redactor.clone());
        let guard = Guard::new(&connection.base_url, &connection.allowed_hosts, true);
        let transport = Arc::new(Replay::empty());
        Self::assemble(connection, vault, redactor, transport, guard, Arc::new(SystemClock))
    }

    fn assemble(
        connection: &Connection,
        vault: Vault,
        redactor: Redactor,
        transport: Arc<dyn Transport>,
        guard: Guard,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let limiter = Arc::new(Limiter::new(connection, clock.clone()));
        let sender = Arc::new(Sender::new(
            transport,
            limiter,
            guard,
            clock.clone(),
            redactor.clone(),
            connection,
        ));
        let vault = Arc::new(vault);
        let calls = Arc::new(CallsOf::new(&sender));
        let context = Context { vault: vault.clone(), calls };
        sender.authenticate_with(authenticator(&connection.auth, &context)?);
        Ok(Self { sender, vault, redactor, clock })
    }

    /// What knows the secrets, and blanks them.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(crate) fn slice<'a>(
        &'a self,
        source: &'a Source,
        stream: &'a Stream,
        partition: &'a Partition,
        run: &'a Run,
        children: &'a [(usize, Parent)],
        totals: &'a Totals,
    ) -> SliceWalk<'a> {
        SliceWalk {
            sender: &self.sender,
            rendering: Rendering {
                connection: &source.connection,
                vault: &self.vault,
                run,
                partition,
            },
            stream,
            partition,
            redactor: &self.redactor,
            totals,
            children,
            max_body_bytes: source.connection.max_body_bytes,
            budget: None,
        }
    }
}
