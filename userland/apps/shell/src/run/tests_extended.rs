//! `[[ … ]]`, and the tests that it shares with `test`.

use std::fs;

use brush_parser::ast::{BinaryPredicate, ExtendedTestExpr, UnaryPredicate, Word};

use crate::options;
use crate::shell::{Outcome, Shell, Status, Unwind};
use crate::syntax::Place;
use crate::variables::Value;

impl Shell {
    pub(super) fn run_extended_test(&mut self, test: &ExtendedTestExpr) -> Outcome {
        self.extended(test).map(|is_true| Status::from(!is_true))
    }

    fn extended(&mut self, test: &ExtendedTestExpr) -> Result<bool, Unwind> {
        match test {
            ExtendedTestExpr::And(left, right) => Ok(self.extended(left)? && self.extended(right)?),
            ExtendedTestExpr::Or(left, right) => Ok(self.extended(left)? || self.extended(right)?),
            ExtendedTestExpr::Not(inner) => Ok(!self.extended(inner)?),
            ExtendedTestExpr::Parenthesized(inner) => self.extended(inner),
            ExtendedTestExpr::UnaryTest(predicate, operand) => {
                let operand = self.expand_to_text(&operand.value, Place::Word)?;
                self.unary_test(predicate, &operand)
            }
            ExtendedTestExpr::BinaryTest(predicate, left, right) => {
                self.extended_binary(predicate, left, right)
            }
        }
    }

    fn extended_binary(
        &mut self,
        predicate: &BinaryPredicate,
        left: &Word,
        right: &Word,
    ) -> Result<bool, Unwind> {
        let left = self.expand_to_text(&left.value, Place::Word)?;
        match predicate {
            BinaryPredicate::StringExactlyMatchesPattern => {
                Ok(self.expand_to_pattern(&right.value)?.matches(&left))
            }
            BinaryPredicate::StringDoesNotExactlyMatchPattern => {
                Ok(!self.expand_to_pattern(&right.value)?.matches(&left))
            }
            BinaryPredicate::StringMatchesRegex => {
                let expression = self.expand_to_expression(&right.value)?;
                self.matches_expression(&left, &expression)
            }
            BinaryPredicate::StringContainsSubstring => {
                let right = self.expand_to_text(&right.value, Place::Word)?;
                self.matches_expression(&left, &regex_lite::escape(&right))
            }
            predicate => {
                let right = self.expand_to_text(&right.value, Place::Word)?;
                self.binary_test(predicate, &left, &right)
            }
        }
    }

    /// `=~`; what its groups matched is in `BASH_REMATCH`.
    fn matches_expression(&mut self, text: &str, expression: &str) -> Result<bool, Unwind> {
        let expression = regex_lite::Regex::new(expression).map_err(|error| {
            Unwind::Failed(format!("{expression}: not a regular expression: {error}"))
        })?;
        let found = expression.captures(text);
        let groups = found.iter().flat_map(|groups| groups.iter());
        let texts = groups.map(|group| {
            group
                .map(|group| group.as_str().to_owned())
                .unwrap_or_default()
        });
        let list = (0..).zip(texts).collect();
        self.state.variables.entry("BASH_REMATCH").value = Some(Value::List(list));
        Ok(found.is_some())
    }

    /// A test of one operand.
    pub fn unary_test(
        &mut self,
        predicate: &UnaryPredicate,
        operand: &str,
    ) -> Result<bool, Unwind> {
        let path = self.absolute(operand);
        let metadata = || fs::metadata(&path);
        Ok(match predicate {
            UnaryPredicate::StringHasZeroLength => operand.is_empty(),
            UnaryPredicate::StringHasNonZeroLength => !operand.is_empty(),
            UnaryPredicate::FileExists
            | UnaryPredicate::FileExistsAndIsReadable
            | UnaryPredicate::FileExistsAndIsWritable => !operand.is_empty() && metadata().is_ok(),
            UnaryPredicate::FileExistsAndIsDir => metadata().is_ok_and(|file| file.is_dir()),
            UnaryPredicate::FileExistsAndIsRegularFile => {
                metadata().is_ok_and(|file| file.is_file())
            }
            UnaryPredicate::FileExistsAndIsNotZeroLength => {
                metadata().is_ok_and(|file| file.len() > 0)
            }
            UnaryPredicate::FileExistsAndIsSymlink => {
                fs::symlink_metadata(&path).is_ok_and(|file| file.is_symlink())
            }
            // WASI knows no permissions: whatever begins as something that runs, runs.
            UnaryPredicate::FileExistsAndIsExecutable => {
                metadata().is_ok_and(|file| file.is_dir()) || begins_as_executable(&path)
            }
            UnaryPredicate::FdIsOpenTerminal => operand
                .parse()
                .is_ok_and(|number| self.files.is_terminal(number)),
            UnaryPredicate::ShellOptionEnabled => {
                options::by_name(operand).is_some_and(|switch| self.has(switch))
            }
            UnaryPredicate::ShellVariableIsSetAndAssigned => self
                .state
                .variables
                .get(operand)
                .is_some_and(|variable| variable.value.is_some()),
            UnaryPredicate::FileExistsAndIsBlockSpecialFile
            | UnaryPredicate::FileExistsAndIsCharSpecialFile
            | UnaryPredicate::FileExistsAndIsSetgid
            | UnaryPredicate::FileExistsAndHasStickyBit
            | UnaryPredicate::FileExistsAndIsFifo
            | UnaryPredicate::FileExistsAndIsSetuid
            | UnaryPredicate::FileExistsAndOwnedByEffectiveGroupId
            | UnaryPredicate::FileExistsAndModifiedSinceLastRead
            | UnaryPredicate::FileExistsAndOwnedByEffectiveUserId
            | UnaryPredicate::FileExistsAndIsSocket
            | UnaryPredicate::ShellVariableIsSetAndNameRef => false,
        })
    }

    /// A test of two operands, patterns and regular expressions aside.
    pub fn binary_test(
        &mut self,
        predicate: &BinaryPredicate,
        left: &str,
        right: &str,
    ) -> Result<bool, Unwind> {
        let modified = |path: &str| {
            fs::metadata(self.absolute(path))
                .and_then(|file| file.modified())
                .ok()
        };
        Ok(match predicate {
            BinaryPredicate::StringExactlyMatchesPattern
            | BinaryPredicate::StringExactlyMatchesString => left == right,
            BinaryPredicate::StringDoesNotExactlyMatchPattern
            | BinaryPredicate::StringDoesNotExactlyMatchString => left != right,
            BinaryPredicate::LeftSortsBeforeRight => left < right,
            BinaryPredicate::LeftSortsAfterRight => left > right,
            BinaryPredicate::LeftFileIsNewerOrExistsWhenRightDoesNot => {
                modified(left) > modified(right)
            }
            BinaryPredicate::LeftFileIsOlderOrDoesNotExistWhenRightDoes => {
                modified(left) < modified(right)
            }
            BinaryPredicate::FilesReferToSameDeviceAndInodeNumbers => {
                let real = |path: &str| fs::canonicalize(self.absolute(path)).ok();
                real(left).is_some() && real(left) == real(right)
            }
            BinaryPredicate::StringMatchesRegex | BinaryPredicate::StringContainsSubstring => {
                return self.matches_expression(left, right);
            }
            predicate => self.compare(predicate, left, right)?,
        })
    }

    fn compare(
        &mut self,
        predicate: &BinaryPredicate,
        left: &str,
        right: &str,
    ) -> Result<bool, Unwind> {
        let (left, right) = (self.arithmetic(left)?, self.arithmetic(right)?);
        Ok(match predicate {
            BinaryPredicate::ArithmeticEqualTo => left == right,
            BinaryPredicate::ArithmeticNotEqualTo => left != right,
            BinaryPredicate::ArithmeticLessThan => left < right,
            BinaryPredicate::ArithmeticLessThanOrEqualTo => left <= right,
            BinaryPredicate::ArithmeticGreaterThan => left > right,
            _ => left >= right,
        })
    }
}

fn begins_as_executable(path: &str) -> bool {
    let start = |start: &[u8]| {
        start.starts_with(b"\0asm") || start.starts_with(b"#!") || start.starts_with(b"\x7fELF")
    };
    let mut bytes = [0; 4];
    let read = fs::File::open(path).and_then(|mut file| std::io::Read::read(&mut file, &mut bytes));
    read.is_ok_and(|len| start(&bytes[..len]))
}
