//! The rows of a batch column by column: as arrays for `UNNEST`, and as the binary stream of `COPY`.

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio_postgres::types::ToSql;

use crate::batch::{
    ActivityRow, EdgeChange, EdgeKey, Handle, Held, Membership, OPEN, RevisionRow, VersionRow,
};

/// A table, the names and types of its columns, and what to do about rows that are there.
pub(super) struct Table {
    name: &'static str,
    columns: &'static [(&'static str, Sort)],
    conflict: &'static str,
}

/// The type of a column.
#[derive(Clone, Copy)]
pub(super) enum Sort {
    Int,
    Text,
}

use Sort::{Int, Text};

pub(super) const VERSIONS: Table = Table {
    name: "versions",
    columns: &[
        ("from_position", Int),
        ("to_position", Int),
        ("stream", Text),
        ("tenant", Text),
        ("kind", Text),
        ("name", Text),
        ("resource", Int),
        ("version", Int),
        ("time", Int),
        ("phase", Text),
        ("ready", Int),
        ("deployment", Text),
        ("environment", Text),
        ("application", Text),
        ("class", Text),
        ("uid", Text),
        ("since", Int),
        ("generation", Int),
        ("summary", Text),
        ("doc", Text),
    ],
    conflict: "",
};

pub(super) const ACTIVITY: Table = Table {
    name: "activity",
    columns: &[
        ("position", Int),
        ("commit_id", Text),
        ("time", Int),
        ("tenant", Text),
        ("stream", Text),
        ("version", Int),
        ("actor", Text),
        ("command", Text),
        ("intent", Int),
        ("causation_id", Text),
        ("correlation_id", Text),
        ("traceparent", Text),
        ("events", Text),
    ],
    conflict: "",
};

pub(super) const EDGES: Table = Table {
    name: "edges",
    columns: &[
        ("source", Text),
        ("target", Text),
        ("output", Text),
        ("from_position", Int),
        ("to_position", Int),
    ],
    conflict: "",
};

pub(super) const HANDLES: Table = Table {
    name: "handles",
    columns: &[("handle", Text), ("stream", Text), ("since", Int)],
    conflict: " ON CONFLICT (handle, stream) DO NOTHING",
};

pub(super) const REVISIONS: Table = Table {
    name: "revisions",
    columns: &[("stream", Text), ("number", Int), ("position", Int)],
    conflict: " ON CONFLICT (stream, number) DO NOTHING",
};

pub(super) const MEMBERSHIPS: Table = Table {
    name: "memberships",
    columns: &[("tenant", Text), ("grouping", Text), ("value", Text), ("stream", Text)],
    conflict: " ON CONFLICT (tenant, grouping, value, stream) DO NOTHING",
};

pub(super) const QUARANTINE: Table = Table {
    name: "quarantine",
    columns: &[
        ("stream", Text),
        ("position", Int),
        ("version", Int),
        ("time", Int),
        ("reason", Text),
        ("commits", Int),
    ],
    conflict: " ON CONFLICT (stream) DO UPDATE SET commits = quarantine.commits + excluded.commits",
};

impl Table {
    fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// One statement for any number of rows.
    pub(super) fn insert(&self) -> String {
        let arrays = self.columns.iter().enumerate().map(|(index, (_, sort))| match sort {
            Int => format!("${}::bigint[]", index + 1),
            Text => format!("${}::text[]", index + 1),
        });
        let arrays = arrays.collect::<Vec<_>>().join(", ");
        let (name, names, conflict) = (self.name, self.names(), self.conflict);
        format!("INSERT INTO {name} ({names}) SELECT * FROM unnest({arrays}){conflict}")
    }

    pub(super) fn copy(&self) -> String {
        format!("COPY {} ({}) FROM STDIN BINARY", self.name, self.names())
    }
}

/// One column of some rows.
#[derive(Debug)]
pub(super) enum Column<'a> {
    Ints(Vec<i64>),
    Texts(Vec<Cow<'a, str>>),
    Nullable(Vec<Option<&'a str>>),
}

/// Rows, column by column, in the order of their table's columns.
pub(super) struct Rows<'a> {
    pub(super) count: usize,
    columns: Vec<Column<'a>>,
}

impl Rows<'_> {
    pub(super) fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.columns.iter().map(Column::array).collect()
    }

    /// The binary format of `COPY`: a header, each row as a count and lengths before values, a trailer.
    pub(super) fn binary(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.count * 512);
        out.put_slice(b"PGCOPY\n\xff\r\n\0");
        out.put_i64(0);
        let columns = i16::try_from(self.columns.len()).unwrap_or_default();
        for row in 0..self.count {
            out.put_i16(columns);
            for column in &self.columns {
                column.put(row, &mut out);
            }
        }
        out.put_i16(-1);
        out.freeze()
    }
}

impl Column<'_> {
    fn array(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Ints(values) => values,
            Self::Texts(values) => values,
            Self::Nullable(values) => values,
        }
    }

    fn put(&self, row: usize, out: &mut BytesMut) {
        let text = match self {
            Self::Ints(values) => {
                out.put_i32(8);
                return out.put_i64(values.get(row).copied().unwrap_or_default());
            }
            Self::Texts(values) => values.get(row).map(AsRef::as_ref),
            Self::Nullable(values) => values.get(row).copied().flatten(),
        };
        match text {
            Some(text) => {
                out.put_i32(i32::try_from(text.len()).unwrap_or_default());
                out.put_slice(text.as_bytes());
            }
            None => out.put_i32(-1),
        }
    }
}

fn ints<T>(rows: &[T], value: impl Fn(&T) -> i64) -> Column<'_> {
    Column::Ints(rows.iter().map(value).collect())
}

fn texts<'a, T, V: Into<Cow<'a, str>>>(rows: &'a [T], value: impl Fn(&'a T) -> V) -> Column<'a> {
    Column::Texts(rows.iter().map(|row| value(row).into()).collect())
}

fn nullable<'a, T>(rows: &'a [T], value: impl Fn(&'a T) -> &'a Option<String>) -> Column<'a> {
    Column::Nullable(rows.iter().map(|row| value(row).as_deref()).collect())
}

pub(super) fn versions(rows: &[VersionRow]) -> Rows<'_> {
    let columns = vec![
        ints(rows, |row| row.from_position),
        ints(rows, |row| row.to_position),
        texts(rows, |row| row.stream.to_string()),
        texts(rows, |row| row.stream.tenant().as_str()),
        texts(rows, |row| row.stream.kind()),
        texts(rows, |row| row.stream.name().as_str()),
        ints(rows, |row| i64::from(row.stream.resource().is_some())),
        ints(rows, |row| row.version),
        ints(rows, |row| row.time),
        texts(rows, |row| row.columns.phase),
        ints(rows, |row| i64::from(row.columns.ready)),
        nullable(rows, |row| &row.columns.deployment),
        nullable(rows, |row| &row.columns.environment),
        nullable(rows, |row| &row.columns.application),
        nullable(rows, |row| &row.columns.class),
        nullable(rows, |row| &row.columns.uid),
        ints(rows, |row| row.columns.since),
        ints(rows, |row| row.columns.generation),
        nullable(rows, |row| &row.columns.summary),
        texts(rows, |row| row.doc.as_str()),
    ];
    Rows { count: rows.len(), columns }
}

pub(super) fn activity(rows: &[ActivityRow]) -> Rows<'_> {
    let columns = vec![
        ints(rows, |row| row.position),
        texts(rows, |row| row.commit_id.as_str()),
        ints(rows, |row| row.time),
        texts(rows, |row| row.stream.tenant().as_str()),
        texts(rows, |row| row.stream.to_string()),
        ints(rows, |row| row.version),
        texts(rows, |row| row.actor.as_str()),
        texts(rows, |row| row.command.as_str()),
        ints(rows, |row| i64::from(row.intent)),
        nullable(rows, |row| &row.causation_id),
        texts(rows, |row| row.correlation_id.as_str()),
        nullable(rows, |row| &row.traceparent),
        texts(rows, |row| row.events.as_str()),
    ];
    Rows { count: rows.len(), columns }
}

pub(super) fn handles(rows: &[Handle]) -> Rows<'_> {
    let columns = vec![
        texts(rows, |row| row.handle.as_str()),
        texts(rows, |row| row.stream.to_string()),
        ints(rows, |row| row.since),
    ];
    Rows { count: rows.len(), columns }
}

pub(super) fn revisions(rows: &[RevisionRow]) -> Rows<'_> {
    let columns = vec![
        texts(rows, |row| row.stream.to_string()),
        ints(rows, |row| row.number),
        ints(rows, |row| row.position),
    ];
    Rows { count: rows.len(), columns }
}

pub(super) fn memberships(rows: &[Membership]) -> Rows<'_> {
    let columns = vec![
        texts(rows, |row| row.stream.tenant().as_str()),
        texts(rows, |row| row.grouping),
        texts(rows, |row| row.value.as_str()),
        texts(rows, |row| row.stream.to_string()),
    ];
    Rows { count: rows.len(), columns }
}

pub(super) fn held(rows: &[Held]) -> Rows<'_> {
    let columns = vec![
        texts(rows, |row| row.stream.to_string()),
        ints(rows, |row| row.position),
        ints(rows, |row| row.version),
        ints(rows, |row| row.time),
        texts(rows, |row| row.reason.as_str()),
        ints(rows, |row| row.commits),
    ];
    Rows { count: rows.len(), columns }
}

/// Rows of earlier batches that end.
pub(super) fn closed(rows: &[(i64, i64)]) -> Rows<'_> {
    let columns = vec![ints(rows, |row| row.0), ints(rows, |row| row.1)];
    Rows { count: rows.len(), columns }
}

/// An edge of this batch: from where, to where.
pub(super) type Opened<'a> = (&'a EdgeKey, i64, i64);

/// Sorts the changes of edges into new rows, some of them ended already, and ends of rows that are there.
pub(super) fn sort_edges(changes: &[EdgeChange]) -> (Vec<Opened<'_>>, Vec<(&EdgeKey, i64)>) {
    let (mut opened, mut closed) = (Vec::<Opened<'_>>::new(), Vec::new());
    let mut open = HashMap::new();
    for change in changes {
        match change {
            EdgeChange::Opened { edge, at } => {
                open.insert(edge, opened.len());
                opened.push((edge, *at, OPEN));
            }
            EdgeChange::Closed { edge, at } => {
                match open.remove(edge).and_then(|index| opened.get_mut(index)) {
                    Some((_, _, to)) => *to = *at,
                    None => closed.push((edge, *at)),
                }
            }
        }
    }
    (opened, closed)
}

pub(super) fn edges<'a>(rows: &'a [Opened<'a>]) -> Rows<'a> {
    let columns = vec![
        texts(rows, |row| row.0.source.as_str()),
        texts(rows, |row| row.0.target.as_str()),
        texts(rows, |row| row.0.output.as_str()),
        ints(rows, |row| row.1),
        ints(rows, |row| row.2),
    ];
    Rows { count: rows.len(), columns }
}

pub(super) fn closed_edges<'a>(rows: &'a [(&'a EdgeKey, i64)]) -> Rows<'a> {
    let columns = vec![
        texts(rows, |row| row.0.source.as_str()),
        texts(rows, |row| row.0.target.as_str()),
        texts(rows, |row| row.0.output.as_str()),
        ints(rows, |row| row.1),
    ];
    Rows { count: rows.len(), columns }
}
