mod cron;

use super::*;

const BERLIN: Option<&str> = Some("Europe/Berlin");

fn time(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn at_uptime(millis: u64) -> Now {
    Now { uptime: Duration::from_millis(millis), wall: Timestamp::UNIX_EPOCH }
}

fn at_wall(text: &str) -> Now {
    Now { uptime: Duration::ZERO, wall: time(text) }
}

fn every(seconds: u64) -> Schedule {
    Schedule::every(Duration::from_secs(seconds)).expect("valid")
}

fn cron(text: &str, zone: Option<&str>) -> Schedule {
    Schedule::cron(text, zone).expect("valid")
}

fn uptime(millis: u64) -> Due {
    Due::Uptime(Duration::from_millis(millis))
}

/// A due time of the wall clock that was planned for uptime zero.
fn wall(text: &str) -> Due {
    Due::Wall { at: time(text), expected: Duration::ZERO }
}

fn at_both(seconds: u64, text: &str) -> Now {
    Now { uptime: Duration::from_secs(seconds), wall: time(text) }
}

/// The time of the wall clock that `due` stands for.
fn planned(due: Due) -> Timestamp {
    match due {
        Due::Wall { at, .. } => at,
        Due::Uptime(_) => panic!("{due:?} is not of the wall clock"),
    }
}

/// The due time that follows a run for `due` that ended at `now`, and how many it missed.
fn after(schedule: &Schedule, due: Due, now: Now) -> (Timestamp, u64) {
    let (next, missed) = schedule.after(due, now, 0);
    (planned(next), missed)
}

/// The next `count` times of a cron expression, as its time zone writes them.
fn times(schedule: &Schedule, start: &str, count: usize) -> Vec<String> {
    let Schedule::Cron(calendar) = schedule else { panic!("{schedule} is an interval") };
    let next = |time: &Timestamp| Some(calendar.next(*time));
    let times = std::iter::successors(next(&time(start)), next).take(count);
    times.map(|time| calendar.local(time).strftime("%m-%d %H:%M%:z").to_string()).collect()
}

#[test]
fn an_interval_runs_at_its_offset_and_then_every_interval() {
    let spread = 3_000_000_000;
    for (now, due) in
        [(0, 3_000), (2_999, 3_000), (3_000, 13_000), (3_001, 13_000), (12_999, 13_000), (13_000, 23_000)]
    {
        assert_eq!(every(10).next(at_uptime(now), spread), uptime(due), "at {now} ms");
    }
    assert_eq!(every(10).next(at_uptime(0), 0), uptime(10_000), "strictly after now");
}

#[test]
fn many_checks_of_one_interval_are_spread_over_it() {
    let mut seconds = [0_u32; 10];
    for number in 0..10_000 {
        let key = crate::value::Key::new("ns", &format!("check-{number}")).expect("valid");
        let wait = every(10).next(at_uptime(0), key.spread()).wait(at_uptime(0));
        seconds[usize::try_from(wait.as_secs()).expect("small")] += 1;
    }
    assert!(seconds.iter().all(|count| (850..1150).contains(count)), "{seconds:?}");
}

#[test]
fn an_interval_does_not_care_about_the_wall_clock() {
    let later = Now { wall: time("1999-01-01T00:00:00Z"), ..at_uptime(5_000) };
    assert_eq!(every(10).next(later, 0), every(10).next(at_uptime(5_000), 0));
}

#[test]
fn a_run_that_lasts_longer_than_the_interval_misses_times_and_they_are_counted() {
    for (ended, next, missed) in
        [(10_000, 20_000, 0), (19_999, 20_000, 0), (20_000, 30_000, 1), (45_000, 50_000, 3)]
    {
        assert_eq!(
            every(10).after(uptime(10_000), at_uptime(ended), 0),
            (uptime(next), missed),
            "ended at {ended} ms"
        );
    }
    let weeks = Now { uptime: Duration::from_secs(10_000_000), ..at_uptime(0) };
    assert_eq!(every(1).after(uptime(1_000), weeks, 0).1, MOST_MISSED);
}

#[test]
fn a_due_time_is_waited_for_until_it_has_come() {
    assert_eq!(uptime(1_500).wait(at_uptime(1_000)), Duration::from_millis(500));
    assert_eq!(uptime(1_500).wait(at_uptime(1_501)), Duration::ZERO);
    assert_eq!(
        wall("2026-01-01T00:00:01Z").wait(at_wall("2026-01-01T00:00:00.25Z")),
        Duration::from_millis(750)
    );
    assert_eq!(wall("2026-01-01T00:00:01Z").wait(at_wall("2026-01-01T00:00:02Z")), Duration::ZERO);
}

#[test]
fn a_due_time_is_late_only_once_it_has_passed() {
    assert_eq!(uptime(1_500).lateness(at_uptime(1_499)), Duration::ZERO);
    assert_eq!(uptime(1_500).lateness(at_uptime(1_750)), Duration::from_millis(250));
    let due = wall("2026-01-01T00:00:01Z");
    assert_eq!(due.lateness(at_both(1, "2026-01-01T00:00:02Z")), Duration::from_secs(1));
    assert_eq!(due.lateness(at_both(1, "2026-01-01T00:00:00Z")), Duration::ZERO);
}

#[test]
fn an_outcome_stays_fresh_until_the_third_due_time_after_it() {
    assert_eq!(every(30).fresh_for(at_uptime(0)), Duration::from_secs(90));
    let office_hours = cron("*/5 9-17 * * *", None);
    assert_eq!(office_hours.fresh_for(at_wall("2026-03-04T12:00:01Z")), Duration::from_secs(15 * 60 - 1));
    assert_eq!(
        office_hours.fresh_for(at_wall("2026-03-04T17:55:00Z")),
        Duration::from_secs(15 * 3600 + 15 * 60)
    );
}

#[test]
fn schedules_that_mean_nothing_are_refused_with_the_reason() {
    for (text, zone, message) in [
        ("", None, "schedule `` is not a cron expression: it has 0 fields: write 5, or 6 with seconds first"),
        (
            "* * * *",
            None,
            "schedule `* * * *` is not a cron expression: it has 4 fields: write 5, or 6 with seconds first",
        ),
        ("99 * * * *", None, "schedule `99 * * * *` is not a cron expression: Number out of bounds"),
        (
            "@reboot",
            None,
            "schedule `@reboot` is not a cron expression: after `@` write yearly, annually, monthly, weekly, daily, hourly or `every 90s`",
        ),
        ("@every 0s", None, "interval is 0s: choose at least 10ms"),
        ("@every 1m", BERLIN, "timeZone means nothing to an interval: remove it, or write a cron expression"),
        ("0 0 30 2 *", None, "impossible schedule `0 0 30 2 *`: no such time ever comes"),
        ("0 0 31 4,6,9,11 *", None, "impossible schedule `0 0 31 4,6,9,11 *`: no such time ever comes"),
        (
            "@daily",
            Some("Mars/Base"),
            "time zone `Mars/Base` is not known: write for example `Europe/Berlin`",
        ),
        (
            "@daily",
            Some("../../etc/passwd"),
            "time zone `../../etc/passwd` is not known: write for example `Europe/Berlin`",
        ),
    ] {
        assert_eq!(Schedule::cron(text, zone).expect_err(text).to_string(), message);
    }
    let long = format!("{}0 * * * *", "0,".repeat(500));
    assert!(
        matches!(Schedule::cron(&long, None), Err(ScheduleError::NotCron(_, reason)) if reason.contains("longer than 200"))
    );
    assert_eq!(
        Schedule::every(Duration::from_millis(9)),
        Err(ScheduleError::TooShort(Duration::from_millis(9)))
    );
}

#[test]
fn a_schedule_prints_as_a_person_would_say_it() {
    assert_eq!(every(90).to_string(), "every 1m30s");
    assert_eq!(cron("*/5 * * * *", None).to_string(), "*/5 * * * * UTC");
    assert_eq!(cron("@daily", BERLIN).to_string(), "@daily Europe/Berlin");
}

#[test]
fn backoff_grows_to_five_minutes_and_never_beyond() {
    assert_eq!(backoff(0, 7), Duration::ZERO);
    for (failures, ceiling) in [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (u32::MAX, 300)] {
        let waits: Vec<Duration> = (0..1_000)
            .map(|number: u64| backoff(failures, number.wrapping_mul(0x5851_F42D_4C95_7F2D)))
            .collect();
        let ceiling = Duration::from_secs(ceiling);
        assert!(waits.iter().all(|wait| *wait < ceiling), "{failures}");
        assert!(waits.iter().any(|wait| *wait > ceiling.mul_f64(0.9)), "{failures}");
        assert!(waits.iter().any(|wait| *wait < ceiling.mul_f64(0.1)), "{failures}");
    }
}

#[test]
fn backoff_is_the_same_for_the_same_check_and_differs_between_checks() {
    assert_eq!(backoff(5, 1), backoff(5, 1));
    assert_ne!(backoff(5, 1), backoff(5, 2));
}
