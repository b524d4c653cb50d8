//! The program's door: arguments in, exit code out.

fn main() -> std::process::ExitCode {
    leave_no_core();
    punctual::cli::main()
}

/// A crash writes no file with codes, names and keys, and nobody reads the memory of the process but root. Where the system refuses, it goes on: the unit
/// says the same.
fn leave_no_core() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).ok();
    set_dumpable_behavior(DumpableBehavior::NotDumpable).ok();
}
