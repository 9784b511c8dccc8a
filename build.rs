//! Rebuilds the binary when a bundled scenario is added or removed.

fn main() {
    println!("cargo::rerun-if-changed=scenarios");
}
