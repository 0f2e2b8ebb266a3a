//! What is wrong with a source, and where.

/// What is wrong with a source, and where: a path of names such as `streams`, `issues`, `paginate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) path: Vec<String>,
    pub(crate) message: String,
}

pub(crate) type Checked<T> = Result<T, Fault>;

/// Puts a name before a fault's path, on its way up.
pub(crate) trait Within<T> {
    fn within(self, name: &str) -> Checked<T>;
}

impl<T> Within<T> for Checked<T> {
    fn within(self, name: &str) -> Checked<T> {
        self.map_err(|mut fault| {
            fault.path.insert(0, name.to_owned());
            fault
        })
    }
}

pub(crate) fn fault(message: impl ToString) -> Fault {
    Fault { path: Vec::new(), message: message.to_string() }
}
