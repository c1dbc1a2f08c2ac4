//! The current folder. It is the shell's own: WASI has none, and children are told theirs when they start.

use std::fs;

use super::{failed, options};
use crate::shell::{Outcome, SUCCESS, Shell};

pub(super) fn cd(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let (_, arguments) = options(arguments, "LP")?;
    let variable = |name: &str| shell.state.variables.text(name).map(str::to_owned);
    let not_set = |name: &str| failed(format!("{name} not set"));
    let (target, is_shown) = match arguments {
        [] => (variable("HOME").ok_or_else(|| not_set("HOME"))?, false),
        [dash] if dash == "-" => (variable("OLDPWD").ok_or_else(|| not_set("OLDPWD"))?, true),
        [folder] => (folder.clone(), false),
        _ => return Err(failed("too many arguments")),
    };
    let path = shell.absolute(&target);
    let path = if path.len() > 1 {
        path.trim_end_matches('/')
    } else {
        &path
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => (),
        Ok(_) => return Err(failed(format!("{target}: Not a directory"))),
        Err(_) => return Err(failed(format!("{target}: No such file or directory"))),
    }
    let old = std::mem::replace(&mut shell.state.folder, path.to_owned());
    shell.assign("OLDPWD", old)?;
    shell.assign("PWD", path.to_owned())?;
    if is_shown {
        shell.files.write(format!("{path}\n").as_bytes())?;
    }
    Ok(SUCCESS)
}

pub(super) fn pwd(shell: &mut Shell, _arguments: &[String]) -> Outcome {
    shell
        .files
        .write(format!("{}\n", shell.state.folder).as_bytes())?;
    Ok(SUCCESS)
}
