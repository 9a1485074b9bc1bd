//! Probes: how a container tells that it is well.

use super::reader::{Reader, Spot};
use super::yaml::{Entry, Node};
use crate::kinds::workload::Probe;

const HTTP: &[&str] = &["host", "scheme", "path", "port", "httpHeaders"];

impl Reader<'_> {
    pub(super) fn probe(&mut self, entry: &Entry, spot: &Spot) -> Option<Probe> {
        let spot = spot.key(entry);
        let fields = self.fields(&entry.value, &spot, &["httpGet", "exec"]);
        let http = fields.get("httpGet").and_then(|entry| self.http(entry, &spot));
        let exec = fields.get("exec").and_then(|entry| {
            let spot = spot.key(entry);
            let fields = self.fields(&entry.value, &spot, &["command"]);
            let command = self.required(fields, "command", &spot, "[\"/bin/check\"]")?;
            Some(Probe::Exec(self.literals(&command.value, &spot.key(command))))
        });
        if !fields.has("httpGet") && !fields.has("exec") {
            self.findings
                .error(spot.place, format!("{} needs `httpGet` or `exec`", spot.words()))
                .hint("add `httpGet: {path: /, port: 8080}`");
        }
        // Score: exec is preferred where both are supported.
        exec.or(http)
    }

    fn http(&mut self, entry: &Entry, spot: &Spot) -> Option<Probe> {
        let spot = spot.key(entry);
        let fields = self.fields(&entry.value, &spot, HTTP);
        let path = self.required(fields, "path", &spot, "/");
        let path = path.and_then(|entry| self.literal(&entry.value, &spot.key(entry)));
        let port = self.required(fields, "port", &spot, "8080");
        let port = port.and_then(|entry| self.port_number(&entry.value, &spot.key(entry)));
        let host = fields.get("host").and_then(|entry| {
            let spot = spot.key(entry);
            let host = self.literal(&entry.value, &spot)?;
            self.filled(&entry.value, &spot, &host);
            Some(host)
        });
        let schemes = [("HTTP", "HTTP"), ("HTTPS", "HTTPS")];
        let scheme =
            fields.get("scheme").and_then(|e| self.choice(&e.value, &spot.key(e), &schemes));
        let headers = fields.get("httpHeaders").map(|entry| self.headers(entry, &spot));
        Some(Probe::Http {
            path: path?,
            port: port?,
            host,
            scheme: scheme.unwrap_or("HTTP").to_owned(),
            headers: headers.unwrap_or_default(),
        })
    }

    fn headers(&mut self, entry: &Entry, spot: &Spot) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        for (item, spot) in self.spots(&entry.value, &spot.key(entry)) {
            let fields = self.fields(item, &spot, &["name", "value"]);
            let name = self.required(fields, "name", &spot, "Accept");
            let name = name.and_then(|entry| {
                let text = self.text(&entry.value, &spot.key(entry))?;
                let token = |t: &str| {
                    !t.is_empty()
                        && t.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
                };
                self.check(entry, &spot, &text, token, "the name of an HTTP header");
                Some(text)
            });
            let value = self.required(fields, "value", &spot, "text/html");
            let value = value.and_then(|entry| {
                let spot = spot.key(entry);
                let text = self.literal(&entry.value, &spot)?;
                self.filled(&entry.value, &spot, &text);
                Some(text)
            });
            headers.extend(name.zip(value));
        }
        headers
    }

    fn filled(&mut self, node: &Node, spot: &Spot, text: &str) {
        if text.is_empty() {
            self.findings
                .error(node.place, format!("{} must not be empty", spot.words()))
                .hint("write a value, or remove the key");
        }
    }
}
