//! `{a,b}` and `{1..9}`: words become several words before anything else happens.
//!
//! Law: at most [`WORDS_MAX`] come of one word.

use brush_parser::word::{BraceExpressionMember, BraceExpressionOrText};

use crate::shell::Unwind;
use crate::syntax;

/// How many words one word may become.
const WORDS_MAX: usize = 1 << 16;

/// The words that a word is.
pub(super) fn expand(word: &str) -> Result<Vec<String>, Unwind> {
    match syntax::braces(word)? {
        Some(pieces) => sequence(&pieces),
        None => Ok(vec![word.to_owned()]),
    }
}

/// Every text of the first piece before every text of the second, and so on.
fn sequence(pieces: &[BraceExpressionOrText]) -> Result<Vec<String>, Unwind> {
    pieces
        .iter()
        .try_fold(vec![String::new()], |starts, piece| {
            let ends = match piece {
                BraceExpressionOrText::Text(text) => vec![text.clone()],
                BraceExpressionOrText::Expr(members) => alternatives(members)?,
            };
            limit(starts.len().saturating_mul(ends.len()))?;
            Ok(starts
                .iter()
                .flat_map(|start| ends.iter().map(move |end| format!("{start}{end}")))
                .collect())
        })
}

fn alternatives(members: &[BraceExpressionMember]) -> Result<Vec<String>, Unwind> {
    let mut all = Vec::new();
    for member in members {
        all.extend(match member {
            BraceExpressionMember::Child(pieces) => sequence(pieces)?,
            BraceExpressionMember::NumberSequence {
                start,
                end,
                increment,
            } => steps(*start, *end, *increment)?
                .iter()
                .map(i64::to_string)
                .collect(),
            BraceExpressionMember::CharSequence {
                start,
                end,
                increment,
            } => {
                let codes = steps(
                    i64::from(u32::from(*start)),
                    i64::from(u32::from(*end)),
                    *increment,
                )?;
                let characters = codes
                    .iter()
                    .filter_map(|code| char::from_u32(u32::try_from(*code).ok()?));
                characters.map(String::from).collect()
            }
        });
        limit(all.len())?;
    }
    Ok(all)
}

/// From `start` to `end`, upwards or downwards.
fn steps(start: i64, end: i64, increment: i64) -> Result<Vec<i64>, Unwind> {
    let step = increment.unsigned_abs().max(1);
    let count = end.abs_diff(start) / step;
    limit(usize::try_from(count).unwrap_or(usize::MAX))?;
    let signed = i64::try_from(step).unwrap_or(i64::MAX);
    let towards = |index: u64| {
        let way = signed.wrapping_mul(index as i64);
        if end >= start {
            start.wrapping_add(way)
        } else {
            start.wrapping_sub(way)
        }
    };
    Ok((0..=count).map(towards).collect())
}

fn limit(count: usize) -> Result<(), Unwind> {
    if count > WORDS_MAX {
        return Err(Unwind::Failed(format!(
            "braces: more than {WORDS_MAX} words"
        )));
    }
    Ok(())
}
