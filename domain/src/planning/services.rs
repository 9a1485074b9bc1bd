//! Resources of the types `service` and `service-port`: another workload of the same application.
//!
//! Names and ports are known when the plan is made, so nothing needs to wait: two workloads may refer to each other.

use serde_json::Value;

use super::build::Builder;
use super::refusal::{Refusal, RefusalCode, suggest};
use super::requests::Request;
use crate::application::Workload;
use crate::kinds::workload::Mode;

/// The outputs, in the order they are listed.
const OUTPUTS: [&str; 3] = ["name", "hostname", "port"];

impl Builder<'_> {
    /// The value of an output of another workload. None when the workload was refused already.
    pub(super) fn workload_output(
        &self,
        request: &Request<'_>,
        output: &str,
        path: &str,
    ) -> Result<Option<String>, Refusal> {
        let name = called(request);
        let Some(workload) = self.scene.model.workloads.get(name) else { return Ok(None) };
        match output {
            // They are in one namespace, where a service is found by its name alone.
            "name" | "hostname" => Ok(Some(name.to_owned())),
            "peers" if workload.mode == Mode::Stateful => Ok(Some(format!("{name}-peers"))),
            "port" => {
                let wanted = request.request.params.get("port");
                find_port(name, workload, wanted, &request.path())
                    .map(|port| Some(port.to_string()))
            }
            _ => {
                let message = format!("resource `{}` has no output `{output}`", request.name);
                Err(Refusal::new(RefusalCode::UnknownOutput, path, message)
                    .hint(suggest("outputs", output, OUTPUTS)))
            }
        }
    }

    /// Refuses requests for workloads that the application does not have.
    pub(super) fn check_workload_request(&mut self, request: &Request<'_>) {
        let name = called(request);
        if self.scene.model.workloads.contains_key(name) {
            return;
        }
        let message = format!("the application has no workload `{name}`");
        let known = self.scene.model.workloads.keys().map(String::as_str);
        let hint = match super::refusal::nearest(name, known) {
            Some(near) => format!("did you mean `{near}`? If not, add the file of `{name}`"),
            None => format!("add the file of `{name}` to the application"),
        };
        self.refuse(Refusal::new(RefusalCode::UnknownWorkload, request.path(), message).hint(hint));
    }
}

/// Which workload is meant: the parameter `workload`, else the id, else the resource's own name.
fn called<'a>(request: &Request<'a>) -> &'a str {
    let param = request.request.params.get("workload").and_then(Value::as_str);
    param.or(request.request.id.as_deref()).unwrap_or(request.name)
}

/// Finds a port of a workload by name or number; the only one, or the first by name, where none is said.
pub(super) fn find_port(
    name: &str,
    workload: &Workload,
    wanted: Option<&Value>,
    path: &str,
) -> Result<u16, Refusal> {
    let wanted = match wanted {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    };
    let ports = &workload.ports;
    let found = match &wanted {
        None => ports.values().next(),
        Some(word) => ports.get(word).or_else(|| {
            let number: u16 = word.parse().ok()?;
            let mut by_target = ports.values().filter(|port| port.target_port == number);
            ports.values().find(|port| port.port == number).or_else(|| by_target.next())
        }),
    };
    found.map(|port| port.port).ok_or_else(|| match wanted {
        Some(word) if !ports.is_empty() => {
            let known: Vec<String> =
                ports.iter().map(|(name, port)| format!("{name} ({})", port.port)).collect();
            Refusal::new(RefusalCode::NoPort, path, format!("workload {name} has no port `{word}`"))
                .hint(format!("its ports: {}", known.join(", ")))
        }
        Some(_) | None => {
            Refusal::new(RefusalCode::NoPort, path, format!("workload {name} has no port"))
                .hint(format!("add `service.ports` to {name}"))
        }
    })
}
