//! From page to page (I4).

use schemars::JsonSchema;
use serde::Deserialize;

/// How one page leads to the next. A token, URL or page that was seen before is an error.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Paginate {
    /// One answer is all.
    None {},
    /// Pages have numbers.
    Page {
        /// The parameter for the number (default `page`).
        #[serde(default)]
        param: Option<String>,
        /// The first number (default 1).
        #[serde(default)]
        start: Option<u64>,
        /// The size of a page.
        #[serde(default)]
        size: Option<u64>,
        /// The parameter for the size.
        #[serde(default)]
        size_param: Option<String>,
        /// Where the answer says how many pages there are.
        #[serde(default)]
        total_pages: Option<String>,
        /// Where the answer says whether there are more.
        #[serde(default)]
        has_more: Option<String>,
        /// Which page is the last: one without records, or one with fewer than `size` (default `empty`).
        #[serde(default)]
        stop_on: StopOn,
        /// Where the parameters go (default `query`).
        #[serde(default, rename = "in")]
        place: PagePlace,
        /// More pages than this are an error (default 100000).
        #[serde(default)]
        max_pages: Option<u64>,
    },
    /// Pages begin at a record's number.
    Offset {
        /// The parameter for the number (default `offset`).
        #[serde(default)]
        param: Option<String>,
        /// The number of the first record (default 0).
        #[serde(default)]
        start: Option<u64>,
        /// The size of a page.
        size: u64,
        /// The parameter for the size (default `limit`).
        #[serde(default)]
        size_param: Option<String>,
        /// Where the answer says how many records there are.
        #[serde(default)]
        total: Option<String>,
        /// Where the answer says whether there are more.
        #[serde(default)]
        has_more: Option<String>,
        /// Which page is the last: one without records, or one with fewer than `size` (default `empty`).
        #[serde(default)]
        stop_on: StopOn,
        /// Records that a page repeats of the one before, so that none is missed when some are deleted
        /// meanwhile (default 0).
        #[serde(default)]
        overlap: Option<u64>,
        /// Where the parameters go (default `query`).
        #[serde(default, rename = "in")]
        place: PagePlace,
        /// More pages than this are an error (default 100000).
        #[serde(default)]
        max_pages: Option<u64>,
    },
    /// An answer has a token for the next page.
    Cursor {
        /// Where the token is: a JSON path of the answer, `header.NAME`, or `last_record.FIELD`.
        from: String,
        /// The parameter for it; a JSON path such as `variables.after` in a body.
        param: String,
        /// Where the parameter goes (default `query`).
        #[serde(default, rename = "in")]
        place: PagePlace,
        /// Where the answer says whether there are more.
        #[serde(default)]
        has_more: Option<String>,
        /// More pages than this are an error (default 100000).
        #[serde(default)]
        max_pages: Option<u64>,
    },
    /// The `Link` header has the next URL (RFC 8288).
    LinkHeader {
        /// The relation to follow (default `next`).
        #[serde(default)]
        rel: Option<String>,
        /// More pages than this are an error (default 100000).
        #[serde(default)]
        max_pages: Option<u64>,
    },
    /// The body has the next URL.
    NextUrl {
        /// Where it is.
        from: String,
        /// Where the answer says whether there are more.
        #[serde(default)]
        has_more: Option<String>,
        /// More pages than this are an error (default 100000).
        #[serde(default)]
        max_pages: Option<u64>,
    },
}

/// Which page is the last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopOn {
    /// One without records.
    #[default]
    Empty,
    /// One with fewer records than the size of a page. Wrong where an API gives less than it is asked for.
    Short,
}

/// Where a page's parameters go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PagePlace {
    /// In the query.
    #[default]
    Query,
    /// In a header.
    Header,
    /// In the JSON body or form.
    Body,
}

impl Default for Paginate {
    fn default() -> Self {
        Paginate::None {}
    }
}
