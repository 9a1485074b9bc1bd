//! What can be shown.
