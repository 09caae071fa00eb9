//! Passes the commit that is built to the compiler, for `tidemark --version`.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=TIDEMARK_COMMIT");
    println!("cargo::rerun-if-changed=build.rs");
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let head = git(&["rev-parse", "--git-path", "logs/HEAD"]);
    if let Some(head) = head {
        println!("cargo::rerun-if-changed={head}");
    }
    // A release archive has no repository, so whoever builds one passes the commit in `TIDEMARK_COMMIT`.
    let commit = std::env::var("TIDEMARK_COMMIT")
        .ok()
        .or_else(|| git(&["rev-parse", "--short=12", "HEAD"]));
    let commit = commit
        .filter(|commit| !commit.is_empty())
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=TIDEMARK_COMMIT={commit}");
}
