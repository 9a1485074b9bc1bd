//! What makes it true.
