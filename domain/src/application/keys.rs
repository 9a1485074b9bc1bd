//! What to say of a key that does not belong where it stands.

/// The farthest that a misspelling may be from what was meant, in edits.
const EDITS_MAX: usize = 2;

/// Keys of Score and `app.yaml`, and where they belong.
const HOMES: &[(&str, &str)] = &[
    ("annotations", "metadata.annotations"),
    ("apiVersion", "the top of a Score file"),
    ("args", "containers.<name>.args"),
    ("before", "containers.<name>.before"),
    ("binaryContent", "containers.<name>.files.<path>.binaryContent"),
    ("class", "resources.<name>.class"),
    ("command", "containers.<name>.command"),
    ("containers", "the top of a Score file, or workloads.<name>.containers in app.yaml"),
    ("content", "containers.<name>.files.<path>.content"),
    ("cpu", "containers.<name>.resources.limits.cpu"),
    ("exec", "containers.<name>.readinessProbe.exec"),
    ("files", "containers.<name>.files"),
    ("httpGet", "containers.<name>.readinessProbe.httpGet"),
    ("httpHeaders", "containers.<name>.readinessProbe.httpGet.httpHeaders"),
    ("image", "containers.<name>.image"),
    ("limits", "containers.<name>.resources.limits"),
    ("livenessProbe", "containers.<name>.livenessProbe"),
    ("memory", "containers.<name>.resources.limits.memory"),
    ("metadata", "the top of a Score file, or workloads.<name>.metadata in app.yaml"),
    ("params", "resources.<name>.params"),
    ("port", "service.ports.<name>.port"),
    ("ports", "service.ports"),
    ("protocol", "service.ports.<name>.protocol"),
    ("readOnly", "containers.<name>.volumes.<path>.readOnly"),
    ("readinessProbe", "containers.<name>.readinessProbe"),
    ("requests", "containers.<name>.resources.requests"),
    ("resources", "the top level, or containers.<name>.resources for cpu and memory"),
    ("service", "the top of a Score file, or workloads.<name>.service in app.yaml"),
    ("source", "containers.<name>.files.<path>.source or containers.<name>.volumes.<path>.source"),
    ("targetPort", "service.ports.<name>.targetPort"),
    ("type", "resources.<name>.type"),
    ("variables", "containers.<name>.variables"),
    ("volumes", "containers.<name>.volumes"),
    ("workloads", "the top of app.yaml"),
];

/// Keys that only `app.yaml` has.
const APP_ONLY: &[(&str, &str)] = &[
    ("after", "workloads.<name>.after in app.yaml"),
    ("delegated", "workloads.<name>.delegated in app.yaml"),
    ("delete", "resources.<name>.delete in app.yaml"),
    ("environments", "the top of app.yaml"),
    ("kind", "workloads.<name>.kind in app.yaml, or the annotation `cairn.dev/kind`"),
    ("migrate", "workloads.<name>.migrate in app.yaml"),
    ("replicas", "workloads.<name>.replicas in app.yaml, or the annotation `cairn.dev/replicas`"),
    ("scale", "workloads.<name>.scale in app.yaml, or the annotation `cairn.dev/replicas`"),
    ("schedule", "workloads.<name>.schedule in app.yaml, or the annotation `cairn.dev/schedule`"),
    ("strategy", "workloads.<name>.strategy in app.yaml, or the annotation `cairn.dev/strategy`"),
];

/// What others call it.
const OTHER_WORDS: &[(&str, &[&str])] = &[
    ("env", &["variables"]),
    ("environment", &["variables", "environments"]),
    ("envs", &["variables"]),
    ("vars", &["variables"]),
    ("entrypoint", &["command"]),
    ("cmd", &["args"]),
    ("livez", &["livenessProbe"]),
    ("readyz", &["readinessProbe"]),
    ("healthcheck", &["readinessProbe"]),
    ("depends_on", &["after", "before"]),
    ("dependsOn", &["after", "before"]),
    ("volumeMounts", &["volumes"]),
    ("mounts", &["volumes"]),
    ("services", &["workloads", "service"]),
    ("apps", &["workloads"]),
    ("expose", &["ports", "service"]),
    ("containerPort", &["targetPort", "port"]),
    ("parameters", &["params"]),
    ("parameter", &["params"]),
    ("cron", &["schedule"]),
    ("instances", &["replicas"]),
    ("count", &["replicas"]),
    ("autoscaling", &["scale"]),
    ("minReplicas", &["min"]),
    ("maxReplicas", &["max"]),
    ("kind", &["type"]),
    ("app", &["application", "name"]),
];

/// The nearest of the names that are known, when it may well be the one meant.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let (distance, near) = known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&word.to_lowercase(), &name.to_lowercase()), name))
        .min()?;
    let close = distance <= EDITS_MAX && distance * 2 <= word.chars().count().max(2);
    close.then_some(near)
}

/// `did you mean …?`, or the names there are.
pub(crate) fn suggest(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "there is none here".to_owned(),
        None => format!("there is {}", listed(known)),
    }
}

/// What to do with a key that is not known where it stands.
pub(super) fn advice(key: &str, path: &str, known: &[&str]) -> String {
    if let Some(name) = nearest(key, known.iter().copied()) {
        return format!("did you mean `{name}`?");
    }
    let other = OTHER_WORDS.iter().find(|(word, _)| *word == key);
    if let Some(name) = other.and_then(|(_, names)| names.iter().find(|n| known.contains(n))) {
        return format!("here it is called `{name}`");
    }
    if path.starts_with("environments.") && APP_ONLY.iter().any(|(word, _)| *word == key) {
        return format!("`{key}` belongs in environments.<name>.workloads.<name>.{key}");
    }
    if let Some((_, home)) = APP_ONLY.iter().chain(HOMES).find(|(word, _)| *word == key) {
        return format!("`{key}` belongs in {home}");
    }
    if path.is_empty() && key.starts_with("x-") {
        return "extra keys may stand under `metadata`".to_owned();
    }
    format!("the keys here are {}", listed(known))
}

/// `a, b and c`, each in backticks.
pub(super) fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}
