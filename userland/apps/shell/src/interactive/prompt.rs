//! What stands in front of a line.

use crate::shell::{SUCCESS, Shell};

/// The prompt where `PS1` is not set: the current folder.
const USUAL: &str = "\\w \\$ ";

impl Shell {
    /// The prompt that a variable describes.
    pub(super) fn prompt(&self, variable: &str) -> String {
        let usual = if variable == "PS1" { USUAL } else { "> " };
        let form = self.state.variables.text(variable).unwrap_or(usual);
        let mut prompt = String::new();
        let mut characters = form.chars();
        while let Some(c) = characters.next() {
            match c {
                '\\' => prompt += &self.prompt_special(characters.next().unwrap_or('\\')),
                c if c.is_control() => (),
                c => prompt.push(c),
            }
        }
        prompt
    }

    fn prompt_special(&self, letter: char) -> String {
        let state = &self.state;
        match letter {
            'w' => self.short_folder(),
            'W' => state
                .folder
                .rsplit('/')
                .find(|part| !part.is_empty())
                .unwrap_or("/")
                .to_owned(),
            '$' => "$".into(),
            's' => state.name.rsplit('/').next().unwrap_or_default().to_owned(),
            '?' => {
                if state.status == SUCCESS {
                    String::new()
                } else {
                    state.status.to_string()
                }
            }
            'j' => self.jobs.iter().count().to_string(),
            // Brackets of what takes no room on the terminal, which nothing does that is left here.
            '[' | ']' | 'n' | 'r' | 'a' | 'e' => String::new(),
            other => other.into(),
        }
    }

    /// The home folder is a tilde, unless it is the root.
    fn short_folder(&self) -> String {
        let folder = &self.state.folder;
        let home = self.state.variables.text("HOME").unwrap_or("/");
        match folder.strip_prefix(home) {
            Some(rest) if home != "/" && (rest.is_empty() || rest.starts_with('/')) => {
                format!("~{rest}")
            }
            _ => folder.clone(),
        }
    }
}
