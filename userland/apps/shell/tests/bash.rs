//! The shell's language beside bash's, on this machine and with this machine's programs.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../test/shell/features.sh"
);

/// A new folder below the one that cargo has for tests.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("work")).unwrap();
    fs::create_dir_all(folder.join("bin")).unwrap();
    folder
}

/// What a shell, which is also found as `sh`, writes when it runs these arguments. It is called by its own name: as `sh`, bash
/// leaves out what is not POSIX's.
fn written(name: &str, shell: &str, arguments: &[&str]) -> String {
    let folder = folder(name);
    symlink(shell, folder.join("bin/sh")).unwrap();
    let path = format!(
        "{}:{}",
        folder.join("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let mut command = Command::new(shell);
    command
        .args(arguments)
        .env("PATH", path)
        .env("WORK", folder.join("work"))
        .env("LC_ALL", "C.UTF-8");
    let output = command.current_dir(folder.join("work")).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_script_of_features_does_the_same() {
    let bash = written("bash", "/bin/bash", &[SCRIPT]);
    let own = written("own", env!("CARGO_BIN_EXE_sh"), &[SCRIPT]);
    assert!(
        bash.ends_with("end\n"),
        "bash itself did not get through: {bash}"
    );
    assert_eq!(own, bash);
}

#[test]
fn a_shell_without_patterns_would_be_noticed() {
    let bash = written("bash-whole", "/bin/bash", &[SCRIPT]);
    let own = written("own-defective", env!("CARGO_BIN_EXE_sh"), &["-f", SCRIPT]);
    assert_ne!(own, bash);
}

#[test]
fn reading_ends_with_its_time_and_keeps_what_came() {
    let (read, mut write) = std::io::pipe().unwrap();
    write.write_all(b"begun").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sh"));
    command.args(["-c", "read -t 0.2 a; echo \"$? [$a]\"; read -t 0; echo $?"]);
    let output = command.stdin(read).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "142 [begun]\n1\n");
    // Until here the input has no end.
    drop(write);
}
