//! Where what is asked of a world in another process: a path for each question, whose body is its arguments in JSON.
//! The answer is a `Result` in JSON: what the world says, or how the call failed.

/// How is it? A target.
pub(crate) const SEE: &str = "/see";
/// Make it so: a target and a call.
pub(crate) const MAKE: &str = "/make";
/// Remove it: a target.
pub(crate) const REMOVE: &str = "/remove";
/// What is there? A kind.
pub(crate) const LIST: &str = "/list";
/// Something happens to it: a tenant, an id, and what.
pub(crate) const HAPPEN: &str = "/happen";
/// What changes: the name of a stream a line, without an end.
pub(crate) const CHANGES: &str = "/changes";
/// What does it write? A target and what is wanted of its log. The answer is a line of JSON each, as they come.
pub(crate) const LOGS: &str = "/logs";
