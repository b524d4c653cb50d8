//! Servers that follow a script, on loopback, at ports that the system gives out. They end with the test's runtime.

pub(crate) mod http;
pub(crate) mod smtp;
