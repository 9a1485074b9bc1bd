//! Decisions about applications.

use serde_json::json;

use super::*;
use crate::decider::testing::given;

const NOW: Time = Time::from_micros(1);

fn model(image: &str) -> Box<Model> {
    let model = json!({
        "name": "shop",
        "workloads": {"web": {"mode": "service", "containers": {"main": {"image": image}}}},
    });
    Box::new(serde_json::from_value(model).unwrap())
}

fn apply(image: &str) -> Command {
    Command::Apply { model: model(image), sources: vec![], at: NOW }
}

fn applied(number: u64, image: &str) -> Event {
    Event::RevisionApplied { number, model: model(image), sources: vec![], at: NOW }
}

fn report(container: &str, image: &str) -> Command {
    Command::ReportBuild {
        workload: "web".into(),
        container: container.into(),
        image: image.into(),
        origin: None,
        at: NOW,
    }
}

fn reported(image: &str) -> Event {
    let build = Build { image: image.into(), origin: None, at: NOW };
    Event::BuildReported { workload: "web".into(), container: "main".into(), build }
}

#[test]
fn revisions_are_numbered_from_one() {
    given::<Application>([]).when(apply("web:1")).then([applied(1, "web:1")]);
    given::<Application>([applied(1, "web:1")]).when(apply("web:2")).then([applied(2, "web:2")]);
}

#[test]
fn applying_the_same_model_twice_changes_nothing() {
    given::<Application>([applied(1, "web:1")]).when(apply("web:1")).then_nothing();
}

#[test]
fn going_back_to_an_earlier_model_is_a_new_revision() {
    given::<Application>([applied(1, "web:1"), applied(2, "web:2")])
        .when(apply("web:1"))
        .then([applied(3, "web:1")]);
}

#[test]
fn a_model_too_large_for_the_log_is_refused() {
    given::<Application>([])
        .when(apply(&"x".repeat(MODEL_BYTES_MAX)))
        .then_refused("APPLICATION_TOO_LARGE");
}

#[test]
fn a_build_is_kept_once_and_only_for_a_container_that_exists() {
    let history = || [applied(1, "web:1")];
    given::<Application>(history()).when(report("main", "web@1")).then([reported("web@1")]);
    given::<Application>([applied(1, "web:1"), reported("web@1")])
        .when(report("main", "web@1"))
        .then_nothing();
    given::<Application>(history()).when(report("mian", "web@1")).then_refused("NO_SUCH_CONTAINER");
    given::<Application>(history()).when(report("main", "a b")).then_refused("INVALID_IMAGE");
    given::<Application>([]).when(report("main", "web@1")).then_refused("NOT_FOUND");
}

#[test]
fn a_build_is_forgotten_with_its_container() {
    let mut other = model("web:1");
    let workload = other.workloads.remove("web").unwrap();
    other.workloads.insert("api".into(), workload);
    let renamed = Event::RevisionApplied { number: 2, model: other, sources: vec![], at: NOW };
    let history = [applied(1, "web:1"), reported("web@1"), renamed];
    assert!(Application::fold(Application::default(), history).builds.is_empty());
}

#[test]
fn a_deleted_application_can_be_applied_again_under_the_next_number() {
    let deleted = Event::Deleted { at: NOW };
    let history = || [applied(1, "web:1"), deleted.clone()];
    given::<Application>(history()).when(Command::Delete { at: NOW }).then_nothing();
    given::<Application>(history()).when(apply("web:1")).then([applied(2, "web:1")]);
    given::<Application>([applied(1, "web:1")]).when(Command::Delete { at: NOW }).then([deleted]);
    given::<Application>([]).when(Command::Delete { at: NOW }).then_refused("NOT_FOUND");
}

#[test]
fn what_differs_in_an_environment_is_applied_there_alone() {
    let model: Model = serde_json::from_value(json!({
        "name": "shop",
        "workloads": {"web": {
            "mode": {"cron": {"schedule": "0 1 * * *"}},
            "containers": {"main": {"image": "web:1", "variables": {"LOG": "info", "A": "1"}}},
        }},
        "resources": {"db": {"type": "postgres", "params": {"size": 1, "version": "16"}}},
        "environments": {
            "prod": {
                "workloads": {"web": {"scale": {"fixed": 3}, "schedule": "0 2 * * *", "variables": {"LOG": "warn"}}},
                "resources": {"db": {"class": "large", "params": {"size": 9}, "delete": "protect"}},
            },
            "dev": {"workloads": {"web": {"scale": {"fixed": 1}}}},
        },
    }))
    .unwrap();
    let prod = serde_json::to_value(model.in_environment("prod")).unwrap();
    assert_eq!(prod["workloads"]["web"]["scale"], json!({"fixed": 3}));
    assert_eq!(prod["workloads"]["web"]["mode"]["cron"]["schedule"], json!("0 2 * * *"));
    assert_eq!(
        prod["workloads"]["web"]["containers"]["main"]["variables"],
        json!({"LOG": "warn", "A": "1"})
    );
    let db = json!({"type": "postgres", "class": "large", "params": {"size": 9, "version": "16"}, "delete": "protect"});
    assert_eq!(prod["resources"]["db"], db);
    assert_eq!(prod.get("environments"), None);
    let settled = model.in_environment("prod");
    assert_eq!(settled.in_environment("prod"), settled);
    assert_eq!(model.in_environment("nowhere").workloads, model.workloads);
}
