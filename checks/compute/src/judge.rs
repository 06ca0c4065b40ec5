//! Judges a computation. Pure.

use std::time::Duration;

use aviary_guest::Outcome;
use aviary_guest::limits::Latency;

/// The outcome of a computation, given its result and the time that it took.
#[must_use]
pub fn judge(limits: &Latency, number: u8, result: u64, time: Duration) -> Outcome {
    let expected = expected(number);
    if result != expected {
        return Outcome::fail(format!(
            "Fibonacci of {number} came out as {result}, not {expected}: the machine is broken"
        ));
    }
    let done = format!("Fibonacci of {number} is {result}");
    match limits.judge(time) {
        Some(finding) => Outcome::new(finding.status, format!("{done}, but {}", finding.message)),
        // The message does not say how long it took. The board knows that, and keeps equal outcomes only
        // once.
        None => Outcome::pass(done),
    }
}

fn expected(number: u8) -> u64 {
    (0..number).fold((0_u64, 1_u64), |(one, next), _| (next, one + next)).0
}

#[cfg(test)]
mod tests {
    use aviary_guest::Status;

    use super::*;

    const LIMITS: Latency =
        Latency { warn_above: Some(Duration::from_millis(10)), fail_above: Some(Duration::from_millis(100)) };

    #[test]
    fn the_time_decides() {
        for (millis, status) in [(10, Status::Pass), (11, Status::Warn), (101, Status::Fail)] {
            assert_eq!(judge(&LIMITS, 30, 832_040, Duration::from_millis(millis)).status, status);
        }
        let message = judge(&LIMITS, 30, 832_040, Duration::from_millis(5)).message;
        assert_eq!(message, "Fibonacci of 30 is 832040");
        let message = judge(&LIMITS, 30, 832_040, Duration::from_millis(50)).message;
        assert_eq!(message, "Fibonacci of 30 is 832040, but took 50.0ms, more than 10ms");
    }

    #[test]
    fn a_wrong_result_fails_however_fast_it_came() {
        let outcome = judge(&LIMITS, 30, 832_041, Duration::ZERO);
        assert_eq!(outcome.status, Status::Fail);
        assert!(outcome.message.contains("832041, not 832040"), "{}", outcome.message);
    }

    #[test]
    fn the_largest_number_is_known() {
        assert_eq!(expected(40), 102_334_155);
        assert_eq!((expected(0), expected(1)), (0, 1));
    }
}
