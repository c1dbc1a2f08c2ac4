//! `test` and `[`.

use brush_parser::ast::TestExpr;

use super::failed;
use crate::shell::{Outcome, Shell, Status, USAGE, Unwind};
use crate::syntax;

pub(super) fn bracket(shell: &mut Shell, arguments: &[String]) -> Outcome {
    match arguments.split_last() {
        Some((last, expression)) if last == "]" => test(shell, expression),
        _ => {
            shell.complain("[: missing `]'");
            Ok(USAGE)
        }
    }
}

pub(super) fn test(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let answer = match arguments {
        [] => Ok(false),
        [text] => Ok(!text.is_empty()),
        [not, text] if not == "!" => Ok(text.is_empty()),
        arguments => match syntax::test(arguments) {
            Ok(expression) => holds(shell, &expression),
            Err(error) => Err(failed(error.message)),
        },
    };
    match answer {
        Ok(is_true) => Ok(Status::from(!is_true)),
        Err(Unwind::Failed(sentence)) => {
            shell.complain(format_args!("test: {sentence}"));
            Ok(USAGE)
        }
        Err(other) => Err(other),
    }
}

fn holds(shell: &mut Shell, expression: &TestExpr) -> Result<bool, Unwind> {
    match expression {
        TestExpr::False => Ok(false),
        TestExpr::Literal(text) => Ok(!text.is_empty()),
        TestExpr::And(left, right) => Ok(holds(shell, left)? && holds(shell, right)?),
        TestExpr::Or(left, right) => Ok(holds(shell, left)? || holds(shell, right)?),
        TestExpr::Not(inner) => Ok(!holds(shell, inner)?),
        TestExpr::Parenthesized(inner) => holds(shell, inner),
        TestExpr::UnaryTest(predicate, operand) => shell.unary_test(predicate, operand),
        TestExpr::BinaryTest(predicate, left, right) => {
            integers_where_wanted(predicate, &[left, right])?;
            shell.binary_test(predicate, left, right)
        }
    }
}

/// `test` compares numbers, where `[[` computes expressions.
fn integers_where_wanted(
    predicate: &brush_parser::ast::BinaryPredicate,
    operands: &[&String],
) -> Result<(), Unwind> {
    use brush_parser::ast::BinaryPredicate as P;
    let wants_numbers = matches!(
        predicate,
        P::ArithmeticEqualTo
            | P::ArithmeticNotEqualTo
            | P::ArithmeticLessThan
            | P::ArithmeticLessThanOrEqualTo
            | P::ArithmeticGreaterThan
            | P::ArithmeticGreaterThanOrEqualTo
    );
    let is_number = |text: &&&String| text.trim().parse::<i64>().is_ok();
    match operands.iter().find(|text| !is_number(text)) {
        Some(text) if wants_numbers => Err(failed(format!("{text}: integer expression expected"))),
        _ => Ok(()),
    }
}
