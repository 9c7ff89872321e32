//! Arithmetic, so that the model need not guess.

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::ports::{Tool, ToolContext, ToolError, ToolSpec};

/// Longest expression, in bytes.
const MAX_LENGTH: usize = 1000;
/// Deepest nesting of parentheses, signs and powers.
const MAX_DEPTH: usize = 64;

/// Evaluates `+ - * / % ^`, parentheses, `pi`, `e` and common functions over floating-point numbers.
pub struct Calculator {
    spec: ToolSpec,
}

impl Default for Calculator {
    fn default() -> Self {
        Self {
            spec: ToolSpec {
                name: "calculator".to_owned(),
                description: "Evaluates an arithmetic expression: + - * / % ^, parentheses, pi, e, and sqrt, abs, \
                              round, floor, ceil, ln, log10, exp, sin, cos, tan (radians)."
                    .to_owned(),
                parameters: json!({
                    "type": "object",
                    "properties": { "expression": { "type": "string", "maxLength": MAX_LENGTH } },
                    "required": ["expression"],
                    "additionalProperties": false,
                }),
            },
        }
    }
}

#[async_trait]
impl Tool for Calculator {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn is_idempotent(&self) -> bool {
        true
    }

    async fn call(&self, _: &ToolContext, arguments: Value) -> Result<String, ToolError> {
        let expression = arguments
            .get("expression")
            .and_then(Value::as_str)
            .ok_or_else(|| ToolError::Arguments("expression must be a text".to_owned()))?;
        let value = evaluate(expression).map_err(ToolError::Failed)?;
        if value.is_finite() {
            Ok(format!("{value}"))
        } else {
            Err(ToolError::Failed("the result is not a number".to_owned()))
        }
    }
}

fn evaluate(expression: &str) -> Result<f64, String> {
    if expression.len() > MAX_LENGTH {
        return Err(format!(
            "the expression is longer than {MAX_LENGTH} characters"
        ));
    }
    let mut parser = Parser {
        rest: expression.trim_start(),
    };
    let value = parser.sum(0)?;
    if parser.rest.is_empty() {
        Ok(value)
    } else {
        Err(format!("cannot read `{}`", parser.rest))
    }
}

/// Recursive descent over the text that is left.
struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn eat(&mut self, token: char) -> bool {
        let Some(rest) = self.rest.strip_prefix(token) else {
            return false;
        };
        self.rest = rest.trim_start();
        true
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !accept(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn sum(&mut self, depth: usize) -> Result<f64, String> {
        if depth > MAX_DEPTH {
            return Err("the expression is nested too deeply".to_owned());
        }
        let mut value = self.product(depth)?;
        loop {
            if self.eat('+') {
                value += self.product(depth)?;
            } else if self.eat('-') {
                value -= self.product(depth)?;
            } else {
                return Ok(value);
            }
        }
    }

    fn product(&mut self, depth: usize) -> Result<f64, String> {
        let mut value = self.signed(depth)?;
        loop {
            if self.eat('*') {
                value *= self.signed(depth)?;
            } else if self.eat('/') {
                value /= self.signed(depth)?;
            } else if self.eat('%') {
                value %= self.signed(depth)?;
            } else {
                return Ok(value);
            }
        }
    }

    fn signed(&mut self, depth: usize) -> Result<f64, String> {
        if depth > MAX_DEPTH {
            return Err("the expression is nested too deeply".to_owned());
        }
        if self.eat('-') {
            return Ok(-self.signed(depth + 1)?);
        }
        if self.eat('+') {
            return self.signed(depth + 1);
        }
        let base = self.atom(depth)?;
        if self.eat('^') {
            Ok(base.powf(self.signed(depth + 1)?))
        } else {
            Ok(base)
        }
    }

    fn atom(&mut self, depth: usize) -> Result<f64, String> {
        if self.eat('(') {
            let value = self.sum(depth + 1)?;
            return if self.eat(')') {
                Ok(value)
            } else {
                Err("a `)` is missing".to_owned())
            };
        }
        if self.rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return self.named(depth);
        }
        let number = self.number();
        if number.is_empty() {
            return Err(if self.rest.is_empty() {
                "the expression ends too early".to_owned()
            } else {
                format!("cannot read `{}`", self.rest)
            });
        }
        let value = number
            .parse()
            .map_err(|_| format!("`{number}` is not a number"))?;
        self.rest = self.rest.trim_start();
        Ok(value)
    }

    /// Digits with a decimal point and an exponent.
    fn number(&mut self) -> &'a str {
        let start = self.rest;
        self.take_while(|c| c.is_ascii_digit() || c == '.');
        let mantissa = start.len() - self.rest.len();
        if mantissa > 0
            && let Some(exponent) = self.rest.strip_prefix(['e', 'E'])
        {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.starts_with(|c: char| c.is_ascii_digit()) {
                self.rest = digits;
                self.take_while(|c| c.is_ascii_digit());
            }
        }
        start.split_at(start.len() - self.rest.len()).0
    }

    fn named(&mut self, depth: usize) -> Result<f64, String> {
        let name = self
            .take_while(|c| c.is_ascii_alphanumeric())
            .to_ascii_lowercase();
        self.rest = self.rest.trim_start();
        match name.as_str() {
            "pi" => return Ok(std::f64::consts::PI),
            "e" => return Ok(std::f64::consts::E),
            _ => {}
        }
        if !self.eat('(') {
            return Err(format!("`{name}` is unknown"));
        }
        let value = self.sum(depth + 1)?;
        if !self.eat(')') {
            return Err("a `)` is missing".to_owned());
        }
        Ok(match name.as_str() {
            "sqrt" => value.sqrt(),
            "abs" => value.abs(),
            "round" => value.round(),
            "floor" => value.floor(),
            "ceil" => value.ceil(),
            "ln" => value.ln(),
            "log10" => value.log10(),
            "exp" => value.exp(),
            "sin" => value.sin(),
            "cos" => value.cos(),
            "tan" => value.tan(),
            _ => return Err(format!("`{name}` is unknown")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, expected: f64) {
        assert!(
            (evaluate(expression).unwrap() - expected).abs() < 1e-9,
            "{expression}"
        );
    }

    #[test]
    fn precedence_signs_and_functions() {
        check("1 + 2 * 3", 7.0);
        check("-2 ^ 2", -4.0);
        check("2 ^ 3 ^ 2", 512.0);
        check("(1 + 2) * -3 % 5", -4.0);
        check("sqrt(16) + abs(-1.5e1)", 19.0);
        check("2*pi", std::f64::consts::TAU);
    }

    #[test]
    fn nonsense_is_an_error_and_never_a_panic() {
        for text in [
            "",
            "1 +",
            "(1",
            "foo(1)",
            "1..2",
            "1 2",
            "é",
            "sqrt",
            &"(".repeat(999),
            &"-".repeat(999),
        ] {
            assert!(evaluate(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*", sum in "[-+*/%^(). 0-9episqrt]{0,80}") {
            let _ = (evaluate(&text), evaluate(&sum));
        }
    }
}
