//! The questions people ask: lists, the tree, who did it and why.

use std::collections::BTreeMap;

use domain::commit::{ActorSort, Context};
use domain::lifecycle::{ActionName, Command, Lifetime};
use domain::text::OutputValue;
use domain::{Actor, Resource, Spec, StreamId, Time};
use journal::{Executor, Position};
use projections::queries::{ActivityFilter, AsOf};
use projections::{Filter, Row, Sort, Views};
use uuid::Uuid;

use crate::place::{Place, over_both};
use crate::world::{World, block_on, run_to, stream, tenant};

over_both!(
    a_tree_holds_the_deployment_and_what_it_shares,
    a_list_shows_what_its_filter_lets_through,
    clusters_know_how_many_workloads_they_hold,
    a_list_of_the_past_knows_what_belonged_where_then,
    why_leads_from_a_thing_of_the_cloud_to_the_person_behind_it,
    activity_tells_who_did_what_page_by_page,
);

/// `dev_shop`: a workload that needs a bucket and a shared cluster.
struct Shop {
    world: World,
    executor: Executor,
    views: Views,
    commits: u128,
}

const ANNA: &str = "anna";

impl Shop {
    async fn open(place: &Place) -> Self {
        let world = World::new();
        let executor = Executor::new(std::sync::Arc::clone(&world.journal));
        let views = place.open().await;
        let mut shop = Self { world, executor, views, commits: 0 };
        shop.declare("cluster", "dev-a", Lifetime::Kept, cluster(), None).await;
        let own = || Lifetime::Deployment("dev_shop".parse().unwrap());
        shop.declare("bucket", "dev_shop_b", own(), bucket_spec(), Some(1)).await;
        shop.declare("workload", "dev_shop_w", own(), workload(), Some(2)).await;
        shop.show().await;
        shop
    }

    async fn show(&self) {
        let head = self.world.journal.head().await.unwrap();
        run_to(&self.world, &self.views, head).await;
    }

    async fn execute(&mut self, stream: &StreamId, command: Command, caused_by: Option<u128>) {
        self.commits += 1;
        let id = Uuid::from_u128(self.commits);
        let sort = if caused_by.is_some() { ActorSort::Reconciler } else { ActorSort::User };
        let context = Context {
            commit_id: id,
            time: Time::from_micros(i64::try_from(self.commits).unwrap()),
            actor: Actor::new(sort, if caused_by.is_some() { "rollout" } else { ANNA }),
            causation_id: caused_by.map(Uuid::from_u128),
            correlation_id: Uuid::from_u128(1),
            traceparent: None,
        };
        self.executor.execute::<Resource>(stream, command, context).await.unwrap();
    }

    async fn declare(
        &mut self,
        kind: &str,
        name: &str,
        lifetime: Lifetime,
        spec: Spec,
        caused_by: Option<u128>,
    ) {
        let (uid, at) = (uid(name), Time::from_micros(1));
        let declare = Command::Declare { uid, spec, class: None, lifetime, protected: false, at };
        self.execute(&stream(kind, name), declare, caused_by).await;
    }

    async fn names(&self, filter: Filter) -> Vec<String> {
        let page = self.views.list(&filter, Sort::Name, None, 50, None).await.unwrap();
        names(&page.items)
    }
}

fn names(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| row.stream.name().to_string()).collect()
}

fn uid(name: &str) -> Uuid {
    Uuid::from_u128(name.bytes().fold(7, |sum, byte| sum * 31 + u128::from(byte)))
}

fn spec(kind: &str, spec: serde_json::Value) -> Spec {
    serde_json::from_value(serde_json::json!({ kind: spec })).unwrap()
}

fn cluster() -> Spec {
    let fields = serde_json::json!(
        {"location": "eu", "version": "1.36", "nodes_min": 1, "nodes_max": 3});
    spec("cluster", fields)
}

fn bucket_spec() -> Spec {
    spec("bucket", serde_json::json!({"region": "eu"}))
}

fn workload() -> Spec {
    let fields = serde_json::json!({
        "mode": "service", "cluster": "cluster/dev-a", "scale": {"fixed": 1},
        "containers": {"main": {"image": "shop:1",
            "variables": {"BUCKET": "${bucket/dev_shop_b.endpoint}"}}},
    });
    spec("workload", fields)
}

fn a_tree_holds_the_deployment_and_what_it_shares(place: &Place) {
    block_on(async {
        let mut shop = Shop::open(place).await;
        let at = Time::from_micros(9);
        let block = Command::ObserveBlocker {
            uid: uid("dev_shop_w"),
            on: Some("bucket/dev_shop_b".parse().unwrap()),
            reason: "waits for its bucket".into(),
            at,
        };
        shop.execute(&stream("workload", "dev_shop_w"), block, Some(2)).await;
        shop.show().await;
        let deployment = "dev_shop".parse().unwrap();
        let tree = shop.views.tree(&tenant(), &deployment, None).await.unwrap();
        assert_eq!(names(&tree.nodes), ["dev_shop_b", "dev-a", "dev_shop_w"]);
        assert_eq!(tree.nodes[2].phase, "blocked");
        let edges = tree.edges.iter().map(|edge| {
            let output = edge.output.as_deref().unwrap_or("ready");
            format!("{} needs {} of {}", edge.source.name(), output, edge.target.name())
        });
        assert_eq!(
            edges.collect::<Vec<_>>(),
            ["dev_shop_w needs endpoint of dev_shop_b", "dev_shop_w needs ready of dev-a"]
        );

        let before = Some(AsOf::Position(Position::new(2)));
        let tree = shop.views.tree(&tenant(), &deployment, before).await.unwrap();
        assert_eq!(names(&tree.nodes), ["dev_shop_b"]);
        let cluster = shop.views.edges_of(&stream("cluster", "dev-a"), None).await.unwrap();
        assert_eq!(cluster.needed_by.len(), 1);
        assert!(cluster.needs.is_empty());
    });
}

fn a_list_shows_what_its_filter_lets_through(place: &Place) {
    block_on(async {
        let mut shop = Shop::open(place).await;
        let bucket = stream("bucket", "dev_shop_b");
        let outputs = BTreeMap::from([("endpoint".to_owned(), OutputValue::plain("e"))]);
        let (uid, at) = (uid("dev_shop_b"), Time::from_micros(9));
        let external = Some("arn:b".to_owned());
        let ready = Command::ObserveReady { uid, generation: 1, external, outputs, at };
        shop.execute(&bucket, ready, Some(1)).await;
        shop.show().await;
        let all = Filter::of(tenant(), &[]);
        assert_eq!(shop.names(all.clone()).await, ["dev_shop_b", "dev-a", "dev_shop_w"]);
        let ready = Filter { ready: Some(true), ..all.clone() };
        assert_eq!(shop.names(ready).await, ["dev_shop_b"]);
        let own = Filter { deployment: Some("dev_shop".into()), ..all.clone() };
        assert_eq!(shop.names(own).await, ["dev_shop_b", "dev_shop_w"]);
        let within = Filter { environment: Some("dev".into()), ..all.clone() };
        assert_eq!(shop.names(within).await, ["dev_shop_b", "dev_shop_w"]);
        let prefix = Filter { name_prefix: Some("dev-".into()), ..all.clone() };
        assert_eq!(shop.names(prefix).await, ["dev-a"]);
        let of_kind = Filter::of(tenant(), &["cluster"]);
        assert_eq!(shop.names(of_kind).await, ["dev-a"]);
        let other = Filter::of("other".parse().unwrap(), &[]);
        assert!(shop.names(other).await.is_empty());
        let updated = shop.views.list(&all, Sort::Updated, None, 1, None).await.unwrap();
        assert_eq!(names(&updated.items), ["dev_shop_b"]);
        let wrong = shop.views.list(&all, Sort::Updated, Some("x"), 1, None).await.unwrap_err();
        assert_eq!(wrong.to_string(), "`x` is not a cursor of this list");
    });
}

fn clusters_know_how_many_workloads_they_hold(place: &Place) {
    block_on(async {
        let mut shop = Shop::open(place).await;
        let kept = || Lifetime::Kept;
        shop.declare("workload", "dev_shop_x", kept(), workload(), Some(1)).await;
        shop.declare("workload", "dev_shop-b_w", kept(), workload(), Some(1)).await;
        shop.declare("workload", "dev_other_w", kept(), workload(), Some(1)).await;
        shop.show().await;
        let count = async |but_of: Option<&str>| {
            let but_of = but_of.map(|name| name.parse().unwrap());
            let counts = shop.views.workloads_by_cluster(&tenant(), but_of.as_ref()).await.unwrap();
            counts.into_iter().map(|(id, count)| (id.to_string(), count)).collect::<Vec<_>>()
        };
        assert_eq!(count(None).await, [("cluster/dev-a".to_owned(), 4)]);
        assert_eq!(count(Some("dev_shop")).await, [("cluster/dev-a".to_owned(), 2)]);
        assert_eq!(count(Some("dev_none")).await, [("cluster/dev-a".to_owned(), 4)]);
        let other = "other".parse().unwrap();
        assert!(shop.views.workloads_by_cluster(&other, None).await.unwrap().is_empty());
    });
}

fn a_list_of_the_past_knows_what_belonged_where_then(place: &Place) {
    block_on(async {
        let mut shop = Shop::open(place).await;
        let bucket = stream("bucket", "dev_shop_b");
        let (own, at) = (uid("dev_shop_b"), Time::from_micros(9));
        let delete = Command::RequestDeletion { uid: None, replacement: false, at };
        shop.execute(&bucket, delete, Some(1)).await;
        shop.execute(&bucket, Command::ObserveGone { uid: own, at }, Some(1)).await;
        // The name comes again and belongs to nobody.
        let declare = Command::Declare {
            uid: Uuid::from_u128(77),
            spec: bucket_spec(),
            class: None,
            lifetime: Lifetime::Kept,
            protected: false,
            at,
        };
        shop.execute(&bucket, declare, Some(1)).await;
        shop.show().await;
        let all = Filter::of(tenant(), &[]);
        let own = Filter { application: Some("shop".into()), ..all.clone() };
        assert_eq!(shop.names(own.clone()).await, ["dev_shop_w"]);
        let then = async |filter: &Filter, position| {
            let as_of = Some(AsOf::Position(Position::new(position)));
            let page = shop.views.list(filter, Sort::Name, None, 50, as_of).await.unwrap();
            names(&page.items)
        };
        assert_eq!(then(&own, 1).await, Vec::<String>::new());
        assert_eq!(then(&own, 2).await, ["dev_shop_b"]);
        assert_eq!(then(&own, 3).await, ["dev_shop_b", "dev_shop_w"]);
        assert_eq!(then(&own, 5).await, ["dev_shop_w"], "what is gone is not listed");
        let environment = Filter { environment: Some("dev".into()), ..all.clone() };
        assert_eq!(then(&environment, 3).await, ["dev_shop_b", "dev_shop_w"]);
        assert_eq!(then(&all, 6).await, ["dev_shop_b", "dev-a", "dev_shop_w"]);
    });
}

fn why_leads_from_a_thing_of_the_cloud_to_the_person_behind_it(place: &Place) {
    block_on(async {
        let mut shop = Shop::open(place).await;
        let (uid, at) = (uid("dev_shop_w"), Time::from_micros(9));
        let workload = stream("workload", "dev_shop_w");
        let (action, generation) = (ActionName::Create, 1);
        let external = Some("arn:sim:w".to_owned());
        let start = Command::StartAction { uid, action, generation, at };
        shop.execute(&workload, start, Some(3)).await;
        let success = Command::RecordSuccess { uid, action, generation, external, at };
        shop.execute(&workload, success, Some(4)).await;
        // It is not there because somebody protects it.
        shop.execute(&workload, Command::Protect { on: true, at }, Some(4)).await;
        shop.show().await;
        for what in ["arn:sim:w", "workload/dev_shop_w", &uid.to_string(), &workload.to_string()] {
            let why = shop.views.why(&tenant(), what).await.unwrap().unwrap();
            assert_eq!(why.row.stream, workload, "{what}");
            let chain: Vec<_> = why
                .chain
                .iter()
                .map(|link| format!("{} {} by {}", link.command, link.stream.name(), link.actor))
                .collect();
            assert_eq!(
                chain,
                [
                    "Declare dev_shop_w by reconciler:rollout",
                    "Declare dev_shop_b by reconciler:rollout",
                    "Declare dev-a by user:anna",
                ]
            );
            let recent: Vec<_> = why.recent.iter().map(|link| link.command.as_str()).collect();
            assert_eq!(recent, ["Protect", "RecordSuccess", "StartAction", "Declare"]);
        }
        assert_eq!(shop.views.why(&tenant(), "arn:unknown").await.unwrap(), None);
        let other = "other".parse().unwrap();
        assert_eq!(shop.views.why(&other, "arn:sim:w").await.unwrap(), None);
        assert_eq!(shop.views.why(&other, &workload.to_string()).await.unwrap(), None);
    });
}

fn activity_tells_who_did_what_page_by_page(place: &Place) {
    block_on(async {
        let shop = Shop::open(place).await;
        let all = ActivityFilter::of(tenant());
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = shop.views.activity(&all, after.as_deref(), 2).await.unwrap();
            seen.extend(page.items.iter().map(|activity| activity.position.get()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, [3, 2, 1]);
        let filters = [
            (ActivityFilter { actor: Some("user:anna".into()), ..all.clone() }, vec![1]),
            (ActivityFilter { deployment: Some("dev_shop".into()), ..all.clone() }, vec![3, 2]),
            (ActivityFilter { stream: Some(stream("cluster", "dev-a")), ..all.clone() }, vec![1]),
            (
                ActivityFilter { correlation_id: Some(Uuid::from_u128(1)), ..all.clone() },
                vec![3, 2, 1],
            ),
            (
                ActivityFilter { intents_only: true, command: Some("Pause".into()), ..all.clone() },
                vec![],
            ),
            (ActivityFilter { since: Some(Time::from_micros(3)), ..all.clone() }, vec![3]),
        ];
        for (filter, expected) in filters {
            let page = shop.views.activity(&filter, None, 50).await.unwrap();
            let found: Vec<_> = page.items.iter().map(|item| item.position.get()).collect();
            assert_eq!(found, expected, "{filter:?}");
        }
        let commit = shop.views.commit(Uuid::from_u128(2)).await.unwrap().unwrap();
        assert_eq!(commit.stream, stream("bucket", "dev_shop_b"));
        let notes = commit.notes();
        assert_eq!(notes[0].event_type, "Declared");
        assert!(notes[0].data.as_ref().unwrap().get().contains("\"region\":\"eu\""));
        let history = shop.views.history(&commit.stream, None, 50).await.unwrap();
        assert_eq!(history.items[0].activity, commit);
        assert_eq!(history.items[0].phase, "working");
    });
}
