//! As of a position, as of a time: the fold of the log up to there, and nothing else.

use domain::{Resource, Time};
use journal::Position;
use projections::queries::AsOf;
use projections::{Filter, Row, Sort, State, Views};
use proptest::prelude::*;

use crate::place::{Place, over_both};
use crate::world::{World, block_on, fold_to, histories, run_to, tenant};

over_both!(
    the_past_is_the_fold_of_the_log_up_to_there,
    a_time_means_the_last_commit_that_is_not_later,
    the_edges_are_what_the_specs_need,
    pages_put_together_are_the_whole_list,
    the_future_is_not_told,
);

const KINDS: &[&str] =
    &["bucket", "workload", "class", "environment", "account", "plan", "deployment", "rollout"];

async fn whole_list(views: &Views, as_of: Option<AsOf>, sort: Sort, limit: u32) -> Vec<Row> {
    let filter = Filter { include_gone: true, ..Filter::of(tenant(), KINDS) };
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = views.list(&filter, sort, after.as_deref(), limit, as_of).await.unwrap();
        assert!(page.items.len() <= limit as usize);
        rows.extend(page.items);
        after = page.next;
        if after.is_none() {
            return rows;
        }
    }
}

async fn projected(place: &Place, history: &[crate::world::Move]) -> (World, Views) {
    let mut world = World::new();
    world.play(history).await;
    let views = place.another().open().await;
    run_to(&world, &views, world.journal.head().await.unwrap()).await;
    (world, views)
}

/// What a row says beside the document, as the document has it.
fn lifted(state: &State) -> (Option<Time>, Option<u64>) {
    let State::Resource(resource) = state else { return (None, None) };
    let body = resource.body();
    let grave = if let Resource::Gone(grave) = &**resource { Some(grave.at) } else { None };
    (body.map(|body| body.readiness.since).or(grave), body.map(|body| body.generation))
}

fn the_past_is_the_fold_of_the_log_up_to_there(place: &Place) {
    proptest!(place.cases(), |(history in histories(120), moment in any::<prop::sample::Index>())| {
        block_on(async {
            let (world, views) = projected(place, &history).await;
            let log = world.log().await;
            let position = moment.index(log.len() + 1) as u64;
            let expected = fold_to(&log, position);
            let as_of = AsOf::Position(Position::new(position));
            for (stream, state) in &expected {
                let row = views.get(stream, Some(as_of)).await.unwrap().unwrap();
                assert_eq!(&row.state().unwrap(), state);
                assert_eq!((row.since, row.generation), lifted(state));
                assert!(row.position.get() <= position);
            }
            let listed = whole_list(&views, Some(as_of), Sort::Name, 500).await;
            assert!(listed.iter().map(|row| &row.stream).eq(expected.keys()));
            for row in listed.iter().filter(|row| row.stream.kind() != "plan") {
                assert_eq!(Some(&row.state().unwrap()), expected.get(&row.stream));
            }
            for stream in fold_to(&log, u64::MAX).keys().filter(|s| !expected.contains_key(s)) {
                assert_eq!(views.get(stream, Some(as_of)).await.unwrap(), None);
            }
        });
    });
}

fn a_time_means_the_last_commit_that_is_not_later(place: &Place) {
    proptest!(place.cases(), |(history in histories(60), micros in 1_000_000_i64..1_007_000)| {
        block_on(async {
            let (world, views) = projected(place, &history).await;
            let log = world.log().await;
            let time = Time::from_micros(micros);
            let not_later = log.iter().filter(|recorded| recorded.sealed.commit.time <= time);
            let last = not_later.max_by_key(|r| (r.sealed.commit.time, r.position));
            let position = last.map_or(0, |recorded| recorded.position.get());
            for (stream, state) in fold_to(&log, position) {
                let row = views.get(&stream, Some(AsOf::Time(time))).await.unwrap().unwrap();
                assert_eq!(row.state().unwrap(), state);
            }
            let at = views.position_as_of(AsOf::Time(time)).await.unwrap();
            assert_eq!(at.get(), position);
        });
    });
}

fn the_edges_are_what_the_specs_need(place: &Place) {
    proptest!(place.cases(), |(history in histories(120), moment in any::<prop::sample::Index>())| {
        block_on(async {
            let (world, views) = projected(place, &history).await;
            let log = world.log().await;
            let position = moment.index(log.len() + 1) as u64;
            let as_of = AsOf::Position(Position::new(position));
            for (stream, state) in fold_to(&log, position) {
                let State::Resource(resource) = &state else { continue };
                let needs = resource.body().map(|body| body.spec.needs()).unwrap_or_default();
                let edges = views.edges_of(&stream, Some(as_of)).await.unwrap();
                let mut found: Vec<_> = edges.needs.into_iter().map(|edge| (edge.target, edge.output)).collect();
                found.sort();
                let mut wanted: Vec<_> =
                    needs.into_iter().map(|need| (need.resource.stream(&tenant()), need.output)).collect();
                wanted.sort();
                assert_eq!(found, wanted);
            }
        });
    });
}

pub(crate) fn pages_put_together_are_the_whole_list(place: &Place) {
    proptest!(place.cases(), |(history in histories(120), limit in 1..7_u32)| {
        block_on(async {
            let (_world, views) = projected(place, &history).await;
            for sort in [Sort::Name, Sort::Updated] {
                let whole = whole_list(&views, None, sort, 500).await;
                assert_eq!(whole_list(&views, None, sort, limit).await, whole);
                let now = AsOf::Position(views.position());
                assert_eq!(whole_list(&views, Some(now), sort, limit).await, whole);
            }
        });
    });
}

fn the_future_is_not_told(place: &Place) {
    block_on(async {
        let (_world, views) = projected(place, &[]).await;
        let as_of = AsOf::Position(Position::new(1));
        let stream = crate::world::stream("bucket", "b");
        let error = views.get(&stream, Some(as_of)).await.unwrap_err();
        assert_eq!(error.to_string(), "the views are at position 0, before 1");
    });
}
