//! What programs are given: everything that people are shown, and nothing else on standard output.

use serde_json::Value;

use crate::plane::Plane;

const SHOP: &str = "samples/shop/app.yaml";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_plan_as_json_holds_all_that_the_table_shows() {
    let plane = Plane::up(200);
    let table = plane.data_of(&["plan", SHOP, "-e", "dev"]);
    let planned = json(&plane.data_of(&["plan", SHOP, "-e", "dev", "--save", "-o", "json"]));
    let plan = &planned["plan"];
    let steps = plan["steps"].as_array().unwrap();
    let shown: Vec<&str> = table.lines().filter(|line| line.starts_with("  + ")).collect();
    assert_eq!(steps.len(), shown.len());
    for step in steps {
        let id = step["resource"].as_str().unwrap();
        let line = shown.iter().find(|line| line.split(' ').any(|word| word == id));
        let line = line.unwrap_or_else(|| panic!("{id} is not in {table}"));
        assert_eq!(step["action"], "CREATE");
        assert!(line.contains(step["why"][0].as_str().unwrap()), "{line}: {step}");
        if let Some(class) = step["class"].as_str() {
            assert!(line.contains(&format!("({class} v{})", step["classVersion"])), "{line}");
        }
        assert_eq!(line.contains(" protected"), step["protected"] == true, "{line}");
        assert!(step["spec"].is_object(), "{step}");
    }
    let placed = format!("on {}: ", plan["placement"]["cluster"].as_str().unwrap());
    let reasons = &plan["placement"]["scores"][0]["reasons"];
    let reasons: Vec<&str> =
        reasons.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert!(table.contains(&format!("{placed}{}", reasons.join(", "))), "{table}");
    let kept = json(&plane.data_of(&["get", "plan", plan["id"].as_str().unwrap(), "-o", "json"]));
    assert_eq!(kept["steps"], plan["steps"], "a plan is kept whole");
    for note in plan["notes"].as_array().unwrap() {
        assert!(table.contains(&format!("note: {}", note.as_str().unwrap())), "{table}");
    }
    assert_eq!(plan["counts"]["create"], steps.len());
}

#[test]
fn applying_as_json_prints_one_object_at_the_end() {
    let plane = Plane::up(200);
    let applied = json(&plane.data_of(&["apply", SHOP, "-e", "dev", "-o", "json"]));
    assert_eq!(applied["outcome"], "ready");
    assert_eq!(applied["deploymentName"], "dev_shop");
    assert!(applied["plan"]["steps"].as_array().unwrap().len() > 5);
    let again = json(&plane.data_of(&["apply", SHOP, "-e", "dev", "-o", "json"]));
    assert_eq!((&again["unchanged"], &again["outcome"]), (&Value::Bool(true), &"ready".into()));
}
