//! The `rotunda` command.

fn main() {}
