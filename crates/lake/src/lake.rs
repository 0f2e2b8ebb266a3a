//! A place that holds Delta tables.

use std::collections::HashMap;

use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use futures::TryStreamExt;
use object_store::path::Path as StorePath;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};
use solder_landing::{Mount, Place};
use std::sync::Arc;
use url::Url;

use crate::delta::{Table, schema};
use crate::error::Error;

/// A lake: one folder per Delta table, and `_solder/` for what is ours.
///
/// ```text
///   lake/
///     orders/_delta_log/…  part-….parquet
///     orders__items/…
///     _quarantine/…        staged rows without a key
///     _solder/store.json   the store has been seen to create objects only if they are absent
/// ```
#[derive(Clone, Debug)]
pub struct Lake {
    place: Place,
    mount: Mount,
}

/// The folder of one table.
#[derive(Clone, Debug)]
pub struct TableFolder {
    /// The table's name.
    pub name: String,
    /// Place and name in one text, for people.
    pub address: String,
    /// The place of its files.
    pub place: Place,
    /// The store, with the bucket's root.
    pub store: Arc<dyn ObjectStore>,
    /// The folder below that root.
    pub path: StorePath,
    /// The folder's URL, with a slash at its end.
    pub url: Url,
}

impl Lake {
    /// The lake that a text names. Nothing is read.
    ///
    /// # Errors
    ///
    /// The text names no place, or its store cannot be used.
    pub fn open(text: &str) -> Result<Lake, Error> {
        let place = Place::parse(text)?;
        let mount = place.mount()?;
        Ok(Lake { place, mount })
    }

    /// The place itself.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Where the tables lie, for a query engine.
    pub fn mount(&self) -> &Mount {
        &self.mount
    }

    /// The folder of a table, whether it exists or not.
    ///
    /// # Errors
    ///
    /// The name cannot be that of a folder.
    pub fn folder(&self, name: &str) -> Result<TableFolder, Error> {
        let url = format!("{}/", self.mount.url(name));
        let url = Url::parse(&url).map_err(|source| Error::Internal(Box::new(source)))?;
        Ok(TableFolder {
            name: name.to_owned(),
            address: self.place.address(name),
            place: self.place.folder(name)?,
            store: Arc::clone(&self.mount.store),
            path: self.mount.path.clone().join(name),
            url,
        })
    }

    /// The table of a name, at its latest version; `None` when there is no folder of that name.
    ///
    /// # Errors
    ///
    /// The folder holds no Delta table, or its log cannot be read.
    pub async fn table(&self, name: &str) -> Result<Option<Table>, Error> {
        Table::open(self.folder(name)?).await
    }

    /// The table of a name, which must exist.
    ///
    /// # Errors
    ///
    /// As [`Lake::table`], and when there is none.
    pub async fn existing(&self, name: &str) -> Result<Table, Error> {
        match self.table(name).await? {
            Some(table) => Ok(table),
            None => {
                let names = self.table_names().await?;
                Err(Error::NoTable {
                    table: name.to_owned(),
                    lake: self.place.to_string(),
                    hint: crate::readable::choice("it has", &names),
                })
            }
        }
    }

    /// The names of all Delta tables, sorted.
    ///
    /// # Errors
    ///
    /// The place cannot be listed.
    pub async fn table_names(&self) -> Result<Vec<String>, Error> {
        self.table_names_where(|_| true).await
    }

    /// The child tables of a root whose names are wanted; no other folder is looked into.
    ///
    /// # Errors
    ///
    /// The place cannot be listed, or a log cannot be read.
    pub async fn children(
        &self,
        root: &str,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<Table>, Error> {
        let prefix = format!("{root}__");
        let may_be = |name: &str| name.starts_with(&prefix) && is_wanted(name);
        let mut children = Vec::new();
        for name in self.table_names_where(may_be).await? {
            let table = self.existing(&name).await?;
            if table.property(schema::ROOT) == Some(root) {
                children.push(table);
            }
        }
        Ok(children)
    }

    async fn table_names_where(
        &self,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, Error> {
        let failed =
            |source| Error::Fetch { file: self.place.to_string(), source: Box::new(source) };
        let listing = self.mount.store.list_with_delimiter(Some(&self.mount.path)).await;
        let mut names = Vec::new();
        for folder in listing.map_err(failed)?.common_prefixes {
            let is_table = |name: &&str| !name.starts_with(['_', '.']) && is_wanted(name);
            let Some(name) = folder.filename().filter(is_table) else { continue };
            let log = folder.clone().join("_delta_log");
            let mut entries = self.mount.store.list(Some(&log));
            if entries.try_next().await.map_err(failed)?.is_some() {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Proves once per lake that its store creates an object only if it is absent, since every commit
    /// rests on that (M8). A store that has been seen to do so is not asked again.
    ///
    /// # Errors
    ///
    /// The store overwrites, or refuses.
    pub async fn check_store(&self) -> Result<(), Error> {
        if self.place.local_path("_solder").is_some() {
            return Ok(());
        }
        const SEEN: &str = "_solder/store.json";
        let proof = self.mount.path.clone().join("_solder").join("store.json");
        match self.mount.store.head(&proof).await {
            Ok(_) => return Ok(()),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => {
                let file = self.place.address(SEEN);
                return Err(Error::Fetch { file, source: Box::new(source) });
            }
        }
        let probe = format!("_solder/probe-{}", solder_relationalize::new_run_id());
        let is_safe = self.place.honours_create(&probe).await?;
        self.place.delete(&[probe.as_str()]).await?;
        if !is_safe {
            return Err(Error::UnsafeStore { lake: self.place.to_string() });
        }
        // Whoever was first has seen the same.
        self.place.create(SEEN, r#"{"put_if_absent": true}"#.into()).await.map(drop)?;
        Ok(())
    }
}

impl TableFolder {
    /// The table's log, in our own store.
    pub(crate) fn log(&self) -> LogStoreRef {
        let prefixed = Arc::new(PrefixStore::new(Arc::clone(&self.store), self.path.clone()));
        let options = StorageConfig { raw: HashMap::new(), ..StorageConfig::default() };
        default_logstore(prefixed, Arc::clone(&self.store), &self.url, &options)
    }

    /// Where a data file lies, below the store's root.
    pub(crate) fn file(&self, path: &str) -> StorePath {
        match StorePath::parse(path) {
            Ok(below) => self.path.parts().chain(below.parts()).collect(),
            Err(_) => self.path.clone().join(path),
        }
    }
}
