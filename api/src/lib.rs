//! What others can ask.
