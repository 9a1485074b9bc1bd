//! A deterministic cloud in a box.
