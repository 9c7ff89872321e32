//! Times that a question names in plain English: `yesterday`, `last week`, `in May`, `8 May 2023`, `three days ago`,
//! `on Monday`. What is asked for is past: of several days or months of a name it is the last one.

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, TimeZone as _, Utc};
use majordomo_domain::Timestamp;

/// A first day, and the day after the last.
type Span = (NaiveDate, NaiveDate);

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
const NUMBERS: [&str; 13] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve",
];

/// The time that `question` names, from and to, in UTC, seen from `now`. `None` where it names none.
pub(super) fn named_time(question: &str, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let lower = question.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric() && c != '-')
        .filter(|word| !word.is_empty())
        .collect();
    let today = now.to_utc().date_naive();
    let first = |read: &dyn Fn(&str, &[&str]) -> Option<Span>| {
        (0..words.len()).find_map(|at| {
            let (before, from) = words.split_at_checked(at)?;
            read(before.last().copied().unwrap_or_default(), from)
        })
    };
    // A weekday comes last: beside a date it says nothing more.
    let span = first(&|before, from| {
        iso_date(from)
            .or_else(|| relative(from, today))
            .or_else(|| month(before, from, today))
    });
    let (from, to) = span
        .or_else(|| words.iter().find_map(|word| whole_year(word)))
        .or_else(|| first(&|before, from| weekday(before, from, today)))?;
    Some((timestamp(from)?, timestamp(to)?))
}

fn timestamp(day: NaiveDate) -> Option<Timestamp> {
    let midnight: DateTime<Utc> = Utc.from_utc_datetime(&day.and_hms_opt(0, 0, 0)?);
    Some(Timestamp::from_secs(midnight.timestamp()))
}

fn days(from: NaiveDate, number: u64) -> Option<Span> {
    Some((from, from.checked_add_days(Days::new(number))?))
}

fn iso_date(words: &[&str]) -> Option<Span> {
    let day = NaiveDate::parse_from_str(words.first()?, "%Y-%m-%d").ok()?;
    days(day, 1)
}

fn year(word: &str) -> Option<i32> {
    let year = word
        .parse()
        .ok()
        .filter(|year| (1900..2200).contains(year))?;
    (word.len() == 4).then_some(year)
}

fn whole_year(word: &str) -> Option<Span> {
    let year = year(word)?;
    Some((
        NaiveDate::from_ymd_opt(year, 1, 1)?,
        NaiveDate::from_ymd_opt(year + 1, 1, 1)?,
    ))
}

fn month_span(year: i32, month: u32) -> Option<Span> {
    let first = NaiveDate::from_ymd_opt(year, month, 1)?;
    Some((first, first.checked_add_months(Months::new(1))?))
}

fn number(word: &str) -> Option<u64> {
    if matches!(word, "a" | "an") {
        return Some(1);
    }
    let written = NUMBERS.iter().position(|number| *number == word);
    let written = written.and_then(|number| u64::try_from(number).ok());
    word.parse()
        .ok()
        .or(written)
        .filter(|number| *number <= 10_000)
}

fn relative(words: &[&str], today: NaiveDate) -> Option<Span> {
    let monday =
        today.checked_sub_days(Days::new(u64::from(today.weekday().num_days_from_monday())))?;
    match words {
        ["today", ..] => days(today, 1),
        ["yesterday", ..] => days(today.pred_opt()?, 1),
        ["last", "night", ..] => days(today.pred_opt()?, 2),
        ["last", "week", ..] => days(monday.checked_sub_days(Days::new(7))?, 7),
        ["week", "before", "last", ..] => days(monday.checked_sub_days(Days::new(14))?, 7),
        ["this", "week", ..] => days(monday, 7),
        ["last", "month", ..] => {
            let before = today.checked_sub_months(Months::new(1))?;
            month_span(before.year(), before.month())
        }
        ["this", "month", ..] => month_span(today.year(), today.month()),
        ["last", "year", ..] => whole_year(&(today.year() - 1).to_string()),
        ["this", "year", ..] => whole_year(&today.year().to_string()),
        [amount, unit, "ago", ..] => ago(number(amount)?, unit, today),
        _ => None,
    }
}

/// Around a time some units back: as exactly as people mean it.
fn ago(amount: u64, unit: &str, today: NaiveDate) -> Option<Span> {
    let back = |days: u64| today.checked_sub_days(Days::new(days));
    let months = |months: u64| {
        let months = u32::try_from(months).ok()?;
        let then = today.checked_sub_months(Months::new(months))?;
        month_span(then.year(), then.month())
    };
    match unit.trim_end_matches('s') {
        "day" => days(back(amount)?, 1),
        "week" => days(back(amount.checked_mul(7)?.checked_add(3)?)?, 7),
        "month" => months(amount),
        "year" => whole_year(&(today.year() - i32::try_from(amount).ok()?).to_string()),
        _ => None,
    }
}

/// `May 2023`, `8 May`, `May 8, 2023`, `last May`, `in May`. A month without a year is the last one of that name.
fn month(before: &str, words: &[&str], today: NaiveDate) -> Option<Span> {
    let (name, rest) = words.split_first()?;
    let index = MONTHS.iter().position(|month| month == name)?;
    let month = u32::try_from(index + 1).ok()?;
    let day_of = |word: &str| -> Option<u32> {
        let digits = word.trim_end_matches(|c: char| c.is_alphabetic());
        digits.parse().ok().filter(|day| (1..=31).contains(day))
    };
    let day_after = rest.first().and_then(|word| day_of(word));
    let after_day = if day_after.is_some() {
        rest.get(1)
    } else {
        rest.first()
    };
    let named_year = after_day.and_then(|word| year(word));
    let day = day_of(before).or(day_after);
    let is_named = matches!(
        before,
        "in" | "last" | "of" | "since" | "this" | "during" | "early" | "late"
    );
    if *name == "may" && day.is_none() && named_year.is_none() && !is_named {
        // The verb.
        return None;
    }
    let is_last = before == "last";
    match (day, named_year) {
        (Some(day), Some(year)) => days(NaiveDate::from_ymd_opt(year, month, day)?, 1),
        (Some(day), None) => {
            let until = if is_last { today.pred_opt()? } else { today };
            days(last_of_name(month, day, until)?, 1)
        }
        (None, Some(year)) => month_span(year, month),
        (None, None) => {
            let is_to_come = month > today.month() || (is_last && month == today.month());
            month_span(today.year() - i32::from(is_to_come), month)
        }
    }
}

/// The last day of this month and number, `until` at the latest. 29 February is in no more than eight years.
fn last_of_name(month: u32, day: u32, until: NaiveDate) -> Option<NaiveDate> {
    (0..=8)
        .filter_map(|back| NaiveDate::from_ymd_opt(until.year() - back, month, day))
        .find(|date| *date <= until)
}

/// `on Monday`: the last one, today where it is one; `last Monday`, `past Monday`: one before today.
fn weekday(before: &str, words: &[&str], today: NaiveDate) -> Option<Span> {
    let until = match before {
        "on" => today,
        "last" | "past" => today.pred_opt()?,
        _ => return None,
    };
    let index = WEEKDAYS.iter().position(|day| Some(day) == words.first())?;
    let index = u32::try_from(index).ok()?;
    let back = (until.weekday().num_days_from_monday() + 7 - index) % 7;
    days(until.checked_sub_days(Days::new(u64::from(back)))?, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asked on a Wednesday.
    fn check(question: &str, expected: Option<(&str, &str)>) {
        check_on("2026-03-18", question, expected);
    }

    fn check_on(today: &str, question: &str, expected: Option<(&str, &str)>) {
        let now = Timestamp::parse_rfc3339(&format!("{today}T15:00:00Z")).unwrap();
        let day = |day: &str| Timestamp::parse_rfc3339(&format!("{day}T00:00:00Z")).unwrap();
        let expected = expected.map(|(from, to)| (day(from), day(to)));
        assert_eq!(named_time(question, now), expected, "{question}");
    }

    #[test]
    fn times_are_understood() {
        check(
            "what did I eat yesterday?",
            Some(("2026-03-17", "2026-03-18")),
        );
        check("who called last week", Some(("2026-03-09", "2026-03-16")));
        check("Where was I last May?", Some(("2025-05-01", "2025-06-01")));
        check("trip in January", Some(("2026-01-01", "2026-02-01")));
        check("on 8 May, 2023", Some(("2023-05-08", "2023-05-09")));
        check("on May 8th 2023", Some(("2023-05-08", "2023-05-09")));
        check("in August 2022", Some(("2022-08-01", "2022-09-01")));
        check("2024-02-29?", Some(("2024-02-29", "2024-03-01")));
        check("three days ago", Some(("2026-03-15", "2026-03-16")));
        check("two months ago", Some(("2026-01-01", "2026-02-01")));
        check("31 February 2023", Some(("2023-01-01", "2024-01-01")));
        check("what happened in 2023", Some(("2023-01-01", "2024-01-01")));
    }

    #[test]
    fn what_is_asked_for_is_past() {
        // A Saturday.
        let check = |question, from, to| check_on("2026-11-21", question, Some((from, to)));
        check("last November", "2025-11-01", "2025-12-01");
        check("in November", "2026-11-01", "2026-12-01");
        check("last October", "2026-10-01", "2026-11-01");
        check("in December", "2025-12-01", "2026-01-01");
        check("on 25 November", "2025-11-25", "2025-11-26");
        check("on November 20th", "2026-11-20", "2026-11-21");
        check("on 21 November", "2026-11-21", "2026-11-22");
        check("last November 21", "2025-11-21", "2025-11-22");
        check("on 29 February", "2024-02-29", "2024-03-01");
        check("on 25 November 2026", "2026-11-25", "2026-11-26");
        check("the week before last", "2026-11-02", "2026-11-09");
    }

    #[test]
    fn weekdays_are_understood() {
        // A Saturday.
        let check =
            |question, expected: Option<(&str, &str)>| check_on("2026-11-21", question, expected);
        check(
            "what did we do on Monday?",
            Some(("2026-11-16", "2026-11-17")),
        );
        check("on Saturday", Some(("2026-11-21", "2026-11-22")));
        check("last Saturday", Some(("2026-11-14", "2026-11-15")));
        check("last Friday evening", Some(("2026-11-20", "2026-11-21")));
        check("on Sunday", Some(("2026-11-15", "2026-11-16")));
        check("on Monday, 8 May 2023", Some(("2023-05-08", "2023-05-09")));
        check("on Monday last week", Some(("2026-11-09", "2026-11-16")));
        for none in ["next Friday", "Black Friday", "every Monday", "on Mondays"] {
            check(none, None);
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for none in ["", "may I ask?", "99999999 days ago", "room 12345"] {
            check(none, None);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_asked(text in "(?s).{0,80}", words in "([0-9]{1,6}|last|may|june|days|ago|week|[a-z]{1,4}| ){0,12}") {
            let _ = named_time(&text, Timestamp::from_secs(1_770_000_000));
            if let Some((from, to)) = named_time(&words, Timestamp::from_secs(1_770_000_000)) {
                proptest::prop_assert!(from < to);
            }
        }
    }
}
