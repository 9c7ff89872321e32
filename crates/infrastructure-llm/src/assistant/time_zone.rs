//! Finds an offset from UTC in a sentence.

/// The first offset in `text`, in seconds east of UTC, with its name: `UTC+2`, `GMT-05:30`, `+0100`. At most 14 hours.
pub(super) fn offset_in(text: &str) -> Option<(i32, String)> {
    let upper = text.to_ascii_uppercase().replace('−', "-");
    // `UTC + 2` is one word too.
    let joined = upper
        .replace(" +", "+")
        .replace(" -", "-")
        .replace("+ ", "+");
    joined.split_whitespace().find_map(offset)
}

fn offset(word: &str) -> Option<(i32, String)> {
    let start = word.find(['+', '-'])?;
    let (prefix, rest) = word.split_at(start);
    // `TIME+2` comes from `time +02:00`.
    let prefixed = prefix.ends_with("UTC") || prefix.ends_with("GMT");
    let sign = if rest.starts_with('-') { -1 } else { 1 };
    let number = rest
        .trim_start_matches(['+', '-'])
        .trim_end_matches(['?', '!', '.', ',', ')']);
    let (hours, minutes) = if let Some((hours, minutes)) = number.split_once(':') {
        (hours, minutes)
    } else if number.len() == 4 {
        number.split_at_checked(2)?
    } else {
        (number, "0")
    };
    let digits =
        |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let has_minutes = number.contains(':') || number.len() == 4;
    if !digits(hours) || !digits(minutes) || !(prefixed || has_minutes) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    let seconds = sign * (hours * 3600 + minutes * 60);
    let sign = if sign < 0 { '-' } else { '+' };
    Some((seconds, format!("UTC{sign}{hours:02}:{minutes:02}")))
}
