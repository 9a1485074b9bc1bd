//! Where the views of a test are kept: every suite runs over both stores.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use projections::{PostgresViews, SqliteViews, Statement, ViewStore, Views};
use proptest::test_runner::Config;
use servers::postgres::Postgres;

use crate::planted::{Bug, Buggy};

/// Views of a test, empty at first.
pub(crate) enum Place {
    Sqlite(tempfile::TempDir),
    /// A namespace of its own in the server that the tests share.
    Postgres(String),
    /// In SQLite, with a bug in front.
    Planted(tempfile::TempDir, Bug),
}

/// The database of all the tests.
pub(crate) const DATABASE: &str = "postgres";

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(crate) fn postgres() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self::Postgres(format!("t{}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    pub(crate) fn planted(bug: Bug) -> Self {
        Self::Planted(tempfile::tempdir().unwrap(), bug)
    }

    /// Another one of the same sort.
    pub(crate) fn another(&self) -> Self {
        match self {
            Self::Sqlite(_) => Self::sqlite(),
            Self::Postgres(_) => Self::postgres(),
            Self::Planted(_, bug) => Self::planted(*bug),
        }
    }

    /// How many histories a property is tried on: a server takes longer over each.
    pub(crate) fn cases(&self) -> Config {
        // How a planted bug shows is not made shorter: it is enough that it shows.
        let (cases, max_shrink_iters) = match self {
            Self::Sqlite(_) => (48, u32::MAX),
            Self::Postgres(_) => (24, u32::MAX),
            Self::Planted(..) => (48, 0),
        };
        Config { failure_persistence: None, max_shrink_iters, ..Config::with_cases(cases) }
    }

    pub(crate) async fn store(&self) -> Arc<dyn ViewStore> {
        match self {
            Self::Sqlite(folder) => Arc::new(SqliteViews::open(folder.path()).unwrap()),
            Self::Planted(folder, bug) => Arc::new(Buggy::open(folder.path(), *bug)),
            Self::Postgres(namespace) => {
                let url = Postgres::shared().url_of(DATABASE);
                Arc::new(PostgresViews::open(&url, namespace).await.unwrap())
            }
        }
    }

    pub(crate) async fn open(&self) -> Views {
        Views::open(self.store().await).await.unwrap()
    }

    /// Every row of every view but the epoch, which counts runners.
    pub(crate) async fn dump(&self) -> Vec<String> {
        let statement = |text: &'static str| Statement { text: text.into(), values: vec![] };
        let answers = self.store().await.select(&projections::ROWS.map(statement)).await.unwrap();
        answers.into_iter().flatten().map(|cells| format!("{cells:?}")).collect()
    }
}

/// Makes each test one over SQLite and one over PostgreSQL.
macro_rules! over_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[test] fn $name() { super::$name(&crate::place::Place::sqlite()) })*
        }
        mod postgres {
            $(#[test] fn $name() { super::$name(&crate::place::Place::postgres()) })*
        }
    };
}
pub(crate) use over_both;
