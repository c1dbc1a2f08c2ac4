//! The driver's command line.

use crate::Subject;

/// Which cases are run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What decides all cases.
    pub seed: u64,
    /// This target and no other.
    pub only: Option<String>,
    /// This case and no other.
    pub case: Option<u64>,
    /// So many times the usual number of cases.
    pub times: u64,
    /// What is tried.
    pub subject: Subject,
}

impl Options {
    /// What these words ask for; an error is a sentence.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            seed: 1,
            only: None,
            case: None,
            times: 1,
            subject: Subject::Real,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--planted" => options.subject = Subject::Spoiled,
                "--only" => {
                    options.only = Some(words.next().ok_or("--only takes a target's name")?)
                }
                "--seed" => options.seed = number(&word, words.next())?,
                "--case" => options.case = Some(number(&word, words.next())?),
                "--times" => options.times = number(&word, words.next())?,
                other => {
                    return Err(format!(
                        "`{other}` is not understood; there are --seed N, --only TARGET, --case K, --times N and --planted"
                    ));
                }
            }
        }
        Ok(options)
    }
}

fn number(option: &str, word: Option<String>) -> Result<u64, String> {
    let parsed = word.and_then(|word| word.parse().ok());
    parsed.ok_or_else(|| format!("{option} takes a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Options, String> {
        Options::parse(words.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn words_are_understood_or_named() {
        let options = parse("--seed 7 --only elf --case 3 --planted").unwrap();
        assert_eq!((options.seed, options.case, options.times), (7, Some(3), 1));
        assert_eq!(options.only.as_deref(), Some("elf"));
        assert_eq!(options.subject, Subject::Spoiled);
        assert!(parse("--seed x").unwrap_err().contains("--seed"));
        assert!(parse("--what").unwrap_err().contains("`--what`"));
    }
}
