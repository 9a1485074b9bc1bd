//! Lists in pages, as Relay has them.

use async_graphql::{OutputType, SimpleObject};
use projections::Page;

use super::{
    Activity, Application, Class, Deployment, Environment, Quarantined, Resource, Version,
};
use crate::fault::Fault;

/// The most items on a page.
const PAGE_MAX: i32 = 100;

/// Some of a list.
#[derive(SimpleObject)]
#[graphql(
    serial,
    concrete(name = "ResourceConnection", params(Resource)),
    concrete(name = "DeploymentConnection", params(Deployment)),
    concrete(name = "ApplicationConnection", params(Application)),
    concrete(name = "EnvironmentConnection", params(Environment)),
    concrete(name = "ClassConnection", params(Class)),
    concrete(name = "ActivityConnection", params(Activity)),
    concrete(name = "VersionConnection", params(Version)),
    concrete(name = "QuarantinedConnection", params(Quarantined))
)]
pub(crate) struct Connection<T: OutputType> {
    /// The items, in order.
    nodes: Vec<T>,
    /// Where this page is in the list.
    page_info: PageInfo,
}

/// Where a page is in its list.
#[derive(SimpleObject)]
#[graphql(serial)]
pub(crate) struct PageInfo {
    /// There is a page after this one.
    has_next_page: bool,
    /// Where the next page begins: the argument `after` of the next question. Opaque.
    end_cursor: Option<String>,
}

/// Which page is wanted.
pub(crate) struct Paging {
    pub(crate) limit: u32,
    pub(crate) after: Option<String>,
}

impl Paging {
    pub(crate) fn of(first: i32, after: Option<String>) -> Result<Self, Fault> {
        match u32::try_from(first) {
            Ok(limit) if (1..=PAGE_MAX).contains(&first) => Ok(Self { limit, after }),
            _ => Err(Fault::bad_input(format!("first: must be 1 to {PAGE_MAX}, not {first}"))),
        }
    }
}

impl<T: OutputType> Connection<T> {
    pub(crate) fn of<R>(
        page: Page<R>,
        mut show: impl FnMut(R) -> Result<T, Fault>,
    ) -> Result<Self, Fault> {
        let mut nodes = Vec::with_capacity(page.items.len());
        for item in page.items {
            nodes.push(show(item)?);
        }
        let page_info = PageInfo { has_next_page: page.next.is_some(), end_cursor: page.next };
        Ok(Self { nodes, page_info })
    }
}
