//! Sums in a sentence: `what is 12 * (3 + 4)?`.

use std::iter::Peekable;
use std::str::Chars;

/// Longest expression read, in characters.
const MAX_CHARS: usize = 200;
/// Deepest nesting of brackets and signs.
const MAX_DEPTH: usize = 32;

/// The result in words, when `text` is a sum and nothing else.
pub(super) fn answer(text: &str) -> Option<String> {
    let expression = expression_of(text)?;
    let mut parser = Parser {
        rest: expression.chars().peekable(),
        depth: 0,
    };
    let value = parser.sum()?;
    if parser.next_char().is_some() {
        return None;
    }
    Some(if value.is_finite() {
        format!("{} = {}", expression.trim(), shown(value))
    } else {
        "That has no result: it divides by zero or is too large.".to_owned()
    })
}

/// What is left of the sentence when the question around it is taken off; `None` when that is no sum.
fn expression_of(text: &str) -> Option<String> {
    if text.chars().count() > MAX_CHARS {
        return None;
    }
    let lower = text.trim().to_lowercase();
    let mut rest = lower.trim_end_matches(['?', '=', '.', '!', ' ']);
    for opening in [
        "please",
        "what's",
        "whats",
        "what is",
        "how much is",
        "calculate",
        "compute",
    ] {
        rest = rest.strip_prefix(opening).unwrap_or(rest).trim_start();
    }
    let expression = rest
        .replace(['×', '·'], "*")
        .replace('÷', "/")
        .replace('−', "-");
    let has_digit = expression.contains(|c: char| c.is_ascii_digit());
    let has_operator = expression
        .trim_start_matches('-')
        .contains(['+', '-', '*', '/']);
    let only_sum = expression
        .chars()
        .all(|c| c.is_ascii_digit() || " .+-*/()".contains(c));
    // `2026-02-07` is a date and `555-1234` a telephone number.
    let is_written_number =
        expression.len() >= 8 && expression.chars().all(|c| c.is_ascii_digit() || c == '-');
    (has_digit && has_operator && only_sum && !is_written_number).then_some(expression)
}

/// Up to twelve digits after the point, without trailing zeros.
fn shown(value: f64) -> String {
    let fixed = format!("{value:.12}");
    let trimmed = fixed.trim_end_matches('0').trim_end_matches('.');
    if trimmed == "-0" {
        "0".to_owned()
    } else {
        trimmed.to_owned()
    }
}

/// Recursive descent: sum > product > signed > number or bracket.
struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    depth: usize,
}

impl Parser<'_> {
    fn next_char(&mut self) -> Option<char> {
        while self.rest.next_if_eq(&' ').is_some() {}
        self.rest.peek().copied()
    }

    fn sum(&mut self) -> Option<f64> {
        let mut value = self.product()?;
        while let Some(operator @ ('+' | '-')) = self.next_char() {
            self.rest.next();
            let right = self.product()?;
            value = if operator == '+' {
                value + right
            } else {
                value - right
            };
        }
        Some(value)
    }

    fn product(&mut self) -> Option<f64> {
        let mut value = self.signed()?;
        while let Some(operator @ ('*' | '/')) = self.next_char() {
            self.rest.next();
            let right = self.signed()?;
            value = if operator == '*' {
                value * right
            } else {
                value / right
            };
        }
        Some(value)
    }

    fn signed(&mut self) -> Option<f64> {
        if self.depth == MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let value = match self.next_char()? {
            '-' => {
                self.rest.next();
                self.signed().map(|value| -value)
            }
            '(' => {
                self.rest.next();
                let value = self.sum();
                (self.next_char() == Some(')')).then_some(())?;
                self.rest.next();
                value
            }
            _ => self.number(),
        };
        self.depth -= 1;
        value
    }

    fn number(&mut self) -> Option<f64> {
        let mut digits = String::new();
        while let Some(digit) = self.rest.next_if(|c| c.is_ascii_digit() || *c == '.') {
            digits.push(digit);
        }
        digits.parse().ok()
    }
}
