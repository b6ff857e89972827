//! A new migration is embedded only when this crate is rebuilt: say so to cargo.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
