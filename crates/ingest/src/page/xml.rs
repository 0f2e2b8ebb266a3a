//! Cuts XML into records: an element is an object.
//!
//! | in the element | becomes |
//! |---|---|
//! | an attribute | the member `@name` |
//! | a child | the member of its name; several of one name an array, in the place of the first |
//! | text, and nothing else | the value itself, a string (`""` when empty), with all its spaces |
//! | text besides attributes or children, or in the record's own element | the member `#text`, without spaces around it when there are children; none when blank |
//! | comments, instructions | nothing |
//!
//! The record's element is always an object. Prefixes of names are part of them. References are the five of XML and
//! characters by number; a document type declaration is refused, so that nothing can expand (trap 17). The encoding
//! is UTF-8.
//!
//! The records' path is found when an element is there or the one around it is. Indexes in a path find nothing.
//! Memory: one record's element as a tree, which can take several times its bytes; elements outside of records and
//! watched values leave nothing.

use serde_json::{Map, Value};

use super::fault::BodyFault;
use super::path::{JsonPath, Step};
use super::records::Records;
use super::skip::MAX_DEPTH;
use super::targets::{Link, Place, Targets, Way};
use super::{MAX_WATCHED_BYTES, Page};
use token::{Kind, Pieces, Tag, check_name, line_feeds, resolve, tag};

#[cfg(test)]
mod tests;
mod token;

/// A push parser for XML; see the module.
#[derive(Debug)]
pub(super) struct Elements {
    targets: Targets,
    watched: Vec<Option<Box<[u8]>>>,
    max_record_bytes: usize,
    pieces: Pieces,
    /// The open elements.
    open: Vec<Element>,
    is_root_over: bool,
    records_found: bool,
    num_records: u64,
    /// Offset of the next piece in the body.
    offset: u64,
}

#[derive(Debug)]
struct Element {
    name: String,
    place: Place,
    /// Offset of its start tag.
    start: u64,
    is_record: bool,
    /// What is in it, when it is part of a record or a watched value.
    node: Option<Node>,
}

#[derive(Debug, Default)]
struct Node {
    members: Map<String, Value>,
    text: String,
    has_children: bool,
}

impl Elements {
    pub(super) fn new(records: &JsonPath, watched: &[JsonPath], max_record_bytes: usize) -> Self {
        let watched: Vec<_> = watched.iter().map(without_each).collect();
        Self {
            targets: Targets::new(&without_each(records), &watched),
            watched: vec![None; watched.len()],
            max_record_bytes,
            pieces: Pieces::default(),
            open: Vec::new(),
            is_root_over: false,
            records_found: false,
            num_records: 0,
            offset: 0,
        }
    }

    pub(super) fn feed(&mut self, chunk: &[u8], into: &mut Records) -> Result<(), BodyFault> {
        self.pieces.push(chunk);
        while let Some((kind, piece)) = self.pieces.cut() {
            self.piece(kind, &piece, into)?;
            self.offset += piece.len() as u64;
        }
        self.check_size(self.pieces.num_waiting() as u64)
    }

    pub(super) fn finish(self, _into: &mut Records) -> Result<Page, BodyFault> {
        let rest = self.pieces.rest().trim_ascii();
        let is_text = rest.first().is_some_and(|&byte| byte != b'<');
        if self.open.is_empty() && is_text {
            return Err(self.fault("text outside of the root element"));
        }
        if !self.open.is_empty() || !rest.is_empty() {
            let offset = self.offset + self.pieces.num_waiting() as u64;
            let expected = if self.open.is_empty() { "the end of a tag" } else { "an end tag" };
            return Err(BodyFault::CutOff { offset, path: self.path(), expected });
        }
        Ok(Page {
            watched: self.watched,
            records_found: self.records_found,
            num_records: self.num_records,
            num_bytes: self.offset + self.pieces.num_waiting() as u64,
            ..Page::default()
        })
    }

    fn piece(&mut self, kind: Kind, piece: &[u8], into: &mut Records) -> Result<(), BodyFault> {
        let text = str::from_utf8(piece).map_err(|error| BodyFault::Encoding {
            offset: self.offset + error.valid_up_to() as u64,
            found: "other bytes",
        })?;
        match kind {
            Kind::Text if self.open.is_empty() => {
                if !text.trim_ascii().is_empty() {
                    return Err(self.fault("text outside of the root element"));
                }
            }
            Kind::Text => {
                let resolved = resolve(text).map_err(|reason| self.fault(reason))?;
                self.add_text(&resolved);
            }
            Kind::Verbatim if self.open.is_empty() => {
                return Err(self.fault("text outside of the root element"));
            }
            Kind::Verbatim => self.add_text(&line_feeds(&text[9..text.len() - 3])),
            Kind::Comment => {}
            Kind::Instruction => self.check_encoding(text)?,
            Kind::Declaration => {
                return Err(self.fault("a declaration (`<!DOCTYPE`, `<!ENTITY`) is refused"));
            }
            Kind::Start => {
                let tag = tag(text).map_err(|reason| self.fault(reason))?;
                self.start(&tag)?;
                if tag.is_empty {
                    self.end(piece.len(), into)?;
                }
            }
            Kind::End => {
                let name = text[2..text.len() - 1].trim_end();
                check_name(name).map_err(|reason| self.fault(reason))?;
                if self.open.last().is_none_or(|element| element.name != name) {
                    return Err(self.fault("the end tag of another element"));
                }
                self.end(piece.len(), into)?;
            }
        }
        self.check_size(piece.len() as u64)
    }

    fn add_text(&mut self, text: &str) {
        if let Some(node) = self.open.last_mut().and_then(|element| element.node.as_mut()) {
            node.text.push_str(text);
        }
    }

    fn check_encoding(&self, instruction: &str) -> Result<(), BodyFault> {
        let Some(declaration) = instruction.strip_prefix("<?xml ") else { return Ok(()) };
        let Some((_, behind)) = declaration.split_once("encoding") else { return Ok(()) };
        let encoding = behind.trim_start_matches([' ', '=']).trim_start_matches(['"', '\'']);
        let encoding = encoding.split(['"', '\'']).next().unwrap_or_default();
        if ["utf-8", "utf8", "us-ascii"].iter().any(|known| encoding.eq_ignore_ascii_case(known)) {
            return Ok(());
        }
        let found = "the declaration of another encoding";
        Err(BodyFault::Encoding { offset: self.offset, found })
    }

    fn start(&mut self, tag: &Tag<'_>) -> Result<(), BodyFault> {
        if self.is_root_over {
            return Err(self.fault("a second root element"));
        }
        let depth = self.open.len();
        if depth == MAX_DEPTH {
            let (offset, path) = (self.offset, self.path());
            return Err(BodyFault::TooDeep { offset, path, limit_levels: MAX_DEPTH });
        }
        let link = Link::Key(tag.name.as_bytes());
        let (place, is_inside) = match self.open.last() {
            Some(parent) => {
                (self.targets.follow(&parent.place, depth, link), parent.node.is_some())
            }
            None => self.root_place(link),
        };
        let is_record = place.records == Way::Here;
        self.records_found |= is_record || self.targets.is_parent_of_records(&place, depth + 1);
        for (name, value) in &tag.attributes {
            let link = format!("@{name}");
            let attribute = self.targets.follow(&place, depth + 1, Link::Key(link.as_bytes()));
            for watched in attribute.watched_here {
                self.check_watched(watched, value.len() as u64)?;
                self.watched[watched] =
                    Some(Value::from(value.as_str()).to_string().into_bytes().into());
            }
        }
        let is_kept = is_inside || is_record || !place.watched_here.is_empty();
        let node = is_kept.then(|| {
            let members = tag.attributes.iter();
            let members = members.map(|(name, value)| (format!("@{name}"), value.as_str().into()));
            Node { members: members.collect(), ..Node::default() }
        });
        let (name, start) = (tag.name.to_owned(), self.offset);
        self.open.push(Element { name, place, start, is_record, node });
        Ok(())
    }

    /// The root element's place, where `$` stands for the element itself.
    fn root_place(&self, link: Link<'_>) -> (Place, bool) {
        let document = self.targets.root();
        let mut place = self.targets.follow(&document, 0, link);
        if document.records == Way::Here {
            place.records = Way::Here;
        }
        place.watched_here.extend(&document.watched_here);
        (place, false)
    }

    /// The innermost element ends with the piece that is being read.
    fn end(&mut self, num_piece_bytes: usize, into: &mut Records) -> Result<(), BodyFault> {
        self.check_size(num_piece_bytes as u64)?;
        let Some(element) = self.open.pop() else { return Ok(()) };
        self.is_root_over = self.open.is_empty();
        let Some(node) = element.node else { return Ok(()) };
        let value = node.into_value(element.is_record);
        let is_told = element.is_record || !element.place.watched_here.is_empty();
        let json = if is_told { value.to_string().into_bytes() } else { Vec::new() };
        for &watched in &element.place.watched_here {
            self.check_watched(watched, json.len() as u64)?;
            self.watched[watched] = Some(json.as_slice().into());
        }
        if element.is_record {
            into.push(&json);
            self.num_records += 1;
        }
        if let Some(parent) = self.open.last_mut().and_then(|parent| parent.node.as_mut()) {
            parent.add(element.name, value);
        }
        Ok(())
    }

    /// Whether records and watched values that go on keep to their limits, with `num_bytes` more.
    fn check_size(&self, num_bytes: u64) -> Result<(), BodyFault> {
        let end = self.offset + num_bytes;
        let outermost = self.open.iter().find(|element| element.is_record);
        let start = outermost.map_or(self.offset, |element| element.start);
        if end - start > self.max_record_bytes as u64 {
            return Err(BodyFault::RecordTooLarge {
                offset: end,
                path: self.path(),
                limit_bytes: self.max_record_bytes,
            });
        }
        let watched = self.open.iter().find_map(|element| {
            element.place.watched_here.first().map(|&watched| (watched, element.start))
        });
        watched.map_or(Ok(()), |(watched, start)| self.check_watched(watched, end - start))
    }

    fn check_watched(&self, watched: usize, num_bytes: u64) -> Result<(), BodyFault> {
        if num_bytes <= MAX_WATCHED_BYTES as u64 {
            return Ok(());
        }
        let path = self.targets.watched(watched).clone();
        let (offset, limit_bytes) = (self.offset, MAX_WATCHED_BYTES);
        Err(BodyFault::WatchedTooLarge { offset, path, limit_bytes })
    }

    fn fault(&self, reason: &'static str) -> BodyFault {
        BodyFault::Xml { offset: self.offset, path: self.path(), reason }
    }

    fn path(&self) -> JsonPath {
        let steps = self.open.iter().map(|element| Step::Name(element.name.clone()));
        JsonPath::new(steps.collect())
    }
}

impl Node {
    fn add(&mut self, name: String, value: Value) {
        self.has_children = true;
        match self.members.get_mut(&name) {
            // A child is never an array itself.
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
            None => {
                self.members.insert(name, value);
            }
        }
    }

    fn into_value(mut self, is_record: bool) -> Value {
        if self.members.is_empty() && !is_record {
            return Value::String(self.text);
        }
        if !self.text.trim_ascii().is_empty() {
            let text = if self.has_children { self.text.trim_ascii() } else { &self.text };
            self.members.insert("#text".to_owned(), text.into());
        }
        Value::Object(self.members)
    }
}

/// Elements repeat without an array around them.
fn without_each(path: &JsonPath) -> JsonPath {
    let steps = path.steps().iter().filter(|step| !matches!(step, Step::Each));
    JsonPath::new(steps.cloned().collect())
}
