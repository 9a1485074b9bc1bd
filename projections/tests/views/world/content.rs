//! What is declared, defined and planned.

use std::collections::BTreeMap;

use domain::kinds::{bucket, workload};
use domain::lifecycle::{self, ActionName, Failure, FailureClass, Lifetime};
use domain::plan::{Header, Pins, Plan, Purpose, Step, StepAction};
use domain::text::OutputValue;
use domain::{KindName, ResourceId, Spec, Time, class, environment};
use uuid::Uuid;

use super::{id, name};

pub(super) fn resource_command(
    command: u8,
    argument: u8,
    spec: Spec,
    uid: Uuid,
    generation: u64,
    at: Time,
) -> lifecycle::Command {
    use lifecycle::Command;
    let action = if argument.is_multiple_of(3) { ActionName::Update } else { ActionName::Create };
    let external = Some(format!("arn:sim:{uid}"));
    match command {
        0..=2 => Command::Declare {
            uid: Uuid::from_u128(u128::from(at.as_micros().unsigned_abs())),
            spec,
            class: (argument.is_multiple_of(3))
                .then(|| lifecycle::ClassRef { name: name("bucket_c0"), version: 1 }),
            lifetime: match argument % 4 {
                0 => Lifetime::Kept,
                1 => Lifetime::WhileNeeded,
                _ => Lifetime::Deployment(name("dev_shop")),
            },
            protected: argument.is_multiple_of(11),
            at,
        },
        3..=4 => Command::Revise { spec, class: None, generation: None, at },
        5 => Command::Pause { at },
        6 => Command::Resume { at },
        7 => Command::Protect { on: argument.is_multiple_of(2), at },
        8 => Command::RequestDeletion { uid: None, replacement: false, at },
        9 => Command::ObserveGone { uid, at },
        10 => Command::StartAction { uid, action, generation, at },
        11 => Command::RecordSuccess { uid, action, generation, external, at },
        12 => Command::RecordFailure {
            uid,
            action,
            generation,
            failure: Failure { class: FailureClass::Retry, message: "no".into() },
            at,
        },
        13..=14 => Command::ObserveReady {
            uid,
            generation,
            external,
            outputs: BTreeMap::from([("endpoint".into(), OutputValue::plain(argument))]),
            at,
        },
        15 => Command::ObserveUnready { uid, reason: "gone dark".into(), at },
        16 => Command::ObserveBlocker {
            uid,
            on: (argument.is_multiple_of(2)).then(|| id("bucket/dev_shop_b0")),
            reason: format!("try {argument}"),
            at,
        },
        _ => Command::ObserveDrift {
            uid,
            detail: format!("tags {argument}"),
            by: None,
            found: None,
            at,
        },
    }
}

pub(super) fn a_bucket(argument: u8) -> Spec {
    Spec::Bucket(bucket::Spec {
        region: "eu".into(),
        versioning: argument.is_multiple_of(4),
        public_read: false,
        expire_days: u32::from(argument),
    })
}

pub(super) fn a_workload(argument: u8) -> Spec {
    let bucket = id(&format!("bucket/dev_shop_b{}", argument % 4));
    let spec = serde_json::json!({
        "mode": "service", "cluster": "cluster/main", "scale": {"fixed": 1},
        "containers": {"main": {"image": format!("shop:{argument}"),
            "variables": {"BUCKET": format!("s3://${{{bucket}.endpoint}}")}}},
        "grants": [bucket],
    });
    Spec::Workload(serde_json::from_value::<workload::Spec>(spec).unwrap())
}

pub(super) fn a_class(which: u8, argument: u8) -> class::Definition {
    serde_json::from_value(serde_json::json!({
        "type": "bucket", "class": format!("c{which}"), "target": "bucket",
        "description": argument.to_string(), "spec": {"region": "eu"},
    }))
    .unwrap()
}

pub(super) fn dev(argument: u8) -> environment::Definition {
    let cluster = serde_json::json!(
        {"location": "eu", "version": "1.36", "nodes_min": 1, "nodes_max": argument.max(1)}
    );
    serde_json::from_value(serde_json::json!({
        "name": "dev", "domain": "dev.test", "clusters": {"main": {"spec": cluster}},
    }))
    .unwrap()
}

pub(super) fn a_plan(which: u8) -> Plan {
    let step = |number: u8| Step {
        resource: ResourceId::new(KindName::Bucket, name(&format!("dev_shop_b{number}"))),
        action: StepAction::Create,
        spec: Some(a_bucket(which)),
        class: None,
        lifetime: Lifetime::Deployment(name("dev_shop")),
        protected: false,
        after: vec![],
        why: vec![],
        changes: vec![],
    };
    let header = Header {
        deployment: name("dev_shop"),
        application: name("shop"),
        environment: name("dev"),
        revision: u64::from(which),
        purpose: Purpose::Deploy,
        pins: Pins::default(),
        placement: None,
        notes: vec![],
    };
    Plan { header, steps: (0..3).map(step).collect() }
}
