//! Tables by name: those of a lake, of a curated place, and files. A table is opened when a statement
//! names it, so that a lake of a thousand tables costs what the statement reads.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider, TableProvider,
};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::{ParquetFormat, transform_schema_to_view};
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use object_store::ObjectStoreExt as _;
use object_store::path::Path as StorePath;
use solder_landing::{Mount, Place};
use solder_relationalize::Io;
use solder_relationalize::curated::Curated;
use solder_relationalize::relation::arrow_field;

use crate::error::Error;
use crate::lake::Lake;
use crate::maintain::{delta_table, version_at};

use super::SqlSettings;
use super::plain::PlainTable;

/// The catalog that statements need not name.
pub const CATALOG: &str = "solder";
/// The schema that holds every table: files before those of the lake, and these before the curated ones.
pub const ALL: &str = "tables";
const LAKE: &str = "lake";
const CURATED: &str = "curated";
const FILES: &str = "files";
/// The schemas whose tables are known from the start.
pub const SCHEMAS: [&str; 4] = [ALL, LAKE, CURATED, FILES];

/// Where the tables are that statements can name.
#[derive(Clone)]
pub struct Tables {
    lake: Option<LakeTables>,
    curated: Option<CuratedTables>,
    files: BTreeMap<String, BesideTable>,
}

#[derive(Clone)]
struct LakeTables {
    lake: Lake,
    names: Vec<String>,
}

#[derive(Clone)]
struct CuratedTables {
    mount: Mount,
    tables: BTreeMap<String, (SchemaRef, Vec<String>)>,
}

#[derive(Clone)]
struct BesideTable {
    mount: Mount,
    url: String,
    path: StorePath,
    address: String,
    format: BesideFormat,
}

#[derive(Clone, Copy)]
enum BesideFormat {
    Parquet,
    Csv,
    Json,
}

impl Tables {
    /// Looks which tables there are.
    ///
    /// # Errors
    ///
    /// A place cannot be read, or a file is of no known kind.
    pub fn open(io: &Arc<Io>, settings: &SqlSettings) -> Result<Tables, Error> {
        let lake = settings.lake.as_deref().map(|text| {
            let lake = Lake::open(text)?;
            let names = io.wait(lake.table_names())?;
            match names.is_empty() {
                true => Err(Error::NoTables { lake: text.to_owned() }),
                false => Ok(LakeTables { lake, names }),
            }
        });
        let curated = settings.curated.as_deref().map(|text| CuratedTables::open(io, text));
        let files = settings.files.iter();
        let files = files.map(|(name, address)| Ok((name.clone(), BesideTable::new(address)?)));
        Ok(Tables {
            lake: lake.transpose()?,
            curated: curated.transpose()?,
            files: files.collect::<Result<_, Error>>()?,
        })
    }

    /// The stores that they lie in.
    pub fn mounts(&self) -> Vec<&Mount> {
        let lake = self.lake.iter().map(|tables| tables.lake.mount());
        let curated = self.curated.iter().map(|tables| &tables.mount);
        lake.chain(curated).chain(self.files.values().map(|file| &file.mount)).collect()
    }

    /// The names of a schema, or of all tables, sorted.
    pub fn names(&self, schema: Option<&str>) -> Vec<String> {
        let is_wanted = |name: &str| schema.is_none_or(|schema| [ALL, name].contains(&schema));
        let mut names = Vec::new();
        if let Some(tables) = self.lake.as_ref().filter(|_| is_wanted(LAKE)) {
            names.extend(tables.names.iter().cloned());
        }
        if let Some(tables) = self.curated.as_ref().filter(|_| is_wanted(CURATED)) {
            names.extend(tables.tables.keys().cloned());
        }
        if is_wanted(FILES) {
            names.extend(self.files.keys().cloned());
        }
        names.sort();
        names.dedup();
        names
    }

    /// Whether a name is that of a table, of a version of one too.
    pub fn has(&self, schema: Option<&str>, name: &str) -> bool {
        let names = self.names(schema);
        let is_table = |name: &str| names.iter().any(|known| known == name);
        is_table(name) || versioned(name).is_some_and(|(table, _)| is_table(table))
    }

    /// Makes the tables known to a session.
    ///
    /// Files are looked into by a session of its own.
    pub fn register(&self, context: &SessionContext, files: &SessionContext) {
        let catalog = MemoryCatalogProvider::new();
        for schema in SCHEMAS {
            let tables = Named {
                schema,
                tables: self.clone(),
                made: MemorySchemaProvider::new(),
                files: files.clone(),
            };
            // A catalog in memory takes every schema.
            let _ = catalog.register_schema(schema, Arc::new(tables));
        }
        context.register_catalog(CATALOG, Arc::new(catalog));
    }

    async fn table(
        &self,
        schema: &str,
        name: &str,
        context: &SessionContext,
    ) -> Result<Option<Arc<dyn TableProvider>>, Error> {
        if let Some(file) = self.files.get(name).filter(|_| [ALL, FILES].contains(&schema)) {
            return Ok(Some(file.table(context).await?));
        }
        if let Some(tables) = self.lake.as_ref().filter(|_| [ALL, LAKE].contains(&schema))
            && let Some(table) = tables.table(name).await?
        {
            return Ok(Some(table));
        }
        match self.curated.as_ref().filter(|_| [ALL, CURATED].contains(&schema)) {
            Some(tables) => tables.table(name),
            None => Ok(None),
        }
    }
}

/// `orders@v3`, `orders@2026-11-24T08:00:00Z`: a table and what comes after the sign.
fn versioned(name: &str) -> Option<(&str, &str)> {
    name.split_once('@').filter(|(table, version)| !table.is_empty() && !version.is_empty())
}

impl LakeTables {
    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, Error> {
        let (table, version) = match versioned(name) {
            Some((table, version)) => (table, Some(version)),
            None => (name, None),
        };
        if !self.names.iter().any(|known| known == table) {
            return Ok(None);
        }
        let table = self.lake.existing(table).await?;
        let table = match version {
            None => table,
            Some(text) => {
                let version = self.version(&table, text).await?;
                if version > table.version() {
                    return Err(Error::Usage(format!(
                        "`{name}`: the latest version of `{}` is {}",
                        table.folder.address,
                        table.version()
                    )));
                }
                table.at(version).await?
            }
        };
        if let Some(plain) = PlainTable::new(table.clone(), &self.lake.mount().root)? {
            return Ok(Some(Arc::new(plain)));
        }
        let delta = delta_table(&table).await?;
        let provider = delta.table_provider().await.map_err(|source| Error::Statement {
            doing: format!("reading the Delta table `{}`", table.folder.address),
            source: Box::new(source),
        })?;
        Ok(Some(provider))
    }

    async fn version(&self, table: &crate::delta::Table, text: &str) -> Result<u64, Error> {
        let number = text.strip_prefix(['v', 'V']).unwrap_or(text);
        if let Ok(version) = number.parse() {
            return Ok(version);
        }
        let instant: jiff::Timestamp = text.parse().map_err(|_| {
            Error::Usage(format!(
                "`{}@{text}`: expected a version such as `{0}@v3`, or an instant such as `\"{0}@2026-11-24T08:00:00Z\"`",
                table.name()
            ))
        })?;
        let found = version_at(&self.lake, table, instant).await?;
        found.ok_or_else(|| {
            let table = &table.folder.address;
            Error::Usage(format!("`{table}` has no version of {instant} or before"))
        })
    }
}

impl CuratedTables {
    fn open(io: &Arc<Io>, text: &str) -> Result<CuratedTables, Error> {
        let curated = Curated::open(Arc::clone(io), text)?;
        let manifest = curated.latest()?;
        if manifest.runs.is_empty() {
            let place = curated.place().to_string();
            return Err(solder_relationalize::Error::NothingCommitted { place }.into());
        }
        let mut tables = BTreeMap::new();
        for entity in manifest.entities.values() {
            for table in curated.shape(entity)?.layout.tables {
                let fields: Vec<_> = table.columns.iter().map(arrow_field).collect();
                let schema = transform_schema_to_view(&Schema::new(fields));
                let files = entity.tables.get(&table.name).map(Vec::as_slice).unwrap_or_default();
                let keys = files.iter().map(|file| file.key.clone()).collect();
                tables.insert(table.name, (Arc::new(schema), keys));
            }
        }
        Ok(CuratedTables { mount: curated.place().mount()?, tables })
    }

    fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, Error> {
        let Some((schema, keys)) = self.tables.get(name) else { return Ok(None) };
        if keys.is_empty() {
            return Ok(Some(Arc::new(EmptyTable::new(Arc::clone(schema)))));
        }
        let urls = keys.iter().map(|key| ListingTableUrl::parse(self.mount.url(key)));
        let urls = urls.collect::<Result<Vec<_>, _>>().map_err(internal)?;
        let options = ListingOptions::new(Arc::new(ParquetFormat::default()));
        let config = ListingTableConfig::new_with_multi_paths(urls)
            .with_listing_options(options)
            .with_schema(Arc::clone(schema));
        Ok(Some(Arc::new(ListingTable::try_new(config).map_err(internal)?)))
    }
}

impl BesideTable {
    fn new(address: &str) -> Result<BesideTable, Error> {
        let (place, key) = Place::parse_object(address)?;
        let extension = key.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
        let format = match extension.as_deref() {
            Some("parquet") => BesideFormat::Parquet,
            Some("csv") => BesideFormat::Csv,
            Some("json" | "ndjson" | "jsonl") => BesideFormat::Json,
            _ => {
                return Err(Error::Usage(format!(
                    "`{address}` cannot be a table: expected a file that ends in .parquet, .csv or .ndjson"
                )));
            }
        };
        let mount = place.mount()?;
        let path = mount.path.parts().chain(StorePath::from(key.as_str()).parts()).collect();
        Ok(BesideTable { url: mount.url(&key), path, mount, address: address.to_owned(), format })
    }

    async fn table(&self, context: &SessionContext) -> Result<Arc<dyn TableProvider>, Error> {
        let failed = |source: DataFusionError| Error::Statement {
            doing: format!("reading `{}`", self.address),
            source: Box::new(source),
        };
        let format: Arc<dyn FileFormat> = match self.format {
            BesideFormat::Parquet => Arc::new(ParquetFormat::default()),
            BesideFormat::Csv => Arc::new(CsvFormat::default().with_has_header(true)),
            BesideFormat::Json => Arc::new(JsonFormat::default()),
        };
        let extension = self.url.rsplit_once('.').map_or("", |(_, extension)| extension);
        let options = ListingOptions::new(format).with_file_extension(format!(".{extension}"));
        match self.mount.store.head(&self.path).await {
            Ok(_) => {}
            Err(object_store::Error::NotFound { .. }) => {
                return Err(Error::NoFile { address: self.address.clone() });
            }
            Err(source) => {
                let file = self.address.clone();
                return Err(Error::Fetch { file, source: Box::new(source) });
            }
        }
        let url = ListingTableUrl::parse(&self.url).map_err(failed)?;
        let schema = options.infer_schema(&context.state(), &url).await.map_err(failed)?;
        if schema.fields().is_empty() {
            return Err(Error::Usage(format!("`{}` is empty, and no table", self.address)));
        }
        let config = ListingTableConfig::new(url).with_listing_options(options).with_schema(schema);
        Ok(Arc::new(ListingTable::try_new(config).map_err(failed)?))
    }
}

/// A schema whose tables are opened when they are asked for, and those that statements make.
struct Named {
    schema: &'static str,
    tables: Tables,
    made: MemorySchemaProvider,
    files: SessionContext,
}

impl Debug for Named {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Named").field("schema", &self.schema).finish_non_exhaustive()
    }
}

#[async_trait]
impl SchemaProvider for Named {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.tables.names(Some(self.schema));
        names.extend(self.made.table_names());
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if let Some(made) = self.made.table(name).await? {
            return Ok(Some(made));
        }
        let found = self.tables.table(self.schema, name, &self.files).await;
        found.map_err(|error| DataFusionError::External(Box::new(error)))
    }

    fn register_table(
        &self,
        name: String,
        table: Arc<dyn TableProvider>,
    ) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        self.made.register_table(name, table)
    }

    fn deregister_table(
        &self,
        name: &str,
    ) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        self.made.deregister_table(name)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.made.table_exist(name) || self.tables.has(Some(self.schema), name)
    }
}

fn internal(error: DataFusionError) -> Error {
    Error::Internal(Box::new(error))
}
