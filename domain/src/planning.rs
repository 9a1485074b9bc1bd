//! From an application to a plan: pure and total.
