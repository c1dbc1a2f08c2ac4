//! `wasi:http/types`, resource `fields`: names with values, in order.
//!
//! Names are kept as they were given and compared without regard to case. Fields are the guest's own, and can be
//! changed, until a request or a response is made of them; from then on they are shared and stay as they are. Each
//! field is charged to the process before it is kept.

use std::sync::Arc;

use lib_handle_table::HandleError;
use runtime_host::{Budget, OverBudget, Reservation};
use wasmtime::component::Resource;

use super::bindings::wasi::http::types::{HeaderError, HostFields};
use super::syntax::{content_length, is_field_value, is_token};
use crate::{LimitReached, WasiContext};

/// What a field is charged with, besides its name and its value.
const FIELD_BYTES: u64 = 64;

/// Names that a request's sender sets by itself, or that speak of the connection.
const FORBIDDEN: [&str; 9] = [
    "connection",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// Of this there is at most one, or ends of messages would be found in two ways.
const CONTENT_LENGTH: &str = "content-length";

/// Fields of a message to be.
pub enum Fields {
    /// Nobody else has them.
    Own(FieldList),
    /// They belong to a message.
    Shared(Arc<FieldList>),
}

/// Names with values.
pub struct FieldList {
    entries: Vec<(String, Vec<u8>)>,
    paid: Reservation,
}

/// What one operation answers: the inner error is the guest's, the outer ends it.
type Answer<T> = wasmtime::Result<Result<T, HeaderError>>;

impl FieldList {
    pub(super) fn new(budget: &Budget) -> Result<Self, LimitReached> {
        Ok(Self {
            entries: Vec::new(),
            paid: budget.reserve(0)?,
        })
    }

    fn copy(&self, budget: &Budget) -> Result<Self, LimitReached> {
        Ok(Self {
            paid: budget.reserve(self.paid.bytes())?,
            entries: self.entries.clone(),
        })
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Vec<u8>> {
        let named = move |(other, _): &&(String, Vec<u8>)| other.eq_ignore_ascii_case(name);
        self.entries.iter().filter(named).map(|(_, value)| value)
    }

    fn append(&mut self, name: String, value: Vec<u8>) -> Result<(), OverBudget> {
        self.paid.grow(field_bytes(&name, &value))?;
        self.entries.push((name, value));
        Ok(())
    }

    fn delete(&mut self, name: &str) {
        let named = |(other, _): &(String, Vec<u8>)| other.eq_ignore_ascii_case(name);
        let freed: u64 = self
            .entries
            .iter()
            .filter(|entry| named(entry))
            .map(|(name, value)| field_bytes(name, value))
            .sum();
        self.entries.retain(|entry| !named(entry));
        self.paid.shrink(freed);
    }

    /// The value of `content-length`, if there is one.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.values(CONTENT_LENGTH)
            .next()
            .and_then(|value| content_length(value))
    }
}

impl Fields {
    fn list(&self) -> &FieldList {
        match self {
            Self::Own(list) => list,
            Self::Shared(list) => list,
        }
    }

    fn list_mut(&mut self) -> Result<&mut FieldList, HeaderError> {
        match self {
            Self::Own(list) => Ok(list),
            Self::Shared(_) => Err(HeaderError::Immutable),
        }
    }

    /// As a part of a message.
    pub(super) fn share(self) -> Arc<FieldList> {
        match self {
            Self::Own(list) => Arc::new(list),
            Self::Shared(list) => list,
        }
    }

    fn set(&mut self, name: &str, values: Vec<Vec<u8>>) -> Answer<()> {
        let list = match check_name(name).and_then(|()| self.list_mut()) {
            Ok(list) => list,
            Err(error) => return Ok(Err(error)),
        };
        let single = !name.eq_ignore_ascii_case(CONTENT_LENGTH) || values.len() <= 1;
        if !single || !values.iter().all(|value| is_value_of(name, value)) {
            return Ok(Err(HeaderError::InvalidSyntax));
        }
        list.delete(name);
        for value in values {
            list.append(name.to_owned(), value)
                .map_err(LimitReached::from)?;
        }
        Ok(Ok(()))
    }

    fn append(&mut self, name: String, value: Vec<u8>) -> Answer<()> {
        let list = match check_name(&name).and_then(|()| self.list_mut()) {
            Ok(list) => list,
            Err(error) => return Ok(Err(error)),
        };
        let second =
            name.eq_ignore_ascii_case(CONTENT_LENGTH) && list.values(&name).next().is_some();
        if second || !is_value_of(&name, &value) {
            return Ok(Err(HeaderError::InvalidSyntax));
        }
        list.append(name, value).map_err(LimitReached::from)?;
        Ok(Ok(()))
    }
}

fn field_bytes(name: &str, value: &[u8]) -> u64 {
    FIELD_BYTES + name.len() as u64 + value.len() as u64
}

fn check_name(name: &str) -> Result<(), HeaderError> {
    if !is_token(name) {
        return Err(HeaderError::InvalidSyntax);
    }
    if FORBIDDEN
        .iter()
        .any(|other| other.eq_ignore_ascii_case(name))
    {
        return Err(HeaderError::Forbidden);
    }
    Ok(())
}

fn is_value_of(name: &str, value: &[u8]) -> bool {
    match name.eq_ignore_ascii_case(CONTENT_LENGTH) {
        true => content_length(value).is_some(),
        false => is_field_value(value),
    }
}

impl WasiContext {
    fn field_list(&self, fields: &Resource<Fields>) -> Result<&FieldList, HandleError> {
        Ok(self.get(fields)?.list())
    }
}

impl HostFields for WasiContext {
    fn new(&mut self) -> wasmtime::Result<Resource<Fields>> {
        let list = FieldList::new(&self.budget)?;
        Ok(self.push(Fields::Own(list))?)
    }

    fn from_list(&mut self, entries: Vec<(String, Vec<u8>)>) -> Answer<Resource<Fields>> {
        let mut fields = Fields::Own(FieldList::new(&self.budget)?);
        for (name, value) in entries {
            if let Err(error) = fields.append(name, value)? {
                return Ok(Err(error));
            }
        }
        Ok(Ok(self.push(fields)?))
    }

    fn get(&mut self, fields: Resource<Fields>, name: String) -> wasmtime::Result<Vec<Vec<u8>>> {
        Ok(self.field_list(&fields)?.values(&name).cloned().collect())
    }

    fn has(&mut self, fields: Resource<Fields>, name: String) -> wasmtime::Result<bool> {
        Ok(self.field_list(&fields)?.values(&name).next().is_some())
    }

    fn set(&mut self, fields: Resource<Fields>, name: String, values: Vec<Vec<u8>>) -> Answer<()> {
        self.get_mut(&fields)?.set(&name, values)
    }

    fn delete(&mut self, fields: Resource<Fields>, name: String) -> Answer<()> {
        let list = match check_name(&name) {
            Ok(()) => self.get_mut(&fields)?.list_mut(),
            Err(error) => Err(error),
        };
        Ok(list.map(|list| list.delete(&name)))
    }

    fn append(&mut self, fields: Resource<Fields>, name: String, value: Vec<u8>) -> Answer<()> {
        self.get_mut(&fields)?.append(name, value)
    }

    fn entries(&mut self, fields: Resource<Fields>) -> wasmtime::Result<Vec<(String, Vec<u8>)>> {
        Ok(self.field_list(&fields)?.entries.clone())
    }

    fn clone(&mut self, fields: Resource<Fields>) -> wasmtime::Result<Resource<Fields>> {
        let copy = self.field_list(&fields)?.copy(&self.budget)?;
        Ok(self.push(Fields::Own(copy))?)
    }

    fn drop(&mut self, fields: Resource<Fields>) -> wasmtime::Result<()> {
        self.delete(fields)?;
        Ok(())
    }
}
