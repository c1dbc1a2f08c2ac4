//! Arithmetic: 64-bit numbers that wrap around.

use brush_parser::ast::{
    ArithmeticExpr, ArithmeticTarget, BinaryOperator, UnaryAssignmentOperator, UnaryOperator,
};

use super::DEPTH_MAX;
use crate::shell::{Shell, Unwind};
use crate::syntax::{self, Place};
use crate::variables::is_name;

impl Shell {
    /// The value of an expression as it is written. Why there is none is said at once, where errors go here.
    pub fn arithmetic(&mut self, text: &str) -> Result<i64, Unwind> {
        let expanded = self.expand_to_text(text, Place::Quoted)?;
        self.evaluate_text(&expanded)
            .map_err(|unwind| match unwind {
                Unwind::Failed(sentence) => {
                    self.complain(sentence);
                    Unwind::Uncomputed
                }
                other => other,
            })
    }

    fn evaluate_text(&mut self, text: &str) -> Result<i64, Unwind> {
        if let Ok(number) = text.trim().parse::<i64>()
            && !text.trim().starts_with('0')
        {
            return Ok(number);
        }
        let expression = syntax::arithmetic(text)?;
        self.evaluate(&expression)
    }

    fn evaluate(&mut self, expression: &ArithmeticExpr) -> Result<i64, Unwind> {
        match expression {
            ArithmeticExpr::Literal(number) => Ok(*number),
            ArithmeticExpr::Reference(target) => self.target_value(target),
            ArithmeticExpr::UnaryOp(operator, operand) => {
                Ok(unary(*operator, self.evaluate(operand)?))
            }
            ArithmeticExpr::BinaryOp(operator, left, right) => self.binary(*operator, left, right),
            ArithmeticExpr::Conditional(condition, then, otherwise) => {
                let chosen = if self.evaluate(condition)? != 0 {
                    then
                } else {
                    otherwise
                };
                self.evaluate(chosen)
            }
            ArithmeticExpr::Assignment(target, value) => {
                let value = self.evaluate(value)?;
                self.set_value(target, value)
            }
            ArithmeticExpr::BinaryAssignment(operator, target, operand) => {
                let old = self.target_value(target)?;
                let operand = self.evaluate(operand)?;
                self.set_value(target, compute(*operator, old, operand)?)
            }
            ArithmeticExpr::UnaryAssignment(operator, target) => self.step(*operator, target),
        }
    }

    fn step(
        &mut self,
        operator: UnaryAssignmentOperator,
        target: &ArithmeticTarget,
    ) -> Result<i64, Unwind> {
        let old = self.target_value(target)?;
        let (new, is_before) = match operator {
            UnaryAssignmentOperator::PrefixIncrement => (old.wrapping_add(1), true),
            UnaryAssignmentOperator::PrefixDecrement => (old.wrapping_sub(1), true),
            UnaryAssignmentOperator::PostfixIncrement => (old.wrapping_add(1), false),
            UnaryAssignmentOperator::PostfixDecrement => (old.wrapping_sub(1), false),
        };
        self.set_value(target, new)?;
        Ok(if is_before { new } else { old })
    }

    /// The right side of `&&` and `||` is looked at only where it matters.
    fn binary(
        &mut self,
        operator: BinaryOperator,
        left: &ArithmeticExpr,
        right: &ArithmeticExpr,
    ) -> Result<i64, Unwind> {
        let left = self.evaluate(left)?;
        match operator {
            BinaryOperator::LogicalAnd if left == 0 => Ok(0),
            BinaryOperator::LogicalOr if left != 0 => Ok(1),
            operator => compute(operator, left, self.evaluate(right)?),
        }
    }

    /// A variable holds an expression, or nothing, which is 0.
    fn target_value(&mut self, target: &ArithmeticTarget) -> Result<i64, Unwind> {
        let text = match target {
            ArithmeticTarget::Variable(name) => self.variable_text(name),
            ArithmeticTarget::ArrayElement(name, index) => {
                let index = self.index(name, index)?;
                self.element(name, &index)?
            }
        };
        let text = text.unwrap_or_default();
        if self.expansions >= DEPTH_MAX {
            return Err(Unwind::Failed(format!(
                "{text}: expression recursion level exceeded"
            )));
        }
        self.expansions += 1;
        let value = if text.trim().is_empty() {
            Ok(0)
        } else {
            self.evaluate_text(&text)
        };
        self.expansions -= 1;
        value
    }

    /// The key of an element: of a map a name is itself, else it is computed.
    fn index(&mut self, name: &str, index: &ArithmeticExpr) -> Result<String, Unwind> {
        match index {
            ArithmeticExpr::Reference(ArithmeticTarget::Variable(key)) if self.is_map(name) => {
                Ok(key.clone())
            }
            index => self.evaluate(index).map(|number| number.to_string()),
        }
    }

    fn set_value(&mut self, target: &ArithmeticTarget, value: i64) -> Result<i64, Unwind> {
        match target {
            ArithmeticTarget::Variable(name) if !is_name(name) => {
                return Err(Unwind::Failed(format!("{name}: not a variable")));
            }
            ArithmeticTarget::Variable(name) => self.assign(name, value.to_string())?,
            ArithmeticTarget::ArrayElement(name, index) => {
                let index = self.index(name, index)?;
                self.assign_element(name, &index, value.to_string(), false)?;
            }
        }
        Ok(value)
    }
}

fn unary(operator: UnaryOperator, operand: i64) -> i64 {
    match operator {
        UnaryOperator::UnaryPlus => operand,
        UnaryOperator::UnaryMinus => operand.wrapping_neg(),
        UnaryOperator::BitwiseNot => !operand,
        UnaryOperator::LogicalNot => i64::from(operand == 0),
    }
}

fn compute(operator: BinaryOperator, left: i64, right: i64) -> Result<i64, Unwind> {
    let division = || Unwind::Failed(format!("{left} / 0: division by 0"));
    Ok(match operator {
        BinaryOperator::Power => power(left, right)?,
        BinaryOperator::Multiply => left.wrapping_mul(right),
        BinaryOperator::Divide if right == 0 => return Err(division()),
        BinaryOperator::Divide => left.wrapping_div(right),
        BinaryOperator::Modulo if right == 0 => return Err(division()),
        BinaryOperator::Modulo => left.wrapping_rem(right),
        BinaryOperator::Comma => right,
        BinaryOperator::Add => left.wrapping_add(right),
        BinaryOperator::Subtract => left.wrapping_sub(right),
        BinaryOperator::ShiftLeft => left.wrapping_shl((right & 63) as u32),
        BinaryOperator::ShiftRight => left.wrapping_shr((right & 63) as u32),
        BinaryOperator::LessThan => i64::from(left < right),
        BinaryOperator::LessThanOrEqualTo => i64::from(left <= right),
        BinaryOperator::GreaterThan => i64::from(left > right),
        BinaryOperator::GreaterThanOrEqualTo => i64::from(left >= right),
        BinaryOperator::Equals => i64::from(left == right),
        BinaryOperator::NotEquals => i64::from(left != right),
        BinaryOperator::BitwiseAnd => left & right,
        BinaryOperator::BitwiseXor => left ^ right,
        BinaryOperator::BitwiseOr => left | right,
        BinaryOperator::LogicalAnd => i64::from(left != 0 && right != 0),
        BinaryOperator::LogicalOr => i64::from(left != 0 || right != 0),
    })
}

fn power(base: i64, exponent: i64) -> Result<i64, Unwind> {
    let negative = |_| Unwind::Failed("exponent less than 0".into());
    let exponent = u64::try_from(exponent).map_err(negative)?;
    Ok(base.wrapping_pow(u32::try_from(exponent).unwrap_or(u32::MAX)))
}
