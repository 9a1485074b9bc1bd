//! What is not there, with what was probably meant.

use domain::KindName;
use domain::planning::nearest;
use serde_json::{Value, json};

use crate::client::Client;
use crate::failure::Failure;

/// The most names that one of is suggested from.
const NAMES_MAX: u32 = 100;

/// Says that there is nothing of this sort and name, and what there is of nearly the same. Whoever cannot be told that
/// is told where to look.
pub(crate) async fn missing(client: &Client, sort: &str, name: &str) -> Failure {
    let failure = Failure::not_found(format!("{sort} `{name}`"));
    let list = match sort {
        "class" => "classes".to_owned(),
        sort => format!("{sort}s"),
    };
    match near(client, sort, &list, name).await {
        Some(near) if near == name => failure
            .hint("it is there now: it was not then. Leave --as-of out, or name a later moment"),
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint(format!("see `cairn get {list}`")),
    }
}

async fn near(client: &Client, sort: &str, list: &str, name: &str) -> Option<String> {
    let (field, pass) =
        match (sort, name.split_once('/').and_then(|(kind, _)| KindName::parse(kind))) {
            ("resource", Some(kind)) => ("id", format!(", filter: {{ kinds: [\"{kind}\"] }}")),
            ("resource", None) => return None,
            _ => ("name", String::new()),
        };
    let query = format!("{{ {list}(first: {NAMES_MAX}{pass}) {{ nodes {{ {field} }} }} }}");
    let data: Value = client.ask(&query, json!({})).await.ok()?;
    let nodes = data.pointer(&format!("/{list}/nodes"))?.as_array()?;
    let known = nodes.iter().filter_map(|node| node.get(field)?.as_str());
    nearest(name, known).map(str::to_owned)
}
