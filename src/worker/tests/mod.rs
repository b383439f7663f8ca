//! Promises of the worker.
