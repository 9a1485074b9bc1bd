//! The contract as text, and the one trap of the library that answers it.

use std::path::Path;

use async_graphql::{EmptyMutation, EmptySubscription, Object, Schema, SimpleObject, Value, value};

use super::sdl;

#[test]
fn the_stored_schema_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema/graphql/schema.graphql");
    let generated = sdl();
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &generated).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == generated,
        "schema/graphql/schema.graphql differs from the code: `make bless`, and read the diff"
    );
}

#[test]
fn every_type_and_field_says_what_it_is() {
    let sdl = sdl();
    let mut above = "";
    let mut silent = Vec::new();
    let mut inside = false;
    for line in sdl.lines() {
        let text = line.trim();
        let starts =
            ["type ", "input ", "enum ", "scalar "].iter().any(|word| line.starts_with(word));
        let member = inside
            && line.starts_with('\t')
            && !line.starts_with("\t\t")
            && !text.starts_with(['"', '#', ')']);
        if (starts || member) && !above.ends_with('"') && !above.ends_with("@deprecated") {
            silent.push(text.to_owned());
        }
        if starts {
            inside = text.ends_with('{');
        }
        if text == "}" {
            inside = false;
        }
        if !text.is_empty() {
            above = text;
        }
    }
    // The library's own scalars and directives speak for themselves.
    silent.retain(|line| !line.starts_with("scalar JSON"));
    assert_eq!(silent, Vec::<String>::new());
}

struct Root;

#[derive(SimpleObject)]
struct Good {
    good: i32,
}

#[Object]
impl Root {
    async fn ok(&self) -> i32 {
        1
    }

    async fn fails(&self) -> Option<async_graphql::Result<i32>> {
        Some(Err("on purpose".into()))
    }

    async fn nothing(&self) -> Option<async_graphql::Result<i32>> {
        None
    }

    async fn object(&self) -> Option<async_graphql::Result<Good>> {
        Some(Ok(Good { good: 7 }))
    }

    async fn broken(&self) -> Option<async_graphql::Result<Good>> {
        Some(Err("on purpose".into()))
    }
}

/// `Option<Result<T>>` is the one shape of a fallible field that this version nulls as the specification says.
#[test]
fn an_error_nulls_its_field_and_no_other() {
    let schema = Schema::new(Root, EmptyMutation, EmptySubscription);
    let answer = futures::executor::block_on(
        schema.execute("{ ok fails nothing object { good } broken { good } }"),
    );
    let expected: Value = value!({ "ok": 1, "fails": null, "nothing": null, "object": { "good": 7 }, "broken": null });
    assert_eq!(answer.data, expected);
    assert_eq!(answer.errors.len(), 2);
}
