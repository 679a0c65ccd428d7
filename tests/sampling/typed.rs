//! Types that serde and schemars know, written by the bundled model and read back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use stencil_lm::Model;

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Size {
    Small,
    Large,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Event {
    Started,
    Stopped { code: i8 },
    Moved(u8, u8),
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
enum Shape {
    Circle { radius: u8 },
    Square { side: u8 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Point {
    x: i16,
    y: Option<bool>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Everything {
    size: Size,
    event: Event,
    shape: Shape,
    nested: Point,
    #[schemars(length(max = 2))]
    list: Vec<Point>,
    pair: (bool, u8),
    maybe: Option<Size>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Tree {
    value: bool,
    children: Vec<Tree>,
}

/// What is written is a value of the type, and the value written again is what was read.
#[track_caller]
fn written<T: JsonSchema + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(model: &Model) -> T {
    let value: T = model.generate("").unwrap();
    let again: T = serde_json::from_str(&serde_json::to_string(&value).unwrap()).unwrap();
    assert_eq!(value, again);
    value
}

#[test]
fn values_of_types_are_written() {
    let model = Model::bundled().unwrap();
    written::<Size>(&model);
    written::<Event>(&model);
    written::<Shape>(&model);
    written::<Option<Point>>(&model);
    written::<Vec<Size>>(&model);
    written::<BTreeMap<String, Point>>(&model);
    written::<(u8, Size)>(&model);
    let everything = written::<Everything>(&model);
    assert!(everything.list.len() <= 2);
    written::<Tree>(&model);
}
