//! `{ }`, `( )`, `(( ))`, `if`, `for`, `while`, `until`, `case`.

use brush_parser::ast::{
    ArithmeticForClauseCommand, CaseClauseCommand, CaseItem, CaseItemPostAction, CompoundCommand,
    CompoundList, ForClauseCommand, IfClauseCommand, UnexpandedArithmeticExpr,
};

use crate::shell::{Outcome, SUCCESS, Shell, Unwind};
use crate::syntax::Place;

/// How compound commands may nest while they run, functions' bodies included.
const DEPTH_MAX: usize = 400;

impl Shell {
    /// Runs a compound command in this shell.
    pub(super) fn run_compound(&mut self, command: &CompoundCommand) -> Outcome {
        if self.depth >= DEPTH_MAX {
            return Err(Unwind::Failed(format!(
                "commands nest deeper than {DEPTH_MAX}"
            )));
        }
        self.depth += 1;
        let outcome = self.run_kind(command);
        self.depth -= 1;
        outcome
    }

    fn run_kind(&mut self, command: &CompoundCommand) -> Outcome {
        match command {
            CompoundCommand::BraceGroup(group) => self.run_list(&group.list),
            CompoundCommand::Subshell(subshell) => self.run_subshell(&subshell.list),
            CompoundCommand::Arithmetic(arithmetic) => {
                let value = self.arithmetic(&arithmetic.expr.value);
                self.or_failure(value.map(|value| u8::from(value == 0)))
            }
            CompoundCommand::ArithmeticForClause(clause) => self.run_arithmetic_for(clause),
            CompoundCommand::ForClause(clause) => self.run_for(clause),
            CompoundCommand::CaseClause(clause) => self.run_case(clause),
            CompoundCommand::IfClause(clause) => self.run_if(clause),
            CompoundCommand::WhileClause(clause) => self.run_while(&clause.0, &clause.1.list, true),
            CompoundCommand::UntilClause(clause) => {
                self.run_while(&clause.0, &clause.1.list, false)
            }
            CompoundCommand::Coprocess(_) => Err(Unwind::Failed(
                "coproc: there are no coprocesses here".into(),
            )),
        }
    }

    fn run_subshell(&mut self, list: &CompoundList) -> Outcome {
        let mut subshell = self.subshell();
        subshell.is_interactive = self.is_interactive;
        self.in_subshell(&mut subshell, |subshell| subshell.run_list(list))
    }

    fn run_if(&mut self, clause: &IfClauseCommand) -> Outcome {
        if self.run_condition(&clause.condition)? == SUCCESS {
            return self.run_list(&clause.then);
        }
        for part in clause.elses.iter().flatten() {
            let is_taken = match &part.condition {
                Some(condition) => self.run_condition(condition)? == SUCCESS,
                None => true,
            };
            if is_taken {
                return self.run_list(&part.body);
            }
        }
        Ok(SUCCESS)
    }

    fn run_while(
        &mut self,
        condition: &CompoundList,
        body: &CompoundList,
        wanted: bool,
    ) -> Outcome {
        self.in_loop(|shell| {
            let mut status = SUCCESS;
            loop {
                match shell.looped(|shell| shell.run_condition(condition))? {
                    Turn::More(answer) if (answer == SUCCESS) == wanted => (),
                    Turn::More(_) | Turn::Over(_) => return Ok(status),
                }
                status = match shell.looped(|shell| shell.run_list(body))? {
                    Turn::Over(status) => return Ok(status),
                    Turn::More(status) => status,
                };
            }
        })
    }

    fn run_for(&mut self, clause: &ForClauseCommand) -> Outcome {
        let values = match &clause.values {
            Some(words) => self.expand_all(words.iter())?,
            None => self.state.arguments.clone(),
        };
        self.in_loop(|shell| {
            let mut status = SUCCESS;
            for value in values {
                shell.assign(&clause.variable_name, value)?;
                status = match shell.looped(|shell| shell.run_list(&clause.body.list))? {
                    Turn::Over(status) => return Ok(status),
                    Turn::More(status) => status,
                };
            }
            Ok(status)
        })
    }

    fn run_arithmetic_for(&mut self, clause: &ArithmeticForClauseCommand) -> Outcome {
        self.optional(clause.initializer.as_ref())?;
        self.in_loop(|shell| {
            let mut status = SUCCESS;
            while shell.optional(clause.condition.as_ref())? != 0 {
                status = match shell.looped(|shell| shell.run_list(&clause.body.list))? {
                    Turn::Over(status) => return Ok(status),
                    Turn::More(status) => status,
                };
                shell.optional(clause.updater.as_ref())?;
            }
            Ok(status)
        })
    }

    /// An expression that is not there is true.
    fn optional(&mut self, expression: Option<&UnexpandedArithmeticExpr>) -> Result<i64, Unwind> {
        match expression {
            Some(expression) if !expression.value.trim().is_empty() => {
                self.arithmetic(&expression.value)
            }
            _ => Ok(1),
        }
    }

    fn in_loop(&mut self, run: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        self.loops += 1;
        let outcome = run(self);
        self.loops -= 1;
        outcome
    }

    /// One turn of a loop: `break` and `continue` that mean this loop end here.
    fn looped(&mut self, run: impl FnOnce(&mut Self) -> Outcome) -> Result<Turn, Unwind> {
        self.look_at_keyboard()?;
        match run(self) {
            Ok(status) => Ok(Turn::More(status)),
            Err(Unwind::Continue(0 | 1)) => Ok(Turn::More(SUCCESS)),
            Err(Unwind::Break(0 | 1)) => Ok(Turn::Over(SUCCESS)),
            Err(Unwind::Continue(levels)) => Err(Unwind::Continue(levels - 1)),
            Err(Unwind::Break(levels)) => Err(Unwind::Break(levels - 1)),
            Err(other) => Err(other),
        }
    }

    fn run_case(&mut self, clause: &CaseClauseCommand) -> Outcome {
        let value = self.expand_to_text(&clause.value.value, Place::Word)?;
        let mut status = SUCCESS;
        let mut is_falling_through = false;
        for item in &clause.cases {
            if !is_falling_through && !self.fits(item, &value)? {
                continue;
            }
            if let Some(list) = &item.cmd {
                status = self.run_list(list)?;
            }
            match item.post_action {
                CaseItemPostAction::ExitCase => return Ok(status),
                CaseItemPostAction::UnconditionallyExecuteNextCaseItem => is_falling_through = true,
                CaseItemPostAction::ContinueEvaluatingCases => is_falling_through = false,
            }
        }
        Ok(status)
    }

    fn fits(&mut self, item: &CaseItem, value: &str) -> Result<bool, Unwind> {
        for pattern in &item.patterns {
            if self.expand_to_pattern(&pattern.value)?.matches(value) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What one turn of a loop has come to.
enum Turn {
    More(u8),
    Over(u8),
}
