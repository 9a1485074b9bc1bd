//! A log in miniature: what a plan is computed from, and what becomes of it when it is carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use domain::application::{Model, Source, SourceFile, companions, parse};
use domain::decider::Decider as _;
use domain::deployment::LeftBehind;
use domain::environment::Environment;
use domain::lifecycle::{Command, Lifetime, Resource, Resources};
use domain::plan::{Plan, Purpose, Step, StepAction};
use domain::planning::{Context, Desired, Options, Refusal, compare, expand, runs_on};
use domain::{Name, ResourceId, Time, catalogue, class};
use uuid::Uuid;

const NOW: Time = Time::from_micros(1);

/// What a plan is computed from.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) model: Model,
    pub(crate) environment: Environment,
    pub(crate) classes: BTreeMap<Name, (u64, class::Definition)>,
    pub(crate) live: Resources,
    pub(crate) members: BTreeSet<ResourceId>,
    /// The cluster that somebody asks for.
    pub(crate) asked: Option<Name>,
    /// What is left in clusters that were lost.
    pub(crate) left_behind: Vec<LeftBehind>,
    pub(crate) options: Options,
    incarnations: u128,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Reads an application from files.
pub(crate) fn read(paths: &[PathBuf], application: Option<&str>) -> Model {
    let file = |path: &PathBuf| SourceFile {
        path: path.to_str().unwrap().to_owned(),
        text: fs::read_to_string(path).unwrap(),
    };
    read_files(&paths.iter().map(file).collect::<Vec<_>>(), application)
}

/// Reads an application from text.
pub(crate) fn read_text(text: &str) -> Model {
    read_files(&[SourceFile { path: "app.yaml".into(), text: text.into() }], None)
}

/// Reads an application from files that are read.
pub(crate) fn read_files(files: &[SourceFile], application: Option<&str>) -> Model {
    let read = |path: String| fs::read(&path).ok().map(|bytes| (path, bytes));
    let companions: BTreeMap<_, _> = companions(files).into_iter().filter_map(read).collect();
    let images = BTreeMap::new();
    let source = Source { files, companions: &companions, application, images: &images };
    let parsed = parse(&source);
    parsed.unwrap_or_else(|errors| panic!("{errors:#?}")).0
}

impl World {
    /// The shipped classes and an environment, and nothing live.
    pub(crate) fn new(model: Model, environment: &str) -> Self {
        let shipped = catalogue::shipped().unwrap();
        let file = root().join(format!("catalogue/environments/{environment}.yaml"));
        let text = fs::read_to_string(file).unwrap();
        let mut environments = catalogue::parse("environment.yaml", &text).unwrap().environments;
        let classes = shipped.classes.into_iter().map(|it| (it.name().unwrap(), (1, it)));
        Self {
            model,
            environment: Environment { version: 1, definition: environments.pop() },
            classes: classes.collect(),
            live: Resources::new(),
            members: BTreeSet::new(),
            asked: None,
            left_behind: Vec::new(),
            options: Options {
                purpose: Purpose::Deploy,
                allow_replace: false,
                allow_delete: false,
                allow_mass_delete: false,
            },
            incarnations: 0,
        }
    }

    pub(crate) fn rules(&mut self) -> &mut domain::environment::Definition {
        self.environment.definition.as_mut().unwrap()
    }

    pub(crate) fn expand(&self) -> Result<Desired, Vec<Refusal>> {
        self.expand_with(&BTreeMap::new())
    }

    pub(crate) fn expand_with(
        &self,
        occupied: &BTreeMap<ResourceId, u32>,
    ) -> Result<Desired, Vec<Refusal>> {
        let known: Vec<Name> = self.classes.keys().cloned().collect();
        let current = runs_on(self.live.values(), &self.live);
        expand(&Context {
            application: &self.model.name.parse().unwrap(),
            environment: &self.environment,
            model: &self.model,
            revision: 1,
            classes: &self.classes,
            clusters: &self.live,
            known_classes: &known,
            current: current.as_ref(),
            asked: self.asked.as_ref(),
            occupied,
            left_behind: &self.left_behind,
            failing_over: self.options.purpose == Purpose::Failover,
        })
    }

    pub(crate) fn try_plan(&self) -> Result<Plan, Vec<Refusal>> {
        compare(&self.expand()?, &self.live, &self.members, &self.options)
    }

    #[track_caller]
    pub(crate) fn plan(&self) -> Plan {
        self.try_plan().unwrap_or_else(|refusals| panic!("{refusals:#?}"))
    }

    /// Does what a plan says, in its order, and everything that waits is ready at once.
    pub(crate) fn carry_out(&mut self, plan: &Plan) {
        for step in &plan.steps {
            if let Some((cluster, uid)) = step.action.leaves() {
                let (resource, cluster) = (step.resource.clone(), cluster.clone());
                let left = LeftBehind { resource, uid, cluster, needs: Vec::new(), since: NOW };
                self.left_behind.push(left);
            }
            if let StepAction::CleanUp { uid, .. } = step.action {
                self.left_behind.retain(|left| left.uid != uid);
                continue;
            }
            let state = self.live.remove(&step.resource).unwrap_or_default();
            let state = match &step.action {
                StepAction::Create | StepAction::Replace { .. } | StepAction::Relocate { .. } => {
                    self.declare(gone(state), step)
                }
                StepAction::Change => revise(state, step),
                StepAction::Delete | StepAction::Leave { .. } => gone(state),
                StepAction::CleanUp { .. } => state,
            };
            if step.action.ends() {
                self.members.remove(&step.resource);
            } else if matches!(step.lifetime, Lifetime::Deployment(_)) {
                self.members.insert(step.resource.clone());
            }
            self.live.insert(step.resource.clone(), ready(state));
        }
    }

    /// Plans and carries out.
    #[track_caller]
    pub(crate) fn deploy(&mut self) -> Plan {
        let plan = self.plan();
        self.carry_out(&plan);
        plan
    }

    /// A cluster is lost: from then on.
    pub(crate) fn lose(&mut self, cluster: &str, at: Time) {
        let reason = "no route to host".to_owned();
        self.see(cluster, |uid, _| Command::ObserveUnready { uid, reason, at });
    }

    /// A cluster is found again.
    pub(crate) fn find(&mut self, cluster: &str) {
        self.see(cluster, |uid, generation| {
            let outputs = Default::default();
            Command::ObserveReady { uid, generation, external: None, outputs, at: NOW }
        });
    }

    fn see(&mut self, cluster: &str, what: impl FnOnce(Uuid, u64) -> Command) {
        let state = self.live.get_mut(&cluster.parse().unwrap()).unwrap();
        let body = state.body().unwrap();
        let command = what(body.uid, body.generation);
        *state = put(state.clone(), command);
    }

    /// Every cluster that the environment offers is there, and ready.
    pub(crate) fn connect(&mut self) {
        for (name, offer) in self.rules().clusters.clone() {
            self.incarnations += 1;
            let declare = Command::Declare {
                uid: Uuid::from_u128(self.incarnations),
                spec: domain::Spec::Cluster(offer.spec),
                class: None,
                lifetime: Lifetime::Kept,
                protected: false,
                at: NOW,
            };
            let state = ready(put(Resource::Absent, declare));
            self.live.insert(format!("cluster/{name}").parse().unwrap(), state);
        }
    }

    /// Lifts the protection of everything.
    pub(crate) fn unprotect(&mut self) {
        for state in self.live.values_mut() {
            if matches!(state, Resource::Live(_)) {
                *state = put(state.clone(), Command::Protect { on: false, at: NOW });
            }
        }
    }

    fn declare(&mut self, state: Resource, step: &Step) -> Resource {
        self.incarnations += 1;
        let declare = Command::Declare {
            uid: Uuid::from_u128(self.incarnations),
            spec: step.spec.clone().unwrap(),
            class: step.class.clone(),
            lifetime: step.lifetime.clone(),
            protected: step.protected,
            at: NOW,
        };
        put(state, declare)
    }
}

fn revise(state: Resource, step: &Step) -> Resource {
    let (spec, class) = (step.spec.clone().unwrap(), step.class.clone());
    let state = put(state, Command::Revise { spec, class, generation: None, at: NOW });
    if step.protected { put(state, Command::Protect { on: true, at: NOW }) } else { state }
}

fn ready(state: Resource) -> Resource {
    let Resource::Live(body) = &state else { return state };
    let (uid, generation) = (body.uid, body.generation);
    let outputs = Default::default();
    put(state, Command::ObserveReady { uid, generation, external: None, outputs, at: NOW })
}

pub(crate) fn put(state: Resource, command: Command) -> Resource {
    let events = Resource::decide(&state, command).unwrap();
    Resource::fold(state, events)
}

fn gone(state: Resource) -> Resource {
    let Some(uid) = state.body().map(|body| body.uid) else { return state };
    let delete = Command::RequestDeletion { uid: None, replacement: false, at: NOW };
    put(put(state, delete), Command::ObserveGone { uid, at: NOW })
}
