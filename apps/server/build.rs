//! Has the linker pack the program's relative relocations where the machine's C library can read them: a megabyte less to
//! read at every start and to hold afterwards. See <https://maskray.me/blog/2021-10-31-relative-relocations-and-relr>.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo tells build scripts through the environment"
)]

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if is_native_linux() && glibc().is_some_and(|version| version >= (2, 36)) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Built on the kind of machine it is for: one for which rustc brings a linker that knows how.
fn is_native_linux() -> bool {
    let target = env::var("TARGET").unwrap_or_default();
    target == "x86_64-unknown-linux-gnu" && env::var("HOST").is_ok_and(|host| host == target)
}

/// The version of this machine's glibc, where it says so: `glibc 2.36`.
fn glibc() -> Option<(u32, u32)> {
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let told = String::from_utf8(told.ok()?.stdout).ok()?;
    let (major, minor) = told.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
